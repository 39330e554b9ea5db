/*
 * bench/pingpong.c - a cache line's round trip between the first two processors, for benches that are scripts.
 *
 *      pingpong      prints nanoseconds
 */
#include "bench/pingpong.h"

int main(void)
{
	int there = bench_cpu(1);

	if (there < 0) {
		fprintf(stderr, "pingpong: needs two processors; this process may use one. Give it more with taskset.\n");
		return 77;
	}
	bench_pin(bench_cpu(0));
	printf("%.1f\n", pingpong_ns(there));
	return 0;
}
