/*
 * hv/xen_map.c - maps another domain's pages in groups, and hands out a handle for each page.
 *
 * gntdev maps any number of grants in one call and takes back only what one call mapped. So a batch is one group, its
 * handles count, and the group goes with the last of them. gntdev maps all or nothing and does not say which grant was bad:
 * a copy of one byte from each, again one call, does.
 *
 * Owns     the groups and the slots that handles name.
 * Trusts   no ref.
 * Runs in  any thread; under the peer's lock.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "hv/log.h"
#include "hv/xen_hv.h"

#define FIRST_SLOTS 256u

unsigned xen_probe(struct xen_peer *p, const grant_ref_t refs[], unsigned n, int16_t status[])
{
	struct grant_copy_op ops[XEN_MAP_MAX];
	uint8_t byte;
	unsigned bad = 0;

	for (unsigned i = 0; i < n; i++)
		ops[i] = (struct grant_copy_op){.local = &byte, .ref = refs[i], .len = 1};
	xen_peer_copy(&p->peer, ops, n);
	for (unsigned i = 0; i < n; i++) {
		/* A general error is the probe's own, not the grant's. */
		status[i] = ops[i].status == GNTST_general_error ? GNTST_okay : ops[i].status;
		bad += status[i] != GNTST_okay;
	}
	return bad;
}

/* ---- slots: handles ------------------------------------------------------------------------------------------------- */

static int slots_grow(struct xen_peer *p)
{
	uint32_t nr = p->nr_slots ? p->nr_slots * 2 : FIRST_SLOTS;
	struct xen_slot *slots = realloc(p->slots, nr * sizeof(*slots));

	if (!slots)
		return -ENOMEM;
	for (uint32_t i = p->nr_slots; i < nr; i++)
		slots[i] = (struct xen_slot){.next_free = i + 1 < nr ? i + 1 : p->first_free};
	p->first_free = p->nr_slots;
	p->slots = slots;
	p->nr_slots = nr;
	return 0;
}

static int slot_take(struct xen_peer *p, struct xen_group *g, grant_handle_t *handle)
{
	int err = p->first_free == XEN_NO_SLOT ? slots_grow(p) : 0;

	if (err)
		return err;
	*handle = p->first_free;
	p->first_free = p->slots[*handle].next_free;
	p->slots[*handle].group = g;
	g->nr_used++;
	return 0;
}

static void group_unmap(struct xen_peer *p, struct xen_group *g)
{
	struct hv_counters *counters = &xen_hv_of(p->peer.hv)->counters;

	xengnttab_unmap(p->gnt, g->base, g->nr);
	xen_count(&counters->unmap_calls, 1);
	xen_count(&counters->unmap_refs, g->nr);
	free(g);
}

static void slot_give(struct xen_peer *p, grant_handle_t handle)
{
	struct xen_group *g = p->slots[handle].group;

	p->slots[handle] = (struct xen_slot){.next_free = p->first_free};
	p->first_free = handle;
	if (--g->nr_used == 0)
		group_unmap(p, g);
}

void xen_slots_finish(struct xen_peer *p)
{
	for (uint32_t i = 0; i < p->nr_slots; i++)
		if (p->slots[i].group)
			slot_give(p, i);
	free(p->slots);
}

/* ---- groups --------------------------------------------------------------------------------------------------------- */

static void *map_refs(struct xen_peer *p, uint32_t refs[], unsigned n, bool readonly)
{
	struct hv_counters *counters = &xen_hv_of(p->peer.hv)->counters;
	void *base = xengnttab_map_domain_grant_refs(p->gnt, n, p->peer.domid, refs, readonly ? PROT_READ : PROT_READ | PROT_WRITE);

	xen_count(&counters->map_calls, 1);
	if (base)
		xen_count(&counters->map_refs, n);
	return base;
}

/* Once: whoever runs out does so again and again. */
static void tell_quota(struct xen_peer *p)
{
	struct xen_hv *x = xen_hv_of(p->peer.hv);

	if (!load_relaxed(&x->is_quota_told) && !fetch_add_relaxed(&x->is_quota_told, 1))
		log_warn("Xen lets this domain map no more grants: give Xen a larger gnttab_max_maptrack_frames");
}

/* gntdev says EINVAL for whatever the hypervisor answered; of refs that are good and writable only the quota is left. */
int16_t xen_why_not_mapped(struct xen_peer *p, const grant_ref_t refs[], unsigned n, bool readonly, int err)
{
	uint32_t copy[XEN_MAP_MAX];
	void *base = NULL;

	memcpy(copy, refs, n * sizeof(copy[0]));
	if (!readonly)
		base = map_refs(p, copy, n, true);
	if (base) {
		xengnttab_unmap(p->gnt, base, n);
		return GNTST_permission_denied;
	}
	if (err != EINVAL && err != ENOSPC && err != ENOMEM)
		return GNTST_general_error;
	tell_quota(p);
	return GNTST_no_space;
}

/* All of them as one group, or none and errno. */
static bool map_together(struct xen_peer *p, struct hv_map_op *ops[], unsigned n)
{
	struct xen_group *g = calloc(1, sizeof(*g));
	uint32_t refs[XEN_MAP_MAX];
	unsigned taken;

	if (!g)
		return false;
	for (unsigned i = 0; i < n; i++)
		refs[i] = ops[i]->ref;
	g->nr = n;
	g->base = map_refs(p, refs, n, ops[0]->readonly);
	if (!g->base)
		goto free_group;
	for (taken = 0; taken < n; taken++)
		if (slot_take(p, g, &ops[taken]->handle))
			goto give_slots;
	for (unsigned i = 0; i < n; i++) {
		ops[i]->page = g->base + pages_to_bytes(i);
		ops[i]->status = GNTST_okay;
	}
	return true;
give_slots:
	if (taken == 0) {
		group_unmap(p, g);
	} else {
		while (taken--)
			slot_give(p, ops[taken]->handle);
	}
	errno = ENOMEM;
	return false;
free_group:
	free(g);
	return false;
}

/* Leaves the bad ones out; returns how many are good. */
static unsigned sort_out(struct xen_peer *p, struct hv_map_op *ops[], unsigned n)
{
	grant_ref_t refs[XEN_MAP_MAX];
	int16_t status[XEN_MAP_MAX];
	unsigned good = 0;

	for (unsigned i = 0; i < n; i++)
		refs[i] = ops[i]->ref;
	xen_probe(p, refs, n, status);
	for (unsigned i = 0; i < n; i++) {
		ops[i]->status = status[i];
		if (status[i] == GNTST_okay)
			ops[good++] = ops[i];
	}
	return good;
}

/* Ops of one kind, at most XEN_MAP_MAX; returns how many failed. */
static unsigned map_run(struct xen_peer *p, struct hv_map_op *ops[], unsigned n)
{
	unsigned good, failed;

	if (map_together(p, ops, n))
		return 0;
	good = sort_out(p, ops, n);
	failed = n - good;
	if (failed && good && map_together(p, ops, good))
		return failed;
	for (unsigned i = 0; i < good; i++) {
		if (map_together(p, &ops[i], 1))
			continue;
		ops[i]->status = xen_why_not_mapped(p, &ops[i]->ref, 1, ops[i]->readonly, errno);
		failed++;
	}
	return failed;
}

unsigned xen_peer_map(struct hv_peer *peer, struct hv_map_op ops[], unsigned n)
{
	struct xen_peer *p = xen_peer_of(peer);
	unsigned failed = 0, nr;

	pthread_mutex_lock(&p->lock);
	for (unsigned at = 0; at < n; at += nr) {
		struct hv_map_op *run[XEN_MAP_MAX];

		for (nr = 0; at + nr < n && nr < XEN_MAP_MAX && ops[at + nr].readonly == ops[at].readonly; nr++)
			run[nr] = &ops[at + nr];
		failed += map_run(p, run, nr);
	}
	pthread_mutex_unlock(&p->lock);
	return failed;
}

unsigned xen_peer_unmap(struct hv_peer *peer, const grant_handle_t handles[], unsigned n)
{
	struct xen_peer *p = xen_peer_of(peer);
	unsigned failed = 0;

	pthread_mutex_lock(&p->lock);
	for (unsigned i = 0; i < n; i++) {
		if (handles[i] < p->nr_slots && p->slots[handles[i]].group)
			slot_give(p, handles[i]);
		else
			failed++;
	}
	pthread_mutex_unlock(&p->lock);
	return failed;
}
