/*
 * hv/local_guest_store.c - the guest's store client: its ring page and event channel, as the toolstack set them up.
 */
#include <errno.h>

#include "hv/local_guest.h"
#include "hv/store_client_ring.h"
#include "rings/atomics.h"

#define STORE_TIMEOUT_MS 20000

static void notify_store(void *arg)
{
	struct local_guest *g = arg;

	hv_notify(&g->hv, load_relaxed(&g->store_port));
}

static int wait_store(void *arg, int timeout_ms)
{
	return local_guest_wait_store(arg, timeout_ms);
}

static void raise_store(void *arg)
{
	struct local_guest *g = arg;

	evtchn_send_loudly(&g->events, load_relaxed(&g->store_port));
}

int local_guest_store_open(struct hv *hv, struct store_client **out)
{
	struct local_guest *g = local_guest_of(hv);
	struct store_channel channel = {
		.arg = g,
		.notify = notify_store,
		.wait = wait_store,
		.raise = raise_store,
		.fd = g->domain.vcpu_fd[0],
		.timeout_ms = STORE_TIMEOUT_MS,
	};
	uint64_t frame, port;
	void *page_sh;
	int err = local_guest_get_param(g, HVM_PARAM_STORE_PFN, &frame);

	if (!err)
		err = local_guest_get_param(g, HVM_PARAM_STORE_EVTCHN, &port);
	if (err)
		return err;
	page_sh = frame ? gate_page(&g->domain.memory, frame) : NULL;
	if (!page_sh || !port || port >= LOCAL_MAX_PORTS)
		return -ENXIO;
	err = local_guest_adopt_port(g, (evtchn_port_t)port);
	if (!err)
		err = local_guest_watch_store(g, (evtchn_port_t)port);
	if (!err)
		err = store_client_ring_create(page_sh, &channel, out);
	return err;
}
