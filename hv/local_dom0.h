/*
 * hv/local_dom0.h - this process as a part of the local Domain-0.
 */
#ifndef SLUICE_HV_LOCAL_DOM0_H
#define SLUICE_HV_LOCAL_DOM0_H

#include "hv/hv_ops.h"
#include "hv/local_domain.h"
#include "hv/port_table.h"

struct local_peer;

/* One of this process's event channel ports. */
struct local_port {
	evtchn_port_t port;
	evtchn_port_t remote_port;
	int fd;                              /* readable when an event came */
	const struct evtchn_domain *remote;  /* the other end's, when it is a guest; NULL: send through the core */
	struct hv_peer *peer;                /* keeps remote alive */
};

/* A ring mapped from several pages. */
struct local_ring {
	struct local_ring *next;
	void *base;
	unsigned nr;
	bool is_remapped; /* base is a mapping of its own, not the peer's extent */
	grant_handle_t handles[];
};

struct local_peer {
	struct hv_peer peer; /* first */
	struct local_peer *next;
	unsigned refs;
	struct local_domain domain;
	struct evtchn_domain events; /* the peer's, as the sender */
	struct grant_peer granter;
	struct local_ring *rings;
};

#define LOCAL_PEER_BUCKETS 256u

struct local_dom0 {
	struct hv hv; /* first */
	struct local_link link;
	void *arg_map;
	struct grant_maptrack *maptrack;
	pthread_mutex_t lock; /* peers and rings, when they come and go */
	struct local_peer *peers[LOCAL_PEER_BUCKETS]; /* by domid */
	struct port_table ports; /* of struct local_port */
	void (*notify_slowly)(struct local_dom0 *d, evtchn_port_t port);
	char run_dir[108];
};

static inline struct local_dom0 *local_dom0_of(struct hv *hv)
{
	return (struct local_dom0 *)hv;
}

/* local_dom0.c: hv_open_dom0 on this platform. */
int local_dom0_open(const struct hv_options *opt, struct hv **out);

/* local_ports.c */
int local_dom0_alloc_unbound(struct hv *hv, domid_t remote, evtchn_port_t *port);
int local_dom0_bind_interdomain(struct hv *hv, domid_t remote, evtchn_port_t remote_port, evtchn_port_t *port);
int local_dom0_bind_virq(struct hv *hv, unsigned virq, evtchn_port_t *port);
int local_dom0_bind_ipi(struct hv *hv, unsigned vcpu, evtchn_port_t *port);
int local_dom0_bind_pirq(struct hv *hv, int device_fd, evtchn_port_t *port);
int local_dom0_evtchn_close(struct hv *hv, evtchn_port_t port);
int local_dom0_unmask(struct hv *hv, evtchn_port_t port);
bool local_dom0_pending(struct hv *hv, evtchn_port_t port);
int local_dom0_event_fd(struct hv *hv, evtchn_port_t port);
void local_dom0_notify_slowly(struct local_dom0 *d, evtchn_port_t port);
/* Forgets all ports without telling the core, which hears the connection close. */
void local_ports_finish(struct local_dom0 *d);

/* local_peer.c */
int local_peer_open(struct hv *hv, domid_t domid, struct hv_peer **out);
void local_peer_close(struct hv_peer *peer);
int local_peer_map_ring(struct hv_peer *peer, const grant_ref_t refs[], unsigned nr, void **ring);
void local_peer_unmap_ring(struct hv_peer *peer, void *ring);
unsigned local_peer_ram(const struct hv_peer *peer, struct iovec ram[GATE_MAX_EXTENTS]);
const uint32_t *local_peer_ram_epoch(const struct hv_peer *peer);
/* Lets go of every peer, however often it was opened. */
void local_peers_finish(struct local_dom0 *d);

/* local_hot.c */
void local_dom0_notify(struct hv *hv, evtchn_port_t port);
unsigned local_dom0_event_take(struct hv *hv, int fd, evtchn_port_t ports[], unsigned max);
unsigned local_peer_map(struct hv_peer *peer, struct hv_map_op ops[], unsigned n);
unsigned local_peer_unmap(struct hv_peer *peer, const grant_handle_t handles[], unsigned n);
unsigned local_peer_copy(struct hv_peer *peer, struct grant_copy_op ops[], unsigned n);

#endif
