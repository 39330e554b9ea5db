/*
 * hv/store_client_ring.c - carries the store's wire protocol over a ring page.
 *
 * Owns     a struct ring for each client.
 * Trusts   nothing in the page.
 * Runs in  one thread at a time.
 */
#include "hv/store_client_ring.h"

#include <errno.h>
#include <stdlib.h>

#include "hv/store_client_wire.h"

#define MAX_EVENTS 1024u /* a guest looks at the store's state: one event for several changes is enough */

struct ring {
	struct xenstore_domain_interface *sh;
	struct store_channel channel;
};

static int ring_put(void *arg, const void *data, uint32_t len)
{
	return store_ring_put(store_ring_requests(((struct ring *)arg)->sh), data, len);
}

static int ring_take(void *arg, void *data, uint32_t len)
{
	struct ring *r = arg;
	bool was_full = false;
	int n = store_ring_take(store_ring_responses(r->sh), data, len, &was_full);

	if (was_full)
		r->channel.notify(r->channel.arg);
	return n;
}

static void ring_notify(void *arg)
{
	struct ring *r = arg;

	r->channel.notify(r->channel.arg);
}

static int ring_wait(void *arg, int timeout_ms)
{
	struct ring *r = arg;

	return r->channel.wait(r->channel.arg, timeout_ms);
}

static void ring_raise(void *arg)
{
	struct ring *r = arg;

	r->channel.raise(r->channel.arg);
}

static void ring_close(void *arg)
{
	struct ring *r = arg;

	if (r->channel.close)
		r->channel.close(r->channel.arg);
	free(r);
}

int store_client_ring_create(struct xenstore_domain_interface *page_sh, const struct store_channel *channel,
			     struct store_client **out)
{
	struct ring *r = calloc(1, sizeof(*r));
	int err;

	if (!r)
		return -ENOMEM;
	*r = (struct ring){page_sh, *channel};
	err = store_client_wire_create(&(struct store_transport){
		.arg = r,
		.put = ring_put,
		.take = ring_take,
		.notify = ring_notify,
		.wait = ring_wait,
		.raise = ring_raise,
		.close = ring_close,
		.fd = channel->fd,
		.timeout_ms = channel->timeout_ms,
		.max_events = MAX_EVENTS,
	}, out);
	if (err)
		free(r);
	return err;
}
