/*
 * hv/counters.c - makes, checks, adds up and prints counters.
 *
 * Owns, Trusts, Runs in: counters.h.
 */
#include "hv/counters.h"

#include <errno.h>
#include <inttypes.h>
#include <string.h>

#define MAGIC "sluiceCT"
#define ALIGNMENT 64u
#define HISTOGRAM_VALUES 5u
#define WORDS_BEFORE_BUCKETS 2u /* nr, max */

struct counters_head {
	char magic[8];
	uint32_t nr_fields;
	uint32_t queue_bytes;
	uint32_t max_queues;
	uint32_t pad;
	struct counters_field field[];
};

static const struct {
	const char *name;
	unsigned permille; /* 0: not a percentile */
} parts[HISTOGRAM_VALUES] = {{".count", 0}, {".p50", 500}, {".p99", 990}, {".p99_9", 999}, {".max", 0}};

static size_t head_bytes(uint32_t nr_fields)
{
	size_t bytes = sizeof(struct counters_head) + nr_fields * sizeof(struct counters_field);

	return (bytes + ALIGNMENT - 1) & ~(size_t)(ALIGNMENT - 1);
}

size_t counters_bytes(const struct counters_layout *layout, unsigned max_queues)
{
	return head_bytes(layout->nr_fields) + (size_t)max_queues * layout->queue_bytes;
}

void counters_init(void *memory, const struct counters_layout *layout, unsigned max_queues)
{
	struct counters_head *head = memory;

	head->nr_fields = layout->nr_fields;
	head->queue_bytes = layout->queue_bytes;
	head->max_queues = max_queues;
	memcpy(head->field, layout->field, layout->nr_fields * sizeof(head->field[0]));
	memcpy(head->magic, MAGIC, sizeof(head->magic));
}

void *counters_queues(void *memory, const struct counters_layout *layout)
{
	return (uint8_t *)memory + head_bytes(layout->nr_fields);
}

/* ---- reading ----------------------------------------------------------------------------------------------------------- */

void counters_copy(void *to, const void *from, size_t bytes)
{
	const uint64_t *word = from;
	uint64_t *copy = to;

	for (size_t i = 0; i < bytes / sizeof(*word); i++)
		copy[i] = load_relaxed(&word[i]);
}

static bool is_name(const char name[COUNTERS_NAME_BYTES])
{
	size_t len = strnlen(name, COUNTERS_NAME_BYTES);

	return len > 0 && len < COUNTERS_NAME_BYTES && strspn(name, "abcdefghijklmnopqrstuvwxyz0123456789_.") == len;
}

static size_t field_bytes(const struct counters_field *f)
{
	if (f->kind != COUNTERS_HISTOGRAM)
		return sizeof(uint64_t);
	return WORDS_BEFORE_BUCKETS * sizeof(uint64_t) + f->nr_buckets * sizeof(uint32_t);
}

static bool is_field(const struct counters_field *f, uint32_t queue_bytes)
{
	if (!is_name(f->name) || f->kind < COUNTERS_SUM || f->kind > COUNTERS_HISTOGRAM)
		return false;
	if (f->kind == COUNTERS_HISTOGRAM && (f->nr_buckets == 0 || f->nr_buckets > HISTOGRAM_BUCKETS))
		return false;
	return f->offset % sizeof(uint64_t) == 0 && f->offset <= queue_bytes && field_bytes(f) <= queue_bytes - f->offset;
}

int counters_check(const void *copy, size_t bytes, struct counters_view *view)
{
	const struct counters_head *head = copy;
	struct counters_layout layout;

	if (bytes < sizeof(*head) || memcmp(head->magic, MAGIC, sizeof(head->magic)))
		return -EINVAL;
	layout = (struct counters_layout){head->field, head->nr_fields, head->queue_bytes};
	if (head->nr_fields > COUNTERS_MAX_FIELDS || head->max_queues > COUNTERS_MAX_QUEUES ||
	    head->queue_bytes > COUNTERS_MAX_BYTES || head->queue_bytes % sizeof(uint64_t) ||
	    counters_bytes(&layout, head->max_queues) > bytes)
		return -EINVAL;
	for (uint32_t i = 0; i < head->nr_fields; i++)
		if (!is_field(&head->field[i], head->queue_bytes))
			return -EINVAL;
	*view = (struct counters_view){layout, head->max_queues, (const uint8_t *)copy + head_bytes(head->nr_fields)};
	return 0;
}

static const uint64_t *words_of(const void *queue, const struct counters_field *f)
{
	return (const uint64_t *)((const uint8_t *)queue + f->offset);
}

static void add_histogram(const struct counters_field *f, uint64_t *to, const uint64_t *from)
{
	const uint32_t *add = (const uint32_t *)(from + WORDS_BEFORE_BUCKETS);
	uint32_t *sum = (uint32_t *)(to + WORDS_BEFORE_BUCKETS);
	uint64_t max = load_relaxed(&from[1]);

	to[0] += load_relaxed(&from[0]);
	to[1] = max > to[1] ? max : to[1];
	for (unsigned i = 0; i < f->nr_buckets; i++)
		sum[i] += load_relaxed(&add[i]);
}

static void add_field(const struct counters_field *f, void *to, const void *from)
{
	uint64_t *sum = (uint64_t *)((uint8_t *)to + f->offset), value = load_relaxed(words_of(from, f));

	if (f->kind == COUNTERS_HISTOGRAM)
		add_histogram(f, sum, words_of(from, f));
	else if (f->kind != COUNTERS_PEAK)
		*sum += value;
	else if (value > *sum)
		*sum = value;
}

void counters_add(const struct counters_layout *layout, void *to, const void *from)
{
	for (uint32_t i = 0; i < layout->nr_fields; i++)
		add_field(&layout->field[i], to, from);
}

void counters_go_on(const struct counters_layout *layout, void *to, const void *from)
{
	for (uint32_t i = 0; i < layout->nr_fields; i++)
		if (layout->field[i].kind != COUNTERS_LEVEL)
			add_field(&layout->field[i], to, from);
}

void counters_subtract(const struct counters_layout *layout, void *from, const void *before)
{
	for (uint32_t i = 0; i < layout->nr_fields; i++) {
		const struct counters_field *f = &layout->field[i];
		uint64_t *left = (uint64_t *)((uint8_t *)from + f->offset);
		const uint64_t *take = words_of(before, f);
		const uint32_t *bucket = (const uint32_t *)(take + WORDS_BEFORE_BUCKETS);

		if (f->kind == COUNTERS_SUM || f->kind == COUNTERS_HISTOGRAM)
			*left -= *take;
		for (unsigned b = 0; f->kind == COUNTERS_HISTOGRAM && b < f->nr_buckets; b++)
			((uint32_t *)(left + WORDS_BEFORE_BUCKETS))[b] -= bucket[b];
	}
}

/* ---- as numbers -------------------------------------------------------------------------------------------------------- */

unsigned counters_nr_values(const struct counters_layout *layout)
{
	unsigned nr = 0;

	for (uint32_t i = 0; i < layout->nr_fields; i++)
		nr += layout->field[i].kind == COUNTERS_HISTOGRAM ? HISTOGRAM_VALUES : 1;
	return nr;
}

/* Which field the value is of, and of a histogram which part. */
static const struct counters_field *value_find(const struct counters_layout *layout, unsigned i, unsigned *part)
{
	const struct counters_field *f = layout->field;

	for (;; f++) {
		unsigned nr = f->kind == COUNTERS_HISTOGRAM ? HISTOGRAM_VALUES : 1;

		if (i < nr)
			break;
		i -= nr;
	}
	*part = i;
	return f;
}

static uint64_t value_of(const struct counters_field *f, const void *queue, unsigned part)
{
	const uint64_t *word = words_of(queue, f);

	if (f->kind != COUNTERS_HISTOGRAM || part == 0)
		return load_relaxed(&word[0]);
	if (!parts[part].permille)
		return load_relaxed(&word[1]);
	return histogram_permille_of((const uint32_t *)(word + WORDS_BEFORE_BUCKETS), f->nr_buckets, load_relaxed(&word[1]),
				     parts[part].permille);
}

uint64_t counters_value(const struct counters_layout *layout, const void *queue, unsigned i)
{
	unsigned part;
	const struct counters_field *f = value_find(layout, i, &part);

	return value_of(f, queue, part);
}

void counters_value_name(const struct counters_layout *layout, unsigned i, char name[COUNTERS_VALUE_NAME_BYTES])
{
	unsigned part;
	const struct counters_field *f = value_find(layout, i, &part);

	snprintf(name, COUNTERS_VALUE_NAME_BYTES, "%s%s", f->name, f->kind == COUNTERS_HISTOGRAM ? parts[part].name : "");
}

void counters_print(FILE *out, const char *prefix, const struct counters_layout *layout, const void *queue)
{
	unsigned nr = counters_nr_values(layout);

	for (unsigned i = 0; i < nr; i++) {
		char name[COUNTERS_VALUE_NAME_BYTES];

		counters_value_name(layout, i, name);
		fprintf(out, "%s.%s %" PRIu64 "\n", prefix, name, counters_value(layout, queue, i));
	}
}

static bool has_counted(const struct counters_layout *layout, const void *queue)
{
	for (uint32_t i = 0; i < layout->nr_fields; i++)
		if (load_relaxed(words_of(queue, &layout->field[i])))
			return true;
	return false;
}

void counters_print_queues(FILE *out, const char *prefix, const struct counters_view *view)
{
	for (unsigned q = 0; q < view->max_queues; q++) {
		const uint8_t *queue = view->queues + (size_t)q * view->layout.queue_bytes;
		char queue_prefix[96];

		if (!has_counted(&view->layout, queue))
			continue;
		snprintf(queue_prefix, sizeof(queue_prefix), "%s.queue.%u", prefix, q);
		counters_print(out, queue_prefix, &view->layout, queue);
	}
}
