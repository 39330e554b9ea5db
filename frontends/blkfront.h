/*
 * frontends/blkfront.h - a guest's disk.
 *
 *      blkfront_create -> blkfront_wait_connected -> queue 0..n-1: submit, push, poll, wait ...        (asynchronous)
 *                                                 -> blkfront_read, write, flush, discard              (one at a time)
 *                      -> blkfront_destroy
 *
 * A queue is a ring and an event channel. All of them are driven by the bus's thread, which sleeps in blkfront_wait for all
 * (and for the bus); or, with is_threaded, each by a thread of its own, which encloses each burst in blkfront_enter and
 * blkfront_leave and sleeps in blkfront_queue_wait, while the bus's thread stays in blkfront_wait.
 *
 * When the back end goes, the device is closed from within frontbus_pump: requests under way come back with -ENODEV, new
 * ones are refused so. With reconnects they are kept instead, the device begins anew, and they are asked for again when a
 * back end serves it: their submitter sees a pause.
 *
 * Owns     the rings; pools and lists of segments from connect to disconnect.
 * Trusts   the back end with nothing but the data itself: blkfront_ring.h.
 * Runs in  the bus's thread, except where a function says: the queue's.
 * Fails    a back end that breaks the protocol: blkfront_check closes the device and says why in its "error" node.
 * Spec     xen/io/blkif.h.
 */
#ifndef SLUICE_FRONTENDS_BLKFRONT_H
#define SLUICE_FRONTENDS_BLKFRONT_H

#include "frontends/blkfront_counters.h"
#include "frontends/blkfront_ring.h"
#include "frontends/front_counters.h"
#include "frontends/frontbus.h"
#include "hv/busy_poll.h"
#include "hv/clock.h"

#define BLKFRONT_MAX_QUEUES 16u
#define BLKFRONT_DEFAULT_RING_ORDER 2u
#define BLKFRONT_DEFAULT_SEGMENTS 256u

/* Persistent grants: the back end may keep what it has mapped. Where it does, all data is copied through the pool. */
enum blkfront_persistent {
	BLKFRONT_PERSISTENT_IF_POOLED, /* when all data is copied anyway */
	BLKFRONT_PERSISTENT_WANTED,
	BLKFRONT_PERSISTENT_REFUSED,
};

/* All zeros: one queue, a ring of one page, lists as long as the default says, own pages granted. */
struct blkfront_options {
	unsigned max_ring_order; /* 0 to BLKIF_MAX_RING_ORDER; the back end may offer less, here as below */
	unsigned max_queues;     /* up to BLKFRONT_MAX_QUEUES; 0: one */
	unsigned max_segments;   /* of one ring request, up to BLKFRONT_MAX_SEGMENTS; 0: the default; BLKFRONT_SEGMENTS: no lists */
	unsigned pool_pages;     /* of each queue's pool, when one is needed; 0: chosen */
	unsigned busy_poll_us;   /* how long a wait looks at the rings before it sleeps, at most (hv/busy_poll.h) */
	enum blkfront_persistent persistent;
	bool is_x86_32;          /* the ring has the layout of 32-bit guests, as a test of a back end wants it */
	bool is_untrusted;       /* the back end may see nothing of a page but the data; a node "trusted" = 0 says the same */
	bool has_foreign_data; /* requests' data is not (always) in the domain's pages: a pool for it from the start */
	bool reconnects;
	bool is_threaded;
};

struct blkfront;

/* Of pages that stay shared while the device is connected. */
struct blkfront_area {
	void *pages; /* NULL: not shared */
	unsigned nr;
	grant_ref_t *refs; /* storage for max_nr of them, and for the slots' chain */
	uint32_t *next;
	unsigned max_nr;
};

struct blkfront_queue {
	struct blkfront_ring ring;
	struct blkfront *bf;
	unsigned index;
	evtchn_port_t port; /* 0: none */
	int wake_fd;        /* is_threaded: another thread has something to tell; else -1 */
	uint32_t is_entered; /* its thread, or the bus's, is at the ring */
	bool is_breach_told;
	bool needs_pool; /* somebody has memory of his own */
	struct busy_poll wait; /* its thread's */
	struct blkfront_area shared_ring;
	struct blkfront_area pool;
	struct blkfront_area lists;
	struct blkfront_area grants; /* pages: never; nr refs of the domain's own table */
};

struct blkfront {
	struct handshake handshake;
	struct frontbus *bus;
	struct blkfront_options opt; /* every 0 replaced by what it stands for */
	unsigned nr_queues;  /* of this connection */
	unsigned ring_order; /* of this connection */
	bool is_persistent;  /* so is this connection */
	bool is_pool_only;   /* no page of the guest's own is granted: by the platform, or for want of trust */
	uint32_t is_over;    /* it does not come back; atomic: queues' threads look at it */
	char path[64];
	struct blkfront_disk disk;
	struct front_counters shared_counters;
	struct blkfront_counters *counters; /* in it, of opt.max_queues */
	struct busy_poll wait; /* the bus's thread's */
	struct blkfront_request sync; /* of the synchronous calls */
	struct blkfront_queue queue[]; /* opt.max_queues */
};

/*
 * Starts the handshake of device/vbd/<devid>. opt: NULL for a ring of order 2 and the rest zero. -ENOENT: no such device;
 * -EINVAL: an option out of range; -ENOMEM; -ENOSPC: too few grants.
 */
int blkfront_create(struct frontbus *bus, unsigned devid, const struct blkfront_options *opt, struct blkfront **out);
/*
 * Closes the device; no thread may be at a queue. Requests that have not come back: their buffers may still be the back
 * end's and are never to be used again. Takes NULL.
 */
void blkfront_destroy(struct blkfront *bf);
int blkfront_wait_connected(struct blkfront *bf, int timeout_ms);
/* The number of a disk's name: xvda, sdb, hdc, xvda1, or the number itself. -EINVAL. */
int blkfront_parse_name(const char *name, unsigned *devid);
/* Did the back end break the protocol? Then closes the device, writes why to the store, and returns -EPROTO (also later). */
int blkfront_check(struct blkfront *bf);

static inline const struct blkfront_disk *blkfront_get_disk(const struct blkfront *bf)
{
	return &bf->disk;
}

/* All queues' counters. */
void blkfront_count(const struct blkfront *bf, struct blkfront_counters *sum);

/* The queues of this connection are 0 to nr_queues - 1. */
static inline struct blkfront_queue *blkfront_get_queue(struct blkfront *bf, unsigned index)
{
	return &bf->queue[index];
}

/* The longest read or write that a request may be, wherever its data lies; more goes in several. Any thread. */
uint32_t blkfront_max_bytes(const struct blkfront_queue *q);

/* ---- a queue: its thread --------------------------------------------------------------------------------------------- */

/*
 * With is_threaded, before a burst of the calls below; false: the device changes hands this moment; nothing may be called,
 * come again.   [hot]
 */
static inline bool blkfront_enter(struct blkfront_queue *q)
{
	return !exchange_acq_rel(&q->is_entered, 1); /* pairs with blkfront_leave's release */
}

/* Tells the bus's thread that the back end was found to break the protocol. */
void blkfront_queue_tell(struct blkfront_queue *q);

/* After the burst.   [hot] */
static inline void blkfront_leave(struct blkfront_queue *q)
{
	bool is_breach = q->ring.broken && !q->is_breach_told;

	store_release(&q->is_entered, 0); /* pairs with blkfront_enter's acquire */
	if (is_breach)
		blkfront_queue_tell(q);
}

/* Puts a request on the ring; errors as blkfront_ring_submit.   [hot] */
static inline int blkfront_submit(struct blkfront_queue *q, struct blkfront_request *req)
{
	return blkfront_ring_submit(&q->ring, req);
}

/* Shows the submitted requests to the back end: one wake for all of them.   [hot] */
static inline void blkfront_push(struct blkfront_queue *q)
{
	if (blkfront_ring_push(&q->ring))
		hv_notify(q->bf->bus->hv, q->port);
}

/* Gives back up to max completed requests.   [hot] */
static inline unsigned blkfront_poll(struct blkfront_queue *q, struct blkfront_request *done[], unsigned max)
{
	return blkfront_ring_poll(&q->ring, done, max);
}

/*
 * With is_threaded, not entered: sleeps until the queue has something to poll. 1: poll again; 0: time is up; -ENODEV: closed,
 * broken or gone, and everything has come back.
 */
int blkfront_queue_wait(struct blkfront_queue *q, int timeout_ms);
/* Whoever is in blkfront_queue_wait, or comes there next, returns. Any thread. */
void blkfront_queue_wake(struct blkfront_queue *q);

/* ---- the bus's thread ------------------------------------------------------------------------------------------------------ */

/*
 * Arms the queues (if they have no threads), and sleeps on the bus if there is nothing to take; then hands out watch events.
 * 1: poll again; 0: time is up; -ENODEV: closed, broken or gone.
 */
int blkfront_wait(struct blkfront *bf, int timeout_ms);

/*
 * Synchronous, through the pool of queue 0, any memory and any length: nr_sectors of 512 bytes from sector on. Not with
 * is_threaded. -EIO; -ENODEV; -EROFS; -EINVAL, -EOPNOTSUPP as submit. Other requests may be under way; blkfront_poll gives
 * them back as ever.
 */
int blkfront_read(struct blkfront *bf, uint64_t sector, uint64_t nr_sectors, void *data);
int blkfront_write(struct blkfront *bf, uint64_t sector, uint64_t nr_sectors, const void *data);
int blkfront_discard(struct blkfront *bf, uint64_t sector, uint64_t nr_sectors, bool is_secure);
/*
 * Everything written and completed before is on stable storage: by a flush, or where the back end has none by an empty
 * barrier. 0 also when it has neither: then it caches nothing.
 */
int blkfront_flush(struct blkfront *bf);

#endif
