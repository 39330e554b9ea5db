/*
 * blkback/pages.c - where the data of a request lies while the engine works on it.   [hot]
 *
 * Trusts   no grant ref: every map and copy has its own status.
 * Runs in  the queue's thread. No lock, no allocation; the system calls are the hypervisor's.
 */
#include "blkback/pages.h"

static inline size_t segment_bytes(const struct blkif_request_segment *seg)
{
	return (size_t)(seg->last_sect - seg->first_sect + 1u) * BLKIF_SECTOR_BYTES;
}

/* ---- copies ---- */

/* Runs what was planned, and tells each lot whose done came whether its copies went well. */
static void copy_run(struct pages *pg)
{
	unsigned failed = pg->nr_copy ? hv_peer_copy(pg->peer, pg->copy, pg->nr_copy) : 0;

	for (unsigned i = 0; failed && i < pg->nr_copying; i++) {
		struct pages_lot *lot = pg->copying[i];

		for (unsigned s = 0; s < lot->nr_segments; s++)
			lot->is_bad |= pg->copy[lot->op_at + s].status != GNTST_okay;
	}
	pg->nr_copying = 0;
	pg->nr_copy = 0;
}

/* One operation for each segment, which lie in the buffer one after the other. */
static void copy_plan(struct pages *pg, struct pages_lot *lot, bool to_peer)
{
	char *at = lot->buffer;

	lot->op_at = pg->nr_copy;
	for (unsigned i = 0; i < lot->nr_segments; i++) {
		const struct blkif_request_segment *seg = &lot->segment[i];
		size_t bytes = segment_bytes(seg);

		pg->copy[pg->nr_copy++] = (struct grant_copy_op){
			.local = at,
			.ref = seg->gref,
			.offset = (uint16_t)(seg->first_sect * BLKIF_SECTOR_BYTES),
			.len = (uint16_t)bytes,
			.to_peer = to_peer,
		};
		at += bytes;
	}
	lot->bytes = (uint32_t)(at - lot->buffer);
}

static bool copy_ready(struct pages *pg, struct pages_lot *lot)
{
	for (unsigned i = 0; i < lot->nr_segments && !lot->is_read; i++)
		lot->is_bad |= pg->copy[lot->op_at + i].status != GNTST_okay;
	lot->iov[0] = (struct iovec){lot->buffer, lot->bytes};
	lot->nr_iov = 1;
	return !lot->is_bad;
}

/* At once, for a lot that cannot be mapped; what is read is copied when it is there, as in mode PAGES_COPY. */
static bool copy_instead(struct pages *pg, struct pages_lot *lot)
{
	if (pg->nr_copy + lot->nr_segments > pg->max_batch)
		copy_run(pg);
	lot->is_copied = true;
	lot->is_bad = false;
	copy_plan(pg, lot, false);
	if (!lot->is_read)
		hv_peer_copy(pg->peer, &pg->copy[lot->op_at], lot->nr_segments);
	pg->nr_copy = lot->op_at;
	return copy_ready(pg, lot);
}

/* ---- maps ---- */

static void unmap_run(struct pages *pg)
{
	if (pg->nr_unmap)
		hv_peer_unmap(pg->peer, pg->unmap, pg->nr_unmap);
	pg->nr_unmap = 0;
}

static void unmap_later(struct pages *pg, grant_handle_t handle)
{
	if (pg->nr_unmap == pg->max_batch)
		unmap_run(pg);
	pg->unmap[pg->nr_unmap++] = handle;
}

static void map_plan(struct pages *pg, struct pages_lot *lot)
{
	struct hv_map_op *op = &pg->map[pg->nr_map];

	lot->op_at = pg->nr_map;
	pg->nr_map += lot->nr_segments;
	for (unsigned i = 0; i < lot->nr_segments; i++)
		op[i] = (struct hv_map_op){.ref = lot->segment[i].gref, .readonly = !lot->is_read};
}

/* Only what is not mapped yet; writable, because kept pages serve reads as well as writes. */
static void persistent_plan(struct pages *pg, struct pages_lot *lot)
{
	lot->op_at = pg->nr_map;
	for (unsigned i = 0; i < lot->nr_segments; i++) {
		struct page_hold *hold = &lot->hold[i];

		hold->kept = persistent_get(&pg->persistent, lot->segment[i].gref);
		hold->is_held = hold->kept != PERSISTENT_NONE;
		if (!hold->is_held)
			pg->map[pg->nr_map++] = (struct hv_map_op){.ref = lot->segment[i].gref};
	}
}

/* A fresh mapping is kept, if there is room. */
static void persistent_keep(struct pages *pg, struct page_hold *hold, const struct hv_map_op *op)
{
	grant_handle_t evicted;
	bool has_evicted;

	hold->is_held = true;
	hold->handle = op->handle;
	hold->kept = persistent_add(&pg->persistent, op->ref, op->handle, op->page, &has_evicted, &evicted);
	if (has_evicted)
		unmap_later(pg, evicted);
}

/* Adds bytes at p; pages that follow each other in memory become one piece. */
static inline void add_piece(struct pages_lot *lot, char *p, size_t bytes)
{
	struct iovec *last = lot->nr_iov ? &lot->iov[lot->nr_iov - 1] : NULL;

	if (last && (char *)last->iov_base + last->iov_len == p)
		last->iov_len += bytes;
	else
		lot->iov[lot->nr_iov++] = (struct iovec){p, bytes};
}

static bool map_ready(struct pages *pg, struct pages_lot *lot)
{
	const struct hv_map_op *op = &pg->map[lot->op_at];

	lot->nr_iov = 0;
	for (unsigned i = 0; i < lot->nr_segments; i++) {
		const struct blkif_request_segment *seg = &lot->segment[i];

		if (op[i].status != GNTST_okay) {
			lot->is_bad = true;
			continue;
		}
		lot->hold[i].handle = op[i].handle;
		add_piece(lot, (char *)op[i].page + seg->first_sect * BLKIF_SECTOR_BYTES, segment_bytes(seg));
	}
	for (unsigned i = 0; lot->is_bad && i < lot->nr_segments; i++)
		if (op[i].status == GNTST_okay)
			unmap_later(pg, op[i].handle);
	return !lot->is_bad;
}

static void map_done(struct pages *pg, const struct pages_lot *lot)
{
	if (pg->nr_unmap + lot->nr_segments > pg->max_batch)
		unmap_run(pg);
	for (unsigned i = 0; i < lot->nr_segments; i++)
		pg->unmap[pg->nr_unmap++] = lot->hold[i].handle;
}

static void persistent_done(struct pages *pg, struct pages_lot *lot)
{
	for (unsigned i = 0; i < lot->nr_segments; i++)
		if (!lot->hold[i].is_held)
			continue;
		else if (lot->hold[i].kept != PERSISTENT_NONE)
			persistent_put(&pg->persistent, lot->hold[i].kept, pg->now_ns);
		else
			unmap_later(pg, lot->hold[i].handle);
}

static bool persistent_ready(struct pages *pg, struct pages_lot *lot)
{
	const struct hv_map_op *op = &pg->map[lot->op_at];
	bool is_crowded = true; /* what cannot be had lacks nothing but room */

	lot->nr_iov = 0;
	for (unsigned i = 0; i < lot->nr_segments; i++) {
		const struct blkif_request_segment *seg = &lot->segment[i];
		struct page_hold *hold = &lot->hold[i];
		char *page;

		if (hold->is_held) {
			page = persistent_page(&pg->persistent, hold->kept);
		} else if (op->status == GNTST_okay) {
			page = op->page;
			persistent_keep(pg, hold, op++);
		} else {
			is_crowded = is_crowded && op->status == GNTST_no_space;
			lot->is_bad = true;
			op++;
			continue;
		}
		add_piece(lot, page + seg->first_sect * BLKIF_SECTOR_BYTES, segment_bytes(seg));
	}
	if (!lot->is_bad)
		return true;
	persistent_done(pg, lot);
	return is_crowded && copy_instead(pg, lot);
}

/* ---- the four steps ---- */

void pages_plan(struct pages *pg, struct pages_lot *lot, bool is_read)
{
	lot->is_read = is_read;
	lot->is_bad = false;
	lot->is_copied = pg->mode == PAGES_COPY;
	if (pg->mode == PAGES_MAP) {
		map_plan(pg, lot);
	} else if (pg->mode == PAGES_PERSISTENT) {
		persistent_plan(pg, lot);
	} else {
		copy_plan(pg, lot, false);
		if (is_read)
			pg->nr_copy = lot->op_at; /* only the sum was wanted; the copy comes when there is something to copy */
	}
}

/* What is kept and not used since before. */
static void drop_kept(struct pages *pg, uint64_t before)
{
	unmap_run(pg);
	do {
		pg->nr_unmap = persistent_drop_unused(&pg->persistent, before, pg->unmap, pg->max_batch);
		unmap_run(pg);
	} while (pg->persistent.oldest != PERSISTENT_NONE && pg->persistent.pages[pg->persistent.oldest].unused_since_ns < before);
}

/*
 * Domain-0's quota of maps may be smaller than what we would like to keep: then all that is not in use goes, for a second try. What has
 * no room then is copied (copy_instead).
 */
static void map_run(struct pages *pg)
{
	bool has_room = false;

	if (!hv_peer_map(pg->peer, pg->map, pg->nr_map))
		return;
	for (unsigned i = 0; i < pg->nr_map; i++) {
		if (pg->map[i].status != GNTST_no_space)
			continue;
		if (!has_room)
			drop_kept(pg, UINT64_MAX);
		has_room = true;
		hv_peer_map(pg->peer, &pg->map[i], 1);
		if (pg->map[i].status == GNTST_no_space)
			break;
	}
}

void pages_fetch(struct pages *pg)
{
	if (pg->nr_map)
		map_run(pg);
	if (pg->nr_copy)
		hv_peer_copy(pg->peer, pg->copy, pg->nr_copy);
	pg->nr_map = pg->nr_copy = 0;
}

bool pages_ready(struct pages *pg, struct pages_lot *lot)
{
	if (pg->mode == PAGES_MAP)
		return map_ready(pg, lot);
	return pg->mode == PAGES_COPY ? copy_ready(pg, lot) : persistent_ready(pg, lot);
}

void pages_done(struct pages *pg, struct pages_lot *lot, bool is_good)
{
	if (pg->mode == PAGES_MAP) {
		map_done(pg, lot);
		return;
	}
	if (!lot->is_copied) {
		persistent_done(pg, lot);
		return;
	}
	if (!lot->is_read || !is_good)
		return;
	if (pg->nr_copy + lot->nr_segments > pg->max_batch)
		copy_run(pg);
	copy_plan(pg, lot, true);
	pg->copying[pg->nr_copying++] = lot;
}

void pages_settle(struct pages *pg)
{
	copy_run(pg);
	unmap_run(pg);
}

unsigned pages_drop_unused(struct pages *pg)
{
	drop_kept(pg, pg->now_ns > pg->unused_ns ? pg->now_ns - pg->unused_ns : 0);
	return pg->persistent.nr;
}
