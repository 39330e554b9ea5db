/*
 * hv/orphan.c - looks through the devices in the store for those that a connection leaves behind.
 */
#include "hv/orphan.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <xen/io/xenbus.h>

#include "hv/conn.h"
#include "hv/core.h"
#include "hv/domain.h"
#include "hv/log.h"

#define CLOSED "6" /* XenbusStateClosed */
#define MAX_QUEUES 64 /* of a device, that are looked at */
#define DEVID_BYTES 16

struct orphan {
	struct orphan *next;
	const char *type;
	domid_t domid;
	char devid[DEVID_BYTES];
};

/* What one connection left; their time is over together. */
struct orphans {
	struct orphans *next, **pprev; /* core->orphans */
	struct core *core;
	struct orphan *list;
	unsigned nr;
	struct loop_source *timer;
};

static const char *const types[] = {"vif", "vbd"};

/* A node's value as a number; 0 when there is none. */
static unsigned long read_number(struct store *store, const char *path)
{
	const char *value;
	char text[16];
	unsigned len;

	if (store_read(store, path, &value, &len) || len >= sizeof(text))
		return 0;
	memcpy(text, value, len);
	text[len] = '\0';
	return strtoul(text, NULL, 10);
}

/* ---- who serves a device ------------------------------------------------------------------------------------------ */

enum holder { NOBODY, THIS_ONE, ANOTHER };

static enum holder port_holder(struct domain *d, unsigned long port, const struct conn *conn)
{
	const struct evtchn *e = port < d->ports.limit ? evtchn_find(d, (evtchn_port_t)port) : NULL;

	if (!e || e->state != EVTCHNSTAT_interdomain || e->remote_domid != 0)
		return NOBODY;
	e = evtchn_find(core_domain(d->core, 0), e->remote_port);
	return e && conn && e->owner == conn ? THIS_ONE : ANOTHER;
}

/* By the ports that are named in that directory, a device's or a queue's. *has_any: there is one. */
static enum holder directory_holder(struct domain *d, const char *dir, const struct conn *conn, bool *has_any)
{
	static const char *const keys[] = {"event-channel", "event-channel-tx", "event-channel-rx"};
	char path[256];

	*has_any = false;
	for (unsigned i = 0; i < sizeof(keys) / sizeof(keys[0]); i++) {
		unsigned long port;
		enum holder holder;

		if ((size_t)snprintf(path, sizeof(path), "%s/%s", dir, keys[i]) >= sizeof(path))
			return NOBODY;
		port = read_number(d->core->store, path);
		*has_any |= port != 0;
		holder = port ? port_holder(d, port, conn) : NOBODY;
		if (holder != NOBODY)
			return holder;
	}
	return NOBODY;
}

static enum holder device_holder(struct domain *d, const char *type, const char *devid, const struct conn *conn)
{
	char dir[192], queue[224];
	enum holder holder;
	bool has_any;

	if ((size_t)snprintf(dir, sizeof(dir), "/local/domain/%u/device/%s/%s", d->domid, type, devid) >= sizeof(dir))
		return NOBODY;
	holder = directory_holder(d, dir, conn, &has_any);
	has_any = true;
	for (unsigned q = 0; q < MAX_QUEUES && has_any && holder == NOBODY; q++) {
		snprintf(queue, sizeof(queue), "%s/queue-%u", dir, q);
		holder = directory_holder(d, queue, conn, &has_any);
	}
	return holder;
}

/* ---- what becomes of it -------------------------------------------------------------------------------------------- */

static void back_path(char path[192], domid_t domid, const char *type, const char *devid, const char *key)
{
	snprintf(path, 192, "/local/domain/0/backend/%s/%u/%s/%s", type, domid, devid, key);
}

static unsigned long back_state(struct core *core, domid_t domid, const char *type, const char *devid)
{
	char path[192];

	back_path(path, domid, type, devid, "state");
	return read_number(core->store, path);
}

static void close_device(struct core *core, domid_t domid, const char *type, const char *devid)
{
	char path[192];

	back_path(path, domid, type, devid, "state");
	store_write(core->store, path, CLOSED, strlen(CLOSED));
}

static struct orphan *find(const struct core *core, domid_t domid, const char *type, const char *devid)
{
	for (const struct orphans *all = core->orphans; all; all = all->next)
		for (struct orphan *o = all->list; o; o = o->next)
			if (o->domid == domid && o->type == type && !strcmp(o->devid, devid))
				return o;
	return NULL;
}

static bool keep(struct orphans *all, domid_t domid, const char *type, const char *devid)
{
	struct orphan *o = strlen(devid) < DEVID_BYTES ? calloc(1, sizeof(*o)) : NULL;

	if (!o)
		return false;
	o->type = type;
	o->domid = domid;
	strcpy(o->devid, devid);
	o->next = all->list;
	all->list = o;
	all->nr++;
	return true;
}

/* The connection has bound its ports, or (a back end that stops cleanly) closed them and left the device Connected. */
static void look_at(struct orphans *all, struct domain *d, const char *type, const char *devid, const struct conn *conn)
{
	unsigned long state = back_state(all->core, d->domid, type, devid);
	enum holder holder;

	if (state == XenbusStateUnknown || state == XenbusStateClosed)
		return;
	holder = device_holder(d, type, devid, conn);
	if (holder == ANOTHER || (holder == NOBODY && state != XenbusStateConnected))
		return;
	if (holder == NOBODY && find(all->core, d->domid, type, devid))
		return;
	if (state == XenbusStateConnected && all->core->keep_ms && keep(all, d->domid, type, devid))
		return;
	log_warn("domain %u: the back end of its %s %s is gone; the device is closed", d->domid, type, devid);
	close_device(all->core, d->domid, type, devid);
}

static void look_at_type(struct orphans *all, struct domain *d, const char *type, const struct conn *conn)
{
	const char *names;
	char path[96], *copy;
	unsigned bytes;

	snprintf(path, sizeof(path), "/local/domain/0/backend/%s/%u", type, d->domid);
	if (store_children(all->core->store, path, &names, &bytes) || !bytes)
		return;
	copy = malloc(bytes); /* writing may move them */
	if (copy)
		memcpy(copy, names, bytes);
	for (unsigned at = 0; copy && at < bytes; at += (unsigned)strlen(copy + at) + 1)
		look_at(all, d, type, copy + at, conn);
	free(copy);
}

static void forget(struct orphans *all)
{
	struct orphan *o;

	loop_remove(all->timer);
	if (all->pprev) {
		*all->pprev = all->next;
		if (all->next)
			all->next->pprev = all->pprev;
	}
	while ((o = all->list)) {
		all->list = o->next;
		free(o);
	}
	free(all);
}

/* Those that nobody has taken over. A domain that has gone took its devices along; one of its number has others. */
static void time_is_over(void *arg)
{
	struct orphans *all = arg;
	struct core *core = all->core;

	for (const struct orphan *o = all->list; o; o = o->next) {
		struct domain *d = core_domain(core, o->domid);

		if (!d || d->stage != DOMAIN_ALIVE || device_holder(d, o->type, o->devid, NULL) != NOBODY ||
		    back_state(core, o->domid, o->type, o->devid) != XenbusStateConnected)
			continue;
		log_warn("domain %u: no back end came for its %s %s; the device is closed", o->domid, o->type, o->devid);
		close_device(core, o->domid, o->type, o->devid);
	}
	forget(all);
}

static void wait_for_another(struct orphans *all, const struct conn *conn)
{
	struct core *core = all->core;

	log_warn("the back end process %d is gone; %u device%s connected for %u.%u s, for the next one", (int)conn->pid, all->nr,
		 all->nr == 1 ? " stays" : "s stay", core->keep_ms / 1000, core->keep_ms / 100 % 10);
	all->timer = loop_add_timer(core->loop, (uint64_t)core->keep_ms * 1000000u, time_is_over, all);
	all->next = core->orphans;
	all->pprev = &core->orphans;
	if (all->next)
		all->next->pprev = &all->next;
	core->orphans = all;
	if (!all->timer)
		time_is_over(all);
}

void orphan_backend_gone(struct conn *conn)
{
	struct core *core = conn->core;
	struct orphans *all;

	if (!conn->has_served)
		return;
	all = calloc(1, sizeof(*all));
	if (!all)
		return;
	all->core = core;
	for (struct domain *d = core_next_domain(core, 1); d; d = core_next_domain(core, d->domid + 1u))
		for (unsigned i = 0; d->stage == DOMAIN_ALIVE && i < sizeof(types) / sizeof(types[0]); i++)
			look_at_type(all, d, types[i], conn);
	if (all->nr)
		wait_for_another(all, conn);
	else
		forget(all);
}

void orphan_finish(struct core *core)
{
	while (core->orphans)
		forget(core->orphans);
}
