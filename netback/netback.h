/*
 * netback/netback.h - the network back end as a service: DPDK, pools, bridge, ports, and every guest's vifs.
 *
 * Owns     everything from create to destroy.
 * Runs in  the loop's thread, which is also the store's; packets move in workers of their own.
 * Fails    -errno, with a sentence in the caller's buffer.
 */
#ifndef SLUICE_NETBACK_NETBACK_H
#define SLUICE_NETBACK_NETBACK_H

#include <stdio.h>

#include "hv/hv.h"
#include "hv/loop.h"
#include "netback/lcores.h"

#define NETBACK_MAX_PORTS 31 /* DPDK has 32 ethdevs in all */
#define NETBACK_DEFAULT_BRIDGE "xenbr0"
#define NETBACK_MAX_QUEUES 8 /* of a vif */
#define NETBACK_MAX_PINS 64
#define NETBACK_WHY_BYTES 640

struct netback_options {
	const char *bridge; /* the one name that vifs may ask for */
	const char *ports[NETBACK_MAX_PORTS]; /* devargs */
	unsigned nr_ports;
	unsigned ageing_s; /* 0: a hub */
	unsigned memory_mib;
	unsigned busy_poll_us; /* looks so long, at most, before it sleeps */
	struct lcores lcores; /* a worker on each; none: one worker, on any */
	const char *pins[NETBACK_MAX_PINS]; /* "NAME=2,3": which of them poll a vif's or a port's queues */
	unsigned nr_pins;
	unsigned max_queues; /* that a vif may have, up to NETBACK_MAX_QUEUES */
	bool joins_none;  /* TCP frames go to a guest as they came */
	bool copies_only; /* guests' pages are copied even where mapping them is cheap */
	const char *eal_args;
	bool is_verbose;
};

struct netback;

/* Also starts DPDK if this process has not done so. */
int netback_create(struct loop *loop, struct hv *hv, const struct netback_options *opt, struct netback **out,
		   char why[NETBACK_WHY_BYTES]);
/* Closes every device cleanly, then ports and worker. DPDK stays up (eal_stop). Takes NULL. */
void netback_destroy(struct netback *nb);
/* Counters, a `name value` line each. */
void netback_print_stats(const struct netback *nb, FILE *out);

#endif
