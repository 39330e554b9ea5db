/*
 * blkback/request.h - is this block request one that may be served?   [hot]
 *
 * Trusts   no field: all of them come from the guest. The struct itself is a private copy.
 * Spec     xen/io/blkif.h. Sectors are 512 bytes whatever the device has. The handle is not looked at: the ring says which
 *          device is meant.
 */
#ifndef SLUICE_BLKBACK_REQUEST_H
#define SLUICE_BLKBACK_REQUEST_H

#include "rings/blkif.h"

struct request_limits {
	uint64_t sectors; /* of the image */
	bool is_readonly;
};

enum request_verdict {
	REQUEST_OK,
	REQUEST_UNSUPPORTED, /* an operation that was not offered */
	REQUEST_MALFORMED,   /* segments: how many, or their sectors */
	REQUEST_BEYOND,      /* past the end of the image, or wrapped */
	REQUEST_READONLY,    /* a write to a read-only device */
	REQUEST_NR_VERDICTS,
};

/* REQUEST_OK: *nr_sectors is what all segments come to; 0 for a flush. */
enum request_verdict request_check(const struct request_limits *limits, const struct blkif_request *req, unsigned *nr_sectors);
/* BLKIF_RSP_*. */
int16_t request_status(enum request_verdict verdict);

#endif
