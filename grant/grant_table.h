/*
 * grant/grant_table.h - the granter: a domain's own grant table, version 1.   [hot: alloc, free, permit, in_use, end]
 *
 *      alloc ref --> permit(ref, who, frame, ro) --> peer maps or copies --> end --> free ref
 *                                                      (reading/writing bits set while it does)
 *
 * Owns     the free list of refs; the table's pages belong to the hypervisor.
 * Trusts   nothing in the table: refs are freed by what was allocated here, never by what is read there.
 * Runs in  any thread: the free list is lock-free (a tagged stack of ref numbers); struct grant_cache gives each queue
 *          its own refs without any atomic.
 * Spec     xen/grant_table.h, "Introducing a valid entry", "Invalidating an unused entry".
 */
#ifndef SLUICE_GRANT_GRANT_TABLE_H
#define SLUICE_GRANT_GRANT_TABLE_H

#include "rings/types.h"

#define GRANT_ENTRIES_PER_FRAME (PAGE_BYTES / sizeof(struct grant_entry_v1))
#define GRANT_NONE UINT32_MAX

struct grant_table;

/* entries_sh: the table's pages, nr_entries in all; the first nr_reserved refs are never handed out (Xen: 8). 0 or -ENOMEM. */
int grant_table_create(struct grant_entry_v1 *entries_sh, uint32_t nr_entries, uint32_t nr_reserved, struct grant_table **out);
/* The domain is over, and with it whatever still waits for a peer to let go: it is released now. */
void grant_table_destroy(struct grant_table *gt);

/* A free ref, or -ENOSPC. */
int grant_table_alloc(struct grant_table *gt, grant_ref_t *ref);
/* Returns a ref whose grant has ended. */
void grant_table_free(struct grant_table *gt, grant_ref_t ref);
uint32_t grant_table_nr_free(const struct grant_table *gt);

/* Lets domid map or copy that frame; ref must be allocated and not granted. Publishes with one release store. */
void grant_table_permit(struct grant_table *gt, grant_ref_t ref, domid_t domid, uint32_t frame, bool readonly);
/* Is the peer using it this moment (reading or writing bit)? */
bool grant_table_in_use(const struct grant_table *gt, grant_ref_t ref);
/* Revokes. 0, or -EBUSY while the peer has it mapped: then nothing changed and the page must not be reused. */
int grant_table_end(struct grant_table *gt, grant_ref_t ref);
/* It will be ended soon, and the peer has written to it: fetches it. */
void grant_table_prefetch(const struct grant_table *gt, grant_ref_t ref);

/*
 * Ends the grant and frees the ref now, or as soon as grant_table_reap finds it idle; released(arg) runs then, in the
 * thread that ended or reaped. Until then the page stays the peer's to see. 0, or -ENOMEM (nothing changed).
 */
int grant_table_end_when_idle(struct grant_table *gt, grant_ref_t ref, void (*released)(void *arg), void *arg);
/* Tries the waiting ones again, at most budget of them; returns how many still wait. */
unsigned grant_table_reap(struct grant_table *gt, unsigned budget);

/* A queue's own refs: one thread, no atomics but the grants themselves. refs[] is the caller's storage. */
struct grant_cache {
	struct grant_table *gt;
	uint32_t nr;
	uint32_t capacity;
	grant_ref_t *refs;
};

/* Takes capacity refs from the table. 0 or -ENOSPC (and then none). */
int grant_cache_init(struct grant_cache *c, struct grant_table *gt, grant_ref_t *refs, uint32_t capacity);
void grant_cache_finish(struct grant_cache *c);

static inline grant_ref_t grant_cache_get(struct grant_cache *c)
{
	return c->nr ? c->refs[--c->nr] : GRANT_NONE;
}

/* ref came from grant_cache_get of the same cache. */
static inline void grant_cache_put(struct grant_cache *c, grant_ref_t ref)
{
	c->refs[c->nr++] = ref;
}

#endif
