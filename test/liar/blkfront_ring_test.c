/*
 * test/liar/blkfront_ring_test.c - blkfront's ring against back ends that lie.
 */
#include "blk_pair.h"
#include "liar.h"
#include "test.h"

/* Two reads are outstanding, taken by the back end; their ids on the wire. */
struct two {
	struct blk_pair p;
	struct blkfront_request req[2];
	struct blkif_request wire[2];
};

static void two_init(struct two *t)
{
	blk_pair_init(&t->p, 0);
	for (unsigned i = 0; i < 2; i++) {
		t->req[i] = (struct blkfront_request){
			.op = BLKIF_OP_READ, .sector = i, .nr_sectors = 8, .data = blk_pair_buffer(&t->p, i)};
		assert_int_equal(blkfront_ring_submit(&t->p.front, &t->req[i]), 0);
	}
	blkfront_ring_push(&t->p.front);
	for (unsigned i = 0; i < 2; i++)
		blkif_ring_back_take(&t->p.back.native, &t->wire[i]);
}

static unsigned poll_all(struct two *t)
{
	struct blkfront_request *done[8];

	blkif_ring_back_push(&t->p.back.native);
	return blkfront_ring_poll(&t->p.front, done, 8);
}

static void assert_dead(struct two *t)
{
	struct blkfront_request more = t->req[0], *done[8];

	assert_non_null(t->p.front.broken);
	assert_int_equal(blkfront_ring_submit(&t->p.front, &more), -ENODEV);
	assert_true(blkfront_ring_arm(&t->p.front));
	/* Everything comes back when the connection is given up. */
	blkfront_ring_abort(&t->p.front);
	blkfront_ring_poll(&t->p.front, done, 8);
	assert_int_equal(blkfront_ring_outstanding(&t->p.front), 0);
	assert_int_equal(t->p.front.grants.nr_free, t->p.front.grants.nr);
}

static void an_answer_nobody_waits_for_breaks_the_ring(void **state)
{
	static const struct {
		int64_t first, second; /* added to the id of request 0 */
		uint8_t op;
		bool is_broken;
	} t[] = {
		{0, 1, BLKIF_OP_READ, false},
		{1, 0, BLKIF_OP_READ, false},
		{0, 0, BLKIF_OP_READ, true},
		{1, 1, BLKIF_OP_READ, true},
		{2, 0, BLKIF_OP_READ, true},
		{32, 0, BLKIF_OP_READ, true},
		{0, 65536, BLKIF_OP_READ, true},
		{0, 1LL << 32, BLKIF_OP_READ, true},
		{-1, 0, BLKIF_OP_READ, true},
		{0, 1, BLKIF_OP_WRITE, true},
		{0, 1, BLKIF_OP_FLUSH_DISKCACHE, true},
		{0, 1, 255, true},
	};

	for (unsigned i = 0; i < ARRAY_LEN(t); i++) {
		struct two two;

		two_init(&two);
		blk_pair_answer(&two.p, two.wire[0].id + (uint64_t)t[i].first, BLKIF_OP_READ, BLKIF_RSP_OKAY);
		blk_pair_answer(&two.p, two.wire[0].id + (uint64_t)t[i].second, t[i].op, BLKIF_RSP_OKAY);
		poll_all(&two);
		if (t[i].is_broken)
			assert_dead(&two);
		else
			assert_null(two.p.front.broken);
		blk_pair_finish(&two.p);
	}
}

static void a_producer_index_far_ahead_breaks_the_ring(void **state)
{
	static const uint32_t jumps[] = {3, 33, 0x80000000u, UINT32_MAX};

	for (unsigned i = 0; i < ARRAY_LEN(jumps); i++) {
		struct blkfront_request *done[8];
		struct two two;

		two_init(&two);
		two.p.back.native.sh->head.rsp_prod = jumps[i];
		assert_int_equal(blkfront_ring_poll(&two.p.front, done, 8), 0);
		assert_dead(&two);
		blk_pair_finish(&two.p);
	}
}

static void any_status_but_okay_is_an_error(void **state)
{
	static const struct {
		int16_t status;
		int rc;
		unsigned strange;
	} t[] = {{0, 0, 0},   {-1, -EIO, 0}, {-2, -EOPNOTSUPP, 0}, {1, -EIO, 1},
		 {-3, -EIO, 1}, {INT16_MAX, -EIO, 1}, {INT16_MIN, -EIO, 1}};

	for (unsigned i = 0; i < ARRAY_LEN(t); i++) {
		struct two two;

		two_init(&two);
		blk_pair_answer(&two.p, two.wire[0].id, BLKIF_OP_READ, t[i].status);
		assert_int_equal(poll_all(&two), 1);
		assert_int_equal(two.req[0].status, t[i].rc);
		assert_int_equal(two.p.front.count->strange_status, t[i].strange);
		assert_null(two.p.front.broken);
		blk_pair_finish(&two.p);
	}
}

static void a_request_is_not_complete_while_the_back_end_holds_its_page(void **state)
{
	struct blkfront_request *done[8];
	struct two two;
	void *page;

	two_init(&two);
	assert_int_equal(grant_pin(&two.p.peer, two.wire[0].seg[0].gref, false, &page), GNTST_okay);
	blk_pair_answer(&two.p, two.wire[0].id, BLKIF_OP_READ, BLKIF_RSP_OKAY);
	blk_pair_answer(&two.p, two.wire[1].id, BLKIF_OP_READ, BLKIF_RSP_OKAY);
	assert_int_equal(poll_all(&two), 1); /* only the other one */
	assert_int_equal(two.p.front.count->held, 1);
	for (unsigned i = 0; i < 100; i++)
		assert_int_equal(blkfront_ring_poll(&two.p.front, done, 8), 0);
	assert_int_equal(blkfront_ring_outstanding(&two.p.front), 1);
	/* Neither its ref nor its id goes to another request meanwhile. */
	for (unsigned i = 0; i < 31; i++) {
		static struct blkfront_request more[31];
		struct blkif_request wire;

		more[i] = two.req[1];
		assert_int_equal(blkfront_ring_submit(&two.p.front, &more[i]), 0);
		blkfront_ring_push(&two.p.front);
		blkif_ring_back_take(&two.p.back.native, &wire);
		assert_int_not_equal(wire.id, two.wire[0].id);
		assert_int_not_equal(wire.seg[0].gref, two.wire[0].seg[0].gref);
	}
	assert_int_equal(blkfront_ring_submit(&two.p.front, &(struct blkfront_request){.op = BLKIF_OP_FLUSH_DISKCACHE}), -EAGAIN);
	/* A second answer to it is a lie. */
	grant_unpin(&two.p.peer, two.wire[0].seg[0].gref, false);
	assert_int_equal(blkfront_ring_poll(&two.p.front, done, 8), 1);
	assert_ptr_equal(done[0], &two.req[0]);
	assert_int_equal(two.req[0].status, 0);
	blkfront_ring_abort(&two.p.front);
	blk_pair_finish(&two.p);
}

static void a_page_held_over_the_end_of_the_connection_stays_withheld(void **state)
{
	struct blkfront_request *done[8];
	struct two two;
	void *page;

	two_init(&two);
	assert_int_equal(grant_pin(&two.p.peer, two.wire[0].seg[0].gref, false, &page), GNTST_okay);
	blkfront_ring_abort(&two.p.front);
	assert_int_equal(blkfront_ring_poll(&two.p.front, done, 8), 1);
	assert_ptr_equal(done[0], &two.req[1]);
	assert_int_equal(done[0]->status, -ENODEV);
	/* Also over the next connection. */
	blkfront_ring_prepare(&two.p.front, two.p.area, two.p.area_bytes, 0);
	blkfront_ring_start(&two.p.front);
	assert_int_equal(two.p.front.nr_free, 31);
	assert_int_equal(blkfront_ring_poll(&two.p.front, done, 8), 0);
	grant_unpin(&two.p.peer, two.wire[0].seg[0].gref, false);
	assert_int_equal(blkfront_ring_poll(&two.p.front, done, 8), 1);
	assert_int_equal(two.req[0].status, -ENODEV);
	assert_int_equal(two.p.front.nr_free, 32);
	blk_pair_finish(&two.p);
}

/* Long requests: an indirect one may be answered by what it asked for, or by its own name; nothing else. */
static void an_answer_to_an_indirect_request_is_checked_too(void **state)
{
	static const struct {
		uint8_t op;
		bool is_broken;
	} t[] = {{BLKIF_OP_READ, false}, {BLKIF_OP_INDIRECT, false}, {BLKIF_OP_WRITE, true}, {BLKIF_OP_FLUSH_DISKCACHE, true}};

	for (unsigned i = 0; i < ARRAY_LEN(t); i++) {
		struct blkfront_request req = {.op = BLKIF_OP_READ, .nr_sectors = 800}, *done[1];
		struct blkif_request wire;
		struct blk_pair p;

		blk_pair_init(&p, 0);
		blk_pair_add_lists(&p, 256);
		req.data = p.ram;
		assert_int_equal(blkfront_ring_submit(&p.front, &req), 0);
		blkfront_ring_push(&p.front);
		blkif_ring_back_take(&p.back.native, &wire);
		blk_pair_answer(&p, wire.id, t[i].op, BLKIF_RSP_OKAY);
		blkif_ring_back_push(&p.back.native);
		assert_int_equal(blkfront_ring_poll(&p.front, done, 1), !t[i].is_broken);
		assert_int_equal(p.front.broken != NULL, t[i].is_broken);
		blkfront_ring_abort(&p.front);
		blk_pair_finish(&p);
	}
	/* The name alone is no answer to a short one. */
	struct two two;

	two_init(&two);
	blk_pair_answer(&two.p, two.wire[0].id, BLKIF_OP_INDIRECT, BLKIF_RSP_OKAY);
	poll_all(&two);
	assert_dead(&two);
	blk_pair_finish(&two.p);
}

/* Lists are few here: each that was answered may be written again, none before. */
static void a_list_is_not_written_again_before_the_answer(void **state)
{
	struct blkfront_request req[20] = {{0}}, *done[20];
	struct blkif_request_indirect wire[BLK_PAIR_LISTS];
	struct blk_pair p;

	blk_pair_init(&p, 2);
	blk_pair_add_lists(&p, 32);
	for (unsigned i = 0; i < BLK_PAIR_LISTS + 1; i++) {
		struct blkif_request taken;

		req[i] = (struct blkfront_request){.op = BLKIF_OP_WRITE, .nr_sectors = 12 * 8, .data = blk_pair_buffer(&p, i * 12)};
		assert_int_equal(blkfront_ring_submit(&p.front, &req[i]), 0);
		blkfront_ring_push(&p.front);
		blkif_ring_back_take(&p.back.native, &taken);
		if (i < BLK_PAIR_LISTS) {
			memcpy(&wire[i], &taken, sizeof(wire[i]));
			assert_int_equal(wire[i].operation, BLKIF_OP_INDIRECT);
			for (unsigned k = 0; k < i; k++)
				assert_int_not_equal(wire[i].indirect_grefs[0], wire[k].indirect_grefs[0]);
		} else { /* no list is left: two short ones */
			assert_int_equal(taken.operation, BLKIF_OP_WRITE);
			blkif_ring_back_take(&p.back.native, &taken);
		}
	}
	assert_int_equal(p.front.count->split, 1);
	blk_pair_answer(&p, wire[3].id, BLKIF_OP_WRITE, BLKIF_RSP_OKAY);
	blkif_ring_back_push(&p.back.native);
	assert_int_equal(blkfront_ring_poll(&p.front, done, 20), 1);
	assert_int_equal(p.front.lists.nr_free, 1);
	blkfront_ring_abort(&p.front);
	blk_pair_finish(&p);
}

/* With a pool, what the back end does to a page after its answer does not reach the caller's buffer. */
static void a_pooled_page_that_changes_after_the_answer_changes_nothing(void **state)
{
	struct blkfront_request req = {.op = BLKIF_OP_READ, .nr_sectors = 8}, *done[1];
	uint8_t buffer[4096];
	struct blkif_request wire;
	struct blk_pair p;
	void *page;

	blk_pair_init(&p, 0);
	blk_pair_add_pool(&p, 16, true);
	req.data = buffer;
	assert_int_equal(blkfront_ring_submit(&p.front, &req), 0);
	blkfront_ring_push(&p.front);
	blkif_ring_back_take(&p.back.native, &wire);
	assert_int_equal(grant_pin(&p.peer, wire.seg[0].gref, false, &page), GNTST_okay);
	memset(page, 0x33, 4096);
	blk_pair_answer(&p, wire.id, BLKIF_OP_READ, BLKIF_RSP_OKAY);
	blkif_ring_back_push(&p.back.native);
	assert_int_equal(blkfront_ring_poll(&p.front, done, 1), 1); /* though the page is still pinned */
	memset(page, 0x44, 4096);
	for (unsigned i = 0; i < sizeof(buffer); i++)
		assert_int_equal(buffer[i], 0x33);
	assert_int_equal(p.front.count->held, 0);
	grant_unpin(&p.peer, wire.seg[0].gref, false);
	blk_pair_finish(&p);
}

static LIAR_CODE void scribble(void *arg, uint32_t random)
{
	struct blk_pair *p = arg;

	((volatile uint32_t *)p->area)[random % (PAGE_BYTES / 4)] = (random >> 8) % 40;
}

/* Uses the ring while it is scribbled over; starts again when it broke, as a reconnect does. */
static LIAR_CODE void use_while_scribbled(struct blk_pair *p, struct blkfront_request *req, unsigned rounds)
{
	struct blkfront_request *done[8];

	for (unsigned round = 0; round < rounds; round++) {
		for (unsigned i = 0; i < 8; i++) {
			if (req[i].is_busy)
				continue;
			req[i].op = round % 2 ? BLKIF_OP_READ : BLKIF_OP_WRITE;
			req[i].nr_sectors = 1 + round % 100;
			req[i].data = blk_pair_buffer(p, i * 20);
			blkfront_ring_submit(&p->front, &req[i]);
		}
		blkfront_ring_push(&p->front);
		blkfront_ring_poll(&p->front, done, 8);
		blkfront_ring_arm(&p->front);
		if (p->front.broken) {
			blkfront_ring_abort(&p->front);
			blkfront_ring_poll(&p->front, done, 8);
			blkfront_ring_prepare(&p->front, p->area, p->area_bytes, 0);
			blkfront_ring_start(&p->front);
		}
	}
}

static void a_back_end_that_scribbles_harms_only_itself(void **state)
{
	struct blkfront_request req[8] = {0}, *done[8];
	struct blk_pair p;
	struct liar l;

	blk_pair_init(&p, 0);
	liar_start(&l, scribble, &p);
	do
		use_while_scribbled(&p, req, 200);
	while (!liar_has_told(&l, 20000));
	liar_stop(&l);
	blkfront_ring_abort(&p.front);
	while (blkfront_ring_poll(&p.front, done, 8))
		;
	assert_int_equal(blkfront_ring_outstanding(&p.front), 0);
	assert_int_equal(p.front.grants.nr_free, p.front.grants.nr);
	blk_pair_finish(&p);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(an_answer_nobody_waits_for_breaks_the_ring),
		cmocka_unit_test(a_producer_index_far_ahead_breaks_the_ring),
		cmocka_unit_test(any_status_but_okay_is_an_error),
		cmocka_unit_test(a_request_is_not_complete_while_the_back_end_holds_its_page),
		cmocka_unit_test(a_page_held_over_the_end_of_the_connection_stays_withheld),
		cmocka_unit_test(an_answer_to_an_indirect_request_is_checked_too),
		cmocka_unit_test(a_list_is_not_written_again_before_the_answer),
		cmocka_unit_test(a_pooled_page_that_changes_after_the_answer_changes_nothing),
		cmocka_unit_test(a_back_end_that_scribbles_harms_only_itself),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
