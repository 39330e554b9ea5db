/*
 * hv/hv.c - hands each call of hv/hv.h to the platform.   [hot]
 */
#include "hv/hv_ops.h"

#include <errno.h>

void hv_close(struct hv *hv)
{
	if (hv)
		hv->ops->close(hv);
}

domid_t hv_domid(const struct hv *hv)
{
	return hv->domid;
}

const char *hv_platform(const struct hv *hv)
{
	return hv->platform;
}

bool hv_map_is_cheap(const struct hv *hv)
{
	return hv->map_is_cheap;
}

bool hv_keeps_devices(const struct hv *hv)
{
	return hv->keeps_devices;
}

int hv_counters(const struct hv *hv, struct hv_counters *out)
{
	if (!hv->ops->counters)
		return -EOPNOTSUPP;
	hv->ops->counters(hv, out);
	return 0;
}

int hv_lost_fd(const struct hv *hv)
{
	return hv->lost_fd;
}

const char *hv_run_dir(const struct hv *hv)
{
	return hv->run_dir;
}

long hv_hypercall(struct hv *hv, unsigned nr, uint64_t cmd, void *arg, size_t bytes)
{
	return hv->ops->hypercall ? hv->ops->hypercall(hv, nr, cmd, arg, bytes) : -ENOSYS;
}

struct store_client *hv_store(struct hv *hv, int *err)
{
	int ret = hv->store ? 0 : hv->ops->store_open(hv, &hv->store);

	if (ret && err)
		*err = ret;
	return ret ? NULL : hv->store;
}

int hv_pages_alloc(struct hv *hv, unsigned nr, void **pages)
{
	return hv->ops->pages_alloc ? hv->ops->pages_alloc(hv, nr, pages) : -EOPNOTSUPP;
}

void hv_pages_free(struct hv *hv, void *pages, unsigned nr)
{
	if (pages)
		hv->ops->pages_free(hv, pages, nr);
}

uint32_t hv_frame_of(struct hv *hv, const void *p)
{
	return hv->ops->frame_of ? hv->ops->frame_of(hv, p) : UINT32_MAX;
}

struct grant_table *hv_grants(struct hv *hv)
{
	return hv->ops->grants ? hv->ops->grants(hv) : NULL;
}

int hv_share(struct hv *hv, domid_t peer, unsigned nr, bool readonly, grant_ref_t refs[], void **pages)
{
	return hv->ops->share ? hv->ops->share(hv, peer, nr, readonly, refs, pages) : -EOPNOTSUPP;
}

int hv_share_life(struct hv *hv, domid_t peer, evtchn_port_t port, grant_ref_t *ref, void **page)
{
	return hv->ops->share_life ? hv->ops->share_life(hv, peer, port, ref, page) : -EOPNOTSUPP;
}

void hv_unshare(struct hv *hv, void *pages, unsigned nr, const grant_ref_t refs[])
{
	if (pages)
		hv->ops->unshare(hv, pages, nr, refs);
}

int hv_evtchn_alloc_unbound(struct hv *hv, domid_t remote, evtchn_port_t *port)
{
	return hv->ops->evtchn_alloc_unbound(hv, remote, port);
}

int hv_evtchn_bind_interdomain(struct hv *hv, domid_t remote, evtchn_port_t remote_port, evtchn_port_t *port)
{
	return hv->ops->evtchn_bind_interdomain(hv, remote, remote_port, port);
}

int hv_evtchn_bind_virq(struct hv *hv, unsigned virq, evtchn_port_t *port)
{
	return hv->ops->evtchn_bind_virq(hv, virq, port);
}

int hv_evtchn_bind_ipi(struct hv *hv, unsigned vcpu, evtchn_port_t *port)
{
	return hv->ops->evtchn_bind_ipi ? hv->ops->evtchn_bind_ipi(hv, vcpu, port) : -EOPNOTSUPP;
}

int hv_evtchn_bind_pirq(struct hv *hv, int device_fd, evtchn_port_t *port)
{
	return hv->ops->evtchn_bind_pirq ? hv->ops->evtchn_bind_pirq(hv, device_fd, port) : -EOPNOTSUPP;
}

int hv_evtchn_bind_vcpu(struct hv *hv, evtchn_port_t port, unsigned vcpu)
{
	return hv->ops->evtchn_bind_vcpu ? hv->ops->evtchn_bind_vcpu(hv, port, vcpu) : -EOPNOTSUPP;
}

int hv_evtchn_close(struct hv *hv, evtchn_port_t port)
{
	return hv->ops->evtchn_close(hv, port);
}

void hv_notify(struct hv *hv, evtchn_port_t port)
{
	hv->ops->notify(hv, port);
}

int hv_event_fd(struct hv *hv, evtchn_port_t port)
{
	return hv->ops->event_fd(hv, port);
}

unsigned hv_event_take(struct hv *hv, int fd, evtchn_port_t ports[], unsigned max)
{
	return hv->ops->event_take(hv, fd, ports, max);
}

int hv_evtchn_mask(struct hv *hv, evtchn_port_t port)
{
	return hv->ops->evtchn_mask ? hv->ops->evtchn_mask(hv, port) : -EOPNOTSUPP;
}

int hv_evtchn_unmask(struct hv *hv, evtchn_port_t port)
{
	return hv->ops->evtchn_unmask(hv, port);
}

bool hv_evtchn_pending(struct hv *hv, evtchn_port_t port)
{
	return hv->ops->evtchn_pending(hv, port);
}

int hv_peer_open(struct hv *hv, domid_t domid, struct hv_peer **out)
{
	return hv->ops->peer_open ? hv->ops->peer_open(hv, domid, out) : -EOPNOTSUPP;
}

void hv_peer_close(struct hv_peer *peer)
{
	if (peer)
		peer->hv->ops->peer_close(peer);
}

domid_t hv_peer_domid(const struct hv_peer *peer)
{
	return peer->domid;
}

int hv_peer_map_ring(struct hv_peer *peer, const grant_ref_t refs[], unsigned nr, void **ring)
{
	return peer->hv->ops->peer_map_ring(peer, refs, nr, ring);
}

void hv_peer_unmap_ring(struct hv_peer *peer, void *ring)
{
	if (ring)
		peer->hv->ops->peer_unmap_ring(peer, ring);
}

unsigned hv_peer_map(struct hv_peer *peer, struct hv_map_op ops[], unsigned n)
{
	return peer->hv->ops->peer_map(peer, ops, n);
}

unsigned hv_peer_unmap(struct hv_peer *peer, const grant_handle_t handles[], unsigned n)
{
	return peer->hv->ops->peer_unmap(peer, handles, n);
}

unsigned hv_peer_copy(struct hv_peer *peer, struct grant_copy_op ops[], unsigned n)
{
	return peer->hv->ops->peer_copy(peer, ops, n);
}

unsigned hv_peer_ram(const struct hv_peer *peer, struct iovec ram[GATE_MAX_EXTENTS])
{
	return peer->hv->ops->peer_ram(peer, ram);
}

const uint32_t *hv_peer_ram_epoch(const struct hv_peer *peer)
{
	return peer->hv->ops->peer_ram_epoch ? peer->hv->ops->peer_ram_epoch(peer) : NULL;
}
