/*
 * blkback/blkback.h - the block back end: all vbds that this Domain-0 process serves.
 *
 * Runs in  the loop's thread; each connected device has a thread of its own behind it.
 */
#ifndef SLUICE_BLKBACK_BLKBACK_H
#define SLUICE_BLKBACK_BLKBACK_H

#include <stdio.h>

#include "blkback/disk_image.h"
#include "hv/hv.h"
#include "hv/loop.h"

struct blkback;

struct blkback_options {
	struct disk_options disk;
	unsigned busy_poll_us;
};

/* Serves every vbd in the store, and those that come. The loop and the hv stay the caller's. */
int blkback_create(struct loop *loop, struct hv *hv, const struct blkback_options *options, struct blkback **out);
/* Closes every device, waits for its I/O. NULL is taken. */
void blkback_destroy(struct blkback *bb);
/* Counters, one "name value" a line: vbd.<domid>.<devid>.<name>, those of devices that are gone too, and vbd.total.<name>. */
void blkback_print_stats(const struct blkback *bb, FILE *out);

#endif
