/*
 * test/unit/netback_offload_test.c - checksums and segmentation: what one end leaves undone, the other end takes or we do.
 */
#include "test.h"

#include "l4_packet.h"

static struct vif_box box;

static const struct packet packets[] = {
	{.says = "udp over ipv4", .payload = 31},
	{.says = "tcp over ipv4", .is_tcp = true, .payload = 100},
	{.says = "no payload", .is_tcp = true},
	{.says = "padded to the least Ethernet frame", .payload = 3, .padding = 20},
	{.says = "ip options", .is_tcp = true, .payload = 700, .ip_options = 40},
	{.says = "odd length", .is_tcp = true, .payload = 1447},
	{.says = "vlan", .is_tcp = true, .has_vlan = true, .payload = 900},
	{.says = "tcp over ipv6", .is_ipv6 = true, .is_tcp = true, .payload = 1000},
	{.says = "udp over ipv6, vlan", .is_ipv6 = true, .has_vlan = true, .payload = 9},
	{.says = "hop-by-hop options", .is_ipv6 = true, .payload = 9, .extension = IPPROTO_HOPOPTS},
	{.says = "destination options", .is_ipv6 = true, .is_tcp = true, .payload = 9, .extension = IPPROTO_DSTOPTS},
	{.says = "an ipv6 fragment", .is_ipv6 = true, .payload = 9, .extension = IPPROTO_FRAGMENT, .expected = -EINVAL},
	{.says = "a fragment", .payload = 31, .is_fragment = true, .expected = -EINVAL},
};

static void a_checksum_that_was_left_is_marked_and_filled_in_or_refused(void **state)
{
	uint8_t frame[2048], out[2048];

	vif_box_start_dpdk();
	for (size_t i = 0; i < ARRAY_LEN(packets); i++) {
		const struct packet *c = &packets[i];
		struct rte_mbuf *m = packet_of(frame, build(frame, c));
		unsigned needs = c->is_ipv6 ? OFFLOAD_CSUM_IPV6 : OFFLOAD_CSUM_IPV4;

		if (offload_checksum(m) != c->expected)
			fail_msg("%s: not %d", c->says, c->expected);
		assert_int_equal(offload_needs(m), c->expected ? 0 : needs);
		if (!c->expected) {
			assert_int_equal(m->l2_len, l3_at(c));
			assert_int_equal(m->l2_len + m->l3_len, l4_at(c));
			offload_fill(m);
			assert_int_equal(offload_needs(m), 0);
			fetch(m, out);
			assert_checksum(c, out);
		}
		rte_pktmbuf_free(m);
	}
	assert_int_equal(vif_box_in_use(), 0);
}

/* Headers cut anywhere: refused or marked, never read beyond their end (AddressSanitizer watches the copy). */
static void headers_that_end_early_are_refused(void **state)
{
	uint8_t frame[2048];

	vif_box_start_dpdk();
	for (size_t i = 0; i < ARRAY_LEN(packets); i++) {
		uint32_t bytes = build(frame, &packets[i]);

		for (uint32_t cut = sizeof(struct rte_ether_hdr); cut < RTE_MIN(bytes, payload_at(&packets[i])); cut++) {
			struct rte_mbuf *m = packet_of(frame, cut);

			assert_int_equal(offload_checksum(m), -EINVAL);
			assert_int_equal(offload_segment(m, packets[i].is_ipv6, 1000), -EINVAL);
			assert_int_equal(offload_needs(m), 0);
			rte_pktmbuf_free(m);
		}
	}
}

/* ---- through the bridge -------------------------------------------------------------------------------------------- */

struct sink {
	struct bridge_port port;
	struct bridge_part part;
	struct rte_mbuf *got[2048];
	unsigned nr;
};

static struct bridge *bridge;
static struct sink sinks[3];

static uint16_t sink_out(void *queue, struct rte_mbuf **pkts, uint16_t n)
{
	struct sink *s = queue;

	for (uint16_t i = 0; i < n; i++)
		s->got[s->nr++] = pkts[i];
	return n;
}

static void bridge_begin(const unsigned caps[3])
{
	const struct bridge_options opt = {.nr_lanes = 1, .secret = 1, .pool = vif_box_pool(), .ext_pool = vif_box_ext_pool()};

	assert_int_equal(bridge_create(&opt, &bridge), 0);
	for (unsigned i = 0; i < 3; i++) {
		sinks[i] = (struct sink){.part = {.queue = &sinks[i], .out = sink_out},
					 .port = {.parts = {&sinks[i].part}, .nr_parts = 1, .max_frame = 1518, .caps = caps[i]}};
		assert_int_equal(bridge_add_port(bridge, &sinks[i].port), 0);
	}
}

static void bridge_end(void)
{
	for (unsigned i = 0; i < 3; i++) {
		rte_pktmbuf_free_bulk(sinks[i].got, sinks[i].nr);
		bridge_remove_port(bridge, &sinks[i].port);
	}
	bridge_destroy(bridge);
	assert_int_equal(vif_box_in_use(), 0);
}

/* What came out, put together again, is what went in; each frame is right by itself. */
static void assert_segmented(const struct packet *c, const struct sink *s)
{
	uint32_t nr = (c->payload + c->segment - 1u) / c->segment, at = 0;
	static uint8_t out[MAX_FRAME_BYTES];

	assert_int_equal(s->nr, nr);
	for (uint32_t i = 0; i < nr; i++) {
		uint32_t bytes = RTE_MIN(c->payload - at, (uint32_t)c->segment);
		const struct rte_tcp_hdr *tcp = (const struct rte_tcp_hdr *)(out + l4_at(c));

		assert_int_equal(s->got[i]->pkt_len, payload_at(c) + bytes);
		fetch(s->got[i], out);
		if (offload_needs(s->got[i]) == 0)
			assert_checksum(c, out);
		assert_int_equal(rte_be_to_cpu_32(tcp->sent_seq), 0xfffff000u + at);
		assert_int_equal(!!(tcp->tcp_flags & RTE_TCP_CWR_FLAG), i == 0);
		assert_int_equal(!!(tcp->tcp_flags & RTE_TCP_FIN_FLAG), i + 1 == nr);
		assert_int_equal(!!(tcp->tcp_flags & RTE_TCP_PSH_FLAG), i + 1 == nr);
		if (!c->is_ipv6)
			assert_int_equal(rte_be_to_cpu_16(((const struct rte_ipv4_hdr *)(out + l3_at(c)))->packet_id),
					 (uint16_t)(0xfffe + i));
		for (uint32_t b = 0; b < bytes; b++)
			assert_int_equal(out[payload_at(c) + b], vif_box_byte(5, at + b));
		at += bytes;
	}
}

static void a_large_packet_is_cut_for_a_port_that_cannot_and_passes_whole_to_one_that_can(void **state)
{
	static const unsigned caps[3] = {0, 0, OFFLOAD_ALL};
	static uint8_t frame[MAX_FRAME_BYTES];

	vif_box_start_dpdk();
	for (size_t i = 0; i < ARRAY_LEN(large); i++) {
		const struct packet *c = &large[i];
		uint32_t bytes = build(frame, c);

		/* A port that takes checksums but no large packets gets frames whose checksums are still left. */
		for (unsigned takes = 0; takes < 2; takes++) {
			const unsigned two[3] = {0, takes ? OFFLOAD_CSUM_IPV4 | OFFLOAD_CSUM_IPV6 : 0, OFFLOAD_ALL};
			struct rte_mbuf *m = packet_of(frame, bytes);

			bridge_begin(two);
			bridge_remove_port(bridge, &sinks[2].port);
			assert_int_equal(offload_segment(m, c->is_ipv6, c->segment), 0);
			lane_input(bridge->lanes, &sinks[0].part, &m, 1);
			lane_flush(bridge->lanes);
			assert_segmented(c, &sinks[1]);
			assert_int_equal(offload_needs(sinks[1].got[0]) != 0, takes);
			assert_int_equal(sinks[0].part.stats.segmented, !0);
			assert_int_equal(bridge_add_port(bridge, &sinks[2].port), 0);
			bridge_end();
		}
		/* Flooded to both kinds: cut once, for the least able. */
		for (unsigned only_able = 0; only_able < 2; only_able++) {
			struct rte_mbuf *m = packet_of(frame, bytes);

			bridge_begin(caps);
			if (only_able)
				bridge_remove_port(bridge, &sinks[1].port);
			assert_int_equal(offload_segment(m, c->is_ipv6, c->segment), 0);
			lane_input(bridge->lanes, &sinks[0].part, &m, 1);
			lane_flush(bridge->lanes);
			if (only_able) {
				assert_int_equal(sinks[2].nr, 1);
				assert_ptr_equal(sinks[2].got[0], m);
				assert_int_equal(m->pkt_len, bytes);
				assert_int_equal(bridge_add_port(bridge, &sinks[1].port), 0);
			} else {
				assert_segmented(c, &sinks[1]);
				assert_segmented(c, &sinks[2]);
			}
			bridge_end();
		}
	}
}

static void nonsense_is_not_segmented(void **state)
{
	static const struct {
		struct packet packet;
		bool is_ipv6;
		uint16_t segment;
	} cases[] = {
		{{.payload = 3000}, false, 1448},                                       /* UDP */
		{{.is_tcp = true, .payload = 3000}, true, 1448},                        /* not that family */
		{{.is_tcp = true, .is_ipv6 = true, .payload = 3000}, false, 1448},
		{{.is_tcp = true, .payload = 3000}, false, OFFLOAD_MIN_SEGMENT - 1},
		{{.is_tcp = true, .payload = 3000}, false, 0},
		{{.is_tcp = true, .payload = 3000, .padding = 1}, false, 1448},         /* bytes that no segment would have */
		{{.is_tcp = true, .payload = 3000, .is_fragment = true}, false, 1448},
	};
	uint8_t frame[4096];

	vif_box_start_dpdk();
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct rte_mbuf *m = packet_of(frame, build(frame, &cases[i].packet));

		assert_int_equal(offload_segment(m, cases[i].is_ipv6, cases[i].segment), -EINVAL);
		rte_pktmbuf_free(m);
	}
	/* A TCP header that claims more than there is, or less than it can. */
	for (unsigned words = 0; words < 16; words++) {
		const struct packet c = {.is_tcp = true, .payload = 30};
		uint32_t bytes = build(frame, &c);
		struct rte_mbuf *m;

		frame[l4_at(&c) + 12] = (uint8_t)(words << 4);
		m = packet_of(frame, bytes);
		assert_int_equal(offload_segment(m, false, 1000), words >= 5 && words * 4 <= 20u + 30 ? 0 : -EINVAL);
		assert_false(m->ol_flags & RTE_MBUF_F_TX_TCP_SEG); /* one segment needs no cutting */
		rte_pktmbuf_free(m);
	}
}

static void without_buffers_the_rest_of_a_large_packet_is_dropped_and_counted(void **state)
{
	static const unsigned caps[3] = {0, 0, 0};
	static uint8_t frame[MAX_FRAME_BYTES];
	static struct rte_mbuf *hog[8192];
	unsigned nr = 0;
	struct rte_mbuf *m;

	vif_box_start_dpdk();
	m = packet_of(frame, build(frame, &large[0]));
	assert_int_equal(offload_segment(m, false, 1448), 0);
	bridge_begin(caps);
	while (nr < ARRAY_LEN(hog) && (hog[nr] = rte_pktmbuf_alloc(vif_box_ext_pool())) != NULL)
		nr++;
	for (unsigned i = 0; i < 20; i++)
		rte_pktmbuf_free(hog[--nr]);
	lane_input(bridge->lanes, &sinks[0].part, &m, 1);
	lane_flush(bridge->lanes);
	assert_true(sinks[1].nr > 0 && sinks[1].nr < 20);
	assert_int_equal(sinks[0].part.stats.drop_no_mbuf, 1);
	rte_pktmbuf_free_bulk(hog, nr);
	bridge_end();
}

/* ---- through a vif's rings ----------------------------------------------------------------------------------------- */

static unsigned count_answers(int16_t status)
{
	int n = netif_txr_front_pending(&box.tx);
	unsigned matching = 0;

	for (int i = 0; i < n; i++) {
		struct netif_tx_response rsp;

		netif_txr_front_take(&box.tx, &rsp);
		matching += rsp.status == status;
	}
	return matching;
}

static void what_a_guest_leaves_undone_is_marked(void **state)
{
	for (int copies_only = 0; copies_only < 2; copies_only++) {
		vif_box_init_features(&box, &(struct vif_features){.sg = true, .copies_only = copies_only});
		for (size_t i = 0; i < ARRAY_LEN(large); i++) {
			const struct packet *c = &large[i];
			struct rte_mbuf *m;

			guest_sends(&box, c, NETTXF_csum_blank | NETTXF_data_validated);
			assert_int_equal(vif_tx_burst(box.queue, &m, 1), 1);
			assert_int_equal(offload_needs(m), c->is_ipv6 ? OFFLOAD_CSUM_IPV6 | OFFLOAD_GSO_IPV6
								      : OFFLOAD_CSUM_IPV4 | OFFLOAD_GSO_IPV4);
			assert_int_equal(m->tso_segsz, c->segment);
			assert_int_equal(m->l2_len + m->l3_len + m->l4_len, payload_at(c));
			rte_pktmbuf_free(m);
			vif_tx_finish(box.queue);
			assert_int_equal(count_answers(NETIF_RSP_NULL), 1);
		}
		assert_int_equal(box.stats.tx_gso, ARRAY_LEN(large));
		for (size_t i = 0; i < ARRAY_LEN(packets); i++) {
			struct rte_mbuf *m;

			guest_sends(&box, &packets[i], NETTXF_csum_blank | NETTXF_data_validated);
			assert_int_equal(vif_tx_burst(box.queue, &m, 1), !packets[i].expected);
			if (packets[i].expected)
				continue;
			assert_int_equal(offload_needs(m), packets[i].is_ipv6 ? OFFLOAD_CSUM_IPV6 : OFFLOAD_CSUM_IPV4);
			rte_pktmbuf_free(m);
		}
		assert_int_equal(box.stats.tx_drop_checksum, 2);
		vif_tx_finish(box.queue);
		count_answers(0);
		guest_sends(&box, &(struct packet){.payload = 3000, .segment = 1448}, NETTXF_csum_blank); /* UDP */
		assert_int_equal(vif_tx_burst(box.queue, &(struct rte_mbuf *){NULL}, 1), 0);
		assert_int_equal(box.stats.tx_drop_gso, 1);
		vif_tx_finish(box.queue);
		assert_int_equal(count_answers(NETIF_RSP_NULL), 1);
		assert_int_equal(vif_box_in_use(), 0);
		vif_box_finish(&box);
	}
}

static void a_guest_that_takes_large_packets_gets_them_whole_with_extra_info(void **state)
{
	static uint8_t frame[MAX_FRAME_BYTES], out[MAX_FRAME_BYTES];

	vif_box_init_features(&box, &(struct vif_features){.sg = true, .caps = OFFLOAD_ALL});
	for (size_t i = 0; i < ARRAY_LEN(large); i++) {
		const struct packet *c = &large[i];
		uint32_t bytes = build(frame, c), pages = (bytes + PAGE_BYTES - 1) / PAGE_BYTES;
		struct rte_mbuf *m = packet_of(frame, bytes);
		struct netif_extra_info extra = {0};
		uint16_t flags = 0;

		assert_int_equal(offload_segment(m, c->is_ipv6, c->segment), 0);
		fetch(m, frame); /* with the pseudo header's sum */
		vif_box_post(&box, (unsigned)i, pages + 1);
		vif_rx_burst(box.queue, &m, 1);
		assert_int_equal(guest_takes(&box, out, &flags, &extra), bytes);
		assert_memory_equal(out, frame, bytes);
		assert_int_equal(flags & (NETRXF_csum_blank | NETRXF_data_validated), NETRXF_csum_blank | NETRXF_data_validated);
		assert_int_equal(extra.type, XEN_NETIF_EXTRA_TYPE_GSO);
		assert_int_equal(extra.flags, 0);
		assert_int_equal(extra.u.gso.size, c->segment);
		assert_int_equal(extra.u.gso.type, c->is_ipv6 ? XEN_NETIF_GSO_TYPE_TCPV6 : XEN_NETIF_GSO_TYPE_TCPV4);
		assert_int_equal(netif_rxr_front_pending(&box.rx), 0);
	}
	assert_int_equal(box.stats.rx_gso, ARRAY_LEN(large));
	assert_int_equal(vif_box_in_use(), 0);
	vif_box_finish(&box);
}

static void the_guest_learns_what_is_known_of_a_checksum(void **state)
{
	static const struct {
		uint64_t marks;
		uint16_t flags;
	} cases[] = {
		{0, 0},
		{RTE_MBUF_F_RX_L4_CKSUM_GOOD, NETRXF_data_validated},
		{RTE_MBUF_F_RX_L4_CKSUM_BAD, 0},
		{RTE_MBUF_F_RX_L4_CKSUM_NONE, 0},
		{RTE_MBUF_F_TX_IPV4 | RTE_MBUF_F_TX_TCP_CKSUM, NETRXF_data_validated | NETRXF_csum_blank},
		{RTE_MBUF_F_TX_IPV6 | RTE_MBUF_F_TX_UDP_CKSUM, NETRXF_data_validated | NETRXF_csum_blank},
	};

	vif_box_init(&box, true);
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct rte_mbuf *m = vif_box_packet(60, 2000, 0);
		struct netif_rx_response rsp;

		m->ol_flags |= cases[i].marks;
		vif_box_post(&box, 0, 1);
		vif_rx_burst(box.queue, &m, 1);
		netif_rxr_front_take(&box.rx, &rsp);
		assert_int_equal(rsp.flags, cases[i].flags);
	}
	vif_box_finish(&box);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_checksum_that_was_left_is_marked_and_filled_in_or_refused),
		cmocka_unit_test(headers_that_end_early_are_refused),
		cmocka_unit_test(a_large_packet_is_cut_for_a_port_that_cannot_and_passes_whole_to_one_that_can),
		cmocka_unit_test(nonsense_is_not_segmented),
		cmocka_unit_test(without_buffers_the_rest_of_a_large_packet_is_dropped_and_counted),
		cmocka_unit_test(what_a_guest_leaves_undone_is_marked),
		cmocka_unit_test(a_guest_that_takes_large_packets_gets_them_whole_with_extra_info),
		cmocka_unit_test(the_guest_learns_what_is_known_of_a_checksum),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
