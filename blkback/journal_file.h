/*
 * blkback/journal_file.h - the journals of one connection, where the next back end finds them (hv/inflight_file.h).
 *
 * Runs in  the thread that owns the store client.
 */
#ifndef SLUICE_BLKBACK_JOURNAL_FILE_H
#define SLUICE_BLKBACK_JOURNAL_FILE_H

#include "blkback/front.h"
#include "blkback/journal.h"
#include "hv/inflight_file.h"

struct journal_file {
	struct run_file file;
	uint32_t nr_entries; /* of each queue */
};

/* For a fresh connection. */
int journal_file_create(struct journal_file *j, struct handshake *h, const struct front *front);
/*
 * For a connection that is taken over. -ENOENT: there is none that belongs to this device; -EINVAL: it is another connection's.
 * h->is_unclean then means that requests are lost.
 */
int journal_file_open(struct journal_file *j, struct handshake *h, const struct front *front);
struct journal *journal_file_queue(const struct journal_file *j, unsigned queue);
/* removes: nothing is in flight any more. A zeroed struct is taken. */
void journal_file_close(struct journal_file *j, bool removes);

#endif
