/*
 * frontends/blkfront_submit.c - from a request to the ring: check, plan, place.   [hot]
 *
 *      check    against what the disk is and can
 *      plan     which placement; how many parts, slots and lists: there is room for all of them, or for none
 *      place    for each part: its pages' segments into the ring's slot, or into lists that the slot names
 *
 * Trusts   what the back end said of its disk, to the point that requests fit it: nothing of ours depends on it.
 * Runs in  the queue's thread.
 * Fails    blkfront_ring.h.
 */
#include "frontends/blkfront_ring.h"
#include "rings/atomics.h"

/* What is still to be placed of a request. */
struct cursor {
	uint8_t *data;
	uint64_t sector;
	uint32_t frame; /* of the page that data lies in; grants only */
	uint32_t left;  /* bytes */
};

struct plan {
	bool is_pooled;
	uint32_t max_segments; /* of a part */
	uint32_t parts;
	uint32_t slots;
	uint32_t lists;
	uint32_t frame;
};

static bool has_data(uint8_t op)
{
	return op == BLKIF_OP_READ || op == BLKIF_OP_WRITE || op == BLKIF_OP_WRITE_BARRIER;
}

/* Whole sectors of the disk, and all of them there. */
static int check_range(const struct blkfront_disk *d, const struct blkfront_request *req)
{
	uint64_t all = load_relaxed(&d->nr_sectors);
	uint32_t unit = d->sector_bytes / BLKIF_SECTOR_BYTES;

	if (!req->nr_sectors || req->sector > all || req->nr_sectors > all - req->sector)
		return -EINVAL;
	return (req->sector | req->nr_sectors) & (unit - 1) ? -EINVAL : 0;
}

static int check_request(const struct blkfront_ring *r, const struct blkfront_request *req)
{
	const struct blkfront_disk *d = r->disk;

	if (r->broken)
		return -ENODEV;
	if (!r->is_connected)
		return r->keeps ? -EAGAIN : -ENODEV;
	if (has_data(req->op) && req->nr_sectors > BLKFRONT_MAX_SEGMENTS * BLKIF_SECTORS_PER_PAGE)
		return -EINVAL;
	switch (req->op) {
	case BLKIF_OP_READ:
		return check_range(d, req);
	case BLKIF_OP_WRITE:
		return d->is_read_only ? -EROFS : check_range(d, req);
	case BLKIF_OP_WRITE_BARRIER:
		if (!d->can_barrier)
			return -EOPNOTSUPP;
		return d->is_read_only ? -EROFS : req->nr_sectors ? check_range(d, req) : 0;
	case BLKIF_OP_FLUSH_DISKCACHE:
		return !d->can_flush ? -EOPNOTSUPP : req->nr_sectors ? -EINVAL : 0;
	case BLKIF_OP_DISCARD:
		if (!d->can_discard || (req->is_secure && !d->can_secure_discard))
			return -EOPNOTSUPP;
		return d->is_read_only ? -EROFS : check_range(d, req);
	}
	return -EINVAL;
}

/* ---- plan ---------------------------------------------------------------------------------------------------------------- */

static uint32_t request_bytes(const struct blkfront_request *req)
{
	return has_data(req->op) ? req->nr_sectors * BLKIF_SECTOR_BYTES : 0;
}

/*
 * How much of what is left goes into the next part. A part's end is the end of a page, unless that would cut a sector of the
 * disk in two: then it is earlier.
 */
static uint32_t part_bytes(const struct blkfront_ring *r, uint32_t offset, uint32_t left, uint32_t max_segments)
{
	uint32_t most = max_segments * PAGE_BYTES - offset;

	return left <= most ? left : most & ~(r->disk->sector_bytes - 1);
}

static uint32_t lists_of(uint32_t segments)
{
	return segments <= BLKFRONT_SEGMENTS ? 0 : (segments + BLKFRONT_LIST_SEGMENTS - 1) / BLKFRONT_LIST_SEGMENTS;
}

static void count_parts(const struct blkfront_ring *r, struct plan *p, uint32_t offset, uint32_t left)
{
	p->lists = 0;
	if (offset + left <= BLKFRONT_SEGMENTS * PAGE_BYTES) { /* nearly always */
		p->parts = 1;
		p->slots = (uint32_t)bytes_to_pages(offset + left);
		return;
	}
	p->parts = p->slots = 0;
	do {
		uint32_t bytes = part_bytes(r, offset, left, p->max_segments);
		uint32_t segments = (uint32_t)bytes_to_pages(offset + bytes);

		p->parts++;
		p->slots += segments;
		p->lists += lists_of(segments);
		offset = (offset + bytes) % PAGE_BYTES;
		left -= bytes;
	} while (left);
}

/* Own pages are granted where that is possible and allowed; all else is copied through the pool. */
static int choose_placement(struct blkfront_ring *r, const struct blkfront_request *req, uint32_t bytes, struct plan *p)
{
	uint32_t offset = (uint32_t)((uintptr_t)req->data % PAGE_BYTES);
	const uint8_t *first = (const uint8_t *)req->data - offset;
	uint32_t pages = (uint32_t)bytes_to_pages(offset + bytes);

	p->is_pooled = false;
	if (!bytes)
		return 0;
	if (!r->is_pool_only) {
		p->frame = r->frame_of(r->frame_arg, first);
		if (p->frame != UINT32_MAX && pages > 1 &&
		    r->frame_of(r->frame_arg, first + pages_to_bytes(pages - 1)) != p->frame + pages - 1)
			p->frame = UINT32_MAX;
		if (p->frame != UINT32_MAX && offset % BLKIF_SECTOR_BYTES == 0)
			return bytes <= r->max_bytes ? 0 : -EINVAL;
		if (!r->pool.nr)
			return p->frame == UINT32_MAX ? -EFAULT : -EINVAL;
	}
	p->is_pooled = true;
	return bytes_to_pages(bytes) <= r->pool.nr ? 0 : -EINVAL;
}

static int make_plan(struct blkfront_ring *r, const struct blkfront_request *req, struct plan *p)
{
	uint32_t bytes = request_bytes(req), offset;
	int rc = choose_placement(r, req, bytes, p);

	if (rc < 0)
		return rc;
	offset = p->is_pooled ? 0 : (uint32_t)((uintptr_t)req->data % PAGE_BYTES);
	/* A barrier with a list is no request that back ends know. */
	p->max_segments = req->op == BLKIF_OP_WRITE_BARRIER ? BLKFRONT_SEGMENTS : r->max_segments;
	count_parts(r, p, offset, bytes);
	if (p->lists > r->lists.nr_free) {
		p->max_segments = BLKFRONT_SEGMENTS;
		count_parts(r, p, offset, bytes);
	}
	if (p->parts > r->nr_free || p->parts > blkif_ring_front_free(&r->ring.native) ||
	    (bytes && p->slots > (p->is_pooled ? r->pool.nr_free : r->grants.nr_free)))
		return -EAGAIN;
	return 0;
}

/* ---- place ----------------------------------------------------------------------------------------------------------------- */

/* With zeros for padding. */
static uint64_t segment_word(grant_ref_t ref, uint32_t offset, uint32_t bytes)
{
	const uint64_t first = offset / BLKIF_SECTOR_BYTES, last = (offset + bytes) / BLKIF_SECTOR_BYTES - 1;

	return ref | first << 32 | last << 40;
}

/* In one store. */
static void put_segment(struct blkif_request_segment *seg_sh, grant_ref_t ref, uint32_t offset, uint32_t bytes)
{
	const uint64_t whole = segment_word(ref, offset, bytes);

	memcpy(seg_sh, &whole, sizeof(whole));
}

/* Grants the next nr pages of the caller's. */
static void place_grants(struct blkfront_ring *r, struct blkfront_part *p, struct cursor *c, uint32_t part_left,
			 struct blkif_request_segment seg_sh[], uint32_t nr)
{
	bool readonly = p->op != BLKIF_OP_READ;

	for (uint32_t i = 0; i < nr; i++) {
		uint32_t offset = (uint32_t)((uintptr_t)c->data % PAGE_BYTES);
		uint32_t bytes = PAGE_BYTES - offset < part_left ? PAGE_BYTES - offset : part_left;
		uint32_t slot = blkfront_slots_take(&r->grants);

		p->last = slot;
		grant_table_permit(r->gt, r->grants.ref[slot], r->peer, c->frame, readonly);
		put_segment(&seg_sh[i], r->grants.ref[slot], offset, bytes);
		c->frame += offset + bytes == PAGE_BYTES;
		c->data += bytes;
		part_left -= bytes;
	}
}

/* Takes the next nr pages of the pool; a write's data goes there now. */
static void place_pool(struct blkfront_ring *r, struct blkfront_part *p, struct cursor *c, uint32_t part_left,
		       struct blkif_request_segment seg_sh[], uint32_t nr)
{
	for (uint32_t i = 0; i < nr; i++) {
		uint32_t bytes = part_left < PAGE_BYTES ? part_left : PAGE_BYTES;
		uint32_t slot = blkfront_slots_take(&r->pool);

		p->last = slot;
		if (p->op != BLKIF_OP_READ)
			memcpy(blkfront_slots_page(&r->pool, slot), c->data, bytes);
		put_segment(&seg_sh[i], r->pool.ref[slot], 0, bytes);
		c->data += bytes;
		part_left -= bytes;
	}
}

static void place_segments(struct blkfront_ring *r, struct blkfront_part *p, struct cursor *c, uint32_t part_left,
			   struct blkif_request_segment seg_sh[], uint32_t nr)
{
	if (p->is_pooled)
		place_pool(r, p, c, part_left, seg_sh, nr);
	else
		place_grants(r, p, c, part_left, seg_sh, nr);
}

/* Only as many bytes as the kind of request has; the rest of the slot stays what it was. */
static void put_bytes(struct blkfront_ring *r, const void *wire, size_t bytes)
{
	blkif_any_front_put(&r->ring, wire, bytes);
	r->count->parts++;
}

static void put_direct(struct blkfront_ring *r, uint16_t id, struct blkfront_part *p, struct cursor *c)
{
	struct blkif_request wire;

	memset(&wire, 0, offsetof(struct blkif_request, seg));
	wire.operation = p->op;
	wire.nr_segments = (uint8_t)p->nr_slots;
	wire.handle = r->vdev;
	wire.id = id;
	wire.sector_number = c->sector;
	place_segments(r, p, c, p->nr_bytes, wire.seg, p->nr_slots);
	put_bytes(r, &wire, offsetof(struct blkif_request, seg) + p->nr_slots * sizeof(wire.seg[0]));
}

static void put_indirect(struct blkfront_ring *r, uint16_t id, struct blkfront_part *p, struct cursor *c)
{
	struct blkif_request_indirect wire = {.operation = BLKIF_OP_INDIRECT, .indirect_op = p->op, .nr_segments = p->nr_slots,
					      .id = id, .sector_number = c->sector, .handle = r->vdev};
	uint32_t nr_left = p->nr_slots;
	const uint8_t *end = c->data + p->nr_bytes;

	p->list = r->lists.top;
	p->nr_lists = (uint8_t)lists_of(p->nr_slots);
	for (unsigned i = 0; i < p->nr_lists; i++) {
		uint32_t slot = blkfront_slots_take(&r->lists);
		uint32_t nr = nr_left < BLKFRONT_LIST_SEGMENTS ? nr_left : (uint32_t)BLKFRONT_LIST_SEGMENTS;

		wire.indirect_grefs[i] = r->lists.ref[slot];
		place_segments(r, p, c, (uint32_t)(end - c->data), (void *)blkfront_slots_page(&r->lists, slot), nr);
		nr_left -= nr;
	}
	put_bytes(r, &wire, sizeof(wire));
	r->count->indirect++;
}

static uint16_t new_part(struct blkfront_ring *r, struct blkfront_request *req)
{
	uint16_t id = r->free[--r->nr_free];
	struct blkfront_part *p = &r->part[id];

	p->req = req;
	p->op = req->op;
	p->state = BLKFRONT_PART_ASKED;
	p->nr_slots = 0;
	p->nr_lists = 0;
	p->nr_bytes = 0;
	p->is_pooled = false;
	req->parts_left++;
	return id;
}

static void put_data(struct blkfront_ring *r, struct blkfront_request *req, const struct plan *plan)
{
	struct cursor c = {.data = req->data, .sector = req->sector, .frame = plan->frame,
			   .left = req->nr_sectors * BLKIF_SECTOR_BYTES};

	do {
		uint16_t id = new_part(r, req);
		struct blkfront_part *p = &r->part[id];
		uint32_t offset = plan->is_pooled ? 0 : (uint32_t)((uintptr_t)c.data % PAGE_BYTES);

		p->is_pooled = plan->is_pooled;
		p->data = c.data;
		p->nr_bytes = part_bytes(r, offset, c.left, plan->max_segments);
		p->nr_slots = (uint16_t)bytes_to_pages(offset + p->nr_bytes);
		p->first = (p->is_pooled ? &r->pool : &r->grants)->top;
		if (p->nr_slots <= BLKFRONT_SEGMENTS)
			put_direct(r, id, p, &c);
		else
			put_indirect(r, id, p, &c);
		c.sector += p->nr_bytes / BLKIF_SECTOR_BYTES;
		c.left -= p->nr_bytes;
	} while (c.left);
}

static void put_discard(struct blkfront_ring *r, struct blkfront_request *req)
{
	struct blkif_request_discard wire = {.operation = BLKIF_OP_DISCARD, .flag = req->is_secure ? BLKIF_DISCARD_SECURE : 0,
					     .handle = r->vdev, .sector_number = req->sector, .nr_sectors = req->nr_sectors};

	wire.id = new_part(r, req);
	put_bytes(r, &wire, sizeof(wire));
}

/* A flush, or a barrier without data. */
static void put_order(struct blkfront_ring *r, struct blkfront_request *req)
{
	struct blkif_request wire = {.operation = req->op, .handle = r->vdev, .sector_number = req->sector};

	wire.id = new_part(r, req);
	put_bytes(r, &wire, offsetof(struct blkif_request, seg));
}

/* ---- the short way --------------------------------------------------------------------------------------------------------- */

/* Does it lie in one page that can be granted now? Nearly every request of 4 KiB does. */
static bool is_one_page(struct blkfront_ring *r, const struct blkfront_request *req, uint32_t *frame)
{
	uint32_t offset = (uint32_t)((uintptr_t)req->data % PAGE_BYTES);

	if ((req->op != BLKIF_OP_READ && req->op != BLKIF_OP_WRITE) || r->is_pool_only || offset % BLKIF_SECTOR_BYTES ||
	    offset + req->nr_sectors * BLKIF_SECTOR_BYTES > PAGE_BYTES)
		return false;
	if (!r->nr_free || !blkif_ring_front_free(&r->ring.native) || !r->grants.nr_free)
		return false;
	*frame = r->frame_of(r->frame_arg, (const uint8_t *)req->data - offset);
	return *frame != UINT32_MAX;
}

/* What put_data would put, in whole words: copied from fields, they would wait until those have left the processor. */
static void put_page(struct blkfront_ring *r, struct blkfront_request *req, uint32_t frame)
{
	uint32_t offset = (uint32_t)((uintptr_t)req->data % PAGE_BYTES), slot = blkfront_slots_take(&r->grants);
	uint16_t id = new_part(r, req);
	struct blkfront_part *p = &r->part[id];
	uint64_t wire[4];

	p->data = req->data;
	p->nr_bytes = req->nr_sectors * BLKIF_SECTOR_BYTES;
	p->nr_slots = 1;
	p->first = p->last = slot;
	grant_table_permit(r->gt, r->grants.ref[slot], r->peer, frame, req->op != BLKIF_OP_READ);
	wire[0] = req->op | (uint64_t)p->nr_slots << 8 | (uint64_t)r->vdev << 16;
	wire[1] = id;
	wire[2] = req->sector;
	wire[3] = segment_word(r->grants.ref[slot], offset, p->nr_bytes);
	blkif_any_front_put(&r->ring, wire, sizeof(wire));
	r->count->parts++;
}

_Static_assert(offsetof(struct blkif_request, nr_segments) == 1 && offsetof(struct blkif_request, handle) == 2 &&
		       offsetof(struct blkif_request, seg) == 3 * sizeof(uint64_t),
	       "put_page's words");

static void count_request(struct blkfront_ring *r, const struct blkfront_request *req, const struct plan *plan)
{
	struct blkfront_counters *c = r->count;
	uint64_t bytes = (uint64_t)req->nr_sectors * BLKIF_SECTOR_BYTES;
	uint64_t outstanding = r->ring.native.req_prod - r->ring.native.rsp_cons;

	if (req->op == BLKIF_OP_READ) {
		c->reads++;
		c->read_bytes += bytes;
	} else if (req->op == BLKIF_OP_FLUSH_DISKCACHE) {
		c->flushes++;
	} else if (req->op == BLKIF_OP_DISCARD) {
		c->discards++;
		c->discard_bytes += bytes;
	} else {
		c->writes++;
		c->barriers += req->op == BLKIF_OP_WRITE_BARRIER;
		c->write_bytes += bytes;
	}
	c->split += plan->parts > 1;
	if (plan->is_pooled)
		c->copied_bytes += bytes;
	if (outstanding > c->peak_parts)
		c->peak_parts = outstanding;
}

static int put_request(struct blkfront_ring *r, struct blkfront_request *req)
{
	struct plan plan = {0};
	int rc = check_request(r, req);
	bool is_short = !rc && is_one_page(r, req, &plan.frame);

	if (!rc && !is_short)
		rc = make_plan(r, req, &plan);
	if (rc < 0)
		return rc;
	req->status = 0;
	req->parts_left = 0;
	req->is_busy = true;
	req->next = NULL;
	if (is_short)
		put_page(r, req, plan.frame);
	else if (req->op == BLKIF_OP_DISCARD)
		put_discard(r, req);
	else if (!req->nr_sectors)
		put_order(r, req);
	else
		put_data(r, req, &plan);
	count_request(r, req, &plan);
	return 0;
}

int blkfront_ring_submit(struct blkfront_ring *r, struct blkfront_request *req)
{
	/* What was kept goes first. */
	int rc = r->again && r->is_connected ? -EAGAIN : put_request(r, req);

	if (rc == -EAGAIN)
		r->count->ring_full++;
	if (rc)
		return rc;
	req->order = r->order++;
	req->started = req->order % PROBE_BURSTS == 0 && r->tick_length ? clock_ticks() : 0;
	return 0;
}

void blkfront_ring_ask_again(struct blkfront_ring *r)
{
	while (r->again) {
		struct blkfront_request *req = r->again, *next = req->next;
		int rc = put_request(r, req);

		if (rc == -EAGAIN)
			return;
		r->again = next;
		r->count->resubmitted++;
		if (!rc)
			continue;
		req->status = rc; /* the disk is another one now */
		blkfront_ring_complete(r, req);
	}
}
