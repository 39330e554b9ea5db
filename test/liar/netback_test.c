/*
 * test/liar/netback_test.c - front ends that lie to the network back end. Each harms only itself: nothing leaks, nothing is
 * touched that was not granted, work stays bounded, and where the ring still makes sense honest packets still pass.
 */
#include "liar.h"
#include "test.h"

#include "vif_box.h"

#define MORE NETTXF_more_data

static struct vif_box box;
static unsigned nr_staged; /* pages: with them, packets of one slot take the short way */

static void begin(bool sg)
{
	vif_box_init(&box, sg);
	if (nr_staged)
		vif_box_stage(&box, nr_staged);
}

/* Bursts until the ring has nothing more to give; returns packets. Bounded by what a ring can hold. */
static unsigned drain(void)
{
	struct rte_mbuf *m[VIF_TX_BURST];
	unsigned packets = 0;

	for (unsigned i = 0; i < VIF_RING_SLOTS + 2; i++) {
		uint16_t n = vif_tx_burst(box.queue, m, VIF_TX_BURST);

		rte_pktmbuf_free_bulk(m, n);
		packets += n;
		if (n == 0 && !vif_arm(box.queue))
			break;
	}
	vif_tx_finish(box.queue);
	return packets;
}

/* Takes all tx responses; returns how many said error. */
static unsigned errors(unsigned *nr)
{
	int n = netif_txr_front_pending(&box.tx);
	unsigned bad = 0;

	assert_true(n >= 0);
	*nr = (unsigned)n;
	for (int i = 0; i < n; i++) {
		struct netif_tx_response rsp;

		netif_txr_front_take(&box.tx, &rsp);
		bad += rsp.status == NETIF_RSP_ERROR;
	}
	return bad;
}

static void assert_still_honest(void)
{
	unsigned nr;

	vif_box_put(&box, box.ref[0], 0, 60, 0, 1);
	vif_box_put(&box, box.ref[1], 0, 1500, 0, 2);
	netif_txr_front_push(&box.tx);
	assert_int_equal(drain(), 2);
	assert_int_equal(errors(&nr), 0);
	assert_int_equal(nr, 2);
	assert_int_equal(vif_box_in_use(), 0);
	assert_false(vif_has_attached(box.queue));
}

struct lie {
	const char *says;
	unsigned nr;
	struct {
		int ref; /* data frame's grant, or a special one below */
		uint16_t offset, size, flags;
	} slot[24];
	unsigned nr_errors; /* of nr answers */
};

enum { REF_UNUSED = -1, REF_BEYOND = -2, REF_OTHER_DOMAIN = -3, REF_RESERVED = -4, REF_NO_FRAME = -5 };

static grant_ref_t lie_ref(int ref, grant_ref_t other, grant_ref_t no_frame)
{
	switch (ref) {
	case REF_UNUSED:
		return BOX_ENTRIES - 1;
	case REF_BEYOND:
		return UINT32_MAX;
	case REF_OTHER_DOMAIN:
		return other;
	case REF_RESERVED:
		return 0;
	case REF_NO_FRAME:
		return no_frame;
	default:
		return box.ref[ref];
	}
}

static void a_packet_that_lies_is_answered_with_errors_and_the_next_passes(void **state)
{
	static const struct lie lies[] = {
		{"unused grant", 1, {{REF_UNUSED, 0, 60, 0}}, 1},
		{"unused grant, mapped", 1, {{REF_UNUSED, 0, 1500, 0}}, 1},
		{"grant beyond the table", 1, {{REF_BEYOND, 0, 1500, 0}}, 1},
		{"another domain's grant", 1, {{REF_OTHER_DOMAIN, 0, 1500, 0}}, 1},
		{"grant of no frame", 1, {{REF_NO_FRAME, 0, 1500, 0}}, 1},
		{"reserved grant", 1, {{REF_RESERVED, 0, 60, 0}}, 1},
		{"bad grant in mid-chain", 3, {{0, 0, 3000, MORE}, {REF_UNUSED, 0, 1000, MORE}, {1, 0, 1000, 0}}, 3},
		{"bad grant at the end", 2, {{0, 0, 3000, MORE}, {REF_BEYOND, 0, 1000, 0}}, 2},
		{"bad grant in the header", 2, {{REF_UNUSED, 0, 1000, MORE}, {0, 0, 900, 0}}, 2},
		{"bad grant in a small chain", 3, {{0, 0, 90, MORE}, {REF_UNUSED, 0, 30, MORE}, {1, 0, 30, 0}}, 3},
		{"crosses the page", 1, {{0, 4000, 97, 0}}, 1},
		{"offset past the page", 1, {{0, 60000, 60, 0}}, 1},
		{"no bytes", 1, {{0, 0, 0, 0}}, 1},
		{"one byte", 1, {{0, 0, 1, 0}}, 1},
		{"empty fragment", 3, {{0, 0, 2000, MORE}, {1, 0, 0, MORE}, {2, 0, 1000, 0}}, 3},
		{"fragments longer than the whole", 2, {{0, 0, 100, MORE}, {1, 0, 4000, 0}}, 2},
		{"extra info that nobody offered", 2, {{0, 0, 100, NETTXF_extra_info}, {0, 0, 0, 0}}, 1},
		{"nineteen slots", 19,
		 {{0, 0, 200, MORE}, {0, 0, 1, MORE}, {0, 0, 1, MORE}, {0, 0, 1, MORE}, {0, 0, 1, MORE}, {0, 0, 1, MORE},
		  {0, 0, 1, MORE}, {0, 0, 1, MORE}, {0, 0, 1, MORE}, {0, 0, 1, MORE}, {0, 0, 1, MORE}, {0, 0, 1, MORE},
		  {0, 0, 1, MORE}, {0, 0, 1, MORE}, {0, 0, 1, MORE}, {0, 0, 1, MORE}, {0, 0, 1, MORE}, {0, 0, 1, MORE}, {0, 0, 1, 0}},
		 19},
		{"a blank checksum in what is no IP", 1, {{0, 0, 60, NETTXF_csum_blank}}, 0},
		{"the same, mapped", 1, {{0, 0, 2000, NETTXF_csum_blank}}, 0},
	};
	grant_ref_t other, no_frame;

	begin(true);
	grant_box_must(grant_table_alloc(box.grants.table, &other) == 0);
	grant_table_permit(box.grants.table, other, 7, VIF_BOX_FIRST_FRAME, false);
	no_frame = grant_box_grant(&box.grants, 1u << 30, false);
	for (size_t i = 0; i < ARRAY_LEN(lies); i++) {
		const struct lie *l = &lies[i];
		unsigned nr, bad;

		for (unsigned s = 0; s < l->nr; s++) {
			grant_ref_t ref = lie_ref(l->slot[s].ref, other, no_frame);

			/* The slot behind extra info is one: type GSO, no more. */
			if (s == 1 && (l->slot[0].flags & NETTXF_extra_info))
				ref = XEN_NETIF_EXTRA_TYPE_GSO;
			vif_box_put(&box, ref, l->slot[s].offset, l->slot[s].size, l->slot[s].flags, (uint16_t)s);
		}
		netif_txr_front_push(&box.tx);
		if (drain() != 0)
			fail_msg("%s: became a packet", l->says);
		bad = errors(&nr);
		if (nr != l->nr || bad != l->nr_errors)
			fail_msg("%s: %u answers, %u errors", l->says, nr, bad);
		assert_still_honest();
	}
	assert_int_equal(box.queue->fault, VIF_FAULT_NONE);
	vif_box_finish(&box);
}

static void a_chain_without_end_is_refused_slot_by_slot_and_ends_where_it_ends(void **state)
{
	unsigned nr, bad, total = 0;

	begin(true);
	for (unsigned round = 0; round < 4; round++) {
		for (unsigned i = 0; i < VIF_RING_SLOTS; i++)
			vif_box_put(&box, box.ref[0], 0, 100, MORE, (uint16_t)i);
		netif_txr_front_push(&box.tx);
		assert_int_equal(drain(), 0);
		bad = errors(&nr);
		assert_int_equal(bad, nr);
		total += nr;
	}
	assert_int_equal(total, 4 * VIF_RING_SLOTS);
	assert_int_equal(box.stats.tx_drop_too_long, 1);
	vif_box_put(&box, box.ref[0], 0, 100, 0, 0); /* its end at last */
	netif_txr_front_push(&box.tx);
	assert_int_equal(drain(), 0);
	assert_int_equal(errors(&nr), 1);
	assert_still_honest();
	vif_box_finish(&box);
}

static void a_producer_index_from_nowhere_kills_the_vif(void **state)
{
	static const struct {
		bool is_rx;
		uint32_t prod;
		enum vif_fault fault;
	} cases[] = {
		{false, 257, VIF_FAULT_TX_RING},	{false, 0x80000000u, VIF_FAULT_TX_RING},
		{false, UINT32_MAX, VIF_FAULT_TX_RING}, {true, 257, VIF_FAULT_RX_RING},
		{true, 0x80000000u, VIF_FAULT_RX_RING}, {true, UINT32_MAX, VIF_FAULT_RX_RING},
	};

	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct rte_mbuf *m = vif_box_packet(100, 2000, 0);
		uint32_t before_tx, before_rx;

		begin(true);
		if (cases[i].is_rx)
			store_relaxed(&box.rx.sh->head.req_prod, cases[i].prod);
		else
			store_relaxed(&box.tx.sh->head.req_prod, cases[i].prod);
		drain();
		vif_rx_burst(box.queue, &m, 1);
		assert_int_equal(box.queue->fault, cases[i].fault);
		assert_true(box.any_fault);
		/* Dead is dead: even when the index becomes possible again. */
		store_relaxed(&box.tx.sh->head.req_prod, 0);
		store_relaxed(&box.rx.sh->head.req_prod, 0);
		before_tx = load_relaxed(&box.tx.sh->head.rsp_prod);
		before_rx = load_relaxed(&box.rx.sh->head.rsp_prod);
		vif_box_put(&box, box.ref[0], 0, 60, 0, 0);
		netif_txr_front_push(&box.tx);
		assert_int_equal(drain(), 0);
		vif_box_post(&box, 0, 4);
		m = vif_box_packet(100, 2000, 0);
		assert_int_equal(vif_rx_burst(box.queue, &m, 1), 1);
		assert_int_equal(load_relaxed(&box.tx.sh->head.rsp_prod), before_tx);
		assert_int_equal(load_relaxed(&box.rx.sh->head.rsp_prod), before_rx);
		assert_int_equal(vif_box_in_use(), 0);
		vif_box_finish(&box);
	}
}

static void extra_info_without_end_kills_the_vif(void **state)
{
	begin(true);
	vif_box_put(&box, box.ref[0], 0, 100, NETTXF_extra_info, 0);
	for (unsigned i = 0; i < 8; i++)
		vif_box_put(&box, XEN_NETIF_EXTRA_TYPE_GSO | XEN_NETIF_EXTRA_FLAG_MORE << 8, 0, 0, 0, 0);
	netif_txr_front_push(&box.tx);
	assert_int_equal(drain(), 0);
	assert_int_equal(box.queue->fault, VIF_FAULT_TX_EXTRA);
	vif_box_finish(&box);
}

static void an_unanswered_request_is_not_taken_twice(void **state)
{
	struct rte_mbuf *m[VIF_RING_SLOTS + 2] = {NULL};
	unsigned nr;

	/* A full ring of mapped packets is out; the front end overruns it with requests that it may not have. */
	begin(true);
	for (unsigned i = 0; i < VIF_RING_SLOTS; i++)
		vif_box_put(&box, box.ref[i % VIF_BOX_DATA_FRAMES], 0, 1500, 0, 7); /* one id for all: theirs to sort out */
	netif_txr_front_push(&box.tx);
	assert_int_equal(vif_tx_burst(box.queue, m, 2), 2);
	store_relaxed(&box.tx.sh->head.req_prod, VIF_RING_SLOTS + 1);
	/* Seen at the next look at the index: when what was known of is taken. */
	for (unsigned i = 2; i < VIF_RING_SLOTS && !box.queue->fault; i += nr)
		nr = vif_tx_burst(box.queue, &m[i], 2);
	vif_tx_burst(box.queue, &m[VIF_RING_SLOTS], 2);
	assert_int_equal(box.queue->fault, VIF_FAULT_TX_RING);
	for (unsigned i = 0; i < VIF_RING_SLOTS + 2; i++)
		rte_pktmbuf_free(m[i]);
	vif_box_finish(&box);
}

static void the_same_id_in_every_slot_harms_nobody(void **state)
{
	unsigned nr;

	begin(true);
	for (unsigned round = 0; round < 3; round++) {
		for (unsigned i = 0; i < VIF_RING_SLOTS; i++)
			vif_box_put(&box, box.ref[i % 3], 0, 1500, 0, UINT16_MAX);
		netif_txr_front_push(&box.tx);
		assert_int_equal(drain(), VIF_RING_SLOTS);
		assert_int_equal(errors(&nr), 0);
		assert_int_equal(nr, VIF_RING_SLOTS);
	}
	vif_box_finish(&box);
}

static void rx_buffers_that_cannot_be_written_are_answered_with_errors(void **state)
{
	grant_ref_t readonly, refs[4];

	begin(true);
	readonly = grant_box_grant(&box.grants, VIF_BOX_FIRST_FRAME, true);
	refs[0] = readonly;
	refs[1] = BOX_ENTRIES - 1;
	refs[2] = UINT32_MAX;
	refs[3] = box.ref[5];
	for (unsigned bad = 0; bad < 4; bad++) {
		/* A packet of three pages with the bad buffer in each place, then an honest one. */
		for (unsigned place = 0; place < 3; place++) {
			struct rte_mbuf *m[2] = {vif_box_packet(9000, 2000, 0), vif_box_packet(60, 2000, 0)};

			for (unsigned i = 0; i < 4; i++)
				netif_rxr_front_put(&box.rx, &(struct netif_rx_request){
						.id = (uint16_t)i, .gref = i == place ? refs[bad] : box.ref[10 + i]});
			netif_rxr_front_push(&box.rx);
			vif_rx_burst(box.queue, m, 2);
			assert_int_equal(netif_rxr_front_pending(&box.rx), 4);
			for (unsigned i = 0; i < 4; i++) {
				struct netif_rx_response rsp;

				netif_rxr_front_take(&box.rx, &rsp);
				assert_int_equal(rsp.id, i);
				assert_int_equal(rsp.status < 0, bad < 3 && i < 3);
				assert_int_equal(!!(rsp.flags & NETRXF_more_data), i < 2);
			}
		}
	}
	assert_int_equal(box.stats.rx_drop_bad_grant, 9);
	assert_int_equal(box.stats.rx_packets, 15);
	assert_int_equal(vif_box_in_use(), 0);
	vif_box_finish(&box);
}

/* Everything the front end may write, it writes, all the time: ring, grant entries, data. Indices stay possible. */
static LIAR_CODE void scribble(void *arg, uint32_t random)
{
	struct vif_box *b = arg;
	volatile uint8_t *slots = (volatile uint8_t *)b->tx.sh + sizeof(struct ring_head_sh);
	volatile uint8_t *entry = (volatile uint8_t *)&b->grants.entries_sh[b->ref[random % VIF_BOX_DATA_FRAMES]];

	switch (random >> 30) {
	case 0: /* any byte of a request */
		slots[(random >> 2) % (VIF_RING_SLOTS * sizeof(union netif_txr_slot))] = (uint8_t)(random >> 16);
		break;
	case 1: /* revoked and granted again, elsewhere, to somebody else */
		entry[4] = (uint8_t)(random >> 8) & 0x7f;
		break;
	case 2:
		slots[0] = slots[1];
		slots += 4 + (random % VIF_RING_SLOTS) * sizeof(union netif_txr_slot);
		*(volatile uint16_t *)slots = (uint16_t)(random >> 8);
		break;
	default:
		((volatile uint8_t *)vif_box_page(b, random % 8))[(random >> 8) % PAGE_BYTES] = (uint8_t)(random >> 20);
	}
}

static void changing_everything_while_it_is_read_harms_nobody_else(void **state)
{
	struct liar liar;
	uint32_t seed = 12345;
	struct rte_mbuf *m[VIF_TX_BURST];

	begin(true);
	liar_start(&liar, scribble, &box);
	for (unsigned round = 0; round < 2000 || !liar_has_told(&liar, 100000); round++) {
		unsigned room = netif_txr_front_free(&box.tx);

		for (unsigned i = 0; i < room; i++) {
			uint32_t r = test_random(&seed);

			vif_box_put(&box, box.ref[r % 8], (uint16_t)(r >> 8 & 0x7ff), (uint16_t)(r >> 16 & 0x7ff),
				    r >> 28 ? 0 : MORE, (uint16_t)i);
		}
		netif_txr_front_push(&box.tx);
		for (unsigned i = 0; i < 8 && !box.queue->fault; i++) {
			uint16_t n = vif_tx_burst(box.queue, m, VIF_TX_BURST);

			for (uint16_t k = 0; k < n; k++) {
				assert_true(m[k]->pkt_len >= TX_MIN_BYTES && m[k]->pkt_len <= 65535);
				assert_true(m[k]->data_len >= TX_MIN_BYTES);
			}
			rte_pktmbuf_free_bulk(m, n);
		}
		if (box.queue->fault) { /* extras without end can come about */
			assert_int_equal(box.queue->fault, VIF_FAULT_TX_EXTRA);
			box.queue->fault = VIF_FAULT_NONE;
			box.queue->tx.taken_at = box.queue->tx.taken_end;
			/* The test's own way on: the ring begins anew. */
			vif_tx_reclaim(box.queue);
			box.queue->tx.is_skipping = false;
			netif_txr_front_init(&box.tx, box.tx.sh, PAGE_BYTES);
			netif_txr_back_init(&box.queue->tx.ring, box.queue->tx_area, PAGE_BYTES);
			box.queue->tx.seen = 0;
			continue;
		}
		for (int n = netif_txr_front_pending(&box.tx); n > 0; n--) {
			struct netif_tx_response rsp;

			netif_txr_front_take(&box.tx, &rsp);
		}
	}
	liar_stop(&liar);
	vif_tx_reclaim(box.queue);
	assert_int_equal(vif_box_in_use(), 0);
	assert_false(vif_has_attached(box.queue));
	vif_box_finish(&box);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_packet_that_lies_is_answered_with_errors_and_the_next_passes),
		cmocka_unit_test(a_chain_without_end_is_refused_slot_by_slot_and_ends_where_it_ends),
		cmocka_unit_test(a_producer_index_from_nowhere_kills_the_vif),
		cmocka_unit_test(extra_info_without_end_kills_the_vif),
		cmocka_unit_test(an_unanswered_request_is_not_taken_twice),
		cmocka_unit_test(the_same_id_in_every_slot_harms_nobody),
		cmocka_unit_test(rx_buffers_that_cannot_be_written_are_answered_with_errors),
		cmocka_unit_test(changing_everything_while_it_is_read_harms_nobody_else),
	};

	int failed = cmocka_run_group_tests_name("mapped packet by packet", tests, NULL, NULL);

	nr_staged = VIF_BOX_DATA_FRAMES / 2;
	return failed + cmocka_run_group_tests_name("half of the pages staged", tests, NULL, NULL);
}
