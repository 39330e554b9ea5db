/*
 * netback/connect.c - a vif's life in the store: what is offered, what the front end asked for, connect and disconnect.
 *
 *      backend/vif/<domid>/<devid>: mac, bridge (the toolstack's)  --probe, offer-->  feature-* (ours)
 *      device/vif/<devid>: tx-ring-ref, rx-ring-ref, event-channel, feature-sg, request-rx-copy  --connect-->  a bridge port
 *
 * Owns     a struct device from probe to remove.
 * Trusts   no key of the front end: each is a number in range or the device closes with a sentence.
 * Runs in  the control thread.
 * Fails    handshake_fail, which writes the device's "error" node.
 * Spec     xen/io/netif.h.
 */
#include <errno.h>
#include <stdlib.h>

#include "hv/log.h"
#include "netback/netback_priv.h"
#include "netback/pmd.h"

/* What this back end can do. Segmentation, multicast control, several queues and a control ring are not offered. */
static const struct {
	const char *key;
	unsigned value;
} offered[] = {
	{"feature-rx-copy", 1},
	{"feature-rx-flip", 0},
	{"feature-sg", 1},
	{"feature-split-event-channels", 0},
	{"multi-queue-max-queues", 1},
};

/* ---- reading the front end's keys ------------------------------------------------------------------------------- */

static int key_must(struct handshake *h, const char *key, uint64_t max, uint64_t *value)
{
	int err = store_client_read_uint(h->store, STORE_NO_TX, value, "%s/%s", h->other_path, key);

	if (!err && *value <= max)
		return 0;
	handshake_fail(h, "the front end's %s is %s", key, err == -ENOENT ? "missing" : "not a number in range");
	return -EINVAL;
}

static bool key_is_set(struct handshake *h, const char *key)
{
	uint64_t value = 0;

	return store_client_read_uint(h->store, STORE_NO_TX, &value, "%s/%s", h->other_path, key) == 0 && value != 0;
}

static int keys_read(struct handshake *h, struct vif_keys *keys)
{
	uint64_t tx, rx, port, queues = 1;

	if (!key_is_set(h, "request-rx-copy")) {
		handshake_fail(h, "the front end does not request rx-copy, the only way this back end delivers");
		return -EOPNOTSUPP;
	}
	if (store_client_read_uint(h->store, STORE_NO_TX, &queues, "%s/multi-queue-num-queues", h->other_path) == 0 &&
	    queues != 1) {
		handshake_fail(h, "the front end asks for several queues, one is offered");
		return -EINVAL;
	}
	if (key_must(h, "tx-ring-ref", UINT32_MAX, &tx) || key_must(h, "rx-ring-ref", UINT32_MAX, &rx) ||
	    key_must(h, "event-channel", UINT32_MAX, &port))
		return -EINVAL;
	*keys = (struct vif_keys){
		.tx_ring_ref = (grant_ref_t)tx,
		.rx_ring_ref = (grant_ref_t)rx,
		.remote_port = (evtchn_port_t)port,
		.sg = key_is_set(h, "feature-sg"),
	};
	return 0;
}

/* ---- handshake -------------------------------------------------------------------------------------------------- */

/* The vif's bridge must be ours: there is one. */
static int bridge_check(struct handshake *h, const struct netback *nb)
{
	char *bridge = NULL;
	int err = store_client_readf(h->store, STORE_NO_TX, &bridge, "%s/bridge", h->own_path);

	if (err || bridge[0] == '\0' || strcmp(bridge, nb->opt.bridge) == 0) {
		free(bridge);
		return 0;
	}
	handshake_fail(h, "bridge %s does not exist: this back end serves %s (sluice-netback --bridge %s)", bridge,
		       nb->opt.bridge, bridge);
	free(bridge);
	return -ENODEV;
}

static int connect_offer(struct handshake *h)
{
	struct device *d = h->priv;
	int err;

	d->handshake = h;
	err = bridge_check(h, d->nb);
	for (size_t i = 0; i < RTE_DIM(offered) && !err; i++)
		err = store_client_printf(h->store, STORE_NO_TX, h->own_path, offered[i].key, "%u", offered[i].value);
	return err;
}

/* As an ethdev if DPDK has a place for it, else by its burst functions alone. */
static void device_port(struct device *d)
{
	uint16_t port_id;
	int err = pmd_attach(&d->vif, &port_id);

	d->has_ethdev = false;
	if (err == 0) {
		memset(&d->ethdev, 0, sizeof(d->ethdev));
		err = port_start(&d->ethdev, port_id, d->nb->pool, d->nb->flat_pool);
		if (err == 0) {
			d->has_ethdev = true;
			d->ethdev.bridge_port.max_frame = VIF_MAX_FRAME;
			return;
		}
		pmd_detach(&d->vif);
	}
	log_debug("%s is no ethdev (%s)", d->vif.name, strerror(-err));
	d->direct = (struct bridge_port){
		.queue = d->vif.queue,
		.in = vif_tx_burst,
		.out = vif_rx_burst,
		.max_frame = VIF_MAX_FRAME,
		.index = BRIDGE_NO_PORT,
	};
}

static void device_port_undo(struct device *d)
{
	if (!d->has_ethdev)
		return;
	port_stop(&d->ethdev);
	pmd_detach(&d->vif);
	d->has_ethdev = false;
}

static void device_queue_drop(struct device *d)
{
	struct vif_queue *q = d->vif.queue;

	d->vif.queue = NULL;
	if (!vif_queue_disconnect(q))
		netback_linger(d->nb, q);
}

static int connect_connect(struct handshake *h)
{
	struct device *d = h->priv;
	struct vif_keys keys;
	const char *what;
	int err = keys_read(h, &keys);

	if (err)
		return err;
	err = vif_queue_create(h->hv, d->vif.domid, &keys, d->nb->pool, d->nb->ext_pool, &d->vif.stats, &d->vif.queue,
			       &what);
	if (err) {
		handshake_fail(h, "%s cannot be used: %s", what, strerror(-err));
		return err;
	}
	device_port(d);
	d->worker_port = (struct worker_port){
		.port = d->has_ethdev ? &d->ethdev.bridge_port : &d->direct,
		.queue = d->vif.queue,
		.wake = WORKER_WAKE_EVENT,
		.fd = d->vif.queue->event_fd,
	};
	err = worker_attach(d->nb->worker, &d->worker_port);
	if (err) {
		handshake_fail(h, "the bridge has no place for another port: %s", strerror(-err));
		device_port_undo(d);
		device_queue_drop(d);
		return err;
	}
	log_info("%s is on bridge %s%s", d->vif.name, d->nb->opt.bridge, keys.sg ? "" : ", no scatter-gather");
	return 0;
}

/*
 * The worker forgets the port first: from then on nobody reads the rings. The ethdev goes next, its queues point into
 * the queue. Packets that still borrow pages keep the queue's peer, not its rings.
 */
static void connect_disconnect(struct handshake *h)
{
	struct device *d = h->priv;

	if (!d->vif.queue)
		return;
	worker_detach(d->nb->worker, &d->worker_port);
	device_port_undo(d);
	device_queue_drop(d);
	log_info("%s is off the bridge", d->vif.name);
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

	if (!d)
		return -ENOMEM;
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
	struct vif_stats *gone = &d->nb->gone;

#define VIF_COUNTER_SUM(name) gone->name += d->vif.stats.name;
	VIF_COUNTERS(VIF_COUNTER_SUM)
#undef VIF_COUNTER_SUM
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
		},
	.probe = connect_probe,
	.remove = connect_remove,
};
