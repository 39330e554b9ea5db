/*
 * test/lib/blk_guest.c - a guest that checks every block against what it last wrote there.
 */
#include "blk_guest.h"

#include "test.h"

static unsigned page_of(unsigned place, unsigned i)
{
	return place * (BLK_GUEST_PAGES + 1) + i;
}

static void fill(struct blk_guest *g, unsigned place, unsigned page, uint32_t stamp)
{
	uint32_t *words = (uint32_t *)blk_box_data(&g->box, page_of(place, page));

	for (unsigned i = 0; i < PAGE_BYTES / sizeof(*words); i++)
		words[i] = stamp;
}

static void check(struct blk_guest *g, unsigned place, unsigned page, uint32_t stamp)
{
	const uint32_t *words = (const uint32_t *)blk_box_data(&g->box, page_of(place, page));

	for (unsigned i = 0; i < PAGE_BYTES / sizeof(*words); i++)
		if (words[i] != stamp)
			fail_msg("block holds %x, should be %x", words[i], stamp);
}

static bool claim(struct blk_guest *g, unsigned block, unsigned nr_pages)
{
	for (unsigned i = 0; i < nr_pages; i++)
		if (block + i >= BLK_GUEST_BLOCKS || g->is_busy[block + i])
			return false;
	for (unsigned i = 0; i < nr_pages; i++)
		g->is_busy[block + i] = true;
	return true;
}

static void put(struct blk_guest *g, unsigned place, bool is_big)
{
	struct blkif_request req = blk_box_request(&g->box, g->place[place].op, g->place[place].id,
						   (uint64_t)g->place[place].block * BLKIF_SECTORS_PER_PAGE, page_of(place, 0),
						   g->place[place].nr_pages);

	if (is_big)
		blk_box_make_big(&g->box, &req, page_of(place, BLK_GUEST_PAGES));
	blk_box_put(&g->box, &req);
}

static uint8_t choose_op(uint32_t dice)
{
	switch (dice % 256) { /* each costs the disk under the test its milliseconds */
	case 0:
		return BLKIF_OP_WRITE_BARRIER;
	case 1:
	case 2:
		return BLKIF_OP_FLUSH_DISKCACHE;
	default:
		return dice >> 5 & 1;
	}
}

static bool send_one(struct blk_guest *g, unsigned place)
{
	uint32_t dice = test_random(&g->random);
	unsigned block = dice % BLK_GUEST_BLOCKS, nr_pages = 1 + (dice >> 20) % BLK_GUEST_PAGES;
	uint8_t op = choose_op(dice >> 8);

	if (op == BLKIF_OP_FLUSH_DISKCACHE)
		nr_pages = 0;
	if (!claim(g, block, nr_pages))
		return false;
	g->place[place].is_used = true;
	g->place[place].op = op;
	g->place[place].id = g->next_id++ << 8 | place;
	g->place[place].block = block;
	g->place[place].nr_pages = nr_pages;
	for (unsigned i = 0; i < nr_pages; i++)
		if (op == BLKIF_OP_READ) {
			fill(g, place, i, ~g->stamp[block + i]);
		} else {
			g->stamp[block + i] = test_random(&g->random);
			fill(g, place, i, g->stamp[block + i]);
		}
	put(g, place, op <= BLKIF_OP_WRITE && g->box.limits.max_segments && dice >> 30);
	g->nr_in_flight++;
	g->nr_sent++;
	return true;
}

void blk_guest_send(struct blk_guest *g, unsigned max)
{
	unsigned burst = 1 + test_random(&g->random) % BLK_GUEST_DEPTH;

	for (unsigned p = 0; p < BLK_GUEST_DEPTH && burst && g->nr_sent < max; p++)
		if (!g->place[p].is_used && send_one(g, p))
			burst--;
	blk_box_push(&g->box);
}

static void receive_one(struct blk_guest *g)
{
	struct blkif_response rsp;
	unsigned place;

	assert_true(blk_box_answer(&g->box, &rsp));
	place = rsp.id & 0xff;
	assert_true(place < BLK_GUEST_DEPTH && g->place[place].is_used);
	assert_int_equal(rsp.id, g->place[place].id);
	assert_int_equal(rsp.operation, g->place[place].op);
	assert_int_equal(rsp.status, BLKIF_RSP_OKAY);
	for (unsigned i = 0; i < g->place[place].nr_pages; i++) {
		/* Answered means let go: the pages are the guest's again. */
		if (g->box.mode != PAGES_PERSISTENT)
			assert_false(grant_table_in_use(g->box.grants.table, g->box.ref[page_of(place, i)]));
		if (rsp.operation == BLKIF_OP_READ)
			check(g, place, i, g->stamp[g->place[place].block + i]);
		g->is_busy[g->place[place].block + i] = false;
	}
	g->place[place].is_used = false;
	g->nr_in_flight--;
}

void blk_guest_receive(struct blk_guest *g)
{
	if (g->nr_in_flight)
		receive_one(g);
	while (blkif_ring_front_pending(&g->box.front) > 0)
		receive_one(g);
}
