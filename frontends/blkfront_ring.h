/*
 * frontends/blkfront_ring.h - the data half of a blkfront: requests, their grants, their answers.   [hot]
 *
 *      submit   request --split at 11 pages--> parts --grant each page--> ring
 *      poll     ring --> check id --> end the part's grants --> last part: the request is complete
 *
 * No copy: the back end reads and writes the caller's own pages, each granted for one part of one request and for as
 * long as that part lasts. A part whose pages the back end still holds after its answer stays incomplete, and so the
 * request's buffer is not the caller's again, until the back end lets go.
 *
 * Owns     a request from submit until poll gives it back.
 * Trusts   no response: id outstanding, answered once, operation as asked.
 * Runs in  one thread. No lock, no allocation, no system call.
 * Fails    an impossible index, id or operation: broken says why; requests then come back through abort only.
 * Spec     xen/io/blkif.h.
 */
#ifndef SLUICE_FRONTENDS_BLKFRONT_RING_H
#define SLUICE_FRONTENDS_BLKFRONT_RING_H

#include "grant/grant_table.h"
#include "rings/blkif.h"

#define BLKFRONT_SEGMENTS BLKIF_MAX_SEGMENTS_PER_REQUEST
#define BLKFRONT_PART_BYTES (BLKFRONT_SEGMENTS * PAGE_BYTES)
#define BLKFRONT_MAX_BYTES (1u << 20) /* of one request, whatever the ring's size */
#define BLKFRONT_NONE UINT16_MAX

/* The caller's; data lies in pages of this domain (hv_pages_alloc), aligned to 512 bytes. */
struct blkfront_request {
	uint8_t op; /* BLKIF_OP_READ, BLKIF_OP_WRITE, BLKIF_OP_FLUSH_DISKCACHE */
	uint64_t sector; /* of 512 bytes */
	uint32_t nr_sectors; /* 0 for a flush */
	void *data;
	void *user; /* comes back as it was */
	/* Filled in until poll gives the request back. */
	int status; /* 0, -EIO, -EOPNOTSUPP, -ENODEV (the device went away) */
	uint16_t parts_left;
	bool is_private; /* not put on the done list: its submitter watches parts_left */
	struct blkfront_request *next;
};

enum blkfront_part_state { BLKFRONT_PART_FREE, BLKFRONT_PART_ASKED, BLKFRONT_PART_HELD };

/* One request on the ring; its index is the id on the wire. */
struct blkfront_part {
	struct blkfront_request *req;
	uint8_t state;
	uint8_t op;
	uint16_t nr_refs; /* not yet ended */
	grant_ref_t refs[BLKFRONT_SEGMENTS];
};

/* What the back end said about its disk when it connected. */
struct blkfront_disk {
	uint64_t nr_sectors; /* of 512 bytes */
	uint32_t sector_bytes;
	bool is_read_only;
	bool can_flush;
};

struct blkfront_counters {
	uint64_t reads;
	uint64_t writes;
	uint64_t flushes;
	uint64_t read_bytes;
	uint64_t write_bytes;
	uint64_t parts;  /* ring requests */
	uint64_t errors; /* parts answered with an error */
	uint64_t strange_status; /* of them: a status that blkif does not know */
	uint64_t ring_full;      /* submissions refused with -EAGAIN */
	uint64_t held; /* answered while the back end held the pages */
	uint64_t bursts; /* polls that completed anything */
	uint64_t notify_sent;
	uint64_t notify_suppressed;
};

struct blkfront_ring {
	struct blkif_ring_front ring;
	bool is_connected;
	const char *broken;
	domid_t peer;
	blkif_vdev_t vdev;
	struct blkfront_disk disk;
	struct grant_cache grants; /* BLKFRONT_SEGMENTS for each part */
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
	struct blkfront_counters count;
};

/*
 * Takes a fresh ring area of that many bytes, whose slots must not outnumber nr_parts, and resets its head: before the back
 * end hears of it. part, free, held, grants, frame_of and vdev were set before; what is held from an earlier connection
 * stays held.
 */
void blkfront_ring_prepare(struct blkfront_ring *r, void *area, size_t area_bytes, domid_t peer);
/* The back end is there, and disk says what it has: requests may be submitted. */
void blkfront_ring_start(struct blkfront_ring *r);

/*
 * Puts a request on the ring; the back end sees it at the next push. -EAGAIN: not enough room now; -EINVAL: unaligned,
 * empty, over BLKFRONT_MAX_BYTES, beyond the disk, or an unknown op; -EFAULT: data is not this domain's memory; -EROFS;
 * -EOPNOTSUPP: a flush, and the back end has none; -ENODEV: not connected, or broken.
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
 * The connection is over (no more access to the ring): what waits for an answer completes with -ENODEV, as soon as its
 * grants can be ended; poll goes on working for that.
 */
void blkfront_ring_abort(struct blkfront_ring *r);

#endif
