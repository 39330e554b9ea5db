/*
 * test/unit/grant_table_test.c - the granter: refs, ends, the ones that wait, a queue's cache.
 */
#include <errno.h>

#include "grant_box.h"
#include "test.h"

static void refs_are_unique_unreserved_and_run_out(void **state)
{
	struct grant_box box;
	bool seen[BOX_ENTRIES] = {false};
	grant_ref_t ref = 77, refs[BOX_ENTRIES];
	uint32_t n = 0;

	grant_box_init(&box, 1);
	assert_int_equal(grant_table_nr_free(box.table), BOX_ENTRIES - GNTTAB_NR_RESERVED_ENTRIES);
	while (grant_table_alloc(box.table, &ref) == 0) {
		assert_in_range(ref, GNTTAB_NR_RESERVED_ENTRIES, BOX_ENTRIES - 1);
		assert_false(seen[ref]);
		seen[ref] = true;
		refs[n++] = ref;
	}
	assert_int_equal(n, BOX_ENTRIES - GNTTAB_NR_RESERVED_ENTRIES);
	ref = 77;
	assert_int_equal(grant_table_alloc(box.table, &ref), -ENOSPC);
	assert_int_equal(ref, 77);
	assert_int_equal(grant_table_nr_free(box.table), 0);
	while (n)
		grant_table_free(box.table, refs[--n]);
	assert_int_equal(grant_table_nr_free(box.table), BOX_ENTRIES - GNTTAB_NR_RESERVED_ENTRIES);
	for (n = 0; grant_table_alloc(box.table, &ref) == 0; n++)
		;
	assert_int_equal(n, BOX_ENTRIES - GNTTAB_NR_RESERVED_ENTRIES);
	grant_box_finish(&box);
}

static void reserving_everything_leaves_no_ref(void **state)
{
	struct grant_entry_v1 entries[4] = {{0}};
	struct grant_table *gt;
	grant_ref_t ref;

	assert_int_equal(grant_table_create(entries, 4, 9, &gt), 0);
	assert_int_equal(grant_table_nr_free(gt), 0);
	assert_int_equal(grant_table_alloc(gt, &ref), -ENOSPC);
	grant_table_destroy(gt);
	grant_table_destroy(NULL);
}

static void permit_writes_the_entry_xen_defines(void **state)
{
	struct grant_box box;

	grant_box_init(&box, 1);
	grant_table_permit(box.table, 20, 7, 33, false);
	assert_int_equal(box.entries_sh[20].flags, GTF_permit_access);
	assert_int_equal(box.entries_sh[20].domid, 7);
	assert_int_equal(box.entries_sh[20].frame, 33);
	grant_table_permit(box.table, 21, 0, 34, true);
	assert_int_equal(box.entries_sh[21].flags, GTF_permit_access | GTF_readonly);
	assert_int_equal(grant_table_end(box.table, 20), 0);
	assert_int_equal(box.entries_sh[20].flags, 0);
	grant_box_finish(&box);
}

static void grant_in_use_cannot_be_ended(void **state)
{
	struct grant_box box;
	grant_ref_t ref;
	void *page;

	grant_box_init(&box, 1);
	for (int readonly = 0; readonly < 2; readonly++) {
		uint16_t flags;

		ref = grant_box_grant(&box, 3, false);
		assert_false(grant_table_in_use(box.table, ref));
		assert_int_equal(grant_pin(&box.peer[0], ref, readonly, &page), GNTST_okay);
		assert_true(grant_table_in_use(box.table, ref));
		flags = box.entries_sh[ref].flags;
		assert_int_equal(grant_table_end(box.table, ref), -EBUSY);
		assert_int_equal(box.entries_sh[ref].flags, flags);
		grant_unpin(&box.peer[0], ref, readonly);
		assert_false(grant_table_in_use(box.table, ref));
		assert_int_equal(grant_table_end(box.table, ref), 0);
		assert_int_equal(grant_pin(&box.peer[0], ref, readonly, &page), GNTST_bad_gntref);
	}
	grant_box_finish(&box);
}

static void count_release(void *arg)
{
	++*(int *)arg;
}

static void end_when_idle_of_an_idle_grant_releases_at_once(void **state)
{
	struct grant_box box;
	int released = 0;
	grant_ref_t ref;
	uint32_t nr_free;

	grant_box_init(&box, 1);
	nr_free = grant_table_nr_free(box.table);
	ref = grant_box_grant(&box, 3, false);
	assert_int_equal(grant_table_end_when_idle(box.table, ref, count_release, &released), 0);
	assert_int_equal(released, 1);
	assert_int_equal(grant_table_nr_free(box.table), nr_free);
	ref = grant_box_grant(&box, 3, false);
	assert_int_equal(grant_table_end_when_idle(box.table, ref, NULL, NULL), 0);
	assert_int_equal(grant_table_nr_free(box.table), nr_free);
	grant_box_finish(&box);
}

static void end_when_idle_of_a_held_grant_waits_for_the_peer(void **state)
{
	struct grant_box box;
	int released[5] = {0};
	grant_ref_t ref[5];
	uint32_t nr_free;
	void *page;

	grant_box_init(&box, 1);
	nr_free = grant_table_nr_free(box.table);
	for (int i = 0; i < 5; i++) {
		ref[i] = grant_box_grant(&box, (uint32_t)i, false);
		grant_pin(&box.peer[0], ref[i], i & 1, &page);
		assert_int_equal(grant_table_end_when_idle(box.table, ref[i], count_release, &released[i]), 0);
		assert_int_equal(released[i], 0);
	}
	assert_int_equal(grant_table_nr_free(box.table), nr_free - 5);
	assert_int_equal(grant_table_reap(box.table, 100), 5);
	grant_unpin(&box.peer[0], ref[3], true);
	assert_int_equal(grant_table_reap(box.table, 0), 5);
	/* Two looks at most each time: the third round gets to the fourth in the row. */
	assert_int_equal(grant_table_reap(box.table, 2), 5);
	assert_int_equal(grant_table_reap(box.table, 2), 4);
	for (int i = 0; i < 5; i++)
		assert_int_equal(released[i], i == 3);
	assert_int_equal(grant_table_nr_free(box.table), nr_free - 4);
	for (int i = 0; i < 5; i++)
		if (i != 3)
			grant_unpin(&box.peer[0], ref[i], i & 1);
	assert_int_equal(grant_table_reap(box.table, 100), 0);
	for (int i = 0; i < 5; i++)
		assert_int_equal(released[i], 1);
	assert_int_equal(grant_table_nr_free(box.table), nr_free);
	grant_box_finish(&box);
}

static void destroying_a_table_releases_what_still_waits(void **state)
{
	struct grant_box box;
	int released = 0;
	grant_ref_t ref;
	void *page;

	grant_box_init(&box, 1);
	ref = grant_box_grant(&box, 1, false);
	grant_pin(&box.peer[0], ref, false, &page);
	assert_int_equal(grant_table_end_when_idle(box.table, ref, count_release, &released), 0);
	assert_int_equal(released, 0);
	grant_box_finish(&box);
	assert_int_equal(released, 1);
}

static void cache_takes_all_or_nothing_and_gives_all_back(void **state)
{
	struct grant_box box;
	grant_ref_t refs[BOX_ENTRIES], ref;
	struct grant_cache cache;
	uint32_t all;

	grant_box_init(&box, 1);
	all = grant_table_nr_free(box.table);
	assert_int_equal(grant_cache_init(&cache, box.table, refs, all + 1), -ENOSPC);
	assert_int_equal(grant_table_nr_free(box.table), all);
	assert_int_equal(grant_cache_init(&cache, box.table, refs, 3), 0);
	assert_int_equal(grant_table_nr_free(box.table), all - 3);
	ref = grant_cache_get(&cache);
	assert_int_not_equal(ref, GRANT_NONE);
	assert_int_not_equal(grant_cache_get(&cache), GRANT_NONE);
	assert_int_not_equal(grant_cache_get(&cache), GRANT_NONE);
	assert_int_equal(grant_cache_get(&cache), GRANT_NONE);
	grant_cache_put(&cache, ref);
	assert_int_equal(grant_cache_get(&cache), ref);
	grant_cache_put(&cache, ref);
	grant_cache_finish(&cache);
	assert_int_equal(grant_table_nr_free(box.table), all - 2);
	grant_box_finish(&box);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(refs_are_unique_unreserved_and_run_out),
		cmocka_unit_test(reserving_everything_leaves_no_ref),
		cmocka_unit_test(permit_writes_the_entry_xen_defines),
		cmocka_unit_test(grant_in_use_cannot_be_ended),
		cmocka_unit_test(end_when_idle_of_an_idle_grant_releases_at_once),
		cmocka_unit_test(end_when_idle_of_a_held_grant_waits_for_the_peer),
		cmocka_unit_test(destroying_a_table_releases_what_still_waits),
		cmocka_unit_test(cache_takes_all_or_nothing_and_gives_all_back),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
