/*
 * hv/local_guest_event.c - a guest's event channels: bound by the core, taken from our own shared info.
 *
 * Runs in  any thread; each vcpu's events are taken by one thread at a time, the store's by whoever comes.
 */
#include <errno.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "hv/clock.h"
#include "hv/local_guest.h"
#include "rings/atomics.h"

static long evtchn_op(struct local_guest *g, unsigned cmd, void *arg, size_t bytes)
{
	return local_link_hypercall(&g->link, __HYPERVISOR_event_channel_op, cmd, arg, bytes, -1, NULL);
}

/* The fd that wakes the other end, where there is one; without it notify asks the core to send. */
static int fetch_notify_fd(struct local_guest *g, evtchn_port_t port, int *fd)
{
	struct local_event_fd op = {.port = port};
	struct local_fds fds;
	long ret = local_link_hypercall(&g->link, LOCAL_HYPERCALL, LOCAL_OP_event_fd, &op, sizeof(op), -1, &fds);

	if (ret < 0)
		return ret == -EOPNOTSUPP ? 0 : (int)ret;
	if (fds.nr != 1) {
		local_fds_close(&fds);
		return -EPROTO;
	}
	*fd = fds.fd[0];
	return 0;
}

/* The core has bound the port; it is closed again on failure. */
static int register_port(struct local_guest *g, evtchn_port_t port, unsigned vcpu, bool is_interdomain)
{
	struct evtchn_close op = {.port = port};
	int fd = -1, err = 0;

	if (port >= LOCAL_MAX_PORTS)
		return -EPROTO;
	if (is_interdomain)
		err = fetch_notify_fd(g, port, &fd);
	if (err) {
		evtchn_op(g, EVTCHNOP_close, &op, sizeof(op));
		return err;
	}
	store_relaxed(&g->port_vcpu[port], (uint8_t)vcpu);
	store_relaxed(&g->notify_fd[port], fd);
	return 0;
}

int local_guest_adopt_port(struct local_guest *g, evtchn_port_t port)
{
	int fd = -1, err = port < LOCAL_MAX_PORTS ? fetch_notify_fd(g, port, &fd) : -EINVAL;

	if (!err)
		store_relaxed(&g->notify_fd[port], fd);
	return err;
}

int local_guest_alloc_unbound(struct hv *hv, domid_t remote, evtchn_port_t *port)
{
	struct local_guest *g = local_guest_of(hv);
	struct evtchn_alloc_unbound op = {.dom = DOMID_SELF, .remote_dom = remote};
	long err = evtchn_op(g, EVTCHNOP_alloc_unbound, &op, sizeof(op));

	if (!err)
		err = register_port(g, op.port, 0, true);
	if (!err)
		*port = op.port;
	return (int)err;
}

int local_guest_bind_interdomain(struct hv *hv, domid_t remote, evtchn_port_t remote_port, evtchn_port_t *port)
{
	struct local_guest *g = local_guest_of(hv);
	struct evtchn_bind_interdomain op = {.remote_dom = remote, .remote_port = remote_port};
	long err = evtchn_op(g, EVTCHNOP_bind_interdomain, &op, sizeof(op));

	if (!err)
		err = register_port(g, op.local_port, 0, true);
	if (!err)
		*port = op.local_port;
	return (int)err;
}

int local_guest_bind_virq(struct hv *hv, unsigned virq, evtchn_port_t *port)
{
	struct local_guest *g = local_guest_of(hv);
	struct evtchn_bind_virq op = {.virq = virq};
	long err = evtchn_op(g, EVTCHNOP_bind_virq, &op, sizeof(op));

	if (!err)
		err = register_port(g, op.port, 0, false);
	if (!err)
		*port = op.port;
	return (int)err;
}

int local_guest_bind_ipi(struct hv *hv, unsigned vcpu, evtchn_port_t *port)
{
	struct local_guest *g = local_guest_of(hv);
	struct evtchn_bind_ipi op = {.vcpu = vcpu};
	long err = evtchn_op(g, EVTCHNOP_bind_ipi, &op, sizeof(op));

	if (!err)
		err = register_port(g, op.port, vcpu, false);
	if (!err)
		*port = op.port;
	return (int)err;
}

int local_guest_bind_vcpu(struct hv *hv, evtchn_port_t port, unsigned vcpu)
{
	struct local_guest *g = local_guest_of(hv);
	struct evtchn_bind_vcpu op = {.port = port, .vcpu = vcpu};
	long err = evtchn_op(g, EVTCHNOP_bind_vcpu, &op, sizeof(op));

	if (err)
		return (int)err;
	store_relaxed(&g->port_vcpu[port], (uint8_t)vcpu);
	if (evtchn_is_pending(&g->events, port)) /* it told the old vcpu */
		evtchn_kick(&g->events, port);
	return 0;
}

int local_guest_evtchn_close(struct hv *hv, evtchn_port_t port)
{
	struct local_guest *g = local_guest_of(hv);
	struct evtchn_close op = {.port = port};
	int fd;
	long err = evtchn_op(g, EVTCHNOP_close, &op, sizeof(op));

	if (err)
		return (int)err;
	fd = exchange_acq_rel(&g->notify_fd[port], -1);
	if (fd >= 0)
		close(fd);
	return 0;
}

int local_guest_mask(struct hv *hv, evtchn_port_t port)
{
	if (port >= LOCAL_MAX_PORTS)
		return -EINVAL;
	evtchn_set_mask(&local_guest_of(hv)->events, port);
	return 0;
}

int local_guest_unmask(struct hv *hv, evtchn_port_t port)
{
	if (port >= LOCAL_MAX_PORTS)
		return -EINVAL;
	evtchn_clear_mask(&local_guest_of(hv)->events, port);
	return 0;
}

bool local_guest_pending(struct hv *hv, evtchn_port_t port)
{
	return evtchn_is_pending(&local_guest_of(hv)->events, port);
}

int local_guest_event_fd(struct hv *hv, evtchn_port_t port)
{
	struct local_guest *g = local_guest_of(hv);

	return port < LOCAL_MAX_PORTS ? g->domain.vcpu_fd[load_relaxed(&g->port_vcpu[port])] : -EINVAL;
}

void local_guest_notify_slowly(struct local_guest *g, evtchn_port_t port)
{
	struct evtchn_send op = {.port = port};

	evtchn_op(g, EVTCHNOP_send, &op, sizeof(op));
}

/* The store's event has come, or another thread took it for us. */
static bool took_store_event(struct local_guest *g, evtchn_port_t port)
{
	uint64_t count;
	bool handed_over = read(g->store_fd, &count, sizeof(count)) > 0;

	return evtchn_take_one(&g->events, port) || handed_over;
}

/*
 * The vcpu's fd is watched for edges and never cleared here: whoever takes this vcpu's events still finds them. That is
 * enough because the store's end writes the fd each time, whatever the selector says (evtchn_send_loudly).
 */
int local_guest_wait_store(struct local_guest *g, int timeout_ms)
{
	evtchn_port_t port = load_relaxed(&g->store_port);
	int64_t end = clock_now_ms() + timeout_ms;
	struct epoll_event ev;

	while (!took_store_event(g, port)) {
		int64_t left = timeout_ms < 0 ? -1 : end - clock_now_ms();
		int n;

		if (timeout_ms >= 0 && left < 0)
			return 0;
		n = epoll_wait(g->store_epoll, &ev, 1, (int)left);
		if (n < 0 && errno != EINTR)
			return -errno;
		if (n > 0 && ev.data.fd == g->link.lost_fd)
			return -EPIPE;
		if (!n && timeout_ms >= 0)
			return took_store_event(g, port);
	}
	return 1;
}

static int watch_fd(int epoll, int fd, uint32_t events)
{
	struct epoll_event ev = {.events = events, .data.fd = fd};

	return epoll_ctl(epoll, EPOLL_CTL_ADD, fd, &ev) < 0 ? -errno : 0;
}

int local_guest_watch_store(struct local_guest *g, evtchn_port_t port)
{
	int err = 0;

	g->store_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	g->store_epoll = epoll_create1(EPOLL_CLOEXEC);
	if (g->store_fd < 0 || g->store_epoll < 0)
		err = -errno;
	if (!err)
		err = watch_fd(g->store_epoll, g->domain.vcpu_fd[0], EPOLLIN | EPOLLET);
	if (!err)
		err = watch_fd(g->store_epoll, g->store_fd, EPOLLIN);
	if (!err)
		err = watch_fd(g->store_epoll, g->link.lost_fd, EPOLLIN);
	if (!err)
		store_relaxed(&g->store_port, port);
	return err;
}

void local_guest_unwatch_store(struct local_guest *g)
{
	if (g->store_fd >= 0)
		close(g->store_fd);
	if (g->store_epoll >= 0)
		close(g->store_epoll);
}
