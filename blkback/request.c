/*
 * blkback/request.c - is this block request one that may be served?   [hot]
 *
 * Runs in  the queue's thread.
 */
#include "blkback/request.h"

/* Sectors of all segments, or 0 when one of them is impossible. */
static unsigned request_count_sectors(const struct blkif_request *req)
{
	unsigned sectors = 0;

	for (unsigned i = 0; i < req->nr_segments; i++) {
		const struct blkif_request_segment *seg = &req->seg[i];

		if (seg->first_sect > seg->last_sect || seg->last_sect >= BLKIF_SECTORS_PER_PAGE)
			return 0;
		sectors += seg->last_sect - seg->first_sect + 1u;
	}
	return sectors;
}

enum request_verdict request_check(const struct request_limits *limits, const struct blkif_request *req, unsigned *nr_sectors)
{
	unsigned sectors;

	*nr_sectors = 0;
	if (req->operation == BLKIF_OP_FLUSH_DISKCACHE)
		/* A flush that brings data is a write nobody offered to do: better refused than half done. */
		return req->nr_segments == 0 ? REQUEST_OK : REQUEST_MALFORMED;
	if (req->operation != BLKIF_OP_READ && req->operation != BLKIF_OP_WRITE)
		return REQUEST_UNSUPPORTED;
	if (req->nr_segments == 0 || req->nr_segments > BLKIF_MAX_SEGMENTS_PER_REQUEST)
		return REQUEST_MALFORMED;
	sectors = request_count_sectors(req);
	if (sectors == 0)
		return REQUEST_MALFORMED;
	if (req->operation == BLKIF_OP_WRITE && limits->is_readonly)
		return REQUEST_READONLY;
	/* No sum: sector_number may be close to 2^64. */
	if (req->sector_number > limits->sectors || sectors > limits->sectors - req->sector_number)
		return REQUEST_BEYOND;
	*nr_sectors = sectors;
	return REQUEST_OK;
}

int16_t request_status(enum request_verdict verdict)
{
	if (verdict == REQUEST_OK)
		return BLKIF_RSP_OKAY;
	return verdict == REQUEST_UNSUPPORTED ? BLKIF_RSP_EOPNOTSUPP : BLKIF_RSP_ERROR;
}
