/*
 * test/unit/blkback_run_test.c - adjacent requests done by one I/O: which they are, and what each of them is answered.
 */
#include <stdlib.h>

#include "blk_rig.h"

#define MERGE_BYTES (64u << 10)

static void start(struct rig *r, unsigned ring_pages, enum pages_mode mode)
{
	rig_start_as(r, &(struct blk_box_options){.ring_pages = ring_pages, .mode = mode, .nr_persistent = 64, .max_segments = 256,
						  .max_merge_bytes = MERGE_BYTES}, false);
}

static void requests_for_sectors_that_follow_each_other_are_one_io(void **state)
{
	static const uint8_t ops[] = {BLKIF_OP_READ, BLKIF_OP_WRITE};

	for (unsigned mode = PAGES_MAP; mode <= PAGES_PERSISTENT; mode++)
		for (unsigned i = 0; i < ARRAY_LEN(ops); i++) {
			struct disk_io *io;
			struct rig r;

			start(&r, 1, (enum pages_mode)mode);
			rig_put(&r, ops[i], 1, 80, 0, 1);
			rig_put(&r, ops[i], 2, 88, 1, 2);
			rig_put(&r, ops[i], 3, 104, 9, 1);
			assert_int_equal(rig_take(&r), 3);
			assert_int_equal(r.hold.nr, 1);
			io = r.hold.held[0];
			assert_int_equal(io->op, i ? DISK_WRITE : DISK_READ);
			assert_int_equal(io->offset_bytes, 80 * 512);
			assert_int_equal(io->left_bytes, 4 * PAGE_BYTES);
			assert_int_equal(io->iov_at, 0);
			if (mode == PAGES_MAP) { /* pages that follow each other are one piece of it */
				assert_int_equal(io->nr_iov, 2);
				assert_ptr_equal(io->iov[0].iov_base, blk_box_data(&r.box, 0));
				assert_int_equal(io->iov[0].iov_len, 3 * PAGE_BYTES);
				assert_ptr_equal(io->iov[1].iov_base, blk_box_data(&r.box, 9));
			}
			assert_int_equal(r.io.nr_in_flight, 3);
			rig_finish_io(&r, 0, 0);
			for (unsigned id = 1; id <= 3; id++)
				rig_expect(&r, id, ops[i], BLKIF_RSP_OKAY);
			assert_int_equal(r.box.stats.merged, 2);
			assert_int_equal(i ? r.box.stats.writes : r.box.stats.reads, 3);
			assert_int_equal(i ? r.box.stats.write_sectors : r.box.stats.read_sectors, 32);
			assert_int_equal(i ? r.box.times.writes.nr : r.box.times.reads.nr, 3);
			if (mode == PAGES_PERSISTENT)
				r.io.pages.now_ns = UINT64_MAX;
			if (mode == PAGES_PERSISTENT)
				pages_drop_unused(&r.io.pages);
			rig_stop(&r);
		}
}

static void what_does_not_belong_together_stays_apart(void **state)
{
	static const struct {
		uint8_t op[3];
		uint64_t sector[3];
		unsigned pages[3];
		unsigned first_ios; /* that the engine gets at once */
	} t[] = {
		{{BLKIF_OP_READ, BLKIF_OP_WRITE, BLKIF_OP_READ}, {0, 8, 16}, {1, 1, 1}, 3},
		{{BLKIF_OP_READ, BLKIF_OP_READ, BLKIF_OP_READ}, {0, 9, 18}, {1, 1, 1}, 3},  /* a gap */
		{{BLKIF_OP_READ, BLKIF_OP_READ, BLKIF_OP_READ}, {0, 7, 14}, {1, 1, 1}, 3},  /* an overlap */
		{{BLKIF_OP_WRITE, BLKIF_OP_WRITE, BLKIF_OP_WRITE}, {16, 8, 0}, {1, 1, 1}, 3}, /* backwards */
		{{BLKIF_OP_WRITE, BLKIF_OP_WRITE, BLKIF_OP_WRITE}, {0, 0, 8}, {1, 1, 1}, 2},  /* the last two are one */
		{{BLKIF_OP_WRITE, BLKIF_OP_WRITE, BLKIF_OP_READ}, {0, 8, 0}, {1, 1, 1}, 2},   /* what was written is read */
		{{BLKIF_OP_WRITE, BLKIF_OP_FLUSH_DISKCACHE, BLKIF_OP_WRITE}, {0, 8, 8}, {1, 0, 1}, 2},
		{{BLKIF_OP_WRITE, BLKIF_OP_WRITE_BARRIER, BLKIF_OP_WRITE}, {0, 8, 16}, {1, 1, 1}, 1},
		{{BLKIF_OP_READ, BLKIF_OP_READ, BLKIF_OP_READ}, {0, 88, 176}, {11, 11, 11}, 3}, /* more than may be merged to */
		{{BLKIF_OP_READ, BLKIF_OP_READ, BLKIF_OP_READ}, {0, 64, 128}, {8, 8, 1}, 2},   /* just as much as may */
	};

	for (unsigned i = 0; i < ARRAY_LEN(t); i++) {
		unsigned taken = 0;
		struct rig r;

		start(&r, 1, PAGES_MAP);
		for (unsigned k = 0; k < 3; k++)
			rig_put(&r, t[i].op[k], k, t[i].sector[k], k * 11, t[i].pages[k]);
		taken = (unsigned)rig_take(&r);
		assert_int_equal(r.hold.nr, t[i].first_ios);
		while (taken < 3 || r.io.nr_in_flight) {
			rig_finish_io(&r, 0, 0);
			taken += (unsigned)io_take(&r.io);
		}
		assert_int_equal(blkif_ring_front_pending(&r.box.front), 3);
		rig_stop(&r);
	}
}

static void a_discard_and_a_big_request_have_an_io_of_their_own(void **state)
{
	struct blkif_request_discard discard = {.operation = BLKIF_OP_DISCARD, .id = 2, .sector_number = 8, .nr_sectors = 8};
	struct blkif_request big;
	struct rig r;

	start(&r, 1, PAGES_MAP);
	rig_put(&r, BLKIF_OP_WRITE, 1, 0, 0, 1);
	blk_box_put(&r.box, (struct blkif_request *)&discard);
	rig_put(&r, BLKIF_OP_WRITE, 3, 16, 1, 1);
	big = blk_box_request(&r.box, BLKIF_OP_WRITE, 4, 24, 2, 4);
	blk_box_make_big(&r.box, &big, 40);
	blk_box_put(&r.box, &big);
	rig_put(&r, BLKIF_OP_WRITE, 5, 56, 6, 1);
	assert_int_equal(rig_take(&r), 5);
	assert_int_equal(r.hold.nr, 5);
	while (r.hold.nr)
		rig_finish_io(&r, 0, 0);
	assert_int_equal(r.box.stats.merged, 0);
	rig_stop(&r);
}

/* One I/O cannot tell whose error it has. */
static void an_error_reaches_the_one_request_it_belongs_to(void **state)
{
	struct blkif_response rsp;
	struct rig r;

	start(&r, 1, PAGES_MAP);
	for (unsigned i = 0; i < 4; i++)
		rig_put(&r, BLKIF_OP_WRITE, i, i * 8, i, 1);
	rig_put(&r, BLKIF_OP_FLUSH_DISKCACHE, 9, 0, 0, 0);
	assert_int_equal(rig_take(&r), 5);
	assert_int_equal(r.hold.nr, 1);
	/* As an engine leaves it that did half of it before the error came. */
	r.hold.held[0]->iov[0].iov_len -= 2 * PAGE_BYTES;
	r.hold.held[0]->left_bytes -= 2 * PAGE_BYTES;
	r.hold.held[0]->offset_bytes += 2 * PAGE_BYTES;
	rig_finish_io(&r, 0, -ENOSPC);
	rig_expect_none(&r);
	assert_int_equal(r.hold.nr, 4);
	for (unsigned i = 0; i < 4; i++) {
		assert_int_equal(r.hold.held[i]->op, DISK_WRITE);
		assert_int_equal(r.hold.held[i]->offset_bytes, i * PAGE_BYTES);
		assert_int_equal(r.hold.held[i]->left_bytes, PAGE_BYTES);
		assert_int_equal(r.hold.held[i]->nr_iov, 1);
		assert_ptr_equal(r.hold.held[i]->iov[0].iov_base, blk_box_data(&r.box, i));
		assert_int_equal(r.hold.held[i]->iov[0].iov_len, PAGE_BYTES);
	}
	rig_finish_io(&r, 2, -ENOSPC);
	rig_expect(&r, 2, BLKIF_OP_WRITE, BLKIF_RSP_ERROR);
	for (unsigned left = 3; left--;) {
		assert_int_equal(r.hold.nr, left + 1); /* the flush waits for all of them */
		rig_finish_io(&r, 0, 0);
	}
	for (unsigned i = 0; i < 3; i++) {
		blkif_ring_front_take(&r.box.front, &rsp);
		assert_int_equal(rsp.status, BLKIF_RSP_OKAY);
	}
	assert_int_equal(r.hold.nr, 1);
	assert_int_equal(r.hold.held[0]->op, DISK_FLUSH);
	rig_finish_io(&r, 0, 0);
	rig_expect(&r, 9, BLKIF_OP_FLUSH_DISKCACHE, BLKIF_RSP_OKAY);
	assert_int_equal(r.box.stats.write_errors, 1);
	assert_int_equal(r.box.stats.writes, 3);
	rig_stop(&r);
}

static void a_page_that_cannot_be_had_fails_its_request_alone(void **state)
{
	struct blkif_request req;
	struct rig r;

	start(&r, 1, PAGES_MAP);
	rig_put(&r, BLKIF_OP_READ, 0, 0, 0, 1);
	req = blk_box_request(&r.box, BLKIF_OP_READ, 1, 8, 1, 1);
	req.seg[0].gref = 4095;
	blk_box_put(&r.box, &req);
	rig_put(&r, BLKIF_OP_READ, 2, 16, 2, 1);
	assert_int_equal(rig_take(&r), 3);
	assert_int_equal(r.hold.nr, 2);
	rig_finish_io(&r, 1, 0);
	rig_expect(&r, 1, BLKIF_OP_READ, BLKIF_RSP_ERROR);
	rig_expect(&r, 2, BLKIF_OP_READ, BLKIF_RSP_OKAY);
	rig_finish_io(&r, 0, 0);
	rig_expect(&r, 0, BLKIF_OP_READ, BLKIF_RSP_OKAY);
	assert_int_equal(r.box.stats.merged, 0);
	assert_int_equal(r.box.stats.grant_errors, 1);
	rig_stop(&r);
}

/* More requests than a burst has may end at the same moment. */
static void runs_of_several_bursts_may_end_together(void **state)
{
	for (unsigned mode = PAGES_MAP; mode <= PAGES_COPY; mode++) {
		struct disk_io *done[64];
		unsigned n;
		struct rig r;

		start(&r, 4, (enum pages_mode)mode);
		for (unsigned i = 0; i < 128; i++)
			rig_put(&r, BLKIF_OP_READ, i, i * 8, i % 32, 1);
		assert_int_equal(rig_take(&r), IO_BURST);
		assert_int_equal(io_take(&r.io), IO_BURST);
		n = r.hold.nr;
		assert_int_equal(n, 128 * PAGE_BYTES / MERGE_BYTES);
		for (unsigned i = 0; i < n; i++) {
			done[i] = r.hold.held[i];
			done[i]->error = 0;
		}
		io_complete(&r.io, done, n);
		io_answer(&r.io);
		for (unsigned i = 0; i < 128; i++)
			rig_expect(&r, i, BLKIF_OP_READ, BLKIF_RSP_OKAY);
		assert_int_equal(r.box.stats.merged, 128 - n);
		rig_stop(&r);
	}
}

/* What merging borrows belongs to big requests, and one of them can always start. */
static void runs_leave_room_for_a_big_request(void **state)
{
	struct blkif_request big;
	struct rig r;

	rig_start_as(&r, &(struct blk_box_options){.max_segments = 4096, .max_merge_bytes = MERGE_BYTES}, false); /* room for two */
	for (unsigned i = 0; i < 6; i++)
		rig_put(&r, BLKIF_OP_READ, i, i * 8 + (i / 2) * 800, i, 1);
	big = blk_box_request(&r.box, BLKIF_OP_READ, 9, 100, 8, 4);
	blk_box_make_big(&r.box, &big, 40);
	blk_box_put(&r.box, &big);
	assert_int_equal(rig_take(&r), 7);
	assert_int_equal(r.hold.nr, 7); /* the big one has one, and the last stays */
	while (r.hold.nr)
		rig_finish_io(&r, 0, 0);
	for (unsigned i = 0; i < 6; i++)
		rig_put(&r, BLKIF_OP_READ, i, i * 8 + (i / 2) * 800, i, 1);
	assert_int_equal(rig_take(&r), 6);
	assert_int_equal(r.hold.nr, 5);
	blk_box_put(&r.box, &big); /* its list is still in the page */
	assert_int_equal(rig_take(&r), 1);
	while (r.hold.nr)
		rig_finish_io(&r, 0, 0);
	assert_int_equal(r.box.stats.merged, 1);
	rig_stop(&r);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(requests_for_sectors_that_follow_each_other_are_one_io),
		cmocka_unit_test(what_does_not_belong_together_stays_apart),
		cmocka_unit_test(a_discard_and_a_big_request_have_an_io_of_their_own),
		cmocka_unit_test(an_error_reaches_the_one_request_it_belongs_to),
		cmocka_unit_test(a_page_that_cannot_be_had_fails_its_request_alone),
		cmocka_unit_test(runs_of_several_bursts_may_end_together),
		cmocka_unit_test(runs_leave_room_for_a_big_request),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
