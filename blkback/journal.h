/*
 * blkback/journal.h - the requests that one queue has taken and not answered, where a killed back end leaves them.   [hot]
 *
 * Answers go into the ring in another order than requests came, over the slots of requests that are still unanswered. So the
 * ring alone cannot say what a back end that was killed had in flight: its private copies of the requests do, in memory that
 * outlives it (journal_file.h). One state word for each, written last:
 *
 *      taken       the copy and its index are there, then: state = TAKEN
 *      answered    state = ANSWERED + the index of its answer; then the answer goes into the ring, unseen
 *      shown       rsp_put, then the ring's rsp_prod, then rsp_shown; only then is the entry used again
 *
 * Whatever the moment of the kill: a request is in flight if and only if its entry is TAKEN, or ANSWERED at an index that the
 * ring's rsp_prod has not reached; and the requests taken from the ring are those answered before rsp_prod plus these. Doing
 * them again is right: until its answer is shown, a front end can rely on nothing about a request.
 *
 * Trusts   the file: only Domain-0 reaches it. Not the ring's rsp_prod, which must lie between rsp_shown and rsp_put.
 * Runs in  the queue's thread. A kill keeps every store that was made, and x86 and release order keep their sequence.
 */
#ifndef SLUICE_BLKBACK_JOURNAL_H
#define SLUICE_BLKBACK_JOURNAL_H

#include "rings/blkif.h"

#define JOURNAL_FREE UINT64_C(0)
#define JOURNAL_TAKEN UINT64_C(1)
#define JOURNAL_ANSWERED UINT64_C(2) /* the index of the answer is in the upper half */

struct journal_entry {
	uint64_t state;
	uint32_t taken_idx; /* in the ring */
	uint32_t pad;
	union blkif_any_request req;
};

struct journal {
	uint32_t rsp_put;   /* answers in the ring, at most: written before they are shown */
	uint32_t rsp_shown; /* answers in the ring, at least: written after they are shown */
	uint32_t nr_entries;
	uint32_t pad[13];
	struct journal_entry entry[]; /* as many as the ring has slots */
};

_Static_assert(sizeof(struct journal_entry) == 128 && sizeof(struct journal) == 64, "two cache lines, and one");

static inline size_t journal_bytes(uint32_t nr_entries)
{
	return sizeof(struct journal) + nr_entries * sizeof(struct journal_entry);
}

/* The request is in e->req. */
static inline void journal_take(struct journal_entry *e, uint32_t idx)
{
	e->taken_idx = idx;
	store_release(&e->state, JOURNAL_TAKEN); /* pairs with journal_is_in_flight's acquire, in a later process */
}

/* It was given back to the ring. */
static inline void journal_untake(struct journal_entry *e)
{
	store_release(&e->state, JOURNAL_FREE);
}

/* Before its answer is put at idx. */
static inline void journal_answer(struct journal_entry *e, uint32_t idx)
{
	store_release(&e->state, JOURNAL_ANSWERED | (uint64_t)idx << 32);
}

/* Before and after the answers up to idx are shown. */
static inline void journal_before_show(struct journal *j, uint32_t idx)
{
	store_release(&j->rsp_put, idx);
}

static inline void journal_after_show(struct journal *j, uint32_t idx)
{
	store_release(&j->rsp_shown, idx);
}

/* Was it unanswered when rsp_prod was what the ring shows? */
static inline bool journal_is_in_flight(const struct journal_entry *e, uint32_t rsp_prod)
{
	uint64_t state = load_acquire(&e->state);

	if ((state & 3) != JOURNAL_ANSWERED)
		return (state & 3) == JOURNAL_TAKEN;
	return (int32_t)((uint32_t)(state >> 32) - rsp_prod) >= 0;
}

/* Can the ring's rsp_prod be what this journal's back end left there? */
static inline bool journal_fits(const struct journal *j, uint32_t rsp_prod)
{
	uint32_t shown = load_acquire(&j->rsp_shown), put = load_acquire(&j->rsp_put);

	return put - shown <= j->nr_entries && rsp_prod - shown <= put - shown;
}

#endif
