/*
 * blkback/stats.h - what one queue of a block device has counted.
 *
 * Runs in  one writer, the queue's thread; any thread or process reads, each counter for itself.
 */
#ifndef SLUICE_BLKBACK_STATS_H
#define SLUICE_BLKBACK_STATS_H

#include "blkback/request.h"
#include "hv/counters.h"

struct stats {
	uint64_t reads, writes, flushes, barriers, discards, secure_discards; /* finished well; a secure one counts in both */
	uint64_t read_sectors, write_sectors, discard_sectors;
	uint64_t indirect; /* of the reads and writes: those with segments in pages of their own */
	uint64_t merged;   /* requests that went with the one before them, in one I/O */
	uint64_t refused[REQUEST_NR_VERDICTS]; /* by verdict; REQUEST_OK stays 0 */
	uint64_t grant_errors; /* a page could not be mapped or copied */
	uint64_t read_errors, write_errors, flush_errors, discard_errors; /* the image failed; a barrier is a write */
	uint64_t ring_errors;  /* impossible indices: 0 or 1 */
	uint64_t redone;       /* what a back end before this one had in flight when it was killed */
	uint64_t waits_memory, waits_limit; /* the ring's next request had to stay there for a while */
	uint64_t depth, depth_max; /* in flight now, and at most so far */
	uint64_t bursts;
	struct histogram_batch batch; /* requests of one burst */
	uint64_t notifications_sent, notifications_suppressed;
	uint64_t events, events_spurious;
	uint64_t sleeps;
};

/* From the ring to the answer. */
struct stats_times {
	struct histogram reads, writes; /* nanoseconds; all that is no read is a write */
};

/* In <run folder>/vbd-<domid>-<devid>.stats, as it is counted, for who looks on. */
#define STATS_FILE_NAME "vbd-%u-%u.stats" /* domid, devid */

struct stats_queue {
	struct stats stats;
	struct stats_times times;
};

extern const struct counters_layout stats_layout;
extern const struct counters_layout stats_counts; /* without histograms; a struct stats alone will do */

static inline void stats_add(uint64_t *counter, uint64_t n)
{
	store_relaxed(counter, load_relaxed(counter) + n);
}

static inline void stats_depth(struct stats *s, uint64_t depth)
{
	store_relaxed(&s->depth, depth);
	if (depth > load_relaxed(&s->depth_max))
		store_relaxed(&s->depth_max, depth);
}

/* A request has finished. [hot] */
void stats_done(struct stats *s, const struct request *ask, int error);
/* And took so long. [hot] */
void stats_time(struct stats_times *t, const struct request *ask, uint64_t ns);

#endif
