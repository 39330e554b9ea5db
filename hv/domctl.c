/*
 * hv/domctl.c - domctl: what the toolstack does to domains. domctl(address of struct xen_domctl).
 *
 * Spec     xen/domctl.h.
 */
#include "hv/domctl.h"

#include <errno.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "hv/conn.h"
#include "hv/core.h"
#include "hv/domain.h"
#include "hv/hypercall.h"

/* How much of a core the guest's process has used; 0 where that cannot be read. */
static uint64_t cpu_time_ns(const struct domain *d)
{
	pid_t pid = d->spawn.pid ? d->spawn.pid : d->conn ? d->conn->pid : 0;
	struct timespec ts;
	clockid_t clock;

	if (!pid || clock_getcpuclockid(pid, &clock) || clock_gettime(clock, &ts))
		return 0;
	return (uint64_t)ts.tv_sec * 1000000000u + (uint64_t)ts.tv_nsec;
}

void domctl_describe(const struct domain *d, struct xen_domctl_getdomaininfo *info)
{
	memset(info, 0, sizeof(*info));
	info->domain = d->domid;
	if (d->stage != DOMAIN_ALIVE)
		info->flags |= XEN_DOMINF_dying;
	if (d->is_shutdown)
		info->flags |= XEN_DOMINF_shutdown | d->shutdown_reason << XEN_DOMINF_shutdownshift;
	if (d->pause_count)
		info->flags |= XEN_DOMINF_paused;
	else if (!d->is_shutdown && (domain_is_dom0(d) || d->conn))
		info->flags |= d->conn && d->conn->state == CONN_WAITING ? XEN_DOMINF_blocked : XEN_DOMINF_running;
	info->tot_pages = d->ram.nr_frames;
	info->max_pages = d->ram.max_frames;
	info->cpu_time = cpu_time_ns(d);
	info->nr_online_vcpus = d->nr_vcpus;
	info->max_vcpu_id = d->nr_vcpus - 1;
	memcpy(info->handle, d->uuid, sizeof(info->handle));
	info->gpaddr_bits = 44;
}

/* Below 0: Xen's "as many as you give by default". */
static unsigned limit(int32_t wish, unsigned by_default)
{
	return wish < 0 ? by_default : (unsigned)wish;
}

static long createdomain(struct caller *c, struct domain *unused, struct xen_domctl *op)
{
	const struct xen_domctl_createdomain *in = &op->u.createdomain;
	struct domain_config config = {
		.nr_vcpus = in->max_vcpus,
		.nr_grant_frames = limit(in->max_grant_frames, 64),
		.nr_maptrack_frames = limit(in->max_maptrack_frames, 1024),
		.nr_ports = in->max_evtchn_port < LOCAL_MAX_PORTS ? in->max_evtchn_port + 1 : LOCAL_MAX_PORTS,
	};
	struct domain *d;
	int err;

	if (!in->max_evtchn_port)
		config.nr_ports = 0;
	if (XEN_DOMCTL_GRANT_version(in->grant_opts) > 1)
		return -EOPNOTSUPP;
	memcpy(config.uuid, in->handle, sizeof(config.uuid));
	err = domain_create(c->core, &config, op->domain, &d);
	if (err)
		return err;
	d->creator = c->conn;
	op->domain = d->domid;
	return 0;
}

static long destroydomain(struct caller *c, struct domain *d, struct xen_domctl *op)
{
	domain_destroy(d);
	/* It may be freed by now. While it is being killed the answer waits. */
	d = core_domain(c->core, op->domain);
	if (!d || d->stage != DOMAIN_KILLING)
		return 0;
	c->conn->wait_destroyed = d;
	return HYPERCALL_DEFERRED;
}

static long pausedomain(struct caller *c, struct domain *d, struct xen_domctl *op)
{
	return domain_pause(d);
}

static long unpausedomain(struct caller *c, struct domain *d, struct xen_domctl *op)
{
	return domain_unpause(d);
}

/* The domain asked for, or the next one after it. */
static long getdomaininfo(struct caller *c, struct domain *unused, struct xen_domctl *op)
{
	const struct domain *d = core_next_domain(c->core, op->domain);

	if (!d)
		return -ESRCH;
	domctl_describe(d, &op->u.getdomaininfo);
	op->domain = d->domid;
	return 0;
}

static long max_mem(struct caller *c, struct domain *d, struct xen_domctl *op)
{
	uint64_t frames = op->u.max_mem.max_memkb / (PAGE_BYTES / 1024);

	if (frames > LOCAL_MAX_FRAMES)
		return -EINVAL;
	d->ram.max_frames = frames;
	return 0;
}

static long max_vcpus(struct caller *c, struct domain *d, struct xen_domctl *op)
{
	return op->u.max_vcpus.max == d->nr_vcpus ? 0 : -EINVAL; /* createdomain has made them */
}

static long setdomainhandle(struct caller *c, struct domain *d, struct xen_domctl *op)
{
	memcpy(d->uuid, op->u.setdomainhandle.handle, sizeof(d->uuid));
	return 0;
}

static const struct {
	uint32_t cmd;
	bool is_of_guest; /* op->domain must be a living one */
	bool is_out;
	long (*fn)(struct caller *c, struct domain *d, struct xen_domctl *op);
} ops[] = {
	{XEN_DOMCTL_createdomain, false, true, createdomain},
	{XEN_DOMCTL_destroydomain, true, false, destroydomain},
	{XEN_DOMCTL_pausedomain, true, false, pausedomain},
	{XEN_DOMCTL_unpausedomain, true, false, unpausedomain},
	{XEN_DOMCTL_getdomaininfo, false, true, getdomaininfo},
	{XEN_DOMCTL_max_mem, true, false, max_mem},
	{XEN_DOMCTL_max_vcpus, true, false, max_vcpus},
	{XEN_DOMCTL_setdomainhandle, true, false, setdomainhandle},
};

long domctl_hypercall(struct caller *c, const uint64_t arg[5])
{
	struct xen_domctl op;
	struct domain *d = NULL;
	long ret;

	if (caller_copy_in(c, &op, arg[0], sizeof(op)))
		return -EFAULT;
	if (op.interface_version != XEN_DOMCTL_INTERFACE_VERSION)
		return -EACCES;
	for (unsigned i = 0; i < sizeof(ops) / sizeof(ops[0]); i++) {
		if (ops[i].cmd != op.cmd)
			continue;
		if (ops[i].is_of_guest) {
			d = op.domain ? core_domain(c->core, op.domain) : NULL;
			if (!d || (d->stage != DOMAIN_ALIVE && op.cmd != XEN_DOMCTL_destroydomain))
				return op.domain ? -ESRCH : -EINVAL;
		}
		ret = ops[i].fn(c, d, &op);
		if (ret >= 0 && ops[i].is_out && caller_copy_out(c, arg[0], &op, sizeof(op)))
			return -EFAULT;
		return ret;
	}
	return -ENOSYS;
}
