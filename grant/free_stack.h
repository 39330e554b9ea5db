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

static inline uint32_t free_stack_pop_fresh(struct free_stack *s)
{
	uint32_t n = load_relaxed(&s->fresh);

	while (n < s->limit)
		if (cas_acq_rel(&s->fresh, &n, n + 1)) /* orders nothing: the number carries no data */
			return n;
	return FREE_STACK_NONE;
}

/* A free number, or FREE_STACK_NONE. */
static inline uint32_t free_stack_pop(struct free_stack *s)
{
	uint64_t head = load_acquire(&s->head); /* pairs with free_stack_push's swap: next[] before head */

	while ((uint32_t)head) {
		uint32_t below = load_relaxed(&s->next[(uint32_t)head - 1]);

		if (cas_acq_rel(&s->head, &head, free_stack_head(head, below))) /* pairs with push: its user is done */
			return (uint32_t)head - 1;
	}
	return free_stack_pop_fresh(s);
}

/* Gives back a number that pop gave. */
static inline void free_stack_push(struct free_stack *s, uint32_t n)
{
	uint64_t head = load_relaxed(&s->head);

	do
		store_relaxed(&s->next[n], (uint32_t)head);
	while (!cas_acq_rel(&s->head, &head, free_stack_head(head, n + 1))); /* pairs with free_stack_pop */
}

#endif
