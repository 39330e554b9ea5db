/*
 * netback/vif_port.c - spreads packets over a vif's queues and gathers them from there.   [hot]
 */
#include "netback/vif_port.h"

#include <rte_ethdev.h>

static inline uint16_t queue_in(struct vif_port *p, uint16_t i, struct rte_mbuf **pkts, uint16_t n)
{
	uint16_t got = p->is_ethdev ? rte_eth_rx_burst(p->port_id, i, pkts, n) : vif_tx_burst(p->queue[i], pkts, n);

	if (unlikely(p->captures))
		capture_burst(p->captures, CAPTURE_TX, i, pkts, got);
	return got;
}

static inline void queue_out(struct vif_port *p, uint16_t i, struct rte_mbuf **pkts, uint16_t n)
{
	if (unlikely(p->captures))
		capture_burst(p->captures, CAPTURE_RX, i, pkts, n);
	if (p->is_ethdev)
		rte_eth_tx_burst(p->port_id, i, pkts, n);
	else
		vif_rx_burst(p->queue[i], pkts, n);
}

uint16_t vif_port_in(void *port, struct rte_mbuf **pkts, uint16_t n)
{
	struct vif_port *p = port;
	uint16_t got = 0;

	for (uint16_t i = 0; i < p->nr_queues && got < n; i++) {
		got = (uint16_t)(got + queue_in(p, p->next, pkts + got, (uint16_t)(n - got)));
		if (++p->next >= p->nr_queues)
			p->next = 0;
	}
	return got;
}

/* The hash goes with the packet to the guest; another port's is none of this one's. */
static unsigned queue_of(const struct vif_port *p, struct rte_mbuf *m)
{
	struct steer_hash hash;

	m->ol_flags &= ~RTE_MBUF_F_RX_RSS_HASH;
	if (!steer_is_on(&p->steer) || !steer_hash(&p->steer, m, &hash))
		return steer_flow(m, p->nr_queues);
	m->ol_flags |= RTE_MBUF_F_RX_RSS_HASH;
	m->hash.fdir.lo = hash.value;
	m->hash.fdir.hi = hash.type;
	return steer_queue(&p->steer, hash.value, p->nr_queues);
}

uint16_t vif_port_out(void *port, struct rte_mbuf **pkts, uint16_t n)
{
	struct vif_port *p = port;

	if (p->nr_queues == 1 && likely(!steer_is_on(&p->steer))) {
		queue_out(p, 0, pkts, n);
		return n;
	}
	for (uint16_t i = 0; i < n; i++) {
		unsigned q = queue_of(p, pkts[i]);

		p->out[q][p->nr_out[q]++] = pkts[i];
	}
	for (uint16_t q = 0; q < p->nr_queues; q++) {
		if (p->nr_out[q])
			queue_out(p, q, p->out[q], p->nr_out[q]);
		p->nr_out[q] = 0;
	}
	return n;
}
