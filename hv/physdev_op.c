/*
 * hv/physdev_op.c - physdev_op: a physical interrupt is a device's fd, which comes along with PHYSDEVOP_map_pirq.
 *
 * Spec     xen/physdev.h.
 */
#include <errno.h>

#include "hv/core.h"
#include "hv/hypercall.h"
#include "hv/pirq.h"

#include <xen/physdev.h>

static long map_pirq(struct caller *c, void *arg)
{
	struct physdev_map_pirq *op = arg;

	if (op->domid != DOMID_SELF && op->domid != 0)
		return -EPERM;
	if (c->fd_in < 0)
		return -EBADF;
	return pirq_map(c->core, c->conn, &c->fd_in, false, &op->pirq);
}

static long unmap_pirq(struct caller *c, void *arg)
{
	struct physdev_unmap_pirq *op = arg;

	if (op->domid != DOMID_SELF && op->domid != 0)
		return -EPERM;
	return pirq_unmap(c->core, c->conn, op->pirq);
}

static long eoi(struct caller *c, void *arg)
{
	struct physdev_eoi *op = arg;

	return pirq_eoi(c->core, c->conn, (int)op->irq);
}

static long irq_status_query(struct caller *c, void *arg)
{
	struct physdev_irq_status_query *op = arg;

	op->flags = XENIRQSTAT_needs_eoi;
	return 0;
}

static const struct hypercall_op ops[] = {
	{PHYSDEVOP_map_pirq, sizeof(struct physdev_map_pirq), HYPERCALL_DOM0, true, map_pirq},
	{PHYSDEVOP_unmap_pirq, sizeof(struct physdev_unmap_pirq), HYPERCALL_DOM0, false, unmap_pirq},
	{PHYSDEVOP_eoi, sizeof(struct physdev_eoi), HYPERCALL_DOM0, false, eoi},
	{PHYSDEVOP_irq_status_query, sizeof(struct physdev_irq_status_query), HYPERCALL_DOM0, true, irq_status_query},
};

const struct hypercall_ops physdev_hypercalls = {ops, sizeof(ops) / sizeof(ops[0])};
