/*
 * test/unit/netfront_ring_test.c - chains, free slots, wakes: netfront's rings against an honest back half.
 */
#include "net_pair.h"
#include "test.h"

static uint8_t sent[NETFRONT_MAX_FRAME + 1], received[NETFRONT_MAX_FRAME + 1];

static void fill(uint8_t *p, uint32_t len, uint32_t seed)
{
	for (uint32_t i = 0; i < len; i++)
		p[i] = (uint8_t)test_random(&seed);
}

static unsigned send_one(struct net_pair *p, uint32_t len)
{
	struct netfront_packet pkt = {.data = sent, .len = len};
	bool wake;

	return netfront_ring_tx(&p->front, &pkt, 1, &wake);
}

static void a_frame_of_any_size_arrives_as_it_was(void **state)
{
	static const struct {
		uint32_t len;
		unsigned slots;
	} t[] = {{14, 1}, {60, 1}, {1514, 1}, {2048, 1}, {2049, 1}, {4096, 1}, {4097, 2}, {9014, 3}, {65535, 16}};
	struct net_pair p;

	net_pair_init(&p, true);
	for (unsigned i = 0; i < ARRAY_LEN(t); i++) {
		uint64_t slots = p.front.count->tx_slots;

		fill(sent, t[i].len, i + 1);
		assert_int_equal(send_one(&p, t[i].len), 1);
		assert_int_equal(p.front.count->tx_slots - slots, t[i].slots);
		assert_int_equal(net_pair_back_receive(&p, received), t[i].len);
		assert_memory_equal(sent, received, t[i].len);
		netif_txr_back_push(&p.tx);
		assert_int_equal(netfront_ring_reclaim(&p.front), 0);
	}
	assert_int_equal(p.front.count->tx_packets, ARRAY_LEN(t));
	net_pair_finish(&p);
}

static void the_first_slot_says_the_whole_size_and_later_ones_their_own(void **state)
{
	struct netif_tx_request req;
	struct net_pair p;

	net_pair_init(&p, true);
	send_one(&p, 9000);
	assert_int_equal(netif_txr_back_pending(&p.tx), 3);
	netif_txr_back_take(&p.tx, &req);
	assert_int_equal(req.size, 9000);
	assert_int_equal(req.flags, NETTXF_more_data);
	netif_txr_back_take(&p.tx, &req);
	assert_int_equal(req.size, 4096);
	assert_int_equal(req.flags, NETTXF_more_data);
	netif_txr_back_take(&p.tx, &req);
	assert_int_equal(req.size, 9000 - 8192);
	assert_int_equal(req.flags, 0);
	assert_true(req.offset + req.size <= PAGE_BYTES);
	net_pair_finish(&p);
}

static void a_frame_that_cannot_be_sent_is_dropped_and_counted(void **state)
{
	static const struct {
		bool sg;
		uint32_t len;
		bool is_dropped;
	} t[] = {{true, 13, true},    {true, 0, true},     {true, 65536, true}, {true, 65535, false},
		 {false, 4096, false}, {false, 4097, true}, {false, 13, true}};

	for (unsigned i = 0; i < ARRAY_LEN(t); i++) {
		struct net_pair p;

		net_pair_init(&p, t[i].sg);
		assert_int_equal(send_one(&p, t[i].len), 1);
		assert_int_equal(p.front.count->tx_drop_size, t[i].is_dropped);
		assert_int_equal(netif_txr_back_pending(&p.tx) > 0, !t[i].is_dropped);
		net_pair_finish(&p);
	}
}

static void a_full_ring_takes_no_more_until_slots_are_answered(void **state)
{
	struct netfront_packet pkts[NETFRONT_SLOTS + 10];
	struct net_pair p;
	bool wake;

	net_pair_init(&p, true);
	for (unsigned i = 0; i < ARRAY_LEN(pkts); i++)
		pkts[i] = (struct netfront_packet){.data = sent, .len = 60};
	assert_int_equal(netfront_ring_tx(&p.front, pkts, ARRAY_LEN(pkts), &wake), NETFRONT_SLOTS);
	assert_int_equal(p.front.count->tx_ring_full, 1);
	assert_int_equal(netfront_ring_tx(&p.front, pkts, 1, &wake), 0);
	assert_false(wake);
	for (unsigned i = 0; i < 10; i++)
		assert_int_equal(net_pair_back_receive(&p, received), 60);
	netif_txr_back_push(&p.tx);
	assert_int_equal(netfront_ring_tx(&p.front, pkts, ARRAY_LEN(pkts), &wake), 10);
	/* A chain needs all its slots at once. */
	assert_int_equal(net_pair_back_receive(&p, received), 60);
	netif_txr_back_push(&p.tx);
	assert_int_equal(send_one(&p, 5000), 0);
	assert_int_equal(send_one(&p, 4000), 1);
	net_pair_finish(&p);
}

static void slots_may_be_answered_in_any_order(void **state)
{
	struct netif_tx_request req[8];
	struct net_pair p;

	net_pair_init(&p, true);
	for (unsigned i = 0; i < 8; i++)
		send_one(&p, 100);
	for (unsigned i = 0; i < 8; i++)
		netif_txr_back_take(&p.tx, &req[i]);
	for (unsigned i = 8; i-- > 0;) {
		struct netif_tx_response rsp = {.id = req[i].id, .status = i % 2 ? NETIF_RSP_OKAY : NETIF_RSP_DROPPED};

		netif_txr_back_put(&p.tx, &rsp);
	}
	netif_txr_back_push(&p.tx);
	assert_int_equal(netfront_ring_reclaim(&p.front), 0);
	assert_int_equal(p.front.count->tx_errors, 4);
	assert_null(p.front.broken);
	net_pair_finish(&p);
}

static void received_frames_are_copied_out_and_their_pages_posted_again(void **state)
{
	static const uint32_t lens[] = {60, 1514, 4096, 9014, 65535};
	struct net_pair p;

	net_pair_init(&p, true);
	for (unsigned round = 0; round < 100; round++) {
		uint32_t len = lens[round % ARRAY_LEN(lens)];
		struct netfront_packet pkt = {.data = received, .len = sizeof(received)};
		bool wake;

		fill(sent, len, round + 1);
		assert_int_equal(netif_rxr_back_pending(&p.rx), NETFRONT_SLOTS);
		assert_true(net_pair_back_send(&p, sent, len));
		netif_rxr_back_push(&p.rx);
		assert_int_equal(netfront_ring_rx(&p.front, &pkt, 1, &wake), 1);
		assert_int_equal(pkt.len, len);
		assert_memory_equal(sent, received, len);
	}
	assert_int_equal(p.front.count->rx_packets, 100);
	net_pair_finish(&p);
}

static void a_frame_whose_rest_comes_later_is_delivered_then(void **state)
{
	struct netfront_packet pkt = {.data = received, .len = sizeof(received)};
	struct netif_rx_request req;
	struct net_pair p;
	bool wake;

	net_pair_init(&p, true);
	for (unsigned i = 0; i < 3; i++) {
		struct netif_rx_response rsp = {.id = (uint16_t)i, .status = 100, .flags = i < 2 ? NETRXF_more_data : 0};

		netif_rxr_back_take(&p.rx, &req);
		memset(net_pair_rx_page(&p, &req), (int)i + 1, 100);
		netif_rxr_back_put(&p.rx, &rsp);
		netif_rxr_back_push(&p.rx);
		assert_int_equal(netfront_ring_rx(&p.front, &pkt, 1, &wake), i == 2);
		/* Pages of the unfinished frame are not posted. */
		assert_int_equal(netif_rxr_back_pending(&p.rx), i < 2 ? NETFRONT_SLOTS - i - 1 : NETFRONT_SLOTS);
	}
	assert_int_equal(pkt.len, 300);
	assert_int_equal(received[0], 1);
	assert_int_equal(received[299], 3);
	net_pair_finish(&p);
}

static void a_frame_larger_than_the_callers_buffer_is_dropped_whole(void **state)
{
	struct netfront_packet pkt = {.data = received, .len = 100};
	struct net_pair p;
	bool wake;

	net_pair_init(&p, true);
	received[100] = 0x5a;
	net_pair_back_send(&p, sent, 101);
	net_pair_back_send(&p, sent, 100);
	netif_rxr_back_push(&p.rx);
	assert_int_equal(netfront_ring_rx(&p.front, &pkt, 1, &wake), 1);
	assert_int_equal(pkt.len, 100);
	assert_int_equal(p.front.count->rx_drop_room, 1);
	assert_int_equal(received[100], 0x5a);
	net_pair_finish(&p);
}

static void a_burst_wakes_once_and_only_who_sleeps(void **state)
{
	struct netfront_packet pkts[32];
	struct net_pair p;
	bool wake;

	net_pair_init(&p, true);
	for (unsigned i = 0; i < ARRAY_LEN(pkts); i++)
		pkts[i] = (struct netfront_packet){.data = sent, .len = 60};
	while (netif_txr_back_final_check(&p.tx))
		net_pair_back_receive(&p, received);
	netfront_ring_tx(&p.front, pkts, 32, &wake);
	assert_true(wake);
	netfront_ring_tx(&p.front, pkts, 32, &wake);
	assert_false(wake);
	assert_int_equal(p.front.count->tx_bursts, 2);
	net_pair_finish(&p);
}

static void a_sleeper_for_room_is_woken_when_there_is_so_much(void **state)
{
	struct netfront_packet pkts[NETFRONT_SLOTS];
	struct net_pair p;
	bool wake;

	net_pair_init(&p, true);
	assert_true(netfront_ring_arm_tx(&p.front, NETFRONT_SLOTS)); /* all are free */
	for (unsigned i = 0; i < NETFRONT_SLOTS; i++)
		pkts[i] = (struct netfront_packet){.data = sent, .len = 60};
	netfront_ring_tx(&p.front, pkts, NETFRONT_SLOTS, &wake);
	assert_false(netfront_ring_arm_tx(&p.front, 64));
	for (unsigned i = 1; i <= 64; i++) {
		net_pair_back_receive(&p, received);
		assert_int_equal(netif_txr_back_push(&p.tx), i == 64);
	}
	assert_true(netfront_ring_arm_tx(&p.front, 64));
	net_pair_finish(&p);
}

static void a_large_tcp_frame_says_how_to_cut_it(void **state)
{
	static const struct {
		uint32_t tx_can;
		uint8_t gso_type;
		uint8_t flags;
		bool is_sent;
	} t[] = {
		{NETFRONT_SG | NETFRONT_CSUM4 | NETFRONT_GSO4, XEN_NETIF_GSO_TYPE_TCPV4, NETFRONT_CSUM_BLANK, true},
		{NETFRONT_SG | NETFRONT_CSUM6 | NETFRONT_GSO6, XEN_NETIF_GSO_TYPE_TCPV6, NETFRONT_CSUM_BLANK, true},
		{NETFRONT_SG | NETFRONT_CSUM6 | NETFRONT_GSO6, XEN_NETIF_GSO_TYPE_TCPV4, NETFRONT_CSUM_BLANK, false},
		{NETFRONT_SG | NETFRONT_CSUM4 | NETFRONT_GSO4, XEN_NETIF_GSO_TYPE_TCPV6, NETFRONT_CSUM_BLANK, false},
		{NETFRONT_SG | NETFRONT_GSO4, XEN_NETIF_GSO_TYPE_TCPV4, NETFRONT_CSUM_BLANK, false},
		{NETFRONT_SG | NETFRONT_CSUM4 | NETFRONT_GSO4, 7, NETFRONT_CSUM_BLANK, false},
	};

	for (unsigned i = 0; i < ARRAY_LEN(t); i++) {
		struct netfront_packet pkt = {.data = sent, .len = 9000};
		struct netif_tx_request req, raw;
		struct netif_extra_info extra;
		struct net_pair p;
		bool wake;

		pkt.meta = (struct netfront_meta){.flags = t[i].flags, .gso_type = t[i].gso_type, .gso_size = 1448};
		net_pair_init_as(&p, NETFRONT_SLOTS, t[i].tx_can, NETFRONT_SG);
		assert_int_equal(netfront_ring_tx(&p.front, &pkt, 1, &wake), 1);
		assert_int_equal(p.front.count->tx_drop_offload, !t[i].is_sent);
		assert_int_equal(netif_txr_back_pending(&p.tx), t[i].is_sent ? 4 : 0);
		if (t[i].is_sent) {
			netif_txr_back_take(&p.tx, &req);
			assert_int_equal(req.flags, NETTXF_extra_info | NETTXF_more_data | NETTXF_csum_blank | NETTXF_data_validated);
			netif_txr_back_take(&p.tx, &raw);
			memcpy(&extra, &raw, sizeof(extra));
			assert_int_equal(extra.type, XEN_NETIF_EXTRA_TYPE_GSO);
			assert_int_equal(extra.flags, 0);
			assert_int_equal(extra.u.gso.size, 1448);
			assert_int_equal(extra.u.gso.type, t[i].gso_type);
			assert_int_equal(extra.u.gso.features, 0);
			netif_txr_back_take(&p.tx, &req);
			assert_int_equal(req.flags, NETTXF_more_data);
		}
		net_pair_finish(&p);
	}
}

static void an_entry_of_extra_info_is_answered_without_an_id(void **state)
{
	struct netfront_packet pkt = {.data = sent, .len = 60};
	struct net_pair p;
	bool wake;

	pkt.meta = (struct netfront_meta){
		.flags = NETFRONT_CSUM_BLANK, .gso_type = XEN_NETIF_GSO_TYPE_TCPV4, .gso_size = 100};
	net_pair_init_as(&p, NETFRONT_SLOTS, NETFRONT_SG | NETFRONT_CSUM4 | NETFRONT_GSO4, NETFRONT_SG);
	for (unsigned i = 0; i < 3 * NETFRONT_SLOTS; i++) {
		struct netif_tx_response rsp = {.status = NETIF_RSP_OKAY}, null = {.id = 0xffff, .status = NETIF_RSP_NULL};
		struct netif_tx_request req;

		assert_int_equal(netfront_ring_tx(&p.front, &pkt, 1, &wake), 1);
		netif_txr_back_take(&p.tx, &req);
		rsp.id = req.id;
		netif_txr_back_put(&p.tx, &rsp);
		netif_txr_back_take(&p.tx, &req);
		netif_txr_back_put(&p.tx, &null);
		netif_txr_back_push(&p.tx);
	}
	assert_int_equal(netfront_ring_reclaim(&p.front), 0);
	assert_null(p.front.broken);
	assert_int_equal(p.front.count->tx_errors, 0);
	net_pair_finish(&p);
}

static void extra_info_fills_the_ring_before_the_pages_are_used_up(void **state)
{
	struct netfront_packet pkt = {.data = sent, .len = 60};
	struct net_pair p;
	unsigned n = 0;
	bool wake;

	pkt.meta = (struct netfront_meta){
		.flags = NETFRONT_CSUM_BLANK, .gso_type = XEN_NETIF_GSO_TYPE_TCPV4, .gso_size = 100};
	net_pair_init_as(&p, NETFRONT_SLOTS, NETFRONT_SG | NETFRONT_CSUM4 | NETFRONT_GSO4, NETFRONT_SG);
	while (netfront_ring_tx(&p.front, &pkt, 1, &wake))
		n++;
	assert_int_equal(n, NETFRONT_SLOTS / 2);
	assert_int_equal(netif_txr_back_pending(&p.tx), NETFRONT_SLOTS);
	assert_false(netfront_ring_arm_tx(&p.front, 2)); /* sleeps, although pages are free */
	net_pair_finish(&p);
}

static void a_received_frame_keeps_its_offloads(void **state)
{
	static const uint8_t hash[4] = {1, 2, 3, 4};
	struct netfront_packet pkt = {.data = received, .len = sizeof(received)};
	struct netif_extra_info extra[2] = {{.type = XEN_NETIF_EXTRA_TYPE_GSO, .flags = XEN_NETIF_EXTRA_FLAG_MORE},
					    {.type = XEN_NETIF_EXTRA_TYPE_HASH}};
	struct netif_rx_response rsp = {.status = 100};
	struct netif_rx_request req;
	struct net_pair p;
	uint32_t value;
	bool wake;

	extra[0].u.gso.size = 1400;
	extra[0].u.gso.type = XEN_NETIF_GSO_TYPE_TCPV6;
	extra[1].u.hash.type = XEN_NETIF_CTRL_HASH_TYPE_IPV6_TCP;
	memcpy(extra[1].u.hash.value, hash, 4);
	net_pair_init_as(&p, NETFRONT_MIN_SLOTS, NETFRONT_SG, UINT32_MAX);
	for (unsigned i = 0; i < 4 * NETFRONT_SLOTS; i += 4) {
		for (unsigned k = 0; k < 4; k++) {
			netif_rxr_back_take(&p.rx, &req);
			rsp.id = req.id;
			rsp.flags = k ? 0 : NETRXF_csum_blank | NETRXF_data_validated | NETRXF_extra_info | NETRXF_more_data;
			if (k == 1 || k == 2)
				memcpy(&p.rx.sh->slot[p.rx.rsp_prod++ & p.rx.mask], &extra[k - 1], sizeof(extra[0]));
			else
				netif_rxr_back_put(&p.rx, &rsp);
			netif_rxr_back_push(&p.rx);
			pkt.len = sizeof(received);
			assert_int_equal(netfront_ring_rx(&p.front, &pkt, 1, &wake), k == 3);
		}
		assert_int_equal(pkt.len, 200);
		assert_int_equal(pkt.meta.flags, NETFRONT_CSUM_BLANK | NETFRONT_CSUM_VALID);
		assert_int_equal(pkt.meta.gso_type, XEN_NETIF_GSO_TYPE_TCPV6);
		assert_int_equal(pkt.meta.gso_size, 1400);
		assert_int_equal(pkt.meta.hash_type, XEN_NETIF_CTRL_HASH_TYPE_IPV6_TCP);
		memcpy(&value, hash, 4);
		assert_int_equal(pkt.meta.hash, value);
	}
	/* The next frame has none of it. */
	net_pair_back_send(&p, sent, 60);
	netif_rxr_back_push(&p.rx);
	pkt.len = sizeof(received);
	assert_int_equal(netfront_ring_rx(&p.front, &pkt, 1, &wake), 1);
	assert_int_equal(pkt.meta.flags | pkt.meta.gso_size | pkt.meta.hash_type, 0);
	net_pair_finish(&p);
}

static void few_pages_go_round_in_a_large_ring(void **state)
{
	static const uint32_t slots[] = {32, 64, 128};
	struct net_pair p;

	for (unsigned i = 0; i < ARRAY_LEN(slots); i++) {
		net_pair_init_as(&p, slots[i], NETFRONT_SG, NETFRONT_SG);
		for (unsigned round = 0; round < 2000; round++) {
			struct netfront_packet pkt = {.data = received, .len = sizeof(received)};
			uint32_t len = 60 + round * 131 % 65000;
			bool wake;

			assert_int_equal(netif_rxr_back_pending(&p.rx), slots[i]);
			fill(sent, 60, round + 1);
			assert_int_equal(send_one(&p, len), 1);
			assert_int_equal(net_pair_back_receive(&p, received), len);
			netif_txr_back_push(&p.tx);
			assert_true(net_pair_back_send(&p, received, len));
			netif_rxr_back_push(&p.rx);
			assert_int_equal(netfront_ring_rx(&p.front, &pkt, 1, &wake), 1);
			assert_int_equal(pkt.len, len);
			assert_memory_equal(sent, received, 60);
		}
		assert_null(p.front.broken);
		net_pair_finish(&p);
	}
}

static void a_frame_is_gathered_from_pieces_of_any_size(void **state)
{
	struct iovec pieces[40];
	struct net_pair p;
	uint32_t seed = 1;

	net_pair_init(&p, true);
	for (unsigned round = 0; round < 500; round++) {
		uint32_t bytes = 0;

		fill(sent, 40 * 600, round + 1);
		for (unsigned i = 0; i < ARRAY_LEN(pieces); i++) {
			uint32_t len = test_random(&seed) % 600;

			pieces[i] = (struct iovec){sent + bytes, len};
			bytes += len;
		}
		assert_true(netfront_ring_put(&p.front, pieces, bytes, NULL));
		netfront_ring_push(&p.front);
		assert_int_equal(net_pair_back_receive(&p, received), bytes);
		assert_memory_equal(sent, received, bytes);
		netif_txr_back_push(&p.tx);
		netfront_ring_reclaim(&p.front);
	}
	net_pair_finish(&p);
}

static void a_multicast_address_goes_to_the_back_ends_list(void **state)
{
	static const uint8_t mac[6] = {0x33, 0x33, 0, 0, 0, 1};
	struct netif_extra_info extra;
	struct netif_tx_request req;
	struct net_pair p;

	net_pair_init(&p, true);
	assert_false(netfront_ring_mcast(&p.front, mac, true)); /* it keeps none */
	net_pair_finish(&p);
	net_pair_init_as(&p, NETFRONT_SLOTS, NETFRONT_MCAST, NETFRONT_MCAST);
	assert_true(netfront_ring_mcast(&p.front, mac, true));
	assert_true(netfront_ring_mcast(&p.front, mac, false));
	netfront_ring_push(&p.front);
	assert_int_equal(netif_txr_back_pending(&p.tx), 4);
	for (unsigned i = 0; i < 2; i++) {
		netif_txr_back_take(&p.tx, &req);
		assert_int_equal(req.flags, NETTXF_extra_info);
		netif_txr_back_take(&p.tx, &req);
		memcpy(&extra, &req, sizeof(extra));
		assert_int_equal(extra.type, i ? XEN_NETIF_EXTRA_TYPE_MCAST_DEL : XEN_NETIF_EXTRA_TYPE_MCAST_ADD);
		assert_memory_equal(extra.u.mcast.addr, mac, 6);
	}
	net_pair_finish(&p);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_frame_of_any_size_arrives_as_it_was),
		cmocka_unit_test(the_first_slot_says_the_whole_size_and_later_ones_their_own),
		cmocka_unit_test(a_frame_that_cannot_be_sent_is_dropped_and_counted),
		cmocka_unit_test(a_full_ring_takes_no_more_until_slots_are_answered),
		cmocka_unit_test(slots_may_be_answered_in_any_order),
		cmocka_unit_test(received_frames_are_copied_out_and_their_pages_posted_again),
		cmocka_unit_test(a_frame_whose_rest_comes_later_is_delivered_then),
		cmocka_unit_test(a_frame_larger_than_the_callers_buffer_is_dropped_whole),
		cmocka_unit_test(a_burst_wakes_once_and_only_who_sleeps),
		cmocka_unit_test(a_sleeper_for_room_is_woken_when_there_is_so_much),
		cmocka_unit_test(a_large_tcp_frame_says_how_to_cut_it),
		cmocka_unit_test(an_entry_of_extra_info_is_answered_without_an_id),
		cmocka_unit_test(extra_info_fills_the_ring_before_the_pages_are_used_up),
		cmocka_unit_test(a_received_frame_keeps_its_offloads),
		cmocka_unit_test(few_pages_go_round_in_a_large_ring),
		cmocka_unit_test(a_frame_is_gathered_from_pieces_of_any_size),
		cmocka_unit_test(a_multicast_address_goes_to_the_back_ends_list),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
