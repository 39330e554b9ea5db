/*
 * dpdk/ethdev.h - what all ethdevs of ours do alike: how they come and go, link, statistics, devargs.
 *
 *      --vdev NAME,KEY=VALUE,...    ethdev_probe: DPDK's device, dev_private, kind->open
 *      rte_eth_dev_close, remove    ethdev_close: kind->close; DPDK frees dev_private
 *
 * A driver is a struct ethdev_kind, a table of operations in which ETHDEV_OPS stands, and a struct rte_vdev_driver whose probe calls
 * ethdev_probe with the kind, and whose remove is ethdev_remove.
 *
 * Owns     dev_private, until DPDK frees it with the port.
 * Trusts   dpdk/ethdev_abi.h as far as ethdev_probe has checked it.
 * Runs in  the program's control thread.
 * Fails    -errno, with a sentence in DPDK's log.
 */
#ifndef SLUICE_DPDK_ETHDEV_H
#define SLUICE_DPDK_ETHDEV_H

#include "dpdk/ethdev_abi.h"
#include "dpdk/xstats.h"

/* A device's queues, as they have counted. */
struct ethdev_counters {
	const void *queues; /* NULL: there are none now */
	unsigned nr_queues;
	unsigned nr_shown; /* those that have extended statistics */
};

struct ethdev_kind {
	size_t private_bytes; /* of dev_private, which begins with a struct ethdev */
	bool has_turnstiles;
	const struct counters_layout *layout;
	const struct eth_dev_ops *ops;
	eth_rx_burst_t rx;
	eth_tx_burst_t tx;
	uint16_t (*tx_prepare)(void *txq, struct rte_mbuf **pkts, uint16_t n); /* or NULL */
	/* Fills in the rest of dev_private, and the ethdev's mac. A failure leaves nothing behind. */
	int (*open)(struct rte_eth_dev *dev, const char *devargs);
	/* Also of a device that has not been stopped. NULL: nothing to do. */
	void (*close)(struct rte_eth_dev *dev);
	bool (*is_up)(const struct rte_eth_dev *dev);
	struct ethdev_counters (*counters)(const struct rte_eth_dev *dev);
	/* Adds a queue's counters to those of the whole ethdev, and sets its own. */
	void (*count)(struct rte_eth_stats *stats, unsigned i, const void *queue);
};

/* What each dev_private begins with. */
struct ethdev {
	const struct ethdev_kind *kind;
	struct rte_ether_addr mac;
	struct xstats xstats;
};

static inline struct ethdev *ethdev_of(const struct rte_eth_dev *dev)
{
	return dev->data->dev_private;
}

int ethdev_probe(struct rte_vdev_device *vdev, const struct ethdev_kind *kind);
int ethdev_remove(struct rte_vdev_device *vdev);

/* ---- operations ---------------------------------------------------------------------------------------------------------- */

int ethdev_close(struct rte_eth_dev *dev);
int ethdev_nothing(struct rte_eth_dev *dev);
int ethdev_link_update(struct rte_eth_dev *dev, int wait);
int ethdev_stats(struct rte_eth_dev *dev, struct rte_eth_stats *stats);
int ethdev_stats_reset(struct rte_eth_dev *dev);
int ethdev_xstats(struct rte_eth_dev *dev, struct rte_eth_xstat *to, unsigned int room);
int ethdev_xstats_names(struct rte_eth_dev *dev, struct rte_eth_xstat_name *to, unsigned int room);

/* Those that no driver of ours does in its own way. */
#define ETHDEV_OPS                           \
	.dev_close = ethdev_close,           \
	.link_update = ethdev_link_update,   \
	.xstats_get = ethdev_xstats,         \
	.xstats_get_names = ethdev_xstats_names

/* ---- devargs ------------------------------------------------------------------------------------------------------------- */

#define ETHDEV_MAX_ARGS 8u

/* One KEY=VALUE that a driver knows, and where its value goes: a text, a number from 0 to 65535, or yes or no. */
struct ethdev_arg {
	const char *key;
	unsigned *number;
	bool *answer;
	char *text;
	size_t room;
};

#define ETHDEV_TEXT(name, array) {.key = name, .text = array, .room = sizeof(array)}
#define ETHDEV_NUMBER(name, variable) {.key = name, .number = &(variable)}
#define ETHDEV_ANSWER(name, variable) {.key = name, .answer = &(variable)}

/* What is not given stays as it is. usage: what can be given, for the sentence that says so. -EINVAL. */
int ethdev_args(const char *devargs, const struct ethdev_arg *arg, unsigned nr, const char *usage);

#endif
