/*
 * netback/vif_pmd_offload.c - translates offloads between DPDK programs and the bridge.   [hot]
 *
 * Trusts, Runs in: vif_pmd_offload.h.
 */
#include "netback/vif_pmd_offload.h"

#include <errno.h>

#include <rte_ip.h>

void vif_pmd_offload_in_some(struct rte_mbuf *m, bool takes_large)
{
	bool is_large = takes_large && m->ol_flags & RTE_MBUF_F_TX_TCP_SEG;
	bool is_ipv6 = m->ol_flags & RTE_MBUF_F_TX_IPV6;

	if (!is_large)
		offload_fill(m);
	m->ol_flags &= ~RTE_MBUF_F_TX_OFFLOAD_MASK;
	if (!is_large) {
		m->ol_flags |= RTE_MBUF_F_RX_L4_CKSUM_GOOD;
		return;
	}
	m->ol_flags |= RTE_MBUF_F_RX_LRO | RTE_MBUF_F_RX_L4_CKSUM_NONE;
	m->packet_type = RTE_PTYPE_L2_ETHER | RTE_PTYPE_L4_TCP |
			 (is_ipv6 ? RTE_PTYPE_L3_IPV6_EXT_UNKNOWN : RTE_PTYPE_L3_IPV4_EXT_UNKNOWN);
}

/* The program says where the header is; whether one can be there is looked at. */
static int fill_ip(struct rte_mbuf *m)
{
	struct rte_ipv4_hdr *ip = rte_pktmbuf_mtod_offset(m, struct rte_ipv4_hdr *, m->l2_len);

	if (m->data_len < m->l2_len + sizeof(*ip) || rte_ipv4_hdr_len(ip) < sizeof(*ip) ||
	    m->data_len < (uint32_t)m->l2_len + rte_ipv4_hdr_len(ip))
		return -EINVAL;
	ip->hdr_checksum = 0;
	ip->hdr_checksum = rte_ipv4_cksum(ip);
	return 0;
}

/* A large packet from a port of such: nobody has touched its flags, so its checksum is as blank as it came. */
static bool is_as_received(uint64_t flags)
{
	const uint64_t large = RTE_MBUF_F_RX_LRO | RTE_MBUF_F_RX_L4_CKSUM_NONE;

	return (flags & (RTE_MBUF_F_RX_LRO | RTE_MBUF_F_RX_L4_CKSUM_MASK)) == large &&
	       !(flags & (RTE_MBUF_F_TX_L4_MASK | RTE_MBUF_F_TX_TCP_SEG));
}

int vif_pmd_offload_out_some(struct rte_mbuf *m)
{
	uint64_t flags = m->ol_flags;
	int err = flags & RTE_MBUF_F_TX_IP_CKSUM ? fill_ip(m) : 0;

	m->ol_flags &= ~(RTE_MBUF_F_TX_OFFLOAD_MASK | RTE_MBUF_F_RX_LRO);
	if (err)
		return err;
	if (is_as_received(flags))
		return offload_segment(m, RTE_ETH_IS_IPV6_HDR(m->packet_type), m->tso_segsz);
	if (flags & RTE_MBUF_F_TX_TCP_SEG)
		return offload_segment(m, flags & RTE_MBUF_F_TX_IPV6, m->tso_segsz);
	return flags & RTE_MBUF_F_TX_L4_MASK ? offload_checksum(m) : 0;
}
