/*
 * netback/ctrl_note.c - writes the note after each request, and reads it when a control ring is taken over.
 */
#include <errno.h>

#include "netback/ctrl.h"

static void note_stage(struct ctrl_state *s, unsigned queue, const struct stage *stage)
{
	struct ctrl_staged *to = s->staged + queue * STAGE_MAX;
	uint32_t n = 0;

	for (uint32_t i = 0; stage && i < STAGE_BUCKETS && n < STAGE_MAX; i++)
		if (stage->entry[i].page)
			to[n++] = (struct ctrl_staged){.ref = stage->entry[i].ref, .is_readonly = stage->entry[i].is_readonly};
	s->nr_staged[queue] = n;
}

void ctrl_note_write(struct ctrl *c, const struct xen_netif_ctrl_response *rsp)
{
	uint32_t next;
	struct ctrl_state *s;

	if (!c->note)
		return;
	next = !c->note->holds;
	s = ctrl_note_half(c->note, next);
	s->steer = c->steer;
	for (unsigned i = 0; i < c->target.nr_queues; i++)
		note_stage(s, i, c->target.queue[i]->stage);
	s->rsp = *rsp;
	s->rsp_prod = c->ring.rsp_prod;
	s->has_rsp = true;
	store_release(&c->note->holds, next); /* pairs with nothing in this process: whoever reads the file later sees a whole half */
}

/* All at once; where the guest has ended one of the grants meanwhile, without those. */
static void restage(struct ctrl *c, unsigned queue, const struct ctrl_state *s)
{
	struct xen_netif_gref list[STAGE_MAX];
	const struct ctrl_staged *from = s->staged + queue * STAGE_MAX;
	uint32_t nr = s->nr_staged[queue] <= STAGE_MAX ? s->nr_staged[queue] : 0;

	for (uint32_t i = 0; i < nr; i++)
		list[i] = (struct xen_netif_gref){.ref = from[i].ref, .flags = from[i].is_readonly ? XEN_NETIF_CTRLF_GREF_readonly : 0};
	if (!nr || ctrl_stage(c, queue, list, nr) == 0)
		return;
	for (uint32_t i = 0; i < nr; i++)
		ctrl_stage(c, queue, &list[i], 1);
}

/* The answer is shown, or the earlier back end was killed before that: then it is given now, and the request not looked at again. */
static int resume_ring(struct ctrl *c, const struct ctrl_state *s)
{
	if (c->ring.rsp_prod == s->rsp_prod + 1)
		return 0;
	if (c->ring.rsp_prod != s->rsp_prod)
		return -EPROTO;
	c->ring.req_cons = s->rsp_prod + 1;
	if (netif_ctrlr_back_pending(&c->ring) < 0)
		return -EPROTO;
	netif_ctrlr_back_put(&c->ring, &s->rsp);
	netif_ctrlr_back_push(&c->ring);
	return 0;
}

int ctrl_begin(struct ctrl *c, struct ctrl_note *note, bool is_resumed)
{
	struct ctrl_state *s;
	int err;

	c->note = note;
	if (!note)
		return 0;
	s = ctrl_note_half(note, note->holds & 1);
	if (!is_resumed) {
		s->has_rsp = false;
		return 0;
	}
	if (!s->has_rsp)
		return 0;
	err = resume_ring(c, s);
	if (err)
		return err;
	if (c->target.steer && s->steer.nr_mapping <= STEER_MAX_MAPPING) {
		c->steer = s->steer;
		ctrl_put_into_force(c);
	}
	for (unsigned i = 0; i < c->target.nr_queues; i++)
		restage(c, i, s);
	hv_notify(c->hv, c->evtchn);
	return 0;
}
