/*
 * netback/tap.h - a TAP interface as a port of the bridge, with checksums and segmentation left to who needs them.
 *
 *      Linux   -->  readv: virtio_net_hdr | frame, up to 64 KiB   -->  mbuf with TX flags     -->  bridge
 *      Linux   <--  writev: the same                              <--  mbuf with TX flags     <--  bridge
 *
 * With several queues a frame goes out by that of the lane it is in, and Linux answers a flow by the queue that it came by.
 * The interface goes when it is closed. It may be plugged into a Linux bridge.
 *
 * Owns     the interface and its descriptor from open to close; a standing set of buffers to read into.
 * Trusts   the kernel, but no packet: what the header says is held against the packet's own headers.
 * Runs in  the control thread: open, close. Each queue's lane: tap_in, tap_out.
 * Fails    -errno, and a sentence in the caller's buffer that names the interface and what to do.
 * Spec     linux/if_tun.h, linux/virtio_net.h.
 */
#ifndef SLUICE_NETBACK_TAP_H
#define SLUICE_NETBACK_TAP_H

#include <net/if.h>

#include "netback/bridge.h"

#define TAP_MAX_FRAME 65550u /* 64 KiB of IP behind an Ethernet header */
#define TAP_MAX_PARTS 34     /* buffers for the longest frame */

struct tap_options {
	const char *name;   /* up to IFNAMSIZ - 1 characters */
	const char *bridge; /* to plug it into; NULL: none */
	unsigned nr_queues; /* up to BRIDGE_MAX_LANES; 0: one */
	unsigned mtu;       /* 0: the bridge's, or what Linux gives it */
};

/* Written by the worker. */
struct tap_stats {
	uint64_t drop_offload; /* in: what was left undone cannot be told from the packet */
	uint64_t drop_no_mbuf; /* in: no buffer; the frame waits in the kernel */
	uint64_t drop_refused; /* out: Linux does not take it: the interface is down, or the frame of too many parts */
};

/* One of its queues, in one lane. */
struct tap_queue {
	int fd;
	struct rte_mempool *pool;
	struct rte_mbuf *part[TAP_MAX_PARTS]; /* empty; nr_parts of them */
	unsigned nr_parts;
	struct tap_stats stats;
};

struct tap {
	char name[IFNAMSIZ];
	int ifindex;
	unsigned nr_queues;
	struct tap_queue queue[BRIDGE_MAX_LANES];
	struct bridge_port bridge_port;
	struct bridge_part bridge_part[BRIDGE_MAX_LANES];
};

int tap_open(const struct tap_options *opt, struct rte_mempool *pool, struct tap **out, char *why, size_t why_size);
/* Takes NULL. */
void tap_close(struct tap *t);
/* Is it up, as ip link set says? */
bool tap_is_up(const struct tap *t);
/* Cable in or out, as Linux sees it. */
void tap_set_carrier(struct tap *t, bool is_in);
/* -errno: Linux does not take it. */
int tap_set_mtu(struct tap *t, unsigned mtu);
/* Is there a Linux bridge of that name? */
bool tap_is_bridge(const char *name);
/* An interface's MTU, 0: there is none. */
unsigned tap_mtu_of(const char *name);

/* ---- hot -------------------------------------------------------------------------------------------------------- */

uint16_t tap_in(void *queue, struct rte_mbuf **pkts, uint16_t n);
uint16_t tap_out(void *queue, struct rte_mbuf **pkts, uint16_t n);

#endif
