/*
 * test/unit/blkback_limit_test.c - the limits of a vbd, on a clock of the test's own: right to 2 % over a second, whoever shares them.
 */
#include <stdlib.h>

#include "blkback/limit.h"
#include "test.h"

#define SECOND UINT64_C(1000000000)

/* Queues that always have a request, and look as often as they are told to, each late by something. What was let through in seconds. */
static uint64_t let_through(struct limit *l, bool is_write, unsigned queues, uint64_t bytes, uint64_t seconds, uint32_t lateness_ns)
{
	uint64_t next[8] = {0}, start = 5 * SECOND, n = 0;
	uint32_t random = 1;

	for (uint64_t now = start; now < start + seconds * SECOND;) {
		uint64_t soonest = UINT64_MAX;

		for (unsigned q = 0; q < queues; q++) {
			uint64_t wait = 0;

			while (next[q] <= now && !(wait = limit_wait_ns(l, is_write, now))) {
				limit_charge(l, is_write, bytes, now);
				n++;
			}
			if (next[q] <= now)
				next[q] = now + limit_pause_ns(l, wait) + test_random(&random) % (lateness_ns + 1);
			soonest = next[q] < soonest ? next[q] : soonest;
		}
		now = soonest;
	}
	return n;
}

/* extra: what several queues may let through at the same moment, once. */
static void assert_within_2_percent(uint64_t got, uint64_t wanted, uint64_t extra)
{
	if (got * 100 < wanted * 98 || got * 100 > wanted * 102 + extra * 100)
		fail_msg("%llu, wanted %llu", (unsigned long long)got, (unsigned long long)wanted);
}

static void requests_a_second_are_kept(void **state)
{
	static const uint64_t rates[] = {100, 1000, 20000, 333333, 2000000};

	for (size_t i = 0; i < ARRAY_LEN(rates); i++)
		for (unsigned queues = 1; queues <= 8; queues *= 2) {
			struct limit l = {0};

			limit_set_burst(&l, LIMIT_DEFAULT_BURST_MS);
			limit_set(&l, LIMIT_READ_IOPS, rates[i]);
			assert_within_2_percent(let_through(&l, false, queues, 4096, 2, 3000000), 2 * rates[i], queues);
		}
}

static void bytes_a_second_are_kept(void **state)
{
	static const uint64_t rates[] = {10000000, 123456789, 10000000000};

	for (size_t i = 0; i < ARRAY_LEN(rates); i++)
		for (uint64_t bytes = 512; bytes <= 65536; bytes *= 8) {
			struct limit l = {0};

			limit_set_burst(&l, LIMIT_DEFAULT_BURST_MS);
			limit_set(&l, LIMIT_WRITE_BYTES, rates[i]);
			assert_within_2_percent(let_through(&l, true, 4, bytes, 1, 1000000) * bytes, rates[i], 4 * bytes);
		}
}

static void the_lower_of_two_limits_counts(void **state)
{
	struct limit l = {0};

	limit_set_burst(&l, LIMIT_DEFAULT_BURST_MS);
	limit_set(&l, LIMIT_WRITE_IOPS, 5000);
	limit_set(&l, LIMIT_WRITE_BYTES, 4096 * 1000);
	assert_within_2_percent(let_through(&l, true, 2, 4096, 2, 0), 2000, 2);
	l.bucket[LIMIT_WRITE_IOPS].paid_until = l.bucket[LIMIT_WRITE_BYTES].paid_until = 0;
	assert_within_2_percent(let_through(&l, true, 2, 512, 2, 0), 10000, 2);
}

static void reads_and_writes_are_limited_apart(void **state)
{
	struct limit l = {0};

	limit_set_burst(&l, LIMIT_DEFAULT_BURST_MS);
	limit_set(&l, LIMIT_WRITE_IOPS, 10);
	assert_true(limit_is_any(&l));
	for (unsigned i = 0; i < 1000; i++) {
		assert_int_equal(limit_wait_ns(&l, false, SECOND), 0);
		limit_charge(&l, false, 1 << 20, SECOND);
	}
	limit_charge(&l, true, 0, SECOND);
	assert_true(limit_wait_ns(&l, true, SECOND) > 0);
	limit_set(&l, LIMIT_WRITE_IOPS, 0);
	assert_false(limit_is_any(&l));
}

static void what_is_saved_up_is_bounded_by_the_burst(void **state)
{
	struct limit l = {0};
	unsigned n = 0;

	limit_set_burst(&l, 100);
	limit_set(&l, LIMIT_READ_IOPS, 1000);
	while (!limit_wait_ns(&l, false, 3600 * SECOND)) { /* after an hour of nothing */
		limit_charge(&l, false, 512, 3600 * SECOND);
		n++;
	}
	assert_int_equal(n, 101);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(requests_a_second_are_kept),
		cmocka_unit_test(bytes_a_second_are_kept),
		cmocka_unit_test(the_lower_of_two_limits_counts),
		cmocka_unit_test(reads_and_writes_are_limited_apart),
		cmocka_unit_test(what_is_saved_up_is_bounded_by_the_burst),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
