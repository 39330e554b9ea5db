/*
 * netback/pmd.c - the vif as an ethdev.
 *
 *      pmd_attach --> rte_vdev_init --> probe: ethdev over the vif being attached --> port_start --> bursts
 *
 * Devices of this driver come and go with the guests; one asked for by name has no vif behind it and is refused.
 *
 * Owns     the ethdev; the vif and its queue are the caller's.
 * Trusts   dpdk/ethdev_abi.h as far as pmd_register has checked it.
 * Runs in  the control thread.
 * Fails    -errno; the vif then works without an ethdev.
 */
#include "netback/pmd.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include <rte_malloc.h>
#include <rte_version.h>

#include "dpdk/ethdev_abi.h"

/* Its dev_private: DPDK frees it with the port. */
struct pmd_private {
	struct vif *vif;
	struct rte_ether_addr mac;
};

static struct vif *attaching; /* between pmd_attach and probe, one thread */
static bool is_usable;

static struct vif *vif_of(struct rte_eth_dev *dev)
{
	return ((struct pmd_private *)dev->data->dev_private)->vif;
}

static int pmd_configure(struct rte_eth_dev *dev)
{
	return 0;
}

static int pmd_start(struct rte_eth_dev *dev)
{
	dev->data->dev_link.link_status = RTE_ETH_LINK_UP;
	return 0;
}

static int pmd_stop(struct rte_eth_dev *dev)
{
	dev->data->dev_link.link_status = RTE_ETH_LINK_DOWN;
	return 0;
}

static int pmd_close(struct rte_eth_dev *dev)
{
	dev->data->mac_addrs = NULL; /* part of dev_private */
	return 0;
}

static int pmd_link_update(struct rte_eth_dev *dev, int wait)
{
	return 0;
}

static int pmd_always(struct rte_eth_dev *dev)
{
	return 0; /* a vif sees all that the bridge sends it */
}

static int pmd_mtu_set(struct rte_eth_dev *dev, uint16_t mtu)
{
	return 0;
}

static int pmd_infos(struct rte_eth_dev *dev, struct rte_eth_dev_info *info)
{
	const struct vif *vif = vif_of(dev);

	info->max_rx_pktlen = VIF_MAX_FRAME;
	info->max_mtu = VIF_MAX_FRAME - RTE_ETHER_HDR_LEN;
	info->max_rx_queues = info->max_tx_queues = (uint16_t)RTE_MAX(vif->nr_queues, 1u);
	info->max_mac_addrs = 1;
	info->min_rx_bufsize = 0;
	info->rx_offload_capa = RTE_ETH_RX_OFFLOAD_SCATTER;
	info->tx_offload_capa = RTE_ETH_TX_OFFLOAD_MULTI_SEGS;
	return 0;
}

/* An ethdev receives what the guest transmits. */
static int pmd_stats(struct rte_eth_dev *dev, struct rte_eth_stats *stats)
{
	const struct vif *vif = vif_of(dev);

	for (unsigned i = 0; i < vif->nr_queues; i++) {
		const struct vif_stats *s = &vif->stats[i];

		stats->ipackets += stats->q_ipackets[i] = load_relaxed(&s->tx_packets);
		stats->ibytes += stats->q_ibytes[i] = load_relaxed(&s->tx_bytes);
		stats->rx_nombuf += load_relaxed(&s->tx_drop_no_mbuf);
		stats->opackets += stats->q_opackets[i] = load_relaxed(&s->rx_packets);
		stats->obytes += stats->q_obytes[i] = load_relaxed(&s->rx_bytes);
		stats->oerrors += load_relaxed(&s->rx_drop_no_request) + load_relaxed(&s->rx_drop_bad_grant) +
				  load_relaxed(&s->rx_drop_too_long);
	}
	return 0;
}

static int pmd_rx_setup(struct rte_eth_dev *dev, uint16_t queue, uint16_t nr_desc, unsigned int socket,
			const struct rte_eth_rxconf *conf, struct rte_mempool *pool)
{
	dev->data->rx_queues[queue] = vif_of(dev)->queue[queue];
	return 0;
}

static int pmd_tx_setup(struct rte_eth_dev *dev, uint16_t queue, uint16_t nr_desc, unsigned int socket,
			const struct rte_eth_txconf *conf)
{
	dev->data->tx_queues[queue] = vif_of(dev)->queue[queue];
	return 0;
}

static const struct eth_dev_ops pmd_ops = {
	.dev_configure = pmd_configure,
	.dev_start = pmd_start,
	.dev_stop = pmd_stop,
	.dev_close = pmd_close,
	.link_update = pmd_link_update,
	.promiscuous_enable = pmd_always,
	.promiscuous_disable = pmd_always,
	.allmulticast_enable = pmd_always,
	.allmulticast_disable = pmd_always,
	.mtu_set = pmd_mtu_set,
	.stats_get = pmd_stats,
	.dev_infos_get = pmd_infos,
	.rx_queue_setup = pmd_rx_setup,
	.tx_queue_setup = pmd_tx_setup,
};

static int pmd_probe(struct rte_vdev_device *vdev)
{
	struct rte_eth_dev *dev;
	struct pmd_private *priv;

	if (!attaching)
		return -ENODEV;
	dev = rte_eth_dev_allocate(vdev->device.name);
	if (!dev)
		return -ENOSPC;
	priv = rte_zmalloc("net_netback", sizeof(*priv), 0);
	if (!priv) {
		rte_eth_dev_release_port(dev);
		return -ENOMEM;
	}
	priv->vif = attaching;
	priv->mac = attaching->mac;
	dev->data->dev_private = priv;
	dev->data->mac_addrs = &priv->mac;
	dev->data->dev_link.link_speed = RTE_ETH_SPEED_NUM_10G;
	dev->data->dev_link.link_duplex = RTE_ETH_LINK_FULL_DUPLEX;
	dev->data->numa_node = vdev->device.numa_node;
	dev->device = &vdev->device;
	dev->dev_ops = &pmd_ops;
	dev->rx_pkt_burst = vif_tx_burst;
	dev->tx_pkt_burst = vif_rx_burst;
	rte_eth_dev_probing_finish(dev);
	return 0;
}

static int pmd_remove(struct rte_vdev_device *vdev)
{
	struct rte_eth_dev *dev = rte_eth_dev_allocated(vdev->device.name);

	if (dev) {
		dev->data->mac_addrs = NULL;
		rte_eth_dev_release_port(dev);
	}
	return 0;
}

static struct rte_vdev_driver pmd_driver = {
	.driver = {.name = "net_netback"},
	.probe = pmd_probe,
	.remove = pmd_remove,
};

/* Do a device's fields lie where ethdev_abi.h says? Asks DPDK's public functions about a device of ours. */
static bool pmd_abi_is_known(void)
{
	static const char name[] = "net_netback_abi";
	struct rte_ether_addr mac = {{0x02, 1, 2, 3, 4, 5}}, seen = {{0}};
	struct rte_eth_dev *dev;
	uint16_t id = 0, mtu = 0;
	bool ok;

	if (!strstr(rte_version(), " 22.11."))
		return false;
	dev = rte_eth_dev_allocate(name);
	if (!dev)
		return false;
	dev->data->mac_addrs = &mac;
	dev->dev_ops = &pmd_ops;
	rte_eth_dev_probing_finish(dev);
	ok = rte_eth_dev_get_port_by_name(name, &id) == 0 && dev->data->port_id == id &&
	     rte_eth_macaddr_get(id, &seen) == 0 && rte_is_same_ether_addr(&mac, &seen) &&
	     rte_eth_dev_get_mtu(id, &mtu) == 0 && dev->data->mtu == mtu;
	dev->data->mac_addrs = NULL;
	rte_eth_dev_release_port(dev);
	return ok;
}

int pmd_register(void)
{
	is_usable = pmd_abi_is_known();
	if (!is_usable)
		return -ENOTSUP;
	rte_vdev_register(&pmd_driver);
	return 0;
}

static void pmd_name(const struct vif *vif, char *name, size_t size)
{
	snprintf(name, size, "net_netback%u_%u", vif->domid, vif->devid);
}

int pmd_attach(struct vif *vif, uint16_t *port_id)
{
	char name[RTE_ETH_NAME_MAX_LEN];
	int err;

	if (!is_usable)
		return -ENOTSUP;
	if (rte_eth_dev_count_total() >= RTE_MAX_ETHPORTS)
		return -ENOSPC;
	pmd_name(vif, name, sizeof(name));
	attaching = vif;
	err = rte_vdev_init(name, "");
	attaching = NULL;
	return err ? err : rte_eth_dev_get_port_by_name(name, port_id);
}

void pmd_detach(struct vif *vif)
{
	char name[RTE_ETH_NAME_MAX_LEN];

	pmd_name(vif, name, sizeof(name));
	rte_vdev_uninit(name);
}
