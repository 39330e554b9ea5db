/*
 * dpdk/ethdev.c - how ethdevs of ours come and go, and what they say of themselves.
 *
 * Owns, Trusts, Runs in, Fails: ethdev.h.
 */
#include "dpdk/ethdev.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>

#include <rte_kvargs.h>
#include <rte_log.h>
#include <rte_malloc.h>

#include "dpdk/turnstile.h"

RTE_LOG_REGISTER(ethdev_log, pmd.net.sluice, NOTICE);
#define LOG(level, ...) rte_log(RTE_LOG_##level, ethdev_log, __VA_ARGS__)

/* ---- devices come and go ------------------------------------------------------------------------------------------------- */

static int check_surroundings(const struct ethdev_kind *kind)
{
	int err;

	if (!ethdev_abi_is_known()) {
		LOG(ERR, "this DPDK is not 22.11, for which the driver was made\n");
		return -ENOTSUP;
	}
	err = kind->has_turnstiles ? turnstile_init() : 0;
	if (err)
		LOG(ERR, "this kernel has no membarrier\n");
	return err;
}

static int open_device(struct rte_eth_dev *dev, const struct ethdev_kind *kind, const struct rte_vdev_device *vdev)
{
	const struct rte_devargs *given = vdev->device.devargs;
	struct ethdev *e = rte_zmalloc(vdev->device.name, kind->private_bytes, RTE_CACHE_LINE_SIZE);
	int err;

	if (!e)
		return -ENOMEM;
	dev->data->dev_private = e;
	e->kind = kind;
	err = xstats_init(&e->xstats, kind->layout);
	if (err)
		return err;
	err = kind->open(dev, given && given->args ? given->args : "");
	if (err)
		xstats_finish(&e->xstats);
	return err;
}

static void fill_device(struct rte_eth_dev *dev, const struct ethdev_kind *kind, struct rte_vdev_device *vdev)
{
	dev->data->mac_addrs = &ethdev_of(dev)->mac;
	dev->data->dev_link.link_speed = RTE_ETH_SPEED_NUM_10G;
	dev->data->dev_link.link_duplex = RTE_ETH_LINK_FULL_DUPLEX;
	dev->data->numa_node = vdev->device.numa_node;
	dev->device = &vdev->device;
	dev->dev_ops = kind->ops;
	dev->rx_pkt_burst = kind->rx;
	dev->tx_pkt_burst = kind->tx;
	dev->tx_pkt_prepare = kind->tx_prepare;
}

int ethdev_probe(struct rte_vdev_device *vdev, const struct ethdev_kind *kind)
{
	struct rte_eth_dev *dev;
	int err = check_surroundings(kind);

	if (err)
		return err;
	dev = rte_eth_dev_allocate(vdev->device.name);
	if (!dev)
		return -ENOSPC;
	err = ethdev_abi_fits(dev) ? open_device(dev, kind, vdev) : -ENOTSUP;
	if (err) {
		rte_eth_dev_release_port(dev); /* frees dev_private */
		return err;
	}
	fill_device(dev, kind, vdev);
	rte_eth_dev_probing_finish(dev);
	return 0;
}

int ethdev_close(struct rte_eth_dev *dev)
{
	struct ethdev *e = ethdev_of(dev);

	dev->data->mac_addrs = NULL; /* part of dev_private */
	if (e->kind->close)
		e->kind->close(dev);
	xstats_finish(&e->xstats);
	return 0;
}

/* A device that the program has closed is not there any more. */
int ethdev_remove(struct rte_vdev_device *vdev)
{
	struct rte_eth_dev *dev = rte_eth_dev_allocated(vdev->device.name);

	if (!dev)
		return 0;
	ethdev_close(dev);
	return rte_eth_dev_release_port(dev);
}

/* ---- operations ---------------------------------------------------------------------------------------------------------- */

int ethdev_nothing(struct rte_eth_dev *dev)
{
	(void)dev;
	return 0;
}

int ethdev_link_update(struct rte_eth_dev *dev, int wait)
{
	(void)wait;
	dev->data->dev_link.link_status = ethdev_of(dev)->kind->is_up(dev) ? RTE_ETH_LINK_UP : RTE_ETH_LINK_DOWN;
	return 0;
}

int ethdev_stats(struct rte_eth_dev *dev, struct rte_eth_stats *stats)
{
	struct ethdev *e = ethdev_of(dev);
	struct ethdev_counters c = e->kind->counters(dev);

	for (unsigned i = 0; c.queues && i < c.nr_queues; i++)
		e->kind->count(stats, i, xstats_queue(&e->xstats, c.queues, i));
	return 0;
}

int ethdev_stats_reset(struct rte_eth_dev *dev)
{
	struct ethdev *e = ethdev_of(dev);
	struct ethdev_counters c = e->kind->counters(dev);

	return c.queues ? xstats_reset(&e->xstats, c.queues, c.nr_queues) : 0;
}

int ethdev_xstats(struct rte_eth_dev *dev, struct rte_eth_xstat *to, unsigned int room)
{
	struct ethdev *e = ethdev_of(dev);
	struct ethdev_counters c = e->kind->counters(dev);

	return c.queues ? xstats_get(&e->xstats, c.queues, c.nr_shown, to, room) : 0;
}

int ethdev_xstats_names(struct rte_eth_dev *dev, struct rte_eth_xstat_name *to, unsigned int room)
{
	struct ethdev *e = ethdev_of(dev);
	struct ethdev_counters c = e->kind->counters(dev);

	return c.queues ? xstats_get_names(&e->xstats, c.nr_shown, to, room) : 0;
}

/* ---- devargs ------------------------------------------------------------------------------------------------------------- */

static int take_text(const struct ethdev_arg *arg, const char *value)
{
	if (*value && strlen(value) < arg->room) {
		strcpy(arg->text, value);
		return 0;
	}
	LOG(ERR, "%s= is empty or too long\n", arg->key);
	return -EINVAL;
}

static int take_number(const struct ethdev_arg *arg, const char *value)
{
	char *end = NULL;
	unsigned long n = *value >= '0' && *value <= '9' ? strtoul(value, &end, 10) : 0;

	if (end && !*end && n <= 65535) {
		*arg->number = (unsigned)n;
		return 0;
	}
	LOG(ERR, "%s=%s is not a number from 0 to 65535\n", arg->key, value);
	return -EINVAL;
}

static int take_answer(const struct ethdev_arg *arg, const char *value)
{
	*arg->answer = !strcmp(value, "yes");
	if (*arg->answer || !strcmp(value, "no"))
		return 0;
	LOG(ERR, "%s=%s is neither yes nor no\n", arg->key, value);
	return -EINVAL;
}

static int take(const char *key, const char *value, void *to)
{
	const struct ethdev_arg *arg = to;

	(void)key;
	if (!value)
		value = "";
	return arg->text ? take_text(arg, value) : arg->answer ? take_answer(arg, value) : take_number(arg, value);
}

int ethdev_args(const char *devargs, const struct ethdev_arg *arg, unsigned nr, const char *usage)
{
	const char *keys[ETHDEV_MAX_ARGS + 1] = {NULL};
	struct rte_kvargs *kv;
	int err = 0;

	assert(nr <= ETHDEV_MAX_ARGS);
	for (unsigned i = 0; i < nr; i++)
		keys[i] = arg[i].key;
	kv = rte_kvargs_parse(devargs, keys);
	if (!kv) {
		LOG(ERR, "'%s' cannot be understood; use %s\n", devargs, usage);
		return -EINVAL;
	}
	for (unsigned i = 0; i < nr && !err; i++)
		if (rte_kvargs_process(kv, arg[i].key, take, (void *)(uintptr_t)&arg[i]))
			err = -EINVAL;
	rte_kvargs_free(kv);
	return err;
}
