/*
 * hv/busy_poll.h - how long an end that has nothing to do looks again before it sleeps: a while, as long as that pays.
 *
 *      something came while it looked       it may look in vain once more than before, up to 32 times
 *      nothing came                         once less, and it sleeps; with nothing left it sleeps at once
 *      every 67 ms of the machine's clock   it may look in vain four times at least, whatever came before
 *      somebody else took the processor     it sleeps at once until then; from time to time longer, up to a second
 *
 * So an end whose peer answers soon is spared the wake, which costs more than the answer where processors sleep deeply; and one that
 * waits for a slow disk, for a packet that comes when it comes, or for nobody, costs next to nothing: four looks in vain of 50 us are
 * 0.3 % of a processor, and only while there are waits that end. A wait pays only if the other end looks, too: ends that all sleep
 * answer each other late, and none would find that its own look pays. Therefore all look anew at the same time, by the clock that the
 * machine's processes share.
 *
 * While it looks it lets others have the processor now and then: the one that it waits for may want the same. Who is gone for long
 * then shares the processor with somebody who computes, and would be found late: a thread that sleeps is let in at once.
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

#define BUSY_POLL_PERIOD_BITS 26 /* nanoseconds of a period: 67 ms */
#define BUSY_POLL_CREDIT_FRESH 8u
#define BUSY_POLL_CREDIT_MAX 64u
#define BUSY_POLL_CREDIT_VAIN 2u    /* what a look in vain takes; one that pays gives one */
#define BUSY_POLL_CROWDED_MAX 16u /* periods */
#define BUSY_POLL_YIELD_NS 1500     /* between two times that others may run */
#define BUSY_POLL_CROWDED_NS 200000 /* they ran for so long: they did not just look */

struct busy_poll {
	uint64_t max_ns;       /* 0: it never looks */
	uint64_t since_ns;     /* when there was nothing to do any more; 0: there was, or nobody has looked */
	uint64_t yield_ns;     /* when others may run next; 0: not known yet */
	uint64_t fresh_period; /* when it has credit again whatever came before */
	uint32_t credit;
	uint32_t crowded_periods; /* how long it kept from looking when that happened last */
	bool is_looking; /* in this wait, and has not given up */
};

static inline void busy_poll_init(struct busy_poll *p, unsigned max_us)
{
	*p = (struct busy_poll){.max_ns = max_us * UINT64_C(1000)};
}

static inline void busy_poll_begin(struct busy_poll *p, uint64_t now_ns)
{
	uint64_t period = now_ns >> BUSY_POLL_PERIOD_BITS;

	p->since_ns = now_ns;
	p->yield_ns = 0;
	if (period >= p->fresh_period) {
		p->fresh_period = period + 1;
		if (p->credit < BUSY_POLL_CREDIT_FRESH)
			p->credit = BUSY_POLL_CREDIT_FRESH;
	}
	p->is_looking = p->max_ns && p->credit;
}

/* It has looked in vain. */
static inline void busy_poll_give_up(struct busy_poll *p)
{
	p->is_looking = false;
	p->credit -= p->credit < BUSY_POLL_CREDIT_VAIN ? p->credit : BUSY_POLL_CREDIT_VAIN;
}

/* Others computed on this processor meanwhile. */
static inline void busy_poll_is_crowded(struct busy_poll *p, uint64_t now_ns)
{
	p->is_looking = false;
	p->credit = 0;
	p->crowded_periods = !p->crowded_periods ? 1 : p->crowded_periods < BUSY_POLL_CROWDED_MAX ? 2 * p->crowded_periods
											    : BUSY_POLL_CROWDED_MAX;
	p->fresh_period = (now_ns >> BUSY_POLL_PERIOD_BITS) + p->crowded_periods;
}

/* There is nothing to do: true when looking again is worth it, false when it shall sleep. For who waits for many things. */
static inline bool busy_poll_is_worth(struct busy_poll *p, uint64_t now_ns)
{
	if (!p->since_ns)
		busy_poll_begin(p, now_ns);
	if (p->is_looking && now_ns - p->since_ns >= p->max_ns)
		busy_poll_give_up(p);
	return p->is_looking;
}

/*
 * Between two looks, others may run; at *yield_ns next, 0 when there was something to do meanwhile. False: they ran for long, it is
 * *now_ns.
 */
static inline bool busy_poll_give_way(uint64_t *yield_ns, uint64_t *now_ns)
{
	uint64_t before = *now_ns;

	cpu_relax();
	if (!*yield_ns)
		*yield_ns = before + BUSY_POLL_YIELD_NS;
	if (before < *yield_ns)
		return true;
	sched_yield();
	*now_ns = clock_now_ns();
	*yield_ns = *now_ns + BUSY_POLL_YIELD_NS;
	return *now_ns - before < BUSY_POLL_CROWDED_NS;
}

/* There is nothing to do: true when it shall look again, false when it shall sleep. */
static inline bool busy_poll_looks_again(struct busy_poll *p, uint64_t now_ns)
{
	if (!busy_poll_is_worth(p, now_ns))
		return false;
	if (!busy_poll_give_way(&p->yield_ns, &now_ns))
		busy_poll_is_crowded(p, now_ns);
	return p->is_looking;
}

/* There is something to do, whether it looked or slept. */
static inline void busy_poll_found(struct busy_poll *p)
{
	if (p->is_looking && p->credit < BUSY_POLL_CREDIT_MAX && ++p->credit == BUSY_POLL_CREDIT_MAX)
		p->crowded_periods = 0;
	p->is_looking = false;
	p->since_ns = 0;
}

#endif
