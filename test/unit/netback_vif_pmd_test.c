/*
 * test/unit/netback_vif_pmd_test.c - a vif in a DPDK program that is not ours: what packets say to each other's world, to which queue they
 * go, what waits.
 */
#include "test.h"

#include <errno.h>

#include "l4_packet.h"
#include "netback/vif_pmd.h"
#include "netback/vif_pmd_offload.h"

static struct vif_box box;
static struct vif_pmd_guest guest;
static struct vif_pmd_queue rxq, txq;
static struct mcast mcast;

/* nr_ways: the one queue that there is stands for so many. */
static void begin(const struct vif_features *features, bool takes_large, uint16_t nr_ways)
{
	vif_box_init_features(&box, features);
	guest = (struct vif_pmd_guest){.nr_ways = nr_ways};
	for (unsigned i = 0; i < nr_ways; i++) {
		guest.way[i].queue = box.queue;
		rte_spinlock_init(&guest.way[i].lock);
	}
	rxq = txq = (struct vif_pmd_queue){.guest = &guest, .port_id = 5, .takes_large = takes_large};
	turnstile_open(&rxq.turnstile);
	turnstile_open(&txq.turnstile);
}

static void end(void)
{
	assert_int_equal(vif_box_in_use(), 0);
	vif_box_finish(&box);
}

/* ---- from the guest -------------------------------------------------------------------------------------------------- */

static void a_guests_large_packet_is_lro_to_a_program_that_takes_such(void **state)
{
	begin(&(struct vif_features){.sg = true}, true, 1);
	for (size_t i = 0; i < ARRAY_LEN(large); i++) {
		const struct packet *c = &large[i];
		struct rte_mbuf *m;

		guest_sends(&box, c, NETTXF_csum_blank | NETTXF_data_validated);
		assert_int_equal(vif_pmd_rx(&rxq, &m, 1), 1);
		assert_int_equal(m->port, 5);
		assert_int_equal(m->ol_flags & (RTE_MBUF_F_RX_LRO | RTE_MBUF_F_RX_L4_CKSUM_MASK),
				 RTE_MBUF_F_RX_LRO | RTE_MBUF_F_RX_L4_CKSUM_NONE);
		assert_int_equal(m->ol_flags & RTE_MBUF_F_TX_OFFLOAD_MASK, 0);
		assert_int_equal(m->tso_segsz, c->segment);
		assert_int_equal(m->packet_type & RTE_PTYPE_L4_MASK, RTE_PTYPE_L4_TCP);
		assert_int_equal(!!RTE_ETH_IS_IPV6_HDR(m->packet_type), c->is_ipv6);
		assert_int_equal(!!RTE_ETH_IS_IPV4_HDR(m->packet_type), !c->is_ipv6);
		rte_pktmbuf_free(m);
		vif_tx_finish(box.queue);
		while (netif_txr_front_pending(&box.tx))
			netif_txr_front_take(&box.tx, &(struct netif_tx_response){0});
	}
	end();
}

static void to_any_other_program_all_that_comes_has_its_checksum(void **state)
{
	static const struct packet cases[] = {
		{.says = "a blank checksum", .is_tcp = true, .payload = 1000},
		{.says = "over ipv6", .is_tcp = true, .is_ipv6 = true, .payload = 1000},
		{.says = "to be segmented, which was not offered", .is_tcp = true, .payload = 9000, .segment = 1448},
	};
	static uint8_t out[MAX_FRAME_BYTES];

	begin(&(struct vif_features){.sg = true}, false, 1);
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct rte_mbuf *m;

		guest_sends(&box, &cases[i], NETTXF_csum_blank | NETTXF_data_validated);
		assert_int_equal(vif_pmd_rx(&rxq, &m, 1), 1);
		assert_int_equal(m->ol_flags & (RTE_MBUF_F_RX_LRO | RTE_MBUF_F_TX_OFFLOAD_MASK), 0);
		assert_int_equal(m->ol_flags & RTE_MBUF_F_RX_L4_CKSUM_MASK, RTE_MBUF_F_RX_L4_CKSUM_GOOD);
		fetch(m, out);
		assert_checksum(&cases[i], out);
		rte_pktmbuf_free(m);
		vif_tx_finish(box.queue);
		while (netif_txr_front_pending(&box.tx))
			netif_txr_front_take(&box.tx, &(struct netif_tx_response){0});
	}
	end();
}

/* ---- to the guest ---------------------------------------------------------------------------------------------------- */

static void set_flags(struct rte_mbuf *m, const struct packet *c, uint64_t flags)
{
	m->ol_flags |= flags;
	if (flags & RTE_MBUF_F_TX_L4_MASK || flags & RTE_MBUF_F_TX_TCP_SEG)
		m->ol_flags |= c->is_ipv6 ? RTE_MBUF_F_TX_IPV6 : RTE_MBUF_F_TX_IPV4;
	m->l2_len = l3_at(c);
	m->l3_len = l4_at(c) - l3_at(c);
	m->l4_len = payload_at(c) - l4_at(c);
	m->tso_segsz = c->segment;
	m->packet_type = c->is_ipv6 ? RTE_PTYPE_L3_IPV6 : RTE_PTYPE_L3_IPV4;
}

/* With IPv4's checksum undone where the flags leave it to us; the field of TCP's holds what no convention asks for. */
static struct rte_mbuf *from_program(const struct packet *c, uint64_t flags)
{
	static uint8_t frame[MAX_FRAME_BYTES];
	uint32_t bytes = build(frame, c);
	struct rte_mbuf *m;

	if (flags & RTE_MBUF_F_TX_IP_CKSUM)
		((struct rte_ipv4_hdr *)(frame + l3_at(c)))->hdr_checksum = 0x5555;
	m = packet_of(frame, bytes);
	set_flags(m, c, flags);
	return m;
}

#define AS_RECEIVED (RTE_MBUF_F_RX_LRO | RTE_MBUF_F_RX_L4_CKSUM_NONE)

/* What a program may say of the packets large[]. */
static uint64_t words_for(const struct packet *c, unsigned way)
{
	const uint64_t ip = c->is_ipv6 ? 0 : RTE_MBUF_F_TX_IP_CKSUM;
	const uint64_t ways[] = {RTE_MBUF_F_TX_TCP_SEG, RTE_MBUF_F_TX_TCP_SEG | RTE_MBUF_F_TX_TCP_CKSUM | ip, AS_RECEIVED,
				 AS_RECEIVED | RTE_MBUF_F_TX_TCP_SEG | ip};

	return ways[way];
}

#define NR_WORDS 4u

static void a_large_packet_of_the_programs_reaches_the_guest_whole(void **state)
{
	static uint8_t out[MAX_FRAME_BYTES];

	begin(&(struct vif_features){.sg = true, .caps = OFFLOAD_ALL}, true, 1);
	for (size_t i = 0; i < ARRAY_LEN(large) * NR_WORDS; i++) {
		const struct packet *c = &large[i / NR_WORDS];
		struct rte_mbuf *m = from_program(c, words_for(c, i % NR_WORDS));
		uint32_t bytes = m->pkt_len, field = l4_at(c) + (uint32_t)offsetof(struct rte_tcp_hdr, cksum);
		struct netif_extra_info extra = {0};
		uint16_t flags = 0, sum;

		vif_box_post(&box, 0, (bytes + PAGE_BYTES - 1) / PAGE_BYTES + 1);
		assert_int_equal(vif_pmd_tx(&txq, &m, 1), 1);
		assert_int_equal(guest_takes(&box, out, &flags, &extra), bytes);
		assert_int_equal(flags & (NETRXF_csum_blank | NETRXF_data_validated), NETRXF_csum_blank | NETRXF_data_validated);
		assert_int_equal(extra.type, XEN_NETIF_EXTRA_TYPE_GSO);
		assert_int_equal(extra.u.gso.size, c->segment);
		assert_int_equal(extra.u.gso.type, c->is_ipv6 ? XEN_NETIF_GSO_TYPE_TCPV6 : XEN_NETIF_GSO_TYPE_TCPV4);
		/* The pseudo header's sum: with the rest summed over it the checksum is right. */
		sum = rte_raw_cksum(out + l4_at(c), bytes - l4_at(c));
		sum = (uint16_t)~sum;
		memcpy(out + field, &sum, sizeof(sum));
		assert_checksum(c, out);
	}
	assert_int_equal(box.stats.rx_gso, ARRAY_LEN(large) * NR_WORDS);
	assert_int_equal(txq.drop_unfit, 0);
	end();
}

static void for_a_guest_that_takes_none_it_is_cut(void **state)
{
	static uint8_t out[MAX_FRAME_BYTES];

	for (unsigned takes_sums = 0; takes_sums < 2; takes_sums++) {
		unsigned caps = takes_sums ? OFFLOAD_CSUM_IPV4 | OFFLOAD_CSUM_IPV6 : 0;

		begin(&(struct vif_features){.sg = true, .caps = caps}, true, 1);
		for (size_t i = 0; i < ARRAY_LEN(large) * NR_WORDS; i++) {
			const struct packet *c = &large[i / NR_WORDS];
			struct rte_mbuf *m = from_program(c, words_for(c, i % NR_WORDS));
			uint32_t nr = (c->payload + c->segment - 1u) / c->segment;
			struct netif_extra_info extra = {0};
			uint16_t flags = 0;

			vif_box_post(&box, 0, nr);
			assert_int_equal(vif_pmd_tx(&txq, &m, 1), 1);
			for (uint32_t f = 0; f < nr; f++) {
				uint32_t payload = RTE_MIN(c->payload - f * c->segment, (uint32_t)c->segment);

				assert_int_equal(guest_takes(&box, out, &flags, &extra), payload_at(c) + payload);
				assert_int_equal(!!(flags & NETRXF_csum_blank), takes_sums);
				if (!takes_sums)
					assert_checksum(c, out);
				assert_int_equal(flags & NETRXF_extra_info, 0);
			}
			assert_int_equal(netif_rxr_front_pending(&box.rx), 0);
		}
		end();
	}
}

static void what_is_not_what_its_flags_say_is_dropped_and_counted(void **state)
{
	static const struct {
		struct packet packet;
		uint64_t flags;
	} cases[] = {
		{{.payload = 3000, .segment = 1448}, RTE_MBUF_F_TX_TCP_SEG},                          /* UDP */
		{{.is_tcp = true, .payload = 3000, .segment = OFFLOAD_MIN_SEGMENT - 1}, RTE_MBUF_F_TX_TCP_SEG},
		{{.is_tcp = true, .payload = 3000}, RTE_MBUF_F_TX_TCP_SEG},                           /* into nothing */
		{{.is_tcp = true, .payload = 3000}, AS_RECEIVED},
		{{.is_tcp = true, .payload = 3000, .is_fragment = true, .segment = 1000}, RTE_MBUF_F_TX_TCP_SEG},
		{{.is_tcp = true, .payload = 300, .is_fragment = true}, RTE_MBUF_F_TX_TCP_CKSUM},
	};
	struct rte_mbuf *burst[ARRAY_LEN(cases) + 2];

	begin(&(struct vif_features){.sg = true, .caps = OFFLOAD_ALL}, true, 1);
	burst[0] = vif_box_packet(60, 2000, 1);
	for (size_t i = 0; i < ARRAY_LEN(cases); i++)
		burst[1 + i] = from_program(&cases[i].packet, cases[i].flags);
	burst[1 + ARRAY_LEN(cases)] = vif_box_packet(60, 2000, 2);
	vif_box_post(&box, 0, 20);
	assert_int_equal(vif_pmd_tx(&txq, burst, ARRAY_LEN(burst)), ARRAY_LEN(burst));
	assert_int_equal(netif_rxr_front_pending(&box.rx), 2); /* those before and behind */
	assert_int_equal(txq.drop_unfit, ARRAY_LEN(cases));
	end();
}

static void headers_that_the_program_misplaces_are_not_followed(void **state)
{
	const struct packet c = {.is_tcp = true, .payload = 100};
	static uint8_t frame[2048];

	vif_box_start_dpdk();
	for (unsigned l2 = 0; l2 < 128; l2++)
		for (unsigned cut = 14; cut < 60; cut++) {
			struct rte_mbuf *m;

			build(frame, &c);
			m = packet_of(frame, cut); /* AddressSanitizer watches its end */
			m->ol_flags |= RTE_MBUF_F_TX_IPV4 | RTE_MBUF_F_TX_IP_CKSUM;
			m->l2_len = l2;
			if (vif_pmd_offload_out(m) == 0)
				assert_true(l2 + sizeof(struct rte_ipv4_hdr) <= cut);
			rte_pktmbuf_free(m);
		}
	assert_int_equal(vif_box_in_use(), 0);
}

/* ---- which queue, which packets, when ---------------------------------------------------------------------------- */

static void a_guest_that_asks_for_a_hash_is_told_it_and_chooses_the_queue(void **state)
{
	const struct packet c = {.is_tcp = true, .payload = 100};
	struct rte_mbuf *m = from_program(&c, 0);
	struct netif_extra_info extra = {0};
	struct steer_hash hash = {0};
	static uint8_t out[2048];
	static struct vif_box other;
	uint16_t flags = 0;
	uint32_t value;

	begin(&(struct vif_features){.sg = true}, false, 2);
	vif_box_init(&other, true);
	guest.way[0].queue = other.queue;
	guest.steer = (struct steer){
		.algorithm = XEN_NETIF_CTRL_HASH_ALGORITHM_TOEPLITZ, .types = STEER_TYPES, .nr_mapping = 2, .mapping = {1, 1}};
	for (unsigned i = 0; i < RTE_DIM(guest.steer.key) - 1; i++)
		guest.steer.key[i] = 0x12345678 * (i + 1);
	box.queue->wants_hash = other.queue->wants_hash = true;
	assert_true(steer_hash(&guest.steer, m, &hash));
	m->ol_flags |= RTE_MBUF_F_RX_RSS_HASH; /* of another port, by another key */
	m->hash.rss = 0xdeadbeef;
	vif_box_post(&box, 0, 2);
	vif_box_post(&other, 0, 2);
	assert_int_equal(vif_pmd_tx(&txq, &m, 1), 1); /* of its own it would lead to queue 0 */
	assert_int_equal(netif_rxr_front_pending(&other.rx), 0);
	assert_int_equal(guest_takes(&box, out, &flags, &extra), payload_at(&c) + c.payload);
	assert_int_equal(extra.type, XEN_NETIF_EXTRA_TYPE_HASH);
	memcpy(&value, extra.u.hash.value, sizeof(value));
	assert_int_equal(value, hash.value);
	assert_int_equal(extra.u.hash.type, _XEN_NETIF_CTRL_HASH_TYPE_IPV4_TCP);
	vif_box_finish(&other);
	end();
}

static void multicasts_that_the_guest_has_not_listed_are_dropped(void **state)
{
	static const uint8_t to[][6] = {
		{0x33, 0x33, 0, 0, 0, 1}, {0x33, 0x33, 0, 0, 0, 2}, {255, 255, 255, 255, 255, 255}, {2, 0, 0, 0, 0, 1}};
	struct rte_mbuf *m[ARRAY_LEN(to)];
	struct rte_ether_addr listed;

	begin(&(struct vif_features){.sg = true}, false, 1);
	mcast = (struct mcast){.is_on = true};
	memcpy(&listed, to[0], sizeof(listed));
	assert_int_equal(mcast_add(&mcast, &listed), 0);
	guest.mcast = &mcast;
	for (size_t i = 0; i < ARRAY_LEN(to); i++) {
		m[i] = vif_box_packet(60, 2000, 0);
		memcpy(rte_pktmbuf_mtod(m[i], void *), to[i], sizeof(to[i]));
	}
	vif_box_post(&box, 0, 10);
	assert_int_equal(vif_pmd_tx(&txq, m, ARRAY_LEN(to)), ARRAY_LEN(to));
	assert_int_equal(netif_rxr_front_pending(&box.rx), ARRAY_LEN(to) - 1);
	assert_int_equal(box.stats.rx_drop_multicast, 1);
	end();
}

static void packets_wait_for_buffers_and_go_when_the_port_is_polled(void **state)
{
	struct rte_mbuf *m[3];

	begin(&(struct vif_features){.sg = true, .rx_notify = true}, false, 1);
	for (size_t i = 0; i < ARRAY_LEN(m); i++)
		m[i] = vif_box_packet(60, 2000, 0);
	assert_int_equal(vif_pmd_tx(&txq, m, ARRAY_LEN(m)), ARRAY_LEN(m));
	assert_int_equal(box.stats.rx_held, ARRAY_LEN(m));
	vif_box_post(&box, 0, 2);
	rte_spinlock_lock(&guest.way[0].lock); /* an lcore is sending: it tries again itself */
	assert_int_equal(vif_pmd_rx(&rxq, m, 1), 0);
	assert_int_equal(netif_rxr_front_pending(&box.rx), 0);
	rte_spinlock_unlock(&guest.way[0].lock);
	assert_int_equal(vif_pmd_rx(&rxq, m, 1), 0);
	assert_int_equal(netif_rxr_front_pending(&box.rx), 2);
	vif_box_post(&box, 2, 1);
	assert_int_equal(vif_pmd_tx(&txq, m, 0), 0);
	vif_pmd_retry(&guest.way[0]); /* the port's thread, when the program polls it no more */
	assert_int_equal(netif_rxr_front_pending(&box.rx), 3);
	end();
}

static void nothing_passes_a_closed_turnstile(void **state)
{
	struct rte_mbuf *m = vif_box_packet(60, 2000, 0);

	begin(&(struct vif_features){.sg = true}, false, 1);
	vif_box_post(&box, 0, 1);
	vif_box_put(&box, box.ref[5], 0, 60, 0, 1);
	netif_txr_front_push(&box.tx);
	txq.turnstile.is_open = rxq.turnstile.is_open = 0;
	assert_int_equal(vif_pmd_tx(&txq, &m, 1), 0);
	assert_int_equal(vif_pmd_rx(&rxq, &(struct rte_mbuf *){NULL}, 1), 0);
	rte_pktmbuf_free(m);
	end();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_guests_large_packet_is_lro_to_a_program_that_takes_such),
		cmocka_unit_test(to_any_other_program_all_that_comes_has_its_checksum),
		cmocka_unit_test(a_large_packet_of_the_programs_reaches_the_guest_whole),
		cmocka_unit_test(for_a_guest_that_takes_none_it_is_cut),
		cmocka_unit_test(what_is_not_what_its_flags_say_is_dropped_and_counted),
		cmocka_unit_test(headers_that_the_program_misplaces_are_not_followed),
		cmocka_unit_test(a_guest_that_asks_for_a_hash_is_told_it_and_chooses_the_queue),
		cmocka_unit_test(multicasts_that_the_guest_has_not_listed_are_dropped),
		cmocka_unit_test(packets_wait_for_buffers_and_go_when_the_port_is_polled),
		cmocka_unit_test(nothing_passes_a_closed_turnstile),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
