/*
 * hv/platform.h - the platforms that a program is linked with, and which one a call of hv_open_dom0 or hv_open_guest means.
 *
 * local is in every program. xen is in those that are linked with hv_xen_dep: a guest's program stands in an empty root, and
 * may not want Xen's libraries.
 */
#ifndef SLUICE_HV_PLATFORM_H
#define SLUICE_HV_PLATFORM_H

#include "hv/hv.h"

struct hv_platform {
	/* Is this process in a domain that such a program would serve from? Asked when the caller named no platform. */
	bool (*is_dom0)(void);
	bool (*is_guest)(void);
	int (*open_dom0)(const struct hv_options *opt, struct hv **out);
	int (*open_guest)(const struct hv_options *opt, struct hv **out);
};

/* The real Xen. Its address is NULL in a program that is not linked with it. */
extern const struct hv_platform xen_platform __attribute__((weak));

/* What was asked for; else xen where it is there, and nothing was asked for that only local has. -ENOTSUP: unknown here. */
int platform_choose(const struct hv_options *opt, bool as_guest, bool *is_xen);

/* Leaves a sentence in opt->why, if it is wanted; returns err. */
int platform_fail(const struct hv_options *opt, int err, const char *fmt, ...) __attribute__((format(printf, 3, 4)));

#endif
