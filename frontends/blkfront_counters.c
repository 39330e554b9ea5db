/*
 * frontends/blkfront_counters.c - the names of a blkfront's counters.
 */
#include "frontends/blkfront_counters.h"

#define COUNT(member) COUNTERS_FIELD(struct blkfront_counters, member)

static const struct counters_field fields[] = {
	COUNT(reads),
	COUNT(writes),
	COUNT(barriers),
	COUNT(flushes),
	COUNT(discards),
	COUNT(read_bytes),
	COUNT(write_bytes),
	COUNT(discard_bytes),
	COUNT(copied_bytes),
	COUNT(parts),
	COUNT(indirect),
	COUNT(split),
	COUNT(errors),
	COUNT(unsupported),
	COUNT(strange_status),
	COUNT(ring_full),
	COUNT(held),
	COUNT(resubmitted),
	COUNT(bursts),
	{"peak_parts", COUNTERS_PEAK, 0, offsetof(struct blkfront_counters, peak_parts)},
	COUNT(notify_sent),
	COUNT(notify_suppressed),
	COUNTERS_BATCHES(struct blkfront_counters, batch),
	COUNTERS_TIMES(struct blkfront_counters, read_ns),
	COUNTERS_TIMES(struct blkfront_counters, write_ns),
};

const struct counters_layout blkfront_counters_layout = {fields, sizeof(fields) / sizeof(fields[0]), sizeof(struct blkfront_counters)};
