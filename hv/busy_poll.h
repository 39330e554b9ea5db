/*
 * hv/busy_poll.h - how long an end that has nothing to do looks again before it sleeps: as long as that has been worth it.
 *
 *      something came while it looked, or hardly later     the whole time again
 *      it did not                                          half of the time, down to none: it sleeps at once
 *
 * So an end whose peer answers soon is spared the wake, which costs more than the answer where processors sleep deeply; and one that
 * waits for a slow disk, or for nobody, costs nothing. While it looks it lets others have the processor now and then: the
 * one that it waits for may want the same.
 *
 * Runs in  the thread that waits.
 */
#ifndef SLUICE_HV_BUSY_POLL_H
#define SLUICE_HV_BUSY_POLL_H

#include <sched.h>
#include <stdbool.h>
#include <stdint.h>

#include "hv/clock.h"
#include "rings/atomics.h"

#define BUSY_POLL_LEAST_NS 1000
#define BUSY_POLL_YIELD_NS 4000 /* between two times that others may run */

struct busy_poll {
	uint64_t max_ns;    /* 0: it never looks */
	uint64_t window_ns; /* now */
	uint64_t since_ns;  /* when there was nothing to do any more; 0: there was, or nobody has looked */
	uint64_t yield_ns;  /* how long after that others run next */
};

static inline void busy_poll_init(struct busy_poll *p, unsigned max_us)
{
	*p = (struct busy_poll){.max_ns = max_us * UINT64_C(1000), .window_ns = max_us * UINT64_C(1000)};
}

/* There is nothing to do: true when it shall look again, false when it shall sleep. */
static inline bool busy_poll_looks_again(struct busy_poll *p, uint64_t now_ns)
{
	if (!p->since_ns) {
		p->since_ns = now_ns;
		p->yield_ns = BUSY_POLL_YIELD_NS;
	}
	if (now_ns - p->since_ns >= p->window_ns)
		return false;
	if (now_ns - p->since_ns >= p->yield_ns) {
		sched_yield();
		p->yield_ns += BUSY_POLL_YIELD_NS;
	}
	cpu_relax();
	return true;
}

/* There is something to do, whether it looked or slept. What a wake took is part of the wait: so twice as long is still soon. */
static inline void busy_poll_found(struct busy_poll *p, uint64_t now_ns)
{
	if (!p->since_ns)
		return;
	if (now_ns - p->since_ns <= 2 * p->max_ns)
		p->window_ns = p->max_ns;
	else
		p->window_ns = p->window_ns / 2 >= BUSY_POLL_LEAST_NS ? p->window_ns / 2 : 0;
	p->since_ns = 0;
}

/* The same for who has not looked at the clock, and need not where nobody waited. */
static inline void busy_poll_found_now(struct busy_poll *p)
{
	if (p->since_ns)
		busy_poll_found(p, clock_now_ns());
}

#endif
