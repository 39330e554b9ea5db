/*
 * blkback/vbd.h - one block device of one guest, from its store directory to its queues.
 *
 *      probe --> offer: image opened, features written --> connect: link opened --> disconnect --> ... --> remove
 *
 * Owns     the image (and its lock) from the first offer until remove and the last I/O; the link from connect until the last
 *          I/O after disconnect.
 * Runs in  the thread that owns the store client. Only stats is written by others, the queues'.
 */
#ifndef SLUICE_BLKBACK_VBD_H
#define SLUICE_BLKBACK_VBD_H

#include "blkback/blkback.h"
#include "blkback/journal_file.h"
#include "blkback/link.h"
#include "blkback/stats.h"
#include "hv/counters_file.h"

struct vbd {
	struct vbd *next; /* blkback's list */
	const struct blkback_options *options;
	int attention_fd; /* blkback's */
	domid_t domid;
	unsigned devid;
	struct handshake *handshake; /* NULL before the first step */
	bool is_image_open;
	bool is_fault_reported;
	bool is_cdrom, is_removable;
	struct disk_image image;
	struct request_limits limits; /* what requests are checked against, in all queues */
	struct limit limit;
	unsigned max_queues; /* offered */
	struct link *link;   /* NULL: neither connected nor lingering */
	struct journal_file journal; /* the link's */
	struct counters_file stats_file;
	struct stats_queue *stats; /* in it: of options->max_queues */
};

/* What handshake calls; handshake.priv is the struct vbd. */
extern const struct handshake_driver vbd_driver;

/* run_dir: for its counters and journal. 0 or -ENOMEM. */
int vbd_init(struct vbd *vbd, const struct blkback_options *options, const char *run_dir, int attention_fd, domid_t domid,
	     unsigned devid);
/* After disconnect; waits for the I/O that still runs. */
void vbd_finish(struct vbd *vbd);
/* After disconnect: vbd_finish will not wait. */
bool vbd_is_over(const struct vbd *vbd);
/*
 * A queue may have a fault to report: closes the device, once, with the reason in its error node. Or the I/O of a connection that
 * was closed is over: frees it.
 */
void vbd_look(struct vbd *vbd);
/* After link_is_over. */
void vbd_close_link(struct vbd *vbd);
/* Adds up what its queues have counted. */
void vbd_sum(const struct vbd *vbd, struct stats_queue *sum);

#endif
