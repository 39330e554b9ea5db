/*
 * netback/checksum.c - fills in the checksum that a guest left blank.   [hot]
 *
 * A guest may leave TCP and UDP checksums blank over IPv4 (the protocol assumes that much of every back end). No port is
 * asked to do it: it is done here, once, before the packet is bridged.
 *
 * Trusts   no field of the headers. They lie in our own copy (VIF_TX_HEADER_BYTES); the payload may change while it is
 *          summed, which harms nobody but its sender.
 * Fails    -EINVAL: not TCP or UDP over IPv4 or IPv6, a fragment, or headers longer than the copied part.
 */
#include <rte_ip.h>
#include <rte_tcp.h>
#include <rte_udp.h>

#include "netback/vif.h"

struct checksum_place {
	uint32_t l3, l4; /* offsets */
	uint32_t l4_bytes;
	uint8_t proto;
	bool is_v6;
};

static int place_ipv4(const struct rte_mbuf *m, struct checksum_place *at)
{
	const struct rte_ipv4_hdr *ip = rte_pktmbuf_mtod_offset(m, const struct rte_ipv4_hdr *, at->l3);
	uint32_t header, total;

	if (m->data_len < at->l3 + sizeof(*ip))
		return -EINVAL;
	header = rte_ipv4_hdr_len(ip);
	if ((ip->version_ihl >> 4) != 4 || header < sizeof(*ip))
		return -EINVAL;
	total = rte_be_to_cpu_16(ip->total_length);
	if (total < header || total > m->pkt_len - at->l3 ||
	    (ip->fragment_offset & RTE_BE16(RTE_IPV4_HDR_MF_FLAG | RTE_IPV4_HDR_OFFSET_MASK)))
		return -EINVAL;
	at->l4 = at->l3 + header;
	at->l4_bytes = total - header;
	at->proto = ip->next_proto_id;
	return 0;
}

static int place_ipv6(const struct rte_mbuf *m, struct checksum_place *at)
{
	const struct rte_ipv6_hdr *ip = rte_pktmbuf_mtod_offset(m, const struct rte_ipv6_hdr *, at->l3);

	if (m->data_len < at->l3 + sizeof(*ip))
		return -EINVAL;
	at->is_v6 = true;
	at->l4 = at->l3 + (uint32_t)sizeof(*ip);
	at->l4_bytes = rte_be_to_cpu_16(ip->payload_len);
	at->proto = ip->proto;
	return at->l4_bytes <= m->pkt_len - at->l4 ? 0 : -EINVAL;
}

static int place_find(const struct rte_mbuf *m, struct checksum_place *at)
{
	const struct rte_ether_hdr *eth = rte_pktmbuf_mtod(m, const struct rte_ether_hdr *);
	uint16_t type = eth->ether_type;

	*at = (struct checksum_place){.l3 = sizeof(*eth)};
	if (type == RTE_BE16(RTE_ETHER_TYPE_VLAN)) {
		const struct rte_vlan_hdr *vlan = rte_pktmbuf_mtod_offset(m, const struct rte_vlan_hdr *, at->l3);

		if (m->data_len < at->l3 + sizeof(*vlan))
			return -EINVAL;
		type = vlan->eth_proto;
		at->l3 += sizeof(*vlan);
	}
	if (type == RTE_BE16(RTE_ETHER_TYPE_IPV4))
		return place_ipv4(m, at);
	return type == RTE_BE16(RTE_ETHER_TYPE_IPV6) ? place_ipv6(m, at) : -EINVAL;
}

int checksum_fill(struct rte_mbuf *m)
{
	struct checksum_place at;
	uint16_t *field, sum, raw;
	uint32_t field_at, l4_min;
	const void *ip;

	if (place_find(m, &at) < 0)
		return -EINVAL;
	if (at.proto == IPPROTO_TCP) {
		l4_min = sizeof(struct rte_tcp_hdr);
		field_at = at.l4 + offsetof(struct rte_tcp_hdr, cksum);
	} else if (at.proto == IPPROTO_UDP) {
		l4_min = sizeof(struct rte_udp_hdr);
		field_at = at.l4 + offsetof(struct rte_udp_hdr, dgram_cksum);
	} else {
		return -EINVAL;
	}
	if (at.l4_bytes < l4_min || field_at + sizeof(*field) > m->data_len)
		return -EINVAL;
	field = rte_pktmbuf_mtod_offset(m, uint16_t *, field_at);
	*field = 0;
	if (rte_raw_cksum_mbuf(m, at.l4, at.l4_bytes, &raw) < 0)
		return -EINVAL;
	ip = rte_pktmbuf_mtod_offset(m, const void *, at.l3);
	/* The pseudo header counts the bytes that IP says there are, not the padding behind them. */
	sum = at.is_v6 ? rte_ipv6_phdr_cksum(ip, 0) : rte_ipv4_phdr_cksum(ip, 0);
	sum = (uint16_t)~__rte_raw_cksum_reduce((uint32_t)sum + raw);
	*field = sum ? sum : 0xffff;
	return 0;
}
