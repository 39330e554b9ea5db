/*
 * netback/stage.h - a queue's staging grants: pages that the guest lets us keep mapped, found by their grant reference.   [hot]
 *
 *      control ring: ADD_GREF_MAPPING  -->  stage_add         a request's gref  -->  stage_find  -->  page: no map, no pin
 *                    DEL_GREF_MAPPING  -->  stage_remove
 *
 * Buckets in a row, a few looked at for each reference: whoever chooses references that collide is refused, not slow.
 *
 * Owns     nothing of the hypervisor: the caller maps and unmaps.
 * Runs in  the worker; changes while it stands still (workers_run).
 * Spec     xen/io/netif.h, "Static Grants".
 */
#ifndef SLUICE_NETBACK_STAGE_H
#define SLUICE_NETBACK_STAGE_H

#include <errno.h>

#include "rings/types.h"

#define STAGE_MAX 1024u /* entries of a queue */
#define STAGE_BUCKETS 2048u
#define STAGE_PROBES 16u

struct stage_entry {
	uint8_t *page; /* NULL: free */
	grant_ref_t ref;
	grant_handle_t handle;
	uint16_t nr_users; /* packets out in the world that borrow the page */
	bool is_readonly;
	bool was_used; /* some reference may lie behind it */
};

struct stage {
	uint32_t nr;
	struct stage_entry entry[STAGE_BUCKETS];
};

static inline struct stage_entry *stage_find(struct stage *s, grant_ref_t ref)
{
	for (uint32_t i = 0; i < STAGE_PROBES; i++) {
		struct stage_entry *e = &s->entry[(ref + i) % STAGE_BUCKETS];

		if (e->page && e->ref == ref)
			return e;
		if (!e->was_used)
			return NULL;
	}
	return NULL;
}

/* -EEXIST: it is there already; -ENOSPC: too many in all, or around this reference. */
static inline int stage_add(struct stage *s, const struct stage_entry *added)
{
	if (stage_find(s, added->ref))
		return -EEXIST;
	for (uint32_t i = 0; i < STAGE_PROBES && s->nr < STAGE_MAX; i++) {
		struct stage_entry *e = &s->entry[(added->ref + i) % STAGE_BUCKETS];

		if (e->page)
			continue;
		*e = *added;
		e->nr_users = 0;
		e->was_used = true;
		s->nr++;
		return 0;
	}
	return -ENOSPC;
}

/* Nobody borrows its page. */
static inline void stage_remove(struct stage *s, struct stage_entry *e)
{
	e->page = NULL;
	s->nr--;
}

#endif
