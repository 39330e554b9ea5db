/*
 * test/unit/local_pages_test.c - a guest's page allocator, over two extents.
 */
#include "test.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "hv/local_pages.h"

#define FIRST 100u
#define SECOND 60u

static struct gate memory;
static struct local_pages pages;

static int start(void **state)
{
	memory = (struct gate){.nr_extents = 2,
			       .extent = {{aligned_alloc(PAGE_BYTES, pages_to_bytes(FIRST)), 0, FIRST},
					  {aligned_alloc(PAGE_BYTES, pages_to_bytes(SECOND)), FIRST, SECOND}}};
	memset(memory.extent[0].base, 0, pages_to_bytes(FIRST)); /* as the hypervisor gives them */
	memset(memory.extent[1].base, 0, pages_to_bytes(SECOND));
	return local_pages_init(&pages, &memory);
}

static int stop(void **state)
{
	local_pages_finish(&pages);
	free(memory.extent[0].base);
	free(memory.extent[1].base);
	return 0;
}

static bool is_zero(const void *p, size_t bytes)
{
	for (size_t i = 0; i < bytes; i++)
		if (((const uint8_t *)p)[i])
			return false;
	return true;
}

/* Takes all that there is in runs of 1 to 7, checks and spoils each, and gives all back. */
static void take_and_spoil_all(void)
{
	uint8_t owner[FIRST + SECOND] = {0};
	void *run[FIRST + SECOND], *p;
	unsigned len[FIRST + SECOND], nr_runs = 0;

	for (unsigned nr = 1, id = 1; local_pages_nr_free(&pages) >= nr; nr = nr % 7 + 1, id++) {
		uint64_t frame;

		if (local_pages_alloc(&pages, nr, &p))
			break; /* what is left lies scattered at the extents' ends */
		assert_true(is_zero(p, pages_to_bytes(nr)));
		memset(p, 0xbb, pages_to_bytes(nr));
		frame = gate_frame_of(&memory, p);
		assert_true(frame >= FIRST || frame + nr <= FIRST); /* in one extent */
		for (unsigned i = 0; i < nr; i++) {
			assert_int_equal(owner[frame + i], 0);
			owner[frame + i] = (uint8_t)id;
		}
		run[nr_runs] = p;
		len[nr_runs++] = nr;
	}
	assert_true(local_pages_nr_free(&pages) < 14);
	while (nr_runs--)
		local_pages_free(&pages, run[nr_runs], len[nr_runs]);
}

static void pages_are_zeroed_in_a_row_and_nobody_elses(void **state)
{
	/* Fresh ones, and from the second round on spoilt ones; the runs begin elsewhere each time. */
	for (unsigned round = 0; round < 3; round++)
		take_and_spoil_all();
}

static void all_pages_can_be_had_one_by_one_and_given_back(void **state)
{
	void *p[FIRST + SECOND], *one;

	for (unsigned round = 0; round < 3; round++) {
		for (unsigned i = 0; i < FIRST + SECOND; i++)
			assert_int_equal(local_pages_alloc(&pages, 1, &p[i]), 0);
		assert_int_equal(local_pages_alloc(&pages, 1, &one), -ENOMEM);
		for (unsigned i = 0; i < FIRST + SECOND; i++)
			local_pages_free(&pages, p[i], 1);
		assert_int_equal(local_pages_nr_free(&pages), FIRST + SECOND);
	}
}

static void run_longer_than_an_extent_is_refused(void **state)
{
	void *p;

	assert_int_equal(local_pages_alloc(&pages, FIRST + 1, &p), -ENOMEM);
	assert_int_equal(local_pages_alloc(&pages, FIRST, &p), 0);
	assert_ptr_equal(p, memory.extent[0].base);
	assert_int_equal(local_pages_alloc(&pages, SECOND, &p), 0);
	assert_int_equal(local_pages_alloc(&pages, 0, &p), -EINVAL);
}

static void reserved_frame_is_never_handed_out(void **state)
{
	static const uint64_t reserved[] = {0, 1, 63, 64, FIRST - 1, FIRST, FIRST + SECOND - 1};
	void *p;

	for (unsigned i = 0; i < ARRAY_LEN(reserved); i++) {
		assert_int_equal(local_pages_reserve(&pages, reserved[i]), 0);
		assert_int_equal(local_pages_reserve(&pages, reserved[i]), -EBUSY);
	}
	assert_int_equal(local_pages_reserve(&pages, FIRST + SECOND), -EINVAL);
	assert_int_equal(local_pages_reserve(&pages, UINT64_MAX), -EINVAL);
	while (!local_pages_alloc(&pages, 1, &p))
		for (unsigned i = 0; i < ARRAY_LEN(reserved); i++)
			assert_int_not_equal(gate_frame_of(&memory, p), reserved[i]);
	assert_int_equal(local_pages_nr_free(&pages), 0);
}

/* Against a model: random sizes come and go. */
static void random_use_never_overlaps(void **state)
{
	struct {
		void *p;
		unsigned nr;
	} held[64] = {{0}};
	uint8_t used[FIRST + SECOND] = {0};
	uint32_t seed = 7;

	for (unsigned step = 0; step < 20000; step++) {
		unsigned at = test_random(&seed) % ARRAY_LEN(held), nr = test_random(&seed) % 9 + 1;

		if (!held[at].p && !local_pages_alloc(&pages, nr, &held[at].p)) {
			uint64_t frame = gate_frame_of(&memory, held[at].p);

			held[at].nr = nr;
			for (unsigned i = 0; i < nr; i++) {
				assert_int_equal(used[frame + i], 0);
				used[frame + i] = 1;
			}
		} else if (held[at].p) {
			memset(used + gate_frame_of(&memory, held[at].p), 0, held[at].nr);
			local_pages_free(&pages, held[at].p, held[at].nr);
			held[at].p = NULL;
		}
	}
}

int main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, start, stop)
	const struct CMUnitTest tests[] = {
		T(pages_are_zeroed_in_a_row_and_nobody_elses),
		T(all_pages_can_be_had_one_by_one_and_given_back),
		T(run_longer_than_an_extent_is_refused),
		T(reserved_frame_is_never_handed_out),
		T(random_use_never_overlaps),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
