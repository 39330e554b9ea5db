/*
 * frontends/blkfront.c - connects a vbd's front end, and the calls that may sleep.
 *
 *      back end offers  ->  publish: share ring, write keys  ->  back end Connected  ->  connect: read the disk's size
 *
 * Owns     event channel and ring from publish to disconnect; parts, refs and bounce buffer as long as the device.
 * Trusts   no number in the store.
 * Runs in  the bus's thread.
 * Fails    -errno to the handshake, which closes the device and writes why.
 * Spec     xen/io/blkif.h.
 */
#include "frontends/blkfront.h"

#include <stdio.h>
#include <stdlib.h>

#include <xen/io/protocols.h>

#include "hv/clock.h"

#define DEFAULT_RING_ORDER 2u
#define BOUNCE_SECTORS (BLKFRONT_BOUNCE_PAGES * BLKIF_SECTORS_PER_PAGE)
/* While a back end holds pages after its answer no event will tell when it lets go. */
#define HELD_RETRY_MS 1
/* How long a synchronous call waits for such a back end before it gives up its buffer. */
#define HELD_PATIENCE_MS 1000

static uint64_t other_number(struct handshake *h, const char *key, uint64_t otherwise)
{
	uint64_t value;

	if (store_client_read_uint(h->store, STORE_NO_TX, &value, "%s/%s", h->other_path, key) < 0)
		return otherwise;
	return value;
}

/* An earlier connection's key that this one does not write would mislead the back end. */
static int remove_key(struct handshake *h, uint32_t tx, const char *key)
{
	char path[sizeof(h->own_path) + 24];
	int rc;

	snprintf(path, sizeof(path), "%s/%s", h->own_path, key);
	rc = store_client_rm(h->store, tx, path);
	return rc == -ENOENT ? 0 : rc;
}

static int write_ring_refs(struct blkfront *bf, uint32_t tx)
{
	struct handshake *h = &bf->handshake;
	int rc = remove_key(h, tx, bf->ring_order ? "ring-ref" : "ring-page-order");

	if (rc < 0)
		return rc;
	if (!bf->ring_order)
		return store_client_printf(h->store, tx, h->own_path, "ring-ref", "%u", bf->ring_refs[0]);
	rc = store_client_printf(h->store, tx, h->own_path, "ring-page-order", "%u", bf->ring_order);
	for (unsigned i = 0; !rc && i < 1u << bf->ring_order; i++) {
		char key[24];

		snprintf(key, sizeof(key), "ring-ref%u", i);
		rc = store_client_printf(h->store, tx, h->own_path, key, "%u", bf->ring_refs[i]);
	}
	return rc;
}

static int write_keys(struct store_client *store, uint32_t tx, void *arg)
{
	struct blkfront *bf = arg;
	const char *dir = bf->handshake.own_path;
	int rc = write_ring_refs(bf, tx);

	if (!rc)
		rc = store_client_printf(store, tx, dir, "event-channel", "%u", bf->port);
	if (!rc)
		rc = store_client_printf(store, tx, dir, "protocol", "%s", XEN_IO_PROTO_ABI_NATIVE);
	return rc;
}

static int blkfront_publish(struct handshake *h)
{
	struct blkfront *bf = h->priv;
	uint64_t order = other_number(h, "max-ring-page-order", 0);
	unsigned pages;
	int rc;

	bf->ring_order = order < bf->max_ring_order ? (unsigned)order : bf->max_ring_order;
	pages = 1u << bf->ring_order;
	rc = hv_share(h->hv, h->other_domid, pages, false, bf->ring_refs, &bf->ring_area);
	if (rc < 0)
		return rc;
	blkfront_ring_prepare(&bf->ring, bf->ring_area, pages_to_bytes(pages), h->other_domid);
	rc = hv_evtchn_alloc_unbound(h->hv, h->other_domid, &bf->port);
	if (rc < 0)
		goto unshare_ring;
	rc = store_client_transaction(h->store, write_keys, bf);
	if (rc < 0)
		goto close_port;
	return 0;

close_port:
	hv_evtchn_close(h->hv, bf->port);
	bf->port = 0;
unshare_ring:
	hv_unshare(h->hv, bf->ring_area, pages, bf->ring_refs);
	bf->ring_area = NULL;
	return rc;
}

/* sectors counts in units of 512 bytes, whatever sector-size says. */
static int read_disk(struct handshake *h, struct blkfront_disk *disk)
{
	uint64_t sectors = other_number(h, "sectors", 0);
	uint64_t sector_bytes = other_number(h, "sector-size", BLKIF_SECTOR_BYTES);
	uint64_t info = other_number(h, "info", 0);

	if (sector_bytes < BLKIF_SECTOR_BYTES || sector_bytes > PAGE_BYTES || (sector_bytes & (sector_bytes - 1)))
		return -EINVAL;
	if (!sectors || sectors > UINT64_MAX / BLKIF_SECTOR_BYTES)
		return -EINVAL;
	disk->nr_sectors = sectors;
	disk->sector_bytes = (uint32_t)sector_bytes;
	disk->is_read_only = info & VDISK_READONLY;
	disk->can_flush = other_number(h, "feature-flush-cache", 0) == 1;
	return 0;
}

static int blkfront_connect(struct handshake *h)
{
	struct blkfront *bf = h->priv;
	int rc = read_disk(h, &bf->ring.disk);

	if (rc < 0)
		return rc;
	blkfront_ring_start(&bf->ring);
	return 0;
}

static void blkfront_disconnect(struct handshake *h)
{
	struct blkfront *bf = h->priv;

	if (bf->port) {
		hv_evtchn_close(h->hv, bf->port);
		bf->port = 0;
	}
	blkfront_ring_abort(&bf->ring);
	if (bf->ring_area)
		hv_unshare(h->hv, bf->ring_area, 1u << bf->ring_order, bf->ring_refs);
	bf->ring_area = NULL;
}

/* The back end resized its disk; nonsense leaves it as it was. */
static void blkfront_changed(struct handshake *h, const char *key)
{
	struct blkfront *bf = h->priv;
	struct blkfront_disk disk;

	if (!strcmp(key, "sectors") && !read_disk(h, &disk))
		bf->ring.disk.nr_sectors = disk.nr_sectors;
}

static const struct handshake_driver blkfront_driver = {
	.type = "vbd",
	.published = XenbusStateInitialised,
	.publish = blkfront_publish,
	.connect = blkfront_connect,
	.disconnect = blkfront_disconnect,
	.changed = blkfront_changed,
};

static uint32_t frame_of(void *hv, const void *page)
{
	return hv_frame_of(hv, page);
}

/* The tables, for the largest ring that may be agreed on: held parts outlive a connection, so the tables do too. */
static int alloc_tables(struct blkfront *bf)
{
	uint32_t parts = blkif_ring_slots(pages_to_bytes(1u << bf->max_ring_order));
	struct blkfront_ring *r = &bf->ring;
	uint32_t refs = parts * BLKFRONT_SEGMENTS;

	r->part = calloc(parts, sizeof(*r->part));
	r->free = calloc(parts, sizeof(*r->free));
	r->held = calloc(parts, sizeof(*r->held));
	bf->ref_storage = calloc(refs, sizeof(*bf->ref_storage));
	if (!r->part || !r->free || !r->held || !bf->ref_storage)
		return -ENOMEM;
	r->nr_parts = (uint16_t)parts;
	r->done_tail = &r->done;
	r->frame_of = frame_of;
	r->frame_arg = bf->bus->hv;
	return grant_cache_init(&r->grants, hv_grants(bf->bus->hv), bf->ref_storage, refs);
}

static void free_tables(struct blkfront *bf)
{
	if (bf->ring.grants.gt)
		grant_cache_finish(&bf->ring.grants);
	free(bf->ring.part);
	free(bf->ring.free);
	free(bf->ring.held);
	free(bf->ref_storage);
}

int blkfront_create(struct frontbus *bus, unsigned devid, const struct blkfront_options *opt, struct blkfront **out)
{
	struct blkfront *bf;
	char path[64];
	int rc;

	if (!hv_grants(bus->hv))
		return -EOPNOTSUPP;
	if (opt && opt->max_ring_order > BLKIF_MAX_RING_ORDER)
		return -EINVAL;
	bf = calloc(1, sizeof(*bf));
	if (!bf)
		return -ENOMEM;
	bf->bus = bus;
	bf->max_ring_order = opt ? opt->max_ring_order : DEFAULT_RING_ORDER;
	bf->ring.vdev = (blkif_vdev_t)devid;
	rc = alloc_tables(bf);
	if (rc < 0)
		goto free_bf;
	snprintf(path, sizeof(path), "device/vbd/%u", devid);
	rc = frontbus_start(bus, &bf->handshake, &blkfront_driver, path, bf);
	if (rc < 0)
		goto free_bf;
	*out = bf;
	return 0;

free_bf:
	free_tables(bf);
	free(bf);
	return rc;
}

/* What the back end still holds is revoked when it lets go, whoever lives then: the refs are given up to the table. */
static void give_up_held(struct blkfront *bf)
{
	struct blkfront_ring *r = &bf->ring;

	for (unsigned i = 0; i < r->nr_held; i++) {
		struct blkfront_part *p = &r->part[r->held[i]];

		for (unsigned k = 0; k < p->nr_refs; k++)
			grant_table_end_when_idle(r->grants.gt, p->refs[k], NULL, NULL);
	}
}

void blkfront_destroy(struct blkfront *bf)
{
	if (!bf)
		return;
	frontbus_stop(bf->bus, &bf->handshake);
	give_up_held(bf);
	if (!bf->sync.parts_left)
		hv_pages_free(bf->bus->hv, bf->bounce, BLKFRONT_BOUNCE_PAGES);
	free_tables(bf);
	free(bf);
}

int blkfront_wait_connected(struct blkfront *bf, int timeout_ms)
{
	return frontbus_wait_connected(bf->bus, &bf->handshake, timeout_ms);
}

int blkfront_parse_name(const char *name, unsigned *devid)
{
	/* Xen's own numbering, docs/man/xen-vbd-interface.7: major << 8 | disk << bits | partition. */
	static const struct {
		const char *prefix;
		unsigned base, partition_bits, disks;
	} kinds[] = {{"xvd", 202u << 8, 4, 16}, {"sd", 8u << 8, 4, 16}, {"hd", 3u << 8, 6, 2}};
	unsigned long partition = 0;
	char *end;

	for (unsigned i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++) {
		size_t len = strlen(kinds[i].prefix);
		unsigned disk = 0;

		if (strncmp(name, kinds[i].prefix, len) || name[len] < 'a' ||
		    (disk = (unsigned)(name[len] - 'a')) >= kinds[i].disks)
			continue;
		if (name[len + 1]) {
			if (name[len + 1] < '1' || name[len + 1] > '9')
				return -EINVAL;
			partition = strtoul(name + len + 1, &end, 10);
			if (*end || partition >= 1u << kinds[i].partition_bits)
				return -EINVAL;
		}
		*devid = kinds[i].base | disk << kinds[i].partition_bits | (unsigned)partition;
		return 0;
	}
	if (*name < '0' || *name > '9')
		return -EINVAL;
	partition = strtoul(name, &end, 0);
	if (*end || partition > INT32_MAX)
		return -EINVAL;
	*devid = (unsigned)partition;
	return 0;
}

int blkfront_check(struct blkfront *bf)
{
	const char *why = bf->ring.broken;

	if (bf->handshake.failed || !bf->ring.is_connected || !why)
		return bf->handshake.failed ? -EPROTO : 0;
	handshake_fail(&bf->handshake, "the back end broke the protocol: %s", why);
	return -EPROTO;
}

static bool is_gone(struct blkfront *bf)
{
	return blkfront_check(bf) < 0 || frontbus_is_over(&bf->handshake) || bf->bus->is_lost;
}

int blkfront_wait(struct blkfront *bf, int timeout_ms)
{
	bool has_held;
	int rc;

	frontbus_pump(bf->bus);
	if (is_gone(bf))
		return bf->ring.done ? 1 : -ENODEV;
	has_held = bf->ring.nr_held;
	if (bf->ring.done || (bf->ring.is_connected && blkfront_ring_arm(&bf->ring)))
		return 1;
	if (has_held && (timeout_ms < 0 || timeout_ms > HELD_RETRY_MS))
		timeout_ms = HELD_RETRY_MS;
	rc = frontbus_sleep(bf->bus, timeout_ms);
	if (rc > 0)
		frontbus_pump(bf->bus);
	if (rc < 0 || is_gone(bf))
		return bf->ring.done ? 1 : -ENODEV;
	return has_held ? 1 : rc;
}

/* Waits for the synchronous request; -EPROTO: answered, but the back end keeps its pages. */
static int wait_sync(struct blkfront *bf)
{
	uint64_t patience_ends = 0;

	for (;;) {
		int rc;

		blkfront_ring_poll(&bf->ring, NULL, 0);
		if (!bf->sync.parts_left)
			return bf->sync.status;
		if (bf->ring.nr_held && !patience_ends)
			patience_ends = clock_now_ns() + HELD_PATIENCE_MS * UINT64_C(1000000);
		if (patience_ends && clock_now_ns() > patience_ends)
			return -EPROTO;
		rc = blkfront_wait(bf, -1);
		if (rc == -ENODEV && bf->sync.parts_left && !bf->ring.nr_held)
			return -ENODEV; /* nobody will answer any more */
	}
}

/* One synchronous request from start to end. */
static int run_sync(struct blkfront *bf, uint8_t op, uint64_t sector, uint32_t nr_sectors)
{
	int rc;

	bf->sync = (struct blkfront_request){
		.op = op, .sector = sector, .nr_sectors = nr_sectors, .data = bf->bounce, .is_private = true};
	while ((rc = blkfront_ring_submit(&bf->ring, &bf->sync)) == -EAGAIN) {
		/* Answers make room; other users' completed requests stay on the done list. */
		blkfront_ring_poll(&bf->ring, NULL, 0);
		if (blkfront_wait(bf, HELD_RETRY_MS) < 0)
			return -ENODEV;
	}
	if (rc < 0)
		return rc;
	blkfront_push(bf);
	return wait_sync(bf);
}

static int need_bounce(struct blkfront *bf)
{
	void *pages;
	int rc;

	if (bf->sync.parts_left) /* a back end that kept an earlier request's pages may have let go */
		blkfront_ring_poll(&bf->ring, NULL, 0);
	if (bf->sync.parts_left)
		return -EBUSY;
	if (bf->bounce)
		return 0;
	rc = hv_pages_alloc(bf->bus->hv, BLKFRONT_BOUNCE_PAGES, &pages);
	if (!rc)
		bf->bounce = pages;
	return rc;
}

int blkfront_read(struct blkfront *bf, uint64_t sector, uint64_t nr_sectors, void *data)
{
	uint8_t *to = data;
	int rc = need_bounce(bf);

	while (!rc && nr_sectors) {
		uint32_t n = nr_sectors < BOUNCE_SECTORS ? (uint32_t)nr_sectors : BOUNCE_SECTORS;

		rc = run_sync(bf, BLKIF_OP_READ, sector, n);
		if (rc)
			break;
		memcpy(to, bf->bounce, (size_t)n * BLKIF_SECTOR_BYTES);
		to += (size_t)n * BLKIF_SECTOR_BYTES;
		sector += n;
		nr_sectors -= n;
	}
	return rc;
}

int blkfront_write(struct blkfront *bf, uint64_t sector, uint64_t nr_sectors, const void *data)
{
	const uint8_t *from = data;
	int rc = need_bounce(bf);

	while (!rc && nr_sectors) {
		uint32_t n = nr_sectors < BOUNCE_SECTORS ? (uint32_t)nr_sectors : BOUNCE_SECTORS;

		memcpy(bf->bounce, from, (size_t)n * BLKIF_SECTOR_BYTES);
		rc = run_sync(bf, BLKIF_OP_WRITE, sector, n);
		from += (size_t)n * BLKIF_SECTOR_BYTES;
		sector += n;
		nr_sectors -= n;
	}
	return rc;
}

int blkfront_flush(struct blkfront *bf)
{
	int rc;

	if (bf->ring.is_connected && !bf->ring.disk.can_flush)
		return 0;
	rc = need_bounce(bf);
	return rc ? rc : run_sync(bf, BLKIF_OP_FLUSH_DISKCACHE, 0, 0);
}
