/*
 * hv/xen_hot.c - what the drivers call for each burst under Xen: notify, take events, copy.   [hot]
 *
 * One system call each: to send an event, to read one and to ask for the next, to copy a whole batch.
 *
 * Trusts   no offset or length of a copy: gntdev refuses a whole batch for one that is wrong, so those are left out here.
 * Runs in  any thread. No lock, no allocation.
 */
#include "hv/xen_hv.h"

void xen_notify(struct hv *hv, evtchn_port_t port)
{
	struct xen_hv *x = xen_hv_of(hv);
	struct xen_port *p = port_table_by_port(&x->ports, port);

	if (!p)
		return;
	xen_count(&x->counters.notifies, 1);
	xenevtchn_notify(p->xce, port);
}

/* The driver masks a port when its event comes; what comes until the caller has looked at its rings is seen there, or wakes it again. */
static bool take_one(struct xen_hv *x, xenevtchn_handle *xce, evtchn_port_t *port)
{
	xenevtchn_port_or_error_t got = xenevtchn_pending(xce); /* the fd does not block */

	if (got < 0)
		return false;
	*port = (evtchn_port_t)got;
	xenevtchn_unmask(xce, *port);
	xen_count(&x->counters.events, 1);
	return true;
}

unsigned xen_event_take(struct hv *hv, int fd, evtchn_port_t ports[], unsigned max)
{
	struct xen_hv *x = xen_hv_of(hv);
	struct xen_port *p;
	unsigned nr = 0;

	if (x->shared_events) {
		while (nr < max && take_one(x, x->shared_events, &ports[nr]))
			nr++;
		return nr;
	}
	p = port_table_by_fd(&x->ports, fd);
	return p && max && take_one(x, p->xce, ports) ? 1 : 0;
}

static bool is_in_page(const struct grant_copy_op *op)
{
	return op->offset <= PAGE_BYTES && op->len <= PAGE_BYTES - op->offset;
}

static void describe(xengnttab_grant_copy_segment_t *seg, const struct grant_copy_op *op, domid_t domid)
{
	union xengnttab_copy_ptr *theirs = op->to_peer ? &seg->dest : &seg->source;
	union xengnttab_copy_ptr *ours = op->to_peer ? &seg->source : &seg->dest;

	ours->virt = op->local;
	theirs->foreign.ref = op->ref;
	theirs->foreign.offset = op->offset;
	theirs->foreign.domid = domid;
	seg->len = op->len;
	seg->flags = op->to_peer ? GNTCOPY_dest_gref : GNTCOPY_source_gref;
	seg->status = GNTST_general_error;
}

/* When the call itself fails nobody knows which of its copies were done: none counts. */
static unsigned copy_some(struct xen_peer *p, struct grant_copy_op ops[], unsigned n)
{
	xengnttab_grant_copy_segment_t segs[XEN_COPY_MAX];
	struct xen_hv *x = xen_hv_of(p->peer.hv);
	unsigned nr = 0, at = 0, failed = 0;
	bool is_done;

	for (unsigned i = 0; i < n; i++)
		if (is_in_page(&ops[i]))
			describe(&segs[nr++], &ops[i], p->peer.domid);
	is_done = nr && !xengnttab_grant_copy(p->gnt, nr, segs);
	for (unsigned i = 0; i < n; i++) {
		if (!is_in_page(&ops[i]))
			ops[i].status = GNTST_bad_copy_arg;
		else
			ops[i].status = is_done ? segs[at++].status : GNTST_general_error;
		failed += ops[i].status != GNTST_okay;
	}
	xen_count(&x->counters.copy_calls, nr != 0);
	xen_count(&x->counters.copy_segments, nr);
	return failed;
}

unsigned xen_peer_copy(struct hv_peer *peer, struct grant_copy_op ops[], unsigned n)
{
	unsigned failed = 0;

	for (unsigned at = 0; at < n; at += XEN_COPY_MAX)
		failed += copy_some(xen_peer_of(peer), ops + at, n - at < XEN_COPY_MAX ? n - at : XEN_COPY_MAX);
	return failed;
}
