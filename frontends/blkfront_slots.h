/*
 * frontends/blkfront_slots.h - what a queue of a blkfront can show its back end: refs, or shared pages with their refs.   [hot]
 *
 *      grants     a slot is a ref; each use permits a page of the caller's own and ends the grant afterwards
 *      pool       a slot is a page that stays granted; data is copied
 *      lists      a slot is a page that stays granted for reading; an indirect request's segments stand in it
 *
 * The free ones are a stack, chained through next, and so are those of one ring request: what was used last is used next,
 * as a back end that keeps a limited number of pages mapped wants it.
 *
 * Runs in  the queue's thread.
 */
#ifndef SLUICE_FRONTENDS_BLKFRONT_SLOTS_H
#define SLUICE_FRONTENDS_BLKFRONT_SLOTS_H

#include "rings/types.h"

#define BLKFRONT_NO_SLOT UINT32_MAX

struct blkfront_slots {
	uint32_t nr;
	uint32_t nr_free;
	uint32_t top;
	uint32_t *next;
	grant_ref_t *ref;
	uint8_t *pages; /* NULL: refs only */
};

/* All of them free, the first on top. next, ref and pages stay the caller's. */
static inline void blkfront_slots_init(struct blkfront_slots *s, uint32_t nr, uint32_t *next, grant_ref_t *ref, void *pages)
{
	*s = (struct blkfront_slots){.nr = nr, .nr_free = nr, .next = next, .ref = ref, .pages = pages,
				     .top = nr ? 0 : BLKFRONT_NO_SLOT};
	for (uint32_t i = 0; i < nr; i++)
		next[i] = i + 1 < nr ? i + 1 : BLKFRONT_NO_SLOT;
}

/* There is one: nr_free was looked at. It stays chained to the one that is taken next. */
static inline uint32_t blkfront_slots_take(struct blkfront_slots *s)
{
	uint32_t slot = s->top;

	s->top = s->next[slot];
	s->nr_free--;
	return slot;
}

static inline void blkfront_slots_give(struct blkfront_slots *s, uint32_t slot)
{
	s->next[slot] = s->top;
	s->top = slot;
	s->nr_free++;
}

/* A whole chain of nr, in one step. */
static inline void blkfront_slots_give_chain(struct blkfront_slots *s, uint32_t first, uint32_t last, uint32_t nr)
{
	s->next[last] = s->top;
	s->top = first;
	s->nr_free += nr;
}

static inline uint8_t *blkfront_slots_page(const struct blkfront_slots *s, uint32_t slot)
{
	return s->pages + pages_to_bytes(slot);
}

#endif
