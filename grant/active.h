/*
 * grant/active.h - the lock of an active entry, and the claim that it guards on the granter's entry. Internal to grant/.   [hot]
 *
 *      lock -> claim (checked; sets the granter's bits) -> count it, or use the page here and now and unclaim -> unlock
 *
 * A process that dies in between leaves its slot in the lock, and grant_map_revoke_slot puts the bits right.
 *
 * Trusts   nothing in entries_sh.
 */
#ifndef SLUICE_GRANT_ACTIVE_H
#define SLUICE_GRANT_ACTIVE_H

#include "grant/grant_map.h"
#include "rings/atomics.h"

/* A granter that keeps changing an entry while it is claimed gets this many chances. */
#define CLAIM_TRIES 4

#define HELD_MASK (GTF_reading | GTF_writing)

static inline void active_lock(struct grant_active *act, unsigned slot)
{
	uint8_t expected = 0;

	while (!cas_acq_rel(&act->lock, &expected, (uint8_t)(slot + 1))) { /* pairs with active_unlock */
		expected = 0;
		do
			cpu_relax();
		while (load_relaxed(&act->lock));
	}
}

static inline void active_unlock(struct grant_active *act)
{
	store_release(&act->lock, 0); /* pairs with the swap in active_lock and lock_dead */
}

/* Flags and domid are one word, so that both are checked as one value. */
static inline uint32_t *claim_word(struct grant_entry_v1 *sh)
{
	return (uint32_t *)(void *)&sh->flags;
}

_Static_assert(offsetof(struct grant_entry_v1, flags) == 0 && offsetof(struct grant_entry_v1, domid) == 2, "claim word");

static inline int16_t claim_check(uint16_t flags, domid_t domid, domid_t mapper, uint16_t bits)
{
	if ((flags & GTF_type_mask) != GTF_permit_access || (flags & GTF_sub_page))
		return GNTST_bad_gntref;
	if (domid != mapper || ((bits & GTF_writing) && (flags & GTF_readonly)))
		return GNTST_permission_denied;
	return GNTST_okay;
}

/* Sets bits in the granter's entry if it permits them to mapper. */
static inline int16_t claim_entry(struct grant_entry_v1 *sh, domid_t mapper, uint16_t bits)
{
	uint32_t word = load_relaxed(claim_word(sh));

	for (int i = 0; i < CLAIM_TRIES; i++) {
		int16_t status = claim_check((uint16_t)word, (domid_t)(word >> 16), mapper, bits);

		if (status != GNTST_okay)
			return status;
		/* Pairs with grant_table_permit's release (frame before flags) and with grant_table_end's swap. */
		if (cas_acq_rel(claim_word(sh), &word, word | bits))
			return GNTST_okay;
	}
	return GNTST_bad_gntref;
}

/* Clears bits of ours; the page is no longer touched. */
static inline void active_unclaim(struct grant_entry_v1 *sh, uint16_t bits)
{
	if (bits)
		fetch_and_acq_rel(&sh->flags, (uint16_t)~bits); /* pairs with grant_table_end's swap */
}

struct active_claim {
	uint8_t *page;
	uint32_t frame;
	uint8_t bits; /* set in the granter's entry by this claim: those that no pin held */
};

/* Checks the grant and claims what is not held yet. The entry is locked; ref is in the table. */
static inline int16_t active_claim(const struct grant_peer *peer, grant_ref_t ref, bool readonly, struct active_claim *claim)
{
	struct grant_entry_v1 *sh = &peer->entries_sh[ref];
	const struct grant_active *act = &peer->active[ref];
	int16_t status;

	claim->bits = (uint8_t)((readonly ? GTF_reading : HELD_MASK) & ~act->held);
	claim->frame = act->frame;
	if (act->held && act->domid != peer->mapper)
		return GNTST_permission_denied;
	if (claim->bits) {
		status = claim_entry(sh, peer->mapper, claim->bits);
		if (status != GNTST_okay)
			return status;
	}
	if (!act->held)
		claim->frame = load_relaxed(&sh->frame);
	claim->page = gate_page(peer->memory, claim->frame);
	if (claim->page)
		return GNTST_okay;
	active_unclaim(sh, claim->bits);
	return GNTST_bad_page;
}

#endif
