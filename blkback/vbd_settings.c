/*
 * blkback/vbd_settings.c - what may be changed about a vbd while it runs.
 *
 * Runs in  the thread that owns the store client; the queues read what is set here.
 */
#include "blkback/vbd_settings.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "blkback/vbd_image.h"
#include "hv/log.h"

static const struct {
	const char *key;
	enum limit_of of;
} rates[] = {
	{"limit-read-iops", LIMIT_READ_IOPS},
	{"limit-write-iops", LIMIT_WRITE_IOPS},
	{"limit-read-bytes", LIMIT_READ_BYTES},
	{"limit-write-bytes", LIMIT_WRITE_BYTES},
};

#define NR_RATES (sizeof(rates) / sizeof(rates[0]))
#define BURST_KEY "limit-burst-ms"
#define RESIZE_KEY "resize"

/* A number of the toolstack's from least to most; otherwise when there is none. false: it is none, and was complained about. */
static bool read_setting(struct handshake *h, const char *key, uint64_t least, uint64_t most, uint64_t otherwise, uint64_t *value)
{
	int err = store_client_read_uint(h->store, STORE_NO_TX, value, "%s/%s", h->own_path, key);

	if (err == -ENOENT) {
		*value = otherwise;
		return true;
	}
	if (!err && *value >= least && *value <= most)
		return true;
	log_warn("%s/%s is no number from %" PRIu64 " to %" PRIu64 ": it changes nothing", h->own_path, key, least, most);
	return false;
}

static void read_rate(struct handshake *h, struct vbd *vbd, unsigned i)
{
	uint64_t rate;

	if (read_setting(h, rates[i].key, 0, LIMIT_MAX_RATE, 0, &rate))
		limit_set(&vbd->limit, rates[i].of, rate);
	if (vbd->link)
		link_wake(vbd->link); /* who waits for an old limit would sleep too long */
}

static void read_burst(struct handshake *h, struct vbd *vbd)
{
	uint64_t ms;

	if (read_setting(h, BURST_KEY, 1, LIMIT_MAX_BURST_MS, LIMIT_DEFAULT_BURST_MS, &ms))
		limit_set_burst(&vbd->limit, (unsigned)ms);
}

void vbd_settings_read(struct handshake *h, struct vbd *vbd)
{
	const char *keys[NR_RATES + 1] = {BURST_KEY};

	for (unsigned i = 0; i < NR_RATES; i++)
		keys[i + 1] = rates[i].key;
	store_client_prefetch(h->store, h->own_path, keys, NR_RATES + 1);
	for (unsigned i = 0; i < NR_RATES; i++)
		read_rate(h, vbd, i);
	read_burst(h, vbd);
}

/* The queues check against the new size at once; the front end learns of it by the watch on our state. */
static void resize(struct handshake *h, struct vbd *vbd)
{
	uint64_t old = vbd->limits.sectors, sectors;
	int err;

	if (!vbd->is_image_open)
		return;
	err = disk_image_measure(&vbd->image, &sectors);
	if (err) {
		log_warn("vbd %u/%u: the image cannot be measured (%s): its size stays %" PRIu64 " sectors", vbd->domid, vbd->devid,
			 strerror(-err), old);
		return;
	}
	sectors -= sectors % vbd->limits.sectors_per_block;
	if (sectors == old || !sectors)
		return;
	store_relaxed(&vbd->limits.sectors, sectors);
	log_info("vbd %u/%u: resized from %" PRIu64 " to %" PRIu64 " sectors", vbd->domid, vbd->devid, old, sectors);
	if (!h->connected)
		return; /* it is written when it connects */
	err = vbd_image_write_size(h, vbd);
	if (!err)
		err = store_client_printf(h->store, STORE_NO_TX, h->own_path, "state", "%u", XenbusStateConnected);
	if (err)
		log_warn("vbd %u/%u: the new size cannot be written: %s", vbd->domid, vbd->devid, strerror(-err));
}

/* Who wrote the key sees by its going that it was looked at. */
static void answer_resize(struct handshake *h, struct vbd *vbd)
{
	char path[sizeof(h->own_path) + sizeof(RESIZE_KEY) + 1], *value;

	snprintf(path, sizeof(path), "%s/" RESIZE_KEY, h->own_path);
	if (store_client_readf(h->store, STORE_NO_TX, &value, "%s", path))
		return; /* this is the going itself */
	free(value);
	resize(h, vbd);
	store_client_rm(h->store, STORE_NO_TX, path);
}

void vbd_settings_changed(struct handshake *h, const char *key)
{
	struct vbd *vbd = h->priv;

	for (unsigned i = 0; i < NR_RATES; i++)
		if (!strcmp(key, rates[i].key))
			read_rate(h, vbd, i);
	if (!strcmp(key, BURST_KEY))
		read_burst(h, vbd);
	else if (!strcmp(key, RESIZE_KEY))
		answer_resize(h, vbd);
}
