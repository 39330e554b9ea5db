/*
 * frontends/blkfront.c - a vbd's front end from its first state to its last, and back to the first if it may begin anew.
 *
 *      back end offers -> publish: rings, keys -> back end Connected -> connect: disk, pools, queues run -> disconnect
 *            ^                                                                                                 |
 *            +---------------------------- reconnects: requests wait for the next back end -------------------+
 *
 * Owns     the queues.
 * Trusts   no number in the store.
 * Runs in  the bus's thread.
 * Fails    -errno to the handshake, which closes the device and writes why.
 * Spec     xen/io/blkif.h, xen/io/xenbus.h.
 */
#include "frontends/blkfront.h"

#include <stdio.h>
#include <stdlib.h>

#include "frontends/blkfront_control.h"

/* While a back end holds pages after its answer no event will tell when it lets go. */
#define HELD_RETRY_MS 1

/* ---- the handshake's steps -------------------------------------------------------------------------------------------------- */

static void disconnect_queues(struct blkfront *bf, unsigned nr)
{
	while (nr--)
		blkfront_queue_disconnect(&bf->queue[nr]);
}

static int blkfront_publish(struct handshake *h)
{
	struct blkfront *bf = h->priv;
	/* Each is a round trip: what is not wanted is not asked for. */
	uint64_t order = bf->opt.max_ring_order ? blkfront_offer(bf, "max-ring-page-order", 0) : 0;
	uint64_t queues = bf->opt.max_queues > 1 ? blkfront_offer(bf, "multi-queue-max-queues", 1) : 1;
	unsigned nr;
	int rc = 0;

	bf->ring_order = order < bf->opt.max_ring_order ? (unsigned)order : bf->opt.max_ring_order;
	bf->nr_queues = queues < bf->opt.max_queues ? (unsigned)queues : bf->opt.max_queues;
	bf->nr_queues += !bf->nr_queues;
	bf->is_pool_only = bf->opt.is_untrusted || !hv_grants(h->hv) || blkfront_is_distrusted(bf);
	for (nr = 0; nr < bf->nr_queues && !rc; nr++)
		rc = blkfront_queue_publish(&bf->queue[nr]);
	if (rc)
		nr--; /* that one has undone itself */
	if (!rc)
		rc = blkfront_write_keys(bf);
	if (rc)
		disconnect_queues(bf, nr);
	return rc;
}

/* Both ends have said it. What this end said is in its keys. */
static bool has_agreed_to_persist(struct blkfront *bf)
{
	if (bf->opt.persistent == BLKFRONT_PERSISTENT_REFUSED ||
	    (bf->opt.persistent == BLKFRONT_PERSISTENT_IF_POOLED && !bf->is_pool_only))
		return false;
	return blkfront_offer(bf, "feature-persistent", 0) == 1;
}

static int blkfront_connect(struct handshake *h)
{
	struct blkfront *bf = h->priv;
	struct blkfront_disk disk;
	int rc = blkfront_read_disk(bf, &disk);

	if (rc < 0)
		return rc;
	bf->disk = disk; /* nobody reads it before a queue is connected */
	bf->is_persistent = has_agreed_to_persist(bf);
	for (unsigned i = 0; i < bf->nr_queues && !rc; i++) {
		rc = blkfront_queue_connect(&bf->queue[i]);
		if (rc)
			handshake_fail(h, "queue %u finds no pages for its pool: %s; give it fewer queues or the domain more grants",
				       i, strerror(-rc));
	}
	/* Queues that the last connection had and this one has not: nobody will serve what they kept. */
	for (unsigned i = bf->nr_queues; i < bf->opt.max_queues && !rc; i++) {
		blkfront_queue_give_up(&bf->queue[i]);
		blkfront_queue_wake(&bf->queue[i]);
	}
	return rc;
}

static void blkfront_disconnect(struct handshake *h)
{
	struct blkfront *bf = h->priv;

	disconnect_queues(bf, bf->nr_queues);
}

/* The back end resized its disk; nonsense leaves it as it was. */
static void blkfront_changed(struct handshake *h, const char *key)
{
	struct blkfront *bf = h->priv;
	struct blkfront_disk disk;

	if (!strcmp(key, "sectors") && !blkfront_read_disk(bf, &disk))
		store_relaxed(&bf->disk.nr_sectors, disk.nr_sectors);
}

static const struct handshake_driver blkfront_driver = {
	.type = "vbd",
	.published = XenbusStateInitialised,
	.publish = blkfront_publish,
	.connect = blkfront_connect,
	.disconnect = blkfront_disconnect,
	.changed = blkfront_changed,
};

/* ---- life ---------------------------------------------------------------------------------------------------------------------- */

static bool are_options_possible(const struct blkfront_options *opt)
{
	return opt->max_ring_order <= BLKIF_MAX_RING_ORDER && opt->max_queues <= BLKFRONT_MAX_QUEUES &&
	       opt->max_segments <= BLKFRONT_MAX_SEGMENTS && opt->persistent <= BLKFRONT_PERSISTENT_REFUSED;
}

/* The options with what their zeros stand for. */
static struct blkfront_options completed(const struct blkfront_options *opt)
{
	struct blkfront_options o = opt ? *opt : (struct blkfront_options){.max_ring_order = BLKFRONT_DEFAULT_RING_ORDER};

	o.max_queues += !o.max_queues;
	if (!o.max_segments)
		o.max_segments = BLKFRONT_DEFAULT_SEGMENTS;
	if (o.max_segments < BLKFRONT_SEGMENTS)
		o.max_segments = BLKFRONT_SEGMENTS;
	return o;
}

static void finish_queues(struct blkfront *bf, unsigned nr)
{
	while (nr--)
		blkfront_queue_finish(&bf->queue[nr]);
}

int blkfront_create(struct frontbus *bus, unsigned devid, const struct blkfront_options *opt, struct blkfront **out)
{
	struct blkfront_options o = completed(opt);
	struct blkfront *bf;
	unsigned nr = 0;
	int rc = 0;

	if (!are_options_possible(&o))
		return -EINVAL;
	bf = calloc(1, sizeof(*bf) + o.max_queues * sizeof(bf->queue[0]));
	if (!bf)
		return -ENOMEM;
	bf->bus = bus;
	bf->opt = o;
	busy_poll_init(&bf->wait, o.busy_poll_us);
	if (o.is_threaded)
		rc = frontbus_need_wake(bus);
	if (!rc)
		rc = front_counters_open(&bf->shared_counters, bus->hv, &blkfront_counters_layout, o.max_queues);
	if (!rc)
		bf->counters = counters_queues(bf->shared_counters.memory, &blkfront_counters_layout);
	while (nr < o.max_queues && !rc) {
		bf->queue[nr].ring.vdev = (blkif_vdev_t)devid;
		rc = blkfront_queue_init(&bf->queue[nr], bf, nr);
		nr++;
	}
	snprintf(bf->path, sizeof(bf->path), "device/vbd/%u", devid);
	if (!rc)
		rc = frontbus_start(bus, &bf->handshake, &blkfront_driver, bf->path, bf);
	if (rc < 0)
		goto finish;
	*out = bf;
	return 0;

finish:
	finish_queues(bf, nr);
	front_counters_close(&bf->shared_counters);
	free(bf);
	return rc;
}

void blkfront_destroy(struct blkfront *bf)
{
	if (!bf)
		return;
	front_counters_remove_key(bf->handshake.store, bf->handshake.own_path);
	frontbus_stop(bf->bus, &bf->handshake);
	for (unsigned i = 0; i < bf->opt.max_queues; i++)
		blkfront_queue_give_up(&bf->queue[i]);
	finish_queues(bf, bf->opt.max_queues);
	front_counters_close(&bf->shared_counters);
	free(bf);
}

void blkfront_count(const struct blkfront *bf, struct blkfront_counters *sum)
{
	memset(sum, 0, sizeof(*sum));
	for (unsigned i = 0; i < bf->opt.max_queues; i++)
		counters_add(&blkfront_counters_layout, sum, &bf->counters[i]);
}

int blkfront_wait_connected(struct blkfront *bf, int timeout_ms)
{
	return frontbus_wait_connected(bf->bus, &bf->handshake, timeout_ms);
}

int blkfront_check(struct blkfront *bf)
{
	const char *why;

	if (bf->handshake.failed)
		return -EPROTO;
	for (unsigned i = 0; i < bf->nr_queues; i++) {
		if (!blkfront_queue_is_broken(&bf->queue[i], &why))
			continue;
		handshake_fail(&bf->handshake, "the back end broke the protocol: %s", why);
		return -EPROTO;
	}
	return 0;
}

/* ---- a back end that goes, and one that comes ------------------------------------------------------------------------------------- */

/*
 * The toolstack that detaches a device says that it shall not be online any more. A back end that closed it with an error would
 * do so again.
 */
static bool may_begin_anew(struct blkfront *bf)
{
	const struct handshake *h = &bf->handshake;

	return bf->opt.reconnects && !h->failed && !h->gone && h->own == XenbusStateClosed && !bf->bus->is_stopping &&
	       blkfront_offer(bf, "online", 1) == 1 && !blkfront_has_back_error(bf);
}

static void begin_anew(struct blkfront *bf)
{
	frontbus_stop(bf->bus, &bf->handshake);
	/* As long as nobody serves it, it waits; but if it cannot wait, it is over. */
	bf->handshake.gone = frontbus_start(bf->bus, &bf->handshake, &blkfront_driver, bf->path, bf) < 0;
}

/* A device that may begin anew is not over while it closes: that comes first. */
static bool has_ended(const struct blkfront *bf)
{
	const struct handshake *h = &bf->handshake;
	bool is_between = bf->opt.reconnects && !h->failed && !h->gone && h->own == XenbusStateClosing;

	return bf->bus->is_lost || (frontbus_is_over(h) && !is_between) || (bf->bus->is_stopping && !h->connected);
}

static void end(struct blkfront *bf)
{
	for (unsigned i = 0; i < bf->opt.max_queues; i++)
		blkfront_queue_give_up(&bf->queue[i]);
	store_release(&bf->is_over, 1); /* pairs with blkfront_queue_wait's acquire */
	for (unsigned i = 0; i < bf->opt.max_queues; i++)
		blkfront_queue_wake(&bf->queue[i]);
}

bool blkfront_pump(struct blkfront *bf)
{
	frontbus_pump(bf->bus);
	if (bf->is_over)
		return false;
	blkfront_check(bf);
	if (may_begin_anew(bf))
		begin_anew(bf);
	if (has_ended(bf))
		end(bf);
	return !bf->is_over;
}

static bool has_answers(struct blkfront *bf)
{
	bool has = false;

	for (unsigned i = 0; i < bf->opt.max_queues && !has; i++)
		has = blkfront_queue_has_answers(&bf->queue[i]);
	return has;
}

/* Arms all; true: there is something to poll, or it came while it was looked for. */
static bool arm(struct blkfront *bf)
{
	bool has;

	while (!(has = has_answers(bf)) && bf->wait.max_ns && busy_poll_looks_again(&bf->wait, clock_now_ns()))
		;
	for (unsigned i = 0; i < bf->opt.max_queues; i++)
		has |= blkfront_ring_arm(&bf->queue[i].ring);
	return has;
}

static bool has_held(const struct blkfront *bf)
{
	unsigned n = 0;

	for (unsigned i = 0; i < bf->opt.max_queues; i++)
		n += bf->queue[i].ring.nr_held;
	return n;
}

int blkfront_wait(struct blkfront *bf, int timeout_ms)
{
	bool is_held = false;
	int rc;

	if (!blkfront_pump(bf))
		return !bf->opt.is_threaded && has_answers(bf) ? 1 : -ENODEV;
	if (!bf->opt.is_threaded) {
		is_held = has_held(bf);
		if (arm(bf)) {
			busy_poll_found(&bf->wait);
			return 1;
		}
	}
	if (is_held && (timeout_ms < 0 || timeout_ms > HELD_RETRY_MS))
		timeout_ms = HELD_RETRY_MS;
	rc = frontbus_sleep(bf->bus, timeout_ms);
	if (!bf->opt.is_threaded && has_answers(bf))
		busy_poll_found(&bf->wait);
	if (!blkfront_pump(bf))
		return !bf->opt.is_threaded && has_answers(bf) ? 1 : -ENODEV;
	return is_held ? 1 : rc;
}
