/*
 * netback/vif_pmd_burst.c - bursts of a vif for a program that is not ours.   [hot]
 *
 * Runs in  the lcore that polls the queue.
 */
#include "netback/offload.h"
#include "netback/vif_pmd.h"

/* A checksum that the guest left blank is filled in; the packet then says that it is right. */
static inline void finish(struct rte_mbuf *m, uint16_t port_id)
{
	m->port = port_id;
	if (likely(!offload_needs(m)))
		return;
	offload_fill(m);
	m->ol_flags &= ~(RTE_MBUF_F_TX_OFFLOAD_MASK);
	m->ol_flags |= RTE_MBUF_F_RX_L4_CKSUM_GOOD;
}

uint16_t vif_pmd_rx(void *rxq, struct rte_mbuf **pkts, uint16_t n)
{
	struct vif_pmd_queue *q = rxq;
	uint16_t got;

	if (!turnstile_enter(&q->turnstile))
		return 0;
	got = vif_tx_burst(q->queue, pkts, n < VIF_TX_BURST ? n : VIF_TX_BURST);
	turnstile_leave(&q->turnstile);
	for (uint16_t i = 0; i < got; i++)
		finish(pkts[i], q->port_id);
	return got;
}

/* What the guest does not take as it is, is made ready; returns how many of the n are left, in their places. */
static uint16_t make_ready(struct vif_pmd_queue *q, struct rte_mbuf **pkts, uint16_t n)
{
	uint16_t kept = 0;

	for (uint16_t i = 0; i < n; i++) {
		unsigned needs = offload_needs(pkts[i]) & ~q->queue->caps;

		if (unlikely(needs & (OFFLOAD_GSO_IPV4 | OFFLOAD_GSO_IPV6))) {
			q->drop_gso++;
			rte_pktmbuf_free(pkts[i]);
			continue;
		}
		if (unlikely(needs)) {
			offload_fill(pkts[i]);
			pkts[i]->ol_flags &= ~RTE_MBUF_F_TX_L4_MASK;
		}
		pkts[kept++] = pkts[i];
	}
	return kept;
}

uint16_t vif_pmd_tx(void *txq, struct rte_mbuf **pkts, uint16_t n)
{
	struct vif_pmd_queue *q = txq;
	uint16_t kept;

	if (!turnstile_enter(&q->turnstile))
		return 0;
	if (n > VIF_TX_BURST)
		n = VIF_TX_BURST;
	kept = make_ready(q, pkts, n);
	if (unlikely(q->lock != NULL))
		rte_spinlock_lock(q->lock);
	vif_rx_burst(q->queue, pkts, kept); /* takes them all */
	if (unlikely(q->lock != NULL))
		rte_spinlock_unlock(q->lock);
	turnstile_leave(&q->turnstile);
	return n;
}
