/*
 * netback/vif_ethdev.h - a vif as an ethdev: what driver net_netback is, whoever loads it.
 *
 *      sluice-netback      pmd.c       an ethdev for each vif while it is connected; its queues are the vif's
 *      a DPDK program      vif_pmd.c   the program's ethdev, behind which guests come and go; its queues have turnstiles
 *
 * Either is a kind of ethdev (dpdk/ethdev.h) with bursts that come down to vif_tx_burst and vif_rx_burst. An ethdev receives what
 * the guest transmits.
 *
 * Runs in  the control thread; is_up: whichever thread connects the vif.
 */
#ifndef SLUICE_NETBACK_VIF_ETHDEV_H
#define SLUICE_NETBACK_VIF_ETHDEV_H

#include "dpdk/ethdev.h"
#include "netback/vif.h"
#include "netback/vif_stats.h"

#define VIF_ETHDEV_DRIVER "net_netback"

/* What dev_private begins with. */
struct vif_ethdev {
	struct ethdev ethdev;
	struct vif *vif; /* whose counters are the ethdev's */
	uint32_t is_up;
};

/* For the kind. */
bool vif_ethdev_is_up(const struct rte_eth_dev *dev);
struct ethdev_counters vif_ethdev_counters(const struct rte_eth_dev *dev);
void vif_ethdev_count(struct rte_eth_stats *stats, unsigned i, const void *queue);

#define VIF_ETHDEV_KIND                    \
	.layout = &vif_stats_layout,       \
	.is_up = vif_ethdev_is_up,         \
	.counters = vif_ethdev_counters,   \
	.count = vif_ethdev_count

/* What holds for every vif; the number of queues and further offloads are the driver's to say. */
void vif_ethdev_infos(struct rte_eth_dev_info *info);
int vif_ethdev_mtu_set(struct rte_eth_dev *dev, uint16_t mtu);

/* A vif sees all that comes, whatever is asked for. */
#define VIF_ETHDEV_OPS                             \
	ETHDEV_OPS,                                \
	.dev_configure = ethdev_nothing,           \
	.promiscuous_enable = ethdev_nothing,      \
	.promiscuous_disable = ethdev_nothing,     \
	.allmulticast_enable = ethdev_nothing,     \
	.allmulticast_disable = ethdev_nothing,    \
	.mtu_set = vif_ethdev_mtu_set

#endif
