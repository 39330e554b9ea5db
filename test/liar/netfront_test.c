/*
 * test/liar/netfront_test.c - a netfront in a box against back ends that lie in the handshake or in the rings.
 */
#include "test.h"

#include <errno.h>
#include <stdio.h>

#include "front_box.h"
#include "frontends/netfront.h"

#define SOON_MS 300

static struct front_box fb;
static uint8_t sent[9000], received[65536];

static int start(void **state)
{
	for (unsigned i = 0; i < sizeof(sent); i++)
		sent[i] = (uint8_t)(i * 11 + i / 256);
	return front_box_start(&fb, "vif", 0, 8192, 1);
}

static int stop(void **state)
{
	front_box_stop(&fb);
	return 0;
}

static bool connect_as(struct raw_back *b, const char *sg)
{
	raw_back_write(b, "feature-sg", sg);
	raw_back_write(b, "feature-rx-copy", "1");
	raw_back_state(b, XenbusStateInitWait);
	if (!raw_back_wait_front(b, XenbusStateConnected))
		return false;
	raw_back_connect_vif(b);
	raw_back_state(b, XenbusStateConnected);
	return true;
}

/* Copies one fragment of a tx request into the next rx slot, with the same flag. */
static void echo_fragment(struct raw_back *b, const struct netif_tx_request *tx, uint16_t len)
{
	static uint8_t page[PAGE_BYTES];
	struct netif_tx_response done = {.id = tx->id, .status = NETIF_RSP_OKAY};
	struct netif_rx_request to;
	struct netif_rx_response rsp;
	struct grant_copy_op in = {.local = page, .ref = tx->gref, .offset = tx->offset, .len = len};
	struct grant_copy_op out = {.local = page, .offset = 0, .len = len, .to_peer = true};

	netif_rxr_back_take(&b->rx, &to);
	out.ref = to.gref;
	hv_peer_copy(b->peer, &in, 1);
	hv_peer_copy(b->peer, &out, 1);
	rsp = (struct netif_rx_response){.id = to.id, .status = (int16_t)len};
	if (in.status || out.status)
		rsp.status = NETIF_RSP_ERROR;
	if (tx->flags & NETTXF_more_data)
		rsp.flags = NETRXF_more_data;
	netif_rxr_back_put(&b->rx, &rsp);
	netif_txr_back_put(&b->tx, &done);
}

/* Sends one frame back; the chain is whole, and of at most 3 slots. */
static void echo_frame(struct raw_back *b)
{
	struct netif_tx_request chain[3];
	uint16_t first;
	unsigned n = 0;

	do
		netif_txr_back_take(&b->tx, &chain[n]);
	while ((chain[n++].flags & NETTXF_more_data) && n < 3);
	first = chain[0].size;
	for (unsigned i = 1; i < n; i++)
		first = (uint16_t)(first - chain[i].size);
	for (unsigned i = 0; i < n; i++)
		echo_fragment(b, &chain[i], i ? chain[i].size : first);
}

static void echo(struct raw_back *b)
{
	if (!connect_as(b, b->arg))
		return;
	while (!raw_back_must_stop(b)) {
		bool wake;

		while (netif_txr_back_pending(&b->tx) > 0 && netif_rxr_back_pending(&b->rx) >= 3)
			echo_frame(b);
		wake = netif_txr_back_push(&b->tx);
		wake |= netif_rxr_back_push(&b->rx);
		if (wake)
			hv_notify(b->hv, b->port);
		if (!netif_txr_back_final_check(&b->tx))
			raw_back_nap(b);
	}
}

static struct netfront *open_vif(int expected)
{
	struct netfront *nf = NULL;

	assert_int_equal(netfront_create(&fb.bus, 0, NULL, &nf), 0);
	assert_int_equal(netfront_wait_connected(nf, expected == -ETIMEDOUT ? SOON_MS : 10000), expected);
	return nf;
}

static void send_and_expect(struct netfront *nf, uint32_t len)
{
	struct netfront_packet out = {.data = sent, .len = len}, in = {.data = received, .len = sizeof(received)};

	while (!netfront_tx_burst(nf, 0, &out, 1))
		assert_true(netfront_wait(nf, false, 18, 10000) > 0);
	while (!netfront_rx_burst(nf, 0, &in, 1))
		assert_true(netfront_wait(nf, true, 0, 10000) > 0);
	assert_int_equal(in.len, len);
	assert_memory_equal(sent, received, len);
}

static void frames_of_all_sizes_come_back(void **state)
{
	struct netfront *nf;

	front_box_begin(&fb, echo, "1");
	nf = open_vif(0);
	assert_int_equal(nf->mtu, 1500);
	assert_int_equal(nf->mac[0], 0);
	assert_int_equal(nf->mac[2], 0x3e);
	assert_int_equal(netfront_max_frame(nf), 65535);
	for (unsigned i = 0; i < 600; i++)
		send_and_expect(nf, 14 + i * 15 % 8970);
	while (netfront_tx_outstanding(nf))
		assert_true(netfront_wait(nf, false, NETFRONT_SLOTS, 10000) > 0);
	assert_int_equal(nf->queue[0].ring.count->tx_errors, 0);
	netfront_destroy(nf);
	raw_back_stop(&fb.back);
}

/* Its one frame stays with the program when the connection is over. */
static void a_page_that_is_lent_outlives_its_connection(void **state)
{
	struct netfront_lending lending = {0};
	const struct netfront_options opt = {.lending = &lending};
	struct netfront_packet out = {.data = sent, .len = 1500};
	struct netfront_simple f = {0};
	struct netfront_ring *r;
	struct netfront_loan *loan;
	struct netfront *nf;

	front_box_begin(&fb, echo, "1");
	assert_int_equal(netfront_create(&fb.bus, 0, &opt, &nf), 0);
	assert_int_equal(netfront_wait_connected(nf, 10000), 0);
	assert_null(nf->lends_not);
	r = &nf->queue[0].ring;
	assert_int_equal(netfront_tx_burst(nf, 0, &out, 1), 1);
	do {
		netfront_wait(nf, true, 0, 100);
		netfront_ring_look(r);
	} while (!netfront_ring_simple(r, &f, 1));
	loan = netfront_ring_lend(r, 0);
	assert_non_null(loan);
	netfront_ring_took(r, 1, f.len);
	netfront_destroy(nf);
	raw_back_stop(&fb.back);
	assert_int_equal(netfront_lending_sweep(&lending), 1);
	assert_memory_equal(f.data_sh, sent, 1500);
	netfront_loan_end(loan);
	assert_int_equal(netfront_lending_sweep(&lending), 0);
	assert_null(lending.left);
}

static void nothing_is_lent_where_the_back_end_is_not_trusted(void **state)
{
	struct netfront_lending lending = {0};
	const struct netfront_options opt = {.lending = &lending};
	struct netfront *nf;

	front_box_begin(&fb, echo, "1");
	assert_int_equal(store_client_printf(hv_store(fb.box.dom0, NULL), STORE_NO_TX, fb.back.front, "trusted", "0"), 0);
	assert_int_equal(netfront_create(&fb.bus, 0, &opt, &nf), 0);
	assert_int_equal(netfront_wait_connected(nf, 10000), 0);
	assert_non_null(strstr(nf->lends_not, "not trusted"));
	assert_null(nf->queue[0].ring.loans);
	send_and_expect(nf, 1500);
	netfront_destroy(nf);
	raw_back_stop(&fb.back);
}

/* Rings, tx pages and one rx page for each slot fit the guest's memory, two do not. */
static void without_pages_for_loans_there_are_none(void **state)
{
	struct netfront_lending lending = {0};
	const struct netfront_options opt = {.lending = &lending};
	struct netfront *nf;
	void *pages[64];
	unsigned nr = 0;

	while (nr < ARRAY_LEN(pages) && !hv_pages_alloc(fb.guest, 64, &pages[nr]))
		nr++;
	assert_in_range(nr, 10, ARRAY_LEN(pages) - 1);
	for (unsigned i = 0; i < 10; i++)
		hv_pages_free(fb.guest, pages[--nr], 64);
	front_box_begin(&fb, echo, "1");
	assert_int_equal(netfront_create(&fb.bus, 0, &opt, &nf), 0);
	assert_int_equal(netfront_wait_connected(nf, 10000), 0);
	assert_non_null(strstr(nf->lends_not, "too few pages"));
	assert_int_equal(nf->queue[0].memory.nr_slots, NETFRONT_SLOTS);
	send_and_expect(nf, 1500);
	netfront_destroy(nf);
	raw_back_stop(&fb.back);
	while (nr)
		hv_pages_free(fb.guest, pages[--nr], 64);
}

static void without_scatter_gather_a_frame_fits_one_page(void **state)
{
	struct netfront_packet big = {.data = sent, .len = 4097};
	struct netfront *nf;

	front_box_begin(&fb, echo, "0");
	nf = open_vif(0);
	assert_int_equal(netfront_max_frame(nf), 4096);
	assert_int_equal(netfront_tx_burst(nf, 0, &big, 1), 1);
	assert_int_equal(nf->queue[0].ring.count->tx_drop_size, 1);
	send_and_expect(nf, 4096);
	netfront_destroy(nf);
	raw_back_stop(&fb.back);
}

static void skip_to_connected(struct raw_back *b)
{
	raw_back_state(b, XenbusStateConnected);
	raw_back_wait_front(b, XenbusStateClosed);
}

static void nonsense_state(struct raw_back *b)
{
	raw_back_write(b, "state", "-4");
	raw_back_write(b, "state", "");
	raw_back_wait_front(b, XenbusStateClosed);
}

static void a_back_end_that_skips_states_is_not_connected_to(void **state)
{
	static void (*const scripts[])(struct raw_back *) = {skip_to_connected, nonsense_state};
	struct netfront_packet pkt = {.data = sent, .len = 60};

	for (unsigned i = 0; i < ARRAY_LEN(scripts); i++) {
		struct netfront *nf;

		front_box_begin(&fb, scripts[i], NULL);
		nf = open_vif(-ETIMEDOUT);
		assert_int_equal(netfront_tx_burst(nf, 0, &pkt, 1), 0);
		assert_int_equal(netfront_rx_burst(nf, 0, &pkt, 1), 0);
		assert_int_equal(netfront_max_frame(nf), 0);
		netfront_destroy(nf);
		raw_back_stop(&fb.back);
	}
}

static void wrong_slot(struct raw_back *b)
{
	struct netif_rx_response rsp = {.id = 77, .status = 60};

	if (!connect_as(b, "1"))
		return;
	netif_rxr_back_put(&b->rx, &rsp);
	netif_rxr_back_push(&b->rx);
	hv_notify(b->hv, b->port);
	raw_back_wait_front(b, XenbusStateClosed);
}

static void run_ahead(struct raw_back *b)
{
	if (!connect_as(b, "1"))
		return;
	store_release(&b->rx.sh->head.rsp_prod, 0x40000000u);
	hv_notify(b->hv, b->port);
	raw_back_wait_front(b, XenbusStateClosed);
}

static void a_broken_ring_closes_the_device_and_says_why(void **state)
{
	static void (*const scripts[])(struct raw_back *) = {wrong_slot, run_ahead};

	for (unsigned i = 0; i < ARRAY_LEN(scripts); i++) {
		struct netfront_packet pkt = {.data = received, .len = sizeof(received)};
		struct netfront *nf;

		front_box_begin(&fb, scripts[i], NULL);
		nf = open_vif(0);
		do
			assert_int_equal(netfront_rx_burst(nf, 0, &pkt, 1), 0);
		while (netfront_wait(nf, true, 0, 10000) > 0);
		assert_int_equal(netfront_check(nf), -EPROTO);
		front_box_expect_error(&fb, "broke the protocol");
		assert_int_equal(netfront_rx_burst(nf, 0, &pkt, 1), 0);
		netfront_destroy(nf);
		front_box_renew(&fb);
	}
}

static sem_t may_go;

static void go_away(struct raw_back *b)
{
	if (!connect_as(b, "1"))
		return;
	sem_wait(&may_go);
	raw_back_disconnect(b);
	raw_back_state(b, XenbusStateClosing);
	raw_back_wait_front(b, XenbusStateClosed);
}

static void a_back_end_that_goes_away_ends_the_wait(void **state)
{
	struct netfront *nf;
	int rc;

	sem_init(&may_go, 0, 0);
	front_box_begin(&fb, go_away, NULL);
	nf = open_vif(0);
	sem_post(&may_go);
	do
		rc = netfront_wait(nf, true, 0, 10000);
	while (rc > 0);
	assert_int_equal(rc, -ENODEV);
	netfront_destroy(nf);
	raw_back_stop(&fb.back);
	sem_destroy(&may_go);
}

/* Connects, and goes again at once; the first time it stays until a frame has come and answers nothing. */
static void come_and_go(struct raw_back *b)
{
	bool is_first = true;

	while (!raw_back_must_stop(b) && connect_as(b, "1")) {
		while (is_first && netif_txr_back_pending(&b->tx) == 0 && !raw_back_must_stop(b))
			raw_back_nap(b);
		is_first = false;
		raw_back_disconnect(b);
		raw_back_state(b, XenbusStateClosing);
		if (!raw_back_wait_front(b, XenbusStateInitialising))
			return;
	}
}

static void a_front_end_that_reconnects_does_so_a_few_times(void **state)
{
	const struct netfront_options opt = {.reconnects = true};
	struct netfront_packet out = {.data = sent, .len = 60};
	struct netfront *nf;
	int rc;

	front_box_begin(&fb, come_and_go, NULL);
	assert_int_equal(netfront_create(&fb.bus, 0, &opt, &nf), 0);
	assert_int_equal(netfront_wait_connected(nf, 10000), 0);
	assert_int_equal(netfront_tx_burst(nf, 0, &out, 1), 1);
	do
		rc = netfront_wait(nf, true, 0, 10000);
	while (rc > 0);
	assert_int_equal(rc, -ENODEV);
	assert_int_equal(nf->lost, 1); /* the frame that the first took along */
	assert_int_equal(nf->nr_short_lives, NETFRONT_SHORT_LIVES);
	netfront_destroy(nf);
	raw_back_stop(&fb.back);
}

static void storm(struct raw_back *b)
{
	if (!connect_as(b, "1"))
		return;
	while (!raw_back_must_stop(b)) {
		for (unsigned i = 0; i < 100; i++)
			hv_notify(b->hv, b->port);
		while (netif_txr_back_pending(&b->tx) > 0 && netif_rxr_back_pending(&b->rx) >= 3)
			echo_frame(b);
		netif_txr_back_push(&b->tx);
		netif_rxr_back_push(&b->rx);
	}
}

static void a_storm_of_events_does_not_stop_the_work(void **state)
{
	struct netfront *nf;

	front_box_begin(&fb, storm, NULL);
	nf = open_vif(0);
	for (unsigned i = 0; i < 300; i++)
		send_and_expect(nf, 60 + i);
	netfront_destroy(nf);
	raw_back_stop(&fb.back);
}

static void a_mac_address_is_six_pairs_of_digits(void **state)
{
	static const struct {
		const char *text;
		int rc;
	} t[] = {{"00:16:3e:00:00:01", 0},    {"FF:ff:fF:00:00:00", 0},	 {"", -EINVAL},
		 {"00:16:3e:00:00", -EINVAL}, {"00:16:3e:00:00:01:", -EINVAL}, {"00:16:3e:00:00:0g", -EINVAL},
		 {"0:16:3e:00:00:01", -EINVAL}, {"+0:16:3e:00:00:01", -EINVAL}, {"00-16-3e-00-00-01", -EINVAL},
		 {" 0:16:3e:00:00:01", -EINVAL}, {"000:16:3e:00:00:01", -EINVAL}, {"0x:16:3e:00:00:01", -EINVAL}};

	for (unsigned i = 0; i < ARRAY_LEN(t); i++) {
		uint8_t mac[6] = {9, 9, 9, 9, 9, 9};

		assert_int_equal(netfront_parse_mac(t[i].text, mac), t[i].rc);
		if (t[i].rc)
			assert_int_equal(mac[0], 9);
	}
}

#define IN_A_BOX(test) cmocka_unit_test_setup_teardown(test, start, stop)

int main(void)
{
	const struct CMUnitTest tests[] = {
		IN_A_BOX(frames_of_all_sizes_come_back),
		IN_A_BOX(a_page_that_is_lent_outlives_its_connection),
		IN_A_BOX(nothing_is_lent_where_the_back_end_is_not_trusted),
		IN_A_BOX(without_pages_for_loans_there_are_none),
		IN_A_BOX(without_scatter_gather_a_frame_fits_one_page),
		IN_A_BOX(a_front_end_that_reconnects_does_so_a_few_times),
		IN_A_BOX(a_back_end_that_skips_states_is_not_connected_to),
		IN_A_BOX(a_broken_ring_closes_the_device_and_says_why),
		IN_A_BOX(a_back_end_that_goes_away_ends_the_wait),
		IN_A_BOX(a_storm_of_events_does_not_stop_the_work),
		cmocka_unit_test(a_mac_address_is_six_pairs_of_digits),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
