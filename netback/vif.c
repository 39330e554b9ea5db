/*
 * netback/vif.c - builds and takes down the queue of a virtual interface.
 *
 *      create:      peer, rings mapped, event bound, slots free
 *      disconnect:  rings and event let go; the peer stays while packets out there borrow its pages
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

#include <rte_errno.h>

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

static void queue_init(struct vif_queue *q)
{
	netif_txr_back_init(&q->tx.ring, q->tx_area, PAGE_BYTES);
	netif_rxr_back_init(&q->rx.ring, q->rx_area, PAGE_BYTES);
	for (uint16_t i = 0; i < VIF_RING_SLOTS; i++) {
		struct vif_tx_slot *s = &q->tx.slot[i];

		s->queue = q;
		s->shinfo.free_cb = vif_tx_slot_freed;
		s->shinfo.fcb_opaque = s;
		q->tx.free_slot[q->tx.nr_free++] = i;
	}
}

static int done_ring_create(struct rte_ring **out)
{
	static unsigned serial; /* names need only be unique in this process */
	char name[RTE_RING_NAMESIZE];

	snprintf(name, sizeof(name), "netback_done_%u", serial++);
	/* A ring of n holds n - 1. */
	*out = rte_ring_create(name, 2 * VIF_RING_SLOTS, SOCKET_ID_ANY, RING_F_SC_DEQ);
	return *out ? 0 : -rte_errno;
}

int vif_queue_create(struct hv *hv, domid_t domid, const struct vif_keys *keys, struct rte_mempool *pool,
		     struct rte_mempool *ext_pool, struct vif_stats *stats, struct vif_queue **out, const char **what)
{
	struct vif_queue *q = calloc(1, sizeof(*q));
	int err;

	*what = "memory for a queue";
	if (!q)
		return -ENOMEM;
	q->hv = hv;
	q->stats = stats;
	q->pool = pool;
	q->ext_pool = ext_pool;
	q->lcore = VIF_LCORE_NONE;
	q->max_frame = keys->sg ? VIF_MAX_FRAME : PAGE_BYTES;
	q->map_large = hv_map_is_cheap(hv);
	err = done_ring_create(&q->tx.done);
	if (err)
		goto free_queue;
	*what = "the domain's memory";
	err = hv_peer_open(hv, domid, &q->peer);
	if (err)
		goto free_ring;
	*what = "tx-ring-ref";
	err = hv_peer_map_ring(q->peer, &keys->tx_ring_ref, 1, &q->tx_area);
	if (err)
		goto close_peer;
	*what = "rx-ring-ref";
	err = hv_peer_map_ring(q->peer, &keys->rx_ring_ref, 1, &q->rx_area);
	if (err)
		goto unmap_tx;
	*what = "event-channel";
	err = hv_evtchn_bind_interdomain(hv, domid, keys->remote_port, &q->port);
	if (err)
		goto unmap_rx;
	q->event_fd = hv_event_fd(hv, q->port);
	queue_init(q);
	*out = q;
	return 0;

unmap_rx:
	hv_peer_unmap_ring(q->peer, q->rx_area);
unmap_tx:
	hv_peer_unmap_ring(q->peer, q->tx_area);
close_peer:
	hv_peer_close(q->peer);
free_ring:
	rte_ring_free(q->tx.done);
free_queue:
	free(q);
	return err;
}

bool vif_queue_disconnect(struct vif_queue *q)
{
	hv_evtchn_close(q->hv, q->port);
	hv_peer_unmap_ring(q->peer, q->rx_area);
	hv_peer_unmap_ring(q->peer, q->tx_area);
	q->tx_area = q->rx_area = NULL;
	return vif_queue_drain(q);
}

bool vif_queue_drain(struct vif_queue *q)
{
	if (vif_tx_reclaim(q))
		return false;
	hv_peer_close(q->peer);
	rte_ring_free(q->tx.done);
	free(q);
	return true;
}
