/*
 * blkback/connect.c - what a block device does at each step of the xenbus handshake.
 *
 *      offer       opens the image; writes feature-flush-cache, max-ring-page-order
 *      connect     reads ring-ref | ring-page-order + ring-ref<n>, event-channel, protocol; maps; binds;
 *                  writes sectors, sector-size, info; starts the queue
 *      disconnect  stops the queue (no I/O runs any more), then closes the port, then unmaps the ring
 *
 * Not offered, so never served: barrier, discard, indirect, persistent grants, more than one queue.
 *
 * Trusts   nothing in the front end's directory: numbers are bounded, refs and ports are checked by who owns them.
 * Fails    with one sentence in the device's error node (handshake_fail).
 * Spec     xen/io/blkif.h, "Backend Device Properties", "Frontend XenBus Nodes", "STATE DIAGRAMS".
 */
#include <stdlib.h>
#include <xen/io/protocols.h>

#include "blkback/vbd.h"
#include "hv/log.h"

#define RING_MAX_PAGES (1u << BLKIF_MAX_RING_ORDER)

/* What the front end published. */
struct front_keys {
	grant_ref_t refs[RING_MAX_PAGES];
	unsigned nr_pages;
	evtchn_port_t port;
};

/* mode is "r" or "w" (xl also writes "rw"). */
static int vbd_read_mode(struct handshake *h, bool *readonly)
{
	char *mode;
	int err = store_client_readf(h->store, STORE_NO_TX, &mode, "%s/mode", h->own_path);

	if (err) {
		handshake_fail(h, "the disk has no mode: write r or w to %s/mode", h->own_path);
		return err;
	}
	*readonly = !strcmp(mode, "r");
	if (!*readonly && strcmp(mode, "w") && strcmp(mode, "rw")) {
		handshake_fail(h, "disk mode %.16s is unknown: use r or w", mode);
		err = -EINVAL;
	}
	free(mode);
	return err;
}

static int vbd_open_image(struct handshake *h, struct vbd *vbd)
{
	char why[256], note[256], *path;
	bool readonly;
	int err = vbd_read_mode(h, &readonly);

	if (err)
		return err;
	err = store_client_readf(h->store, STORE_NO_TX, &path, "%s/params", h->own_path);
	if (err) {
		handshake_fail(h, "the disk names no image: write its path to %s/params", h->own_path);
		return err;
	}
	err = disk_image_open(&vbd->image, path, readonly, &vbd->options->disk, why, note);
	if (err) {
		handshake_fail(h, "%s", why);
		goto free_path;
	}
	vbd->is_image_open = true;
	if (note[0])
		log_info("%s", note);
	log_info("vbd %u/%u: image %s, %llu sectors, %s, engine %s%s", vbd->domid, vbd->devid, path,
		 (unsigned long long)vbd->image.sectors, readonly ? "read-only" : "read-write", vbd->image.engine->name,
		 vbd->image.is_direct ? ", O_DIRECT" : "");
free_path:
	free(path);
	return err;
}

static int vbd_offer(struct handshake *h)
{
	struct vbd *vbd = h->priv;
	int err = 0;

	vbd->handshake = h;
	if (!vbd->is_image_open)
		err = vbd_open_image(h, vbd);
	if (!err)
		err = store_client_printf(h->store, STORE_NO_TX, h->own_path, "feature-flush-cache", "1");
	if (!err)
		err = store_client_printf(h->store, STORE_NO_TX, h->own_path, "max-ring-page-order", "%u",
					  BLKIF_MAX_RING_ORDER);
	return err;
}

/* A number of the front end's that must fit 32 bits. */
static int vbd_read_u32(struct handshake *h, const char *key, uint32_t *value)
{
	uint64_t wide;
	int err = store_client_read_uint(h->store, STORE_NO_TX, &wide, "%s/%s", h->other_path, key);

	if (!err && wide > UINT32_MAX)
		err = -ERANGE;
	if (!err)
		*value = (uint32_t)wide;
	return err;
}

static int vbd_need_u32(struct handshake *h, const char *key, uint32_t *value)
{
	int err = vbd_read_u32(h, key, value);

	if (err)
		handshake_fail(h, "front end key %s is missing or no 32-bit number", key);
	return err;
}

/* Absent: native. Anything but our own layout is refused. */
static int vbd_check_protocol(struct handshake *h)
{
	char *protocol;
	int err = store_client_readf(h->store, STORE_NO_TX, &protocol, "%s/protocol", h->other_path);

	if (err)
		return err == -ENOENT ? 0 : err;
	if (strcmp(protocol, XEN_IO_PROTO_ABI_NATIVE)) {
		handshake_fail(h, "front end protocol %.32s is not supported: use %s", protocol, XEN_IO_PROTO_ABI_NATIVE);
		err = -EPROTONOSUPPORT;
	}
	free(protocol);
	return err;
}

/* More than one queue was not offered; asking for exactly one is the same as not asking. */
static int vbd_check_queues(struct handshake *h)
{
	uint32_t queues;
	int err = vbd_read_u32(h, "multi-queue-num-queues", &queues);

	if (err == -ENOENT)
		return 0;
	if (err || queues != 1) {
		handshake_fail(h, "front end asks for several queues (multi-queue-num-queues), and one was offered");
		return -EOPNOTSUPP;
	}
	return 0;
}

static int vbd_read_refs(struct handshake *h, struct front_keys *keys)
{
	uint32_t order = 0;
	int err = vbd_read_u32(h, "ring-page-order", &order);

	if (err && err != -ENOENT) {
		handshake_fail(h, "front end key ring-page-order is no number");
		return err;
	}
	if (order > BLKIF_MAX_RING_ORDER) {
		handshake_fail(h, "front end asks for ring-page-order %u, and max-ring-page-order is %u", order,
			       BLKIF_MAX_RING_ORDER);
		return -EINVAL;
	}
	keys->nr_pages = 1u << order;
	if (order == 0 && vbd_read_u32(h, "ring-ref", &keys->refs[0]) == 0)
		return 0;
	if (err == -ENOENT)
		return vbd_need_u32(h, "ring-ref", &keys->refs[0]); /* says what is missing */
	for (unsigned i = 0; i < keys->nr_pages; i++) {
		char key[32];

		snprintf(key, sizeof(key), "ring-ref%u", i);
		err = vbd_need_u32(h, key, &keys->refs[i]);
		if (err)
			return err;
	}
	return 0;
}

static int vbd_read_front(struct handshake *h, struct front_keys *keys)
{
	int err = vbd_check_protocol(h);

	if (!err)
		err = vbd_check_queues(h);
	if (!err)
		err = vbd_read_refs(h, keys);
	if (!err)
		err = vbd_need_u32(h, "event-channel", &keys->port);
	return err;
}

static int vbd_write_size(struct handshake *h, const struct vbd *vbd)
{
	int err = store_client_printf(h->store, STORE_NO_TX, h->own_path, "sectors", "%llu",
				      (unsigned long long)vbd->image.sectors);

	if (!err)
		err = store_client_printf(h->store, STORE_NO_TX, h->own_path, "sector-size", "%u", BLKIF_SECTOR_BYTES);
	if (!err)
		err = store_client_printf(h->store, STORE_NO_TX, h->own_path, "info", "%u",
					  vbd->image.is_readonly ? VDISK_READONLY : 0);
	return err;
}

static int vbd_start_queue(struct handshake *h, struct vbd *vbd, unsigned ring_pages)
{
	char name[32];
	struct queue_config config = {
		.io = {.hv = h->hv,
		       .peer = vbd->peer,
		       .port = vbd->port,
		       .ring = vbd->ring,
		       .ring_pages = ring_pages,
		       .limits = {.sectors = vbd->image.sectors, .is_readonly = vbd->image.is_readonly},
		       .stats = &vbd->stats},
		.image = &vbd->image,
		.busy_poll_us = vbd->options->busy_poll_us,
		.fault_fd = vbd->fault_fd,
		.name = name,
	};

	snprintf(name, sizeof(name), "vbd-%u-%u", vbd->domid, vbd->devid);
	vbd->is_fault_reported = false;
	return queue_start(&config, &vbd->queue);
}

static int vbd_connect(struct handshake *h)
{
	struct vbd *vbd = h->priv;
	struct front_keys keys;
	int err = vbd_read_front(h, &keys);

	if (err)
		return err;
	err = hv_peer_open(h->hv, h->other_domid, &vbd->peer);
	if (err) {
		handshake_fail(h, "domain %u cannot be reached: %s", h->other_domid, strerror(-err));
		return err;
	}
	err = hv_peer_map_ring(vbd->peer, keys.refs, keys.nr_pages, &vbd->ring);
	if (err) {
		handshake_fail(h, "the ring's %u pages cannot be mapped: %s", keys.nr_pages, strerror(-err));
		goto close_peer;
	}
	err = hv_evtchn_bind_interdomain(h->hv, h->other_domid, keys.port, &vbd->port);
	if (err) {
		handshake_fail(h, "event-channel %u cannot be bound: %s", keys.port, strerror(-err));
		goto unmap_ring;
	}
	err = vbd_write_size(h, vbd);
	if (err)
		goto close_port;
	err = vbd_start_queue(h, vbd, keys.nr_pages);
	if (err) {
		handshake_fail(h, "engine %s cannot start: %s", vbd->image.engine->name, strerror(-err));
		goto close_port;
	}
	log_info("vbd %u/%u: connected, ring of %u page%s", vbd->domid, vbd->devid, keys.nr_pages,
		 keys.nr_pages == 1 ? "" : "s");
	return 0;

close_port:
	hv_evtchn_close(h->hv, vbd->port);
unmap_ring:
	hv_peer_unmap_ring(vbd->peer, vbd->ring);
close_peer:
	hv_peer_close(vbd->peer);
	return err;
}

static void vbd_disconnect(struct handshake *h)
{
	struct vbd *vbd = h->priv;

	if (!vbd->queue)
		return;
	queue_stop(vbd->queue);
	vbd->queue = NULL;
	hv_evtchn_close(h->hv, vbd->port);
	hv_peer_unmap_ring(vbd->peer, vbd->ring);
	hv_peer_close(vbd->peer);
	log_info("vbd %u/%u: disconnected", vbd->domid, vbd->devid);
}

void vbd_check_fault(struct vbd *vbd)
{
	static const char *const reasons[] = {
		[QUEUE_FAULT_RING] = "the front end wrote ring indices that cannot be",
		[QUEUE_FAULT_ENGINE] = "the kernel refused all further I/O",
	};
	enum queue_fault fault = vbd->queue ? queue_fault(vbd->queue) : QUEUE_FAULT_NONE;

	if (fault == QUEUE_FAULT_NONE || vbd->is_fault_reported)
		return;
	vbd->is_fault_reported = true;
	handshake_fail(vbd->handshake, "%s; the device is closed", reasons[fault]);
}

const struct handshake_driver vbd_driver = {
	.type = "vbd",
	.is_back = true,
	.offer = vbd_offer,
	.connect = vbd_connect,
	.disconnect = vbd_disconnect,
};
