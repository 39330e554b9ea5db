/*
 * hv/domain_store.c - introduces domains to the store and removes what the dead leave there.
 */
#include "hv/domain_store.h"

#include <errno.h>
#include <stdio.h>

#include "hv/core.h"
#include "hv/domain.h"

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
