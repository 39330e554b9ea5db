/*
 * hv/hypercall.c - the table of hypercalls, and the one way in and out for their arguments.
 */
#include "hv/hypercall.h"

#include <errno.h>
#include <string.h>

#include "hv/conn.h"
#include "hv/core.h"
#include "hv/domain.h"
#include "rings/atomics.h"

/* A number's commands, with the argument's address in arg[1]; or a function, where Xen's call has another shape. */
struct hypercall_entry {
	enum hypercall_who who;
	const struct hypercall_ops *ops;
	long (*fn)(struct caller *c, const uint64_t arg[5]);
};

static const struct hypercall_entry table[] = {
	[__HYPERVISOR_memory_op] = {HYPERCALL_ANY, &memory_hypercalls, NULL},
	[__HYPERVISOR_set_timer_op] = {HYPERCALL_GUEST, NULL, timer_hypercall},
	[__HYPERVISOR_xen_version] = {HYPERCALL_ANY, &version_hypercalls, NULL},
	[__HYPERVISOR_console_io] = {HYPERCALL_ANY, NULL, console_hypercall},
	[__HYPERVISOR_grant_table_op] = {HYPERCALL_ANY, NULL, grant_hypercall},
	[__HYPERVISOR_sched_op] = {HYPERCALL_ANY, &sched_hypercalls, NULL},
	[__HYPERVISOR_event_channel_op] = {HYPERCALL_ANY, &evtchn_hypercalls, NULL},
	[__HYPERVISOR_physdev_op] = {HYPERCALL_DOM0, &physdev_hypercalls, NULL},
	[__HYPERVISOR_hvm_op] = {HYPERCALL_ANY, &hvm_hypercalls, NULL},
	[__HYPERVISOR_sysctl] = {HYPERCALL_DOM0, NULL, sysctl_hypercall},
	[__HYPERVISOR_domctl] = {HYPERCALL_DOM0, NULL, domctl_hypercall},
	[LOCAL_HYPERCALL] = {HYPERCALL_ANY, &local_hypercalls, NULL},
};

bool caller_is_dom0(const struct caller *c)
{
	return domain_is_dom0(c->domain);
}

bool caller_may(const struct caller *c, enum hypercall_who who)
{
	return who == HYPERCALL_ANY || (who == HYPERCALL_DOM0) == caller_is_dom0(c);
}

int caller_copy_in(const struct caller *c, void *to, uint64_t address, size_t bytes)
{
	const void *from_sh = bytes ? gate_bytes(c->gate, address, bytes) : to;

	if (!from_sh)
		return -EFAULT;
	if (bytes)
		memcpy(to, from_sh, bytes);
	compiler_fence(); /* what is checked from here on is the copy */
	return 0;
}

int caller_copy_out(const struct caller *c, uint64_t address, const void *from, size_t bytes)
{
	void *to_sh = bytes ? gate_bytes(c->gate, address, bytes) : NULL;

	if (!bytes)
		return 0;
	if (!to_sh)
		return -EFAULT;
	memcpy(to_sh, from, bytes);
	return 0;
}

struct domain *caller_domain(const struct caller *c, domid_t domid, int *err)
{
	struct domain *d;

	if (domid == DOMID_SELF || domid == c->domain->domid)
		return c->domain;
	if (!caller_is_dom0(c)) {
		*err = -EPERM;
		return NULL;
	}
	d = core_domain(c->core, domid);
	if (d && d->stage == DOMAIN_ALIVE)
		return d;
	*err = -ESRCH;
	return NULL;
}

struct conn *caller_port_owner(const struct caller *c)
{
	return caller_is_dom0(c) ? c->conn : NULL;
}

static const struct hypercall_op *find_op(const struct hypercall_ops *ops, uint64_t cmd)
{
	for (unsigned i = 0; i < ops->nr; i++)
		if (ops->op[i].cmd == cmd)
			return &ops->op[i];
	return NULL;
}

bool hypercall_known(const struct hypercall_ops *ops, uint64_t cmd)
{
	return find_op(ops, cmd);
}

long hypercall_run(struct caller *c, const struct hypercall_ops *ops, const uint64_t arg[5])
{
	_Alignas(16) uint8_t copy[HYPERCALL_MAX_BYTES];
	const struct hypercall_op *op = find_op(ops, arg[0]);
	long ret;

	if (!op)
		return -ENOSYS;
	if (!caller_may(c, op->who))
		return -EPERM;
	if (caller_copy_in(c, copy, arg[1], op->bytes))
		return -EFAULT;
	ret = op->fn(c, copy);
	if (ret >= 0 && op->is_out && caller_copy_out(c, arg[1], copy, op->bytes))
		return -EFAULT;
	return ret;
}

long hypercall(struct caller *c, const struct local_call *call)
{
	const struct hypercall_entry *entry;

	if (call->nr >= sizeof(table) / sizeof(table[0]))
		return -ENOSYS;
	entry = &table[call->nr];
	if (!entry->ops && !entry->fn)
		return -ENOSYS;
	if (!caller_may(c, entry->who))
		return -EPERM;
	return entry->fn ? entry->fn(c, call->arg) : hypercall_run(c, entry->ops, call->arg);
}
