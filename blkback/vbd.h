/*
 * blkback/vbd.h - one block device of one guest, from its store directory to its queue.
 *
 *      probe --> offer: image opened, features written --> connect: ring, event, queue --> disconnect --> ... --> remove
 *
 * Owns     the image (and its lock) from the first offer to remove; the ring, port and queue from connect to disconnect.
 * Runs in  the thread that owns the store client. Only stats is written by another, the queue's.
 */
#ifndef SLUICE_BLKBACK_VBD_H
#define SLUICE_BLKBACK_VBD_H

#include "blkback/blkback.h"
#include "blkback/queue.h"
#include "hv/handshake.h"

struct vbd {
	struct vbd *next; /* blkback's list */
	const struct blkback_options *options;
	int fault_fd; /* blkback's */
	domid_t domid;
	unsigned devid;
	struct handshake *handshake; /* NULL before the first offer */
	bool is_image_open;
	bool is_fault_reported;
	struct disk_image image;
	struct hv_peer *peer;
	void *ring;
	evtchn_port_t port;
	struct queue *queue; /* NULL: not connected */
	struct stats stats;
};

/* What handshake calls; handshake.priv is the struct vbd. */
extern const struct handshake_driver vbd_driver;

/* The queue may have a fault to report: closes the device, once, with the reason in its error node. */
void vbd_check_fault(struct vbd *vbd);

#endif
