/*
 * blkback/front.h - what a front end wrote into its directory: rings, ports, protocol, features.
 *
 * Trusts   nothing in it: numbers are bounded here, refs and ports are checked by who owns them.
 * Runs in  the thread that owns the store client.
 * Spec     xen/io/blkif.h, "Frontend XenBus Nodes".
 */
#ifndef SLUICE_BLKBACK_FRONT_H
#define SLUICE_BLKBACK_FRONT_H

#include "blkback/blkback.h"
#include "hv/handshake.h"
#include "rings/blkif.h"

#define FRONT_MAX_QUEUES BLKBACK_MAX_QUEUES
#define FRONT_MAX_RING_PAGES (1u << BLKIF_MAX_RING_ORDER)

struct front_queue {
	grant_ref_t ref[FRONT_MAX_RING_PAGES];
	evtchn_port_t port;
};

struct front {
	unsigned nr_queues;
	unsigned ring_pages; /* of each */
	bool is_x86_32;
	bool is_persistent; /* it uses the same grants again */
	struct front_queue queue[FRONT_MAX_QUEUES];
};

/* max_queues: as many as were offered. 0, or -errno with the reason in the device's error node. */
int front_read(struct handshake *h, unsigned max_queues, struct front *front);

#endif
