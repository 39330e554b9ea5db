/*
 * tools/guest_blk.c - what a disk does: figures under a load, whether it keeps what it was given, what it can.
 */
#include "hv/clock.h"
#include "hv/histogram.h"
#include "tools/guest.h"

#include <stdlib.h>

#define MAX_DEPTH 512u
#define SPINS 256u /* empty looks at all queues before sleep */
#define VERIFY_BYTES 65536u
#define VERIFY_DEPTH 8u

/* Requests of one size, so many at once, spread over all queues of a disk. */
struct job {
	struct guest *g;
	struct blkfront *bf;
	const char *name;
	uint8_t op;
	uint32_t bytes;
	unsigned depth;
	uint8_t *buffers; /* depth of them, whole pages each */
	uint64_t nr_blocks;
	bool is_random;
	uint64_t random;
	uint64_t nr_asked; /* not random: blocks so far, the last of the disk first */
	uint64_t completed;
	uint64_t failed;
	uint64_t wrong; /* not random, reads: blocks that are not as they were written */
	unsigned out; /* under way */
	unsigned peak_depth;
	unsigned nr_idle;
	uint16_t idle[MAX_DEPTH]; /* requests that found the ring full */
	struct blkfront_request req[MAX_DEPTH];
	uint64_t started_ns[MAX_DEPTH];
	struct histogram latency;
};

static uint64_t next_random(struct job *j)
{
	j->random ^= j->random << 13;
	j->random ^= j->random >> 7;
	j->random ^= j->random << 17;
	return j->random;
}

static uint8_t *buffer_of(const struct job *j, unsigned i)
{
	return j->buffers + (size_t)i * pages_to_bytes(bytes_to_pages(j->bytes));
}

/* What stands at byte `at` of the disk, and on: the place itself, mixed. Whatever the size of a request is, it is the same. */
static void fill_pattern(uint64_t *words, uint64_t at, uint32_t bytes)
{
	for (uint32_t i = 0; i < bytes / 8; i++)
		words[i] = (at / 8 + i + 1) * UINT64_C(0x9e3779b97f4a7c15);
}

static bool is_pattern(const uint64_t *words, uint64_t at, uint32_t bytes)
{
	uint64_t differ = 0;

	for (uint32_t i = 0; i < bytes / 8; i++)
		differ |= words[i] ^ (at / 8 + i + 1) * UINT64_C(0x9e3779b97f4a7c15);
	return !differ;
}

/* Is there another block to ask for? */
static bool choose_block(struct job *j, uint64_t *block)
{
	if (!j->is_random && j->nr_asked == j->nr_blocks)
		return false;
	*block = j->is_random ? next_random(j) % j->nr_blocks : j->nr_blocks - 1 - j->nr_asked;
	j->nr_asked++;
	return true;
}

static struct blkfront_queue *queue_of(const struct job *j, unsigned i)
{
	return blkfront_get_queue(j->bf, i % j->bf->nr_queues);
}

/* 0: asked; -EAGAIN: the ring is full; -ENODATA: there is nothing more to ask for; or as blkfront_submit. */
static int submit_one(struct job *j, unsigned i, uint64_t now)
{
	struct blkfront_request *req = &j->req[i];
	uint64_t block;
	int rc;

	if (!choose_block(j, &block))
		return -ENODATA;
	req->op = j->op;
	req->nr_sectors = j->bytes / BLKIF_SECTOR_BYTES;
	req->sector = block * req->nr_sectors;
	req->data = buffer_of(j, i);
	req->user = &j->started_ns[i];
	j->started_ns[i] = now;
	if (!j->is_random && j->op == BLKIF_OP_WRITE)
		fill_pattern(req->data, req->sector * BLKIF_SECTOR_BYTES, j->bytes);
	rc = blkfront_submit(queue_of(j, i), req);
	if (rc)
		j->nr_asked--; /* to be asked for later */
	return rc;
}

static void take_one(struct job *j, const struct blkfront_request *req, uint64_t now)
{
	j->completed++;
	j->failed += req->status != 0;
	if (!j->is_random && j->op == BLKIF_OP_READ && !req->status)
		j->wrong += !is_pattern(req->data, req->sector * BLKIF_SECTOR_BYTES, j->bytes);
	histogram_add(&j->latency, now - j->started_ns[req - j->req]);
}

/* Asks for the next block, if there is time for one. */
static void ask(struct job *j, unsigned i, uint64_t now, uint64_t until)
{
	int rc = now < until ? submit_one(j, i, now) : -ENODATA;

	if (!rc)
		j->out++;
	else if (rc == -EAGAIN)
		j->idle[j->nr_idle++] = (uint16_t)i;
	else if (rc != -ENODATA)
		j->failed++;
}

/* One look at all queues: answers in, new requests out. How many answers. */
static unsigned work(struct job *j, uint64_t until)
{
	struct blkfront_request *done[64];
	unsigned nr_done = 0, nr_idle = j->nr_idle;

	j->nr_idle = 0;
	for (unsigned i = 0; i < nr_idle; i++)
		ask(j, j->idle[i], clock_now_ns(), until);
	for (unsigned q = 0; q < j->bf->nr_queues; q++) {
		struct blkfront_queue *queue = blkfront_get_queue(j->bf, q);
		unsigned n = blkfront_poll(queue, done, 64);
		uint64_t now = n ? clock_now_ns() : 0;

		for (unsigned i = 0; i < n; i++) {
			j->out--;
			take_one(j, done[i], now);
			ask(j, (unsigned)(done[i] - j->req), now, until);
		}
		blkfront_push(queue);
		nr_done += n;
	}
	return nr_done;
}

/* Keeps depth requests under way until the time is up or all was asked for, then waits for the last. */
static int run_job(struct job *j, uint64_t until)
{
	unsigned spins = 0;
	int rc = 0;

	j->out = j->nr_idle = 0;
	while (j->out < j->depth && !(rc = submit_one(j, j->out, clock_now_ns())))
		j->out++;
	j->peak_depth = j->out;
	if (!j->out)
		return rc == -ENODATA ? 0 : rc;
	for (unsigned q = 0; q < j->bf->nr_queues; q++)
		blkfront_push(blkfront_get_queue(j->bf, q));
	for (uint64_t round = 0; j->out; round++) {
		unsigned n = work(j, until);

		if (round % 1024 == 0 && guest_must_stop(j->g))
			until = 0;
		if (n)
			spins = 0;
		else if (++spins >= SPINS && blkfront_wait(j->bf, 1000) < 0)
			return -ENODEV;
	}
	return 0;
}

/* Buffers, filled so that a write writes something. */
static bool prepare(struct job *j)
{
	size_t bytes = pages_to_bytes(bytes_to_pages(j->bytes)) * j->depth;
	const struct blkfront_disk *d = blkfront_get_disk(j->bf);

	if (j->bytes % d->sector_bytes)
		return guest_fail(j->g, "BYTES must be a multiple of the disk's sector size, %u", d->sector_bytes), false;
	if (j->bytes > blkfront_max_bytes(blkfront_get_queue(j->bf, 0)))
		return guest_fail(j->g, "disk %s takes at most %u bytes at once", j->name,
				  blkfront_max_bytes(blkfront_get_queue(j->bf, 0))), false;
	j->nr_blocks = d->nr_sectors * BLKIF_SECTOR_BYTES / j->bytes;
	if (!j->nr_blocks)
		return guest_fail(j->g, "the disk is smaller than one request"), false;
	j->buffers = guest_alloc(j->g, bytes);
	if (!j->buffers)
		return guest_fail(j->g, "no memory for %u requests of %u bytes; give the domain more", j->depth, j->bytes), false;
	for (size_t i = 0; i < bytes; i++)
		j->buffers[i] = (uint8_t)(i * 131 + (i >> 12));
	return true;
}

/* Closes; after a failure the back end may still hold some of the buffers. */
static void finish(struct job *j, bool is_well)
{
	blkfront_destroy(j->bf);
	if (is_well)
		guest_free(j->g, j->buffers, pages_to_bytes(bytes_to_pages(j->bytes)) * j->depth);
}

/* ---- figures ------------------------------------------------------------------------------------------------------------------ */

static double per_1000(uint64_t n, uint64_t of)
{
	return of ? 1000.0 * (double)n / (double)of : 0;
}

static void say_counters(struct guest *g, const struct job *j)
{
	struct blkfront_counters c;

	blkfront_count(j->bf, &c);
	guest_figure(g, "blk_notifications_per_1000_requests", per_1000(c.notify_sent, j->completed), "notifications");
	guest_figure(g, "blk_sleeps_per_1000_requests", per_1000(g->bus.sleeps, j->completed), "sleeps");
	guest_figure(g, "blk_ring_requests", (double)c.parts, "requests");
	guest_figure(g, "blk_indirect", (double)c.indirect, "requests");
	guest_figure(g, "blk_split", (double)c.split, "requests");
	guest_figure(g, "blk_copied", (double)c.copied_bytes, "bytes");
	guest_figure(g, "blk_resubmitted", (double)c.resubmitted, "requests");
	guest_figure(g, "blk_errors", (double)j->failed, "requests");
}

static void say_job(struct guest *g, struct job *j, double seconds)
{
	double us = 1000;

	guest_figure(g, "blk_requests", (double)j->completed, "requests");
	guest_figure(g, "blk_iops", (double)j->completed / seconds, "requests/s");
	guest_figure(g, "blk_bandwidth", (double)j->completed * j->bytes / seconds / 1e6, "MB/s");
	guest_figure(g, "blk_depth", (double)j->peak_depth, "requests");
	guest_figure(g, "blk_latency_p50", (double)histogram_permille(&j->latency, 500) / us, "us");
	guest_figure(g, "blk_latency_p99", (double)histogram_permille(&j->latency, 990) / us, "us");
	guest_figure(g, "blk_latency_p99.9", (double)histogram_permille(&j->latency, 999) / us, "us");
	guest_figure(g, "blk_latency_max", (double)j->latency.max / us, "us");
	say_counters(g, j);
}

static int bench(struct guest *g, struct job *j, uint64_t seconds)
{
	uint64_t start = clock_now_ns();
	int rc;

	guest_say(g, "ready");
	rc = run_job(j, start + seconds * UINT64_C(1000000000));
	if (rc == -EAGAIN)
		return guest_fail(g, "the ring is too small for one request of %u bytes", j->bytes);
	if (rc == -EROFS)
		return guest_fail(g, "disk %s is read-only", j->name);
	if (rc < 0)
		return guest_fail(g, "disk %s: the back end went away", j->name);
	say_job(g, j, (double)(clock_now_ns() - start) / 1e9);
	return j->failed ? guest_fail(g, "disk %s: %llu requests failed", j->name, (unsigned long long)j->failed) : 0;
}

/* Options after the first arguments. */
static bool take_disk_options(struct guest *g, int argc, char **argv, struct blkfront_options *opt)
{
	for (int at = 0, n; at < argc; at += n) {
		n = guest_disk_option(g, argc - at, argv + at, opt);
		if (n < 0)
			return false;
	}
	return true;
}

int guest_blk_bench(struct guest *g, int argc, char **argv)
{
	static struct job j;
	struct blkfront_options opt = {.max_ring_order = BLKIF_MAX_RING_ORDER};
	uint64_t bytes, depth, seconds;
	int code = 1;

	if (strcmp(argv[1], "randread") && strcmp(argv[1], "randwrite"))
		return guest_fail(g, "'%s' is not a kind of load; use randread or randwrite", argv[1]);
	if (!guest_number(g, "BYTES", argv[2], BLKIF_SECTOR_BYTES, BLKFRONT_MIN_MAX_BYTES, &bytes) ||
	    !guest_number(g, "DEPTH", argv[3], 1, MAX_DEPTH, &depth) ||
	    !guest_number(g, "SECONDS", argv[4], 1, 3600, &seconds) || !take_disk_options(g, argc - 5, argv + 5, &opt))
		return 1;
	j = (struct job){.g = g, .name = argv[0], .bytes = (uint32_t)bytes, .depth = (unsigned)depth, .is_random = true,
			 .random = 0x9e3779b97f4a7c15u};
	j.op = strcmp(argv[1], "randread") ? BLKIF_OP_WRITE : BLKIF_OP_READ;
	j.bf = guest_open_disk_with(g, argv[0], &opt);
	if (!j.bf)
		return 1;
	if (prepare(&j))
		code = bench(g, &j, seconds);
	finish(&j, !code);
	return code;
}

/* ---- verify --------------------------------------------------------------------------------------------------------------------- */

/* All blocks once. 0, or -errno. */
static int pass(struct job *j, uint8_t op)
{
	int rc;

	j->op = op;
	j->nr_asked = j->completed = 0;
	rc = run_job(j, UINT64_MAX);
	if (rc)
		return rc;
	return j->completed == j->nr_blocks ? j->failed ? -EIO : 0 : -EINTR;
}

static int verify(struct guest *g, struct job *j, uint64_t mib, bool is_written)
{
	int rc = 0;

	if (j->nr_blocks > (mib << 20) / j->bytes)
		j->nr_blocks = (mib << 20) / j->bytes;
	if (!j->nr_blocks)
		return guest_fail(g, "MEGABYTES is less than one request");
	if (!is_written)
		rc = pass(j, BLKIF_OP_WRITE);
	if (!rc && !is_written)
		rc = blkfront_flush(j->bf);
	if (!rc)
		rc = pass(j, BLKIF_OP_READ);
	if (rc < 0)
		return guest_fail(g, "disk %s: %s", j->name, strerror(-rc));
	say_counters(g, j);
	guest_figure(g, "blk_verified", (double)(j->nr_blocks * j->bytes), "bytes");
	return j->wrong ? guest_fail(g, "disk %s: %llu blocks came back different", j->name, (unsigned long long)j->wrong) : 0;
}

int guest_blk_verify(struct guest *g, int argc, char **argv)
{
	static struct job j;
	struct blkfront_options opt = {0};
	uint64_t mib, bytes = VERIFY_BYTES, depth = VERIFY_DEPTH;
	bool is_written = false;
	int code = 1;

	if (!guest_number(g, "MEGABYTES", argv[1], 1, 1u << 20, &mib))
		return 1;
	for (int at = 2, n; at < argc; at += n) {
		const char *value = at + 1 < argc ? argv[at + 1] : "";

		n = 2;
		if (!strcmp(argv[at], "--bytes"))
			n = guest_number(g, "--bytes", value, BLKIF_SECTOR_BYTES, BLKFRONT_MAX_SEGMENTS * PAGE_BYTES, &bytes) ? 2 : -1;
		else if (!strcmp(argv[at], "--depth"))
			n = guest_number(g, "--depth", value, 1, MAX_DEPTH, &depth) ? 2 : -1;
		else if (!strcmp(argv[at], "--read-only"))
			n = (is_written = true);
		else
			n = guest_disk_option(g, argc - at, argv + at, &opt);
		if (n < 0)
			return 1;
	}
	j = (struct job){.g = g, .name = argv[0], .bytes = (uint32_t)bytes, .depth = (unsigned)depth};
	j.bf = guest_open_disk_with(g, argv[0], &opt);
	if (!j.bf)
		return 1;
	guest_say_disk(g, j.bf);
	if (prepare(&j))
		code = verify(g, &j, mib, is_written);
	finish(&j, !code);
	return code;
}

/* ---- single things ---------------------------------------------------------------------------------------------------------------- */

int guest_blk_info(struct guest *g, int argc, char **argv)
{
	struct blkfront_options opt = {.max_ring_order = BLKIF_MAX_RING_ORDER};
	struct blkfront *bf;

	if (!take_disk_options(g, argc - 1, argv + 1, &opt))
		return 1;
	bf = guest_open_disk_with(g, argv[0], &opt);
	if (!bf)
		return 1;
	guest_say_disk(g, bf);
	blkfront_destroy(bf);
	return 0;
}

/* A request of the kind as it is, past what blkfront_flush and the like would do instead. */
static int send_order(struct blkfront *bf, uint8_t op, bool is_secure, uint64_t sector, uint64_t nr)
{
	struct blkfront_request req = {.op = op, .is_secure = is_secure, .sector = sector, .nr_sectors = (uint32_t)nr}, *done;
	struct blkfront_queue *q = blkfront_get_queue(bf, 0);
	int rc = blkfront_submit(q, &req);

	if (rc)
		return rc;
	blkfront_push(q);
	while (!blkfront_poll(q, &done, 1))
		blkfront_wait(bf, 1000);
	return req.status;
}

int guest_blk_order(struct guest *g, int argc, char **argv)
{
	static const struct {
		const char *name;
		uint8_t op;
		bool is_secure, has_range;
	} kinds[] = {{"flush", BLKIF_OP_FLUSH_DISKCACHE, false, false},
		     {"barrier", BLKIF_OP_WRITE_BARRIER, false, false},
		     {"discard", BLKIF_OP_DISCARD, false, true},
		     {"secure-discard", BLKIF_OP_DISCARD, true, true}};
	uint64_t sector = 0, nr = 0;
	struct blkfront *bf;
	unsigned k = 0;
	int rc;

	while (k < 4 && strcmp(kinds[k].name, argv[1]))
		k++;
	if (k == 4)
		return guest_fail(g, "'%s' is not an order; use flush, barrier, discard, secure-discard", argv[1]);
	if (argc != (kinds[k].has_range ? 4 : 2))
		return guest_fail(g, "%s takes %s", argv[1], kinds[k].has_range ? "SECTOR and COUNT" : "no range");
	if (kinds[k].has_range && (!guest_number(g, "SECTOR", argv[2], 0, UINT64_MAX / 512, &sector) ||
				   !guest_number(g, "COUNT", argv[3], 1, UINT32_MAX, &nr)))
		return 1;
	bf = guest_open_disk(g, argv[0], 0);
	if (!bf)
		return 1;
	rc = send_order(bf, kinds[k].op, kinds[k].is_secure, sector, nr);
	blkfront_destroy(bf);
	if (rc)
		return guest_fail(g, "disk %s: %s: %s", argv[0], argv[1], strerror(-rc));
	guest_say(g, "done");
	return 0;
}

/* Waits until the disk has that many sectors, as after a resize. */
int guest_blk_size(struct guest *g, int argc, char **argv)
{
	uint64_t sectors, seconds, until;
	struct blkfront *bf;
	int rc = 0;

	(void)argc;
	if (!guest_number(g, "SECTORS", argv[1], 1, UINT64_MAX / 512, &sectors) || !guest_number(g, "SECONDS", argv[2], 1, 3600, &seconds))
		return 1;
	bf = guest_open_disk(g, argv[0], 0);
	if (!bf)
		return 1;
	guest_say(g, "ready");
	until = clock_now_ns() + seconds * UINT64_C(1000000000);
	while (blkfront_get_disk(bf)->nr_sectors != sectors && clock_now_ns() < until && !guest_must_stop(g) && rc >= 0)
		rc = blkfront_wait(bf, 100);
	guest_figure(g, "blk_sectors", (double)blkfront_get_disk(bf)->nr_sectors, "sectors");
	rc = blkfront_get_disk(bf)->nr_sectors == sectors ? 0 : guest_fail(g, "disk %s did not become %s sectors", argv[0], argv[1]);
	blkfront_destroy(bf);
	return rc;
}
