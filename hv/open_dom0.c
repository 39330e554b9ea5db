/*
 * hv/open_dom0.c - opens Domain-0 on the platform that is meant.
 */
#include "hv/local_dom0.h"
#include "hv/platform.h"

int hv_open_dom0(const struct hv_options *opt, struct hv **out)
{
	bool is_xen;
	int err = platform_choose(opt, false, &is_xen);

	if (err)
		return err;
	return is_xen ? xen_platform.open_dom0(opt, out) : local_dom0_open(opt, out);
}
