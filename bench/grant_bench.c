/*
 * bench/grant_bench.c - what a grant costs on one thread: pin, copy, unpin; map, unmap; permit, end.
 */
#include <string.h>

#include "bench/bench.h"
#include "grant/grant_copy.h"
#include "grant/grant_map.h"
#include "grant/grant_table.h"

#define ROUNDS 15
#define REFS 256u /* one netif ring's worth, each with a page of its own */
#define FRAMES 256u
#define LOOPS 1000u
#define BURST 32u

struct grant_bench {
	struct gate gate;
	struct grant_entry_v1 *entries_sh;
	struct grant_active *active;
	struct grant_table *table;
	struct grant_maptrack *maptrack;
	struct grant_peer peer;
	grant_ref_t ref[REFS];
	uint8_t local[REFS * 64];
};

static void must(int ok)
{
	if (ok)
		return;
	fprintf(stderr, "grant_bench: a call that must succeed has failed\n");
	exit(1);
}

static void *pages(size_t bytes)
{
	void *p = aligned_alloc(PAGE_BYTES, bytes);

	must(p != NULL);
	memset(p, 0, bytes);
	return p;
}

static void set_up(struct grant_bench *b)
{
	uint32_t nr = 512;

	b->gate.nr_extents = 1;
	b->gate.extent[0] = (struct gate_extent){pages(FRAMES * PAGE_BYTES), 0, FRAMES};
	b->entries_sh = pages(nr * sizeof(*b->entries_sh));
	b->active = pages(nr * sizeof(*b->active));
	must(grant_table_create(b->entries_sh, nr, GNTTAB_NR_RESERVED_ENTRIES, &b->table) == 0);
	must(grant_maptrack_create(1024, &b->maptrack) == 0);
	b->peer = (struct grant_peer){.entries_sh = b->entries_sh, .active = b->active, .nr_entries = nr, .memory = &b->gate};
	for (uint32_t i = 0; i < REFS; i++) {
		must(grant_table_alloc(b->table, &b->ref[i]) == 0);
		grant_table_permit(b->table, b->ref[i], 0, i, false);
	}
}

static void tear_down(struct grant_bench *b)
{
	grant_maptrack_destroy(b->maptrack);
	grant_table_destroy(b->table);
	free(b->active);
	free(b->entries_sh);
	free(b->gate.extent[0].base);
}

/* ---- one pass over all refs each --------------------------------------------------------------------------------- */

static void pass_pin_unpin(struct grant_bench *b)
{
	void *page;

	for (uint32_t i = 0; i < REFS; i++) {
		must(grant_pin(&b->peer, b->ref[i], true, &page) == GNTST_okay);
		grant_unpin(&b->peer, b->ref[i], true);
	}
}

static void pass_copy64(struct grant_bench *b)
{
	for (uint32_t i = 0; i < REFS; i++) {
		struct grant_copy_op op = {.local = b->local + 64 * i, .ref = b->ref[i], .len = 64};

		must(grant_copy(&b->peer, &op, 1) == 0);
	}
}

static void pass_copy64_burst(struct grant_bench *b)
{
	struct grant_copy_op ops[BURST];

	for (uint32_t i = 0; i < REFS; i += BURST) {
		for (uint32_t k = 0; k < BURST; k++)
			ops[k] = (struct grant_copy_op){.local = b->local + 64 * k, .ref = b->ref[i + k], .len = 64, .to_peer = true};
		must(grant_copy(&b->peer, ops, BURST) == 0);
	}
}

static void pass_copy4096(struct grant_bench *b)
{
	static uint8_t local[PAGE_BYTES];

	for (uint32_t i = 0; i < REFS; i++) {
		struct grant_copy_op op = {.local = local, .ref = b->ref[i], .len = PAGE_BYTES};

		must(grant_copy(&b->peer, &op, 1) == 0);
	}
}

static void pass_map_unmap(struct grant_bench *b)
{
	grant_handle_t handle;
	void *page;

	for (uint32_t i = 0; i < REFS; i++) {
		must(grant_map(b->maptrack, &b->peer, b->ref[i], false, &page, &handle) == GNTST_okay);
		must(grant_unmap(b->maptrack, &b->peer, handle) == GNTST_okay);
	}
}

static void pass_permit_end(struct grant_bench *b)
{
	for (uint32_t i = 0; i < REFS; i++) {
		must(grant_table_end(b->table, b->ref[i]) == 0);
		grant_table_permit(b->table, b->ref[i], 0, i, false);
	}
}

static const struct {
	const char *name;
	void (*pass)(struct grant_bench *b);
} figures[] = {
	{"core.grant_pin_unpin_ns", pass_pin_unpin},
	{"core.grant_copy64_ns", pass_copy64},
	{"core.grant_copy64_burst_ns", pass_copy64_burst},
	{"core.grant_copy4096_ns", pass_copy4096},
	{"core.grant_map_unmap_ns", pass_map_unmap},
	{"core.grant_permit_end_ns", pass_permit_end},
};

#define NR_FIGURES (sizeof(figures) / sizeof(figures[0]))

int main(void)
{
	static double samples[NR_FIGURES][ROUNDS];
	static struct grant_bench b;

	bench_pin(bench_cpu(0));
	set_up(&b);
	/* Rounds outside, figures inside: what changes the machine changes all of them. */
	for (unsigned round = 0; round < ROUNDS; round++)
		for (size_t i = 0; i < NR_FIGURES; i++) {
			uint64_t begin = bench_now_ns();

			for (unsigned k = 0; k < LOOPS; k++)
				figures[i].pass(&b);
			samples[i][round] = (double)(bench_now_ns() - begin) / LOOPS / REFS;
		}
	for (size_t i = 0; i < NR_FIGURES; i++)
		bench_report(figures[i].name, "ns", samples[i], ROUNDS);
	tear_down(&b);
	return 0;
}
