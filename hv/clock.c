/*
 * hv/clock.c - how long a tick is.
 *
 * Runs in  any thread.
 */
#include "hv/clock.h"

#include "rings/atomics.h"

/* A front end begins with this: long enough for one part in a thousand, short beside the rest of what it does then. */
#define MEASURED_NS 50000u
#define SAMPLES 4

struct sample {
	uint64_t ns, ticks;
};

/* Both clocks at one moment: the attempt that took least, so that a thread put to sleep between the two does not count. */
static struct sample sample(void)
{
	struct sample best = {0};
	uint64_t least = UINT64_MAX;

	for (unsigned i = 0; i < SAMPLES; i++) {
		uint64_t before = clock_ticks(), ns = clock_now_ns(), took = clock_ticks() - before;

		if (took >= least)
			continue;
		least = took;
		best = (struct sample){ns, before + took / 2};
	}
	return best;
}

static uint64_t measure(void)
{
	struct sample from = sample(), to;

	do {
		cpu_relax();
		to = sample();
	} while (to.ns - from.ns < MEASURED_NS);
	return ((to.ns - from.ns) << CLOCK_TICK_BITS) / (to.ticks > from.ticks ? to.ticks - from.ticks : 1);
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
