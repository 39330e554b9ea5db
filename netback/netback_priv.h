/*
 * netback/netback_priv.h - what netback.c, connect.c and stats.c share.
 *
 * Runs in  the control thread.
 */
#ifndef SLUICE_NETBACK_NETBACK_PRIV_H
#define SLUICE_NETBACK_NETBACK_PRIV_H

#include "hv/xenbus.h"
#include "netback/capture_server.h"
#include "netback/ctrl.h"
#include "netback/journal_file.h"
#include "netback/vif_limits.h"
#include "netback/netback.h"
#include "netback/tap.h"
#include "netback/vif_port.h"
#include "netback/workers.h"

/* A connected vif's queues in one lane. */
struct device_part {
	struct bridge_part bridge;
	struct vif_part vif;
	struct worker_port worker;
};

/* link.c's. */
struct link {
	bool is_shown; /* the guest was told that the cable is in */
	bool is_cut;   /* Linux was told that it is out */
	struct loop_source *stall_timer; /* the guest takes nothing, since when it began */
};

/* A vif of the store: xenbus's priv. */
struct device {
	struct netback *nb;
	struct handshake *handshake; /* NULL until it first offers */
	struct vif vif;
	struct port ethdev;        /* while connected, when DPDK has a place for it: port.is_ethdev */
	struct vif_port port;
	struct capture *captures; /* that look on, connected or not: port.captures while connected */
	struct bridge_port bridge_port;
	struct device_part *parts; /* of bridge_port, while connected */
	struct worker_port *worker_ports[VIF_MAX_QUEUES];
	struct journal_file journal; /* while connected */
	struct ctrl ctrl;          /* its peer is NULL when there is none */
	struct loop_source *ctrl_source;
	struct vif_limits limits;      /* as in the store */
	char linux_bridge[IFNAMSIZ]; /* "": the back end's own */
	struct tap *tap;           /* when its bridge is Linux's: joined to this vif alone */
	struct worker_port tap_parts[VIF_MAX_QUEUES]; /* a queue in each lane that the vif is in */
	struct worker_port *tap_worker_ports[VIF_MAX_QUEUES];
	struct link link;          /* while there is a tap */
	TAILQ_ENTRY(device) all;
};

/* A port of the bridge that is no vif: one of the two. */
struct netback_port {
	struct port *port;
	struct tap *tap;
	struct bridge_port *bridge_port; /* in either */
	struct worker_port *parts;       /* of it */
	struct worker_port *worker_ports[BRIDGE_MAX_LANES];
};

static inline const char *netback_port_name(const struct netback_port *np)
{
	return np->tap ? np->tap->name : np->port->name;
}

struct netback {
	struct loop *loop;
	struct hv *hv;
	struct netback_options opt;
	struct vif_pools pools;
	struct rte_mempool *flat_pool;
	struct workers *workers;
	struct xenbus *xenbus;
	struct capture_server *capture_server; /* NULL: no captures can be asked for */
	struct loop_source *limits_source; /* watch events of own directories' rates */
	struct loop_source *xenbus_source, *fault_source, *linger_timer;
	struct loop_source *link_source; /* news of Linux's interfaces, from link_fd; NULL: not asked for yet */
	int link_fd;
	unsigned nr_ports;
	struct netback_port ports[NETBACK_MAX_PORTS];
	TAILQ_HEAD(, device) devices;
	TAILQ_HEAD(, vif_queue) lingering; /* disconnected, packets still out */
	struct vif_stats gone;             /* sum over vifs that are no more */
};

extern const struct xenbus_driver connect_driver;

/* A watch fired for one of the nodes of vif_limits.h: what they say comes into force. */
void connect_limits_changed(struct device *d);

/* A queue whose packets are still out: looked at until they are back. */
void netback_linger(struct netback *nb, struct vif_queue *q);

#endif
