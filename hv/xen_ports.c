/*
 * hv/xen_ports.c - event channel ports through /dev/xen/evtchn.
 *
 * A back end's ports have a handle each, so that each queue's thread sleeps on its own fd. A front end's ports share one, as its
 * vcpu's would.
 *
 * Owns     a struct xen_port, and its handle when it is its own, from bind to close. When the process dies the driver closes all.
 * Runs in  any thread; a port is closed when nobody uses it any more.
 */
#include <errno.h>
#include <poll.h>
#include <stdlib.h>

#include "hv/xen_hv.h"
#include "hv/xen_open.h"

struct bind {
	enum { BIND_UNBOUND, BIND_INTERDOMAIN, BIND_VIRQ } kind;
	domid_t remote;
	uint32_t what; /* the remote port; the virq */
};

static xenevtchn_port_or_error_t bind_port(xenevtchn_handle *xce, const struct bind *b)
{
	switch (b->kind) {
	case BIND_UNBOUND:
		return xenevtchn_bind_unbound_port(xce, b->remote);
	case BIND_INTERDOMAIN:
		return xenevtchn_bind_interdomain(xce, b->remote, b->what);
	default:
		return xenevtchn_bind_virq(xce, b->what);
	}
}

static void port_destroy(struct xen_hv *x, struct xen_port *p)
{
	if (p->xce != x->shared_events)
		xenevtchn_close(p->xce);
	free(p);
}

static int port_create(struct xen_hv *x, struct xen_port **out)
{
	struct xen_port *p = calloc(1, sizeof(*p));
	int err = 0;

	if (!p)
		return -ENOMEM;
	p->xce = x->shared_events;
	p->fd = x->epoll_fd;
	if (!p->xce) {
		err = xen_open_events(&p->xce);
		if (err) {
			free(p);
			return err;
		}
		p->fd = xenevtchn_fd(p->xce);
	}
	*out = p;
	return 0;
}

static int port_open(struct hv *hv, const struct bind *b, evtchn_port_t *port)
{
	struct xen_hv *x = xen_hv_of(hv);
	struct xen_port *p;
	int err = port_create(x, &p), got;

	if (err)
		return err;
	errno = 0;
	got = bind_port(p->xce, b);
	if (got < 0) {
		err = errno ? -errno : -EIO;
		goto destroy_port;
	}
	p->port = (evtchn_port_t)got;
	err = port_table_enter(&x->ports, p->port, p->fd, p);
	if (err)
		goto unbind;
	*port = p->port;
	return 0;
unbind:
	xenevtchn_unbind(p->xce, p->port);
destroy_port:
	port_destroy(x, p);
	return err;
}

int xen_alloc_unbound(struct hv *hv, domid_t remote, evtchn_port_t *port)
{
	return port_open(hv, &(struct bind){BIND_UNBOUND, remote, 0}, port);
}

int xen_bind_interdomain(struct hv *hv, domid_t remote, evtchn_port_t remote_port, evtchn_port_t *port)
{
	return port_open(hv, &(struct bind){BIND_INTERDOMAIN, remote, remote_port}, port);
}

int xen_bind_virq(struct hv *hv, unsigned virq, evtchn_port_t *port)
{
	return port_open(hv, &(struct bind){BIND_VIRQ, DOMID_SELF, virq}, port);
}

static struct xen_port *find(struct hv *hv, evtchn_port_t port)
{
	return port_table_by_port(&xen_hv_of(hv)->ports, port);
}

int xen_evtchn_close(struct hv *hv, evtchn_port_t port)
{
	struct xen_port *p = find(hv, port);

	if (!p)
		return -EINVAL;
	port_table_leave(&xen_hv_of(hv)->ports, port, p->fd);
	xenevtchn_unbind(p->xce, port);
	port_destroy(xen_hv_of(hv), p);
	return 0;
}

int xen_unmask(struct hv *hv, evtchn_port_t port)
{
	struct xen_port *p = find(hv, port);

	return !p ? -EINVAL : xenevtchn_unmask(p->xce, port) ? -errno : 0;
}

/* Of ports that share an fd nobody can say which it is. */
bool xen_pending(struct hv *hv, evtchn_port_t port)
{
	struct xen_port *p = find(hv, port);
	struct pollfd pfd = {.fd = p ? xenevtchn_fd(p->xce) : -1, .events = POLLIN};

	return p && poll(&pfd, 1, 0) == 1;
}

int xen_event_fd(struct hv *hv, evtchn_port_t port)
{
	struct xen_port *p = find(hv, port);

	return p ? p->fd : -EINVAL;
}

/* The shared handle is closed after its ports; closing it closes what is bound through it. */
static void drop_own(void *entry)
{
	struct xen_port *p = entry;

	xenevtchn_close(p->xce);
	free(p);
}

void xen_ports_finish(struct xen_hv *x)
{
	port_table_finish(&x->ports, x->shared_events ? free : drop_own);
	if (x->shared_events)
		xenevtchn_close(x->shared_events);
}
