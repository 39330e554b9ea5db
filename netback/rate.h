/*
 * netback/rate.h - a limit of bytes and packets a second, in one direction of a vif.   [hot]
 *
 *      spend: the clock of what was sent runs ahead by what it costs          clock <= now: there is credit
 *
 * A clock behind now by more than RATE_BURST_MS is put there: so much can be saved up, and as much is sent at once after a rest.
 *
 * Runs in  any worker that moves packets of the vif: they share the clocks. Settings change while all stand still (workers_run).
 * Spec     the node "rate" of Linux's back end: bytes and microseconds.
 */
#ifndef SLUICE_NETBACK_RATE_H
#define SLUICE_NETBACK_RATE_H

#include <rte_cycles.h>

#include "rings/atomics.h"
#include "rings/types.h"

#define RATE_BURST_MS 60 /* more than a sleeping worker may oversleep, on a busy machine, too */
#define RATE_SHIFT 20    /* ticks for one byte or packet are fixed-point */

struct rate_bucket {
	uint64_t cost;  /* ticks for each, << RATE_SHIFT; 0: no limit */
	uint64_t clock; /* in ticks: what was sent has paid for all before */
};

struct rate {
	struct rate_bucket bytes, packets;
};

/* amount in each interval of usecs; 0 of either: no limit. */
static inline void rate_bucket_set(struct rate_bucket *b, uint64_t amount, uint64_t usecs)
{
	double ticks = (double)usecs * (double)rte_get_tsc_hz() / 1e6;

	*b = (struct rate_bucket){0};
	if (amount && usecs)
		b->cost = (uint64_t)(ticks * (1u << RATE_SHIFT) / (double)amount + 0.5);
}

static inline bool rate_is_on(const struct rate *r)
{
	return r->bytes.cost | r->packets.cost;
}

static inline bool rate_has_credit(const struct rate *r, uint64_t now)
{
	return load_relaxed(&r->bytes.clock) <= now && load_relaxed(&r->packets.clock) <= now;
}

static inline void rate_bucket_spend(struct rate_bucket *b, uint64_t now, uint64_t amount)
{
	uint64_t oldest = now - RATE_BURST_MS * rte_get_tsc_hz() / 1000;

	uint64_t cost = (uint64_t)(((__uint128_t)amount * b->cost) >> RATE_SHIFT);
	uint64_t clock = load_relaxed(&b->clock);

	if (!b->cost)
		return;
	/* With other workers' of the same: nobody's packets are forgotten. */
	while (!cas_acq_rel(&b->clock, &clock, (clock < oldest ? oldest : clock) + cost))
		;
}

static inline void rate_spend(struct rate *r, uint64_t now, uint64_t packets, uint64_t bytes)
{
	rate_bucket_spend(&r->bytes, now, bytes);
	rate_bucket_spend(&r->packets, now, packets);
}

#endif
