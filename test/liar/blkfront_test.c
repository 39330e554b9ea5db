/*
 * test/liar/blkfront_test.c - a blkfront in a box against back ends that lie in the handshake, in the ring, or about pages.
 */
#include "test.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "front_box.h"
#include "frontends/blkfront.h"

#define DEVID 51712u
#define NR_SECTORS 8192u
#define SOON_MS 300

static struct front_box fb;
static uint8_t disk[NR_SECTORS * 512];

static int start(void **state)
{
	memset(disk, 0, sizeof(disk));
	return front_box_start(&fb, "vbd", DEVID, 8192, 1);
}

static int stop(void **state)
{
	front_box_stop(&fb);
	return 0;
}

/* ---- honest parts of scripts ------------------------------------------------------------------------------------------- */

static bool offer(struct raw_back *b, const char *order)
{
	raw_back_write(b, "max-ring-page-order", order);
	raw_back_write(b, "feature-flush-cache", "1");
	raw_back_state(b, XenbusStateInitWait);
	return raw_back_wait_front(b, XenbusStateInitialised);
}

static void say_disk(struct raw_back *b, const char *sectors, const char *sector_size, const char *info)
{
	raw_back_write(b, "sectors", sectors);
	raw_back_write(b, "sector-size", sector_size);
	raw_back_write(b, "info", info);
	raw_back_state(b, XenbusStateConnected);
}

static bool connect_as(struct raw_back *b, const char *order, const char *sector_size, const char *info)
{
	if (!offer(b, order))
		return false;
	raw_back_connect_vbd(b);
	say_disk(b, "8192", sector_size, info);
	return true;
}

static void honest(struct raw_back *b)
{
	const char *order = b->arg;

	if (connect_as(b, order ? order : "0", "512", "0"))
		raw_back_serve_disk(b, disk, NR_SECTORS);
}

static struct blkfront *open_disk(int expected)
{
	struct blkfront *bf = NULL;

	assert_int_equal(blkfront_create(&fb.bus, DEVID, NULL, &bf), 0);
	assert_int_equal(blkfront_wait_connected(bf, expected == -ETIMEDOUT ? SOON_MS : 10000), expected);
	return bf;
}

/* ---- honest back ends, to know that the liars' tests test something ----------------------------------------------------- */

static void what_is_written_through_any_ring_is_read_back(void **state)
{
	static const char *const orders[] = {"0", "1", "2", "4", "99", "nonsense", "-1"};
	static const unsigned agreed[] = {0, 1, 2, 2, 2, 0, 0};
	uint8_t *want = malloc(1500 * 512), *have = malloc(1500 * 512);

	for (unsigned i = 0; i < ARRAY_LEN(orders); i++) {
		struct blkfront *bf;

		memset(disk, 0, sizeof(disk));
		front_box_begin(&fb, honest, orders[i]);
		bf = open_disk(0);
		assert_int_equal(bf->ring_order, agreed[i]);
		for (size_t k = 0; k < 1500 * 512; k++)
			want[k] = (uint8_t)(k * 7 + i + k / 512);
		assert_int_equal(blkfront_write(bf, 3, 1500, want), 0);
		assert_int_equal(blkfront_flush(bf), 0);
		assert_int_equal(blkfront_read(bf, 3, 1500, have), 0);
		assert_memory_equal(want, have, 1500 * 512);
		assert_int_equal(blkfront_read(bf, 4, 1, have), 0);
		assert_memory_equal(want + 512, have, 512);
		assert_int_equal(blkfront_read(bf, NR_SECTORS - 1, 2, have), -EINVAL);
		assert_memory_equal(disk + 3 * 512, want, 1500 * 512);
		blkfront_destroy(bf);
		front_box_renew(&fb);
	}
	free(want);
	free(have);
}

static void read_only(struct raw_back *b)
{
	if (connect_as(b, "0", "4096", "4"))
		raw_back_serve_disk(b, disk, NR_SECTORS);
}

static void a_read_only_disk_of_large_sectors_is_respected(void **state)
{
	uint8_t *buffer = calloc(1, 8192);
	struct blkfront *bf;

	front_box_begin(&fb, read_only, NULL);
	bf = open_disk(0);
	assert_true(blkfront_get_disk(bf)->is_read_only);
	assert_int_equal(blkfront_write(bf, 0, 8, buffer), -EROFS);
	assert_int_equal(blkfront_read(bf, 0, 8, buffer), 0);
	assert_int_equal(blkfront_read(bf, 1, 8, buffer), -EINVAL);
	assert_int_equal(blkfront_read(bf, 0, 9, buffer), -EINVAL);
	blkfront_destroy(bf);
	raw_back_stop(&fb.back);
	free(buffer);
}

/* ---- liars in the handshake ----------------------------------------------------------------------------------------------- */

static void skip_to_connected(struct raw_back *b)
{
	say_disk(b, "8192", "512", "0");
	raw_back_wait_front(b, XenbusStateClosed);
}

static void nonsense_state(struct raw_back *b)
{
	raw_back_write(b, "state", "17");
	raw_back_write(b, "state", "I am connected");
	raw_back_wait_front(b, XenbusStateClosed);
}

static void a_back_end_that_skips_states_is_not_connected_to(void **state)
{
	static void (*const scripts[])(struct raw_back *) = {skip_to_connected, nonsense_state};

	for (unsigned i = 0; i < ARRAY_LEN(scripts); i++) {
		struct blkfront *bf;

		front_box_begin(&fb, scripts[i], NULL);
		bf = open_disk(-ETIMEDOUT);
		assert_int_equal(blkfront_read(bf, 0, 1, disk), -ENODEV);
		blkfront_destroy(bf);
		raw_back_stop(&fb.back);
	}
}

struct disk_keys {
	const char *sectors, *sector_size, *info;
};

static void strange_disk(struct raw_back *b)
{
	const struct disk_keys *k = b->arg;

	if (!offer(b, "0"))
		return;
	raw_back_connect_vbd(b);
	say_disk(b, k->sectors, k->sector_size, k->info);
	raw_back_wait_front(b, XenbusStateClosed);
}

static void a_disk_that_cannot_be_is_refused(void **state)
{
	static const struct disk_keys keys[] = {
		{"0", "512", "0"},	   {"many", "512", "0"}, {"8192", "0", "0"},	 {"8192", "513", "0"},
		{"8192", "1048576", "0"}, {"8192", "256", "0"}, {"18446744073709551615", "512", "0"},
	};

	for (unsigned i = 0; i < ARRAY_LEN(keys); i++) {
		struct blkfront *bf;
		char path[96];

		front_box_begin(&fb, strange_disk, &keys[i]);
		bf = open_disk(-ENODEV);
		snprintf(path, sizeof(path), "/local/domain/%u/device/vbd/%u/error", fb.domid, DEVID);
		assert_true(box_has_node(&fb.box, path));
		blkfront_destroy(bf);
		front_box_renew(&fb);
	}
}

/* ---- liars in the ring ------------------------------------------------------------------------------------------------------ */

static void answer_twice(struct raw_back *b)
{
	struct blkif_request req;
	struct blkif_response rsp = {.operation = BLKIF_OP_READ};

	if (!connect_as(b, "0", "512", "0"))
		return;
	while (!raw_back_must_stop(b) && blkif_ring_back_pending(&b->blk[0]) < 2)
		raw_back_nap(b);
	if (raw_back_must_stop(b))
		return;
	blkif_ring_back_take(&b->blk[0], &req);
	rsp.id = req.id;
	blkif_ring_back_put(&b->blk[0], &rsp);
	blkif_ring_back_put(&b->blk[0], &rsp);
	blkif_ring_back_push(&b->blk[0]);
	hv_notify(b->hv, b->port);
	raw_back_wait_front(b, XenbusStateClosed);
}

static void run_ahead(struct raw_back *b)
{
	if (!connect_as(b, "0", "512", "0"))
		return;
	while (!raw_back_must_stop(b) && blkif_ring_back_pending(&b->blk[0]) < 2)
		raw_back_nap(b);
	store_release(&b->blk[0].sh->head.rsp_prod, 0x7fffffffu);
	hv_notify(b->hv, b->port);
	raw_back_wait_front(b, XenbusStateClosed);
}

static void a_broken_ring_closes_the_device_and_says_why(void **state)
{
	static void (*const scripts[])(struct raw_back *) = {answer_twice, run_ahead};

	for (unsigned i = 0; i < ARRAY_LEN(scripts); i++) {
		struct blkfront_request req[2] = {{0}, {0}}, *done[2];
		struct blkfront *bf;
		unsigned nr = 0;
		void *pages;

		front_box_begin(&fb, scripts[i], NULL);
		bf = open_disk(0);
		assert_int_equal(hv_pages_alloc(fb.guest, 2, &pages), 0);
		for (unsigned k = 0; k < 2; k++) {
			req[k] = (struct blkfront_request){
				.op = BLKIF_OP_READ, .nr_sectors = 8, .data = (uint8_t *)pages + k * PAGE_BYTES};
			assert_int_equal(blkfront_submit(blkfront_get_queue(bf, 0), &req[k]), 0);
		}
		blkfront_push(blkfront_get_queue(bf, 0));
		while (nr < 2) {
			nr += blkfront_poll(blkfront_get_queue(bf, 0), done + nr, 2 - nr);
			if (nr < 2)
				blkfront_wait(bf, 10000);
		}
		/* The one that was honestly answered succeeded; the other came back when the device was closed. */
		assert_true(req[1].status == -ENODEV);
		assert_int_equal(blkfront_check(bf), -EPROTO);
		front_box_expect_error(&fb, "broke the protocol");
		blkfront_destroy(bf);
		hv_pages_free(fb.guest, pages, 2);
		front_box_renew(&fb);
	}
}

static sem_t may_let_go;

/* Answers the first request while it holds its first page; lets go when the test says so. */
static void keep_page(struct raw_back *b)
{
	struct hv_map_op op = {.readonly = false};
	struct blkif_response rsp = {.operation = BLKIF_OP_READ};
	struct blkif_request req;

	if (!connect_as(b, "0", "512", "0"))
		return;
	while (!raw_back_must_stop(b) && blkif_ring_back_pending(&b->blk[0]) < 1)
		raw_back_nap(b);
	if (raw_back_must_stop(b))
		return;
	blkif_ring_back_take(&b->blk[0], &req);
	op.ref = req.seg[0].gref;
	hv_peer_map(b->peer, &op, 1);
	rsp.id = req.id;
	blkif_ring_back_put(&b->blk[0], &rsp);
	blkif_ring_back_push(&b->blk[0]);
	hv_notify(b->hv, b->port);
	sem_wait(&may_let_go);
	memset(op.page, 0xbd, PAGE_BYTES); /* it can: the page is still shared */
	hv_peer_unmap(b->peer, &op.handle, 1);
	raw_back_serve_disk(b, disk, NR_SECTORS);
}

static void a_page_that_the_back_end_keeps_is_not_used_again(void **state)
{
	struct blkfront_request req = {.op = BLKIF_OP_READ, .nr_sectors = 1}, *done[1];
	uint8_t buffer[512] = {0};
	struct blkfront_queue *q;
	struct blkfront *bf;
	void *page;

	sem_init(&may_let_go, 0, 0);
	front_box_begin(&fb, keep_page, NULL);
	bf = open_disk(0);
	q = blkfront_get_queue(bf, 0);
	memset(disk, 0x11, 512);
	assert_int_equal(hv_pages_alloc(fb.guest, 1, &page), 0);
	req.data = page;
	assert_int_equal(blkfront_submit(q, &req), 0);
	blkfront_push(q);
	while (!q->ring.count->held) {
		assert_int_equal(blkfront_poll(q, done, 1), 0);
		blkfront_wait(bf, 1000);
	}
	assert_true(req.is_busy);
	sem_post(&may_let_go);
	while (!blkfront_poll(q, done, 1))
		blkfront_wait(bf, 1000);
	assert_int_equal(req.status, 0);
	assert_int_equal(blkfront_read(bf, 0, 1, buffer), 0);
	assert_int_equal(buffer[0], 0x11);
	blkfront_destroy(bf);
	hv_pages_free(fb.guest, page, 1);
	raw_back_stop(&fb.back);
	sem_destroy(&may_let_go);
}

static void go_away(struct raw_back *b)
{
	if (!connect_as(b, "0", "512", "0"))
		return;
	while (!raw_back_must_stop(b) && blkif_ring_back_pending(&b->blk[0]) < 1)
		raw_back_nap(b);
	raw_back_disconnect(b);
	raw_back_state(b, XenbusStateClosing);
	raw_back_wait_front(b, XenbusStateClosed);
	raw_back_state(b, XenbusStateClosed);
}

static void a_back_end_that_goes_away_ends_the_wait(void **state)
{
	uint8_t buffer[512];
	struct blkfront *bf;

	front_box_begin(&fb, go_away, NULL);
	bf = open_disk(0);
	assert_int_equal(blkfront_read(bf, 0, 1, buffer), -ENODEV);
	assert_int_equal(blkfront_write(bf, 0, 1, buffer), -ENODEV);
	assert_int_equal(blkfront_wait(bf, 1000), -ENODEV);
	blkfront_destroy(bf);
	raw_back_stop(&fb.back);
}

/* Sends events without end, and answers now and then. */
static void storm(struct raw_back *b)
{
	if (!connect_as(b, "0", "512", "0"))
		return;
	while (!raw_back_must_stop(b)) {
		struct blkif_request req;
		struct blkif_response rsp;

		for (unsigned i = 0; i < 100; i++)
			hv_notify(b->hv, b->port);
		if (blkif_ring_back_pending(&b->blk[0]) <= 0)
			continue;
		blkif_ring_back_take(&b->blk[0], &req);
		rsp = (struct blkif_response){.id = req.id, .operation = req.operation};
		rsp.status = raw_back_serve(b, &req, disk, NR_SECTORS);
		blkif_ring_back_put(&b->blk[0], &rsp);
		blkif_ring_back_push(&b->blk[0]);
	}
}

static void a_storm_of_events_does_not_stop_the_work(void **state)
{
	uint8_t want[4096], have[4096];
	struct blkfront *bf;

	front_box_begin(&fb, storm, NULL);
	bf = open_disk(0);
	for (unsigned i = 0; i < 200; i++) {
		memset(want, (int)i, sizeof(want));
		assert_int_equal(blkfront_write(bf, i * 8, 8, want), 0);
		assert_int_equal(blkfront_read(bf, i * 8, 8, have), 0);
		assert_memory_equal(want, have, sizeof(want));
	}
	blkfront_destroy(bf);
	raw_back_stop(&fb.back);
}

#define IN_A_BOX(test) cmocka_unit_test_setup_teardown(test, start, stop)

int main(void)
{
	const struct CMUnitTest tests[] = {
		IN_A_BOX(what_is_written_through_any_ring_is_read_back),
		IN_A_BOX(a_read_only_disk_of_large_sectors_is_respected),
		IN_A_BOX(a_back_end_that_skips_states_is_not_connected_to),
		IN_A_BOX(a_disk_that_cannot_be_is_refused),
		IN_A_BOX(a_broken_ring_closes_the_device_and_says_why),
		IN_A_BOX(a_page_that_the_back_end_keeps_is_not_used_again),
		IN_A_BOX(a_back_end_that_goes_away_ends_the_wait),
		IN_A_BOX(a_storm_of_events_does_not_stop_the_work),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
