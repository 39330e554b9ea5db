/*
 * hv/clock.h - the monotonic clock, for time-outs and figures; and the processor's ticks, for what is timed in a hot path.
 */
#ifndef SLUICE_HV_CLOCK_H
#define SLUICE_HV_CLOCK_H

#include <stdint.h>
#include <time.h>

static inline uint64_t clock_now_ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * 1000000000u + (uint64_t)ts.tv_nsec;
}

/* Signed, so that what is left until a deadline may be less than nothing. */
static inline int64_t clock_now_ms(void)
{
	return (int64_t)(clock_now_ns() / 1000000u);
}

#define CLOCK_TICK_BITS 20

/* One instruction, of no particular unit.   [hot] */
static inline uint64_t clock_ticks(void)
{
#if defined(__x86_64__)
	return __builtin_ia32_rdtsc();
#else
	return clock_now_ns();
#endif
}

/* Nanoseconds in a tick, times 2 to the CLOCK_TICK_BITS. The first call of a process measures, for 50 microseconds. */
uint64_t clock_tick_length(void);

/* For hours.   [hot] */
static inline uint64_t clock_ticks_to_ns(uint64_t ticks, uint64_t tick_length)
{
	return (ticks * tick_length) >> CLOCK_TICK_BITS;
}

#endif
