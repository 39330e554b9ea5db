/*
 * hv/local_platform.c - options of the local platform.
 */
#include "hv/local_platform.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "hv/local_abi.h"

int local_platform_check(const struct hv_options *opt)
{
	return !opt || !opt->platform || !strcmp(opt->platform, "local") ? 0 : -ENOTSUP;
}

int local_platform_run_dir(const struct hv_options *opt, char *dir, size_t bytes)
{
	const char *from = opt ? opt->run_dir : NULL;

	if (!from)
		from = getenv("SLUICE_RUN_DIR");
	if (!from || !*from)
		from = LOCAL_DEFAULT_RUN_DIR;
	if (strlen(from) + sizeof("/" LOCAL_HYPERCALL_SOCKET) > bytes)
		return -ENAMETOOLONG;
	strcpy(dir, from);
	return 0;
}
