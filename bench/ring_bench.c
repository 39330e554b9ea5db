/*
 * bench/ring_bench.c - requests and answers through one ring between two processors, and what a cache line costs there.
 *
 * Both ends poll.
 */
#include "bench/pingpong.h"
#include "rings/netif.h"

#define ROUNDS 7
#define MAX_SAMPLES 40
#define REQUESTS 4000000u
#define BURST 32

/* ---- the ring ---------------------------------------------------------------------------------------------------- */

struct ring_bench {
	_Alignas(4096) uint8_t area[PAGE_BYTES];
	int cpu;
	uint32_t is_wrong;
};

static void *back_main(void *arg)
{
	struct ring_bench *b = arg;
	struct netif_txr_back back;

	bench_pin(b->cpu);
	netif_txr_back_init(&back, b->area, sizeof(b->area));
	for (uint32_t done = 0; done < REQUESTS;) {
		int n = netif_txr_back_pending(&back);

		if (n > BURST)
			n = BURST;
		for (int i = 0; i < n; i++, done++) {
			struct netif_tx_request req;

			netif_txr_back_take(&back, &req);
			b->is_wrong |= req.gref != done;
			netif_txr_back_put(&back, &(struct netif_tx_response){.id = req.id, .status = NETIF_RSP_OKAY});
		}
		if (n > 0)
			netif_txr_back_push(&back);
		else
			cpu_relax();
	}
	return NULL;
}

static uint32_t front_reap(struct netif_txr_front *front)
{
	int n = netif_txr_front_pending(front);

	for (int i = 0; i < n; i++) {
		struct netif_tx_response rsp;

		netif_txr_front_take(front, &rsp);
	}
	return n > 0 ? (uint32_t)n : 0;
}

static double ring_mops(int cpu)
{
	static struct ring_bench b;
	struct netif_txr_front front;
	uint32_t sent = 0, answered = 0;
	uint64_t begin;
	pthread_t back;

	b.cpu = cpu;
	netif_txr_front_init(&front, b.area, sizeof(b.area));
	begin = bench_now_ns();
	if (pthread_create(&back, NULL, back_main, &b))
		exit(1);
	while (answered < REQUESTS) {
		uint32_t room = netif_txr_front_free(&front);
		uint32_t n = room < BURST ? room : BURST;

		for (uint32_t i = 0; i < n && sent < REQUESTS; i++, sent++)
			netif_txr_front_put(&front, &(struct netif_tx_request){.gref = sent, .id = (uint16_t)sent, .size = 64});
		if (n)
			netif_txr_front_push(&front);
		answered += front_reap(&front);
	}
	begin = bench_now_ns() - begin;
	pthread_join(back, NULL);
	if (b.is_wrong) {
		fprintf(stderr, "ring_bench: a request arrived changed\n");
		exit(1);
	}
	return (double)REQUESTS * 1000 / (double)begin;
}

int main(void)
{
	double line[MAX_SAMPLES], mops[ROUNDS];
	int here = bench_cpu(0), there = bench_cpu(1);
	unsigned nr = 0, nr_samples = 0;

	if (there < 0) {
		fprintf(stderr, "ring_bench: needs two processors; this process may use one. Give it more with taskset.\n");
		return 77;
	}
	bench_pin(here);
	while (nr < ROUNDS && nr_samples + 2 <= MAX_SAMPLES) {
		double before = line[nr_samples++] = pingpong_ns(there);
		double value = ring_mops(there);
		double after = line[nr_samples++] = pingpong_ns(there);

		/* When hardly any attempt was quiet, the last ones count as they are. */
		if (pingpong_alike(before, after) || MAX_SAMPLES - nr_samples <= 2 * (ROUNDS - nr))
			mops[nr++] = value;
	}
	bench_report("core.pingpong_ns", "ns", line, nr_samples);
	bench_report("core.ring_mops", "M/s", mops, nr);
	return 0;
}
