/*
 * hv/local_platform.h - what both kinds of local domain read from struct hv_options.
 */
#ifndef SLUICE_HV_LOCAL_PLATFORM_H
#define SLUICE_HV_LOCAL_PLATFORM_H

#include "hv/hv.h"

/* -ENOTSUP: another platform was asked for. */
int local_platform_check(const struct hv_options *opt);
/* -ENAMETOOLONG: a socket in it could not be named. */
int local_platform_run_dir(const struct hv_options *opt, char *dir, size_t bytes);

#endif
