/*
 * test/stress/grant_stress_test.c - a granter that grants and ends, mappers in several slots and threads, and a slot that
 * dies again and again, with a lock in its hand if it can.
 *
 * A page has one plain word for each mapper thread and one that the granter writes when the page is its own. Nothing but the
 * grants orders these accesses, so ThreadSanitizer tells whether end, pin and unpin do.
 */
#include <pthread.h>
#include <sched.h>

#include "grant_box.h"
#include "rings/atomics.h"
#include "test.h"

#define REFS 16u
#define MAPPERS 4u /* threads: two in each of slots 1 and 2 */
#define LIVES 60u  /* of the thread in slot 3 */
#define ROUNDS 100000u
#define BURST 5u
#define GRANTER_WORD 63
#define BITS (GTF_reading | GTF_writing)

struct stress {
	struct grant_box box;
	grant_ref_t ref[REFS];
	uint32_t nr_running;
	uint32_t nr_ended;
	uint32_t nr_wrong;
};

struct mapper {
	struct stress *s;
	pthread_t thread;
	unsigned id;
	unsigned slot;
	uint32_t seed;
	uint32_t nr_pinned;
};

/* What one holder of a pin may do: read the granter's word; write its own if it pinned for writing. */
static void use_page(struct stress *s, uint64_t *words, unsigned id, bool readonly)
{
	uint64_t seen = words[GRANTER_WORD];

	if (!readonly)
		words[id]++;
	if (words[GRANTER_WORD] != seen) /* the granter wrote while we had it */
		fetch_add_relaxed(&s->nr_wrong, 1u);
}

/* The same by checked copies: the granter's word in, one's own out. */
static void copy_round(struct mapper *m)
{
	struct stress *s = m->s;
	grant_ref_t ref = s->ref[test_random(&m->seed) % REFS];
	uint64_t granters = 0, own = m->seed;
	struct grant_copy_op ops[] = {
		{&granters, ref, GRANTER_WORD * 8, 8, false, 77},
		{&own, ref, (uint16_t)(m->id * 8), 8, true, 77},
	};
	unsigned first = m->seed & 0x100 ? 0 : 1, n = m->seed & 0x200 ? 2 - first : 1;

	/* Two share a pin; one is done under the lock. */
	m->nr_pinned += n - grant_copy(&s->box.peer[m->slot], ops + first, n);
}

static void mapper_round(struct mapper *m)
{
	struct stress *s = m->s;
	const struct grant_peer *peer = &s->box.peer[m->slot];
	grant_ref_t ref = s->ref[test_random(&m->seed) % REFS];
	bool readonly = m->seed & 0x100, by_handle = m->seed & 0x200;
	grant_handle_t handle = 0;
	void *page;
	int16_t status;

	status = by_handle ? grant_map(s->box.maptrack, peer, ref, readonly, &page, &handle)
			   : grant_pin(peer, ref, readonly, &page);
	if (status != GNTST_okay)
		return;
	m->nr_pinned++;
	use_page(s, page, m->id, readonly);
	if (!by_handle)
		grant_unpin(peer, ref, readonly);
	else if (grant_unmap(s->box.maptrack, peer, handle) != GNTST_okay)
		fetch_add_relaxed(&s->nr_wrong, 1u);
}

/* Handles for several at once; a handle that two had would be unmapped by one of them only. */
static void burst_round(struct mapper *m)
{
	struct stress *s = m->s;
	const struct grant_peer *peer = &s->box.peer[m->slot];
	grant_handle_t handle[BURST];
	unsigned nr = grant_handles_take(s->box.maptrack, handle, 1 + test_random(&m->seed) % BURST), used = 0;
	void *page;

	for (unsigned i = 0; i < nr; i++) {
		grant_ref_t ref = s->ref[test_random(&m->seed) % REFS];
		bool readonly = m->seed & 0x100;

		if (grant_map_as(s->box.maptrack, peer, ref, readonly, &page, handle[used]) != GNTST_okay)
			continue;
		used++;
		use_page(s, page, m->id, readonly);
	}
	m->nr_pinned += used;
	for (unsigned i = 0; i < used; i++)
		if (grant_unmap_only(s->box.maptrack, peer, handle[i]) != GNTST_okay)
			fetch_add_relaxed(&s->nr_wrong, 1u);
	grant_handles_give(s->box.maptrack, handle, nr);
}

static void *mapper_main(void *arg)
{
	struct mapper *m = arg;

	/* In turns with the rest, but on until it has had its pins: a busy machine may leave it little else. */
	for (unsigned i = 0; i < ROUNDS || m->nr_pinned < 1000; i++) {
		if (i % 8 == 7)
			burst_round(m);
		else if (i % 3)
			mapper_round(m);
		else
			copy_round(m);
	}
	fetch_sub_acq_rel(&m->s->nr_running, 1u);
	return NULL;
}

/* Pins here and there, unpins some, and is gone; in every other life it dies inside a lock. */
static void *short_life_main(void *arg)
{
	struct mapper *m = arg;
	struct stress *s = m->s;
	uint8_t unlocked = 0;

	for (unsigned i = 0; i < 200; i++) {
		grant_ref_t ref = s->ref[test_random(&m->seed) % REFS];
		bool readonly = m->seed & 0x100;
		void *page;

		if (grant_pin(&s->box.peer[m->slot], ref, readonly, &page) != GNTST_okay)
			continue;
		use_page(s, page, m->id, readonly);
		if (i % 3)
			grant_unpin(&s->box.peer[m->slot], ref, readonly);
	}
	if (m->seed & 0x400)
		cas_acq_rel(&s->box.active[s->ref[m->seed % REFS]].lock, &unlocked, (uint8_t)(m->slot + 1));
	return NULL;
}

static void *core_main(void *arg)
{
	struct stress *s = arg;
	struct mapper m = {.s = s, .id = MAPPERS, .slot = 3, .seed = 4711};

	for (unsigned life = 0; life < LIVES; life++) {
		if (pthread_create(&m.thread, NULL, short_life_main, &m))
			abort();
		pthread_join(m.thread, NULL);
		while (grant_map_revoke_slot(&s->box.peer[0], m.slot, 0, UINT32_MAX))
			sched_yield();
	}
	fetch_sub_acq_rel(&s->nr_running, 1u);
	return NULL;
}

static void *granter_main(void *arg)
{
	struct stress *s = arg;
	uint32_t seed = 31337, frame = 0;

	while (load_acquire(&s->nr_running)) {
		unsigned i = test_random(&seed) % REFS;
		uint64_t *words = (void *)grant_box_page(&s->box, i);

		if (grant_table_end(s->box.table, s->ref[i]) == 0) {
			s->nr_ended++;
			words[GRANTER_WORD]++;
			for (unsigned k = 0; k <= MAPPERS; k++)
				words[GRANTER_WORD - 1] += words[k];
			grant_table_permit(s->box.table, s->ref[i], BOX_MAPPER, i, seed & 0x100);
		}
		if (++frame % 64 == 0)
			sched_yield();
	}
	return NULL;
}

static void ended_pages_are_the_granters_alone(void **state)
{
	static struct stress s;
	struct mapper m[MAPPERS];
	pthread_t granter, core;

	grant_box_init(&s.box, 64);
	for (unsigned i = 0; i < REFS; i++)
		s.ref[i] = grant_box_grant(&s.box, i, false);
	s.nr_running = MAPPERS + 1;
	assert_int_equal(pthread_create(&granter, NULL, granter_main, &s), 0);
	assert_int_equal(pthread_create(&core, NULL, core_main, &s), 0);
	for (unsigned i = 0; i < MAPPERS; i++) {
		m[i] = (struct mapper){.s = &s, .id = i, .slot = 1 + i / 2, .seed = 1000 + i};
		assert_int_equal(pthread_create(&m[i].thread, NULL, mapper_main, &m[i]), 0);
	}
	for (unsigned i = 0; i < MAPPERS; i++)
		pthread_join(m[i].thread, NULL);
	pthread_join(core, NULL);
	pthread_join(granter, NULL);
	assert_int_equal(s.nr_wrong, 0);
	assert_true(s.nr_ended > 0);
	for (unsigned i = 0; i < REFS; i++) {
		assert_int_equal(s.box.active[s.ref[i]].held, 0);
		assert_int_equal(s.box.active[s.ref[i]].lock, 0);
		assert_int_equal(grant_table_end(s.box.table, s.ref[i]), 0);
	}
	grant_box_finish(&s.box);
}

/* ---- refs and waiting ends from several threads ---------------------------------------------------------------- */

struct refs {
	struct grant_box box;
	uint8_t is_taken[BOX_ENTRIES];
	uint32_t nr_released;
	uint32_t nr_wrong;
};

struct release {
	struct refs *r;
	grant_ref_t ref;
};

static void take_ref(struct refs *r, grant_ref_t ref)
{
	uint8_t free = 0;

	if (!cas_acq_rel(&r->is_taken[ref], &free, 1))
		fetch_add_relaxed(&r->nr_wrong, 1u);
}

static void count_release(void *arg)
{
	fetch_add_relaxed((uint32_t *)arg, 1u);
}

#define ENDS 20000u

static void *refs_main(void *arg)
{
	struct refs *r = arg;
	grant_ref_t mine[8];
	void *page;

	for (unsigned i = 0; i < ENDS; i++) {
		unsigned n = 0;

		while (n < 8 && grant_table_alloc(r->box.table, &mine[n]) == 0)
			take_ref(r, mine[n++]);
		while (n) {
			grant_ref_t ref = mine[--n];
			bool is_held = n == 0;

			grant_table_permit(r->box.table, ref, BOX_MAPPER, 1, false);
			if (is_held && grant_pin(&r->box.peer[0], ref, true, &page) != GNTST_okay)
				fetch_add_relaxed(&r->nr_wrong, 1u);
			store_release(&r->is_taken[ref], 0); /* before the ref can be another's */
			if (grant_table_end_when_idle(r->box.table, ref, count_release, &r->nr_released))
				fetch_add_relaxed(&r->nr_wrong, 1u);
			if (is_held)
				grant_unpin(&r->box.peer[0], ref, true);
		}
		grant_table_reap(r->box.table, 3);
	}
	return NULL;
}

static void refs_are_never_given_twice_and_all_come_back(void **state)
{
	static struct refs r;
	pthread_t thread[4];
	uint32_t nr_free;

	grant_box_init(&r.box, 1);
	nr_free = grant_table_nr_free(r.box.table);
	for (unsigned i = 0; i < ARRAY_LEN(thread); i++)
		assert_int_equal(pthread_create(&thread[i], NULL, refs_main, &r), 0);
	for (unsigned i = 0; i < ARRAY_LEN(thread); i++)
		pthread_join(thread[i], NULL);
	assert_int_equal(grant_table_reap(r.box.table, BOX_ENTRIES), 0);
	assert_int_equal(r.nr_wrong, 0);
	assert_int_equal(r.nr_released, ARRAY_LEN(thread) * ENDS * 8);
	assert_int_equal(grant_table_nr_free(r.box.table), nr_free);
	grant_box_finish(&r.box);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(ended_pages_are_the_granters_alone),
		cmocka_unit_test(refs_are_never_given_twice_and_all_come_back),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
