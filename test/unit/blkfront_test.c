/*
 * test/unit/blkfront_test.c - a whole blkfront in a box, against a bare back end that has every feature of blkif.
 */
#include "test.h"

#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "front_box.h"
#include "frontends/blkfront.h"

#define DEVID 51712u
#define NR_SECTORS 16384u
#define VCPUS 3u

static struct front_box fb;
static uint8_t disk[NR_SECTORS * 512];

static int start(void **state)
{
	memset(disk, 0, sizeof(disk));
	return front_box_start(&fb, "vbd", DEVID, 32768, VCPUS);
}

static int stop(void **state)
{
	front_box_stop(&fb);
	return 0;
}

/* What the back end offers. NULL: nothing. */
struct offer {
	const char *order, *queues, *segments, *persistent, *sector_size, *info, *barrier, *flush, *discard, *secure;
};

static void write_or(struct raw_back *b, const char *key, const char *value, const char *otherwise)
{
	raw_back_write(b, key, value ? value : otherwise);
}

static bool connect_as(struct raw_back *b, const struct offer *o)
{
	write_or(b, "max-ring-page-order", o->order, "0");
	write_or(b, "multi-queue-max-queues", o->queues, "1");
	raw_back_state(b, XenbusStateInitWait);
	if (!raw_back_wait_front(b, XenbusStateInitialised))
		return false;
	raw_back_connect_vbd(b);
	/* As Linux's does, it says all else when it connects. */
	write_or(b, "feature-max-indirect-segments", o->segments, "0");
	write_or(b, "feature-persistent", o->persistent, "0");
	write_or(b, "feature-barrier", o->barrier, "0");
	write_or(b, "feature-flush-cache", o->flush, "0");
	write_or(b, "feature-discard", o->discard, "0");
	write_or(b, "discard-secure", o->secure, "0");
	write_or(b, "sector-size", o->sector_size, "512");
	write_or(b, "info", o->info, "0");
	raw_back_write(b, "sectors", "16384");
	raw_back_state(b, XenbusStateConnected);
	return true;
}

static void serve(struct raw_back *b)
{
	const struct offer *o = b->arg;

	b->keeps_grants = o->persistent != NULL;
	if (connect_as(b, o))
		raw_back_serve_disk(b, disk, NR_SECTORS);
}

static struct blkfront *open_disk(const struct blkfront_options *opt)
{
	struct blkfront *bf = NULL;

	assert_int_equal(blkfront_create(&fb.bus, DEVID, opt, &bf), 0);
	assert_int_equal(blkfront_wait_connected(bf, 10000), 0);
	return bf;
}

static void close_disk(struct blkfront *bf)
{
	blkfront_destroy(bf);
	front_box_renew(&fb);
}

/* Writes and reads back, through queue i, one's own pages and (if the queue has a pool) memory that is not. */
static void use_queue(struct blkfront *bf, unsigned i, uint8_t *buffer, uint32_t nr_sectors)
{
	struct blkfront_queue *q = blkfront_get_queue(bf, i);
	struct blkfront_request req = {.nr_sectors = nr_sectors, .sector = i * 4096u, .data = buffer}, *done[1];

	for (unsigned round = 0; round < 2; round++) {
		req.op = round ? BLKIF_OP_READ : BLKIF_OP_WRITE;
		for (size_t k = 0; k < nr_sectors * 512; k++)
			buffer[k] = round ? 0 : (uint8_t)(k * 7 + k / 512 + i);
		assert_int_equal(blkfront_submit(q, &req), 0);
		blkfront_push(q);
		while (!blkfront_poll(q, done, 1))
			assert_true(blkfront_wait(bf, 10000) == 1);
		assert_int_equal(req.status, 0);
	}
	for (size_t k = 0; k < nr_sectors * 512; k++)
		assert_int_equal(buffer[k], (uint8_t)(k * 7 + k / 512 + i));
}

static void each_feature_is_used_when_both_ends_have_it(void **state)
{
	static const struct {
		struct offer offer;
		struct blkfront_options opt;
		unsigned order, queues, segments;
		bool is_persistent, is_pool_only;
	} t[] = {
		{{.order = "0"}, {.max_ring_order = 4}, 0, 1, 11, false, false},
		{{.order = "4", .queues = "4"}, {.max_ring_order = 4, .max_queues = 3}, 4, 3, 11, false, false},
		{{.order = "2", .queues = "2"}, {.max_ring_order = 1, .max_queues = 4}, 1, 2, 11, false, false},
		{{.queues = "0"}, {.max_queues = 4}, 0, 1, 11, false, false},
		{{.queues = "many"}, {.max_queues = 4}, 0, 1, 11, false, false},
		{{.segments = "64"}, {0}, 0, 1, 64, false, false},
		{{.order = "2", .segments = "4096"}, {.max_ring_order = 2}, 2, 1, 256, false, false},
		{{.order = "4", .segments = "4096"}, {.max_ring_order = 2, .max_segments = 1024}, 2, 1, 1024, false, false},
		{{.segments = "7"}, {.max_ring_order = 2}, 0, 1, 11, false, false},
		{{.segments = "256"}, {.max_segments = 11}, 0, 1, 11, false, false},
		{{.persistent = "1"}, {.persistent = BLKFRONT_PERSISTENT_WANTED}, 0, 1, 11, true, true},
		{{.persistent = "1", .segments = "32", .queues = "2"},
		 {.persistent = BLKFRONT_PERSISTENT_WANTED, .max_queues = 2}, 0, 2, 32, true, true},
		{{.order = "0"}, {.persistent = BLKFRONT_PERSISTENT_WANTED}, 0, 1, 11, false, false},
		{{.order = "0"}, {.is_untrusted = true}, 0, 1, 11, false, true},
		{{.persistent = "1"}, {.is_untrusted = true}, 0, 1, 11, true, true},
		{{.order = "0"}, {.busy_poll_us = 50}, 0, 1, 11, false, false},
	};

	for (unsigned i = 0; i < ARRAY_LEN(t); i++) {
		struct blkfront *bf;
		void *pages;

		front_box_begin(&fb, serve, &t[i].offer);
		bf = open_disk(&t[i].opt);
		assert_int_equal(bf->ring_order, t[i].order);
		assert_int_equal(bf->nr_queues, t[i].queues);
		assert_int_equal(bf->is_persistent, t[i].is_persistent);
		assert_int_equal(hv_pages_alloc(fb.guest, 257, &pages), 0);
		for (unsigned q = 0; q < bf->nr_queues; q++) {
			assert_int_equal(bf->queue[q].ring.max_segments, t[i].segments);
			assert_int_equal(bf->queue[q].ring.is_pool_only, t[i].is_pool_only);
			use_queue(bf, q, (uint8_t *)pages + 512, 1000);
			assert_int_equal(bf->queue[q].ring.count->copied_bytes, t[i].is_pool_only ? 1024000 : 0);
			assert_int_equal(bf->queue[q].ring.count->indirect > 0, t[i].segments > 11);
			assert_int_equal(bf->queue[q].ring.count->held, 0);
			/* The first of sixteen is timed. */
			assert_int_equal(bf->counters[q].write_ns.nr + bf->counters[q].read_ns.nr, 1);
		}
		close_disk(bf);
		hv_pages_free(fb.guest, pages, 257);
	}
}

static void a_back_end_that_the_toolstack_distrusts_sees_only_the_data(void **state)
{
	static const struct offer o = {.order = "0"};

	for (unsigned trusted = 0; trusted < 2; trusted++) {
		struct blkfront *bf;
		void *page;
		char dir[64];

		snprintf(dir, sizeof(dir), "/local/domain/%u/device/vbd/%u", fb.domid, DEVID);
		assert_int_equal(store_client_printf(hv_store(fb.box.dom0, NULL), STORE_NO_TX, dir, "trusted", "%u", trusted), 0);
		front_box_begin(&fb, serve, &o);
		bf = open_disk(NULL);
		assert_int_equal(bf->queue[0].ring.is_pool_only, !trusted);
		assert_int_equal(hv_pages_alloc(fb.guest, 1, &page), 0);
		use_queue(bf, 0, page, 8);
		assert_int_equal(bf->queue[0].ring.count->copied_bytes, trusted ? 0 : 8192);
		close_disk(bf);
		hv_pages_free(fb.guest, page, 1);
	}
}

static void flush_barrier_and_discard_do_what_is_offered(void **state)
{
	static const struct {
		struct offer offer;
		int discard, secure;
		uint64_t flushes, barriers;
	} t[] = {
		{{.flush = "1"}, -EOPNOTSUPP, -EOPNOTSUPP, 1, 0},
		{{.barrier = "1"}, -EOPNOTSUPP, -EOPNOTSUPP, 0, 1},
		{{.order = "0"}, -EOPNOTSUPP, -EOPNOTSUPP, 0, 0},
		{{.discard = "1"}, 0, -EOPNOTSUPP, 0, 0},
		{{.discard = "1", .secure = "1", .flush = "1"}, 0, 0, 1, 0},
		{{.discard = "1", .info = "4"}, -EROFS, -EOPNOTSUPP, 0, 0},
		{{.discard = "7"}, -EOPNOTSUPP, -EOPNOTSUPP, 0, 0},
	};

	for (unsigned i = 0; i < ARRAY_LEN(t); i++) {
		struct blkfront *bf;

		memset(disk, 0x55, sizeof(disk));
		front_box_begin(&fb, serve, &t[i].offer);
		bf = open_disk(NULL);
		assert_int_equal(blkfront_flush(bf), 0);
		assert_int_equal(bf->queue[0].ring.count->flushes, t[i].flushes);
		assert_int_equal(bf->queue[0].ring.count->barriers, t[i].barriers);
		assert_int_equal(blkfront_discard(bf, 8, 100, false), t[i].discard);
		assert_int_equal(disk[8 * 512], t[i].discard ? 0x55 : 0);
		assert_int_equal(blkfront_discard(bf, 200, 100, true), t[i].secure);
		assert_int_equal(disk[200 * 512], t[i].secure ? 0x55 : 0xff);
		assert_int_equal(disk[108 * 512], 0x55);
		close_disk(bf);
	}
}

static void a_disk_of_large_sectors_takes_whole_ones(void **state)
{
	static const struct offer o = {.sector_size = "4096", .info = "1"};
	uint8_t *buffer = malloc(16 * 512);
	struct blkfront *bf;

	front_box_begin(&fb, serve, &o);
	bf = open_disk(NULL);
	assert_int_equal(blkfront_get_disk(bf)->sector_bytes, 4096);
	assert_true(blkfront_get_disk(bf)->is_cdrom);
	memset(buffer, 0x66, 16 * 512);
	assert_int_equal(blkfront_write(bf, 8, 16, buffer), 0);
	assert_int_equal(disk[8 * 512], 0x66);
	assert_int_equal(disk[24 * 512 - 1], 0x66);
	assert_int_equal(disk[24 * 512], 0);
	assert_int_equal(blkfront_write(bf, 4, 8, buffer), -EINVAL);
	assert_int_equal(blkfront_read(bf, 8, 9, buffer), -EINVAL);
	close_disk(bf);
	free(buffer);
}

static void shrink_and_grow(struct raw_back *b)
{
	const struct offer *o = b->arg;
	static const char *const sizes[] = {"100", "0", "nonsense", "8192"};

	if (!connect_as(b, o) || !raw_back_wait_front(b, XenbusStateConnected))
		return;
	for (unsigned i = 0; i < ARRAY_LEN(sizes); i++) {
		raw_back_write(b, "sectors", sizes[i]);
		raw_back_state(b, XenbusStateConnected);
	}
	raw_back_serve_disk(b, disk, NR_SECTORS);
}

static void a_disk_changes_its_size_while_it_is_used(void **state)
{
	static const struct offer o = {.order = "0"};
	uint8_t buffer[512];
	struct blkfront *bf;

	front_box_begin(&fb, shrink_and_grow, &o);
	bf = open_disk(NULL);
	while (blkfront_get_disk(bf)->nr_sectors != 8192)
		assert_true(blkfront_wait(bf, 10000) > 0);
	assert_int_equal(blkfront_read(bf, 8191, 1, buffer), 0);
	assert_int_equal(blkfront_read(bf, 8192, 1, buffer), -EINVAL);
	close_disk(bf);
}

/* ---- queues with threads ------------------------------------------------------------------------------------------------- */

struct worker {
	pthread_t thread;
	struct blkfront_queue *q;
	uint8_t *pages;
	unsigned rounds;
	unsigned wrong;
	int rc;
};

#define DEPTH 4u
static unsigned nr_at_work; /* atomic */

/* Writes each of its blocks and reads it back, asleep whenever there is nothing to poll. */
static void *work(void *arg)
{
	struct worker *w = arg;
	struct blkfront_request req[DEPTH] = {{0}}, *done[DEPTH];
	unsigned out = 0, n = 0, next = 0;

	for (unsigned i = 0; i < DEPTH; i++)
		done[i] = &req[i];
	for (n = DEPTH; w->rc >= 0;) {
		if (blkfront_enter(w->q)) {
			for (; n; n--) {
				struct blkfront_request *r = done[n - 1];
				unsigned i = (unsigned)(r - req);
				uint8_t *data = w->pages + i * 8192;

				if (r->op == BLKIF_OP_READ && r->data) {
					for (unsigned k = 0; k < 8192; k++)
						w->wrong += data[k] != (uint8_t)(w->q->index * 50 + i + k);
				}
				if (r->data)
					out--;
				w->wrong += r->status != 0;
				if (next == w->rounds)
					continue;
				r->op = r->data && r->op == BLKIF_OP_WRITE ? BLKIF_OP_READ : BLKIF_OP_WRITE;
				r->data = data;
				r->nr_sectors = 16;
				r->sector = w->q->index * 4096u + i * 16;
				for (unsigned k = 0; k < 8192; k++)
					data[k] = r->op == BLKIF_OP_READ ? 0 : (uint8_t)(w->q->index * 50 + i + k);
				if (blkfront_submit(w->q, r))
					break;
				out++;
				next++;
			}
			blkfront_push(w->q);
			if (!n)
				n = blkfront_poll(w->q, done, DEPTH);
			blkfront_leave(w->q);
		}
		if (!n && !out && next == w->rounds)
			break;
		if (!n)
			w->rc = blkfront_queue_wait(w->q, 10000);
	}
	fetch_sub_acq_rel(&nr_at_work, 1);
	frontbus_wake(w->q->bf->bus);
	return NULL;
}

/* Two threads have a virtual processor of their own, the third shares the control thread's: there are three. */
static void each_queue_has_a_thread_of_its_own(void **state)
{
	static const struct offer offers[] = {{.order = "1", .queues = "3", .segments = "32"},
					      {.order = "1", .queues = "3", .persistent = "1"}};

	for (unsigned k = 0; k < ARRAY_LEN(offers); k++) {
		static const struct blkfront_options opt = {.max_ring_order = 1, .max_queues = 3, .is_threaded = true,
							    .persistent = BLKFRONT_PERSISTENT_WANTED};
		struct worker w[3];
		struct blkfront *bf;

		front_box_begin(&fb, serve, &offers[k]);
		bf = open_disk(&opt);
		assert_int_equal(bf->nr_queues, 3);
		store_relaxed(&nr_at_work, 3);
		for (unsigned i = 0; i < 3; i++) {
			w[i] = (struct worker){.q = blkfront_get_queue(bf, i), .rounds = 1000};
			assert_int_equal(hv_pages_alloc(fb.guest, 2 * DEPTH, (void **)&w[i].pages), 0);
			assert_int_equal(pthread_create(&w[i].thread, NULL, work, &w[i]), 0);
		}
		while (load_acquire(&nr_at_work))
			assert_true(blkfront_wait(bf, 10000) >= 0);
		for (unsigned i = 0; i < 3; i++) {
			pthread_join(w[i].thread, NULL);
			assert_int_equal(w[i].wrong, 0);
			assert_true(w[i].rc >= 0);
			hv_pages_free(fb.guest, w[i].pages, 2 * DEPTH);
		}
		close_disk(bf);
	}
}

/* ---- a back end that goes and comes again ------------------------------------------------------------------------------------ */

/* Takes requests and answers some, then goes as one that was killed does; the next one begins with what the store says. */
static void come_and_go(struct raw_back *b)
{
	const struct offer *o = b->arg;

	for (unsigned life = 0; life < 4 && !raw_back_must_stop(b); life++) {
		if (!connect_as(b, o))
			return;
		for (unsigned served = 0; served < 40 && !raw_back_must_stop(b);) {
			unsigned n = raw_back_serve_queues(b, disk, NR_SECTORS);

			served += n;
			if (!n && !blkif_ring_back_final_check(&b->blk[0]))
				raw_back_nap(b);
		}
		/* The last ones are taken and never answered. */
		while (!raw_back_must_stop(b) && blkif_ring_back_pending(&b->blk[0]) < 1)
			raw_back_nap(b);
		raw_back_disconnect(b);
		raw_back_state(b, XenbusStateClosed);
		if (!raw_back_wait_front(b, XenbusStateInitialising))
			return;
	}
	if (connect_as(b, o))
		raw_back_serve_disk(b, disk, NR_SECTORS);
}

static void requests_survive_a_back_end_that_is_started_again(void **state)
{
	static const struct offer offers[] = {{.flush = "1"}, {.flush = "1", .persistent = "1", .segments = "32"}};
	static const struct blkfront_options opt = {.reconnects = true, .persistent = BLKFRONT_PERSISTENT_WANTED};

	for (unsigned k = 0; k < ARRAY_LEN(offers); k++) {
		uint8_t want[8192], have[8192];
		struct blkfront *bf;

		memset(disk, 0, sizeof(disk));
		front_box_begin(&fb, come_and_go, &offers[k]);
		bf = open_disk(&opt);
		for (unsigned i = 0; i < 150; i++) {
			memset(want, (int)(i + 1), sizeof(want));
			assert_int_equal(blkfront_write(bf, i * 16, 16, want), 0);
			assert_int_equal(blkfront_flush(bf), 0);
			assert_int_equal(blkfront_read(bf, i * 16, 16, have), 0);
			assert_memory_equal(want, have, sizeof(want));
		}
		assert_true(bf->queue[0].ring.count->resubmitted >= 4);
		close_disk(bf);
	}
}

/* Connects, waits for a request, and closes without an answer; key says why. */
static void go_for_good(struct raw_back *b, const char *key, const char *value)
{
	const struct offer *o = b->arg;

	if (!connect_as(b, o))
		return;
	while (!raw_back_must_stop(b) && blkif_ring_back_pending(&b->blk[0]) < 1)
		raw_back_nap(b);
	raw_back_disconnect(b);
	raw_back_write(b, key, value);
	raw_back_state(b, XenbusStateClosed);
}

static void go_offline(struct raw_back *b)
{
	go_for_good(b, "online", "0");
}

static void go_with_an_error(struct raw_back *b)
{
	go_for_good(b, "error", "the image is gone");
}

static void a_device_that_is_taken_away_ends_all_waiting(void **state)
{
	static const struct offer o = {.order = "0"};
	static const struct blkfront_options opt = {.reconnects = true};
	uint8_t buffer[512];
	struct blkfront *bf;

	front_box_begin(&fb, go_offline, &o);
	bf = open_disk(&opt);
	assert_int_equal(blkfront_read(bf, 0, 1, buffer), -ENODEV);
	assert_int_equal(blkfront_read(bf, 0, 1, buffer), -ENODEV);
	close_disk(bf);
}

static void a_back_end_that_closes_with_an_error_is_not_waited_for(void **state)
{
	static const struct offer o = {.order = "0"};
	static const struct blkfront_options opt = {.reconnects = true};
	uint8_t buffer[512];
	struct blkfront *bf;

	front_box_begin(&fb, go_with_an_error, &o);
	bf = open_disk(&opt);
	assert_int_equal(blkfront_read(bf, 0, 1, buffer), -ENODEV);
	close_disk(bf);
}

#define IN_A_BOX(test) cmocka_unit_test_setup_teardown(test, start, stop)

int main(void)
{
	const struct CMUnitTest tests[] = {
		IN_A_BOX(each_feature_is_used_when_both_ends_have_it),
		IN_A_BOX(a_back_end_that_the_toolstack_distrusts_sees_only_the_data),
		IN_A_BOX(flush_barrier_and_discard_do_what_is_offered),
		IN_A_BOX(a_disk_of_large_sectors_takes_whole_ones),
		IN_A_BOX(a_disk_changes_its_size_while_it_is_used),
		IN_A_BOX(each_queue_has_a_thread_of_its_own),
		IN_A_BOX(requests_survive_a_back_end_that_is_started_again),
		IN_A_BOX(a_device_that_is_taken_away_ends_all_waiting),
		IN_A_BOX(a_back_end_that_closes_with_an_error_is_not_waited_for),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
