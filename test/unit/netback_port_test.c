/*
 * test/unit/netback_port_test.c - a vif as a port: several queues, multicast lists, rate limits.
 */
#include "test.h"

#include "netback/vif_port.h"
#include "vif_box.h"

static struct vif_box box;
static struct vif_port port;
static struct vif_part part;
static struct mcast mcast;

static void begin(void)
{
	mcast = (struct mcast){0};
	vif_box_init_features(&box, &(struct vif_features){.sg = true, .mcast = &mcast});
	memset(&port, 0, sizeof(port));
	port.nr_queues = 1;
	port.queue[0] = box.queue;
	port.mcast = &mcast;
	part = (struct vif_part){.port = &port, .nr_own = 1};
}

/* A dummy request with a multicast extra; returns its answer's status. */
static int16_t asks(uint8_t type, uint8_t last_byte, bool is_unicast)
{
	struct netif_extra_info extra = {.type = type, .u.mcast.addr = {is_unicast ? 0 : 0x33, 0x33, 0, 0, 0, last_byte}};
	struct netif_tx_request req = {0};
	struct netif_tx_response rsp[2];
	struct rte_mbuf *m;

	vif_box_put(&box, 0, 0, 0, NETTXF_extra_info, 7);
	memcpy(&req, &extra, sizeof(extra));
	netif_txr_front_put(&box.tx, &req);
	netif_txr_front_push(&box.tx);
	assert_int_equal(vif_tx_burst(box.queue, &m, 1), 0);
	assert_int_equal(netif_txr_front_pending(&box.tx), 2);
	netif_txr_front_take(&box.tx, &rsp[0]);
	netif_txr_front_take(&box.tx, &rsp[1]);
	assert_int_equal(rsp[0].id, 7);
	assert_int_equal(rsp[1].status, NETIF_RSP_NULL);
	return rsp[0].status;
}

/* Does a frame to that address reach the guest? */
static bool reaches(uint8_t first, uint8_t last)
{
	struct rte_mbuf *m = vif_box_packet(60, 2000, 0);
	struct netif_rx_response rsp;
	int n;

	rte_pktmbuf_mtod(m, struct rte_ether_hdr *)->dst_addr =
		(struct rte_ether_addr){{first, first == 0xff ? 0xff : 0x33, first == 0xff ? 0xff : 0, first == 0xff ? 0xff : 0,
					 first == 0xff ? 0xff : 0, last}};
	vif_box_post(&box, 0, 1);
	assert_int_equal(vif_port_out(&part, &m, 1), 1);
	n = netif_rxr_front_pending(&box.rx);
	if (n)
		netif_rxr_front_take(&box.rx, &rsp);
	return n != 0;
}

static void a_guest_with_multicast_control_gets_what_it_listed(void **state)
{
	begin();
	assert_true(reaches(0x33, 1)); /* not asked for control: everything */
	assert_int_equal(asks(XEN_NETIF_EXTRA_TYPE_MCAST_ADD, 1, false), NETIF_RSP_OKAY);
	assert_int_equal(asks(XEN_NETIF_EXTRA_TYPE_MCAST_ADD, 1, false), NETIF_RSP_OKAY);
	assert_true(reaches(0x33, 2));
	mcast.is_on = true;
	assert_true(reaches(0x33, 1));
	assert_false(reaches(0x33, 2));
	assert_true(reaches(0xff, 0xff));
	assert_true(reaches(0x02, 2));
	assert_int_equal(asks(XEN_NETIF_EXTRA_TYPE_MCAST_DEL, 1, false), NETIF_RSP_OKAY);
	assert_false(reaches(0x33, 1));
	assert_int_equal(asks(XEN_NETIF_EXTRA_TYPE_MCAST_ADD, 1, true), NETIF_RSP_ERROR);
	for (unsigned i = 0; i < MCAST_MAX; i++)
		assert_int_equal(asks(XEN_NETIF_EXTRA_TYPE_MCAST_ADD, (uint8_t)i, false), NETIF_RSP_OKAY);
	assert_int_equal(asks(XEN_NETIF_EXTRA_TYPE_MCAST_ADD, MCAST_MAX, false), NETIF_RSP_ERROR);
	assert_int_equal(box.stats.rx_drop_multicast, 2);
	vif_box_finish(&box);
}

/* Sends as much as there is credit for, looking every step ticks; returns what went in all. */
static double sent_in(struct rate *r, double seconds, uint64_t step, uint64_t bytes)
{
	uint64_t hz = rte_get_tsc_hz(), start = hz * 1000, now = start, sent = 0;

	for (; now - start < (uint64_t)(seconds * (double)hz); now += step)
		while (rate_has_credit(r, now)) {
			rate_spend(r, now, 1, bytes);
			sent++;
		}
	return (double)sent;
}

static void a_rate_is_kept_to_two_percent_whatever_the_packets_and_the_sleep(void **state)
{
	static const struct {
		uint64_t amount, usecs;
		bool is_packets;
		uint64_t bytes;
		double per_second; /* packets */
	} cases[] = {
		{12500, 1000, false, 1514, 12500e3 / 1514}, /* 100 Mbit/s */
		{12500000, 50000, false, 65000, 250e6 / 65000},
		{125000, 1000, false, 64, 125e6 / 64},
		{62500, 50000, false, 1514, 1250e3 / 1514},
		{1000, 1000000, true, 1514, 1000},
		{1000000, 1000000, true, 64, 1e6},
	};

	vif_box_start_dpdk();
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		const uint64_t steps[] = {rte_get_tsc_hz() / 100000, rte_get_tsc_hz() / 1000, rte_get_tsc_hz() * 16 / 1000};

		for (size_t s = 0; s < ARRAY_LEN(steps); s++) {
			struct rate r = {0};
			double got;

			rate_bucket_set(cases[i].is_packets ? &r.packets : &r.bytes, cases[i].amount, cases[i].usecs);
			assert_true(rate_is_on(&r));
			got = sent_in(&r, 5, steps[s], cases[i].bytes) / 5;
			if (got < cases[i].per_second * 0.98 || got > cases[i].per_second * 1.02)
				fail_msg("case %zu, step %zu: %.1f packets a second, not %.1f", i, s, got, cases[i].per_second);
		}
	}
}

static void beyond_its_rate_a_guest_waits_and_the_world_is_refused(void **state)
{
	struct rte_mbuf *m[BRIDGE_BURST];
	uint16_t n, total = 0;

	begin();
	rate_bucket_set(&port.tx_rate.packets, 1, 1000000000); /* one in a thousand seconds: no second one comes */
	port.rx_rate = port.tx_rate;
	for (unsigned i = 0; i < 100; i++)
		vif_box_put(&box, box.ref[0], 0, 60, 0, (uint16_t)i);
	netif_txr_front_push(&box.tx);
	for (unsigned round = 0; round < 50; round++) {
		n = vif_port_in(&part, m, BRIDGE_BURST);
		rte_pktmbuf_free_bulk(m, n);
		total = (uint16_t)(total + n);
	}
	assert_true(total > 0 && total <= 8);
	assert_true(part.is_throttled);
	/* Lifted: the rest comes. */
	port.tx_rate = (struct rate){0};
	while ((n = vif_port_in(&part, m, BRIDGE_BURST)) != 0) {
		rte_pktmbuf_free_bulk(m, n);
		total = (uint16_t)(total + n);
	}
	assert_int_equal(total, 100);
	vif_box_post(&box, 0, 60);
	for (unsigned i = 0; i < 60; i++)
		m[i] = vif_box_packet(60, 2000, 0);
	assert_int_equal(vif_port_out(&part, m, 60), 60);
	assert_true(box.stats.rx_packets > 0 && box.stats.rx_packets < 8);
	assert_int_equal(box.stats.rx_packets + box.stats.rx_drop_rate, 60);
	assert_int_equal(vif_box_in_use(), 0);
	vif_box_finish(&box);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_guest_with_multicast_control_gets_what_it_listed),
		cmocka_unit_test(a_rate_is_kept_to_two_percent_whatever_the_packets_and_the_sleep),
		cmocka_unit_test(beyond_its_rate_a_guest_waits_and_the_world_is_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
