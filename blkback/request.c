/*
 * blkback/request.c - is this block request one that may be served, and what does it ask for?   [hot]
 *
 * Runs in  the queue's thread.
 */
#include "blkback/request.h"

static bool request_is_aligned(const struct request_limits *limits, uint64_t sectors)
{
	return (sectors & (limits->sectors_per_block - 1)) == 0;
}

/* No sum: the sector may be close to 2^64. */
static bool request_is_inside(const struct request_limits *limits, uint64_t sector, uint64_t nr_sectors)
{
	uint64_t end = load_relaxed(&limits->sectors);

	return sector <= end && nr_sectors <= end - sector;
}

static enum request_verdict parse_flush(const struct blkif_request *req)
{
	/* A flush that brings data is a write nobody offered to do: better refused than half done. */
	return req->nr_segments == 0 ? REQUEST_OK : REQUEST_MALFORMED;
}

static enum request_verdict parse_discard(const struct request_limits *limits, const struct blkif_request_discard *req,
					  struct request *ask)
{
	if (!limits->can_discard)
		return REQUEST_UNSUPPORTED;
	if (limits->is_readonly)
		return REQUEST_READONLY;
	/* Where it was not offered the flag is to be ignored. */
	ask->is_secure = limits->can_secure_discard && (req->flag & BLKIF_DISCARD_SECURE);
	ask->sector = req->sector_number;
	ask->nr_sectors = req->nr_sectors;
	if (req->nr_sectors == 0)
		return REQUEST_MALFORMED;
	if (!request_is_aligned(limits, ask->sector | ask->nr_sectors))
		return REQUEST_UNALIGNED;
	return request_is_inside(limits, ask->sector, ask->nr_sectors) ? REQUEST_OK : REQUEST_BEYOND;
}

static enum request_verdict parse_transfer(const struct request_limits *limits, uint64_t sector, uint16_t handle,
					   unsigned max_segments, struct request *ask)
{
	ask->sector = sector;
	if (handle != limits->handle)
		return REQUEST_HANDLE;
	if (request_is_write(ask) && limits->is_readonly)
		return REQUEST_READONLY;
	if (ask->nr_segments > max_segments)
		return REQUEST_MALFORMED;
	if (ask->nr_segments)
		return request_is_aligned(limits, sector) ? REQUEST_OK : REQUEST_UNALIGNED;
	/* A barrier may come alone, and is nowhere then: Linux sends the largest number for its place. */
	ask->sector = 0;
	return ask->operation == BLKIF_OP_WRITE_BARRIER ? REQUEST_OK : REQUEST_MALFORMED;
}

static enum request_verdict parse_indirect(const struct request_limits *limits, const struct blkif_request_indirect *req,
					   struct request *ask)
{
	ask->operation = req->indirect_op;
	ask->nr_segments = req->nr_segments;
	ask->is_indirect = true;
	if (!limits->max_segments)
		return REQUEST_UNSUPPORTED;
	if (req->indirect_op != BLKIF_OP_READ && req->indirect_op != BLKIF_OP_WRITE)
		return REQUEST_MALFORMED;
	return parse_transfer(limits, req->sector_number, req->handle, limits->max_segments, ask);
}

enum request_verdict request_parse(const struct request_limits *limits, const union blkif_any_request *req, struct request *ask)
{
	*ask = (struct request){.operation = req->rw.operation};
	switch (req->rw.operation) {
	case BLKIF_OP_READ:
	case BLKIF_OP_WRITE:
	case BLKIF_OP_WRITE_BARRIER:
		ask->nr_segments = req->rw.nr_segments;
		return parse_transfer(limits, req->rw.sector_number, req->rw.handle, BLKIF_MAX_SEGMENTS_PER_REQUEST, ask);
	case BLKIF_OP_FLUSH_DISKCACHE:
		return parse_flush(&req->rw);
	case BLKIF_OP_DISCARD:
		return parse_discard(limits, &req->discard, ask);
	case BLKIF_OP_INDIRECT:
		return parse_indirect(limits, &req->indirect, ask);
	default:
		return REQUEST_UNSUPPORTED;
	}
}

enum request_verdict request_segments(const struct request_limits *limits, const struct blkif_request_segment seg[],
				      struct request *ask)
{
	unsigned odd = 0, sectors = 0;

	for (unsigned i = 0; i < ask->nr_segments; i++) {
		unsigned n = seg[i].last_sect - seg[i].first_sect + 1u;

		if (seg[i].first_sect > seg[i].last_sect || seg[i].last_sect >= BLKIF_SECTORS_PER_PAGE)
			return REQUEST_MALFORMED;
		odd |= n;
		sectors += n;
	}
	/* Each segment, not just the sum: a device with large sectors takes no smaller piece of memory either. */
	if (!request_is_aligned(limits, odd))
		return REQUEST_UNALIGNED;
	if (!request_is_inside(limits, ask->sector, sectors))
		return REQUEST_BEYOND;
	ask->nr_sectors = sectors;
	return REQUEST_OK;
}

int16_t request_status(enum request_verdict verdict)
{
	if (verdict == REQUEST_OK)
		return BLKIF_RSP_OKAY;
	return verdict == REQUEST_UNSUPPORTED ? BLKIF_RSP_EOPNOTSUPP : BLKIF_RSP_ERROR;
}
