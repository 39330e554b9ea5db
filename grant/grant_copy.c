/*
 * grant/grant_copy.c - validates, pins, copies, unpins.   [hot]
 *
 * Ops that follow each other on one ref share a pin: a packet's header and body, a page filled piece by piece. An op that
 * stands alone keeps the entry locked while it copies: three locked instructions, not four, and no count.
 *
 * Owns     at most one pin at a time (two in grant_copy_between), none on return.
 * Trusts   no ref, offset or length. The granted page may change while it is copied: nothing is read from it twice.
 * Fails    each op on its own, in its status.
 */
#include <string.h>

#include "grant/active.h"
#include "grant/grant_copy.h"

/* The pin that the last op left. */
struct copy_pin {
	uint8_t *page; /* NULL: none */
	grant_ref_t ref;
	bool readonly;
};

static void copy_unpin(const struct grant_peer *peer, struct copy_pin *pin)
{
	if (pin->page)
		grant_unpin(peer, pin->ref, pin->readonly);
	pin->page = NULL;
}

/* Makes pin hold ref for the wanted access; keeps the one it has when that will do. */
static int16_t copy_pin(const struct grant_peer *peer, struct copy_pin *pin, grant_ref_t ref, bool readonly)
{
	void *page;
	int16_t status;

	if (pin->page && pin->ref == ref && (readonly || !pin->readonly))
		return GNTST_okay;
	copy_unpin(peer, pin);
	status = grant_pin(peer, ref, readonly, &page);
	if (status == GNTST_okay)
		*pin = (struct copy_pin){.page = page, .ref = ref, .readonly = readonly};
	return status;
}

static void copy_bytes(const struct grant_copy_op *op, uint8_t *page)
{
	if (op->to_peer)
		memcpy(page + op->offset, op->local, op->len);
	else
		memcpy(op->local, page + op->offset, op->len);
}

static int16_t copy_pinned(const struct grant_peer *peer, struct copy_pin *pin, const struct grant_copy_op *op)
{
	int16_t status = copy_pin(peer, pin, op->ref, !op->to_peer);

	if (status == GNTST_okay)
		copy_bytes(op, pin->page);
	return status;
}

/* One copy from a ref, with its entry locked meanwhile: nothing is counted, and a lock less is taken than by pin and unpin. */
static int16_t copy_locked(const struct grant_peer *peer, const struct grant_copy_op *op)
{
	struct active_claim claim;
	struct grant_active *act;
	int16_t status;

	if (op->ref >= peer->nr_entries)
		return GNTST_bad_gntref;
	act = &peer->active[op->ref];
	active_lock(act, peer->slot);
	status = active_claim(peer, op->ref, !op->to_peer, &claim);
	if (status == GNTST_okay) {
		copy_bytes(op, claim.page);
		active_unclaim(&peer->entries_sh[op->ref], claim.bits);
	}
	active_unlock(act);
	return status;
}

unsigned grant_copy(const struct grant_peer *peer, struct grant_copy_op ops[], unsigned n)
{
	struct copy_pin pin = {.page = NULL};
	unsigned nr_failed = 0;

	for (unsigned i = 0; i < n; i++) {
		struct grant_copy_op *op = &ops[i];

		if (op->offset + (unsigned)op->len > PAGE_BYTES)
			op->status = GNTST_bad_copy_arg;
		else if ((pin.page && pin.ref == op->ref) || (i + 1 < n && ops[i + 1].ref == op->ref))
			op->status = copy_pinned(peer, &pin, op);
		else
			op->status = copy_locked(peer, op);
		nr_failed += op->status != GNTST_okay;
	}
	copy_unpin(peer, &pin);
	return nr_failed;
}

/* One end of a GNTTABOP_copy: a pinned grant, or a frame of the caller's own memory. */
static int16_t end_get(const struct grant_peer *peer, const struct gate *memory, const struct gnttab_copy_ptr *at,
		       bool readonly, void **page)
{
	if (peer)
		return grant_pin(peer, at->u.ref, readonly, page);
	*page = gate_page(memory, at->u.gmfn);
	return *page ? GNTST_okay : GNTST_bad_page;
}

static void end_put(const struct grant_peer *peer, const struct gnttab_copy_ptr *at, bool readonly)
{
	if (peer)
		grant_unpin(peer, at->u.ref, readonly);
}

int16_t grant_copy_between(const struct grant_peer *src, const struct gate *src_memory, const struct grant_peer *dst,
			   const struct gate *dst_memory, const struct gnttab_copy *op)
{
	void *from, *to;
	int16_t status;

	if (!src != !(op->flags & GNTCOPY_source_gref) || !dst != !(op->flags & GNTCOPY_dest_gref))
		return GNTST_general_error;
	if (op->source.offset + (unsigned)op->len > PAGE_BYTES || op->dest.offset + (unsigned)op->len > PAGE_BYTES)
		return GNTST_bad_copy_arg;
	status = end_get(src, src_memory, &op->source, true, &from);
	if (status != GNTST_okay)
		return status;
	status = end_get(dst, dst_memory, &op->dest, false, &to);
	if (status != GNTST_okay)
		goto put_source;
	/* Both ends may be one page. */
	memmove((uint8_t *)to + op->dest.offset, (uint8_t *)from + op->source.offset, op->len);
	end_put(dst, &op->dest, false);
put_source:
	end_put(src, &op->source, true);
	return status;
}
