/*
 * test/liar/netfront_ring_test.c - netfront's rings against back ends that lie.
 */
#include "liar.h"
#include "net_pair.h"
#include "test.h"

static uint8_t frame[65536];

static void answer_tx(struct net_pair *p, uint16_t id, int16_t status)
{
	struct netif_tx_response rsp = {.id = id, .status = status};

	netif_txr_back_put(&p->tx, &rsp);
}

static void answer_rx(struct net_pair *p, uint16_t id, uint16_t offset, uint16_t flags, int16_t status)
{
	struct netif_rx_response rsp = {.id = id, .offset = offset, .flags = flags, .status = status};

	netif_rxr_back_put(&p->rx, &rsp);
}

static unsigned send_frames(struct net_pair *p, unsigned n)
{
	struct netfront_packet pkts[NETFRONT_SLOTS];
	bool wake;

	for (unsigned i = 0; i < n; i++)
		pkts[i] = (struct netfront_packet){.data = frame, .len = 60};
	return netfront_ring_tx(&p->front, pkts, n, &wake);
}

static unsigned receive(struct net_pair *p)
{
	struct netfront_packet pkts[8];
	unsigned got, all = 0;
	bool wake;

	do {
		for (unsigned i = 0; i < 8; i++)
			pkts[i] = (struct netfront_packet){.data = frame + 8000 * i, .len = 8000};
		got = netfront_ring_rx(&p->front, pkts, 8, &wake);
		all += got;
	} while (got);
	return all;
}

static void assert_dead(struct net_pair *p)
{
	struct netfront_packet pkt = {.data = frame, .len = 60};
	unsigned out = netfront_ring_reclaim(&p->front);
	bool wake;

	assert_non_null(p->front.broken);
	assert_int_equal(netfront_ring_tx(&p->front, &pkt, 1, &wake), 0);
	assert_int_equal(netfront_ring_rx(&p->front, &pkt, 1, &wake), 0);
	assert_int_equal(netfront_ring_reclaim(&p->front), out);
	assert_true(netfront_ring_arm_rx(&p->front)); /* nobody sleeps on it */
	assert_true(netfront_ring_arm_tx(&p->front, 1));
}

/* What the back end answered to rx is shown, nothing is received, and the ring is dead. */
static void expect_death_by_rx(struct net_pair *p)
{
	netif_rxr_back_push(&p->rx);
	assert_int_equal(receive(p), 0);
	assert_dead(p);
}

static void a_tx_answer_nobody_waits_for_breaks_the_ring(void **state)
{
	static const struct {
		uint16_t first, second; /* two answers; two frames are outstanding, with ids 0 and 1 */
		bool is_broken;
	} t[] = {{0, 1, false},   {1, 0, false},      {0, 0, true},    {1, 1, true},
		 {2, 0, true},    {0, 255, true},     {256, 0, true},  {0, 65535, true},
		 {0x8000, 1, true}};

	for (unsigned i = 0; i < ARRAY_LEN(t); i++) {
		struct net_pair p;

		net_pair_init(&p, true);
		assert_int_equal(send_frames(&p, 2), 2);
		answer_tx(&p, t[i].first, NETIF_RSP_OKAY);
		answer_tx(&p, t[i].second, NETIF_RSP_OKAY);
		netif_txr_back_push(&p.tx);
		netfront_ring_reclaim(&p.front);
		if (t[i].is_broken)
			assert_dead(&p);
		else
			assert_null(p.front.broken);
		net_pair_finish(&p);
	}
}

static void an_rx_answer_in_another_slot_breaks_the_ring(void **state)
{
	static const uint16_t ids[] = {1, 255, 256, 0x100, 0x8000, 0xffff};

	for (unsigned i = 0; i < ARRAY_LEN(ids); i++) {
		struct net_pair p;

		net_pair_init(&p, true);
		answer_rx(&p, ids[i], 0, 0, 60);
		expect_death_by_rx(&p);
		net_pair_finish(&p);
	}
}

static void a_producer_index_far_ahead_breaks_the_ring(void **state)
{
	static const uint32_t jumps[] = {1, 257, 0x80000000u, UINT32_MAX};

	for (unsigned i = 0; i < ARRAY_LEN(jumps); i++) {
		struct net_pair p;

		net_pair_init(&p, true);
		p.tx.sh->head.rsp_prod = jumps[i]; /* nothing was sent */
		netfront_ring_reclaim(&p.front);
		assert_dead(&p);
		net_pair_finish(&p);

		if (jumps[i] <= NETFRONT_SLOTS)
			continue;
		net_pair_init(&p, true);
		p.rx.sh->head.rsp_prod = jumps[i];
		receive(&p);
		assert_dead(&p);
		net_pair_finish(&p);
	}
}

static void a_bad_fragment_drops_its_frame_and_no_other(void **state)
{
	static const struct {
		uint16_t offset;
		int16_t status;
		size_t counter;
	} t[] = {
		{0, 4097, offsetof(struct netfront_counters, rx_drop_bounds)},
		{1, 4096, offsetof(struct netfront_counters, rx_drop_bounds)},
		{4096, 60, offsetof(struct netfront_counters, rx_drop_bounds)},
		{4095, 2, offsetof(struct netfront_counters, rx_drop_bounds)},
		{65535, 60, offsetof(struct netfront_counters, rx_drop_bounds)},
		{65535, 32767, offsetof(struct netfront_counters, rx_drop_bounds)},
		{0, 32767, offsetof(struct netfront_counters, rx_drop_bounds)},
		{0, 0, offsetof(struct netfront_counters, rx_drop_bounds)},
		{0, 13, offsetof(struct netfront_counters, rx_drop_bounds)},
		{0, -1, offsetof(struct netfront_counters, rx_drop_error)},
		{0, -2, offsetof(struct netfront_counters, rx_drop_error)},
		{0, INT16_MIN, offsetof(struct netfront_counters, rx_drop_error)},
	};

	for (unsigned i = 0; i < ARRAY_LEN(t); i++) {
		struct net_pair p;

		net_pair_init(&p, true);
		answer_rx(&p, 0, 0, 0, 60);
		answer_rx(&p, 1, t[i].offset, 0, t[i].status);
		answer_rx(&p, 2, 4036, 0, 60);
		netif_rxr_back_push(&p.rx);
		assert_int_equal(receive(&p), 2);
		assert_null(p.front.broken);
		assert_int_equal(*(uint64_t *)((char *)p.front.count + t[i].counter), 1);
		assert_int_equal(netif_rxr_back_pending(&p.rx), NETFRONT_SLOTS + 3); /* its three pages too */
		net_pair_finish(&p);
	}
}

static void a_chain_too_long_is_dropped_and_one_without_end_breaks_the_ring(void **state)
{
	struct net_pair p;

	net_pair_init(&p, true);
	for (uint16_t i = 0; i < 19; i++)
		answer_rx(&p, i, 0, i < 18 ? NETRXF_more_data : 0, 60);
	answer_rx(&p, 19, 0, 0, 60);
	netif_rxr_back_push(&p.rx);
	assert_int_equal(receive(&p), 1);
	assert_int_equal(p.front.count->rx_drop_chain, 1);
	assert_null(p.front.broken);
	net_pair_finish(&p);

	net_pair_init(&p, true);
	for (uint16_t i = 0; i < NETFRONT_SLOTS; i++)
		answer_rx(&p, i, 0, NETRXF_more_data, 60);
	expect_death_by_rx(&p);
	net_pair_finish(&p);
}

static void extra_info_nobody_asked_for_breaks_the_ring(void **state)
{
	struct net_pair p;

	net_pair_init(&p, true);
	answer_rx(&p, 0, 0, NETRXF_extra_info, 60);
	expect_death_by_rx(&p);
	net_pair_finish(&p);
}

static void an_empty_answer_is_for_extra_info_alone(void **state)
{
	struct net_pair p;

	net_pair_init_as(&p, NETFRONT_SLOTS, UINT32_MAX, NETFRONT_SG);
	send_frames(&p, 4);
	answer_tx(&p, 0, NETIF_RSP_NULL);
	netif_txr_back_push(&p.tx);
	netfront_ring_reclaim(&p.front);
	assert_dead(&p);
	net_pair_finish(&p);
}

static void bad_extra_info_drops_its_frame_and_no_other(void **state)
{
	static const struct netif_extra_info bad[] = {
		{.type = 0},
		{.type = XEN_NETIF_EXTRA_TYPE_MCAST_ADD},
		{.type = 255, .flags = 0xfe},
		{.type = XEN_NETIF_EXTRA_TYPE_GSO, .u.gso = {.size = 0, .type = XEN_NETIF_GSO_TYPE_TCPV4}},
		{.type = XEN_NETIF_EXTRA_TYPE_GSO, .u.gso = {.size = 1448, .type = XEN_NETIF_GSO_TYPE_NONE}},
		{.type = XEN_NETIF_EXTRA_TYPE_GSO, .u.gso = {.size = 1448, .type = 3}},
		{.type = XEN_NETIF_EXTRA_TYPE_GSO, .u.gso = {.size = 1448, .type = XEN_NETIF_GSO_TYPE_TCPV6}}, /* not asked for */
		{.type = XEN_NETIF_EXTRA_TYPE_HASH}, /* not asked for */
	};

	for (unsigned i = 0; i < ARRAY_LEN(bad); i++) {
		struct net_pair p;

		net_pair_init_as(&p, NETFRONT_SLOTS, NETFRONT_SG, NETFRONT_SG | NETFRONT_CSUM4 | NETFRONT_GSO4);
		answer_rx(&p, 0, 0, NETRXF_extra_info | NETRXF_more_data, 60);
		memcpy(&p.rx.sh->slot[p.rx.rsp_prod++ & p.rx.mask], &bad[i], sizeof(bad[i]));
		answer_rx(&p, 2, 0, 0, 60);
		answer_rx(&p, 3, 0, 0, 60);
		netif_rxr_back_push(&p.rx);
		assert_int_equal(receive(&p), 1);
		assert_int_equal(p.front.count->rx_drop_extra, 1);
		assert_null(p.front.broken);
		net_pair_finish(&p);
	}
}

static void extra_info_without_end_or_in_the_middle_breaks_the_ring(void **state)
{
	static const struct netif_extra_info endless = {.type = XEN_NETIF_EXTRA_TYPE_HASH, .flags = XEN_NETIF_EXTRA_FLAG_MORE};
	struct net_pair p;

	net_pair_init_as(&p, NETFRONT_SLOTS, UINT32_MAX, UINT32_MAX);
	answer_rx(&p, 0, 0, NETRXF_extra_info, 60);
	for (unsigned i = 1; i < NETFRONT_SLOTS; i++)
		memcpy(&p.rx.sh->slot[p.rx.rsp_prod++ & p.rx.mask], &endless, sizeof(endless));
	expect_death_by_rx(&p);
	net_pair_finish(&p);

	net_pair_init_as(&p, NETFRONT_SLOTS, UINT32_MAX, UINT32_MAX);
	answer_rx(&p, 0, 0, NETRXF_more_data, 60);
	answer_rx(&p, 1, 0, NETRXF_extra_info, 60);
	expect_death_by_rx(&p);
	net_pair_finish(&p);
}

/* Writes anything anywhere into both shared rings and the rx pages. */
static LIAR_CODE void scribble(void *arg, uint32_t random)
{
	struct net_pair *p = arg;
	uint32_t at = random % (PAGE_BYTES / 4);

	((volatile uint32_t *)(random & 0x10000 ? p->memory.tx_ring : p->memory.rx_ring))[at] = random * 2654435761u;
	((volatile uint32_t *)p->memory.rx_pages)[random % 1024] = random;
}

static LIAR_CODE void scribble_slots(void *arg, uint32_t random)
{
	struct net_pair *p = arg;
	uint32_t at = 16 + random % (PAGE_BYTES / 4 - 16);

	((volatile uint32_t *)(random & 0x10000 ? p->memory.tx_ring : p->memory.rx_ring))[at] = random * 2654435761u;
}

/* The peer changes everything while it is read: nothing here may crash, hang, or leave its memory. */
static LIAR_CODE void use_while_scribbled(struct net_pair *p, unsigned rounds)
{
	for (unsigned i = 0; i < rounds; i++) {
		send_frames(p, 8);
		receive(p);
		if (netif_txr_back_pending(&p->tx) > 0) {
			struct netif_tx_request req;

			netif_txr_back_take(&p->tx, &req);
			answer_tx(p, req.id, (int16_t)i);
			netif_txr_back_push(&p->tx);
		}
		netfront_ring_arm_rx(&p->front);
		netfront_ring_arm_tx(&p->front, 32);
		if (p->front.broken)
			netfront_ring_init(&p->front, &p->memory, UINT32_MAX, UINT32_MAX);
	}
}

/* A program that keeps each frame for a while, and sends every other one on. */
static LIAR_CODE void lend_while_scribbled(struct net_pair *p, unsigned rounds)
{
	struct netfront_loan *kept[NETFRONT_SLOTS] = {NULL};
	unsigned at = 0;

	for (unsigned i = 0; i < rounds; i++) {
		struct netfront_ring *r = &p->front;
		struct netfront_simple frames[8];
		unsigned nr;

		netfront_ring_look(r);
		nr = netfront_ring_simple(r, frames, 8);
		for (unsigned k = 0; k < nr; k++) {
			struct netfront_loan **slot = &kept[at++ % NETFRONT_SLOTS];

			if (*slot && at % 2 && netfront_ring_put_loan(r, *slot, 0, 60))
				*slot = NULL;
			if (*slot)
				netfront_loan_end(*slot);
			*slot = netfront_ring_lend(r, k);
		}
		netfront_ring_took(r, nr, 0);
		receive(p);
		netfront_ring_push(r);
		netfront_ring_reclaim(r);
		net_pair_check_loans(r);
		answer_rx(p, (uint16_t)(p->rx.rsp_prod % NETFRONT_SLOTS), 0, 0, 600);
		netif_rxr_back_push(&p->rx);
		if (r->broken) {
			memset(kept, 0, sizeof(kept));
			net_pair_begin(p, UINT32_MAX, UINT32_MAX);
		}
	}
	for (unsigned i = 0; i < NETFRONT_SLOTS; i++)
		if (kept[i])
			netfront_loan_end(kept[i]);
}

static void a_back_end_that_scribbles_while_pages_are_out_harms_only_itself(void **state)
{
	struct net_pair p;
	struct liar l;

	net_pair_init_lending(&p, NETFRONT_SLOTS);
	liar_start(&l, scribble_slots, &p);
	do
		lend_while_scribbled(&p, 500);
	while (!liar_has_told(&l, 20000));
	liar_stop(&l);
	net_pair_finish(&p);
}

/* The same page twice, or before it was shown: its loan ends once. */
static void an_answer_for_a_page_that_was_sent_on_counts_once(void **state)
{
	struct netfront_simple f;
	struct netfront_loan *loan;
	struct net_pair p;

	net_pair_init_lending(&p, NETFRONT_MIN_SLOTS);
	send_frames(&p, 1);
	answer_rx(&p, 0, 0, 0, 1000);
	netif_rxr_back_push(&p.rx);
	netfront_ring_look(&p.front);
	assert_int_equal(netfront_ring_simple(&p.front, &f, 1), 1);
	loan = netfront_ring_lend(&p.front, 0);
	assert_non_null(loan);
	netfront_ring_took(&p.front, 1, 1000);
	assert_true(netfront_ring_put_loan(&p.front, loan, 0, 1000));
	answer_tx(&p, 1, NETIF_RSP_OKAY); /* in the place of the answer to the first */
	netif_txr_back_push(&p.tx);
	netfront_ring_reclaim(&p.front);
	assert_false(loan->is_out);
	netfront_ring_push(&p.front);
	answer_tx(&p, 1, NETIF_RSP_OKAY);
	netif_txr_back_push(&p.tx);
	assert_dead(&p);
	net_pair_check_loans(&p.front);
	net_pair_finish(&p);
}

static void a_back_end_that_scribbles_harms_only_itself(void **state)
{
	static void (*const mischief[])(void *, uint32_t) = {scribble, scribble_slots};
	uint8_t *guard = frame + sizeof(frame) - 64;

	for (unsigned m = 0; m < ARRAY_LEN(mischief); m++) {
		struct net_pair p;
		struct liar l;

		net_pair_init(&p, true);
		memset(guard, 0x77, 64);
		liar_start(&l, mischief[m], &p);
		do
			use_while_scribbled(&p, 500);
		while (!liar_has_told(&l, 20000));
		liar_stop(&l);
		for (unsigned i = 0; i < 64; i++)
			assert_int_equal(guard[i], 0x77);
		net_pair_finish(&p);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_tx_answer_nobody_waits_for_breaks_the_ring),
		cmocka_unit_test(an_rx_answer_in_another_slot_breaks_the_ring),
		cmocka_unit_test(a_producer_index_far_ahead_breaks_the_ring),
		cmocka_unit_test(a_bad_fragment_drops_its_frame_and_no_other),
		cmocka_unit_test(a_chain_too_long_is_dropped_and_one_without_end_breaks_the_ring),
		cmocka_unit_test(extra_info_nobody_asked_for_breaks_the_ring),
		cmocka_unit_test(an_empty_answer_is_for_extra_info_alone),
		cmocka_unit_test(bad_extra_info_drops_its_frame_and_no_other),
		cmocka_unit_test(extra_info_without_end_or_in_the_middle_breaks_the_ring),
		cmocka_unit_test(an_answer_for_a_page_that_was_sent_on_counts_once),
		cmocka_unit_test(a_back_end_that_scribbles_harms_only_itself),
		cmocka_unit_test(a_back_end_that_scribbles_while_pages_are_out_harms_only_itself),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
