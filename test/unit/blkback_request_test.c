/*
 * test/unit/blkback_request_test.c - which block requests may be served, each field at its edges.
 */
#include "blkback/request.h"
#include "test.h"

#define SECTORS 1000u

static struct blkif_request a_request(uint8_t op, uint64_t sector, unsigned nr_segments, unsigned first, unsigned last)
{
	struct blkif_request req;

	memset(&req, 0, sizeof(req));
	req.operation = op;
	req.nr_segments = (uint8_t)nr_segments;
	req.sector_number = sector;
	for (unsigned i = 0; i < BLKIF_MAX_SEGMENTS_PER_REQUEST; i++) {
		req.seg[i].first_sect = (uint8_t)first;
		req.seg[i].last_sect = (uint8_t)last;
	}
	return req;
}

static const struct {
	const char *what;
	uint8_t op;
	uint64_t sector;
	unsigned nr_segments, first, last;
	bool readonly;
	enum request_verdict verdict;
	unsigned sectors;
} cases[] = {
	{"one sector", BLKIF_OP_READ, 0, 1, 0, 0, false, REQUEST_OK, 1},
	{"a page", BLKIF_OP_WRITE, 0, 1, 0, 7, false, REQUEST_OK, 8},
	{"the last sector of a page", BLKIF_OP_READ, 0, 1, 7, 7, false, REQUEST_OK, 1},
	{"eleven pages", BLKIF_OP_READ, 0, 11, 0, 7, false, REQUEST_OK, 88},
	{"the last sector", BLKIF_OP_WRITE, SECTORS - 1, 1, 0, 0, false, REQUEST_OK, 1},
	{"the last 88 sectors", BLKIF_OP_READ, SECTORS - 88, 11, 0, 7, false, REQUEST_OK, 88},
	{"no segment", BLKIF_OP_READ, 0, 0, 0, 7, false, REQUEST_MALFORMED, 0},
	{"twelve segments", BLKIF_OP_READ, 0, 12, 0, 0, false, REQUEST_MALFORMED, 0},
	{"255 segments", BLKIF_OP_WRITE, 0, 255, 0, 0, false, REQUEST_MALFORMED, 0},
	{"first after last", BLKIF_OP_READ, 0, 1, 1, 0, false, REQUEST_MALFORMED, 0},
	{"last beyond the page", BLKIF_OP_READ, 0, 1, 0, 8, false, REQUEST_MALFORMED, 0},
	{"both beyond the page", BLKIF_OP_READ, 0, 1, 8, 8, false, REQUEST_MALFORMED, 0},
	{"last 255", BLKIF_OP_READ, 0, 1, 0, 255, false, REQUEST_MALFORMED, 0},
	{"one beyond the end", BLKIF_OP_READ, SECTORS, 1, 0, 0, false, REQUEST_BEYOND, 0},
	{"across the end", BLKIF_OP_WRITE, SECTORS - 87, 11, 0, 7, false, REQUEST_BEYOND, 0},
	{"far away", BLKIF_OP_READ, UINT64_C(1) << 55, 1, 0, 0, false, REQUEST_BEYOND, 0},
	{"wrapping sectors", BLKIF_OP_READ, UINT64_MAX, 1, 0, 0, false, REQUEST_BEYOND, 0},
	{"wrapping sum", BLKIF_OP_WRITE, UINT64_MAX - 87, 11, 0, 7, false, REQUEST_BEYOND, 0},
	{"wrapping bytes", BLKIF_OP_READ, UINT64_C(1) << 55, 1, 0, 7, false, REQUEST_BEYOND, 0},
	{"write to read-only", BLKIF_OP_WRITE, 0, 1, 0, 7, true, REQUEST_READONLY, 0},
	{"read of read-only", BLKIF_OP_READ, 0, 1, 0, 7, true, REQUEST_OK, 8},
	{"flush", BLKIF_OP_FLUSH_DISKCACHE, 0, 0, 0, 0, false, REQUEST_OK, 0},
	{"flush of read-only", BLKIF_OP_FLUSH_DISKCACHE, 0, 0, 0, 0, true, REQUEST_OK, 0},
	{"flush anywhere", BLKIF_OP_FLUSH_DISKCACHE, UINT64_MAX, 0, 0, 0, false, REQUEST_OK, 0},
	{"flush with data", BLKIF_OP_FLUSH_DISKCACHE, 0, 1, 0, 7, false, REQUEST_MALFORMED, 0},
	{"barrier", BLKIF_OP_WRITE_BARRIER, 0, 1, 0, 7, false, REQUEST_UNSUPPORTED, 0},
	{"reserved", BLKIF_OP_RESERVED_1, 0, 1, 0, 7, false, REQUEST_UNSUPPORTED, 0},
	{"discard", BLKIF_OP_DISCARD, 0, 0, 0, 0, false, REQUEST_UNSUPPORTED, 0},
	{"secure discard", BLKIF_OP_DISCARD, 0, BLKIF_DISCARD_SECURE, 0, 0, false, REQUEST_UNSUPPORTED, 0},
	{"indirect", BLKIF_OP_INDIRECT, 0, 1, 0, 7, false, REQUEST_UNSUPPORTED, 0},
	{"unknown", 7, 0, 1, 0, 7, false, REQUEST_UNSUPPORTED, 0},
	{"unknown", 255, 0, 1, 0, 7, false, REQUEST_UNSUPPORTED, 0},
};

static void every_field_is_checked_at_its_edges(void **state)
{
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct request_limits limits = {.sectors = SECTORS, .is_readonly = cases[i].readonly};
		struct blkif_request req = a_request(cases[i].op, cases[i].sector, cases[i].nr_segments, cases[i].first,
						     cases[i].last);
		unsigned sectors = 12345;
		enum request_verdict verdict = request_check(&limits, &req, &sectors);

		if (verdict != cases[i].verdict || sectors != cases[i].sectors)
			fail_msg("%s: verdict %d, sectors %u", cases[i].what, verdict, sectors);
	}
}

static void a_bad_segment_is_found_wherever_it_stands(void **state)
{
	struct request_limits limits = {.sectors = SECTORS};
	unsigned sectors;

	for (unsigned i = 0; i < BLKIF_MAX_SEGMENTS_PER_REQUEST; i++) {
		struct blkif_request req = a_request(BLKIF_OP_READ, 0, BLKIF_MAX_SEGMENTS_PER_REQUEST, 2, 5);

		assert_int_equal(request_check(&limits, &req, &sectors), REQUEST_OK);
		assert_int_equal(sectors, 44);
		req.seg[i].last_sect = 8;
		assert_int_equal(request_check(&limits, &req, &sectors), REQUEST_MALFORMED);
		req.seg[i].last_sect = 1;
		assert_int_equal(request_check(&limits, &req, &sectors), REQUEST_MALFORMED);
		/* Segments beyond nr_segments are not looked at. */
		req.nr_segments = (uint8_t)i;
		assert_int_equal(request_check(&limits, &req, &sectors), i ? REQUEST_OK : REQUEST_MALFORMED);
	}
}

static void any_handle_is_served(void **state)
{
	struct request_limits limits = {.sectors = SECTORS};
	struct blkif_request req = a_request(BLKIF_OP_READ, 0, 1, 0, 0);
	unsigned sectors;

	req.handle = 0xffff;
	assert_int_equal(request_check(&limits, &req, &sectors), REQUEST_OK);
}

static void verdicts_have_their_status(void **state)
{
	assert_int_equal(request_status(REQUEST_OK), BLKIF_RSP_OKAY);
	assert_int_equal(request_status(REQUEST_UNSUPPORTED), BLKIF_RSP_EOPNOTSUPP);
	assert_int_equal(request_status(REQUEST_MALFORMED), BLKIF_RSP_ERROR);
	assert_int_equal(request_status(REQUEST_BEYOND), BLKIF_RSP_ERROR);
	assert_int_equal(request_status(REQUEST_READONLY), BLKIF_RSP_ERROR);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_field_is_checked_at_its_edges),
		cmocka_unit_test(a_bad_segment_is_found_wherever_it_stands),
		cmocka_unit_test(any_handle_is_served),
		cmocka_unit_test(verdicts_have_their_status),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
