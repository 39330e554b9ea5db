/*
 * hv/hv_ops.h - what a platform fills in to stand behind hv/hv.h.
 *
 * A platform's own struct begins with struct hv (and struct hv_peer). An operation that a kind of domain cannot have is NULL
 * and answered with -EOPNOTSUPP by hv.c; notify and event_take are always there, the peer_* ones where peer_open is.
 */
#ifndef SLUICE_HV_HV_OPS_H
#define SLUICE_HV_HV_OPS_H

#include <errno.h>

#include "hv/hv.h"

struct hv_ops {
	void (*close)(struct hv *hv);
	long (*hypercall)(struct hv *hv, unsigned nr, uint64_t cmd, void *arg, size_t bytes);
	int (*store_open)(struct hv *hv, struct store_client **out);
	void (*counters)(const struct hv *hv, struct hv_counters *out); /* may be NULL */
	/*
	 * Back ends of that device type, until this hv is closed: this one alone serves all of them, or it takes some beside others that do
	 * the same. -EBUSY. NULL for guests.
	 */
	int (*claim)(struct hv *hv, const char *type, bool takes_some);

	int (*pages_alloc)(struct hv *hv, unsigned nr, void **pages);
	void (*pages_free)(struct hv *hv, void *pages, unsigned nr);
	uint32_t (*frame_of)(struct hv *hv, const void *p);
	struct grant_table *(*grants)(struct hv *hv);
	int (*share)(struct hv *hv, domid_t peer, unsigned nr, bool readonly, grant_ref_t refs[], void **pages);
	int (*share_life)(struct hv *hv, domid_t peer, evtchn_port_t port, grant_ref_t *ref, void **page);
	void (*unshare)(struct hv *hv, void *pages, unsigned nr, const grant_ref_t refs[]);

	int (*evtchn_alloc_unbound)(struct hv *hv, domid_t remote, evtchn_port_t *port);
	int (*evtchn_bind_interdomain)(struct hv *hv, domid_t remote, evtchn_port_t remote_port, evtchn_port_t *port);
	int (*evtchn_bind_virq)(struct hv *hv, unsigned virq, evtchn_port_t *port);
	int (*evtchn_bind_ipi)(struct hv *hv, unsigned vcpu, evtchn_port_t *port);
	int (*evtchn_bind_pirq)(struct hv *hv, int device_fd, evtchn_port_t *port);
	int (*evtchn_bind_vcpu)(struct hv *hv, evtchn_port_t port, unsigned vcpu);
	int (*evtchn_close)(struct hv *hv, evtchn_port_t port);
	int (*evtchn_mask)(struct hv *hv, evtchn_port_t port);
	int (*evtchn_unmask)(struct hv *hv, evtchn_port_t port);
	bool (*evtchn_pending)(struct hv *hv, evtchn_port_t port);
	int (*event_fd)(struct hv *hv, evtchn_port_t port);
	void (*notify)(struct hv *hv, evtchn_port_t port);                                         /* hot */
	unsigned (*event_take)(struct hv *hv, int fd, evtchn_port_t ports[], unsigned max);        /* hot */

	int (*peer_open)(struct hv *hv, domid_t domid, struct hv_peer **out);
	void (*peer_close)(struct hv_peer *peer);
	int (*peer_map_ring)(struct hv_peer *peer, const grant_ref_t refs[], unsigned nr, void **ring);
	void (*peer_unmap_ring)(struct hv_peer *peer, void *ring);
	unsigned (*peer_map)(struct hv_peer *peer, struct hv_map_op ops[], unsigned n);            /* hot */
	unsigned (*peer_unmap)(struct hv_peer *peer, const grant_handle_t handles[], unsigned n);  /* hot */
	unsigned (*peer_copy)(struct hv_peer *peer, struct grant_copy_op ops[], unsigned n);       /* hot */
	unsigned (*peer_ram)(const struct hv_peer *peer, struct iovec ram[GATE_MAX_EXTENTS]);
	const uint32_t *(*peer_ram_epoch)(const struct hv_peer *peer); /* may be NULL */
};

struct hv {
	const struct hv_ops *ops;
	const char *platform;
	const char *run_dir;
	struct store_client *store; /* NULL until the first hv_store; the platform's close closes it */
	int lost_fd;
	domid_t domid;
	bool map_is_cheap;
	bool keeps_devices;
	bool has_error_tree; /* toolstacks look for errors below /local/domain/<n>/error, too */
};

struct hv_peer {
	struct hv *hv;
	domid_t domid;
};

/* What a map's GNTST_* is as -errno. */
static inline int hv_errno_of(int16_t status)
{
	switch (status) {
	case GNTST_permission_denied:
		return -EACCES;
	case GNTST_no_space:
		return -ENOSPC;
	default:
		return -EINVAL;
	}
}

#endif
