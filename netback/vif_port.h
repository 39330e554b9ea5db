/*
 * netback/vif_port.h - a connected vif as a port of the bridge: a part for each lane that has queues of it.   [hot]
 *
 *      in     the part's queues in turn, each as far as there is room
 *      out    one queue for each flow (steer.h); the bridge asks which lane has it
 *
 * Beyond its rate a guest's packets stay in its ring, and the world's packets for it are dropped.
 *
 * Runs in  a part: its lane's thread. vif_port_lane_of: any lane's. What the port has in common changes while all stand still.
 */
#ifndef SLUICE_NETBACK_VIF_PORT_H
#define SLUICE_NETBACK_VIF_PORT_H

#include "netback/capture.h"
#include "netback/rate.h"
#include "netback/steer.h"
#include "netback/vif.h"

/* What all lanes read. */
struct vif_port {
	uint16_t nr_queues;
	uint16_t port_id;  /* with is_ethdev */
	bool is_ethdev;    /* packets pass through DPDK's burst functions, where others may look on */
	struct capture *captures; /* that look on; NULL: nobody does */
	struct steer steer; /* what the guest asked for */
	unsigned joins;      /* OFFLOAD_GSO_*: TCP frames are joined into packets as the guest takes them; 0: never */
	struct mcast *mcast; /* NULL: it takes every multicast frame */
	struct rate tx_rate, rx_rate;
	struct vif_queue *queue[VIF_MAX_QUEUES];
	uint16_t lane[VIF_MAX_QUEUES]; /* whose queue */
};

/* Its queues in one lane. */
struct vif_part {
	struct vif_port *port;
	struct bridge_lane *lane; /* whose mirrors' packets are put there */
	uint16_t nr_own;
	uint16_t next;     /* of own[], which is looked at first */
	bool is_throttled; /* the guest may have more, but no credit */
	uint16_t own[VIF_MAX_QUEUES]; /* numbers of queues */
	uint16_t nr_out[VIF_MAX_QUEUES];
	struct rte_mbuf *out[VIF_MAX_QUEUES][BRIDGE_BURST];
};

uint16_t vif_port_in(void *part, struct rte_mbuf **pkts, uint16_t n);
/* n is at most BRIDGE_BURST; takes them all. */
uint16_t vif_port_out(void *part, struct rte_mbuf **pkts, uint16_t n);
/* A bridge_port's lane_of; its parts' queues are vif_parts. */
uint16_t vif_port_lane_of(const struct bridge_port *p, struct rte_mbuf *m);

#endif
