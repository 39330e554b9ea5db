/*
 * grant/grant_map.c - pins grants, undoes a dead mapper's pins, maps by handle.   [hot]
 *
 *      active.held == the granter's reading and writing bits that we have set == what the counts of all slots ask for
 *      (at every moment at which nobody holds the lock)
 *
 * Two locked instructions for a pin that nobody else holds (lock, granter's entry) and two for its unpin; one each while
 * another pin of the same kind is there. The lock is given back with a plain store.
 *
 * Owns     the counts of the caller's slot; held, frame and domid while it has the lock.
 * Trusts   nothing in entries_sh. The frame counts as it was at the first pin.
 * Runs in  any thread of a Domain-0 process. A lock is held for a few dozen instructions and by Domain-0 only.
 */
#include <assert.h>

#include "grant/grant_map.h"
#include "grant/maptrack.h"
#include "rings/atomics.h"

/* A granter that keeps changing an entry while it is claimed gets this many chances. */
#define CLAIM_TRIES 4
/* How long the core waits for another mapper's lock: far beyond what a running holder needs. */
#define REVOKE_SPINS 2000

#define HELD_MASK (GTF_reading | GTF_writing)

static void lock_active(struct grant_active *act, unsigned slot)
{
	uint8_t expected = 0;

	while (!cas_acq_rel(&act->lock, &expected, (uint8_t)(slot + 1))) { /* pairs with unlock_active */
		expected = 0;
		do
			cpu_relax();
		while (load_relaxed(&act->lock));
	}
}

static void unlock_active(struct grant_active *act)
{
	store_release(&act->lock, 0); /* pairs with the swap in lock_active and lock_dead */
}

/* Flags and domid are one word, so that both are checked as one value. */
static uint32_t *claim_word(struct grant_entry_v1 *sh)
{
	return (uint32_t *)(void *)&sh->flags;
}

_Static_assert(offsetof(struct grant_entry_v1, flags) == 0 && offsetof(struct grant_entry_v1, domid) == 2, "claim word");

static int16_t check_claim(uint16_t flags, domid_t domid, domid_t mapper, uint16_t bits)
{
	if ((flags & GTF_type_mask) != GTF_permit_access || (flags & GTF_sub_page))
		return GNTST_bad_gntref;
	if (domid != mapper || ((bits & GTF_writing) && (flags & GTF_readonly)))
		return GNTST_permission_denied;
	return GNTST_okay;
}

/* Sets bits in the granter's entry if it permits them to mapper. */
static int16_t claim_entry(struct grant_entry_v1 *sh, domid_t mapper, uint16_t bits)
{
	uint32_t word = load_relaxed(claim_word(sh));

	for (int i = 0; i < CLAIM_TRIES; i++) {
		int16_t status = check_claim((uint16_t)word, (domid_t)(word >> 16), mapper, bits);

		if (status != GNTST_okay)
			return status;
		/* Pairs with grant_table_permit's release (frame before flags) and with grant_table_end's swap. */
		if (cas_acq_rel(claim_word(sh), &word, word | bits))
			return GNTST_okay;
	}
	return GNTST_bad_gntref;
}

static void unclaim_entry(struct grant_entry_v1 *sh, uint16_t bits)
{
	if (bits)
		fetch_and_acq_rel(&sh->flags, (uint16_t)~bits); /* pairs with grant_table_end: page no longer touched */
}

/* What the counts of all slots ask for. */
static uint8_t wanted_bits(const struct grant_active *act)
{
	unsigned readers = 0, writers = 0;

	for (unsigned i = 0; i < GRANT_MAX_SLOTS; i++) {
		readers |= act->pin[i].readers;
		writers |= act->pin[i].writers;
	}
	return (uint8_t)(writers ? HELD_MASK : readers ? GTF_reading : 0);
}

static int16_t pin_locked(const struct grant_peer *peer, grant_ref_t ref, bool readonly, void **page)
{
	struct grant_entry_v1 *sh = &peer->entries_sh[ref];
	struct grant_active *act = &peer->active[ref];
	uint16_t *count = readonly ? &act->pin[peer->slot].readers : &act->pin[peer->slot].writers;
	uint8_t need = (uint8_t)((readonly ? GTF_reading : HELD_MASK) & ~act->held);
	uint32_t frame = act->frame;
	int16_t status;
	void *p;

	if (*count == UINT16_MAX)
		return GNTST_no_space;
	if (act->held && act->domid != peer->mapper)
		return GNTST_permission_denied;
	if (need) {
		status = claim_entry(sh, peer->mapper, need);
		if (status != GNTST_okay)
			return status;
	}
	if (!act->held)
		frame = load_relaxed(&sh->frame);
	p = gate_page(peer->memory, frame);
	if (!p) {
		unclaim_entry(sh, need);
		return GNTST_bad_page;
	}
	act->frame = frame;
	act->domid = peer->mapper;
	act->held |= need;
	++*count;
	*page = p;
	return GNTST_okay;
}

int16_t grant_pin(const struct grant_peer *peer, grant_ref_t ref, bool readonly, void **page)
{
	int16_t status;

	if (ref >= peer->nr_entries)
		return GNTST_bad_gntref;
	lock_active(&peer->active[ref], peer->slot);
	status = pin_locked(peer, ref, readonly, page);
	unlock_active(&peer->active[ref]);
	return status;
}

/* Brings held and the granter's bits down to what the counts ask for. */
static void settle_bits(struct grant_entry_v1 *sh, struct grant_active *act, uint8_t may_be_set)
{
	uint8_t wanted = wanted_bits(act);

	unclaim_entry(sh, may_be_set & ~wanted);
	act->held = wanted;
}

void grant_unpin(const struct grant_peer *peer, grant_ref_t ref, bool readonly)
{
	struct grant_active *act = &peer->active[ref];
	uint16_t *count;

	assert(ref < peer->nr_entries);
	lock_active(act, peer->slot);
	count = readonly ? &act->pin[peer->slot].readers : &act->pin[peer->slot].writers;
	assert(*count > 0);
	if (--*count == 0)
		settle_bits(&peer->entries_sh[ref], act, act->held);
	unlock_active(act);
}

/* Takes the lock for the core: from nobody, or from the dead slot. False: another slot kept it all the time. */
static bool lock_dead(struct grant_active *act, unsigned slot)
{
	for (int i = 0; i < REVOKE_SPINS; i++) {
		uint8_t expected = (uint8_t)(slot + 1);

		if (load_acquire(&act->lock) == expected) /* its owner is dead: the lock is ours as it is */
			return true;
		expected = 0;
		if (cas_acq_rel(&act->lock, &expected, (uint8_t)(slot + 1))) /* pairs with unlock_active */
			return true;
		cpu_relax();
	}
	return false;
}

unsigned grant_map_revoke_slot(const struct grant_peer *peer, unsigned slot)
{
	unsigned nr_left = 0;

	for (uint32_t ref = 0; ref < peer->nr_entries; ref++) {
		struct grant_active *act = &peer->active[ref];
		bool is_locked = load_acquire(&act->lock) == slot + 1; /* pairs with lock_active */

		if (!is_locked && !act->pin[slot].readers && !act->pin[slot].writers)
			continue;
		if (!lock_dead(act, slot)) {
			nr_left++;
			continue;
		}
		act->pin[slot].readers = 0;
		act->pin[slot].writers = 0;
		/* It may have died between the granter's entry and held, so held does not say which bits it set. */
		settle_bits(&peer->entries_sh[ref], act, HELD_MASK);
		unlock_active(act);
	}
	return nr_left;
}

int16_t grant_map(struct grant_maptrack *mt, const struct grant_peer *peer, grant_ref_t ref, bool readonly, void **page,
		  grant_handle_t *handle)
{
	uint32_t n = free_stack_pop(&mt->handles);
	int16_t status;

	if (n == FREE_STACK_NONE)
		return GNTST_no_space;
	status = grant_pin(peer, ref, readonly, page);
	if (status != GNTST_okay) {
		free_stack_push(&mt->handles, n);
		return status;
	}
	mt->entry[n].active = peer->active;
	mt->entry[n].ref = ref;
	store_release(&mt->entry[n].state, readonly ? MAPTRACK_READ : MAPTRACK_WRITE); /* pairs with grant_unmap */
	*handle = n;
	return GNTST_okay;
}

int16_t grant_unmap(struct grant_maptrack *mt, const struct grant_peer *peer, grant_handle_t handle)
{
	struct maptrack_entry *e;
	grant_ref_t ref;
	uint32_t state;

	if (handle >= mt->handles.limit)
		return GNTST_bad_handle;
	e = &mt->entry[handle];
	state = load_acquire(&e->state); /* pairs with grant_map's release */
	if (state == MAPTRACK_FREE || e->active != peer->active)
		return GNTST_bad_handle;
	ref = e->ref;
	if (!cas_acq_rel(&e->state, &state, MAPTRACK_FREE)) /* of two that unmap one handle, one wins */
		return GNTST_bad_handle;
	grant_unpin(peer, ref, state == MAPTRACK_READ);
	free_stack_push(&mt->handles, handle);
	return GNTST_okay;
}
