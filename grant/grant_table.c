/*
 * grant/grant_table.c - makes and unmakes a grant table, its queues' caches, and ends grants when their peer lets go.
 *
 * Owns     the list of grants that end when the peer lets go.
 * Runs in  any thread. released() runs without the list's lock: it may end, free and wait again.
 */
#include <errno.h>
#include <stdlib.h>

#include "grant/table.h"

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
		if (w->released)
			w->released(w->arg);
		free(w);
	}
	pthread_mutex_destroy(&gt->lock);
	free(gt->refs.next);
	free(gt);
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
