/*
 * hv/evtchn.h - the core's event channels: who may send to whom.
 *
 *                          a guest's port                         a Domain-0 port
 *      state               here                                   here
 *      an event is         a bit in its shared info               a count in an eventfd of its own, kept here
 *      the other end's     (guest remote)   EVTCHNOP_send         (guest remote)   writes the guest's shared info
 *      right to send       (Domain-0)       holds that eventfd    (Domain-0)       EVTCHNOP_send
 *
 * A guest's port that Domain-0 may bind has its eventfd from the start: what is sent before the bind is not lost. Both ends
 * hold a duplicate, so that either can go first; a port whose other end went is unbound again and can be bound anew.
 * A Domain-0 port belongs to one connection (and ends with it) or to the core itself, which watches its eventfd.
 *
 * Trusts   no port, vcpu or domain number.
 * Runs in  the core's thread.
 * Fails    as the hypercalls do under Xen: -EINVAL, -EEXIST, -ENOENT, -ESRCH, -EPERM, -ENOSPC.
 * Spec     xen/event_channel.h.
 */
#ifndef SLUICE_HV_EVTCHN_H
#define SLUICE_HV_EVTCHN_H

#include "hv/evtchn_send.h"
#include "hv/local_abi.h"

struct conn;
struct core;
struct domain;
struct loop_source;

#define EVTCHN_CHUNK_PORTS 256u
#define EVTCHN_CHUNKS (LOCAL_MAX_DOM0_PORTS / EVTCHN_CHUNK_PORTS)

struct evtchn {
	evtchn_port_t port;
	evtchn_port_t remote_port; /* EVTCHNSTAT_interdomain */
	domid_t remote_domid;      /* EVTCHNSTAT_unbound: who may bind */
	uint8_t state;             /* EVTCHNSTAT_* */
	uint8_t vcpu;
	unsigned irq; /* EVTCHNSTAT_virq, _pirq */
	int fd;       /* see above; -1: none */
	struct conn *owner;               /* Domain-0: NULL is the core */
	struct evtchn *next, **pprev;     /* the owner's ports */
	struct loop_source *source;       /* the core's own */
	void (*event)(void *arg);
	void *event_arg;
};

struct evtchn_table {
	struct evtchn *chunk[EVTCHN_CHUNKS]; /* an evtchn never moves */
	unsigned limit;                      /* ports are 1..limit-1 */
	unsigned hint;                       /* no free port below it */
};

/* The port in that state, or NULL. */
struct evtchn *evtchn_find(struct domain *d, evtchn_port_t port);

/* owner: the Domain-0 connection when d is Domain-0, else NULL. */
int evtchn_alloc_unbound(struct domain *d, struct conn *owner, domid_t remote, evtchn_port_t *port);
int evtchn_bind_interdomain(struct domain *d, struct conn *owner, domid_t remote, evtchn_port_t remote_port, evtchn_port_t *port);
int evtchn_bind_virq(struct domain *d, struct conn *owner, unsigned virq, unsigned vcpu, evtchn_port_t *port);
int evtchn_bind_ipi(struct domain *d, struct conn *owner, unsigned vcpu, evtchn_port_t *port);
int evtchn_bind_pirq(struct domain *d, struct conn *owner, unsigned pirq, evtchn_port_t *port);
int evtchn_bind_vcpu(struct domain *d, evtchn_port_t port, unsigned vcpu);
void evtchn_close(struct domain *d, struct evtchn *e);
/* All ports of a domain (a guest), or of one Domain-0 connection. */
void evtchn_close_all(struct domain *d);
void evtchn_close_owned(struct conn *owner);
/* Frees the table; every port is closed. */
void evtchn_finish(struct domain *d);

/* Sends from that port to the other end: EVTCHNOP_send. */
int evtchn_notify(struct domain *d, struct evtchn *e);
/* Makes the port itself pending: for virqs, ipis and the other end's sends. */
void evtchn_raise(struct domain *d, struct evtchn *e);
/* Raises a virtual irq: in Domain-0 for every connection that bound it, in a guest for that vcpu's. */
void evtchn_raise_virq(struct domain *d, unsigned virq, unsigned vcpu);

/*
 * The core itself becomes the other end of a guest's port that was left unbound for Domain-0: event(arg) runs for each
 * wake-up, from the loop. *port is the Domain-0 port, to notify from and to close.
 */
int evtchn_bind_core(struct core *core, domid_t remote, evtchn_port_t remote_port, void (*event)(void *arg), void *arg,
		     evtchn_port_t *port);

#endif
