/*
 * dpdk/ethdev_abi.h - what a DPDK driver must know of an ethdev and of the vdev bus, for DPDK 22.11.
 *
 * Debian ships DPDK's libraries, in which the driver interface is exported (symbol version INTERNAL), but not its driver
 * headers. These are our own declarations of that binary interface: only the fields that a driver touches, each at its
 * asserted offset. The interface is fixed for the life of ABI version 23, which meson checks (22.11.x); drivers also check at run
 * time that the fields are where they are said to be, and do without if not.
 */
#ifndef SLUICE_DPDK_ETHDEV_ABI_H
#define SLUICE_DPDK_ETHDEV_ABI_H

#include <string.h>

#include <rte_bus_vdev.h>
#include <rte_devargs.h>
#include <rte_ethdev.h>
#include <rte_version.h>

struct eth_dev_ops;

struct rte_eth_dev {
	eth_rx_burst_t rx_pkt_burst;
	eth_tx_burst_t tx_pkt_burst;
	uint16_t (*tx_pkt_prepare)(void *txq, struct rte_mbuf **pkts, uint16_t n);
	void *of_descriptors[3];
	struct rte_eth_dev_data *data;
	void *process_private;
	const struct eth_dev_ops *dev_ops;
	struct rte_device *device;
	uint8_t rest[16512 - 80];
} __rte_cache_aligned;

struct rte_eth_dev_data {
	char name[RTE_ETH_NAME_MAX_LEN];
	void **rx_queues;
	void **tx_queues;
	uint16_t nr_rx_queues;
	uint16_t nr_tx_queues;
	uint8_t sriov[12];
	void *dev_private;
	struct rte_eth_link dev_link;
	uint8_t dev_conf[2384 - 112];
	uint16_t mtu;
	uint8_t pad[6];
	uint64_t rx_mbuf_alloc_failed;
	struct rte_ether_addr *mac_addrs;
	uint8_t mac_pool[3440 - 2408];
	uint16_t port_id;
	uint8_t rest[5492 - 3442];
	uint32_t dev_flags;
	int numa_node;
};

/* Operations by their place in the table; those that a vif has no use for stay NULL. */
struct eth_dev_ops {
	int (*dev_configure)(struct rte_eth_dev *dev);
	int (*dev_start)(struct rte_eth_dev *dev);
	int (*dev_stop)(struct rte_eth_dev *dev);
	void *set_link[2];
	int (*dev_close)(struct rte_eth_dev *dev);
	void *dev_reset;
	int (*link_update)(struct rte_eth_dev *dev, int wait);
	void *is_removed;
	int (*promiscuous_enable)(struct rte_eth_dev *dev);
	int (*promiscuous_disable)(struct rte_eth_dev *dev);
	int (*allmulticast_enable)(struct rte_eth_dev *dev);
	int (*allmulticast_disable)(struct rte_eth_dev *dev);
	void *mac[3];
	int (*set_mc_addr_list)(struct rte_eth_dev *dev, struct rte_ether_addr *list, uint32_t nr);
	int (*mtu_set)(struct rte_eth_dev *dev, uint16_t mtu);
	int (*stats_get)(struct rte_eth_dev *dev, struct rte_eth_stats *stats);
	int (*stats_reset)(struct rte_eth_dev *dev);
	int (*xstats_get)(struct rte_eth_dev *dev, struct rte_eth_xstat *to, unsigned int room);
	int (*xstats_reset)(struct rte_eth_dev *dev);
	int (*xstats_get_names)(struct rte_eth_dev *dev, struct rte_eth_xstat_name *to, unsigned int room);
	void *queue_stats_mapping_set;
	int (*dev_infos_get)(struct rte_eth_dev *dev, struct rte_eth_dev_info *info);
	void *between[16];
	int (*rx_queue_setup)(struct rte_eth_dev *dev, uint16_t queue, uint16_t nr_desc, unsigned int socket,
			      const struct rte_eth_rxconf *conf, struct rte_mempool *pool);
	void (*rx_queue_release)(struct rte_eth_dev *dev, uint16_t queue);
	void *rx_intr[2];
	int (*tx_queue_setup)(struct rte_eth_dev *dev, uint16_t queue, uint16_t nr_desc, unsigned int socket,
			      const struct rte_eth_txconf *conf);
	void (*tx_queue_release)(struct rte_eth_dev *dev, uint16_t queue);
	void *rest[66];
};

struct rte_driver {
	void *list[2];
	const char *name;
	const char *alias;
};

struct rte_device {
	void *list[2];
	const char *name;
	const char *bus_info;
	const struct rte_driver *driver;
	const struct rte_bus *bus;
	int numa_node;
	struct rte_devargs *devargs;
};

struct rte_vdev_device {
	void *list[2];
	struct rte_device device;
};

struct rte_vdev_driver {
	void *list[2];
	struct rte_driver driver;
	int (*probe)(struct rte_vdev_device *dev);
	int (*remove)(struct rte_vdev_device *dev);
	void *dma[2];
	uint32_t flags;
};

_Static_assert(offsetof(struct rte_eth_dev, data) == 48 && offsetof(struct rte_eth_dev, device) == 72, "abi 23");
_Static_assert(sizeof(struct rte_eth_dev) == 16512, "abi 23");
_Static_assert(offsetof(struct rte_eth_dev_data, dev_private) == 96, "abi 23");
_Static_assert(offsetof(struct rte_eth_dev_data, dev_link) == 104, "abi 23");
_Static_assert(offsetof(struct rte_eth_dev_data, mtu) == 2384, "abi 23");
_Static_assert(offsetof(struct rte_eth_dev_data, mac_addrs) == 2400, "abi 23");
_Static_assert(offsetof(struct rte_eth_dev_data, port_id) == 3440, "abi 23");
_Static_assert(offsetof(struct rte_eth_dev_data, dev_flags) == 5492, "abi 23");
_Static_assert(offsetof(struct eth_dev_ops, dev_close) == 40 && offsetof(struct eth_dev_ops, link_update) == 56, "abi 23");
_Static_assert(offsetof(struct eth_dev_ops, mtu_set) == 136 && offsetof(struct eth_dev_ops, stats_get) == 144, "abi 23");
_Static_assert(offsetof(struct eth_dev_ops, xstats_get) == 160 && offsetof(struct eth_dev_ops, xstats_get_names) == 176, "abi 23");
_Static_assert(offsetof(struct eth_dev_ops, dev_infos_get) == 192, "abi 23");
_Static_assert(offsetof(struct eth_dev_ops, rx_queue_setup) == 328, "abi 23");
_Static_assert(offsetof(struct eth_dev_ops, tx_queue_setup) == 360, "abi 23");
_Static_assert(sizeof(struct eth_dev_ops) == 904, "abi 23");
_Static_assert(offsetof(struct rte_vdev_driver, driver) == 16 && offsetof(struct rte_vdev_driver, probe) == 48, "abi 23");
_Static_assert(sizeof(struct rte_vdev_driver) == 88 && sizeof(struct rte_vdev_device) == 80, "abi 23");

struct rte_eth_dev *rte_eth_dev_allocate(const char *name);
struct rte_eth_dev *rte_eth_dev_allocated(const char *name);
void rte_eth_dev_probing_finish(struct rte_eth_dev *dev);
int rte_eth_dev_release_port(struct rte_eth_dev *dev);
extern struct rte_eth_dev rte_eth_devices[];
void rte_vdev_register(struct rte_vdev_driver *driver);
void rte_vdev_unregister(struct rte_vdev_driver *driver);

/* Is this DPDK one whose driver interface is declared here? */
static inline bool ethdev_abi_is_known(void)
{
	return strstr(rte_version(), " 22.11.") != NULL;
}

/* A device just allocated: do its fields lie where they are said to? */
static inline bool ethdev_abi_fits(const struct rte_eth_dev *dev)
{
	return dev == &rte_eth_devices[dev->data->port_id] && dev->data->mtu == RTE_ETHER_MTU && !dev->data->mac_addrs;
}

#endif
