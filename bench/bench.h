/*
 * bench/bench.h - rounds, medians with spread, and the line that every figure is printed as: name value unit.
 */
#ifndef SLUICE_BENCH_BENCH_H
#define SLUICE_BENCH_BENCH_H

#include <sched.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#define BENCH_MAX_ROUNDS 64

static inline uint64_t bench_now_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

/* The n-th processor this process may run on; -1 when there are fewer. */
static inline int bench_cpu(unsigned n)
{
	cpu_set_t set;

	if (sched_getaffinity(0, sizeof(set), &set))
		return -1;
	for (int cpu = 0; cpu < CPU_SETSIZE; cpu++)
		if (CPU_ISSET(cpu, &set) && !n--)
			return cpu;
	return -1;
}

/* Keeps this thread on one processor; without the right to, figures only spread more. */
static inline void bench_pin(int cpu)
{
	cpu_set_t set;

	if (cpu < 0)
		return;
	CPU_ZERO(&set);
	CPU_SET(cpu, &set);
	sched_setaffinity(0, sizeof(set), &set);
}

static inline int bench_compare(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return (x > y) - (x < y);
}

/* Median, least and most of the rounds. Sorts the samples. */
static inline void bench_report(const char *name, const char *unit, double samples[], unsigned n)
{
	qsort(samples, n, sizeof(*samples), bench_compare);
	printf("%s %.4g %s\n", name, samples[n / 2], unit);
	printf("%s.min %.4g %s\n", name, samples[0], unit);
	printf("%s.max %.4g %s\n", name, samples[n - 1], unit);
	fflush(stdout);
}

#endif
