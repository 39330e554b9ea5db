/*
 * frontends/net_guest.h - makes a program the guest whose vifs it uses: the DPDK driver net_netfront.
 *
 *      net_guest_get "name" -> net_guest_run(create, check, destroy ..) -> net_guest_put; the last put ends the domain
 *
 * One for each domain and process, however many vifs are used. A thread in here owns the bus: store, handshakes, control rings.
 * The program's threads do bursts and nothing else; all the rest is done for them in the bus's thread.
 *
 * Owns     the domain, the bus and its thread.
 * Runs in  any thread.
 * Fails    negative errno, and one sentence with the remedy.
 */
#ifndef SLUICE_FRONTENDS_NET_GUEST_H
#define SLUICE_FRONTENDS_NET_GUEST_H

#include "frontends/netfront.h"

#define NET_GUEST_MAX_VIFS 16u

struct net_guest;

/* Becomes the domain that opt names (opt->attach), or finds that this process is it already; under Xen, the one it is in. */
int net_guest_get(const struct hv_options *opt, struct net_guest **out, char why[HV_WHY_BYTES]);
/*
 * Returns how many pages that were lent the program has still. Memory that it may look at does not vanish: with the last put, but for
 * such pages, the guest would end; now it lasts as long as the process, or until it is got and put again.
 */
unsigned net_guest_put(struct net_guest *g);
/* For netfront_options. */
struct netfront_lending *net_guest_lending(struct net_guest *g);

/* Runs fn(bus, arg) in the bus's thread and returns its result. */
int net_guest_run(struct net_guest *g, int (*fn)(struct frontbus *bus, void *arg), void *arg);
/* From within such a function: the bus's thread looks after this device from now on, or no longer. -ENOSPC. */
int net_guest_add(struct net_guest *g, struct netfront *nf);
void net_guest_remove(struct net_guest *g, struct netfront *nf);

#endif
