/*
 * test/fuzz/blkfront_ring_fuzz.c - the input is what a back end does to the ring and the pages of a blkfront.
 *
 * Each step is 8 bytes. After each the front end submits and polls. At the end the connection is given up, the back end lets
 * go of everything, and every request and every ref must have come back.
 */
#include "blk_pair.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define NR_REQUESTS 8u
#define MAX_HELD 16u

struct step {
	uint8_t what;
	uint8_t op;
	uint16_t id;
	uint16_t status;
	uint16_t number;
};

_Static_assert(sizeof(struct step) == 8, "a step of the input");

struct held {
	grant_ref_t ref;
	bool readonly;
};

struct world {
	struct blk_pair p;
	struct blkfront_request req[NR_REQUESTS];
	bool is_out[NR_REQUESTS];
	struct blkif_request last; /* that the back end took */
	struct held held[MAX_HELD];
	unsigned nr_held;
};

static void hold_a_page(struct world *w, const struct step *s)
{
	struct held h = {w->last.seg[s->number % BLKFRONT_SEGMENTS].gref, s->op & 1};
	void *page;

	if (w->nr_held < MAX_HELD && grant_pin(&w->p.peer, h.ref, h.readonly, &page) == GNTST_okay)
		w->held[w->nr_held++] = h;
}

static void let_go(struct world *w)
{
	if (w->nr_held) {
		w->nr_held--;
		grant_unpin(&w->p.peer, w->held[w->nr_held].ref, w->held[w->nr_held].readonly);
	}
}

static void back_does(struct world *w, const struct step *s)
{
	struct blk_pair *p = &w->p;

	switch (s->what % 8) {
	case 0: /* an answer of its own choice */
		blk_pair_answer(p, s->id, s->op, (int16_t)s->status);
		blkif_ring_back_push(&p->back);
		break;
	case 1:
	case 2: /* the right answer to the next request, with any status */
		if (blkif_ring_back_pending(&p->back) <= 0)
			break;
		blkif_ring_back_take(&p->back, &w->last);
		if (s->what & 0x80)
			hold_a_page(w, s);
		blk_pair_answer(p, w->last.id, w->last.operation, (int16_t)s->status);
		blkif_ring_back_push(&p->back);
		break;
	case 3:
		if (blkif_ring_back_pending(&p->back) > 0)
			blk_pair_serve_all(p);
		blkif_ring_back_push(&p->back);
		break;
	case 4:
		hold_a_page(w, s);
		break;
	case 5:
		let_go(w);
		break;
	case 6:
		((uint32_t *)p->area)[s->id % 16] = (uint32_t)s->status << 16 | s->number;
		break;
	case 7: /* an answer to what is outstanding, perhaps again */
		blk_pair_answer(p, w->last.id, w->last.operation, BLKIF_RSP_OKAY);
		blkif_ring_back_push(&p->back);
		break;
	}
}

static void submit_one(struct world *w, const struct step *s)
{
	static const uint8_t ops[] = {BLKIF_OP_READ, BLKIF_OP_WRITE, BLKIF_OP_FLUSH_DISKCACHE, BLKIF_OP_INDIRECT};
	unsigned i = s->number % NR_REQUESTS;

	if (w->is_out[i])
		return;
	w->req[i] = (struct blkfront_request){.op = ops[s->op % 4], .sector = s->id % 2048u,
					      .nr_sectors = s->op % 4 == 2 ? 0 : s->status % 300u,
					      .data = blk_pair_buffer(&w->p, i * 64) + s->id % 8 * 512};
	w->is_out[i] = blkfront_ring_submit(&w->p.front, &w->req[i]) == 0;
}

static void take_done(struct world *w)
{
	struct blkfront_request *done[3];
	unsigned n = blkfront_ring_poll(&w->p.front, done, 3);

	for (unsigned k = 0; k < n; k++) {
		size_t i = (size_t)(done[k] - w->req);

		if (i >= NR_REQUESTS || !w->is_out[i] || done[k]->parts_left)
			abort();
		w->is_out[i] = false;
	}
}

static void finish(struct world *w)
{
	blkfront_ring_abort(&w->p.front);
	while (w->nr_held)
		let_go(w);
	for (unsigned i = 0; i < 200; i++)
		take_done(w);
	for (unsigned i = 0; i < NR_REQUESTS; i++)
		if (w->is_out[i])
			abort();
	if (blkfront_ring_outstanding(&w->p.front) || w->p.front.grants.nr != w->p.front.grants.capacity)
		abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct world w;
	struct step s;

	if (!w.p.ram)
		blk_pair_init(&w.p, 0);
	blkfront_ring_prepare(&w.p.front, w.p.area, w.p.area_bytes, 0);
	blkfront_ring_start(&w.p.front);
	blkif_ring_back_init(&w.p.back, w.p.area, w.p.area_bytes);
	memset(&w.last, 0, sizeof(w.last));
	for (; size >= sizeof(s); data += sizeof(s), size -= sizeof(s)) {
		memcpy(&s, data, sizeof(s));
		submit_one(&w, &s);
		blkfront_ring_push(&w.p.front);
		back_does(&w, &s);
		take_done(&w);
		blkfront_ring_arm(&w.p.front);
	}
	finish(&w);
	return 0;
}
