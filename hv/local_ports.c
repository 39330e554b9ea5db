/*
 * hv/local_ports.c - Domain-0's event channel ports: binds them, and gives each its fd.
 *
 * Owns     a struct local_port and its fd from bind to close.
 * Runs in  any thread; a port is closed when nobody uses it any more.
 */
#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <unistd.h>

#include "hv/local_dom0.h"

static long evtchn_op(struct local_dom0 *d, unsigned cmd, void *arg, size_t bytes, int send_fd)
{
	return local_link_hypercall(&d->link, __HYPERVISOR_event_channel_op, cmd, arg, bytes, send_fd, NULL);
}

static void close_in_core(struct local_dom0 *d, evtchn_port_t port)
{
	struct evtchn_close op = {.port = port};

	evtchn_op(d, EVTCHNOP_close, &op, sizeof(op), -1);
}

static int fetch_event_fd(struct local_dom0 *d, evtchn_port_t port)
{
	struct local_event_fd op = {.port = port};
	struct local_fds fds;
	long ret = local_link_hypercall(&d->link, LOCAL_HYPERCALL, LOCAL_OP_event_fd, &op, sizeof(op), -1, &fds);

	if (ret < 0)
		return (int)ret;
	if (fds.nr != 1) {
		local_fds_close(&fds);
		return -EPROTO;
	}
	return fds.fd[0];
}

/* The core has bound the port: gets its fd and enters it. Closes the port again on failure; the peer stays the caller's then. */
static int register_port(struct local_dom0 *d, evtchn_port_t port, struct hv_peer *peer, evtchn_port_t remote_port)
{
	struct local_port *p = calloc(1, sizeof(*p));
	int err = -ENOMEM;

	if (!p)
		goto close_port;
	*p = (struct local_port){.port = port, .remote_port = remote_port, .peer = peer};
	p->remote = peer ? &((struct local_peer *)peer)->events : NULL;
	p->fd = fetch_event_fd(d, port);
	err = p->fd;
	if (err < 0)
		goto free_port;
	err = port_table_enter(&d->ports, p->port, p->fd, p);
	if (err)
		goto close_fd;
	return 0;
close_fd:
	close(p->fd);
free_port:
	free(p);
close_port:
	close_in_core(d, port);
	return err;
}

int local_dom0_alloc_unbound(struct hv *hv, domid_t remote, evtchn_port_t *port)
{
	struct local_dom0 *d = local_dom0_of(hv);
	struct evtchn_alloc_unbound op = {.dom = DOMID_SELF, .remote_dom = remote};
	long err = evtchn_op(d, EVTCHNOP_alloc_unbound, &op, sizeof(op), -1);

	if (!err)
		err = register_port(d, op.port, NULL, 0);
	if (!err)
		*port = op.port;
	return (int)err;
}

/* A domain that has all its mappers is still notified, through the core. */
static int open_remote(struct hv *hv, domid_t remote, struct hv_peer **peer)
{
	int err;

	*peer = NULL;
	if (remote == DOMID_SELF || remote == hv->domid)
		return 0;
	err = local_peer_open(hv, remote, peer);
	return err == -ENOSPC ? 0 : err;
}

int local_dom0_bind_interdomain(struct hv *hv, domid_t remote, evtchn_port_t remote_port, evtchn_port_t *port)
{
	struct local_dom0 *d = local_dom0_of(hv);
	struct evtchn_bind_interdomain op = {.remote_dom = remote, .remote_port = remote_port};
	struct hv_peer *peer;
	long err = open_remote(hv, remote, &peer);

	if (err)
		return (int)err;
	err = evtchn_op(d, EVTCHNOP_bind_interdomain, &op, sizeof(op), -1);
	if (!err)
		err = register_port(d, op.local_port, peer, remote_port);
	if (err)
		hv_peer_close(peer);
	else
		*port = op.local_port;
	return (int)err;
}

int local_dom0_bind_virq(struct hv *hv, unsigned virq, evtchn_port_t *port)
{
	struct local_dom0 *d = local_dom0_of(hv);
	struct evtchn_bind_virq op = {.virq = virq};
	long err = evtchn_op(d, EVTCHNOP_bind_virq, &op, sizeof(op), -1);

	if (!err)
		err = register_port(d, op.port, NULL, 0);
	if (!err)
		*port = op.port;
	return (int)err;
}

int local_dom0_bind_ipi(struct hv *hv, unsigned vcpu, evtchn_port_t *port)
{
	struct local_dom0 *d = local_dom0_of(hv);
	struct evtchn_bind_ipi op = {.vcpu = vcpu};
	long err = evtchn_op(d, EVTCHNOP_bind_ipi, &op, sizeof(op), -1);

	if (!err)
		err = register_port(d, op.port, NULL, 0);
	if (!err)
		*port = op.port;
	return (int)err;
}

int local_dom0_bind_pirq(struct hv *hv, int device_fd, evtchn_port_t *port)
{
	struct local_dom0 *d = local_dom0_of(hv);
	struct evtchn_bind_pirq op = {0};
	long err = device_fd < 0 ? -EBADF : evtchn_op(d, EVTCHNOP_bind_pirq, &op, sizeof(op), device_fd);

	if (!err)
		err = register_port(d, op.port, NULL, 0);
	if (!err)
		*port = op.port;
	return (int)err;
}

int local_dom0_evtchn_close(struct hv *hv, evtchn_port_t port)
{
	struct local_dom0 *d = local_dom0_of(hv);
	struct local_port *p = port_table_by_port(&d->ports, port);

	if (!p)
		return -EINVAL;
	port_table_leave(&d->ports, p->port, p->fd);
	close_in_core(d, port);
	close(p->fd);
	hv_peer_close(p->peer);
	free(p);
	return 0;
}

int local_dom0_unmask(struct hv *hv, evtchn_port_t port)
{
	struct evtchn_unmask op = {.port = port};

	return (int)evtchn_op(local_dom0_of(hv), EVTCHNOP_unmask, &op, sizeof(op), -1);
}

bool local_dom0_pending(struct hv *hv, evtchn_port_t port)
{
	struct local_port *p = port_table_by_port(&local_dom0_of(hv)->ports, port);
	struct pollfd pfd = {.fd = p ? p->fd : -1, .events = POLLIN};

	return p && poll(&pfd, 1, 0) == 1;
}

int local_dom0_event_fd(struct hv *hv, evtchn_port_t port)
{
	struct local_port *p = port_table_by_port(&local_dom0_of(hv)->ports, port);

	return p ? p->fd : -EINVAL;
}

void local_dom0_notify_slowly(struct local_dom0 *d, evtchn_port_t port)
{
	struct evtchn_send op = {.port = port};

	evtchn_op(d, EVTCHNOP_send, &op, sizeof(op), -1);
}

static void drop_port(void *entry)
{
	struct local_port *p = entry;

	close(p->fd);
	free(p);
}

void local_ports_finish(struct local_dom0 *d)
{
	port_table_finish(&d->ports, drop_port);
}
