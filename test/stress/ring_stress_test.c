/*
 * test/stress/ring_stress_test.c - both halves of a ring as threads that sleep whenever they can.
 *
 * Each end sleeps on its eventfd as soon as final_check lets it, and is woken only when push says so. A lost wake-up is an
 * end that sleeps until its limit, and fails.
 */
#include <pthread.h>
#include <stdlib.h>
#include <unistd.h>

#include "bell.h"
#include "rings/ring.h"
#include "test.h"

struct stress_request {
	uint64_t id;
	uint64_t payload;
};

struct stress_response {
	uint64_t id;
};

RING_DEFINE(stress, struct stress_request, struct stress_response);

struct link {
	void *area;
	size_t bytes;
	uint64_t nr_entries;
	uint32_t batch; /* most that either end does before it pushes */
	int wake_front;
	int wake_back;
	/* One thread each; read after join. */
	uint64_t front_sleeps, back_sleeps;
	const char *front_error, *back_error;
};

static uint64_t payload_of(uint64_t id)
{
	return id * 0x9e3779b97f4a7c15u ^ 0x5bd1e995u;
}

/* Serves what is there, in batches of random length; an error sentence or NULL. */
static const char *back_serve(struct stress_back *back, struct link *l, uint64_t *next, uint32_t *seed)
{
	int n = stress_back_pending(back);
	uint32_t batch = 1 + test_random(seed) % l->batch;

	if (n < 0)
		return "the back half saw an impossible producer index";
	for (int i = 0; i < n; i++) {
		struct stress_request req;

		stress_back_take(back, &req);
		if (req.id != *next || req.payload != payload_of(req.id))
			return "a request is not what was put";
		++*next;
		stress_back_put(back, &(struct stress_response){.id = req.id});
		if (--batch == 0) {
			batch = 1 + test_random(seed) % l->batch;
			if (stress_back_push(back))
				bell_ring(l->wake_front);
		}
	}
	if (stress_back_push(back))
		bell_ring(l->wake_front);
	return NULL;
}

static void *back_main(void *arg)
{
	struct link *l = arg;
	struct stress_back back;
	uint64_t next = 0;
	uint32_t seed = 99;

	stress_back_init(&back, l->area, l->bytes);
	while (next < l->nr_entries && !l->back_error) {
		l->back_error = back_serve(&back, l, &next, &seed);
		if (next == l->nr_entries || stress_back_final_check(&back))
			continue;
		l->back_sleeps++;
		if (!bell_sleep(l->wake_back))
			l->back_error = "the back half was never woken";
	}
	return NULL;
}

static const char *front_reap(struct stress_front *front, uint64_t *answered)
{
	int n = stress_front_pending(front);

	if (n < 0)
		return "the front half saw an impossible producer index";
	for (int i = 0; i < n; i++) {
		struct stress_response rsp;

		stress_front_take(front, &rsp);
		if (rsp.id != (*answered)++)
			return "a response is not the next one";
	}
	return NULL;
}

static void front_fill(struct stress_front *front, struct link *l, uint64_t *sent, uint32_t *seed)
{
	uint32_t batch = 1 + test_random(seed) % l->batch;

	while (batch-- && *sent < l->nr_entries && stress_front_free(front)) {
		stress_front_put(front, &(struct stress_request){.id = *sent, .payload = payload_of(*sent)});
		++*sent;
	}
	if (stress_front_push(front))
		bell_ring(l->wake_back);
}

static void *front_main(void *arg)
{
	struct link *l = arg;
	struct stress_front front;
	uint64_t sent = 0, answered = 0;
	uint32_t seed = 77;

	/* The area was reset before the threads began; only the local half is made here. */
	front = (struct stress_front){.sh = l->area, .mask = stress_slots(l->bytes) - 1};
	while (answered < l->nr_entries && !l->front_error) {
		front_fill(&front, l, &sent, &seed);
		l->front_error = front_reap(&front, &answered);
		if (answered == l->nr_entries || (sent < l->nr_entries && stress_front_free(&front)) ||
		    stress_front_final_check(&front))
			continue;
		l->front_sleeps++;
		if (!bell_sleep(l->wake_front))
			l->front_error = "the front half was never woken";
	}
	return NULL;
}

static void run(uint64_t nr_entries, unsigned slots, uint32_t batch)
{
	struct link l = {.bytes = 64 + slots * sizeof(union stress_slot), .batch = batch, .nr_entries = nr_entries};
	pthread_t front, back;

	assert_int_equal(posix_memalign(&l.area, 64, l.bytes), 0);
	l.wake_front = bell_open();
	l.wake_back = bell_open();
	ring_head_init(l.area);
	assert_int_equal(pthread_create(&back, NULL, back_main, &l), 0);
	assert_int_equal(pthread_create(&front, NULL, front_main, &l), 0);
	pthread_join(front, NULL);
	pthread_join(back, NULL);
	if (l.front_error || l.back_error)
		fail_msg("%s; %s", l.front_error ? l.front_error : "-", l.back_error ? l.back_error : "-");
	assert_true(l.front_sleeps > 0);
	assert_true(l.back_sleeps > 0);
	print_message("%u slots, batches to %u: %llu front and %llu back sleeps\n", slots, batch,
		      (unsigned long long)l.front_sleeps, (unsigned long long)l.back_sleeps);
	close(l.wake_front);
	close(l.wake_back);
	free(l.area);
}

static void no_entry_and_no_wake_up_is_lost_in_a_small_ring(void **state)
{
	run(200000, 4, 3);
}

static void no_entry_and_no_wake_up_is_lost_in_a_page(void **state)
{
	run(3000000, 128, 40);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(no_entry_and_no_wake_up_is_lost_in_a_small_ring),
		cmocka_unit_test(no_entry_and_no_wake_up_is_lost_in_a_page),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
