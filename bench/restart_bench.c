/*
 * bench/restart_bench.c - how long guests wait when a back end is killed (-9) under load and started again at once.
 *
 *      restart_bench [ROUNDS]      7 when nothing is said
 *
 * This process is two guests: frames go from the one to the other over sluice-netback's bridge without a pause, numbered; the
 * first has a disk, too, and reads it at random, 32 requests at a time, by turns. A second thread kills the back end and starts it again.
 *
 *      restart.net_resume_ms    from the kill until the first frame that came over the new back end
 *      restart.blk_resume_ms    from the kill until the first request that the new back end answered
 *
 * The end of the longest gap after the kill is that moment: what the dead one had shown in the rings comes before it. A device that is
 * reset, a failed request, a wrong block, a frame that nobody sent: each ends the bench with a sentence.
 */
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <string.h>
#include <unistd.h>

#include "bench/bench.h"
#include "bench/system.h"
#include "frontends/blkfront.h"
#include "frontends/netfront.h"

#define ROUNDS 7
#define DEPTH 32u
#define BLOCK_BYTES 4096u
#define BLOCK_SECTORS (BLOCK_BYTES / BLKIF_SECTOR_BYTES)
#define DISK_MIB 16u
#define FRAME_BYTES 64u
#define BURST 16u
#define GUEST_MIB 32u
#define CONNECT_MS 10000
#define BEFORE_NS 100000000u /* of load, before the kill */
#define AFTER_NS 200000000u  /* and after the new one serves */
#define NETBACK 1u
#define BLKBACK 2u

struct guest {
	struct hv *hv;
	struct frontbus bus;
	struct netfront *nf;
};

struct restart_bench {
	struct guest from, to;
	struct blkfront *bf;
	struct blkfront_queue *q;
	struct blkfront_request req[DEPTH];
	uint64_t random;
	uint64_t sent, seen; /* numbers of frames */
};

/* Of one kind of load; the time of each success makes the gaps. */
struct gaps {
	uint64_t last_ns, killed_ns;
	uint64_t longest_ns, resumed_ns;
};

struct restart {
	unsigned daemon;
	const char *name;
	pthread_t thread;
	uint64_t killed_ns;
	uint32_t is_done;
};

static void gaps_success(struct gaps *g, uint64_t now)
{
	uint64_t from = g->last_ns > g->killed_ns ? g->last_ns : g->killed_ns;

	if (g->killed_ns && now - from > g->longest_ns) {
		g->longest_ns = now - from;
		g->resumed_ns = now;
	}
	g->last_ns = now;
}

/* ---- the load -------------------------------------------------------------------------------------------------------- */

static void send_frames(struct restart_bench *b)
{
	uint8_t frame[BURST][FRAME_BYTES];
	struct netfront_packet pkts[BURST];

	for (unsigned i = 0; i < BURST; i++) {
		uint64_t number = b->sent + i + 1;

		memset(frame[i], 0, FRAME_BYTES);
		memcpy(frame[i], b->to.nf->mac, 6);
		memcpy(frame[i] + 6, b->from.nf->mac, 6);
		frame[i][12] = 0x88;
		frame[i][13] = 0xb5; /* for experiments */
		memcpy(frame[i] + 14, &number, sizeof(number));
		pkts[i] = (struct netfront_packet){.data = frame[i], .len = FRAME_BYTES};
	}
	b->sent += netfront_tx_burst(b->from.nf, 0, pkts, BURST);
}

/* A frame may come twice over a kill, for it may have been sent and not answered. */
static unsigned receive_frames(struct restart_bench *b)
{
	static uint8_t room[BURST][2048];
	struct netfront_packet pkts[BURST];
	unsigned n, own = 0;

	for (unsigned i = 0; i < BURST; i++)
		pkts[i] = (struct netfront_packet){.data = room[i], .len = sizeof(room[i])};
	n = netfront_rx_burst(b->to.nf, 0, pkts, BURST);
	for (unsigned i = 0; i < n; i++) {
		uint64_t number;

		if (pkts[i].len < FRAME_BYTES || room[i][12] != 0x88 || room[i][13] != 0xb5)
			continue;
		memcpy(&number, room[i] + 14, sizeof(number));
		if (number == 0 || number > b->sent)
			system_die("a frame came that nobody sent: number %llu", (unsigned long long)number);
		b->seen = number;
		own++;
	}
	return own;
}

static void submit(struct restart_bench *b, struct blkfront_request *r)
{
	int err;

	b->random = b->random * 6364136223846793005u + 1442695040888963407u;
	r->sector = (b->random >> 33) % (DISK_MIB * 1048576u / BLOCK_BYTES) * BLOCK_SECTORS;
	memset(r->data, 0xff, 16);
	err = blkfront_submit(b->q, r);
	if (err)
		system_die("a request was refused: %s", strerror(-err));
}

/* Each block holds its number. */
static unsigned read_blocks(struct restart_bench *b)
{
	struct blkfront_request *done[DEPTH];
	unsigned n = blkfront_poll(b->q, done, DEPTH);

	for (unsigned i = 0; i < n; i++) {
		uint64_t number;

		memcpy(&number, done[i]->data, sizeof(number));
		if (done[i]->status)
			system_die("a request failed: %s", strerror(-done[i]->status));
		if (number != done[i]->sector / BLOCK_SECTORS)
			system_die("sector %llu is not what was written there", (unsigned long long)done[i]->sector);
		submit(b, done[i]);
	}
	if (n)
		blkfront_push(b->q);
	return n;
}

/* The load of one back end, until the time is over and (if there is one) the restart done. The other one's processor is free. */
static void work(struct restart_bench *b, unsigned daemon, struct gaps *g, uint64_t for_ns, struct restart *r)
{
	uint64_t until = bench_now_ns() + for_ns;

	for (unsigned turn = 0;; turn++) {
		uint64_t now = bench_now_ns();

		if (now >= until && (!r || load_acquire(&r->is_done))) /* pairs with restart_main's release */
			return;
		if (r && g->killed_ns == 0)
			g->killed_ns = load_acquire(&r->killed_ns);
		if (daemon == NETBACK)
			send_frames(b);
		if (daemon == NETBACK ? receive_frames(b) : read_blocks(b))
			gaps_success(g, now);
		if (turn % 64)
			continue;
		frontbus_pump(&b->from.bus);
		frontbus_pump(&b->to.bus);
		if (netfront_check(b->from.nf) || netfront_check(b->to.nf) || blkfront_check(b->bf) || !b->from.nf->is_connected ||
		    !b->to.nf->is_connected)
			system_die("a device was reset");
	}
}

/* ---- one kill -------------------------------------------------------------------------------------------------------- */

static void *restart_main(void *arg)
{
	struct restart *r = arg;

	store_release(&r->killed_ns, bench_now_ns()); /* pairs with work's acquire */
	system_kill_and_start(r->daemon, r->name, SYSTEM_ANY_CPU, NULL);
	store_release(&r->is_done, 1); /* pairs with work's acquire */
	return NULL;
}

static double resume_ms(struct restart_bench *b, unsigned daemon, const char *name)
{
	struct restart r = {.daemon = daemon, .name = name};
	struct gaps g = {0};

	work(b, daemon, &g, BEFORE_NS, NULL);
	if (pthread_create(&r.thread, NULL, restart_main, &r))
		system_die("no thread");
	work(b, daemon, &g, 0, &r);
	work(b, daemon, &g, AFTER_NS, NULL);
	pthread_join(r.thread, NULL);
	if (bench_now_ns() - g.last_ns > AFTER_NS / 2)
		system_die("%s was started again, and nothing comes through", name);
	return (double)(g.resumed_ns - r.killed_ns) / 1e6;
}

/* ---- before and after ------------------------------------------------------------------------------------------------ */

static void make_image(char path[160])
{
	uint8_t block[BLOCK_BYTES] = {0};
	int fd;

	snprintf(path, 160, "%s/disk.img", sys.dir);
	fd = open(path, O_CREAT | O_RDWR | O_CLOEXEC, 0600);
	for (uint64_t i = 0; fd >= 0 && i < DISK_MIB * 1048576u / BLOCK_BYTES; i++) {
		memcpy(block, &i, sizeof(i));
		if (write(fd, block, sizeof(block)) != sizeof(block))
			system_die("no image %s: %s", path, strerror(errno));
	}
	if (fd < 0)
		system_die("no image %s: %s", path, strerror(errno));
	close(fd);
}

static void guest_begin(struct guest *g, const char *name, const char *devices)
{
	int err;

	g->hv = system_become(name, GUEST_MIB, devices);
	err = frontbus_init(&g->bus, g->hv);
	if (!err)
		err = netfront_create(&g->bus, 0, NULL, &g->nf);
	if (!err)
		err = netfront_wait_connected(g->nf, CONNECT_MS);
	if (err)
		system_die("the interface of %s does not connect: %s", name, strerror(-err));
}

static void disk_begin(struct restart_bench *b)
{
	struct blkfront_options opt = {0};
	void *pages;
	int err = blkfront_create(&b->from.bus, 51712, &opt, &b->bf);

	if (!err)
		err = blkfront_wait_connected(b->bf, CONNECT_MS);
	if (!err)
		err = hv_pages_alloc(b->from.hv, DEPTH * BLOCK_BYTES / PAGE_BYTES, &pages);
	if (err)
		system_die("the disk does not connect: %s", strerror(-err));
	b->q = blkfront_get_queue(b->bf, 0);
	for (unsigned i = 0; i < DEPTH; i++) {
		b->req[i] = (struct blkfront_request){
			.op = BLKIF_OP_READ, .nr_sectors = BLOCK_SECTORS, .data = (uint8_t *)pages + i * BLOCK_BYTES};
		submit(b, &b->req[i]);
	}
	blkfront_push(b->q);
}

static void guest_end(struct guest *g)
{
	netfront_destroy(g->nf);
	frontbus_finish(&g->bus);
	hv_close(g->hv);
}

int main(int argc, char **argv)
{
	unsigned rounds = argc > 1 ? (unsigned)strtoul(argv[1], NULL, 10) : ROUNDS;
	static struct restart_bench b;
	double net[BENCH_MAX_ROUNDS], blk[BENCH_MAX_ROUNDS];
	char image[160], devices[512];

	if (rounds < 1 || rounds > BENCH_MAX_ROUNDS) {
		fprintf(stderr, "restart_bench: from 1 to %d rounds, please\n", BENCH_MAX_ROUNDS);
		return 2;
	}
	system_begin(argv[0]);
	make_image(image);
	system_start("sluice-netback", SYSTEM_ANY_CPU, NULL);
	system_start("sluice-blkback", SYSTEM_ANY_CPU, NULL);
	snprintf(devices, sizeof(devices), "vif=['']\ndisk=['format=raw,vdev=xvda,access=ro,target=%s']\n", image);
	guest_begin(&b.from, "restart-1", devices);
	guest_begin(&b.to, "restart-2", "vif=['']\n");
	disk_begin(&b);
	for (unsigned i = 0; i < rounds; i++) {
		net[i] = resume_ms(&b, NETBACK, "sluice-netback");
		blk[i] = resume_ms(&b, BLKBACK, "sluice-blkback");
	}
	bench_report("restart.net_resume_ms", "ms", net, rounds);
	bench_report("restart.blk_resume_ms", "ms", blk, rounds);
	blkfront_destroy(b.bf);
	guest_end(&b.to);
	guest_end(&b.from);
	system_end();
	return 0;
}
