/*
 * netback/vif_pmd.h - a vif as an ethdev of a program that is not ours: one direction of one queue, and its bursts.   [hot]
 *
 * The program's bursts are those of sluice-netback, behind a turnstile that is open while the front end is connected. What the
 * guest left to be done to a packet is done here: the program need not know of it. A guest that has fewer queues than the program
 * has its packets from several of the program's in one of its own, and only then a lock is taken.
 *
 * Runs in  the lcore that polls the queue.
 */
#ifndef SLUICE_NETBACK_VIF_PMD_H
#define SLUICE_NETBACK_VIF_PMD_H

#include <rte_spinlock.h>

#include "dpdk/turnstile.h"
#include "netback/vif.h"

struct vif_pmd_queue {
	struct turnstile turnstile;
	struct vif_queue *queue; /* while the turnstile is open */
	rte_spinlock_t *lock;    /* tx: others send through the same queue; NULL: nobody does */
	rte_spinlock_t own_lock; /* what lock points to in all that share this one's queue */
	uint16_t port_id;
	uint64_t drop_gso; /* packets to be segmented by us, which is not offered */
} __rte_cache_aligned;

/* An ethdev receives what the guest transmits. */
uint16_t vif_pmd_rx(void *rxq, struct rte_mbuf **pkts, uint16_t n);
uint16_t vif_pmd_tx(void *txq, struct rte_mbuf **pkts, uint16_t n);

#endif
