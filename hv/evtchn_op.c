/*
 * hv/evtchn_op.c - event_channel_op: the commands of xen/event_channel.h over hv/evtchn.h.
 *
 * In Domain-0 a port belongs to the connection that made it: another connection finds nothing there.
 */
#include <errno.h>

#include "hv/conn.h"
#include "hv/core.h"
#include "hv/domain.h"
#include "hv/hypercall.h"
#include "hv/pirq.h"

/* The caller's own port, or NULL. */
static struct evtchn *own_port(struct caller *c, evtchn_port_t port)
{
	struct evtchn *e = evtchn_find(c->domain, port);

	return e && e->owner == caller_port_owner(c) ? e : NULL;
}

static domid_t real_domid(const struct caller *c, domid_t domid)
{
	return domid == DOMID_SELF ? c->domain->domid : domid;
}

static long alloc_unbound(struct caller *c, void *arg)
{
	struct evtchn_alloc_unbound *op = arg;
	int err = 0;
	struct domain *d = caller_domain(c, op->dom, &err);

	if (!d)
		return err;
	return evtchn_alloc_unbound(d, domain_is_dom0(d) ? c->conn : NULL, real_domid(c, op->remote_dom), &op->port);
}

static long bind_interdomain(struct caller *c, void *arg)
{
	struct evtchn_bind_interdomain *op = arg;

	return evtchn_bind_interdomain(c->domain, caller_port_owner(c), real_domid(c, op->remote_dom), op->remote_port,
				       &op->local_port);
}

static long bind_virq(struct caller *c, void *arg)
{
	struct evtchn_bind_virq *op = arg;

	return evtchn_bind_virq(c->domain, caller_port_owner(c), op->virq, op->vcpu, &op->port);
}

static long bind_ipi(struct caller *c, void *arg)
{
	struct evtchn_bind_ipi *op = arg;

	return evtchn_bind_ipi(c->domain, caller_port_owner(c), op->vcpu, &op->port);
}

/* The pirq that PHYSDEVOP_map_pirq gave; or, with a device's fd along, a new one that lives as long as the port. */
static long bind_pirq(struct caller *c, void *arg)
{
	struct evtchn_bind_pirq *op = arg;
	bool is_new = c->fd_in >= 0;
	int pirq = is_new ? -1 : (int)op->pirq;
	evtchn_port_t port;
	int err = 0;

	if (is_new)
		err = pirq_map(c->core, c->conn, &c->fd_in, true, &pirq);
	if (err)
		return err;
	err = evtchn_bind_pirq(c->domain, c->conn, (unsigned)pirq, &port);
	if (err)
		goto unmap_pirq;
	err = pirq_bind(c->core, c->conn, pirq, port);
	if (err)
		goto close_port;
	op->pirq = (uint32_t)pirq;
	op->port = port;
	return 0;
close_port:
	/* The port never had the pirq: closing it must not take it from the port that has. */
	evtchn_find(c->domain, port)->state = EVTCHNSTAT_ipi;
	evtchn_close(c->domain, evtchn_find(c->domain, port));
unmap_pirq:
	if (is_new)
		pirq_unmap(c->core, c->conn, pirq);
	return err;
}

static long close_port(struct caller *c, void *arg)
{
	struct evtchn_close *op = arg;
	struct evtchn *e = own_port(c, op->port);

	if (!e)
		return -EINVAL;
	evtchn_close(c->domain, e);
	return 0;
}

static long send(struct caller *c, void *arg)
{
	struct evtchn_send *op = arg;
	struct evtchn *e = own_port(c, op->port);

	return e ? evtchn_notify(c->domain, e) : -EINVAL;
}

static long status(struct caller *c, void *arg)
{
	struct evtchn_status *op = arg;
	int err = 0;
	struct domain *d = caller_domain(c, op->dom, &err);
	struct evtchn *e;

	if (!d)
		return err;
	if (op->port >= d->ports.limit)
		return -EINVAL;
	e = evtchn_find(d, op->port);
	op->status = e ? e->state : EVTCHNSTAT_closed;
	op->vcpu = e ? e->vcpu : 0;
	if (!e)
		return 0;
	switch (e->state) {
	case EVTCHNSTAT_unbound:
		op->u.unbound.dom = e->remote_domid;
		break;
	case EVTCHNSTAT_interdomain:
		op->u.interdomain.dom = e->remote_domid;
		op->u.interdomain.port = e->remote_port;
		break;
	case EVTCHNSTAT_pirq:
		op->u.pirq = e->irq;
		break;
	case EVTCHNSTAT_virq:
		op->u.virq = e->irq;
		break;
	}
	return 0;
}

static long bind_vcpu(struct caller *c, void *arg)
{
	struct evtchn_bind_vcpu *op = arg;

	if (!own_port(c, op->port))
		return -EINVAL;
	return evtchn_bind_vcpu(c->domain, op->port, op->vcpu);
}

static long unmask(struct caller *c, void *arg)
{
	struct evtchn_unmask *op = arg;
	struct evtchn *e = own_port(c, op->port);

	if (!e)
		return -EINVAL;
	if (e->state == EVTCHNSTAT_pirq)
		return pirq_eoi(c->core, c->conn, (int)e->irq);
	if (!caller_is_dom0(c))
		evtchn_clear_mask(&c->domain->events, op->port);
	return 0;
}

static long reset(struct caller *c, void *arg)
{
	struct evtchn_reset *op = arg;
	int err = 0;
	struct domain *d = caller_domain(c, op->dom, &err);

	if (!d)
		return err;
	if (domain_is_dom0(d))
		evtchn_close_owned(c->conn);
	else
		evtchn_close_all(d);
	return 0;
}

static const struct hypercall_op ops[] = {
	{EVTCHNOP_bind_interdomain, sizeof(struct evtchn_bind_interdomain), HYPERCALL_ANY, true, bind_interdomain},
	{EVTCHNOP_bind_virq, sizeof(struct evtchn_bind_virq), HYPERCALL_ANY, true, bind_virq},
	{EVTCHNOP_bind_pirq, sizeof(struct evtchn_bind_pirq), HYPERCALL_DOM0, true, bind_pirq},
	{EVTCHNOP_close, sizeof(struct evtchn_close), HYPERCALL_ANY, false, close_port},
	{EVTCHNOP_send, sizeof(struct evtchn_send), HYPERCALL_ANY, false, send},
	{EVTCHNOP_status, sizeof(struct evtchn_status), HYPERCALL_ANY, true, status},
	{EVTCHNOP_alloc_unbound, sizeof(struct evtchn_alloc_unbound), HYPERCALL_ANY, true, alloc_unbound},
	{EVTCHNOP_bind_ipi, sizeof(struct evtchn_bind_ipi), HYPERCALL_ANY, true, bind_ipi},
	{EVTCHNOP_bind_vcpu, sizeof(struct evtchn_bind_vcpu), HYPERCALL_ANY, false, bind_vcpu},
	{EVTCHNOP_unmask, sizeof(struct evtchn_unmask), HYPERCALL_ANY, false, unmask},
	{EVTCHNOP_reset, sizeof(struct evtchn_reset), HYPERCALL_ANY, false, reset},
};

const struct hypercall_ops evtchn_hypercalls = {ops, sizeof(ops) / sizeof(ops[0])};
