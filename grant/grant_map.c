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
#include <string.h>

#include "grant/active.h"
#include "grant/grant_map.h"
#include "grant/maptrack.h"
#include "rings/atomics.h"

/* How long the core waits for another mapper's lock: far beyond what a running holder needs. */
#define REVOKE_SPINS 2000

/*
 * What the counts ask for, with the slot's own taken to be these. They are given, not read: the caller is about to store
 * them, and a wide load right behind a narrow store of a part of it waits for the store.
 */
static uint8_t wanted_bits(const struct grant_active *act, unsigned slot, unsigned readers, unsigned writers)
{
	uint32_t pins[GRANT_MAX_SLOTS], others = 0;

	memcpy(pins, act->pin, sizeof(pins)); /* readers in the lower half, writers in the upper */
	for (unsigned i = 0; i < GRANT_MAX_SLOTS; i++)
		others |= i == slot ? 0 : pins[i];
	if (writers || others >> 16)
		return HELD_MASK;
	return readers || others ? GTF_reading : 0;
}

_Static_assert(sizeof(((struct grant_active *)0)->pin[0]) == 4, "two halves of a word");

static int16_t pin_locked(const struct grant_peer *peer, grant_ref_t ref, bool readonly, void **page)
{
	struct grant_active *act = &peer->active[ref];
	uint16_t *count = readonly ? &act->pin[peer->slot].readers : &act->pin[peer->slot].writers;
	struct active_claim claim;
	int16_t status;

	if (*count == UINT16_MAX)
		return GNTST_no_space;
	status = active_claim(peer, ref, readonly, &claim);
	if (status != GNTST_okay)
		return status;
	act->frame = claim.frame;
	act->domid = peer->mapper;
	act->held |= claim.bits;
	++*count;
	*page = claim.page;
	return GNTST_okay;
}

int16_t grant_pin(const struct grant_peer *peer, grant_ref_t ref, bool readonly, void **page)
{
	int16_t status;

	if (ref >= peer->nr_entries)
		return GNTST_bad_gntref;
	active_lock(&peer->active[ref], peer->slot);
	status = pin_locked(peer, ref, readonly, page);
	active_unlock(&peer->active[ref]);
	return status;
}

void grant_unpin(const struct grant_peer *peer, grant_ref_t ref, bool readonly)
{
	struct grant_active *act = &peer->active[ref];
	unsigned readers, writers;

	assert(ref < peer->nr_entries);
	active_lock(act, peer->slot);
	readers = act->pin[peer->slot].readers;
	writers = act->pin[peer->slot].writers;
	assert(readonly ? readers > 0 : writers > 0);
	if (readonly)
		readers--;
	else
		writers--;
	if (!(readonly ? readers : writers)) {
		uint8_t wanted = wanted_bits(act, peer->slot, readers, writers);

		active_unclaim(&peer->entries_sh[ref], act->held & ~wanted);
		act->held = wanted;
	}
	act->pin[peer->slot].readers = (uint16_t)readers;
	act->pin[peer->slot].writers = (uint16_t)writers;
	active_unlock(act);
}

/* Takes the lock for the core: from nobody, or from the dead slot. False: another slot kept it all the time. */
static bool lock_dead(struct grant_active *act, unsigned slot)
{
	for (int i = 0; i < REVOKE_SPINS; i++) {
		uint8_t expected = (uint8_t)(slot + 1);

		if (load_acquire(&act->lock) == expected) /* its owner is dead: the lock is ours as it is */
			return true;
		expected = 0;
		if (cas_acq_rel(&act->lock, &expected, (uint8_t)(slot + 1))) /* pairs with active_unlock */
			return true;
		cpu_relax();
	}
	return false;
}

unsigned grant_map_revoke_slot(const struct grant_peer *peer, unsigned slot, grant_ref_t first, uint32_t nr)
{
	unsigned nr_left = 0;

	for (uint32_t ref = first; ref < peer->nr_entries && ref - first < nr; ref++) {
		struct grant_active *act = &peer->active[ref];
		bool is_locked = load_acquire(&act->lock) == slot + 1; /* pairs with active_lock */

		if (!is_locked && !act->pin[slot].readers && !act->pin[slot].writers)
			continue;
		if (!lock_dead(act, slot)) {
			nr_left++;
			continue;
		}
		/* It may have died between the granter's entry and held, so held does not say which bits it set. */
		act->held = wanted_bits(act, slot, 0, 0);
		active_unclaim(&peer->entries_sh[ref], HELD_MASK & ~act->held);
		act->pin[slot].readers = 0;
		act->pin[slot].writers = 0;
		active_unlock(act);
	}
	return nr_left;
}

unsigned grant_handles_take(struct grant_maptrack *mt, grant_handle_t handles[], unsigned nr)
{
	return free_stack_pop_many(&mt->handles, handles, nr);
}

void grant_handles_give(struct grant_maptrack *mt, const grant_handle_t handles[], unsigned nr)
{
	free_stack_push_many(&mt->handles, handles, nr);
}

int16_t grant_map_as(struct grant_maptrack *mt, const struct grant_peer *peer, grant_ref_t ref, bool readonly, void **page,
		     grant_handle_t handle)
{
	struct maptrack_entry *e = &mt->entry[handle];
	int16_t status = grant_pin(peer, ref, readonly, page);

	if (status != GNTST_okay)
		return status;
	e->active = peer->active;
	e->ref = ref;
	store_release(&e->state, readonly ? MAPTRACK_READ : MAPTRACK_WRITE); /* pairs with grant_unmap_only */
	return GNTST_okay;
}

int16_t grant_map(struct grant_maptrack *mt, const struct grant_peer *peer, grant_ref_t ref, bool readonly, void **page,
		  grant_handle_t *handle)
{
	uint32_t n = free_stack_pop(&mt->handles);
	int16_t status;

	if (n == FREE_STACK_NONE)
		return GNTST_no_space;
	status = grant_map_as(mt, peer, ref, readonly, page, n);
	if (status == GNTST_okay)
		*handle = n;
	else
		free_stack_push(&mt->handles, n);
	return status;
}

int16_t grant_unmap_only(struct grant_maptrack *mt, const struct grant_peer *peer, grant_handle_t handle)
{
	struct maptrack_entry *e;
	grant_ref_t ref;
	uint32_t state;

	if (handle >= mt->handles.limit)
		return GNTST_bad_handle;
	e = &mt->entry[handle];
	state = load_acquire(&e->state); /* pairs with grant_map_as's release */
	if (state == MAPTRACK_FREE || e->active != peer->active)
		return GNTST_bad_handle;
	ref = e->ref;
	if (!cas_acq_rel(&e->state, &state, MAPTRACK_FREE)) /* of two that unmap one handle, one wins */
		return GNTST_bad_handle;
	grant_unpin(peer, ref, state == MAPTRACK_READ);
	return GNTST_okay;
}

int16_t grant_unmap(struct grant_maptrack *mt, const struct grant_peer *peer, grant_handle_t handle)
{
	int16_t status = grant_unmap_only(mt, peer, handle);

	if (status == GNTST_okay)
		free_stack_push(&mt->handles, handle);
	return status;
}
