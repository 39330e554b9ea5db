/*
 * hv/local_guest.c - becomes a local guest domain: spawned as one, or attached to one by name.
 *
 * Owns     the connection, the domain's mappings, its free pages and its grant table.
 * Trusts   sluiced.
 * Runs in  any thread.
 */
#include "hv/local_guest.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "hv/local_platform.h"
#include "hv/store_client.h"

#include <xen/hvm/hvm_op.h>

#define XEN_RESERVED_REFS 8

static long local_guest_hypercall(struct hv *hv, unsigned nr, uint64_t cmd, void *arg, size_t bytes)
{
	return local_link_hypercall(&local_guest_of(hv)->link, nr, cmd, arg, bytes, -1, NULL);
}

int local_guest_get_param(struct local_guest *g, unsigned param, uint64_t *value)
{
	struct xen_hvm_param op = {.domid = DOMID_SELF, .index = param};
	long err = local_link_hypercall(&g->link, __HYPERVISOR_hvm_op, HVMOP_get_param, &op, sizeof(op), -1, NULL);

	if (!err)
		*value = op.value;
	return (int)err;
}

static int local_guest_pages_alloc(struct hv *hv, unsigned nr, void **pages)
{
	struct local_guest *g = local_guest_of(hv);

	grant_table_reap(g->grants, 64); /* pages that a peer let go of meanwhile come back first */
	return local_pages_alloc(&g->pages, nr, pages);
}

static void local_guest_pages_free(struct hv *hv, void *pages, unsigned nr)
{
	local_pages_free(&local_guest_of(hv)->pages, pages, nr);
}

static uint32_t local_guest_frame_of(struct hv *hv, const void *p)
{
	return (uint32_t)gate_frame_of(&local_guest_of(hv)->domain.memory, p);
}

static struct grant_table *local_guest_grants(struct hv *hv)
{
	return local_guest_of(hv)->grants;
}

static void local_guest_close(struct hv *hv)
{
	struct local_guest *g = local_guest_of(hv);

	store_client_close(hv->store);
	for (unsigned port = 0; port < LOCAL_MAX_PORTS; port++)
		if (g->notify_fd[port] >= 0)
			close(g->notify_fd[port]);
	local_guest_unwatch_store(g);
	grant_table_reap(g->grants, UINT32_MAX); /* what peers have let go of since the last look */
	grant_table_destroy(g->grants);
	local_pages_finish(&g->pages);
	local_domain_finish(&g->domain);
	local_link_close(&g->link);
	free(g);
}

static const struct hv_ops local_guest_ops;

static void describe(struct local_guest *g, const struct local_welcome *welcome)
{
	g->events = (struct evtchn_domain){
		.shared_sh = g->domain.shared_sh,
		.port_vcpu = g->port_vcpu,
		.vcpu_fd = g->domain.vcpu_fd,
		.nr_vcpus = g->domain.nr_vcpus,
	};
	for (unsigned port = 0; port < LOCAL_MAX_PORTS; port++)
		g->notify_fd[port] = -1;
	g->store_fd = g->store_epoll = -1;
	g->notify_slowly = local_guest_notify_slowly;
	g->hv = (struct hv){
		.ops = &local_guest_ops,
		.platform = "local",
		.run_dir = g->run_dir,
		.lost_fd = g->link.lost_fd,
		.domid = (domid_t)welcome->domid,
		.map_is_cheap = true,
	};
}

static int reserve_first_frames(struct local_guest *g)
{
	int err = 0;

	for (unsigned frame = 0; frame < LOCAL_FIRST_FRAMES && !err; frame++)
		err = local_pages_reserve(&g->pages, frame);
	if (err)
		return err;
	g->link.arg = gate_page(&g->domain.memory, LOCAL_ARG_ADDRESS >> PAGE_SHIFT_BITS);
	g->link.arg_bytes = PAGE_BYTES;
	return 0;
}

/* Store and console pages are not ours to hand out. A domain built without one has 0 there. */
static int reserve_special_frame(struct local_guest *g, unsigned param)
{
	uint64_t frame;
	int err = local_guest_get_param(g, param, &frame);

	if (err || !frame)
		return err;
	return local_pages_reserve(&g->pages, frame);
}

static int start_guest(struct local_guest *g)
{
	int err = reserve_first_frames(g);

	if (!err)
		err = reserve_special_frame(g, HVM_PARAM_STORE_PFN);
	if (!err)
		err = reserve_special_frame(g, HVM_PARAM_CONSOLE_PFN);
	return err;
}

/* The connection is there: becomes the domain. */
static int enter_guest(struct local_guest *g, const char *attach)
{
	struct local_welcome welcome;
	struct local_fds fds;
	int err = local_link_hello(&g->link, attach ? LOCAL_KIND_ATTACH : LOCAL_KIND_SPAWNED, attach, &welcome, &fds);

	if (err)
		return err;
	err = local_domain_init(&g->domain, &welcome, &fds, false);
	if (err)
		return err;
	describe(g, &welcome);
	err = local_pages_init(&g->pages, &g->domain.memory);
	if (err)
		goto finish_domain;
	err = grant_table_create(g->domain.entries_sh, g->domain.nr_entries, XEN_RESERVED_REFS, &g->grants);
	if (err)
		goto finish_pages;
	err = start_guest(g);
	if (err)
		goto destroy_grants;
	return 0;
destroy_grants:
	grant_table_destroy(g->grants);
finish_pages:
	local_pages_finish(&g->pages);
finish_domain:
	local_domain_finish(&g->domain);
	return err;
}

int local_guest_open(const struct hv_options *opt, struct hv **out)
{
	const char *attach = opt ? opt->attach : NULL;
	struct local_guest *g = calloc(1, sizeof(*g));
	int err;

	if (!g)
		return -ENOMEM;
	err = local_platform_run_dir(opt, g->run_dir, sizeof(g->run_dir));
	if (err)
		goto free_guest;
	err = attach ? local_link_connect(&g->link, g->run_dir) : local_link_adopt(&g->link, LOCAL_SPAWNED_FD);
	if (err)
		goto free_guest;
	err = enter_guest(g, attach);
	if (err)
		goto close_link;
	*out = &g->hv;
	return 0;
close_link:
	local_link_close(&g->link);
free_guest:
	err = local_platform_explain(opt, g->run_dir, err);
	free(g);
	return err;
}

static const struct hv_ops local_guest_ops = {
	.close = local_guest_close,
	.hypercall = local_guest_hypercall,
	.store_open = local_guest_store_open,
	.pages_alloc = local_guest_pages_alloc,
	.pages_free = local_guest_pages_free,
	.frame_of = local_guest_frame_of,
	.grants = local_guest_grants,
	.share = local_guest_share,
	.unshare = local_guest_unshare,
	.evtchn_alloc_unbound = local_guest_alloc_unbound,
	.evtchn_bind_interdomain = local_guest_bind_interdomain,
	.evtchn_bind_virq = local_guest_bind_virq,
	.evtchn_bind_ipi = local_guest_bind_ipi,
	.evtchn_bind_vcpu = local_guest_bind_vcpu,
	.evtchn_close = local_guest_evtchn_close,
	.evtchn_mask = local_guest_mask,
	.evtchn_unmask = local_guest_unmask,
	.evtchn_pending = local_guest_pending,
	.event_fd = local_guest_event_fd,
	.notify = local_guest_notify,
	.event_take = local_guest_event_take,
};
