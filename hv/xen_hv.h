/*
 * hv/xen_hv.h - this process in a domain of the real Xen, through libxengnttab, libxenevtchn and libxenstore.
 *
 *      a back end (Domain-0)                     a front end (any domain)
 *      each peer: a gntdev handle                gntalloc: shared pages
 *      each port: an evtchn handle, an fd        one evtchn handle, in one epoll fd with the store's events
 *
 * A map costs an ioctl, an mmap and the hypercall below them; so does an unmap, and gntdev takes back only whole maps. Copies go a
 * batch in one ioctl.
 */
#ifndef SLUICE_HV_XEN_HV_H
#define SLUICE_HV_XEN_HV_H

#include <xenevtchn.h>
#include <xengnttab.h>

#include "hv/hv_ops.h"
#include "hv/platform.h"
#include "hv/port_table.h"

#define XEN_PEER_BUCKETS 64u
/* Grants in one map at most: they are let go together, and a grant that the guest wants back should not wait for many others. */
#define XEN_MAP_MAX 64u
#define XEN_COPY_MAX 512u /* segments in one ioctl */

/* One port, with the handle that its events come through: its own, or the one that all of a guest's ports share. */
struct xen_port {
	xenevtchn_handle *xce;
	evtchn_port_t port;
	int fd;
};

struct xen_hv {
	struct hv hv; /* first */
	xengntshr_handle *shr;           /* guest */
	xenevtchn_handle *shared_events; /* guest: of all ports */
	int epoll_fd;                    /* guest: the shared events and the store's */
	char *store_path;
	char run_dir[108];
	struct port_table ports;         /* of struct xen_port */
	struct hv_counters counters;     /* atomic */
	pthread_mutex_t lock;            /* peers, when they come and go; claims */
	struct xen_peer *peers[XEN_PEER_BUCKETS];
	struct xen_claim *claims;
	unsigned is_quota_told;          /* atomic */
};

/* Pages that were mapped together, and go together. */
struct xen_group {
	uint8_t *base;
	uint32_t nr;
	uint32_t nr_used; /* handles that are still out */
};

struct xen_ring {
	struct xen_ring *next;
	void *base;
	unsigned nr;
};

#define XEN_NO_SLOT UINT32_MAX

/* A handle's slot. */
struct xen_slot {
	struct xen_group *group; /* NULL: free */
	uint32_t next_free;
};

struct xen_peer {
	struct hv_peer peer; /* first */
	struct xen_peer *next;
	unsigned refs;
	xengnttab_handle *gnt;
	pthread_mutex_t lock; /* slots and rings */
	struct xen_slot *slots;
	uint32_t nr_slots;
	uint32_t first_free;
	struct xen_ring *rings;
};

static inline struct xen_hv *xen_hv_of(const struct hv *hv)
{
	return (struct xen_hv *)hv;
}

static inline struct xen_peer *xen_peer_of(const struct hv_peer *peer)
{
	return (struct xen_peer *)peer;
}

static inline void xen_count(uint64_t *counter, uint64_t n)
{
	fetch_add_relaxed(counter, n);
}

/* The libraries would print on stderr; what went wrong comes back in errno, and here they find nobody to tell. */
extern struct xentoollog_logger xen_silence;

/* xen_ports.c */
int xen_alloc_unbound(struct hv *hv, domid_t remote, evtchn_port_t *port);
int xen_bind_interdomain(struct hv *hv, domid_t remote, evtchn_port_t remote_port, evtchn_port_t *port);
int xen_bind_virq(struct hv *hv, unsigned virq, evtchn_port_t *port);
int xen_evtchn_close(struct hv *hv, evtchn_port_t port);
int xen_unmask(struct hv *hv, evtchn_port_t port);
bool xen_pending(struct hv *hv, evtchn_port_t port);
int xen_event_fd(struct hv *hv, evtchn_port_t port);
void xen_ports_finish(struct xen_hv *x);

/* xen_peer.c */
int xen_peer_open(struct hv *hv, domid_t domid, struct hv_peer **out);
void xen_peer_close(struct hv_peer *peer);
int xen_peer_map_ring(struct hv_peer *peer, const grant_ref_t refs[], unsigned nr, void **ring);
void xen_peer_unmap_ring(struct hv_peer *peer, void *ring);
unsigned xen_peer_ram(const struct hv_peer *peer, struct iovec ram[GATE_MAX_EXTENTS]);
/* Lets go of every peer, however often it was opened. */
void xen_peers_finish(struct xen_hv *x);

/* xen_map.c */
unsigned xen_peer_map(struct hv_peer *peer, struct hv_map_op ops[], unsigned n);
unsigned xen_peer_unmap(struct hv_peer *peer, const grant_handle_t handles[], unsigned n);
/* Which of at most XEN_MAP_MAX refs are no good, and why: a GNTST_* for each, from a copy of one byte. Returns how many are bad. */
unsigned xen_probe(struct xen_peer *p, const grant_ref_t refs[], unsigned n, int16_t status[]);
/* Why refs that can all be read cannot be mapped together: err is errno of the attempt. */
int16_t xen_why_not_mapped(struct xen_peer *p, const grant_ref_t refs[], unsigned n, bool readonly, int err);
void xen_slots_finish(struct xen_peer *p);

/* xen_share.c */
int xen_share(struct hv *hv, domid_t peer, unsigned nr, bool readonly, grant_ref_t refs[], void **pages);
int xen_share_life(struct hv *hv, domid_t peer, evtchn_port_t port, grant_ref_t *ref, void **page);
void xen_unshare(struct hv *hv, void *pages, unsigned nr, const grant_ref_t refs[]);

/* xen_hot.c */
void xen_notify(struct hv *hv, evtchn_port_t port);
unsigned xen_event_take(struct hv *hv, int fd, evtchn_port_t ports[], unsigned max);
unsigned xen_peer_copy(struct hv_peer *peer, struct grant_copy_op ops[], unsigned n);

#endif
