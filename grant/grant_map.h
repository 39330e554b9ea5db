/*
 * grant/grant_map.h - the mapper: pins another domain's grants and hands out handles.   [hot: pin, unpin, map, unmap]
 *
 *      pin:   lock active entry -> check and flag the granter's entry (one CAS) -> count -> unlock
 *      unpin: lock active entry -> count down -> last one clears the granter's bits -> unlock
 *
 * A mapper is one Domain-0 process (one connection to the core), known by a slot number in the granter's active entries.
 * The active entries live in memory that the core owns and guests cannot see. Counts are kept for each slot, and the
 * lock byte holds the slot of its owner, so that the core can undo all that a dead process held
 * (grant_map_revoke_slot) without knowing what it was doing.
 *
 * Trusts   nothing in entries_sh (the granter writes it) ; the active entries only as far as Domain-0.
 * Runs in  any thread of a Domain-0 process.
 * Fails    with Xen's GNTST_* codes: they go into the caller's status fields as they are.
 * Spec     xen/grant_table.h.
 */
#ifndef SLUICE_GRANT_GRANT_MAP_H
#define SLUICE_GRANT_GRANT_MAP_H

#include "grant/gate.h"
#include "grant/grant_table.h"

#define GRANT_MAX_SLOTS 14

/* What the hypervisor knows of one grant in use. One cache line, so that two refs never share one. */
struct grant_active {
	uint8_t lock;   /* 0, or the owner's slot + 1 */
	uint8_t held;   /* GTF_reading, GTF_writing: what the pins of all slots ask for */
	domid_t domid;  /* who holds it, and */
	uint32_t frame; /* the frame, as they were when the first pin was taken; the granter's entry may change later */
	struct {
		uint16_t readers;
		uint16_t writers;
	} pin[GRANT_MAX_SLOTS];
};

_Static_assert(sizeof(struct grant_active) == 64, "one cache line");

/* One granter, as one mapper sees it. */
struct grant_peer {
	struct grant_entry_v1 *entries_sh;
	struct grant_active *active;
	uint32_t nr_entries;
	unsigned slot;  /* ours */
	domid_t mapper; /* our domid, which the grant must name */
	const struct gate *memory; /* the granter's */
};

/*
 * Checks the grant and holds it: on GNTST_okay *page is its page, valid until the matching grant_unpin with the
 * same readonly. GNTST_bad_gntref, GNTST_permission_denied (other domain, or write to a read-only grant),
 * GNTST_bad_page (frame not in the granter's memory), GNTST_no_space (65,535 pins of this slot).
 */
int16_t grant_pin(const struct grant_peer *peer, grant_ref_t ref, bool readonly, void **page);
void grant_unpin(const struct grant_peer *peer, grant_ref_t ref, bool readonly);

/*
 * Undoes all that a slot holds among nr refs from first, including a lock it died with. For the core, when a mapper's
 * connection closes; it leaves out entries whose pages were never touched. Its work is bounded: returns how many entries
 * another slot's lock kept it from (a second process may have died at the same moment); the slot is free when it returns 0
 * for every ref, until then call it again later, after the other one's revoke.
 */
unsigned grant_map_revoke_slot(const struct grant_peer *peer, unsigned slot, grant_ref_t first, uint32_t nr);

/* Handles of one mapper, over all granters: quota = entries. */
struct grant_maptrack;

int grant_maptrack_create(uint32_t nr_handles, struct grant_maptrack **out);
void grant_maptrack_destroy(struct grant_maptrack *mt);
/* Unmaps every handle of that granter, before its view goes away; returns how many there were. */
unsigned grant_maptrack_forget(struct grant_maptrack *mt, const struct grant_peer *peer);

/* Pins and gives a handle. GNTST_no_space when the handles are used up. */
int16_t grant_map(struct grant_maptrack *mt, const struct grant_peer *peer, grant_ref_t ref, bool readonly, void **page,
		  grant_handle_t *handle);
/* GNTST_okay or GNTST_bad_handle (also for another granter's handle). */
int16_t grant_unmap(struct grant_maptrack *mt, const struct grant_peer *peer, grant_handle_t handle);

/*
 * The same for a burst: handles are taken for all of it at once, mapped as, unmapped, and given back at once. take: how many there
 * were. map_as fails: the handle is still the caller's. unmap_only succeeds: it is the caller's again.
 */
unsigned grant_handles_take(struct grant_maptrack *mt, grant_handle_t handles[], unsigned nr);
void grant_handles_give(struct grant_maptrack *mt, const grant_handle_t handles[], unsigned nr);
int16_t grant_map_as(struct grant_maptrack *mt, const struct grant_peer *peer, grant_ref_t ref, bool readonly, void **page,
		     grant_handle_t handle);
int16_t grant_unmap_only(struct grant_maptrack *mt, const struct grant_peer *peer, grant_handle_t handle);

/* The granter's entry was written on its processor just now: fetches it, and ours, before the first pin of a burst waits for it. */
static inline void grant_prefetch(const struct grant_peer *peer, grant_ref_t ref)
{
	if (ref >= peer->nr_entries)
		return;
	__builtin_prefetch(&peer->entries_sh[ref], 1);
	__builtin_prefetch(&peer->active[ref], 1);
}

#endif
