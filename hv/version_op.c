/*
 * hv/version_op.c - xen_version: what this hypervisor is, in the words of xen/version.h.
 */
#include <errno.h>
#include <string.h>

#include "hv/domain.h"
#include "hv/hypercall.h"

#include <xen/features.h>
#include <xen/version.h>

#define ABI_MAJOR 4
#define ABI_MINOR 14

static long version(struct caller *c, void *arg)
{
	return ABI_MAJOR << 16 | ABI_MINOR;
}

static long extraversion(struct caller *c, void *arg)
{
	strncpy(arg, "-sluice", sizeof(xen_extraversion_t));
	return 0;
}

static long capabilities(struct caller *c, void *arg)
{
	strncpy(arg, "sluice-1.0-local", sizeof(xen_capabilities_info_t));
	return 0;
}

static long get_features(struct caller *c, void *arg)
{
	struct xen_feature_info *op = arg;

	/* Frames are guest-physical, and an event is an fd: no other callback is needed. */
	op->submap = 0;
	if (op->submap_idx == 0)
		op->submap = 1u << XENFEAT_auto_translated_physmap;
	return op->submap_idx < XENFEAT_NR_SUBMAPS ? 0 : -EINVAL;
}

static long pagesize(struct caller *c, void *arg)
{
	return PAGE_BYTES;
}

static long guest_handle(struct caller *c, void *arg)
{
	memcpy(arg, c->domain->uuid, sizeof(xen_domain_handle_t));
	return 0;
}

static const struct hypercall_op ops[] = {
	{XENVER_version, 0, HYPERCALL_ANY, false, version},
	{XENVER_extraversion, sizeof(xen_extraversion_t), HYPERCALL_ANY, true, extraversion},
	{XENVER_capabilities, sizeof(xen_capabilities_info_t), HYPERCALL_ANY, true, capabilities},
	{XENVER_get_features, sizeof(struct xen_feature_info), HYPERCALL_ANY, true, get_features},
	{XENVER_pagesize, 0, HYPERCALL_ANY, false, pagesize},
	{XENVER_guest_handle, sizeof(xen_domain_handle_t), HYPERCALL_ANY, true, guest_handle},
};

const struct hypercall_ops version_hypercalls = {ops, sizeof(ops) / sizeof(ops[0])};
