/*
 * netback/offload.h - what a packet leaves to whoever receives it: its checksum, its segmentation.   [hot]
 *
 *      from a guest or a TAP     offload_checksum, offload_segment   -->   TX flags in the mbuf
 *      the bridge                needs & ~caps of the way out        -->   gso_*, offload_fill
 *      to a guest, TAP or NIC    the TX flags                        -->   the protocol's own words
 *
 * On the bridge a packet says with DPDK's TX flags (ol_flags, l2_len, l3_len, l4_len, tso_segsz) what is still to be done. Its
 * checksum field then holds the pseudo header's sum: what Linux expects of a partial checksum, and most hardware. That a
 * checksum is known to be right is said by RTE_MBUF_F_RX_L4_CKSUM_GOOD.
 *
 * Trusts   no field of the headers. They must lie in the first segment, which is our own copy; the payload may change while it
 *          is summed, which harms nobody but its sender.
 */
#ifndef SLUICE_NETBACK_OFFLOAD_H
#define SLUICE_NETBACK_OFFLOAD_H

#include <rte_mbuf.h>

enum {
	OFFLOAD_CSUM_IPV4 = 1, /* TCP and UDP */
	OFFLOAD_CSUM_IPV6 = 2,
	OFFLOAD_GSO_IPV4 = 4, /* TCP */
	OFFLOAD_GSO_IPV6 = 8,
	OFFLOAD_ALL = 15,
};

#define OFFLOAD_MIN_SEGMENT 64u /* bytes of payload: who asks for less multiplies one packet by more than a thousand */

/* What must still be done to this packet, a set of the above. */
static inline unsigned offload_needs(const struct rte_mbuf *m)
{
	uint64_t flags = m->ol_flags & (RTE_MBUF_F_TX_L4_MASK | RTE_MBUF_F_TX_TCP_SEG);
	unsigned needs;

	if (likely(!flags))
		return 0;
	needs = flags & RTE_MBUF_F_TX_TCP_SEG ? OFFLOAD_CSUM_IPV4 | OFFLOAD_GSO_IPV4 : OFFLOAD_CSUM_IPV4;
	return m->ol_flags & RTE_MBUF_F_TX_IPV6 ? needs << 1 : needs;
}

/* Bytes of its longest frame once it is segmented. */
static inline uint32_t offload_frame_bytes(const struct rte_mbuf *m)
{
	if (likely(!(m->ol_flags & RTE_MBUF_F_TX_TCP_SEG)))
		return m->pkt_len;
	return (uint32_t)m->l2_len + m->l3_len + m->l4_len + m->tso_segsz;
}

/* The sender left the checksum blank. -EINVAL: this is no whole TCP or UDP packet over IP. */
int offload_checksum(struct rte_mbuf *m);
/* The sender left TCP segmentation to us, and with it the checksum. -EINVAL: no such packet, or segments too small. */
int offload_segment(struct rte_mbuf *m, bool is_ipv6, uint16_t segment_bytes);
/* Fills in a checksum that was left. Only for a packet that is not to be segmented, and that nobody else reads. */
void offload_fill(struct rte_mbuf *m);

#endif
