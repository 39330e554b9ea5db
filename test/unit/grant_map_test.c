/*
 * test/unit/grant_map_test.c - pins, handles and revocation, and a reference model in lock-step with random calls.
 */
#include <errno.h>

#include "grant/free_stack.h"
#include "grant_box.h"
#include "test.h"

#define BITS (GTF_reading | GTF_writing)

/* The granter's bits, held and the lock all say what the pins say. */
static void assert_bits(struct grant_box *box, grant_ref_t ref, unsigned bits)
{
	assert_int_equal(box->entries_sh[ref].flags & BITS, bits);
	assert_int_equal(box->active[ref].held, bits);
	assert_int_equal(box->active[ref].lock, 0);
}

static void every_kind_of_entry_gets_its_status(void **state)
{
	static const struct {
		uint16_t flags;
		domid_t domid;
		uint32_t frame;
		bool readonly;
		int16_t status;
	} t[] = {
		{GTF_invalid, 0, 1, true, GNTST_bad_gntref},
		{GTF_permit_access, 0, 1, true, GNTST_okay},
		{GTF_permit_access, 0, 1, false, GNTST_okay},
		{GTF_permit_access | GTF_readonly, 0, 1, true, GNTST_okay},
		{GTF_permit_access | GTF_readonly, 0, 1, false, GNTST_permission_denied},
		{GTF_permit_access, 1, 1, true, GNTST_permission_denied},
		{GTF_permit_access, DOMID_SELF, 1, false, GNTST_permission_denied},
		{GTF_accept_transfer, 0, 1, true, GNTST_bad_gntref},
		{GTF_transitive, 0, 1, true, GNTST_bad_gntref},
		{GTF_permit_access | GTF_sub_page, 0, 1, true, GNTST_bad_gntref},
		{GTF_permit_access | GTF_PWT, 0, 1, true, GNTST_okay},
		{GTF_permit_access | BITS, 0, 1, false, GNTST_okay}, /* set by a liar: cleared at the last unpin */
		{GTF_permit_access, 0, 47, false, GNTST_okay},
		{GTF_permit_access, 0, 48, false, GNTST_okay},
		{GTF_permit_access, 0, 63, false, GNTST_okay},
		{GTF_permit_access, 0, 64, false, GNTST_bad_page},
		{GTF_permit_access, 0, 0x80000000, false, GNTST_bad_page},
		{GTF_permit_access, 0, 0xffffffff, true, GNTST_bad_page},
	};
	struct grant_box box;

	grant_box_init(&box, 1);
	for (size_t i = 0; i < ARRAY_LEN(t); i++) {
		void *page = NULL;
		int16_t status;

		box.entries_sh[9] = (struct grant_entry_v1){t[i].flags, t[i].domid, t[i].frame};
		status = grant_pin(&box.peer[2], 9, t[i].readonly, &page);
		if (status != t[i].status)
			fail_msg("case %zu: status %d", i, status);
		if (status == GNTST_okay) {
			assert_ptr_equal(page, grant_box_page(&box, t[i].frame));
			assert_bits(&box, 9, t[i].readonly ? GTF_reading | (t[i].flags & GTF_writing) : BITS);
			grant_unpin(&box.peer[2], 9, t[i].readonly);
			assert_bits(&box, 9, 0);
			assert_int_equal(box.entries_sh[9].flags, t[i].flags & ~BITS);
		} else {
			assert_null(page);
			assert_int_equal(box.entries_sh[9].flags, t[i].flags);
			assert_bits(&box, 9, 0);
		}
	}
	grant_box_finish(&box);
}

static void ref_beyond_the_table_is_bad(void **state)
{
	struct grant_box box;
	void *page;

	grant_box_init(&box, 1);
	assert_int_equal(grant_pin(&box.peer[0], BOX_ENTRIES, true, &page), GNTST_bad_gntref);
	assert_int_equal(grant_pin(&box.peer[0], UINT32_MAX, true, &page), GNTST_bad_gntref);
	grant_box_finish(&box);
}

static void frame_changed_while_pinned_counts_for_nobody(void **state)
{
	struct grant_box box;
	grant_ref_t ref;
	void *page;

	grant_box_init(&box, 1);
	ref = grant_box_grant(&box, 5, false);
	assert_int_equal(grant_pin(&box.peer[0], ref, true, &page), GNTST_okay);
	box.entries_sh[ref].frame = 6;
	assert_int_equal(grant_pin(&box.peer[1], ref, true, &page), GNTST_okay);
	assert_ptr_equal(page, grant_box_page(&box, 5));
	assert_int_equal(grant_pin(&box.peer[2], ref, false, &page), GNTST_okay); /* a new kind: asks the granter again */
	assert_ptr_equal(page, grant_box_page(&box, 5));
	grant_unpin(&box.peer[0], ref, true);
	grant_unpin(&box.peer[1], ref, true);
	grant_unpin(&box.peer[2], ref, false);
	assert_int_equal(grant_pin(&box.peer[0], ref, true, &page), GNTST_okay);
	assert_ptr_equal(page, grant_box_page(&box, 6));
	grant_unpin(&box.peer[0], ref, true);
	grant_box_finish(&box);
}

static void write_pin_on_a_read_held_entry_is_checked_afresh(void **state)
{
	struct grant_box box;
	grant_ref_t ref;
	void *page;

	grant_box_init(&box, 1);
	ref = grant_box_grant(&box, 5, true);
	assert_int_equal(grant_pin(&box.peer[0], ref, true, &page), GNTST_okay);
	assert_int_equal(grant_pin(&box.peer[0], ref, false, &page), GNTST_permission_denied);
	assert_bits(&box, ref, GTF_reading);
	grant_unpin(&box.peer[0], ref, true);
	assert_bits(&box, ref, 0);
	grant_box_finish(&box);
}

static void another_domain_cannot_pin_what_the_first_holds(void **state)
{
	struct grant_box box;
	struct grant_peer other;
	grant_ref_t ref;
	void *page;

	grant_box_init(&box, 1);
	other = box.peer[3];
	other.mapper = 9;
	ref = grant_box_grant(&box, 5, false);
	assert_int_equal(grant_pin(&box.peer[0], ref, true, &page), GNTST_okay);
	box.entries_sh[ref].domid = 9; /* the granter changes its mind while it is held */
	assert_int_equal(grant_pin(&other, ref, true, &page), GNTST_permission_denied);
	grant_unpin(&box.peer[0], ref, true);
	assert_int_equal(grant_pin(&other, ref, true, &page), GNTST_okay);
	grant_unpin(&other, ref, true);
	grant_box_finish(&box);
}

static void pins_of_one_slot_end_at_65535(void **state)
{
	struct grant_box box;
	grant_ref_t ref;
	void *page;

	grant_box_init(&box, 1);
	ref = grant_box_grant(&box, 5, false);
	for (int i = 0; i < UINT16_MAX; i++)
		assert_int_equal(grant_pin(&box.peer[0], ref, true, &page), GNTST_okay);
	assert_int_equal(grant_pin(&box.peer[0], ref, true, &page), GNTST_no_space);
	assert_int_equal(grant_pin(&box.peer[0], ref, false, &page), GNTST_okay);
	assert_int_equal(grant_pin(&box.peer[1], ref, true, &page), GNTST_okay);
	grant_unpin(&box.peer[0], ref, false);
	grant_unpin(&box.peer[1], ref, true);
	for (int i = 0; i < UINT16_MAX; i++)
		grant_unpin(&box.peer[0], ref, true);
	assert_bits(&box, ref, 0);
	grant_box_finish(&box);
}

static void gate_refuses_what_is_not_the_domains(void **state)
{
	struct grant_box box;

	grant_box_init(&box, 1);
	assert_ptr_equal(gate_page(&box.gate, 47), grant_box_page(&box, 47));
	assert_ptr_equal(gate_page(&box.gate, 48), grant_box_page(&box, 48));
	assert_null(gate_page(&box.gate, 64));
	assert_null(gate_page(&box.gate, UINT64_MAX));
	assert_ptr_equal(gate_bytes(&box.gate, 4095, 1), box.ram + 4095);
	assert_non_null(gate_bytes(&box.gate, 0, 48 * 4096));
	assert_null(gate_bytes(&box.gate, 0, 48 * 4096 + 1)); /* would run into the next extent */
	assert_null(gate_bytes(&box.gate, 64 * 4096 - 1, 2));
	assert_null(gate_bytes(&box.gate, 64 * 4096, 0));
	assert_null(gate_bytes(&box.gate, 1, UINT64_MAX));
	assert_null(gate_bytes(&box.gate, UINT64_MAX, 2));
	assert_int_equal(gate_frame_of(&box.gate, grant_box_page(&box, 50) + 17), 50);
	assert_true(gate_frame_of(&box.gate, box.ram + 48 * 4096) == UINT64_MAX); /* the hole */
	assert_true(gate_frame_of(&box.gate, &box) == UINT64_MAX);
	grant_box_finish(&box);
}

/* ---- handles --------------------------------------------------------------------------------------------------- */

static void handles_are_a_quota_that_comes_back(void **state)
{
	struct grant_box box;
	grant_handle_t handle[4], extra = 99;
	grant_ref_t ref;
	void *page;

	grant_box_init(&box, 4);
	ref = grant_box_grant(&box, 5, false);
	for (int round = 0; round < 3; round++) {
		for (int i = 0; i < 4; i++)
			assert_int_equal(grant_map(box.maptrack, &box.peer[0], ref, i & 1, &page, &handle[i]), GNTST_okay);
		assert_int_equal(grant_map(box.maptrack, &box.peer[0], ref, false, &page, &extra), GNTST_no_space);
		assert_int_equal(extra, 99);
		assert_bits(&box, ref, BITS);
		for (int i = 0; i < 4; i++)
			assert_int_equal(grant_unmap(box.maptrack, &box.peer[0], handle[i]), GNTST_okay);
		assert_bits(&box, ref, 0);
	}
	grant_box_finish(&box);
}

static void a_burst_takes_its_handles_and_gives_them_back_at_once(void **state)
{
	struct grant_box box;
	grant_handle_t handle[6], again[6];
	grant_ref_t ref;
	void *page;

	grant_box_init(&box, 4);
	ref = grant_box_grant(&box, 5, false);
	assert_int_equal(grant_handles_take(box.maptrack, handle, 3), 3);
	assert_int_equal(grant_handles_take(box.maptrack, handle + 3, 3), 1);
	assert_int_equal(grant_handles_take(box.maptrack, handle + 4, 2), 0);
	assert_int_equal(grant_map_as(box.maptrack, &box.peer[0], 100, false, &page, handle[0]), GNTST_bad_gntref);
	assert_int_equal(grant_unmap_only(box.maptrack, &box.peer[0], handle[0]), GNTST_bad_handle);
	for (int i = 0; i < 4; i++)
		assert_int_equal(grant_map_as(box.maptrack, &box.peer[0], ref, false, &page, handle[i]), GNTST_okay);
	for (int i = 0; i < 4; i++)
		assert_int_equal(grant_unmap_only(box.maptrack, &box.peer[0], handle[i]), GNTST_okay);
	assert_int_equal(grant_unmap_only(box.maptrack, &box.peer[0], handle[1]), GNTST_bad_handle);
	assert_bits(&box, ref, 0);
	assert_int_equal(grant_handles_take(box.maptrack, again, 1), 0);
	grant_handles_give(box.maptrack, handle, 4);
	grant_handles_give(box.maptrack, handle, 0);
	assert_int_equal(grant_handles_take(box.maptrack, again, 6), 4);
	for (int i = 0; i < 4; i++)
		assert_int_equal(again[i], handle[i]);
	grant_box_finish(&box);
}

static void refused_map_costs_no_handle(void **state)
{
	struct grant_box box;
	grant_handle_t handle;
	grant_ref_t ref;
	void *page;

	grant_box_init(&box, 1);
	for (int i = 0; i < 5; i++)
		assert_int_equal(grant_map(box.maptrack, &box.peer[0], 100, false, &page, &handle), GNTST_bad_gntref);
	ref = grant_box_grant(&box, 5, false);
	assert_int_equal(grant_map(box.maptrack, &box.peer[0], ref, false, &page, &handle), GNTST_okay);
	assert_int_equal(grant_unmap(box.maptrack, &box.peer[0], handle), GNTST_okay);
	grant_box_finish(&box);
}

static void bad_handles_are_refused_and_change_nothing(void **state)
{
	struct grant_box box, other;
	grant_handle_t handle;
	grant_ref_t ref;
	void *page;

	grant_box_init(&box, 4);
	grant_box_init(&other, 4);
	ref = grant_box_grant(&box, 5, false);
	assert_int_equal(grant_map(box.maptrack, &box.peer[0], ref, false, &page, &handle), GNTST_okay);
	assert_int_equal(grant_unmap(box.maptrack, &other.peer[0], handle), GNTST_bad_handle);
	assert_int_equal(grant_unmap(box.maptrack, &box.peer[0], handle + 1), GNTST_bad_handle);
	assert_int_equal(grant_unmap(box.maptrack, &box.peer[0], 4), GNTST_bad_handle);
	assert_int_equal(grant_unmap(box.maptrack, &box.peer[0], UINT32_MAX), GNTST_bad_handle);
	assert_bits(&box, ref, BITS);
	assert_int_equal(grant_unmap(box.maptrack, &box.peer[0], handle), GNTST_okay);
	assert_int_equal(grant_unmap(box.maptrack, &box.peer[0], handle), GNTST_bad_handle);
	assert_bits(&box, ref, 0);
	grant_box_finish(&other);
	grant_box_finish(&box);
}

static void forget_unmaps_one_granters_handles_only(void **state)
{
	struct grant_box box, other;
	grant_handle_t handle[6];
	grant_ref_t ref, other_ref;
	void *page;

	grant_box_init(&box, 8);
	grant_box_init(&other, 1);
	ref = grant_box_grant(&box, 5, false);
	other_ref = grant_box_grant(&other, 5, false);
	for (int i = 0; i < 6; i++)
		assert_int_equal(grant_map(box.maptrack, i % 2 ? &box.peer[1] : &other.peer[1], i % 2 ? ref : other_ref,
					   true, &page, &handle[i]), GNTST_okay);
	assert_int_equal(grant_maptrack_forget(box.maptrack, &box.peer[1]), 3);
	assert_bits(&box, ref, 0);
	assert_bits(&other, other_ref, GTF_reading);
	assert_int_equal(grant_unmap(box.maptrack, &box.peer[1], handle[1]), GNTST_bad_handle);
	assert_int_equal(grant_maptrack_forget(box.maptrack, &other.peer[1]), 3);
	assert_bits(&other, other_ref, 0);
	grant_box_finish(&other);
	grant_box_finish(&box);
}

static void free_stack_gives_each_number_once(void **state)
{
	struct free_stack s;
	uint32_t next[5];
	bool seen[5] = {false};

	free_stack_init(&s, next, 2, 5);
	for (int i = 0; i < 3; i++) {
		uint32_t n = free_stack_pop(&s);

		assert_in_range(n, 2, 4);
		assert_false(seen[n]);
		seen[n] = true;
	}
	assert_int_equal(free_stack_pop(&s), FREE_STACK_NONE);
	free_stack_push(&s, 3);
	free_stack_push(&s, 2);
	assert_int_equal(free_stack_pop(&s), 2);
	assert_int_equal(free_stack_pop(&s), 3);
	assert_int_equal(free_stack_pop(&s), FREE_STACK_NONE);
}

static void free_stack_gives_several_from_what_came_back_and_from_what_is_fresh(void **state)
{
	struct free_stack s;
	uint32_t next[8], n[8];

	free_stack_init(&s, next, 1, 8);
	assert_int_equal(free_stack_pop_many(&s, n, 3), 3);
	free_stack_push_many(&s, n, 2); /* 1 over 2; 3 is out */
	assert_int_equal(free_stack_pop_many(&s, n, 4), 4);
	assert_int_equal(n[0], 1);
	assert_int_equal(n[1], 2);
	assert_int_equal(n[2], 4);
	assert_int_equal(n[3], 5);
	assert_int_equal(free_stack_pop_many(&s, n, 8), 2);
	assert_int_equal(n[0] + n[1], 6 + 7);
	assert_int_equal(free_stack_pop_many(&s, n, 8), 0);
}

static void a_top_that_came_back_is_another_head(void **state)
{
	struct free_stack s;
	uint32_t next[4], top, below;
	uint64_t seen;

	free_stack_init(&s, next, 0, 4);
	free_stack_push(&s, free_stack_pop(&s));
	below = free_stack_pop(&s);
	top = free_stack_pop(&s);
	free_stack_push(&s, below);
	free_stack_push(&s, top);
	/* A slow pop has read head and the number below it ... */
	seen = s.head;
	assert_int_equal(free_stack_pop(&s), top);
	assert_int_equal(free_stack_pop(&s), below); /* ... which another takes, */
	free_stack_push(&s, top);                    /* and the same top returns without it. */
	assert_int_equal((uint32_t)s.head, (uint32_t)seen);
	assert_true(s.head != seen); /* so the slow one's swap fails */
}

/* ---- revocation ------------------------------------------------------------------------------------------------ */

/*
 * What a process can leave behind when it dies at any instruction of pin or unpin, beside other slots' pins. dead_* are
 * its counts; is_locked: it died with the lock; entry_bits: bits it had set, or had not cleared yet.
 */
static void a_dead_slot_leaves_nothing_behind(void **state)
{
	static const struct {
		uint16_t dead_readers, dead_writers, live_readers, live_writers;
		bool is_locked;
		uint8_t held, entry_bits, bits_after;
	} t[] = {
		{0, 0, 0, 0, false, 0, 0, 0},
		{3, 0, 0, 0, false, GTF_reading, GTF_reading, 0},
		{0, 2, 0, 0, false, BITS, BITS, 0},
		{3, 2, 0, 0, false, BITS, BITS, 0},
		{3, 2, 1, 0, false, BITS, BITS, GTF_reading},
		{3, 2, 0, 1, false, BITS, BITS, BITS},
		{0, 0, 1, 0, false, GTF_reading, GTF_reading, GTF_reading},
		{0, 0, 0, 0, true, 0, 0, 0},			     /* locked, nothing done */
		{0, 0, 0, 0, true, 0, GTF_reading, 0},		     /* claimed, not counted */
		{0, 0, 0, 0, true, 0, BITS, 0},
		{0, 0, 1, 0, true, GTF_reading, BITS, GTF_reading},  /* claimed writing beside a reader */
		{0, 0, 0, 0, true, BITS, BITS, 0},		     /* held set, not counted */
		{1, 0, 0, 0, true, 0, GTF_reading, 0},		     /* counted, held not set */
		{0, 1, 0, 0, true, BITS, BITS, 0},
		{0, 0, 0, 0, true, BITS, 0, 0},			     /* unpin: bits cleared, held not */
		{0, 0, 1, 0, true, BITS, BITS, GTF_reading},	     /* unpin: counted down, bits not cleared */
		{5, 5, 2, 2, true, BITS, BITS, BITS},
	};
	struct grant_box box;

	for (size_t i = 0; i < ARRAY_LEN(t); i++) {
		struct grant_active *act;
		void *page;

		grant_box_init(&box, 1);
		act = &box.active[11];
		grant_table_permit(box.table, 11, BOX_MAPPER, 4, false);
		act->frame = 4;
		act->pin[5].readers = t[i].dead_readers;
		act->pin[5].writers = t[i].dead_writers;
		act->pin[6].readers = t[i].live_readers;
		act->pin[6].writers = t[i].live_writers;
		act->held = t[i].held;
		act->lock = t[i].is_locked ? 6 : 0;
		box.entries_sh[11].flags |= t[i].entry_bits;

		assert_int_equal(grant_map_revoke_slot(&box.peer[0], 5, 0, UINT32_MAX), 0);
		assert_bits(&box, 11, t[i].bits_after);
		assert_int_equal(act->pin[5].readers, 0);
		assert_int_equal(act->pin[5].writers, 0);
		assert_int_equal(act->pin[6].readers, t[i].live_readers);
		assert_int_equal(act->pin[6].writers, t[i].live_writers);
		/* The next process in the slot starts afresh. */
		assert_int_equal(grant_pin(&box.peer[5], 11, false, &page), GNTST_okay);
		assert_ptr_equal(page, grant_box_page(&box, 4));
		grant_unpin(&box.peer[5], 11, false);
		assert_bits(&box, 11, t[i].bits_after);
		grant_box_finish(&box);
	}
}

static void two_dead_slots_are_both_recovered(void **state)
{
	struct grant_box box;
	void *page;

	grant_box_init(&box, 1);
	grant_table_permit(box.table, 11, BOX_MAPPER, 4, false);
	assert_int_equal(grant_pin(&box.peer[1], 11, false, &page), GNTST_okay);
	assert_int_equal(grant_pin(&box.peer[2], 11, true, &page), GNTST_okay);
	box.active[11].lock = 3; /* slot 2 died with it */
	assert_int_equal(grant_map_revoke_slot(&box.peer[0], 1, 0, UINT32_MAX), 1);
	assert_int_equal(box.active[11].pin[1].writers, 1);
	assert_int_equal(grant_map_revoke_slot(&box.peer[0], 2, 0, UINT32_MAX), 0);
	assert_bits(&box, 11, BITS);
	assert_int_equal(grant_map_revoke_slot(&box.peer[0], 1, 0, UINT32_MAX), 0);
	assert_bits(&box, 11, 0);
	assert_int_equal(grant_table_end(box.table, 11), 0);
	grant_box_finish(&box);
}

static void revoke_covers_the_whole_table(void **state)
{
	struct grant_box box;
	uint32_t nr = 0;
	grant_ref_t ref;
	void *page;

	grant_box_init(&box, 1);
	while (grant_table_alloc(box.table, &ref) == 0) {
		grant_table_permit(box.table, ref, BOX_MAPPER, nr++ % BOX_FRAMES, false);
		assert_int_equal(grant_pin(&box.peer[13], ref, ref & 1, &page), GNTST_okay);
	}
	assert_int_equal(grant_map_revoke_slot(&box.peer[0], 13, 0, UINT32_MAX), 0);
	for (ref = GNTTAB_NR_RESERVED_ENTRIES; ref < BOX_ENTRIES; ref++)
		assert_int_equal(grant_table_end(box.table, ref), 0);
	grant_box_finish(&box);
}

/* ---- the model ------------------------------------------------------------------------------------------------- */

#define MODEL_REFS 6u
#define MODEL_SLOTS 3u

struct model {
	bool is_granted[MODEL_REFS];
	bool is_readonly[MODEL_REFS];
	uint32_t frame[MODEL_REFS];
	unsigned readers[MODEL_REFS][MODEL_SLOTS];
	unsigned writers[MODEL_REFS][MODEL_SLOTS];
};

static unsigned model_bits(const struct model *m, unsigned r)
{
	unsigned readers = 0, writers = 0;

	for (unsigned s = 0; s < MODEL_SLOTS; s++) {
		readers += m->readers[r][s];
		writers += m->writers[r][s];
	}
	return writers ? BITS : readers ? GTF_reading : 0;
}

static void model_pin(struct grant_box *box, struct model *m, unsigned r, unsigned s, bool readonly)
{
	int16_t expected = GNTST_okay;
	void *page = NULL;

	if (!m->is_granted[r])
		expected = GNTST_bad_gntref;
	else if (!readonly && m->is_readonly[r])
		expected = GNTST_permission_denied;
	else if (m->frame[r] >= BOX_FRAMES)
		expected = GNTST_bad_page;
	assert_int_equal(grant_pin(&box->peer[s], r, readonly, &page), expected);
	if (expected != GNTST_okay)
		return;
	assert_ptr_equal(page, grant_box_page(box, m->frame[r]));
	++*(readonly ? &m->readers[r][s] : &m->writers[r][s]);
}

static void model_end(struct grant_box *box, struct model *m, unsigned r)
{
	bool is_held = model_bits(m, r);

	if (!m->is_granted[r])
		return;
	assert_int_equal(grant_table_end(box->table, r), is_held ? -EBUSY : 0);
	m->is_granted[r] = is_held;
}

static void model_step(struct grant_box *box, struct model *m, uint32_t *seed)
{
	unsigned r = test_random(seed) % MODEL_REFS, s = test_random(seed) % MODEL_SLOTS;
	bool readonly = test_random(seed) & 1;
	unsigned *count = readonly ? &m->readers[r][s] : &m->writers[r][s];

	switch (test_random(seed) % 16) {
	case 0:
		if (m->is_granted[r])
			break;
		m->is_granted[r] = true;
		m->is_readonly[r] = readonly;
		m->frame[r] = test_random(seed) % (BOX_FRAMES + 8);
		grant_table_permit(box->table, r, BOX_MAPPER, m->frame[r], readonly);
		break;
	case 1:
		model_end(box, m, r);
		break;
	case 2:
		if (test_random(seed) % 8)
			break;
		assert_int_equal(grant_map_revoke_slot(&box->peer[9], s, 0, UINT32_MAX), 0);
		for (unsigned i = 0; i < MODEL_REFS; i++)
			m->readers[i][s] = m->writers[i][s] = 0;
		break;
	case 3 ... 8:
		model_pin(box, m, r, s, readonly);
		break;
	default:
		if (!*count)
			break;
		grant_unpin(&box->peer[s], r, readonly);
		--*count;
	}
}

static void random_calls_agree_with_the_model(void **state)
{
	struct model m;

	for (uint32_t seed0 = 1; seed0 <= 20; seed0++) {
		uint32_t seed = seed0;
		struct grant_box box;

		memset(&m, 0, sizeof(m));
		grant_box_init(&box, 1);
		for (int i = 0; i < 10000; i++) {
			model_step(&box, &m, &seed);
			for (unsigned r = 0; r < MODEL_REFS; r++) {
				assert_bits(&box, r, model_bits(&m, r));
				assert_int_equal(grant_table_in_use(box.table, r), model_bits(&m, r) != 0);
				for (unsigned s = 0; s < MODEL_SLOTS; s++) {
					assert_int_equal(box.active[r].pin[s].readers, m.readers[r][s]);
					assert_int_equal(box.active[r].pin[s].writers, m.writers[r][s]);
				}
			}
		}
		grant_box_finish(&box);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_kind_of_entry_gets_its_status),
		cmocka_unit_test(ref_beyond_the_table_is_bad),
		cmocka_unit_test(frame_changed_while_pinned_counts_for_nobody),
		cmocka_unit_test(write_pin_on_a_read_held_entry_is_checked_afresh),
		cmocka_unit_test(another_domain_cannot_pin_what_the_first_holds),
		cmocka_unit_test(pins_of_one_slot_end_at_65535),
		cmocka_unit_test(gate_refuses_what_is_not_the_domains),
		cmocka_unit_test(handles_are_a_quota_that_comes_back),
		cmocka_unit_test(a_burst_takes_its_handles_and_gives_them_back_at_once),
		cmocka_unit_test(refused_map_costs_no_handle),
		cmocka_unit_test(bad_handles_are_refused_and_change_nothing),
		cmocka_unit_test(forget_unmaps_one_granters_handles_only),
		cmocka_unit_test(free_stack_gives_each_number_once),
		cmocka_unit_test(free_stack_gives_several_from_what_came_back_and_from_what_is_fresh),
		cmocka_unit_test(a_top_that_came_back_is_another_head),
		cmocka_unit_test(a_dead_slot_leaves_nothing_behind),
		cmocka_unit_test(two_dead_slots_are_both_recovered),
		cmocka_unit_test(revoke_covers_the_whole_table),
		cmocka_unit_test(random_calls_agree_with_the_model),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
