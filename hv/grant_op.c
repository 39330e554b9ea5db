/*
 * hv/grant_op.c - grant_table_op, as far as it needs the core.
 *
 * A local guest has its grant frames mapped from the start, and a Domain-0 process pins and maps by itself
 * (grant/grant_map.h). What comes here are questions about the table, and copies between two guests. Mapping another
 * domain's page cannot work by hypercall: the core cannot put a page into another process's address space; map_grant_ref
 * and unmap_grant_ref get -ENOSYS.
 *
 * Spec     xen/grant_table.h. The array commands do all elements that they reach and write each status.
 */
#include <errno.h>

#include "grant/grant_copy.h"
#include "hv/core.h"
#include "hv/domain.h"
#include "hv/hypercall.h"

#define MAX_COPIES 256u /* work bound for one call; what is left over is returned, as by Xen when it is preempted */

static long setup_table(struct caller *c, void *arg)
{
	struct gnttab_setup_table *op = arg;
	uint64_t list = (uint64_t)(uintptr_t)op->frame_list.p;
	int err = 0;
	struct domain *d = caller_domain(c, op->dom, &err);

	if (!d || domain_is_dom0(d)) {
		op->status = err == -EPERM ? GNTST_permission_denied : GNTST_bad_domain;
		return 0;
	}
	if (op->nr_frames > d->nr_grant_frames) {
		op->status = GNTST_general_error;
		return 0;
	}
	/* The table is no part of the RAM: the list says which pages of the shared object it is. */
	for (uint64_t i = 0; i < op->nr_frames; i++) {
		uint64_t page = 1 + i;

		if (caller_copy_out(c, list + i * sizeof(page), &page, sizeof(page)))
			return -EFAULT;
	}
	op->status = GNTST_okay;
	return 0;
}

static long query_size(struct caller *c, void *arg)
{
	struct gnttab_query_size *op = arg;
	int err = 0;
	struct domain *d = caller_domain(c, op->dom, &err);

	op->status = d ? GNTST_okay : err == -EPERM ? GNTST_permission_denied : GNTST_bad_domain;
	if (d)
		op->nr_frames = op->max_nr_frames = d->nr_grant_frames;
	return 0;
}

static long get_version(struct caller *c, void *arg)
{
	struct gnttab_get_version *op = arg;
	int err = 0;

	if (!caller_domain(c, op->dom, &err))
		return err;
	op->version = 1;
	return 0;
}

static long set_version(struct caller *c, void *arg)
{
	struct gnttab_set_version *op = arg;

	if (op->version == 2)
		return -ENOSYS;
	return op->version == 1 ? 0 : -EINVAL;
}

/* One end of a copy: a grant of another domain (a slot is needed for its pin), or a frame of the caller's own. */
struct copy_end {
	struct domain *domain;
	unsigned slot;
	struct grant_peer peer;
};

static int16_t open_end(struct caller *c, const struct gnttab_copy_ptr *ptr, bool is_ref, struct copy_end *end)
{
	domid_t domid = ptr->domid == DOMID_SELF ? c->domain->domid : ptr->domid;
	struct domain *d = core_domain(c->core, domid);

	if (!d || d->stage != DOMAIN_ALIVE || domain_is_dom0(d))
		return GNTST_bad_domain;
	end->domain = d;
	if (!is_ref)
		return d == c->domain ? GNTST_okay : GNTST_permission_denied;
	for (end->slot = 0; end->slot < GRANT_MAX_SLOTS && d->mapper[end->slot]; end->slot++)
		;
	/* The pin lasts for this copy only, so a slot that is free now is enough. */
	if (end->slot == GRANT_MAX_SLOTS)
		return GNTST_eagain;
	end->peer = domain_grant_peer(d, end->slot, c->domain->domid);
	return GNTST_okay;
}

static int16_t copy_one(struct caller *c, const struct gnttab_copy *op)
{
	bool src_is_ref = op->flags & GNTCOPY_source_gref, dst_is_ref = op->flags & GNTCOPY_dest_gref;
	struct copy_end src, dst;
	int16_t status = open_end(c, &op->source, src_is_ref, &src);

	if (status == GNTST_okay)
		status = open_end(c, &op->dest, dst_is_ref, &dst);
	if (status != GNTST_okay)
		return status;
	return grant_copy_between(src_is_ref ? &src.peer : NULL, &src.domain->ram.gate, dst_is_ref ? &dst.peer : NULL,
				  &dst.domain->ram.gate, op);
}

static long copy(struct caller *c, uint64_t address, uint64_t count)
{
	uint64_t nr = count < MAX_COPIES ? count : MAX_COPIES;

	for (uint64_t i = 0; i < nr; i++) {
		struct gnttab_copy op;
		uint64_t at = address + i * sizeof(op);

		if (caller_copy_in(c, &op, at, sizeof(op)))
			return -EFAULT;
		op.status = copy_one(c, &op);
		if (caller_copy_out(c, at, &op, sizeof(op)))
			return -EFAULT;
	}
	return (long)(count - nr);
}

static const struct hypercall_op ops[] = {
	{GNTTABOP_setup_table, sizeof(struct gnttab_setup_table), HYPERCALL_ANY, true, setup_table},
	{GNTTABOP_query_size, sizeof(struct gnttab_query_size), HYPERCALL_ANY, true, query_size},
	{GNTTABOP_get_version, sizeof(struct gnttab_get_version), HYPERCALL_ANY, true, get_version},
	{GNTTABOP_set_version, sizeof(struct gnttab_set_version), HYPERCALL_ANY, true, set_version},
};

static const struct hypercall_ops single = {ops, sizeof(ops) / sizeof(ops[0])};

/* grant_table_op(cmd, address, count) */
long grant_hypercall(struct caller *c, const uint64_t arg[5])
{
	if (arg[0] == GNTTABOP_copy)
		return arg[2] > INT32_MAX ? -EINVAL : copy(c, arg[1], arg[2]);
	/* The others are asked for one at a time by every caller there is; Xen itself insists on that for these. */
	return arg[2] == 1 ? hypercall_run(c, &single, arg) : hypercall_known(&single, arg[0]) ? -EINVAL : -ENOSYS;
}
