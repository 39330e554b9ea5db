/*
 * tools/guest_blk.c - figures of a disk: random reads and writes at a depth, and a check that it keeps what it was given.
 */
#include "hv/clock.h"
#include "hv/histogram.h"
#include "tools/guest.h"

#include <stdlib.h>

#define MAX_DEPTH 512u
#define SPINS 256u /* empty polls before sleep */

struct job {
	struct guest *g;
	struct blkfront *bf;
	uint8_t op;
	uint32_t bytes;
	unsigned depth;
	uint8_t *buffers; /* depth of them, whole pages each */
	unsigned nr_pages;
	uint64_t nr_blocks;
	uint64_t random;
	uint64_t completed;
	uint64_t failed;
	uint64_t peak_depth;
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

static bool submit_one(struct job *j, unsigned i, uint64_t now)
{
	struct blkfront_request *req = &j->req[i];

	req->op = j->op;
	req->nr_sectors = j->bytes / BLKIF_SECTOR_BYTES;
	req->sector = next_random(j) % j->nr_blocks * req->nr_sectors;
	req->data = j->buffers + (size_t)i * pages_to_bytes(bytes_to_pages(j->bytes));
	req->user = &j->started_ns[i];
	j->started_ns[i] = now;
	return blkfront_submit(blkfront_get_queue(j->bf, 0), req) == 0;
}

/* Keeps depth requests under way until the time is up, then waits for the last. 0, -ENODEV, -EAGAIN (the ring is too small). */
static int run_job(struct job *j, uint64_t until)
{
	struct blkfront_request *done[64];
	unsigned out = 0, spins = 0;
	uint64_t now = clock_now_ns();

	while (out < j->depth && submit_one(j, out, now))
		out++;
	j->peak_depth = out;
	if (!out)
		return -EAGAIN;
	for (uint64_t round = 0; out; round++) {
		unsigned n;

		blkfront_push(blkfront_get_queue(j->bf, 0));
		n = blkfront_poll(blkfront_get_queue(j->bf, 0), done, 64);
		if (!n && ++spins >= SPINS) {
			spins = 0;
			if (blkfront_wait(j->bf, 1000) < 0)
				return -ENODEV;
		}
		if (!n)
			continue;
		spins = 0;
		now = clock_now_ns();
		if (round % 1024 == 0 && guest_must_stop(j->g))
			until = now;
		for (unsigned i = 0; i < n; i++) {
			unsigned at = (unsigned)(done[i] - j->req);

			j->completed++;
			j->failed += done[i]->status != 0;
			histogram_add(&j->latency, now - j->started_ns[at]);
			if (now >= until || !submit_one(j, at, now))
				out--;
		}
	}
	return 0;
}

static void say_job(struct guest *g, struct job *j, double seconds)
{
	const struct blkfront_counters *c = &j->bf->queue[0].ring.count;
	double us = 1000;

	guest_figure(g, "blk_requests", (double)j->completed, "requests");
	guest_figure(g, "blk_iops", (double)j->completed / seconds, "requests/s");
	guest_figure(g, "blk_bandwidth", (double)j->completed * j->bytes / seconds / 1e6, "MB/s");
	guest_figure(g, "blk_depth", (double)j->peak_depth, "requests");
	guest_figure(g, "blk_latency_p50", (double)histogram_permille(&j->latency, 500) / us, "us");
	guest_figure(g, "blk_latency_p99", (double)histogram_permille(&j->latency, 990) / us, "us");
	guest_figure(g, "blk_latency_p99.9", (double)histogram_permille(&j->latency, 999) / us, "us");
	guest_figure(g, "blk_latency_max", (double)j->latency.max / us, "us");
	guest_figure(g, "blk_notifications_per_1000_requests",
		     j->completed ? 1000.0 * (double)c->notify_sent / (double)j->completed : 0, "notifications");
	guest_figure(g, "blk_sleeps_per_1000_requests",
		     j->completed ? 1000.0 * (double)g->bus.sleeps / (double)j->completed : 0, "sleeps");
	guest_figure(g, "blk_errors", (double)j->failed, "requests");
}

/* Buffers, filled so that a write writes something. */
static bool prepare(struct guest *g, struct job *j)
{
	unsigned pages = (unsigned)(bytes_to_pages(j->bytes) * j->depth);
	void *p;

	if (j->bytes % blkfront_get_disk(j->bf)->sector_bytes) {
		guest_fail(g, "BYTES must be a multiple of the disk's sector size, %u", blkfront_get_disk(j->bf)->sector_bytes);
		return false;
	}
	j->nr_blocks = blkfront_get_disk(j->bf)->nr_sectors * BLKIF_SECTOR_BYTES / j->bytes;
	if (!j->nr_blocks) {
		guest_fail(g, "the disk is smaller than one request");
		return false;
	}
	if (hv_pages_alloc(g->hv, pages, &p) < 0) {
		guest_fail(g, "no memory for %u requests of %u bytes; give the domain more", j->depth, j->bytes);
		return false;
	}
	j->buffers = p;
	j->nr_pages = pages;
	for (size_t i = 0; i < pages_to_bytes(pages); i++)
		j->buffers[i] = (uint8_t)(i * 131 + (i >> 12));
	return true;
}

static int bench(struct guest *g, struct job *j, uint64_t seconds, const char *disk)
{
	uint64_t start = clock_now_ns();
	int rc;

	guest_say(g, "ready");
	rc = run_job(j, start + seconds * UINT64_C(1000000000));
	if (rc == -EAGAIN)
		return guest_fail(g, "the ring is too small for one request of %u bytes", j->bytes);
	if (rc < 0)
		return guest_fail(g, "disk %s: the back end went away", disk);
	say_job(g, j, (double)(clock_now_ns() - start) / 1e9);
	return j->failed ? guest_fail(g, "disk %s: %llu requests failed", disk, (unsigned long long)j->failed) : 0;
}

int guest_blk_bench(struct guest *g, int argc, char **argv)
{
	static struct job j;
	uint64_t bytes, depth, seconds;
	int code = 1;

	(void)argc;
	if (strcmp(argv[1], "randread") && strcmp(argv[1], "randwrite"))
		return guest_fail(g, "'%s' is not a kind of load; use randread or randwrite", argv[1]);
	if (!guest_number(g, "BYTES", argv[2], BLKIF_SECTOR_BYTES, BLKFRONT_MIN_MAX_BYTES, &bytes) ||
	    !guest_number(g, "DEPTH", argv[3], 1, MAX_DEPTH, &depth) ||
	    !guest_number(g, "SECONDS", argv[4], 1, 3600, &seconds))
		return 1;
	j = (struct job){.g = g, .bytes = (uint32_t)bytes, .depth = (unsigned)depth, .random = 0x9e3779b97f4a7c15u};
	j.op = strcmp(argv[1], "randread") ? BLKIF_OP_WRITE : BLKIF_OP_READ;
	j.bf = guest_open_disk(g, argv[0], BLKIF_MAX_RING_ORDER);
	if (!j.bf)
		return 1;
	if (j.op == BLKIF_OP_WRITE && blkfront_get_disk(j.bf)->is_read_only)
		guest_fail(g, "disk %s is read-only", argv[0]);
	else if (prepare(g, &j))
		code = bench(g, &j, seconds, argv[0]);
	blkfront_destroy(j.bf);
	if (!code) /* after a failure the back end may still hold some of them */
		hv_pages_free(g->hv, j.buffers, j.nr_pages);
	return code;
}

#define VERIFY_BYTES 65536u

/* What block n holds: its number, mixed, in every word. */
static void fill_pattern(uint64_t *block, uint64_t n)
{
	for (unsigned i = 0; i < VERIFY_BYTES / 8; i++)
		block[i] = (n * 8192 + i) * UINT64_C(0x9e3779b97f4a7c15);
}

/* Writes (or reads and compares) all blocks, the last first. Returns how many are wrong, or -errno. */
static int64_t pass(struct guest *g, struct blkfront *bf, uint64_t nr, bool is_write)
{
	static uint64_t want[VERIFY_BYTES / 8], have[VERIFY_BYTES / 8];
	const uint64_t sectors = VERIFY_BYTES / BLKIF_SECTOR_BYTES;
	int64_t wrong = 0;
	int rc;

	for (uint64_t n = nr; n-- > 0;) {
		if (guest_must_stop(g))
			return -EINTR;
		fill_pattern(want, n);
		rc = is_write ? blkfront_write(bf, n * sectors, sectors, want) : blkfront_read(bf, n * sectors, sectors, have);
		if (rc < 0)
			return rc;
		if (!is_write && memcmp(want, have, VERIFY_BYTES))
			wrong++;
	}
	return wrong;
}

int guest_blk_verify(struct guest *g, int argc, char **argv)
{
	struct blkfront *bf;
	uint64_t mib, nr;
	int64_t rc;

	(void)argc;
	if (!guest_number(g, "MEGABYTES", argv[1], 1, 1u << 20, &mib))
		return 1;
	bf = guest_open_disk(g, argv[0], 0);
	if (!bf)
		return 1;
	nr = blkfront_get_disk(bf)->nr_sectors * BLKIF_SECTOR_BYTES / VERIFY_BYTES;
	if (nr > (mib << 20) / VERIFY_BYTES)
		nr = (mib << 20) / VERIFY_BYTES;
	rc = pass(g, bf, nr, true);
	if (!rc)
		rc = blkfront_flush(bf);
	if (!rc)
		rc = pass(g, bf, nr, false);
	blkfront_destroy(bf);
	if (rc < 0)
		return guest_fail(g, "disk %s: %s", argv[0], strerror((int)-rc));
	guest_figure(g, "blk_verified", (double)(nr * VERIFY_BYTES), "bytes");
	return rc ? guest_fail(g, "disk %s: %lld blocks came back different", argv[0], (long long)rc) : 0;
}
