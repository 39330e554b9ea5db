/*
 * hv/local_dom0.c - opens and closes Domain-0's side of the local platform.
 *
 * Owns     the connection, its argument area, the handles of all that it maps.
 * Runs in  any thread.
 */
#include "hv/local_dom0.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "hv/local_platform.h"
#include "hv/memory_map.h"
#include "hv/store_client_socket.h"

#define HANDLES_PER_MAPTRACK_FRAME 256u

static long local_dom0_hypercall(struct hv *hv, unsigned nr, uint64_t cmd, void *arg, size_t bytes)
{
	return local_link_hypercall(&local_dom0_of(hv)->link, nr, cmd, arg, bytes, -1, NULL);
}

static int local_dom0_claim(struct hv *hv, const char *type, bool takes_some)
{
	struct local_serve op = {.takes_some = takes_some};

	if ((size_t)snprintf(op.type, sizeof(op.type), "%s", type) >= sizeof(op.type))
		return -ENAMETOOLONG;
	return (int)local_dom0_hypercall(hv, LOCAL_HYPERCALL, LOCAL_OP_serve, &op, sizeof(op));
}

static int local_dom0_store_open(struct hv *hv, struct store_client **out)
{
	char path[sizeof(local_dom0_of(hv)->run_dir) + sizeof(LOCAL_STORE_SOCKET) + 1];

	snprintf(path, sizeof(path), "%s/" LOCAL_STORE_SOCKET, hv->run_dir);
	return store_client_socket_open(path, out);
}

static void local_dom0_close(struct hv *hv)
{
	struct local_dom0 *d = local_dom0_of(hv);

	store_client_close(hv->store);
	local_ports_finish(d);
	local_peers_finish(d);
	grant_maptrack_destroy(d->maptrack);
	local_link_close(&d->link);
	memory_map_put(d->arg_map);
	pthread_mutex_destroy(&d->lock);
	free(d);
}

static const struct hv_ops local_dom0_ops;

/* The connection is there: says hello, takes the argument area and the quota of handles. */
static int enter_dom0(struct local_dom0 *d)
{
	struct local_welcome welcome;
	struct local_fds fds;
	size_t bytes;
	int err = local_link_hello(&d->link, LOCAL_KIND_DOM0, NULL, &welcome, &fds);

	if (err)
		return err;
	err = fds.nr == 1 ? memory_map_get(fds.fd[0], &d->arg_map, &bytes) : -EPROTO;
	local_fds_close(&fds);
	if (err)
		return err;
	if (bytes <= LOCAL_ARG_ADDRESS) {
		err = -EPROTO;
		goto unmap_arg;
	}
	d->link.arg = (uint8_t *)d->arg_map + LOCAL_ARG_ADDRESS;
	d->link.arg_bytes = bytes - LOCAL_ARG_ADDRESS;
	err = grant_maptrack_create(welcome.nr_maptrack_frames * HANDLES_PER_MAPTRACK_FRAME, &d->maptrack);
	if (err)
		goto unmap_arg;
	d->hv.domid = (domid_t)welcome.domid;
	return 0;
unmap_arg:
	memory_map_put(d->arg_map);
	return err;
}

int local_dom0_open(const struct hv_options *opt, struct hv **out)
{
	struct local_dom0 *d = calloc(1, sizeof(*d));
	int err;

	if (!d)
		return -ENOMEM;
	err = local_platform_run_dir(opt, d->run_dir, sizeof(d->run_dir));
	if (!err)
		err = local_link_connect(&d->link, d->run_dir);
	if (err)
		goto free_dom0;
	err = enter_dom0(d);
	if (err)
		goto close_link;
	pthread_mutex_init(&d->lock, NULL);
	port_table_init(&d->ports);
	d->notify_slowly = local_dom0_notify_slowly;
	d->hv.platform = "local";
	d->hv.ops = &local_dom0_ops;
	d->hv.run_dir = d->run_dir;
	d->hv.lost_fd = d->link.lost_fd;
	d->hv.map_is_cheap = true;
	d->hv.keeps_devices = true; /* sluiced does: hv/orphan.h */
	*out = &d->hv;
	return 0;
close_link:
	local_link_close(&d->link);
free_dom0:
	err = local_platform_explain(opt, d->run_dir, err);
	free(d);
	return err;
}

static const struct hv_ops local_dom0_ops = {
	.close = local_dom0_close,
	.hypercall = local_dom0_hypercall,
	.store_open = local_dom0_store_open,
	.claim = local_dom0_claim,
	.evtchn_alloc_unbound = local_dom0_alloc_unbound,
	.evtchn_bind_interdomain = local_dom0_bind_interdomain,
	.evtchn_bind_virq = local_dom0_bind_virq,
	.evtchn_bind_ipi = local_dom0_bind_ipi,
	.evtchn_bind_pirq = local_dom0_bind_pirq,
	.evtchn_close = local_dom0_evtchn_close,
	.evtchn_unmask = local_dom0_unmask,
	.evtchn_pending = local_dom0_pending,
	.event_fd = local_dom0_event_fd,
	.notify = local_dom0_notify,
	.event_take = local_dom0_event_take,
	.peer_open = local_peer_open,
	.peer_close = local_peer_close,
	.peer_map_ring = local_peer_map_ring,
	.peer_unmap_ring = local_peer_unmap_ring,
	.peer_map = local_peer_map,
	.peer_unmap = local_peer_unmap,
	.peer_copy = local_peer_copy,
	.peer_ram = local_peer_ram,
	.peer_ram_epoch = local_peer_ram_epoch,
};
