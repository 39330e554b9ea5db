/*
 * frontends/blkfront.h - a guest's disk.
 *
 *      blkfront_create -> blkfront_wait_connected -> submit, push, poll, wait ...       (asynchronous, no copy)
 *                                                 -> blkfront_read, write, flush        (one at a time, copied)
 *                      -> blkfront_destroy
 *
 * When the back end goes, the device is closed from within frontbus_pump and stays closed: requests under way come back
 * with -ENODEV, new ones are refused so.
 *
 * Owns     the ring; a bounce buffer for the synchronous calls, taken at the first of them.
 * Trusts   the back end with nothing but the data itself: blkfront_ring.h.
 * Runs in  one thread, which is also its bus's.
 * Fails    a back end that breaks the protocol: blkfront_check closes the device and says why in its "error" node.
 * Spec     xen/io/blkif.h. Direct segments, ring of up to 16 pages, flush, read-only, any sector-size, resize.
 */
#ifndef SLUICE_FRONTENDS_BLKFRONT_H
#define SLUICE_FRONTENDS_BLKFRONT_H

#include "frontends/blkfront_ring.h"
#include "frontends/frontbus.h"

#define BLKFRONT_BOUNCE_PAGES 64u

struct blkfront_options {
	unsigned max_ring_order; /* 0 to BLKIF_MAX_RING_ORDER; the back end may offer less */
};

struct blkfront {
	struct handshake handshake;
	struct frontbus *bus;
	evtchn_port_t port;
	unsigned max_ring_order;
	unsigned ring_order; /* of this connection */
	void *ring_area;     /* shared while prepared */
	grant_ref_t ring_refs[1u << BLKIF_MAX_RING_ORDER];
	uint8_t *bounce;     /* of the synchronous calls; NULL: none yet */
	struct blkfront_request sync; /* the one that uses it; parts_left: still, and a next call gets -EBUSY */
	grant_ref_t *ref_storage;
	struct blkfront_ring ring;
};

/*
 * Starts the handshake of device/vbd/<devid>. opt: NULL for order 2. -ENOENT: no such device; -ENOMEM; -ENOSPC: too few
 * grants.
 */
int blkfront_create(struct frontbus *bus, unsigned devid, const struct blkfront_options *opt, struct blkfront **out);
/*
 * Closes the device. Requests that have not come back: their buffers may still be the back end's and are never to be used
 * again. Takes NULL.
 */
void blkfront_destroy(struct blkfront *bf);
int blkfront_wait_connected(struct blkfront *bf, int timeout_ms);

/* "xvda" to "xvdp" and their partitions, "hda".. , "sda".., or the number itself; -EINVAL. */
int blkfront_parse_name(const char *name, unsigned *devid);

/* Has the back end broken the protocol? Then closes the device. 0, or -EPROTO. For the control side, now and then. */
int blkfront_check(struct blkfront *bf);

static inline const struct blkfront_disk *blkfront_get_disk(const struct blkfront *bf)
{
	return &bf->ring.disk;
}

/* Puts a request on the ring; errors as blkfront_ring_submit. data: from hv_pages_alloc.   [hot] */
static inline int blkfront_submit(struct blkfront *bf, struct blkfront_request *req)
{
	return blkfront_ring_submit(&bf->ring, req);
}

/* Shows the submitted requests to the back end: one wake for all of them.   [hot] */
static inline void blkfront_push(struct blkfront *bf)
{
	if (blkfront_ring_push(&bf->ring))
		hv_notify(bf->handshake.hv, bf->port);
}

/* Gives back up to max completed requests.   [hot] */
static inline unsigned blkfront_poll(struct blkfront *bf, struct blkfront_request *done[], unsigned max)
{
	return blkfront_ring_poll(&bf->ring, done, max);
}

/*
 * Arms, and sleeps on the bus if there is nothing to take; then hands out watch events. 1: poll again; 0: time is up;
 * -ENODEV: closed, broken or gone.
 */
int blkfront_wait(struct blkfront *bf, int timeout_ms);

/*
 * Synchronous, through the bounce buffer, any length: nr_sectors of 512 bytes from sector on. -EIO; -ENODEV; -EROFS;
 * -EINVAL as submit; -EPROTO: the back end keeps the buffer after its answer, and -EBUSY until it lets go. Other
 * requests may be under way; blkfront_poll gives them back as ever.
 */
int blkfront_read(struct blkfront *bf, uint64_t sector, uint64_t nr_sectors, void *data);
int blkfront_write(struct blkfront *bf, uint64_t sector, uint64_t nr_sectors, const void *data);
/* Everything written and completed before is on stable storage. 0 also when the back end has no flush: then it caches nothing. */
int blkfront_flush(struct blkfront *bf);

#endif
