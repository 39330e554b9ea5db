/*
 * bench/blk_loop_bench.c - the block path alone: a polling driver loop over blkfront, and sluice-blkback on another processor.
 *
 *      blk_loop_bench [SECONDS [ROUNDS]]      of a sample (1), and how many of each figure (5)
 *
 * 4 KiB random reads, one queue. The engines null (nothing touched) and memory (64 MiB, as SPDK's examples have, and 256 MiB; every
 * page written before).
 *
 *      blk.{null,mem}.loop_miops   depth 64, million requests a second
 *      blk.null.loop_qd1_us        depth 1, microseconds a request
 *      blk.mem.loop_256mib_miops   depth 64; the copy from memory that no cache holds is most of it
 *      blk.idle_cpu_percent        of one processor, daemons and guest together, with a connected disk that is not used
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "bench/pingpong.h"
#include "bench/system.h"
#include "frontends/blkfront.h"

#define SMALL_MIB 64u
#define LARGE_MIB 256u
#define BLOCK_BYTES 4096u
#define BLOCK_SECTORS (BLOCK_BYTES / BLKIF_SECTOR_BYTES)
#define GUEST_MIB 16
#define DEPTH 64u
#define BURST 64u
#define FILL_DEPTH 8u
#define FILL_BYTES (128u << 10)
#define MAX_ATTEMPTS 4 /* for each sample that counts */
#define IDLE_SECONDS 3
#define CONNECT_MS 10000

struct loop_bench {
	struct hv *guest;
	struct frontbus bus;
	struct blkfront *bf;
	struct blkfront_queue *q;
	uint8_t *data;
	struct blkfront_request req[DEPTH];
	uint64_t random;
	uint64_t nr_blocks;
	int there; /* the back end's processor */
	double seconds;
	unsigned rounds;
};

static uint64_t next_random(struct loop_bench *b)
{
	b->random ^= b->random << 13;
	b->random ^= b->random >> 7;
	b->random ^= b->random << 17;
	return b->random;
}

static void submit(struct loop_bench *b, struct blkfront_request *req)
{
	int err = blkfront_submit(b->q, req);

	if (err)
		system_die("a request was refused: %s", strerror(-err));
}

static void submit_random(struct loop_bench *b, struct blkfront_request *req)
{
	req->sector = (next_random(b) >> 16) % b->nr_blocks * BLOCK_SECTORS;
	submit(b, req);
}

/* Polls until something has come back, or the back end is gone. */
static unsigned take(struct loop_bench *b, struct blkfront_request *done[])
{
	unsigned n;

	for (uint64_t empty = 0; !(n = blkfront_poll(b->q, done, BURST)); empty++) {
		if (empty % (1u << 24) == (1u << 24) - 1 && (frontbus_pump(&b->bus) || blkfront_check(b->bf)))
			system_die("the back end went away");
		cpu_relax();
	}
	for (unsigned i = 0; i < n; i++)
		if (done[i]->status)
			system_die("a request failed: %s", strerror(-done[i]->status));
	return n;
}

/* Reads at random for a while with depth under way; requests a second. */
static double read_random(struct loop_bench *b, unsigned depth)
{
	struct blkfront_request *done[BURST];
	uint64_t start = bench_now_ns(), until = start + (uint64_t)(b->seconds * 1e9), now = start, completed = 0;
	unsigned out = depth;

	for (unsigned i = 0; i < depth; i++)
		submit_random(b, &b->req[i]);
	blkfront_push(b->q);
	for (unsigned round = 0; out; round++) {
		unsigned n = take(b, done);

		completed += n;
		if (round % 16 == 0)
			now = bench_now_ns();
		for (unsigned i = 0; i < n; i++)
			if (now < until)
				submit_random(b, done[i]);
			else
				out--;
		blkfront_push(b->q);
	}
	return (double)completed * 1e9 / (double)(bench_now_ns() - start);
}

/* Writes the whole disk once, so that reads find data and not a hole. */
static void fill(struct loop_bench *b)
{
	struct blkfront_request req[FILL_DEPTH], *done[BURST];
	uint64_t at = 0, end = b->nr_blocks * BLOCK_SECTORS;
	unsigned out = 0;

	for (unsigned i = 0; i < FILL_DEPTH; i++, out++, at += FILL_BYTES / BLKIF_SECTOR_BYTES) {
		req[i] = (struct blkfront_request){.op = BLKIF_OP_WRITE, .sector = at, .data = b->data,
						   .nr_sectors = FILL_BYTES / BLKIF_SECTOR_BYTES};
		submit(b, &req[i]);
	}
	while (out) {
		blkfront_push(b->q);
		for (unsigned n = take(b, done), i = 0; i < n; i++) {
			if (at < end) {
				done[i]->sector = at;
				at += FILL_BYTES / BLKIF_SECTOR_BYTES;
				submit(b, done[i]);
			} else {
				out--;
			}
		}
	}
}

static void make_image(const char *path, unsigned mib)
{
	int fd = open(path, O_CREAT | O_RDWR | O_CLOEXEC | O_TRUNC, 0600);

	if (fd < 0 || ftruncate(fd, (off_t)mib << 20) < 0)
		system_die("no image %s: %s", path, strerror(errno));
	close(fd);
}

/* A fresh back end with this engine, a fresh domain, its disk connected. */
static void begin(struct loop_bench *b, char *engine, unsigned mib)
{
	char *extra[] = {"--engine", engine, NULL}, target[128], name[32];
	struct blkfront_options opt = {.max_ring_order = 2};
	void *pages;
	int err;

	snprintf(name, sizeof(name), "bench-%s-%u", engine, mib);
	snprintf(target, sizeof(target), "%s/disk.img", sys.dir);
	make_image(target, mib);
	system_start("sluice-blkback", b->there, extra);
	b->guest = system_attach(name, GUEST_MIB, target);
	err = frontbus_init(&b->bus, b->guest);
	if (!err)
		err = blkfront_create(&b->bus, 51712, &opt, &b->bf);
	if (!err)
		err = blkfront_wait_connected(b->bf, CONNECT_MS);
	if (!err)
		err = hv_pages_alloc(b->guest, DEPTH * BLOCK_BYTES / PAGE_BYTES, &pages);
	if (err)
		system_die("the disk does not connect with engine %s: %s", engine, strerror(-err));
	b->q = blkfront_get_queue(b->bf, 0);
	b->data = pages;
	memset(b->data, 0x5a, DEPTH * BLOCK_BYTES);
	b->nr_blocks = blkfront_get_disk(b->bf)->nr_sectors / BLOCK_SECTORS;
	for (unsigned i = 0; i < DEPTH; i++)
		b->req[i] = (struct blkfront_request){.op = BLKIF_OP_READ, .nr_sectors = BLOCK_SECTORS, .data = b->data + i * BLOCK_BYTES};
}

static void end(struct loop_bench *b)
{
	blkfront_destroy(b->bf);
	frontbus_finish(&b->bus);
	hv_close(b->guest);
	system_stop_last();
}

/* One figure: samples during which the two processors stayed where they were. scale: of requests a second, or over them. */
static void report(struct loop_bench *b, const char *name, const char *unit, unsigned depth, double (*scale)(double iops))
{
	double value[BENCH_MAX_ROUNDS];
	unsigned nr = 0, left = b->rounds * MAX_ATTEMPTS;

	read_random(b, depth); /* the first touches everything for the first time */
	while (nr < b->rounds) {
		double before = pingpong_ns(b->there);
		double iops = read_random(b, depth);
		double after = pingpong_ns(b->there);

		/* When hardly any attempt was quiet, the last ones count as they are. */
		if (pingpong_alike(before, after) || --left <= b->rounds - nr)
			value[nr++] = scale(iops);
	}
	bench_report(name, unit, value, b->rounds);
}

static double miops(double iops)
{
	return iops / 1e6;
}

static double us(double iops)
{
	return 1e6 / iops;
}

/* Processor time of all threads of a process, in nanoseconds. */
static double process_ns(pid_t pid)
{
	char path[300];
	double total = 0, ns;
	struct dirent *e;
	DIR *dir;
	FILE *f;

	snprintf(path, sizeof(path), "/proc/%d/task", (int)pid);
	dir = opendir(path);
	while (dir && (e = readdir(dir))) {
		snprintf(path, sizeof(path), "/proc/%d/task/%s/schedstat", (int)pid, e->d_name);
		f = e->d_name[0] != '.' ? fopen(path, "re") : NULL;
		if (f && fscanf(f, "%lf", &ns) == 1)
			total += ns;
		if (f)
			fclose(f);
	}
	if (dir)
		closedir(dir);
	return total;
}

static double all_ns(void)
{
	double total = process_ns(getpid());

	for (unsigned i = 0; i < sys.nr_daemons; i++)
		total += process_ns(sys.daemon[i]);
	return total;
}

static void report_idle(struct loop_bench *b)
{
	uint64_t start = bench_now_ns(), end_ns = start + UINT64_C(1000000000) * IDLE_SECONDS, now;
	double before = all_ns();

	while ((now = bench_now_ns()) < end_ns)
		if (blkfront_wait(b->bf, (int)((end_ns - now) / 1000000) + 1) < 0)
			system_die("the back end went away");
	printf("blk.idle_cpu_percent %.3g %%\n", 100 * (all_ns() - before) / (double)(bench_now_ns() - start));
	fflush(stdout);
}

int main(int argc, char **argv)
{
	struct loop_bench b = {.random = 0x9e3779b97f4a7c15u, .there = bench_cpu(1), .seconds = 1, .rounds = 5};

	if (b.there < 0) {
		fprintf(stderr, "blk_loop_bench: needs two processors; this process may use one. Give it more with taskset.\n");
		return 77;
	}
	if (argc > 1)
		b.seconds = strtod(argv[1], NULL);
	if (argc > 2)
		b.rounds = (unsigned)strtoul(argv[2], NULL, 10);
	if (b.seconds <= 0 || b.rounds < 1 || b.rounds > BENCH_MAX_ROUNDS) {
		fprintf(stderr, "usage: blk_loop_bench [SECONDS [ROUNDS]], at most %d rounds\n", BENCH_MAX_ROUNDS);
		return 2;
	}
	system_begin(argv[0]);
	bench_pin(bench_cpu(0));
	begin(&b, "null", LARGE_MIB);
	report(&b, "blk.null.loop_miops", "M/s", DEPTH, miops);
	report(&b, "blk.null.loop_qd1_us", "us", 1, us);
	report_idle(&b);
	end(&b);
	begin(&b, "memory", SMALL_MIB);
	fill(&b);
	report(&b, "blk.mem.loop_miops", "M/s", DEPTH, miops);
	end(&b);
	begin(&b, "memory", LARGE_MIB);
	fill(&b);
	report(&b, "blk.mem.loop_256mib_miops", "M/s", DEPTH, miops);
	end(&b);
	system_end();
	return 0;
}
