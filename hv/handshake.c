/*
 * hv/handshake.c - decides what a device does next from two tables: (how far we are) x (what the other end says).
 *
 * Trusts   nothing that the other end wrote: a state that is none, or that goes back, closes the device. Each event leads to
 *          a bounded number of steps.
 * Runs in  the thread that owns the store client.
 * Spec     xen/io/xenbus.h.
 */
#include "hv/handshake.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "hv/clock.h"
#include "hv/device_error.h"
#include "hv/log.h"

#define MAX_STEPS 8
#define ERROR_BYTES 256

/* A back end that leaves with all answered says so here. */
#define DETACHED_KEY "detached"

/* How far our own end is. */
enum stage { NEW, READY, CONNECTED, CLOSING, CLOSED, NR_STAGES };

enum action {
	STAY,
	OFFER,   /* back: own keys, InitWait */
	PUBLISH, /* front: rings and keys, then the driver's published state */
	CONNECT,
	CLOSE,   /* undo, Closing */
	FINISH,  /* Closed */
	RESTART, /* back: the front end begins anew */
	REST,    /* back: both are closed: a new beginning may come */
	CHANGE,  /* back: the front end asks for something else, and waits until it is in force: Reconfigured */
	SETTLE,  /* back: Connected again after that */
	REFUSED, /* front: the back end is closed already; with an error it has refused us */
};

#define NONSENSE (XenbusStateReconfigured + 1) /* what the other end wrote is no state */
#define NR_OTHER (NONSENSE + 1)

/* Columns: 0 missing, 1 Initialising, 2 InitWait, 3 Initialised, 4 Connected, 5 Closing, 6 Closed, 7 and 8 Reconfigur*, nonsense. */
static const uint8_t back_table[NR_STAGES][NR_OTHER] = {
	[NEW] = {STAY, OFFER, OFFER, OFFER, OFFER, CLOSE, CLOSE, CLOSE, CLOSE, CLOSE},
	[READY] = {CLOSE, STAY, STAY, CONNECT, CONNECT, CLOSE, CLOSE, CLOSE, CLOSE, CLOSE},
	[CONNECTED] = {CLOSE, CLOSE, CLOSE, STAY, SETTLE, CLOSE, CLOSE, CHANGE, CLOSE, CLOSE},
	[CLOSING] = {FINISH, FINISH, FINISH, STAY, STAY, STAY, FINISH, FINISH, FINISH, FINISH},
	[CLOSED] = {REST, RESTART, STAY, STAY, STAY, REST, REST, STAY, STAY, STAY},
};

static const uint8_t front_table[NR_STAGES][NR_OTHER] = {
	[NEW] = {STAY, STAY, PUBLISH, STAY, STAY, STAY, REFUSED, STAY, STAY, STAY},
	[READY] = {CLOSE, CLOSE, STAY, STAY, CONNECT, CLOSE, CLOSE, CLOSE, CLOSE, CLOSE},
	[CONNECTED] = {CLOSE, CLOSE, CLOSE, CLOSE, STAY, CLOSE, CLOSE, CLOSE, CLOSE, CLOSE},
	[CLOSING] = {FINISH, FINISH, STAY, STAY, STAY, FINISH, FINISH, FINISH, FINISH, FINISH},
	[CLOSED] = {STAY, STAY, STAY, STAY, STAY, STAY, STAY, STAY, STAY, STAY},
};

static enum stage stage_of(const struct handshake *h)
{
	if (h->own == XenbusStateClosing)
		return CLOSING;
	if (h->own == XenbusStateClosed)
		return CLOSED;
	if (h->connected)
		return CONNECTED;
	return h->prepared || h->is_takeover || (h->driver->is_back && h->own == XenbusStateInitWait) ? READY : NEW;
}

/* The state in that directory; 0 when there is none, NONSENSE when it is not one. */
static unsigned read_state(struct handshake *h, uint32_t tx, const char *dir)
{
	uint64_t state;
	int err = store_client_read_uint(h->store, tx, &state, "%s/state", dir);

	if (err == -EINVAL || (!err && (state == XenbusStateUnknown || state > XenbusStateReconfigured)))
		return NONSENSE;
	return err ? XenbusStateUnknown : (unsigned)state;
}

/* Our directory is gone: nothing may be written there any more, it would come to life again. */
static int vanish(struct handshake *h)
{
	h->gone = true;
	return -ENOENT;
}

struct new_state {
	struct handshake *h;
	enum xenbus_state state;
};

/* In a transaction, so that a directory that the toolstack removes this moment stays removed. */
static int write_state_if_there(struct store_client *store, uint32_t tx, void *arg)
{
	const struct new_state *n = arg;

	if (read_state(n->h, tx, n->h->own_path) == XenbusStateUnknown)
		return vanish(n->h);
	return store_client_printf(store, tx, n->h->own_path, "state", "%u", n->state);
}

/* A guest that writes into its own removed directory harms nobody, and its way to the store is longer: no transaction. */
static int switch_state(struct handshake *h, enum xenbus_state state)
{
	int err = 0;

	if (h->own == state)
		return 0;
	if (h->driver->is_back)
		err = store_client_transaction(h->store, write_state_if_there, &(struct new_state){h, state});
	else
		err = store_client_printf(h->store, STORE_NO_TX, h->own_path, "state", "%u", state);
	if (err && !h->gone)
		log_warn("%s: state %u cannot be written: %s", h->own_path, state, strerror(-err));
	h->own = state; /* whatever the store says: our side is there */
	return err;
}

static void undo(struct handshake *h)
{
	bool was_up = h->connected || h->prepared;

	h->connected = h->prepared = false;
	if (was_up)
		h->driver->disconnect(h);
	life_withdraw(&h->life, h->hv, h->store, h->own_path);
}

static void begin_close(struct handshake *h)
{
	undo(h);
	if (h->own != XenbusStateClosed)
		switch_state(h, XenbusStateClosing);
}

/* Runs a driver's callback; what it reports as failed meanwhile is closed when it has returned. */
static int call_driver(struct handshake *h, int (*fn)(struct handshake *h), const char *what)
{
	int err;

	h->in_callback = true;
	err = fn ? fn(h) : 0;
	h->in_callback = false;
	if (err && !h->failed)
		handshake_fail(h, "%s failed: %s", what, strerror(-err));
	else if (h->failed)
		begin_close(h);
	return h->failed ? -EIO : 0;
}

static bool has_error_tree(const struct handshake *h)
{
	return h->bus & HANDSHAKE_ERROR_TREE;
}

static void offer(struct handshake *h)
{
	device_error_clear(h->store, h->own_path, has_error_tree(h));
	if (!call_driver(h, h->driver->offer, "offering the device"))
		switch_state(h, XenbusStateInitWait);
}

static void publish(struct handshake *h)
{
	if (call_driver(h, h->driver->publish, "publishing the device"))
		return;
	h->prepared = true;
	life_announce(&h->life, h->hv, h->store, h->own_path, h->other_domid);
	if (switch_state(h, h->driver->published))
		begin_close(h);
}

static void connect_ends(struct handshake *h)
{
	int err = call_driver(h, h->driver->connect, h->is_takeover ? "taking over" : "connecting");

	h->is_takeover = h->is_unclean = false;
	if (err)
		return;
	h->connected = true;
	h->nr_connects++;
	if (switch_state(h, XenbusStateConnected))
		begin_close(h);
}

static bool has_error(struct handshake *h)
{
	char *text;

	if (store_client_readf(h->store, STORE_NO_TX, &text, "%s/error", h->other_path))
		return false;
	free(text);
	return true;
}

/* A device that we closed ourselves begins anew only after the other end has been closed, too. */
static void restart(struct handshake *h)
{
	if (h->barred)
		return;
	h->failed = false;
	h->own = XenbusStateInitialising;
	offer(h);
}

static void change(struct handshake *h)
{
	if (!h->driver->reconfigure)
		begin_close(h);
	else if (h->own != XenbusStateReconfigured && !call_driver(h, h->driver->reconfigure, "changing the device"))
		switch_state(h, XenbusStateReconfigured);
}

static void act(struct handshake *h, enum action action)
{
	switch (action) {
	case STAY:
		break;
	case OFFER:
		offer(h);
		break;
	case PUBLISH:
		publish(h);
		break;
	case CONNECT:
		connect_ends(h);
		break;
	case CLOSE:
		begin_close(h);
		break;
	case FINISH:
		switch_state(h, XenbusStateClosed);
		break;
	case RESTART:
		restart(h);
		break;
	case REST:
		h->barred = false;
		break;
	case CHANGE:
		change(h);
		break;
	case SETTLE:
		switch_state(h, XenbusStateConnected);
		break;
	case REFUSED:
		if (!h->barred && has_error(h))
			begin_close(h);
		break;
	}
}

static bool is_online(struct handshake *h)
{
	uint64_t online = 0;

	store_client_read_uint(h->store, STORE_NO_TX, &online, "%s/online", h->own_path);
	return online != 0;
}

/* The other end's directory went, or both ends are done and the toolstack wants no new beginning. */
static bool is_over(struct handshake *h, unsigned other)
{
	if (other == XenbusStateUnknown)
		return true;
	return h->driver->is_back && h->own == XenbusStateClosed && other == XenbusStateClosed && !is_online(h);
}

/* Does what the tables say until nothing changes. */
static void run(struct handshake *h)
{
	const uint8_t(*table)[NR_OTHER] = h->driver->is_back ? back_table : front_table;
	unsigned other = XenbusStateUnknown;

	for (unsigned step = 0; step < MAX_STEPS && !h->gone; step++) {
		enum stage before = stage_of(h);

		other = read_state(h, STORE_NO_TX, h->other_path);
		h->other = other == NONSENSE ? XenbusStateUnknown : (enum xenbus_state)other;
		if (before == NEW && other != XenbusStateClosed)
			h->barred = false;
		if (other == NONSENSE && table[before][other] == CLOSE) {
			handshake_fail(h, "the other end's state is none that there is");
			return;
		}
		act(h, (enum action)table[before][other]);
		if (stage_of(h) == before)
			break;
	}
	if (h->gone)
		undo(h);
	else
		h->gone = is_over(h, other);
}

static void rewrite_closed(struct handshake *h)
{
	h->own = XenbusStateClosing;
	switch_state(h, XenbusStateClosed);
}

/*
 * The toolstack asks a device to go by writing Closing into our own directory, also where it is Closed already; or it removes the
 * directory.
 */
static void look_at_own(struct handshake *h)
{
	unsigned state = read_state(h, STORE_NO_TX, h->own_path);

	if (state == XenbusStateUnknown)
		vanish(h);
	else if (state == XenbusStateClosing && h->own == XenbusStateClosed && h->driver->is_back)
		rewrite_closed(h);
	else if (state == XenbusStateClosing && h->own != XenbusStateClosing && h->own != XenbusStateClosed)
		begin_close(h);
}

/* Both are read at every event. */
static void prefetch_states(struct handshake *h)
{
	static const char *const keys[] = {"state"};

	store_client_prefetch(h->store, h->own_path, keys, 1);
	store_client_prefetch(h->store, h->other_path, keys, 1);
}

static const char *key_below(const char *path, const char *dir)
{
	size_t len = strlen(dir);

	return !strncmp(path, dir, len) && path[len] == '/' ? path + len + 1 : NULL;
}

void handshake_event(struct handshake *h, const char *path)
{
	const char *key = path ? key_below(path, h->other_path) : NULL;

	if (h->gone)
		return;
	if (key && strcmp(key, "state")) {
		if (h->connected && h->driver->changed)
			h->driver->changed(h, key);
		return;
	}
	if (!key) {
		prefetch_states(h);
		look_at_own(h);
	}
	run(h);
}

void handshake_close(struct handshake *h)
{
	if (h->gone)
		return;
	h->barred = true;
	begin_close(h);
	run(h);
}

void handshake_front_died(struct handshake *h)
{
	if (h->gone)
		return;
	log_warn("%s: the front end's process is gone; the device is closed until another begins", h->own_path);
	undo(h);
	switch_state(h, XenbusStateClosed);
}

void handshake_fail(struct handshake *h, const char *fmt, ...)
{
	char text[ERROR_BYTES];
	va_list ap;

	if (h->failed || h->gone)
		return;
	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	h->failed = h->barred = true;
	log_error("%s: %s", h->own_path, text);
	device_error_write(h->store, h->own_path, has_error_tree(h), text);
	if (h->in_callback)
		return;
	begin_close(h);
	run(h);
}

/* ---- start and stop ------------------------------------------------------------------------------------------------- */

static int read_other_end(struct handshake *h)
{
	const char *key = h->driver->is_back ? "frontend" : "backend";
	const char *last = strrchr(h->own_path, '/');
	static const char *const back_keys[] = {"frontend", "frontend-id", "state", DETACHED_KEY};
	static const char *const front_keys[] = {"backend", "backend-id", "state"};
	uint64_t domid;
	char *path;
	int err;

	store_client_prefetch(h->store, h->own_path, h->driver->is_back ? back_keys : front_keys, h->driver->is_back ? 4 : 3);
	err = store_client_readf(h->store, STORE_NO_TX, &path, "%s/%s", h->own_path, key);
	if (err)
		return err;
	err = strlen(path) < sizeof(h->other_path) && *path == '/' ? 0 : -EINVAL;
	if (!err)
		strcpy(h->other_path, path);
	free(path);
	if (!err)
		err = store_client_read_uint(h->store, STORE_NO_TX, &domid, "%s/%s-id", h->own_path, key);
	if (err)
		return err;
	if (domid >= DOMID_FIRST_RESERVED || !last)
		return -EINVAL;
	h->other_domid = (domid_t)domid;
	h->devid = (unsigned)strtoul(last + 1, NULL, 10);
	return 0;
}

static const char *const own_keys[] = {"state", "online"};

static void own_watch_path(const struct handshake *h, unsigned i, char path[sizeof(h->own_path) + 8])
{
	snprintf(path, sizeof(h->own_path) + 8, "%s/%s", h->own_path, own_keys[i]);
}

static unsigned nr_own_watches(const struct handshake *h)
{
	return h->bus & HANDSHAKE_OWN_WATCHED ? 0 : h->driver->is_back ? 2 : 1;
}

static void unwatch_own(struct handshake *h, unsigned nr)
{
	char path[sizeof(h->own_path) + 8];

	while (nr--) {
		own_watch_path(h, nr, path);
		store_client_unwatch(h->store, path, h->own_path);
	}
}

static int watch_both(struct handshake *h)
{
	char path[sizeof(h->own_path) + 8];
	int err = 0;
	unsigned i;

	for (i = 0; i < nr_own_watches(h) && !err; i++) {
		own_watch_path(h, i, path);
		err = store_client_watch(h->store, path, h->own_path);
	}
	if (err) {
		unwatch_own(h, i - 1);
		return err;
	}
	err = store_client_watch(h->store, h->other_path, h->own_path);
	if (err)
		unwatch_own(h, i);
	return err;
}

/* What it says is of one life of the device: it is gone when that is looked at, whatever becomes of the device. */
static bool take_detached(struct handshake *h)
{
	char path[sizeof(h->own_path) + sizeof(DETACHED_KEY) + 1];
	uint64_t detached = 0;

	snprintf(path, sizeof(path), "%s/" DETACHED_KEY, h->own_path);
	if (store_client_read_uint(h->store, STORE_NO_TX, &detached, "%s", path) != -ENOENT)
		store_client_rm(h->store, STORE_NO_TX, path);
	return detached != 0;
}

/* Both ends were Connected under an earlier back end: run() finds us ready to connect. */
static bool take_over(struct handshake *h, bool was_detached)
{
	unsigned other = read_state(h, STORE_NO_TX, h->other_path);

	if (!(h->bus & HANDSHAKE_TAKE_OVER) || (other != XenbusStateConnected && other != XenbusStateInitialised))
		return false;
	if (h->driver->may_take_over && !h->driver->may_take_over(h))
		return false;
	h->is_takeover = true;
	h->is_unclean = !was_detached;
	h->own = XenbusStateConnected;
	return true;
}

/*
 * What the store says of our own end is from an earlier life, or the toolstack's. A front end begins anew. A back end that
 * had got as far as a ring takes it over where it may; else it closes, and waits for a new beginning.
 */
static int begin(struct handshake *h)
{
	unsigned state = read_state(h, STORE_NO_TX, h->own_path);
	bool was_detached;

	if (state == XenbusStateUnknown)
		return -ENOENT;
	if (!h->driver->is_back) {
		h->own = state == XenbusStateInitialising ? XenbusStateInitialising : XenbusStateUnknown;
		h->barred = h->own == XenbusStateUnknown; /* the back end's Closed, and its error, are of the earlier life */
		return switch_state(h, XenbusStateInitialising);
	}
	was_detached = take_detached(h);
	if (state == XenbusStateConnected && take_over(h, was_detached))
		return 0;
	h->own = state == XenbusStateClosed ? XenbusStateClosed : XenbusStateInitialising;
	if (state == XenbusStateConnected || state == XenbusStateClosing)
		switch_state(h, XenbusStateClosing);
	return 0;
}

int handshake_start_on_bus(struct handshake *h, struct hv *hv, struct store_client *store,
			   const struct handshake_driver *driver, const char *own_path, void *priv, unsigned bus)
{
	int err;

	if (strlen(own_path) >= sizeof(h->own_path))
		return -ENAMETOOLONG;
	memset(h, 0, sizeof(*h));
	h->driver = driver;
	h->hv = hv;
	h->store = store;
	h->priv = priv;
	h->bus = bus;
	strcpy(h->own_path, own_path);
	err = read_other_end(h);
	if (!err)
		err = begin(h);
	if (!err)
		err = watch_both(h);
	if (err)
		return err;
	run(h);
	return 0;
}

int handshake_start(struct handshake *h, struct hv *hv, struct store_client *store, const struct handshake_driver *driver,
		    const char *own_path, void *priv)
{
	return handshake_start_on_bus(h, hv, store, driver, own_path, priv, 0);
}

static void leave(struct handshake *h)
{
	unwatch_own(h, nr_own_watches(h));
	store_client_unwatch(h->store, h->other_path, h->own_path);
	undo(h);
	if (h->gone && h->failed)
		device_error_clear(h->store, h->own_path, has_error_tree(h));
}

void handshake_stop(struct handshake *h)
{
	leave(h);
	if (!h->gone && h->own != XenbusStateClosed)
		switch_state(h, XenbusStateClosed);
}

/* In a transaction for the same reason as a state: a directory that is being removed stays removed. */
static int write_detached_if_there(struct store_client *store, uint32_t tx, void *arg)
{
	struct handshake *h = arg;

	if (read_state(h, tx, h->own_path) != XenbusStateConnected)
		return -ENOENT;
	return store_client_printf(store, tx, h->own_path, DETACHED_KEY, "1");
}

void handshake_detach(struct handshake *h)
{
	bool was_connected = h->connected;

	leave(h);
	if (h->gone)
		return;
	if (was_connected && h->own == XenbusStateConnected)
		store_client_transaction(h->store, write_detached_if_there, h);
	else if (h->own == XenbusStateClosing)
		switch_state(h, XenbusStateClosed);
}

static void take_events(struct handshake *h)
{
	char *path, *token;

	while (!store_client_next_watch(h->store, &path, &token)) {
		if (!strcmp(token, h->own_path))
			handshake_event(h, path);
		free(path);
		free(token);
	}
}

/* Another device's events may be dropped here: its own wait looks at the states first. */
int handshake_wait_connected(struct handshake *h, int timeout_ms)
{
	int64_t end = clock_now_ms() + timeout_ms;

	handshake_event(h, NULL);
	for (;;) {
		int64_t left = end - clock_now_ms();
		int n;

		if (h->connected && h->own == XenbusStateConnected && h->other == XenbusStateConnected)
			return 0;
		if (h->failed || h->gone || h->own == XenbusStateClosing || h->own == XenbusStateClosed)
			return -ENODEV;
		if (left <= 0)
			return -ETIMEDOUT;
		n = store_client_wait(h->store, (int)left);
		if (n < 0)
			return n;
		take_events(h);
	}
}
