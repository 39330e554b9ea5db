/*
 * hv/map_fault.c - why another domain's page could not be mapped, in words. (Apart from the rest: drivers' tests are the
 * hypervisor themselves.)
 */
#include <errno.h>
#include <string.h>

#include "hv/hv.h"

const char *hv_map_fault(int err)
{
	switch (err) {
	case -EINVAL:
		return "there is no such grant";
	case -EACCES:
		return "the grant is another domain's, or read-only";
	case -ENOSPC:
		return "Domain-0's quota of grant maps is used up";
	case -EOPNOTSUPP:
		return "the domain's memory is in huge pages, and these do not follow each other";
	default:
		return strerror(-err);
	}
}
