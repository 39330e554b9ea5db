/*
 * netback/netback.c - sets the back end up and takes it down.
 *
 *      DPDK --> pools --> workers --> ports --> xenbus (vifs come and go)
 *
 * Teardown in reverse: vifs close (their pages may linger in ports), ports close (their packets come back), then what
 * lingered is freed, the workers end, the pools go.
 *
 * Owns     see netback_priv.h.
 * Runs in  the control thread.
 * Fails    -errno and a sentence.
 */
#include "netback/netback.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <unistd.h>

#include <rte_eal.h>
#include <rte_mbuf_pool_ops.h>

#include "hv/log.h"
#include "netback/eal.h"
#include "netback/link.h"
#include "netback/netback_priv.h"
#include "netback/place.h"
#include "netback/pmd.h"

#define POOL_CACHE 256
#define FLAT_MBUFS 256
#define FLAT_BYTES (RTE_PKTMBUF_HEADROOM + PORT_MAX_FRAME)
#define MBUF_BYTES (RTE_MBUF_DEFAULT_BUF_SIZE + sizeof(struct rte_mbuf) + 128) /* with the pool's own words */
#define EXT_BYTES (sizeof(struct rte_mbuf) + 128)                              /* as many page descriptors as buffers */
#define POOL_MIN_MBUFS 2048u
#define LINGER_NS UINT64_C(20000000)

static void linger_check(void *arg)
{
	struct netback *nb = arg;
	struct vif_queue *q = TAILQ_FIRST(&nb->lingering), *next;

	for (; q; q = next) {
		next = TAILQ_NEXT(q, lingering);
		TAILQ_REMOVE(&nb->lingering, q, lingering);
		if (!vif_queue_drain(q))
			TAILQ_INSERT_TAIL(&nb->lingering, q, lingering);
		if (next == NULL)
			break;
	}
	if (TAILQ_EMPTY(&nb->lingering)) {
		loop_remove(nb->linger_timer);
		nb->linger_timer = NULL;
	}
}

void netback_linger(struct netback *nb, struct vif_queue *q)
{
	TAILQ_INSERT_TAIL(&nb->lingering, q, lingering);
	if (!nb->linger_timer)
		nb->linger_timer = loop_add_timer(nb->loop, LINGER_NS, linger_check, nb);
}

static enum vif_fault device_fault(const struct device *d)
{
	for (unsigned i = 0; i < d->vif.nr_queues; i++) {
		enum vif_fault fault = load_acquire(&d->vif.queue[i]->fault);

		if (fault != VIF_FAULT_NONE)
			return fault;
	}
	return VIF_FAULT_NONE;
}

/* Some vif broke the protocol: the worker has let it be, its device closes with the reason. Or its guest stalls, or goes on. */
static void on_fault(void *arg, uint32_t events)
{
	struct netback *nb = arg;
	struct device *d, *next;
	uint64_t count;

	if (read(workers_fault_fd(nb->workers), &count, sizeof(count)) < 0)
		return;
	for (d = TAILQ_FIRST(&nb->devices); d; d = next) {
		enum vif_fault fault = device_fault(d);

		next = TAILQ_NEXT(d, all);
		if (fault != VIF_FAULT_NONE && !d->handshake->failed)
			handshake_fail(d->handshake, "%s", vif_fault_text(fault));
		else
			link_look(d);
	}
}

/* Somebody wrote below a directory of ours: of the nodes there only the limits are watched for. */
static void on_limits(void *arg, uint32_t events)
{
	struct netback *nb = arg;
	struct store_client *store = hv_store(nb->hv, NULL);
	char *path, *token;
	struct device *d;

	while (store && !store_client_next_watch(store, &path, &token)) {
		TAILQ_FOREACH(d, &nb->devices, all)
			if (d->handshake && vif_limits_is_node(d->handshake->own_path, path))
				connect_limits_changed(d);
		free(path);
		free(token);
	}
}

static int watch_limits(struct netback *nb)
{
	char base[64];
	int err;
	struct store_client *store = hv_store(nb->hv, &err);

	if (!store)
		return err;
	snprintf(base, sizeof(base), "/local/domain/%u/backend/vif", hv_domid(nb->hv));
	err = store_client_watch(store, base, "limits");
	if (err)
		return err;
	nb->limits_source = loop_add_fd(nb->loop, store_client_fd(store), EPOLLIN, on_limits, nb);
	return nb->limits_source ? 0 : -errno;
}

static void on_xenbus(void *arg, uint32_t events)
{
	struct netback *nb = arg;

	while (xenbus_process(nb->xenbus))
		;
}

/* As rte_pktmbuf_pool_create, but a buffer may lie across two 4 KiB pages: only devices that need hugepages mind. */
static struct rte_mempool *pool_create(const char *name, unsigned nr, unsigned cache, uint16_t room)
{
	unsigned flags = rte_eal_has_hugepages() ? 0 : RTE_MEMPOOL_F_NO_IOVA_CONTIG;
	struct rte_pktmbuf_pool_private priv = {.mbuf_data_room_size = room};
	struct rte_mempool *mp = rte_mempool_create_empty(name, nr, sizeof(struct rte_mbuf) + room, cache, sizeof(priv),
							  SOCKET_ID_ANY, flags);

	if (!mp)
		return NULL;
	if (rte_mempool_set_ops_byname(mp, rte_mbuf_best_mempool_ops(), NULL) < 0)
		goto free_pool;
	rte_pktmbuf_pool_init(mp, &priv);
	if (rte_mempool_populate_default(mp) < 0)
		goto free_pool;
	rte_mempool_obj_iter(mp, rte_pktmbuf_init, NULL);
	return mp;

free_pool:
	rte_mempool_free(mp);
	return NULL;
}

static int pools_create(struct netback *nb)
{
	size_t bytes = (size_t)nb->opt.memory_mib << 20, flat = FLAT_MBUFS * (FLAT_BYTES + (size_t)256);
	size_t usable = bytes * 3 / 4 > flat ? bytes * 3 / 4 - flat : 0;
	unsigned nr = (unsigned)(usable / (MBUF_BYTES + EXT_BYTES));

	if (nr < POOL_MIN_MBUFS)
		return -ENOMEM;
	nb->pools.pool = pool_create("netback", nr, POOL_CACHE, RTE_MBUF_DEFAULT_BUF_SIZE);
	nb->pools.ext_pool = pool_create("netback_ext", nr, POOL_CACHE, 0);
	nb->flat_pool = pool_create("netback_flat", FLAT_MBUFS, 0, FLAT_BYTES);
	return nb->pools.pool && nb->pools.ext_pool && nb->flat_pool ? 0 : -ENOMEM;
}

static void pools_destroy(struct netback *nb)
{
	rte_mempool_free(nb->flat_pool);
	rte_mempool_free(nb->pools.ext_pool);
	rte_mempool_free(nb->pools.pool);
}

/* With a queue for each worker, or for each that it is pinned to. */
static int port_open_tap(struct netback *nb, struct netback_port *np, const char *name, unsigned nr_pins, char *why)
{
	const struct tap_options opt = {.name = name, .nr_queues = nr_pins ? nr_pins : workers_nr(nb->workers)};
	int err = tap_open(&opt, nb->pools.pool, &np->tap, why, NETBACK_WHY_BYTES);

	if (!err)
		np->bridge_port = &np->tap->bridge_port;
	return err;
}

/* With a queue for each worker, if it has as many; for each that it is pinned to. */
static int port_open_ethdev(struct netback *nb, struct netback_port *np, const char *devargs, unsigned nr_pins, char *why)
{
	uint16_t max = (uint16_t)(nr_pins ? nr_pins : workers_nr(nb->workers));
	int err = port_open(devargs, max, nb->pools.pool, nb->flat_pool, &np->port, why, NETBACK_WHY_BYTES);

	if (!err)
		np->bridge_port = &np->port->bridge_port;
	return err;
}

static void port_drop(struct netback_port *np)
{
	tap_close(np->tap);
	port_close(np->port);
	free(np->parts);
	*np = (struct netback_port){0};
}

/* How a worker learns of packets. */
static void port_part_init(const struct netback_port *np, unsigned i, struct worker_port *part)
{
	part->fd = np->tap ? np->tap->queue[i].fd : np->port->queue[i].intr_fd;
	part->wake = np->port && np->port->is_silent ? WORKER_WAKE_NONE : part->fd >= 0 ? WORKER_WAKE_FD : WORKER_WAKE_TIMER;
}

static int port_attach(struct netback *nb, struct netback_port *np, const uint16_t pins[], unsigned nr_pins)
{
	struct bridge_port *bp = np->bridge_port;
	uint16_t lanes[BRIDGE_MAX_LANES];

	np->parts = calloc(bp->nr_parts, sizeof(*np->parts));
	if (!np->parts)
		return -ENOMEM;
	workers_spread(nb->workers, pins, nr_pins, lanes, bp->nr_parts);
	for (unsigned i = 0; i < bp->nr_parts; i++) {
		bp->parts[i]->lane = lanes[i];
		port_part_init(np, i, &np->parts[i]);
		np->worker_ports[i] = &np->parts[i];
	}
	return workers_attach(nb->workers, bp, np->worker_ports);
}

/* "tap:NAME" is ours; everything else is DPDK's, and its name ends at the first comma. */
static int port_add(struct netback *nb, const char *text, char *why)
{
	struct netback_port *np = &nb->ports[nb->nr_ports];
	bool is_tap = strncmp(text, "tap:", 4) == 0;
	char name[RTE_ETH_NAME_MAX_LEN];
	uint16_t pins[LCORES_MAX];
	unsigned nr_pins;
	int err;

	snprintf(name, sizeof(name), "%.*s", (int)strcspn(text, ","), is_tap ? text + 4 : text);
	nr_pins = place_pins(nb, name, pins);
	err = is_tap ? port_open_tap(nb, np, text + 4, nr_pins, why) : port_open_ethdev(nb, np, text, nr_pins, why);
	if (err)
		return err;
	err = port_attach(nb, np, pins, nr_pins);
	if (err) {
		snprintf(why, NETBACK_WHY_BYTES, "port '%s' cannot join the bridge: %s", text, strerror(-err));
		port_drop(np);
		return err;
	}
	nb->nr_ports++;
	return 0;
}

static void ports_close(struct netback *nb)
{
	while (nb->nr_ports) {
		struct netback_port *np = &nb->ports[--nb->nr_ports];

		workers_detach(nb->workers, np->bridge_port, np->worker_ports);
		port_drop(np);
	}
}

static int dpdk_start(struct netback *nb, char *why)
{
	static bool is_up;
	int err = is_up ? 0 : eal_start(&nb->opt);

	if (err) {
		snprintf(why, NETBACK_WHY_BYTES, "DPDK does not start: %s (-v shows its messages; check --memory and --eal)",
			 strerror(-err));
		return err;
	}
	if (!is_up && pmd_register() < 0)
		log_warn("this DPDK is not 22.11: vifs work, but are no ethdevs");
	is_up = true;
	return 0;
}

/* Somebody's, perhaps a DPDK program's. */
static bool has_directory(void *arg, unsigned domid, unsigned devid)
{
	struct netback *nb = arg;
	struct store_client *store = hv_store(nb->hv, NULL);
	char dir[96], **names;
	unsigned nr;

	snprintf(dir, sizeof(dir), "/local/domain/%u/backend/vif/%u/%u", hv_domid(nb->hv), domid, devid);
	if (!store || store_client_list(store, STORE_NO_TX, dir, &names, &nr))
		return false;
	store_client_free_list(names, nr);
	return true;
}

static int serve_vifs(struct netback *nb, char *why)
{
	int err;

	nb->fault_source = loop_add_fd(nb->loop, workers_fault_fd(nb->workers), EPOLLIN, on_fault, nb);
	if (!nb->fault_source) {
		snprintf(why, NETBACK_WHY_BYTES, "no event source: %s", strerror(errno));
		return -errno;
	}
	err = xenbus_create(nb->hv, &connect_driver, nb, &nb->xenbus);
	if (err) {
		xenbus_explain(nb->hv, "vif", err, why, NETBACK_WHY_BYTES);
		return err;
	}
	err = watch_limits(nb);
	if (err) {
		snprintf(why, NETBACK_WHY_BYTES, "the store's rate limits cannot be watched: %s", strerror(-err));
		return err;
	}
	nb->xenbus_source = loop_add_fd(nb->loop, xenbus_fd(nb->xenbus), EPOLLIN, on_xenbus, nb);
	if (!nb->xenbus_source) {
		snprintf(why, NETBACK_WHY_BYTES, "no event source: %s", strerror(errno));
		return -errno;
	}
	for (unsigned i = 0; i < nb->nr_ports; i++)
		log_info("port %s is on bridge %s, frames up to %u bytes", netback_port_name(&nb->ports[i]), nb->opt.bridge,
			 nb->ports[i].bridge_port->max_frame);
	err = capture_server_create(nb, &nb->capture_server);
	if (err)
		log_warn("no socket for sluice capture: %s", strerror(-err));
	on_xenbus(nb, 0); /* what is there already */
	run_file_sweep(hv_run_dir(nb->hv), "vif", has_directory, nb);
	run_file_sweep_left(hv_run_dir(nb->hv), "ethdev-");
	return 0;
}

/* On each processor that was named; on none in particular otherwise. */
static int start_workers(struct netback *nb, char *why)
{
	const struct lcores *l = &nb->opt.lcores;
	struct workers_options opt = {
		.cpus = l->nr ? l->cpu : (const int[]){-1},
		.nr = l->nr ? l->nr : 1,
		.ageing_s = nb->opt.ageing_s,
		.busy_poll_us = nb->opt.busy_poll_us,
		.pool = nb->pools.pool,
		.ext_pool = nb->pools.ext_pool,
	};
	int err = workers_create(&opt, &nb->workers);

	if (err) {
		snprintf(why, NETBACK_WHY_BYTES, "the packet threads do not start: %s", strerror(-err));
		return err;
	}
	return place_check(nb, why);
}

int netback_create(struct loop *loop, struct hv *hv, const struct netback_options *opt, struct netback **out,
		   char why[NETBACK_WHY_BYTES])
{
	struct netback *nb = calloc(1, sizeof(*nb));
	int err = -ENOMEM;

	snprintf(why, NETBACK_WHY_BYTES, "out of memory");
	if (!nb)
		return err;
	nb->loop = loop;
	nb->hv = hv;
	nb->opt = *opt;
	TAILQ_INIT(&nb->devices);
	TAILQ_INIT(&nb->lingering);
	err = dpdk_start(nb, why);
	if (err)
		goto fail;
	err = pools_create(nb);
	if (err) {
		snprintf(why, NETBACK_WHY_BYTES, "--memory %u MiB is too little for packet buffers", opt->memory_mib);
		goto fail;
	}
	err = start_workers(nb, why);
	for (unsigned i = 0; i < opt->nr_ports && !err; i++)
		err = port_add(nb, opt->ports[i], why);
	err = err ? err : serve_vifs(nb, why);
	if (err)
		goto fail;
	*out = nb;
	return 0;

fail:
	netback_destroy(nb);
	return err;
}

/* Ports are closed: what they held has come back. What has not is in somebody else's hands (a ring port's reader). */
static void lingering_finish(struct netback *nb)
{
	struct vif_queue *q;

	while ((q = TAILQ_FIRST(&nb->lingering)) != NULL) {
		TAILQ_REMOVE(&nb->lingering, q, lingering);
		if (!vif_queue_drain(q))
			log_warn("packets of a closed vif are still held by a port; their pages stay granted until exit");
	}
}

void netback_destroy(struct netback *nb)
{
	if (!nb)
		return;
	capture_server_destroy(nb->capture_server);
	nb->capture_server = NULL;
	loop_remove(nb->limits_source);
	loop_remove(nb->xenbus_source);
	loop_remove(nb->fault_source);
	if (nb->xenbus)
		xenbus_destroy(nb->xenbus);
	link_finish(nb);
	ports_close(nb);
	loop_remove(nb->linger_timer);
	lingering_finish(nb);
	workers_destroy(nb->workers);
	pools_destroy(nb);
	free(nb);
}
