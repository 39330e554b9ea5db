/*
 * test/lib/blk_pair.h - a blkfront's ring with a back end's half on the other side, and real grants between them.
 *
 * RAM is FRAMES pages, frame 0 at ram; the back end pins through grant/, as one does under the local platform. The last pages
 * are the pool's and the lists', for tests that want them (blk_pair_add_pool, blk_pair_add_lists).
 */
#ifndef SLUICE_TEST_BLK_PAIR_H
#define SLUICE_TEST_BLK_PAIR_H

#include <stdlib.h>

#include "frontends/blkfront_ring.h"
#include "grant/grant_map.h"

#define BLK_PAIR_FRAMES 1024u
#define BLK_PAIR_ENTRIES 8192u
#define BLK_PAIR_SECTORS 4096u
#define BLK_PAIR_POOL_PAGES 256u
#define BLK_PAIR_LISTS 16u
#define BLK_PAIR_SHARED (BLK_PAIR_POOL_PAGES + BLK_PAIR_LISTS) /* the last frames, if there are a pool or lists */

struct blk_pair {
	struct blkfront_ring front;
	struct blkif_any_back back;
	struct blkfront_disk hard_disk; /* what the back end says of it */
	uint8_t *ram;
	uint8_t *area;
	size_t area_bytes;
	uint8_t *disk; /* what an honest back end serves: BLK_PAIR_SECTORS */
	struct gate gate;
	struct grant_entry_v1 *entries_sh;
	struct grant_active *active;
	struct grant_table *table;
	struct grant_peer peer;
	grant_ref_t *refs;
	uint32_t *next;
	grant_ref_t shared_refs[BLK_PAIR_SHARED];
	uint32_t shared_next[BLK_PAIR_SHARED];
};

static inline void *blk_pair_pages(size_t bytes)
{
	void *p = aligned_alloc(PAGE_BYTES, (bytes + PAGE_BYTES - 1) & ~(size_t)(PAGE_BYTES - 1));

	if (!p)
		abort();
	memset(p, 0, bytes);
	return p;
}

static inline uint32_t blk_pair_frame_of(void *arg, const void *page)
{
	const struct blk_pair *p = arg;
	uint64_t frame = gate_frame_of(&p->gate, page);

	return frame == UINT64_MAX ? UINT32_MAX : (uint32_t)frame;
}

/* Shares nr of RAM's last pages, from the first on, as hv_share does. */
static inline void blk_pair_share(struct blk_pair *p, struct blkfront_slots *s, unsigned first, unsigned nr, bool readonly)
{
	uint32_t frame = BLK_PAIR_FRAMES - BLK_PAIR_SHARED + first;

	for (unsigned i = 0; i < nr; i++) {
		if (p->shared_refs[first + i])
			continue; /* shared before; the back end may have it pinned */
		if (grant_table_alloc(p->table, &p->shared_refs[first + i]))
			abort();
		grant_table_permit(p->table, p->shared_refs[first + i], 0, frame + i, readonly);
	}
	blkfront_slots_init(s, nr, p->shared_next + first, p->shared_refs + first, p->ram + pages_to_bytes(frame));
}

/* Data is copied through this many pages. is_only: all of it. */
static inline void blk_pair_add_pool(struct blk_pair *p, unsigned nr, bool is_only)
{
	blk_pair_share(p, &p->front.pool, 0, nr, false);
	p->front.is_pool_only = is_only;
}

/* Requests may have so many segments. */
static inline void blk_pair_add_lists(struct blk_pair *p, unsigned max_segments)
{
	blk_pair_share(p, &p->front.lists, BLK_PAIR_POOL_PAGES, BLK_PAIR_LISTS, true);
	p->front.max_segments = max_segments;
	if (max_segments * PAGE_BYTES > p->front.max_bytes)
		p->front.max_bytes = max_segments * PAGE_BYTES;
}

static inline void blk_pair_init_as(struct blk_pair *p, unsigned order, bool is_x86_32)
{
	struct blkfront_ring *r = &p->front;
	uint32_t parts, nr;

	memset(p, 0, sizeof(*p));
	p->area_bytes = pages_to_bytes(1u << order);
	parts = blkif_ring_slots(p->area_bytes);
	p->ram = blk_pair_pages(pages_to_bytes(BLK_PAIR_FRAMES));
	p->area = blk_pair_pages(p->area_bytes);
	p->disk = blk_pair_pages(BLK_PAIR_SECTORS * BLKIF_SECTOR_BYTES);
	p->gate = (struct gate){.nr_extents = 1, .extent = {{p->ram, 0, BLK_PAIR_FRAMES}}};
	p->entries_sh = blk_pair_pages(BLK_PAIR_ENTRIES * sizeof(*p->entries_sh));
	p->active = blk_pair_pages(BLK_PAIR_ENTRIES * sizeof(*p->active));
	nr = parts * BLKFRONT_SEGMENTS;
	p->refs = calloc(nr, sizeof(*p->refs));
	p->next = calloc(nr, sizeof(*p->next));
	r->part = calloc(parts, sizeof(*r->part));
	r->free = calloc(parts, sizeof(*r->free));
	r->held = calloc(parts, sizeof(*r->held));
	if (!p->refs || !p->next || !r->part || !r->free || !r->held ||
	    grant_table_create(p->entries_sh, BLK_PAIR_ENTRIES, 8, &p->table))
		abort();
	for (uint32_t i = 0; i < nr; i++)
		if (grant_table_alloc(p->table, &p->refs[i]))
			abort();
	blkfront_slots_init(&r->grants, nr, p->next, p->refs, NULL);
	r->gt = p->table;
	blkfront_ring_init(r);
	p->peer = (struct grant_peer){.entries_sh = p->entries_sh, .active = p->active, .nr_entries = BLK_PAIR_ENTRIES,
				      .slot = 1, .mapper = 0, .memory = &p->gate};
	r->nr_parts = (uint16_t)parts;
	r->frame_of = blk_pair_frame_of;
	r->frame_arg = p;
	p->hard_disk = (struct blkfront_disk){.nr_sectors = BLK_PAIR_SECTORS, .sector_bytes = 512, .can_flush = true};
	r->disk = &p->hard_disk;
	r->ring.is_x86_32 = p->back.is_x86_32 = is_x86_32;
	blkfront_ring_prepare(r, p->area, p->area_bytes, 0);
	blkfront_ring_start(r);
	blkif_ring_back_init(&p->back.native, p->area, p->area_bytes);
}

static inline void blk_pair_init(struct blk_pair *p, unsigned order)
{
	blk_pair_init_as(p, order, false);
}

static inline void blk_pair_finish(struct blk_pair *p)
{
	grant_table_destroy(p->table);
	free(p->front.part);
	free(p->front.free);
	free(p->front.held);
	free(p->refs);
	free(p->next);
	free(p->active);
	free(p->entries_sh);
	free(p->disk);
	free(p->area);
	free(p->ram);
}

static inline uint8_t *blk_pair_buffer(struct blk_pair *p, unsigned frame)
{
	return p->ram + pages_to_bytes(frame);
}

static inline void blk_pair_answer(struct blk_pair *p, uint64_t id, uint8_t op, int16_t status)
{
	blkif_any_back_put(&p->back, id, op, status);
}

/* One segment at byte `at` of the disk, honestly; the page is pinned while it is copied. How many bytes; 0: it cannot be. */
static inline uint32_t blk_pair_serve_segment(struct blk_pair *p, bool is_read, uint64_t at, const struct blkif_request_segment *s)
{
	uint32_t bytes = (s->last_sect - s->first_sect + 1u) * BLKIF_SECTOR_BYTES;
	uint8_t *page;

	if (s->first_sect > s->last_sect || s->last_sect >= BLKIF_SECTORS_PER_PAGE ||
	    at + bytes > BLK_PAIR_SECTORS * BLKIF_SECTOR_BYTES ||
	    grant_pin(&p->peer, s->gref, !is_read, (void **)&page) != GNTST_okay)
		return 0;
	page += s->first_sect * BLKIF_SECTOR_BYTES;
	if (is_read)
		memcpy(page, p->disk + at, bytes);
	else
		memcpy(p->disk + at, page, bytes);
	grant_unpin(&p->peer, s->gref, !is_read);
	return bytes;
}

static inline int16_t blk_pair_serve_list(struct blk_pair *p, const struct blkif_request_indirect *req)
{
	uint64_t at = req->sector_number * BLKIF_SECTOR_BYTES;

	if (req->nr_segments > BLKFRONT_MAX_SEGMENTS || req->sector_number > BLK_PAIR_SECTORS ||
	    (req->indirect_op != BLKIF_OP_READ && req->indirect_op != BLKIF_OP_WRITE))
		return BLKIF_RSP_ERROR;
	for (unsigned i = 0; i < req->nr_segments; i++) {
		struct blkif_request_segment s;
		grant_ref_t ref = req->indirect_grefs[i / BLKFRONT_LIST_SEGMENTS];
		uint32_t bytes;
		void *list;

		if (grant_pin(&p->peer, ref, true, &list) != GNTST_okay)
			return BLKIF_RSP_ERROR;
		s = ((struct blkif_request_segment *)list)[i % BLKFRONT_LIST_SEGMENTS];
		grant_unpin(&p->peer, ref, true);
		bytes = blk_pair_serve_segment(p, req->indirect_op == BLKIF_OP_READ, at, &s);
		if (!bytes)
			return BLKIF_RSP_ERROR;
		at += bytes;
	}
	return BLKIF_RSP_OKAY;
}

static inline int16_t blk_pair_serve(struct blk_pair *p, const struct blkif_request *req)
{
	uint64_t at = req->sector_number * BLKIF_SECTOR_BYTES;

	if (req->operation == BLKIF_OP_FLUSH_DISKCACHE)
		return BLKIF_RSP_OKAY;
	if (req->operation == BLKIF_OP_DISCARD) {
		const struct blkif_request_discard *d = (const void *)req;

		if (d->sector_number > BLK_PAIR_SECTORS || d->nr_sectors > BLK_PAIR_SECTORS - d->sector_number)
			return BLKIF_RSP_ERROR;
		memset(p->disk + at, 0, d->nr_sectors * BLKIF_SECTOR_BYTES);
		return BLKIF_RSP_OKAY;
	}
	if (req->operation == BLKIF_OP_INDIRECT)
		return blk_pair_serve_list(p, (const void *)req);
	if (req->nr_segments > BLKFRONT_SEGMENTS || req->sector_number > BLK_PAIR_SECTORS)
		return BLKIF_RSP_ERROR;
	for (unsigned i = 0; i < req->nr_segments; i++) {
		uint32_t bytes = blk_pair_serve_segment(p, req->operation == BLKIF_OP_READ, at, &req->seg[i]);

		if (!bytes)
			return BLKIF_RSP_ERROR;
		at += bytes;
	}
	return BLKIF_RSP_OKAY;
}

/* What the answer's operation is: an indirect request's own. */
static inline uint8_t blk_pair_op(const struct blkif_request *req)
{
	return req->operation == BLKIF_OP_INDIRECT ? ((const struct blkif_request_indirect *)(const void *)req)->indirect_op
						   : req->operation;
}

/* The id stands at the same place in every kind of request. */
_Static_assert(offsetof(struct blkif_request, id) == offsetof(struct blkif_request_indirect, id), "id");
_Static_assert(offsetof(struct blkif_request, id) == offsetof(struct blkif_request_discard, id), "id");

/* Serves all that is pending; returns how many. Not yet pushed. */
static inline unsigned blk_pair_serve_all(struct blk_pair *p)
{
	int pending = blkif_ring_back_pending(&p->back.native);
	unsigned n = 0;

	while (pending-- > 0) {
		union blkif_any_request req;

		blkif_any_back_take(&p->back, &req);
		blk_pair_answer(p, req.rw.id, blk_pair_op(&req.rw), blk_pair_serve(p, &req.rw));
		n++;
	}
	return n;
}

#endif
