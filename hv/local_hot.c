/*
 * hv/local_hot.c - what the drivers of a local domain call for each burst: notify, take events, map, unmap, copy.   [hot]
 *
 * Trusts   nothing of the other domain: the checks are in grant/ and in evtchn_send.
 * Runs in  any thread. No lock, no allocation; a system call only to wake, and to clear a readable fd.
 */
#include <sys/uio.h>
#include <unistd.h>

#include "hv/local_dom0.h"
#include "hv/local_guest.h"

/* Handles are taken and given back so many at a time. */
#define MAP_BATCH 64u

static void write_event(int fd)
{
	uint64_t one = 1;
	ssize_t n = write(fd, &one, sizeof(one)); /* full: it is readable, which is all we want */

	(void)n;
}

void local_guest_notify(struct hv *hv, evtchn_port_t port)
{
	struct local_guest *g = local_guest_of(hv);
	int fd = port < LOCAL_MAX_PORTS ? load_relaxed(&g->notify_fd[port]) : -1;

	if (fd >= 0)
		write_event(fd);
	else
		g->notify_slowly(g, port);
}

unsigned local_guest_event_take(struct hv *hv, int fd, evtchn_port_t ports[], unsigned max)
{
	struct local_guest *g = local_guest_of(hv);
	evtchn_port_t store = load_relaxed(&g->store_port);
	unsigned vcpu, nr;

	for (vcpu = 0; vcpu < g->domain.nr_vcpus && g->domain.vcpu_fd[vcpu] != fd; vcpu++)
		;
	if (vcpu == g->domain.nr_vcpus)
		return 0;
	nr = evtchn_take(&g->events, vcpu, ports, max);
	for (unsigned i = 0; i < nr; i++)
		if (ports[i] == store)
			write_event(g->store_fd); /* a thread may be waiting for the store's answer */
	return nr;
}

void local_dom0_notify(struct hv *hv, evtchn_port_t port)
{
	struct local_dom0 *d = local_dom0_of(hv);
	struct local_port *p = port_table_by_port(&d->ports, port);

	if (p && p->remote)
		evtchn_send(p->remote, p->remote_port);
	else
		d->notify_slowly(d, port);
}

/* Not a plain read: the guest that holds the other end's duplicate may have emptied the count, and made the file blocking. */
unsigned local_dom0_event_take(struct hv *hv, int fd, evtchn_port_t ports[], unsigned max)
{
	struct local_port *p = port_table_by_fd(&local_dom0_of(hv)->ports, fd);
	uint64_t count;
	struct iovec iov = {&count, sizeof(count)};

	if (!p || !max || preadv2(fd, &iov, 1, -1, RWF_NOWAIT) < 0)
		return 0;
	ports[0] = p->port;
	return 1;
}

/* At most MAP_BATCH of them. */
static unsigned map_some(struct grant_maptrack *mt, const struct grant_peer *granter, struct hv_map_op ops[], unsigned n)
{
	grant_handle_t handle[MAP_BATCH];
	unsigned nr = grant_handles_take(mt, handle, n), used = 0;

	for (unsigned i = 0; i < n; i++)
		grant_prefetch(granter, ops[i].ref);
	for (unsigned i = 0; i < n; i++) {
		struct hv_map_op *op = &ops[i];

		op->status = GNTST_no_space;
		if (used == nr)
			continue;
		op->status = grant_map_as(mt, granter, op->ref, op->readonly, &op->page, handle[used]);
		if (op->status == GNTST_okay)
			op->handle = handle[used++];
	}
	grant_handles_give(mt, handle + used, nr - used);
	return n - used;
}

unsigned local_peer_map(struct hv_peer *peer, struct hv_map_op ops[], unsigned n)
{
	struct local_peer *p = (struct local_peer *)peer;
	struct grant_maptrack *mt = local_dom0_of(peer->hv)->maptrack;
	unsigned failed = 0;

	for (unsigned at = 0; at < n; at += MAP_BATCH)
		failed += map_some(mt, &p->granter, &ops[at], n - at < MAP_BATCH ? n - at : MAP_BATCH);
	return failed;
}

static unsigned unmap_some(struct grant_maptrack *mt, const struct grant_peer *granter, const grant_handle_t handles[], unsigned n)
{
	grant_handle_t gone[MAP_BATCH];
	unsigned nr = 0;

	for (unsigned i = 0; i < n; i++) {
		gone[nr] = handles[i];
		nr += grant_unmap_only(mt, granter, handles[i]) == GNTST_okay;
	}
	grant_handles_give(mt, gone, nr);
	return n - nr;
}

unsigned local_peer_unmap(struct hv_peer *peer, const grant_handle_t handles[], unsigned n)
{
	struct local_peer *p = (struct local_peer *)peer;
	struct grant_maptrack *mt = local_dom0_of(peer->hv)->maptrack;
	unsigned failed = 0;

	for (unsigned at = 0; at < n; at += MAP_BATCH)
		failed += unmap_some(mt, &p->granter, &handles[at], n - at < MAP_BATCH ? n - at : MAP_BATCH);
	return failed;
}

unsigned local_peer_copy(struct hv_peer *peer, struct grant_copy_op ops[], unsigned n)
{
	return grant_copy(&((struct local_peer *)peer)->granter, ops, n);
}
