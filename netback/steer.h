/*
 * netback/steer.h - which of a vif's queues a packet goes to.   [hot]
 *
 *      hash asked for (control ring):  Toeplitz over addresses and ports  -->  mapping[hash % size], or hash % queues
 *      else, or no IP packet:          a quick hash of the flow           -->  queue
 *
 * Trusts   no byte of a packet: what is too short for its headers is spread by its addresses alone.
 * Runs in  the worker.
 * Spec     xen/io/netif.h, "Hash types".
 */
#ifndef SLUICE_NETBACK_STEER_H
#define SLUICE_NETBACK_STEER_H

#include <rte_mbuf.h>

#include "rings/netif.h"

#define STEER_KEY_BYTES 40u
#define STEER_MAX_MAPPING 128u
#define STEER_TYPES                                                                                                    \
	(XEN_NETIF_CTRL_HASH_TYPE_IPV4 | XEN_NETIF_CTRL_HASH_TYPE_IPV4_TCP | XEN_NETIF_CTRL_HASH_TYPE_IPV6 |             \
	 XEN_NETIF_CTRL_HASH_TYPE_IPV6_TCP)

struct steer {
	uint32_t algorithm; /* XEN_NETIF_CTRL_HASH_ALGORITHM_* */
	uint32_t types;     /* XEN_NETIF_CTRL_HASH_TYPE_*; 0: off */
	uint32_t nr_mapping;
	uint32_t key[STEER_KEY_BYTES / 4 + 1]; /* bytes in their order; the word behind stays zero */
	uint32_t mapping[STEER_MAX_MAPPING];
};

struct steer_hash {
	uint32_t value;
	uint8_t type; /* _XEN_NETIF_CTRL_HASH_TYPE_* */
	bool is_none;
};

static inline bool steer_is_on(const struct steer *s)
{
	return s->algorithm == XEN_NETIF_CTRL_HASH_ALGORITHM_TOEPLITZ && s->types;
}

/* The hash that the guest asked for. False: none of its types fits this packet. */
bool steer_hash(const struct steer *s, const struct rte_mbuf *m, struct steer_hash *hash);
/* The queue for a hash; below nr_queues. */
unsigned steer_queue(const struct steer *s, uint32_t hash, unsigned nr_queues);
/* The queue of a packet's flow when nobody asked for a hash. */
unsigned steer_flow(const struct rte_mbuf *m, unsigned nr_queues);
/* The packet's queue in either case; hash->is_none where none was asked for, or none fits. */
unsigned steer_queue_of(const struct steer *s, const struct rte_mbuf *m, unsigned nr_queues, struct steer_hash *hash);
/* The same, and the hash goes with the packet to the guest (RTE_MBUF_F_RX_RSS_HASH, hash.fdir); another port's is none of this one's. */
unsigned steer_packet(const struct steer *s, struct rte_mbuf *m, unsigned nr_queues);

#endif
