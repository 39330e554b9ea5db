/*
 * frontends/netfront_pmd.c - DPDK driver net_netfront: a DPDK program becomes a guest, its vif an ethdev.
 *
 *      --vdev net_netfront0,attach=NAME,vif=0   probe: join the domain, connect, learn what the back end can
 *      configure: connect anew when other queues or offloads are wanted; start, bursts, stop; close: leave
 *
 * The device stays when its back end goes: the link is down, bursts move nothing, until the next one has connected.
 *
 * Owns     the netfront, and a reference to the domain it is in.
 * Trusts   dpdk/ethdev_abi.h as far as dpdk/ethdev.h says.
 * Runs in  the program's control thread; what touches the bus in the bus's thread.
 * Fails    -errno, with a sentence in DPDK's log.
 */
#include <errno.h>

#include <rte_cycles.h>
#include <rte_log.h>
#include <rte_malloc.h>

#include "dpdk/ethdev.h"
#include "frontends/net_guest.h"
#include "frontends/netfront_mcast.h"
#include "frontends/netfront_pmd.h"

#define CONNECT_MS 10000
#define MCAST_TRIES 100 /* a millisecond each: a back end that answers makes room in less */
#define RX_OFFLOADS                                                                                              \
	(RTE_ETH_RX_OFFLOAD_TCP_CKSUM | RTE_ETH_RX_OFFLOAD_UDP_CKSUM | RTE_ETH_RX_OFFLOAD_TCP_LRO |            \
	 RTE_ETH_RX_OFFLOAD_SCATTER | RTE_ETH_RX_OFFLOAD_RSS_HASH)
#define RSS_TYPES (RTE_ETH_RSS_IPV4 | RTE_ETH_RSS_NONFRAG_IPV4_TCP | RTE_ETH_RSS_IPV6 | RTE_ETH_RSS_NONFRAG_IPV6_TCP)

RTE_LOG_REGISTER(netfront_log, pmd.net.netfront, NOTICE);
#define LOG(level, ...) rte_log(RTE_LOG_##level, netfront_log, __VA_ARGS__)

/* Its dev_private. */
struct netfront_port {
	struct ethdev ethdev;
	struct net_guest *guest;
	struct netfront *nf; /* NULL: not connected since the last attempt */
	unsigned devid;
	struct netfront_options options;
	bool is_started; /* the bus's thread's */
	bool takes_all, takes_all_mcast; /* promiscuous, allmulticast: what the program wants to see */
	bool has_long_list;              /* more addresses than a back end keeps */
	struct netfront_mcast mcast, sent_mcast; /* that it listens to; what the back end knows of them */
	uint16_t nr_rx, nr_tx;
	struct netfront_pmd_queue *rx[NETFRONT_MAX_QUEUES], *tx[NETFRONT_MAX_QUEUES];
};

static struct netfront_port *port_of(const struct rte_eth_dev *dev)
{
	return dev->data->dev_private;
}

/* ---- turnstiles --------------------------------------------------------------------------------------------------------------- */

static void open_turnstile(struct netfront_pmd_queue *q, struct netfront_queue *queue)
{
	if (!q)
		return;
	q->queue = queue;
	turnstile_open(&q->turnstile);
}

/* In the bus's thread: opens the turnstiles of a connected, started device. */
static void open_turnstiles(struct netfront_port *p)
{
	if (!p->nf || !p->nf->is_connected || !p->is_started)
		return;
	for (unsigned i = 0; i < p->nr_rx && i < p->nf->nr_queues; i++)
		open_turnstile(p->rx[i], &p->nf->queue[i]);
	for (unsigned i = 0; i < p->nr_tx && i < p->nf->nr_queues; i++)
		open_turnstile(p->tx[i], &p->nf->queue[i]);
}

static void close_turnstiles(struct netfront_port *p)
{
	for (unsigned i = 0; i < NETFRONT_MAX_QUEUES; i++) {
		if (p->rx[i])
			turnstile_close(&p->rx[i]->turnstile);
		if (p->tx[i])
			turnstile_close(&p->tx[i]->turnstile);
	}
}

static int apply_mcast(struct frontbus *bus, void *arg);

/* The first time connect_as_wanted does the rest. */
static void went_up(struct netfront *nf, void *arg)
{
	struct netfront_port *p = arg;

	if (p->nf != nf)
		return;
	open_turnstiles(p);
	p->sent_mcast.nr = 0; /* a new back end has no list */
	apply_mcast(nf->bus, p);
}

static void went_down(struct netfront *nf, void *arg)
{
	(void)nf;
	close_turnstiles(arg);
}

/* ---- in the bus's thread -------------------------------------------------------------------------------------------------- */

static int disconnect(struct frontbus *bus, void *arg)
{
	struct netfront_port *p = arg;

	(void)bus;
	if (!p->nf)
		return 0;
	net_guest_remove(p->guest, p->nf);
	netfront_destroy(p->nf);
	p->nf = NULL;
	xstats_forget(&p->ethdev.xstats);
	return 0;
}

/* The list, through the tx ring: for that long the lcore stays out of it. */
static int send_mcast(struct netfront_port *p)
{
	struct netfront_pmd_queue *q = p->is_started ? p->tx[0] : NULL;
	int rc;

	if (q)
		turnstile_close(&q->turnstile);
	for (unsigned i = 0; (rc = netfront_mcast_change(p->nf, &p->sent_mcast, &p->mcast)) == -EAGAIN && i < MCAST_TRIES; i++)
		rte_delay_us_sleep(1000);
	if (q && p->nf->is_connected)
		open_turnstile(q, &p->nf->queue[0]);
	return rc;
}

/* What cannot be filtered comes: a program that sees more than it asked for sees that, too. */
static int apply_mcast(struct frontbus *bus, void *arg)
{
	struct netfront_port *p = arg;
	bool is_filter = !p->takes_all && !p->takes_all_mcast && !p->has_long_list;

	(void)bus;
	if (!p->nf || !p->nf->is_connected || !(p->nf->tx_can & NETFRONT_MCAST))
		return 0;
	if (is_filter && send_mcast(p))
		is_filter = false;
	netfront_mcast_filter(p->nf, is_filter);
	return 0;
}

static int connect_as_wanted(struct frontbus *bus, void *arg)
{
	struct netfront_port *p = arg;
	int rc;

	disconnect(bus, p);
	p->sent_mcast.nr = 0;
	rc = netfront_create(bus, p->devid, &p->options, &p->nf);
	if (rc)
		return rc;
	rc = net_guest_add(p->guest, p->nf);
	if (!rc)
		rc = netfront_wait_connected(p->nf, CONNECT_MS);
	if (rc)
		disconnect(bus, p);
	return rc;
}

static int start(struct frontbus *bus, void *arg)
{
	struct netfront_port *p = arg;

	p->is_started = true;
	open_turnstiles(p);
	return apply_mcast(bus, p);
}

static int stop(struct frontbus *bus, void *arg)
{
	struct netfront_port *p = arg;

	(void)bus;
	p->is_started = false;
	close_turnstiles(p);
	return 0;
}

static int connect_port(struct netfront_port *p)
{
	int rc = net_guest_run(p->guest, connect_as_wanted, p);

	if (rc == -ENOENT)
		LOG(ERR, "vif %u does not exist in this domain; add it to the domain's configuration\n", p->devid);
	else if (rc == -ETIMEDOUT)
		LOG(ERR, "vif %u: no back end has connected within %d seconds; is it running?\n", p->devid, CONNECT_MS / 1000);
	else if (rc)
		LOG(ERR, "vif %u cannot be used: %s\n", p->devid, strerror(-rc));
	else if (p->nf->lends_not)
		LOG(WARNING, "vif %u: zero-copy=yes is without effect, frames are copied: %s\n", p->devid, p->nf->lends_not);
	return rc;
}

static void leave_guest(struct netfront_port *p)
{
	unsigned lent = net_guest_put(p->guest);

	if (lent)
		LOG(WARNING, "vif %u: %u received frames are not freed yet: the domain and its memory last as long as this program\n",
		    p->devid, lent);
}

/* ---- the ethdev ----------------------------------------------------------------------------------------------------------- */

/* What the program has chosen, as what a netfront accepts. */
static uint32_t accepts_of(const struct rte_eth_conf *conf)
{
	uint64_t offloads = conf->rxmode.offloads;
	uint32_t accepts = 0;

	if (offloads & (RTE_ETH_RX_OFFLOAD_TCP_CKSUM | RTE_ETH_RX_OFFLOAD_UDP_CKSUM))
		accepts |= NETFRONT_CSUM4 | NETFRONT_CSUM6;
	if (offloads & RTE_ETH_RX_OFFLOAD_TCP_LRO)
		accepts |= NETFRONT_CSUM4 | NETFRONT_CSUM6 | NETFRONT_GSO4 | NETFRONT_GSO6;
	if (conf->rxmode.mq_mode & RTE_ETH_MQ_RX_RSS_FLAG)
		accepts |= NETFRONT_HASH;
	return accepts;
}

static int pmd_configure(struct rte_eth_dev *dev)
{
	struct netfront_port *p = port_of(dev);
	unsigned queues = RTE_MAX(dev->data->nr_rx_queues, dev->data->nr_tx_queues);
	uint32_t accepts = accepts_of((const struct rte_eth_conf *)dev->data->dev_conf);
	int rc = 0;

	if (!p->nf || !p->nf->is_connected || accepts != p->options.accepts || queues != p->nf->nr_queues) {
		p->options.accepts = accepts;
		p->options.queues = queues;
		rc = connect_port(p);
	}
	if (!rc && p->nf->nr_queues < queues) {
		LOG(ERR, "vif %u: %u queues are wanted, %u are to be had; use fewer, or fewer slots\n", p->devid, queues, p->nf->nr_queues);
		rc = -ENOSPC;
	}
	return rc;
}

static int pmd_start(struct rte_eth_dev *dev)
{
	struct netfront_port *p = port_of(dev);

	p->nr_rx = dev->data->nr_rx_queues;
	p->nr_tx = dev->data->nr_tx_queues;
	/* Its back end went while it was stopped, or before: there may be another by now. */
	if (!p->nf || !load_relaxed(&p->nf->is_connected)) {
		int rc = connect_port(p);

		if (rc)
			return rc;
	}
	return net_guest_run(p->guest, start, p);
}

static int pmd_stop(struct rte_eth_dev *dev)
{
	dev->data->dev_link.link_status = RTE_ETH_LINK_DOWN;
	return net_guest_run(port_of(dev)->guest, stop, port_of(dev));
}

static void pmd_close(struct rte_eth_dev *dev)
{
	struct netfront_port *p = port_of(dev);

	net_guest_run(p->guest, disconnect, p);
	leave_guest(p);
}

static bool pmd_is_up(const struct rte_eth_dev *dev)
{
	const struct netfront_port *p = port_of(dev);

	return p->nf && load_relaxed(&p->nf->is_connected) && load_relaxed(&p->nf->has_carrier);
}

/* Of unicast frames a vif gets what the back end sends it, whatever the program says; multicast frames can be chosen. */
static int pmd_see(struct rte_eth_dev *dev, bool *what, bool is_on)
{
	struct netfront_port *p = port_of(dev);

	*what = is_on;
	return p->is_started ? net_guest_run(p->guest, apply_mcast, p) : 0;
}

static int pmd_promiscuous_on(struct rte_eth_dev *dev)
{
	return pmd_see(dev, &port_of(dev)->takes_all, true);
}

static int pmd_promiscuous_off(struct rte_eth_dev *dev)
{
	return pmd_see(dev, &port_of(dev)->takes_all, false);
}

static int pmd_allmulticast_on(struct rte_eth_dev *dev)
{
	return pmd_see(dev, &port_of(dev)->takes_all_mcast, true);
}

static int pmd_allmulticast_off(struct rte_eth_dev *dev)
{
	return pmd_see(dev, &port_of(dev)->takes_all_mcast, false);
}

static int pmd_mcast_list(struct rte_eth_dev *dev, struct rte_ether_addr *list, uint32_t nr)
{
	struct netfront_port *p = port_of(dev);

	p->mcast.nr = RTE_MIN(nr, NETFRONT_MAX_MCAST);
	for (unsigned i = 0; i < p->mcast.nr; i++)
		memcpy(p->mcast.addr[i], list[i].addr_bytes, RTE_ETHER_ADDR_LEN);
	return pmd_see(dev, &p->has_long_list, nr > NETFRONT_MAX_MCAST);
}

static int pmd_mtu_set(struct rte_eth_dev *dev, uint16_t mtu)
{
	struct netfront_port *p = port_of(dev);

	return p->nf && mtu + (uint32_t)RTE_ETHER_HDR_LEN > netfront_max_frame(p->nf) ? -EINVAL : 0;
}

static int pmd_infos(struct rte_eth_dev *dev, struct rte_eth_dev_info *info)
{
	struct netfront_port *p = port_of(dev);
	uint32_t can = p->nf ? p->nf->tx_can : 0, frame = p->nf ? netfront_max_frame(p->nf) : PAGE_BYTES;

	info->max_rx_pktlen = NETFRONT_MAX_RX_FRAME;
	info->max_lro_pkt_size = NETFRONT_MAX_RX_FRAME;
	info->max_mtu = (uint16_t)RTE_MIN(frame - RTE_ETHER_HDR_LEN, (uint32_t)UINT16_MAX);
	info->max_rx_queues = info->max_tx_queues = (uint16_t)(p->nf ? p->nf->max_queues : 1);
	info->max_mac_addrs = 1;
	info->rx_offload_capa = RX_OFFLOADS;
	info->flow_type_rss_offloads = RSS_TYPES;
	info->tx_offload_capa = RTE_ETH_TX_OFFLOAD_MULTI_SEGS | RTE_ETH_TX_OFFLOAD_MBUF_FAST_FREE;
	if (can & NETFRONT_CSUM4 && can & NETFRONT_CSUM6)
		info->tx_offload_capa |= RTE_ETH_TX_OFFLOAD_TCP_CKSUM | RTE_ETH_TX_OFFLOAD_UDP_CKSUM;
	if (can & NETFRONT_GSO4 && can & NETFRONT_GSO6)
		info->tx_offload_capa |= RTE_ETH_TX_OFFLOAD_TCP_TSO;
	info->rx_desc_lim = (struct rte_eth_desc_lim){.nb_max = NETFRONT_SLOTS * 16, .nb_min = 1, .nb_align = 1};
	info->tx_desc_lim = info->rx_desc_lim;
	return 0;
}

static struct ethdev_counters pmd_counters(const struct rte_eth_dev *dev)
{
	const struct netfront *nf = port_of(dev)->nf;

	return nf ? (struct ethdev_counters){nf->counters, nf->nr_counters, nf->nr_counters} : (struct ethdev_counters){0};
}

static void pmd_count(struct rte_eth_stats *stats, unsigned i, const void *queue)
{
	const struct netfront_counters *c = queue;

	stats->ipackets += stats->q_ipackets[i] = c->rx_packets;
	stats->ibytes += stats->q_ibytes[i] = c->rx_bytes;
	stats->opackets += stats->q_opackets[i] = c->tx_packets;
	stats->obytes += stats->q_obytes[i] = c->tx_bytes;
	stats->ierrors += c->rx_drop_error + c->rx_drop_bounds + c->rx_drop_chain + c->rx_drop_extra;
	stats->oerrors += c->tx_errors + c->tx_drop_size + c->tx_drop_offload;
}

/* What the rings have counted, and frames that found no mbuf. */
static int pmd_stats(struct rte_eth_dev *dev, struct rte_eth_stats *stats)
{
	struct netfront_port *p = port_of(dev);

	for (unsigned i = 0; p->nf && i < p->nf->nr_counters; i++)
		stats->rx_nombuf += p->rx[i] ? load_relaxed(&p->rx[i]->no_mbuf) : 0;
	return ethdev_stats(dev, stats);
}

static int pmd_stats_reset(struct rte_eth_dev *dev)
{
	struct netfront_port *p = port_of(dev);

	for (unsigned i = 0; i < NETFRONT_MAX_QUEUES; i++)
		if (p->rx[i])
			store_relaxed(&p->rx[i]->no_mbuf, 0);
	return ethdev_stats_reset(dev);
}

static struct netfront_pmd_queue *new_queue(struct rte_eth_dev *dev, struct rte_mempool *pool)
{
	struct netfront_pmd_queue *q = rte_zmalloc("netfront", sizeof(*q), RTE_CACHE_LINE_SIZE);

	if (q) {
		q->pool = pool;
		q->port_id = dev->data->port_id;
	}
	return q;
}

static int pmd_rx_setup(struct rte_eth_dev *dev, uint16_t i, uint16_t nr_desc, unsigned int socket, const struct rte_eth_rxconf *conf,
			struct rte_mempool *pool)
{
	struct netfront_port *p = port_of(dev);

	dev->data->rx_queues[i] = p->rx[i] = new_queue(dev, pool);
	return p->rx[i] ? 0 : -ENOMEM;
}

static int pmd_tx_setup(struct rte_eth_dev *dev, uint16_t i, uint16_t nr_desc, unsigned int socket, const struct rte_eth_txconf *conf)
{
	struct netfront_port *p = port_of(dev);

	dev->data->tx_queues[i] = p->tx[i] = new_queue(dev, NULL);
	if (!p->tx[i])
		return -ENOMEM;
	p->tx[i]->fast_free = ((const struct rte_eth_conf *)dev->data->dev_conf)->txmode.offloads & RTE_ETH_TX_OFFLOAD_MBUF_FAST_FREE;
	return 0;
}

/* The device is stopped: the turnstile is closed, and nobody else knows the queue. */
static void pmd_rx_release(struct rte_eth_dev *dev, uint16_t i)
{
	struct netfront_port *p = port_of(dev);

	if (!p->rx[i])
		return;
	rte_pktmbuf_free_bulk(p->rx[i]->spare, p->rx[i]->nr_spare);
	rte_free(p->rx[i]);
	p->rx[i] = NULL;
	dev->data->rx_queues[i] = NULL;
}

static void pmd_tx_release(struct rte_eth_dev *dev, uint16_t i)
{
	struct netfront_port *p = port_of(dev);

	rte_free(p->tx[i]);
	p->tx[i] = NULL;
	dev->data->tx_queues[i] = NULL;
}

static const struct eth_dev_ops pmd_ops = {
	ETHDEV_OPS,
	.dev_configure = pmd_configure,
	.dev_start = pmd_start,
	.dev_stop = pmd_stop,
	.promiscuous_enable = pmd_promiscuous_on,
	.promiscuous_disable = pmd_promiscuous_off,
	.allmulticast_enable = pmd_allmulticast_on,
	.allmulticast_disable = pmd_allmulticast_off,
	.set_mc_addr_list = pmd_mcast_list,
	.mtu_set = pmd_mtu_set,
	.stats_get = pmd_stats,
	.stats_reset = pmd_stats_reset,
	.xstats_reset = pmd_stats_reset,
	.dev_infos_get = pmd_infos,
	.rx_queue_setup = pmd_rx_setup,
	.rx_queue_release = pmd_rx_release,
	.tx_queue_setup = pmd_tx_setup,
	.tx_queue_release = pmd_tx_release,
};

/* ---- devargs --------------------------------------------------------------------------------------------------------------- */

struct devargs {
	char attach[256], run_dir[256], platform[16];
	unsigned vif, slots;
	bool zero_copy;
};

static int parse(const char *text, struct devargs *a)
{
	const struct ethdev_arg args[] = {
		ETHDEV_TEXT("attach", a->attach), ETHDEV_TEXT("run_dir", a->run_dir), ETHDEV_TEXT("hv", a->platform),
		ETHDEV_NUMBER("vif", a->vif), ETHDEV_NUMBER("slots", a->slots),
		ETHDEV_ANSWER("zero-copy", a->zero_copy),
	};

	return ethdev_args(text, args, RTE_DIM(args), "attach=NAME, run_dir=DIR, hv=PLATFORM, vif=N, slots=N, zero-copy=yes|no");
}

static const char *text_or_null(const char *text)
{
	return *text ? text : NULL;
}

/* ---- the driver ------------------------------------------------------------------------------------------------------------ */

static int open_port(struct netfront_port *p, const struct devargs *a)
{
	const struct hv_options opt = {
		.platform = text_or_null(a->platform), .run_dir = text_or_null(a->run_dir), .attach = text_or_null(a->attach)};
	char why[HV_WHY_BYTES];
	int rc = net_guest_get(&opt, &p->guest, why);

	if (rc) {
		LOG(ERR, "%s\n", why);
		return rc;
	}
	p->devid = a->vif;
	p->options = (struct netfront_options){.queues = 1, .slots = a->slots, .reconnects = true, .hooks = {went_up, went_down, p}};
	if (a->zero_copy)
		p->options.lending = net_guest_lending(p->guest);
	rc = connect_port(p);
	if (rc)
		net_guest_put(p->guest);
	return rc;
}

static int pmd_open(struct rte_eth_dev *dev, const char *devargs)
{
	struct netfront_port *p = port_of(dev);
	struct devargs a = {0};
	int rc = parse(devargs, &a);

	if (!rc)
		rc = open_port(p, &a);
	if (rc)
		return rc;
	memcpy(&p->ethdev.mac, p->nf->mac, sizeof(p->ethdev.mac));
	dev->data->mtu = (uint16_t)p->nf->mtu;
	return 0;
}

static const struct ethdev_kind pmd_kind = {
	.private_bytes = sizeof(struct netfront_port),
	.has_turnstiles = true,
	.layout = &netfront_counters_layout,
	.ops = &pmd_ops,
	.rx = netfront_pmd_rx,
	.tx = netfront_pmd_tx,
	.tx_prepare = netfront_pmd_tx_prepare,
	.open = pmd_open,
	.close = pmd_close,
	.is_up = pmd_is_up,
	.counters = pmd_counters,
	.count = pmd_count,
};

static int pmd_probe(struct rte_vdev_device *vdev)
{
	return ethdev_probe(vdev, &pmd_kind);
}

static struct rte_vdev_driver pmd_driver = {
	.driver = {.name = "net_netfront"},
	.probe = pmd_probe,
	.remove = ethdev_remove,
};

/* The plugin is loaded before the buses look for devices. */
RTE_INIT(netfront_pmd_register)
{
	rte_vdev_register(&pmd_driver);
}
