/*
 * test/unit/netback_simple_test.c - the short way of packets in staged pages does what the long way does.
 *
 * Two queues get the same requests, or the same packets: one keeps the pages mapped, the other does not. What comes out is compared.
 */
#include "test.h"

#include "vif_box.h"

#define SIDES 2
#define NR_REFS VIF_BOX_DATA_FRAMES
#define BURST 32

static struct vif_box box[SIDES]; /* the second one's pages are staged */

static void begin(unsigned nr_staged)
{
	for (unsigned k = 0; k < SIDES; k++)
		vif_box_init(&box[k], true);
	vif_box_stage(&box[1], nr_staged);
	for (unsigned i = 0; i < NR_REFS; i++)
		assert_int_equal(box[0].ref[i], box[1].ref[i]);
}

static void end(void)
{
	for (unsigned k = 0; k < SIDES; k++)
		vif_box_finish(&box[k]);
	assert_int_equal(vif_box_in_use(), 0);
}

/* One that is sound, or wrong in one field; seldom part of a chain. */
static struct netif_tx_request any_request(uint32_t *seed, uint16_t id)
{
	struct netif_tx_request r = {.gref = box[0].ref[test_random(seed) % NR_REFS], .id = id};

	r.size = (uint16_t)(14 + test_random(seed) % (test_random(seed) % 2 ? 300 : 2000));
	r.offset = (uint16_t)(test_random(seed) % (PAGE_BYTES - r.size));
	switch (test_random(seed) % 24) {
	case 0:
		r.offset = (uint16_t)(PAGE_BYTES - r.size + 1 + test_random(seed) % 100);
		break;
	case 1:
		r.size = (uint16_t)(test_random(seed) % 14);
		break;
	case 2:
		r.gref = BOX_ENTRIES - 1 - test_random(seed) % 3;
		break;
	case 3:
		r.flags = NETTXF_more_data;
		break;
	case 4:
		r.flags = NETTXF_data_validated;
		break;
	case 5:
		r.flags = NETTXF_csum_blank | NETTXF_data_validated; /* of what is no TCP */
		break;
	case 6:
		r.offset = 0;
		r.size = PAGE_BYTES;
		break;
	}
	return r;
}

/* Takes all packets of both queues; they must be the same. */
static void compare_packets(void)
{
	struct rte_mbuf *m[SIDES][VIF_RING_SLOTS];
	unsigned nr[SIDES] = {0};

	for (unsigned k = 0; k < SIDES; k++)
		for (unsigned round = 0; round < VIF_RING_SLOTS; round++)
			nr[k] += vif_tx_burst(box[k].queue, m[k] + nr[k],
					      (uint16_t)RTE_MIN((unsigned)VIF_TX_BURST, VIF_RING_SLOTS - nr[k]));
	assert_int_equal(nr[0], nr[1]);
	for (unsigned i = 0; i < nr[0]; i++) {
		static uint8_t bytes[SIDES][VIF_MAX_FRAME];
		const uint8_t *p[SIDES];

		assert_int_equal(m[0][i]->pkt_len, m[1][i]->pkt_len);
		assert_int_equal(m[0][i]->ol_flags & RTE_MBUF_F_RX_L4_CKSUM_MASK, m[1][i]->ol_flags & RTE_MBUF_F_RX_L4_CKSUM_MASK);
		for (unsigned k = 0; k < SIDES; k++) {
			rte_mbuf_sanity_check(m[k][i], 1);
			p[k] = rte_pktmbuf_read(m[k][i], 0, m[k][i]->pkt_len, bytes[k]);
		}
		assert_memory_equal(p[0], p[1], m[0][i]->pkt_len);
	}
	for (unsigned k = 0; k < SIDES; k++) {
		rte_pktmbuf_free_bulk(m[k], nr[k]);
		vif_tx_finish(box[k].queue);
	}
}

/* Each request's answer, by its id, in whatever order they came. */
static void compare_answers(unsigned nr)
{
	int16_t status[SIDES][VIF_RING_SLOTS];

	memset(status, 0x55, sizeof(status));
	for (unsigned k = 0; k < SIDES; k++)
		for (int n = netif_txr_front_pending(&box[k].tx); n > 0; n--) {
			struct netif_tx_response rsp;

			netif_txr_front_take(&box[k].tx, &rsp);
			assert_in_range(rsp.id, 0, nr - 1);
			status[k][rsp.id] = rsp.status;
		}
	assert_memory_equal(status[0], status[1], nr * sizeof(status[0][0]));
}

static void requests_make_the_same_packets_and_answers(void **state)
{
	uint32_t seed = 11;

	begin(NR_REFS / 2);
	for (unsigned k = 0; k < SIDES; k++)
		for (unsigned i = 0; i < NR_REFS; i++)
			for (unsigned b = 0; b < PAGE_BYTES; b++)
				vif_box_page(&box[k], i)[b] = vif_box_byte((uint8_t)i, b);
	for (unsigned round = 0; round < 3000; round++) {
		unsigned nr = 1 + test_random(&seed) % 100;

		for (unsigned i = 0; i < nr; i++) {
			struct netif_tx_request r = any_request(&seed, (uint16_t)i);

			if (i + 1 == nr)
				r.flags &= (uint16_t)~NETTXF_more_data; /* what begins, ends */
			for (unsigned k = 0; k < SIDES; k++)
				netif_txr_front_put(&box[k].tx, &r);
		}
		for (unsigned k = 0; k < SIDES; k++)
			netif_txr_front_push(&box[k].tx);
		compare_packets();
		compare_answers(nr);
	}
	assert_true(box[1].stats.tx_staged > 1000 && box[0].stats.tx_staged == 0);
	assert_int_equal(box[0].stats.tx_packets, box[1].stats.tx_packets);
	assert_int_equal(box[0].stats.tx_bytes, box[1].stats.tx_bytes);
	assert_int_equal(box[0].stats.tx_slots, box[1].stats.tx_slots);
	assert_int_equal(box[0].stats.tx_drop_bad_frag, box[1].stats.tx_drop_bad_frag);
	assert_int_equal(box[0].stats.tx_drop_bad_grant, box[1].stats.tx_drop_bad_grant);
	assert_int_equal(box[0].stats.tx_drop_too_small, box[1].stats.tx_drop_too_small);
	assert_int_equal(box[0].stats.tx_drop_checksum, box[1].stats.tx_drop_checksum);
	assert_true(box[0].stats.tx_drop_bad_frag && box[0].stats.tx_drop_bad_grant && box[0].stats.tx_drop_too_small &&
		    box[0].stats.tx_drop_checksum);
	end();
}

/* The bytes that a response stands for are those of the packet that began at done. */
static void check_response(struct vif_box *b, const struct netif_rx_response *rsp, uint8_t seed, uint32_t at)
{
	assert_in_range(rsp->offset + rsp->status, 1, PAGE_BYTES);
	for (int i = 0; i < rsp->status; i++)
		assert_int_equal(vif_box_page(b, rsp->id)[rsp->offset + i], vif_box_byte(seed, at + (uint32_t)i));
}

static void packets_arrive_the_same(void **state)
{
	uint32_t seed = 5;

	begin(NR_REFS / 2);
	for (unsigned round = 0; round < 2000; round++) {
		unsigned nr = 1 + test_random(&seed) % BURST, first = test_random(&seed), posted = test_random(&seed) % 64;
		uint32_t len[BURST];

		for (unsigned i = 0; i < nr; i++)
			len[i] = 14 + test_random(&seed) % (test_random(&seed) % 8 ? 300 : 9000);
		for (unsigned k = 0; k < SIDES; k++) {
			struct rte_mbuf *m[BURST];

			for (unsigned i = 0; i < nr; i++)
				m[i] = vif_box_packet(len[i], test_random(&seed) % 2 ? 2000 : 500, (uint8_t)i);
			vif_box_post(&box[k], first, posted);
			assert_int_equal(vif_rx_burst(box[k].queue, m, (uint16_t)nr), nr);
		}
		assert_int_equal(netif_rxr_front_pending(&box[0].rx), netif_rxr_front_pending(&box[1].rx));
		for (unsigned k = 0; k < SIDES; k++) {
			uint32_t at = 0;
			unsigned i = 0;

			for (int n = netif_rxr_front_pending(&box[k].rx); n > 0; n--) {
				struct netif_rx_response rsp;

				netif_rxr_front_take(&box[k].rx, &rsp);
				/* Its first byte says which packet it is: those with too few buffers were left out. */
				if (at == 0) {
					uint8_t this = vif_box_page(&box[k], rsp.id)[rsp.offset];

					assert_in_range(this, i, nr - 1);
					i = this;
				}
				check_response(&box[k], &rsp, (uint8_t)i, at);
				at += (uint32_t)rsp.status;
				if (rsp.flags & NETRXF_more_data)
					continue;
				assert_int_equal(at, len[i++]);
				at = 0;
			}
		}
		/* Start with empty rings again. */
		for (unsigned k = 0; k < SIDES; k++)
			while (box[k].rx.req_prod != box[k].rx.rsp_cons) {
				struct rte_mbuf *m = vif_box_packet(60, 2000, 0);
				struct netif_rx_response rsp;

				vif_rx_burst(box[k].queue, &m, 1);
				netif_rxr_front_take(&box[k].rx, &rsp);
				check_response(&box[k], &rsp, 0, 0);
			}
	}
	assert_int_equal(box[0].stats.rx_packets, box[1].stats.rx_packets);
	assert_int_equal(box[0].stats.rx_bytes, box[1].stats.rx_bytes);
	assert_int_equal(box[0].stats.rx_slots, box[1].stats.rx_slots);
	assert_int_equal(box[0].stats.rx_drop_no_request, box[1].stats.rx_drop_no_request);
	assert_true(box[0].stats.rx_drop_no_request > 0);
	end();
}

/* What has been looked at once is not asked for again, and a ring that goes mad is noticed all the same. */
static void an_impossible_index_kills_a_queue_with_staged_pages_too(void **state)
{
	struct rte_mbuf *m[BURST];

	begin(NR_REFS);
	store_relaxed(&box[1].tx.sh->head.req_prod, VIF_RING_SLOTS + 1);
	assert_int_equal(vif_tx_burst(box[1].queue, m, BURST), 0);
	assert_int_equal(box[1].queue->fault, VIF_FAULT_TX_RING);
	end();
	begin(NR_REFS);
	store_relaxed(&box[1].rx.sh->head.req_prod, VIF_RING_SLOTS + 1);
	m[0] = vif_box_packet(60, 2000, 0);
	vif_rx_burst(box[1].queue, m, 1);
	assert_int_equal(box[1].queue->fault, VIF_FAULT_RX_RING);
	end();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(requests_make_the_same_packets_and_answers),
		cmocka_unit_test(packets_arrive_the_same),
		cmocka_unit_test(an_impossible_index_kills_a_queue_with_staged_pages_too),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
