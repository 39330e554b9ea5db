/*
 * frontends/netfront_ctrl.c - asks for staging grants and hashing, one request after the other.
 *
 * Each step of the table fills in a request and looks at its answer. A step that is refused skips the rest of its group:
 * a back end that keeps no staging grants may still hash.
 *
 * Owns, Trusts, Runs in, Fails, Spec: netfront_ctrl.h.
 */
#include "frontends/netfront_ctrl.h"

#define LIST_ENTRIES (PAGE_BYTES / sizeof(struct xen_netif_gref))
#define MAPPING_ENTRIES 128u /* a power of two that all back ends take */

enum group { STAGING, HASHING };

struct step {
	enum group group;
	bool is_for_each_queue;
	uint16_t type;
	/* Writes the request's data and the argument page; false: there is nothing to ask. */
	bool (*ask)(struct netfront_ctrl *c, uint32_t data[3]);
	void (*take)(struct netfront_ctrl *c, uint32_t data);
};

/* ---- staging ---------------------------------------------------------------------------------------------------------- */

static bool ask_staging_room(struct netfront_ctrl *c, uint32_t data[3])
{
	data[0] = c->queue;
	return true;
}

static void take_staging_room(struct netfront_ctrl *c, uint32_t room)
{
	c->staging_room = room;
}

/* As many of nr pages as the back end still has room for. */
static bool ask_staging(struct netfront_ctrl *c, uint32_t data[3], const grant_ref_t refs[], unsigned nr, uint16_t flags)
{
	struct xen_netif_gref *list = c->arg_page;

	if (nr > LIST_ENTRIES)
		nr = LIST_ENTRIES;
	if (nr > c->staging_room)
		nr = c->staging_room;
	for (unsigned i = 0; i < nr; i++)
		list[i] = (struct xen_netif_gref){.ref = refs[i], .flags = flags};
	data[0] = c->queue;
	data[1] = c->arg_ref;
	data[2] = c->staging_asked = nr;
	return nr != 0;
}

static bool ask_staging_tx(struct netfront_ctrl *c, uint32_t data[3])
{
	const struct netfront_ctrl_pages *q = &c->job.queue[c->queue];

	return ask_staging(c, data, q->tx_refs, q->nr_tx, XEN_NETIF_CTRLF_GREF_readonly);
}

static bool ask_staging_rx(struct netfront_ctrl *c, uint32_t data[3])
{
	const struct netfront_ctrl_pages *q = &c->job.queue[c->queue];

	return ask_staging(c, data, q->rx_refs, q->nr_rx, 0);
}

static void take_staging(struct netfront_ctrl *c, uint32_t data)
{
	(void)data;
	c->staged_pages += c->staging_asked;
	c->staging_room -= c->staging_asked;
}

/* ---- hashing ----------------------------------------------------------------------------------------------------------- */

static bool ask_toeplitz(struct netfront_ctrl *c, uint32_t data[3])
{
	data[0] = XEN_NETIF_CTRL_HASH_ALGORITHM_TOEPLITZ;
	return true;
}

static bool ask_hash_types(struct netfront_ctrl *c, uint32_t data[3])
{
	return true;
}

static void take_hash_types(struct netfront_ctrl *c, uint32_t types)
{
	c->hash_types = types & (XEN_NETIF_CTRL_HASH_TYPE_IPV4 | XEN_NETIF_CTRL_HASH_TYPE_IPV4_TCP |
				 XEN_NETIF_CTRL_HASH_TYPE_IPV6 | XEN_NETIF_CTRL_HASH_TYPE_IPV6_TCP);
}

static bool ask_key(struct netfront_ctrl *c, uint32_t data[3])
{
	memcpy(c->arg_page, c->job.key, sizeof(c->job.key));
	data[0] = c->arg_ref;
	data[1] = sizeof(c->job.key);
	return true;
}

static bool ask_mapping_size(struct netfront_ctrl *c, uint32_t data[3])
{
	data[0] = MAPPING_ENTRIES;
	return true;
}

static bool ask_mapping(struct netfront_ctrl *c, uint32_t data[3])
{
	uint32_t *mapping = c->arg_page;

	for (unsigned i = 0; i < MAPPING_ENTRIES; i++)
		mapping[i] = i % c->job.nr_queues;
	data[0] = c->arg_ref;
	data[1] = MAPPING_ENTRIES;
	return true;
}

static bool ask_hash(struct netfront_ctrl *c, uint32_t data[3])
{
	data[0] = c->hash_types;
	return c->hash_types != 0;
}

static void take_hash(struct netfront_ctrl *c, uint32_t data)
{
	(void)data;
	c->is_hash_on = true;
}

static const struct step steps[] = {
	{STAGING, true, XEN_NETIF_CTRL_TYPE_GET_GREF_MAPPING_SIZE, ask_staging_room, take_staging_room},
	{STAGING, true, XEN_NETIF_CTRL_TYPE_ADD_GREF_MAPPING, ask_staging_tx, take_staging},
	{STAGING, true, XEN_NETIF_CTRL_TYPE_ADD_GREF_MAPPING, ask_staging_rx, take_staging},
	{HASHING, false, XEN_NETIF_CTRL_TYPE_SET_HASH_ALGORITHM, ask_toeplitz, NULL},
	{HASHING, false, XEN_NETIF_CTRL_TYPE_GET_HASH_FLAGS, ask_hash_types, take_hash_types},
	{HASHING, false, XEN_NETIF_CTRL_TYPE_SET_HASH_KEY, ask_key, NULL},
	{HASHING, false, XEN_NETIF_CTRL_TYPE_SET_HASH_MAPPING_SIZE, ask_mapping_size, NULL},
	{HASHING, false, XEN_NETIF_CTRL_TYPE_SET_HASH_MAPPING, ask_mapping, NULL},
	{HASHING, false, XEN_NETIF_CTRL_TYPE_SET_HASH_FLAGS, ask_hash, take_hash},
};

#define NR_STEPS (sizeof(steps) / sizeof(steps[0]))

static bool wants(const struct netfront_ctrl *c, enum group group)
{
	return group == STAGING ? c->job.wants_staging : c->job.wants_hash;
}

/* The steps of a group that are for each queue are done for one queue after the other. */
static void advance(struct netfront_ctrl *c)
{
	const struct step *s = &steps[c->step++];

	if (!s->is_for_each_queue || (c->step < NR_STEPS && steps[c->step].group == s->group))
		return;
	if (++c->queue == c->job.nr_queues) {
		c->queue = 0;
		return;
	}
	while (c->step && steps[c->step - 1].group == s->group)
		c->step--;
}

static void skip_group(struct netfront_ctrl *c)
{
	enum group group = steps[c->step].group;

	c->queue = 0;
	while (c->step < NR_STEPS && steps[c->step].group == group)
		c->step++;
}

/* Sends the next request that there is to send. */
static void ask(struct netfront_ctrl *c)
{
	while (!c->is_out && c->step < NR_STEPS) {
		struct xen_netif_ctrl_request req = {.id = ++c->id, .type = steps[c->step].type};

		if (!wants(c, steps[c->step].group)) {
			skip_group(c);
			continue;
		}
		if (!steps[c->step].ask(c, req.data)) {
			advance(c);
			continue;
		}
		c->type = req.type;
		c->is_out = true;
		netif_ctrlr_front_put(&c->ring, &req);
		if (netif_ctrlr_front_push(&c->ring))
			hv_notify(c->hv, c->port);
	}
}

static void take(struct netfront_ctrl *c)
{
	const struct step *s = &steps[c->step];
	struct xen_netif_ctrl_response rsp;

	netif_ctrlr_front_take(&c->ring, &rsp);
	if (!c->is_out || rsp.id != c->id || rsp.type != c->type) {
		c->broken = "an answer on the control ring to a request that is not out";
		return;
	}
	c->is_out = false;
	if (rsp.status != XEN_NETIF_CTRL_STATUS_SUCCESS) {
		c->refused++;
		skip_group(c);
		return;
	}
	if (s->take)
		s->take(c, rsp.data);
	advance(c);
}

void netfront_ctrl_poll(struct netfront_ctrl *c)
{
	int pending;

	if (!c->port || c->broken)
		return;
	pending = netif_ctrlr_front_pending(&c->ring);
	if (pending < 0)
		c->broken = "more answers on the control ring than there were requests";
	while (pending-- > 0 && !c->broken)
		take(c);
	if (!c->broken)
		ask(c);
}

bool netfront_ctrl_arm(struct netfront_ctrl *c)
{
	return c->port && (c->broken || netif_ctrlr_front_final_check(&c->ring));
}

bool netfront_ctrl_is_idle(const struct netfront_ctrl *c)
{
	return !c->port || c->broken || (!c->is_out && c->step == NR_STEPS);
}

int netfront_ctrl_open(struct netfront_ctrl *c, struct hv *hv, domid_t peer)
{
	int rc;

	*c = (struct netfront_ctrl){.hv = hv, .step = NR_STEPS};
	rc = hv_share(hv, peer, 1, false, &c->ring_ref, &c->ring_page);
	if (rc < 0)
		return rc;
	rc = hv_share(hv, peer, 1, false, &c->arg_ref, &c->arg_page);
	if (rc < 0)
		goto unshare_ring;
	rc = hv_evtchn_alloc_unbound(hv, peer, &c->port);
	if (rc < 0)
		goto unshare_arg;
	netif_ctrlr_front_init(&c->ring, c->ring_page, PAGE_BYTES);
	return 0;

unshare_arg:
	hv_unshare(hv, c->arg_page, 1, &c->arg_ref);
unshare_ring:
	hv_unshare(hv, c->ring_page, 1, &c->ring_ref);
	*c = (struct netfront_ctrl){0};
	return rc;
}

void netfront_ctrl_start(struct netfront_ctrl *c, const struct netfront_ctrl_job *job)
{
	if (!c->port)
		return;
	c->job = *job;
	c->step = 0;
	netfront_ctrl_poll(c);
}

void netfront_ctrl_close(struct netfront_ctrl *c)
{
	if (!c->port)
		return;
	hv_evtchn_close(c->hv, c->port);
	hv_unshare(c->hv, c->arg_page, 1, &c->arg_ref);
	hv_unshare(c->hv, c->ring_page, 1, &c->ring_ref);
	c->port = 0;
}
