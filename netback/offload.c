/*
 * netback/offload.c - finds a packet's headers, marks what is left to do, fills checksums in.   [hot]
 *
 * Fails    -EINVAL: not TCP or UDP over IPv4 or IPv6, a fragment, headers that do not fit together, or that reach beyond the
 *          first segment.
 * Spec     RFC 791, 8200, 9293, 768.
 */
#include "netback/offload.h"

#include <errno.h>

#include <rte_ether.h>
#include <rte_ip.h>
#include <rte_tcp.h>
#include <rte_udp.h>

#define MAX_EXTENSIONS 8
#define MAX_L3_BYTES 511 /* mbuf.l3_len */

struct headers {
	uint32_t l3, l4; /* offsets */
	uint32_t l4_bytes;
	uint8_t proto;
	bool is_ipv6;
};

static int find_ipv4(const struct rte_mbuf *m, struct headers *h)
{
	const struct rte_ipv4_hdr *ip = rte_pktmbuf_mtod_offset(m, const struct rte_ipv4_hdr *, h->l3);
	uint32_t header, total;

	if (m->data_len < h->l3 + sizeof(*ip))
		return -EINVAL;
	header = rte_ipv4_hdr_len(ip);
	if ((ip->version_ihl >> 4) != 4 || header < sizeof(*ip))
		return -EINVAL;
	total = rte_be_to_cpu_16(ip->total_length);
	if (total < header || total > m->pkt_len - h->l3 ||
	    (ip->fragment_offset & RTE_BE16(RTE_IPV4_HDR_MF_FLAG | RTE_IPV4_HDR_OFFSET_MASK)))
		return -EINVAL;
	h->l4 = h->l3 + header;
	h->l4_bytes = total - header;
	h->proto = ip->next_proto_id;
	return 0;
}

/* Steps over hop-by-hop, routing and destination options. A fragment has no checksum of its own. */
static int skip_extensions(const struct rte_mbuf *m, struct headers *h)
{
	for (unsigned i = 0; i < MAX_EXTENSIONS; i++) {
		const uint8_t *extension = rte_pktmbuf_mtod_offset(m, const uint8_t *, h->l4);
		uint32_t bytes;

		if (h->proto != IPPROTO_HOPOPTS && h->proto != IPPROTO_ROUTING && h->proto != IPPROTO_DSTOPTS)
			return 0;
		if (m->data_len < h->l4 + 2)
			return -EINVAL;
		bytes = (extension[1] + 1u) * 8;
		if (bytes > h->l4_bytes)
			return -EINVAL;
		h->proto = extension[0];
		h->l4 += bytes;
		h->l4_bytes -= bytes;
	}
	return -EINVAL;
}

static int find_ipv6(const struct rte_mbuf *m, struct headers *h)
{
	const struct rte_ipv6_hdr *ip = rte_pktmbuf_mtod_offset(m, const struct rte_ipv6_hdr *, h->l3);

	if (m->data_len < h->l3 + sizeof(*ip) || (ip->vtc_flow & RTE_BE32(0xf0000000)) != RTE_BE32(0x60000000))
		return -EINVAL;
	h->is_ipv6 = true;
	h->l4 = h->l3 + (uint32_t)sizeof(*ip);
	h->l4_bytes = rte_be_to_cpu_16(ip->payload_len);
	h->proto = ip->proto;
	if (h->l4_bytes > m->pkt_len - h->l4)
		return -EINVAL;
	return skip_extensions(m, h);
}

static int find(const struct rte_mbuf *m, struct headers *h)
{
	const struct rte_ether_hdr *eth = rte_pktmbuf_mtod(m, const struct rte_ether_hdr *);
	uint16_t type = eth->ether_type;

	*h = (struct headers){.l3 = sizeof(*eth)};
	if (type == RTE_BE16(RTE_ETHER_TYPE_VLAN)) {
		const struct rte_vlan_hdr *vlan = rte_pktmbuf_mtod_offset(m, const struct rte_vlan_hdr *, h->l3);

		if (m->data_len < h->l3 + sizeof(*vlan))
			return -EINVAL;
		type = vlan->eth_proto;
		h->l3 += sizeof(*vlan);
	}
	if (type == RTE_BE16(RTE_ETHER_TYPE_IPV4))
		return find_ipv4(m, h);
	return type == RTE_BE16(RTE_ETHER_TYPE_IPV6) ? find_ipv6(m, h) : -EINVAL;
}

/* The checksum field, or NULL: no such field in what lies in our own memory. */
static uint16_t *checksum_field(struct rte_mbuf *m, const struct headers *h)
{
	uint32_t at, l4_min;

	if (h->proto == IPPROTO_TCP) {
		l4_min = sizeof(struct rte_tcp_hdr);
		at = h->l4 + offsetof(struct rte_tcp_hdr, cksum);
	} else if (h->proto == IPPROTO_UDP) {
		l4_min = sizeof(struct rte_udp_hdr);
		at = h->l4 + offsetof(struct rte_udp_hdr, dgram_cksum);
	} else {
		return NULL;
	}
	if (h->l4_bytes < l4_min || at + sizeof(uint16_t) > m->data_len)
		return NULL;
	return rte_pktmbuf_mtod_offset(m, uint16_t *, at);
}

/* Addresses, protocol and length, as they are summed before TCP or UDP. IP's length counts, not the padding behind it. */
static uint16_t pseudo_sum(const struct rte_mbuf *m, const struct headers *h)
{
	struct {
		rte_be32_t bytes, proto;
	} tail = {rte_cpu_to_be_32(h->l4_bytes), rte_cpu_to_be_32(h->proto)};
	uint32_t addresses = h->is_ipv6 ? offsetof(struct rte_ipv6_hdr, src_addr) : offsetof(struct rte_ipv4_hdr, src_addr);
	uint32_t sum = __rte_raw_cksum(&tail, sizeof(tail), 0);

	sum = __rte_raw_cksum(rte_pktmbuf_mtod_offset(m, const void *, h->l3 + addresses), h->is_ipv6 ? 32 : 8, sum);
	return __rte_raw_cksum_reduce(sum);
}

static int mark_checksum(struct rte_mbuf *m, const struct headers *h)
{
	uint16_t *field = checksum_field(m, h);

	if (!field || h->l4 - h->l3 > MAX_L3_BYTES)
		return -EINVAL;
	*field = pseudo_sum(m, h);
	m->l2_len = h->l3;
	m->l3_len = h->l4 - h->l3;
	m->ol_flags |= (h->is_ipv6 ? RTE_MBUF_F_TX_IPV6 : RTE_MBUF_F_TX_IPV4) |
		       (h->proto == IPPROTO_TCP ? RTE_MBUF_F_TX_TCP_CKSUM : RTE_MBUF_F_TX_UDP_CKSUM);
	return 0;
}

int offload_checksum(struct rte_mbuf *m)
{
	struct headers h;

	return find(m, &h) < 0 ? -EINVAL : mark_checksum(m, &h);
}

int offload_segment(struct rte_mbuf *m, bool is_ipv6, uint16_t segment_bytes)
{
	const struct rte_tcp_hdr *tcp;
	struct headers h;
	uint32_t header;

	if (segment_bytes < OFFLOAD_MIN_SEGMENT || find(m, &h) < 0 || h.is_ipv6 != is_ipv6 || h.proto != IPPROTO_TCP ||
	    h.l4 + h.l4_bytes != m->pkt_len || m->data_len < h.l4 + sizeof(*tcp))
		return -EINVAL;
	tcp = rte_pktmbuf_mtod_offset(m, const struct rte_tcp_hdr *, h.l4);
	header = (tcp->data_off >> 4) * 4u;
	if (header < sizeof(*tcp) || header > h.l4_bytes || m->data_len < h.l4 + header || mark_checksum(m, &h) < 0)
		return -EINVAL;
	if (h.l4_bytes - header <= segment_bytes)
		return 0; /* one segment: nothing to cut */
	m->l4_len = header;
	m->tso_segsz = segment_bytes;
	m->ol_flags |= RTE_MBUF_F_TX_TCP_SEG;
	return 0;
}

void offload_fill(struct rte_mbuf *m)
{
	uint16_t *field, sum = 0;
	struct headers h;

	/* The marks say where; the lengths are read again from our own copy of the headers. */
	if (find(m, &h) == 0 && (field = checksum_field(m, &h)) != NULL) {
		*field = pseudo_sum(m, &h);
		if (rte_raw_cksum_mbuf(m, h.l4, h.l4_bytes, &sum) == 0)
			*field = sum == 0xffff && h.proto == IPPROTO_UDP ? 0xffff : (uint16_t)~sum;
	}
	m->ol_flags &= ~(RTE_MBUF_F_TX_L4_MASK | RTE_MBUF_F_TX_IPV4 | RTE_MBUF_F_TX_IPV6);
	m->ol_flags |= RTE_MBUF_F_RX_L4_CKSUM_GOOD;
}
