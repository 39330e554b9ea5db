/*
 * hv/xenbus.c - finds the devices of one type in the store and runs a handshake for each.
 *
 * Owns     a struct device for each directory backend/<type>/<domid>/<devid> from the moment it is complete until it vanishes;
 *          a store connection of its own, so that nobody else's watch events are mixed with these; an epoll fd in which it stands with
 *          what tells of the front ends' deaths (hv/life.h).
 * Trusts   the directory names and the toolstack's keys; nothing of the front ends'.
 * Runs in  the thread that called xenbus_create. Bounded work for each event.
 */
#include "hv/xenbus.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <time.h>
#include <unistd.h>

#include "hv/device_error.h"
#include "hv/hv_ops.h"
#include "hv/log.h"

#define EVENTS_AT_ONCE 256
#define DEATHS_AT_ONCE 16
#define BUCKETS 1024u
#define CLAIM_PAUSE_MS 2u
#define BUS_TOKEN "xenbus"

struct device {
	struct device *next; /* in its bucket */
	struct device *next_due;
	struct handshake handshake;
	struct life_watch life; /* while it is connected */
	unsigned life_of;       /* its handshake's nr_connects when the front end was asked whether it announces its life; 0: not asked */
	char path[sizeof(((struct handshake *)0)->own_path)];
	domid_t frontend;
	unsigned devid;
	bool is_due;   /* in the bus's list: its front end has written its state */
	bool is_live;  /* probed, its handshake runs; else it is remembered so that it is not probed again */
};

struct xenbus {
	struct hv *hv;
	struct store_client *store;
	int epoll_fd;
	const struct xenbus_driver *driver;
	void *arg;
	char base[64]; /* /local/domain/0/backend/<type> */
	unsigned flags; /* HANDSHAKE_* */
	struct device *bucket[BUCKETS];
	struct device *due;
};

void *xenbus_arg(struct xenbus *bus)
{
	return bus->arg;
}

struct hv *xenbus_hv(struct xenbus *bus)
{
	return bus->hv;
}

int xenbus_fd(const struct xenbus *bus)
{
	return bus->epoll_fd;
}

static struct device **bucket_of(struct xenbus *bus, const char *path)
{
	uint32_t hash = 2166136261u; /* FNV-1a */

	for (; *path; path++)
		hash = (hash ^ (uint8_t)*path) * 16777619u;
	return &bus->bucket[hash % BUCKETS];
}

static struct device *find(struct xenbus *bus, const char *path)
{
	struct device *dev = *bucket_of(bus, path);

	while (dev && strcmp(dev->path, path))
		dev = dev->next;
	return dev;
}

/* ---- deaths of front ends ------------------------------------------------------------------------------------------- */

static void watch_life(struct xenbus *bus, struct device *dev)
{
	const struct handshake *h = &dev->handshake;
	struct epoll_event ev = {.events = EPOLLIN, .data.ptr = dev};

	if (life_watch_start(&dev->life, bus->hv, bus->store, h->other_path, h->other_domid))
		return;
	if (epoll_ctl(bus->epoll_fd, EPOLL_CTL_ADD, dev->life.fd, &ev))
		life_watch_stop(&dev->life, bus->hv);
}

static void unwatch_life(struct xenbus *bus, struct device *dev)
{
	if (!dev->life.peer)
		return;
	epoll_ctl(bus->epoll_fd, EPOLL_CTL_DEL, dev->life.fd, NULL);
	life_watch_stop(&dev->life, bus->hv);
}

/* A front end is watched while the device is connected; one event may bring another connection, of another process. */
static void follow_life(struct xenbus *bus, struct device *dev)
{
	unsigned now = dev->is_live && dev->handshake.connected ? dev->handshake.nr_connects : 0;

	if (dev->life_of == now)
		return;
	unwatch_life(bus, dev);
	if (now)
		watch_life(bus, dev);
	dev->life_of = now;
}

static void look_at_lives(struct xenbus *bus)
{
	struct epoll_event ready[DEATHS_AT_ONCE];
	int n = epoll_wait(bus->epoll_fd, ready, DEATHS_AT_ONCE, 0);

	for (int i = 0; i < n; i++) {
		struct device *dev = ready[i].data.ptr;

		if (!dev || !dev->life.peer || !life_watch_is_over(&dev->life, bus->hv))
			continue;
		handshake_front_died(&dev->handshake);
		follow_life(bus, dev);
	}
}

/* ---- devices -------------------------------------------------------------------------------------------------------- */

/* Ends what runs of it; the entry stays. */
static void retire(struct xenbus *bus, struct device *dev, void (*end)(struct handshake *h))
{
	if (!dev->is_live)
		return;
	dev->is_live = false;
	follow_life(bus, dev);
	end(&dev->handshake);
	bus->driver->remove(bus, dev->handshake.priv);
}

static void unlist_due(struct xenbus *bus, struct device *dev)
{
	struct device **at = &bus->due;

	while (*at != dev)
		at = &(*at)->next_due;
	*at = dev->next_due;
	dev->is_due = false;
}

static void forget(struct xenbus *bus, struct device *dev)
{
	struct device **at = bucket_of(bus, dev->path);

	if (dev->is_due)
		unlist_due(bus, dev);
	while (*at != dev)
		at = &(*at)->next;
	*at = dev->next;
	free(dev);
}

static bool has_key(struct xenbus *bus, const char *dir, const char *key)
{
	char *value;
	int err = store_client_readf(bus->store, STORE_NO_TX, &value, "%s/%s", dir, key);

	if (!err)
		free(value);
	return !err;
}

static void report(struct xenbus *bus, const struct device *dev, int err)
{
	char text[128];

	log_error("%s: the device cannot be served: %s", dev->path, strerror(-err));
	if (has_key(bus, dev->path, "error"))
		return;
	snprintf(text, sizeof(text), "the device cannot be served: %s", strerror(-err));
	device_error_write(bus->store, dev->path, bus->flags & HANDSHAKE_ERROR_TREE, text);
}

static void probe(struct xenbus *bus, struct device *dev)
{
	void *priv = NULL;
	int err = bus->driver->probe(bus, dev->frontend, dev->devid, dev->path, &priv);

	if (err) {
		if (err != -ENODEV)
			report(bus, dev, err);
		return;
	}
	/* Before the start: its callbacks look at the device through priv, which may point here. */
	dev->is_live = true;
	err = handshake_start_on_bus(&dev->handshake, bus->hv, bus->store, &bus->driver->handshake, dev->path, priv, bus->flags);
	if (err) {
		dev->is_live = false;
		if (err != -ENOENT)
			report(bus, dev, err);
		bus->driver->remove(bus, priv);
	}
	follow_life(bus, dev);
}

/* A directory is there that we do not know: a device once all its keys are there. */
static void meet(struct xenbus *bus, domid_t frontend, unsigned devid, const char *path)
{
	static const char *const keys[] = {"frontend", "frontend-id", "state"};
	struct device *dev;

	store_client_prefetch(bus->store, path, keys, 3);
	if (!has_key(bus, path, "frontend") || !has_key(bus, path, "frontend-id") || !has_key(bus, path, "state"))
		return;
	dev = calloc(1, sizeof(*dev));
	if (!dev) {
		log_error("%s: no memory for another device", path);
		return;
	}
	dev->frontend = frontend;
	dev->devid = devid;
	snprintf(dev->path, sizeof(dev->path), "%s", path);
	dev->next = *bucket_of(bus, path);
	*bucket_of(bus, path) = dev;
	probe(bus, dev);
}

static void settle(struct xenbus *bus, struct device *dev)
{
	if (dev->is_live && dev->handshake.gone)
		retire(bus, dev, handshake_stop);
	if (!dev->is_live && !has_key(bus, dev->path, "state"))
		forget(bus, dev);
	else
		follow_life(bus, dev);
}

/*
 * Its state, at either end, is looked at when all waiting events have been taken, once, however often it was written: a guest that
 * writes it faster than we can follow must not pile up work, and a toolstack writes several keys at a time.
 */
static void make_due(struct xenbus *bus, struct device *dev)
{
	if (dev->is_due)
		return;
	dev->is_due = true;
	dev->next_due = bus->due;
	bus->due = dev;
}

/* Something about this device's own directory. */
static void look_at(struct xenbus *bus, domid_t frontend, unsigned devid)
{
	char path[sizeof(((struct device *)0)->path)];
	struct device *dev;

	snprintf(path, sizeof(path), "%s/%u/%u", bus->base, frontend, devid);
	dev = find(bus, path);
	if (!dev) {
		meet(bus, frontend, devid, path);
		return;
	}
	make_due(bus, dev);
}

/* A directory name that is a number below the limit. */
static bool number_of(const char *text, unsigned limit, unsigned *value)
{
	unsigned long v;
	char *end;

	if (*text < '0' || *text > '9' || (*text == '0' && text[1]))
		return false;
	v = strtoul(text, &end, 10);
	*value = (unsigned)v;
	return !*end && v < limit;
}

static void scan_frontend(struct xenbus *bus, domid_t frontend)
{
	char path[sizeof(bus->base) + 16];
	unsigned nr, devid;
	char **names;

	snprintf(path, sizeof(path), "%s/%u", bus->base, frontend);
	if (store_client_list(bus->store, STORE_NO_TX, path, &names, &nr))
		return;
	for (unsigned i = 0; i < nr; i++)
		if (number_of(names[i], UINT32_MAX, &devid))
			look_at(bus, frontend, devid);
	store_client_free_list(names, nr);
}

static void scan_all(struct xenbus *bus)
{
	unsigned nr, domid;
	char **names;

	if (store_client_list(bus->store, STORE_NO_TX, bus->base, &names, &nr))
		return;
	for (unsigned i = 0; i < nr; i++)
		if (number_of(names[i], DOMID_FIRST_RESERVED, &domid))
			scan_frontend(bus, (domid_t)domid);
	store_client_free_list(names, nr);
}

/* Devices that we know below that directory (0: any front end's): it may have been removed with all of them. */
static void recheck(struct xenbus *bus, bool is_any, domid_t frontend)
{
	for (unsigned i = 0; i < BUCKETS; i++) {
		struct device *dev, *next;

		for (dev = bus->bucket[i]; dev; dev = next) {
			next = dev->next;
			if (!is_any && dev->frontend != frontend)
				continue;
			if (dev->is_live)
				handshake_event(&dev->handshake, dev->path);
			settle(bus, dev);
		}
	}
}

static void own_key(struct xenbus *bus, domid_t frontend, unsigned devid, const char *key)
{
	char path[sizeof(((struct device *)0)->path)];
	struct device *dev;

	if (!bus->driver->handshake.own_changed)
		return;
	snprintf(path, sizeof(path), "%s/%u/%u", bus->base, frontend, devid);
	dev = find(bus, path);
	if (dev && dev->is_live)
		bus->driver->handshake.own_changed(&dev->handshake, key);
}

/* An event below our base: <domid>/<devid>/<key>, or less. */
static void base_event(struct xenbus *bus, const char *path)
{
	char name[2][16] = {"", ""}, key[32] = "";
	unsigned domid, devid;
	int n;

	if (strncmp(path, bus->base, strlen(bus->base)))
		return;
	n = sscanf(path + strlen(bus->base), "/%15[^/]/%15[^/]/%31s", name[0], name[1], key);
	if (n <= 0) {
		recheck(bus, true, 0);
		scan_all(bus);
		return;
	}
	if (!number_of(name[0], DOMID_FIRST_RESERVED, &domid))
		return;
	if (n == 1) {
		recheck(bus, false, (domid_t)domid);
		scan_frontend(bus, (domid_t)domid);
	} else if (number_of(name[1], UINT32_MAX, &devid) && (n == 2 || !strcmp(key, "state") || !strcmp(key, "online"))) {
		look_at(bus, (domid_t)domid, devid);
	} else if (number_of(name[1], UINT32_MAX, &devid)) {
		own_key(bus, (domid_t)domid, devid, key);
	}
}

/* path NULL: all of it. */
static void follow(struct xenbus *bus, struct device *dev, const char *path)
{
	if (dev->is_live)
		handshake_event(&dev->handshake, path);
	settle(bus, dev);
}

static void look_at_due(struct xenbus *bus)
{
	while (bus->due) {
		struct device *dev = bus->due;

		unlist_due(bus, dev);
		follow(bus, dev, NULL);
	}
}

/* Something in a front end's directory. */
static void front_event(struct xenbus *bus, const char *path, const char *token)
{
	struct device *dev = find(bus, token);
	const char *key = strrchr(path, '/');

	if (!dev)
		return;
	if (key && !strcmp(key, "/state"))
		make_due(bus, dev);
	else if (dev->is_live)
		follow(bus, dev, path);
}

bool xenbus_process(struct xenbus *bus)
{
	char *path, *token;
	unsigned i;

	for (i = 0; i < EVENTS_AT_ONCE; i++) {
		if (store_client_next_watch(bus->store, &path, &token))
			break;
		if (!strcmp(token, BUS_TOKEN))
			base_event(bus, path);
		else
			front_event(bus, path, token);
		free(path);
		free(token);
	}
	look_at_due(bus);
	look_at_lives(bus);
	return i == EVENTS_AT_ONCE;
}

static int open_epoll(struct xenbus *bus)
{
	struct epoll_event ev = {.events = EPOLLIN}; /* data NULL: the store */
	int err;

	bus->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
	if (bus->epoll_fd < 0)
		return -errno;
	if (!epoll_ctl(bus->epoll_fd, EPOLL_CTL_ADD, store_client_fd(bus->store), &ev))
		return 0;
	err = -errno;
	close(bus->epoll_fd);
	return err;
}

/* One that was told to end, or killed, a moment ago is waited for: its successor may be started at once. */
static int claim(struct hv *hv, const struct xenbus_driver *driver)
{
	const struct timespec pause = {.tv_nsec = CLAIM_PAUSE_MS * 1000000l};
	int err = hv->ops->claim(hv, driver->handshake.type, driver->takes_some);

	for (unsigned ms = 0; err == -EBUSY && ms < XENBUS_PATIENCE_MS; ms += CLAIM_PAUSE_MS) {
		nanosleep(&pause, NULL);
		err = hv->ops->claim(hv, driver->handshake.type, driver->takes_some);
	}
	return err;
}

void xenbus_explain(const struct hv *hv, const char *type, int err, char *why, size_t bytes)
{
	if (err != -EBUSY)
		snprintf(why, bytes, "the store's %s devices cannot be watched: %s", type, strerror(-err));
	else if (strcmp(hv_platform(hv), "local") == 0)
		snprintf(why, bytes, "another process serves the %s devices of the sluiced in %s: stop it first, or give another --run-dir",
			 type, hv_run_dir(hv));
	else
		snprintf(why, bytes, "another process serves the %s devices of this host: stop it first", type);
}

int xenbus_create(struct hv *hv, const struct xenbus_driver *driver, void *arg, struct xenbus **out)
{
	struct xenbus *bus = calloc(1, sizeof(*bus));
	int err;

	if (!bus)
		return -ENOMEM;
	bus->hv = hv;
	bus->driver = driver;
	bus->arg = arg;
	bus->flags = HANDSHAKE_OWN_WATCHED | (hv_keeps_devices(hv) ? HANDSHAKE_TAKE_OVER : 0) |
		     (hv->has_error_tree ? HANDSHAKE_ERROR_TREE : 0);
	snprintf(bus->base, sizeof(bus->base), "/local/domain/%u/backend/%s", hv_domid(hv), driver->handshake.type);
	err = claim(hv, driver);
	if (!err)
		err = hv->ops->store_open(hv, &bus->store);
	if (err)
		goto free_bus;
	err = open_epoll(bus);
	if (err)
		goto close_store;
	err = store_client_watch(bus->store, bus->base, BUS_TOKEN);
	if (err)
		goto close_epoll;
	scan_all(bus);
	*out = bus;
	return 0;
close_epoll:
	close(bus->epoll_fd);
close_store:
	store_client_close(bus->store);
free_bus:
	free(bus);
	return err;
}

static void close_and_stop(struct handshake *h)
{
	handshake_close(h);
	handshake_stop(h);
}

void xenbus_destroy(struct xenbus *bus)
{
	void (*end)(struct handshake *h) = handshake_detach;

	if (!bus)
		return;
	if (!hv_keeps_devices(bus->hv))
		end = close_and_stop;
	for (unsigned i = 0; i < BUCKETS; i++)
		while (bus->bucket[i]) {
			retire(bus, bus->bucket[i], end);
			forget(bus, bus->bucket[i]);
		}
	close(bus->epoll_fd);
	store_client_close(bus->store);
	free(bus);
}
