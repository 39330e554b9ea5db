/*
 * test/liar/grant_liar_test.c - the mapper against a granter that rewrites its entries while they are checked and pinned.
 */
#include <errno.h>

#include "grant_box.h"
#include "liar.h"
#include "test.h"

#define REFS 4u
#define ROUNDS 200000u
#define LIES 200000u

static void write_entry(struct grant_entry_v1 *sh, uint16_t flags, domid_t domid)
{
	store_relaxed((uint32_t *)(void *)&sh->flags, flags | (uint32_t)domid << 16);
}

/* Anything at all. */
static void mutate_entry(void *arg, uint32_t random)
{
	static const uint16_t flags[] = {
		GTF_invalid, GTF_permit_access, GTF_permit_access, GTF_permit_access | GTF_readonly, GTF_accept_transfer,
		GTF_transitive, GTF_permit_access | GTF_sub_page, GTF_permit_access | GTF_reading | GTF_writing,
	};
	struct grant_box *box = arg;
	struct grant_entry_v1 *sh = &box->entries_sh[random % REFS];

	switch ((random >> 4) % 4) {
	case 0:
		store_relaxed(&sh->frame, (random >> 8) % 8 ? (random >> 8) % BOX_FRAMES : random * 2654435761u);
		break;
	case 1:
		store_relaxed(&sh->flags, (uint16_t)(random >> 16));
		break;
	default:
		write_entry(sh, flags[(random >> 8) % ARRAY_LEN(flags)], (random >> 12) % 4 ? BOX_MAPPER : 3);
	}
}

static bool is_in_memory(struct grant_box *box, const void *page)
{
	return gate_frame_of(&box->gate, page) != UINT64_MAX && ((uintptr_t)page & (PAGE_BYTES - 1)) == 0;
}

static bool is_expected_status(int16_t status)
{
	return status == GNTST_okay || status == GNTST_bad_gntref || status == GNTST_permission_denied ||
	       status == GNTST_bad_page;
}

static void one_round(struct grant_box *box, uint32_t random, unsigned nr[2])
{
	grant_ref_t ref = random % REFS;
	bool readonly = random & 64;
	const struct grant_peer *peer = &box->peer[(random >> 8) % 2];
	grant_handle_t handle;
	void *page = NULL;
	int16_t status = grant_map(box->maptrack, peer, ref, readonly, &page, &handle);

	assert_true(is_expected_status(status));
	nr[status == GNTST_okay]++;
	if (status == GNTST_okay) {
		void *again = NULL;

		assert_true(is_in_memory(box, page));
		/* However the entry looks by now, what is held stays the same page. */
		assert_int_equal(grant_pin(&box->peer[2], ref, true, &again), GNTST_okay);
		assert_ptr_equal(again, page);
		grant_unpin(&box->peer[2], ref, true);
		assert_int_equal(grant_unmap(box->maptrack, peer, handle), GNTST_okay);
	}
	assert_int_equal(box->active[ref].held, 0);
	assert_int_equal(box->active[ref].lock, 0);
}

static void copy_round(struct grant_box *box, uint32_t random)
{
	static uint8_t local[PAGE_BYTES];
	struct grant_copy_op ops[3];

	for (unsigned i = 0; i < ARRAY_LEN(ops); i++)
		ops[i] = (struct grant_copy_op){local, random % REFS, (uint16_t)(random >> 8), (uint16_t)(random >> 16 & 4095),
						random >> i & 1, 77};
	grant_copy(&box->peer[0], ops, ARRAY_LEN(ops));
	for (unsigned i = 0; i < ARRAY_LEN(ops); i++)
		assert_true(is_expected_status(ops[i].status) || ops[i].status == GNTST_bad_copy_arg);
}

static void nothing_is_left(struct grant_box *box)
{
	for (grant_ref_t ref = 0; ref < REFS; ref++) {
		void *page;

		assert_int_equal(box->active[ref].held, 0);
		assert_int_equal(box->active[ref].lock, 0);
		grant_table_permit(box->table, ref, BOX_MAPPER, 1, false);
		assert_int_equal(grant_pin(&box->peer[0], ref, false, &page), GNTST_okay);
		grant_unpin(&box->peer[0], ref, false);
		assert_int_equal(grant_table_end(box->table, ref), 0);
	}
}

static void pins_hold_whatever_the_granter_writes_in_between(void **state)
{
	unsigned nr[2] = {0};
	uint32_t random = 17;
	struct grant_box box;

	grant_box_init(&box, 2);
	for (unsigned i = 0; i < ROUNDS; i++) {
		mutate_entry(&box, test_random(&random));
		one_round(&box, random * 2654435761u, nr);
		copy_round(&box, random);
	}
	assert_true(nr[0] > 1000 && nr[1] > 1000);
	nothing_is_left(&box);
	grant_box_finish(&box);
}

static void pins_hold_while_the_granter_rewrites_its_entries(void **state)
{
	unsigned nr[2] = {0};
	uint32_t random = 17;
	struct grant_box box;
	struct liar liar;

	grant_box_init(&box, 2);
	liar_start(&liar, mutate_entry, &box);
	for (unsigned i = 0; i < ROUNDS || !liar_has_told(&liar, LIES); i++) {
		one_round(&box, test_random(&random), nr);
		copy_round(&box, random);
	}
	liar_stop(&liar);
	nothing_is_left(&box);
	grant_box_finish(&box);
}

/* Grants a page to the mapper and to another domain by turns; what the other one is given, the mapper never holds. */
static void mutate_turns(void *arg, uint32_t random)
{
	struct grant_box *box = arg;
	grant_ref_t ref = random % REFS;

	if (grant_table_end(box->table, ref))
		return;
	grant_table_permit(box->table, ref, 3, 1, false);
	for (unsigned i = 0; i < 4; i++)
		if (grant_table_in_use(box->table, ref))
			fetch_add_relaxed(&box->entries_sh[REFS].frame, 1u); /* a place to count that nobody else uses */
	if (grant_table_end(box->table, ref) == 0)
		grant_table_permit(box->table, ref, BOX_MAPPER, 1, false);
}

static void flags_and_domid_are_checked_as_one_word(void **state)
{
	uint32_t random = 17;
	struct grant_box box;
	struct liar liar;

	grant_box_init(&box, 2);
	for (grant_ref_t ref = 0; ref < REFS; ref++)
		grant_table_permit(box.table, ref, BOX_MAPPER, 1, false);
	liar_start(&liar, mutate_turns, &box);
	for (unsigned i = 0; i < ROUNDS || !liar_has_told(&liar, LIES); i++) {
		grant_ref_t ref = test_random(&random) % REFS;
		void *page;

		if (grant_pin(&box.peer[0], ref, false, &page) == GNTST_okay)
			grant_unpin(&box.peer[0], ref, false);
	}
	liar_stop(&liar);
	assert_int_equal(box.entries_sh[REFS].frame, 0);
	grant_box_finish(&box);
}

/* The granter's side: a hypervisor end that flips the in-use bits for ever. */
static void mutate_in_use(void *arg, uint32_t random)
{
	struct grant_box *box = arg;

	if (random & 64)
		fetch_or_acq_rel(&box->entries_sh[1].flags, (uint16_t)(random & 128 ? GTF_reading : GTF_writing));
	else
		fetch_and_acq_rel(&box->entries_sh[1].flags, (uint16_t)~(GTF_reading | GTF_writing));
}

static void end_is_bounded_and_true_against_flipping_bits(void **state)
{
	struct grant_box box;
	struct liar liar;

	grant_box_init(&box, 2);
	liar_start(&liar, mutate_in_use, &box);
	for (unsigned i = 0; i < ROUNDS || !liar_has_told(&liar, LIES); i++) {
		int err;

		grant_table_permit(box.table, 1, BOX_MAPPER, 1, false);
		err = grant_table_end(box.table, 1);
		assert_true(err == 0 || err == -EBUSY);
		if (err == 0)
			assert_int_equal(load_relaxed(&box.entries_sh[1].flags) & GTF_type_mask, GTF_invalid);
	}
	liar_stop(&liar);
	grant_box_finish(&box);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(pins_hold_whatever_the_granter_writes_in_between),
		cmocka_unit_test(pins_hold_while_the_granter_rewrites_its_entries),
		cmocka_unit_test(flags_and_domid_are_checked_as_one_word),
		cmocka_unit_test(end_is_bounded_and_true_against_flipping_bits),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
