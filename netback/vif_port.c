/*
 * netback/vif_port.c - spreads packets over a vif's queues and gathers them from there.   [hot]
 *
 * Trusts   no byte of a packet: what is too short for its headers is spread by its addresses alone.
 */
#include "netback/vif_port.h"

#include <rte_ethdev.h>
#include <rte_ip.h>

static inline uint64_t load_u64(const uint8_t *p)
{
	uint64_t v;

	__builtin_memcpy(&v, p, sizeof(v));
	return v;
}

static inline uint32_t load_u32(const uint8_t *p)
{
	uint32_t v;

	__builtin_memcpy(&v, p, sizeof(v));
	return v;
}

/* Addresses, and both ports where TCP or UDP follows at once. Fragments have no ports, and must stay with their flow's others. */
static uint64_t flow_of(const struct rte_mbuf *m)
{
	const uint8_t *eth = rte_pktmbuf_mtod(m, const uint8_t *), *ip = eth + RTE_ETHER_HDR_LEN;
	uint16_t type = ((const struct rte_ether_hdr *)eth)->ether_type;
	uint32_t bytes = m->data_len;
	uint64_t flow;

	if (type == RTE_BE16(RTE_ETHER_TYPE_IPV4) && bytes >= RTE_ETHER_HDR_LEN + 24) {
		const struct rte_ipv4_hdr *v4 = (const struct rte_ipv4_hdr *)ip;

		flow = load_u64(ip + offsetof(struct rte_ipv4_hdr, src_addr));
		if ((v4->next_proto_id == IPPROTO_TCP || v4->next_proto_id == IPPROTO_UDP) && v4->version_ihl == 0x45 &&
		    !(v4->fragment_offset & RTE_BE16(RTE_IPV4_HDR_MF_FLAG | RTE_IPV4_HDR_OFFSET_MASK)))
			flow ^= (uint64_t)load_u32(ip + sizeof(*v4)) << 16;
	} else if (type == RTE_BE16(RTE_ETHER_TYPE_IPV6) && bytes >= RTE_ETHER_HDR_LEN + 44) {
		const uint8_t *addr = ip + offsetof(struct rte_ipv6_hdr, src_addr);
		uint8_t proto = ((const struct rte_ipv6_hdr *)ip)->proto;

		flow = load_u64(addr) + load_u64(addr + 8) * 3 + load_u64(addr + 16) * 5 + load_u64(addr + 24) * 7;
		if (proto == IPPROTO_TCP || proto == IPPROTO_UDP)
			flow ^= (uint64_t)load_u32(addr + 32) << 16;
	} else {
		flow = load_u64(eth) ^ (uint64_t)load_u32(eth + 8) << 32;
	}
	return flow;
}

unsigned vif_port_queue_of(const struct rte_mbuf *m, unsigned nr)
{
	uint64_t hash = flow_of(m) * UINT64_C(0x9e3779b97f4a7c15);

	return (unsigned)(((hash >> 32) * nr) >> 32);
}

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

uint16_t vif_port_out(void *port, struct rte_mbuf **pkts, uint16_t n)
{
	struct vif_port *p = port;

	if (p->nr_queues == 1) {
		queue_out(p, 0, pkts, n);
		return n;
	}
	for (uint16_t i = 0; i < n; i++) {
		unsigned q = vif_port_queue_of(pkts[i], p->nr_queues);

		p->out[q][p->nr_out[q]++] = pkts[i];
	}
	for (uint16_t q = 0; q < p->nr_queues; q++) {
		if (p->nr_out[q])
			queue_out(p, q, p->out[q], p->nr_out[q]);
		p->nr_out[q] = 0;
	}
	return n;
}
