/*
 * test/unit/blkfront_ring_test.c - segments, parts, grants: blkfront's ring against an honest back half.
 */
#include "blk_pair.h"
#include "test.h"

static struct blkfront_request *run(struct blk_pair *p, struct blkfront_request *req)
{
	struct blkfront_request *done[4] = {0};

	assert_int_equal(blkfront_ring_submit(&p->front, req), 0);
	blkfront_ring_push(&p->front);
	blk_pair_serve_all(p);
	blkif_ring_back_push(&p->back.native);
	assert_int_equal(blkfront_ring_poll(&p->front, done, 4), 1);
	return done[0];
}

static void a_request_is_split_into_segments_and_parts(void **state)
{
	static const struct {
		unsigned offset, sectors; /* of the buffer in its first page, bytes; of the request */
		unsigned parts, first_segs, last_segs;
		unsigned first_sect, last_sect; /* of the very first and the very last segment */
	} t[] = {
		{0, 1, 1, 1, 1, 0, 0},
		{0, 8, 1, 1, 1, 0, 7},
		{512, 8, 1, 2, 2, 1, 0},
		{3584, 1, 1, 1, 1, 7, 7},
		{3584, 2, 1, 2, 2, 7, 0},
		{0, 88, 1, 11, 11, 0, 7},
		{0, 89, 2, 11, 1, 0, 0},
		{512, 88, 2, 11, 1, 1, 0},
		{0, 2048, 24, 11, 3, 0, 7},
		{512, 2048, 24, 11, 4, 1, 0},
	};

	for (unsigned i = 0; i < ARRAY_LEN(t); i++) {
		struct blk_pair p;
		struct blkfront_request req = {.op = BLKIF_OP_WRITE, .sector = 3, .nr_sectors = t[i].sectors};
		struct blkif_request wire = {.id = 0};
		uint64_t sector = 3;

		blk_pair_init(&p, 0);
		req.data = blk_pair_buffer(&p, 5) + t[i].offset;
		assert_int_equal(blkfront_ring_submit(&p.front, &req), 0);
		blkfront_ring_push(&p.front);
		assert_int_equal(blkif_ring_back_pending(&p.back.native), t[i].parts);
		assert_int_equal(req.parts_left, t[i].parts);
		for (unsigned k = 0; k < t[i].parts; k++) {
			blkif_ring_back_take(&p.back.native, &wire);
			assert_int_equal(wire.sector_number, sector);
			if (k == 0) {
				assert_int_equal(wire.nr_segments, t[i].first_segs);
				assert_int_equal(wire.seg[0].first_sect, t[i].first_sect);
			}
			for (unsigned s = 0; s < wire.nr_segments; s++)
				sector += wire.seg[s].last_sect - wire.seg[s].first_sect + 1u;
		}
		assert_int_equal(wire.nr_segments, t[i].last_segs);
		assert_int_equal(wire.seg[wire.nr_segments - 1].last_sect, t[i].last_sect);
		assert_int_equal(sector, 3 + t[i].sectors);
		blk_pair_finish(&p);
	}
}

/* Requests of up to 600 sectors: in the slot, and with lists where the pair has them. */
static void write_and_read_back(struct blk_pair *p)
{
	uint32_t seed = 7;

	for (unsigned round = 0; round < 200; round++) {
		uint32_t nr = 1 + test_random(&seed) % 600;
		uint64_t sector = test_random(&seed) % (BLK_PAIR_SECTORS - nr);
		uint8_t *from = blk_pair_buffer(p, 10) + test_random(&seed) % 8 * 512;
		uint8_t *to = blk_pair_buffer(p, 300) + test_random(&seed) % 8 * 512;
		struct blkfront_request w = {.op = BLKIF_OP_WRITE, .sector = sector, .nr_sectors = nr, .data = from};
		struct blkfront_request r = {.op = BLKIF_OP_READ, .sector = sector, .nr_sectors = nr, .data = to, .user = p};

		for (uint32_t i = 0; i < nr * 512; i++)
			from[i] = (uint8_t)test_random(&seed);
		assert_ptr_equal(run(p, &w), &w);
		assert_int_equal(w.status, 0);
		assert_ptr_equal(run(p, &r), &r);
		assert_int_equal(r.status, 0);
		assert_ptr_equal(r.user, p);
		assert_memory_equal(from, to, nr * 512);
	}
	assert_int_equal(blkfront_ring_outstanding(&p->front), 0);
	assert_int_equal(p->front.grants.nr_free, p->front.grants.nr);
}

static void what_was_written_is_read_back(void **state)
{
	struct blk_pair p;

	blk_pair_init(&p, 1);
	write_and_read_back(&p);
	blk_pair_finish(&p);
}

/* Every kind of request and answer goes through the layout of 32-bit guests, in rings of every size. */
static void a_ring_of_the_32_bit_layout_carries_the_same(void **state)
{
	for (unsigned order = 0; order <= BLKIF_MAX_RING_ORDER; order++) {
		struct blkfront_request flush = {.op = BLKIF_OP_FLUSH_DISKCACHE};
		struct blkfront_request discard = {.op = BLKIF_OP_DISCARD, .sector = 9, .nr_sectors = 2};
		struct blkfront_request bad = {.op = BLKIF_OP_READ, .sector = BLK_PAIR_SECTORS, .nr_sectors = 8};
		struct blk_pair p;

		blk_pair_init_as(&p, order, true);
		write_and_read_back(&p);
		assert_int_equal(p.front.count->indirect, 0);
		blk_pair_add_lists(&p, 64);
		write_and_read_back(&p);
		assert_true(p.front.count->indirect > 0);
		p.hard_disk.can_discard = true;
		memset(p.disk, 0xee, 16 * BLKIF_SECTOR_BYTES);
		assert_int_equal(run(&p, &discard)->status, 0);
		assert_true(p.disk[9 * BLKIF_SECTOR_BYTES - 1] && !p.disk[9 * BLKIF_SECTOR_BYTES]);
		assert_true(p.disk[11 * BLKIF_SECTOR_BYTES] && !p.disk[11 * BLKIF_SECTOR_BYTES - 1]);
		assert_int_equal(run(&p, &flush)->status, 0);
		p.hard_disk.nr_sectors *= 2; /* more than the back end has */
		bad.data = blk_pair_buffer(&p, 10);
		assert_int_equal(run(&p, &bad)->status, -EIO);
		blk_pair_finish(&p);
	}
}

static void a_request_that_cannot_be_is_refused(void **state)
{
	static const struct {
		uint8_t op;
		uint64_t sector;
		uint32_t nr;
		unsigned at; /* byte in RAM */
		uint32_t sector_bytes;
		bool read_only, can_flush;
		int rc;
	} t[] = {
		{BLKIF_OP_READ, 0, 0, 0, 512, false, true, -EINVAL},
		{BLKIF_OP_READ, 0, 2049, 0, 512, false, true, -EINVAL},
		{BLKIF_OP_READ, BLK_PAIR_SECTORS, 1, 0, 512, false, true, -EINVAL},
		{BLKIF_OP_READ, BLK_PAIR_SECTORS - 1, 2, 0, 512, false, true, -EINVAL},
		{BLKIF_OP_READ, UINT64_MAX, 1, 0, 512, false, true, -EINVAL},
		{BLKIF_OP_READ, BLK_PAIR_SECTORS - 1, 1, 0, 512, false, true, 0},
		{BLKIF_OP_READ, 0, 1, 1, 512, false, true, -EINVAL},
		{BLKIF_OP_READ, 1, 8, 0, 4096, false, true, -EINVAL},
		{BLKIF_OP_READ, 8, 7, 0, 4096, false, true, -EINVAL},
		{BLKIF_OP_READ, 8, 8, 0, 4096, false, true, 0},
		{BLKIF_OP_READ, 0, 9, BLK_PAIR_FRAMES * PAGE_BYTES - 4096, 512, false, true, -EFAULT},
		{BLKIF_OP_READ, 0, 8, BLK_PAIR_FRAMES * PAGE_BYTES - 4096, 512, false, true, 0},
		{BLKIF_OP_WRITE, 0, 1, 0, 512, true, true, -EROFS},
		{BLKIF_OP_READ, 0, 1, 0, 512, true, true, 0},
		{BLKIF_OP_FLUSH_DISKCACHE, 0, 0, 0, 512, false, false, -EOPNOTSUPP},
		{BLKIF_OP_FLUSH_DISKCACHE, 0, 1, 0, 512, false, true, -EINVAL},
		{BLKIF_OP_FLUSH_DISKCACHE, 0, 0, 0, 512, false, true, 0},
		{BLKIF_OP_DISCARD, 0, 1, 0, 512, false, true, -EOPNOTSUPP},
		{BLKIF_OP_WRITE_BARRIER, 0, 1, 0, 512, false, true, -EOPNOTSUPP},
		{BLKIF_OP_READ, 0, UINT32_MAX, 0, 512, false, true, -EINVAL},
		{BLKIF_OP_RESERVED_1, 0, 1, 0, 512, false, true, -EINVAL},
		{BLKIF_OP_INDIRECT, 0, 1, 0, 512, false, true, -EINVAL},
	};

	for (unsigned i = 0; i < ARRAY_LEN(t); i++) {
		struct blk_pair p;
		struct blkfront_request req = {.op = t[i].op, .sector = t[i].sector, .nr_sectors = t[i].nr};

		blk_pair_init(&p, 0);
		req.data = p.ram + t[i].at;
		p.hard_disk.sector_bytes = t[i].sector_bytes;
		p.hard_disk.is_read_only = t[i].read_only;
		p.hard_disk.can_flush = t[i].can_flush;
		assert_int_equal(blkfront_ring_submit(&p.front, &req), t[i].rc);
		assert_int_equal(blkfront_ring_outstanding(&p.front), t[i].rc == 0);
		blk_pair_finish(&p);
	}
}

static void a_full_ring_asks_to_come_again(void **state)
{
	struct blkfront_request req[33], big = {.op = BLKIF_OP_READ, .nr_sectors = 89};
	struct blkfront_request *done[40];
	struct blk_pair p;

	blk_pair_init(&p, 0);
	for (unsigned i = 0; i < 32; i++) {
		req[i] = (struct blkfront_request){
			.op = BLKIF_OP_READ, .sector = i, .nr_sectors = 1, .data = blk_pair_buffer(&p, i)};
		assert_int_equal(blkfront_ring_submit(&p.front, &req[i]), 0);
	}
	req[32] = req[0];
	assert_int_equal(blkfront_ring_submit(&p.front, &req[32]), -EAGAIN);
	blkfront_ring_push(&p.front);
	blk_pair_serve_all(&p);
	blkif_ring_back_push(&p.back.native);
	assert_int_equal(blkfront_ring_poll(&p.front, done, 5), 5);
	assert_int_equal(blkfront_ring_poll(&p.front, done, 40), 27);
	big.data = p.ram;
	assert_int_equal(blkfront_ring_submit(&p.front, &big), 0);
	blk_pair_finish(&p);
}

static void the_worst_status_of_the_parts_is_the_requests(void **state)
{
	struct blkfront_request req = {.op = BLKIF_OP_READ, .nr_sectors = 88 * 3}, *done[1];
	static const int16_t status[] = {BLKIF_RSP_OKAY, BLKIF_RSP_ERROR, BLKIF_RSP_OKAY};
	struct blkif_request wire;
	struct blk_pair p;

	blk_pair_init(&p, 0);
	req.data = p.ram;
	assert_int_equal(blkfront_ring_submit(&p.front, &req), 0);
	blkfront_ring_push(&p.front);
	for (unsigned i = 0; i < 3; i++) {
		blkif_ring_back_take(&p.back.native, &wire);
		blk_pair_answer(&p, wire.id, wire.operation, status[i]);
		blkif_ring_back_push(&p.back.native);
		assert_int_equal(blkfront_ring_poll(&p.front, done, 1), i == 2);
	}
	assert_int_equal(req.status, -EIO);
	blk_pair_finish(&p);
}

static void order_and_discard_go_only_where_they_are_offered(void **state)
{
	static const struct {
		uint8_t op;
		bool is_secure;
		uint64_t sector;
		uint32_t nr;
		bool barrier, discard, secure, read_only;
		uint32_t sector_bytes;
		int rc;
	} t[] = {
		{BLKIF_OP_WRITE_BARRIER, false, 8, 8, true, false, false, false, 512, 0},
		{BLKIF_OP_WRITE_BARRIER, false, 0, 0, true, false, false, false, 512, 0},
		{BLKIF_OP_WRITE_BARRIER, false, 0, 8, true, false, false, true, 512, -EROFS},
		{BLKIF_OP_WRITE_BARRIER, false, 0, 1, true, false, false, false, 4096, -EINVAL},
		{BLKIF_OP_DISCARD, false, 0, BLK_PAIR_SECTORS, false, true, false, false, 512, 0},
		{BLKIF_OP_DISCARD, false, 1, BLK_PAIR_SECTORS, false, true, false, false, 512, -EINVAL},
		{BLKIF_OP_DISCARD, false, 0, 0, false, true, false, false, 512, -EINVAL},
		{BLKIF_OP_DISCARD, false, 0, 8, false, true, false, true, 512, -EROFS},
		{BLKIF_OP_DISCARD, false, 4, 8, false, true, false, false, 4096, -EINVAL},
		{BLKIF_OP_DISCARD, true, 0, 8, false, true, false, false, 512, -EOPNOTSUPP},
		{BLKIF_OP_DISCARD, true, 0, 8, false, true, true, false, 512, 0},
	};

	for (unsigned i = 0; i < ARRAY_LEN(t); i++) {
		struct blkfront_request req = {.op = t[i].op, .is_secure = t[i].is_secure, .sector = t[i].sector, .nr_sectors = t[i].nr};
		union {
			struct blkif_request rw;
			struct blkif_request_discard discard;
		} wire;
		struct blk_pair p;

		blk_pair_init(&p, 0);
		p.hard_disk.can_barrier = t[i].barrier;
		p.hard_disk.can_discard = t[i].discard;
		p.hard_disk.can_secure_discard = t[i].secure;
		p.hard_disk.is_read_only = t[i].read_only;
		p.hard_disk.sector_bytes = t[i].sector_bytes;
		req.data = p.ram;
		assert_int_equal(blkfront_ring_submit(&p.front, &req), t[i].rc);
		blkfront_ring_push(&p.front);
		assert_int_equal(blkif_ring_back_pending(&p.back.native), t[i].rc == 0);
		if (!t[i].rc) {
			blkif_ring_back_take(&p.back.native, &wire.rw);
			assert_int_equal(wire.rw.operation, t[i].op);
			assert_int_equal(wire.rw.sector_number, t[i].sector);
			if (t[i].op == BLKIF_OP_DISCARD) {
				assert_int_equal(wire.discard.nr_sectors, t[i].nr);
				assert_int_equal(wire.discard.flag, t[i].is_secure ? BLKIF_DISCARD_SECURE : 0);
			} else {
				assert_int_equal(wire.rw.nr_segments, t[i].nr ? 1 : 0);
			}
		}
		blk_pair_finish(&p);
	}
}

/* A long request takes one place in the ring, and its segments stand in pages beside it. */
static void a_long_request_takes_lists_as_many_as_it_needs(void **state)
{
	static const struct {
		unsigned offset, sectors, max_segments;
		unsigned parts, lists, segments; /* of the first part */
		uint8_t op;
	} t[] = {
		{0, 88, 256, 1, 0, 11, BLKIF_OP_READ},
		{0, 89, 256, 1, 1, 12, BLKIF_OP_READ},
		{512, 88, 256, 1, 1, 12, BLKIF_OP_WRITE},
		{0, 2048, 256, 1, 1, 256, BLKIF_OP_WRITE},
		{512, 2048, 256, 2, 1, 256, BLKIF_OP_WRITE},
		{0, 2048, 32, 8, 8, 32, BLKIF_OP_READ},
		{0, 4096, 512, 1, 1, 512, BLKIF_OP_READ},
		{512, 4095, 1024, 1, 1, 512, BLKIF_OP_READ},
		{512, 4096, 1024, 1, 2, 513, BLKIF_OP_READ},
	};

	for (unsigned i = 0; i < ARRAY_LEN(t); i++) {
		struct blkfront_request req = {.op = t[i].op, .nr_sectors = t[i].sectors};
		union {
			struct blkif_request rw;
			struct blkif_request_indirect list;
		} wire;
		struct blk_pair p;

		blk_pair_init(&p, 1);
		blk_pair_add_lists(&p, t[i].max_segments);
		req.data = p.ram + t[i].offset;
		assert_int_equal(blkfront_ring_submit(&p.front, &req), 0);
		assert_int_equal(req.parts_left, t[i].parts);
		assert_int_equal(p.front.lists.nr - p.front.lists.nr_free, t[i].lists);
		blkfront_ring_push(&p.front);
		blkif_ring_back_take(&p.back.native, &wire.rw);
		if (t[i].segments > BLKFRONT_SEGMENTS) {
			assert_int_equal(wire.rw.operation, BLKIF_OP_INDIRECT);
			assert_int_equal(wire.list.indirect_op, t[i].op);
			assert_int_equal(wire.list.nr_segments, t[i].segments);
		} else {
			assert_int_equal(wire.rw.operation, t[i].op);
			assert_int_equal(wire.rw.nr_segments, t[i].segments);
		}
		blk_pair_finish(&p);
	}
}

/* On a disk of large sectors no ring request ends within one, wherever the buffer begins. */
static void parts_end_at_whole_sectors_of_the_disk(void **state)
{
	for (unsigned offset = 0; offset < PAGE_BYTES; offset += 512) {
		struct blkfront_request req = {.op = BLKIF_OP_WRITE, .nr_sectors = 1024};
		struct blkif_request wire;
		struct blk_pair p;
		uint64_t sector = 0;

		blk_pair_init(&p, 0);
		p.hard_disk.sector_bytes = 4096;
		req.data = p.ram + offset;
		assert_int_equal(blkfront_ring_submit(&p.front, &req), 0);
		blkfront_ring_push(&p.front);
		for (int n = blkif_ring_back_pending(&p.back.native); n > 0; n--) {
			blkif_ring_back_take(&p.back.native, &wire);
			assert_int_equal(wire.sector_number, sector);
			for (unsigned s = 0; s < wire.nr_segments; s++)
				sector += wire.seg[s].last_sect - wire.seg[s].first_sect + 1u;
			assert_int_equal(sector % 8, 0);
		}
		assert_int_equal(sector, 1024);
		blk_pair_finish(&p);
	}
}

/* Any memory, any alignment; what does not fit the pool is refused, what does not fit now is to come again. */
static void a_pool_serves_memory_of_any_kind(void **state)
{
	uint8_t *from = malloc(300000), *to = malloc(300000);
	uint32_t seed = 3;
	struct blk_pair p;

	blk_pair_init(&p, 1);
	blk_pair_add_lists(&p, 64);
	blk_pair_add_pool(&p, 96, false);
	for (unsigned round = 0; round < 200; round++) {
		uint32_t nr = 1 + test_random(&seed) % 500, skew = test_random(&seed) % 4096;
		uint64_t sector = test_random(&seed) % (BLK_PAIR_SECTORS - nr);
		struct blkfront_request w = {.op = BLKIF_OP_WRITE, .sector = sector, .nr_sectors = nr, .data = from + skew};
		struct blkfront_request r = {.op = BLKIF_OP_READ, .sector = sector, .nr_sectors = nr, .data = to + skew};

		p.front.is_pool_only = round % 2;
		for (uint32_t i = 0; i < nr * 512; i++)
			from[skew + i] = (uint8_t)test_random(&seed);
		assert_ptr_equal(run(&p, &w), &w);
		assert_int_equal(w.status, 0);
		assert_ptr_equal(run(&p, &r), &r);
		assert_int_equal(r.status, 0);
		assert_memory_equal(from + skew, to + skew, nr * 512);
	}
	assert_int_equal(p.front.pool.nr_free, 96);
	assert_int_equal(p.front.lists.nr_free, BLK_PAIR_LISTS);
	assert_int_equal(p.front.grants.nr_free, p.front.grants.nr);
	struct blkfront_request big = {.op = BLKIF_OP_READ, .nr_sectors = 97 * 8, .data = to};

	assert_int_equal(blkfront_ring_submit(&p.front, &big), -EINVAL);
	big.nr_sectors = 96 * 8;
	assert_int_equal(blkfront_ring_submit(&p.front, &big), 0);
	struct blkfront_request more = {.op = BLKIF_OP_READ, .nr_sectors = 1, .data = from};

	assert_int_equal(blkfront_ring_submit(&p.front, &more), -EAGAIN);
	blkfront_ring_abort(&p.front);
	blk_pair_finish(&p);
	free(from);
	free(to);
}

static void what_a_connection_cut_short_is_asked_for_again(void **state)
{
	struct blkfront_request req[6] = {{0}}, *done[8], early = {.op = BLKIF_OP_READ, .nr_sectors = 1};
	struct blk_pair p;
	unsigned n = 0;

	blk_pair_init(&p, 0);
	blk_pair_add_pool(&p, 64, true);
	p.front.keeps = true;
	for (unsigned i = 0; i < 6; i++) {
		req[i] = (struct blkfront_request){
			.op = BLKIF_OP_WRITE, .sector = i * 100, .nr_sectors = 64, .data = blk_pair_buffer(&p, i * 8)};
		memset(req[i].data, (int)(i + 1), 64 * 512);
		assert_int_equal(blkfront_ring_submit(&p.front, &req[i]), 0);
	}
	/* Once answered, so that ids are no longer handed out in ascending order. */
	blkfront_ring_push(&p.front);
	blk_pair_serve_all(&p);
	blkif_ring_back_push(&p.back.native);
	assert_int_equal(blkfront_ring_poll(&p.front, done, 8), 6);
	for (unsigned i = 0; i < 6; i++)
		assert_int_equal(blkfront_ring_submit(&p.front, &req[i]), 0);
	blkfront_ring_push(&p.front);
	blkfront_ring_abort(&p.front);
	assert_int_equal(blkfront_ring_poll(&p.front, done, 8), 0);
	early.data = p.ram;
	assert_int_equal(blkfront_ring_submit(&p.front, &early), -EAGAIN);
	/* The next back end has a smaller pool; all come through it, in their order. */
	blkfront_ring_prepare(&p.front, p.area, p.area_bytes, 0);
	blk_pair_add_pool(&p, 16, true);
	blkfront_ring_start(&p.front);
	blkif_ring_back_init(&p.back.native, p.area, p.area_bytes);
	while (n < 6) {
		blkfront_ring_push(&p.front);
		assert_true(blk_pair_serve_all(&p) > 0);
		blkif_ring_back_push(&p.back.native);
		n += blkfront_ring_poll(&p.front, done + n, 8 - n);
	}
	for (unsigned i = 0; i < 6; i++) {
		assert_ptr_equal(done[i], &req[i]);
		assert_int_equal(done[i]->status, 0);
		assert_int_equal(p.disk[i * 100 * 512], i + 1);
	}
	assert_int_equal(p.front.count->resubmitted, 6);
	/* And what nobody will serve any more comes back. */
	assert_int_equal(blkfront_ring_submit(&p.front, &req[0]), 0);
	blkfront_ring_abort(&p.front);
	assert_int_equal(blkfront_ring_poll(&p.front, done, 8), 0);
	blkfront_ring_give_up(&p.front);
	assert_int_equal(blkfront_ring_poll(&p.front, done, 8), 1);
	assert_int_equal(req[0].status, -ENODEV);
	blk_pair_finish(&p);
}

static void a_write_is_granted_read_only(void **state)
{
	struct blkfront_request req = {.op = BLKIF_OP_WRITE, .nr_sectors = 8};
	struct blkif_request wire;
	struct blk_pair p;
	void *page;

	blk_pair_init(&p, 0);
	req.data = p.ram;
	assert_int_equal(blkfront_ring_submit(&p.front, &req), 0);
	blkfront_ring_push(&p.front);
	blkif_ring_back_take(&p.back.native, &wire);
	assert_int_equal(grant_pin(&p.peer, wire.seg[0].gref, false, &page), GNTST_permission_denied);
	assert_int_equal(grant_pin(&p.peer, wire.seg[0].gref, true, &page), GNTST_okay);
	grant_unpin(&p.peer, wire.seg[0].gref, true);
	blk_pair_answer(&p, wire.id, wire.operation, BLKIF_RSP_OKAY);
	blkif_ring_back_push(&p.back.native);
	blkfront_ring_poll(&p.front, NULL, 0);
	/* Completed: the grant is over. */
	assert_int_equal(grant_pin(&p.peer, wire.seg[0].gref, true, &page), GNTST_bad_gntref);
	blk_pair_finish(&p);
}

static void an_aborted_connection_gives_its_requests_back(void **state)
{
	struct blkfront_request req = {.op = BLKIF_OP_READ, .nr_sectors = 200}, *done[1];
	struct blk_pair p;

	blk_pair_init(&p, 0);
	req.data = p.ram;
	assert_int_equal(blkfront_ring_submit(&p.front, &req), 0);
	blkfront_ring_abort(&p.front);
	assert_int_equal(blkfront_ring_submit(&p.front, &req), -ENODEV);
	assert_int_equal(blkfront_ring_poll(&p.front, done, 1), 1);
	assert_int_equal(done[0]->status, -ENODEV);
	assert_int_equal(p.front.grants.nr_free, p.front.grants.nr);
	/* And the next connection works. */
	blkfront_ring_prepare(&p.front, p.area, p.area_bytes, 0);
	blkfront_ring_start(&p.front);
	blkif_ring_back_init(&p.back.native, p.area, p.area_bytes);
	assert_int_equal(run(&p, &req)->status, 0);
	blk_pair_finish(&p);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_request_is_split_into_segments_and_parts),
		cmocka_unit_test(what_was_written_is_read_back),
		cmocka_unit_test(a_ring_of_the_32_bit_layout_carries_the_same),
		cmocka_unit_test(a_request_that_cannot_be_is_refused),
		cmocka_unit_test(a_full_ring_asks_to_come_again),
		cmocka_unit_test(the_worst_status_of_the_parts_is_the_requests),
		cmocka_unit_test(order_and_discard_go_only_where_they_are_offered),
		cmocka_unit_test(a_long_request_takes_lists_as_many_as_it_needs),
		cmocka_unit_test(parts_end_at_whole_sectors_of_the_disk),
		cmocka_unit_test(a_pool_serves_memory_of_any_kind),
		cmocka_unit_test(what_a_connection_cut_short_is_asked_for_again),
		cmocka_unit_test(a_write_is_granted_read_only),
		cmocka_unit_test(an_aborted_connection_gives_its_requests_back),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
