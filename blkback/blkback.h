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

#define BLKBACK_MAX_QUEUES 16u
#define BLKBACK_MAX_SEGMENTS 4096u
#define BLKBACK_MAX_PERSISTENT 65000u
#define BLKBACK_MAX_MERGE_KIB 1024u

struct blkback_options {
	struct disk_options disk;
	unsigned busy_poll_us;
	unsigned max_queues;    /* of one device; at least 1 */
	unsigned max_segments;  /* of an indirect request; 0: none are offered */
	unsigned nr_persistent; /* pages that a queue keeps mapped at most; 0: none are offered */
	unsigned max_merge_kib; /* adjacent requests are merged to so much at most; 0: none are */
	unsigned unused_s;      /* how long without being used */
	bool is_copying;        /* copy granted pages even where mapping is cheap */
};

#define BLKBACK_OPTIONS                                                                                                    \
	{.disk.engine = &disk_uring, .busy_poll_us = 100, .max_queues = 4, .max_segments = 256, .nr_persistent = 1056,     \
	 .unused_s = 60, .max_merge_kib = 64}

/* Serves every vbd in the store, and those that come. The loop and the hv stay the caller's. */
int blkback_create(struct loop *loop, struct hv *hv, const struct blkback_options *options, struct blkback **out);
/* Closes every device, waits for its I/O. NULL is taken. */
void blkback_destroy(struct blkback *bb);
/* Counters, one "name value" a line: vbd.<domid>.<devid>.<name>, those of devices that are gone too, and vbd.total.<name>. */
void blkback_print_stats(const struct blkback *bb, FILE *out);

#endif
