/*
 * hv/xen_peer.c - another domain, as a back end under Xen sees it: a gntdev handle, and the rings mapped through it.
 *
 * Owns     the handle from the first open to the last close: closing it unmaps whatever is left. The domain's pages stay its own
 *          until then, also when it dies meanwhile.
 * Runs in  any thread; one lock in the hv for opening and closing, one in each peer for its rings and slots.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "hv/xen_hv.h"

#define RING_MAX_PAGES XEN_MAP_MAX

static void peer_destroy(struct xen_peer *p)
{
	struct xen_ring *r;

	while ((r = p->rings)) {
		p->rings = r->next;
		xengnttab_unmap(p->gnt, r->base, r->nr);
		free(r);
	}
	xen_slots_finish(p);
	xengnttab_close(p->gnt);
	pthread_mutex_destroy(&p->lock);
	free(p);
}

static int peer_create(struct hv *hv, domid_t domid, struct xen_peer **out)
{
	struct xen_peer *p = calloc(1, sizeof(*p));
	int err;

	if (!p)
		return -ENOMEM;
	errno = 0;
	p->gnt = xengnttab_open(&xen_silence, 0);
	if (!p->gnt) {
		err = errno ? -errno : -EIO;
		free(p);
		return err;
	}
	pthread_mutex_init(&p->lock, NULL);
	p->peer = (struct hv_peer){.hv = hv, .domid = domid};
	p->refs = 1;
	p->first_free = XEN_NO_SLOT;
	*out = p;
	return 0;
}

static struct xen_peer **bucket_of(struct xen_hv *x, domid_t domid)
{
	return &x->peers[domid % XEN_PEER_BUCKETS];
}

int xen_peer_open(struct hv *hv, domid_t domid, struct hv_peer **out)
{
	struct xen_hv *x = xen_hv_of(hv);
	struct xen_peer *p;
	int err = 0;

	pthread_mutex_lock(&x->lock);
	for (p = *bucket_of(x, domid); p && p->peer.domid != domid; p = p->next)
		;
	if (p) {
		p->refs++;
	} else {
		err = peer_create(hv, domid, &p);
		if (!err) {
			p->next = *bucket_of(x, domid);
			*bucket_of(x, domid) = p;
		}
	}
	pthread_mutex_unlock(&x->lock);
	if (!err)
		*out = &p->peer;
	return err;
}

void xen_peer_close(struct hv_peer *peer)
{
	struct xen_hv *x = xen_hv_of(peer->hv);
	struct xen_peer *p = xen_peer_of(peer), **at;

	pthread_mutex_lock(&x->lock);
	if (--p->refs == 0) {
		for (at = bucket_of(x, peer->domid); *at != p; at = &(*at)->next)
			;
		*at = p->next;
		peer_destroy(p);
	}
	pthread_mutex_unlock(&x->lock);
}

void xen_peers_finish(struct xen_hv *x)
{
	struct xen_peer *p;

	for (unsigned i = 0; i < XEN_PEER_BUCKETS; i++)
		while ((p = x->peers[i])) {
			x->peers[i] = p->next;
			peer_destroy(p);
		}
}

/* The first of them that is bad says why. */
static int ring_errno(struct xen_peer *p, const grant_ref_t refs[], unsigned nr, int err)
{
	int16_t status[RING_MAX_PAGES];

	if (!xen_probe(p, refs, nr, status))
		return hv_errno_of(xen_why_not_mapped(p, refs, nr, false, err));
	for (unsigned i = 0; i < nr; i++)
		if (status[i] != GNTST_okay)
			return hv_errno_of(status[i]);
	return -EINVAL;
}

int xen_peer_map_ring(struct hv_peer *peer, const grant_ref_t refs[], unsigned nr, void **ring)
{
	struct xen_peer *p = xen_peer_of(peer);
	uint32_t copy[RING_MAX_PAGES];
	struct xen_ring *r;

	if (nr == 0 || nr > RING_MAX_PAGES)
		return -EINVAL;
	r = calloc(1, sizeof(*r));
	if (!r)
		return -ENOMEM;
	memcpy(copy, refs, nr * sizeof(copy[0]));
	r->nr = nr;
	r->base = xengnttab_map_domain_grant_refs(p->gnt, nr, peer->domid, copy, PROT_READ | PROT_WRITE);
	if (!r->base) {
		free(r);
		return ring_errno(p, refs, nr, errno);
	}
	xen_count(&xen_hv_of(peer->hv)->counters.map_calls, 1);
	xen_count(&xen_hv_of(peer->hv)->counters.map_refs, nr);
	*ring = r->base;
	pthread_mutex_lock(&p->lock);
	r->next = p->rings;
	p->rings = r;
	pthread_mutex_unlock(&p->lock);
	return 0;
}

void xen_peer_unmap_ring(struct hv_peer *peer, void *ring)
{
	struct xen_peer *p = xen_peer_of(peer);
	struct xen_ring **at, *r;

	pthread_mutex_lock(&p->lock);
	for (at = &p->rings; *at && (*at)->base != ring; at = &(*at)->next)
		;
	r = *at;
	if (r)
		*at = r->next;
	pthread_mutex_unlock(&p->lock);
	if (!r)
		return;
	xengnttab_unmap(p->gnt, r->base, r->nr);
	xen_count(&xen_hv_of(peer->hv)->counters.unmap_calls, 1);
	xen_count(&xen_hv_of(peer->hv)->counters.unmap_refs, r->nr);
	free(r);
}

/* Only what is mapped can be seen. */
unsigned xen_peer_ram(const struct hv_peer *peer, struct iovec ram[GATE_MAX_EXTENTS])
{
	return 0;
}
