/*
 * netback/port.h - an ethdev as a port of the bridge: any DPDK driver, named by its devargs.
 *
 * Owns     the device from open to close.
 * Runs in  the control thread; its burst functions in the worker.
 * Fails    -errno, and a sentence in the caller's buffer that names the device and what to do.
 */
#ifndef SLUICE_NETBACK_PORT_H
#define SLUICE_NETBACK_PORT_H

#include <rte_ethdev.h>

#include "netback/bridge.h"

#define PORT_MAX_MTU 9000u
#define PORT_MAX_FRAME (PORT_MAX_MTU + RTE_ETHER_HDR_LEN + RTE_VLAN_HLEN)
#define PORT_NR_DESC 512

/* One queue each way: a part of the bridge's port. */
struct port_queue {
	uint16_t port_id, index;
	int intr_fd;                   /* readable when packets came; -1: the driver cannot tell */
	struct rte_mempool *copy_pool; /* for a driver that takes no chains or cannot reach guest memory; else NULL */
	struct bridge_part part;
};

struct port {
	char name[RTE_ETH_NAME_MAX_LEN];
	struct rte_device *device;
	uint16_t port_id;
	uint16_t nr_queues;
	bool is_silent;           /* brings nothing, ever: no need to look */
	struct bridge_port bridge_port;
	struct port_queue *queue; /* NULL: a vif's ethdev, which is on the bridge by itself */
};

/*
 * Opens what the devargs name ("net_tap0,iface=tap0"); one port, with as many queues as it has, up to max_queues: bridge_port's
 * parts, whose lanes the caller chooses. A buffer of the flat pool holds a whole frame.
 */
int port_open(const char *devargs, uint16_t max_queues, struct rte_mempool *pool, struct rte_mempool *flat, struct port **out,
	      char *why, size_t why_size);
/* Configures and starts an ethdev that exists, with that many queues. */
int port_start(struct port *p, uint16_t port_id, uint16_t nr_queues, struct rte_mempool *pool, struct rte_mempool *flat);
/* Stops it; for a port of port_start. */
void port_stop(struct port *p);
/* Stops, closes and removes the device; for a port of port_open. Takes NULL. */
void port_close(struct port *p);

#endif
