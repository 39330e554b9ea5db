/*
 * test/fuzz/blkfront_ring_fuzz.c - the input is what a back end does to the ring and the pages of a blkfront.
 *
 * The first byte says what kind of connection it is: pool, lists, sectors, kept requests. Each step is 8 bytes; after each the
 * front end submits and polls. At the end the connection is given up, the back end lets go of everything, and every request
 * and every ref must have come back.
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
		blkif_ring_back_push(&p->back.native);
		break;
	case 1:
	case 2: /* the right answer to the next request, with any status */
		if (blkif_ring_back_pending(&p->back.native) <= 0)
			break;
		blkif_ring_back_take(&p->back.native, &w->last);
		if (s->what & 0x80)
			hold_a_page(w, s);
		blk_pair_answer(p, w->last.id, w->last.operation, (int16_t)s->status);
		blkif_ring_back_push(&p->back.native);
		break;
	case 3:
		if (blkif_ring_back_pending(&p->back.native) > 0)
			blk_pair_serve_all(p);
		blkif_ring_back_push(&p->back.native);
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
		blkif_ring_back_push(&p->back.native);
		break;
	}
}

static void submit_one(struct world *w, const struct step *s)
{
	static const uint8_t ops[] = {BLKIF_OP_READ, BLKIF_OP_WRITE, BLKIF_OP_FLUSH_DISKCACHE, BLKIF_OP_INDIRECT,
				      BLKIF_OP_READ, BLKIF_OP_WRITE, BLKIF_OP_WRITE_BARRIER, BLKIF_OP_DISCARD};
	unsigned i = s->number % NR_REQUESTS;

	if (w->is_out[i])
		return;
	w->req[i] = (struct blkfront_request){.op = ops[s->op % 8], .sector = s->id % 2048u,
					      .nr_sectors = s->op % 8 == 2 ? 0 : s->status % 700u,
					      .data = blk_pair_buffer(&w->p, i * 90) + s->id % 8 * 512};
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

/* The back end goes, and another one comes. */
static void reconnect(struct world *w)
{
	struct blk_pair *p = &w->p;

	blkfront_ring_abort(&p->front);
	blkfront_ring_prepare(&p->front, p->area, p->area_bytes, 0);
	blk_pair_share(p, &p->front.pool, 0, p->front.pool.nr, false);
	blk_pair_share(p, &p->front.lists, BLK_PAIR_POOL_PAGES, p->front.lists.nr, true);
	blkfront_ring_start(&p->front);
	blkif_ring_back_init(&p->back.native, p->area, p->area_bytes);
}

static void begin(struct world *w, uint8_t kind)
{
	struct blkfront_ring *r = &w->p.front;

	blkfront_ring_prepare(r, w->p.area, w->p.area_bytes, 0);
	r->keeps = kind & 1;
	r->max_segments = BLKFRONT_SEGMENTS;
	blk_pair_add_pool(&w->p, kind & 2 ? 40 : 0, (kind & 6) == 6);
	if (kind & 8)
		blk_pair_add_lists(&w->p, 32);
	else
		blkfront_slots_init(&r->lists, 0, NULL, NULL, NULL);
	w->p.hard_disk.sector_bytes = kind & 16 ? 4096 : 512;
	w->p.hard_disk.can_barrier = w->p.hard_disk.can_discard = kind & 32;
	blkfront_ring_start(r);
	blkif_ring_back_init(&w->p.back.native, w->p.area, w->p.area_bytes);
	memset(&w->last, 0, sizeof(w->last));
}

static void finish(struct world *w)
{
	blkfront_ring_abort(&w->p.front);
	blkfront_ring_give_up(&w->p.front);
	while (w->nr_held)
		let_go(w);
	for (unsigned i = 0; i < 200; i++)
		take_done(w);
	for (unsigned i = 0; i < NR_REQUESTS; i++)
		if (w->is_out[i])
			abort();
	if (blkfront_ring_outstanding(&w->p.front) || w->p.front.grants.nr_free != w->p.front.grants.nr)
		abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct world w;
	struct step s;

	if (!w.p.ram)
		blk_pair_init(&w.p, 0);
	if (!size)
		return 0;
	begin(&w, *data++);
	size--;
	for (; size >= sizeof(s); data += sizeof(s), size -= sizeof(s)) {
		memcpy(&s, data, sizeof(s));
		submit_one(&w, &s);
		blkfront_ring_push(&w.p.front);
		back_does(&w, &s);
		if (s.what == 0xff && w.p.front.keeps)
			reconnect(&w);
		take_done(&w);
		blkfront_ring_arm(&w.p.front);
	}
	finish(&w);
	return 0;
}
