/*
 * frontends/blkfront_ring.h - the data half of one blkfront queue: requests, their pages, their answers.   [hot]
 *
 *      submit   request --split--> parts --a slot for each page--> ring, longer parts with a list of segments beside it
 *      poll     ring --> check id --> end the part's grants, or copy its data --> last part: the request is complete
 *
 * Where data lies is one of two things, decided for each request:
 *      grants   the caller's own pages, each granted for as long as its part lasts: no copy. A part whose pages the back
 *               end still holds after its answer stays incomplete, and so the request's buffer is not the caller's again,
 *               until the back end lets go.
 *      pool     shared pages that stay granted, and a copy: any memory may be the caller's buffer, and the back end sees
 *               nothing but the data itself. For persistent grants, for a back end that is not trusted with whole pages,
 *               and on a platform where a domain's program cannot grant pages of its own.
 *
 * Owns     a request from submit until poll gives it back.
 * Trusts   no response: id outstanding, answered once, operation as asked. What it wrote into shared pages it never reads
 *          again, but for the data that a read asked for.
 * Runs in  one thread at a time. No lock, no allocation, no system call.
 * Fails    an impossible index, id or operation: broken says why; requests then come back through abort only.
 * Spec     xen/io/blkif.h.
 */
#ifndef SLUICE_FRONTENDS_BLKFRONT_RING_H
#define SLUICE_FRONTENDS_BLKFRONT_RING_H

#include "frontends/blkfront_slots.h"
#include "grant/grant_table.h"
#include "hv/histogram.h"
#include "hv/probe.h"
#include "rings/blkif.h"

#define BLKFRONT_SEGMENTS BLKIF_MAX_SEGMENTS_PER_REQUEST /* of a request without a list */
#define BLKFRONT_LIST_SEGMENTS (PAGE_BYTES / sizeof(struct blkif_request_segment))
#define BLKFRONT_MAX_SEGMENTS (BLKIF_MAX_INDIRECT_PAGES_PER_REQUEST * BLKFRONT_LIST_SEGMENTS)
#define BLKFRONT_MIN_MAX_BYTES (1u << 20) /* a request of one's own pages may always be this long */

struct blkfront_request {
	uint8_t op; /* BLKIF_OP_READ, _WRITE, _WRITE_BARRIER, _FLUSH_DISKCACHE, _DISCARD */
	bool is_secure; /* a discard that must leave nothing to recover */
	uint64_t sector; /* of 512 bytes */
	uint32_t nr_sectors; /* 0 for a flush; may be 0 for a barrier */
	void *data; /* hv_pages_alloc's, aligned to 512 bytes; with a pool, any */
	void *user; /* comes back as it was */
	/* Filled in until poll gives the request back. */
	int status; /* 0, -EIO, -EOPNOTSUPP, -ENODEV (the device went away) */
	uint16_t parts_left;
	bool is_busy;    /* from submit until it is complete */
	bool is_private; /* not put on the done list: its submitter watches is_busy */
	uint64_t started; /* clock_ticks; 0: it is not timed */
	uint64_t order; /* of its submission */
	struct blkfront_request *next;
};

enum blkfront_part_state { BLKFRONT_PART_FREE, BLKFRONT_PART_ASKED, BLKFRONT_PART_HELD };

/* One request on the ring; its index is the id on the wire. */
struct blkfront_part {
	struct blkfront_request *req;
	uint8_t *data;     /* where its data begins in the caller's buffer */
	uint32_t nr_bytes;
	uint32_t first;    /* its slots: a chain */
	uint32_t last;
	uint32_t list;     /* pages of segments: a chain */
	uint16_t nr_slots; /* not yet ended */
	uint8_t nr_lists;
	uint8_t state;
	uint8_t op;
	bool is_pooled;
};

/* What the back end says about its disk. One for all queues; nr_sectors changes while they run, the rest does not. */
struct blkfront_disk {
	uint64_t nr_sectors; /* of 512 bytes */
	uint32_t sector_bytes;
	uint32_t physical_sector_bytes;
	uint32_t discard_granularity_bytes;
	uint32_t discard_alignment_bytes;
	bool is_read_only;
	bool is_cdrom;
	bool can_flush;
	bool can_barrier;
	bool can_discard;
	bool can_secure_discard;
};

/* Names: blkfront_counters.c. */
struct blkfront_counters {
	uint64_t reads;
	uint64_t writes; /* barriers among them */
	uint64_t barriers;
	uint64_t flushes;
	uint64_t discards;
	uint64_t read_bytes;
	uint64_t write_bytes;
	uint64_t discard_bytes;
	uint64_t copied_bytes; /* of them: through the pool */
	uint64_t parts;        /* ring requests */
	uint64_t indirect;     /* of them: with a list of segments */
	uint64_t split;        /* requests that took more than one part */
	uint64_t errors;       /* parts answered with an error */
	uint64_t unsupported;  /* of them: with BLKIF_RSP_EOPNOTSUPP */
	uint64_t strange_status; /* of them: a status that blkif does not know */
	uint64_t ring_full;    /* submissions refused with -EAGAIN */
	uint64_t held;         /* answered while the back end held the pages */
	uint64_t resubmitted;  /* requests asked for again after a reconnect */
	uint64_t bursts;       /* polls that completed anything */
	uint64_t peak_parts;   /* that waited for an answer at once */
	uint64_t notify_sent;
	uint64_t notify_suppressed;
	struct histogram_batch batch;       /* requests that one poll completed */
	/* From submit until poll found it complete, of one request in PROBE_BURSTS; all but reads are writes. */
	struct histogram read_ns, write_ns;
};

struct blkfront_ring {
	struct blkif_any_front ring;
	const struct blkfront_disk *disk;
	bool is_connected;
	bool is_pool_only; /* no page of the caller's is ever granted */
	bool keeps;        /* what an abort cuts short is asked for again after the next start */
	const char *broken;
	domid_t peer;
	blkif_vdev_t vdev;
	uint32_t max_segments; /* of one ring request: BLKFRONT_SEGMENTS, or more with lists */
	uint32_t max_bytes;    /* of one request of own pages */
	struct grant_table *gt; /* of the grants; NULL: there are none */
	struct blkfront_slots grants;
	struct blkfront_slots pool;
	struct blkfront_slots lists;
	uint32_t (*frame_of)(void *arg, const void *page); /* UINT32_MAX: not a page of ours */
	void *frame_arg;

	uint16_t nr_parts; /* capacity; those from the ring's size on stay unused */
	uint16_t nr_free;
	uint16_t nr_held;
	uint16_t *free;
	uint16_t *held;
	struct blkfront_part *part;

	struct blkfront_request *done;
	struct blkfront_request **done_tail;
	struct blkfront_request *again; /* to be asked for again, in the order of their submission */
	uint64_t order;                 /* submissions so far */
	struct blkfront_counters *count; /* set, or the ring's own; nobody but us writes it */
	uint64_t tick_length;            /* set: clock_tick_length; 0: nothing is timed */
	struct blkfront_counters own_count;
};

/* Once: nothing is under way. The other fields that say "set" below stay. */
void blkfront_ring_init(struct blkfront_ring *r);
/*
 * Takes a fresh ring area of that many bytes, whose slots must not outnumber nr_parts, and resets its head: before the back
 * end hears of it. part, free, held, grants, gt, frame_of, disk and vdev were set before; what is held from an earlier
 * connection stays held.
 */
void blkfront_ring_prepare(struct blkfront_ring *r, void *area, size_t area_bytes, domid_t peer);
/*
 * The back end is there, disk says what it has; pool, lists, is_pool_only, max_segments and max_bytes are set: requests may
 * be submitted, and what an abort kept is asked for again.
 */
void blkfront_ring_start(struct blkfront_ring *r);

/*
 * Puts a request on the ring; the back end sees it at the next push. -EAGAIN: not enough room now; -EINVAL: not in whole
 * sectors of the disk, empty, too long, beyond the disk, or an unknown op; -EFAULT: data is not this domain's memory, and
 * there is no pool; -EROFS; -EOPNOTSUPP: not offered by the back end; -ENODEV: not connected, or broken.
 */
int blkfront_ring_submit(struct blkfront_ring *r, struct blkfront_request *req);
/* Shows what was submitted; true: send the event. */
bool blkfront_ring_push(struct blkfront_ring *r);
/* Takes answers, looks again at held pages; gives back up to max completed requests. */
unsigned blkfront_ring_poll(struct blkfront_ring *r, struct blkfront_request *done[], unsigned max);
/* Asks for an event at the next answer; true: there is one already, or completed requests wait, or the ring is broken. */
bool blkfront_ring_arm(struct blkfront_ring *r);
/* Parts that wait for an answer, or for the back end to let go. */
unsigned blkfront_ring_outstanding(const struct blkfront_ring *r);

/*
 * The connection is over (no more access to the ring, the pool or the lists): what waits for an answer completes with
 * -ENODEV, or is kept, as soon as its grants can be ended; poll goes on working for that.
 */
void blkfront_ring_abort(struct blkfront_ring *r);
/* Nobody will start it again: what was kept completes with -ENODEV. */
void blkfront_ring_give_up(struct blkfront_ring *r);

/* ---- between the hot files -------------------------------------------------------------------------------------------- */

/* Puts the request on the done list, unless it is private. */
void blkfront_ring_complete(struct blkfront_ring *r, struct blkfront_request *req);
/* Submits what was kept, as much of it as there is room for. */
void blkfront_ring_ask_again(struct blkfront_ring *r);

#endif
