/*
 * hv/xen_platform.c - finds out whether this is Xen, opens this domain's side of it, and says what is missing.
 *
 * Owns     the handles of a struct xen_hv. Closing them, or the end of the process, gives all grants and ports back: the kernel's
 *          drivers see to that.
 * Runs in  any thread.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
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

/* ---- is this Xen? --------------------------------------------------------------------------------------------------- */

static bool file_says(const char *path, const char *word)
{
	char text[256];
	FILE *f = fopen(path, "r");
	size_t n = f ? fread(text, 1, sizeof(text) - 1, f) : 0;

	if (f)
		fclose(f);
	text[n] = '\0';
	return strstr(text, word);
}

static bool is_under_xen(void)
{
	return file_says("/sys/hypervisor/type", "xen") || !access("/dev/xen", F_OK);
}

/* The second is for a kernel without xenfs mounted. */
static bool is_xen_dom0(void)
{
	return file_says("/proc/xen/capabilities", "control_d") || !access("/sys/hypervisor/start_flags/initdomain", F_OK);
}

static bool is_xen_guest(void)
{
	return is_under_xen() && !access(XEN_GNTALLOC_DEVICE, F_OK);
}

static int check_device(const struct hv_options *opt, const char *path, const char *module)
{
	int fd = open(path, O_RDWR | O_CLOEXEC);
	int err = -errno;

	if (fd >= 0) {
		close(fd);
		return 0;
	}
	if (err == -ENOENT || err == -ENXIO || err == -ENODEV)
		return platform_fail(opt, err, "%s is not there: load its driver (modprobe %s)", path, module);
	if (err == -EACCES || err == -EPERM)
		return platform_fail(opt, -EACCES, "%s may not be opened by this user: run as root", path);
	return platform_fail(opt, err, "%s cannot be opened: %s", path, strerror(-err));
}

/* ---- opening -------------------------------------------------------------------------------------------------------- */

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

static int open_store(struct xen_hv *x, const struct hv_options *opt)
{
	const char *path = xen_store_path();
	int err = path ? xen_store_lost_fd(path) : -ENOENT;

	if (err < 0)
		return platform_fail(opt, err, "xenstored does not answer at %s (%s): start it, or Xen's services with it",
				     path ?: "/run/xenstored/socket", strerror(-err));
	x->hv.lost_fd = err;
	x->store_path = strdup(path);
	if (!x->store_path)
		return -ENOMEM;
	x->hv.run_dir = x->store_path;
	if (!hv_store(&x->hv, &err))
		return platform_fail(opt, err, "the store at %s does not answer: %s", path, strerror(-err));
	return 0;
}

/* Domain-0 may not have been told its own number yet. */
static int read_domid(struct xen_hv *x, const struct hv_options *opt)
{
	uint64_t domid = 0;
	int err = store_client_read_uint(x->hv.store, STORE_NO_TX, &domid, "domid");

	if (err == -ENOENT && is_xen_dom0())
		err = 0;
	if (!err && domid >= DOMID_FIRST_RESERVED)
		err = -ERANGE;
	if (err)
		return platform_fail(opt, err, "the store does not say which domain this is: %s", strerror(-err));
	x->hv.domid = (domid_t)domid;
	return 0;
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

static struct xen_hv *xen_new(void)
{
	struct xen_hv *x = calloc(1, sizeof(*x));

	if (!x)
		return NULL;
	x->hv = (struct hv){.ops = &xen_ops, .platform = "xen", .lost_fd = -1, .keeps_devices = true};
	x->epoll_fd = -1;
	pthread_mutex_init(&x->lock, NULL);
	port_table_init(&x->ports);
	return x;
}

static int xen_open(const struct hv_options *opt, bool as_guest, struct hv **out)
{
	const char *device = as_guest ? XEN_GNTALLOC_DEVICE : XEN_GNTDEV_DEVICE;
	struct xen_hv *x;
	int err;

	if (!is_under_xen())
		return platform_fail(opt, -ENODEV, "this machine does not run under Xen: use --hv local");
	err = check_device(opt, XEN_EVTCHN_DEVICE, "xen-evtchn");
	if (!err)
		err = check_device(opt, device, as_guest ? "xen-gntalloc" : "xen-gntdev");
	if (err)
		return err;
	x = xen_new();
	if (!x)
		return -ENOMEM;
	err = as_guest ? open_guest_side(x) : 0;
	if (err)
		platform_fail(opt, err, "%s and %s cannot be used: %s", XEN_EVTCHN_DEVICE, device, strerror(-err));
	else
		err = open_store(x, opt);
	if (!err)
		err = read_domid(x, opt);
	if (err)
		xen_close(&x->hv);
	else
		*out = &x->hv;
	return err;
}

static int xen_open_dom0(const struct hv_options *opt, struct hv **out)
{
	return xen_open(opt, false, out);
}

static int xen_open_guest(const struct hv_options *opt, struct hv **out)
{
	return xen_open(opt, true, out);
}

const struct hv_platform xen_platform = {
	.is_dom0 = is_xen_dom0,
	.is_guest = is_xen_guest,
	.open_dom0 = xen_open_dom0,
	.open_guest = xen_open_guest,
};
