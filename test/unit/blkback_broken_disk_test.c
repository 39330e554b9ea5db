/*
 * test/unit/blkback_broken_disk_test.c - a disk with bad blocks behind a queue: each error reaches the request that met it, and all
 * other blocks stay as they were written, whatever order the answers come in.
 */
#include <stdlib.h>
#include <string.h>

#include "blk_box.h"
#include "disk_fault.h"
#include "test.h"

#define BLOCKS 60u
#define SLOTS 24u
#define REQUESTS 3000u

static const struct disk_engine *const engines[] = {&disk_mem, &disk_uring};
static const enum pages_mode modes[] = {PAGES_MAP, PAGES_COPY, PAGES_PERSISTENT};

struct guest {
	struct blk_box box;
	uint32_t random;
	uint8_t stamp[BLOCKS]; /* what was last written there */
	bool is_busy[BLOCKS];
	unsigned nr_busy;
	unsigned last_block;
	bool was_write;
	struct {
		bool is_busy, is_write;
		unsigned block;
		uint8_t stamp;
	} slot[SLOTS];
	unsigned read_errors, write_errors;
};

/* Both sides go by the block: the engine, and the guest that knows what to expect. */
static int error_at(unsigned block, bool is_write)
{
	if (is_write)
		return block % 7 == 5 ? -ENOSPC : 0;
	return block % 5 == 3 ? -EIO : 0;
}

/* Of any block of it, which may be several requests'. */
static int order_error(const struct disk_io *io)
{
	unsigned first = (unsigned)(io->offset_bytes / PAGE_BYTES), n = (unsigned)(io->left_bytes / PAGE_BYTES);
	int error = 0;

	for (unsigned i = 0; i < n && io->op <= DISK_WRITE && !error; i++)
		error = error_at(first + i, io->op == DISK_WRITE);
	return error;
}

static unsigned order_delay(const struct disk_io *io)
{
	return (unsigned)(io->offset_bytes / PAGE_BYTES * 11 + io->slot) % 6;
}

/* Half of them go on where the one before ended. */
static void send(struct guest *g, unsigned i)
{
	bool goes_on = test_random(&g->random) % 2;
	bool is_write = goes_on ? g->was_write : test_random(&g->random) % 2;
	unsigned block = goes_on ? (g->last_block + 1) % BLOCKS : test_random(&g->random) % BLOCKS;
	struct blkif_request req;

	while (g->is_busy[block])
		block = (block + 1) % BLOCKS;
	g->last_block = block;
	g->was_write = is_write;
	g->slot[i].is_busy = g->is_busy[block] = true;
	g->slot[i].is_write = is_write;
	g->slot[i].block = block;
	g->slot[i].stamp = (uint8_t)test_random(&g->random);
	memset(blk_box_data(&g->box, i), is_write ? g->slot[i].stamp : 0xee, PAGE_BYTES);
	req = blk_box_request(&g->box, is_write ? BLKIF_OP_WRITE : BLKIF_OP_READ, i, block * BLKIF_SECTORS_PER_PAGE, i, 1);
	blk_box_put(&g->box, &req);
	g->nr_busy++;
}

static void receive(struct guest *g)
{
	struct blkif_response rsp;
	unsigned i, block;
	int error;

	assert_true(blk_box_answer(&g->box, &rsp));
	i = (unsigned)rsp.id;
	assert_true(i < SLOTS && g->slot[i].is_busy);
	block = g->slot[i].block;
	error = error_at(block, g->slot[i].is_write);
	assert_int_equal(rsp.status, error ? BLKIF_RSP_ERROR : BLKIF_RSP_OKAY);
	if (error && g->slot[i].is_write) {
		g->write_errors++;
	} else if (error) {
		g->read_errors++;
	} else if (g->slot[i].is_write) {
		g->stamp[block] = g->slot[i].stamp;
	} else {
		const uint8_t *data = blk_box_data(&g->box, i);

		for (unsigned at = 0; at < PAGE_BYTES; at++)
			assert_int_equal(data[at], g->stamp[block]);
	}
	g->slot[i].is_busy = g->is_busy[block] = false;
	g->nr_busy--;
}

static void run(const struct disk_engine *inner, enum pages_mode mode)
{
	struct blk_box_options opt = {.engine = &disk_fault, .sectors = BLOCKS * BLKIF_SECTORS_PER_PAGE, .mode = mode,
				      .nr_persistent = SLOTS / 2, .max_segments = 256, .max_merge_bytes = 32u << 10};
	struct guest *g = calloc(1, sizeof(*g));
	unsigned sent = 0;

	assert_non_null(g);
	g->random = 12345;
	disk_fault_order = (struct disk_fault_order){.inner = inner, .error = order_error, .delay = order_delay};
	blk_box_start(&g->box, &opt);
	while (sent < REQUESTS || g->nr_busy) {
		for (unsigned i = 0; i < SLOTS && sent < REQUESTS; i++)
			if (!g->slot[i].is_busy) {
				send(g, i);
				sent++;
			}
		blk_box_push(&g->box);
		receive(g);
	}
	queue_stop(g->box.queue);
	g->box.queue = NULL;
	assert_true(g->read_errors > 0 && g->write_errors > 0);
	assert_int_equal(g->box.stats.read_errors, g->read_errors);
	assert_int_equal(g->box.stats.write_errors, g->write_errors);
	assert_int_equal(g->box.stats.grant_errors, 0);
	assert_true(g->box.stats.merged > 0);
	assert_false(blk_box_grants_in_use(&g->box));
	blk_box_finish(&g->box);
	free(g);
}

static void bad_blocks_fail_their_requests_and_nothing_else(void **state)
{
	for (size_t e = 0; e < ARRAY_LEN(engines); e++)
		for (size_t m = 0; m < ARRAY_LEN(modes); m++)
			run(engines[e], modes[m]);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(bad_blocks_fail_their_requests_and_nothing_else),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
