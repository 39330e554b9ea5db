/*
 * hv/local_peer.c - another domain, as a Domain-0 process sees it: mapped once, counted, with its own slot for pins.
 *
 * Owns     the domain's mappings and fds, and the slot in its active grants, from the first open to the last close. They stay
 *          when the domain dies meanwhile, so that a racing access never faults.
 * Runs in  any thread; one lock for opening, closing and rings.
 */
#include <errno.h>
#include <stdlib.h>
#include <sys/mman.h>

#include "hv/local_dom0.h"

static void unmap_in_core(struct local_dom0 *d, domid_t domid)
{
	struct local_domid op = {.domid = domid};

	local_link_hypercall(&d->link, LOCAL_HYPERCALL, LOCAL_OP_unmap_domain, &op, sizeof(op), -1, NULL);
}

static void describe(struct local_dom0 *d, struct local_peer *p, unsigned slot)
{
	struct local_domain *dom = &p->domain;

	p->events = (struct evtchn_domain){
		.shared_sh = dom->shared_sh,
		.port_vcpu = dom->priv->port_vcpu,
		.vcpu_polling = dom->priv->vcpu_polling,
		.vcpu_fd = dom->vcpu_fd,
		.nr_vcpus = dom->nr_vcpus,
	};
	p->granter = (struct grant_peer){
		.entries_sh = dom->entries_sh,
		.active = (struct grant_active *)((uint8_t *)dom->priv + LOCAL_PRIVATE_ACTIVE_OFFSET),
		.nr_entries = dom->nr_entries,
		.slot = slot,
		.mapper = d->hv.domid,
		.memory = &dom->memory,
	};
}

static int peer_create(struct local_dom0 *d, domid_t domid, struct local_peer **out)
{
	struct local_welcome welcome = {.domid = domid};
	struct local_fds fds;
	struct local_peer *p = calloc(1, sizeof(*p));
	long err = -ENOMEM;

	if (!p)
		return -ENOMEM;
	err = local_link_hypercall(&d->link, LOCAL_HYPERCALL, LOCAL_OP_map_domain, &welcome, sizeof(welcome), -1, &fds);
	if (err < 0)
		goto free_peer;
	err = welcome.slot < GRANT_MAX_SLOTS ? 0 : -EPROTO;
	if (err)
		local_fds_close(&fds);
	else
		err = local_domain_init(&p->domain, &welcome, &fds, true);
	if (err)
		goto unmap_domain;
	p->peer = (struct hv_peer){.hv = &d->hv, .domid = domid};
	p->refs = 1;
	describe(d, p, welcome.slot);
	*out = p;
	return 0;
unmap_domain:
	unmap_in_core(d, domid);
free_peer:
	free(p);
	return (int)err;
}

static void ring_destroy(struct local_ring *r)
{
	if (r->is_remapped)
		munmap(r->base, pages_to_bytes(r->nr));
	free(r);
}

/*
 * Nobody uses the peer any more. Handles that were left mapped are let go first, so that the slot is idle when the core
 * gives it to somebody else.
 */
static void peer_destroy(struct local_dom0 *d, struct local_peer *p)
{
	struct local_ring *r;

	while ((r = p->rings)) {
		p->rings = r->next;
		ring_destroy(r);
	}
	grant_maptrack_forget(d->maptrack, &p->granter);
	unmap_in_core(d, p->peer.domid);
	local_domain_finish(&p->domain);
	free(p);
}

static struct local_peer **bucket_of(struct local_dom0 *d, domid_t domid)
{
	return &d->peers[domid % LOCAL_PEER_BUCKETS];
}

int local_peer_open(struct hv *hv, domid_t domid, struct hv_peer **out)
{
	struct local_dom0 *d = local_dom0_of(hv);
	struct local_peer *p;
	int err = 0;

	if (domid == hv->domid)
		return -EINVAL;
	pthread_mutex_lock(&d->lock);
	for (p = *bucket_of(d, domid); p && p->peer.domid != domid; p = p->next)
		;
	if (p) {
		p->refs++;
	} else {
		err = peer_create(d, domid, &p);
		if (!err) {
			p->next = *bucket_of(d, domid);
			*bucket_of(d, domid) = p;
		}
	}
	pthread_mutex_unlock(&d->lock);
	if (!err)
		*out = &p->peer;
	return err;
}

void local_peer_close(struct hv_peer *peer)
{
	struct local_dom0 *d = local_dom0_of(peer->hv);
	struct local_peer *p = (struct local_peer *)peer, **at;

	pthread_mutex_lock(&d->lock);
	if (--p->refs == 0) {
		for (at = bucket_of(d, peer->domid); *at != p; at = &(*at)->next)
			;
		*at = p->next;
		peer_destroy(d, p);
	}
	pthread_mutex_unlock(&d->lock);
}

void local_peers_finish(struct local_dom0 *d)
{
	struct local_peer *p;

	for (unsigned i = 0; i < LOCAL_PEER_BUCKETS; i++)
		while ((p = d->peers[i])) {
			d->peers[i] = p->next;
			peer_destroy(d, p);
		}
}

/* Puts a view of one page at the address: the same memory, seen a second time. */
static int remap_page(const struct local_peer *p, const void *page, void *at)
{
	const struct gate *g = &p->domain.memory;

	for (unsigned i = 0; i < g->nr_extents; i++) {
		const struct gate_extent *e = &g->extent[i];
		uintptr_t offset = (uintptr_t)page - (uintptr_t)e->base;

		if (offset >= e->nr_frames << PAGE_SHIFT_BITS)
			continue;
		if (mmap(at, PAGE_BYTES, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_FIXED, p->domain.extent_fd[i],
			 (off_t)offset) == MAP_FAILED)
			return errno == EINVAL ? -EOPNOTSUPP : -errno; /* a domain's memory in huge pages: there is no view of a part */
		return 0;
	}
	return -EINVAL;
}

/* Makes the pages contiguous: as they are when they are so already, else by a mapping of their own. */
static int ring_place(struct local_peer *p, struct local_ring *r, void *const pages[])
{
	unsigned i;
	int err = 0;

	for (i = 1; i < r->nr && pages[i] == (uint8_t *)pages[0] + pages_to_bytes(i); i++)
		;
	r->base = pages[0];
	if (i == r->nr)
		return 0;
	r->base = mmap(NULL, pages_to_bytes(r->nr), PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (r->base == MAP_FAILED)
		return -errno;
	for (i = 0; i < r->nr && !err; i++)
		err = remap_page(p, pages[i], (uint8_t *)r->base + pages_to_bytes(i));
	if (err)
		munmap(r->base, pages_to_bytes(r->nr));
	r->is_remapped = !err;
	return err;
}

#define RING_MAX_PAGES 64

int local_peer_map_ring(struct hv_peer *peer, const grant_ref_t refs[], unsigned nr, void **ring)
{
	struct local_dom0 *d = local_dom0_of(peer->hv);
	struct local_peer *p = (struct local_peer *)peer;
	void *pages[RING_MAX_PAGES];
	struct local_ring *r;
	unsigned mapped;
	int err = 0;

	if (nr < 1 || nr > RING_MAX_PAGES)
		return -EINVAL;
	r = calloc(1, sizeof(*r) + nr * sizeof(r->handles[0]));
	if (!r)
		return -ENOMEM;
	r->nr = nr;
	for (mapped = 0; mapped < nr; mapped++) {
		int16_t status = grant_map(d->maptrack, &p->granter, refs[mapped], false, &pages[mapped],
					   &r->handles[mapped]);

		if (status != GNTST_okay) {
			err = hv_errno_of(status);
			goto unmap;
		}
	}
	err = ring_place(p, r, pages);
	if (err)
		goto unmap;
	*ring = r->base;
	/* Once it is in the list r may go: the same pages mapped by another thread have this address, and its unmap may find r. */
	pthread_mutex_lock(&d->lock);
	r->next = p->rings;
	p->rings = r;
	pthread_mutex_unlock(&d->lock);
	return 0;
unmap:
	while (mapped--)
		grant_unmap(d->maptrack, &p->granter, r->handles[mapped]);
	free(r);
	return err;
}

void local_peer_unmap_ring(struct hv_peer *peer, void *ring)
{
	struct local_dom0 *d = local_dom0_of(peer->hv);
	struct local_peer *p = (struct local_peer *)peer;
	struct local_ring **at, *r;

	pthread_mutex_lock(&d->lock);
	for (at = &p->rings; *at && (*at)->base != ring; at = &(*at)->next)
		;
	r = *at;
	if (r)
		*at = r->next;
	pthread_mutex_unlock(&d->lock);
	if (!r)
		return;
	for (unsigned i = 0; i < r->nr; i++)
		grant_unmap(d->maptrack, &p->granter, r->handles[i]);
	ring_destroy(r);
}

unsigned local_peer_ram(const struct hv_peer *peer, struct iovec ram[GATE_MAX_EXTENTS])
{
	const struct gate *g = &((const struct local_peer *)peer)->domain.memory;

	for (unsigned i = 0; i < g->nr_extents; i++) {
		ram[i].iov_base = g->extent[i].base;
		ram[i].iov_len = g->extent[i].nr_frames << PAGE_SHIFT_BITS;
	}
	return g->nr_extents;
}

const uint32_t *local_peer_ram_epoch(const struct hv_peer *peer)
{
	return &((const struct local_peer *)peer)->domain.priv->ram_epoch;
}
