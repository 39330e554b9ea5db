/*
 * hv/clock.h - the monotonic clock: for time-outs and figures.
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

#endif
