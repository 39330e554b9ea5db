/*
 * netback/pmd.c - the vif as an ethdev of sluice-netback.
 *
 *      pmd_attach --> rte_vdev_init --> probe: ethdev over the vif being attached --> port_start --> bursts
 *
 * Devices of this driver come and go with the guests; one asked for by name has no vif behind it and is refused.
 *
 * Owns     the ethdev; the vif and its queues are the caller's.
 * Trusts   dpdk/ethdev_abi.h as far as dpdk/ethdev.h says.
 * Runs in  the control thread.
 * Fails    -errno; the vif then works without an ethdev.
 */
#include "netback/pmd.h"

#include <errno.h>
#include <stdio.h>

#include "netback/vif_ethdev.h"

static struct vif *attaching; /* between pmd_attach and probe, one thread */
static bool is_usable;

/* Its dev_private. */
static struct vif_ethdev *port_of(const struct rte_eth_dev *dev)
{
	return dev->data->dev_private;
}

static int pmd_start(struct rte_eth_dev *dev)
{
	store_relaxed(&port_of(dev)->is_up, true);
	return ethdev_link_update(dev, 0);
}

static int pmd_stop(struct rte_eth_dev *dev)
{
	store_relaxed(&port_of(dev)->is_up, false);
	return ethdev_link_update(dev, 0);
}

static int pmd_infos(struct rte_eth_dev *dev, struct rte_eth_dev_info *info)
{
	vif_ethdev_infos(info);
	info->max_rx_queues = info->max_tx_queues = (uint16_t)RTE_MAX(port_of(dev)->vif->nr_queues, 1u);
	return 0;
}

static int pmd_rx_setup(struct rte_eth_dev *dev, uint16_t queue, uint16_t nr_desc, unsigned int socket,
			const struct rte_eth_rxconf *conf, struct rte_mempool *pool)
{
	dev->data->rx_queues[queue] = port_of(dev)->vif->queue[queue];
	return 0;
}

static int pmd_tx_setup(struct rte_eth_dev *dev, uint16_t queue, uint16_t nr_desc, unsigned int socket,
			const struct rte_eth_txconf *conf)
{
	dev->data->tx_queues[queue] = port_of(dev)->vif->queue[queue];
	return 0;
}

static const struct eth_dev_ops pmd_ops = {
	VIF_ETHDEV_OPS,
	.dev_start = pmd_start,
	.dev_stop = pmd_stop,
	.stats_get = ethdev_stats,
	.stats_reset = ethdev_stats_reset,
	.xstats_reset = ethdev_stats_reset,
	.dev_infos_get = pmd_infos,
	.rx_queue_setup = pmd_rx_setup,
	.tx_queue_setup = pmd_tx_setup,
};

static int pmd_open(struct rte_eth_dev *dev, const char *devargs)
{
	(void)devargs;
	if (!attaching)
		return -ENODEV;
	port_of(dev)->vif = attaching;
	port_of(dev)->ethdev.mac = attaching->mac;
	return 0;
}

static const struct ethdev_kind pmd_kind = {
	VIF_ETHDEV_KIND,
	.private_bytes = sizeof(struct vif_ethdev),
	.ops = &pmd_ops,
	.rx = vif_tx_burst,
	.tx = vif_rx_burst,
	.open = pmd_open,
};

static int pmd_probe(struct rte_vdev_device *vdev)
{
	return ethdev_probe(vdev, &pmd_kind);
}

static struct rte_vdev_driver pmd_driver = {
	.driver = {.name = VIF_ETHDEV_DRIVER},
	.probe = pmd_probe,
	.remove = ethdev_remove,
};

int pmd_register(void)
{
	is_usable = ethdev_abi_is_known();
	if (!is_usable)
		return -ENOTSUP;
	rte_vdev_register(&pmd_driver);
	return 0;
}

static void pmd_name(const struct vif *vif, char *name, size_t size)
{
	snprintf(name, size, VIF_ETHDEV_DRIVER "%u_%u", vif->domid, vif->devid);
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
