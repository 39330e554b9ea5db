/*
 * test/stress/netback_test.c - two guests talk through a worker, or one each, and the bridge, all at once, asleep and awake.
 *
 *      guest 0 (thread) <--rings--> queue 0 \                / queue 1 <--rings--> guest 1 (thread)
 *                                          worker(s) (threads)
 *
 * Every frame carries its number and a pattern. What arrives is in order and unharmed, and what does not was counted. A
 * lost wake-up would leave somebody asleep: waiting is bounded, generously.
 */
#include "test.h"

#include <poll.h>
#include <pthread.h>
#include <sys/eventfd.h>

#include "netback/workers.h"
#include "vif_box.h"

#define NR_FRAMES 20000u
#define TX_PAGES 30u /* the rest are rx buffers */
#define RX_PAGES 30u
#define MAX_FRAME 9014u
#define HEADER (sizeof(struct rte_ether_hdr) + sizeof(uint32_t))
#define PATIENCE_MS 30000

struct guest {
	struct vif_box box;
	struct bridge_port port;
	struct bridge_part part;
	struct worker_port worker_port, *worker_ports[1];
	struct rte_ether_addr mac, peer_mac;
	unsigned free_tx[TX_PAGES], nr_free;
	uint32_t sent, received, next_expected;
	uint8_t frame[65536];
	uint32_t frame_bytes; /* of the rx packet that is being put together */
	const char *fault;
	pthread_t thread;
};

static struct guest guests[2];
static uint32_t frame_size(uint32_t number)
{
	static const uint32_t sizes[] = {60, 64, 200, 256, 257, 1514, 4096, 9014};

	return sizes[number % ARRAY_LEN(sizes)];
}

static void frame_build(struct guest *g, uint8_t *p, uint32_t number, uint32_t bytes)
{
	struct rte_ether_hdr *eth = (struct rte_ether_hdr *)p;

	eth->dst_addr = g->peer_mac;
	eth->src_addr = g->mac;
	eth->ether_type = RTE_BE16(0x88b5);
	memcpy(p + sizeof(*eth), &number, sizeof(number));
	for (uint32_t i = HEADER; i < bytes; i++)
		p[i] = vif_box_byte((uint8_t)number, i);
}

static bool send_frame(struct guest *g)
{
	static __thread uint8_t built[MAX_FRAME];
	uint32_t bytes = frame_size(g->sent), pages = (bytes + PAGE_BYTES - 1) / PAGE_BYTES;

	if (g->nr_free < pages || netif_txr_front_free(&g->box.tx) < pages)
		return false;
	frame_build(g, built, g->sent, bytes);
	for (uint32_t i = 0; i < pages; i++) {
		unsigned page = g->free_tx[--g->nr_free];
		uint32_t len = RTE_MIN(bytes - i * PAGE_BYTES, PAGE_BYTES);

		memcpy(vif_box_page(&g->box, page), built + i * PAGE_BYTES, len);
		vif_box_put(&g->box, g->box.ref[page], 0, (uint16_t)(i ? len : bytes), i + 1 < pages ? NETTXF_more_data : 0,
			    (uint16_t)page);
	}
	fetch_add_relaxed(&g->sent, 1u);
	return true;
}

static void frame_check(struct guest *g)
{
	uint32_t number;

	memcpy(&number, g->frame + sizeof(struct rte_ether_hdr), sizeof(number));
	if (number < g->next_expected || number >= NR_FRAMES || g->frame_bytes != frame_size(number))
		g->fault = "a frame out of order or of wrong size";
	for (uint32_t i = HEADER; i < g->frame_bytes && !g->fault; i++)
		if (g->frame[i] != vif_box_byte((uint8_t)number, i))
			g->fault = "a frame that changed on its way";
	g->next_expected = number + 1;
	fetch_add_relaxed(&g->received, 1u);
	g->frame_bytes = 0;
}

static unsigned receive(struct guest *g)
{
	int n = netif_rxr_front_pending(&g->box.rx);

	if (n < 0)
		g->fault = "an impossible rx ring";
	for (int i = 0; i < n; i++) {
		struct netif_rx_response rsp;

		netif_rxr_front_take(&g->box.rx, &rsp);
		if (rsp.status <= 0 || rsp.status > (int)PAGE_BYTES) {
			g->fault = "an rx error";
			return 0;
		}
		memcpy(g->frame + g->frame_bytes, vif_box_page(&g->box, rsp.id), (size_t)rsp.status);
		g->frame_bytes += (uint32_t)rsp.status;
		if (!(rsp.flags & NETRXF_more_data))
			frame_check(g);
		netif_rxr_front_put(&g->box.rx, &(struct netif_rx_request){.id = rsp.id, .gref = g->box.ref[rsp.id]});
	}
	if (n > 0 && netif_rxr_front_push(&g->box.rx))
		eventfd_write(g->box.event_fd, 1);
	return n > 0;
}

static unsigned reap(struct guest *g)
{
	int n = netif_txr_front_pending(&g->box.tx);

	if (n < 0)
		g->fault = "an impossible tx ring";
	for (int i = 0; i < n; i++) {
		struct netif_tx_response rsp;

		netif_txr_front_take(&g->box.tx, &rsp);
		if (rsp.status != NETIF_RSP_OKAY)
			g->fault = "a tx error";
		g->free_tx[g->nr_free++] = rsp.id;
	}
	return n > 0;
}

/* All that the other sent has come, or was dropped for want of buffers and counted. */
static bool is_complete(struct guest *g)
{
	struct guest *other = &guests[g == &guests[0]];

	return load_relaxed(&other->sent) == NR_FRAMES &&
	       load_relaxed(&g->received) + load_relaxed(&g->box.stats.rx_drop_no_request) == NR_FRAMES;
}

static void guest_sleep(struct guest *g)
{
	struct pollfd p = {.fd = g->box.guest_fd, .events = POLLIN};
	eventfd_t count;

	bool more_rx = netif_rxr_front_final_check(&g->box.rx), more_tx = netif_txr_front_final_check(&g->box.tx);

	if (more_rx || more_tx) /* both are armed, whatever the first says */
		return;
	/* The end may come with a drop, which wakes nobody: a finished sender looks now and then. */
	if (poll(&p, 1, g->sent == NR_FRAMES ? 5 : PATIENCE_MS) == 0 && g->sent < NR_FRAMES)
		g->fault = "a wake-up was lost";
	eventfd_read(g->box.guest_fd, &count);
}

static void *guest_main(void *arg)
{
	struct guest *g = arg;

	while (!g->fault && !(g->sent == NR_FRAMES && g->nr_free == TX_PAGES && is_complete(g))) {
		unsigned work = receive(g) + reap(g), burst = 0;

		while (g->sent < NR_FRAMES && burst < 8 && send_frame(g))
			burst++;
		if (burst && netif_txr_front_push(&g->box.tx))
			eventfd_write(g->box.event_fd, 1);
		if (!work && !burst)
			guest_sleep(g);
	}
	return NULL;
}

static void guest_begin(struct guest *g, unsigned n, struct workers *ws)
{
	memset(g, 0, sizeof(*g));
	vif_box_init(&g->box, true);
	vif_box_events(&g->box);
	g->mac = (struct rte_ether_addr){{2, 0, 0, 0, 0, (uint8_t)n}};
	g->peer_mac = (struct rte_ether_addr){{2, 0, 0, 0, 0, (uint8_t)!n}};
	for (unsigned i = 0; i < TX_PAGES; i++)
		g->free_tx[g->nr_free++] = i;
	vif_box_post(&g->box, TX_PAGES, RX_PAGES);
	g->part = (struct bridge_part){.queue = g->box.queue, .in = vif_tx_burst, .out = vif_rx_burst};
	workers_spread(ws, NULL, 0, &g->part.lane, 1);
	g->port = (struct bridge_port){.parts = {&g->part}, .nr_parts = 1, .max_frame = VIF_MAX_FRAME, .index = BRIDGE_NO_PORT};
	g->worker_port = (struct worker_port){.queue = {g->box.queue}, .nr_queues = 1, .wake = WORKER_WAKE_EVENT};
	g->worker_ports[0] = &g->worker_port;
	assert_int_equal(workers_attach(ws, &g->port, g->worker_ports), 0);
}

static struct workers *workers_begin(unsigned nr, unsigned busy_poll_us)
{
	static const int cpus[] = {-1, -1};
	struct workers_options opt = {.cpus = cpus, .nr = nr, .ageing_s = 300, .busy_poll_us = busy_poll_us};
	struct workers *ws;

	vif_box_start_dpdk();
	opt.pool = vif_box_pool();
	opt.ext_pool = vif_box_ext_pool();
	assert_int_equal(workers_create(&opt, &ws), 0);
	return ws;
}

static void exchange(unsigned nr_workers)
{
	struct workers *ws = workers_begin(nr_workers, 2);
	struct bridge_lane_stats stats;

	for (unsigned i = 0; i < 2; i++)
		guest_begin(&guests[i], i, ws);
	for (unsigned i = 0; i < 2; i++)
		assert_int_equal(pthread_create(&guests[i].thread, NULL, guest_main, &guests[i]), 0);
	for (unsigned i = 0; i < 2; i++)
		pthread_join(guests[i].thread, NULL);
	assert_int_equal(guests[0].part.lane == guests[1].part.lane, nr_workers == 1);
	for (unsigned i = 0; i < 2; i++)
		workers_detach(ws, &guests[i].port, guests[i].worker_ports);
	bridge_count(workers_bridge(ws), &stats);
	assert_int_equal(stats.handed_over != 0, nr_workers > 1);
	for (unsigned i = 0; i < 2; i++) {
		struct guest *g = &guests[i];

		if (g->fault)
			fail_msg("guest %u: %s (%u sent, %u received)", i, g->fault, g->sent, g->received);
		assert_true(g->received > 0);
		assert_int_equal(g->box.stats.tx_packets, NR_FRAMES);
		assert_int_equal(g->received + g->box.stats.rx_drop_no_request, NR_FRAMES);
		assert_int_equal(g->box.stats.notify_sent, load_relaxed(&g->box.nr_notify));
	}
	for (unsigned i = 0; i < 2; i++)
		vif_box_finish(&guests[i].box);
	workers_destroy(ws);
	assert_int_equal(vif_box_in_use(), 0);
}

static void two_guests_exchange_frames_through_the_worker_and_each_is_accounted_for(void **state)
{
	exchange(1);
}

static void two_guests_exchange_frames_through_two_workers_and_each_is_accounted_for(void **state)
{
	exchange(2);
}

static void come_and_go(unsigned nr_workers)
{
	struct workers *ws = workers_begin(nr_workers, 0);

	for (unsigned round = 0; round < 200; round++) {
		for (unsigned i = 0; i < 2; i++)
			guest_begin(&guests[i], i, ws);
		for (unsigned i = 0; i < 8; i++)
			for (unsigned g = 0; g < 2; g++)
				send_frame(&guests[g]);
		for (unsigned g = 0; g < 2; g++)
			if (netif_txr_front_push(&guests[g].box.tx))
				eventfd_write(guests[g].box.event_fd, 1);
		/* Gone in the middle of it, in either order. */
		for (unsigned g = 0; g < 2; g++)
			workers_detach(ws, &guests[(round + g) % 2].port, guests[(round + g) % 2].worker_ports);
		for (unsigned g = 0; g < 2; g++)
			vif_box_finish(&guests[g].box);
	}
	workers_destroy(ws);
	assert_int_equal(vif_box_in_use(), 0);
}

static void ports_come_and_go_while_others_talk(void **state)
{
	come_and_go(1);
}

static void ports_come_and_go_while_two_workers_hand_packets_over(void **state)
{
	come_and_go(2);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(two_guests_exchange_frames_through_the_worker_and_each_is_accounted_for),
		cmocka_unit_test(two_guests_exchange_frames_through_two_workers_and_each_is_accounted_for),
		cmocka_unit_test(ports_come_and_go_while_others_talk),
		cmocka_unit_test(ports_come_and_go_while_two_workers_hand_packets_over),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
