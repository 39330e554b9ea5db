/*
 * netback/mcast.h - the multicast addresses that a guest asks for, and whether it wants nothing else.   [hot]
 *
 * Runs in  the worker; the switch in any thread.
 * Spec     xen/io/netif.h, feature-multicast-control.
 */
#ifndef SLUICE_NETBACK_MCAST_H
#define SLUICE_NETBACK_MCAST_H

#include <errno.h>

#include <rte_ether.h>

#include "rings/atomics.h"

#define MCAST_MAX 64u

struct mcast {
	bool is_on; /* request-multicast-control */
	uint32_t nr;
	struct rte_ether_addr list[MCAST_MAX];
};

static inline uint32_t mcast_find(const struct mcast *mc, const struct rte_ether_addr *addr)
{
	uint32_t i = 0;

	while (i < mc->nr && !rte_is_same_ether_addr(&mc->list[i], addr))
		i++;
	return i;
}

/* -ENOSPC: the list is full. Adding twice is adding once. */
static inline int mcast_add(struct mcast *mc, const struct rte_ether_addr *addr)
{
	if (mcast_find(mc, addr) < mc->nr)
		return 0;
	if (mc->nr == MCAST_MAX)
		return -ENOSPC;
	mc->list[mc->nr++] = *addr;
	return 0;
}

static inline void mcast_del(struct mcast *mc, const struct rte_ether_addr *addr)
{
	uint32_t i = mcast_find(mc, addr);

	if (i < mc->nr)
		mc->list[i] = mc->list[--mc->nr];
}

/* Does the guest want this frame? Broadcasts it always does. */
static inline bool mcast_wants(const struct mcast *mc, const struct rte_ether_addr *dst)
{
	if (likely(!load_relaxed(&mc->is_on) || !rte_is_multicast_ether_addr(dst) || rte_is_broadcast_ether_addr(dst)))
		return true;
	return mcast_find(mc, dst) < mc->nr;
}

#endif
