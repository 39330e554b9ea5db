/*
 * blkback/connect.c - what a block device does at each step of the xenbus handshake.
 *
 *      offer       opens the image; writes feature-flush-cache, -barrier, -discard, -persistent, -max-indirect-segments,
 *                  max-ring-page-order, multi-queue-max-queues: each only if it works here
 *      connect     reads what the front end wants (front.c); writes sectors, sector-size, info; opens the link
 *      disconnect  asks the link to close, and waits a little; I/O that takes longer is waited for in the background
 *
 * A running device that is taken over skips the offer: what was offered stands in our own directory.
 *
 * Trusts   nothing in the front end's directory.
 * Fails    with one sentence in the device's error node (handshake_fail).
 * Spec     xen/io/blkif.h, "Backend Device Properties", "STATE DIAGRAMS".
 */
#include <time.h>

#include "blkback/vbd_image.h"
#include "blkback/vbd_settings.h"
#include "hv/log.h"

/* What healthy disks need to finish what they have begun. */
#define DISCONNECT_WAIT_MS 500
#define DISCONNECT_PAUSE_NS 200000

static int offer_number(struct handshake *h, const char *key, unsigned value)
{
	return store_client_printf(h->store, STORE_NO_TX, h->own_path, key, "%u", value);
}

static int vbd_offer(struct handshake *h)
{
	struct vbd *vbd = h->priv;
	int err, end_err;

	vbd->handshake = h;
	err = vbd_image_open(h, vbd);
	if (err)
		return err;
	vbd_settings_read(h, vbd);
	vbd->limits.max_segments = (uint16_t)vbd->options->max_segments;
	vbd->max_queues = vbd->image.max_queues < vbd->options->max_queues ? vbd->image.max_queues : vbd->options->max_queues;
	store_client_batch_begin(h->store);
	err = vbd_image_write_features(h, vbd);
	if (!err)
		err = offer_number(h, "max-ring-page-order", BLKIF_MAX_RING_ORDER);
	/* Also where there is nothing to offer: a back end before this one may have offered more. */
	if (!err)
		err = offer_number(h, "multi-queue-max-queues", vbd->max_queues);
	if (!err)
		err = offer_number(h, "feature-max-indirect-segments", vbd->limits.max_segments);
	if (!err)
		err = offer_number(h, "feature-persistent", vbd->options->nr_persistent != 0);
	end_err = store_client_batch_end(h->store);
	return err ? err : end_err;
}

/* A number that an earlier back end left in our directory, bounded by what this program can do at all. */
static unsigned offered_number(struct handshake *h, const char *key, unsigned most, unsigned otherwise)
{
	uint64_t value;

	if (store_client_read_uint(h->store, STORE_NO_TX, &value, "%s/%s", h->own_path, key))
		return otherwise;
	return value < most ? (unsigned)value : most;
}

static int vbd_take_over(struct handshake *h, struct vbd *vbd)
{
	int err;

	vbd->handshake = h;
	err = vbd_image_open(h, vbd);
	if (err)
		return err;
	vbd_settings_read(h, vbd);
	vbd->limits.max_segments =
		(uint16_t)offered_number(h, "feature-max-indirect-segments", BLKIF_MAX_INDIRECT_SEGMENTS, 0);
	vbd->max_queues = offered_number(h, "multi-queue-max-queues", FRONT_MAX_QUEUES, 1);
	return 0;
}

static enum pages_mode vbd_pages_mode(const struct vbd *vbd, const struct handshake *h, const struct front *front)
{
	if (front->is_persistent && vbd->options->nr_persistent)
		return PAGES_PERSISTENT;
	return hv_map_is_cheap(h->hv) && !vbd->options->is_copying ? PAGES_MAP : PAGES_COPY;
}

/*
 * A journal is there when the back end before this one was killed, or left while its image hung: it says what is to be done again.
 * Without one all had been answered; but after a kill nothing says so, and the device cannot go on without losing requests.
 */
static int vbd_open_journal(struct handshake *h, struct vbd *vbd, const struct front *front, bool *is_clean)
{
	int err = h->is_takeover ? journal_file_open(&vbd->journal, h, front) : -ENOENT;

	*is_clean = h->is_takeover && err;
	if (!err)
		return 0;
	if (h->is_takeover && h->is_unclean) {
		handshake_fail(h, "the back end before this one was killed, and what it had in flight is not known: "
			       "detach and attach the disk");
		return err;
	}
	err = journal_file_create(&vbd->journal, h, front);
	if (err)
		handshake_fail(h, "what is in flight cannot be noted: %s", strerror(-err));
	return err;
}

static int vbd_open_link(struct handshake *h, struct vbd *vbd, const struct front *front)
{
	struct link_config config = {
		.image = &vbd->image,
		.io = {.hv = h->hv,
		       .limits = &vbd->limits,
		       .limit = &vbd->limit,
		       .mode = vbd_pages_mode(vbd, h, front),
		       .nr_persistent = vbd->options->nr_persistent,
		       .unused_ns = (uint64_t)vbd->options->unused_s * 1000000000u,
		       .max_merge_bytes = vbd->options->max_merge_kib << 10,
		       .is_takeover = h->is_takeover},
		.stats = vbd->stats,
		.journal = &vbd->journal,
		.busy_poll_us = vbd->options->busy_poll_us,
		.attention_fd = vbd->attention_fd,
		.devid = vbd->devid,
	};
	static const char *const modes[] = {
		[PAGES_MAP] = "", [PAGES_COPY] = ", copied pages", [PAGES_PERSISTENT] = ", persistent grants"};
	int err = vbd_open_journal(h, vbd, front, &config.io.is_clean);

	if (err)
		return err;
	/* The journal belongs to this connection, and so do the counters of whoever left it. */
	if (h->is_takeover && !config.io.is_clean)
		counters_file_go_on(&vbd->stats_file);
	else
		counters_file_drop(&vbd->stats_file);
	err = link_open(h, &config, front, &vbd->link);
	if (err) {
		journal_file_close(&vbd->journal, !h->is_takeover || config.io.is_clean);
		return err;
	}
	vbd->is_fault_reported = false;
	log_info("vbd %u/%u: connected, %u queue%s, ring%s of %u page%s%s%s%s", vbd->domid, vbd->devid, front->nr_queues,
		 front->nr_queues == 1 ? "" : "s", front->nr_queues == 1 ? "" : "s", front->ring_pages,
		 front->ring_pages == 1 ? "" : "s", front->is_x86_32 ? ", 32-bit layout" : "", modes[config.io.mode],
		 h->is_takeover ? ", taken over" : "");
	return 0;
}

/* Waits a little until nothing runs any more. */
static bool vbd_settle(struct vbd *vbd)
{
	struct timespec pause = {0, DISCONNECT_PAUSE_NS};

	for (unsigned i = 0; i < DISCONNECT_WAIT_MS * 1000000u / DISCONNECT_PAUSE_NS && !link_is_over(vbd->link); i++)
		nanosleep(&pause, NULL);
	if (!link_is_over(vbd->link))
		return false;
	vbd_close_link(vbd);
	return true;
}

static int vbd_connect(struct handshake *h)
{
	struct vbd *vbd = h->priv;
	struct front front;
	int err = 0;

	/* What the image still does for the last connection could overtake what it is to do for this one. */
	if (vbd->link && !vbd_settle(vbd)) {
		handshake_fail(h, "the image has not finished the I/O of the last connection: it hangs");
		return -EBUSY;
	}
	if (h->is_takeover)
		err = vbd_take_over(h, vbd);
	if (!err)
		err = front_read(h, vbd->max_queues, &front);
	if (!err && front.nr_queues > vbd->options->max_queues) { /* only when they were offered by another */
		handshake_fail(h, "the device runs with %u queues: start with --max-queues %u", front.nr_queues, front.nr_queues);
		err = -EINVAL;
	}
	if (!err && !h->is_takeover)
		err = vbd_image_write_size(h, vbd);
	return err ? err : vbd_open_link(h, vbd, &front);
}

static void vbd_disconnect(struct handshake *h)
{
	struct vbd *vbd = h->priv;

	if (!vbd->link || vbd->link->is_closing)
		return;
	link_ask_close(vbd->link);
	if (vbd_settle(vbd))
		log_info("vbd %u/%u: disconnected", vbd->domid, vbd->devid);
	else
		log_warn("vbd %u/%u: disconnected; the image has not finished its I/O, whose pages stay in use", vbd->domid, vbd->devid);
}

const struct handshake_driver vbd_driver = {
	.type = "vbd",
	.is_back = true,
	.offer = vbd_offer,
	.connect = vbd_connect,
	.disconnect = vbd_disconnect,
	.own_changed = vbd_settings_changed,
};
