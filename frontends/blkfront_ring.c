/*
 * frontends/blkfront_ring.c - answers taken and checked; pages that the back end keeps; what an end of the connection leaves.
 *                                                                                                            [hot]
 *
 * Owns     parts and their slots from submit until their last grant has ended.
 * Trusts   no response.
 * Runs in  the queue's thread.
 * Fails    blkfront_ring.h.
 */
#include "frontends/blkfront_ring.h"

/* How many held parts one poll looks at. */
#define HELD_BUDGET 8u
/* Answers that are looked at together. */
#define TAKE_BATCH 16u

static void break_ring(struct blkfront_ring *r, const char *why)
{
	r->broken = why;
}

void blkfront_ring_init(struct blkfront_ring *r)
{
	r->done = r->again = NULL;
	r->done_tail = &r->done;
	r->max_segments = BLKFRONT_SEGMENTS;
	r->max_bytes = BLKFRONT_MIN_MAX_BYTES;
	if (!r->count)
		r->count = &r->own_count;
}

void blkfront_ring_prepare(struct blkfront_ring *r, void *area, size_t area_bytes, domid_t peer)
{
	blkif_ring_front_init(&r->ring.native, area, area_bytes);
	r->peer = peer;
	r->broken = NULL;
}

void blkfront_ring_start(struct blkfront_ring *r)
{
	r->nr_free = 0;
	for (unsigned id = r->ring.native.mask + 1; id-- > 0;)
		if (r->part[id].state == BLKFRONT_PART_FREE)
			r->free[r->nr_free++] = (uint16_t)id;
	r->is_connected = true;
	blkfront_ring_ask_again(r);
}

bool blkfront_ring_push(struct blkfront_ring *r)
{
	bool wake;

	if (!r->is_connected || r->broken || r->ring.native.req_prod == r->ring.native.req_shown)
		return false;
	wake = blkif_ring_front_push(&r->ring.native);
	if (wake)
		r->count->notify_sent++;
	else
		r->count->notify_suppressed++;
	return wake;
}

/* ---- a request's end ------------------------------------------------------------------------------------------------------- */

/* A connection's end finds requests in the order of their ids; a barrier must not overtake what it waits for. */
static void keep(struct blkfront_ring *r, struct blkfront_request *req)
{
	struct blkfront_request **at = &r->again;

	while (*at && (*at)->order < req->order)
		at = &(*at)->next;
	req->next = *at;
	*at = req;
}

static __attribute__((noinline)) void count_time(struct blkfront_ring *r, const struct blkfront_request *req)
{
	histogram_add(req->op == BLKIF_OP_READ ? &r->count->read_ns : &r->count->write_ns,
		      clock_ticks_to_ns(clock_ticks() - req->started, r->tick_length));
}

void blkfront_ring_complete(struct blkfront_ring *r, struct blkfront_request *req)
{
	if (req->started)
		count_time(r, req);
	req->is_busy = false;
	if (req->is_private)
		return;
	req->next = NULL;
	*r->done_tail = req;
	r->done_tail = &req->next;
}

static void free_part(struct blkfront_ring *r, uint16_t id)
{
	struct blkfront_request *req = r->part[id].req;

	r->part[id].state = BLKFRONT_PART_FREE;
	r->part[id].req = NULL;
	if (r->is_connected && id <= r->ring.native.mask)
		r->free[r->nr_free++] = id;
	if (--req->parts_left)
		return;
	if (req->status == -ENODEV && r->keeps)
		keep(r, req);
	else
		blkfront_ring_complete(r, req);
}

/* Ends what can be ended; true: the back end holds none of the part's pages any more. */
static bool end_grants(struct blkfront_ring *r, struct blkfront_part *p)
{
	uint32_t slot = p->first, nr = p->nr_slots;

	for (p->nr_slots = 0; nr--;) {
		uint32_t next = r->grants.next[slot];

		if (grant_table_end(r->gt, r->grants.ref[slot]) == 0) {
			blkfront_slots_give(&r->grants, slot);
		} else { /* kept ones are chained anew, in whatever order */
			r->grants.next[slot] = p->first;
			p->first = slot;
			p->nr_slots++;
		}
		slot = next;
	}
	return !p->nr_slots;
}

/* The data of a read that went well. */
static void copy_out(struct blkfront_ring *r, struct blkfront_part *p)
{
	uint8_t *to = p->data;
	uint32_t left = p->nr_bytes;

	for (uint32_t slot = p->first; left; slot = r->pool.next[slot]) {
		uint32_t bytes = left < PAGE_BYTES ? left : PAGE_BYTES;

		memcpy(to, blkfront_slots_page(&r->pool, slot), bytes);
		to += bytes;
		left -= bytes;
	}
}

/* True: nothing of the part is the back end's any more. */
static bool end_slots(struct blkfront_ring *r, struct blkfront_part *p)
{
	if (!p->nr_slots)
		return true;
	if (!p->is_pooled)
		return end_grants(r, p);
	if (r->is_connected) /* else the pool went with the connection */
		blkfront_slots_give_chain(&r->pool, p->first, p->last, p->nr_slots);
	p->nr_slots = 0;
	return true;
}

static void give_lists(struct blkfront_ring *r, struct blkfront_part *p)
{
	while (p->nr_lists) {
		uint32_t slot = p->list;

		p->list = r->lists.next[slot];
		p->nr_lists--;
		if (r->is_connected)
			blkfront_slots_give(&r->lists, slot);
	}
}

/* The part is answered (or never will be): frees it, or holds it until the back end lets go of its pages. */
static void finish_part(struct blkfront_ring *r, uint16_t id, int status)
{
	struct blkfront_part *p = &r->part[id];

	if (status && (!p->req->status || status == -ENODEV))
		p->req->status = status;
	if (!status && p->is_pooled && p->op == BLKIF_OP_READ)
		copy_out(r, p);
	give_lists(r, p);
	if (end_slots(r, p)) {
		free_part(r, id);
		return;
	}
	p->state = BLKFRONT_PART_HELD;
	r->held[r->nr_held++] = id;
	r->count->held++;
}

/* Looks at some of the held parts again; those still in use go to the end of the list. */
static void retry_held(struct blkfront_ring *r)
{
	unsigned tries = r->nr_held < HELD_BUDGET ? r->nr_held : HELD_BUDGET;

	for (unsigned i = 0; i < tries; i++) {
		uint16_t id = r->held[0];

		memmove(r->held, r->held + 1, (size_t)--r->nr_held * sizeof(r->held[0]));
		if (end_grants(r, &r->part[id]))
			free_part(r, id);
		else
			r->held[r->nr_held++] = id;
	}
}

/* ---- answers ------------------------------------------------------------------------------------------------------------------ */

static int errno_of_status(struct blkfront_ring *r, int16_t status)
{
	if (status == BLKIF_RSP_OKAY)
		return 0;
	r->count->errors++;
	if (status == BLKIF_RSP_EOPNOTSUPP) {
		r->count->unsupported++;
		return -EOPNOTSUPP;
	}
	if (status != BLKIF_RSP_ERROR)
		r->count->strange_status++;
	return -EIO;
}

/* An indirect request is answered with what it asked for, or, by some, with its own name. */
static bool is_answer_to(const struct blkif_response *rsp, const struct blkfront_part *p)
{
	return rsp->operation == p->op || (p->nr_lists && rsp->operation == BLKIF_OP_INDIRECT);
}

/* Takes up to TAKE_BATCH of them. What they will end is fetched meanwhile: the back end has just written there. */
static unsigned copy_responses(struct blkfront_ring *r, struct blkif_response rsp[], unsigned pending)
{
	unsigned n = pending < TAKE_BATCH ? pending : TAKE_BATCH;

	for (unsigned i = 0; i < n; i++) {
		const struct blkfront_part *p;

		blkif_any_front_take(&r->ring, &rsp[i]);
		if (rsp[i].id > r->ring.native.mask)
			continue;
		p = &r->part[rsp[i].id];
		if (p->nr_slots && !p->is_pooled)
			grant_table_prefetch(r->gt, r->grants.ref[p->first]);
	}
	return n;
}

/* False: no honest back end answers so. */
static bool take_response(struct blkfront_ring *r, const struct blkif_response *rsp)
{
	if (rsp->id > r->ring.native.mask || r->part[rsp->id].state != BLKFRONT_PART_ASKED) {
		break_ring(r, "a response for a request that is not outstanding");
		return false;
	}
	if (!is_answer_to(rsp, &r->part[rsp->id])) {
		break_ring(r, "a response to another operation than was asked");
		return false;
	}
	finish_part(r, (uint16_t)rsp->id, errno_of_status(r, rsp->status));
	return true;
}

static void take_responses(struct blkfront_ring *r)
{
	int pending = blkif_ring_front_pending(&r->ring.native);
	struct blkif_response rsp[TAKE_BATCH];

	if (pending < 0) {
		break_ring(r, "more responses than there were requests");
		return;
	}
	while (pending > 0) {
		unsigned n = copy_responses(r, rsp, (unsigned)pending);

		for (unsigned i = 0; i < n; i++)
			if (!take_response(r, &rsp[i]))
				return;
		pending -= (int)n;
	}
}

unsigned blkfront_ring_poll(struct blkfront_ring *r, struct blkfront_request *done[], unsigned max)
{
	unsigned n = 0;

	if (r->nr_held)
		retry_held(r);
	if (r->is_connected && !r->broken) {
		take_responses(r);
		if (r->again)
			blkfront_ring_ask_again(r);
	}
	while (n < max && r->done) {
		done[n++] = r->done;
		r->done = r->done->next;
	}
	if (!r->done)
		r->done_tail = &r->done;
	if (n) {
		r->count->bursts++;
		histogram_batch_add(&r->count->batch, n);
	}
	return n;
}

bool blkfront_ring_arm(struct blkfront_ring *r)
{
	if (r->done || r->broken)
		return true;
	return r->is_connected && blkif_ring_front_final_check(&r->ring.native);
}

unsigned blkfront_ring_outstanding(const struct blkfront_ring *r)
{
	unsigned n = 0;

	for (unsigned id = 0; id < r->nr_parts; id++)
		n += r->part[id].state != BLKFRONT_PART_FREE;
	return n;
}

/* ---- the connection's end --------------------------------------------------------------------------------------------------- */

void blkfront_ring_abort(struct blkfront_ring *r)
{
	r->is_connected = false;
	for (unsigned id = 0; id < r->nr_parts; id++)
		if (r->part[id].state == BLKFRONT_PART_ASKED)
			finish_part(r, (uint16_t)id, -ENODEV);
}

void blkfront_ring_give_up(struct blkfront_ring *r)
{
	r->keeps = false;
	while (r->again) {
		struct blkfront_request *req = r->again;

		r->again = req->next;
		req->status = -ENODEV;
		blkfront_ring_complete(r, req);
	}
}
