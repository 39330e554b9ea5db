/*
 * tools/device_nodes.c - the store nodes of a domain's devices.
 *
 * Trusts   nothing that comes from a front end: only back ends' nodes are read here.
 * Runs in  the toolstack's thread.
 * Spec     docs/misc/xenstore-paths of Xen; what libxl writes.
 */
#include "tools/device_nodes.h"

#include <errno.h>
#include <stdarg.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <xen/io/xenbus.h>

#include "hv/clock.h"

#define WAIT_TOKEN "create"
#define ERROR_TREE "/local/domain/0/error"

struct ends {
	char front[80];
	char back[80];
};

static void name_ends(struct ends *ends, domid_t domid, const char *type, unsigned devid)
{
	snprintf(ends->front, sizeof(ends->front), "/local/domain/%u/device/%s/%u", domid, type, devid);
	snprintf(ends->back, sizeof(ends->back), "/local/domain/0/backend/%s/%u/%u", type, domid, devid);
}

/* ---- writing -------------------------------------------------------------------------------------------------------- */

/* One directory being written: the first failure stays, what comes after it does nothing. */
struct writer {
	struct store_client *store;
	uint32_t tx;
	const char *dir;
	int err;
};

__attribute__((format(printf, 3, 4))) static void put(struct writer *w, const char *key, const char *fmt, ...)
{
	char value[4096];
	va_list args;
	int bytes;

	if (w->err)
		return;
	va_start(args, fmt);
	bytes = vsnprintf(value, sizeof(value), fmt, args);
	va_end(args);
	w->err = bytes < (int)sizeof(value) ? store_client_printf(w->store, w->tx, w->dir, key, "%s", value) : -E2BIG;
}

/* The directory first, with its rights, so that what is written into it inherits them. */
static void put_dir(struct writer *w, const char *dir, domid_t owner, domid_t reader)
{
	char own[16], read[16];
	const char *perms[2] = { own, read };

	w->dir = dir;
	if (w->err)
		return;
	snprintf(own, sizeof(own), "n%u", owner);
	snprintf(read, sizeof(read), "r%u", reader);
	w->err = store_client_mkdir(w->store, w->tx, dir);
	if (!w->err)
		w->err = store_client_set_perms(w->store, w->tx, dir, perms, 2);
}

static void put_front(struct writer *w, const struct ends *ends, domid_t domid)
{
	put_dir(w, ends->front, domid, 0);
	put(w, "backend", "%s", ends->back);
	put(w, "backend-id", "0");
	put(w, "state", "%d", XenbusStateInitialising);
}

static void put_back(struct writer *w, const struct ends *ends, domid_t domid)
{
	put_dir(w, ends->back, 0, domid);
	put(w, "frontend", "%s", ends->front);
	put(w, "frontend-id", "%u", domid);
	put(w, "online", "1");
}

static void put_mac(struct writer *w, const uint8_t mac[6])
{
	put(w, "mac", "%02x:%02x:%02x:%02x:%02x:%02x", mac[0], mac[1], mac[2], mac[3], mac[4], mac[5]);
}

static void put_vif(struct writer *w, domid_t domid, const struct vif_spec *vif)
{
	struct ends ends;

	name_ends(&ends, domid, "vif", (unsigned)vif->devid);
	put_front(w, &ends, domid);
	put(w, "handle", "%d", vif->devid);
	put_mac(w, vif->mac);
	put(w, "mtu", "%u", vif->mtu ? vif->mtu : 1500);
	put_back(w, &ends, domid);
	put(w, "script", "%s", "");
	put_mac(w, vif->mac);
	put(w, "bridge", "%s", vif->bridge);
	put(w, "handle", "%d", vif->devid);
	put(w, "mtu", "%u", vif->mtu ? vif->mtu : 1500);
	put(w, "type", "vif");
	if (vif->rate_bytes)
		put(w, "rate", "%" PRIu64 ",%u", vif->rate_bytes, vif->rate_usecs);
	if (*vif->vifname)
		put(w, "vifname", "%s", vif->vifname);
	if (*vif->ip)
		put(w, "ip", "%s", vif->ip);
	/* Last: whoever reads the tree from top to bottom finds a device that is complete. */
	put(w, "state", "%d", XenbusStateInitialising);
}

static void put_vbd(struct writer *w, domid_t domid, const struct disk_spec *disk)
{
	struct ends ends;

	name_ends(&ends, domid, "vbd", disk->number);
	put_front(w, &ends, domid);
	put(w, "virtual-device", "%u", disk->number);
	put(w, "device-type", "disk");
	put_back(w, &ends, domid);
	put(w, "params", "%s", disk->target);
	put(w, "mode", "%s", disk->writable ? "w" : "r");
	put(w, "type", "file");
	put(w, "device-type", "disk");
	put(w, "dev", "%s", disk->vdev);
	put(w, "bootable", "1");
	put(w, "removable", "0");
	put(w, "direct-io-safe", "%d", disk->direct_io_safe);
	put(w, "state", "%d", XenbusStateInitialising);
}

struct domain_devices {
	domid_t domid;
	const struct domain_config *config;
};

static int write_devices(struct store_client *store, uint32_t tx, void *arg)
{
	const struct domain_devices *d = arg;
	struct writer w = { .store = store, .tx = tx };

	for (unsigned i = 0; i < d->config->nr_vifs; i++)
		put_vif(&w, d->domid, &d->config->vifs[i]);
	for (unsigned i = 0; i < d->config->nr_disks; i++)
		put_vbd(&w, d->domid, &d->config->disks[i]);
	return w.err;
}

int device_nodes_write(struct store_client *store, domid_t domid, const struct domain_config *config)
{
	struct domain_devices devices = { domid, config };

	if (!config->nr_vifs && !config->nr_disks)
		return 0;
	return store_client_transaction(store, write_devices, &devices);
}

/* ---- waiting -------------------------------------------------------------------------------------------------------- */

/* What tells how far it is, and none of the keys that a back end offers: each would be a reason to look again. */
static const char *const watched_keys[] = {"state", "error"};
#define NR_WATCHED (sizeof(watched_keys) / sizeof(watched_keys[0]))

/* Why a back end gave up, in its own words. It writes them where Linux's xenbus does, or beside its state. Heap, or NULL. */
static char *error_node(struct store_client *store, const char *back)
{
	char *text = NULL;

	if (!store_client_readf(store, STORE_NO_TX, &text, "%s/error", back))
		return text;
	if (!store_client_readf(store, STORE_NO_TX, &text, ERROR_TREE "%s/error", back + strlen("/local/domain/0")))
		return text;
	return NULL;
}

/* 0: it offers the device; -EAGAIN: not yet; -EIO: it failed, *why says what. */
static int look(struct store_client *store, const char *back, const char *device, char **why)
{
	static const char *const error_keys[] = {"error"};
	char tree[sizeof(((struct ends *)0)->back) + 8];
	uint64_t state;
	char *text;
	int err;

	store_client_prefetch(store, back, watched_keys, NR_WATCHED);
	snprintf(tree, sizeof(tree), ERROR_TREE "%s", back + strlen("/local/domain/0"));
	store_client_prefetch(store, tree, error_keys, 1);
	err = store_client_read_uint(store, STORE_NO_TX, &state, "%s/state", back);
	if (err == -ENOENT) {
		if (asprintf(why, "%s: the device was removed", device) < 0)
			*why = NULL;
		return -EIO;
	}
	if (err)
		return err;
	text = error_node(store, back);
	if (!text && state < XenbusStateInitWait)
		return -EAGAIN;
	if (!text && state != XenbusStateClosing && state != XenbusStateClosed)
		return 0;
	if (asprintf(why, "%s: %s", device, text ? text : "the back end closed the device") < 0)
		*why = NULL;
	free(text);
	return -EIO;
}

static int drain_watches(struct store_client *store)
{
	char *path, *token;
	int err;

	while (!(err = store_client_next_watch(store, &path, &token))) {
		free(path);
		free(token);
	}
	return err == -EAGAIN ? 0 : err;
}

/* The first so many. */
static void unwatch(struct store_client *store, const char *back, unsigned nr)
{
	char path[sizeof(((struct ends *)0)->back) + 8];

	while (nr--) {
		snprintf(path, sizeof(path), "%s/%s", back, watched_keys[nr]);
		store_client_unwatch(store, path, WAIT_TOKEN);
	}
}

static int watch(struct store_client *store, const char *back)
{
	char path[sizeof(((struct ends *)0)->back) + 8];
	int err = 0;

	for (unsigned i = 0; i < NR_WATCHED && !err; i++) {
		snprintf(path, sizeof(path), "%s/%s", back, watched_keys[i]);
		err = store_client_watch(store, path, WAIT_TOKEN);
		if (err)
			unwatch(store, back, i);
	}
	return err;
}

static int wait_one(struct store_client *store, const char *back, const char *device, const char *server, int64_t deadline,
		    char **why)
{
	int err = watch(store, back);

	if (err)
		return err;
	while ((err = look(store, back, device, why)) == -EAGAIN) {
		int64_t left = deadline - clock_now_ms();

		if (left <= 0) {
			if (asprintf(why, "no back end answered for %s: is %s running?", device, server) < 0)
				*why = NULL;
			err = -ETIMEDOUT;
			break;
		}
		err = store_client_wait(store, (int)left);
		if (err >= 0)
			err = drain_watches(store);
		if (err < 0)
			break;
	}
	unwatch(store, back, NR_WATCHED);
	return err;
}

int device_nodes_wait(struct store_client *store, domid_t domid, const struct domain_config *config, int timeout_ms, char **why)
{
	int64_t deadline = clock_now_ms() + timeout_ms;
	struct ends ends;
	char device[64];
	int err = 0;

	*why = NULL;
	for (unsigned i = 0; i < config->nr_vifs && !err; i++) {
		name_ends(&ends, domid, "vif", (unsigned)config->vifs[i].devid);
		snprintf(device, sizeof(device), "vif %d", config->vifs[i].devid);
		err = wait_one(store, ends.back, device, "sluice-netback", deadline, why);
	}
	for (unsigned i = 0; i < config->nr_disks && !err; i++) {
		name_ends(&ends, domid, "vbd", config->disks[i].number);
		snprintf(device, sizeof(device), "vbd %.40s", config->disks[i].vdev);
		err = wait_one(store, ends.back, device, "sluice-blkback", deadline, why);
	}
	return err;
}
