/*
 * bench/pingpong.c - what it costs to reach the second processor from the first and to hear back, for benches that are scripts.
 *
 *      pingpong          nanoseconds by a cache line that both look at
 *      pingpong wakes    nanoseconds by two eventfds, in which each sleeps: two wakes
 */
#include <string.h>
#include <sys/eventfd.h>

#include "bench/pingpong.h"

#define WAKE_ROUNDS 5000u

struct sleepers {
	int there;
	int ping, pong;
};

static void *answer(void *arg)
{
	const struct sleepers *s = arg;
	eventfd_t n;

	bench_pin(s->there);
	for (unsigned i = 0; i < WAKE_ROUNDS; i++)
		if (eventfd_read(s->ping, &n) || eventfd_write(s->pong, 1))
			exit(1);
	return NULL;
}

static double wakes_ns(int there)
{
	struct sleepers s = {.there = there, .ping = eventfd(0, EFD_CLOEXEC), .pong = eventfd(0, EFD_CLOEXEC)};
	uint64_t begin = bench_now_ns();
	pthread_t other;
	eventfd_t n;

	if (s.ping < 0 || s.pong < 0 || pthread_create(&other, NULL, answer, &s))
		exit(1);
	for (unsigned i = 0; i < WAKE_ROUNDS; i++)
		if (eventfd_write(s.ping, 1) || eventfd_read(s.pong, &n))
			exit(1);
	pthread_join(other, NULL);
	return (double)(bench_now_ns() - begin) / WAKE_ROUNDS;
}

int main(int argc, char **argv)
{
	int there = bench_cpu(1);

	if (there < 0) {
		fprintf(stderr, "pingpong: needs two processors; this process may use one. Give it more with taskset.\n");
		return 77;
	}
	bench_pin(bench_cpu(0));
	printf("%.1f\n", argc > 1 && !strcmp(argv[1], "wakes") ? wakes_ns(there) : pingpong_ns(there));
	return 0;
}
