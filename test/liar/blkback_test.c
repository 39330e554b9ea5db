/*
 * test/liar/blkback_test.c - a guest that lies on its block ring harms only itself.
 */
#include <stdlib.h>
#include <string.h>

#include "blk_box.h"
#include "liar.h"
#include "test.h"

#define SECTORS 4096u
#define DESCRIPTORS 47u /* a data page that no request reads or writes */
#define BAD_REF 900u /* beyond what was granted */

static const struct disk_engine *const engines[] = {&disk_uring, &disk_aio, &disk_mem};

static enum pages_mode mode; /* all tests run in each */

static void start(struct blk_box *box, const struct disk_engine *engine, unsigned ring_pages)
{
	struct blk_box_options opt = {.engine = engine,
				      .ring_pages = ring_pages,
				      .sectors = SECTORS,
				      .busy_poll_us = 10,
				      .mode = mode,
				      .max_segments = 256,
				      .max_merge_bytes = 128u << 10,
				      .nr_persistent = 20}; /* fewer than the guest uses */

	blk_box_start(box, &opt);
}

/* Nothing is held that is not in use or kept by agreement. */
static void assert_let_go(struct blk_box *box)
{
	if (mode != PAGES_PERSISTENT)
		assert_false(blk_box_grants_in_use(box));
}

/* The device is still there, and right. */
static void assert_serves(struct blk_box *box)
{
	struct blkif_request write = blk_box_request(box, BLKIF_OP_WRITE, 71, 64, 0, 1);
	struct blkif_request read = blk_box_request(box, BLKIF_OP_READ, 72, 64, 1, 1);

	memset(blk_box_data(box, 0), 0x5a, PAGE_BYTES);
	memset(blk_box_data(box, 1), 0, PAGE_BYTES);
	assert_int_equal(blk_box_do(box, &write), BLKIF_RSP_OKAY);
	assert_int_equal(blk_box_do(box, &read), BLKIF_RSP_OKAY);
	assert_memory_equal(blk_box_data(box, 0), blk_box_data(box, 1), PAGE_BYTES);
	assert_let_go(box);
}

static void nonsense_is_answered_and_the_device_goes_on(void **state)
{
	static const struct {
		uint8_t op, nr_segments, first, last;
		uint64_t sector;
		int16_t status;
	} lies[] = {
		{BLKIF_OP_WRITE_BARRIER, 1, 0, 8, 0, BLKIF_RSP_ERROR},
		{BLKIF_OP_WRITE_BARRIER, 1, 0, 7, SECTORS, BLKIF_RSP_ERROR},
		{BLKIF_OP_RESERVED_1, 0, 0, 0, 0, BLKIF_RSP_EOPNOTSUPP},
		{BLKIF_OP_DISCARD, 0, 0, 0, SECTORS, BLKIF_RSP_ERROR},
		{200, 200, 200, 200, UINT64_MAX, BLKIF_RSP_EOPNOTSUPP},
		{BLKIF_OP_READ, 0, 0, 7, 0, BLKIF_RSP_ERROR},
		{BLKIF_OP_READ, 12, 0, 7, 0, BLKIF_RSP_ERROR},
		{BLKIF_OP_WRITE, 255, 0, 7, 0, BLKIF_RSP_ERROR},
		{BLKIF_OP_WRITE, 1, 0, 255, 0, BLKIF_RSP_ERROR},
		{BLKIF_OP_WRITE, 1, 7, 0, 0, BLKIF_RSP_ERROR},
		{BLKIF_OP_READ, 1, 0, 7, SECTORS - 7, BLKIF_RSP_ERROR},
		{BLKIF_OP_WRITE, 1, 0, 7, UINT64_MAX, BLKIF_RSP_ERROR},
		{BLKIF_OP_FLUSH_DISKCACHE, 3, 0, 7, 0, BLKIF_RSP_ERROR},
	};

	for (size_t e = 0; e < ARRAY_LEN(engines); e++) {
		struct blk_box box;

		start(&box, engines[e], 1);
		for (size_t i = 0; i < ARRAY_LEN(lies); i++) {
			struct blkif_request req = blk_box_request(&box, lies[i].op, i, lies[i].sector, 0, 1);

			req.nr_segments = lies[i].nr_segments;
			req.seg[0].first_sect = lies[i].first;
			req.seg[0].last_sect = lies[i].last;
			assert_int_equal(blk_box_do(&box, &req), lies[i].status);
		}
		assert_serves(&box);
		assert_int_equal(queue_fault(box.queue), QUEUE_FAULT_NONE);
		blk_box_finish(&box);
	}
}

static void a_bad_grant_is_found_at_every_segment(void **state)
{
	for (size_t e = 0; e < ARRAY_LEN(engines); e++) {
		struct blk_box box;
		grant_ref_t bad[3];

		start(&box, engines[e], 1);
		bad[0] = BAD_REF;
		bad[1] = UINT32_MAX;
		bad[2] = grant_box_grant(&box.grants, BOX_FRAMES + 5, false); /* a frame the guest does not have */
		for (unsigned i = 0; i < BLKIF_MAX_SEGMENTS_PER_REQUEST; i++)
			for (unsigned b = 0; b < ARRAY_LEN(bad); b++) {
				struct blkif_request req =
					blk_box_request(&box, BLKIF_OP_WRITE, i, 0, 0, BLKIF_MAX_SEGMENTS_PER_REQUEST);

				memset(blk_box_data(&box, 0), 0xbb, BLKIF_MAX_SEGMENTS_PER_REQUEST * PAGE_BYTES);
				req.seg[i].gref = bad[b];
				assert_int_equal(blk_box_do(&box, &req), BLKIF_RSP_ERROR);
				assert_let_go(&box);
			}
		/* Nothing of those writes has reached the disk. */
		struct blkif_request read = blk_box_request(&box, BLKIF_OP_READ, 1, 0, 0, BLKIF_MAX_SEGMENTS_PER_REQUEST);

		assert_int_equal(blk_box_do(&box, &read), BLKIF_RSP_OKAY);
		for (unsigned i = 0; i < BLKIF_MAX_SEGMENTS_PER_REQUEST * PAGE_BYTES; i++)
			assert_int_equal(blk_box_data(&box, 0)[i], 0);
		assert_serves(&box);
		blk_box_finish(&box);
	}
}

static void an_impossible_producer_index_stops_the_device(void **state)
{
	for (unsigned order = 0; order <= BLKIF_MAX_RING_ORDER; order++) {
		const uint32_t lies[] = {(32u << order) + 1, 1u << 31, UINT32_MAX};

		for (unsigned i = 0; i < ARRAY_LEN(lies); i++) {
			struct blk_box box;

			start(&box, engines[(order + i) % ARRAY_LEN(engines)], 1u << order);
			assert_serves(&box);
			store_relaxed(&box.front.sh->head.req_prod, box.front.req_prod + lies[i]);
			blk_box_ring_bell(&box);
			assert_int_equal(blk_box_wait_fault(&box), QUEUE_FAULT_RING);
			assert_int_equal(load_relaxed(&box.stats.ring_errors), 1);
			assert_let_go(&box);
			/* The ring is not looked at any more, whatever it says now. */
			store_relaxed(&box.front.sh->head.req_prod, box.front.req_prod);
			blk_box_ring_bell(&box);
			blk_box_finish(&box);
		}
	}
}

static void events_without_requests_change_nothing(void **state)
{
	struct blk_box box;

	start(&box, &disk_uring, 1);
	while (load_relaxed(&box.stats.events_spurious) < 200)
		blk_box_ring_bell(&box);
	assert_serves(&box);
	blk_box_finish(&box);
}

/* Writes all over the request slots, with values that are often nearly right. */
LIAR_CODE static void flip_slots(void *arg, uint32_t random)
{
	struct blk_box *box = arg;
	uint8_t *slots = (uint8_t *)&box->front.sh->slot[0];
	uint32_t at = random % (31 * 112);

	slots[at] = (uint8_t)(random >> 24 & (random & 64 ? 0x0f : 0xff));
}

/* Flips end and begin of the grants that the requests name. */
LIAR_CODE static void flip_grants(void *arg, uint32_t random)
{
	struct blk_box *box = arg;
	struct grant_entry_v1 *entry = &box->grants.entries_sh[box->ref[random % 24]];

	/* Any data frame, and frames that do not exist; not the ring, which the guest would only spoil for itself. */
	if (random & 0x100)
		((volatile struct grant_entry_v1 *)entry)->frame = BLK_BOX_RING_FRAMES + (random >> 16 & 0x7f);
	else
		fetch_and_acq_rel(&entry->flags, (uint16_t)~GTF_readonly);
	if (random & 0x200)
		fetch_or_acq_rel(&entry->flags, (uint16_t)GTF_readonly);
}

/* Writes all over the page of descriptors that the big requests name. */
LIAR_CODE static void flip_descriptors(void *arg, uint32_t random)
{
	struct blk_box *box = arg;
	uint32_t at = random % (16 * sizeof(struct blkif_request_segment));

	blk_box_data(box, DESCRIPTORS)[at] = (uint8_t)(random >> 24 & (random & 0x80 ? 0x0f : 0xff));
}

/* Sends bursts while the liar is at work. Every request gets exactly one answer, in whatever words. */
static void send_while(struct blk_box *box, void (*mischief)(void *, uint32_t))
{
	struct blkif_response rsp;
	struct liar liar;

	liar_start(&liar, mischief, box);
	for (unsigned round = 0; round < 300; round++) {
		for (unsigned i = 0; i < 16; i++) {
			uint8_t op = i % 5 == 4 ? BLKIF_OP_FLUSH_DISKCACHE : i & 1;
			struct blkif_request req = blk_box_request(box, op, i, i * 8, i, op <= 1 ? 1 + i % 8 : 0);

			if (op <= BLKIF_OP_WRITE && i % 3 == 0)
				blk_box_make_big(box, &req, DESCRIPTORS);
			blk_box_put(box, &req);
		}
		blk_box_push(box);
		for (unsigned i = 0; i < 16; i++)
			assert_true(blk_box_answer(box, &rsp));
	}
	liar_stop(&liar);
}

static void slots_that_change_while_they_are_read_harm_nobody(void **state)
{
	for (size_t e = 0; e < ARRAY_LEN(engines); e++) {
		struct blk_box box;

		start(&box, engines[e], 1);
		send_while(&box, flip_slots);
		assert_int_equal(queue_fault(box.queue), QUEUE_FAULT_NONE);
		assert_serves(&box);
		blk_box_finish(&box);
	}
}

static uint64_t refused(const struct stats *s)
{
	uint64_t sum = 0;

	for (unsigned i = 0; i < REQUEST_NR_VERDICTS; i++)
		sum += s->refused[i];
	return sum;
}

static void descriptors_that_change_while_they_are_read_harm_nobody(void **state)
{
	for (size_t e = 0; e < ARRAY_LEN(engines); e++) {
		struct blk_box box;

		start(&box, engines[e], 1);
		send_while(&box, flip_descriptors);
		assert_int_equal(queue_fault(box.queue), QUEUE_FAULT_NONE);
		/* Whatever the moment they were read at: done, or refused. */
		assert_true(box.stats.indirect + refused(&box.stats) + box.stats.grant_errors > 0);
		assert_serves(&box);
		blk_box_finish(&box);
	}
}

static void grants_that_change_while_they_are_used_harm_nobody(void **state)
{
	for (size_t e = 0; e < ARRAY_LEN(engines); e++) {
		struct blk_box box;

		start(&box, engines[e], 1);
		send_while(&box, flip_grants);
		/* What is kept mapped is what the grants said then. */
		queue_stop(box.queue);
		assert_int_equal(blk_box_attach_queue(&box), 0);
		for (unsigned i = 0; i < BLK_BOX_DATA_FRAMES; i++)
			grant_table_permit(box.grants.table, box.ref[i], BOX_MAPPER, BLK_BOX_RING_FRAMES + i, false);
		assert_serves(&box);
		blk_box_finish(&box);
	}
}

static void stopping_with_requests_in_flight_lets_go_of_everything(void **state)
{
	for (size_t e = 0; e < ARRAY_LEN(engines); e++)
		for (unsigned round = 0; round < 20; round++) {
			struct blk_box box;

			start(&box, engines[e], 16);
			for (unsigned i = 0; i < 200; i++) {
				struct blkif_request req = blk_box_request(&box, i & 1, i, i * 8 % SECTORS, i % 40, 8);

				blk_box_put(&box, &req);
			}
			blk_box_push(&box);
			queue_stop(box.queue);
			box.queue = NULL;
			assert_false(blk_box_grants_in_use(&box));
			assert_int_equal(blk_box_start_queue(&box, 0), 0); /* the image and the engine are free again */
			blk_box_finish(&box);
		}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(nonsense_is_answered_and_the_device_goes_on),
		cmocka_unit_test(a_bad_grant_is_found_at_every_segment),
		cmocka_unit_test(an_impossible_producer_index_stops_the_device),
		cmocka_unit_test(events_without_requests_change_nothing),
		cmocka_unit_test(slots_that_change_while_they_are_read_harm_nobody),
		cmocka_unit_test(descriptors_that_change_while_they_are_read_harm_nobody),
		cmocka_unit_test(grants_that_change_while_they_are_used_harm_nobody),
		cmocka_unit_test(stopping_with_requests_in_flight_lets_go_of_everything),
	};

	static const char *const names[] = {[PAGES_MAP] = "mapped", [PAGES_COPY] = "copied", [PAGES_PERSISTENT] = "persistent"};
	int failed = 0;

	for (mode = PAGES_MAP; mode <= PAGES_PERSISTENT; mode++)
		failed += cmocka_run_group_tests_name(names[mode], tests, NULL, NULL);
	return failed;
}
