/*
 * frontends/netfront_pmd.h - one direction of one queue of an ethdev over a netfront, and its burst functions.   [hot]
 *
 *      tx   mbuf chain --copy--> tx pages          rx   rx pages --copy--> mbufs from the queue's pool
 *
 * Any lcore may be in a burst when the back end goes. So each direction has a gate: bursts go in and out of it with plain
 * stores, and the control thread, after it has closed it, makes all processors see that (membarrier) and waits until
 * nobody is inside. Only then are the pages given back.
 *
 * Owns     spare mbufs.
 * Trusts   nothing of a received frame: netfront_ring.h.
 * Runs in  bursts: the lcore that polls the queue. Gate: the bus's thread.
 */
#ifndef SLUICE_FRONTENDS_NETFRONT_PMD_H
#define SLUICE_FRONTENDS_NETFRONT_PMD_H

#include <rte_mbuf.h>

#include "frontends/netfront_queue.h"

#define NETFRONT_PMD_SPARES 64u

struct netfront_pmd_queue {
	struct netfront_queue *queue; /* set before the gate opens */
	struct rte_mempool *pool;     /* rx */
	uint16_t port_id;
	uint16_t nr_spare;
	uint64_t no_mbuf; /* frames lost because the pool was empty */
	uint32_t is_open;   /* control thread */
	uint32_t is_inside; /* lcore */
	struct rte_mbuf *spare[NETFRONT_PMD_SPARES];
} __rte_cache_aligned;

uint16_t netfront_pmd_rx(void *rxq, struct rte_mbuf **pkts, uint16_t n);
uint16_t netfront_pmd_tx(void *txq, struct rte_mbuf **pkts, uint16_t n);
/* Makes packets with offloads fit: the sum of the pseudo header goes into the checksum field, as netif wants it. */
uint16_t netfront_pmd_tx_prepare(void *txq, struct rte_mbuf **pkts, uint16_t n);

/* Once: this kernel has the membarrier that closing needs. -ENOSYS. */
int netfront_gate_init(void);
void netfront_gate_open(struct netfront_pmd_queue *q, struct netfront_queue *queue);
/* Returns when nobody is inside any more. Takes a closed gate. */
void netfront_gate_close(struct netfront_pmd_queue *q);

#endif
