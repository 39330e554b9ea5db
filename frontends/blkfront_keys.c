/*
 * frontends/blkfront_keys.c - a vbd's nodes in the store: what the back end says of its disk, and this end's rings.
 *
 * Trusts   no number there.
 * Runs in  the bus's thread.
 * Fails    negative errno.
 * Spec     xen/io/blkif.h, "Backend Device Properties", "Frontend XenBus Nodes".
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include <xen/io/protocols.h>

#include "frontends/blkfront_control.h"

uint64_t blkfront_offer(struct blkfront *bf, const char *key, uint64_t otherwise)
{
	struct handshake *h = &bf->handshake;
	uint64_t value;

	if (store_client_read_uint(h->store, STORE_NO_TX, &value, "%s/%s", h->other_path, key) < 0)
		return otherwise;
	return value;
}

bool blkfront_is_distrusted(struct blkfront *bf)
{
	struct handshake *h = &bf->handshake;
	uint64_t trusted;

	return !store_client_read_uint(h->store, STORE_NO_TX, &trusted, "%s/trusted", h->own_path) && !trusted;
}

bool blkfront_has_back_error(struct blkfront *bf)
{
	struct handshake *h = &bf->handshake;
	char *text;

	if (store_client_readf(h->store, STORE_NO_TX, &text, "%s/error", h->other_path) < 0)
		return false;
	free(text);
	return true;
}

static bool is_sector_size(uint64_t bytes)
{
	return bytes >= BLKIF_SECTOR_BYTES && bytes <= PAGE_BYTES && !(bytes & (bytes - 1));
}

/* A back end that offers discard with nonsense about it does not offer it. */
static void read_discard(struct blkfront *bf, struct blkfront_disk *disk)
{
	uint64_t granularity, alignment;

	if (blkfront_offer(bf, "feature-discard", 0) != 1)
		return;
	granularity = blkfront_offer(bf, "discard-granularity", disk->sector_bytes);
	alignment = blkfront_offer(bf, "discard-alignment", 0);
	if (!granularity || granularity > UINT32_MAX || alignment >= granularity || granularity % disk->sector_bytes)
		return;
	disk->can_discard = true;
	disk->can_secure_discard = blkfront_offer(bf, "discard-secure", 0) == 1;
	disk->discard_granularity_bytes = (uint32_t)granularity;
	disk->discard_alignment_bytes = (uint32_t)alignment;
}

/* sectors counts in units of 512 bytes, whatever sector-size says. */
int blkfront_read_disk(struct blkfront *bf, struct blkfront_disk *disk)
{
	static const char *const keys[] = {"sectors", "sector-size", "physical-sector-size", "info", "feature-flush-cache",
					   "feature-barrier", "feature-discard", "feature-persistent"};
	uint64_t sectors, sector_bytes, physical, info;

	store_client_prefetch(bf->handshake.store, bf->handshake.other_path, keys, sizeof(keys) / sizeof(keys[0]));
	sectors = blkfront_offer(bf, "sectors", 0);
	sector_bytes = blkfront_offer(bf, "sector-size", BLKIF_SECTOR_BYTES);
	physical = blkfront_offer(bf, "physical-sector-size", sector_bytes);
	info = blkfront_offer(bf, "info", 0);
	if (!is_sector_size(sector_bytes) || !sectors || sectors > UINT64_MAX / BLKIF_SECTOR_BYTES)
		return -EINVAL;
	*disk = (struct blkfront_disk){
		.nr_sectors = sectors,
		.sector_bytes = (uint32_t)sector_bytes,
		.physical_sector_bytes = physical > sector_bytes && physical <= UINT32_MAX ? (uint32_t)physical : (uint32_t)sector_bytes,
		.is_read_only = info & VDISK_READONLY,
		.is_cdrom = info & VDISK_CDROM,
		.can_flush = blkfront_offer(bf, "feature-flush-cache", 0) == 1,
		.can_barrier = blkfront_offer(bf, "feature-barrier", 0) == 1,
	};
	read_discard(bf, disk);
	return 0;
}

/* ---- this end's keys --------------------------------------------------------------------------------------------------- */

/* An earlier connection's key that this one does not write would mislead the back end. */
static int remove_key(struct blkfront *bf, uint32_t tx, const char *dir, const char *key)
{
	char path[sizeof(bf->handshake.own_path) + 48];
	int rc;

	snprintf(path, sizeof(path), "%s/%s", dir, key);
	rc = store_client_rm(bf->handshake.store, tx, path);
	return rc == -ENOENT ? 0 : rc;
}

static int write_queue(struct blkfront *bf, uint32_t tx, const struct blkfront_queue *q, const char *dir)
{
	struct store_client *store = bf->handshake.store;
	const grant_ref_t *refs = q->shared_ring.refs;
	int rc;

	if (!bf->ring_order)
		rc = store_client_printf(store, tx, dir, "ring-ref", "%u", refs[0]);
	else
		rc = remove_key(bf, tx, dir, "ring-ref");
	for (unsigned i = 0; !rc && bf->ring_order && i < 1u << bf->ring_order; i++) {
		char key[24];

		snprintf(key, sizeof(key), "ring-ref%u", i);
		rc = store_client_printf(store, tx, dir, key, "%u", refs[i]);
	}
	return rc ? rc : store_client_printf(store, tx, dir, "event-channel", "%u", q->port);
}

static int write_queues(struct blkfront *bf, uint32_t tx)
{
	struct handshake *h = &bf->handshake;
	char dir[sizeof(h->own_path) + 24];
	int rc;

	if (bf->nr_queues == 1) {
		rc = remove_key(bf, tx, h->own_path, "multi-queue-num-queues");
		return rc ? rc : write_queue(bf, tx, &bf->queue[0], h->own_path);
	}
	rc = store_client_printf(h->store, tx, h->own_path, "multi-queue-num-queues", "%u", bf->nr_queues);
	for (unsigned i = 0; !rc && i < bf->nr_queues; i++) {
		snprintf(dir, sizeof(dir), "%s/queue-%u", h->own_path, i);
		rc = write_queue(bf, tx, &bf->queue[i], dir);
	}
	return rc;
}

static bool offers_persistent(const struct blkfront *bf)
{
	return bf->opt.persistent == BLKFRONT_PERSISTENT_WANTED ||
	       (bf->opt.persistent == BLKFRONT_PERSISTENT_IF_POOLED && bf->is_pool_only);
}

static int write_keys(struct store_client *store, uint32_t tx, void *arg)
{
	struct blkfront *bf = arg;
	const char *dir = bf->handshake.own_path;
	int rc = write_queues(bf, tx);

	if (!rc && bf->ring_order)
		rc = store_client_printf(store, tx, dir, "ring-page-order", "%u", bf->ring_order);
	else if (!rc)
		rc = remove_key(bf, tx, dir, "ring-page-order");
	if (!rc)
		rc = store_client_printf(store, tx, dir, "protocol", "%s",
					 bf->opt.is_x86_32 ? XEN_IO_PROTO_ABI_X86_32 : XEN_IO_PROTO_ABI_NATIVE);
	if (!rc)
		rc = store_client_printf(store, tx, dir, "feature-persistent", "%u", offers_persistent(bf));
	if (!rc)
		rc = front_counters_write_key(&bf->shared_counters, store, tx, dir);
	return rc;
}

int blkfront_write_keys(struct blkfront *bf)
{
	return store_client_transaction(bf->handshake.store, write_keys, bf);
}
