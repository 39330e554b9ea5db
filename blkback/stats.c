/*
 * blkback/stats.c - counters of a block device as lines of "name value".
 */
#include "blkback/stats.h"

#include <inttypes.h>

static const struct {
	const char *name;
	size_t offset;
} stats_names[] = {
#define COUNTER(field) {#field, offsetof(struct stats, field)}
	COUNTER(reads),
	COUNTER(writes),
	COUNTER(flushes),
	COUNTER(read_sectors),
	COUNTER(write_sectors),
	{"refused.unsupported", offsetof(struct stats, refused[REQUEST_UNSUPPORTED])},
	{"refused.malformed", offsetof(struct stats, refused[REQUEST_MALFORMED])},
	{"refused.beyond_end", offsetof(struct stats, refused[REQUEST_BEYOND])},
	{"refused.readonly", offsetof(struct stats, refused[REQUEST_READONLY])},
	COUNTER(grant_errors),
	COUNTER(io_errors),
	COUNTER(ring_errors),
	COUNTER(bursts),
	{"batch.1", offsetof(struct stats, batch[0])},
	{"batch.2", offsetof(struct stats, batch[1])},
	{"batch.4", offsetof(struct stats, batch[2])},
	{"batch.8", offsetof(struct stats, batch[3])},
	{"batch.16", offsetof(struct stats, batch[4])},
	{"batch.32", offsetof(struct stats, batch[5])},
	{"batch.64", offsetof(struct stats, batch[6])},
	{"batch.128", offsetof(struct stats, batch[7])},
	COUNTER(notifications_sent),
	COUNTER(notifications_suppressed),
	COUNTER(events),
	COUNTER(events_spurious),
	COUNTER(sleeps),
#undef COUNTER
};

#define STATS_NR (sizeof(struct stats) / sizeof(uint64_t))

void stats_sum(struct stats *to, const struct stats *from)
{
	uint64_t *sum = (uint64_t *)to;
	const uint64_t *add = (const uint64_t *)from;

	for (size_t i = 0; i < STATS_NR; i++)
		sum[i] += load_relaxed(&add[i]);
}

void stats_print(FILE *out, const char *prefix, const struct stats *stats)
{
	for (size_t i = 0; i < sizeof(stats_names) / sizeof(stats_names[0]); i++) {
		const uint64_t *counter = (const uint64_t *)((const char *)stats + stats_names[i].offset);

		fprintf(out, "%s.%s %" PRIu64 "\n", prefix, stats_names[i].name, load_relaxed(counter));
	}
}
