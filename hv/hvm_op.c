/*
 * hv/hvm_op.c - hvm_op: the parameters by which a guest finds its store and console.
 *
 * Spec     xen/hvm/hvm_op.h, xen/hvm/params.h.
 */
#include <errno.h>

#include "hv/core.h"
#include "hv/domain.h"
#include "hv/hypercall.h"

#include <xen/hvm/hvm_op.h>

static struct domain *asked(struct caller *c, const struct xen_hvm_param *op, int *err)
{
	struct domain *d = caller_domain(c, op->domid, err);

	if (d && (domain_is_dom0(d) || op->index >= HVM_NR_PARAMS)) {
		*err = -EINVAL;
		d = NULL;
	}
	return d;
}

static long set_param(struct caller *c, void *arg)
{
	struct xen_hvm_param *op = arg;
	int err = 0;
	struct domain *d = asked(c, op, &err);

	if (!d)
		return err;
	/* How it wants to be called back is a guest's own affair; where its store and console are is the toolstack's. */
	if (!caller_is_dom0(c) && op->index != HVM_PARAM_CALLBACK_IRQ)
		return -EPERM;
	d->param[op->index] = op->value;
	return 0;
}

static long get_param(struct caller *c, void *arg)
{
	struct xen_hvm_param *op = arg;
	int err = 0;
	struct domain *d = asked(c, op, &err);

	if (!d)
		return err;
	op->value = d->param[op->index];
	return 0;
}

static const struct hypercall_op ops[] = {
	{HVMOP_set_param, sizeof(struct xen_hvm_param), HYPERCALL_ANY, false, set_param},
	{HVMOP_get_param, sizeof(struct xen_hvm_param), HYPERCALL_ANY, true, get_param},
};

const struct hypercall_ops hvm_hypercalls = {ops, sizeof(ops) / sizeof(ops[0])};
