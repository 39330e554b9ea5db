/*
 * test/lib/blk_rig.h - the data path between a raw front end and an engine that finishes when the test says so.
 */
#ifndef SLUICE_TEST_BLK_RIG_H
#define SLUICE_TEST_BLK_RIG_H

#include "blk_box.h"
#include "test.h"

#define RIG_SECTORS 4096u

/* An engine that keeps what it is given, in order. */
struct hold {
	struct disk_queue base;
	struct disk_io *held[64];
	unsigned nr;
};

static void hold_submit(struct disk_queue *queue, struct disk_io *io)
{
	struct hold *h = (struct hold *)queue;

	h->held[h->nr++] = io;
}

static const struct disk_engine hold_engine = {.name = "hold", .merges = true, .submit = hold_submit};

struct rig {
	struct blk_box box;
	struct io io;
	struct hold hold;
};

static inline void rig_start_as(struct rig *r, const struct blk_box_options *wishes, bool is_x86_32)
{
	struct blk_box_options opt = *wishes;
	struct io_config config;

	opt.engine = &hold_engine;
	opt.sectors = RIG_SECTORS;
	memset(r, 0, sizeof(*r));
	blk_box_init(&r->box, &opt);
	r->box.limits.can_discard = r->box.limits.can_secure_discard = true;
	config = blk_box_io_config(&r->box);
	config.is_x86_32 = is_x86_32;
	assert_int_equal(io_init(&r->io, &config), 0);
	r->hold.base.engine = &hold_engine;
	r->io.disk = &r->hold.base;
}

static inline void rig_start(struct rig *r, unsigned ring_pages, bool readonly)
{
	rig_start_as(r, &(struct blk_box_options){.ring_pages = ring_pages, .readonly = readonly}, false);
}

static inline void rig_stop(struct rig *r)
{
	assert_int_equal(r->io.nr_in_flight, 0);
	io_finish(&r->io);
	assert_false(blk_box_grants_in_use(&r->box));
	blk_box_finish(&r->box);
}

static inline void rig_put(struct rig *r, uint8_t op, uint64_t id, uint64_t sector, unsigned page, unsigned nr_pages)
{
	struct blkif_request req = blk_box_request(&r->box, op, id, sector, page, nr_pages);

	blk_box_put(&r->box, &req);
}

static inline int rig_take(struct rig *r)
{
	blk_box_push(&r->box);
	return io_take(&r->io);
}

/* The engine finishes the one at that place. */
static inline void rig_finish_io(struct rig *r, unsigned index, int error)
{
	struct disk_io *io = r->hold.held[index];

	r->hold.nr--;
	memmove(&r->hold.held[index], &r->hold.held[index + 1], (r->hold.nr - index) * sizeof(io));
	io->error = error;
	io_complete(&r->io, &io, 1);
	io_answer(&r->io);
}

static inline void rig_expect(struct rig *r, uint64_t id, uint8_t op, int16_t status)
{
	struct blkif_response rsp;

	assert_int_equal(blkif_ring_front_pending(&r->box.front) > 0, 1);
	blkif_ring_front_take(&r->box.front, &rsp);
	assert_int_equal(rsp.id, id);
	assert_int_equal(rsp.operation, op);
	assert_int_equal(rsp.status, status);
}

static inline void rig_expect_none(struct rig *r)
{
	assert_int_equal(blkif_ring_front_pending(&r->box.front), 0);
}

#endif
