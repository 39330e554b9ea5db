/*
 * hv/evtchn.c - the table of ports and what may become of each.
 */
#include "hv/evtchn.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/uio.h>
#include <unistd.h>

#include "hv/conn.h"
#include "hv/core.h"
#include "hv/domain.h"
#include "hv/loop.h"
#include "hv/pirq.h"
#include "rings/atomics.h"

static struct evtchn *slot(struct domain *d, evtchn_port_t port)
{
	struct evtchn *chunk = d->ports.chunk[port / EVTCHN_CHUNK_PORTS];

	return chunk ? &chunk[port % EVTCHN_CHUNK_PORTS] : NULL;
}

struct evtchn *evtchn_find(struct domain *d, evtchn_port_t port)
{
	struct evtchn *e;

	if (!port || port >= d->ports.limit)
		return NULL;
	e = slot(d, port);
	return e && e->state != EVTCHNSTAT_closed ? e : NULL;
}

static int chunk_create(struct domain *d, unsigned nr)
{
	struct evtchn *chunk = calloc(EVTCHN_CHUNK_PORTS, sizeof(*chunk));

	if (!chunk)
		return -ENOMEM;
	for (unsigned i = 0; i < EVTCHN_CHUNK_PORTS; i++) {
		chunk[i].port = nr * EVTCHN_CHUNK_PORTS + i;
		chunk[i].fd = -1;
	}
	d->ports.chunk[nr] = chunk;
	return 0;
}

/* A free port, still closed. Domain-0's gets its eventfd; so does a guest's when wants_fd. */
static int take_free(struct domain *d, struct conn *owner, bool wants_fd, struct evtchn **out)
{
	struct evtchn *e = NULL;
	unsigned port;

	for (port = d->ports.hint ? d->ports.hint : 1; port < d->ports.limit; port++) {
		if (!d->ports.chunk[port / EVTCHN_CHUNK_PORTS] && chunk_create(d, port / EVTCHN_CHUNK_PORTS))
			return -ENOMEM;
		e = slot(d, port);
		if (e->state == EVTCHNSTAT_closed)
			break;
	}
	if (port >= d->ports.limit)
		return -ENOSPC;
	if (wants_fd) {
		e->fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
		if (e->fd < 0)
			return -errno;
	}
	d->ports.hint = port + 1;
	e->vcpu = 0;
	e->irq = 0;
	e->remote_port = 0;
	e->owner = owner;
	if (owner) {
		e->next = owner->ports;
		e->pprev = &owner->ports;
		if (e->next)
			e->next->pprev = &e->next;
		owner->ports = e;
	}
	if (!domain_is_dom0(d))
		store_relaxed(&d->private_sh->port_vcpu[port], 0);
	*out = e;
	return 0;
}

/* The reverse of take_free. Nobody may be bound to it any more. */
static void give_back(struct domain *d, struct evtchn *e)
{
	loop_remove(e->source);
	e->source = NULL;
	e->event = NULL;
	if (e->fd >= 0)
		close(e->fd);
	e->fd = -1;
	if (e->pprev) {
		*e->pprev = e->next;
		if (e->next)
			e->next->pprev = e->pprev;
	}
	e->owner = NULL;
	e->pprev = NULL;
	e->next = NULL;
	e->state = EVTCHNSTAT_closed;
	if (e->port < d->ports.hint)
		d->ports.hint = e->port;
	/* A new user of the port must not find the old one's event. */
	if (!domain_is_dom0(d)) {
		evtchn_take_one(&d->events, e->port);
		evtchn_clear_mask(&d->events, e->port);
	}
}

int evtchn_alloc_unbound(struct domain *d, struct conn *owner, domid_t remote, evtchn_port_t *port)
{
	struct evtchn *e;
	int err;

	if (remote != 0 && !core_domain(d->core, remote))
		return -ESRCH;
	err = take_free(d, owner, domain_is_dom0(d) || remote == 0, &e);
	if (err)
		return err;
	e->remote_domid = remote;
	e->state = EVTCHNSTAT_unbound;
	*port = e->port;
	return 0;
}

/* The right to send across the channel: one eventfd, a duplicate at each end. Guest to guest has none. */
static int share_fd(struct domain *d, struct evtchn *e, struct domain *rd, struct evtchn *r)
{
	int fd;

	if (domain_is_dom0(d) == domain_is_dom0(rd))
		return 0; /* both in Domain-0: each has its own; both guests: none */
	fd = fcntl(r->fd, F_DUPFD_CLOEXEC, 0);
	if (fd < 0)
		return -errno;
	if (e->fd >= 0)
		close(e->fd);
	e->fd = fd;
	return 0;
}

int evtchn_bind_interdomain(struct domain *d, struct conn *owner, domid_t remote, evtchn_port_t remote_port, evtchn_port_t *port)
{
	struct domain *rd = core_domain(d->core, remote);
	struct evtchn *e, *r;
	int err;

	if (!rd || rd->stage != DOMAIN_ALIVE)
		return -ESRCH;
	r = evtchn_find(rd, remote_port);
	if (!r || r->state != EVTCHNSTAT_unbound || r->remote_domid != d->domid)
		return -EINVAL;
	err = take_free(d, owner, domain_is_dom0(d) && domain_is_dom0(rd), &e);
	if (err)
		return err;
	err = share_fd(d, e, rd, r);
	if (err) {
		give_back(d, e);
		return err;
	}
	e->state = r->state = EVTCHNSTAT_interdomain;
	e->remote_domid = rd->domid;
	e->remote_port = r->port;
	r->remote_port = e->port;
	if (owner && !domain_is_dom0(rd))
		owner->has_served = true;
	/* What was sent while the port was unbound may have been lost: the binder looks once. */
	evtchn_raise(d, e);
	*port = e->port;
	return 0;
}

static struct evtchn *find_virq(struct domain *d, const struct conn *owner, unsigned virq, unsigned vcpu)
{
	for (unsigned port = 1; port < d->ports.limit; port++) {
		struct evtchn *e;

		if (!d->ports.chunk[port / EVTCHN_CHUNK_PORTS]) {
			port |= EVTCHN_CHUNK_PORTS - 1;
			continue;
		}
		e = slot(d, port);
		if (e->state == EVTCHNSTAT_virq && e->irq == virq && e->vcpu == vcpu && e->owner == owner)
			return e;
	}
	return NULL;
}

int evtchn_bind_virq(struct domain *d, struct conn *owner, unsigned virq, unsigned vcpu, evtchn_port_t *port)
{
	bool is_dom0 = domain_is_dom0(d);
	struct evtchn *e;
	int err;

	if (virq >= NR_VIRQS)
		return -EINVAL;
	if (vcpu >= d->nr_vcpus)
		return -ENOENT;
	/* The others are the host's: only Domain-0 hears of them. */
	if (!is_dom0 && virq != VIRQ_TIMER && virq != VIRQ_DEBUG)
		return -EPERM;
	/* Each Domain-0 connection may listen: it is to the others what a vcpu is under Xen. */
	if (find_virq(d, owner, virq, vcpu))
		return -EEXIST;
	err = take_free(d, owner, is_dom0, &e);
	if (err)
		return err;
	e->state = EVTCHNSTAT_virq;
	e->irq = virq;
	e->vcpu = (uint8_t)vcpu;
	if (!is_dom0)
		store_relaxed(&d->private_sh->port_vcpu[e->port], (uint8_t)vcpu);
	*port = e->port;
	return 0;
}

int evtchn_bind_ipi(struct domain *d, struct conn *owner, unsigned vcpu, evtchn_port_t *port)
{
	struct evtchn *e;
	int err;

	if (vcpu >= d->nr_vcpus)
		return -ENOENT;
	err = take_free(d, owner, domain_is_dom0(d), &e);
	if (err)
		return err;
	e->state = EVTCHNSTAT_ipi;
	e->vcpu = (uint8_t)vcpu;
	if (!domain_is_dom0(d))
		store_relaxed(&d->private_sh->port_vcpu[e->port], (uint8_t)vcpu);
	*port = e->port;
	return 0;
}

int evtchn_bind_pirq(struct domain *d, struct conn *owner, unsigned pirq, evtchn_port_t *port)
{
	struct evtchn *e;
	int err = take_free(d, owner, true, &e);

	if (err)
		return err;
	e->state = EVTCHNSTAT_pirq;
	e->irq = pirq;
	*port = e->port;
	return 0;
}

int evtchn_bind_vcpu(struct domain *d, evtchn_port_t port, unsigned vcpu)
{
	struct evtchn *e = evtchn_find(d, port);

	if (vcpu >= d->nr_vcpus)
		return -ENOENT;
	/* A per-vcpu source stays where it was bound. */
	if (!e || e->state == EVTCHNSTAT_ipi || e->state == EVTCHNSTAT_virq)
		return -EINVAL;
	e->vcpu = (uint8_t)vcpu;
	if (domain_is_dom0(d))
		return 0;
	store_release(&d->private_sh->port_vcpu[port], (uint8_t)vcpu); /* pairs with evtchn_send's look at port_vcpu */
	/* An event that told the old vcpu tells the new one as well. */
	if (evtchn_is_pending(&d->events, port))
		evtchn_kick(&d->events, port);
	return 0;
}

void evtchn_close(struct domain *d, struct evtchn *e)
{
	if (e->state == EVTCHNSTAT_interdomain) {
		struct domain *rd = core_domain(d->core, e->remote_domid);
		struct evtchn *r = rd ? evtchn_find(rd, e->remote_port) : NULL;

		if (r && r->state == EVTCHNSTAT_interdomain && r->remote_domid == d->domid && r->remote_port == e->port) {
			r->state = EVTCHNSTAT_unbound;
			r->remote_port = 0;
		}
	}
	if (e->state == EVTCHNSTAT_pirq)
		pirq_unbind(d->core, e->irq);
	give_back(d, e);
}

void evtchn_close_all(struct domain *d)
{
	for (unsigned port = 1; port < d->ports.limit; port++) {
		struct evtchn *e;

		if (!d->ports.chunk[port / EVTCHN_CHUNK_PORTS]) {
			port |= EVTCHN_CHUNK_PORTS - 1;
			continue;
		}
		e = slot(d, port);
		if (e->state != EVTCHNSTAT_closed)
			evtchn_close(d, e);
	}
}

void evtchn_close_owned(struct conn *owner)
{
	while (owner->ports)
		evtchn_close(owner->domain, owner->ports);
}

void evtchn_finish(struct domain *d)
{
	evtchn_close_all(d);
	for (unsigned i = 0; i < EVTCHN_CHUNKS; i++) {
		free(d->ports.chunk[i]);
		d->ports.chunk[i] = NULL;
	}
}

static void write_eventfd(int fd)
{
	uint64_t one = 1;
	ssize_t n = write(fd, &one, sizeof(one));

	(void)n; /* a full counter is readable, which is all that counts */
}

void evtchn_raise(struct domain *d, struct evtchn *e)
{
	if (domain_is_dom0(d))
		write_eventfd(e->fd);
	else
		evtchn_send(&d->events, e->port);
}

int evtchn_notify(struct domain *d, struct evtchn *e)
{
	struct domain *rd;
	struct evtchn *r;

	switch (e->state) {
	case EVTCHNSTAT_interdomain:
		rd = core_domain(d->core, e->remote_domid);
		r = rd ? evtchn_find(rd, e->remote_port) : NULL;
		if (r)
			evtchn_raise(rd, r);
		return 0;
	case EVTCHNSTAT_ipi:
		evtchn_raise(d, e);
		return 0;
	case EVTCHNSTAT_unbound: /* nobody hears it, but whoever binds will */
		if (!domain_is_dom0(d) && e->fd >= 0)
			write_eventfd(e->fd);
		return 0;
	default:
		return -EINVAL;
	}
}

void evtchn_raise_virq(struct domain *d, unsigned virq, unsigned vcpu)
{
	for (unsigned port = 1; port < d->ports.limit; port++) {
		struct evtchn *e;

		if (!d->ports.chunk[port / EVTCHN_CHUNK_PORTS]) {
			port |= EVTCHN_CHUNK_PORTS - 1;
			continue;
		}
		e = slot(d, port);
		if (e->state == EVTCHNSTAT_virq && e->irq == virq && (domain_is_dom0(d) || e->vcpu == vcpu))
			evtchn_raise(d, e);
	}
}

/*
 * Clears the count without ever sleeping: a guest that holds a duplicate could have emptied it first, or have made the open
 * file blocking, so O_NONBLOCK is not relied on.
 */
static void core_event(void *arg, uint32_t events)
{
	struct evtchn *e = arg;
	uint64_t count;
	struct iovec iov = {&count, sizeof(count)};

	if (preadv2(e->fd, &iov, 1, -1, RWF_NOWAIT) < 0)
		return;
	e->event(e->event_arg);
}

int evtchn_bind_core(struct core *core, domid_t remote, evtchn_port_t remote_port, void (*event)(void *arg), void *arg,
		     evtchn_port_t *port)
{
	struct domain *dom0 = core_domain(core, 0);
	struct evtchn *e;
	evtchn_port_t local;
	int err = evtchn_bind_interdomain(dom0, NULL, remote, remote_port, &local);

	if (err)
		return err;
	e = evtchn_find(dom0, local);
	e->event = event;
	e->event_arg = arg;
	e->source = loop_add_fd(core->loop, e->fd, EPOLLIN, core_event, e);
	if (!e->source) {
		err = -errno;
		evtchn_close(dom0, e);
		return err;
	}
	*port = local;
	return 0;
}
