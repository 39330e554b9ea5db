/*
 * grant/grant_entry.c - a granter's refs one by one: taken, permitted, ended, given back.   [hot]
 *
 * Owns     the free refs.
 * Trusts   of the table only the peer's reading and writing bits, and these only to keep a page longer.
 * Runs in  any thread.
 * Spec     xen/grant_table.h, "Introducing a valid entry", "Invalidating an unused entry".
 */
#include <assert.h>
#include <errno.h>

#include "grant/table.h"

/* The other end's bits change a handful of times at most while a grant ends; a peer that flips them for ever is busy. */
#define END_TRIES 8

int grant_table_alloc(struct grant_table *gt, grant_ref_t *ref)
{
	uint32_t n = free_stack_pop(&gt->refs);

	if (n == FREE_STACK_NONE)
		return -ENOSPC;
	fetch_add_relaxed(&gt->nr_free, (uint32_t)-1);
	*ref = n;
	return 0;
}

void grant_table_free(struct grant_table *gt, grant_ref_t ref)
{
	assert(ref < gt->nr_entries);
	fetch_add_relaxed(&gt->nr_free, 1u); /* before the push: the count never goes below 0 */
	free_stack_push(&gt->refs, ref);
}

uint32_t grant_table_nr_free(const struct grant_table *gt)
{
	return load_relaxed(&gt->nr_free);
}

void grant_table_permit(struct grant_table *gt, grant_ref_t ref, domid_t domid, uint32_t frame, bool readonly)
{
	struct grant_entry_v1 *sh = &gt->entries_sh[ref];

	assert(ref < gt->nr_entries);
	store_relaxed(&sh->frame, frame);
	store_relaxed(&sh->domid, domid);
	store_release(&sh->flags, (uint16_t)(GTF_permit_access | (readonly ? GTF_readonly : 0))); /* pairs with grant_pin */
}

bool grant_table_in_use(const struct grant_table *gt, grant_ref_t ref)
{
	assert(ref < gt->nr_entries);
	return load_acquire(&gt->entries_sh[ref].flags) & (GTF_reading | GTF_writing); /* pairs with grant_unpin */
}

int grant_table_end(struct grant_table *gt, grant_ref_t ref)
{
	struct grant_entry_v1 *sh = &gt->entries_sh[ref];
	uint16_t flags;

	assert(ref < gt->nr_entries);
	flags = load_relaxed(&sh->flags);
	for (int i = 0; i < END_TRIES && !(flags & (GTF_reading | GTF_writing)); i++)
		if (cas_acq_rel(&sh->flags, &flags, 0)) /* pairs with grant_pin and grant_unpin: the page is ours again */
			return 0;
	return -EBUSY;
}

void grant_table_prefetch(const struct grant_table *gt, grant_ref_t ref)
{
	__builtin_prefetch(&gt->entries_sh[ref], 1);
}
