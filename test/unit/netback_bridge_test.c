/*
 * test/unit/netback_bridge_test.c - the learning bridge, over ports that are arrays.
 */
#include "test.h"

#include "vif_box.h"

#include <sys/eventfd.h>
#include <unistd.h>

#define NR_PORTS 4
#define NR_LANES 2

struct fake_port {
	struct bridge_port port;
	struct bridge_part part;
	struct rte_mbuf *got[256];
	unsigned nr_got;
	unsigned takes; /* of each burst */
};

static struct bridge *bridge;
static struct bridge_lane *lane; /* the first one's */
static struct fake_port fake[NR_PORTS];

static uint16_t fake_out(void *queue, struct rte_mbuf **pkts, uint16_t n)
{
	struct fake_port *f = queue;
	uint16_t taken = (uint16_t)RTE_MIN(n, f->takes);

	for (uint16_t i = 0; i < taken; i++)
		f->got[f->nr_got++] = pkts[i];
	return taken;
}

static struct rte_ether_addr mac(unsigned n)
{
	return (struct rte_ether_addr){{0x02, 0, 0, (uint8_t)(n >> 16), (uint8_t)(n >> 8), (uint8_t)n}};
}

static struct rte_mbuf *frame(struct rte_ether_addr dst, struct rte_ether_addr src, uint32_t bytes)
{
	struct rte_mbuf *m = vif_box_packet(bytes, 2000, 1);
	struct rte_ether_hdr *eth = rte_pktmbuf_mtod(m, struct rte_ether_hdr *);

	eth->dst_addr = dst;
	eth->src_addr = src;
	return m;
}

static void send(unsigned port, struct rte_ether_addr dst, struct rte_ether_addr src)
{
	struct rte_mbuf *m = frame(dst, src, 60);

	lane_input(&bridge->lanes[fake[port].part.lane], &fake[port].part, &m, 1);
	bridge_settle(bridge);
}

/* Who got how many, as bits of ports; frees. */
static unsigned arrived(void)
{
	unsigned bits = 0;

	for (unsigned i = 0; i < NR_PORTS; i++) {
		assert_true(fake[i].nr_got <= 1);
		if (fake[i].nr_got)
			bits |= 1u << i;
		rte_pktmbuf_free_bulk(fake[i].got, fake[i].nr_got);
		fake[i].nr_got = 0;
	}
	return bits;
}

/* Ports on lanes by turns. */
static void begin_on(uint16_t nr_lanes, uint64_t ageing)
{
	struct bridge_options opt = {.nr_lanes = nr_lanes, .ageing = ageing, .secret = 0x9e3779b97f4a7c15u};

	vif_box_start_dpdk();
	opt.pool = vif_box_pool();
	opt.ext_pool = vif_box_ext_pool();
	assert_int_equal(bridge_create(&opt, &bridge), 0);
	lane = &bridge->lanes[0];
	for (uint16_t i = 0; i < nr_lanes; i++)
		bridge->lanes[i].now = 1000;
	for (unsigned i = 0; i < NR_PORTS; i++) {
		fake[i] = (struct fake_port){.takes = 256};
		fake[i].part = (struct bridge_part){.queue = &fake[i], .out = fake_out, .lane = (uint16_t)(i % nr_lanes)};
		fake[i].port = (struct bridge_port){.parts = {&fake[i].part}, .nr_parts = 1, .max_frame = 1518};
		assert_int_equal(bridge_add_port(bridge, &fake[i].port), 0);
	}
}

static void begin(uint64_t ageing)
{
	begin_on(1, ageing);
}

static void end(void)
{
	for (unsigned i = 0; i < NR_PORTS; i++)
		if (fake[i].port.index != BRIDGE_NO_PORT)
			bridge_remove_port(bridge, &fake[i].port);
	bridge_destroy(bridge);
	assert_int_equal(vif_box_in_use(), 0);
}

static void a_scripted_conversation_goes_where_it_should(void **state)
{
	static const struct rte_ether_addr broadcast = {{0xff, 0xff, 0xff, 0xff, 0xff, 0xff}};
	static const struct rte_ether_addr multicast = {{0x01, 0x00, 0x5e, 0, 0, 1}};
	static const struct rte_ether_addr reserved = {{0x01, 0x80, 0xc2, 0, 0, 0x0e}};
	const struct {
		const char *says;
		unsigned from;
		struct rte_ether_addr dst, src;
		unsigned to; /* bits of ports */
	} steps[] = {
		{"unknown is flooded", 0, mac(2), mac(1), 0xe},
		{"known goes to one port", 1, mac(1), mac(2), 0x1},
		{"and back", 0, mac(2), mac(1), 0x2},
		{"broadcast is flooded", 0, broadcast, mac(1), 0xe},
		{"multicast is flooded", 1, multicast, mac(2), 0xd},
		{"what lives where it came from stays there", 0, mac(1), mac(3), 0x0},
		{"link-local addresses stay too", 0, reserved, mac(1), 0x0},
		{"an address moves to port 3", 3, broadcast, mac(1), 0x7},
		{"and is found there", 1, mac(1), mac(2), 0x8},
		{"a multicast source is not learned", 2, mac(1), multicast, 0x8},
		{"so it is still flooded", 0, multicast, mac(4), 0xe},
		{"a zero source is not learned", 2, mac(2), (struct rte_ether_addr){{0}}, 0x2},
		{"a zero destination is flooded", 1, (struct rte_ether_addr){{0}}, mac(2), 0xd},
	};

	for (uint16_t nr_lanes = 1; nr_lanes <= NR_PORTS; nr_lanes++) {
		begin_on(nr_lanes, 100);
		for (size_t i = 0; i < ARRAY_LEN(steps); i++) {
			unsigned got;

			send(steps[i].from, steps[i].dst, steps[i].src);
			got = arrived();
			if (got != steps[i].to)
				fail_msg("%u lanes: %s: went to %#x, not %#x", nr_lanes, steps[i].says, got, steps[i].to);
		}
		end();
	}
}

static void a_silent_address_is_forgotten(void **state)
{
	begin(100);
	send(0, mac(9), mac(1));
	arrived();
	lane->now += 99;
	send(1, mac(1), mac(2));
	assert_int_equal(arrived(), 0x1);
	lane->now += 1;
	send(1, mac(1), mac(2));
	assert_int_equal(arrived(), 0xd);
	end();
}

static void a_hub_learns_nothing_and_repeats_everything(void **state)
{
	static const struct rte_ether_addr reserved = {{0x01, 0x80, 0xc2, 0, 0, 0}};

	begin(0);
	send(0, mac(2), mac(1));
	assert_int_equal(arrived(), 0xe);
	send(1, mac(1), mac(2));
	assert_int_equal(arrived(), 0xd);
	send(0, mac(1), mac(2));
	assert_int_equal(arrived(), 0xe);
	send(0, reserved, mac(2));
	assert_int_equal(arrived(), 0xe);
	assert_int_equal(lane->stats.learned, 0);
	end();
}

static void a_port_cannot_fill_the_table_nor_push_others_out(void **state)
{
	begin(1000000);
	for (unsigned i = 0; i < 500; i++) {
		send(1, mac(0xfffffe), mac(100000 + i));
		arrived();
	}
	for (unsigned i = 0; i < 20000; i++) {
		send(0, mac(0xfffffe), mac(i));
		arrived();
	}
	assert_int_equal(fake[0].port.nr_addresses, BRIDGE_PORT_ADDRESSES);
	assert_true(lane->stats.not_learned >= 20000 - BRIDGE_PORT_ADDRESSES);
	for (unsigned i = 0; i < 500; i++) {
		struct rte_ether_addr a = mac(100000 + i);

		assert_int_equal(bridge_lookup(bridge, lane->now, &a), fake[1].port.index);
	}
	end();
}

static void a_removed_port_is_forgotten_with_its_packets(void **state)
{
	struct rte_mbuf *m;

	begin(100);
	send(0, mac(9), mac(1));
	arrived();
	m = frame(mac(1), mac(2), 60);
	lane_input(lane, &fake[1].part, &m, 1); /* waits for port 0 */
	bridge_remove_port(bridge, &fake[0].port);
	arrived(); /* what it was given before it went is its own */
	send(1, mac(1), mac(2));
	assert_int_equal(arrived(), 0xc);
	assert_int_equal(bridge_add_port(bridge, &fake[0].port), 0);
	assert_int_equal(fake[0].port.index, 0);
	send(1, mac(1), mac(2));
	assert_int_equal(arrived(), 0xd);
	end();
}

static void what_a_port_does_not_take_is_dropped_and_counted(void **state)
{
	begin(100);
	fake[0].takes = 0;
	send(1, mac(7), mac(2));
	assert_int_equal(arrived(), 0xc);
	assert_int_equal(fake[0].part.stats.drop_full, 1);
	assert_int_equal(fake[0].part.stats.out_packets, 0);
	assert_int_equal(fake[0].part.stats.out_bytes, 0);
	end();
}

static void frames_too_long_or_too_short_for_a_port_are_dropped_and_counted(void **state)
{
	struct rte_mbuf *m;

	begin(100);
	fake[0].part.max_frame = 9018;
	m = frame(mac(7), mac(2), 9018);
	lane_input(lane, &fake[1].part, &m, 1);
	lane_flush(lane);
	assert_int_equal(arrived(), 0x1);
	assert_int_equal(fake[2].part.stats.drop_too_long, 1);
	m = vif_box_packet(13, 13, 0);
	lane_input(lane, &fake[1].part, &m, 1);
	lane_flush(lane);
	assert_int_equal(arrived(), 0);
	assert_int_equal(fake[1].part.stats.drop_runt, 1);
	end();
}

static void more_packets_than_a_burst_all_arrive(void **state)
{
	begin(100);
	for (unsigned i = 0; i < 200; i++) {
		struct rte_mbuf *m = frame(mac(7), mac(2), 60 + i);

		lane_input(lane, &fake[1].part, &m, 1);
	}
	lane_flush(lane);
	for (unsigned p = 0; p < NR_PORTS; p++) {
		assert_int_equal(fake[p].nr_got, p == 1 ? 0 : 200);
		for (unsigned i = 0; i < fake[p].nr_got; i++)
			assert_int_equal(fake[p].got[i]->pkt_len, 60 + i);
		rte_pktmbuf_free_bulk(fake[p].got, fake[p].nr_got);
	}
	end();
}

/* ---- several lanes -------------------------------------------------------------------------------------------------- */

static uint16_t lane_by_length(const struct bridge_port *p, struct rte_mbuf *m)
{
	return (uint16_t)(m->pkt_len % NR_LANES);
}

static void a_port_with_queues_in_two_lanes_gets_each_packet_in_its_own(void **state)
{
	static struct fake_port spread[NR_LANES];
	struct bridge_port port = {.nr_parts = NR_LANES, .lane_of = lane_by_length, .max_frame = 1518};

	begin_on(NR_LANES, 100);
	for (uint16_t i = 0; i < NR_LANES; i++) {
		spread[i] = (struct fake_port){.takes = 256};
		spread[i].part = (struct bridge_part){.queue = &spread[i], .out = fake_out, .lane = i};
		port.parts[i] = &spread[i].part;
	}
	assert_int_equal(bridge_add_port(bridge, &port), 0);
	for (unsigned from = 0; from < NR_LANES; from++)
		for (uint32_t bytes = 60; bytes < 160; bytes++) {
			struct rte_mbuf *m = frame(mac(7), mac(2), bytes); /* flooded */

			lane_input(&bridge->lanes[from], &fake[from].part, &m, 1);
			bridge_settle(bridge);
			arrived();
		}
	for (unsigned i = 0; i < NR_LANES; i++) {
		assert_int_equal(spread[i].nr_got, 100);
		for (unsigned k = 0; k < spread[i].nr_got; k++)
			assert_int_equal(spread[i].got[k]->pkt_len % NR_LANES, i);
		rte_pktmbuf_free_bulk(spread[i].got, spread[i].nr_got);
	}
	bridge_remove_port(bridge, &port);
	end();
}

static void a_port_whose_queues_are_alike_is_sent_to_in_the_senders_lane(void **state)
{
	struct rte_mbuf *m;

	begin_on(NR_LANES, 100);
	send(1, mac(9), mac(2));
	arrived();
	/* Port 1 lives in lane 1; now it has a queue in lane 0, too. */
	bridge_remove_port(bridge, &fake[1].port);
	fake[1].port.parts[1] = &fake[3].part;
	bridge_remove_port(bridge, &fake[3].port);
	fake[3].part.lane = 0;
	fake[1].port.nr_parts = 2;
	assert_int_equal(bridge_add_port(bridge, &fake[1].port), 0);
	send(1, mac(9), mac(2));
	arrived();
	m = frame(mac(2), mac(1), 60);
	lane_input(lane, &fake[0].part, &m, 1);
	lane_flush(lane);
	assert_int_equal(arrived(), 0x8); /* without any way between lanes */
	end();
}

static void what_has_no_room_on_its_way_to_another_lane_is_dropped_and_counted(void **state)
{
	const unsigned nr = BRIDGE_RING_SLOTS + 500;
	struct bridge_lane_stats stats;
	unsigned got = 0;

	begin_on(NR_LANES, 100);
	send(1, mac(9), mac(2));
	arrived();
	for (unsigned i = 0; i < nr; i++) {
		struct rte_mbuf *m = frame(mac(2), mac(1), 60);

		lane_input(lane, &fake[0].part, &m, 1);
	}
	lane_flush(lane);
	while (lane_receive(&bridge->lanes[1])) {
		lane_flush(&bridge->lanes[1]);
		got += fake[1].nr_got;
		rte_pktmbuf_free_bulk(fake[1].got, fake[1].nr_got);
		fake[1].nr_got = 0;
	}
	bridge_count(bridge, &stats);
	assert_true(got > 0 && got < nr);
	assert_int_equal(stats.drop_handed_over, nr - got);
	end();
}

static void a_lane_that_dozes_is_woken_once_for_a_burst(void **state)
{
	struct bridge_lane_stats stats;
	int fd = eventfd(0, EFD_NONBLOCK);
	eventfd_t count = 0;

	begin_on(NR_LANES, 100);
	bridge->lanes[1].wake_fd = fd;
	send(1, mac(9), mac(2));
	arrived();
	assert_false(lane_doze(&bridge->lanes[1]));
	for (unsigned i = 0; i < 40; i++) {
		struct rte_mbuf *m = frame(mac(2), mac(1), 60);

		lane_input(lane, &fake[0].part, &m, 1);
	}
	lane_flush(lane);
	assert_int_equal(eventfd_read(fd, &count), 0);
	assert_int_equal(count, 1);
	bridge_count(bridge, &stats);
	assert_int_equal(stats.wakes, 1);
	assert_true(lane_doze(&bridge->lanes[1])); /* it must not: there are packets */
	assert_int_equal(fake[1].nr_got, 40);
	rte_pktmbuf_free_bulk(fake[1].got, 40);
	fake[1].nr_got = 0;
	close(fd);
	end();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_scripted_conversation_goes_where_it_should),
		cmocka_unit_test(a_silent_address_is_forgotten),
		cmocka_unit_test(a_hub_learns_nothing_and_repeats_everything),
		cmocka_unit_test(a_port_cannot_fill_the_table_nor_push_others_out),
		cmocka_unit_test(a_removed_port_is_forgotten_with_its_packets),
		cmocka_unit_test(what_a_port_does_not_take_is_dropped_and_counted),
		cmocka_unit_test(frames_too_long_or_too_short_for_a_port_are_dropped_and_counted),
		cmocka_unit_test(more_packets_than_a_burst_all_arrive),
		cmocka_unit_test(a_port_with_queues_in_two_lanes_gets_each_packet_in_its_own),
		cmocka_unit_test(a_port_whose_queues_are_alike_is_sent_to_in_the_senders_lane),
		cmocka_unit_test(what_has_no_room_on_its_way_to_another_lane_is_dropped_and_counted),
		cmocka_unit_test(a_lane_that_dozes_is_woken_once_for_a_burst),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
