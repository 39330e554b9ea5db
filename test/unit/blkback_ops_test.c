/*
 * test/unit/blkback_ops_test.c - big requests, barriers, discards, the 32-bit layout, copied and persistent pages, limits.
 */
#include "blk_rig.h"

static struct blkif_request big(struct rig *r, uint8_t op, uint64_t id, uint64_t sector, unsigned page, unsigned nr_pages, unsigned desc)
{
	struct blkif_request req = blk_box_request(&r->box, op, id, sector, page, nr_pages);

	blk_box_make_big(&r->box, &req, desc);
	return req;
}

static void a_big_request_goes_to_the_engine_whole(void **state)
{
	struct blkif_request_segment *seg;
	struct blkif_request req;
	struct rig r;

	rig_start_as(&r, &(struct blk_box_options){.max_segments = 256}, false);
	req = big(&r, BLKIF_OP_WRITE, 7, 16, 0, 11, 40);
	seg = (struct blkif_request_segment *)blk_box_data(&r.box, 40);
	for (unsigned i = 11; i < 32; i++)
		seg[i] = (struct blkif_request_segment){.gref = r.box.ref[i], .first_sect = 0, .last_sect = 7};
	((struct blkif_request_indirect *)&req)->nr_segments = 32;
	blk_box_put(&r.box, &req);
	assert_int_equal(rig_take(&r), 1);
	assert_int_equal(r.hold.nr, 1);
	assert_int_equal(r.hold.held[0]->op, DISK_WRITE);
	assert_int_equal(r.hold.held[0]->nr_iov, 1); /* the pages follow each other */
	assert_int_equal(r.hold.held[0]->left_bytes, 32 * PAGE_BYTES);
	assert_int_equal(r.hold.held[0]->offset_bytes, 16 * 512);
	memset(seg, 0xff, PAGE_BYTES); /* too late */
	assert_true(grant_table_in_use(r.box.grants.table, r.box.ref[31]));
	assert_false(grant_table_in_use(r.box.grants.table, r.box.ref[40]));
	rig_finish_io(&r, 0, 0);
	rig_expect(&r, 7, BLKIF_OP_WRITE, BLKIF_RSP_OKAY);
	assert_int_equal(r.box.stats.indirect, 1);
	assert_int_equal(r.box.stats.write_sectors, 256);
	rig_stop(&r);
}

static void a_lie_in_any_descriptor_refuses_the_whole_request(void **state)
{
	struct blkif_request_segment *seg;
	struct rig r;

	rig_start_as(&r, &(struct blk_box_options){.max_segments = 256}, false);
	for (unsigned bad = 0; bad < 11; bad++)
		for (unsigned kind = 0; kind < 4; kind++) {
			struct blkif_request req = big(&r, BLKIF_OP_READ, bad, 0, 0, 11, 40);

			seg = (struct blkif_request_segment *)blk_box_data(&r.box, 40);
			if (kind == 0)
				seg[bad].last_sect = 8;
			else if (kind == 1)
				seg[bad].first_sect = 8;
			else if (kind == 2)
				seg[bad].gref = 900;
			else
				((struct blkif_request_indirect *)&req)->indirect_grefs[0] = 900 + bad;
			blk_box_put(&r.box, &req);
			assert_int_equal(rig_take(&r), 1);
			assert_int_equal(r.hold.nr, 0);
			io_answer(&r.io);
			rig_expect(&r, bad, BLKIF_OP_READ, BLKIF_RSP_ERROR);
			assert_false(blk_box_grants_in_use(&r.box));
		}
	assert_int_equal(r.box.stats.refused[REQUEST_MALFORMED], 22);
	assert_int_equal(r.box.stats.grant_errors, 22);
	rig_stop(&r);
}

static void big_requests_wait_in_the_ring_when_their_memory_is_used_up(void **state)
{
	struct blkif_request req;
	struct rig r;

	rig_start_as(&r, &(struct blk_box_options){.max_segments = 4096}, false); /* two of the largest at once */
	for (unsigned i = 0; i < 4; i++) {
		req = big(&r, BLKIF_OP_READ, i, 0, i, 1, 40 + i);
		blk_box_put(&r.box, &req);
	}
	rig_put(&r, BLKIF_OP_READ, 4, 0, 5, 1);
	assert_int_equal(rig_take(&r), 2);
	assert_int_equal(r.hold.nr, 2);
	assert_false(io_final_check(&r.io)); /* what runs will say when there is more to do */
	assert_int_equal(io_take(&r.io), 0);
	rig_finish_io(&r, 1, 0);
	rig_expect(&r, 1, BLKIF_OP_READ, BLKIF_RSP_OKAY);
	assert_int_equal(io_take(&r.io), 1);
	rig_finish_io(&r, 0, 0);
	rig_finish_io(&r, 0, 0);
	assert_true(io_final_check(&r.io));
	assert_int_equal(io_take(&r.io), 2);
	rig_finish_io(&r, 0, 0);
	rig_finish_io(&r, 0, 0);
	assert_true(r.box.stats.waits_memory > 0);
	for (unsigned i = 0; i < 4; i++) {
		struct blkif_response rsp;

		blkif_ring_front_take(&r.box.front, &rsp);
		assert_int_equal(rsp.status, BLKIF_RSP_OKAY);
	}
	rig_stop(&r);
}

static void a_barrier_runs_alone_between_two_flushes(void **state)
{
	static const enum disk_op steps[] = {DISK_FLUSH, DISK_WRITE, DISK_FLUSH};
	struct rig r;

	rig_start(&r, 1, false);
	rig_put(&r, BLKIF_OP_WRITE, 1, 0, 0, 1);
	rig_put(&r, BLKIF_OP_WRITE_BARRIER, 2, 8, 1, 1);
	rig_put(&r, BLKIF_OP_WRITE, 3, 16, 2, 1);
	assert_int_equal(rig_take(&r), 1);
	assert_int_equal(io_take(&r.io), 0);
	assert_false(io_final_check(&r.io));
	rig_finish_io(&r, 0, 0);
	rig_expect(&r, 1, BLKIF_OP_WRITE, BLKIF_RSP_OKAY);
	assert_int_equal(io_take(&r.io), 1);
	for (unsigned i = 0; i < 3; i++) {
		assert_int_equal(r.hold.nr, 1);
		assert_int_equal(r.hold.held[0]->op, steps[i]);
		assert_int_equal(io_take(&r.io), 0);
		assert_false(io_final_check(&r.io));
		rig_expect_none(&r);
		rig_finish_io(&r, 0, 0);
	}
	rig_expect(&r, 2, BLKIF_OP_WRITE_BARRIER, BLKIF_RSP_OKAY);
	assert_int_equal(io_take(&r.io), 1);
	rig_finish_io(&r, 0, 0);
	rig_expect(&r, 3, BLKIF_OP_WRITE, BLKIF_RSP_OKAY);
	assert_int_equal(r.box.stats.barriers, 1);
	rig_stop(&r);
}

static void a_barrier_that_fails_at_any_step_fails_and_lets_go(void **state)
{
	for (unsigned fails = 0; fails < 3; fails++) {
		struct rig r;

		rig_start(&r, 1, false);
		rig_put(&r, BLKIF_OP_WRITE_BARRIER, 2, 8, 1, 1);
		rig_put(&r, BLKIF_OP_READ, 3, 16, 2, 1);
		assert_int_equal(rig_take(&r), 1);
		for (unsigned i = 0; i <= fails; i++)
			rig_finish_io(&r, 0, i == fails ? -EIO : 0);
		rig_expect(&r, 2, BLKIF_OP_WRITE_BARRIER, BLKIF_RSP_ERROR);
		assert_false(blk_box_grants_in_use(&r.box));
		assert_int_equal(io_take(&r.io), 1);
		rig_finish_io(&r, 0, 0);
		rig_expect(&r, 3, BLKIF_OP_READ, BLKIF_RSP_OKAY);
		rig_stop(&r);
	}
}

static void a_barrier_without_data_is_a_flush(void **state)
{
	struct rig r;

	rig_start(&r, 1, false);
	rig_put(&r, BLKIF_OP_WRITE_BARRIER, 2, 0, 0, 0);
	assert_int_equal(rig_take(&r), 1);
	assert_int_equal(r.hold.held[0]->op, DISK_FLUSH);
	rig_finish_io(&r, 0, 0);
	assert_int_equal(r.hold.nr, 0);
	rig_expect(&r, 2, BLKIF_OP_WRITE_BARRIER, BLKIF_RSP_OKAY);
	rig_stop(&r);
}

static void a_discard_names_its_range_and_kind(void **state)
{
	struct rig r;

	rig_start(&r, 1, false);
	for (unsigned i = 0; i < 3; i++) { /* a plain one, a secure one that fails, and one that does not */
		bool is_secure = i > 0, fails = i == 1;
		struct blkif_request_discard discard = {.operation = BLKIF_OP_DISCARD,
							.flag = is_secure ? BLKIF_DISCARD_SECURE : 0,
							.id = i,
							.sector_number = 24,
							.nr_sectors = RIG_SECTORS - 24};
		struct blkif_request req;

		memset(&req, 0, sizeof(req));
		memcpy(&req, &discard, sizeof(discard));
		blk_box_put(&r.box, &req);
		assert_int_equal(rig_take(&r), 1);
		assert_int_equal(r.hold.held[0]->op, is_secure ? DISK_SECURE_DISCARD : DISK_DISCARD);
		assert_int_equal(r.hold.held[0]->offset_bytes, 24 * 512);
		assert_int_equal(r.hold.held[0]->left_bytes, (RIG_SECTORS - 24) * 512);
		assert_int_equal(r.hold.held[0]->nr_iov, 0);
		rig_finish_io(&r, 0, fails ? -EIO : 0);
		rig_expect(&r, i, BLKIF_OP_DISCARD, fails ? BLKIF_RSP_ERROR : BLKIF_RSP_OKAY);
	}
	assert_int_equal(r.box.stats.discards, 2);
	assert_int_equal(r.box.stats.secure_discards, 1);
	assert_int_equal(r.box.stats.discard_errors, 1);
	rig_stop(&r);
}

/* Bytes as a 32-bit guest lays them out. */
static void put_narrow(struct rig *r, unsigned slot, const void *bytes, size_t n)
{
	uint8_t *at = (uint8_t *)r->box.front.sh + 64 + slot * 108;

	memcpy(at, bytes, n);
	store_release(&r->box.front.sh->head.req_prod, slot + 1);
}

static void the_32_bit_layout_is_understood(void **state)
{
	uint32_t rw[27] = {BLKIF_OP_READ | 2 << 8, 0x11, 0, 8, 0}, discard[7] = {BLKIF_OP_DISCARD, 0x22, 0, 16, 0, 24, 0};
	uint32_t indirect[14] = {BLKIF_OP_INDIRECT | BLKIF_OP_WRITE << 8 | 1 << 16, 0x33, 0x44, 32, 0, 0};
	static const uint32_t answer[3] = {0x11, 0, BLKIF_OP_READ};
	struct rig r;

	rig_start_as(&r, &(struct blk_box_options){.max_segments = 256}, true);
	for (unsigned i = 0; i < 2; i++) {
		rw[5 + 2 * i] = r.box.ref[i];
		rw[6 + 2 * i] = 0 | 7 << 8;
	}
	indirect[6] = r.box.ref[9];
	*(struct blkif_request_segment *)blk_box_data(&r.box, 9) =
		(struct blkif_request_segment){.gref = r.box.ref[3], .first_sect = 1, .last_sect = 1};
	put_narrow(&r, 0, rw, 108);
	put_narrow(&r, 1, discard, sizeof(discard));
	put_narrow(&r, 2, indirect, sizeof(indirect));
	assert_int_equal(io_take(&r.io), 3);
	assert_int_equal(r.hold.nr, 3);
	assert_int_equal(r.hold.held[0]->offset_bytes, 8 * 512);
	assert_int_equal(r.hold.held[0]->left_bytes, 2 * PAGE_BYTES);
	assert_int_equal(r.hold.held[1]->op, DISK_DISCARD);
	assert_int_equal(r.hold.held[1]->offset_bytes, 16 * 512);
	assert_int_equal(r.hold.held[1]->left_bytes, 24 * 512);
	assert_int_equal(r.hold.held[2]->op, DISK_WRITE);
	assert_int_equal(r.hold.held[2]->offset_bytes, 32 * 512);
	assert_ptr_equal(r.hold.held[2]->iov[0].iov_base, blk_box_data(&r.box, 3) + 512);
	for (unsigned i = 0; i < 3; i++)
		rig_finish_io(&r, 0, 0);
	assert_int_equal(load_relaxed(&r.box.front.sh->head.rsp_prod), 3);
	assert_memory_equal((uint8_t *)r.box.front.sh + 64, answer, sizeof(answer));
	assert_int_equal(*(uint32_t *)((uint8_t *)r.box.front.sh + 64 + 108), 0x22);
	assert_int_equal(*(uint32_t *)((uint8_t *)r.box.front.sh + 64 + 108 + 8), BLKIF_OP_DISCARD);
	assert_int_equal(*(uint32_t *)((uint8_t *)r.box.front.sh + 64 + 216 + 4), 0x44);
	assert_int_equal(*(uint32_t *)((uint8_t *)r.box.front.sh + 64 + 216 + 8), BLKIF_OP_WRITE);
	rig_stop(&r);
}

static void copied_writes_are_what_the_page_held_when_they_were_taken(void **state)
{
	struct rig r;

	rig_start_as(&r, &(struct blk_box_options){.mode = PAGES_COPY}, false);
	memset(blk_box_data(&r.box, 0), 'a', PAGE_BYTES);
	memset(blk_box_data(&r.box, 2), 'b', PAGE_BYTES);
	rig_put(&r, BLKIF_OP_WRITE, 1, 0, 0, 3);
	assert_int_equal(rig_take(&r), 1);
	memset(blk_box_data(&r.box, 0), 'x', 3 * PAGE_BYTES);
	assert_int_equal(r.hold.held[0]->nr_iov, 1); /* one piece whatever the guest's pages are */
	assert_int_equal(r.hold.held[0]->iov[0].iov_len, 3 * PAGE_BYTES);
	assert_int_equal(((char *)r.hold.held[0]->iov[0].iov_base)[0], 'a');
	assert_int_equal(((char *)r.hold.held[0]->iov[0].iov_base)[3 * PAGE_BYTES - 1], 'b');
	assert_false(blk_box_grants_in_use(&r.box));
	rig_finish_io(&r, 0, 0);
	rig_expect(&r, 1, BLKIF_OP_WRITE, BLKIF_RSP_OKAY);
	rig_stop(&r);
}

static void copied_reads_reach_the_guest_when_they_are_answered(void **state)
{
	struct blkif_request req;
	struct rig r;

	rig_start_as(&r, &(struct blk_box_options){.mode = PAGES_COPY}, false);
	req = blk_box_request(&r.box, BLKIF_OP_READ, 1, 0, 0, 2);
	req.seg[1].first_sect = 3;
	req.seg[1].last_sect = 3;
	blk_box_put(&r.box, &req);
	assert_int_equal(rig_take(&r), 1);
	memset(r.hold.held[0]->iov[0].iov_base, 'd', PAGE_BYTES + 512);
	assert_int_equal(blk_box_data(&r.box, 0)[0], 0);
	rig_finish_io(&r, 0, 0);
	rig_expect(&r, 1, BLKIF_OP_READ, BLKIF_RSP_OKAY);
	assert_int_equal(blk_box_data(&r.box, 0)[0], 'd');
	assert_int_equal(blk_box_data(&r.box, 0)[PAGE_BYTES - 1], 'd');
	assert_int_equal(blk_box_data(&r.box, 1)[3 * 512 - 1], 0);
	assert_int_equal(blk_box_data(&r.box, 1)[3 * 512], 'd');
	assert_int_equal(blk_box_data(&r.box, 1)[4 * 512], 0);
	rig_stop(&r);
}

static void a_copy_that_fails_fails_its_own_request_only(void **state)
{
	struct disk_io *done[3];
	struct rig r;

	rig_start_as(&r, &(struct blk_box_options){.mode = PAGES_COPY}, false);
	for (unsigned i = 0; i < 3; i++)
		rig_put(&r, BLKIF_OP_READ, i, 0, i * 2, 2);
	assert_int_equal(rig_take(&r), 3);
	for (unsigned i = 0; i < 3; i++) {
		done[i] = r.hold.held[i];
		memset(done[i]->iov[0].iov_base, 'a' + (int)i, 2 * PAGE_BYTES);
	}
	r.box.grants.entries_sh[r.box.ref[3]].flags = 0; /* the guest takes a page of the second back */
	io_complete(&r.io, done, 3);
	io_answer(&r.io);
	rig_expect(&r, 0, BLKIF_OP_READ, BLKIF_RSP_OKAY);
	rig_expect(&r, 1, BLKIF_OP_READ, BLKIF_RSP_ERROR);
	rig_expect(&r, 2, BLKIF_OP_READ, BLKIF_RSP_OKAY);
	assert_int_equal(blk_box_data(&r.box, 0)[0], 'a');
	assert_int_equal(blk_box_data(&r.box, 4)[0], 'c');
	assert_int_equal(r.box.stats.grant_errors, 1);
	assert_int_equal(r.box.stats.reads, 2);
	rig_stop(&r);
}

static void rig_round(struct rig *r, uint8_t op, unsigned page, unsigned nr_pages)
{
	rig_put(r, op, page, 0, page, nr_pages);
	assert_int_equal(rig_take(r), 1);
	rig_finish_io(r, 0, 0);
	rig_expect(r, page, op, BLKIF_RSP_OKAY);
}

static void persistent_pages_stay_mapped_until_others_need_the_room(void **state)
{
	struct rig r;

	rig_start_as(&r, &(struct blk_box_options){.mode = PAGES_PERSISTENT, .nr_persistent = 4}, false);
	rig_round(&r, BLKIF_OP_WRITE, 0, 3); /* kept: 0 1 2 */
	for (unsigned i = 0; i < 3; i++)
		assert_true(grant_table_in_use(r.box.grants.table, r.box.ref[i]));
	rig_round(&r, BLKIF_OP_READ, 0, 1); /* mapped writable at once; now the newest */
	assert_int_equal(r.io.pages.persistent.nr, 3);
	rig_round(&r, BLKIF_OP_READ, 10, 2); /* 3 and the room of 1, the oldest */
	assert_int_equal(r.io.pages.persistent.nr, 4);
	assert_false(grant_table_in_use(r.box.grants.table, r.box.ref[1]));
	assert_true(grant_table_in_use(r.box.grants.table, r.box.ref[0]));
	/* More than there is room for: served, and not kept. */
	rig_round(&r, BLKIF_OP_WRITE, 20, 11);
	assert_int_equal(r.io.pages.persistent.nr, 4);
	rig_stop(&r); /* all are unmapped */
}

static void persistent_pages_that_are_not_used_are_let_go(void **state)
{
	struct rig r;

	rig_start_as(&r, &(struct blk_box_options){.mode = PAGES_PERSISTENT, .nr_persistent = 100}, false);
	r.io.now_ns = 1000;
	rig_round(&r, BLKIF_OP_WRITE, 0, 11);
	r.io.now_ns = 2000;
	rig_round(&r, BLKIF_OP_WRITE, 0, 2);
	r.io.pages.now_ns = 1500 + r.io.pages.unused_ns;
	assert_int_equal(pages_drop_unused(&r.io.pages), 2);
	assert_true(grant_table_in_use(r.box.grants.table, r.box.ref[1]));
	assert_false(grant_table_in_use(r.box.grants.table, r.box.ref[2]));
	rig_stop(&r);
}

static void quota_of_maps_that_is_small_costs_no_request(void **state)
{
	struct blkif_request bad;
	struct rig r;

	rig_start_as(&r, &(struct blk_box_options){.mode = PAGES_PERSISTENT, .nr_persistent = 100}, false);
	grant_maptrack_destroy(r.box.grants.maptrack);
	assert_int_equal(grant_maptrack_create(12, &r.box.grants.maptrack), 0);
	rig_round(&r, BLKIF_OP_WRITE, 0, 11);
	rig_round(&r, BLKIF_OP_WRITE, 20, 5);
	assert_int_equal(r.io.pages.persistent.nr, 5);
	assert_false(grant_table_in_use(r.box.grants.table, r.box.ref[0]));
	/* Pages in use stay: what has no room then is copied. A grant that is bad fails as ever. */
	rig_put(&r, BLKIF_OP_WRITE, 1, 0, 0, 11);
	rig_put(&r, BLKIF_OP_WRITE, 2, 0, 30, 5);
	rig_put(&r, BLKIF_OP_READ, 3, 0, 40, 5);
	bad = blk_box_request(&r.box, BLKIF_OP_READ, 4, 0, 20, 5);
	bad.seg[2].gref = 900;
	blk_box_put(&r.box, &bad);
	memset(blk_box_data(&r.box, 34), 'w', PAGE_BYTES);
	assert_int_equal(rig_take(&r), 4);
	assert_int_equal(r.hold.nr, 4);
	assert_int_equal(r.hold.held[1]->nr_iov, 1);
	assert_int_equal(((char *)r.hold.held[1]->iov[0].iov_base)[4 * PAGE_BYTES], 'w');
	memset(r.hold.held[2]->iov[0].iov_base, 'r', 5 * PAGE_BYTES);
	assert_int_equal(blk_box_data(&r.box, 44)[0], 0);
	while (r.hold.nr)
		rig_finish_io(&r, 0, 0);
	rig_expect(&r, 1, BLKIF_OP_WRITE, BLKIF_RSP_OKAY);
	rig_expect(&r, 2, BLKIF_OP_WRITE, BLKIF_RSP_OKAY);
	rig_expect(&r, 3, BLKIF_OP_READ, BLKIF_RSP_OKAY);
	rig_expect(&r, 4, BLKIF_OP_READ, BLKIF_RSP_ERROR);
	assert_int_equal(blk_box_data(&r.box, 44)[PAGE_BYTES - 1], 'r');
	rig_stop(&r);
}

static void one_page_twice_in_a_burst_is_kept_once(void **state)
{
	struct rig r;

	rig_start_as(&r, &(struct blk_box_options){.mode = PAGES_PERSISTENT, .nr_persistent = 100}, false);
	rig_put(&r, BLKIF_OP_WRITE, 1, 0, 0, 1);
	rig_put(&r, BLKIF_OP_WRITE, 2, 8, 0, 1);
	assert_int_equal(rig_take(&r), 2);
	assert_int_equal(r.io.pages.persistent.nr, 1);
	rig_finish_io(&r, 0, 0);
	rig_finish_io(&r, 0, 0);
	assert_true(blk_box_grants_in_use(&r.box));
	rig_stop(&r);
}

static void requests_over_the_limit_stay_in_the_ring(void **state)
{
	struct rig r;

	rig_start(&r, 1, false);
	limit_set(&r.box.limit, LIMIT_WRITE_IOPS, 1000);
	limit_set_burst(&r.box.limit, 2);
	r.io.now_ns = 1000000000;
	for (unsigned i = 0; i < 8; i++)
		rig_put(&r, BLKIF_OP_WRITE, i, 0, i, 1);
	assert_int_equal(rig_take(&r), 3); /* two saved up, and one that is paid for afterwards */
	assert_false(io_final_check(&r.io));
	assert_int_equal(r.io.retry_ns, 1001000000);
	r.io.now_ns = r.io.retry_ns;
	assert_int_equal(io_take(&r.io), 1);
	limit_set(&r.box.limit, LIMIT_WRITE_IOPS, 0);
	assert_int_equal(io_take(&r.io), 4);
	while (r.hold.nr)
		rig_finish_io(&r, 0, 0);
	assert_int_equal(r.box.stats.writes, 8);
	assert_int_equal(r.box.stats.waits_limit, 2);
	rig_stop(&r);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_big_request_goes_to_the_engine_whole),
		cmocka_unit_test(a_lie_in_any_descriptor_refuses_the_whole_request),
		cmocka_unit_test(big_requests_wait_in_the_ring_when_their_memory_is_used_up),
		cmocka_unit_test(a_barrier_runs_alone_between_two_flushes),
		cmocka_unit_test(a_barrier_that_fails_at_any_step_fails_and_lets_go),
		cmocka_unit_test(a_barrier_without_data_is_a_flush),
		cmocka_unit_test(a_discard_names_its_range_and_kind),
		cmocka_unit_test(the_32_bit_layout_is_understood),
		cmocka_unit_test(copied_writes_are_what_the_page_held_when_they_were_taken),
		cmocka_unit_test(copied_reads_reach_the_guest_when_they_are_answered),
		cmocka_unit_test(a_copy_that_fails_fails_its_own_request_only),
		cmocka_unit_test(persistent_pages_stay_mapped_until_others_need_the_room),
		cmocka_unit_test(persistent_pages_that_are_not_used_are_let_go),
		cmocka_unit_test(quota_of_maps_that_is_small_costs_no_request),
		cmocka_unit_test(one_page_twice_in_a_burst_is_kept_once),
		cmocka_unit_test(requests_over_the_limit_stay_in_the_ring),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
