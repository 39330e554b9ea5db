/*
 * test/fuzz/blkback_ring_fuzz.c - any bytes as block requests: whatever reaches the engine lies inside the image and inside pages
 * that the guest granted, and every request gets one answer.
 *
 * Input: a byte that chooses where pages lie and which layout the ring has, then 112-byte requests; the grant refs are taken modulo
 * a few more than there are, so that some are good. The bytes of all requests also fill the guest's pages: descriptors of indirect
 * requests.
 */
#include <stdlib.h>

#include "blk_box.h"

#define SECTORS 64u

#define MODES 3u

static struct course {
	struct blk_box box;
	struct io io;
} courses[2 * MODES]; /* by mode and layout */
static struct course *now;
static struct disk_queue queue;
static struct disk_io *held[IO_BURST];
static unsigned nr_held;

static void must(bool ok)
{
	if (!ok)
		abort();
}

static bool lies_in(const struct iovec *v, const void *start, size_t bytes)
{
	size_t at = (size_t)((const char *)v->iov_base - (const char *)start);

	return at < bytes && v->iov_len <= bytes - at;
}

/* A page of the guest that was granted, or our own buffer. */
static void check_piece(const struct iovec *v)
{
	const uint8_t *first = blk_box_data(&now->box, 0), *last = blk_box_data(&now->box, BLK_BOX_DATA_FRAMES - 1) + PAGE_BYTES;
	enum pages_mode mode = now->io.pages.mode;
	bool is_ours = now->io.buffers && lies_in(v, now->io.buffers, now->io.buffer_bytes);
	bool is_theirs = lies_in(v, first, (size_t)(last - first));

	/* Pages that should be kept are copied where there is no room to map them. */
	must(mode == PAGES_COPY ? is_ours : mode == PAGES_MAP ? is_theirs : is_ours || is_theirs);
	must((uintptr_t)v->iov_base % BLKIF_SECTOR_BYTES == 0 && v->iov_len % BLKIF_SECTOR_BYTES == 0 && v->iov_len > 0);
}

static void check_submit(struct disk_queue *q, struct disk_io *d)
{
	bool is_transfer = d->op == DISK_READ || d->op == DISK_WRITE;
	size_t bytes = 0;

	must(d->nr_iov <= DISK_MAX_IOV && is_transfer == (d->nr_iov != 0));
	for (unsigned i = 0; i < d->nr_iov; i++) {
		check_piece(&d->iov[i]);
		bytes += d->iov[i].iov_len;
	}
	must(!is_transfer || bytes == d->left_bytes);
	must(d->op == DISK_FLUSH || (d->left_bytes > 0 && d->offset_bytes <= SECTORS * BLKIF_SECTOR_BYTES &&
				     d->left_bytes <= SECTORS * BLKIF_SECTOR_BYTES - d->offset_bytes));
	d->error = d->offset_bytes / BLKIF_SECTOR_BYTES % 7 == 3 ? -EIO : 0;
	held[nr_held++] = d;
}

static const struct disk_engine check_engine = {.name = "check", .merges = true, .submit = check_submit};

static void start(struct course *c, enum pages_mode mode, bool is_x86_32)
{
	struct blk_box_options opt = {
		.engine = &check_engine, .ring_pages = 1, .sectors = SECTORS, .mode = mode, .nr_persistent = 8, .max_segments = 4096,
		.max_merge_bytes = 1u << 20};
	struct io_config config;

	blk_box_init(&c->box, &opt);
	c->box.limits.can_discard = c->box.limits.can_secure_discard = true;
	config = blk_box_io_config(&c->box);
	config.is_x86_32 = is_x86_32;
	must(io_init(&c->io, &config) == 0);
	queue.engine = &check_engine;
	c->io.disk = &queue;
}

/* The engine finishes all it has; what waited for them comes in the next round. */
static void finish_all(void)
{
	while (nr_held) {
		struct disk_io *done[IO_BURST];
		unsigned n = nr_held;

		memcpy(done, held, n * sizeof(done[0]));
		nr_held = 0;
		io_complete(&now->io, done, n);
		io_answer(&now->io);
	}
	io_answer(&now->io);
}

static void fix_refs(struct blkif_request_segment *seg, unsigned n)
{
	for (unsigned i = 0; i < n; i++)
		if (seg[i].gref % 64 < BLK_BOX_DATA_FRAMES)
			seg[i].gref = now->box.ref[seg[i].gref % 64];
}

static void put(struct blkif_request *req)
{
	struct blkif_request_indirect *indirect = (struct blkif_request_indirect *)req;

	if (req->operation != BLKIF_OP_INDIRECT) {
		fix_refs(req->seg, BLKIF_MAX_SEGMENTS_PER_REQUEST);
	} else {
		for (unsigned i = 0; i < BLKIF_MAX_INDIRECT_PAGES_PER_REQUEST; i++)
			if (indirect->indirect_grefs[i] % 64 < BLK_BOX_DATA_FRAMES)
				indirect->indirect_grefs[i] = now->box.ref[indirect->indirect_grefs[i] % 64];
	}
	if (!now->io.ring.is_x86_32) {
		blk_box_put(&now->box, req);
		return;
	}
	memcpy((uint8_t *)now->box.front.sh + 64 + (now->box.front.req_prod++ & now->box.front.mask) * 108, req, 108);
}

static void fill_descriptors(const uint8_t *data, size_t size)
{
	struct blkif_request_segment *seg = (struct blkif_request_segment *)blk_box_data(&now->box, 0);
	size_t bytes = size < PAGE_BYTES ? size : PAGE_BYTES;

	memcpy(seg, data, bytes);
	fix_refs(seg, (unsigned)(bytes / sizeof(*seg)));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	unsigned n = 0, course;

	if (size < 1)
		return 0;
	course = data[0] % (2 * MODES);
	now = &courses[course];
	if (!now->io.requests)
		start(now, (enum pages_mode)(course % MODES), course >= MODES);
	data++;
	size--;
	fill_descriptors(data, size);
	for (; size >= sizeof(struct blkif_request) && n < 32; n++) {
		struct blkif_request req;

		memcpy(&req, data, sizeof(req));
		data += sizeof(req);
		size -= sizeof(req);
		put(&req);
	}
	blk_box_push(&now->box);
	for (unsigned taken = 0; taken < n;) { /* a barrier or the memory for big ones lets some wait */
		int got = io_take(&now->io);

		must(got >= 0 && (got > 0 || now->io.nr_in_flight));
		taken += (unsigned)got;
		finish_all();
	}
	must(now->io.nr_in_flight == 0 && now->io.nr_writes == 0 && !now->io.barrier && !now->io.flushes);
	must(now->io.pages.mode == PAGES_PERSISTENT || !blk_box_grants_in_use(&now->box));
	must(blkif_ring_front_pending(&now->box.front) == (int)n);
	now->box.front.rsp_cons += n;
	return 0;
}
