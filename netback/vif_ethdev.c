/*
 * netback/vif_ethdev.c - what a vif's ethdev says of itself.
 *
 * Runs in: vif_ethdev.h.
 */
#include "netback/vif_ethdev.h"

static const struct vif_ethdev *vif_ethdev_of(const struct rte_eth_dev *dev)
{
	return dev->data->dev_private;
}

bool vif_ethdev_is_up(const struct rte_eth_dev *dev)
{
	return load_relaxed(&vif_ethdev_of(dev)->is_up);
}

/* Also of queues that an earlier guest, or an earlier configuration, had and this one has not. */
struct ethdev_counters vif_ethdev_counters(const struct rte_eth_dev *dev)
{
	return (struct ethdev_counters){vif_ethdev_of(dev)->vif->stats, VIF_MAX_QUEUES, dev->data->nr_rx_queues};
}

void vif_ethdev_count(struct rte_eth_stats *stats, unsigned i, const void *queue)
{
	const struct vif_stats *s = queue;

	stats->ipackets += stats->q_ipackets[i] = s->tx_packets;
	stats->ibytes += stats->q_ibytes[i] = s->tx_bytes;
	stats->opackets += stats->q_opackets[i] = s->rx_packets;
	stats->obytes += stats->q_obytes[i] = s->rx_bytes;
	stats->rx_nombuf += s->tx_drop_no_mbuf;
	stats->oerrors += s->rx_drop_no_request + s->rx_drop_bad_grant + s->rx_drop_too_long;
}

void vif_ethdev_infos(struct rte_eth_dev_info *info)
{
	info->max_rx_pktlen = VIF_MAX_FRAME;
	info->max_mtu = VIF_MAX_FRAME - RTE_ETHER_HDR_LEN;
	info->max_mac_addrs = 1;
	info->min_rx_bufsize = VIF_TX_COPY_BYTES; /* a short packet lies in one buffer */
	info->rx_offload_capa = RTE_ETH_RX_OFFLOAD_SCATTER;
	info->tx_offload_capa = RTE_ETH_TX_OFFLOAD_MULTI_SEGS;
}

int vif_ethdev_mtu_set(struct rte_eth_dev *dev, uint16_t mtu)
{
	(void)dev;
	(void)mtu;
	return 0;
}
