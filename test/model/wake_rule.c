/*
 * test/model/wake_rule.c - every interleaving of a producer and a consumer that sleeps, over the shipped rings/ring.h.
 *
 *      producer   put push [wake] ... push [wake]
 *      consumer   pending take final_check [sleep] ... until it has all
 *
 * rings/atomics.h is replaced by one whose every operation is a step of the model. Each side's stores go through a store
 * buffer, as on x86: they reach memory later, in order, and a fence or a system call waits for that. A state is what memory,
 * the buffers and the wake-up hold, and what each side has read so far: a side is run again from its start with these
 * values whenever it takes a step, so it needs no stack of its own. All states that can be reached are visited.
 *
 * Proved   with both fences nobody sleeps while an entry waits, in either direction; without either one of them somebody
 *          does (so the check can fail).
 */
#define SLUICE_RINGS_ATOMICS_H

#include <assert.h>
#include <setjmp.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static uint32_t model_load(const uint32_t *p);
static void model_store(uint32_t *p, uint32_t v);
static void full_fence(void);

#define load_relaxed(p) model_load(p)
#define load_acquire(p) model_load(p)
#define store_relaxed(p, v) model_store((p), (v))
#define store_release(p, v) model_store((p), (v))
#define compiler_fence() ((void)0)
#define prefetch_for_write(p) ((void)(p))

#include "rings/ring.h"

struct entry {
	uint32_t id;
};

RING_DEFINE(model, struct entry, struct entry);

#define NR_SLOTS 4u
#define MAX_LOADS 24
#define MAX_BUFFER 4
#define MAX_STATES (1u << 18)
#define NR_INDICES 4 /* the ring's head */

enum side { PRODUCER, CONSUMER };
enum op { OP_LOAD, OP_STORE, OP_FENCE, OP_WAKE, OP_SLEEP, OP_END };

struct state {
	uint8_t memory[NR_INDICES];
	uint8_t is_woken;
	uint8_t pc[2];
	uint8_t nr_loads[2];
	uint8_t loads[2][MAX_LOADS];
	uint8_t nr_buffered[2];
	uint8_t buffer_at[2][MAX_BUFFER];
	uint8_t buffer_value[2][MAX_BUFFER];
};

/* One experiment. */
struct setup {
	const char *name;
	bool is_response_ring; /* the back half produces */
	bool has_fence[2];
	uint8_t pushes[4]; /* entries in each push, 0 ends */
	bool loses_wake;   /* expected */
};

/* The side that is being run again: how far, and what its next operation turned out to be. */
static struct {
	const struct setup *setup;
	struct state *st;
	enum side side;
	unsigned pc;
	unsigned nr_loads;
	enum op op;
	uint8_t at, value;
	jmp_buf out;
} run;

static struct model_area_sh *area;

/* True: this operation was done in an earlier step. Otherwise it is the next one, and the run stops before it. */
static bool was_done(enum op op)
{
	if (run.pc < run.st->pc[run.side]) {
		run.pc++;
		return true;
	}
	run.op = op;
	longjmp(run.out, 1);
}

static uint8_t index_of(const uint32_t *p)
{
	return (uint8_t)(p - &area->head.req_prod);
}

static uint32_t model_load(const uint32_t *p)
{
	run.at = index_of(p);
	was_done(OP_LOAD);
	return run.st->loads[run.side][run.nr_loads++];
}

static void model_store(uint32_t *p, uint32_t v)
{
	run.at = index_of(p);
	run.value = (uint8_t)v;
	was_done(OP_STORE);
}

static void full_fence(void)
{
	if (run.setup->has_fence[run.side])
		was_done(OP_FENCE);
}

static unsigned total_entries(const struct setup *s)
{
	unsigned n = 0;

	for (unsigned i = 0; i < 4; i++)
		n += s->pushes[i];
	return n;
}

/* ---- the two programs, as a driver would write them ------------------------------------------------------------- */

static void produce(const struct setup *s)
{
	struct model_front front = {.sh = area, .mask = NR_SLOTS - 1};
	struct model_back back = {.sh = area, .mask = NR_SLOTS - 1};

	for (unsigned i = 0; i < 4 && s->pushes[i]; i++) {
		for (unsigned k = 0; k < s->pushes[i]; k++) {
			if (s->is_response_ring)
				model_back_put(&back, &(struct entry){0});
			else
				model_front_put(&front, &(struct entry){0});
		}
		if (s->is_response_ring ? model_back_push(&back) : model_front_push(&front))
			was_done(OP_WAKE);
	}
}

static void consume(const struct setup *s)
{
	unsigned all = total_entries(s), nr = 0;
	struct model_front front = {.sh = area, .mask = NR_SLOTS - 1, .req_prod = all, .req_shown = all};
	struct model_back back = {.sh = area, .mask = NR_SLOTS - 1};
	struct entry entry;

	while (nr < all) {
		int n = s->is_response_ring ? model_front_pending(&front) : model_back_pending(&back);

		assert(n >= 0);
		for (; n; n--, nr++) {
			if (s->is_response_ring)
				model_front_take(&front, &entry);
			else
				model_back_take(&back, &entry);
		}
		if (nr < all && !(s->is_response_ring ? model_front_final_check(&front) : model_back_final_check(&back)))
			was_done(OP_SLEEP);
	}
}

/* ---- steps ------------------------------------------------------------------------------------------------------ */

/* Finds a side's next operation; run.at and run.value say on what. */
static enum op next_op(const struct setup *s, struct state *st, enum side side)
{
	run.setup = s;
	run.st = st;
	run.side = side;
	run.pc = 0;
	run.nr_loads = 0;
	if (setjmp(run.out))
		return run.op;
	if (side == PRODUCER)
		produce(s);
	else
		consume(s);
	return OP_END;
}

/* One's own stores are seen before they are in memory. */
static uint8_t value_for(const struct state *st, enum side side, uint8_t at)
{
	for (unsigned i = st->nr_buffered[side]; i--;)
		if (st->buffer_at[side][i] == at)
			return st->buffer_value[side][i];
	return st->memory[at];
}

/* The oldest buffered store reaches memory. */
static bool flush_one(struct state *st, enum side side)
{
	if (!st->nr_buffered[side])
		return false;
	st->memory[st->buffer_at[side][0]] = st->buffer_value[side][0];
	st->nr_buffered[side]--;
	memmove(st->buffer_at[side], st->buffer_at[side] + 1, MAX_BUFFER - 1);
	memmove(st->buffer_value[side], st->buffer_value[side] + 1, MAX_BUFFER - 1);
	st->buffer_at[side][MAX_BUFFER - 1] = 0;
	st->buffer_value[side][MAX_BUFFER - 1] = 0;
	return true;
}

/* A side takes its next step, if it can now. */
static bool step(const struct setup *s, struct state *st, enum side side)
{
	enum op op = next_op(s, st, side);
	unsigned nr_buffered = st->nr_buffered[side];

	if (op == OP_END || (op >= OP_FENCE && nr_buffered) || (op == OP_SLEEP && !st->is_woken))
		return false;
	if (op == OP_STORE) {
		if (nr_buffered == MAX_BUFFER)
			return false;
		st->buffer_at[side][nr_buffered] = run.at;
		st->buffer_value[side][nr_buffered] = run.value;
		st->nr_buffered[side]++;
	} else if (op == OP_LOAD) {
		assert(st->nr_loads[side] < MAX_LOADS);
		st->loads[side][st->nr_loads[side]++] = value_for(st, side, run.at);
	} else if (op != OP_FENCE) {
		st->is_woken = op == OP_WAKE;
	}
	st->pc[side]++;
	return true;
}

/* ---- all states ------------------------------------------------------------------------------------------------- */

static struct state *states;  /* as they were found; also the list of those still to expand */
static uint32_t *table;       /* hash -> number + 1 */
static unsigned nr_states;

static void visit(const struct state *st)
{
	const uint8_t *bytes = (const uint8_t *)st;
	uint32_t h = 2166136261u;

	for (size_t i = 0; i < sizeof(*st); i++)
		h = (h ^ bytes[i]) * 16777619u;
	for (h %= 2 * MAX_STATES; table[h]; h = (h + 1) % (2 * MAX_STATES))
		if (!memcmp(&states[table[h] - 1], st, sizeof(*st)))
			return;
	assert(nr_states < MAX_STATES);
	states[nr_states] = *st;
	table[h] = ++nr_states;
}

/* Nobody can move. Is that the end, or does one sleep while an entry waits for it? */
static bool is_lost_wake(const struct setup *s, struct state *st)
{
	enum op producer = next_op(s, st, PRODUCER);
	enum op consumer = next_op(s, st, CONSUMER);

	assert(producer == OP_END && (consumer == OP_END || consumer == OP_SLEEP));
	return consumer == OP_SLEEP;
}

static unsigned explore(const struct setup *s)
{
	struct state first;
	unsigned nr_lost = 0;

	memset(&first, 0, sizeof(first));
	first.memory[1] = first.memory[3] = 1; /* req_event, rsp_event: as ring_head_init leaves them */
	memset(table, 0, 2 * MAX_STATES * sizeof(*table));
	nr_states = 0;
	visit(&first);
	for (unsigned i = 0; i < nr_states; i++) {
		bool can_move = false;

		for (unsigned action = 0; action < 4; action++) {
			struct state st = states[i];
			bool moved = action < 2 ? step(s, &st, action) : flush_one(&st, action - 2);

			if (moved)
				visit(&st);
			can_move |= moved;
		}
		if (!can_move)
			nr_lost += is_lost_wake(s, &states[i]);
	}
	return nr_lost;
}

int main(void)
{
	static const struct setup setups[] = {
		{"requests, one by one", false, {true, true}, {1, 1, 1, 0}, false},
		{"requests, in bursts", false, {true, true}, {2, 1, 1, 0}, false},
		{"responses, one by one", true, {true, true}, {1, 1, 1, 0}, false},
		{"responses, in bursts", true, {true, true}, {1, 3, 0, 0}, false},
		{"requests, publish without its fence", false, {false, true}, {1, 1, 0, 0}, true},
		{"requests, arm without its fence", false, {true, false}, {1, 1, 0, 0}, true},
		{"responses, publish without its fence", true, {false, true}, {1, 1, 0, 0}, true},
		{"responses, arm without its fence", true, {true, false}, {1, 1, 0, 0}, true},
	};
	int failed = 0;

	area = calloc(1, sizeof(*area) + NR_SLOTS * sizeof(area->slot[0]));
	states = calloc(MAX_STATES, sizeof(*states));
	table = calloc(2 * MAX_STATES, sizeof(*table));
	if (!area || !states || !table)
		return 1;
	for (size_t i = 0; i < sizeof(setups) / sizeof(setups[0]); i++) {
		unsigned nr_lost = explore(&setups[i]);
		bool ok = setups[i].loses_wake == (nr_lost > 0);

		printf("%s - %s: %u states, %u end in a lost wake-up\n", ok ? "ok" : "FAILED", setups[i].name, nr_states,
		       nr_lost);
		failed |= !ok;
	}
	free(table);
	free(states);
	free(area);
	return failed;
}
