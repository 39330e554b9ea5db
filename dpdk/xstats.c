/*
 * dpdk/xstats.c - a device's counters as an ethdev's extended statistics.
 *
 * Owns, Runs in: xstats.h.
 */
#include "dpdk/xstats.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

int xstats_init(struct xstats *x, const struct counters_layout *layout)
{
	*x = (struct xstats){.layout = layout, .now = calloc(1, layout->queue_bytes)};
	return x->now ? 0 : -ENOMEM;
}

void xstats_finish(struct xstats *x)
{
	free(x->before);
	free(x->now);
	*x = (struct xstats){0};
}

static size_t at(const struct xstats *x, unsigned i)
{
	return (size_t)i * x->layout->queue_bytes;
}

const void *xstats_queue(struct xstats *x, const void *queues, unsigned i)
{
	counters_copy(x->now, (const uint8_t *)queues + at(x, i), x->layout->queue_bytes);
	if (i < x->nr_before)
		counters_subtract(x->layout, x->now, (const uint8_t *)x->before + at(x, i));
	return x->now;
}

int xstats_reset(struct xstats *x, const void *queues, unsigned nr_queues)
{
	void *before = calloc(nr_queues, x->layout->queue_bytes);

	if (!before)
		return -ENOMEM;
	counters_copy(before, queues, at(x, nr_queues));
	free(x->before);
	x->before = before;
	x->nr_before = nr_queues;
	return 0;
}

void xstats_forget(struct xstats *x)
{
	free(x->before);
	x->before = NULL;
	x->nr_before = 0;
}

int xstats_get(struct xstats *x, const void *queues, unsigned nr_queues, struct rte_eth_xstat *to, unsigned room)
{
	unsigned nr = counters_nr_values(x->layout), all = nr * nr_queues;

	if (!to || room < all)
		return (int)all;
	for (unsigned q = 0; q < nr_queues; q++) {
		const void *queue = xstats_queue(x, queues, q);

		for (unsigned i = 0; i < nr; i++)
			to[q * nr + i] = (struct rte_eth_xstat){q * nr + i, counters_value(x->layout, queue, i)};
	}
	return (int)all;
}

int xstats_get_names(const struct xstats *x, unsigned nr_queues, struct rte_eth_xstat_name *to, unsigned room)
{
	unsigned nr = counters_nr_values(x->layout), all = nr * nr_queues;
	char name[COUNTERS_VALUE_NAME_BYTES];

	_Static_assert(sizeof("queue.4294967295.") + COUNTERS_VALUE_NAME_BYTES <= sizeof(to->name), "a name has room");
	if (!to || room < all)
		return (int)all;
	for (unsigned i = 0; i < all; i++) {
		counters_value_name(x->layout, i % nr, name);
		snprintf(to[i].name, sizeof(to[i].name), "queue.%u.%s", i / nr, name);
	}
	return (int)all;
}
