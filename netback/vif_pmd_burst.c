/*
 * netback/vif_pmd_burst.c - bursts of a vif for a program that is not ours.   [hot]
 *
 * Runs in  the lcore that polls, or sends to, the queue.
 */
#include <errno.h>

#include "netback/gso.h"
#include "netback/vif_pmd.h"
#include "netback/vif_pmd_offload.h"

/* Nobody waits for the lock: who holds it does the same. */
void vif_pmd_retry(struct vif_pmd_way *way)
{
	if (!rte_spinlock_trylock(&way->lock))
		return;
	if (!way->queue->fault)
		vif_rx_retry(way->queue);
	rte_spinlock_unlock(&way->lock);
}

uint16_t vif_pmd_rx(void *rxq, struct rte_mbuf **pkts, uint16_t n)
{
	struct vif_pmd_queue *q = rxq;
	struct vif_pmd_way *way;
	uint16_t got;

	if (!turnstile_enter(&q->turnstile))
		return 0;
	way = &q->guest->way[q->way];
	if (unlikely(vif_rx_is_waiting(way->queue)))
		vif_pmd_retry(way);
	got = vif_tx_take(way->queue, pkts, n < VIF_TX_BURST ? n : VIF_TX_BURST);
	turnstile_leave(&q->turnstile);
	for (uint16_t i = 0; i < got; i++) {
		pkts[i]->port = q->port_id;
		vif_pmd_offload_in(pkts[i], q->takes_large);
	}
	return got;
}

/* ---- to the guest -------------------------------------------------------------------------------------------------- */

/* Takes out the multicasts that the guest has not asked for; returns how many packets are left. */
static __rte_noinline uint16_t drop_unwanted(const struct mcast *mcast, struct vif_stats *stats, struct rte_mbuf **pkts, uint16_t n)
{
	uint16_t left = 0;

	for (uint16_t i = 0; i < n; i++) {
		struct rte_mbuf *m = pkts[i];

		if (mcast_wants(mcast, &rte_pktmbuf_mtod(m, const struct rte_ether_hdr *)->dst_addr)) {
			pkts[left++] = m;
			continue;
		}
		count_add(&stats->rx_drop_multicast, 1);
		rte_pktmbuf_free(m);
	}
	return left;
}

/* All n are taken. */
static void send_by(const struct vif_pmd_guest *g, struct vif_pmd_way *way, struct rte_mbuf **pkts, uint16_t n)
{
	rte_spinlock_lock(&way->lock);
	if (unlikely(g->mcast && load_relaxed(&g->mcast->is_on)))
		n = drop_unwanted(g->mcast, way->queue->stats, pkts, n);
	vif_rx_burst(way->queue, pkts, n);
	rte_spinlock_unlock(&way->lock);
}

/* The guest says which of its queues a packet goes to. */
static __rte_noinline void send_steered(struct vif_pmd_guest *g, struct rte_mbuf **pkts, uint16_t n)
{
	struct rte_mbuf *out[VIF_MAX_QUEUES][VIF_TX_BURST];
	uint16_t nr_out[VIF_MAX_QUEUES] = {0};

	for (uint16_t i = 0; i < n; i++) {
		unsigned way = steer_packet(&g->steer, pkts[i], g->nr_ways);

		out[way][nr_out[way]++] = pkts[i];
	}
	for (uint16_t i = 0; i < g->nr_ways; i++)
		if (nr_out[i])
			send_by(g, &g->way[i], out[i], nr_out[i]);
}

static void send(const struct vif_pmd_queue *q, struct rte_mbuf **pkts, uint16_t n)
{
	struct vif_pmd_guest *g = q->guest;

	if (unlikely(steer_is_on(&g->steer)))
		send_steered(g, pkts, n);
	else if (n)
		send_by(g, &g->way[q->way], pkts, n);
}

/* For a guest that takes no packets longer than a frame. */
static __rte_noinline void send_cut(struct vif_pmd_queue *q, struct rte_mbuf *m, unsigned caps)
{
	const struct vif_queue *to = q->guest->way[q->way].queue;
	struct rte_mbuf *frames[VIF_TX_BURST];
	struct gso g;
	uint16_t nr = 0;

	gso_begin(&g, m, to->pool, to->ext_pool);
	while ((frames[nr] = gso_next(&g)) != NULL) {
		if (offload_needs(frames[nr]) & ~caps)
			offload_fill(frames[nr]);
		if (++nr < VIF_TX_BURST)
			continue;
		send(q, frames, nr);
		nr = 0;
	}
	send(q, frames, nr);
	if (!gso_is_done(&g))
		count_add(&q->drop_unfit, 1);
	rte_pktmbuf_free(m);
}

/* What the packet needs that the guest does not do, a set of OFFLOAD_*; negative: it is not what its flags say. */
static inline int needs_of(struct rte_mbuf *m, unsigned caps)
{
	return likely(vif_pmd_offload_out(m) == 0) ? (int)(offload_needs(m) & ~caps) : -EINVAL;
}

/* One that cannot go with the others. */
static __rte_noinline void send_apart(struct vif_pmd_queue *q, struct rte_mbuf *m, int needs, unsigned caps)
{
	if (needs > 0) {
		send_cut(q, m, caps);
		return;
	}
	count_add(&q->drop_unfit, 1);
	rte_pktmbuf_free(m);
}

uint16_t vif_pmd_tx(void *txq, struct rte_mbuf **pkts, uint16_t n)
{
	struct vif_pmd_queue *q = txq;
	uint16_t first = 0; /* of those that are ready, but not sent */
	unsigned caps;

	if (!turnstile_enter(&q->turnstile))
		return 0;
	if (n > VIF_TX_BURST)
		n = VIF_TX_BURST;
	caps = q->guest->way[q->way].queue->caps;
	for (uint16_t i = 0; i < n; i++) {
		int needs = needs_of(pkts[i], caps);

		if (likely(needs == 0))
			continue;
		if (needs == OFFLOAD_CSUM_IPV4 || needs == OFFLOAD_CSUM_IPV6) {
			offload_fill(pkts[i]);
			continue;
		}
		send(q, pkts + first, (uint16_t)(i - first));
		send_apart(q, pkts[i], needs, caps);
		first = (uint16_t)(i + 1);
	}
	send(q, pkts + first, (uint16_t)(n - first));
	turnstile_leave(&q->turnstile);
	return n;
}
