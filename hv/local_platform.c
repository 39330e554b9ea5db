/*
 * hv/local_platform.c - options of the local platform.
 */
#include "hv/local_platform.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "hv/local_abi.h"
#include "hv/platform.h"

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

int local_platform_explain(const struct hv_options *opt, const char *dir, int err)
{
	const char *attach = opt ? opt->attach : NULL;

	switch (err) {
	case 0:
		return 0;
	case -ENOENT:
	case -ECONNREFUSED:
		return platform_fail(opt, err, "no sluiced answers in %s: start sluiced first, or give its --run-dir", dir);
	case -ENAMETOOLONG:
		return platform_fail(opt, err, "the run directory's name is too long for a socket in it: use a shorter one");
	case -ESRCH:
		return platform_fail(opt, err, "there is no domain '%s'; create it first, see sluice list", attach ?: "");
	case -EBUSY:
		return platform_fail(opt, err, "domain '%s' runs already; shut it down first", attach ?: "");
	case -ENOTSOCK:
	case -EBADF:
		if (!attach)
			return platform_fail(opt, err, "this process was not started as a domain; use --attach DOMAIN");
		/* fall through */
	default:
		return platform_fail(opt, err, "sluiced in %s cannot be reached: %s", dir, strerror(-err));
	}
}
