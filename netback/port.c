/*
 * netback/port.c - opens, starts and closes ethdevs, and moves their packets.
 *
 *      devargs --probe--> ethdev --configure, queues, mtu, start--> bridge port --stop, close, remove-->
 *
 * Owns     the device.
 * Runs in  the control thread; port_in and port_out in the worker.
 * Fails    see port.h.
 */
#include "netback/port.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include <rte_bus.h>
#include <rte_dev.h>
#include <rte_devargs.h>

static uint16_t port_in(void *queue, struct rte_mbuf **pkts, uint16_t n)
{
	const struct port_queue *q = queue;

	return rte_eth_rx_burst(q->port_id, q->index, pkts, n);
}

static uint16_t port_out(void *queue, struct rte_mbuf **pkts, uint16_t n)
{
	const struct port_queue *q = queue;

	return rte_eth_tx_burst(q->port_id, q->index, pkts, n);
}

/* What the driver wants to know of a packet that leaves it the checksum, or the cutting. False: it refuses. */
static bool port_prepare(const struct port_queue *q, struct rte_mbuf *m)
{
	if (likely(!offload_needs(m)))
		return true;
	if ((m->ol_flags & (RTE_MBUF_F_TX_TCP_SEG | RTE_MBUF_F_TX_IPV4)) == (RTE_MBUF_F_TX_TCP_SEG | RTE_MBUF_F_TX_IPV4))
		m->ol_flags |= RTE_MBUF_F_TX_IP_CKSUM; /* each frame's own */
	return rte_eth_tx_prepare(q->port_id, q->index, &m, 1) == 1;
}

/* With hardware offloads: a packet that the driver refuses is gone, as one that gets lost on the wire. */
static uint16_t port_out_offload(void *queue, struct rte_mbuf **pkts, uint16_t n)
{
	const struct port_queue *q = queue;
	uint16_t nr = 0;

	for (uint16_t i = 0; i < n; i++)
		if (port_prepare(q, pkts[i]))
			pkts[nr++] = pkts[i];
		else
			rte_pktmbuf_free(pkts[i]);
	return (uint16_t)(rte_eth_tx_burst(q->port_id, q->index, pkts, nr) + (n - nr));
}

/* For drivers that cannot do with a packet as it lies: a copy of it in our own memory. */
static uint16_t port_out_copy(void *queue, struct rte_mbuf **pkts, uint16_t n)
{
	struct port_queue *q = queue;
	uint16_t nr;

	for (nr = 0; nr < n; nr++) {
		struct rte_mbuf *m = pkts[nr];

		if (m->nb_segs == 1 && RTE_MBUF_DIRECT(m))
			continue;
		m = rte_pktmbuf_copy(m, q->copy_pool, 0, UINT32_MAX);
		if (!m)
			break;
		rte_pktmbuf_free(pkts[nr]);
		pkts[nr] = m;
	}
	return port_out_offload(queue, pkts, nr);
}

/* Some drivers never bring a packet in; looking at them would only keep the machine awake. */
static bool port_is_silent(const char *devargs)
{
	if (strncmp(devargs, "net_pcap", 8) == 0)
		return !strstr(devargs, "rx_pcap=") && !strstr(devargs, "rx_iface") && !strstr(devargs, ",iface=");
	return strncmp(devargs, "net_null", 8) == 0 && strstr(devargs, "no-rx=1");
}

/* The longest frame it takes: jumbo if it can, else what it has. A driver without MTU has only its longest packet. */
static uint32_t port_set_mtu(uint16_t port_id, const struct rte_eth_dev_info *info)
{
	uint16_t mtu = RTE_ETHER_MTU;
	int err = rte_eth_dev_set_mtu(port_id, PORT_MAX_MTU);

	if (err == -ENOTSUP)
		return RTE_MIN(info->max_rx_pktlen, PORT_MAX_FRAME);
	if (err == 0)
		return PORT_MAX_FRAME;
	rte_eth_dev_get_mtu(port_id, &mtu);
	return (uint32_t)mtu + RTE_ETHER_HDR_LEN + RTE_VLAN_HLEN;
}

#define CSUM_OFFLOADS (RTE_ETH_TX_OFFLOAD_TCP_CKSUM | RTE_ETH_TX_OFFLOAD_UDP_CKSUM)
#define TSO_OFFLOADS (RTE_ETH_TX_OFFLOAD_TCP_TSO | RTE_ETH_TX_OFFLOAD_IPV4_CKSUM | RTE_ETH_TX_OFFLOAD_MULTI_SEGS)

/* net_tap computes checksums by itself, as we do, and its segmentation knows no IPv6. */
static uint64_t port_tx_offloads(const struct rte_eth_dev_info *info)
{
	uint64_t capa = info->tx_offload_capa, offloads = capa & RTE_ETH_TX_OFFLOAD_MULTI_SEGS;

	if (strcmp(info->driver_name, "net_tap") == 0 || (capa & CSUM_OFFLOADS) != CSUM_OFFLOADS)
		return offloads;
	offloads |= CSUM_OFFLOADS;
	return (capa & TSO_OFFLOADS) == TSO_OFFLOADS ? offloads | TSO_OFFLOADS : offloads;
}

static unsigned port_caps(uint64_t offloads)
{
	unsigned caps = 0;

	if ((offloads & CSUM_OFFLOADS) == CSUM_OFFLOADS)
		caps |= OFFLOAD_CSUM_IPV4 | OFFLOAD_CSUM_IPV6;
	if (offloads & RTE_ETH_TX_OFFLOAD_TCP_TSO)
		caps |= OFFLOAD_GSO_IPV4 | OFFLOAD_GSO_IPV6;
	return caps;
}

/* Flows to queues, so that each keeps its order. */
static void port_spread(struct rte_eth_conf *conf, const struct rte_eth_dev_info *info)
{
	conf->rx_adv_conf.rss_conf.rss_hf = info->flow_type_rss_offloads & (RTE_ETH_RSS_IP | RTE_ETH_RSS_TCP | RTE_ETH_RSS_UDP);
	if (conf->rx_adv_conf.rss_conf.rss_hf)
		conf->rxmode.mq_mode = RTE_ETH_MQ_RX_RSS;
}

static int port_configure(struct port *p, const struct rte_eth_conf *conf, uint16_t nr_queues, struct rte_mempool *pool)
{
	uint16_t nr_rx = PORT_NR_DESC, nr_tx = PORT_NR_DESC;
	int err = rte_eth_dev_configure(p->port_id, nr_queues, nr_queues, conf);

	err = err ? err : rte_eth_dev_adjust_nb_rx_tx_desc(p->port_id, &nr_rx, &nr_tx);
	for (uint16_t i = 0; i < nr_queues && !err; i++) {
		err = rte_eth_rx_queue_setup(p->port_id, i, nr_rx, SOCKET_ID_ANY, NULL, pool);
		err = err ? err : rte_eth_tx_queue_setup(p->port_id, i, nr_tx, SOCKET_ID_ANY, NULL);
	}
	return err;
}

/* The bridge's port and its parts, one for each queue. */
static void port_make_parts(struct port *p, const struct rte_eth_dev_info *info, uint64_t offloads, struct rte_mempool *copy_pool)
{
	bridge_burst_fn out = copy_pool ? port_out_copy : offloads & CSUM_OFFLOADS ? port_out_offload : port_out;

	p->bridge_port = (struct bridge_port){
		.nr_parts = p->nr_queues,
		.max_frame = port_set_mtu(p->port_id, info),
		.caps = port_caps(offloads),
		.index = BRIDGE_NO_PORT,
	};
	for (uint16_t i = 0; i < p->nr_queues; i++) {
		struct port_queue *q = &p->queue[i];

		*q = (struct port_queue){.port_id = p->port_id, .index = i, .intr_fd = -1, .copy_pool = copy_pool};
		q->part = (struct bridge_part){.queue = q, .in = port_in, .out = out};
		p->bridge_port.parts[i] = &q->part;
	}
}

int port_start(struct port *p, uint16_t port_id, uint16_t nr_queues, struct rte_mempool *pool, struct rte_mempool *flat)
{
	struct rte_eth_conf conf = {0};
	struct rte_eth_dev_info info;
	bool is_virtual, is_tap;
	int err = rte_eth_dev_info_get(port_id, &info);

	if (err)
		return err;
	p->port_id = port_id;
	p->nr_queues = nr_queues;
	rte_eth_dev_get_name_by_port(port_id, p->name);
	p->device = info.device;
	is_tap = strcmp(info.driver_name, "net_tap") == 0;
	conf.intr_conf.rxq = is_tap;
	conf.txmode.offloads = port_tx_offloads(&info);
	conf.rxmode.offloads = info.rx_offload_capa & (RTE_ETH_RX_OFFLOAD_SCATTER | RTE_ETH_RX_OFFLOAD_TCP_CKSUM |
						       RTE_ETH_RX_OFFLOAD_UDP_CKSUM);
	if (nr_queues > 1)
		port_spread(&conf, &info);
	err = port_configure(p, &conf, nr_queues, pool);
	if (err)
		return err;
	/* A device that reads memory by itself can reach the mbuf pool, not a guest's pages. */
	is_virtual = strcmp(rte_bus_name(rte_dev_bus(info.device)), "vdev") == 0;
	if (p->queue)
		port_make_parts(p, &info, conf.txmode.offloads,
			!(conf.txmode.offloads & RTE_ETH_TX_OFFLOAD_MULTI_SEGS) ? flat : is_virtual ? NULL : pool);
	err = rte_eth_dev_start(port_id);
	if (err)
		return err;
	rte_eth_promiscuous_enable(port_id); /* some drivers have no such mode and see everything anyway */
	for (uint16_t i = 0; is_tap && p->queue && i < nr_queues; i++)
		p->queue[i].intr_fd = rte_eth_dev_rx_intr_ctl_q_get_fd(port_id, i);
	return 0;
}

void port_stop(struct port *p)
{
	rte_eth_dev_stop(p->port_id);
}

static const char *port_reason(int err)
{
	switch (-err) {
	case EFAULT:
		return "DPDK has no driver of that name";
	case ENODEV:
		return "there is no such device, or no driver for it";
	case EEXIST:
		return "a port of that name is open already";
	default: /* many drivers say -1, whatever happened */
		return geteuid() ? "DPDK's driver refused it: is what it names there, and should you be root?"
				 : "DPDK's driver refused it: is what it names there?";
	}
}

/* What the devargs name may begin with the bus; a net_null that makes packets of zeros without end is nobody's wish. */
static int port_devargs(const char *given, char *devargs, size_t size)
{
	bool is_null = strncmp(given, "net_null", 8) == 0 && !strstr(given, "no-rx=");
	int n = snprintf(devargs, size, "%s%s", given, is_null ? ",no-rx=1" : "");

	return n > 0 && (size_t)n < size ? 0 : -EINVAL;
}

static int port_find(const char *devargs, uint16_t *port_id)
{
	struct rte_dev_iterator iter;
	uint16_t id;

	RTE_ETH_FOREACH_MATCHING_DEV(id, devargs, &iter) {
		rte_eth_iterator_cleanup(&iter);
		*port_id = id;
		return 0;
	}
	return -ENODEV;
}

/* As many queues as it has both ways, up to max. */
static uint16_t port_queues(uint16_t port_id, uint16_t max)
{
	struct rte_eth_dev_info info;

	if (rte_eth_dev_info_get(port_id, &info))
		return 1;
	max = RTE_MIN(max, info.max_rx_queues);
	max = RTE_MIN(max, info.max_tx_queues);
	return RTE_MAX(max, (uint16_t)1);
}

int port_open(const char *devargs, uint16_t max_queues, struct rte_mempool *pool, struct rte_mempool *flat, struct port **out,
	      char *why, size_t why_size)
{
	struct port *p = calloc(1, sizeof(*p));
	char full[512];
	uint16_t port_id = 0, nr;
	int err;

	if (!p) {
		snprintf(why, why_size, "port %s: out of memory", devargs);
		return -ENOMEM;
	}
	err = port_devargs(devargs, full, sizeof(full));
	if (err)
		goto free_port;
	err = rte_dev_probe(full);
	if (err)
		goto free_port;
	err = port_find(full, &port_id);
	if (err)
		goto free_port;
	nr = port_queues(port_id, max_queues);
	p->queue = calloc(nr, sizeof(*p->queue));
	err = p->queue ? port_start(p, port_id, nr, pool, flat) : -ENOMEM;
	if (err)
		goto remove_device;
	p->is_silent = port_is_silent(full);
	for (uint16_t i = 0; p->is_silent && i < p->nr_queues; i++)
		p->queue[i].part.in = NULL;
	*out = p;
	return 0;

remove_device:
	if (p->device)
		rte_dev_remove(p->device);
free_port:
	snprintf(why, why_size, "cannot open port '%s': %s (-v shows more)", devargs, port_reason(err));
	free(p->queue);
	free(p);
	return err;
}

void port_close(struct port *p)
{
	if (!p)
		return;
	rte_eth_dev_stop(p->port_id);
	rte_eth_dev_close(p->port_id);
	rte_dev_remove(p->device);
	free(p->queue);
	free(p);
}
