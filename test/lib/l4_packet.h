/*
 * test/lib/l4_packet.h - TCP and UDP packets described in a line: written, sent and taken by a guest, looked at.
 *
 * Runs in  one thread.
 */
#ifndef SLUICE_TEST_L4_PACKET_H
#define SLUICE_TEST_L4_PACKET_H

#include "test.h"
#include "vif_box.h"

#include <rte_ip.h>
#include <rte_tcp.h>
#include <rte_udp.h>

#define MAX_FRAME_BYTES 66000

struct packet {
	const char *says;
	bool is_ipv6, is_tcp, has_vlan, is_fragment;
	uint16_t payload, padding;
	uint8_t ip_options, tcp_options;
	uint8_t extension; /* IPv6: of this kind, 8 bytes */
	uint16_t segment;  /* 0: only the checksum is left */
	int expected;      /* from offload_checksum or offload_segment */
};

static inline uint32_t l3_at(const struct packet *c)
{
	return RTE_ETHER_HDR_LEN + (c->has_vlan ? RTE_VLAN_HLEN : 0u);
}

static inline uint32_t l4_at(const struct packet *c)
{
	return l3_at(c) + (c->is_ipv6 ? 40u + (c->extension ? 8u : 0u) : 20u + c->ip_options);
}

static inline uint32_t payload_at(const struct packet *c)
{
	return l4_at(c) + (c->is_tcp ? 20u + c->tcp_options : 8u);
}

static inline void build_ipv6(uint8_t *p, const struct packet *c, uint32_t bytes)
{
	struct rte_ipv6_hdr *ip = (struct rte_ipv6_hdr *)p;
	uint8_t proto = c->is_tcp ? IPPROTO_TCP : IPPROTO_UDP;

	ip->vtc_flow = RTE_BE32(6u << 28);
	ip->payload_len = rte_cpu_to_be_16((uint16_t)(bytes + (c->extension ? 8 : 0)));
	ip->proto = c->extension ? c->extension : proto;
	memset(ip->src_addr, 0xfd, 16);
	memset(ip->dst_addr, 0xfe, 16);
	if (c->extension)
		p[40] = proto;
}

static inline void build_ipv4(uint8_t *p, const struct packet *c, uint32_t bytes)
{
	struct rte_ipv4_hdr *ip = (struct rte_ipv4_hdr *)p;
	uint32_t header = 20u + c->ip_options;

	ip->version_ihl = (uint8_t)(0x40 | header / 4);
	ip->total_length = rte_cpu_to_be_16((uint16_t)(header + bytes));
	ip->packet_id = RTE_BE16(0xfffe);
	ip->next_proto_id = c->is_tcp ? IPPROTO_TCP : IPPROTO_UDP;
	ip->fragment_offset = c->is_fragment ? RTE_BE16(RTE_IPV4_HDR_MF_FLAG) : 0;
	ip->src_addr = RTE_BE32(0x0a000001);
	ip->dst_addr = RTE_BE32(0x0a000002);
	ip->hdr_checksum = (uint16_t)~rte_raw_cksum(ip, header);
}

/* Writes the frame; returns its bytes. The checksum field is garbage. */
static inline uint32_t build(uint8_t *p, const struct packet *c)
{
	rte_be16_t type = rte_cpu_to_be_16(c->is_ipv6 ? RTE_ETHER_TYPE_IPV6 : RTE_ETHER_TYPE_IPV4);
	uint32_t at = payload_at(c), bytes = at - l4_at(c) + c->payload;

	memset(p, 0, at);
	p[5] = 2;
	p[11] = 1;
	((struct rte_ether_hdr *)p)->ether_type = c->has_vlan ? RTE_BE16(RTE_ETHER_TYPE_VLAN) : type;
	if (c->has_vlan)
		((struct rte_vlan_hdr *)(p + RTE_ETHER_HDR_LEN))->eth_proto = type;
	if (c->is_ipv6)
		build_ipv6(p + l3_at(c), c, bytes);
	else
		build_ipv4(p + l3_at(c), c, bytes);
	if (c->is_tcp)
		*(struct rte_tcp_hdr *)(p + l4_at(c)) = (struct rte_tcp_hdr){
			.sent_seq = RTE_BE32(0xfffff000), .data_off = (uint8_t)((20 + c->tcp_options) / 4 << 4), .cksum = 0x1234,
			.tcp_flags = RTE_TCP_ACK_FLAG | RTE_TCP_PSH_FLAG | RTE_TCP_FIN_FLAG | RTE_TCP_CWR_FLAG};
	else
		*(struct rte_udp_hdr *)(p + l4_at(c)) =
			(struct rte_udp_hdr){.dgram_len = rte_cpu_to_be_16((uint16_t)bytes), .dgram_cksum = 0x4321};
	for (uint32_t i = 0; i < (uint32_t)c->payload + c->padding; i++)
		p[at + i] = vif_box_byte(5, i);
	return at + c->payload + c->padding;
}

/* With the checksum in place the complement of the sum is zero, which UDP spells 0xffff. */
static inline void assert_checksum(const struct packet *c, const uint8_t *p)
{
	const uint8_t *ip = p + l3_at(c), *l4 = p + l4_at(c);
	uint16_t sum;

	if (c->extension) {
		struct rte_ipv6_hdr plain = *(const struct rte_ipv6_hdr *)ip; /* the pseudo header knows no extensions */

		plain.proto = ip[40];
		plain.payload_len = rte_cpu_to_be_16((uint16_t)(rte_be_to_cpu_16(plain.payload_len) - 8));
		sum = rte_ipv6_udptcp_cksum(&plain, l4);
	} else {
		sum = c->is_ipv6 ? rte_ipv6_udptcp_cksum((const void *)ip, l4) : rte_ipv4_udptcp_cksum((const void *)ip, l4);
	}
	if (sum != (c->is_tcp ? 0 : 0xffff))
		fail_msg("%s: wrong checksum", c->says);
	if (!c->is_ipv6)
		assert_int_equal(rte_raw_cksum(ip, 20u + c->ip_options), 0xffff);
}

static inline void fetch(const struct rte_mbuf *m, uint8_t *out)
{
	const uint8_t *p = rte_pktmbuf_read(m, 0, m->pkt_len, out);

	assert_non_null(p);
	if (p != out)
		memcpy(out, p, m->pkt_len);
}

/* A packet of ours with that frame in it; headers in the first segment. */
static inline struct rte_mbuf *packet_of(const uint8_t *frame, uint32_t bytes)
{
	struct rte_mbuf *m = vif_box_packet(bytes, 1000, 0);
	uint32_t at = 0;

	for (struct rte_mbuf *s = m; s; s = s->next) {
		memcpy(rte_pktmbuf_mtod(s, void *), frame + at, s->data_len);
		at += s->data_len;
	}
	return m;
}

static const struct packet large[] = {
	{.says = "ipv4", .is_tcp = true, .payload = 65000, .segment = 1448},
	{.says = "ipv4, tcp options", .is_tcp = true, .payload = 14480, .tcp_options = 12, .segment = 1448},
	{.says = "ipv6", .is_tcp = true, .is_ipv6 = true, .payload = 64000, .segment = 1428},
	{.says = "ipv6, extension", .is_tcp = true, .is_ipv6 = true, .payload = 3001, .extension = IPPROTO_HOPOPTS, .segment = 1000},
	{.says = "vlan", .is_tcp = true, .has_vlan = true, .payload = 3000, .segment = 1400},
	{.says = "the smallest segments", .is_tcp = true, .payload = 2048, .segment = OFFLOAD_MIN_SEGMENT},
};

/* The guest's packet: one fragment a page, extra info if it is to be segmented. */
static inline void guest_sends(struct vif_box *box, const struct packet *c, uint16_t flags)
{
	static uint8_t frame[MAX_FRAME_BYTES];
	uint32_t bytes = build(frame, c), pages = (bytes + PAGE_BYTES - 1) / PAGE_BYTES;

	for (uint32_t i = 0; i < pages; i++) {
		uint32_t len = RTE_MIN(bytes - i * PAGE_BYTES, PAGE_BYTES);

		memcpy(vif_box_page(box, i), frame + i * PAGE_BYTES, len);
		vif_box_put(box, box->ref[i], 0, (uint16_t)(i ? len : bytes),
			    (uint16_t)((i + 1 < pages ? NETTXF_more_data : 0) |
				       (i ? 0 : flags | (c->segment ? NETTXF_extra_info : 0))), (uint16_t)i);
		if (i == 0 && c->segment) {
			struct netif_extra_info extra = {
				.type = XEN_NETIF_EXTRA_TYPE_GSO,
				.u.gso = {.size = c->segment,
					  .type = c->is_ipv6 ? XEN_NETIF_GSO_TYPE_TCPV6 : XEN_NETIF_GSO_TYPE_TCPV4}};
			struct netif_tx_request req = {0};

			memcpy(&req, &extra, sizeof(extra));
			netif_txr_front_put(&box->tx, &req);
		}
	}
	netif_txr_front_push(&box->tx);
}

/* Takes one packet off the rx ring: its bytes, its first slot's flags, its extra info. */
static inline uint32_t guest_takes(struct vif_box *box, uint8_t *out, uint16_t *flags, struct netif_extra_info *extra)
{
	struct netif_rx_response rsp;
	uint32_t total = 0;
	bool is_first = true;

	do {
		assert_true(netif_rxr_front_pending(&box->rx) > 0);
		netif_rxr_front_take(&box->rx, &rsp);
		assert_true(rsp.status > 0);
		memcpy(out + total, vif_box_page(box, rsp.id) + rsp.offset, (size_t)rsp.status);
		total += (uint32_t)rsp.status;
		if (is_first)
			*flags = rsp.flags;
		if (is_first && (rsp.flags & NETRXF_extra_info)) {
			struct netif_rx_response slot;

			netif_rxr_front_take(&box->rx, &slot);
			memcpy(extra, &slot, sizeof(slot));
		}
		is_first = false;
	} while (rsp.flags & NETRXF_more_data);
	return total;
}

#endif
