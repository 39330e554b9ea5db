/*
 * test/stress/blkback_test.c - a front end thread and a queue thread, every block checked against what was last written there.
 */
#include <stdlib.h>
#include <string.h>

#include "blk_guest.h"
#include "test.h"

#define REQUESTS 10000u
#define DISK_REQUESTS 1200u /* a real disk is under them */

struct course {
	const struct disk_engine *engine;
	enum pages_mode mode;
	unsigned busy_poll_us;
	unsigned max_segments;
	bool is_limited;
};

static void guest_run(const struct course *c, uint32_t seed)
{
	struct blk_box_options opt = {.engine = c->engine,
				      .ring_pages = 1,
				      .sectors = BLK_GUEST_SECTORS,
				      .busy_poll_us = c->busy_poll_us,
				      .mode = c->mode,
				      .nr_persistent = BLK_GUEST_DEPTH, /* a third of what the guest uses */
				      .max_segments = c->max_segments,
				      .max_merge_bytes = 128u << 10};
	struct blk_guest *g = calloc(1, sizeof(*g));
	unsigned requests = c->engine == &disk_mem ? REQUESTS : DISK_REQUESTS;
	const struct stats *s = &g->box.stats;

	assert_non_null(g);
	g->random = seed;
	blk_box_start(&g->box, &opt);
	if (c->is_limited) {
		limit_set(&g->box.limit, LIMIT_READ_IOPS, 60000);
		limit_set(&g->box.limit, LIMIT_WRITE_BYTES, 400000000);
	}
	while (g->nr_sent < requests || g->nr_in_flight) {
		blk_guest_send(g, requests);
		blk_guest_receive(g);
	}
	queue_stop(g->box.queue);
	g->box.queue = NULL;
	assert_int_equal(s->reads + s->writes + s->flushes + s->barriers, requests);
	assert_int_equal(s->read_errors + s->write_errors + s->flush_errors + s->grant_errors, 0);
	assert_int_equal(g->box.times.reads.nr + g->box.times.writes.nr, requests);
	assert_true(c->max_segments ? s->indirect > requests / 4 : s->indirect == 0);
	assert_false(blk_box_grants_in_use(&g->box));
	blk_box_finish(&g->box);
	free(g);
}

static void memory_engine_loses_and_mixes_nothing(void **state)
{
	guest_run(&(struct course){&disk_mem, PAGES_MAP, 0, 0, false}, 1);
	guest_run(&(struct course){&disk_mem, PAGES_MAP, 50, 256, false}, 2);
}

static void uring_engine_loses_and_mixes_nothing(void **state)
{
	guest_run(&(struct course){&disk_uring, PAGES_MAP, 0, 256, false}, 3);
	guest_run(&(struct course){&disk_uring, PAGES_MAP, 50, 0, false}, 4);
}

static void aio_engine_loses_and_mixes_nothing(void **state)
{
	guest_run(&(struct course){&disk_aio, PAGES_MAP, 0, 0, false}, 5);
	guest_run(&(struct course){&disk_aio, PAGES_MAP, 50, 4096, false}, 6); /* two big requests at a time */
}

static void copied_pages_are_not_mixed(void **state)
{
	guest_run(&(struct course){&disk_mem, PAGES_COPY, 0, 0, false}, 7);
	guest_run(&(struct course){&disk_uring, PAGES_COPY, 50, 256, false}, 8);
	guest_run(&(struct course){&disk_uring, PAGES_COPY, 0, 4096, false}, 9);
}

static void persistent_pages_are_not_mixed(void **state)
{
	guest_run(&(struct course){&disk_mem, PAGES_PERSISTENT, 0, 256, false}, 10);
	guest_run(&(struct course){&disk_uring, PAGES_PERSISTENT, 50, 0, false}, 11);
}

static void a_limited_queue_loses_and_mixes_nothing(void **state)
{
	guest_run(&(struct course){&disk_mem, PAGES_MAP, 0, 256, true}, 12);
	guest_run(&(struct course){&disk_uring, PAGES_COPY, 50, 256, true}, 13);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(memory_engine_loses_and_mixes_nothing),
		cmocka_unit_test(uring_engine_loses_and_mixes_nothing),
		cmocka_unit_test(aio_engine_loses_and_mixes_nothing),
		cmocka_unit_test(copied_pages_are_not_mixed),
		cmocka_unit_test(persistent_pages_are_not_mixed),
		cmocka_unit_test(a_limited_queue_loses_and_mixes_nothing),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
