/*
 * test/stress/blkback_test.c - a front end thread and a queue thread, every block checked against what was last written there.
 */
#include <stdlib.h>
#include <string.h>

#include "blk_box.h"
#include "test.h"

#define SECTORS 2048u
#define BLOCKS (SECTORS / BLKIF_SECTORS_PER_PAGE)
#define DEPTH 24u
#define REQUESTS 6000u
#define MAX_PAGES 2u

/* The guest: one request a place in flight, no two on the same blocks. */
struct guest {
	struct blk_box box;
	uint32_t random;
	uint32_t stamp[BLOCKS]; /* what every word of the block must be */
	bool is_busy[BLOCKS];
	unsigned nr_in_flight;
	struct {
		bool is_used;
		uint8_t op;
		uint64_t id;
		unsigned block, nr_pages;
	} place[DEPTH];
	uint64_t next_id;
};

static void guest_fill(struct guest *g, unsigned place, unsigned page, uint32_t stamp)
{
	uint32_t *words = (uint32_t *)blk_box_data(&g->box, place * MAX_PAGES + page);

	for (unsigned i = 0; i < PAGE_BYTES / sizeof(*words); i++)
		words[i] = stamp;
}

static void guest_check(struct guest *g, unsigned place, unsigned page, uint32_t stamp)
{
	const uint32_t *words = (const uint32_t *)blk_box_data(&g->box, place * MAX_PAGES + page);

	for (unsigned i = 0; i < PAGE_BYTES / sizeof(*words); i++)
		if (words[i] != stamp)
			fail_msg("block holds %x, should be %x", words[i], stamp);
}

static bool guest_claim(struct guest *g, unsigned block, unsigned nr_pages)
{
	for (unsigned i = 0; i < nr_pages; i++)
		if (block + i >= BLOCKS || g->is_busy[block + i])
			return false;
	for (unsigned i = 0; i < nr_pages; i++)
		g->is_busy[block + i] = true;
	return true;
}

static bool guest_send(struct guest *g, unsigned place)
{
	uint32_t dice = test_random(&g->random);
	unsigned block = dice % BLOCKS, nr_pages = 1 + (dice >> 20) % MAX_PAGES;
	uint8_t op = (dice >> 12) % 16 == 0 ? BLKIF_OP_FLUSH_DISKCACHE : (dice >> 16) & 1;
	struct blkif_request req;

	if (op == BLKIF_OP_FLUSH_DISKCACHE)
		nr_pages = 0;
	if (!guest_claim(g, block, nr_pages))
		return false;
	g->place[place].is_used = true;
	g->place[place].op = op;
	g->place[place].id = g->next_id++ << 8 | place;
	g->place[place].block = block;
	g->place[place].nr_pages = nr_pages;
	for (unsigned i = 0; i < nr_pages && op == BLKIF_OP_WRITE; i++) {
		g->stamp[block + i] = test_random(&g->random);
		guest_fill(g, place, i, g->stamp[block + i]);
	}
	req = blk_box_request(&g->box, op, g->place[place].id, (uint64_t)block * BLKIF_SECTORS_PER_PAGE, place * MAX_PAGES,
			      nr_pages);
	blk_box_put(&g->box, &req);
	g->nr_in_flight++;
	return true;
}

static void guest_receive(struct guest *g)
{
	struct blkif_response rsp;
	unsigned place;

	assert_true(blk_box_answer(&g->box, &rsp));
	place = rsp.id & 0xff;
	assert_true(place < DEPTH && g->place[place].is_used);
	assert_int_equal(rsp.id, g->place[place].id);
	assert_int_equal(rsp.operation, g->place[place].op);
	assert_int_equal(rsp.status, BLKIF_RSP_OKAY);
	for (unsigned i = 0; i < g->place[place].nr_pages; i++) {
		/* Answered means let go: the pages are the guest's again. */
		if (g->box.mode != PAGES_PERSISTENT)
			assert_false(grant_table_in_use(g->box.grants.table, g->box.ref[place * MAX_PAGES + i]));
		if (rsp.operation == BLKIF_OP_READ)
			guest_check(g, place, i, g->stamp[g->place[place].block + i]);
		g->is_busy[g->place[place].block + i] = false;
	}
	g->place[place].is_used = false;
	g->nr_in_flight--;
}

static void guest_run(const struct disk_engine *engine, enum pages_mode mode, unsigned busy_poll_us, uint32_t seed)
{
	struct blk_box_options opt = {.engine = engine,
				      .ring_pages = 1,
				      .sectors = SECTORS,
				      .busy_poll_us = busy_poll_us,
				      .mode = mode,
				      .nr_persistent = DEPTH}; /* half of what the guest uses */
	struct guest *g = calloc(1, sizeof(*g));

	assert_non_null(g);
	g->random = seed;
	blk_box_start(&g->box, &opt);
	for (unsigned sent = 0; sent < REQUESTS || g->nr_in_flight;) {
		unsigned burst = 1 + test_random(&g->random) % DEPTH;

		for (unsigned p = 0; p < DEPTH && burst && sent < REQUESTS; p++)
			if (!g->place[p].is_used && guest_send(g, p)) {
				burst--;
				sent++;
			}
		blk_box_push(&g->box);
		if (g->nr_in_flight)
			guest_receive(g);
		while (blkif_ring_front_pending(&g->box.front) > 0)
			guest_receive(g);
	}
	queue_stop(g->box.queue);
	g->box.queue = NULL;
	assert_int_equal(g->box.stats.reads + g->box.stats.writes + g->box.stats.flushes, REQUESTS);
	assert_int_equal(g->box.stats.read_errors + g->box.stats.write_errors + g->box.stats.flush_errors + g->box.stats.grant_errors, 0);
	assert_false(blk_box_grants_in_use(&g->box));
	blk_box_finish(&g->box);
	free(g);
}

static void memory_engine_loses_and_mixes_nothing(void **state)
{
	guest_run(&disk_mem, PAGES_MAP, 0, 1);
	guest_run(&disk_mem, PAGES_MAP, 50, 2);
}

static void uring_engine_loses_and_mixes_nothing(void **state)
{
	guest_run(&disk_uring, PAGES_MAP, 0, 3);
	guest_run(&disk_uring, PAGES_MAP, 50, 4);
}

static void aio_engine_loses_and_mixes_nothing(void **state)
{
	guest_run(&disk_aio, PAGES_MAP, 0, 5);
	guest_run(&disk_aio, PAGES_MAP, 50, 6);
}

static void copied_pages_are_not_mixed(void **state)
{
	guest_run(&disk_mem, PAGES_COPY, 0, 7);
	guest_run(&disk_uring, PAGES_COPY, 50, 8);
}

static void persistent_pages_are_not_mixed(void **state)
{
	guest_run(&disk_mem, PAGES_PERSISTENT, 0, 9);
	guest_run(&disk_uring, PAGES_PERSISTENT, 50, 10);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(memory_engine_loses_and_mixes_nothing),
		cmocka_unit_test(uring_engine_loses_and_mixes_nothing),
		cmocka_unit_test(aio_engine_loses_and_mixes_nothing),
		cmocka_unit_test(copied_pages_are_not_mixed),
		cmocka_unit_test(persistent_pages_are_not_mixed),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
