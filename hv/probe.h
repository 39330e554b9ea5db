/*
 * hv/probe.h - times one burst of requests now and then, so that the others hardly notice.   [hot]
 *
 *      begin (n)      nothing is being timed: from now, until n requests have been answered
 *      is_over (n)    so many have: the time is known, the next burst may be timed
 *
 * Runs in  the queue's thread.
 */
#ifndef SLUICE_HV_PROBE_H
#define SLUICE_HV_PROBE_H

#include <stdbool.h>

#include "hv/clock.h"

#define PROBE_BURSTS 16u /* of which one is timed */

struct probe {
	uint64_t since; /* clock_ticks; 0: nothing is being timed */
	uint32_t until; /* free-running */
};

/* False: another is being timed. */
static inline bool probe_begin(struct probe *p, uint32_t until)
{
	if (p->since)
		return false;
	p->since = clock_ticks();
	p->until = until;
	return true;
}

static inline bool probe_is_over(const struct probe *p, uint32_t answered)
{
	return p->since && (int32_t)(answered - p->until) >= 0;
}

#endif
