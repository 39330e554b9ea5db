/*
 * blkback/stats.c - counters of a queue, added up and as lines of "name value".
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
	COUNTER(barriers),
	COUNTER(discards),
	COUNTER(read_sectors),
	COUNTER(write_sectors),
	COUNTER(discard_sectors),
	COUNTER(indirect),
	{"refused.unsupported", offsetof(struct stats, refused[REQUEST_UNSUPPORTED])},
	{"refused.malformed", offsetof(struct stats, refused[REQUEST_MALFORMED])},
	{"refused.unaligned", offsetof(struct stats, refused[REQUEST_UNALIGNED])},
	{"refused.beyond_end", offsetof(struct stats, refused[REQUEST_BEYOND])},
	{"refused.readonly", offsetof(struct stats, refused[REQUEST_READONLY])},
	{"refused.handle", offsetof(struct stats, refused[REQUEST_HANDLE])},
	COUNTER(grant_errors),
	{"io_errors.read", offsetof(struct stats, read_errors)},
	{"io_errors.write", offsetof(struct stats, write_errors)},
	{"io_errors.flush", offsetof(struct stats, flush_errors)},
	{"io_errors.discard", offsetof(struct stats, discard_errors)},
	COUNTER(ring_errors),
	COUNTER(redone),
	{"waits.memory", offsetof(struct stats, waits_memory)},
	{"waits.limit", offsetof(struct stats, waits_limit)},
	COUNTER(depth),
	COUNTER(depth_max),
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

	uint64_t deepest = to->depth_max > load_relaxed(&from->depth_max) ? to->depth_max : load_relaxed(&from->depth_max);

	for (size_t i = 0; i < STATS_NR; i++)
		sum[i] += load_relaxed(&add[i]);
	to->depth_max = deepest;
}

static void histogram_sum(struct histogram *to, const struct histogram *from)
{
	uint64_t max = load_relaxed(&from->max);

	to->nr += load_relaxed(&from->nr);
	to->max = max > to->max ? max : to->max;
	for (unsigned i = 0; i < HISTOGRAM_BUCKETS; i++)
		to->bucket[i] += load_relaxed(&from->bucket[i]);
}

void stats_times_sum(struct stats_times *to, const struct stats_times *from)
{
	histogram_sum(&to->reads, &from->reads);
	histogram_sum(&to->writes, &from->writes);
}

void stats_print(FILE *out, const char *prefix, const struct stats *stats)
{
	for (size_t i = 0; i < sizeof(stats_names) / sizeof(stats_names[0]); i++) {
		const uint64_t *counter = (const uint64_t *)((const char *)stats + stats_names[i].offset);

		fprintf(out, "%s.%s %" PRIu64 "\n", prefix, stats_names[i].name, load_relaxed(counter));
	}
}

static void histogram_print(FILE *out, const char *prefix, const char *name, const struct histogram *h)
{
	fprintf(out, "%s.%s_ns.p50 %" PRIu64 "\n", prefix, name, histogram_permille(h, 500));
	fprintf(out, "%s.%s_ns.p99 %" PRIu64 "\n", prefix, name, histogram_permille(h, 990));
	fprintf(out, "%s.%s_ns.p99_9 %" PRIu64 "\n", prefix, name, histogram_permille(h, 999));
	fprintf(out, "%s.%s_ns.max %" PRIu64 "\n", prefix, name, h->max);
}

void stats_times_print(FILE *out, const char *prefix, const struct stats_times *times)
{
	histogram_print(out, prefix, "read", &times->reads);
	histogram_print(out, prefix, "write", &times->writes);
}
