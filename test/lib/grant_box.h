/*
 * test/lib/grant_box.h - one granter and its mappers in one process: memory, table, active entries, gate.
 */
#ifndef SLUICE_TEST_GRANT_BOX_H
#define SLUICE_TEST_GRANT_BOX_H

#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "grant/grant_copy.h"
#include "grant/grant_map.h"
#include "grant/grant_table.h"

#define BOX_FRAMES 64u
#define BOX_ENTRIES (2u * GRANT_ENTRIES_PER_FRAME)
#define BOX_MAPPER 0 /* domid of the peers */

struct grant_box {
	uint8_t *ram; /* two extents: frames 0 to 47, and 48 to 63 after a hole in the address space */
	struct gate gate;
	struct grant_entry_v1 *entries_sh;
	struct grant_active *active;
	struct grant_table *table;
	struct grant_maptrack *maptrack;
	struct grant_peer peer[GRANT_MAX_SLOTS];
	bool is_shared; /* memory, table and active entries: with processes that are forked */
};

/* The box itself must come into being, whatever NDEBUG says. */
static inline void grant_box_must(bool ok)
{
	if (!ok)
		abort();
}

static inline void *grant_box_pages(const struct grant_box *box, size_t bytes)
{
	void *p = box->is_shared ? mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0)
				 : aligned_alloc(PAGE_BYTES, bytes);

	grant_box_must(p && p != MAP_FAILED);
	memset(p, 0, bytes);
	return p;
}

static inline void grant_box_init_as(struct grant_box *box, uint32_t nr_handles, bool is_shared)
{
	memset(box, 0, sizeof(*box));
	box->is_shared = is_shared;
	box->ram = grant_box_pages(box, (BOX_FRAMES + 1) * PAGE_BYTES);
	box->gate.nr_extents = 2;
	box->gate.extent[0] = (struct gate_extent){box->ram, 0, 48};
	box->gate.extent[1] = (struct gate_extent){box->ram + 49 * PAGE_BYTES, 48, 16};
	box->entries_sh = grant_box_pages(box, BOX_ENTRIES * sizeof(*box->entries_sh));
	box->active = grant_box_pages(box, BOX_ENTRIES * sizeof(*box->active));
	grant_box_must(grant_table_create(box->entries_sh, BOX_ENTRIES, GNTTAB_NR_RESERVED_ENTRIES, &box->table) == 0);
	grant_box_must(grant_maptrack_create(nr_handles, &box->maptrack) == 0);
	for (unsigned i = 0; i < GRANT_MAX_SLOTS; i++)
		box->peer[i] = (struct grant_peer){
			.entries_sh = box->entries_sh,
			.active = box->active,
			.nr_entries = BOX_ENTRIES,
			.slot = i,
			.mapper = BOX_MAPPER,
			.memory = &box->gate,
		};
}

static inline void grant_box_init(struct grant_box *box, uint32_t nr_handles)
{
	grant_box_init_as(box, nr_handles, false);
}

static inline void grant_box_finish(struct grant_box *box)
{
	grant_maptrack_destroy(box->maptrack);
	grant_table_destroy(box->table);
	if (box->is_shared)
		return; /* the process's end frees it */
	free(box->active);
	free(box->entries_sh);
	free(box->ram);
}

/* Page of a frame, as the granter knows it. */
static inline uint8_t *grant_box_page(struct grant_box *box, uint32_t frame)
{
	return box->ram + (size_t)(frame < 48 ? frame : frame + 1) * PAGE_BYTES;
}

static inline grant_ref_t grant_box_grant(struct grant_box *box, uint32_t frame, bool readonly)
{
	grant_ref_t ref;

	grant_box_must(grant_table_alloc(box->table, &ref) == 0);
	grant_table_permit(box->table, ref, BOX_MAPPER, frame, readonly);
	return ref;
}

#endif
