/*
 * netback/journal_file.h - what a vif's back end leaves for the next one (hv/inflight_file.h).
 *
 *      head         whose it is, rings and ports
 *      mcast        the guest's multicast list
 *      journals     one for each queue (journal.h)
 *      ctrl         what the control ring put into force (ctrl_note.h), where there is one
 *
 * Owns     the mapping, from begin to close.
 * Runs in  the control thread.
 */
#ifndef SLUICE_NETBACK_JOURNAL_FILE_H
#define SLUICE_NETBACK_JOURNAL_FILE_H

#include "hv/inflight_file.h"
#include "netback/ctrl_note.h"
#include "netback/vif_keys.h"

struct journal_file {
	struct run_file file;
	unsigned nr_queues;
};

/*
 * Before the queues are made: the earlier back end's where the device is taken over (wishes->features.is_resumed), else a new one. Each
 * queue's keys get their journal, the features their mcast list. -errno: said by handshake_fail.
 */
int journal_file_begin(struct journal_file *f, struct handshake *h, struct vif_wishes *wishes);
/* The control ring's; NULL: there is none. */
struct ctrl_note *journal_file_ctrl(const struct journal_file *f, const struct vif_wishes *wishes);
/* removes: the device is gone. A zeroed struct is taken. */
void journal_file_close(struct journal_file *f, bool removes);

#endif
