/*
 * hv/local_guest.h - this process as a local guest domain.
 */
#ifndef SLUICE_HV_LOCAL_GUEST_H
#define SLUICE_HV_LOCAL_GUEST_H

#include "hv/hv_ops.h"
#include "hv/local_domain.h"
#include "hv/local_pages.h"

#include <xen/hvm/params.h>

#define LOCAL_FIRST_FRAMES 2 /* frame 0, never used, and the argument page */

struct local_guest {
	struct hv hv; /* first */
	struct local_link link;
	struct local_domain domain;
	struct evtchn_domain events;          /* our own, as the taker */
	uint8_t port_vcpu[LOCAL_MAX_PORTS];   /* atomic */
	int notify_fd[LOCAL_MAX_PORTS];       /* atomic: -1 none; the fd that wakes the other end */
	void (*notify_slowly)(struct local_guest *g, evtchn_port_t port);
	struct local_pages pages;
	struct grant_table *grants;
	evtchn_port_t store_port;             /* atomic; 0: no store client yet */
	int store_fd;                         /* somebody else took the store's event: written for the store client */
	int store_epoll;                      /* what the store client waits on */
	char run_dir[108];
};

static inline struct local_guest *local_guest_of(struct hv *hv)
{
	return (struct local_guest *)hv;
}

/* local_guest.c: hv_open_guest on this platform. */
int local_guest_open(const struct hv_options *opt, struct hv **out);
/* A parameter that the toolstack set: xen/hvm/params.h. */
int local_guest_get_param(struct local_guest *g, unsigned param, uint64_t *value);

/* local_guest_event.c */
int local_guest_alloc_unbound(struct hv *hv, domid_t remote, evtchn_port_t *port);
int local_guest_bind_interdomain(struct hv *hv, domid_t remote, evtchn_port_t remote_port, evtchn_port_t *port);
int local_guest_bind_virq(struct hv *hv, unsigned virq, evtchn_port_t *port);
int local_guest_bind_ipi(struct hv *hv, unsigned vcpu, evtchn_port_t *port);
int local_guest_bind_vcpu(struct hv *hv, evtchn_port_t port, unsigned vcpu);
int local_guest_evtchn_close(struct hv *hv, evtchn_port_t port);
int local_guest_mask(struct hv *hv, evtchn_port_t port);
int local_guest_unmask(struct hv *hv, evtchn_port_t port);
bool local_guest_pending(struct hv *hv, evtchn_port_t port);
int local_guest_event_fd(struct hv *hv, evtchn_port_t port);
void local_guest_notify_slowly(struct local_guest *g, evtchn_port_t port);
/* A port that the toolstack made for us: fetches the fd to notify its other end. */
int local_guest_adopt_port(struct local_guest *g, evtchn_port_t port);
/* From now on the store's event can be waited for. The fds are closed by local_guest_unwatch_store, also after a failure. */
int local_guest_watch_store(struct local_guest *g, evtchn_port_t port);
void local_guest_unwatch_store(struct local_guest *g);
/* Waits for an event on the store's port and takes nobody else's. 1: it came; 0: time is up; -EPIPE: sluiced is gone. */
int local_guest_wait_store(struct local_guest *g, int timeout_ms);

/* local_guest_share.c */
int local_guest_share(struct hv *hv, domid_t peer, unsigned nr, bool readonly, grant_ref_t refs[], void **pages);
void local_guest_unshare(struct hv *hv, void *pages, unsigned nr, const grant_ref_t refs[]);

/* local_guest_store.c */
int local_guest_store_open(struct hv *hv, struct store_client **out);

/* local_hot.c */
void local_guest_notify(struct hv *hv, evtchn_port_t port);
unsigned local_guest_event_take(struct hv *hv, int fd, evtchn_port_t ports[], unsigned max);

#endif
