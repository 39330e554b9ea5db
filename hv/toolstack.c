/*
 * hv/toolstack.c - builds domains and asks about them, through the same hypercalls as Xen's own tools.
 *
 * Runs in  one thread of a Domain-0 process.
 * Fails    -errno; a domain that could not be finished is destroyed again.
 * Spec     xen/domctl.h, xen/sysctl.h, xen/memory.h; the order of building is libxl's.
 */
#include "hv/toolstack.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "hv/local_dom0.h"
#include "hv/store_client.h"
#include "hv/store_client_wire.h"

#include <xen/domctl.h>
#include <xen/hvm/hvm_op.h>
#include <xen/hvm/params.h>
#include <xen/memory.h>
#include <xen/sched.h>
#include <xen/sysctl.h>

#define GRANT_REF_CONSOLE 0 /* Xen's reserved refs, xen/grant_table.h */
#define GRANT_REF_STORE 1
#define MAX_ORDER 18u
#define MAX_POPULATE_EXTENTS 4096u
#define CONSOLE_LIMIT 1048576

static long domctl(struct hv *hv, domid_t domid, uint32_t cmd, struct xen_domctl *op)
{
	op->cmd = cmd;
	op->interface_version = XEN_DOMCTL_INTERFACE_VERSION;
	op->domain = domid;
	return hv_hypercall(hv, __HYPERVISOR_domctl, 0, op, sizeof(*op));
}

static int simple_domctl(struct hv *hv, domid_t domid, uint32_t cmd)
{
	struct xen_domctl op = {0};

	return (int)domctl(hv, domid, cmd, &op);
}

static int local_op(struct hv *hv, uint64_t cmd, domid_t domid)
{
	struct local_domid op = {.domid = domid};

	return (int)hv_hypercall(hv, LOCAL_HYPERCALL, cmd, &op, sizeof(op));
}

/* ---- building ------------------------------------------------------------------------------------------------------ */

/* What is known of a domain while it is being built. */
struct build {
	struct hv *hv;
	struct store_client *store;
	const struct toolstack_domain *d;
	domid_t domid;
	uint64_t nr_frames;
	uint64_t store_frame, console_frame;
	evtchn_port_t store_port, console_port;
};

/* The largest order that divides the size; a size that would need too long a list is rounded up. */
static unsigned populate_order(uint64_t *nr_frames)
{
	unsigned order = 0;

	while (order < MAX_ORDER && !(*nr_frames >> order & 1))
		order++;
	while (order < MAX_ORDER && *nr_frames >> order >= MAX_POPULATE_EXTENTS)
		order++;
	*nr_frames = (*nr_frames + (UINT64_C(1) << order) - 1) >> order << order;
	return order;
}

static int populate(struct build *b)
{
	struct {
		struct xen_memory_reservation r;
		xen_pfn_t first[];
	} *op;
	unsigned order = populate_order(&b->nr_frames);
	uint64_t nr = b->nr_frames >> order;
	size_t bytes = sizeof(*op) + nr * sizeof(xen_pfn_t);
	struct xen_domctl ctl = {.u.max_mem.max_memkb = b->nr_frames * (PAGE_BYTES / 1024)};
	long done = domctl(b->hv, b->domid, XEN_DOMCTL_max_mem, &ctl);

	if (done)
		return (int)done;
	op = calloc(1, bytes);
	if (!op)
		return -ENOMEM;
	op->r.extent_start.p = (xen_pfn_t *)(uintptr_t)(LOCAL_ARG_ADDRESS + sizeof(*op));
	op->r.nr_extents = nr;
	op->r.extent_order = order;
	op->r.domid = b->domid;
	for (uint64_t i = 0; i < nr; i++)
		op->first[i] = i << order;
	done = hv_hypercall(b->hv, __HYPERVISOR_memory_op, XENMEM_populate_physmap, op, bytes);
	free(op);
	if (done < 0)
		return (int)done;
	b->store_frame = b->nr_frames - 1;
	b->console_frame = b->nr_frames - 2;
	return (uint64_t)done == nr ? 0 : -ENOMEM;
}

static int alloc_port(struct build *b, evtchn_port_t *port)
{
	struct evtchn_alloc_unbound op = {.dom = b->domid, .remote_dom = hv_domid(b->hv)};
	long err = hv_hypercall(b->hv, __HYPERVISOR_event_channel_op, EVTCHNOP_alloc_unbound, &op, sizeof(op));

	if (!err)
		*port = op.port;
	return (int)err;
}

static int set_param(struct build *b, unsigned index, uint64_t value)
{
	struct xen_hvm_param op = {.domid = b->domid, .index = index, .value = value};

	return (int)hv_hypercall(b->hv, __HYPERVISOR_hvm_op, HVMOP_set_param, &op, sizeof(op));
}

static int make_ports(struct build *b)
{
	int err = alloc_port(b, &b->store_port);

	if (!err)
		err = alloc_port(b, &b->console_port);
	if (!err)
		err = set_param(b, HVM_PARAM_STORE_PFN, b->store_frame);
	if (!err)
		err = set_param(b, HVM_PARAM_STORE_EVTCHN, b->store_port);
	if (!err)
		err = set_param(b, HVM_PARAM_CONSOLE_PFN, b->console_frame);
	if (!err)
		err = set_param(b, HVM_PARAM_CONSOLE_EVTCHN, b->console_port);
	return err;
}

static void permit(struct grant_entry_v1 *entry, domid_t domid, uint64_t frame)
{
	entry->domid = domid;
	entry->frame = (uint32_t)frame;
	store_release(&entry->flags, (uint16_t)GTF_permit_access); /* pairs with grant_pin's acquire */
}

/* Domain-0's right to the two pages, as a program that knows nothing of us would look for it. */
static int grant_pages(struct build *b)
{
	struct hv_peer *peer;
	struct grant_entry_v1 *entries;
	int err = hv_peer_open(b->hv, b->domid, &peer);

	if (err)
		return err;
	entries = ((struct local_peer *)peer)->domain.entries_sh;
	permit(&entries[GRANT_REF_CONSOLE], hv_domid(b->hv), b->console_frame);
	permit(&entries[GRANT_REF_STORE], hv_domid(b->hv), b->store_frame);
	hv_peer_close(peer);
	return 0;
}

/* Nodes being written in one transaction: the first failure stays. */
struct writer {
	struct store_client *store;
	uint32_t tx;
	int err;
};

/* reader: who else than the owner may read, as a permission, or NULL. */
static void put_dir(struct writer *w, const char *dir, domid_t owner, const char *reader)
{
	char own[8];
	const char *perms[2] = {own, reader};

	snprintf(own, sizeof(own), "n%u", owner);
	if (!w->err)
		w->err = store_client_mkdir(w->store, w->tx, dir);
	if (!w->err)
		w->err = store_client_set_perms(w->store, w->tx, dir, perms, reader ? 2 : 1);
}

#define put(w, dir, key, ...)                                                                     \
	do {                                                                                      \
		if (!(w)->err)                                                                    \
			(w)->err = store_client_printf((w)->store, (w)->tx, dir, key, __VA_ARGS__); \
	} while (0)

static void uuid_text(const uint8_t u[16], char text[37])
{
	snprintf(text, 37, "%02x%02x%02x%02x-%02x%02x-%02x%02x-%02x%02x-%02x%02x%02x%02x%02x%02x", u[0], u[1], u[2], u[3],
		 u[4], u[5], u[6], u[7], u[8], u[9], u[10], u[11], u[12], u[13], u[14], u[15]);
}

static void put_console(struct writer *w, const struct build *b, const char *home)
{
	char dir[64];

	snprintf(dir, sizeof(dir), "%s/console", home);
	put(w, dir, "ring-ref", "%llu", (unsigned long long)b->console_frame);
	put(w, dir, "port", "%u", b->console_port);
	put(w, dir, "limit", "%d", CONSOLE_LIMIT);
	put(w, dir, "type", "xenconsoled");
}

static void put_own_dirs(struct writer *w, const struct build *b, const char *home)
{
	static const char *const writable[] = {"data", "device", "control/shutdown"};
	char path[64];

	for (unsigned i = 0; i < sizeof(writable) / sizeof(writable[0]); i++) {
		snprintf(path, sizeof(path), "%s/%s", home, writable[i]);
		put_dir(w, path, b->domid, NULL);
	}
}

static int write_nodes(struct store_client *store, uint32_t tx, void *arg)
{
	const struct build *b = arg;
	struct writer w = {.store = store, .tx = tx};
	char home[48], vm[64], uuid[37], reader[8];
	unsigned long long kib = b->nr_frames * (PAGE_BYTES / 1024);

	uuid_text(b->d->uuid, uuid);
	snprintf(home, sizeof(home), "/local/domain/%u", b->domid);
	snprintf(vm, sizeof(vm), "/vm/%s", uuid);
	snprintf(reader, sizeof(reader), "r%u", b->domid);
	put_dir(&w, home, 0, reader);
	put(&w, home, "name", "%s", b->d->name);
	put(&w, home, "domid", "%u", b->domid);
	put(&w, home, "vm", "%s", vm);
	put(&w, home, "memory/static-max", "%llu", kib);
	put(&w, home, "memory/target", "%llu", kib);
	put_console(&w, b, home);
	put_own_dirs(&w, b, home);
	put_dir(&w, vm, 0, reader);
	put(&w, vm, "name", "%s", b->d->name);
	put(&w, vm, "uuid", "%s", uuid);
	return w.err;
}

static int create_empty(struct build *b)
{
	const struct toolstack_domain *d = b->d;
	struct xen_domctl op = {.u.createdomain = {
		.max_vcpus = d->vcpus,
		.max_grant_frames = d->grant_frames ? (int32_t)d->grant_frames : -1,
		.max_maptrack_frames = d->maptrack_frames ? (int32_t)d->maptrack_frames : -1,
		.grant_opts = XEN_DOMCTL_GRANT_version(1),
	}};
	long err;

	memcpy(op.u.createdomain.handle, d->uuid, sizeof(op.u.createdomain.handle));
	err = domctl(b->hv, 0, XEN_DOMCTL_createdomain, &op);
	if (!err)
		b->domid = (domid_t)op.domain;
	return (int)err;
}

int toolstack_domain_create(struct hv *hv, const struct toolstack_domain *d, domid_t *domid)
{
	struct build b = {.hv = hv, .d = d, .nr_frames = d->memory_kib / (PAGE_BYTES / 1024)};
	int err = 0;

	if (b.nr_frames < 4 || b.nr_frames > LOCAL_MAX_FRAMES)
		return -EINVAL;
	b.store = hv_store(hv, &err);
	if (!b.store)
		return err;
	err = create_empty(&b);
	if (err)
		return err;
	err = populate(&b);
	if (!err)
		err = make_ports(&b);
	if (!err)
		err = grant_pages(&b);
	if (!err)
		err = store_client_transaction(b.store, write_nodes, &b);
	if (!err)
		err = store_client_wire_introduce(b.store, b.domid, b.store_frame, b.store_port);
	if (err) {
		toolstack_domain_destroy(hv, b.domid);
		return err;
	}
	*domid = b.domid;
	return 0;
}

int toolstack_domain_load(struct hv *hv, domid_t domid, int kernel_fd, const char *cmdline)
{
	struct local_load op = {.domid = domid};

	if (strlen(cmdline) >= sizeof(op.cmdline))
		return -E2BIG;
	strcpy(op.cmdline, cmdline);
	return (int)local_link_hypercall(&local_dom0_of(hv)->link, LOCAL_HYPERCALL, LOCAL_OP_load, &op, sizeof(op), kernel_fd,
					 NULL);
}

/* ---- afterwards ---------------------------------------------------------------------------------------------------- */

int toolstack_domain_own(struct hv *hv, domid_t domid)
{
	return local_op(hv, LOCAL_OP_own, domid);
}

int toolstack_domain_pause(struct hv *hv, domid_t domid)
{
	return simple_domctl(hv, domid, XEN_DOMCTL_pausedomain);
}

int toolstack_domain_unpause(struct hv *hv, domid_t domid)
{
	return simple_domctl(hv, domid, XEN_DOMCTL_unpausedomain);
}

/* The core removes the store's nodes with the domain. */
int toolstack_domain_destroy(struct hv *hv, domid_t domid)
{
	return simple_domctl(hv, domid, XEN_DOMCTL_destroydomain);
}

#define INFOS_AT_ONCE 64u

struct info_list {
	struct xen_sysctl op;
	struct xen_domctl_getdomaininfo info[INFOS_AT_ONCE];
};

static void fill_info(struct toolstack_info *to, const struct xen_domctl_getdomaininfo *from)
{
	*to = (struct toolstack_info){
		.domid = from->domain,
		.paused = from->flags & XEN_DOMINF_paused,
		.running = from->flags & XEN_DOMINF_running,
		.blocked = from->flags & XEN_DOMINF_blocked,
		.shutdown = from->flags & XEN_DOMINF_shutdown,
		.dying = from->flags & XEN_DOMINF_dying,
		.shutdown_reason = from->flags >> XEN_DOMINF_shutdownshift & XEN_DOMINF_shutdownmask,
		.memory_kib = from->tot_pages * (PAGE_BYTES / 1024),
		.vcpus = from->nr_online_vcpus,
		.cpu_time_ns = from->cpu_time,
	};
	to->crashed = to->shutdown && to->shutdown_reason == SHUTDOWN_crash;
	memcpy(to->uuid, from->handle, sizeof(to->uuid));
}

static long list_some(struct hv *hv, struct info_list *list, domid_t first, unsigned max)
{
	struct xen_sysctl_getdomaininfolist *op = &list->op.u.getdomaininfolist;
	long err;

	memset(&list->op, 0, sizeof(list->op));
	list->op.cmd = XEN_SYSCTL_getdomaininfolist;
	list->op.interface_version = XEN_SYSCTL_INTERFACE_VERSION;
	op->first_domain = first;
	op->max_domains = max < INFOS_AT_ONCE ? max : INFOS_AT_ONCE;
	op->buffer.p = (void *)(uintptr_t)(LOCAL_ARG_ADDRESS + offsetof(struct info_list, info));
	err = hv_hypercall(hv, __HYPERVISOR_sysctl, 0, list, sizeof(*list));
	return err < 0 ? err : (long)op->num_domains;
}

int toolstack_domain_list(struct hv *hv, domid_t first, struct toolstack_info info[], unsigned max)
{
	struct info_list *list = malloc(sizeof(*list));
	unsigned filled = 0;
	long n = 0;

	if (!list)
		return -ENOMEM;
	while (filled < max) {
		n = list_some(hv, list, first, max - filled);
		if (n <= 0)
			break;
		for (long i = 0; i < n; i++)
			fill_info(&info[filled++], &list->info[i]);
		first = (domid_t)(info[filled - 1].domid + 1);
		if ((unsigned long)n < INFOS_AT_ONCE)
			break;
	}
	free(list);
	return n < 0 ? (int)n : (int)filled;
}

int toolstack_console_open(struct hv *hv, domid_t domid)
{
	struct local_domid op = {.domid = domid};
	struct local_fds fds;
	long ret = local_link_hypercall(&local_dom0_of(hv)->link, LOCAL_HYPERCALL, LOCAL_OP_console, &op, sizeof(op), -1, &fds);

	if (ret < 0)
		return (int)ret;
	if (fds.nr != 1) {
		local_fds_close(&fds);
		return -EPROTO;
	}
	return fds.fd[0];
}

#define DMESG_AT_ONCE 16384u

struct dmesg {
	struct xen_sysctl op;
	char text[DMESG_AT_ONCE];
};

static long read_console(struct hv *hv, struct dmesg *m, uint32_t count, bool clear, bool goes_on, uint32_t *index)
{
	struct xen_sysctl_readconsole *op = &m->op.u.readconsole;
	long err;

	memset(&m->op, 0, sizeof(m->op));
	m->op.cmd = XEN_SYSCTL_readconsole;
	m->op.interface_version = XEN_SYSCTL_INTERFACE_VERSION;
	op->clear = clear;
	op->incremental = goes_on;
	op->index = *index;
	op->buffer.p = (void *)(uintptr_t)(LOCAL_ARG_ADDRESS + offsetof(struct dmesg, text));
	op->count = count;
	err = hv_hypercall(hv, __HYPERVISOR_sysctl, 0, m, sizeof(*m));
	if (err)
		return err;
	*index = op->index;
	return op->count <= count ? (long)op->count : -EPROTO;
}

int toolstack_dmesg(struct hv *hv, char *buf, unsigned size, bool clear)
{
	struct dmesg *m = malloc(sizeof(*m));
	uint32_t index = 0;
	unsigned filled = 0;
	long n = 0;

	if (!m)
		return -ENOMEM;
	while (filled < size) {
		unsigned room = size - filled < DMESG_AT_ONCE ? size - filled : DMESG_AT_ONCE;

		n = read_console(hv, m, room, false, filled != 0, &index);
		if (n <= 0)
			break;
		memcpy(buf + filled, m->text, (size_t)n);
		filled += (unsigned)n;
	}
	if (n >= 0 && clear)
		n = read_console(hv, m, 0, true, true, &index);
	free(m);
	return n < 0 ? (int)n : (int)filled;
}

int toolstack_physinfo(struct hv *hv, struct toolstack_physinfo *info)
{
	struct xen_sysctl op = {.cmd = XEN_SYSCTL_physinfo, .interface_version = XEN_SYSCTL_INTERFACE_VERSION};
	long err = hv_hypercall(hv, __HYPERVISOR_sysctl, 0, &op, sizeof(op));

	if (err)
		return (int)err;
	*info = (struct toolstack_physinfo){
		.nr_cpus = op.u.physinfo.nr_cpus,
		.total_kib = op.u.physinfo.total_pages * (PAGE_BYTES / 1024),
		.free_kib = op.u.physinfo.free_pages * (PAGE_BYTES / 1024),
	};
	return 0;
}
