/*
 * frontends/blkfront_name.c - a disk's name and its number in the store.
 *
 * Spec     Xen's docs/man/xen-vbd-interface.7.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "frontends/blkfront.h"

int blkfront_parse_name(const char *name, unsigned *devid)
{
	/* Xen's own numbering, docs/man/xen-vbd-interface.7: major << 8 | disk << bits | partition. */
	static const struct {
		const char *prefix;
		unsigned base, partition_bits, disks;
	} kinds[] = {{"xvd", 202u << 8, 4, 16}, {"sd", 8u << 8, 4, 16}, {"hd", 3u << 8, 6, 2}};
	unsigned long partition = 0;
	char *end;

	for (unsigned i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++) {
		size_t len = strlen(kinds[i].prefix);
		unsigned disk = 0;

		if (strncmp(name, kinds[i].prefix, len) || name[len] < 'a' ||
		    (disk = (unsigned)(name[len] - 'a')) >= kinds[i].disks)
			continue;
		if (name[len + 1]) {
			if (name[len + 1] < '1' || name[len + 1] > '9')
				return -EINVAL;
			partition = strtoul(name + len + 1, &end, 10);
			if (*end || partition >= 1u << kinds[i].partition_bits)
				return -EINVAL;
		}
		*devid = kinds[i].base | disk << kinds[i].partition_bits | (unsigned)partition;
		return 0;
	}
	if (*name < '0' || *name > '9')
		return -EINVAL;
	partition = strtoul(name, &end, 0);
	if (*end || partition > INT32_MAX)
		return -EINVAL;
	*devid = (unsigned)partition;
	return 0;
}
