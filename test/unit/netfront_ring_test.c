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
	struct netfront_packet pkt = {sent, len};
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
		uint64_t slots = p.front.count.tx_slots;

		fill(sent, t[i].len, i + 1);
		assert_int_equal(send_one(&p, t[i].len), 1);
		assert_int_equal(p.front.count.tx_slots - slots, t[i].slots);
		assert_int_equal(net_pair_back_receive(&p, received), t[i].len);
		assert_memory_equal(sent, received, t[i].len);
		netif_txr_back_push(&p.tx);
		assert_int_equal(netfront_ring_reclaim(&p.front), 0);
	}
	assert_int_equal(p.front.count.tx_packets, ARRAY_LEN(t));
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
		assert_int_equal(p.front.count.tx_drop_size, t[i].is_dropped);
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
		pkts[i] = (struct netfront_packet){sent, 60};
	assert_int_equal(netfront_ring_tx(&p.front, pkts, ARRAY_LEN(pkts), &wake), NETFRONT_SLOTS);
	assert_int_equal(p.front.count.tx_ring_full, 1);
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
	assert_int_equal(p.front.count.tx_errors, 4);
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
		struct netfront_packet pkt = {received, sizeof(received)};
		bool wake;

		fill(sent, len, round + 1);
		assert_int_equal(netif_rxr_back_pending(&p.rx), NETFRONT_SLOTS);
		assert_true(net_pair_back_send(&p, sent, len));
		netif_rxr_back_push(&p.rx);
		assert_int_equal(netfront_ring_rx(&p.front, &pkt, 1, &wake), 1);
		assert_int_equal(pkt.len, len);
		assert_memory_equal(sent, received, len);
	}
	assert_int_equal(p.front.count.rx_packets, 100);
	net_pair_finish(&p);
}

static void a_frame_whose_rest_comes_later_is_delivered_then(void **state)
{
	struct netfront_packet pkt = {received, sizeof(received)};
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
	struct netfront_packet pkt = {received, 100};
	struct net_pair p;
	bool wake;

	net_pair_init(&p, true);
	received[100] = 0x5a;
	net_pair_back_send(&p, sent, 101);
	net_pair_back_send(&p, sent, 100);
	netif_rxr_back_push(&p.rx);
	assert_int_equal(netfront_ring_rx(&p.front, &pkt, 1, &wake), 1);
	assert_int_equal(pkt.len, 100);
	assert_int_equal(p.front.count.rx_drop_room, 1);
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
		pkts[i] = (struct netfront_packet){sent, 60};
	while (netif_txr_back_final_check(&p.tx))
		net_pair_back_receive(&p, received);
	netfront_ring_tx(&p.front, pkts, 32, &wake);
	assert_true(wake);
	netfront_ring_tx(&p.front, pkts, 32, &wake);
	assert_false(wake);
	assert_int_equal(p.front.count.tx_bursts, 2);
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
		pkts[i] = (struct netfront_packet){sent, 60};
	netfront_ring_tx(&p.front, pkts, NETFRONT_SLOTS, &wake);
	assert_false(netfront_ring_arm_tx(&p.front, 64));
	for (unsigned i = 1; i <= 64; i++) {
		net_pair_back_receive(&p, received);
		assert_int_equal(netif_txr_back_push(&p.tx), i == 64);
	}
	assert_true(netfront_ring_arm_tx(&p.front, 64));
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
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
