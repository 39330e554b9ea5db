/*
 * rings/store_ring.h - the byte ring between a guest and the store: 1 KiB each way in one shared page.
 *
 *      guest   put  ->  req[]   req_prod   ->  take   store
 *      guest   take <-  rsp[]   rsp_prod   <-  put    store
 *
 * There is no event index. Who put bytes sends the event. Who took bytes sends it only when the ring was full: nobody waits
 * for room in a ring that has some.
 *
 * Trusts   nothing in the page. Distances over 1024 are -EPROTO.
 * Runs in  one thread for each side.
 * Spec     xen/io/xs_wire.h, docs/misc/xenstore-ring.txt of Xen.
 */
#ifndef SLUICE_RINGS_STORE_RING_H
#define SLUICE_RINGS_STORE_RING_H

#include <errno.h>
#include <string.h>

#include "rings/atomics.h"
#include "rings/types.h"

#include <xen/io/xs_wire.h>

_Static_assert(offsetof(struct xenstore_domain_interface, req_cons) == 2048, "layout");
_Static_assert(offsetof(struct xenstore_domain_interface, rsp_cons) == 2056, "layout");
_Static_assert(offsetof(struct xenstore_domain_interface, error) == 2072, "layout");

/* One direction, seen from one side: its bytes, its two indices. */
struct store_ring_half {
	char *bytes_sh;
	uint32_t *cons_sh;
	uint32_t *prod_sh;
};

static inline struct store_ring_half store_ring_requests(struct xenstore_domain_interface *sh)
{
	return (struct store_ring_half){sh->req, &sh->req_cons, &sh->req_prod};
}

static inline struct store_ring_half store_ring_responses(struct xenstore_domain_interface *sh)
{
	return (struct store_ring_half){sh->rsp, &sh->rsp_cons, &sh->rsp_prod};
}

/*
 * Copies in as many of len bytes as fit: that number, or -EPROTO. The caller sends the event when it is not 0, and puts again
 * before it waits for room.
 */
static inline int store_ring_put(struct store_ring_half h, const void *data, uint32_t len)
{
	uint32_t prod = load_relaxed(h.prod_sh);
	uint32_t cons = load_acquire(h.cons_sh); /* pairs with store_ring_take's release: room is really free */
	uint32_t used = prod - cons;
	uint32_t n, at, first;

	if (used > XENSTORE_RING_SIZE)
		return -EPROTO;
	n = len < XENSTORE_RING_SIZE - used ? len : XENSTORE_RING_SIZE - used;
	at = MASK_XENSTORE_IDX(prod);
	first = n < XENSTORE_RING_SIZE - at ? n : XENSTORE_RING_SIZE - at;
	memcpy(h.bytes_sh + at, data, first);
	memcpy(h.bytes_sh, (const char *)data + first, n - first);
	store_release(h.prod_sh, prod + n); /* pairs with store_ring_take's acquire: bytes before index */
	full_fence(); /* pairs with store_ring_take's: a put that found no room is tried again, or the taker saw the ring full */
	return (int)n;
}

/*
 * Copies out up to len bytes: that number, or -EPROTO. *was_full becomes true when the other side may wait for the room: the
 * caller sends the event then; it is left alone otherwise.
 */
static inline int store_ring_take(struct store_ring_half h, void *data, uint32_t len, bool *was_full)
{
	uint32_t cons = load_relaxed(h.cons_sh);
	uint32_t prod = load_acquire(h.prod_sh); /* pairs with store_ring_put's release */
	uint32_t n = prod - cons;
	uint32_t at, first;

	if (n > XENSTORE_RING_SIZE)
		return -EPROTO;
	if (n > len)
		n = len;
	at = MASK_XENSTORE_IDX(cons);
	first = n < XENSTORE_RING_SIZE - at ? n : XENSTORE_RING_SIZE - at;
	memcpy(data, h.bytes_sh + at, first);
	memcpy((char *)data + first, h.bytes_sh, n - first);
	compiler_fence();
	store_release(h.cons_sh, cons + n); /* pairs with store_ring_put's acquire */
	full_fence(); /* pairs with store_ring_put's: either we see that it filled the ring, or it sees our index */
	if (n && load_relaxed(h.prod_sh) - cons >= XENSTORE_RING_SIZE)
		*was_full = true;
	return (int)n;
}

#endif
