/*
 * netback/resume.c - reads a journal against the rings, and brings both to where a running queue has them.
 *
 * A kill while this runs leaves a journal that can be read again: answers are noted at their index before they are put.
 */
#include "netback/resume.h"

/* How far requests were worked on when the ring's rsp_prod was this one. False: the journal's back end never showed that. */
static bool find_worked(const struct journal *j, uint32_t rsp_prod, uint32_t *worked)
{
	bool is_next = journal_low(j->next) == rsp_prod;

	if (!is_next && journal_low(j->now) != rsp_prod)
		return false;
	*worked = journal_high(is_next ? j->next : j->now);
	return *worked - rsp_prod <= JOURNAL_SLOTS && j->taken_end - rsp_prod <= JOURNAL_SLOTS &&
	       j->taken_end - *worked <= j->taken_end - rsp_prod;
}

/* Entries of finished[] that are not shown, each to be answered at the next index; in was_finished the slots that they stand for. */
static uint32_t lend_finished(struct journal *j, uint32_t rsp_prod, uint16_t ids[], bool was_finished[])
{
	uint32_t n = 0;

	for (uint32_t i = 0; i < j->nr_finished && n < JOURNAL_SLOTS; i++) {
		uint64_t e = j->finished[i];

		if ((int32_t)(journal_high(e) - rsp_prod) < 0)
			continue;
		was_finished[journal_slot(e)] = true;
		store_release(&j->finished[i], journal_pair(journal_low(e), rsp_prod + n));
		ids[n++] = journal_id(e);
	}
	return n;
}

/* Pages that were lent out and are unanswered; what packets from worked on borrowed counts for nothing. Their ids. */
static uint32_t lent(struct journal *j, uint32_t rsp_prod, uint32_t worked, uint16_t ids[])
{
	bool was_finished[JOURNAL_SLOTS] = {false};
	uint32_t n = lend_finished(j, rsp_prod, ids, was_finished);

	for (uint32_t slot = 0; slot < JOURNAL_SLOTS; slot++) {
		uint64_t e = j->attached[slot];

		if (e == JOURNAL_FREE)
			continue;
		/* The kill came between the two stores of journal_finish; or it belongs to a packet that is worked on again. */
		if (was_finished[slot] || (int32_t)(journal_high(e) - worked) >= 0 || n == JOURNAL_SLOTS ||
		    j->nr_finished == JOURNAL_FINISHED) {
			store_release(&j->attached[slot], JOURNAL_FREE);
			continue;
		}
		journal_finish(j, slot, journal_id(e), rsp_prod + n);
		ids[n++] = journal_id(e);
	}
	return n;
}

static int resume_tx(struct vif_queue *q)
{
	struct netif_txr_back *ring = &q->tx.ring;
	struct journal *j = q->journal;
	uint16_t ids[JOURNAL_SLOTS];
	uint32_t worked;

	if (j->nr_finished > JOURNAL_FINISHED || !find_worked(j, ring->rsp_prod, &worked))
		return -EPROTO;
	store_release(&j->now, journal_pair(ring->rsp_prod, worked));
	if (lent(j, ring->rsp_prod, worked, ids) != worked - ring->rsp_prod)
		return -EPROTO;
	q->tx.taken_at = worked;
	q->tx.taken_end = ring->req_cons = j->taken_end;
	if (netif_txr_back_pending(ring) < 0)
		return -EPROTO;
	while (ring->rsp_prod != worked)
		netif_txr_back_put(ring, &(struct netif_tx_response){.id = ids[ring->rsp_prod - ring->rsp_shown],
								     .status = NETIF_RSP_DROPPED});
	journal_before_show(j, worked, worked);
	netif_txr_back_push(ring);
	journal_after_show(j);
	return 0;
}

/* A batch of answers is in the ring and shown, or none of it is shown: then it is put there now. */
static int resume_rx(struct vif_queue *q)
{
	struct netif_rxr_back *ring = &q->rx.ring;
	uint32_t prod = journal_low(q->journal->rx_flush), nr = journal_high(q->journal->rx_flush);

	if (nr > JOURNAL_SLOTS || (ring->rsp_prod != prod && ring->rsp_prod != prod + nr))
		return -EPROTO;
	if (ring->rsp_prod != prod)
		return 0;
	ring->req_cons = prod + nr;
	if (netif_rxr_back_pending(ring) < 0)
		return -EPROTO;
	for (uint32_t i = 0; i < nr; i++)
		netif_rxr_back_put(ring, &q->journal->rsp[i]);
	netif_rxr_back_push(ring);
	return 0;
}

int resume_queue(struct vif_queue *q)
{
	int err = resume_tx(q);

	return err ? err : resume_rx(q);
}
