/*
 * frontends/netfront_loan.h - rx pages lent to the program, so that it has received frames where they are.   [hot]
 *
 *      ring <--posted in its place-- spare page
 *       |                                ^
 *       +--page of a long frame: lent--> program --netfront_loan_end, in any thread--+
 *                                           |                                        |
 *                                           +--sends it on--> tx slot --answered-----+
 *
 * There are twice as many rx pages as slots. Pages that are out are looked at in the order in which they went, a few at a time: to end
 * a loan is one store, whoever does it. Without a spare page a frame is copied.
 *
 * A program may keep what it has when the connection is over. Then the pages go to a netfront_lending, until they are back.
 *
 * Owns     the rx pages of a queue that lends, their grants, and the record of each.
 * Trusts   the program to end each loan once. Not the back end; but it can write into a page that is lent, after all checks: lending is
 *          for programs that trust it so far.
 * Runs in  lend, collect: the thread that receives; netfront_loan_end: any; create, close, sweep: the bus's.
 * Fails    -errno; nothing is left.
 */
#ifndef SLUICE_FRONTENDS_NETFRONT_LOAN_H
#define SLUICE_FRONTENDS_NETFRONT_LOAN_H

#include "rings/atomics.h"
#include "rings/ring.h"
#include "rings/types.h"

#define NETFRONT_MAX_LOANS 512u /* a power of two: two pages for each slot */
#define NETFRONT_LOAN_LOOKS 64u /* pages out that are looked at in one go */

struct hv;

/* One page. */
struct netfront_loan {
	uint64_t borrower[3]; /* the program's own record, which it finds here until it ends the loan */
	uint16_t page;
	bool is_out;    /* cleared by whoever ends the loan */
	bool is_resent; /* the sending thread's: a tx slot ends the loan, nobody else */
};

struct netfront_loans {
	struct netfront_loans *next; /* in a netfront_lending */
	struct hv *hv;
	uint8_t *pages_sh;
	uint32_t nr_pages;
	unsigned nr_spare;
	uint16_t spare[NETFRONT_MAX_LOANS]; /* a stack: the page that came back last is still in the cache */
	unsigned nr_out;
	unsigned out_at; /* the first of out[] */
	uint16_t out[NETFRONT_MAX_LOANS]; /* a queue */
	grant_ref_t refs[NETFRONT_MAX_LOANS];
	struct netfront_loan loan[NETFRONT_MAX_LOANS] __attribute__((aligned(RING_LINE_BYTES)));
};

/* Pages of connections that are over; all zeros: none. */
struct netfront_lending {
	struct netfront_loans *left;
};

/* Shares pages with the peer. */
int netfront_loans_create(struct hv *hv, domid_t peer, uint32_t nr_pages, struct netfront_loans **out);
/* The connection is over, and nobody receives or sends on it. Takes NULL. */
void netfront_loans_close(struct netfront_loans *l, struct netfront_lending *lending);
/* Gives back what has come home; returns how many pages are still out. */
unsigned netfront_lending_sweep(struct netfront_lending *lending);

/* All are at home; the first nr_posted of them are not spare. */
static inline void netfront_loans_init(struct netfront_loans *l, uint32_t nr_posted)
{
	l->nr_out = 0;
	l->out_at = 0;
	l->nr_spare = 0;
	for (uint32_t i = 0; i < l->nr_pages; i++)
		l->loan[i] = (struct netfront_loan){.page = (uint16_t)i};
	for (uint32_t i = l->nr_pages; i > nr_posted; i--)
		l->spare[l->nr_spare++] = (uint16_t)(i - 1);
}

static inline void netfront_loan_end(struct netfront_loan *loan)
{
	store_release(&loan->is_out, false); /* pairs with netfront_loans_collect's acquire */
}

/* Finds out which pages have come back. */
static inline void netfront_loans_collect(struct netfront_loans *l)
{
	for (unsigned i = l->nr_out < NETFRONT_LOAN_LOOKS ? l->nr_out : NETFRONT_LOAN_LOOKS; i; i--) {
		uint16_t page = l->out[l->out_at++ % NETFRONT_MAX_LOANS];

		if (load_acquire(&l->loan[page].is_out)) {
			l->out[(l->out_at + l->nr_out - 1) % NETFRONT_MAX_LOANS] = page;
			continue;
		}
		l->nr_out--;
		l->spare[l->nr_spare++] = page;
	}
}

/* Lends *page, and puts a spare one in its place. NULL: there is none. */
static inline struct netfront_loan *netfront_loans_lend(struct netfront_loans *l, uint16_t *page)
{
	struct netfront_loan *loan = &l->loan[*page];

	if (!l->nr_spare)
		netfront_loans_collect(l);
	if (!l->nr_spare)
		return NULL;
	l->out[(l->out_at + l->nr_out++) % NETFRONT_MAX_LOANS] = *page;
	*page = l->spare[--l->nr_spare];
	loan->is_out = true;
	return loan;
}

/* The loan whose record that is, or NULL. */
static inline struct netfront_loan *netfront_loans_find(struct netfront_loans *l, const void *borrower)
{
	uintptr_t at = (uintptr_t)borrower - (uintptr_t)l->loan;

	return at < sizeof(l->loan) ? &l->loan[at / sizeof(l->loan[0])] : NULL;
}

#endif
