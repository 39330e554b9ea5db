/*
 * grant/gate.h - the one checked gate from (frame, offset, length) to a pointer.   [hot]
 *
 * A domain's memory is a list of extents, each contiguous in the caller's address space. Frame numbers
 * index the list; extents follow each other without holes from frame 0.
 *
 * Trusts   no frame number, offset or length: any of them may come from a guest.
 */
#ifndef SLUICE_GRANT_GATE_H
#define SLUICE_GRANT_GATE_H

#include "rings/types.h"

#define GATE_MAX_EXTENTS 8

struct gate_extent {
	uint8_t *base;
	uint64_t first_frame;
	uint64_t nr_frames;
};

struct gate {
	unsigned nr_extents;
	struct gate_extent extent[GATE_MAX_EXTENTS];
};

/* The page of that frame, or NULL when the domain has no such frame. */
static inline void *gate_page(const struct gate *g, uint64_t frame)
{
	for (unsigned i = 0; i < g->nr_extents; i++) {
		const struct gate_extent *e = &g->extent[i];

		if (frame - e->first_frame < e->nr_frames)
			return e->base + ((frame - e->first_frame) << PAGE_SHIFT_BITS);
	}
	return NULL;
}

/* len bytes at a guest-physical byte address, all in one extent, or NULL. */
static inline void *gate_bytes(const struct gate *g, uint64_t gpa, uint64_t len)
{
	for (unsigned i = 0; i < g->nr_extents; i++) {
		const struct gate_extent *e = &g->extent[i];
		uint64_t at = gpa - (e->first_frame << PAGE_SHIFT_BITS);
		uint64_t size = e->nr_frames << PAGE_SHIFT_BITS;

		if (at < size)
			return len <= size - at ? e->base + at : NULL;
	}
	return NULL;
}

/* The frame that holds p, or UINT64_MAX when p is not in this memory. */
static inline uint64_t gate_frame_of(const struct gate *g, const void *p)
{
	for (unsigned i = 0; i < g->nr_extents; i++) {
		const struct gate_extent *e = &g->extent[i];
		uintptr_t at = (uintptr_t)p - (uintptr_t)e->base;

		if (at < e->nr_frames << PAGE_SHIFT_BITS)
			return e->first_frame + (at >> PAGE_SHIFT_BITS);
	}
	return UINT64_MAX;
}

#endif
