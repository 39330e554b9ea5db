/*
 * test/unit/busy_poll_test.c - how long an end looks before it sleeps, by made-up times.
 */
#include "hv/busy_poll.h"
#include "test.h"

#define MAX_US 50
#define MAX_NS (MAX_US * UINT64_C(1000))
#define PERIOD_NS (UINT64_C(1) << BUSY_POLL_PERIOD_BITS)
#define VAIN_LOOKS (BUSY_POLL_CREDIT_FRESH / BUSY_POLL_CREDIT_VAIN)

struct end {
	struct busy_poll wait;
	uint64_t now_ns, looked_ns;
};

static struct end new_end(unsigned max_us)
{
	struct end e = {.now_ns = 100 * PERIOD_NS};

	busy_poll_init(&e.wait, max_us);
	return e;
}

/* Something comes after so long. True: it was looking then. Looks every microsecond; what is slept through is no look. */
static bool comes_after(struct end *e, uint64_t ns)
{
	uint64_t until = e->now_ns + ns;
	bool looks = true;

	while (looks && e->now_ns < until) {
		looks = busy_poll_is_worth(&e->wait, e->now_ns);
		if (looks) {
			e->now_ns += 1000;
			e->looked_ns += 1000;
		}
	}
	e->now_ns = until > e->now_ns ? until : e->now_ns;
	busy_poll_found(&e->wait);
	return looks;
}

static unsigned times_looking(struct end *e, uint64_t ns, unsigned nr)
{
	unsigned n = 0;

	for (unsigned i = 0; i < nr; i++)
		n += comes_after(e, ns);
	return n;
}

static void an_answer_that_comes_soon_is_looked_for_each_time(void **state)
{
	struct end e = new_end(MAX_US);

	assert_int_equal(times_looking(&e, MAX_NS - 1000, 100000), 100000);
}

static void one_that_never_looks_never_looks(void **state)
{
	struct end e = new_end(0);

	assert_int_equal(times_looking(&e, 1000, 1000), 0);
	assert_int_equal(e.looked_ns, 0);
}

static void what_comes_late_is_looked_for_in_vain_a_few_times_in_each_period(void **state)
{
	static const uint64_t gaps_ns[] = {MAX_NS + 1000, 2 * MAX_NS, 1000000, 20000000};

	for (unsigned i = 0; i < ARRAY_LEN(gaps_ns); i++) {
		struct end e = new_end(MAX_US);
		unsigned nr = (unsigned)(10 * PERIOD_NS / gaps_ns[i]);

		assert_int_equal(times_looking(&e, gaps_ns[i], nr), 0);
		assert_true(e.looked_ns > 0);
		assert_true(e.looked_ns <= 11 * VAIN_LOOKS * MAX_NS);
	}
}

static void one_packet_a_second_costs_one_look(void **state)
{
	struct end e = new_end(MAX_US);

	times_looking(&e, 1000000000, 60);
	assert_int_equal(e.looked_ns, 60 * MAX_NS);
}

static void a_wait_without_end_costs_one_look(void **state)
{
	struct end e = new_end(MAX_US);

	for (unsigned i = 0; i < 1000; i++, e.now_ns += PERIOD_NS / 10) /* woken for other things */
		e.looked_ns += busy_poll_is_worth(&e.wait, e.now_ns);
	assert_int_equal(e.looked_ns, 1);
}

static void looks_that_paid_bear_some_that_do_not(void **state)
{
	struct end e = new_end(MAX_US);
	unsigned most = BUSY_POLL_CREDIT_MAX / BUSY_POLL_CREDIT_VAIN;

	times_looking(&e, 5000, 1000);
	e.looked_ns = 0;
	times_looking(&e, 2 * MAX_NS, most + 10);
	assert_in_range(e.looked_ns / MAX_NS, most, most + VAIN_LOOKS);
	/* Two short ones for each long one: it goes on for ever. */
	for (unsigned i = 0; i < 10000; i++) {
		comes_after(&e, 5000);
		comes_after(&e, 5000);
		comes_after(&e, 2 * MAX_NS);
	}
	assert_true(comes_after(&e, 5000));
}

/* A guest, the back end and another guest, who answers. While the other two sleep, no guest's look lasts until the answer. */
static void ends_that_sleep_all_look_from_the_next_period_on(void **state)
{
	static const unsigned way[] = {0, 1, 2, 1};
	struct end ends[3] = {new_end(MAX_US), new_end(MAX_US), new_end(MAX_US)};
	uint64_t now_ns = ends[0].now_ns + PERIOD_NS / 3;
	unsigned nr_looking = 0;

	for (unsigned i = 0; i < ARRAY_LEN(ends); i++) {
		ends[i].wait.credit = 0;
		ends[i].wait.fresh_period = 101;
	}
	for (unsigned i = 0; i < 10000; i++) {
		struct busy_poll *wait = &ends[way[i % ARRAY_LEN(way)]].wait;
		bool is_looking = busy_poll_is_worth(wait, now_ns + 1000);

		now_ns += is_looking ? 1000 : MAX_NS - 10000;
		assert_false(is_looking && now_ns < 101 * PERIOD_NS);
		nr_looking += is_looking;
		busy_poll_found(wait);
		busy_poll_is_worth(wait, now_ns);
	}
	assert_true(nr_looking > 8500);
}

static void who_shares_the_processor_with_one_that_computes_looks_ever_more_rarely(void **state)
{
	struct end e = new_end(MAX_US);
	unsigned looks = 0;

	for (unsigned period = 0; period < 160; period++, e.now_ns += PERIOD_NS) {
		if (busy_poll_is_worth(&e.wait, e.now_ns)) {
			looks++;
			busy_poll_is_crowded(&e.wait, e.now_ns);
		}
		assert_false(busy_poll_is_worth(&e.wait, e.now_ns));
		busy_poll_found(&e.wait);
		assert_false(busy_poll_is_worth(&e.wait, e.now_ns));
		busy_poll_found(&e.wait);
	}
	assert_in_range(looks, 10, 16);
	times_looking(&e, 20 * PERIOD_NS, 1);
	times_looking(&e, 5000, BUSY_POLL_CREDIT_MAX);
	assert_int_equal(e.wait.crowded_periods, 0);
}

static void others_may_run_while_it_looks_but_not_at_once(void **state)
{
	uint64_t yield_ns = 0, now_ns = clock_now_ns(), begun_ns = now_ns;

	assert_true(busy_poll_give_way(&yield_ns, &now_ns));
	assert_int_equal(now_ns, begun_ns);
	assert_int_equal(yield_ns, begun_ns + BUSY_POLL_YIELD_NS);
	now_ns = yield_ns;
	busy_poll_give_way(&yield_ns, &now_ns);
	assert_true(now_ns >= begun_ns);
	assert_int_equal(yield_ns, now_ns + BUSY_POLL_YIELD_NS);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(an_answer_that_comes_soon_is_looked_for_each_time),
		cmocka_unit_test(one_that_never_looks_never_looks),
		cmocka_unit_test(what_comes_late_is_looked_for_in_vain_a_few_times_in_each_period),
		cmocka_unit_test(one_packet_a_second_costs_one_look),
		cmocka_unit_test(a_wait_without_end_costs_one_look),
		cmocka_unit_test(looks_that_paid_bear_some_that_do_not),
		cmocka_unit_test(ends_that_sleep_all_look_from_the_next_period_on),
		cmocka_unit_test(who_shares_the_processor_with_one_that_computes_looks_ever_more_rarely),
		cmocka_unit_test(others_may_run_while_it_looks_but_not_at_once),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
