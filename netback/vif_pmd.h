/*
 * netback/vif_pmd.h - a vif as an ethdev of a program that is not ours: one direction of one queue, and its bursts.   [hot]
 *
 *      program's tx queues 0 1 2 3         each behind its turnstile, which is open while the front end is connected
 *                           \|/ /          i % queues, or, when the guest asked for a hash, as its mapping says (steer.h)
 *      guest's queues        0 1           each with a lock
 *
 * The program's bursts are those of sluice-netback; what they would leave to the bridge is done here: offloads are translated
 * (vif_pmd_offload.h), packets cut and checksums filled in for a guest that takes them in no other way, multicasts dropped that it has
 * not asked for. A queue to the guest is sent to by whichever lcore the program likes, and packets that wait in it for the guest's
 * buffers are tried again by the lcore that polls the queue from the guest: so it has a lock, which costs one locked
 * instruction a burst where nobody else wants it.
 *
 * Runs in  the lcore that polls, or sends to, the queue.
 */
#ifndef SLUICE_NETBACK_VIF_PMD_H
#define SLUICE_NETBACK_VIF_PMD_H

#include <rte_spinlock.h>

#include "dpdk/turnstile.h"
#include "netback/steer.h"
#include "netback/vif.h"

/* A queue of the guest's. */
struct vif_pmd_way {
	struct vif_queue *queue;
	rte_spinlock_t lock; /* what is sent to it */
} __rte_cache_aligned;

/* The guest. Changes while all turnstiles are closed. */
struct vif_pmd_guest {
	uint16_t nr_ways;
	struct mcast *mcast; /* its list; NULL: it gets every multicast */
	struct steer steer;  /* the hash that it asked for */
	struct vif_pmd_way way[VIF_MAX_QUEUES];
};

/* A queue of the program's. */
struct vif_pmd_queue {
	struct turnstile turnstile;
	struct vif_pmd_guest *guest;
	uint16_t way; /* to or from which it leads */
	uint16_t port_id;
	bool takes_large;    /* rx: TCP packets longer than a frame, as they are */
	uint64_t drop_unfit; /* tx: packets that are not what their flags say, or for whose frames there was no buffer */
} __rte_cache_aligned;

/* An ethdev receives what the guest transmits. */
uint16_t vif_pmd_rx(void *rxq, struct rte_mbuf **pkts, uint16_t n);
uint16_t vif_pmd_tx(void *txq, struct rte_mbuf **pkts, uint16_t n);
/* What waits for the guest's buffers is tried again, or dropped when it waited for long. Any thread, with the turnstiles open. */
void vif_pmd_retry(struct vif_pmd_way *way);

#endif
