/*
 * netback/vif.c - builds and takes down the queues of a virtual interface.
 *
 *      create:      peer, rings mapped, events bound, slots free
 *      disconnect:  rings and events let go; the peer stays while packets out there borrow its pages
 *
 * The worker has let go before disconnect (vif_detach), so from then on pages come back through the ring of done slots
 * alone, and the control thread is its one consumer. When the last is back nobody can reach the queue, and it is freed.
 *
 * Owns     see vif.h.
 * Runs in  the control thread.
 * Fails    0 or -errno; everything is undone.
 */
#include "netback/vif.h"

#include <stdlib.h>

#include <rte_cycles.h>
#include <rte_errno.h>

#include "netback/resume.h"

const char *vif_fault_text(enum vif_fault fault)
{
	switch (fault) {
	case VIF_FAULT_TX_RING:
		return "the front end's tx ring claims more requests than it can hold";
	case VIF_FAULT_RX_RING:
		return "the front end's rx ring claims more requests than it can hold";
	case VIF_FAULT_TX_EXTRA:
		return "the front end's tx request has extra info without end";
	default:
		return "no fault";
	}
}

static int rings_take_over(struct vif_queue *q)
{
	int err = netif_txr_back_attach(&q->tx.ring, q->tx_area, PAGE_BYTES);

	return err ? err : netif_rxr_back_attach(&q->rx.ring, q->rx_area, PAGE_BYTES);
}

static int rings_begin(struct vif_queue *q, const struct vif_features *features)
{
	int err = 0;

	netif_txr_back_init(&q->tx.ring, q->tx_area, PAGE_BYTES);
	netif_rxr_back_init(&q->rx.ring, q->rx_area, PAGE_BYTES);
	if (features->is_takeover)
		err = rings_take_over(q);
	if (err || features->is_resumed)
		return err;
	q->tx.taken_at = q->tx.taken_end = q->tx.ring.rsp_prod;
	journal_begin(q->journal, q->tx.ring.rsp_prod, q->rx.ring.rsp_prod);
	return 0;
}

static int journal_find(struct vif_queue *q, struct journal *given)
{
	if (!given)
		q->own_journal = calloc(1, sizeof(*q->own_journal));
	q->journal = given ? given : q->own_journal;
	return q->journal ? 0 : -ENOMEM;
}

/* Both event channels are bound: what the last back end showed, it may not have lived to say. */
static int rings_go_on(struct vif_queue *q, const struct vif_features *features)
{
	int err = features->is_resumed ? resume_queue(q) : 0;

	if (err || !features->is_takeover)
		return err;
	hv_notify(q->hv, q->tx_port);
	if (q->rx_port != q->tx_port)
		hv_notify(q->hv, q->rx_port);
	return 0;
}

static void slots_init(struct vif_queue *q)
{
	for (uint16_t i = 0; i < VIF_RING_SLOTS; i++) {
		struct vif_tx_slot *s = &q->tx.slot[i];

		s->queue = q;
		s->shinfo.free_cb = vif_tx_slot_freed;
		s->shinfo.fcb_opaque = s;
		q->tx.free_slot[q->tx.nr_free++] = i;
	}
}

static int events_bind(struct vif_queue *q, domid_t domid, const struct vif_keys *keys)
{
	int err = hv_evtchn_bind_interdomain(q->hv, domid, keys->tx_port, &q->tx_port);

	if (err)
		return err;
	q->rx_port = q->tx_port;
	if (keys->rx_port != keys->tx_port)
		err = hv_evtchn_bind_interdomain(q->hv, domid, keys->rx_port, &q->rx_port);
	if (err) {
		hv_evtchn_close(q->hv, q->tx_port);
		return err;
	}
	q->tx_fd = hv_event_fd(q->hv, q->tx_port);
	q->rx_fd = hv_event_fd(q->hv, q->rx_port);
	return 0;
}

static void events_close(struct vif_queue *q)
{
	if (q->rx_port != q->tx_port)
		hv_evtchn_close(q->hv, q->rx_port);
	hv_evtchn_close(q->hv, q->tx_port);
}

static void queue_set(struct vif_queue *q, struct hv *hv, const struct vif_features *features, const struct vif_pools *pools,
		      struct vif_stats *stats)
{
	q->hv = hv;
	q->stats = stats;
	q->tick_length = clock_tick_length();
	q->pool = pools->pool;
	q->ext_pool = pools->ext_pool;
	q->max_frame = features->sg ? VIF_MAX_FRAME : PAGE_BYTES;
	q->caps = features->caps;
	q->rx_notify = features->rx_notify;
	vif_set_headroom(q, features->headroom);
	q->mcast = features->mcast;
	q->patience_tsc = VIF_RX_PATIENCE_MS * rte_get_tsc_hz() / 1000;
	q->map_large = hv_map_is_cheap(hv) && !features->copies_only;
	slots_init(q);
}

int vif_queue_create(struct hv *hv, domid_t domid, const struct vif_keys *keys, const struct vif_features *features,
		     const struct vif_pools *pools, struct vif_stats *stats, struct vif_queue **out, const char **what)
{
	struct vif_queue *q = calloc(1, sizeof(*q));
	int err;

	*what = "memory for a queue";
	if (!q)
		return -ENOMEM;
	queue_set(q, hv, features, pools, stats);
	err = journal_find(q, keys->journal);
	if (err)
		goto free_queue;
	*what = "the domain's memory";
	err = hv_peer_open(hv, domid, &q->peer);
	if (err)
		goto free_journal;
	*what = "tx-ring-ref";
	err = hv_peer_map_ring(q->peer, &keys->tx_ring_ref, 1, &q->tx_area);
	if (err)
		goto close_peer;
	*what = "rx-ring-ref";
	err = hv_peer_map_ring(q->peer, &keys->rx_ring_ref, 1, &q->rx_area);
	if (err)
		goto unmap_tx;
	*what = "a running ring";
	err = rings_begin(q, features);
	if (err)
		goto unmap_rx;
	q->tx.seen = q->tx.ring.req_cons;
	q->rx.seen = q->rx.ring.req_cons;
	*what = "event-channel";
	err = events_bind(q, domid, keys);
	if (err)
		goto unmap_rx;
	*what = "a running ring";
	err = rings_go_on(q, features);
	if (err)
		goto close_ports;
	*out = q;
	return 0;

close_ports:
	events_close(q);
unmap_rx:
	hv_peer_unmap_ring(q->peer, q->rx_area);
unmap_tx:
	hv_peer_unmap_ring(q->peer, q->tx_area);
close_peer:
	hv_peer_close(q->peer);
free_journal:
	free(q->own_journal);
free_queue:
	free(q);
	return err;
}

bool vif_queue_disconnect(struct vif_queue *q)
{
	events_close(q);
	q->journal = NULL;
	hv_peer_unmap_ring(q->peer, q->rx_area);
	hv_peer_unmap_ring(q->peer, q->tx_area);
	q->tx_area = q->rx_area = NULL;
	return vif_queue_drain(q);
}

static void stage_drop(struct vif_queue *q)
{
	for (uint32_t i = 0; q->stage && i < STAGE_BUCKETS; i++)
		if (q->stage->entry[i].page)
			hv_peer_unmap(q->peer, &q->stage->entry[i].handle, 1);
	free(q->stage);
}

bool vif_queue_drain(struct vif_queue *q)
{
	if (vif_tx_reclaim(q))
		return false;
	stage_drop(q);
	hv_peer_close(q->peer);
	free(q->own_journal);
	free(q);
	return true;
}
