/*
 * hv/local_platform.h - what both kinds of local domain read from struct hv_options.
 */
#ifndef SLUICE_HV_LOCAL_PLATFORM_H
#define SLUICE_HV_LOCAL_PLATFORM_H

#include "hv/hv.h"

/* -ENAMETOOLONG: a socket in it could not be named. */
int local_platform_run_dir(const struct hv_options *opt, char *dir, size_t bytes);
/* Says in opt->why what the -errno of an open means for the user; returns it. */
int local_platform_explain(const struct hv_options *opt, const char *dir, int err);

#endif
