/*
 * test/unit/netback_gro_test.c - TCP frames that follow each other are joined, and only those.
 */
#include "test.h"

#include "vif_box.h"

#include <rte_ip.h>
#include <rte_tcp.h>

#include "netback/gro.h"
#include "netback/gso.h"

#define MAX_BYTES 1600
#define TCP_BYTES 32 /* with a time stamp, as Linux sends */

struct shape {
	bool is_v6, has_vlan, is_pushed;
	uint16_t payload, port;
	uint32_t at; /* place in the flow */
	uint16_t id;
};

static uint32_t l3_at(const struct shape *s)
{
	return s->has_vlan ? 18 : 14;
}

static uint32_t l4_at(const struct shape *s)
{
	return l3_at(s) + (s->is_v6 ? 40 : 20);
}

static void build_ip(uint8_t *p, const struct shape *s)
{
	uint16_t bytes = (uint16_t)(TCP_BYTES + s->payload);

	if (s->is_v6) {
		struct rte_ipv6_hdr *ip = (struct rte_ipv6_hdr *)p;

		*ip = (struct rte_ipv6_hdr){.vtc_flow = RTE_BE32(6u << 28 | 77), .proto = IPPROTO_TCP, .hop_limits = 64};
		ip->payload_len = rte_cpu_to_be_16(bytes);
		memset(ip->src_addr, 0xfd, 32);
	} else {
		struct rte_ipv4_hdr *ip = (struct rte_ipv4_hdr *)p;

		*ip = (struct rte_ipv4_hdr){.version_ihl = 0x45, .next_proto_id = IPPROTO_TCP, .time_to_live = 64,
					    .fragment_offset = RTE_BE16(RTE_IPV4_HDR_DF_FLAG), .src_addr = 1, .dst_addr = 2};
		ip->packet_id = rte_cpu_to_be_16(s->id);
		ip->total_length = rte_cpu_to_be_16((uint16_t)(bytes + 20));
		ip->hdr_checksum = rte_ipv4_cksum(ip);
	}
}

/* Checksums are right. Returns its bytes. */
static uint32_t build(uint8_t *p, const struct shape *s)
{
	struct rte_tcp_hdr *tcp = (struct rte_tcp_hdr *)(p + l4_at(s));
	rte_be16_t type = s->is_v6 ? RTE_BE16(RTE_ETHER_TYPE_IPV6) : RTE_BE16(RTE_ETHER_TYPE_IPV4);

	memset(p, 0, l4_at(s) + TCP_BYTES);
	p[0] = p[6] = 2;
	((struct rte_ether_hdr *)p)->ether_type = s->has_vlan ? RTE_BE16(RTE_ETHER_TYPE_VLAN) : type;
	if (s->has_vlan)
		((struct rte_vlan_hdr *)(p + 14))->eth_proto = type;
	build_ip(p + l3_at(s), s);
	*tcp = (struct rte_tcp_hdr){.src_port = s->port, .dst_port = 9, .sent_seq = rte_cpu_to_be_32(0xfffff000u + s->at),
				    .recv_ack = 5, .data_off = TCP_BYTES / 4 << 4, .rx_win = 77, .tcp_flags = RTE_TCP_ACK_FLAG};
	if (s->is_pushed)
		tcp->tcp_flags |= RTE_TCP_PSH_FLAG;
	memset(tcp + 1, 1, TCP_BYTES - sizeof(*tcp));
	for (uint32_t i = 0; i < s->payload; i++)
		p[l4_at(s) + TCP_BYTES + i] = vif_box_byte(3, s->at + i);
	tcp->cksum = s->is_v6 ? rte_ipv6_udptcp_cksum((void *)(p + l3_at(s)), tcp) : rte_ipv4_udptcp_cksum((void *)(p + l3_at(s)), tcp);
	return l4_at(s) + TCP_BYTES + s->payload;
}

static struct rte_mbuf *packet_of(const uint8_t *p, uint32_t bytes)
{
	struct rte_mbuf *m = rte_pktmbuf_alloc(vif_box_pool());

	memcpy(rte_pktmbuf_append(m, (uint16_t)bytes), p, bytes);
	return m;
}

static struct rte_mbuf *make(const struct shape *s)
{
	uint8_t p[MAX_BYTES];

	return packet_of(p, build(p, s));
}

static void assert_frame(const struct rte_mbuf *m, const struct shape *s)
{
	uint8_t wanted[MAX_BYTES], copy[MAX_BYTES];
	uint32_t bytes = build(wanted, s);

	assert_int_equal(m->pkt_len, bytes);
	assert_memory_equal(rte_pktmbuf_read(m, 0, bytes, copy), wanted, bytes);
}

/* Frame i of a flow in frames of 1,448 bytes. */
static struct shape nth(struct shape s, unsigned i)
{
	s.payload = 1448;
	s.at = i * 1448;
	s.id = (uint16_t)(0xfff0 + i);
	return s;
}

static void what_is_joined_is_cut_into_the_same_frames_again(void **state)
{
	for (unsigned c = 0; c < 8; c++) {
		struct shape flow = {.is_v6 = c & 1, .has_vlan = c & 2, .port = 4}, last;
		struct rte_mbuf *m[12];
		struct gso g;

		for (unsigned i = 0; i < 12; i++) {
			last = nth(flow, i);
			last.is_pushed = i == 11;
			last.payload = i == 11 && c & 4 ? 9 : 1448;
			m[i] = make(&last);
		}
		assert_int_equal(gro_burst(m, 12, OFFLOAD_ALL), 1);
		assert_int_equal(offload_needs(m[0]), flow.is_v6 ? OFFLOAD_CSUM_IPV6 | OFFLOAD_GSO_IPV6
								 : OFFLOAD_CSUM_IPV4 | OFFLOAD_GSO_IPV4);
		assert_int_equal(m[0]->tso_segsz, 1448);
		gso_begin(&g, m[0], vif_box_pool(), vif_box_ext_pool());
		for (unsigned i = 0; i < 12; i++) {
			struct rte_mbuf *frame = gso_next(&g);
			struct shape s = i == 11 ? last : nth(flow, i);

			offload_fill(frame);
			assert_frame(frame, &s);
			rte_pktmbuf_free(frame);
		}
		assert_true(gso_is_done(&g));
		rte_pktmbuf_free(m[0]);
		assert_int_equal(vif_box_in_use(), 0);
	}
}

static void flows_that_alternate_are_joined_each_and_keep_their_order(void **state)
{
	struct shape a = {.port = 1}, b = {.port = 2, .is_v6 = true}, s;
	struct rte_mbuf *m[100];
	unsigned n;

	for (unsigned i = 0; i < 100; i++) {
		s = nth(i % 2 ? b : a, i / 2);
		m[i] = make(&s);
	}
	n = gro_burst(m, 100, OFFLOAD_ALL); /* 45 frames fill a packet of 64 KiB */
	assert_int_equal(n, 4);
	for (unsigned i = 0; i < n; i++) {
		assert_int_equal(m[i]->pkt_len, l4_at(i % 2 ? &b : &a) + TCP_BYTES + 1448 * (i < 2 ? 45 : 5));
		rte_pktmbuf_free(m[i]);
	}
	assert_int_equal(vif_box_in_use(), 0);
}

/* A byte of the second frame is another one, or of both; checksums are made right again unless said. */
struct change {
	const char *says;
	uint32_t at;
	uint8_t to;
	unsigned how;
};

enum { V6 = 1, BOTH = 2, WRONG_SUM = 4 };

static void change(uint8_t *p, const struct change *c, const struct shape *s)
{
	struct rte_ipv4_hdr *ip = (struct rte_ipv4_hdr *)(p + 14);
	struct rte_tcp_hdr *tcp = (struct rte_tcp_hdr *)(p + l4_at(s));

	p[c->at] = c->to;
	if (c->how & WRONG_SUM)
		return;
	tcp->cksum = 0;
	if (s->is_v6) {
		tcp->cksum = rte_ipv6_udptcp_cksum((void *)ip, tcp);
	} else {
		ip->hdr_checksum = 0;
		ip->hdr_checksum = rte_ipv4_cksum(ip);
		tcp->cksum = rte_ipv4_udptcp_cksum(ip, tcp);
	}
}

static void what_does_not_follow_stays_as_it_came(void **state)
{
	static const struct change changes[] = {
		{"another receiver", 0, 4, 0}, {"another sender", 11, 4, 0}, {"other service", 15, 8, 0},
		{"no number that follows", 19, 0, 0},
		{"a fragment", 20, 0x60, BOTH}, {"other hops", 22, 63, 0}, {"UDP", 23, 17, BOTH}, {"another source", 26, 9, 0},
		{"another destination", 33, 9, 0}, {"another port", 35, 9, 0}, {"a gap", 41, 9, 0}, {"other acknowledgement", 45, 9, 0},
		{"FIN", 47, 0x11, 0},
		{"SYN", 47, 0x12, BOTH}, {"RST", 47, 0x14, 0}, {"URG", 47, 0x30, BOTH}, {"ECE", 47, 0x50, BOTH},
		{"CWR", 47, 0x90, BOTH}, {"pushed before", 47, 0x18, BOTH}, {"another window", 49, 1, 0},
		{"another option", 60, 9, 0}, {"a damaged payload", 100, 1, WRONG_SUM},
		{"both damaged", 100, 1, BOTH | WRONG_SUM}, {"a damaged header", 25, 9, WRONG_SUM},
		{"IP options", 14, 0x46, BOTH | WRONG_SUM}, {"a length too long", 17, 0xff, WRONG_SUM},
		{"a header too long", 46, 0xf0, BOTH | WRONG_SUM},
		{"a header too short", 46, 0x10, BOTH | WRONG_SUM},
		{"another label", 17, 1, V6}, {"an extension", 20, 0, V6 | BOTH},
		{"other hops", 21, 3, V6}, {"a damaged payload", 120, 1, V6 | WRONG_SUM},
	};

	for (size_t i = 0; i < ARRAY_LEN(changes); i++) {
		const struct change *c = &changes[i];
		struct shape first = nth((struct shape){.port = 4, .is_v6 = c->how & V6}, 0), second = nth(first, 1);
		uint8_t p[2][MAX_BYTES];
		struct rte_mbuf *m[2];
		uint32_t bytes = build(p[0], &first);

		build(p[1], &second);
		change(p[1], c, &second);
		if (c->how & BOTH)
			change(p[0], c, &first);
		m[0] = packet_of(p[0], bytes);
		m[1] = packet_of(p[1], bytes);
		if (gro_burst(m, 2, OFFLOAD_ALL) != 2)
			fail_msg("%s: joined", c->says);
		for (unsigned k = 0; k < 2; k++) {
			assert_int_equal(m[k]->pkt_len, bytes);
			assert_memory_equal(rte_pktmbuf_mtod(m[k], void *), p[k], bytes);
			rte_pktmbuf_free(m[k]);
		}
	}
	assert_int_equal(vif_box_in_use(), 0);
}

static void a_family_that_the_guest_does_not_take_is_not_joined(void **state)
{
	for (unsigned c = 0; c < 2; c++) {
		struct shape a = nth((struct shape){.is_v6 = c, .port = 4}, 0), b = nth(a, 1);
		struct rte_mbuf *m[2] = {make(&a), make(&b)};

		assert_int_equal(gro_burst(m, 2, c ? OFFLOAD_GSO_IPV4 : OFFLOAD_GSO_IPV6), 2);
		assert_frame(m[0], &a);
		assert_frame(m[1], &b);
		rte_pktmbuf_free_bulk(m, 2);
	}
}

static void a_packet_that_others_read_too_is_left_alone(void **state)
{
	struct shape a = nth((struct shape){.port = 4}, 0), b = nth(a, 1);
	struct rte_mbuf *m[2] = {make(&a), make(&b)};

	rte_pktmbuf_refcnt_update(m[1], 1); /* flooded */
	assert_int_equal(gro_burst(m, 2, OFFLOAD_ALL), 2);
	assert_frame(m[1], &b);
	rte_pktmbuf_free(m[1]);
	rte_pktmbuf_free_bulk(m, 2);
	assert_int_equal(vif_box_in_use(), 0);
}

static int start(void **state)
{
	vif_box_start_dpdk();
	return vif_box_pool() ? 0 : -1;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_is_joined_is_cut_into_the_same_frames_again),
		cmocka_unit_test(flows_that_alternate_are_joined_each_and_keep_their_order),
		cmocka_unit_test(what_does_not_follow_stays_as_it_came),
		cmocka_unit_test(a_family_that_the_guest_does_not_take_is_not_joined),
		cmocka_unit_test(a_packet_that_others_read_too_is_left_alone),
	};

	return cmocka_run_group_tests(tests, start, NULL);
}
