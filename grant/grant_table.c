/*
 * grant/grant_table.c - a domain's own grants: refs, permits, ends, and the ones that wait to end.
 *
 * Owns     the free refs; the list of grants that end when the peer lets go.
 * Trusts   of the table only the peer's reading and writing bits, and these only to keep a page longer.
 * Runs in  any thread. released() runs without the list's lock: it may end, free and wait again.
 * Spec     xen/grant_table.h.
 */
#include <assert.h>
#include <errno.h>
#include <pthread.h>
#include <stdlib.h>

#include "grant/free_stack.h"
#include "grant/grant_table.h"

/* The other end's bits change a handful of times at most while a grant ends; a peer that flips them for ever is busy. */
#define END_TRIES 8

struct grant_wait {
	struct grant_wait *next;
	grant_ref_t ref;
	void (*released)(void *arg);
	void *arg;
};

struct grant_table {
	struct grant_entry_v1 *entries_sh;
	uint32_t nr_entries;
	uint32_t nr_free;
	struct free_stack refs;
	pthread_mutex_t lock; /* over the three below */
	struct grant_wait *first;
	struct grant_wait **last;
	unsigned nr_waiting; /* in the list, or in the hands of a thread that reaps */
};

int grant_table_create(struct grant_entry_v1 *entries_sh, uint32_t nr_entries, uint32_t nr_reserved, struct grant_table **out)
{
	struct grant_table *gt = calloc(1, sizeof(*gt));
	uint32_t *next = calloc(nr_entries, sizeof(*next));

	if (!gt || !next) {
		free(gt);
		free(next);
		return -ENOMEM;
	}
	if (nr_reserved > nr_entries)
		nr_reserved = nr_entries;
	gt->entries_sh = entries_sh;
	gt->nr_entries = nr_entries;
	gt->nr_free = nr_entries - nr_reserved;
	free_stack_init(&gt->refs, next, nr_reserved, nr_entries);
	pthread_mutex_init(&gt->lock, NULL);
	gt->last = &gt->first;
	*out = gt;
	return 0;
}

void grant_table_destroy(struct grant_table *gt)
{
	struct grant_wait *w;

	if (!gt)
		return;
	while ((w = gt->first)) {
		gt->first = w->next;
		free(w);
	}
	pthread_mutex_destroy(&gt->lock);
	free(gt->refs.next);
	free(gt);
}

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

static void wait_append(struct grant_table *gt, struct grant_wait *w)
{
	w->next = NULL;
	*gt->last = w;
	gt->last = &w->next;
}

static struct grant_wait *wait_take_first(struct grant_table *gt)
{
	struct grant_wait *w = gt->first;

	if (!w)
		return NULL;
	gt->first = w->next;
	if (!gt->first)
		gt->last = &gt->first;
	return w;
}

int grant_table_end_when_idle(struct grant_table *gt, grant_ref_t ref, void (*released)(void *arg), void *arg)
{
	struct grant_wait *w;

	if (grant_table_end(gt, ref) == 0) {
		grant_table_free(gt, ref);
		if (released)
			released(arg);
		return 0;
	}
	w = malloc(sizeof(*w));
	if (!w)
		return -ENOMEM;
	*w = (struct grant_wait){.ref = ref, .released = released, .arg = arg};
	pthread_mutex_lock(&gt->lock);
	gt->nr_waiting++;
	wait_append(gt, w);
	pthread_mutex_unlock(&gt->lock);
	return 0;
}

/* Ends one that waited, if it is idle now. */
static bool wait_try_end(struct grant_table *gt, struct grant_wait *w)
{
	if (grant_table_end(gt, w->ref) < 0)
		return false;
	grant_table_free(gt, w->ref);
	if (w->released)
		w->released(w->arg);
	free(w);
	return true;
}

unsigned grant_table_reap(struct grant_table *gt, unsigned budget)
{
	struct grant_wait *w;
	unsigned nr_left;

	pthread_mutex_lock(&gt->lock);
	/* What still waits goes to the end: those at hand now are looked at once each. */
	if (budget > gt->nr_waiting)
		budget = gt->nr_waiting;
	while (budget-- && (w = wait_take_first(gt))) {
		bool has_ended;

		pthread_mutex_unlock(&gt->lock);
		has_ended = wait_try_end(gt, w);
		pthread_mutex_lock(&gt->lock);
		if (has_ended)
			gt->nr_waiting--;
		else
			wait_append(gt, w);
	}
	nr_left = gt->nr_waiting;
	pthread_mutex_unlock(&gt->lock);
	return nr_left;
}

int grant_cache_init(struct grant_cache *c, struct grant_table *gt, grant_ref_t *refs, uint32_t capacity)
{
	struct grant_cache fresh = {.gt = gt, .capacity = capacity, .refs = refs};

	while (fresh.nr < capacity) {
		int err = grant_table_alloc(gt, &refs[fresh.nr]);

		if (err) {
			grant_cache_finish(&fresh);
			return err;
		}
		fresh.nr++;
	}
	*c = fresh;
	return 0;
}

void grant_cache_finish(struct grant_cache *c)
{
	while (c->nr)
		grant_table_free(c->gt, c->refs[--c->nr]);
}
