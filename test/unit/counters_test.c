/*
 * test/unit/counters_test.c - counters that others look at: what is read is what was counted, and nothing else is believed.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "hv/counters_file.h"
#include "test.h"

struct queue {
	uint64_t packets, depth, deepest;
	struct histogram_batch batch;
	struct histogram ns;
};

static const struct counters_field fields[] = {
	COUNTERS_FIELD(struct queue, packets),
	{"depth", COUNTERS_LEVEL, 0, offsetof(struct queue, depth)},
	{"deepest", COUNTERS_PEAK, 0, offsetof(struct queue, deepest)},
	COUNTERS_BATCHES(struct queue, batch),
	COUNTERS_TIMES(struct queue, ns),
};
static const struct counters_layout layout = {fields, ARRAY_LEN(fields), sizeof(struct queue)};

#define QUEUES 3
#define FIRST_FIELD 24 /* bytes before it */

static uint8_t *memory_create(size_t *bytes)
{
	uint8_t *memory;

	*bytes = counters_bytes(&layout, QUEUES);
	memory = aligned_alloc(64, (*bytes + 63) & ~(size_t)63);
	assert_non_null(memory);
	memset(memory, 0, *bytes);
	counters_init(memory, &layout, QUEUES);
	return memory;
}

static uint64_t value(const struct counters_layout *l, const void *queue, const char *wanted)
{
	char name[COUNTERS_VALUE_NAME_BYTES];

	for (unsigned i = 0; i < counters_nr_values(l); i++) {
		counters_value_name(l, i, name);
		if (!strcmp(name, wanted))
			return counters_value(l, queue, i);
	}
	fail_msg("no value %s", wanted);
	return 0;
}

static void what_is_read_is_what_was_counted(void **state)
{
	size_t bytes;
	uint8_t *memory = memory_create(&bytes), *copy = malloc(bytes);
	struct queue *q = counters_queues(memory, &layout);
	struct counters_view view;
	const struct queue *seen;

	q[1].packets = 7;
	q[1].deepest = 5;
	for (uint64_t i = 1; i <= 100; i++) {
		histogram_batch_add(&q[1].batch, i);
		histogram_add(&q[1].ns, i * 1000);
	}
	counters_copy(copy, memory, bytes);
	assert_int_equal(counters_check(copy, bytes, &view), 0);
	assert_int_equal(view.max_queues, QUEUES);
	seen = (const struct queue *)view.queues + 1;
	assert_int_equal(value(&view.layout, seen, "packets"), 7);
	assert_int_equal(value(&view.layout, seen, "deepest"), 5);
	assert_int_equal(value(&view.layout, seen, "batch.count"), 100);
	assert_int_equal(value(&view.layout, seen, "batch.p50"), 50);
	assert_int_equal(value(&view.layout, seen, "ns.max"), 100000);
	assert_in_range(value(&view.layout, seen, "ns.p99"), 99000, 100600);
	free(copy);
	free(memory);
}

static void only_queues_that_have_counted_are_printed(void **state)
{
	size_t bytes, text_bytes;
	uint8_t *memory = memory_create(&bytes);
	struct queue *q = counters_queues(memory, &layout);
	struct counters_view view;
	char *text;
	FILE *out = open_memstream(&text, &text_bytes);

	q[2].packets = 9;
	assert_int_equal(counters_check(memory, bytes, &view), 0);
	counters_print_queues(out, "vif.1.0", &view);
	fclose(out);
	assert_ptr_equal(strstr(text, "vif.1.0.queue.2.packets 9\n"), text);
	assert_non_null(strstr(text, "vif.1.0.queue.2.ns.max 0\n"));
	free(text);
	free(memory);
}

static void sums_add_up_and_a_reset_takes_off(void **state)
{
	static struct queue a, b, before;

	a = (struct queue){.packets = 10, .depth = 2, .deepest = 9};
	b = (struct queue){.packets = 5, .depth = 1, .deepest = 4};
	histogram_add(&a.ns, 100);
	histogram_add(&b.ns, 300);
	before = a;
	counters_add(&layout, &a, &b);
	assert_int_equal(a.packets, 15);
	assert_int_equal(a.depth, 3);
	assert_int_equal(a.deepest, 9);
	assert_int_equal(a.ns.nr, 2);
	assert_int_equal(a.ns.max, 300);
	counters_subtract(&layout, &a, &before);
	assert_int_equal(a.packets, 5);
	assert_int_equal(a.depth, 3);
	assert_int_equal(a.ns.nr, 1);
	assert_int_equal(value(&layout, &a, "ns.p50"), 300);
}

static void what_makes_no_sense_is_refused(void **state)
{
	const size_t field = sizeof(struct counters_field), last = FIRST_FIELD + (ARRAY_LEN(fields) - 1) * field;
	const struct {
		size_t at;
		uint32_t value;
		unsigned bytes;
	} t[] = {
		{0, 'x', 1},                                                   /* not ours */
		{8, 0xffffffff, 4},                                            /* more fields than there are bytes */
		{8, COUNTERS_MAX_FIELDS + 1, 4},
		{12, 0xfffffff8, 4},                                           /* a queue longer than all of it */
		{12, sizeof(struct queue) + 8, 4},
		{12, sizeof(struct queue) - 8, 4},                             /* its last field does not fit */
		{12, sizeof(struct queue) - 1, 4},                             /* not in words */
		{16, QUEUES + 1, 4},
		{16, 0xffffffff, 4},
		{FIRST_FIELD, 0, 1},                                           /* a field without a name */
		{FIRST_FIELD + 2, '\n', 1},                                    /* a name that is two lines */
		{FIRST_FIELD + 2, 0x1b, 1},                                    /* or talks to the terminal */
		{FIRST_FIELD + 2, '%', 1},
		{FIRST_FIELD + 32, 0, 2},                                      /* no kind */
		{FIRST_FIELD + 32, COUNTERS_HISTOGRAM + 1, 2},
		{FIRST_FIELD + 32, COUNTERS_HISTOGRAM, 2},                     /* without buckets */
		{FIRST_FIELD + 36, sizeof(struct queue), 4},                   /* behind the queue */
		{FIRST_FIELD + 36, 0xfffffff8, 4},
		{FIRST_FIELD + 36, 4, 4},                                      /* between two words */
		{last + 34, 0xffff, 2},                                        /* more buckets than there can be */
		{last + 36, offsetof(struct queue, ns) + 8, 4},                /* the last bucket is behind the queue */
	};
	size_t bytes;
	uint8_t *memory = memory_create(&bytes);
	struct counters_view view;

	for (unsigned i = 0; i < ARRAY_LEN(t); i++) {
		uint8_t *bad = malloc(bytes);

		memcpy(bad, memory, bytes);
		memcpy(bad + t[i].at, &t[i].value, t[i].bytes);
		if (counters_check(bad, bytes, &view) != -EINVAL)
			fail_msg("case %u is believed", i);
		free(bad);
	}
	/* A name that never ends. */
	memset(memory + FIRST_FIELD, 'a', COUNTERS_NAME_BYTES);
	assert_int_equal(counters_check(memory, bytes, &view), -EINVAL);
	free(memory);
}

static void a_copy_that_was_cut_short_is_refused(void **state)
{
	size_t bytes;
	uint8_t *memory = memory_create(&bytes);
	struct counters_view view;

	for (size_t cut = 0; cut < bytes; cut += cut < 512 ? 1 : 997) {
		uint8_t *part = malloc(cut + 1); /* so that reading on is seen */

		memcpy(part, memory, cut);
		assert_int_equal(counters_check(part, cut, &view), -EINVAL);
		free(part);
	}
	assert_int_equal(counters_check(memory, bytes, &view), 0);
	free(memory);
}

/* Everything that counts, and what lies beside it. */
static void count_some(struct queue *q, uint64_t n)
{
	q->packets += n;
	q->depth = n;
	q->deepest = n;
	histogram_add(&q->ns, n);
}

static void who_takes_over_goes_on_with_the_counters_of_the_one_before(void **state)
{
	char dir[] = "/tmp/counters_test_XXXXXX";
	struct counters_file f;
	struct queue *q;

	assert_non_null(mkdtemp(dir));
	assert_int_equal(counters_file_create(&f, dir, "a.stats", &layout, QUEUES), 0);
	assert_null(f.before);
	q = f.queues;
	count_some(&q[0], 7);
	count_some(&q[2], 40);
	counters_file_close(&f, false); /* it was killed */

	assert_int_equal(counters_file_create(&f, dir, "a.stats", &layout, QUEUES), 0);
	q = f.queues;
	assert_int_equal(q[0].packets, 0);
	counters_file_go_on(&f);
	count_some(&q[2], 2);
	assert_int_equal(q[0].packets, 7);
	assert_int_equal(q[0].depth, 0);
	assert_int_equal(q[1].packets, 0);
	assert_int_equal(q[2].packets, 42);
	assert_int_equal(q[2].depth, 2);
	assert_int_equal(q[2].ns.nr, 2);
	counters_file_close(&f, false);

	/* A connection that began anew has counters that did, too. */
	assert_int_equal(counters_file_create(&f, dir, "a.stats", &layout, QUEUES), 0);
	q = f.queues;
	counters_file_drop(&f);
	counters_file_go_on(&f);
	assert_int_equal(q[2].packets, 0);
	counters_file_close(&f, true);
	assert_int_equal(rmdir(dir), 0);
}

static void counters_of_another_version_are_not_gone_on_with(void **state)
{
	struct counters_field other[ARRAY_LEN(fields)];
	const struct counters_layout renamed = {other, ARRAY_LEN(other), sizeof(struct queue)};
	char dir[] = "/tmp/counters_test_XXXXXX";
	struct counters_file f;

	memcpy(other, fields, sizeof(other));
	strcpy(other[0].name, "frames");
	assert_non_null(mkdtemp(dir));
	assert_int_equal(counters_file_create(&f, dir, "a.stats", &renamed, QUEUES), 0);
	count_some(f.queues, 7);
	counters_file_close(&f, false);
	assert_int_equal(counters_file_create(&f, dir, "a.stats", &layout, QUEUES), 0);
	assert_null(f.before);
	memset(f.file.memory, 0xff, f.file.bytes);
	counters_file_close(&f, false);
	assert_int_equal(counters_file_create(&f, dir, "a.stats", &layout, QUEUES), 0);
	assert_null(f.before);
	counters_file_close(&f, true);
	assert_int_equal(rmdir(dir), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_is_read_is_what_was_counted),
		cmocka_unit_test(only_queues_that_have_counted_are_printed),
		cmocka_unit_test(sums_add_up_and_a_reset_takes_off),
		cmocka_unit_test(what_makes_no_sense_is_refused),
		cmocka_unit_test(a_copy_that_was_cut_short_is_refused),
		cmocka_unit_test(who_takes_over_goes_on_with_the_counters_of_the_one_before),
		cmocka_unit_test(counters_of_another_version_are_not_gone_on_with),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
