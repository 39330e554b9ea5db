/*
 * netback/vif_limits.h - a vif's rate limits in the store, read at connect and again whenever somebody writes them.
 *
 *      backend/vif/<domid>/<devid>/rate              "bytes,usecs"      from the guest: the node that xl's rate= becomes
 *                                  rate-packets      "packets,usecs"    from the guest
 *                                  rx-rate           "bytes,usecs"      to the guest
 *                                  rx-rate-packets   "packets,usecs"    to the guest
 *
 * Without the node, or with "0,0", there is no limit. What makes no sense is said in the log, and the limit stays as it was.
 *
 * Runs in  the control thread.
 */
#ifndef SLUICE_NETBACK_VIF_LIMITS_H
#define SLUICE_NETBACK_VIF_LIMITS_H

#include "hv/store_client.h"
#include "netback/rate.h"

struct vif_limits {
	struct rate tx, rx;
};

/* True: path (of a watch event) is one of the nodes in that directory. */
bool vif_limits_is_node(const char *dir, const char *path);
/* "1250000,50000". -EINVAL: it is not that, or only one of the two is 0. */
int vif_limits_parse(const char *text, uint64_t *amount, uint64_t *usecs);
void vif_limits_read(struct store_client *store, const char *dir, struct vif_limits *limits);

#endif
