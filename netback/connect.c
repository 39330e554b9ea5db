/*
 * netback/connect.c - a vif's life in the store: what is offered, what the front end asked for, connect and disconnect.
 *
 *      backend/vif/<domid>/<devid>: mac, bridge (the toolstack's)  --probe, offer-->  feature-* (ours)
 *      device/vif/<devid>: rings, event channels, feature-*        --connect-->       a bridge port
 *
 * Owns     a struct device from probe to remove.
 * Trusts   no key of the front end (vif_keys.h): each is a number in range or the device closes with a sentence.
 * Runs in  the control thread.
 * Fails    handshake_fail, which writes the device's "error" node.
 * Spec     xen/io/netif.h.
 */
#include <errno.h>
#include <stdlib.h>
#include <sys/epoll.h>

#include "hv/log.h"
#include "netback/link.h"
#include "netback/netback_priv.h"
#include "netback/place.h"
#include "netback/pmd.h"
#include "netback/vif_keys.h"
#include "netback/vif_stats.h"

/* ---- handshake -------------------------------------------------------------------------------------------------- */

/* Which bridge the toolstack wants it on: "" when it does not say. */
static void bridge_read(struct handshake *h, char *name, size_t size)
{
	char *text = NULL;

	name[0] = '\0';
	if (store_client_readf(h->store, STORE_NO_TX, &text, "%s/bridge", h->own_path) == 0)
		snprintf(name, size, "%s", text);
	free(text);
}

/* Ours, or one of Linux's. */
static int bridge_check(struct handshake *h, struct device *d)
{
	const char *own = d->nb->opt.bridge;
	char name[64];

	bridge_read(h, name, sizeof(name));
	d->linux_bridge[0] = '\0';
	if (name[0] == '\0' || strcmp(name, own) == 0)
		return 0;
	if (tap_is_bridge(name)) {
		strcpy(d->linux_bridge, name);
		return 0;
	}
	handshake_fail(h, "bridge %s does not exist: this back end serves %s (sluice-netback --bridge %s), and Linux has no bridge "
		       "of that name (ip link add %s type bridge)", name, own, name, name);
	return -ENODEV;
}

/* The toolstack's wish, 0: it has none. */
static unsigned mtu_read(struct handshake *h)
{
	uint64_t mtu = 0;

	store_client_read_uint(h->store, STORE_NO_TX, &mtu, "%s/mtu", h->own_path);
	return mtu <= UINT16_MAX ? (unsigned)mtu : 0;
}

/* As Xen's scripts do: the guest learns what its Linux bridge carries. A back end that may not write there has not said it. */
static void mtu_tell(struct handshake *h, const struct device *d)
{
	unsigned mtu = d->linux_bridge[0] ? tap_mtu_of(d->linux_bridge) : 0;

	if (mtu)
		store_client_printf(h->store, STORE_NO_TX, h->other_path, "mtu", "%u", mtu);
}

static int connect_offer(struct handshake *h)
{
	struct device *d = h->priv;
	int err;

	d->handshake = h;
	err = bridge_check(h, d);
	err = err ? err : vif_keys_offer(h, d->nb->opt.max_queues, true);
	if (!err && !mtu_read(h))
		mtu_tell(h, d);
	return err;
}

/* The part in that lane, which may be new. */
static struct device_part *part_in(struct device *d, uint16_t lane)
{
	struct bridge_port *bp = &d->bridge_port;
	struct device_part *part;
	uint16_t i = 0;

	while (i < bp->nr_parts && bp->parts[i]->lane != lane)
		i++;
	part = &d->parts[i];
	if (i < bp->nr_parts)
		return part;
	part->vif = (struct vif_part){.port = &d->port, .lane = &workers_bridge(d->nb->workers)->lanes[lane]};
	part->bridge = (struct bridge_part){.queue = &part->vif, .in = vif_port_in, .out = vif_port_out, .lane = lane};
	part->worker = (struct worker_port){.wake = WORKER_WAKE_EVENT, .is_throttled = &part->vif.is_throttled};
	bp->parts[bp->nr_parts++] = &part->bridge;
	d->worker_ports[i] = &part->worker;
	return part;
}

/* Its queues to lanes. */
static int device_parts(struct device *d, struct handshake *h)
{
	uint16_t lanes[VIF_MAX_QUEUES];
	char *key = NULL;

	d->parts = calloc(d->vif.nr_queues, sizeof(*d->parts));
	if (!d->parts) {
		handshake_fail(h, "out of memory");
		return -ENOMEM;
	}
	store_client_readf(h->store, STORE_NO_TX, &key, "%s/lcores", h->own_path);
	place_vif(d->nb, d->vif.name, key, lanes, d->vif.nr_queues);
	free(key);
	for (uint16_t i = 0; i < d->vif.nr_queues; i++) {
		struct device_part *part = part_in(d, lanes[i]);

		d->port.lane[i] = lanes[i];
		part->vif.own[part->vif.nr_own++] = i;
		part->worker.queue[part->worker.nr_queues++] = d->vif.queue[i];
	}
	return 0;
}

/* As an ethdev if DPDK has a place for it, else by its burst functions alone. */
static int device_port(struct device *d, struct handshake *h, unsigned caps)
{
	struct vif_port *p = &d->port;
	int err;

	*p = (struct vif_port){
		.nr_queues = (uint16_t)d->vif.nr_queues,
		.captures = d->captures,
		.joins = d->nb->opt.joins_none ? 0 : caps & (OFFLOAD_GSO_IPV4 | OFFLOAD_GSO_IPV6),
		.mcast = d->vif.queue[0]->mcast,
		.tx_rate = d->limits.tx,
		.rx_rate = d->limits.rx,
	};
	memcpy(p->queue, d->vif.queue, sizeof(p->queue));
	d->bridge_port = (struct bridge_port){
		.lane_of = vif_port_lane_of, .max_frame = VIF_MAX_FRAME, .caps = caps, .index = BRIDGE_NO_PORT};
	err = device_parts(d, h);
	if (err)
		return err;
	err = pmd_attach(&d->vif, &p->port_id);
	if (!err) {
		memset(&d->ethdev, 0, sizeof(d->ethdev));
		err = port_start(&d->ethdev, p->port_id, p->nr_queues, d->nb->pools.pool, d->nb->flat_pool);
		if (err)
			pmd_detach(&d->vif);
	}
	p->is_ethdev = !err;
	if (err)
		log_debug("%s is no ethdev (%s)", d->vif.name, strerror(-err));
	return 0;
}

static void device_port_undo(struct device *d)
{
	if (d->port.is_ethdev) {
		port_stop(&d->ethdev);
		pmd_detach(&d->vif);
		d->port.is_ethdev = false;
	}
	free(d->parts);
	d->parts = NULL;
}

/* The toolstack's name for the interface, or Xen's. */
static void tap_name(struct handshake *h, const struct device *d, char *name, size_t size)
{
	char *text = NULL;

	snprintf(name, size, "%s", d->vif.name);
	if (store_client_readf(h->store, STORE_NO_TX, &text, "%s/vifname", h->own_path) == 0 && text[0])
		snprintf(name, size, "%s", text);
	free(text);
}

/* On a Linux bridge the vif has a TAP for itself. */
static int device_tap_open(struct device *d, struct handshake *h)
{
	char name[64], why[NETBACK_WHY_BYTES];
	struct tap_options opt = {.name = name, .bridge = d->linux_bridge, .nr_queues = d->bridge_port.nr_parts};
	int err;

	if (!d->linux_bridge[0])
		return 0;
	tap_name(h, d, name, sizeof(name));
	opt.mtu = mtu_read(h);
	err = tap_open(&opt, d->nb->pools.pool, &d->tap, why, sizeof(why));
	if (err) {
		handshake_fail(h, "%s", why);
		return err;
	}
	d->tap->bridge_port.peer = &d->bridge_port;
	d->bridge_port.peer = &d->tap->bridge_port;
	for (unsigned i = 0; i < d->tap->nr_queues; i++) {
		d->tap->bridge_part[i].lane = d->bridge_port.parts[i]->lane;
		d->tap_parts[i] = (struct worker_port){.fd = d->tap->queue[i].fd, .wake = WORKER_WAKE_FD};
		d->tap_worker_ports[i] = &d->tap_parts[i];
	}
	err = workers_attach(d->nb->workers, &d->tap->bridge_port, d->tap_worker_ports);
	if (err) {
		handshake_fail(h, "interface %s cannot be served: %s", name, strerror(-err));
		tap_close(d->tap);
		d->tap = NULL;
		return err;
	}
	link_begin(d);
	return 0;
}

static void device_tap_close(struct device *d)
{
	if (!d->tap)
		return;
	link_end(d);
	workers_detach(d->nb->workers, &d->tap->bridge_port, d->tap_worker_ports);
	tap_close(d->tap);
	d->tap = NULL;
}

static void device_queues_drop(struct device *d)
{
	while (d->vif.nr_queues) {
		struct vif_queue *q = d->vif.queue[--d->vif.nr_queues];

		if (!vif_queue_disconnect(q))
			netback_linger(d->nb, q);
	}
}

static int device_queues_create(struct device *d, struct handshake *h, const struct vif_wishes *wishes)
{
	for (unsigned i = 0; i < wishes->nr_queues; i++) {
		const char *what;
		int err = vif_queue_create(h->hv, d->vif.domid, &wishes->keys[i], &wishes->features, &d->nb->pools,
					   &d->vif.stats[i], &d->vif.queue[i], &what);

		if (err) {
			handshake_fail(h, "queue %u: %s cannot be used: %s", i, what, strerror(-err));
			device_queues_drop(d);
			return err;
		}
		d->vif.nr_queues++;
	}
	return 0;
}

static void on_ctrl(void *arg, uint32_t events)
{
	struct device *d = arg;

	ctrl_event_take(&d->ctrl);
	if (ctrl_serve(&d->ctrl) < 0)
		handshake_fail(d->handshake, "the front end's control ring claims more requests than it can hold");
}

static void device_ctrl_close(struct device *d)
{
	loop_remove(d->ctrl_source);
	d->ctrl_source = NULL;
	ctrl_close(&d->ctrl);
}

static int pause_workers(void *workers, int (*fn)(void *arg), void *arg)
{
	return workers_run(workers, fn, arg);
}

/* The port is there, the workers do not know it yet. */
static int device_ctrl_open(struct device *d, struct handshake *h, const struct vif_wishes *wishes)
{
	const char *what;
	int err;

	if (!wishes->has_ctrl)
		return 0;
	err = ctrl_open(&d->ctrl, h->hv, d->vif.domid, wishes->ctrl_ring_ref, wishes->ctrl_port, h->is_takeover, &what);
	if (err) {
		handshake_fail(h, "%s cannot be used: %s", what, strerror(-err));
		return err;
	}
	d->ctrl.target = (struct ctrl_target){
		.queue = d->vif.queue,
		.nr_queues = d->vif.nr_queues,
		.steer = &d->port.steer,
		.pause = pause_workers,
		.mover = d->nb->workers,
	};
	d->ctrl_source = loop_add_fd(d->nb->loop, ctrl_event_fd(&d->ctrl), EPOLLIN, on_ctrl, d);
	err = d->ctrl_source ? ctrl_begin(&d->ctrl, journal_file_ctrl(&d->journal, wishes), wishes->features.is_resumed) : -errno;
	if (!err)
		err = ctrl_serve(&d->ctrl);
	if (err) {
		handshake_fail(h, "the control ring cannot be used: %s", strerror(-err));
		device_ctrl_close(d);
	}
	return err;
}

static int connect_connect(struct handshake *h)
{
	struct device *d = h->priv;
	struct vif_wishes wishes;
	int err = vif_keys_read(h, d->nb->opt.max_queues, &wishes);

	if (err)
		return err;
	wishes.features.copies_only = d->nb->opt.copies_only;
	wishes.features.is_takeover = h->is_takeover;
	d->handshake = h;
	vif_limits_read(h->store, h->own_path, &d->limits);
	err = journal_file_begin(&d->journal, h, &wishes);
	if (err)
		return err;
	vif_stats_begin(&d->vif, wishes.features.is_resumed);
	err = device_queues_create(d, h, &wishes);
	if (err)
		goto close_journal;
	err = device_port(d, h, wishes.features.caps);
	err = err ? err : device_ctrl_open(d, h, &wishes);
	if (err)
		goto drop_port;
	err = device_tap_open(d, h);
	if (err)
		goto close_ctrl;
	err = workers_attach(d->nb->workers, &d->bridge_port, d->worker_ports);
	if (err) {
		handshake_fail(h, "the bridge has no place for another port: %s", strerror(-err));
		goto close_tap;
	}
	log_info("%s is on bridge %s: %u queue%s%s%s", d->vif.name, d->tap ? d->linux_bridge : d->nb->opt.bridge, wishes.nr_queues,
		 wishes.nr_queues > 1 ? "s" : "", wishes.features.sg ? "" : ", no scatter-gather",
		 h->is_takeover ? ", taken over" : "");
	return 0;

close_tap:
	device_tap_close(d);
close_ctrl:
	device_ctrl_close(d);
drop_port:
	device_port_undo(d);
	device_queues_drop(d);
close_journal:
	journal_file_close(&d->journal, false);
	return err;
}

/*
 * The workers forget the port first: from then on nobody reads the rings. The ethdev goes next, its queues point into
 * the queues. Packets that still borrow pages keep their queue's peer, not its rings.
 */
static void connect_disconnect(struct handshake *h)
{
	struct device *d = h->priv;

	if (!d->vif.nr_queues)
		return;
	capture_server_forget_port(d->nb->capture_server, &d->bridge_port);
	workers_detach(d->nb->workers, &d->bridge_port, d->worker_ports);
	device_tap_close(d);
	device_ctrl_close(d);
	device_port_undo(d);
	device_queues_drop(d);
	journal_file_close(&d->journal, false); /* the file stays: for the next back end, or the next connection */
	log_info("%s is off the bridge", d->vif.name);
}

/* ---- changes while connected ------------------------------------------------------------------------------------ */

static int set_limits(void *arg)
{
	struct device *d = arg;

	d->port.tx_rate = d->limits.tx;
	d->port.rx_rate = d->limits.rx;
	return 0;
}

void connect_limits_changed(struct device *d)
{
	if (!d->vif.nr_queues)
		return;
	vif_limits_read(d->handshake->store, d->handshake->own_path, &d->limits);
	workers_run(d->nb->workers, set_limits, d);
	log_info("%s: rate limits are %s", d->vif.name,
		 rate_is_on(&d->limits.tx) || rate_is_on(&d->limits.rx) ? "as the store says" : "off");
}

struct headroom {
	struct device *device;
	uint16_t bytes;
};

static int set_headroom(void *arg)
{
	const struct headroom *h = arg;

	vif_set_headrooms(&h->device->vif, h->bytes);
	return 0;
}

/* An XDP program comes or goes in the guest. */
static int connect_reconfigure(struct handshake *h)
{
	struct headroom room = {h->priv, vif_keys_headroom(h)};

	return workers_run(room.device->nb->workers, set_headroom, &room);
}

/* Linux's front end is Reconfiguring first and writes how much it wants then, so that the state alone says nothing yet. */
static void connect_changed(struct handshake *h, const char *key)
{
	struct device *d = h->priv;

	if (!strcmp(key, "request-multicast-control"))
		store_relaxed(&d->port.mcast->is_on, vif_keys_want_mcast(h));
	else if (!strcmp(key, "xdp-headroom"))
		connect_reconfigure(h);
}

static void connect_own_changed(struct handshake *h, const char *key)
{
	struct device *d = h->priv;
	unsigned mtu;

	if (strcmp(key, "mtu") || !d->tap || (mtu = mtu_read(h)) == 0)
		return;
	if (tap_set_mtu(d->tap, mtu))
		log_warn("%s: interface %s does not take an MTU of %u", d->vif.name, d->tap->name, mtu);
}

/* ---- devices ---------------------------------------------------------------------------------------------------- */

static void mac_read(struct netback *nb, const char *path, struct rte_ether_addr *mac)
{
	int err;
	struct store_client *sc = hv_store(nb->hv, &err);
	char *text = NULL;

	/* An ethdev needs an address; the guest uses what its toolstack gave it. */
	if (!sc || store_client_readf(sc, STORE_NO_TX, &text, "%s/mac", path) < 0 ||
	    rte_ether_unformat_addr(text, mac) < 0)
		rte_eth_random_addr(mac->addr_bytes);
	free(text);
}

static int connect_probe(struct xenbus *bus, domid_t frontend, unsigned devid, const char *path, void **priv)
{
	struct netback *nb = xenbus_arg(bus);
	struct device *d = calloc(1, sizeof(*d));
	char stats_name[VIF_STATS_NAME_BYTES];

	vif_stats_name(frontend, devid, stats_name);
	if (!d || vif_stats_create(&d->vif, hv_run_dir(nb->hv), stats_name)) {
		free(d);
		return -ENOMEM;
	}
	d->nb = nb;
	d->vif.domid = frontend;
	d->vif.devid = devid;
	snprintf(d->vif.name, sizeof(d->vif.name), "vif%u.%u", frontend, devid);
	mac_read(nb, path, &d->vif.mac);
	TAILQ_INSERT_TAIL(&nb->devices, d, all);
	*priv = d;
	return 0;
}

static void connect_remove(struct xenbus *bus, void *priv)
{
	struct device *d = priv;

	capture_server_forget_device(d->nb->capture_server, d);
	if (d->handshake && d->handshake->gone)
		inflight_file_remove(d->nb->hv, "vif", d->vif.domid, d->vif.devid);
	vif_stats_sum(&d->nb->gone, &d->vif);
	/* A back end that leaves its devices running leaves their counters, too. */
	vif_stats_destroy(&d->vif, !hv_keeps_devices(d->nb->hv) || !d->handshake || d->handshake->gone);
	TAILQ_REMOVE(&d->nb->devices, d, all);
	free(d);
}

const struct xenbus_driver connect_driver = {
	.handshake =
		{
			.type = "vif",
			.is_back = true,
			.offer = connect_offer,
			.connect = connect_connect,
			.disconnect = connect_disconnect,
			.changed = connect_changed,
			.reconfigure = connect_reconfigure,
			.own_changed = connect_own_changed,
		},
	.probe = connect_probe,
	.remove = connect_remove,
};
