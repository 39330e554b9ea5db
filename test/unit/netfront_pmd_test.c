/*
 * test/unit/netfront_pmd_test.c - bursts of mbufs through a netfront's rings against an honest back half; loans; the turnstile.
 */
#include "net_pair.h"
#include "test.h"

#include <pthread.h>
#include <sched.h>

#include <rte_eal.h>
#include <rte_errno.h>
#include <rte_ip.h>
#include <rte_tcp.h>
#include <rte_udp.h>

#include "frontends/netfront_pmd.h"

static struct rte_mempool *pool;
static struct net_pair pair;
static struct netfront_queue queue;
static struct netfront_pmd_queue rx, tx;
static uint8_t frame[65536], received[NETFRONT_MAX_RX_FRAME];

static int start_dpdk(void **state)
{
	char *argv[] = {"pmd", "--no-shconf", "--no-huge", "--no-pci", "--no-telemetry", "-m", "64", "--lcores", NULL, NULL};
	char lcore[16];
	cpu_set_t cpus;

	/* DPDK pins the caller; a test's threads run where they like. */
	assert_int_equal(sched_getaffinity(0, sizeof(cpus), &cpus), 0);
	snprintf(lcore, sizeof(lcore), "0@%d", sched_getcpu());
	argv[8] = lcore;
	rte_openlog_stream(fopen("/dev/null", "w"));
	assert_true(rte_eal_init(9, argv) >= 0);
	assert_int_equal(sched_setaffinity(0, sizeof(cpus), &cpus), 0);
	pool = rte_pktmbuf_pool_create("pmd", 1023, 0, 0, RTE_MBUF_DEFAULT_BUF_SIZE, SOCKET_ID_ANY);
	return pool ? turnstile_init() : -1;
}

/* The rings move into the queue: who uses them finds them there. */
static int open_queue(void)
{
	pair.tx.sh->head.req_event = UINT32_MAX / 2; /* a back end that polls: no event is sent */
	queue = (struct netfront_queue){.is_open = true, .ring = pair.front};
	rx = tx = (struct netfront_pmd_queue){.pool = pool, .port_id = 7};
	rx.queue = tx.queue = &queue;
	turnstile_open(&rx.turnstile);
	turnstile_open(&tx.turnstile);
	for (unsigned i = 0; i < sizeof(frame); i++)
		frame[i] = (uint8_t)(i * 7 + i / 256);
	return 0;
}

static int begin(void **state)
{
	net_pair_init_as(&pair, NETFRONT_SLOTS, UINT32_MAX, UINT32_MAX);
	return open_queue();
}

static int begin_lending(void **state)
{
	net_pair_init_lending(&pair, NETFRONT_SLOTS);
	return open_queue();
}

static int end(void **state)
{
	rte_pktmbuf_free_bulk(rx.spare, rx.nr_spare);
	net_pair_finish(&pair);
	return rte_mempool_in_use_count(pool) != 0;
}

/* A packet in pieces of that size. */
static struct rte_mbuf *packet(uint32_t bytes, uint16_t piece)
{
	struct rte_mbuf *head = NULL;

	for (uint32_t at = 0; at < bytes; at += piece) {
		struct rte_mbuf *m = rte_pktmbuf_alloc(pool);
		uint16_t now = (uint16_t)RTE_MIN(bytes - at, piece);

		memcpy(rte_pktmbuf_append(m, now), frame + at, now);
		if (!head)
			head = m;
		else
			assert_int_equal(rte_pktmbuf_chain(head, m), 0);
	}
	return head;
}

static void chains_of_mbufs_arrive_as_one_frame(void **state)
{
	static const struct {
		uint32_t bytes;
		uint16_t piece;
	} t[] = {{60, 2000}, {1514, 100}, {9000, 2000}, {60000, 1900}, {64, 1}};

	for (unsigned i = 0; i < ARRAY_LEN(t); i++) {
		struct rte_mbuf *m = packet(t[i].bytes, t[i].piece);

		assert_int_equal(netfront_pmd_tx(&tx, &m, 1), 1);
		assert_int_equal(net_pair_back_receive(&pair, received), t[i].bytes);
		assert_memory_equal(received, frame, t[i].bytes);
		netif_txr_back_push(&pair.tx);
	}
}

static void a_packet_in_too_many_pieces_is_dropped(void **state)
{
	struct rte_mbuf *m = packet(65, 1);

	assert_int_equal(netfront_pmd_tx(&tx, &m, 1), 1);
	assert_int_equal(netif_txr_back_pending(&pair.tx), 0);
	assert_int_equal(queue.ring.count->tx_drop_size, 1);
}

static void what_finds_no_room_stays_the_callers(void **state)
{
	struct rte_mbuf *pkts[NETFRONT_SLOTS + 8];

	for (unsigned i = 0; i < ARRAY_LEN(pkts); i++)
		pkts[i] = packet(60, 60);
	assert_int_equal(netfront_pmd_tx(&tx, pkts, ARRAY_LEN(pkts)), NETFRONT_SLOTS);
	for (unsigned i = NETFRONT_SLOTS; i < ARRAY_LEN(pkts); i++)
		rte_pktmbuf_free(pkts[i]);
}

static void frames_of_any_size_become_chains(void **state)
{
	static const uint32_t sizes[] = {60, 2048, 2049, 4096, 9000, 65535};

	for (unsigned i = 0; i < ARRAY_LEN(sizes); i++) {
		struct rte_mbuf *m;
		const void *all;

		assert_true(net_pair_back_send(&pair, frame, sizes[i]));
		netif_rxr_back_push(&pair.rx);
		assert_int_equal(netfront_pmd_rx(&rx, &m, 1), 1);
		assert_int_equal(m->pkt_len, sizes[i]);
		assert_int_equal(m->port, 7);
		assert_int_equal(rte_mbuf_check(m, 1, &(const char *){NULL}), 0);
		all = rte_pktmbuf_read(m, 0, sizes[i], received);
		assert_memory_equal(all, frame, sizes[i]);
		rte_pktmbuf_free(m);
	}
}

static void without_buffers_frames_are_lost_and_counted(void **state)
{
	struct rte_mbuf *all[1023], *m;

	assert_int_equal(rte_pktmbuf_alloc_bulk(pool, all, 1023), 0);
	net_pair_back_send(&pair, frame, 60);
	netif_rxr_back_push(&pair.rx);
	assert_int_equal(netfront_pmd_rx(&rx, &m, 1), 0);
	assert_int_equal(rx.no_mbuf, 1);
	rte_pktmbuf_free_bulk(all, 1023);
	net_pair_back_send(&pair, frame, 60);
	netif_rxr_back_push(&pair.rx);
	assert_int_equal(netfront_pmd_rx(&rx, &m, 1), 1);
	rte_pktmbuf_free(m);
}

static void received_offloads_become_mbuf_flags(void **state)
{
	static const struct {
		uint16_t flags;
		uint64_t ol_flags;
	} t[] = {{0, 0},
		 {NETRXF_data_validated, RTE_MBUF_F_RX_L4_CKSUM_GOOD},
		 {NETRXF_data_validated | NETRXF_csum_blank, RTE_MBUF_F_RX_L4_CKSUM_NONE}};

	for (unsigned i = 0; i < ARRAY_LEN(t); i++) {
		struct netif_rx_response rsp = {.id = (uint16_t)i, .status = 60, .flags = t[i].flags};
		struct netif_rx_request req;
		struct rte_mbuf *m;

		netif_rxr_back_take(&pair.rx, &req);
		netif_rxr_back_put(&pair.rx, &rsp);
		netif_rxr_back_push(&pair.rx);
		assert_int_equal(netfront_pmd_rx(&rx, &m, 1), 1);
		assert_int_equal(m->ol_flags & RTE_MBUF_F_RX_L4_CKSUM_MASK, t[i].ol_flags);
		rte_pktmbuf_free(m);
	}
}

/* A TCP packet that is to be cut, with the sum as DPDK's helpers leave it (without the length), becomes what netif wants. */
static void prepared_packets_hold_the_pseudo_headers_sum(void **state)
{
	struct rte_mbuf *m = packet(5000, 2000);
	struct rte_ipv4_hdr *ip = rte_pktmbuf_mtod_offset(m, struct rte_ipv4_hdr *, 14);
	struct rte_tcp_hdr *tcp = rte_pktmbuf_mtod_offset(m, struct rte_tcp_hdr *, 34);
	struct netif_tx_request req;
	struct netif_extra_info extra;

	*ip = (struct rte_ipv4_hdr){.version_ihl = 0x45, .next_proto_id = IPPROTO_TCP, .total_length = rte_cpu_to_be_16(5000 - 14),
				    .src_addr = 0x01020304, .dst_addr = 0x05060708};
	m->l2_len = 14;
	m->l3_len = 20;
	m->l4_len = 20;
	m->tso_segsz = 1448;
	m->ol_flags = RTE_MBUF_F_TX_IPV4 | RTE_MBUF_F_TX_TCP_SEG | RTE_MBUF_F_TX_TCP_CKSUM;
	tcp->cksum = rte_ipv4_phdr_cksum(ip, m->ol_flags);
	assert_int_equal(netfront_pmd_tx_prepare(&tx, &m, 1), 1);
	assert_int_equal(tcp->cksum, rte_ipv4_phdr_cksum(ip, 0));
	assert_int_equal(netfront_pmd_tx(&tx, &m, 1), 1);
	netif_txr_back_take(&pair.tx, &req);
	assert_int_equal(req.flags, NETTXF_csum_blank | NETTXF_data_validated | NETTXF_more_data | NETTXF_extra_info);
	netif_txr_back_take(&pair.tx, &req);
	memcpy(&extra, &req, sizeof(extra));
	assert_int_equal(extra.u.gso.size, 1448);

	m = packet(40, 40); /* its headers are not all there */
	m->l2_len = 14;
	m->l3_len = 20;
	m->ol_flags = RTE_MBUF_F_TX_IPV4 | RTE_MBUF_F_TX_TCP_CKSUM;
	assert_int_equal(netfront_pmd_tx_prepare(&tx, &m, 1), 0);
	assert_int_equal(rte_errno, EINVAL);
	rte_pktmbuf_free(m);
}

/* ---- loans --------------------------------------------------------------------------------------------------------------- */

static struct rte_mbuf *receive(uint32_t bytes)
{
	struct rte_mbuf *m;

	assert_true(net_pair_back_send(&pair, frame, bytes));
	netif_rxr_back_push(&pair.rx);
	assert_int_equal(netfront_pmd_rx(&rx, &m, 1), 1);
	net_pair_check_loans(&queue.ring);
	return m;
}

static bool is_lent(const struct rte_mbuf *m)
{
	uintptr_t at = rte_pktmbuf_mtod(m, uintptr_t) - (uintptr_t)pair.memory.rx_pages;

	assert_int_equal(RTE_MBUF_HAS_EXTBUF(m) != 0, at < pages_to_bytes(NETFRONT_MAX_RX_PAGES));
	return RTE_MBUF_HAS_EXTBUF(m);
}

static void long_frames_stay_in_their_pages_and_others_are_copied(void **state)
{
	static const struct {
		uint32_t bytes;
		bool is_lent;
	} t[] = {{60, false}, {512, false}, {513, true}, {1514, true}, {4096, true}, {4097, false}, {9000, false}};

	for (unsigned i = 0; i < 3000; i++) {
		uint32_t bytes = t[i % ARRAY_LEN(t)].bytes;
		struct rte_mbuf *m = receive(bytes);

		assert_int_equal(is_lent(m), t[i % ARRAY_LEN(t)].is_lent);
		assert_int_equal(rte_mbuf_check(m, 1, &(const char *){NULL}), 0);
		assert_memory_equal(rte_pktmbuf_read(m, 0, bytes, received), frame, bytes);
		rte_pktmbuf_free(m);
	}
	assert_null(queue.ring.broken);
	assert_in_range(queue.ring.count->rx_lent, 1, 3000);
}

/* What the program keeps does not change, whatever comes after it. */
static void without_a_spare_page_frames_are_copied(void **state)
{
	struct rte_mbuf *kept[NETFRONT_SLOTS + 20];

	for (unsigned i = 0; i < ARRAY_LEN(kept); i++) {
		memset(frame, (int)i, 1500);
		kept[i] = receive(1500);
		assert_int_equal(is_lent(kept[i]), i < NETFRONT_SLOTS);
	}
	for (unsigned i = 0; i < ARRAY_LEN(kept); i++) {
		memset(frame, (int)i, 1500);
		assert_memory_equal(rte_pktmbuf_mtod(kept[i], void *), frame, 1500);
	}
	rte_pktmbuf_free_bulk(kept + 100, ARRAY_LEN(kept) - 100);
	for (unsigned i = 0; i < 100; i++) { /* behind those that are still out */
		struct rte_mbuf *m = receive(1500), *next = receive(1500);

		assert_true(i < 2 || is_lent(m) || is_lent(next));
		rte_pktmbuf_free(m);
		rte_pktmbuf_free(next);
	}
	rte_pktmbuf_free_bulk(kept, 100);
}

static struct rte_mbuf *handed_over;
static uint32_t must_stop;

static void *free_all(void *arg)
{
	while (!load_acquire(&must_stop)) {
		struct rte_mbuf *m = load_acquire(&handed_over);

		if (!m) {
			sched_yield();
			continue;
		}
		assert_memory_equal(rte_pktmbuf_mtod(m, void *), frame, 1500);
		store_release(&handed_over, NULL);
		rte_pktmbuf_free(m);
	}
	return NULL;
}

static void any_thread_may_free_what_was_received(void **state)
{
	pthread_t other;

	must_stop = 0;
	assert_int_equal(pthread_create(&other, NULL, free_all, NULL), 0);
	for (unsigned i = 0; i < 1000; i++) {
		struct rte_mbuf *m = receive(1500);

		while (load_acquire(&handed_over))
			sched_yield();
		store_release(&handed_over, m);
	}
	while (load_acquire(&handed_over))
		sched_yield();
	store_release(&must_stop, 1);
	pthread_join(other, NULL);
	assert_int_equal(queue.ring.count->rx_lent, 1000);
}

/* Answers all requests, honestly; returns whether the last one named an rx page. */
static bool answer_all(void)
{
	struct netif_tx_request req = {0};

	while (netif_txr_back_pending(&pair.tx) > 0) {
		netif_txr_back_take(&pair.tx, &req);
		memcpy(received, net_pair_tx_bytes(&pair, &req), req.size);
		netif_txr_back_put(&pair.tx, &(struct netif_tx_response){.id = req.id});
	}
	netif_txr_back_push(&pair.tx);
	return req.gref >= FIRST_RX_REF;
}

static void a_received_frame_is_sent_on_in_its_page(void **state)
{
	for (unsigned i = 0; i < 3000; i++) {
		struct rte_mbuf *m = receive(1500);

		rte_pktmbuf_adj(m, 4); /* as after a tag was taken off */
		assert_int_equal(netfront_pmd_tx(&tx, &m, 1), 1);
		assert_true(answer_all());
		assert_memory_equal(received, frame + 4, 1496);
		net_pair_check_loans(&queue.ring);
	}
	assert_null(queue.ring.broken);
	assert_int_equal(queue.ring.count->tx_resent, 3000);
	assert_int_equal(rte_mempool_in_use_count(pool), 0);
}

/* Several queues have a hash with every frame. */
static void a_frame_with_extra_info_stays_in_its_page_too(void **state)
{
	struct netif_extra_info extra = {.type = XEN_NETIF_EXTRA_TYPE_HASH, .u.hash = {.type = 1, .value = {1, 2, 3, 4}}};
	struct netif_rx_response rsp = {.status = 1500, .flags = NETRXF_extra_info}, raw;
	struct netif_rx_request req;
	struct rte_mbuf *m;

	memcpy(&raw, &extra, sizeof(raw));
	for (unsigned i = 0; i < 3000; i++) {
		netif_rxr_back_take(&pair.rx, &req);
		memcpy(net_pair_rx_page(&pair, &req), frame, 1500);
		rsp.id = req.id;
		netif_rxr_back_put(&pair.rx, &rsp);
		netif_rxr_back_take(&pair.rx, &req);
		netif_rxr_back_put(&pair.rx, &raw);
		netif_rxr_back_push(&pair.rx);
		assert_int_equal(netfront_pmd_rx(&rx, &m, 1), 1);
		net_pair_check_loans(&queue.ring);
		assert_true(is_lent(m));
		assert_int_equal(m->pkt_len, 1500);
		assert_memory_equal(rte_pktmbuf_mtod(m, void *), frame, 1500);
		assert_true(m->ol_flags & RTE_MBUF_F_RX_RSS_HASH);
		rte_pktmbuf_free(m);
	}
	assert_int_equal(queue.ring.count->rx_lent, 3000);
	assert_null(queue.ring.broken);
}

/* Until it is answered its page belongs to the back end: it is not posted, and when none is spare frames are copied. */
static void a_page_that_was_sent_on_comes_back_with_the_answer(void **state)
{
	struct rte_mbuf *m;

	for (unsigned i = 0; i < NETFRONT_SLOTS; i++) {
		m = receive(1500);
		assert_true(is_lent(m));
		assert_int_equal(netfront_pmd_tx(&tx, &m, 1), 1);
	}
	m = receive(1500);
	assert_false(is_lent(m));
	assert_int_equal(netfront_pmd_tx(&tx, &m, 1), 0);
	rte_pktmbuf_free(m);
	answer_all();
	assert_int_equal(netfront_pmd_tx(&tx, NULL, 0), 0);
	m = receive(1500);
	assert_true(is_lent(m));
	rte_pktmbuf_free(m);
}

/* Somebody else has the page as well, or wants the packet changed on its way. */
static void a_frame_that_is_not_the_senders_alone_is_copied(void **state)
{
	struct rte_mbuf *m = receive(1500), *clone = rte_pktmbuf_clone(m, pool);

	assert_int_equal(netfront_pmd_tx(&tx, &clone, 1), 1);
	assert_false(answer_all());
	rte_pktmbuf_refcnt_update(m, 1);
	assert_int_equal(netfront_pmd_tx(&tx, &m, 1), 1);
	assert_false(answer_all());
	assert_memory_equal(rte_pktmbuf_mtod(m, void *), frame, 1500);
	assert_int_equal(rte_pktmbuf_chain(m, packet(100, 100)), 0);
	assert_int_equal(netfront_pmd_tx(&tx, &m, 1), 1);
	assert_false(answer_all());
	assert_int_equal(queue.ring.count->tx_packets, 3);
	assert_int_equal(queue.ring.count->tx_resent, 0);
}

/* ---- turnstiles ---------------------------------------------------------------------------------------------------------- */

static void *poll_both(void *arg)
{
	struct rte_mbuf *m;

	while (!load_acquire(&must_stop))
		if (netfront_pmd_rx(&rx, &m, 1) || netfront_pmd_tx(&tx, NULL, 0))
			abort();
	return NULL;
}

/* While a turnstile is closed, the queue is not there: whoever is still inside dies of it. */
static void nobody_is_inside_a_closed_turnstile(void **state)
{
	pthread_t lcore;

	must_stop = 0;
	assert_int_equal(pthread_create(&lcore, NULL, poll_both, NULL), 0);
	for (unsigned i = 0; i < 2000; i++) {
		turnstile_close(&rx.turnstile);
		turnstile_close(&tx.turnstile);
		rx.queue = tx.queue = NULL;
		sched_yield();
		rx.queue = tx.queue = &queue;
		turnstile_open(&rx.turnstile);
		turnstile_open(&tx.turnstile);
	}
	store_release(&must_stop, 1);
	pthread_join(lcore, NULL);
}

#define WITH_A_PAIR(test) cmocka_unit_test_setup_teardown(test, begin, end)
#define WITH_LOANS(test) cmocka_unit_test_setup_teardown(test, begin_lending, end)

int main(void)
{
	const struct CMUnitTest tests[] = {
		WITH_A_PAIR(chains_of_mbufs_arrive_as_one_frame),
		WITH_A_PAIR(a_packet_in_too_many_pieces_is_dropped),
		WITH_A_PAIR(what_finds_no_room_stays_the_callers),
		WITH_A_PAIR(frames_of_any_size_become_chains),
		WITH_A_PAIR(without_buffers_frames_are_lost_and_counted),
		WITH_A_PAIR(received_offloads_become_mbuf_flags),
		WITH_A_PAIR(prepared_packets_hold_the_pseudo_headers_sum),
		WITH_LOANS(long_frames_stay_in_their_pages_and_others_are_copied),
		WITH_LOANS(without_a_spare_page_frames_are_copied),
		WITH_LOANS(any_thread_may_free_what_was_received),
		WITH_LOANS(a_received_frame_is_sent_on_in_its_page),
		WITH_LOANS(a_frame_with_extra_info_stays_in_its_page_too),
		WITH_LOANS(a_page_that_was_sent_on_comes_back_with_the_answer),
		WITH_LOANS(a_frame_that_is_not_the_senders_alone_is_copied),
		WITH_A_PAIR(nobody_is_inside_a_closed_turnstile),
	};

	return cmocka_run_group_tests(tests, start_dpdk, NULL);
}
