/*
 * frontends/netfront_queue.c - shares a queue's pages, and gives them back.
 *
 * Owns, Runs in, Fails, Spec: netfront_queue.h.
 */
#include "frontends/netfront_queue.h"

static void unshare(struct hv *hv, void **pages, unsigned nr, const grant_ref_t refs[])
{
	if (*pages)
		hv_unshare(hv, *pages, nr, refs);
	*pages = NULL;
}

static void unshare_all(struct netfront_queue *q)
{
	unshare(q->hv, &q->memory.tx_ring, 1, &q->tx_ring_ref);
	unshare(q->hv, &q->memory.rx_ring, 1, &q->rx_ring_ref);
	unshare(q->hv, &q->memory.tx_pages, netfront_ring_tx_pages(q->memory.nr_slots), q->tx_refs);
	if (q->memory.loans)
		netfront_loans_close(q->memory.loans, q->lending);
	else
		unshare(q->hv, &q->memory.rx_pages, q->memory.nr_slots, q->rx_refs);
	q->memory.loans = NULL;
	q->memory.rx_pages = NULL;
}

static int share_rx(struct netfront_queue *q, domid_t peer, unsigned slots)
{
	struct netfront_ring_memory *m = &q->memory;
	int rc;

	if (!q->lending)
		return hv_share(q->hv, peer, slots, false, q->rx_refs, &m->rx_pages);
	rc = netfront_loans_create(q->hv, peer, 2 * slots, &m->loans);
	if (rc)
		return rc;
	m->rx_pages = m->loans->pages_sh;
	memcpy(q->rx_refs, m->loans->refs, m->loans->nr_pages * sizeof(q->rx_refs[0]));
	return 0;
}

static int share_all(struct netfront_queue *q, domid_t peer, unsigned slots)
{
	struct netfront_ring_memory *m = &q->memory;
	int rc;

	*m = (struct netfront_ring_memory){.tx_refs = q->tx_refs, .rx_refs = q->rx_refs, .nr_slots = slots};
	rc = hv_share(q->hv, peer, 1, false, &q->tx_ring_ref, &m->tx_ring);
	if (!rc)
		rc = hv_share(q->hv, peer, 1, false, &q->rx_ring_ref, &m->rx_ring);
	if (!rc)
		rc = hv_share(q->hv, peer, netfront_ring_tx_pages(slots), true, q->tx_refs, &m->tx_pages);
	if (!rc)
		rc = share_rx(q, peer, slots);
	if (rc < 0)
		unshare_all(q);
	return rc;
}

static void close_ports(struct netfront_queue *q)
{
	if (q->rx_port && q->rx_port != q->tx_port)
		hv_evtchn_close(q->hv, q->rx_port);
	if (q->tx_port)
		hv_evtchn_close(q->hv, q->tx_port);
	q->tx_port = 0;
	q->rx_port = 0;
}

static int open_ports(struct netfront_queue *q, const struct netfront_queue_traits *t)
{
	int rc = hv_evtchn_alloc_unbound(q->hv, t->peer, &q->tx_port);

	if (rc < 0)
		return rc;
	q->rx_port = q->tx_port;
	if (t->has_split_channels)
		rc = hv_evtchn_alloc_unbound(q->hv, t->peer, &q->rx_port);
	if (rc < 0)
		close_ports(q);
	return rc;
}

int netfront_queue_open(struct netfront_queue *q, struct hv *hv, const struct netfront_queue_traits *t)
{
	unsigned slots = t->slots;
	int rc;

	q->hv = hv;
	q->lending = t->lending;
	rc = share_all(q, t->peer, slots);
	if ((rc == -ENOSPC || rc == -ENOMEM) && q->lending) {
		q->lending = NULL;
		rc = share_all(q, t->peer, slots);
	}
	while ((rc == -ENOSPC || rc == -ENOMEM) && slots > NETFRONT_MIN_SLOTS) {
		slots /= 2;
		rc = share_all(q, t->peer, slots);
	}
	if (rc < 0)
		return rc;
	rc = open_ports(q, t);
	if (rc < 0) {
		unshare_all(q);
		return rc;
	}
	q->memory.counters = t->counters;
	q->memory.tick_length = clock_tick_length();
	netfront_ring_init(&q->ring, &q->memory, t->tx_can, t->rx_can);
	q->is_open = true;
	return 0;
}

void netfront_queue_close(struct netfront_queue *q)
{
	if (!q->is_open)
		return;
	q->is_open = false;
	close_ports(q);
	unshare_all(q);
}

int netfront_queue_write_keys(const struct netfront_queue *q, struct store_client *store, uint32_t tx, const char *dir)
{
	bool is_split = q->rx_port != q->tx_port;
	const struct {
		const char *key;
		unsigned value;
		bool is_meant;
	} keys[] = {
		{"tx-ring-ref", q->tx_ring_ref, true},
		{"rx-ring-ref", q->rx_ring_ref, true},
		{"event-channel", q->tx_port, !is_split},
		{"event-channel-tx", q->tx_port, is_split},
		{"event-channel-rx", q->rx_port, is_split},
	};
	int rc = 0;

	for (unsigned i = 0; !rc && i < sizeof(keys) / sizeof(keys[0]); i++)
		if (keys[i].is_meant)
			rc = store_client_printf(store, tx, dir, keys[i].key, "%u", keys[i].value);
	return rc;
}
