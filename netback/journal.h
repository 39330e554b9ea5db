/*
 * netback/journal.h - what a queue has taken from the guest and not answered, where a back end that ends leaves it.   [hot]
 *
 * Memory in a file that outlives the process (journal_file.h). The ring alone does not tell: answers go into it in another order than
 * requests came, over requests that are still open. So that whoever comes next neither answers twice nor forgets:
 *
 *      tx   taken[]     private copies of the requests; those from `worked` on are worked on again
 *           attached[]  a page that a packet borrows: its id, and where its packet began
 *           finished[]  it is answered at that index, which is shown later
 *           next, now   {rsp_prod, worked} before and after a round's answers are shown: the one whose rsp_prod the ring shows holds
 *      rx   rsp[]       a batch's answers; flush = {rsp_prod before them, how many}: all in the ring, or to be put there
 *
 * A packet that was worked on and whose answers had not been shown goes out again; a page that was lent out is answered, and its packet
 * was sent, or went with the process.
 *
 * Trusts   the file: only Domain-0 reaches it. Not the ring's rsp_prod, which must be one of those that are known.
 * Runs in  the queue's thread. A kill keeps every store that was made; release order keeps their sequence.
 */
#ifndef SLUICE_NETBACK_JOURNAL_H
#define SLUICE_NETBACK_JOURNAL_H

#include "rings/netif.h"

#define JOURNAL_SLOTS 256u /* of both rings */
#define JOURNAL_FINISHED (2 * JOURNAL_SLOTS) /* of one round, or of two by back ends that were both killed */
#define JOURNAL_FREE UINT64_C(0)

struct journal {
	uint64_t now, next; /* rsp_prod, above it worked */
	uint64_t rx_flush;  /* rsp_prod, above it the number of answers */
	uint32_t taken_end;
	uint32_t nr_finished;
	uint64_t pad[4];
	struct netif_tx_request taken[JOURNAL_SLOTS];
	uint64_t attached[JOURNAL_SLOTS]; /* by slot: an entry, above it the index of its packet's first request; or FREE */
	uint64_t finished[JOURNAL_FINISHED]; /* an entry, above it the index of its answer */
	struct netif_rx_response rsp[JOURNAL_SLOTS];
};

static inline uint64_t journal_pair(uint32_t low, uint32_t high)
{
	return low | (uint64_t)high << 32;
}

static inline uint32_t journal_low(uint64_t pair)
{
	return (uint32_t)pair;
}

static inline uint32_t journal_high(uint64_t pair)
{
	return (uint32_t)(pair >> 32);
}

static inline uint32_t journal_entry(uint32_t slot, uint16_t id)
{
	return (uint32_t)id << 16 | slot << 1 | 1;
}

static inline uint16_t journal_id(uint64_t entry)
{
	return (uint16_t)(entry >> 16);
}

static inline uint32_t journal_slot(uint64_t entry)
{
	return (uint32_t)entry >> 1 & (JOURNAL_SLOTS - 1);
}

/* All release: each store is there before the next one, for whoever reads the file in a later process. */

/* Requests up to end are copied. */
static inline void journal_taken(struct journal *j, uint32_t end)
{
	store_release(&j->taken_end, end);
}

static inline void journal_attach(struct journal *j, uint32_t slot, uint16_t id, uint32_t packet)
{
	store_release(&j->attached[slot], journal_pair(journal_entry(slot, id), packet));
}

/* Before the answer of an attached page is put at idx. */
static inline void journal_finish(struct journal *j, uint32_t slot, uint16_t id, uint32_t idx)
{
	store_release(&j->finished[j->nr_finished], journal_pair(journal_entry(slot, id), idx));
	store_release(&j->nr_finished, j->nr_finished + 1);
	store_release(&j->attached[slot], JOURNAL_FREE);
}

/* Before and after all answers up to rsp_prod are shown. */
static inline void journal_before_show(struct journal *j, uint32_t rsp_prod, uint32_t worked)
{
	store_release(&j->next, journal_pair(rsp_prod, worked));
}

static inline void journal_after_show(struct journal *j)
{
	store_release(&j->now, j->next);
	store_release(&j->nr_finished, 0);
}

/* rsp[0..nr) are complete; before they are put at rsp_prod. */
static inline void journal_flush(struct journal *j, uint32_t rsp_prod, uint32_t nr)
{
	store_release(&j->rx_flush, journal_pair(rsp_prod, nr));
}

/* A fresh connection, or one that goes on with nothing open. */
static inline void journal_begin(struct journal *j, uint32_t tx_rsp_prod, uint32_t rx_rsp_prod)
{
	for (uint32_t i = 0; i < JOURNAL_SLOTS; i++)
		j->attached[i] = JOURNAL_FREE;
	j->nr_finished = 0;
	j->taken_end = tx_rsp_prod;
	j->next = j->now = journal_pair(tx_rsp_prod, tx_rsp_prod);
	j->rx_flush = journal_pair(rx_rsp_prod, 0);
}

#endif
