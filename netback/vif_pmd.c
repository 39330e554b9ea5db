/*
 * netback/vif_pmd.c - DPDK driver net_netback of the plugin: a DPDK program serves a vif.
 *
 *      --vdev net_netback0,guest=NAME,vif=0     probe: an ethdev without a guest, its link down
 *      start: the vif is offered, now or when its guest comes; connected: link up, bursts; close: the vif is closed
 *
 * The ethdev is the program's; guests of that name come and go behind it. Each has its own connection to the hypervisor, and a thread
 * that looks after the store and after packets that still borrow a guest's pages.
 *
 * Owns     the connection, the thread, the device's queues.
 * Trusts   dpdk/ethdev_abi.h as far as dpdk/ethdev.h says.
 * Runs in  the program's control thread; everything about the vif in the port's own.
 * Fails    -errno, with a sentence in DPDK's log.
 */
#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <rte_log.h>
#include <rte_malloc.h>
#include <rte_mempool.h>

#include "hv/xenbus.h"
#include "netback/ctrl.h"
#include "netback/journal_file.h"
#include "netback/vif_ethdev.h"
#include "netback/vif_keys.h"
#include "netback/vif_pmd.h"

#define MAX_TX_QUEUES 32u /* one for each lcore that sends, as Open vSwitch has it */
/* Of pages that are out: all slots of all queues, and what lcores keep in their caches. */
#define EXT_MBUFS 8191u
#define EXT_CACHE 64u
#define TICK_MS 100
#define DRAIN_TICKS 20 /* how long close waits for borrowed pages */

RTE_LOG_REGISTER(netback_log, pmd.net.netback, NOTICE);
#define LOG(level, ...) rte_log(RTE_LOG_##level, netback_log, __VA_ARGS__)

/* Its dev_private. */
struct vif_pmd {
	struct vif_ethdev port; /* up while a front end is connected */
	struct hv *hv;
	struct xenbus *xenbus; /* while the thread runs */
	pthread_t thread;
	bool has_thread;
	uint32_t must_end;
	int wake_fd;
	char guest[64];    /* the name of the guest, or empty: */
	unsigned domid;    /* its number */
	unsigned devid;
	bool copies_only;
	char stats_name[VIF_STATS_NAME_BYTES]; /* of the counters' file while no guest is served */
	bool takes_large; /* the program asked for LRO */
	uint16_t nr_rx, nr_tx; /* the program's queues; the guest may have as many as there are rx */
	struct rte_mempool *ext_pool;
	struct vif_pools pools;
	bool any_fault;
	struct handshake *handshake; /* of the device that is being served */
	struct journal_file journal; /* while connected */
	struct ctrl ctrl;            /* its peer is NULL when there is none */
	struct vif vif; /* its counters are there all the time, and those of all guests that come */
	struct vif_pmd_guest to_guest; /* its queues while they are connected, as the lcores know them */
	TAILQ_HEAD(, vif_queue) lingering;
	struct vif_pmd_queue *rx[VIF_MAX_QUEUES], *tx[MAX_TX_QUEUES];
};

static struct vif_pmd *port_of(const struct rte_eth_dev *dev)
{
	return dev->data->dev_private;
}

/* ---- the vif, in the port's thread ------------------------------------------------------------------------------------------ */

static int vif_offer(struct handshake *h)
{
	struct vif_pmd *p = h->priv;

	p->handshake = h;
	return vif_keys_offer(h, p->nr_rx, p->takes_large);
}

/* The program may have been configured otherwise meanwhile, or be another one: then the guest begins anew. */
static bool vif_may_take_over(struct handshake *h)
{
	struct vif_pmd *p = h->priv;

	return vif_keys_are_offered(h, p->nr_rx, p->takes_large);
}

static void drop_queues(struct vif_pmd *p)
{
	while (p->vif.nr_queues) {
		struct vif_queue *q = p->vif.queue[--p->vif.nr_queues];

		vif_detach(q);
		if (!vif_queue_disconnect(q))
			TAILQ_INSERT_TAIL(&p->lingering, q, lingering);
	}
}

static int make_queues(struct vif_pmd *p, struct handshake *h, const struct vif_wishes *wishes)
{
	for (unsigned i = 0; i < wishes->nr_queues; i++) {
		const char *what;
		int err = vif_queue_create(h->hv, p->vif.domid, &wishes->keys[i], &wishes->features, &p->pools, &p->vif.stats[i],
					   &p->vif.queue[i], &what);

		if (err) {
			handshake_fail(h, "queue %u: %s cannot be used: %s", i, what, strerror(-err));
			drop_queues(p);
			return err;
		}
		vif_attach(p->vif.queue[i], &p->any_fault);
		p->vif.nr_queues++;
	}
	return 0;
}

/* Each of the program's tx queues leads somewhere, even if the guest has fewer. */
static void open_turnstiles(struct vif_pmd *p)
{
	for (unsigned i = 0; i < p->nr_tx; i++) {
		p->tx[i]->way = (uint16_t)(i % p->vif.nr_queues);
		turnstile_open(&p->tx[i]->turnstile);
	}
	for (unsigned i = 0; i < p->vif.nr_queues; i++) {
		p->rx[i]->way = (uint16_t)i;
		turnstile_open(&p->rx[i]->turnstile);
	}
}

static void close_turnstiles(struct vif_pmd *p)
{
	for (unsigned i = 0; i < p->nr_tx; i++)
		turnstile_close(&p->tx[i]->turnstile);
	for (unsigned i = 0; i < p->nr_rx; i++)
		turnstile_close(&p->rx[i]->turnstile);
}

/* Bursts move nothing meanwhile. */
static int pause_bursts(void *port, int (*fn)(void *arg), void *arg)
{
	struct vif_pmd *p = port;
	int ret;

	close_turnstiles(p);
	ret = fn(arg);
	open_turnstiles(p);
	return ret;
}

/* Its queues are there; the program does not see them yet. */
static int make_ctrl(struct vif_pmd *p, struct handshake *h, const struct vif_wishes *wishes)
{
	const char *what;
	int err;

	if (!wishes->has_ctrl)
		return 0;
	err = ctrl_open(&p->ctrl, h->hv, p->vif.domid, wishes->ctrl_ring_ref, wishes->ctrl_port, h->is_takeover, &what);
	if (err)
		handshake_fail(h, "%s cannot be used: %s", what, strerror(-err));
	if (err)
		return err;
	p->ctrl.target = (struct ctrl_target){
		.queue = p->vif.queue,
		.nr_queues = p->vif.nr_queues,
		.steer = &p->to_guest.steer,
		.pause = pause_bursts,
		.mover = p,
	};
	err = ctrl_begin(&p->ctrl, journal_file_ctrl(&p->journal, wishes), wishes->features.is_resumed);
	if (err) {
		handshake_fail(h, "the control ring cannot be used: %s", strerror(-err));
		ctrl_close(&p->ctrl);
	}
	return err;
}

/* What the lcores find behind the turnstiles. */
static void guest_set(struct vif_pmd *p, struct mcast *mcast)
{
	struct vif_pmd_guest *g = &p->to_guest;

	g->mcast = mcast;
	g->steer = (struct steer){0};
	g->nr_ways = (uint16_t)p->vif.nr_queues;
	for (unsigned i = 0; i < p->vif.nr_queues; i++)
		g->way[i].queue = p->vif.queue[i];
}

static void serve_ctrl(struct vif_pmd *p)
{
	if (p->ctrl.peer && ctrl_serve(&p->ctrl) < 0)
		handshake_fail(p->handshake, "the front end's control ring claims more requests than it can hold");
}

static int vif_connect(struct handshake *h)
{
	struct vif_pmd *p = h->priv;
	struct vif_wishes wishes;
	int err = vif_keys_read(h, p->nr_rx, &wishes);

	if (err)
		return err;
	wishes.features.copies_only = p->copies_only;
	wishes.features.is_takeover = h->is_takeover;
	p->handshake = h;
	err = journal_file_begin(&p->journal, h, &wishes);
	if (err)
		return err;
	err = make_queues(p, h, &wishes);
	if (err)
		goto close_journal;
	guest_set(p, wishes.features.mcast);
	err = make_ctrl(p, h, &wishes);
	if (err)
		goto drop_queues;
	open_turnstiles(p);
	store_relaxed(&p->port.is_up, true);
	LOG(NOTICE, "%s is connected: %u queues\n", p->vif.name, p->vif.nr_queues);
	return 0;

drop_queues:
	drop_queues(p);
close_journal:
	journal_file_close(&p->journal, false);
	return err;
}

static void vif_disconnect(struct handshake *h)
{
	struct vif_pmd *p = h->priv;

	store_relaxed(&p->port.is_up, false);
	close_turnstiles(p);
	ctrl_close(&p->ctrl);
	drop_queues(p);
	journal_file_close(&p->journal, false);
	LOG(NOTICE, "%s is disconnected\n", p->vif.name);
}

struct headroom {
	struct vif_pmd *port;
	uint16_t bytes;
};

static int set_headroom(void *arg)
{
	const struct headroom *h = arg;

	vif_set_headrooms(&h->port->vif, h->bytes);
	return 0;
}

/* An XDP program comes or goes in the guest. */
static int vif_reconfigure(struct handshake *h)
{
	struct headroom room = {h->priv, vif_keys_headroom(h)};

	return pause_bursts(room.port, set_headroom, &room);
}

static void vif_changed(struct handshake *h, const char *key)
{
	struct vif_pmd *p = h->priv;

	if (!strcmp(key, "request-multicast-control"))
		store_relaxed(&p->to_guest.mcast->is_on, vif_keys_want_mcast(h));
	else if (!strcmp(key, "xdp-headroom"))
		vif_reconfigure(h);
}

static bool is_ours(struct xenbus *bus, struct vif_pmd *p, domid_t domid, unsigned devid)
{
	struct store_client *store = hv_store(xenbus_hv(bus), NULL);
	char *name = NULL;
	bool is_it;

	if (devid != p->devid || p->handshake)
		return false;
	if (!*p->guest)
		return domid == p->domid;
	if (store_client_readf(store, STORE_NO_TX, &name, "/local/domain/%u/name", domid) < 0)
		return false;
	is_it = !strcmp(name, p->guest);
	free(name);
	return is_it;
}

static int vif_probe(struct xenbus *bus, domid_t frontend, unsigned devid, const char *path, void **priv)
{
	struct vif_pmd *p = xenbus_arg(bus);
	char stats_name[VIF_STATS_NAME_BYTES];

	(void)path;
	if (!is_ours(bus, p, frontend, devid))
		return -ENODEV; /* somebody else's */
	p->vif.domid = frontend;
	p->vif.devid = devid;
	snprintf(p->vif.name, sizeof(p->vif.name), "vif%u.%u", frontend, devid);
	vif_stats_name(frontend, devid, stats_name);
	run_file_rename(&p->vif.stats_file.file, hv_run_dir(p->hv), stats_name);
	*priv = p;
	return 0;
}

static void vif_remove(struct xenbus *bus, void *priv)
{
	struct vif_pmd *p = priv;

	if (p->handshake && p->handshake->gone)
		inflight_file_remove(xenbus_hv(bus), "vif", p->vif.domid, p->vif.devid);
	p->handshake = NULL; /* the next guest of this name may come */
	run_file_rename(&p->vif.stats_file.file, hv_run_dir(p->hv), p->stats_name);
}

static const struct xenbus_driver vif_driver = {
	.takes_some = true,
	.handshake =
		{
			.type = "vif",
			.is_back = true,
			.offer = vif_offer,
			.may_take_over = vif_may_take_over,
			.connect = vif_connect,
			.disconnect = vif_disconnect,
			.changed = vif_changed,
			.reconfigure = vif_reconfigure,
		},
	.probe = vif_probe,
	.remove = vif_remove,
};

static void look_after_queues(struct vif_pmd *p)
{
	struct vif_queue *q, *next;

	for (q = TAILQ_FIRST(&p->lingering); q; q = next) {
		next = TAILQ_NEXT(q, lingering);
		TAILQ_REMOVE(&p->lingering, q, lingering);
		if (!vif_queue_drain(q))
			TAILQ_INSERT_HEAD(&p->lingering, q, lingering);
	}
	for (unsigned i = 0; i < p->vif.nr_queues; i++) {
		enum vif_fault fault = load_acquire(&p->vif.queue[i]->fault); /* pairs with vif_fail's release */

		if (p->vif.queue[i]->rx.nr_held) /* may be others' pages, and the program need not poll this port */
			vif_pmd_retry(&p->to_guest.way[i]);

		if (fault != VIF_FAULT_NONE) {
			handshake_fail(p->handshake, "queue %u: %s", i, vif_fault_text(fault));
			return;
		}
	}
}

static void *run_port(void *arg)
{
	struct vif_pmd *p = arg;

	while (!load_acquire(&p->must_end)) { /* pairs with end_thread's release */
		struct pollfd fds[] = {{.fd = xenbus_fd(p->xenbus), .events = POLLIN},
				       {.fd = p->wake_fd, .events = POLLIN},
				       {.fd = hv_lost_fd(p->hv), .events = POLLIN},
				       {.events = POLLIN}};

		while (xenbus_process(p->xenbus))
			;
		look_after_queues(p);
		serve_ctrl(p); /* also requests that came before the event channel was bound */
		fds[3].fd = p->ctrl.peer ? ctrl_event_fd(&p->ctrl) : -1;
		if (poll(fds, RTE_DIM(fds), TICK_MS) > 0 && fds[2].revents) {
			LOG(ERR, "%s: the hypervisor has gone\n", p->vif.name);
			break;
		}
		if (fds[3].revents)
			ctrl_event_take(&p->ctrl);
	}
	xenbus_destroy(p->xenbus);
	for (unsigned i = 0; i < DRAIN_TICKS && !TAILQ_EMPTY(&p->lingering); i++) {
		look_after_queues(p);
		poll(NULL, 0, TICK_MS);
	}
	if (!TAILQ_EMPTY(&p->lingering)) /* somebody still reads them: they stay mapped as long as the process lives */
		LOG(ERR, "%s: packets of the program still lie in the guest's pages\n", p->vif.name);
	return NULL;
}

/* Signals are the program's, not this thread's. */
static int begin_thread(struct vif_pmd *p)
{
	sigset_t all, before;
	int err = xenbus_create(p->hv, &vif_driver, p, &p->xenbus);

	if (err) {
		char why[HV_WHY_BYTES];

		xenbus_explain(p->hv, "vif", err, why, sizeof(why));
		LOG(ERR, "%s: %s\n", p->vif.name, why);
		return err;
	}
	store_relaxed(&p->must_end, false);
	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &before);
	err = -pthread_create(&p->thread, NULL, run_port, p);
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	if (err)
		xenbus_destroy(p->xenbus);
	p->has_thread = !err;
	return err;
}

/* The vif is closed when it returns. */
static void end_thread(struct vif_pmd *p)
{
	if (!p->has_thread)
		return;
	store_release(&p->must_end, true);
	eventfd_write(p->wake_fd, 1);
	pthread_join(p->thread, NULL);
	eventfd_read(p->wake_fd, &(eventfd_t){0});
	p->has_thread = false;
}

/* ---- the ethdev ------------------------------------------------------------------------------------------------------------- */

/* As an ethdev's driver would have it: a large packet comes in pieces. */
static bool wants_large(const struct rte_eth_dev *dev)
{
	uint64_t asked = ((const struct rte_eth_conf *)dev->data->dev_conf)->rxmode.offloads;

	if (!(asked & RTE_ETH_RX_OFFLOAD_TCP_LRO))
		return false;
	if (!(asked & RTE_ETH_RX_OFFLOAD_SCATTER))
		LOG(WARNING, "%s: LRO without SCATTER: a guest's large packets come in pieces, so none are offered\n", dev->data->name);
	return asked & RTE_ETH_RX_OFFLOAD_SCATTER;
}

static int pmd_start(struct rte_eth_dev *dev)
{
	struct vif_pmd *p = port_of(dev);

	p->nr_rx = dev->data->nr_rx_queues;
	p->nr_tx = dev->data->nr_tx_queues;
	if (!p->nr_rx || !p->nr_tx) {
		LOG(ERR, "%s: a queue is needed each way\n", dev->data->name);
		return -EINVAL;
	}
	p->takes_large = wants_large(dev);
	for (unsigned i = 0; i < p->nr_rx; i++)
		p->rx[i]->takes_large = p->takes_large;
	return begin_thread(p);
}

static int pmd_stop(struct rte_eth_dev *dev)
{
	end_thread(port_of(dev));
	dev->data->dev_link.link_status = RTE_ETH_LINK_DOWN;
	return 0;
}

/* Pages in which packets of the program still lie stay mapped, and the connection stays with them. */
static void pmd_close(struct rte_eth_dev *dev)
{
	struct vif_pmd *p = port_of(dev);

	end_thread(p);
	vif_stats_destroy(&p->vif, true);
	if (TAILQ_EMPTY(&p->lingering)) {
		hv_close(p->hv);
		rte_mempool_free(p->ext_pool);
	}
	close(p->wake_fd);
}

static int pmd_infos(struct rte_eth_dev *dev, struct rte_eth_dev_info *info)
{
	vif_ethdev_infos(info);
	info->max_rx_queues = VIF_MAX_QUEUES;
	info->max_tx_queues = MAX_TX_QUEUES;
	info->max_lro_pkt_size = VIF_MAX_FRAME;
	info->rx_offload_capa |= RTE_ETH_RX_OFFLOAD_TCP_CKSUM | RTE_ETH_RX_OFFLOAD_UDP_CKSUM | RTE_ETH_RX_OFFLOAD_TCP_LRO;
	info->tx_offload_capa |= RTE_ETH_TX_OFFLOAD_IPV4_CKSUM | RTE_ETH_TX_OFFLOAD_TCP_CKSUM | RTE_ETH_TX_OFFLOAD_UDP_CKSUM |
				 RTE_ETH_TX_OFFLOAD_TCP_TSO;
	info->rx_desc_lim = (struct rte_eth_desc_lim){.nb_max = VIF_RING_SLOTS * 16, .nb_min = 1, .nb_align = 1};
	info->tx_desc_lim = info->rx_desc_lim;
	return 0;
}

/* What the vif has counted, and what did not get as far as the vif. */
static int pmd_stats(struct rte_eth_dev *dev, struct rte_eth_stats *stats)
{
	struct vif_pmd *p = port_of(dev);

	for (unsigned i = 0; i < p->nr_tx; i++)
		stats->oerrors += p->tx[i] ? load_relaxed(&p->tx[i]->drop_unfit) : 0;
	return ethdev_stats(dev, stats);
}

static int pmd_stats_reset(struct rte_eth_dev *dev)
{
	struct vif_pmd *p = port_of(dev);

	for (unsigned i = 0; i < p->nr_tx; i++)
		if (p->tx[i])
			p->tx[i]->drop_unfit = 0;
	return ethdev_stats_reset(dev);
}

static struct vif_pmd_queue *new_queue(struct rte_eth_dev *dev)
{
	struct vif_pmd_queue *q = rte_zmalloc("netback", sizeof(*q), RTE_CACHE_LINE_SIZE);

	if (q) {
		q->guest = &port_of(dev)->to_guest;
		q->port_id = dev->data->port_id;
	}
	return q;
}

static int pmd_rx_setup(struct rte_eth_dev *dev, uint16_t i, uint16_t nr_desc, unsigned int socket, const struct rte_eth_rxconf *conf,
			struct rte_mempool *pool)
{
	struct vif_pmd *p = port_of(dev);

	p->pools.pool = pool;
	dev->data->rx_queues[i] = p->rx[i] = new_queue(dev);
	return p->rx[i] ? 0 : -ENOMEM;
}

static int pmd_tx_setup(struct rte_eth_dev *dev, uint16_t i, uint16_t nr_desc, unsigned int socket, const struct rte_eth_txconf *conf)
{
	struct vif_pmd *p = port_of(dev);

	dev->data->tx_queues[i] = p->tx[i] = new_queue(dev);
	return p->tx[i] ? 0 : -ENOMEM;
}

/* The device is stopped: its vif is closed, and nobody else knows the queue. */
static void pmd_rx_release(struct rte_eth_dev *dev, uint16_t i)
{
	rte_free(port_of(dev)->rx[i]);
	port_of(dev)->rx[i] = NULL;
	dev->data->rx_queues[i] = NULL;
}

static void pmd_tx_release(struct rte_eth_dev *dev, uint16_t i)
{
	rte_free(port_of(dev)->tx[i]);
	port_of(dev)->tx[i] = NULL;
	dev->data->tx_queues[i] = NULL;
}

static const struct eth_dev_ops pmd_ops = {
	VIF_ETHDEV_OPS,
	.dev_start = pmd_start,
	.dev_stop = pmd_stop,
	.stats_get = pmd_stats,
	.stats_reset = pmd_stats_reset,
	.xstats_reset = pmd_stats_reset,
	.dev_infos_get = pmd_infos,
	.rx_queue_setup = pmd_rx_setup,
	.rx_queue_release = pmd_rx_release,
	.tx_queue_setup = pmd_tx_setup,
	.tx_queue_release = pmd_tx_release,
};

/* ---- the driver -------------------------------------------------------------------------------------------------------------- */

struct devargs {
	char guest[64], run_dir[256], platform[16];
	unsigned domid, vif, copies;
};

static int parse(const char *text, struct devargs *a)
{
	const struct ethdev_arg args[] = {
		ETHDEV_TEXT("guest", a->guest), ETHDEV_TEXT("run_dir", a->run_dir), ETHDEV_TEXT("hv", a->platform),
		ETHDEV_NUMBER("domid", a->domid), ETHDEV_NUMBER("vif", a->vif), ETHDEV_NUMBER("copies", a->copies),
	};
	int err = ethdev_args(text, args, RTE_DIM(args), "guest=NAME or domid=N, vif=N, copies=1, run_dir=DIR, hv=PLATFORM");

	if (!err && !*a->guest && !a->domid) {
		LOG(ERR, "'%s' names no guest; use guest=NAME or domid=N\n", text);
		err = -EINVAL;
	}
	return err;
}

/* The file has the device's name while a guest is served, and its own else: the ethdev's numbers are those of all its guests. */
static int open_stats(struct vif_pmd *p, const char *name)
{
	/* Of programs that were killed: without a guest, and with one. */
	run_file_sweep_left(hv_run_dir(p->hv), "ethdev-");
	run_file_sweep_left(hv_run_dir(p->hv), "vif-");
	snprintf(p->stats_name, sizeof(p->stats_name), "ethdev-%.32s-%d.stats", name, getpid());
	return vif_stats_create(&p->vif, hv_run_dir(p->hv), p->stats_name);
}

static int open_port(struct vif_pmd *p, const char *name, const struct devargs *a)
{
	char why[HV_WHY_BYTES] = "", pool[RTE_MEMZONE_NAMESIZE];
	const struct hv_options opt = {
		.platform = *a->platform ? a->platform : NULL, .run_dir = *a->run_dir ? a->run_dir : NULL, .why = why};
	int err;

	TAILQ_INIT(&p->lingering);
	snprintf(p->guest, sizeof(p->guest), "%s", a->guest);
	p->domid = a->domid;
	p->devid = a->vif;
	p->copies_only = a->copies != 0;
	p->port.vif = &p->vif;
	rte_eth_random_addr(p->port.ethdev.mac.addr_bytes);
	snprintf(pool, sizeof(pool), "ext_%.20s", name);
	p->ext_pool = p->pools.ext_pool = rte_pktmbuf_pool_create(pool, EXT_MBUFS, EXT_CACHE, 0, 0, SOCKET_ID_ANY);
	if (!p->ext_pool)
		return -ENOMEM;
	p->wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	err = p->wake_fd < 0 ? -errno : hv_open_dom0(&opt, &p->hv);
	if (!err)
		err = open_stats(p, name);
	if (!err)
		return 0;
	LOG(ERR, "%s\n", *why ? why : strerror(-err));
	hv_close(p->hv);
	rte_mempool_free(p->ext_pool);
	if (p->wake_fd >= 0)
		close(p->wake_fd);
	return err;
}

static int pmd_open(struct rte_eth_dev *dev, const char *devargs)
{
	struct devargs a = {0};
	int err = parse(devargs, &a);

	return err ? err : open_port(port_of(dev), dev->data->name, &a);
}

static const struct ethdev_kind pmd_kind = {
	VIF_ETHDEV_KIND,
	.private_bytes = sizeof(struct vif_pmd),
	.has_turnstiles = true,
	.ops = &pmd_ops,
	.rx = vif_pmd_rx,
	.tx = vif_pmd_tx,
	.open = pmd_open,
	.close = pmd_close,
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

/* The plugin is loaded before the buses look for devices. */
RTE_INIT(vif_pmd_register)
{
	rte_vdev_register(&pmd_driver);
}
