/*
 * blkback/request.h - is this block request one that may be served, and what does it ask for?   [hot]
 *
 *      request_parse      all but the segments, from the ring's slot
 *      request_segments   the segments: from the same slot, or from the pages that an indirect request names
 *
 * Trusts   no field: all of them come from the guest. What is looked at is a private copy.
 * Spec     xen/io/blkif.h. Sectors are 512 bytes whatever the device has; what is asked for must begin and end at a sector of
 *          the device. The handle must be the device's low 16 bits where Xen's header gives it a meaning (not in a flush, and
 *          Linux leaves it unset in a discard).
 */
#ifndef SLUICE_BLKBACK_REQUEST_H
#define SLUICE_BLKBACK_REQUEST_H

#include "rings/blkif.h"

struct request_limits {
	uint64_t sectors; /* of the image; a resize changes it while requests are checked (load_relaxed) */
	uint32_t sectors_per_block; /* of the device: 1 or 8; a power of two */
	uint16_t max_segments; /* of an indirect request; 0: not offered */
	uint16_t handle;
	bool is_readonly;
	bool can_discard;
	bool can_secure_discard;
};

enum request_verdict {
	REQUEST_OK,
	REQUEST_UNSUPPORTED, /* an operation that was not offered */
	REQUEST_MALFORMED,   /* segments: how many, or their sectors */
	REQUEST_UNALIGNED,   /* not at a sector of the device */
	REQUEST_BEYOND,      /* past the end of the image, or wrapped */
	REQUEST_READONLY,    /* a write or discard on a read-only device */
	REQUEST_HANDLE,      /* another device's handle */
	REQUEST_NR_VERDICTS,
};

/* What a checked request asks for. */
struct request {
	uint64_t sector;
	uint64_t nr_sectors; /* of a transfer: known after request_segments */
	uint16_t nr_segments;
	uint8_t operation; /* BLKIF_OP_*; of an indirect request the inner one. This is also what its answer says */
	bool is_indirect;
	bool is_secure; /* of a discard */
};

/* *ask is filled as far as an answer needs it whatever the verdict is. */
enum request_verdict request_parse(const struct request_limits *limits, const union blkif_any_request *req, struct request *ask);
/* ask->nr_segments of them. REQUEST_OK: ask->nr_sectors is what they come to. */
enum request_verdict request_segments(const struct request_limits *limits, const struct blkif_request_segment seg[],
				      struct request *ask);
/* BLKIF_RSP_*. */
int16_t request_status(enum request_verdict verdict);

static inline bool request_is_write(const struct request *ask)
{
	return ask->operation == BLKIF_OP_WRITE || ask->operation == BLKIF_OP_WRITE_BARRIER;
}

#endif
