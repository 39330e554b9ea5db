/*
 * hv/hv.h - what a driver may ask of a hypervisor. All that floor 3 knows of one.
 *
 *      front end (a guest)                      back end (a Domain-0 process)
 *      hv_pages_alloc, hv_share, hv_grants      hv_peer_open, hv_peer_map_ring, hv_peer_map / copy
 *      hv_evtchn_alloc_unbound                  hv_evtchn_bind_interdomain
 *                  hv_event_fd, hv_event_take, hv_notify, hv_store
 *
 * Platforms stand behind struct hv_ops: local (sluiced's domains) and xen. Batches cross this interface, single packets do
 * not; hv_map_is_cheap tells a driver whether a map costs a table look-up or a hypercall.
 *
 * Runs in  any thread unless a function says otherwise. Functions marked [hot] allocate nothing, lock nothing, and enter
 *          the kernel only to wake.
 * Fails    0 or a count, negative errno otherwise, outputs untouched.
 */
#ifndef SLUICE_HV_HV_H
#define SLUICE_HV_HV_H

#include <sys/uio.h>

#include "grant/grant_copy.h"
#include "grant/grant_map.h"
#include "grant/grant_table.h"
#include "rings/types.h"

struct hv;
struct hv_peer;
struct store_client;

#define HV_WHY_BYTES 256

struct hv_options {
	const char *platform; /* "local", "xen"; NULL: xen in a domain of Xen, unless run_dir or attach is given; else local */
	const char *run_dir;  /* local: where sluiced's sockets are; xen: made if need be; NULL: $SLUICE_RUN_DIR, else /run/sluice */
	const char *attach;   /* hv_open_guest: name of the created, still empty domain to become; NULL: we were spawned as one (fd 3) */
	char *why;            /* HV_WHY_BYTES, or NULL: an open that fails leaves one sentence here, with the remedy */
};

/*
 * Connects this process as part of Domain-0. -ENOENT, -ECONNREFUSED: no sluiced, or no xenstored; -EACCES: not allowed; -ENOTSUP: no
 * such platform; -ENODEV: not under Xen.
 */
int hv_open_dom0(const struct hv_options *opt, struct hv **out);
/*
 * Connects this process as a guest domain. -ESRCH: no such domain; -EBUSY: the domain runs already. Under Xen it is the domain
 * that the process runs in, Domain-0 too.
 */
int hv_open_guest(const struct hv_options *opt, struct hv **out);
/* Closes all that was opened through it; every mapped pointer is void afterwards. NULL is taken. */
void hv_close(struct hv *hv);

domid_t hv_domid(const struct hv *hv);
/* "local" or "xen". */
const char *hv_platform(const struct hv *hv);
/* false: a map is a hypercall and a change of page tables. A data path then copies in batches, or keeps pages mapped. */
bool hv_map_is_cheap(const struct hv *hv);
/*
 * A back end that stops leaves its devices Connected in the store, and the next one takes their rings over (local: in time,
 * hv/orphan.h).
 */
bool hv_keeps_devices(const struct hv *hv);
/* Readable (EOF) when the hypervisor is gone or has destroyed this domain: then only hv_close is left to do. */
int hv_lost_fd(const struct hv *hv);
/* Sockets, and what a back end keeps for the next one. */
const char *hv_run_dir(const struct hv *hv);

/* How often this process had to ask the hypervisor for something, since it was opened; the sum over all threads. */
struct hv_counters {
	uint64_t map_calls;     /* system calls, and */
	uint64_t map_refs;      /* the grants that they mapped */
	uint64_t unmap_calls;
	uint64_t unmap_refs;
	uint64_t copy_calls;
	uint64_t copy_segments;
	uint64_t notifies;
	uint64_t events;
};

/* -EOPNOTSUPP: the platform asks nobody (local: its data path has no hypercalls to count). */
int hv_counters(const struct hv *hv, struct hv_counters *out);

/* A hypercall with Xen's number. arg, of bytes bytes, is copied in and out through the caller's argument area; NULL when there is none. */
long hv_hypercall(struct hv *hv, unsigned nr, uint64_t cmd, void *arg, size_t bytes);

/* This domain's store connection, opened at first use; the hv's to close. One thread at a time. -errno in *err when NULL. */
struct store_client *hv_store(struct hv *hv, int *err);

/* ---- own memory and grants: front ends ------------------------------------------------------------------------ */

/* nr pages of own RAM, contiguous here and in frame numbers, zeroed. -ENOMEM. */
int hv_pages_alloc(struct hv *hv, unsigned nr, void **pages);
void hv_pages_free(struct hv *hv, void *pages, unsigned nr);
/* The frame number to put into a grant for the page at p; UINT32_MAX: no page of this domain's own RAM. */
uint32_t hv_frame_of(struct hv *hv, const void *p);
/* This domain's grant table, for granting pages of one's own choice one by one. NULL on platforms that cannot (Xen user space). */
struct grant_table *hv_grants(struct hv *hv);

/* Allocates nr pages (contiguous here) and grants each to peer for as long as they live: rings, staging buffers. refs[nr] is filled. */
int hv_share(struct hv *hv, domid_t peer, unsigned nr, bool readonly, grant_ref_t refs[], void **pages);
/*
 * A page granted to peer (hv_unshare ends it). When it goes, because this process ended, however it did, or by hv_unshare, its first byte
 * becomes 0 and port sends an event. -EOPNOTSUPP: the platform (local) tells of a guest's end by itself.
 */
int hv_share_life(struct hv *hv, domid_t peer, evtchn_port_t port, grant_ref_t *ref, void **page);
/* Ends the grants and frees the pages; what the peer still holds is freed when it lets go, never before. */
void hv_unshare(struct hv *hv, void *pages, unsigned nr, const grant_ref_t refs[]);

/* ---- event channels -------------------------------------------------------------------------------------------- */

int hv_evtchn_alloc_unbound(struct hv *hv, domid_t remote, evtchn_port_t *port);
int hv_evtchn_bind_interdomain(struct hv *hv, domid_t remote, evtchn_port_t remote_port, evtchn_port_t *port);
int hv_evtchn_bind_virq(struct hv *hv, unsigned virq, evtchn_port_t *port);
int hv_evtchn_bind_ipi(struct hv *hv, unsigned vcpu, evtchn_port_t *port);
/* Domain-0: events from a physical device's fd, level-triggered; after each event hv_evtchn_unmask asks for the next. */
int hv_evtchn_bind_pirq(struct hv *hv, int device_fd, evtchn_port_t *port);
/* Guest: which vcpu's fd the port's events arrive on (0 at first). */
int hv_evtchn_bind_vcpu(struct hv *hv, evtchn_port_t port, unsigned vcpu);
int hv_evtchn_close(struct hv *hv, evtchn_port_t port);

/* Wakes the other end.   [hot] */
void hv_notify(struct hv *hv, evtchn_port_t port);

/*
 * The fd to poll for this port: readable when an event came. In Domain-0 each port has its own; in a guest all ports of a
 * vcpu share one (under Xen, all ports do). The fd is the hv's.
 */
int hv_event_fd(struct hv *hv, evtchn_port_t port);
/*
 * The fd is readable: clears it and lists the ports that are pending, each cleared, at most max (then the fd stays
 * readable). Returns how many.   [hot]
 */
unsigned hv_event_take(struct hv *hv, int fd, evtchn_port_t ports[], unsigned max);
/* Masked ports collect one event and wake nobody. */
int hv_evtchn_mask(struct hv *hv, evtchn_port_t port);
int hv_evtchn_unmask(struct hv *hv, evtchn_port_t port);
/* Is an event waiting on this port? Takes nothing. */
bool hv_evtchn_pending(struct hv *hv, evtchn_port_t port);

/* ---- another domain's granted pages: back ends ------------------------------------------------------------------ */

/* One hv_peer per domain and hv, counted: a second open gives the same. -ESRCH: no such domain; -ENOSPC: it has 14 mappers. */
int hv_peer_open(struct hv *hv, domid_t domid, struct hv_peer **out);
void hv_peer_close(struct hv_peer *peer);
domid_t hv_peer_domid(const struct hv_peer *peer);

/*
 * Maps nr granted pages, writable, contiguous here: a ring. GNTST_* as -EINVAL (bad ref), -EACCES, -ENOSPC. The same pages
 * mapped twice may have one address; they are to be unmapped as often. -EOPNOTSUPP: a domain in huge pages whose ring is scattered.
 */
int hv_peer_map_ring(struct hv_peer *peer, const grant_ref_t refs[], unsigned nr, void **ring);
void hv_peer_unmap_ring(struct hv_peer *peer, void *ring);
/* What such an -errno means, for a device's error node. */
const char *hv_map_fault(int err);

struct hv_map_op {
	grant_ref_t ref;
	bool readonly;
	int16_t status; /* GNTST_* */
	grant_handle_t handle;
	void *page;
};

/*
 * Maps n pages, each on its own; returns how many failed; every status is written.   [hot]
 * Where a map is not cheap, what one call maps is let go together, when the last of its handles is unmapped: call it once for
 * what is given back together. (A front end may use a page again only when it is unmapped, and Linux's looks.)
 */
unsigned hv_peer_map(struct hv_peer *peer, struct hv_map_op ops[], unsigned n);
/* Unmaps n handles; returns how many were not ours.   [hot] */
unsigned hv_peer_unmap(struct hv_peer *peer, const grant_handle_t handles[], unsigned n);
/* Runs n checked copies; returns how many failed; every status is written.   [hot] */
unsigned hv_peer_copy(struct hv_peer *peer, struct grant_copy_op ops[], unsigned n);

/*
 * The peer's RAM as this process sees it, to register with io_uring or a device once; every pointer that hv_peer_map gives
 * lies in one of them. Returns how many (at most GATE_MAX_EXTENTS); 0 where the platform has no such view.
 * Valid while the peer is open. Never to be touched but through map and copy.
 */
unsigned hv_peer_ram(const struct hv_peer *peer, struct iovec ram[GATE_MAX_EXTENTS]);
/*
 * Changes whenever frames of that RAM were taken away (decrease_reservation): what was registered before may no longer be the
 * peer's memory, and must be registered anew. Read it with load_acquire. NULL where that cannot happen. Valid while the peer is open.
 */
const uint32_t *hv_peer_ram_epoch(const struct hv_peer *peer);

#endif
