/*
 * frontends/blkfront_ring.c - submits block requests and completes them.   [hot]
 *
 *      free --submit--> ASKED --answer, all grants ended--> free
 *                         |                                   ^
 *                         +--answer, pages still in use--> HELD (looked at again in each poll)
 *
 * Owns     a part's refs while it is ASKED or HELD: none returns to the cache before grant_table_end took it back.
 * Trusts   no response.
 * Runs in  the one thread that uses the disk.
 * Fails    blkfront_ring.h.
 */
#include "frontends/blkfront_ring.h"

/* How many held parts one poll looks at. */
#define HELD_BUDGET 8u

static void break_ring(struct blkfront_ring *r, const char *why)
{
	r->broken = why;
}

void blkfront_ring_prepare(struct blkfront_ring *r, void *area, size_t area_bytes, domid_t peer)
{
	blkif_ring_front_init(&r->ring, area, area_bytes);
	r->peer = peer;
	r->broken = NULL;
	if (!r->done)
		r->done_tail = &r->done;
}

void blkfront_ring_start(struct blkfront_ring *r)
{
	r->nr_free = 0;
	for (unsigned id = r->ring.mask + 1; id-- > 0;)
		if (r->part[id].state == BLKFRONT_PART_FREE)
			r->free[r->nr_free++] = (uint16_t)id;
	r->is_connected = true;
}

static int check_request(const struct blkfront_ring *r, const struct blkfront_request *req)
{
	const struct blkfront_disk *d = &r->disk;
	uint32_t unit = d->sector_bytes / BLKIF_SECTOR_BYTES;

	if (!r->is_connected || r->broken)
		return -ENODEV;
	if (req->op == BLKIF_OP_FLUSH_DISKCACHE)
		return !d->can_flush ? -EOPNOTSUPP : req->nr_sectors ? -EINVAL : 0;
	if (req->op != BLKIF_OP_READ && req->op != BLKIF_OP_WRITE)
		return -EINVAL;
	if (req->op == BLKIF_OP_WRITE && d->is_read_only)
		return -EROFS;
	if (!req->nr_sectors || req->nr_sectors > BLKFRONT_MAX_BYTES / BLKIF_SECTOR_BYTES)
		return -EINVAL;
	if (req->sector > d->nr_sectors || req->nr_sectors > d->nr_sectors - req->sector)
		return -EINVAL;
	if (req->sector % unit || req->nr_sectors % unit || (uintptr_t)req->data % BLKIF_SECTOR_BYTES)
		return -EINVAL;
	return 0;
}

static uint16_t new_part(struct blkfront_ring *r, struct blkfront_request *req)
{
	uint16_t id = r->free[--r->nr_free];
	struct blkfront_part *p = &r->part[id];

	p->req = req;
	p->op = req->op;
	p->state = BLKFRONT_PART_ASKED;
	p->nr_refs = 0;
	req->parts_left++;
	return id;
}

/* Grants the pages from byte `from` of data on, as many as one part holds; returns the bytes that they cover. */
static uint32_t grant_pages(struct blkfront_ring *r, struct blkfront_part *p, struct blkif_request *wire, uint32_t frame,
			    uint32_t from, uint32_t until)
{
	bool readonly = p->op == BLKIF_OP_WRITE;
	uint32_t start = from;

	while (from < until && p->nr_refs < BLKFRONT_SEGMENTS) {
		uint32_t offset = from % PAGE_BYTES;
		uint32_t bytes = PAGE_BYTES - offset < until - from ? PAGE_BYTES - offset : until - from;
		grant_ref_t ref = grant_cache_get(&r->grants);

		grant_table_permit(r->grants.gt, ref, r->peer, frame + from / PAGE_BYTES, readonly);
		wire->seg[p->nr_refs] = (struct blkif_request_segment){
			.gref = ref,
			.first_sect = (uint8_t)(offset / BLKIF_SECTOR_BYTES),
			.last_sect = (uint8_t)((offset + bytes) / BLKIF_SECTOR_BYTES - 1)};
		p->refs[p->nr_refs++] = ref;
		from += bytes;
	}
	wire->nr_segments = (uint8_t)p->nr_refs;
	return from - start;
}

/* Puts all parts of a checked request; there is room for them. Byte positions count from the first page's start. */
static void put_parts(struct blkfront_ring *r, struct blkfront_request *req, uint32_t frame)
{
	uint32_t from = (uint32_t)((uintptr_t)req->data % PAGE_BYTES);
	uint32_t until = from + req->nr_sectors * BLKIF_SECTOR_BYTES;
	uint64_t sector = req->sector;

	do {
		uint16_t id = new_part(r, req);
		struct blkif_request wire = {.operation = req->op, .handle = r->vdev, .id = id, .sector_number = sector};
		uint32_t bytes = grant_pages(r, &r->part[id], &wire, frame, from, until);

		blkif_ring_front_put(&r->ring, &wire);
		r->count.parts++;
		from += bytes;
		sector += bytes / BLKIF_SECTOR_BYTES;
	} while (from < until);
}

static void count_request(struct blkfront_counters *c, const struct blkfront_request *req)
{
	if (req->op == BLKIF_OP_READ) {
		c->reads++;
		c->read_bytes += (uint64_t)req->nr_sectors * BLKIF_SECTOR_BYTES;
	} else if (req->op == BLKIF_OP_WRITE) {
		c->writes++;
		c->write_bytes += (uint64_t)req->nr_sectors * BLKIF_SECTOR_BYTES;
	} else {
		c->flushes++;
	}
}

int blkfront_ring_submit(struct blkfront_ring *r, struct blkfront_request *req)
{
	uint32_t offset = (uint32_t)((uintptr_t)req->data % PAGE_BYTES);
	uint32_t frame = 0, pages, parts = 1;
	int rc = check_request(r, req);

	if (rc < 0)
		return rc;
	if (req->nr_sectors) {
		const uint8_t *first = (const uint8_t *)req->data - offset;

		pages = (uint32_t)bytes_to_pages(offset + req->nr_sectors * BLKIF_SECTOR_BYTES);
		parts = (pages + BLKFRONT_SEGMENTS - 1) / BLKFRONT_SEGMENTS;
		frame = r->frame_of(r->frame_arg, first);
		if (frame == UINT32_MAX || r->frame_of(r->frame_arg, first + pages_to_bytes(pages - 1)) != frame + pages - 1)
			return -EFAULT;
	}
	if (parts > r->nr_free || parts > blkif_ring_front_free(&r->ring)) {
		r->count.ring_full++;
		return -EAGAIN;
	}
	req->status = 0;
	req->parts_left = 0;
	req->next = NULL;
	put_parts(r, req, frame);
	count_request(&r->count, req);
	return 0;
}

bool blkfront_ring_push(struct blkfront_ring *r)
{
	bool wake;

	if (!r->is_connected || r->broken || r->ring.req_prod == r->ring.req_shown)
		return false;
	wake = blkif_ring_front_push(&r->ring);
	if (wake)
		r->count.notify_sent++;
	else
		r->count.notify_suppressed++;
	return wake;
}

/* Ends what can be ended; true: the back end holds none of the part's pages any more. */
static bool end_grants(struct blkfront_ring *r, struct blkfront_part *p)
{
	unsigned kept = 0;

	for (unsigned i = 0; i < p->nr_refs; i++) {
		if (grant_table_end(r->grants.gt, p->refs[i]) < 0)
			p->refs[kept++] = p->refs[i];
		else
			grant_cache_put(&r->grants, p->refs[i]);
	}
	p->nr_refs = (uint16_t)kept;
	return !kept;
}

static void free_part(struct blkfront_ring *r, uint16_t id)
{
	struct blkfront_request *req = r->part[id].req;

	r->part[id].state = BLKFRONT_PART_FREE;
	r->part[id].req = NULL;
	if (r->is_connected && id <= r->ring.mask)
		r->free[r->nr_free++] = id;
	if (--req->parts_left || req->is_private)
		return;
	*r->done_tail = req;
	r->done_tail = &req->next;
}

/* The part is answered (or never will be): frees it, or holds it until the back end lets go of its pages. */
static void finish_part(struct blkfront_ring *r, uint16_t id, int status)
{
	struct blkfront_part *p = &r->part[id];

	if (status && !p->req->status)
		p->req->status = status;
	if (end_grants(r, p)) {
		free_part(r, id);
		return;
	}
	p->state = BLKFRONT_PART_HELD;
	r->held[r->nr_held++] = id;
	r->count.held++;
}

/* Looks at some of the held parts again; those still in use go to the end of the list. */
static void retry_held(struct blkfront_ring *r)
{
	unsigned tries = r->nr_held < HELD_BUDGET ? r->nr_held : HELD_BUDGET;

	for (unsigned i = 0; i < tries; i++) {
		uint16_t id = r->held[0];

		memmove(r->held, r->held + 1, (size_t)--r->nr_held * sizeof(r->held[0]));
		if (end_grants(r, &r->part[id]))
			free_part(r, id);
		else
			r->held[r->nr_held++] = id;
	}
}

static int errno_of_status(struct blkfront_ring *r, int16_t status)
{
	if (status == BLKIF_RSP_OKAY)
		return 0;
	r->count.errors++;
	if (status == BLKIF_RSP_EOPNOTSUPP)
		return -EOPNOTSUPP;
	if (status != BLKIF_RSP_ERROR)
		r->count.strange_status++;
	return -EIO;
}

static void take_responses(struct blkfront_ring *r)
{
	int pending = blkif_ring_front_pending(&r->ring);

	if (pending < 0) {
		break_ring(r, "more responses than there were requests");
		return;
	}
	while (pending-- > 0) {
		struct blkif_response rsp;

		blkif_ring_front_take(&r->ring, &rsp);
		if (rsp.id > r->ring.mask || r->part[rsp.id].state != BLKFRONT_PART_ASKED) {
			break_ring(r, "a response for a request that is not outstanding");
			return;
		}
		if (rsp.operation != r->part[rsp.id].op) {
			break_ring(r, "a response to another operation than was asked");
			return;
		}
		finish_part(r, (uint16_t)rsp.id, errno_of_status(r, rsp.status));
	}
}

unsigned blkfront_ring_poll(struct blkfront_ring *r, struct blkfront_request *done[], unsigned max)
{
	unsigned n = 0;

	if (r->nr_held)
		retry_held(r);
	if (r->is_connected && !r->broken)
		take_responses(r);
	while (n < max && r->done) {
		done[n++] = r->done;
		r->done = r->done->next;
	}
	if (!r->done)
		r->done_tail = &r->done;
	if (n)
		r->count.bursts++;
	return n;
}

bool blkfront_ring_arm(struct blkfront_ring *r)
{
	return !r->is_connected || r->broken || r->done || blkif_ring_front_final_check(&r->ring);
}

unsigned blkfront_ring_outstanding(const struct blkfront_ring *r)
{
	unsigned n = 0;

	for (unsigned id = 0; id < r->nr_parts; id++)
		n += r->part[id].state != BLKFRONT_PART_FREE;
	return n;
}

void blkfront_ring_abort(struct blkfront_ring *r)
{
	r->is_connected = false;
	for (unsigned id = 0; id < r->nr_parts; id++)
		if (r->part[id].state == BLKFRONT_PART_ASKED)
			finish_part(r, (uint16_t)id, -ENODEV);
}
