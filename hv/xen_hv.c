/*
 * hv/xen_hv.c - the handles of this domain's side of Xen, and the table of what stands behind hv.h.
 *
 * Owns     the handles. Closing them, or the end of the process, gives all grants and ports back: the kernel's drivers see to that.
 * Runs in  any thread.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <unistd.h>
#include <xentoollog.h>

#include "hv/store_client.h"
#include "hv/xen_open.h"

static void log_nothing(struct xentoollog_logger *logger, xentoollog_level level, int errnoval, const char *context,
			const char *format, va_list al)
{
}

static void progress_nothing(struct xentoollog_logger *logger, const char *context, const char *doing_what, int percent,
			     unsigned long done, unsigned long total)
{
}

static void destroy_nothing(struct xentoollog_logger *logger)
{
}

struct xentoollog_logger xen_silence = {.vmessage = log_nothing, .progress = progress_nothing, .destroy = destroy_nothing};

int xen_open_events(xenevtchn_handle **xce)
{
	int flags, err;

	errno = 0;
	*xce = xenevtchn_open(&xen_silence, 0);
	if (!*xce)
		return errno ? -errno : -EIO;
	flags = fcntl(xenevtchn_fd(*xce), F_GETFL);
	if (flags >= 0 && !fcntl(xenevtchn_fd(*xce), F_SETFL, flags | O_NONBLOCK))
		return 0;
	err = -errno;
	xenevtchn_close(*xce);
	return err;
}

static int open_guest_side(struct xen_hv *x)
{
	struct epoll_event ev = {.events = EPOLLIN};
	int err;

	x->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
	if (x->epoll_fd < 0)
		return -errno;
	err = xen_open_events(&x->shared_events);
	if (err)
		return err;
	if (epoll_ctl(x->epoll_fd, EPOLL_CTL_ADD, xenevtchn_fd(x->shared_events), &ev))
		return -errno;
	x->shr = xengntshr_open(&xen_silence, 0);
	return x->shr ? 0 : errno ? -errno : -EIO;
}

static void xen_close(struct hv *hv)
{
	struct xen_hv *x = xen_hv_of(hv);

	store_client_close(hv->store);
	xen_ports_finish(x);
	xen_peers_finish(x);
	xen_claims_finish(x);
	if (x->shr)
		xengntshr_close(x->shr);
	if (x->epoll_fd >= 0)
		close(x->epoll_fd);
	if (hv->lost_fd >= 0)
		close(hv->lost_fd);
	pthread_mutex_destroy(&x->lock);
	free(x->store_path);
	free(x);
}

static void xen_counters(const struct hv *hv, struct hv_counters *out)
{
	const struct hv_counters *c = &xen_hv_of(hv)->counters;

	*out = (struct hv_counters){
		.map_calls = load_relaxed(&c->map_calls),
		.map_refs = load_relaxed(&c->map_refs),
		.unmap_calls = load_relaxed(&c->unmap_calls),
		.unmap_refs = load_relaxed(&c->unmap_refs),
		.copy_calls = load_relaxed(&c->copy_calls),
		.copy_segments = load_relaxed(&c->copy_segments),
		.notifies = load_relaxed(&c->notifies),
		.events = load_relaxed(&c->events),
	};
}

static const struct hv_ops xen_ops = {
	.close = xen_close,
	.store_open = xen_store_open,
	.counters = xen_counters,
	.claim = xen_claim,
	.share = xen_share,
	.share_life = xen_share_life,
	.unshare = xen_unshare,
	.evtchn_alloc_unbound = xen_alloc_unbound,
	.evtchn_bind_interdomain = xen_bind_interdomain,
	.evtchn_bind_virq = xen_bind_virq,
	.evtchn_close = xen_evtchn_close,
	.evtchn_unmask = xen_unmask,
	.evtchn_pending = xen_pending,
	.event_fd = xen_event_fd,
	.notify = xen_notify,
	.event_take = xen_event_take,
	.peer_open = xen_peer_open,
	.peer_close = xen_peer_close,
	.peer_map_ring = xen_peer_map_ring,
	.peer_unmap_ring = xen_peer_unmap_ring,
	.peer_map = xen_peer_map,
	.peer_unmap = xen_peer_unmap,
	.peer_copy = xen_peer_copy,
	.peer_ram = xen_peer_ram,
};

int xen_hv_create(bool as_guest, struct xen_hv **out)
{
	struct xen_hv *x = calloc(1, sizeof(*x));
	int err;

	if (!x)
		return -ENOMEM;
	x->hv = (struct hv){.ops = &xen_ops, .platform = "xen", .lost_fd = -1, .keeps_devices = true,
			   .has_error_tree = true};
	x->epoll_fd = -1;
	pthread_mutex_init(&x->lock, NULL);
	port_table_init(&x->ports);
	err = as_guest ? open_guest_side(x) : 0;
	if (err)
		xen_close(&x->hv);
	else
		*out = x;
	return err;
}
