/*
 * test/unit/netback_port_test.c - a vif as a port: several queues, multicast lists, rate limits; and as an ethdev.
 */
#include "test.h"

#include <errno.h>
#include <pthread.h>

#include <rte_bus_vdev.h>

#include "netback/pmd.h"
#include "netback/port.h"
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

/*
 * Sends as much as there is credit for, looking every step ticks; returns what went in all. Of several lanes, all find credit before the
 * first one spends it.
 */
static double sent_in(struct rate *r, unsigned nr_lanes, double seconds, uint64_t step, uint64_t bytes)
{
	uint64_t hz = rte_get_tsc_hz(), start = hz * 1000, now = start, sent = 0;

	for (; now - start < (uint64_t)(seconds * (double)hz); now += step)
		while (rate_has_credit(r, now))
			for (unsigned lane = 0; lane < nr_lanes; lane++) {
				rate_spend(r, now, 1, bytes);
				sent++;
			}
	return (double)sent;
}

static void a_rate_is_kept_to_two_percent_whatever_the_packets_the_sleep_and_the_lanes(void **state)
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

	static const unsigned lanes[] = {1, 4};

	vif_box_start_dpdk();
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		const uint64_t steps[] = {rte_get_tsc_hz() / 100000, rte_get_tsc_hz() / 1000, rte_get_tsc_hz() * 16 / 1000};

		for (size_t s = 0; s < ARRAY_LEN(steps) * ARRAY_LEN(lanes); s++) {
			unsigned nr_lanes = lanes[s / ARRAY_LEN(steps)];
			struct rate r = {0};
			double got;

			rate_bucket_set(cases[i].is_packets ? &r.packets : &r.bytes, cases[i].amount, cases[i].usecs);
			assert_true(rate_is_on(&r));
			got = sent_in(&r, nr_lanes, 5, steps[s % ARRAY_LEN(steps)], cases[i].bytes) / 5;
			if (got < cases[i].per_second * 0.98 || got > cases[i].per_second * 1.02)
				fail_msg("case %zu, step %zu, %u lanes: %.1f packets a second, not %.1f", i, s % ARRAY_LEN(steps), nr_lanes,
					 got, cases[i].per_second);
		}
	}
}

#define SPENDERS 4u
#define SPENDINGS 20000u

static void *spend(void *arg)
{
	for (unsigned i = 0; i < SPENDINGS; i++)
		rate_spend(arg, 1000 * rte_get_tsc_hz(), 2, 100);
	return NULL;
}

static void what_several_threads_spend_at_once_is_all_paid_for(void **state)
{
	struct rate r;
	pthread_t threads[SPENDERS];
	uint64_t start = 1000 * rte_get_tsc_hz();

	rate_bucket_set(&r.packets, 1000, 1000000);
	rate_bucket_set(&r.bytes, 1000, 1000);
	r.packets.clock = r.bytes.clock = start;
	for (unsigned i = 0; i < SPENDERS; i++)
		assert_int_equal(pthread_create(&threads[i], NULL, spend, &r), 0);
	for (unsigned i = 0; i < SPENDERS; i++)
		pthread_join(threads[i], NULL);
	assert_int_equal(r.packets.clock - start, SPENDERS * SPENDINGS * ((2 * r.packets.cost) >> RATE_SHIFT));
	assert_int_equal(r.bytes.clock - start, SPENDERS * SPENDINGS * ((100 * r.bytes.cost) >> RATE_SHIFT));
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

static uint64_t xstat(uint16_t id, const char *name)
{
	uint64_t at, value;

	assert_int_equal(rte_eth_xstats_get_id_by_name(id, name, &at), 0);
	assert_int_equal(rte_eth_xstats_get_by_id(id, &at, &value, 1), 1);
	return value;
}

static int link_of(uint16_t id)
{
	struct rte_eth_link link;

	assert_int_equal(rte_eth_link_get_nowait(id, &link), 0);
	return link.link_status;
}

/* One packet each way. */
static void exchange(uint16_t id)
{
	struct rte_mbuf *m = vif_box_packet(60, 2000, 0);
	struct netif_rx_response rx;
	struct netif_tx_response tx;

	vif_box_post(&box, 0, 1);
	assert_int_equal(rte_eth_tx_burst(id, 0, &m, 1), 1);
	assert_int_equal(netif_rxr_front_pending(&box.rx), 1);
	netif_rxr_front_take(&box.rx, &rx);
	assert_int_equal(rx.status, 60);
	vif_box_put(&box, box.ref[1], 0, 64, 0, 7);
	netif_txr_front_push(&box.tx);
	assert_int_equal(rte_eth_rx_burst(id, 0, &m, 1), 1);
	assert_int_equal(rte_pktmbuf_pkt_len(m), 64);
	rte_pktmbuf_free(m);
	vif_tx_finish(box.queue);
	netif_txr_front_take(&box.tx, &tx);
	assert_int_equal(tx.status, NETIF_RSP_OKAY);
}

static void a_connected_vif_is_an_ethdev_with_its_link_bursts_and_counters(void **state)
{
	static struct vif_stats counters[VIF_MAX_QUEUES];
	struct vif vif = {.domid = 3, .devid = 1, .nr_queues = 1, .stats = counters, .mac = {{0, 0x16, 0x3e, 1, 2, 3}}};
	struct rte_eth_dev_info info;
	struct rte_ether_addr mac;
	struct rte_eth_stats sum;
	struct port ethdev = {0};
	uint16_t id;

	vif_box_init(&box, true);
	vif.queue[0] = box.queue;
	box.queue->stats = counters;
	assert_int_equal(pmd_register(), 0);
	assert_int_equal(rte_vdev_init("net_netback9", ""), -ENODEV); /* no vif is behind it */
	for (int round = 0; round < 2; round++) { /* a name can be used again */
		assert_int_equal(pmd_attach(&vif, &id), 0);
		assert_int_equal(port_start(&ethdev, id, 1, vif_box_pool(), vif_box_pool()), 0);
		assert_string_equal(ethdev.name, "net_netback3_1");
		assert_int_equal(rte_eth_macaddr_get(id, &mac), 0);
		assert_memory_equal(&mac, &vif.mac, sizeof(mac));
		assert_int_equal(rte_eth_dev_info_get(id, &info), 0);
		assert_int_equal(info.min_rx_bufsize, VIF_TX_COPY_BYTES); /* or DPDK takes a pool that a short packet does not fit */
		assert_int_equal(link_of(id), RTE_ETH_LINK_UP);
		exchange(id);
		assert_int_equal(rte_eth_stats_get(id, &sum), 0);
		assert_int_equal(sum.ipackets, 2 * round + 1); /* the vif's, not the ethdev's */
		assert_int_equal(sum.opackets, 2 * round + 1);
		assert_int_equal(sum.ibytes, 64 * (2 * round + 1));
		assert_int_equal(xstat(id, "queue.0.tx_packets"), 2 * round + 1);
		assert_int_equal(rte_eth_xstats_reset(id), 0);
		exchange(id);
		assert_int_equal(rte_eth_stats_get(id, &sum), 0);
		assert_int_equal(sum.opackets, 1);
		assert_int_equal(xstat(id, "queue.0.rx_packets"), 1);
		assert_int_equal(counters[0].rx_packets, 2 * (round + 1)); /* who looks on sees no reset */
		port_stop(&ethdev);
		assert_int_equal(link_of(id), RTE_ETH_LINK_DOWN);
		pmd_detach(&vif);
		assert_int_equal(rte_eth_dev_get_port_by_name("net_netback3_1", &id), -ENODEV);
	}
	vif_box_finish(&box);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_guest_with_multicast_control_gets_what_it_listed),
		cmocka_unit_test(a_rate_is_kept_to_two_percent_whatever_the_packets_the_sleep_and_the_lanes),
		cmocka_unit_test(what_several_threads_spend_at_once_is_all_paid_for),
		cmocka_unit_test(beyond_its_rate_a_guest_waits_and_the_world_is_refused),
		cmocka_unit_test(a_connected_vif_is_an_ethdev_with_its_link_bursts_and_counters),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
