/*
 * test/unit/netback_bridge_test.c - the learning bridge, over ports that are arrays.
 */
#include "test.h"

#include "vif_box.h"

#define NR_PORTS 4

struct fake_port {
	struct bridge_port port;
	struct rte_mbuf *got[256];
	unsigned nr_got;
	unsigned takes; /* of each burst */
};

static struct bridge bridge;
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

	bridge_input(&bridge, &fake[port].port, &m, 1);
	bridge_flush(&bridge);
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

static void begin(uint64_t ageing)
{
	vif_box_start_dpdk();
	bridge_init(&bridge, ageing, 0x9e3779b97f4a7c15u, vif_box_pool(), vif_box_ext_pool());
	bridge.now = 1000;
	for (unsigned i = 0; i < NR_PORTS; i++) {
		fake[i] = (struct fake_port){.takes = 256};
		fake[i].port = (struct bridge_port){.queue = &fake[i], .out = fake_out, .max_frame = 1518};
		assert_int_equal(bridge_add_port(&bridge, &fake[i].port), 0);
	}
}

static void end(void)
{
	for (unsigned i = 0; i < NR_PORTS; i++)
		if (fake[i].port.index != BRIDGE_NO_PORT)
			bridge_remove_port(&bridge, &fake[i].port);
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

	begin(100);
	for (size_t i = 0; i < ARRAY_LEN(steps); i++) {
		unsigned got;

		send(steps[i].from, steps[i].dst, steps[i].src);
		got = arrived();
		if (got != steps[i].to)
			fail_msg("%s: went to %#x, not %#x", steps[i].says, got, steps[i].to);
	}
	end();
}

static void a_silent_address_is_forgotten(void **state)
{
	begin(100);
	send(0, mac(9), mac(1));
	arrived();
	bridge.now += 99;
	send(1, mac(1), mac(2));
	assert_int_equal(arrived(), 0x1);
	bridge.now += 1;
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
	assert_int_equal(bridge.learned, 0);
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
	assert_true(bridge.not_learned >= 20000 - BRIDGE_PORT_ADDRESSES);
	for (unsigned i = 0; i < 500; i++) {
		struct rte_ether_addr a = mac(100000 + i);

		assert_int_equal(bridge_lookup(&bridge, &a), fake[1].port.index);
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
	bridge_input(&bridge, &fake[1].port, &m, 1); /* waits for port 0 */
	bridge_remove_port(&bridge, &fake[0].port);
	arrived(); /* what it was given before it went is its own */
	send(1, mac(1), mac(2));
	assert_int_equal(arrived(), 0xc);
	assert_int_equal(bridge_add_port(&bridge, &fake[0].port), 0);
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
	assert_int_equal(fake[0].port.stats.drop_full, 1);
	assert_int_equal(fake[0].port.stats.out_packets, 0);
	assert_int_equal(fake[0].port.stats.out_bytes, 0);
	end();
}

static void frames_too_long_or_too_short_for_a_port_are_dropped_and_counted(void **state)
{
	struct rte_mbuf *m;

	begin(100);
	fake[0].port.max_frame = 9018;
	m = frame(mac(7), mac(2), 9018);
	bridge_input(&bridge, &fake[1].port, &m, 1);
	bridge_flush(&bridge);
	assert_int_equal(arrived(), 0x1);
	assert_int_equal(fake[2].port.stats.drop_too_long, 1);
	m = vif_box_packet(13, 13, 0);
	bridge_input(&bridge, &fake[1].port, &m, 1);
	bridge_flush(&bridge);
	assert_int_equal(arrived(), 0);
	assert_int_equal(fake[1].port.stats.drop_runt, 1);
	end();
}

static void more_packets_than_a_burst_all_arrive(void **state)
{
	begin(100);
	for (unsigned i = 0; i < 200; i++) {
		struct rte_mbuf *m = frame(mac(7), mac(2), 60 + i);

		bridge_input(&bridge, &fake[1].port, &m, 1);
	}
	bridge_flush(&bridge);
	for (unsigned p = 0; p < NR_PORTS; p++) {
		assert_int_equal(fake[p].nr_got, p == 1 ? 0 : 200);
		for (unsigned i = 0; i < fake[p].nr_got; i++)
			assert_int_equal(fake[p].got[i]->pkt_len, 60 + i);
		rte_pktmbuf_free_bulk(fake[p].got, fake[p].nr_got);
	}
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
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
