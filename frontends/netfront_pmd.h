/*
 * frontends/netfront_pmd.h - one direction of one queue of an ethdev over a netfront, and its burst functions.   [hot]
 *
 *      tx   mbuf chain --copy--> tx pages          rx   rx pages --copy--> mbufs from the queue's pool
 *
 * With zero-copy=yes the mbuf of a long frame that lies in one page is attached to that page, which is lent until the mbuf is freed, by
 * whichever thread. Sent on as it is through the same queue, it is not copied, either: its page goes with the request.
 *
 * Owns     spare mbufs.
 * Trusts   nothing of a received frame: netfront_ring.h, netfront_loan.h.
 * Runs in  the lcore that polls the queue.
 */
#ifndef SLUICE_FRONTENDS_NETFRONT_PMD_H
#define SLUICE_FRONTENDS_NETFRONT_PMD_H

#include <rte_mbuf.h>

#include "dpdk/turnstile.h"
#include "frontends/netfront_queue.h"

#define NETFRONT_PMD_SPARES 64u
#define NETFRONT_PMD_BURST 32u /* frames looked at before the first is copied */

struct netfront_pmd_queue {
	struct netfront_queue *queue; /* set before the turnstile opens */
	struct rte_mempool *pool;     /* rx */
	uint16_t port_id;
	uint16_t nr_spare;
	bool fast_free;  /* tx: all mbufs are of one pool, and nobody else's */
	uint64_t no_mbuf; /* frames lost because the pool was empty */
	struct turnstile turnstile;   /* open while the queue is shared with a back end */
	struct rte_mbuf *spare[NETFRONT_PMD_SPARES];
} __rte_cache_aligned;

uint16_t netfront_pmd_rx(void *rxq, struct rte_mbuf **pkts, uint16_t n);
uint16_t netfront_pmd_tx(void *txq, struct rte_mbuf **pkts, uint16_t n);
/* Makes packets with offloads fit: the sum of the pseudo header goes into the checksum field, as netif wants it. */
uint16_t netfront_pmd_tx_prepare(void *txq, struct rte_mbuf **pkts, uint16_t n);

#endif
