/*
 * netback/vif_port.h - a connected vif as a port of the bridge: all of its queues behind one pair of burst functions.   [hot]
 *
 *      in     queues in turn, each as far as there is room
 *      out    one queue for each flow (steer.h)
 *
 * Beyond its rate a guest's packets stay in its ring, and the world's packets for it are dropped.
 *
 * Runs in  the worker.
 */
#ifndef SLUICE_NETBACK_VIF_PORT_H
#define SLUICE_NETBACK_VIF_PORT_H

#include "netback/capture.h"
#include "netback/rate.h"
#include "netback/steer.h"
#include "netback/vif.h"

struct vif_port {
	uint16_t nr_queues;
	uint16_t next;     /* which is looked at first */
	uint16_t port_id;  /* with is_ethdev */
	struct capture *captures; /* that look on; NULL: nobody does */
	struct steer steer; /* what the guest asked for */
	struct mcast *mcast; /* NULL: it takes every multicast frame */
	struct rate tx_rate, rx_rate;
	bool is_throttled;  /* the guest may have more, but no credit */
	bool is_ethdev;    /* packets pass through DPDK's burst functions, where others may look on */
	struct vif_queue *queue[VIF_MAX_QUEUES];
	uint16_t nr_out[VIF_MAX_QUEUES];
	struct rte_mbuf *out[VIF_MAX_QUEUES][BRIDGE_BURST];
};

uint16_t vif_port_in(void *port, struct rte_mbuf **pkts, uint16_t n);
/* n is at most BRIDGE_BURST; takes them all. */
uint16_t vif_port_out(void *port, struct rte_mbuf **pkts, uint16_t n);

#endif
