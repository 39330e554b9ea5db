/*
 * dpdk/xstats.h - a device's counters (hv/counters.h) as an ethdev's extended statistics.
 *
 *      queue.0.tx_packets, queue.0.tx_batch.p99 ...    the names that sluice network-list -s shows, and its numbers
 *
 * A program may set its ethdev's statistics to zero; the memory that others look at is not changed by that: what was counted before
 * is remembered, and taken off.
 *
 * Owns     what it remembers, until finish.
 * Runs in  the program's control thread.
 */
#ifndef SLUICE_DPDK_XSTATS_H
#define SLUICE_DPDK_XSTATS_H

#include <rte_ethdev.h>

#include "hv/counters.h"

struct xstats {
	const struct counters_layout *layout;
	unsigned nr_before; /* queues that before holds */
	void *before;       /* what they had counted at the last reset */
	void *now;          /* one queue's */
};

/* -ENOMEM. */
int xstats_init(struct xstats *x, const struct counters_layout *layout);
/* Takes a zeroed one. */
void xstats_finish(struct xstats *x);

/* Queue i's counters since the last reset, until the next call. queues: those of counters_queues. */
const void *xstats_queue(struct xstats *x, const void *queues, unsigned i);
/* From now on all counts begin at zero. -ENOMEM. */
int xstats_reset(struct xstats *x, const void *queues, unsigned nr_queues);
/* The counters are others, which begin at zero by themselves. */
void xstats_forget(struct xstats *x);

/* What an ethdev's operations return: how many there are; written if there is room for all. */
int xstats_get(struct xstats *x, const void *queues, unsigned nr_queues, struct rte_eth_xstat *to, unsigned room);
int xstats_get_names(const struct xstats *x, unsigned nr_queues, struct rte_eth_xstat_name *to, unsigned room);

#endif
