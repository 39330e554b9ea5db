/*
 * test/unit/bus_thread_test.c - the thread that is a guest's bus's, and what other threads ask it for, in a box.
 */
#include "test.h"

#include <errno.h>
#include <pthread.h>
#include <string.h>

#include "box.h"
#include "frontends/bus_thread.h"

#define ASKERS 4u
#define TIMES 500

static struct box box;
static domid_t domid;
static struct bus_thread bus_thread;

/* The bus's thread's alone: no lock, no atomics. */
static struct {
	unsigned nr_done;
	unsigned nr_wrong;
	bool saw_loss;
} work;

static void look(void *arg)
{
	work.nr_wrong += arg != &work;
	work.saw_loss |= bus_thread.bus.is_lost;
}

static int start(void **state)
{
	struct hv_options opt = {.attach = "a"};
	char why[HV_WHY_BYTES];

	box_start(&box);
	domid = box_create(&box, "a", 16384);
	assert_int_equal(toolstack_domain_unpause(box.dom0, domid), 0);
	opt.run_dir = box.run_dir;
	memset(&work, 0, sizeof(work));
	return bus_thread_open(&bus_thread, &opt, look, &work, -1, why);
}

static int stop(void **state)
{
	bus_thread_close(&bus_thread, true);
	box_wait_gone(&box, domid);
	box_stop(&box);
	return 0;
}

static int count(struct frontbus *bus, void *arg)
{
	work.nr_wrong += bus != &bus_thread.bus;
	work.nr_done++;
	return *(int *)arg;
}

static void *ask(void *arg)
{
	unsigned nr_wrong = 0;

	for (int i = 0; i < TIMES; i++)
		nr_wrong += bus_thread_run(&bus_thread, count, &i) != i;
	*(unsigned *)arg = nr_wrong;
	return NULL;
}

static int read_done(struct frontbus *bus, void *arg)
{
	return work.nr_wrong ? -1 : (int)work.nr_done;
}

static int read_loss(struct frontbus *bus, void *arg)
{
	return work.saw_loss;
}

static void what_many_threads_ask_for_is_done_in_one(void **state)
{
	unsigned wrong[ASKERS];
	pthread_t asker[ASKERS];

	for (unsigned i = 0; i < ASKERS; i++)
		assert_int_equal(pthread_create(&asker[i], NULL, ask, &wrong[i]), 0);
	for (unsigned i = 0; i < ASKERS; i++) {
		pthread_join(asker[i], NULL);
		assert_int_equal(wrong[i], 0);
	}
	assert_int_equal(bus_thread_run(&bus_thread, read_done, NULL), ASKERS * TIMES);
}

static void devices_learn_of_a_loss_and_can_still_be_given_back(void **state)
{
	assert_int_equal(toolstack_domain_destroy(box.dom0, domid), 0);
	while (!bus_thread_run(&bus_thread, read_loss, NULL))
		;
	for (unsigned i = 0; i < TIMES; i++)
		assert_int_equal(bus_thread_run(&bus_thread, read_loss, NULL), 1);
}

static void a_domain_that_runs_is_not_become_twice(void **state)
{
	const struct hv_options opt = {.run_dir = box.run_dir, .attach = "a"};
	char why[HV_WHY_BYTES];
	struct bus_thread other;

	assert_int_equal(bus_thread_open(&other, &opt, look, &work, -1, why), -EBUSY);
	assert_non_null(strstr(why, "runs already"));
}

#define IN_A_BOX(test) cmocka_unit_test_setup_teardown(test, start, stop)

int main(void)
{
	const struct CMUnitTest tests[] = {
		IN_A_BOX(what_many_threads_ask_for_is_done_in_one),
		IN_A_BOX(devices_learn_of_a_loss_and_can_still_be_given_back),
		IN_A_BOX(a_domain_that_runs_is_not_become_twice),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
