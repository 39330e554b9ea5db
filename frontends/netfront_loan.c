/*
 * frontends/netfront_loan.c - makes the stock of pages to lend, and waits for what is out when its connection is over.
 *
 * Owns, Trusts, Runs in, Fails: netfront_loan.h.
 */
#include "frontends/netfront_loan.h"

#include <errno.h>
#include <stdlib.h>

#include "hv/hv.h"

int netfront_loans_create(struct hv *hv, domid_t peer, uint32_t nr_pages, struct netfront_loans **out)
{
	struct netfront_loans *l = aligned_alloc(RING_LINE_BYTES, sizeof(*l));
	void *pages;
	int rc;

	if (!l)
		return -ENOMEM;
	*l = (struct netfront_loans){.hv = hv, .nr_pages = nr_pages};
	rc = hv_share(hv, peer, nr_pages, false, l->refs, &pages);
	if (rc < 0) {
		free(l);
		return rc;
	}
	l->pages_sh = pages;
	*out = l;
	return 0;
}

static unsigned count_out(struct netfront_loans *l)
{
	unsigned nr = 0;

	for (uint32_t i = 0; i < l->nr_pages; i++)
		nr += load_acquire(&l->loan[i].is_out);
	return nr;
}

static void destroy(struct netfront_loans *l)
{
	hv_unshare(l->hv, l->pages_sh, l->nr_pages, l->refs);
	free(l);
}

void netfront_loans_close(struct netfront_loans *l, struct netfront_lending *lending)
{
	if (!l)
		return;
	/* What lies in a tx slot has no other owner, and is not answered any more. */
	for (uint32_t i = 0; i < l->nr_pages; i++)
		if (l->loan[i].is_resent)
			netfront_loan_end(&l->loan[i]);
	l->next = lending->left;
	lending->left = l;
	netfront_lending_sweep(lending);
}

unsigned netfront_lending_sweep(struct netfront_lending *lending)
{
	struct netfront_loans **at = &lending->left;
	unsigned out = 0;

	while (*at) {
		struct netfront_loans *l = *at;
		unsigned nr = count_out(l);

		out += nr;
		if (nr) {
			at = &l->next;
			continue;
		}
		*at = l->next;
		destroy(l);
	}
	return out;
}
