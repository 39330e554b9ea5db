/*
 * test/unit/blkback_io_test.c - the data path between a raw front end and an engine that finishes when the test says so.
 */
#include <stdlib.h>

#include "blk_rig.h"

static void segments_that_follow_each_other_become_one_piece(void **state)
{
	struct blkif_request req;
	struct rig r;

	rig_start(&r, 1, false);
	rig_put(&r, BLKIF_OP_WRITE, 1, 80, 0, 11);
	req = blk_box_request(&r.box, BLKIF_OP_READ, 2, 8, 20, 3);
	req.seg[1].first_sect = 3; /* a gap before and after the middle one */
	req.seg[1].last_sect = 4;
	blk_box_put(&r.box, &req);
	assert_int_equal(rig_take(&r), 2);
	assert_int_equal(r.hold.nr, 2);
	assert_int_equal(r.hold.held[0]->op, DISK_WRITE);
	assert_int_equal(r.hold.held[0]->nr_iov, 1);
	assert_int_equal(r.hold.held[0]->left_bytes, 11 * PAGE_BYTES);
	assert_int_equal(r.hold.held[0]->offset_bytes, 80 * 512);
	assert_ptr_equal(r.hold.held[0]->iov[0].iov_base, blk_box_data(&r.box, 0));
	assert_int_equal(r.hold.held[0]->iov[0].iov_len, 11 * PAGE_BYTES);
	assert_int_equal(r.hold.held[1]->op, DISK_READ);
	assert_int_equal(r.hold.held[1]->nr_iov, 3);
	assert_int_equal(r.hold.held[1]->left_bytes, 2 * PAGE_BYTES + 1024);
	assert_ptr_equal(r.hold.held[1]->iov[1].iov_base, blk_box_data(&r.box, 21) + 3 * 512);
	assert_int_equal(r.hold.held[1]->iov[1].iov_len, 1024);
	rig_finish_io(&r, 0, 0);
	rig_finish_io(&r, 0, 0);
	rig_expect(&r, 1, BLKIF_OP_WRITE, BLKIF_RSP_OKAY);
	rig_expect(&r, 2, BLKIF_OP_READ, BLKIF_RSP_OKAY);
	assert_int_equal(r.box.stats.write_sectors, 88);
	assert_int_equal(r.box.stats.read_sectors, 18);
	rig_stop(&r);
}

static void grants_are_held_until_the_io_has_finished(void **state)
{
	struct rig r;

	rig_start(&r, 1, false);
	rig_put(&r, BLKIF_OP_READ, 1, 0, 0, 2);
	assert_int_equal(rig_take(&r), 1);
	assert_true(grant_table_in_use(r.box.grants.table, r.box.ref[0]));
	assert_int_equal(grant_table_end(r.box.grants.table, r.box.ref[1]), -EBUSY);
	io_answer(&r.io);
	assert_true(grant_table_in_use(r.box.grants.table, r.box.ref[0]));
	rig_expect_none(&r);
	rig_finish_io(&r, 0, 0);
	assert_false(blk_box_grants_in_use(&r.box));
	rig_expect(&r, 1, BLKIF_OP_READ, BLKIF_RSP_OKAY);
	rig_stop(&r);
}

static void answers_come_as_the_engine_finishes_with_their_own_status(void **state)
{
	struct rig r;

	rig_start(&r, 1, false);
	for (unsigned i = 0; i < 3; i++)
		rig_put(&r, BLKIF_OP_WRITE, 100 + i, i * 8, i, 1);
	assert_int_equal(rig_take(&r), 3);
	rig_finish_io(&r, 1, -ENOSPC);
	rig_finish_io(&r, 1, 0);
	rig_finish_io(&r, 0, -EIO);
	rig_expect(&r, 101, BLKIF_OP_WRITE, BLKIF_RSP_ERROR);
	rig_expect(&r, 102, BLKIF_OP_WRITE, BLKIF_RSP_OKAY);
	rig_expect(&r, 100, BLKIF_OP_WRITE, BLKIF_RSP_ERROR);
	assert_int_equal(r.box.stats.write_errors, 2);
	assert_int_equal(r.box.stats.writes, 1);
	rig_stop(&r);
}

static void a_flush_waits_for_the_writes_before_it_and_holds_up_nothing_else(void **state)
{
	struct rig r;

	rig_start(&r, 1, false);
	rig_put(&r, BLKIF_OP_WRITE, 1, 0, 0, 1);
	rig_put(&r, BLKIF_OP_READ, 2, 0, 1, 1);
	rig_put(&r, BLKIF_OP_WRITE, 3, 8, 2, 1);
	rig_put(&r, BLKIF_OP_FLUSH_DISKCACHE, 4, 0, 0, 0);
	rig_put(&r, BLKIF_OP_WRITE, 5, 16, 3, 1);
	rig_put(&r, BLKIF_OP_FLUSH_DISKCACHE, 6, 0, 0, 0);
	assert_int_equal(rig_take(&r), 6);
	assert_int_equal(r.hold.nr, 4); /* 1 2 3 5 */
	rig_finish_io(&r, 3, 0);        /* 5: of no use to the first flush, and the second waits for 1 and 3 */
	assert_int_equal(r.hold.nr, 3);
	rig_finish_io(&r, 2, 0); /* 3 */
	assert_int_equal(r.hold.nr, 2);
	rig_finish_io(&r, 0, -EIO); /* 1: failed is finished */
	assert_int_equal(r.hold.nr, 3);
	assert_int_equal(r.hold.held[1]->op, DISK_FLUSH);
	assert_int_equal(r.hold.held[2]->op, DISK_FLUSH);
	rig_expect(&r, 5, BLKIF_OP_WRITE, BLKIF_RSP_OKAY);
	rig_expect(&r, 3, BLKIF_OP_WRITE, BLKIF_RSP_OKAY);
	rig_expect(&r, 1, BLKIF_OP_WRITE, BLKIF_RSP_ERROR);
	rig_expect_none(&r);
	rig_finish_io(&r, 1, 0);
	rig_finish_io(&r, 1, -EIO);
	rig_finish_io(&r, 0, 0); /* the read */
	rig_expect(&r, 4, BLKIF_OP_FLUSH_DISKCACHE, BLKIF_RSP_OKAY);
	rig_expect(&r, 6, BLKIF_OP_FLUSH_DISKCACHE, BLKIF_RSP_ERROR);
	rig_expect(&r, 2, BLKIF_OP_READ, BLKIF_RSP_OKAY);
	rig_stop(&r);
}

static void a_flush_with_no_write_before_it_goes_at_once(void **state)
{
	struct rig r;

	rig_start(&r, 1, true);
	rig_put(&r, BLKIF_OP_READ, 1, 0, 0, 1);
	rig_put(&r, BLKIF_OP_FLUSH_DISKCACHE, 2, 0, 0, 0);
	assert_int_equal(rig_take(&r), 2);
	assert_int_equal(r.hold.nr, 2);
	rig_finish_io(&r, 1, 0);
	rig_finish_io(&r, 0, 0);
	rig_expect(&r, 2, BLKIF_OP_FLUSH_DISKCACHE, BLKIF_RSP_OKAY);
	rig_expect(&r, 1, BLKIF_OP_READ, BLKIF_RSP_OKAY);
	rig_stop(&r);
}

static void no_byte_of_an_answer_is_left_unwritten(void **state)
{
	struct blkif_response rsp;
	unsigned char *at;
	struct rig r;

	rig_start(&r, 1, false);
	rig_put(&r, BLKIF_OP_RESERVED_1, UINT64_C(0x1122334455667788), 0, 0, 0);
	blk_box_push(&r.box);
	at = (unsigned char *)&r.box.front.sh->slot[0];
	assert_int_equal(io_take(&r.io), 1);
	memset(&rsp, 0, sizeof(rsp));
	rsp.id = UINT64_C(0x1122334455667788);
	rsp.operation = BLKIF_OP_RESERVED_1;
	rsp.status = BLKIF_RSP_EOPNOTSUPP;
	assert_memory_equal(at, &rsp, sizeof(rsp));
	io_answer(&r.io);
	rig_expect(&r, rsp.id, BLKIF_OP_RESERVED_1, BLKIF_RSP_EOPNOTSUPP);
	rig_stop(&r);
}

static void one_wake_answers_a_burst(void **state)
{
	struct disk_io *done[10];
	struct rig r;
	int n;

	rig_start(&r, 1, false);
	for (unsigned i = 0; i < 10; i++)
		rig_put(&r, BLKIF_OP_READ, i, 0, i, 1);
	assert_int_equal(rig_take(&r), 10);
	for (unsigned i = 0; i < 10; i++)
		done[i] = r.hold.held[i];
	io_complete(&r.io, done, 10);
	io_answer(&r.io);
	io_answer(&r.io);
	assert_int_equal(r.box.stats.notifications_sent, 1);
	assert_int_equal(r.box.stats.notifications_suppressed, 0);
	assert_int_equal(r.box.stats.batch.bucket[10], 1);
	n = blkif_ring_front_pending(&r.box.front);
	assert_int_equal(n, 10);
	/* The guest has not armed its event again: the next answer wakes nobody. */
	rig_put(&r, BLKIF_OP_RESERVED_1, 99, 0, 0, 0);
	assert_int_equal(rig_take(&r), 1);
	io_answer(&r.io);
	assert_int_equal(r.box.stats.notifications_sent, 1);
	assert_int_equal(r.box.stats.notifications_suppressed, 1);
	rig_stop(&r);
}

static void every_ring_size_is_used_to_its_last_slot(void **state)
{
	for (unsigned order = 0; order <= BLKIF_MAX_RING_ORDER; order++) {
		unsigned slots = 32u << order, taken = 0;
		struct rig r;

		rig_start(&r, 1u << order, false);
		assert_int_equal(blkif_ring_front_free(&r.box.front), slots);
		assert_int_equal(r.io.nr_requests, slots);
		for (unsigned i = 0; i < slots; i++)
			rig_put(&r, BLKIF_OP_READ, i, 0, i % BLK_BOX_DATA_FRAMES, 1);
		blk_box_push(&r.box);
		/* All in flight at once, as far as the holding engine has room; it finishes when it has 64. */
		while (taken < slots) {
			int n = io_take(&r.io);

			assert_true(n > 0 && n <= IO_BURST);
			taken += (unsigned)n;
			io_complete(&r.io, r.hold.held, r.hold.nr);
			r.hold.nr = 0;
			io_answer(&r.io);
		}
		for (unsigned i = 0; i < slots; i++)
			rig_expect(&r, i, BLKIF_OP_READ, BLKIF_RSP_OKAY);
		rig_stop(&r);
	}
}

static void a_read_only_disk_refuses_writes_and_serves_reads(void **state)
{
	struct rig r;

	rig_start(&r, 1, true);
	rig_put(&r, BLKIF_OP_WRITE, 1, 0, 0, 1);
	rig_put(&r, BLKIF_OP_READ, 2, 0, 0, 1);
	assert_int_equal(rig_take(&r), 2);
	assert_int_equal(r.hold.nr, 1);
	rig_finish_io(&r, 0, 0);
	rig_expect(&r, 1, BLKIF_OP_WRITE, BLKIF_RSP_ERROR);
	rig_expect(&r, 2, BLKIF_OP_READ, BLKIF_RSP_OKAY);
	assert_int_equal(r.box.stats.refused[REQUEST_READONLY], 1);
	rig_stop(&r);
}

static void a_read_needs_a_writable_grant_and_a_write_does_not(void **state)
{
	struct rig r;
	grant_ref_t readonly;

	rig_start(&r, 1, false);
	readonly = grant_box_grant(&r.box.grants, BLK_BOX_RING_FRAMES, true);
	for (uint8_t op = BLKIF_OP_READ; op <= BLKIF_OP_WRITE; op++) {
		struct blkif_request req = blk_box_request(&r.box, op, op, 0, 0, 1);

		req.seg[0].gref = readonly;
		blk_box_put(&r.box, &req);
	}
	assert_int_equal(rig_take(&r), 2);
	assert_int_equal(r.hold.nr, 1);
	rig_finish_io(&r, 0, 0);
	rig_expect(&r, BLKIF_OP_READ, BLKIF_OP_READ, BLKIF_RSP_ERROR);
	rig_expect(&r, BLKIF_OP_WRITE, BLKIF_OP_WRITE, BLKIF_RSP_OKAY);
	assert_int_equal(r.box.stats.grant_errors, 1);
	rig_stop(&r);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(segments_that_follow_each_other_become_one_piece),
		cmocka_unit_test(grants_are_held_until_the_io_has_finished),
		cmocka_unit_test(answers_come_as_the_engine_finishes_with_their_own_status),
		cmocka_unit_test(a_flush_waits_for_the_writes_before_it_and_holds_up_nothing_else),
		cmocka_unit_test(a_flush_with_no_write_before_it_goes_at_once),
		cmocka_unit_test(no_byte_of_an_answer_is_left_unwritten),
		cmocka_unit_test(one_wake_answers_a_burst),
		cmocka_unit_test(every_ring_size_is_used_to_its_last_slot),
		cmocka_unit_test(a_read_only_disk_refuses_writes_and_serves_reads),
		cmocka_unit_test(a_read_needs_a_writable_grant_and_a_write_does_not),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
