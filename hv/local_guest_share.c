/*
 * hv/local_guest_share.c - a guest's pages granted for as long as they live.
 *
 * Owns     the pages from share until the last peer has let go after unshare.
 * Runs in  any thread.
 */
#include <errno.h>
#include <stdlib.h>

#include "hv/local_guest.h"
#include "rings/atomics.h"

/* Pages on their way back: freed when no grant of them is in use any more. */
struct released_pages {
	struct local_guest *guest;
	void *pages;
	unsigned nr;
	unsigned nr_held; /* atomic: grants that have not ended */
};

static void grant_released(void *arg)
{
	struct released_pages *r = arg;

	if (fetch_sub_acq_rel(&r->nr_held, 1) != 1) /* pairs with itself: the last one frees */
		return;
	local_pages_free(&r->guest->pages, r->pages, r->nr);
	free(r);
}

int local_guest_share(struct hv *hv, domid_t peer, unsigned nr, bool readonly, grant_ref_t refs[], void **pages)
{
	struct local_guest *g = local_guest_of(hv);
	uint32_t frame;
	unsigned done;
	void *base;
	int err = hv_pages_alloc(hv, nr, &base);

	if (err)
		return err;
	for (done = 0; done < nr; done++) {
		err = grant_table_alloc(g->grants, &refs[done]);
		if (err)
			goto free_refs;
	}
	frame = hv_frame_of(hv, base);
	for (unsigned i = 0; i < nr; i++)
		grant_table_permit(g->grants, refs[i], peer, frame + i, readonly);
	*pages = base;
	return 0;
free_refs:
	while (done--)
		grant_table_free(g->grants, refs[done]);
	hv_pages_free(hv, base, nr);
	return err;
}

/*
 * A grant that cannot even be queued for want of memory keeps its page for good: a page that the peer may still write must
 * not be used again.
 */
void local_guest_unshare(struct hv *hv, void *pages, unsigned nr, const grant_ref_t refs[])
{
	struct local_guest *g = local_guest_of(hv);
	struct released_pages *r = malloc(sizeof(*r));

	if (!r)
		return;
	*r = (struct released_pages){.guest = g, .pages = pages, .nr = nr, .nr_held = nr + 1};
	for (unsigned i = 0; i < nr; i++)
		grant_table_end_when_idle(g->grants, refs[i], grant_released, r);
	grant_released(r);
	grant_table_reap(g->grants, 64);
}
