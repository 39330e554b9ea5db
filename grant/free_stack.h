/*
 * grant/free_stack.h - a lock-free stack of free numbers 0 .. limit-1.   [hot]
 *
 *      head = tag << 32 | number + 1        next[number] = number below it + 1, 0: none
 *
 * Numbers that were never used are not in the stack: they come from fresh, which only grows, so that creating a large
 * one touches no memory. The tag changes with every pop and push: a head that was popped and pushed again meanwhile is seen.
 *
 * Owns     nothing: next[limit] is the caller's storage.
 * Runs in  any thread.
 */
#ifndef SLUICE_GRANT_FREE_STACK_H
#define SLUICE_GRANT_FREE_STACK_H

#include "rings/atomics.h"
#include "rings/types.h"

#define FREE_STACK_NONE UINT32_MAX

struct free_stack {
	uint64_t head;
	uint32_t fresh; /* numbers from here up were never handed out */
	uint32_t limit;
	uint32_t *next;
};

static inline void free_stack_init(struct free_stack *s, uint32_t *next, uint32_t first, uint32_t limit)
{
	*s = (struct free_stack){.fresh = first, .limit = limit, .next = next};
}

static inline uint64_t free_stack_head(uint64_t old, uint32_t top)
{
	return ((old >> 32) + 1) << 32 | top;
}

static inline unsigned free_stack_pop_fresh(struct free_stack *s, uint32_t n[], unsigned nr)
{
	uint32_t first = load_relaxed(&s->fresh), left;

	while ((left = s->limit - first) > 0 && nr) {
		nr = nr < left ? nr : left;
		if (!cas_acq_rel(&s->fresh, &first, first + nr)) /* orders nothing: the number carries no data */
			continue;
		for (unsigned i = 0; i < nr; i++)
			n[i] = first + i;
		return nr;
	}
	return 0;
}

/* Up to nr free numbers by one swap, or two; how many. */
static inline unsigned free_stack_pop_many(struct free_stack *s, uint32_t n[], unsigned nr)
{
	uint64_t head = load_acquire(&s->head); /* pairs with free_stack_push_many's swap: next[] before head */

	while ((uint32_t)head) {
		uint32_t top = (uint32_t)head;
		unsigned got;

		/* Others may take the stack apart meanwhile: then these are any numbers, and the swap fails. */
		for (got = 0; got < nr && top; got++) {
			n[got] = top - 1;
			top = load_relaxed(&s->next[top - 1]);
		}
		if (cas_acq_rel(&s->head, &head, free_stack_head(head, top))) /* pairs with push: its user is done */
			return got < nr ? got + free_stack_pop_fresh(s, n + got, nr - got) : got;
	}
	return free_stack_pop_fresh(s, n, nr);
}

/* A free number, or FREE_STACK_NONE. */
static inline uint32_t free_stack_pop(struct free_stack *s)
{
	uint32_t n;

	return free_stack_pop_many(s, &n, 1) ? n : FREE_STACK_NONE;
}

/* Gives back numbers that pop gave, by one swap. */
static inline void free_stack_push_many(struct free_stack *s, const uint32_t n[], unsigned nr)
{
	uint64_t head = load_relaxed(&s->head);

	if (!nr)
		return;
	for (unsigned i = 0; i + 1 < nr; i++)
		store_relaxed(&s->next[n[i]], n[i + 1] + 1);
	do
		store_relaxed(&s->next[n[nr - 1]], (uint32_t)head);
	while (!cas_acq_rel(&s->head, &head, free_stack_head(head, n[0] + 1))); /* pairs with free_stack_pop_many */
}

static inline void free_stack_push(struct free_stack *s, uint32_t n)
{
	free_stack_push_many(s, &n, 1);
}

#endif
