/*
 * test/unit/grant_copy_test.c - checked copies: page bounds, permissions, runs of ops, both ends of GNTTABOP_copy.
 */
#include "grant_box.h"
#include "test.h"

static void fill(uint8_t *p, size_t n, uint8_t seed)
{
	for (size_t i = 0; i < n; i++)
		p[i] = (uint8_t)(i * 7 + seed);
}

static void nothing_stays_pinned(struct grant_box *box)
{
	for (grant_ref_t ref = 0; ref < BOX_ENTRIES; ref++)
		if (box->active[ref].held || box->active[ref].lock || grant_table_in_use(box->table, ref))
			fail_msg("ref %u is still pinned", ref);
}

static void copies_stay_inside_the_page(void **state)
{
	static const struct {
		uint16_t offset, len;
		int16_t status;
	} t[] = {
		{0, 0, GNTST_okay}, {0, 1, GNTST_okay}, {0, 4096, GNTST_okay}, {4095, 1, GNTST_okay}, {4096, 0, GNTST_okay},
		{4096, 1, GNTST_bad_copy_arg}, {4095, 2, GNTST_bad_copy_arg}, {0, 4097, GNTST_bad_copy_arg},
		{1, 4096, GNTST_bad_copy_arg}, {0xffff, 0xffff, GNTST_bad_copy_arg}, {0xffff, 1, GNTST_bad_copy_arg},
		{100, 64, GNTST_okay}, {63, 129, GNTST_okay},
	};
	static uint8_t local[65536], expected[PAGE_BYTES];
	struct grant_box box;
	grant_ref_t ref;

	grant_box_init(&box, 1);
	ref = grant_box_grant(&box, 10, false);
	for (size_t i = 0; i < ARRAY_LEN(t); i++)
		for (int to_peer = 0; to_peer < 2; to_peer++) {
			struct grant_copy_op op = {local, ref, t[i].offset, t[i].len, to_peer, 77};
			uint8_t *page = grant_box_page(&box, 10);

			fill(page, PAGE_BYTES, 3);
			fill(local, sizeof(local), 90);
			assert_int_equal(grant_copy(&box.peer[0], &op, 1), t[i].status != GNTST_okay);
			assert_int_equal(op.status, t[i].status);
			fill(expected, PAGE_BYTES, 3);
			if (t[i].status == GNTST_okay && to_peer)
				memcpy(expected + t[i].offset, local, t[i].len);
			assert_memory_equal(page, expected, PAGE_BYTES);
			if (t[i].status == GNTST_okay && !to_peer)
				assert_memory_equal(local, page + t[i].offset, t[i].len);
			nothing_stays_pinned(&box);
		}
	grant_box_finish(&box);
}

static void every_op_of_a_batch_has_its_own_status(void **state)
{
	struct grant_box box;
	grant_ref_t rw, ro, outside;
	uint8_t b[6][8];

	grant_box_init(&box, 1);
	rw = grant_box_grant(&box, 1, false);
	ro = grant_box_grant(&box, 2, true);
	outside = grant_box_grant(&box, 1000, false);
	fill(b[0], sizeof(b), 5);
	struct grant_copy_op ops[] = {
		{b[0], rw, 0, 8, true, 77},	{b[1], rw, 8, 8, true, 77},	{b[2], ro, 0, 8, false, 77},
		{b[2], ro, 0, 8, true, 77},	{b[2], 500, 0, 8, true, 77},	{b[2], outside, 0, 8, true, 77},
		{b[2], UINT32_MAX, 0, 8, false, 77}, {b[2], rw, 4090, 8, true, 77}, {b[3], rw, 4, 8, false, 77},
		{b[4], rw, 16, 8, true, 77}, /* the same ref, first to read, then to write */
	};
	static const int16_t status[] = {
		GNTST_okay, GNTST_okay, GNTST_okay, GNTST_permission_denied, GNTST_bad_gntref, GNTST_bad_page,
		GNTST_bad_gntref, GNTST_bad_copy_arg, GNTST_okay, GNTST_okay,
	};
	assert_int_equal(grant_copy(&box.peer[0], ops, ARRAY_LEN(ops)), 5);
	for (size_t i = 0; i < ARRAY_LEN(ops); i++)
		assert_int_equal(ops[i].status, status[i]);
	assert_memory_equal(grant_box_page(&box, 1), b[0], 16);
	assert_memory_equal(b[3], b[0] + 4, 8);
	assert_memory_equal(grant_box_page(&box, 1) + 16, b[4], 8);
	nothing_stays_pinned(&box);
	assert_int_equal(grant_copy(&box.peer[0], NULL, 0), 0);
	grant_box_finish(&box);
}

static void a_ref_read_then_written_is_pinned_for_writing(void **state)
{
	struct grant_box box;
	grant_ref_t ro;
	uint8_t b[8] = {0};

	grant_box_init(&box, 1);
	ro = grant_box_grant(&box, 2, true);
	struct grant_copy_op ops[] = {{b, ro, 0, 8, false, 77}, {b, ro, 0, 8, true, 77}, {b, ro, 0, 8, false, 77}};
	assert_int_equal(grant_copy(&box.peer[0], ops, 3), 1);
	assert_int_equal(ops[0].status, GNTST_okay);
	assert_int_equal(ops[1].status, GNTST_permission_denied);
	assert_int_equal(ops[2].status, GNTST_okay);
	nothing_stays_pinned(&box);
	grant_box_finish(&box);
}

/* ---- GNTTABOP_copy --------------------------------------------------------------------------------------------- */

static struct gnttab_copy copy_op(uint64_t src, uint16_t src_offset, uint64_t dst, uint16_t dst_offset, uint16_t len,
				  uint16_t flags)
{
	struct gnttab_copy op = {.len = len, .flags = flags, .status = 77};

	op.source.offset = src_offset;
	op.dest.offset = dst_offset;
	op.source.u.gmfn = src;
	op.dest.u.gmfn = dst;
	if (flags & GNTCOPY_source_gref)
		op.source.u.ref = (grant_ref_t)src;
	if (flags & GNTCOPY_dest_gref)
		op.dest.u.ref = (grant_ref_t)dst;
	return op;
}

static void both_ends_can_be_a_ref_or_a_frame(void **state)
{
	struct grant_box a, b;
	grant_ref_t ra, rb;

	grant_box_init(&a, 1);
	grant_box_init(&b, 1);
	ra = grant_box_grant(&a, 1, true);
	rb = grant_box_grant(&b, 2, false);
	for (unsigned flags = 0; flags < 4; flags++) {
		bool src_is_ref = flags & GNTCOPY_source_gref, dst_is_ref = flags & GNTCOPY_dest_gref;
		struct gnttab_copy op = copy_op(src_is_ref ? ra : 1, 10, dst_is_ref ? rb : 2, 20, 30, (uint16_t)flags);

		fill(grant_box_page(&a, 1), PAGE_BYTES, (uint8_t)flags);
		memset(grant_box_page(&b, 2), 0, PAGE_BYTES);
		assert_int_equal(grant_copy_between(src_is_ref ? &a.peer[0] : NULL, &a.gate, dst_is_ref ? &b.peer[0] : NULL,
						    &b.gate, &op), GNTST_okay);
		assert_memory_equal(grant_box_page(&b, 2) + 20, grant_box_page(&a, 1) + 10, 30);
		assert_int_equal(grant_box_page(&b, 2)[19], 0);
		assert_int_equal(grant_box_page(&b, 2)[50], 0);
		nothing_stays_pinned(&a);
		nothing_stays_pinned(&b);
	}
	grant_box_finish(&b);
	grant_box_finish(&a);
}

static void a_bad_end_fails_the_copy_and_leaves_no_pin(void **state)
{
	enum { SRC = GNTCOPY_source_gref, DST = GNTCOPY_dest_gref };
	struct grant_box a;
	grant_ref_t ro, rw;

	grant_box_init(&a, 1);
	ro = grant_box_grant(&a, 1, true);
	rw = grant_box_grant(&a, 2, false);
	const struct {
		struct gnttab_copy op;
		int16_t status;
	} t[] = {
		{copy_op(ro, 0, rw, 0, 4096, SRC | DST), GNTST_okay},
		{copy_op(ro, 1, rw, 0, 4096, SRC | DST), GNTST_bad_copy_arg},
		{copy_op(ro, 0, rw, 1, 4096, SRC | DST), GNTST_bad_copy_arg},
		{copy_op(ro, 0xffff, rw, 0, 0xffff, SRC | DST), GNTST_bad_copy_arg},
		{copy_op(rw, 0, ro, 0, 1, SRC | DST), GNTST_permission_denied},
		{copy_op(rw, 0, 300, 0, 1, SRC | DST), GNTST_bad_gntref},
		{copy_op(300, 0, rw, 0, 1, SRC | DST), GNTST_bad_gntref},
		{copy_op(64, 0, rw, 0, 1, DST), GNTST_bad_page},
		{copy_op(rw, 0, 64, 0, 1, SRC), GNTST_bad_page},
		{copy_op(rw, 0, UINT64_MAX, 0, 1, SRC), GNTST_bad_page},
		{copy_op(rw, 0, rw, 8, 4088, SRC | DST), GNTST_okay}, /* over itself */
	};
	for (size_t i = 0; i < ARRAY_LEN(t); i++) {
		const struct gnttab_copy *op = &t[i].op;

		assert_int_equal(grant_copy_between(op->flags & SRC ? &a.peer[0] : NULL, &a.gate,
						    op->flags & DST ? &a.peer[0] : NULL, &a.gate, op), t[i].status);
		nothing_stays_pinned(&a);
	}
	struct gnttab_copy op = copy_op(1, 0, 2, 0, 1, 0);
	assert_int_equal(grant_copy_between(&a.peer[0], &a.gate, NULL, &a.gate, &op), GNTST_general_error);
	grant_box_finish(&a);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(copies_stay_inside_the_page),
		cmocka_unit_test(every_op_of_a_batch_has_its_own_status),
		cmocka_unit_test(a_ref_read_then_written_is_pinned_for_writing),
		cmocka_unit_test(both_ends_can_be_a_ref_or_a_frame),
		cmocka_unit_test(a_bad_end_fails_the_copy_and_leaves_no_pin),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
