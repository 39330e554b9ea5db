/*
 * hv/domain_store.c - introduces domains to the store and removes what the dead leave there.
 */
#include "hv/domain_store.h"

#include <errno.h>
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

static const char *const device_types[] = {"vif", "vbd"};

static void store_event(void *arg)
{
	struct domain *d = arg;

	store_ring_event(d->core->store, d->domid);
}

static void wake(void *arg)
{
	struct domain *d = arg;
	struct domain *dom0 = core_domain(d->core, 0);
	struct evtchn *e = d->store_port ? evtchn_find(dom0, d->store_port) : NULL;

	if (e) /* loudly: the store client waits for edges of the vcpu's fd, beside the domain's own loop */
		evtchn_send_loudly(&d->events, e->remote_port);
}

static void close_port(struct domain *d)
{
	struct domain *dom0 = core_domain(d->core, 0);
	struct evtchn *e = d->store_port ? evtchn_find(dom0, d->store_port) : NULL;

	d->store_port = 0;
	if (e)
		evtchn_close(dom0, e);
}

static int introduce(void *arg, domid_t domid, uint64_t frame, evtchn_port_t port)
{
	struct domain *d = core_domain(arg, domid);
	void *page;
	int err;

	if (!domid || !d || d->stage != DOMAIN_ALIVE)
		return -ESRCH;
	if (d->store_port)
		return -EEXIST;
	page = gate_page(&d->ram.gate, frame);
	if (!page)
		return -EINVAL;
	err = evtchn_bind_core(d->core, domid, port, store_event, d, &d->store_port);
	if (err)
		return err;
	err = store_introduce(d->core->store, domid, page, wake, d);
	if (err)
		close_port(d);
	return err;
}

void domain_store_release(struct domain *d)
{
	if (!d->store_port)
		return;
	close_port(d);
	store_release_domain(d->core->store, d->domid);
}

static int release(void *arg, domid_t domid)
{
	struct domain *d = core_domain(arg, domid);

	if (!domid || !d || !d->store_port)
		return -ENOENT;
	domain_store_release(d);
	return 0;
}

static bool domain_exists(void *arg, domid_t domid)
{
	const struct domain *d = core_domain(arg, domid);

	return d && d->stage == DOMAIN_ALIVE;
}

const struct store_hooks domain_store_hooks = {
	.introduce = introduce,
	.release = release,
	.domain_exists = domain_exists,
};

void domain_store_finish(struct domain *d)
{
	const uint8_t *u = d->uuid;
	char path[96];

	snprintf(path, sizeof(path), "/local/domain/%u", d->domid);
	store_remove(d->core->store, path);
	for (unsigned i = 0; i < 2; i++) {
		snprintf(path, sizeof(path), "/local/domain/0/backend/%s/%u", device_types[i], d->domid);
		store_remove(d->core->store, path);
	}
	/* By the uuid that the core knows: what the domain's own nodes say may be the guest's wish. */
	snprintf(path, sizeof(path), "/vm/%02x%02x%02x%02x-%02x%02x-%02x%02x-%02x%02x-%02x%02x%02x%02x%02x%02x", u[0], u[1], u[2],
		 u[3], u[4], u[5], u[6], u[7], u[8], u[9], u[10], u[11], u[12], u[13], u[14], u[15]);
	store_remove(d->core->store, path);
	domain_store_release(d);
	/* One that was never introduced may own nodes and be named in permissions, too: the next of its number must not inherit. */
	store_release_domain(d->core->store, d->domid);
}

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

/* Does the front end, or one of its queues, name the port in that directory? *has_any: it names one at all. */
static bool names_port(struct store *store, const char *dir, evtchn_port_t port, bool *has_any)
{
	static const char *const keys[] = {"event-channel", "event-channel-tx", "event-channel-rx"};
	char path[256];

	*has_any = false;
	for (unsigned i = 0; i < sizeof(keys) / sizeof(keys[0]); i++) {
		unsigned long named;

		if ((size_t)snprintf(path, sizeof(path), "%s/%s", dir, keys[i]) >= sizeof(path))
			return false;
		named = read_number(store, path);
		*has_any |= named != 0;
		if (named == port)
			return true;
	}
	return false;
}

static bool is_bound(struct domain *d, const char *type, const char *devid, evtchn_port_t port)
{
	struct store *store = d->core->store;
	char dir[192], queue[224];
	bool has_any;

	if ((size_t)snprintf(dir, sizeof(dir), "/local/domain/%u/device/%s/%s", d->domid, type, devid) >= sizeof(dir))
		return false;
	if (names_port(store, dir, port, &has_any))
		return true;
	has_any = true;
	for (unsigned q = 0; q < MAX_QUEUES && has_any; q++) {
		snprintf(queue, sizeof(queue), "%s/queue-%u", dir, q);
		if (names_port(store, queue, port, &has_any))
			return true;
	}
	return false;
}

/* Closes the device if this is an event channel of it. What the guest wrote decides about its own devices only. */
static void close_if_bound(struct domain *d, const char *type, const char *devid, evtchn_port_t port)
{
	struct store *store = d->core->store;
	char path[256];
	unsigned long state;

	if (!is_bound(d, type, devid, port))
		return;
	snprintf(path, sizeof(path), "/local/domain/0/backend/%s/%u/%s/state", type, d->domid, devid);
	state = read_number(store, path);
	if (state == 0 || state == XenbusStateClosed)
		return;
	log_warn("domain %u: the back end of its %s %s is gone; the device is closed", d->domid, type, devid);
	store_write(store, path, CLOSED, strlen(CLOSED));
}

static void close_devices(struct domain *d, const char *type, evtchn_port_t port)
{
	const char *names;
	char path[96], *copy;
	unsigned bytes;

	snprintf(path, sizeof(path), "/local/domain/0/backend/%s/%u", type, d->domid);
	if (store_children(d->core->store, path, &names, &bytes) || !bytes)
		return;
	copy = malloc(bytes); /* writing may move them */
	if (copy)
		memcpy(copy, names, bytes);
	for (unsigned at = 0; copy && at < bytes; at += (unsigned)strlen(copy + at) + 1)
		close_if_bound(d, type, copy + at, port);
	free(copy);
}

void domain_store_backend_gone(struct conn *conn)
{
	for (const struct evtchn *e = conn->ports; e; e = e->next) {
		struct domain *d = e->state == EVTCHNSTAT_interdomain ? core_domain(conn->core, e->remote_domid) : NULL;

		for (unsigned i = 0; d && !domain_is_dom0(d) && d->stage == DOMAIN_ALIVE && i < 2; i++)
			close_devices(d, device_types[i], e->remote_port);
	}
}
