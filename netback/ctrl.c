/*
 * netback/ctrl.c - takes control requests, checks them, puts them into force.
 *
 * A request's handler works on a copy of the hash settings, or on pages mapped beside those in use; only when all of it is
 * sound is it put into force, while nobody moves packets of the vif.
 */
#include "netback/ctrl.h"

#include <errno.h>
#include <stdlib.h>

#include "netback/stage.h"

#define LIST_ENTRIES (PAGE_BYTES / sizeof(struct xen_netif_gref))

/* In force for the packets of the next round. */
struct change {
	struct ctrl *ctrl;
	struct vif_queue *queue;
	struct stage *unused;   /* for a queue that has none yet; NULL when it was taken */
	struct stage_entry *entry;
	unsigned nr;
	struct xen_netif_gref *list; /* entries to remove; their status is written */
	grant_handle_t *handles;     /* of those that were removed */
};

static int run(struct ctrl *c, int (*fn)(void *arg), void *arg)
{
	return c->target.pause ? c->target.pause(c->target.mover, fn, arg) : fn(arg);
}

/* From the beginning of the page that a request names, or back to it. */
static bool copy_page(struct ctrl *c, grant_ref_t ref, void *local, size_t bytes, bool to_peer)
{
	struct grant_copy_op op = {.local = local, .ref = ref, .len = (uint16_t)bytes, .to_peer = to_peer};

	return bytes == 0 || hv_peer_copy(c->peer, &op, 1) == 0;
}

/* ---- hashing ---------------------------------------------------------------------------------------------------- */

static int set_steer(void *arg)
{
	struct ctrl *c = arg;

	*c->target.steer = c->steer;
	for (unsigned i = 0; i < c->target.nr_queues; i++)
		c->target.queue[i]->wants_hash = steer_is_on(&c->steer);
	return 0;
}

void ctrl_put_into_force(struct ctrl *c)
{
	run(c, set_steer, c);
}

static uint32_t put_into_force(struct ctrl *c)
{
	ctrl_put_into_force(c);
	return XEN_NETIF_CTRL_STATUS_SUCCESS;
}

static uint32_t set_algorithm(struct ctrl *c, const uint32_t data[3], uint32_t *out)
{
	if (data[0] != XEN_NETIF_CTRL_HASH_ALGORITHM_NONE && data[0] != XEN_NETIF_CTRL_HASH_ALGORITHM_TOEPLITZ)
		return XEN_NETIF_CTRL_STATUS_INVALID_PARAMETER;
	c->steer.algorithm = data[0];
	return put_into_force(c);
}

static uint32_t get_flags(struct ctrl *c, const uint32_t data[3], uint32_t *out)
{
	if (c->steer.algorithm == XEN_NETIF_CTRL_HASH_ALGORITHM_NONE)
		return XEN_NETIF_CTRL_STATUS_NOT_SUPPORTED;
	*out = STEER_TYPES;
	return XEN_NETIF_CTRL_STATUS_SUCCESS;
}

static uint32_t set_flags(struct ctrl *c, const uint32_t data[3], uint32_t *out)
{
	if (c->steer.algorithm == XEN_NETIF_CTRL_HASH_ALGORITHM_NONE)
		return XEN_NETIF_CTRL_STATUS_NOT_SUPPORTED;
	if (data[0] & ~STEER_TYPES)
		return XEN_NETIF_CTRL_STATUS_INVALID_PARAMETER;
	c->steer.types = data[0];
	return put_into_force(c);
}

static uint32_t set_key(struct ctrl *c, const uint32_t data[3], uint32_t *out)
{
	uint32_t key[RTE_DIM(c->steer.key)] = {0};

	if (data[1] > STEER_KEY_BYTES)
		return XEN_NETIF_CTRL_STATUS_BUFFER_OVERFLOW;
	if (!copy_page(c, data[0], key, data[1], false))
		return XEN_NETIF_CTRL_STATUS_INVALID_PARAMETER;
	memcpy(c->steer.key, key, sizeof(key));
	return put_into_force(c);
}

static uint32_t get_mapping_size(struct ctrl *c, const uint32_t data[3], uint32_t *out)
{
	*out = STEER_MAX_MAPPING;
	return XEN_NETIF_CTRL_STATUS_SUCCESS;
}

static uint32_t set_mapping_size(struct ctrl *c, const uint32_t data[3], uint32_t *out)
{
	if (data[0] > STEER_MAX_MAPPING)
		return XEN_NETIF_CTRL_STATUS_INVALID_PARAMETER;
	c->steer.nr_mapping = data[0];
	memset(c->steer.mapping, 0, sizeof(c->steer.mapping));
	return put_into_force(c);
}

static uint32_t set_mapping(struct ctrl *c, const uint32_t data[3], uint32_t *out)
{
	uint32_t part[STEER_MAX_MAPPING];
	uint32_t nr = data[1], at = data[2];

	if (nr > STEER_MAX_MAPPING)
		return XEN_NETIF_CTRL_STATUS_BUFFER_OVERFLOW;
	if (at > c->steer.nr_mapping || nr > c->steer.nr_mapping - at ||
	    !copy_page(c, data[0], part, nr * sizeof(part[0]), false))
		return XEN_NETIF_CTRL_STATUS_INVALID_PARAMETER;
	for (uint32_t i = 0; i < nr; i++)
		if (part[i] >= c->target.nr_queues)
			return XEN_NETIF_CTRL_STATUS_INVALID_PARAMETER;
	memcpy(c->steer.mapping + at, part, nr * sizeof(part[0]));
	return put_into_force(c);
}

/* ---- staging grants --------------------------------------------------------------------------------------------- */

static uint32_t get_staging_size(struct ctrl *c, const uint32_t data[3], uint32_t *out)
{
	if (data[0] >= c->target.nr_queues)
		return XEN_NETIF_CTRL_STATUS_INVALID_PARAMETER;
	*out = STAGE_MAX;
	return XEN_NETIF_CTRL_STATUS_SUCCESS;
}

/* All or none. */
static int stage_entries(void *arg)
{
	struct change *change = arg;
	struct vif_queue *q = change->queue;
	int err = 0;
	unsigned i;

	if (!q->stage) {
		q->stage = change->unused;
		change->unused = NULL;
	}
	for (i = 0; i < change->nr && !err; i++)
		err = stage_add(q->stage, &change->entry[i]);
	if (!err)
		return 0;
	while (--i > 0)
		stage_remove(q->stage, stage_find(q->stage, change->entry[i - 1].ref));
	return err;
}

/* Maps what the list names; unmaps it again when one fails. */
static int map_list(struct ctrl *c, const struct xen_netif_gref list[], unsigned nr, struct stage_entry entry[])
{
	struct hv_map_op *ops = calloc(nr, sizeof(*ops));
	unsigned failed = 0;

	if (!ops)
		return -ENOMEM;
	for (unsigned i = 0; i < nr; i++)
		ops[i] = (struct hv_map_op){.ref = list[i].ref, .readonly = list[i].flags & XEN_NETIF_CTRLF_GREF_readonly};
	failed = hv_peer_map(c->peer, ops, nr);
	for (unsigned i = 0; i < nr; i++) {
		entry[i] = (struct stage_entry){
			.page = ops[i].page, .ref = ops[i].ref, .handle = ops[i].handle, .is_readonly = ops[i].readonly};
		if (failed && ops[i].status == GNTST_okay)
			hv_peer_unmap(c->peer, &ops[i].handle, 1);
	}
	free(ops);
	return failed ? -EINVAL : 0;
}

int ctrl_stage(struct ctrl *c, unsigned queue, const struct xen_netif_gref list[], unsigned nr)
{
	struct change change = {.queue = c->target.queue[queue], .nr = nr, .unused = calloc(1, sizeof(struct stage))};
	int err = -ENOMEM;

	change.entry = calloc(nr, sizeof(*change.entry));
	if (change.unused && change.entry)
		err = map_list(c, list, nr, change.entry);
	if (!err) {
		err = run(c, stage_entries, &change);
		for (unsigned i = 0; i < nr && err; i++)
			hv_peer_unmap(c->peer, &change.entry[i].handle, 1);
	}
	free(change.entry);
	free(change.unused);
	return err;
}

static uint32_t add_staging(struct ctrl *c, const uint32_t data[3], uint32_t *out)
{
	struct xen_netif_gref list[LIST_ENTRIES];
	uint32_t nr = data[2];

	if (data[0] >= c->target.nr_queues || nr > LIST_ENTRIES || !copy_page(c, data[1], list, nr * sizeof(list[0]), false))
		return XEN_NETIF_CTRL_STATUS_INVALID_PARAMETER;
	return nr && ctrl_stage(c, data[0], list, nr) ? XEN_NETIF_CTRL_STATUS_INVALID_PARAMETER
								     : XEN_NETIF_CTRL_STATUS_SUCCESS;
}

/* One that a packet still borrows stays. */
static int unstage_entries(void *arg)
{
	struct change *change = arg;
	unsigned removed = 0;

	for (unsigned i = 0; i < change->nr; i++) {
		struct stage_entry *e = change->queue->stage ? stage_find(change->queue->stage, change->list[i].ref) : NULL;

		change->list[i].status = XEN_NETIF_CTRL_STATUS_INVALID_PARAMETER;
		if (!e || e->nr_users)
			continue;
		change->handles[removed++] = e->handle;
		stage_remove(change->queue->stage, e);
		change->list[i].status = XEN_NETIF_CTRL_STATUS_SUCCESS;
	}
	return (int)removed;
}

static uint32_t del_staging(struct ctrl *c, const uint32_t data[3], uint32_t *out)
{
	struct xen_netif_gref list[LIST_ENTRIES];
	grant_handle_t handles[LIST_ENTRIES];
	struct change change = {.list = list, .handles = handles, .nr = data[2]};

	if (data[0] >= c->target.nr_queues || change.nr > LIST_ENTRIES ||
	    !copy_page(c, data[1], list, change.nr * sizeof(list[0]), false))
		return XEN_NETIF_CTRL_STATUS_INVALID_PARAMETER;
	change.queue = c->target.queue[data[0]];
	*out = (uint32_t)run(c, unstage_entries, &change);
	if (*out)
		hv_peer_unmap(c->peer, handles, *out);
	return copy_page(c, data[1], list, change.nr * sizeof(list[0]), true) ? XEN_NETIF_CTRL_STATUS_SUCCESS
									      : XEN_NETIF_CTRL_STATUS_INVALID_PARAMETER;
}

/* ---- the ring --------------------------------------------------------------------------------------------------- */

typedef uint32_t (*handler_fn)(struct ctrl *c, const uint32_t data[3], uint32_t *out);

static const handler_fn handlers[] = {
	[XEN_NETIF_CTRL_TYPE_GET_HASH_FLAGS] = get_flags,
	[XEN_NETIF_CTRL_TYPE_SET_HASH_FLAGS] = set_flags,
	[XEN_NETIF_CTRL_TYPE_SET_HASH_KEY] = set_key,
	[XEN_NETIF_CTRL_TYPE_GET_HASH_MAPPING_SIZE] = get_mapping_size,
	[XEN_NETIF_CTRL_TYPE_SET_HASH_MAPPING_SIZE] = set_mapping_size,
	[XEN_NETIF_CTRL_TYPE_SET_HASH_MAPPING] = set_mapping,
	[XEN_NETIF_CTRL_TYPE_SET_HASH_ALGORITHM] = set_algorithm,
	[XEN_NETIF_CTRL_TYPE_GET_GREF_MAPPING_SIZE] = get_staging_size,
	[XEN_NETIF_CTRL_TYPE_ADD_GREF_MAPPING] = add_staging,
	[XEN_NETIF_CTRL_TYPE_DEL_GREF_MAPPING] = del_staging,
};

static bool is_about_hashing(uint16_t type)
{
	return type < XEN_NETIF_CTRL_TYPE_GET_GREF_MAPPING_SIZE;
}

static void serve_one(struct ctrl *c)
{
	struct xen_netif_ctrl_request req;
	struct xen_netif_ctrl_response rsp;

	netif_ctrlr_back_take(&c->ring, &req);
	rsp = (struct xen_netif_ctrl_response){
		.id = req.id, .type = req.type, .status = XEN_NETIF_CTRL_STATUS_NOT_SUPPORTED};
	if (req.type < RTE_DIM(handlers) && handlers[req.type] && (c->target.steer || !is_about_hashing(req.type)))
		rsp.status = handlers[req.type](c, req.data, &rsp.data);
	ctrl_note_write(c, &rsp);
	netif_ctrlr_back_put(&c->ring, &rsp);
	if (netif_ctrlr_back_push(&c->ring)) /* one by one: the note holds one answer */
		hv_notify(c->hv, c->evtchn);
	c->requests++;
	c->refused += rsp.status != XEN_NETIF_CTRL_STATUS_SUCCESS;
}

int ctrl_serve(struct ctrl *c)
{
	unsigned budget = c->ring.mask + 1;
	int n;

	do {
		while ((n = netif_ctrlr_back_pending(&c->ring)) > 0 && budget) {
			serve_one(c);
			budget--;
		}
		if (n < 0)
			return -EPROTO;
	} while (budget && netif_ctrlr_back_final_check(&c->ring));
	return 0;
}

int ctrl_open(struct ctrl *c, struct hv *hv, domid_t domid, grant_ref_t ring_ref, evtchn_port_t evtchn, bool is_takeover,
	      const char **what)
{
	int err;

	*c = (struct ctrl){.hv = hv};
	*what = "the domain's memory";
	err = hv_peer_open(hv, domid, &c->peer);
	if (err)
		return err;
	*what = "ctrl-ring-ref";
	err = hv_peer_map_ring(c->peer, &ring_ref, 1, &c->area);
	if (err)
		goto close_peer;
	netif_ctrlr_back_init(&c->ring, c->area, PAGE_BYTES);
	if (is_takeover)
		err = netif_ctrlr_back_attach(&c->ring, c->area, PAGE_BYTES);
	if (err)
		goto unmap_ring;
	*what = "event-channel-ctrl";
	err = hv_evtchn_bind_interdomain(hv, domid, evtchn, &c->evtchn);
	if (err)
		goto unmap_ring;
	return 0;

unmap_ring:
	hv_peer_unmap_ring(c->peer, c->area);
close_peer:
	hv_peer_close(c->peer);
	c->peer = NULL;
	return err;
}

void ctrl_close(struct ctrl *c)
{
	if (!c->peer)
		return;
	hv_evtchn_close(c->hv, c->evtchn);
	hv_peer_unmap_ring(c->peer, c->area);
	hv_peer_close(c->peer);
	c->peer = NULL;
}

int ctrl_event_fd(const struct ctrl *c)
{
	return hv_event_fd(c->hv, c->evtchn);
}

void ctrl_event_take(const struct ctrl *c)
{
	evtchn_port_t ports[4];

	hv_event_take(c->hv, ctrl_event_fd(c), ports, RTE_DIM(ports));
}
