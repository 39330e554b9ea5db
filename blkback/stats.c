/*
 * blkback/stats.c - the names of a queue's counters.
 */
#include "blkback/stats.h"

#define COUNT(member) {#member, COUNTERS_SUM, 0, offsetof(struct stats_queue, stats.member)}
#define COUNT_AS(name, member) {name, COUNTERS_SUM, 0, offsetof(struct stats_queue, stats.member)}
#define TIMES(name, member) {name, COUNTERS_HISTOGRAM, HISTOGRAM_BUCKETS, offsetof(struct stats_queue, times.member)}

static const struct counters_field fields[] = {
	COUNT(reads),
	COUNT(writes),
	COUNT(flushes),
	COUNT(barriers),
	COUNT(discards),
	COUNT(secure_discards),
	COUNT(read_sectors),
	COUNT(write_sectors),
	COUNT(discard_sectors),
	COUNT(indirect),
	COUNT(merged),
	COUNT_AS("refused.unsupported", refused[REQUEST_UNSUPPORTED]),
	COUNT_AS("refused.malformed", refused[REQUEST_MALFORMED]),
	COUNT_AS("refused.unaligned", refused[REQUEST_UNALIGNED]),
	COUNT_AS("refused.beyond_end", refused[REQUEST_BEYOND]),
	COUNT_AS("refused.readonly", refused[REQUEST_READONLY]),
	COUNT_AS("refused.handle", refused[REQUEST_HANDLE]),
	COUNT(grant_errors),
	COUNT_AS("io_errors.read", read_errors),
	COUNT_AS("io_errors.write", write_errors),
	COUNT_AS("io_errors.flush", flush_errors),
	COUNT_AS("io_errors.discard", discard_errors),
	COUNT(ring_errors),
	COUNT(redone),
	COUNT_AS("waits.memory", waits_memory),
	COUNT_AS("waits.limit", waits_limit),
	{"depth", COUNTERS_LEVEL, 0, offsetof(struct stats_queue, stats.depth)},
	{"depth_max", COUNTERS_PEAK, 0, offsetof(struct stats_queue, stats.depth_max)},
	COUNT(bursts),
	COUNT(notifications_sent),
	COUNT(notifications_suppressed),
	COUNT(events),
	COUNT(events_spurious),
	COUNT(sleeps),
	/* Histograms are last: stats_counts ends before them. */
	{"batch", COUNTERS_HISTOGRAM, HISTOGRAM_BATCH_BUCKETS, offsetof(struct stats_queue, stats.batch)},
	TIMES("read_ns", reads),
	TIMES("write_ns", writes),
};

#define NR_FIELDS (sizeof(fields) / sizeof(fields[0]))
#define NR_HISTOGRAMS 3

_Static_assert(offsetof(struct stats_queue, stats) == 0, "stats_counts");

const struct counters_layout stats_layout = {fields, NR_FIELDS, sizeof(struct stats_queue)};
const struct counters_layout stats_counts = {fields, NR_FIELDS - NR_HISTOGRAMS, sizeof(struct stats_queue)};
