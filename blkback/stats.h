/*
 * blkback/stats.h - what one block device has counted.
 *
 * Runs in  one writer, the queue's thread; any thread reads, each counter for itself.
 */
#ifndef SLUICE_BLKBACK_STATS_H
#define SLUICE_BLKBACK_STATS_H

#include <stdio.h>

#include "blkback/request.h"

#define STATS_BATCH_CLASSES 8 /* bursts of 1, 2-3, 4-7, ... 128 and more requests */

struct stats {
	uint64_t reads, writes, flushes; /* finished well */
	uint64_t read_sectors, write_sectors;
	uint64_t refused[REQUEST_NR_VERDICTS]; /* by verdict; REQUEST_OK stays 0 */
	uint64_t grant_errors; /* a segment's page could not be mapped */
	uint64_t io_errors;    /* the image failed */
	uint64_t ring_errors;  /* impossible indices: 0 or 1 */
	uint64_t bursts;
	uint64_t batch[STATS_BATCH_CLASSES];
	uint64_t notifications_sent, notifications_suppressed;
	uint64_t events, events_spurious;
	uint64_t sleeps;
};

static inline void stats_add(uint64_t *counter, uint64_t n)
{
	store_relaxed(counter, load_relaxed(counter) + n);
}

/* Adds all of from to *to. */
void stats_sum(struct stats *to, const struct stats *from);
/* One "<prefix>.<name> <value>" a line. */
void stats_print(FILE *out, const char *prefix, const struct stats *stats);

#endif
