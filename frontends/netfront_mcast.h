/*
 * frontends/netfront_mcast.h - which multicast frames a netfront wants: a list that the back end keeps, and whether it counts.
 *
 * Runs in  the bus's thread, while nobody else is in a burst of queue 0's tx ring, through which the list goes.
 * Fails    -EOPNOTSUPP: this back end keeps no list, or would not begin to heed it now: every frame comes.
 * Spec     xen/io/netif.h, feature-multicast-control and feature-dynamic-multicast-control.
 */
#ifndef SLUICE_FRONTENDS_NETFRONT_MCAST_H
#define SLUICE_FRONTENDS_NETFRONT_MCAST_H

#include "frontends/netfront.h"

#define NETFRONT_MAX_MCAST 64u /* that Linux's back end and ours keep */

struct netfront_mcast {
	unsigned nr;
	uint8_t addr[NETFRONT_MAX_MCAST][6];
};

/*
 * Changes the back end's list from *has, which follows, to *want. -EAGAIN: the ring is full, so far; what was put is sent. A new
 * connection begins with an empty list.
 */
int netfront_mcast_change(struct netfront *nf, struct netfront_mcast *has, const struct netfront_mcast *want);
/* From now on only what is listed comes, or all again. */
int netfront_mcast_filter(struct netfront *nf, bool is_on);

#endif
