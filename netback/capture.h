/*
 * netback/capture.h - somebody looks on at a vif's packets: copies go to a ring (sluice capture) or to a port (sluice mirror).   [hot]
 *
 *      guest --tx--> queue --> capture_burst --> bridge
 *      guest <--rx-- queue <-- capture_burst <-- bridge
 *                                   |
 *                  direction? queue? filter (BPF, compiled)? --> ring, or another port
 *
 * A vif has a list of captures; with none it costs the look at one pointer for each burst. A packet that finds no room in the ring or no
 * buffer is dropped from the capture and counted; the packet itself is never held up.
 *
 * Owns     nothing: captures are the control thread's (capture_server.h), which changes the list while all workers stand still.
 * Trusts   no byte of a packet. Pages that the guest still shares may change between filter and copy.
 * Runs in  the queue's worker. The one lock of the data path is here, and nobody takes it unless somebody looks on.
 */
#ifndef SLUICE_NETBACK_CAPTURE_H
#define SLUICE_NETBACK_CAPTURE_H

#include <rte_bpf.h>
#include <rte_mbuf.h>

#include "netback/capture_abi.h"
#include "netback/capture_ring.h"

struct bridge_lane;
struct bridge_port;

struct capture {
	struct capture *next;
	unsigned directions; /* CAPTURE_TX, CAPTURE_RX, both */
	uint32_t queue;      /* or CAPTURE_ANY_QUEUE */
	uint32_t snap_bytes; /* of a packet, at most */
	uint64_t left;       /* packets still to be taken */
	const struct rte_bpf *bpf;      /* NULL: every packet */
	uint64_t (*filter)(void *mbuf); /* bpf as machine code; NULL: it is interpreted */
	struct capture_ring ring;       /* a mirror's has counters only */
	int wake_fd;                    /* the reader's eventfd */
	uint64_t seen, accepted, dropped, told_dropped;
	uint32_t is_busy; /* a vif's queues may be in several lanes: each takes it for a burst */
	/* A mirror's: */
	struct bridge_port *to; /* NULL: a capture to the ring */
	struct rte_mempool *pool;
};

/* Packets that pass a vif's queue, in the queue's lane. The list is not empty. */
void capture_burst(struct capture *list, struct bridge_lane *lane, unsigned direction, uint16_t queue, struct rte_mbuf **pkts, uint16_t n);

#endif
