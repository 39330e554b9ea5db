/*
 * blkback/vbd_image.c - what the toolstack wrote about a vbd's image.
 *
 *      params               path of the image                        must be there
 *      mode                 r, w (xl also writes rw)                 must be there
 *      device-type          cdrom: read-only, and info says so       disk
 *      removable            1: info says so                          0
 *      direct-io-safe       0: through the page cache, unless --direct on     as --direct says
 *      discard-enable       0: discard is not offered                1
 *
 * Runs in  the thread that owns the store client.
 * Fails    with one sentence in the device's error node (handshake_fail).
 */
#include "blkback/vbd_image.h"

#include <stdlib.h>
#include <time.h>

#include "hv/clock.h"
#include "hv/log.h"

/* How long an image that a killed back end had open may still be locked: its last I/O runs on in the kernel. */
#define TAKEOVER_WAIT_MS 10000
#define TAKEOVER_PAUSE_NS 5000000

static bool own_flag(struct handshake *h, const char *key, bool otherwise)
{
	uint64_t value;

	if (store_client_read_uint(h->store, STORE_NO_TX, &value, "%s/%s", h->own_path, key))
		return otherwise;
	return value != 0;
}

static int read_mode(struct handshake *h, bool *readonly)
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

static void read_type(struct handshake *h, struct vbd *vbd)
{
	char *type;

	vbd->is_removable = own_flag(h, "removable", false);
	if (store_client_readf(h->store, STORE_NO_TX, &type, "%s/device-type", h->own_path))
		return;
	vbd->is_cdrom = !strcmp(type, "cdrom");
	free(type);
}

/*
 * The lock of an image is gone when the last I/O of the process that had it is over, and not before: so a back end that takes over
 * after a kill cannot be overtaken by its predecessor's writes.
 */
static int open_locked(struct handshake *h, struct vbd *vbd, const char *path, bool readonly, char why[256], char note[256])
{
	int64_t until = clock_now_ms() + (h->is_takeover ? TAKEOVER_WAIT_MS : 0);
	struct timespec pause = {0, TAKEOVER_PAUSE_NS};
	struct disk_options options = vbd->options->disk;
	int err;

	if (options.direct == DISK_DIRECT_AUTO && !own_flag(h, "direct-io-safe", true))
		options.direct = DISK_DIRECT_OFF;
	while ((err = disk_image_open(&vbd->image, path, readonly, &options, why, note)) == -EBUSY &&
	       clock_now_ms() < until)
		nanosleep(&pause, NULL);
	return err;
}

static const char *const told[] = {"mode", "removable", "device-type", "params", "direct-io-safe"};

int vbd_image_open(struct handshake *h, struct vbd *vbd)
{
	char why[256], note[256], *path;
	bool readonly;
	int err;

	if (vbd->is_image_open)
		return 0;
	store_client_prefetch(h->store, h->own_path, told, sizeof(told) / sizeof(told[0]));
	err = read_mode(h, &readonly);
	if (err)
		return err;
	read_type(h, vbd);
	readonly |= vbd->is_cdrom;
	err = store_client_readf(h->store, STORE_NO_TX, &path, "%s/params", h->own_path);
	if (err) {
		handshake_fail(h, "the disk names no image: write its path to %s/params", h->own_path);
		return err;
	}
	err = open_locked(h, vbd, path, readonly, why, note);
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
	vbd->limits.sectors_per_block = vbd->image.sector_bytes / BLKIF_SECTOR_BYTES;
	vbd->limits.is_readonly = readonly;
	vbd->limits.can_discard = vbd->image.can_discard && !readonly && own_flag(h, "discard-enable", true);
	vbd->limits.can_secure_discard = vbd->limits.can_discard && vbd->image.can_secure_discard;
	store_relaxed(&vbd->limits.sectors, vbd->image.sectors);
free_path:
	free(path);
	return err;
}

static int write_uint(struct handshake *h, const char *key, unsigned long long value)
{
	return store_client_printf(h->store, STORE_NO_TX, h->own_path, key, "%llu", value);
}

int vbd_image_write_size(struct handshake *h, const struct vbd *vbd)
{
	unsigned info = (vbd->is_cdrom ? VDISK_CDROM : 0) | (vbd->is_removable ? VDISK_REMOVABLE : 0) |
			(vbd->limits.is_readonly ? VDISK_READONLY : 0);
	int err, end_err;

	store_client_batch_begin(h->store);
	err = write_uint(h, "sectors", vbd->limits.sectors);
	if (!err)
		err = write_uint(h, "sector-size", vbd->image.sector_bytes);
	if (!err)
		err = write_uint(h, "physical-sector-size", vbd->image.physical_sector_bytes);
	if (!err)
		err = write_uint(h, "info", info);
	end_err = store_client_batch_end(h->store);
	return err ? err : end_err;
}

int vbd_image_write_features(struct handshake *h, const struct vbd *vbd)
{
	int err = write_uint(h, "feature-discard", vbd->limits.can_discard);

	if (!err)
		err = write_uint(h, "feature-flush-cache", 1);
	if (!err)
		err = write_uint(h, "feature-barrier", 1);
	if (!err && vbd->limits.can_discard)
		err = write_uint(h, "discard-granularity", vbd->image.discard_granularity_bytes);
	if (!err && vbd->limits.can_discard)
		err = write_uint(h, "discard-alignment", vbd->image.discard_alignment_bytes);
	if (!err && vbd->limits.can_discard)
		err = write_uint(h, "discard-secure", vbd->limits.can_secure_discard);
	return err;
}
