/*
 * test/fuzz/blkback_ring_fuzz.c - any bytes as block requests: whatever reaches the engine lies inside the image and inside pages
 * that the guest granted, and every request gets one answer.
 *
 * Input: 112-byte requests; the grant refs are taken modulo a few more than there are, so that some are good.
 */
#include <stdlib.h>

#include "blk_box.h"

#define SECTORS 64u

static struct blk_box box;
static struct io io;
static struct disk_queue queue;
static struct disk_io *held[IO_BURST];
static unsigned nr_held;

static void must(bool ok)
{
	if (!ok)
		abort();
}

static void check_piece(const struct iovec *v)
{
	const uint8_t *first = blk_box_data(&box, 0), *last = blk_box_data(&box, BLK_BOX_DATA_FRAMES - 1) + PAGE_BYTES;
	const uint8_t *p = v->iov_base;

	must(p >= first && p < last && v->iov_len <= (size_t)(last - p));
	must((uintptr_t)p % BLKIF_SECTOR_BYTES == 0 && v->iov_len % BLKIF_SECTOR_BYTES == 0 && v->iov_len > 0);
}

static void check_submit(struct disk_queue *q, struct disk_io *d)
{
	size_t bytes = 0;

	must(d->nr_iov <= DISK_MAX_IOV && (d->op == DISK_FLUSH) == (d->nr_iov == 0));
	for (unsigned i = 0; i < d->nr_iov; i++) {
		check_piece(&d->iov[i]);
		bytes += d->iov[i].iov_len;
	}
	must(bytes == d->left_bytes);
	must(d->op == DISK_FLUSH || d->offset_bytes + bytes <= SECTORS * BLKIF_SECTOR_BYTES);
	d->error = 0;
	held[nr_held++] = d;
}

static const struct disk_engine check_engine = {.name = "check", .submit = check_submit};

static void start(void)
{
	struct blk_box_options opt = {.engine = &check_engine, .ring_pages = 1, .sectors = SECTORS};
	struct io_config config;

	blk_box_init(&box, &opt);
	config = blk_box_io_config(&box);
	must(io_init(&io, &config) == 0);
	queue.engine = &check_engine;
	io.disk = &queue;
}

/* The engine finishes all it has; a flush that waited for them comes in the next round. */
static void finish_all(void)
{
	while (nr_held) {
		struct disk_io *done[IO_BURST];
		unsigned n = nr_held;

		memcpy(done, held, n * sizeof(done[0]));
		nr_held = 0;
		io_complete(&io, done, n);
		io_answer(&io);
	}
	io_answer(&io);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static bool is_started;
	unsigned n = 0;

	if (!is_started)
		start();
	is_started = true;
	for (; size >= sizeof(struct blkif_request) && n < 32; n++) {
		struct blkif_request req;

		memcpy(&req, data, sizeof(req));
		data += sizeof(req);
		size -= sizeof(req);
		for (unsigned i = 0; i < BLKIF_MAX_SEGMENTS_PER_REQUEST; i++)
			if (req.seg[i].gref % 64 < BLK_BOX_DATA_FRAMES)
				req.seg[i].gref = box.ref[req.seg[i].gref % 64];
		blk_box_put(&box, &req);
	}
	blk_box_push(&box);
	if (n)
		must(io_take(&io) == (int)n);
	finish_all();
	must(io.nr_in_flight == 0 && io.nr_writes == 0 && !blk_box_grants_in_use(&box));
	must(blkif_ring_front_pending(&box.front) == (int)n);
	while (n--) {
		struct blkif_response rsp;

		blkif_ring_front_take(&box.front, &rsp);
	}
	return 0;
}
