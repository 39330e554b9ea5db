/*
 * test/unit/netback_queue_test.c - a vif's queue with an honest front end: packets through both rings, byte for byte.
 */
#include "test.h"

#include "vif_box.h"

#define NR_IDS 256

static struct vif_box box;

/* Fills data frames with what vif_box_byte says, and puts a packet of the given fragments. */
static void put_packet(const uint16_t lens[], unsigned nr, uint16_t offset, uint16_t flags, uint8_t seed)
{
	uint32_t total = 0, at = 0;

	for (unsigned i = 0; i < nr; i++)
		total += lens[i];
	for (unsigned i = 0; i < nr; i++) {
		for (uint16_t b = 0; b < lens[i]; b++)
			vif_box_page(&box, i)[offset + b] = vif_box_byte(seed, at + b);
		vif_box_put(&box, box.ref[i], offset, (uint16_t)(i ? lens[i] : total),
			    (uint16_t)((i + 1 < nr ? NETTXF_more_data : 0) | (i ? 0 : flags)), (uint16_t)i);
		at += lens[i];
	}
}

static void assert_bytes(const struct rte_mbuf *m, uint32_t bytes, uint8_t seed)
{
	uint8_t *copy = malloc(bytes);
	const uint8_t *p;

	assert_int_equal(m->pkt_len, bytes);
	p = rte_pktmbuf_read(m, 0, bytes, copy);
	assert_non_null(p);
	for (uint32_t i = 0; i < bytes; i++)
		if (p[i] != vif_box_byte(seed, i))
			fail_msg("byte %u of %u is %#x", i, bytes, p[i]);
	free(copy);
}

/* Takes all responses; each must be okay and have an id of 0..nr-1, once. */
static void assert_answered(unsigned nr, int16_t status)
{
	bool seen[NR_IDS] = {false};

	assert_int_equal(netif_txr_front_pending(&box.tx), nr);
	for (unsigned i = 0; i < nr; i++) {
		struct netif_tx_response rsp;

		netif_txr_front_take(&box.tx, &rsp);
		assert_int_equal(rsp.status, status);
		assert_true(rsp.id < NR_IDS && !seen[rsp.id]);
		seen[rsp.id] = true;
	}
}

static void a_packet_arrives_whole_whatever_its_fragments(void **state)
{
	static const struct {
		uint16_t lens[18];
		unsigned nr;
	} cases[] = {
		{{14}, 1}, {{60}, 1}, {{255}, 1}, {{256}, 1}, {{257}, 1}, {{1514}, 1}, {{4096}, 1},
		/* headers split over slots */
		{{1, 13}, 2}, {{1, 1, 1, 1, 1, 60}, 6}, {{14, 1500}, 2}, {{127, 1400}, 2}, {{128, 1400}, 2}, {{129, 1400}, 2},
		{{64, 64, 1400}, 3}, {{64, 63, 1, 1400}, 4}, {{1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 4096}, 18},
		{{4096, 4096, 822}, 3}, /* a jumbo frame */
		{{4096, 4096, 4096, 4096, 4096, 4096, 4096, 4096, 4096, 4096, 4096, 4096, 4096, 4096, 4096, 4095}, 16}, /* 65535 */
	};

	for (int copies_only = 0; copies_only < 2; copies_only++) {
		vif_box_init(&box, true);
		box.queue->map_large = !copies_only;
		for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
			struct rte_mbuf *m[2];
			uint32_t total = 0;
			bool is_mapped;

			for (unsigned f = 0; f < cases[i].nr; f++)
				total += cases[i].lens[f];
			is_mapped = total > VIF_TX_COPY_BYTES && !copies_only;
			put_packet(cases[i].lens, cases[i].nr, 0, 0, (uint8_t)i);
			netif_txr_front_push(&box.tx);
			assert_int_equal(vif_tx_burst(box.queue, m, 2), 1);
			assert_bytes(m[0], total, (uint8_t)i);
			assert_true(m[0]->data_len >= RTE_MIN(total, (uint32_t)VIF_TX_HEADER_BYTES));
			assert_int_equal(vif_has_attached(box.queue), is_mapped);
			rte_pktmbuf_free(m[0]);
			vif_tx_finish(box.queue);
			assert_false(vif_has_attached(box.queue));
			assert_answered(cases[i].nr, NETIF_RSP_OKAY);
			assert_int_equal(vif_box_in_use(), 0);
		}
		vif_box_finish(&box);
	}
}

static void a_copied_header_does_not_change_when_the_guest_rewrites_its_page(void **state)
{
	const uint16_t lens[] = {1500};
	struct rte_mbuf *m;

	vif_box_init(&box, true);
	put_packet(lens, 1, 100, 0, 3);
	netif_txr_front_push(&box.tx);
	assert_int_equal(vif_tx_burst(box.queue, &m, 1), 1);
	memset(vif_box_page(&box, 0), 0xee, PAGE_BYTES);
	for (uint32_t i = 0; i < VIF_TX_HEADER_BYTES; i++)
		assert_int_equal(rte_pktmbuf_mtod(m, uint8_t *)[i], vif_box_byte(3, i));
	rte_pktmbuf_free(m);
	vif_tx_finish(box.queue);
	assert_answered(1, NETIF_RSP_OKAY);
	vif_box_finish(&box);
}

static void a_page_is_answered_only_when_the_last_reader_lets_go(void **state)
{
	const uint16_t lens[] = {1000, 500};
	struct rte_mbuf *m;

	vif_box_init(&box, true);
	put_packet(lens, 2, 0, 0, 1);
	netif_txr_front_push(&box.tx);
	assert_int_equal(vif_tx_burst(box.queue, &m, 1), 1);
	rte_pktmbuf_refcnt_update(m, 2);
	rte_pktmbuf_free(m);
	rte_pktmbuf_free(m);
	vif_tx_finish(box.queue);
	assert_answered(0, NETIF_RSP_OKAY);
	assert_true(grant_table_in_use(box.grants.table, box.ref[0]));
	rte_pktmbuf_free(m);
	vif_tx_finish(box.queue);
	assert_answered(2, NETIF_RSP_OKAY);
	assert_false(grant_table_in_use(box.grants.table, box.ref[0]));
	vif_box_finish(&box);
}

static void a_queue_whose_packets_are_still_out_outlives_its_disconnect(void **state)
{
	const uint16_t lens[] = {1000};
	struct rte_mbuf *m;
	struct vif_queue *q;

	vif_box_init(&box, true);
	q = box.queue;
	put_packet(lens, 1, 0, 0, 1);
	netif_txr_front_push(&box.tx);
	assert_int_equal(vif_tx_burst(q, &m, 1), 1);
	vif_detach(q);
	assert_false(vif_queue_disconnect(q));
	assert_int_equal(box.nr_mapped_rings, 0);
	assert_int_equal(box.nr_open, 1);
	assert_false(vif_queue_drain(q));
	assert_bytes(m, 1000, 1);
	rte_pktmbuf_free(m); /* comes back through the ring of done slots */
	assert_true(vif_queue_drain(q));
	assert_int_equal(box.nr_open, 0);
	assert_false(grant_table_in_use(box.grants.table, box.ref[0]));
	grant_box_finish(&box.grants);
}

static void a_full_ring_of_packets_passes_in_bursts(void **state)
{
	struct rte_mbuf *m[VIF_TX_BURST];
	unsigned got = 0, bursts = 0;

	vif_box_init(&box, true);
	for (unsigned i = 0; i < VIF_RING_SLOTS; i++)
		vif_box_put(&box, box.ref[i % VIF_BOX_DATA_FRAMES], 0, i % 2 ? 60 : 1500, 0, (uint16_t)i);
	netif_txr_front_push(&box.tx);
	while (got < VIF_RING_SLOTS && bursts++ < 100) {
		uint16_t n = vif_tx_burst(box.queue, m, VIF_TX_BURST);

		rte_pktmbuf_free_bulk(m, n);
		got += n;
	}
	assert_int_equal(got, VIF_RING_SLOTS);
	assert_false(vif_arm(box.queue));
	assert_answered(VIF_RING_SLOTS, NETIF_RSP_OKAY);
	assert_int_equal(box.stats.tx_packets, VIF_RING_SLOTS);
	assert_int_equal(box.stats.tx_copied, VIF_RING_SLOTS / 2);
	vif_box_finish(&box);
}

static void a_rest_is_work_but_half_a_packet_is_not(void **state)
{
	struct rte_mbuf *m[2];

	vif_box_init(&box, true);
	for (unsigned i = 0; i < 3; i++)
		vif_box_put(&box, box.ref[0], 0, 60, 0, (uint16_t)i);
	netif_txr_front_push(&box.tx);
	assert_int_equal(vif_tx_burst(box.queue, m, 2), 2);
	rte_pktmbuf_free_bulk(m, 2);
	assert_true(vif_arm(box.queue));
	assert_int_equal(vif_tx_burst(box.queue, m, 2), 1);
	rte_pktmbuf_free_bulk(m, 1);
	assert_false(vif_arm(box.queue));
	vif_box_put(&box, box.ref[0], 0, 600, NETTXF_more_data, 3);
	netif_txr_front_push(&box.tx);
	assert_int_equal(vif_tx_burst(box.queue, m, 2), 0);
	assert_false(vif_arm(box.queue));
	vif_box_put(&box, box.ref[0], 0, 100, 0, 4);
	assert_true(netif_txr_front_push(&box.tx)); /* we asked to be woken */
	assert_int_equal(vif_tx_burst(box.queue, m, 2), 1);
	assert_int_equal(m[0]->pkt_len, 600);
	rte_pktmbuf_free_bulk(m, 1);
	vif_tx_finish(box.queue);
	vif_box_finish(&box);
}

/* ---- world -> guest ------------------------------------------------------------------------------------------------ */

/* Takes the rx responses of one packet; returns its bytes, put into out; -1 when a slot says error. */
static int take_rx(uint8_t *out, unsigned *nr_slots)
{
	struct netif_rx_response rsp;
	int total = 0;
	bool bad = false;

	*nr_slots = 0;
	do {
		assert_true(netif_rxr_front_pending(&box.rx) > 0);
		netif_rxr_front_take(&box.rx, &rsp);
		(*nr_slots)++;
		if (rsp.status < 0) {
			bad = true;
			continue;
		}
		memcpy(out + total, vif_box_page(&box, rsp.id) + rsp.offset, (size_t)rsp.status);
		total += rsp.status;
	} while (rsp.flags & NETRXF_more_data);
	return bad ? -1 : total;
}

static void a_packet_reaches_the_guest_whole_whatever_its_segments(void **state)
{
	static const uint32_t sizes[] = {1, 60, 1514, 4095, 4096, 4097, 8192, 9014, 65535};
	static const uint16_t segs[] = {2048, 1000, 577};
	uint8_t *out = malloc(65536);

	vif_box_init(&box, true);
	for (size_t s = 0; s < ARRAY_LEN(sizes); s++)
		for (size_t g = 0; g < ARRAY_LEN(segs); g++) {
			struct rte_mbuf *m = vif_box_packet(sizes[s], segs[g], (uint8_t)s);
			unsigned slots;

			vif_box_post(&box, (unsigned)(s * 7), (sizes[s] + 4095) / 4096);
			assert_int_equal(vif_rx_burst(box.queue, &m, 1), 1);
			assert_int_equal(take_rx(out, &slots), sizes[s]);
			assert_int_equal(slots, (sizes[s] + 4095) / 4096);
			for (uint32_t i = 0; i < sizes[s]; i++)
				assert_int_equal(out[i], vif_box_byte((uint8_t)s, i));
			assert_int_equal(vif_box_in_use(), 0);
		}
	assert_int_equal(box.stats.rx_packets, ARRAY_LEN(sizes) * ARRAY_LEN(segs));
	vif_box_finish(&box);
	free(out);
}

static void bytes_that_the_guest_wants_free_lie_before_each_frame_and_are_told(void **state)
{
	static const uint32_t sizes[] = {60, 1514, 4096 - 256, 4097 - 256, 10000, 65535};

	for (size_t i = 0; i < ARRAY_LEN(sizes); i++) {
		struct rte_mbuf *m = vif_box_packet(sizes[i], 2000, 7);
		uint32_t at = 0, first = PAGE_BYTES - 256;
		struct netif_rx_response rsp;
		struct netif_extra_info extra;
		uint16_t headroom;

		vif_box_init_features(&box, &(struct vif_features){.sg = true, .headroom = 256});
		memset(vif_box_page(&box, 0), 0xee, 256);
		vif_box_post(&box, 0, 18);
		vif_rx_burst(box.queue, &m, 1);
		do {
			assert_true(netif_rxr_front_pending(&box.rx) > 0);
			netif_rxr_front_take(&box.rx, &rsp);
			assert_int_equal(rsp.offset, at ? 0 : 256);
			assert_int_equal(rsp.status, RTE_MIN(sizes[i] - at, at ? PAGE_BYTES : first));
			for (int b = 0; b < rsp.status; b++)
				assert_int_equal(vif_box_page(&box, rsp.id)[rsp.offset + b], vif_box_byte(7, at + (uint32_t)b));
			assert_int_equal(!!(rsp.flags & NETRXF_extra_info), !at);
			if (!at) {
				netif_rxr_front_take(&box.rx, (struct netif_rx_response *)&extra);
				memcpy(&headroom, &extra.u, sizeof(headroom));
				assert_int_equal(extra.type, 5);
				assert_int_equal(extra.flags, 0);
				assert_int_equal(headroom, 256);
			}
			at += (uint32_t)rsp.status;
		} while (rsp.flags & NETRXF_more_data);
		assert_int_equal(at, sizes[i]);
		for (unsigned b = 0; b < 256; b++)
			assert_int_equal(vif_box_page(&box, 0)[b], 0xee);
		vif_box_finish(&box);
	}
}

static void a_frame_and_its_headroom_fit_one_page_without_scatter_gather(void **state)
{
	struct rte_mbuf *m[2] = {vif_box_packet(3840, 2000, 0), vif_box_packet(3841, 2000, 0)};

	vif_box_init_features(&box, &(struct vif_features){.headroom = 256});
	vif_box_post(&box, 0, 8);
	vif_rx_burst(box.queue, m, 2);
	assert_int_equal(box.stats.rx_packets, 1);
	assert_int_equal(box.stats.rx_drop_too_long, 1);
	vif_set_headroom(box.queue, 0); /* the program is gone */
	m[0] = vif_box_packet(4096, 2000, 0);
	vif_rx_burst(box.queue, m, 1);
	assert_int_equal(box.stats.rx_packets, 2);
	vif_box_finish(&box);
}

static void packets_beyond_the_posted_buffers_are_dropped_and_counted(void **state)
{
	struct rte_mbuf *m[4];
	uint8_t out[9014];
	unsigned slots;

	vif_box_init(&box, true);
	vif_box_post(&box, 0, 3);
	m[0] = vif_box_packet(100, 2000, 0);
	m[1] = vif_box_packet(9014, 2000, 1); /* needs three, two are left */
	m[2] = vif_box_packet(200, 2000, 2);
	m[3] = vif_box_packet(5000, 2000, 3); /* needs two, one is left */
	assert_int_equal(vif_rx_burst(box.queue, m, 4), 4);
	assert_int_equal(take_rx(out, &slots), 100);
	assert_int_equal(take_rx(out, &slots), 200);
	assert_int_equal(netif_rxr_front_pending(&box.rx), 0);
	assert_int_equal(box.stats.rx_drop_no_request, 2);
	assert_int_equal(vif_box_in_use(), 0);
	vif_box_finish(&box);
}

static void a_burst_is_one_wake(void **state)
{
	struct rte_mbuf *m[64];

	vif_box_init(&box, true);
	vif_box_post(&box, 0, 200);
	for (unsigned i = 0; i < 64; i++)
		m[i] = vif_box_packet(1000, 2000, 0);
	vif_rx_burst(box.queue, m, 64);
	assert_int_equal(box.nr_notify, 1);
	assert_int_equal(box.stats.notify_sent, 1);
	for (unsigned i = 0; i < 64; i++)
		m[i] = vif_box_packet(1000, 2000, 0);
	vif_rx_burst(box.queue, m, 64); /* the guest has not asked again */
	assert_int_equal(box.nr_notify, 1);
	assert_int_equal(box.stats.notify_suppressed, 1);
	vif_box_finish(&box);
}

static void a_guest_without_scatter_gather_gets_no_packet_longer_than_a_page(void **state)
{
	struct rte_mbuf *m;

	vif_box_init(&box, false);
	vif_box_post(&box, 0, 10);
	m = vif_box_packet(4097, 2000, 0);
	vif_rx_burst(box.queue, &m, 1);
	assert_int_equal(box.stats.rx_drop_too_long, 1);
	m = vif_box_packet(4096, 2000, 0);
	vif_rx_burst(box.queue, &m, 1);
	assert_int_equal(box.stats.rx_packets, 1);
	vif_box_finish(&box);
}

static void packets_wait_for_a_guest_that_says_when_it_posts_buffers(void **state)
{
	struct rte_mbuf *m[4];
	uint8_t out[9014];
	unsigned slots;

	vif_box_init_features(&box, &(struct vif_features){.sg = true, .rx_notify = true});
	vif_box_post(&box, 0, 1);
	m[0] = vif_box_packet(100, 2000, 0);
	m[1] = vif_box_packet(9014, 2000, 1);
	m[2] = vif_box_packet(200, 2000, 2);
	assert_int_equal(vif_rx_burst(box.queue, m, 3), 3);
	assert_int_equal(take_rx(out, &slots), 100);
	assert_int_equal(box.stats.rx_held, 2);
	assert_false(vif_arm(box.queue));
	assert_true(vif_must_be_looked_at(box.queue));
	/* Two buffers are too few for the first that waits, and wake nobody; with the third it goes, and then the next. */
	for (unsigned i = 0; i < 4; i++) {
		netif_rxr_front_put(&box.rx, &(struct netif_rx_request){.id = (uint16_t)(10 + i), .gref = box.ref[10 + i]});
		assert_int_equal(netif_rxr_front_push(&box.rx), i == 2);
		vif_tx_burst(box.queue, m, 4);
		assert_int_equal(netif_rxr_front_pending(&box.rx), i < 2 ? 0 : i + 1);
	}
	assert_int_equal(take_rx(out, &slots), 9014);
	assert_int_equal(take_rx(out, &slots), 200);
	assert_false(vif_must_be_looked_at(box.queue));
	assert_int_equal(vif_box_in_use(), 0);
	vif_box_finish(&box);
}

static void a_guest_that_stops_taking_costs_bounded_memory_and_recovers(void **state)
{
	struct rte_mbuf *m[VIF_RX_HELD];
	uint8_t out[100];
	unsigned slots;

	vif_box_init_features(&box, &(struct vif_features){.sg = true, .rx_notify = true});
	for (unsigned round = 0; round < 4; round++) {
		for (unsigned i = 0; i < VIF_RX_HELD; i++)
			m[i] = vif_box_packet(100, 2000, 0);
		vif_rx_burst(box.queue, m, VIF_RX_HELD);
		assert_int_equal(vif_box_in_use(), VIF_RX_HELD);
	}
	m[0] = vif_box_packet(100, 2000, 0);
	vif_rx_burst(box.queue, m, 1);
	assert_int_equal(box.stats.rx_drop_no_request, 3 * VIF_RX_HELD + 1);
	box.queue->patience_tsc = 0; /* time passes */
	assert_false(vif_arm(box.queue));
	assert_int_equal(box.stats.rx_drop_stalled, VIF_RX_HELD);
	assert_int_equal(vif_box_in_use(), 0);
	/* Nothing waits for it now; when it posts again, all is as before. */
	m[0] = vif_box_packet(100, 2000, 0);
	vif_rx_burst(box.queue, m, 1);
	assert_int_equal(vif_box_in_use(), 0);
	vif_box_post(&box, 0, 1);
	m[0] = vif_box_packet(100, 2000, 0);
	m[1] = vif_box_packet(100, 2000, 0);
	box.queue->patience_tsc = UINT64_MAX;
	vif_rx_burst(box.queue, m, 2);
	assert_int_equal(take_rx(out, &slots), 100);
	assert_int_equal(vif_box_in_use(), 1);
	vif_box_finish(&box); /* what waits goes with the queue */
	assert_int_equal(vif_box_in_use(), 0);
}

static void a_guest_that_stalled_and_posts_is_noticed_without_a_packet_for_it(void **state)
{
	struct rte_mbuf *m = vif_box_packet(10000, 2000, 0);

	vif_box_init_features(&box, &(struct vif_features){.sg = true, .rx_notify = true});
	vif_rx_burst(box.queue, &m, 1);
	box.queue->patience_tsc = 0; /* time passes */
	vif_arm(box.queue);
	assert_true(box.queue->rx.is_stalled && box.any_fault);
	box.any_fault = false;
	vif_box_post(&box, 0, 2); /* one too few for what it was offered last */
	assert_false(vif_arm(box.queue));
	assert_true(box.queue->rx.is_stalled && !box.any_fault);
	netif_rxr_front_push(&box.rx); /* nothing new: no event */
	netif_rxr_front_put(&box.rx, &(struct netif_rx_request){.id = 2, .gref = box.ref[2]});
	assert_true(netif_rxr_front_push(&box.rx)); /* the third one is an event */
	assert_int_equal(vif_tx_burst(box.queue, &m, 1), 0);
	assert_true(!box.queue->rx.is_stalled && box.any_fault);
	vif_box_finish(&box);
}

static void large_packets_that_wait_are_bounded_in_bytes(void **state)
{
	struct rte_mbuf *m;

	vif_box_init_features(&box, &(struct vif_features){.sg = true, .rx_notify = true});
	for (unsigned i = 0; i < 24; i++) {
		m = vif_box_packet(65000, 2000, 0);
		vif_rx_burst(box.queue, &m, 1);
	}
	assert_int_equal(box.stats.rx_held, VIF_RX_HELD_BYTES / 65000);
	assert_int_equal(box.stats.rx_drop_no_request, 24 - VIF_RX_HELD_BYTES / 65000);
	vif_box_finish(&box);
	assert_int_equal(vif_box_in_use(), 0);
}

/* ---- platforms where maps are dear, and back ends that start again -------------------------------------------------- */

static void where_maps_are_dear_a_burst_is_one_batch_of_copies_and_no_map(void **state)
{
	static const uint16_t lens[] = {4096, 4096, 822};
	struct rte_mbuf *m[16];

	for (int is_forced = 0; is_forced < 2; is_forced++) {
		vif_box_init(&box, true);
		box.are_maps_dear = !is_forced;
		assert_int_equal(vif_box_restart(&box, &(struct vif_features){.sg = true, .copies_only = is_forced}), 0);
		for (unsigned i = 0; i < 4; i++) {
			put_packet(lens, 3, 0, 0, (uint8_t)i);
			vif_box_put(&box, box.ref[3], 0, 60, 0, 3);
		}
		netif_txr_front_push(&box.tx);
		assert_int_equal(vif_tx_burst(box.queue, m, 16), 8);
		assert_int_equal(box.nr_copy_calls, 1);
		assert_int_equal(box.nr_map_calls, 0);
		assert_int_equal(netif_txr_front_pending(&box.tx), 16); /* the guest's again at once */
		for (unsigned i = 0; i < 8; i++)
			assert_int_equal(m[i]->pkt_len, i % 2 ? 60 : 9014);
		assert_bytes(m[6], 9014, 3);
		rte_pktmbuf_free_bulk(m, 8);
		assert_int_equal(vif_box_in_use(), 0);
		vif_box_finish(&box);
	}
}

static void a_back_end_that_starts_again_goes_on_where_the_last_one_stopped(void **state)
{
	const struct vif_features again = {.sg = true, .copies_only = true, .is_takeover = true};
	struct rte_mbuf *m[4];
	uint8_t out[200];
	unsigned slots;

	vif_box_init_features(&box, &(struct vif_features){.sg = true, .copies_only = true});
	vif_box_post(&box, 0, 8);
	for (unsigned i = 0; i < 5; i++)
		vif_box_put(&box, box.ref[i], 0, 60, 0, (uint16_t)i);
	netif_txr_front_push(&box.tx);
	assert_int_equal(vif_tx_burst(box.queue, m, 2), 2); /* five are taken, two answered */
	rte_pktmbuf_free_bulk(m, 2);
	m[0] = vif_box_packet(100, 2000, 1);
	assert_int_equal(vif_rx_burst(box.queue, m, 1), 1);

	assert_int_equal(vif_box_restart(&box, &again), 0);
	m[0] = vif_box_packet(200, 2000, 2);
	assert_int_equal(vif_rx_burst(box.queue, m, 1), 1);
	assert_int_equal(vif_tx_burst(box.queue, m, 4), 3);
	rte_pktmbuf_free_bulk(m, 3);
	assert_answered(5, NETIF_RSP_OKAY);
	assert_int_equal(take_rx(out, &slots), 100);
	assert_int_equal(take_rx(out, &slots), 200);
	assert_int_equal(netif_rxr_front_pending(&box.rx), 0);

	/* A ring that makes no sense is not taken over. */
	store_relaxed(&box.tx.sh->head.req_prod, 1000);
	assert_int_equal(vif_box_restart(&box, &again), -EPROTO);
	assert_int_equal(box.nr_open, 0);
	assert_int_equal(box.nr_mapped_rings, 0);
	grant_box_finish(&box.grants);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_packet_arrives_whole_whatever_its_fragments),
		cmocka_unit_test(a_copied_header_does_not_change_when_the_guest_rewrites_its_page),
		cmocka_unit_test(a_page_is_answered_only_when_the_last_reader_lets_go),
		cmocka_unit_test(a_queue_whose_packets_are_still_out_outlives_its_disconnect),
		cmocka_unit_test(a_full_ring_of_packets_passes_in_bursts),
		cmocka_unit_test(a_rest_is_work_but_half_a_packet_is_not),
		cmocka_unit_test(a_packet_reaches_the_guest_whole_whatever_its_segments),
		cmocka_unit_test(bytes_that_the_guest_wants_free_lie_before_each_frame_and_are_told),
		cmocka_unit_test(a_frame_and_its_headroom_fit_one_page_without_scatter_gather),
		cmocka_unit_test(packets_beyond_the_posted_buffers_are_dropped_and_counted),
		cmocka_unit_test(a_burst_is_one_wake),
		cmocka_unit_test(a_guest_without_scatter_gather_gets_no_packet_longer_than_a_page),
		cmocka_unit_test(packets_wait_for_a_guest_that_says_when_it_posts_buffers),
		cmocka_unit_test(a_guest_that_stops_taking_costs_bounded_memory_and_recovers),
		cmocka_unit_test(a_guest_that_stalled_and_posts_is_noticed_without_a_packet_for_it),
		cmocka_unit_test(large_packets_that_wait_are_bounded_in_bytes),
		cmocka_unit_test(where_maps_are_dear_a_burst_is_one_batch_of_copies_and_no_map),
		cmocka_unit_test(a_back_end_that_starts_again_goes_on_where_the_last_one_stopped),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
