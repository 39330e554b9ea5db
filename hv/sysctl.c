/*
 * hv/sysctl.c - sysctl: questions about the host and all domains. sysctl(address of struct xen_sysctl).
 *
 * Spec     xen/sysctl.h.
 */
#include <errno.h>
#include <string.h>
#include <sys/sysinfo.h>
#include <unistd.h>

#include "hv/console.h"
#include "hv/core.h"
#include "hv/domain.h"
#include "hv/domctl.h"
#include "hv/hypercall.h"
#include "hv/log.h"

#include <xen/sysctl.h>

static long readconsole(struct caller *c, struct xen_sysctl *op)
{
	struct xen_sysctl_readconsole *rc = &op->u.readconsole;
	uint64_t to = (uint64_t)(uintptr_t)rc->buffer.p;
	uint32_t at = rc->incremental ? rc->index : c->core->log.cons;
	uint32_t n, done = 0;
	char part[1024];

	while (done < rc->count) {
		uint32_t room = rc->count - done < sizeof(part) ? rc->count - done : sizeof(part);

		n = core_log_get(&c->core->log, &at, part, room);
		if (!n)
			break;
		if (caller_copy_out(c, to + done, part, n))
			return -EFAULT;
		done += n;
	}
	rc->count = done;
	rc->index = at;
	if (rc->clear)
		c->core->log.cons = c->core->log.prod;
	return 0;
}

static long physinfo(struct caller *c, struct xen_sysctl *op)
{
	struct xen_sysctl_physinfo *info = &op->u.physinfo;
	struct sysinfo host;
	long nr_cpus = sysconf(_SC_NPROCESSORS_ONLN);

	if (sysinfo(&host) || nr_cpus < 1)
		return -EIO;
	memset(info, 0, sizeof(*info));
	info->threads_per_core = info->cores_per_socket = 1;
	info->nr_cpus = (uint32_t)nr_cpus;
	info->max_cpu_id = (uint32_t)nr_cpus - 1;
	info->nr_nodes = 1;
	info->capabilities = XEN_SYSCTL_PHYSCAP_gnttab_v1;
	info->total_pages = (uint64_t)host.totalram * host.mem_unit / PAGE_BYTES;
	info->free_pages = (uint64_t)host.freeram * host.mem_unit / PAGE_BYTES;
	info->max_mfn = info->total_pages;
	return 0;
}

static long getdomaininfolist(struct caller *c, struct xen_sysctl *op)
{
	struct xen_sysctl_getdomaininfolist *list = &op->u.getdomaininfolist;
	uint64_t to = (uint64_t)(uintptr_t)list->buffer.p;
	const struct domain *d = core_next_domain(c->core, list->first_domain);

	for (list->num_domains = 0; d && list->num_domains < list->max_domains; list->num_domains++) {
		struct xen_domctl_getdomaininfo info;

		domctl_describe(d, &info);
		if (caller_copy_out(c, to + (uint64_t)list->num_domains * sizeof(info), &info, sizeof(info)))
			return -EFAULT;
		d = core_next_domain(c->core, d->domid + 1u);
	}
	return 0;
}

/* 'q': says what each domain is doing and sends it VIRQ_DEBUG, as Xen's key does. */
static long debug_keys(struct caller *c, struct xen_sysctl *op)
{
	const struct xen_sysctl_debug_keys *keys = &op->u.debug_keys;

	for (uint32_t i = 0; i < keys->nr_keys && i < 16; i++) {
		char key;

		if (caller_copy_in(c, &key, (uint64_t)(uintptr_t)keys->keys.p + i, 1))
			return -EFAULT;
		for (struct domain *d = key == 'q' ? core_next_domain(c->core, 1) : NULL; d;
		     d = core_next_domain(c->core, d->domid + 1u)) {
			log_info("domain %u: %s, %u vcpus, %llu frames", d->domid,
				 d->is_shutdown ? "shut down" : d->pause_count ? "paused" : "running", d->nr_vcpus,
				 (unsigned long long)d->ram.nr_frames);
			for (unsigned v = 0; d->stage == DOMAIN_ALIVE && v < d->nr_vcpus; v++)
				evtchn_raise_virq(d, VIRQ_DEBUG, v);
		}
	}
	return 0;
}

static const struct {
	uint32_t cmd;
	bool is_out;
	long (*fn)(struct caller *c, struct xen_sysctl *op);
} ops[] = {
	{XEN_SYSCTL_readconsole, true, readconsole},
	{XEN_SYSCTL_physinfo, true, physinfo},
	{XEN_SYSCTL_getdomaininfolist, true, getdomaininfolist},
	{XEN_SYSCTL_debug_keys, false, debug_keys},
};

long sysctl_hypercall(struct caller *c, const uint64_t arg[5])
{
	struct xen_sysctl op;
	long ret;

	if (caller_copy_in(c, &op, arg[0], sizeof(op)))
		return -EFAULT;
	if (op.interface_version != XEN_SYSCTL_INTERFACE_VERSION)
		return -EACCES;
	for (unsigned i = 0; i < sizeof(ops) / sizeof(ops[0]); i++) {
		if (ops[i].cmd != op.cmd)
			continue;
		ret = ops[i].fn(c, &op);
		if (ret >= 0 && ops[i].is_out && caller_copy_out(c, arg[0], &op, sizeof(op)))
			return -EFAULT;
		return ret;
	}
	return -ENOSYS;
}
