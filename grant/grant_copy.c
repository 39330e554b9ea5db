/*
 * grant/grant_copy.c - validates, pins, copies, unpins.   [hot]
 *
 * Ops that follow each other on one ref share a pin: a packet's header and body, a page filled piece by piece.
 *
 * Owns     at most one pin at a time (two in grant_copy_between), none on return.
 * Trusts   no ref, offset or length. The granted page may change while it is copied: nothing is read from it twice.
 * Fails    each op on its own, in its status.
 */
#include <string.h>

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

static int16_t copy_one(const struct grant_peer *peer, struct copy_pin *pin, const struct grant_copy_op *op)
{
	int16_t status;

	if (op->offset + (unsigned)op->len > PAGE_BYTES)
		return GNTST_bad_copy_arg;
	status = copy_pin(peer, pin, op->ref, !op->to_peer);
	if (status != GNTST_okay)
		return status;
	if (op->to_peer)
		memcpy(pin->page + op->offset, op->local, op->len);
	else
		memcpy(op->local, pin->page + op->offset, op->len);
	return GNTST_okay;
}

unsigned grant_copy(const struct grant_peer *peer, struct grant_copy_op ops[], unsigned n)
{
	struct copy_pin pin = {.page = NULL};
	unsigned nr_failed = 0;

	for (unsigned i = 0; i < n; i++) {
		ops[i].status = copy_one(peer, &pin, &ops[i]);
		nr_failed += ops[i].status != GNTST_okay;
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
