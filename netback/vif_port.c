/*
 * netback/vif_port.c - spreads packets over a vif's queues and gathers them from there.   [hot]
 */
#include "netback/vif_port.h"

#include <rte_ethdev.h>

#include "netback/gro.h"

#define LIMITED_BURST 4 /* packets of a guest with a rate that are taken at once */

static inline uint16_t queue_in(struct vif_part *part, uint16_t i, struct rte_mbuf **pkts, uint16_t n)
{
	struct vif_port *p = part->port;
	uint16_t got = p->is_ethdev ? rte_eth_rx_burst(p->port_id, i, pkts, n) : vif_tx_burst(p->queue[i], pkts, n);

	if (unlikely(p->captures))
		capture_burst(p->captures, part->lane, CAPTURE_TX, i, pkts, got);
	return got;
}

static inline void queue_out(struct vif_part *part, uint16_t i, struct rte_mbuf **pkts, uint16_t n)
{
	struct vif_port *p = part->port;

	if (unlikely(p->captures))
		capture_burst(p->captures, part->lane, CAPTURE_RX, i, pkts, n);
	if (p->is_ethdev)
		rte_eth_tx_burst(p->port_id, i, pkts, n);
	else
		vif_rx_burst(p->queue[i], pkts, n);
}

static uint16_t queues_in(struct vif_part *part, struct rte_mbuf **pkts, uint16_t n)
{
	uint16_t got = 0;

	for (uint16_t i = 0; i < part->nr_own && got < n; i++) {
		got = (uint16_t)(got + queue_in(part, part->own[part->next], pkts + got, (uint16_t)(n - got)));
		if (++part->next >= part->nr_own)
			part->next = 0;
	}
	return got;
}

static uint64_t bytes_of(struct rte_mbuf *const pkts[], uint16_t n)
{
	uint64_t bytes = 0;

	for (uint16_t i = 0; i < n; i++)
		bytes += pkts[i]->pkt_len;
	return bytes;
}

/* A few at a time: the last ones may be sent on credit. */
static __rte_noinline uint16_t limited_in(struct vif_part *part, struct rte_mbuf **pkts, uint16_t n)
{
	struct vif_port *p = part->port;
	uint64_t now = rte_rdtsc();
	uint16_t got;

	part->is_throttled = !rate_has_credit(&p->tx_rate, now);
	if (part->is_throttled) {
		for (uint16_t i = 0; i < part->nr_own; i++)
			vif_tend(p->queue[part->own[i]]);
		return 0;
	}
	got = queues_in(part, pkts, RTE_MIN(n, LIMITED_BURST));
	rate_spend(&p->tx_rate, now, got, bytes_of(pkts, got));
	return got;
}

uint16_t vif_port_in(void *queue, struct rte_mbuf **pkts, uint16_t n)
{
	struct vif_part *part = queue;

	/* One that rests without an event keeps its mark until it is looked at, though its limit was lifted meanwhile. */
	return likely(!rate_is_on(&part->port->tx_rate) && !part->is_throttled) ? queues_in(part, pkts, n)
										 : limited_in(part, pkts, n);
}

uint16_t vif_port_lane_of(const struct bridge_port *bp, struct rte_mbuf *m)
{
	const struct vif_port *p = ((const struct vif_part *)bp->parts[0]->queue)->port;
	struct steer_hash hash = {0};

	return p->lane[steer_queue_of(&p->steer, m, p->nr_queues, &hash)];
}

/* Takes out what the guest has not asked for, or has no credit for; returns how many are left. */
static __rte_noinline uint16_t filter_out(struct vif_part *part, struct rte_mbuf **pkts, uint16_t n)
{
	struct vif_port *p = part->port;
	struct vif_stats *stats = p->queue[part->own[0]]->stats;
	uint64_t now = rte_rdtsc();
	uint16_t left = 0;

	for (uint16_t i = 0; i < n; i++) {
		struct rte_mbuf *m = pkts[i];

		if (p->mcast && !mcast_wants(p->mcast, &rte_pktmbuf_mtod(m, const struct rte_ether_hdr *)->dst_addr)) {
			count_add(&stats->rx_drop_multicast, 1);
			rte_pktmbuf_free(m);
		} else if (!rate_has_credit(&p->rx_rate, now)) {
			count_add(&stats->rx_drop_rate, 1);
			rte_pktmbuf_free(m);
		} else {
			rate_spend(&p->rx_rate, now, 1, m->pkt_len);
			pkts[left++] = m;
		}
	}
	return left;
}

/* All n are taken: what the guest does not want is gone, too. The bridge brings nothing that belongs to another lane's queue. */
uint16_t vif_port_out(void *queue, struct rte_mbuf **pkts, uint16_t n)
{
	struct vif_part *part = queue;
	struct vif_port *p = part->port;
	const uint16_t taken = n;

	if (unlikely(rate_is_on(&p->rx_rate) || (p->mcast && load_relaxed(&p->mcast->is_on))))
		n = filter_out(part, pkts, n);
	if (p->joins && n > 1)
		n = gro_burst(pkts, n, p->joins);
	if (part->nr_own == 1 && likely(!steer_is_on(&p->steer))) {
		queue_out(part, part->own[0], pkts, n);
		return taken;
	}
	for (uint16_t i = 0; i < n; i++) {
		unsigned q = steer_packet(&p->steer, pkts[i], p->nr_queues);

		part->out[q][part->nr_out[q]++] = pkts[i];
	}
	for (uint16_t i = 0; i < part->nr_own; i++) {
		uint16_t q = part->own[i];

		if (part->nr_out[q])
			queue_out(part, q, part->out[q], part->nr_out[q]);
		part->nr_out[q] = 0;
	}
	return taken;
}
