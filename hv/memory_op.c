/*
 * hv/memory_op.c - memory_op: a domain's RAM is built from one extent for each populate, and shrinks and regrows by frames.
 *
 * populate_physmap, from Domain-0 and before the domain first runs: the frames of one call follow each other, beginning at the
 * end of the RAM there is, and become one memfd. Afterwards, and by the guest itself: frames that were given back.
 *
 * Spec     xen/memory.h. Returns how many extents were done, as Xen does.
 */
#include <errno.h>

#include "hv/core.h"
#include "hv/domain.h"
#include "hv/hypercall.h"

#include <xen/memory.h>

#define MAX_ORDER 18u           /* 1 GiB, as Xen allows Domain-0 */
#define MAX_FRAMES_OF_ONE_CALL (UINT64_C(1) << 28)
#define MAX_HOLE_FRAMES 1024u   /* work bound for one call: more is for the next */

static int read_frame(struct caller *c, const struct xen_memory_reservation *r, uint64_t i, uint64_t *frame)
{
	uint64_t at = (uint64_t)(uintptr_t)r->extent_start.p;

	return caller_copy_in(c, frame, at + i * sizeof(*frame), sizeof(*frame));
}

static int check(const struct xen_memory_reservation *r)
{
	if (r->extent_order > MAX_ORDER || r->nr_extents > MAX_FRAMES_OF_ONE_CALL >> r->extent_order)
		return -EINVAL;
	return 0;
}

/* New RAM: every frame named must be the next one. */
static long extend(struct caller *c, struct domain *d, const struct xen_memory_reservation *r)
{
	uint64_t next = memory_end(&d->ram);
	int err;

	for (uint64_t i = 0; i < r->nr_extents; i++) {
		uint64_t frame;

		if (read_frame(c, r, i, &frame))
			return -EFAULT;
		if (frame != next)
			return -EINVAL;
		next += UINT64_C(1) << r->extent_order;
	}
	err = memory_extend(&d->ram, r->nr_extents << r->extent_order);
	return err ? err : (long)r->nr_extents;
}

/* Frames of RAM that is there, given back or taken again, until one cannot be. */
static long change(struct caller *c, struct domain *d, const struct xen_memory_reservation *r,
		   int (*fn)(struct memory *m, uint64_t frame))
{
	uint64_t frames = UINT64_C(1) << r->extent_order;
	long done = 0;

	if (frames > MAX_HOLE_FRAMES)
		return -EINVAL;
	for (; (uint64_t)done < r->nr_extents && ((uint64_t)done + 1) * frames <= MAX_HOLE_FRAMES; done++) {
		uint64_t frame;

		if (read_frame(c, r, (uint64_t)done, &frame))
			return done ? done : -EFAULT;
		for (uint64_t i = 0; i < frames; i++) {
			int err = fn(&d->ram, frame + i);

			if (err)
				return done ? done : err;
		}
	}
	return done;
}

static long populate_physmap(struct caller *c, void *arg)
{
	struct xen_memory_reservation *r = arg;
	int err = check(r);
	struct domain *d = err ? NULL : caller_domain(c, r->domid, &err);
	uint64_t first;

	if (!d)
		return err;
	if (domain_is_dom0(d))
		return -EINVAL;
	if (!r->nr_extents)
		return 0;
	if (read_frame(c, r, 0, &first))
		return -EFAULT;
	if (first >= memory_end(&d->ram)) {
		/* Processes that mapped the domain know the extents there were: it grows before, not while it runs. */
		if (!caller_is_dom0(c) || d->has_started)
			return -EPERM;
		return extend(c, d, r);
	}
	return change(c, d, r, memory_refill);
}

static long decrease_reservation(struct caller *c, void *arg)
{
	struct xen_memory_reservation *r = arg;
	int err = check(r);
	struct domain *d = err ? NULL : caller_domain(c, r->domid, &err);

	if (!d)
		return err;
	if (domain_is_dom0(d))
		return -EINVAL;
	err = (int)change(c, d, r, memory_punch);
	/* After the punch: what a back end registers from now on is what the frames will be. Pairs with its acquire. */
	store_release(&d->private_sh->ram_epoch, load_relaxed(&d->private_sh->ram_epoch) + 1);
	return err;
}

static struct domain *asked_domain(struct caller *c, const void *arg, int *err)
{
	const struct xen_memory_domain *op = arg;

	return caller_domain(c, op->domid, err);
}

static long current_reservation(struct caller *c, void *arg)
{
	int err = 0;
	struct domain *d = asked_domain(c, arg, &err);

	return d ? (long)d->ram.nr_frames : err;
}

static long maximum_reservation(struct caller *c, void *arg)
{
	int err = 0;
	struct domain *d = asked_domain(c, arg, &err);

	return d ? (long)d->ram.max_frames : err;
}

static long maximum_gpfn(struct caller *c, void *arg)
{
	int err = 0;
	struct domain *d = asked_domain(c, arg, &err);

	return d ? (long)memory_end(&d->ram) - 1 : err;
}

static const struct hypercall_op ops[] = {
	{XENMEM_populate_physmap, sizeof(struct xen_memory_reservation), HYPERCALL_ANY, false, populate_physmap},
	{XENMEM_decrease_reservation, sizeof(struct xen_memory_reservation), HYPERCALL_ANY, false, decrease_reservation},
	{XENMEM_current_reservation, sizeof(struct xen_memory_domain), HYPERCALL_ANY, false, current_reservation},
	{XENMEM_maximum_reservation, sizeof(struct xen_memory_domain), HYPERCALL_ANY, false, maximum_reservation},
	{XENMEM_maximum_gpfn, sizeof(struct xen_memory_domain), HYPERCALL_ANY, false, maximum_gpfn},
};

const struct hypercall_ops memory_hypercalls = {ops, sizeof(ops) / sizeof(ops[0])};
