/*
 * test/lib/blk_pair.h - a blkfront's ring with a back end's half on the other side, and real grants between them.
 *
 * RAM is FRAMES pages, frame 0 at ram; the back end pins through grant/, as one does under the local platform.
 */
#ifndef SLUICE_TEST_BLK_PAIR_H
#define SLUICE_TEST_BLK_PAIR_H

#include <stdlib.h>

#include "frontends/blkfront_ring.h"
#include "grant/grant_map.h"

#define BLK_PAIR_FRAMES 1024u
#define BLK_PAIR_ENTRIES 8192u
#define BLK_PAIR_SECTORS 4096u

struct blk_pair {
	struct blkfront_ring front;
	struct blkif_ring_back back;
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

static inline void blk_pair_init(struct blk_pair *p, unsigned order)
{
	struct blkfront_ring *r = &p->front;
	uint32_t parts;

	memset(p, 0, sizeof(*p));
	p->area_bytes = pages_to_bytes(1u << order);
	parts = blkif_ring_slots(p->area_bytes);
	p->ram = blk_pair_pages(pages_to_bytes(BLK_PAIR_FRAMES));
	p->area = blk_pair_pages(p->area_bytes);
	p->disk = blk_pair_pages(BLK_PAIR_SECTORS * BLKIF_SECTOR_BYTES);
	p->gate = (struct gate){.nr_extents = 1, .extent = {{p->ram, 0, BLK_PAIR_FRAMES}}};
	p->entries_sh = blk_pair_pages(BLK_PAIR_ENTRIES * sizeof(*p->entries_sh));
	p->active = blk_pair_pages(BLK_PAIR_ENTRIES * sizeof(*p->active));
	p->refs = calloc(parts * BLKFRONT_SEGMENTS, sizeof(*p->refs));
	r->part = calloc(parts, sizeof(*r->part));
	r->free = calloc(parts, sizeof(*r->free));
	r->held = calloc(parts, sizeof(*r->held));
	if (!p->refs || !r->part || !r->free || !r->held || grant_table_create(p->entries_sh, BLK_PAIR_ENTRIES, 8, &p->table) ||
	    grant_cache_init(&r->grants, p->table, p->refs, parts * BLKFRONT_SEGMENTS))
		abort();
	p->peer = (struct grant_peer){.entries_sh = p->entries_sh, .active = p->active, .nr_entries = BLK_PAIR_ENTRIES,
				      .slot = 1, .mapper = 0, .memory = &p->gate};
	r->nr_parts = (uint16_t)parts;
	r->frame_of = blk_pair_frame_of;
	r->frame_arg = p;
	r->disk = (struct blkfront_disk){.nr_sectors = BLK_PAIR_SECTORS, .sector_bytes = 512, .can_flush = true};
	blkfront_ring_prepare(r, p->area, p->area_bytes, 0);
	blkfront_ring_start(r);
	blkif_ring_back_init(&p->back, p->area, p->area_bytes);
}

static inline void blk_pair_finish(struct blk_pair *p)
{
	grant_cache_finish(&p->front.grants);
	grant_table_destroy(p->table);
	free(p->front.part);
	free(p->front.free);
	free(p->front.held);
	free(p->refs);
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
	struct blkif_response rsp = {.id = id, .operation = op, .status = status};

	blkif_ring_back_put(&p->back, &rsp);
}

/* Serves one request against the disk, honestly; the pages are pinned while it is copied. */
static inline int16_t blk_pair_serve(struct blk_pair *p, const struct blkif_request *req)
{
	uint64_t at = req->sector_number * BLKIF_SECTOR_BYTES;
	bool is_read = req->operation == BLKIF_OP_READ;

	if (req->operation == BLKIF_OP_FLUSH_DISKCACHE)
		return BLKIF_RSP_OKAY;
	if (req->nr_segments > BLKFRONT_SEGMENTS || req->sector_number > BLK_PAIR_SECTORS)
		return BLKIF_RSP_ERROR;
	for (unsigned i = 0; i < req->nr_segments; i++) {
		const struct blkif_request_segment *s = &req->seg[i];
		uint32_t bytes = (s->last_sect - s->first_sect + 1u) * BLKIF_SECTOR_BYTES;
		uint8_t *page;

		if (s->first_sect > s->last_sect || s->last_sect >= BLKIF_SECTORS_PER_PAGE ||
		    at + bytes > BLK_PAIR_SECTORS * BLKIF_SECTOR_BYTES ||
		    grant_pin(&p->peer, s->gref, !is_read, (void **)&page) != GNTST_okay)
			return BLKIF_RSP_ERROR;
		page += s->first_sect * BLKIF_SECTOR_BYTES;
		if (is_read)
			memcpy(page, p->disk + at, bytes);
		else
			memcpy(p->disk + at, page, bytes);
		grant_unpin(&p->peer, s->gref, !is_read);
		at += bytes;
	}
	return BLKIF_RSP_OKAY;
}

/* Serves all that is pending; returns how many. Not yet pushed. */
static inline unsigned blk_pair_serve_all(struct blk_pair *p)
{
	int pending = blkif_ring_back_pending(&p->back);
	unsigned n = 0;

	while (pending-- > 0) {
		struct blkif_request req;

		blkif_ring_back_take(&p->back, &req);
		blk_pair_answer(p, req.id, req.operation, blk_pair_serve(p, &req));
		n++;
	}
	return n;
}

#endif
