/*
 * netback/gso.h - cuts a large TCP packet into the frames that a port without segmentation takes.   [hot]
 *
 *      headers | payload .........................   -->   headers' | part 1,  headers'' | part 2,  ...
 *
 * Each frame has headers of its own and borrows its payload from the packet, which lives until the last of them is freed.
 *
 * Owns     what gso_next returns is the caller's; the packet stays the caller's, too.
 * Trusts   the marks that offload_segment set.
 * Fails    no buffer: gso_next returns NULL while gso_is_done is false.
 */
#ifndef SLUICE_NETBACK_GSO_H
#define SLUICE_NETBACK_GSO_H

#include <rte_mbuf.h>

struct gso {
	struct rte_mempool *pool, *ext_pool;
	struct rte_mbuf *packet; /* headers are read from here */
	struct rte_mbuf *from;   /* the next byte of payload: segment and place in it */
	uint32_t from_at;
	uint32_t left;
	uint32_t sent; /* bytes of payload in the frames so far */
	uint16_t nr;   /* frames so far */
};

/* pool has data room, ext_pool's buffers only borrow. The packet is marked as to be segmented. */
void gso_begin(struct gso *g, struct rte_mbuf *packet, struct rte_mempool *pool, struct rte_mempool *ext_pool);
/* The next frame; its checksum is still to be filled in. */
struct rte_mbuf *gso_next(struct gso *g);

static inline bool gso_is_done(const struct gso *g)
{
	return g->left == 0;
}

#endif
