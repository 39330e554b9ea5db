/*
 * test/unit/netback_lcores_test.c - lists of processors as a person writes them.
 */
#include "test.h"

#include <errno.h>

#include "netback/lcores.h"

static void a_list_of_processors_is_read_or_refused(void **state)
{
	const struct {
		const char *text;
		int err;
		unsigned nr;
		int first, last;
	} cases[] = {
		{"0", 0, 1, 0, 0},
		{"2,3", 0, 2, 2, 3},
		{"7,1", 0, 2, 7, 1},
		{"2-5", 0, 4, 2, 5},
		{"0,4-6,9", 0, 5, 0, 9},
		{"3-3", 0, 1, 3, 3},
		{"0-15", 0, 16, 0, 15},
		{"1023", 0, 1, 1023, 1023},
		{"", -EINVAL, 0, 0, 0},
		{",", -EINVAL, 0, 0, 0},
		{"1,", -EINVAL, 0, 0, 0},
		{"-1", -EINVAL, 0, 0, 0},
		{"1-", -EINVAL, 0, 0, 0},
		{"5-2", -EINVAL, 0, 0, 0},
		{"1-2-3", -EINVAL, 0, 0, 0},
		{"2,2", -EINVAL, 0, 0, 0},
		{"1-3,2", -EINVAL, 0, 0, 0},
		{"1 2", -EINVAL, 0, 0, 0},
		{"one", -EINVAL, 0, 0, 0},
		{"1024", -EINVAL, 0, 0, 0},
		{"99999999999999999999", -EINVAL, 0, 0, 0},
		{"0-16", -E2BIG, 0, 0, 0},
	};

	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct lcores l = {0};

		if (lcores_parse(cases[i].text, &l) != cases[i].err || l.nr != cases[i].nr)
			fail_msg("'%s': %u processors", cases[i].text, l.nr);
		if (!cases[i].err) {
			assert_int_equal(l.cpu[0], cases[i].first);
			assert_int_equal(l.cpu[l.nr - 1], cases[i].last);
		}
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_list_of_processors_is_read_or_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
