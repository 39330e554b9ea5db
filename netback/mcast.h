/*
 * netback/mcast.h - the multicast addresses that a guest asks for, and whether it wants nothing else.   [hot]
 *
 * Runs in  any worker that moves packets of the vif; the switch in any thread.
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
	uint64_t list[MCAST_MAX]; /* 0: free */
};

static inline uint64_t mcast_key(const struct rte_ether_addr *addr)
{
	uint64_t key = 0;

	__builtin_memcpy(&key, addr->addr_bytes, RTE_ETHER_ADDR_LEN);
	return key;
}

static inline bool mcast_has(const struct mcast *mc, uint64_t key)
{
	for (uint32_t i = 0; i < MCAST_MAX; i++)
		if (load_relaxed(&mc->list[i]) == key)
			return true;
	return false;
}

/* -ENOSPC: the list is full. Adding twice is adding once. */
static inline int mcast_add(struct mcast *mc, const struct rte_ether_addr *addr)
{
	uint64_t key = mcast_key(addr);

	if (mcast_has(mc, key))
		return 0;
	for (uint32_t i = 0; i < MCAST_MAX; i++) {
		uint64_t none = 0;

		if (cas_acq_rel(&mc->list[i], &none, key)) /* with another queue's of the same: one place, one address */
			return 0;
	}
	return -ENOSPC;
}

/* Two queues may have added it at once. */
static inline void mcast_del(struct mcast *mc, const struct rte_ether_addr *addr)
{
	uint64_t key = mcast_key(addr);

	for (uint32_t i = 0; i < MCAST_MAX; i++)
		if (load_relaxed(&mc->list[i]) == key)
			store_relaxed(&mc->list[i], 0);
}

/* Does the guest want this frame? Broadcasts it always does. */
static inline bool mcast_wants(const struct mcast *mc, const struct rte_ether_addr *dst)
{
	if (likely(!load_relaxed(&mc->is_on) || !rte_is_multicast_ether_addr(dst) || rte_is_broadcast_ether_addr(dst)))
		return true;
	return mcast_has(mc, mcast_key(dst));
}

#endif
