/*
 * blkback/disk_nbd_absent.c - in place of disk_nbd.c where libnbd is not there.
 *
 * Fails    always, with the sentence that says what to do.
 */
#include <stdio.h>

#include "blkback/disk_image.h"

static int absent_reach(struct disk_image *image, const char *target, char why[256])
{
	snprintf(why, 256, "image %s: this sluice-blkback was built without NBD: install libnbd-dev and build it again", target);
	return -EOPNOTSUPP;
}

const struct disk_engine disk_nbd = {.name = "nbd", .reach = absent_reach};
