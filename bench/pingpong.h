/*
 * bench/pingpong.h - what a cache line costs between two processors, and whether that stayed so while something was measured.
 *
 * A virtual machine's processors wander: two of them sit now on two cores, now on two threads of one core, and everything that
 * crosses changes with it by a factor of three. So the line's round trip is measured before and after each sample, and a sample
 * during which it moved by more than a fifth is thrown away.
 */
#ifndef SLUICE_BENCH_PINGPONG_H
#define SLUICE_BENCH_PINGPONG_H

#include <pthread.h>

#include "bench/bench.h"
#include "rings/atomics.h"

#define PINGPONG_ROUNDS 200000u
#define PINGPONG_TOLERANCE 1.2

struct pingpong {
	_Alignas(128) uint32_t turn;
	_Alignas(128) int cpu;
};

static inline void *pingpong_main(void *arg)
{
	struct pingpong *l = arg;

	bench_pin(l->cpu);
	for (uint32_t i = 0; i < PINGPONG_ROUNDS; i++) {
		while (load_acquire(&l->turn) != 2 * i + 1) /* pairs with pingpong_ns's release */
			cpu_relax();
		store_release(&l->turn, 2 * i + 2);
	}
	return NULL;
}

/* One line from this thread's processor to another and back, in nanoseconds. */
static inline double pingpong_ns(int cpu)
{
	struct pingpong l = {.cpu = cpu};
	uint64_t begin = 0;
	pthread_t pong;

	if (pthread_create(&pong, NULL, pingpong_main, &l))
		exit(1);
	for (uint32_t i = 0; i < PINGPONG_ROUNDS; i++) {
		if (i == PINGPONG_ROUNDS / 10) /* the other one is there by now */
			begin = bench_now_ns();
		store_release(&l.turn, 2 * i + 1); /* pairs with pingpong_main's acquire */
		while (load_acquire(&l.turn) != 2 * i + 2)
			cpu_relax();
	}
	begin = bench_now_ns() - begin;
	pthread_join(pong, NULL);
	return (double)begin / (PINGPONG_ROUNDS - PINGPONG_ROUNDS / 10);
}

/* Were two times of the line taken in like conditions? */
static inline bool pingpong_alike(double a, double b)
{
	return a < b * PINGPONG_TOLERANCE && b < a * PINGPONG_TOLERANCE;
}

#endif
