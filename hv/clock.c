/*
 * hv/clock.c - how long a tick is.
 *
 * Runs in  any thread.
 */
#include "hv/clock.h"

#include "rings/atomics.h"

#define MEASURED_NS 1000000u

static uint64_t measure(void)
{
	uint64_t ns = clock_now_ns(), ticks = clock_ticks(), passed;

	do {
		cpu_relax();
		passed = clock_now_ns() - ns;
	} while (passed < MEASURED_NS);
	ticks = clock_ticks() - ticks;
	return (passed << CLOCK_TICK_BITS) / (ticks ? ticks : 1);
}

uint64_t clock_tick_length(void)
{
	static uint64_t length; /* two threads that measure at once find much the same */
	uint64_t known = load_relaxed(&length);

	if (!known) {
		known = measure();
		store_relaxed(&length, known);
	}
	return known;
}
