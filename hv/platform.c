/*
 * hv/platform.c - chooses the platform, and opens a guest on it (Domain-0: open_dom0.c, since guests' programs do not hold that
 * half), and says what went wrong.
 */
#include "hv/platform.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "hv/local_abi.h"
#include "hv/local_guest.h"

int platform_fail(const struct hv_options *opt, int err, const char *fmt, ...)
{
	va_list ap;

	if (!opt || !opt->why)
		return err;
	va_start(ap, fmt);
	vsnprintf(opt->why, HV_WHY_BYTES, fmt, ap);
	va_end(ap);
	return err;
}

/* A guest that sluiced started has its hypercall socket there. */
static bool was_spawned(void)
{
	struct stat st;

	return !fstat(LOCAL_SPAWNED_FD, &st) && S_ISSOCK(st.st_mode);
}

static bool is_xen_here(const struct hv_options *opt, bool as_guest)
{
	if (!&xen_platform || (opt && (opt->run_dir || opt->attach)))
		return false;
	return as_guest ? !was_spawned() && xen_platform.is_guest() : xen_platform.is_dom0();
}

int platform_choose(const struct hv_options *opt, bool as_guest, bool *is_xen)
{
	const char *name = opt ? opt->platform : NULL;

	if (!name)
		*is_xen = is_xen_here(opt, as_guest);
	else if (!strcmp(name, "local"))
		*is_xen = false;
	else if (strcmp(name, "xen"))
		return platform_fail(opt, -ENOTSUP, "there is no hypervisor %s: use local or xen", name);
	else if (!&xen_platform)
		return platform_fail(opt, -ENOTSUP, "this program holds no Xen: %s",
				     as_guest ? "use sluice-guest-xen" : "install libxen-dev and build it again");
	else
		*is_xen = true;
	return 0;
}

int hv_open_guest(const struct hv_options *opt, struct hv **out)
{
	bool is_xen;
	int err = platform_choose(opt, true, &is_xen);

	if (err)
		return err;
	return is_xen ? xen_platform.open_guest(opt, out) : local_guest_open(opt, out);
}
