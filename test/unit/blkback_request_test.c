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

/* Both steps, as the data path does them for a request whose segments lie in its slot. */
static enum request_verdict check(const struct request_limits *limits, const struct blkif_request *req, unsigned *sectors)
{
	union blkif_any_request any = {.rw = *req};
	struct request ask;
	enum request_verdict verdict = request_parse(limits, &any, &ask);
	bool has_segments = req->operation == BLKIF_OP_READ || request_is_write(&ask);

	if (verdict == REQUEST_OK && has_segments)
		verdict = request_segments(limits, req->seg, &ask);
	*sectors = verdict == REQUEST_OK ? (unsigned)ask.nr_sectors : 0;
	return verdict;
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
	{"barrier", BLKIF_OP_WRITE_BARRIER, 0, 1, 0, 7, false, REQUEST_OK, 8},
	{"barrier alone", BLKIF_OP_WRITE_BARRIER, 0, 0, 0, 7, false, REQUEST_OK, 0},
	{"barrier alone, anywhere", BLKIF_OP_WRITE_BARRIER, UINT64_MAX, 0, 0, 7, false, REQUEST_OK, 0},
	{"barrier of twelve", BLKIF_OP_WRITE_BARRIER, 0, 12, 0, 7, false, REQUEST_MALFORMED, 0},
	{"barrier on read-only", BLKIF_OP_WRITE_BARRIER, 0, 1, 0, 7, true, REQUEST_READONLY, 0},
	{"barrier across the end", BLKIF_OP_WRITE_BARRIER, SECTORS - 7, 1, 0, 7, false, REQUEST_BEYOND, 0},
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
		struct request_limits limits = {.sectors = SECTORS, .sectors_per_block = 1, .is_readonly = cases[i].readonly};
		struct blkif_request req = a_request(cases[i].op, cases[i].sector, cases[i].nr_segments, cases[i].first,
						     cases[i].last);
		unsigned sectors = 12345;
		enum request_verdict verdict = check(&limits, &req, &sectors);

		if (verdict != cases[i].verdict || sectors != cases[i].sectors)
			fail_msg("%s: verdict %d, sectors %u", cases[i].what, verdict, sectors);
	}
}

static void a_bad_segment_is_found_wherever_it_stands(void **state)
{
	struct request_limits limits = {.sectors = SECTORS, .sectors_per_block = 1};
	unsigned sectors;

	for (unsigned i = 0; i < BLKIF_MAX_SEGMENTS_PER_REQUEST; i++) {
		struct blkif_request req = a_request(BLKIF_OP_READ, 0, BLKIF_MAX_SEGMENTS_PER_REQUEST, 2, 5);

		assert_int_equal(check(&limits, &req, &sectors), REQUEST_OK);
		assert_int_equal(sectors, 44);
		req.seg[i].last_sect = 8;
		assert_int_equal(check(&limits, &req, &sectors), REQUEST_MALFORMED);
		req.seg[i].last_sect = 1;
		assert_int_equal(check(&limits, &req, &sectors), REQUEST_MALFORMED);
		/* Segments beyond nr_segments are not looked at. */
		req.nr_segments = (uint8_t)i;
		assert_int_equal(check(&limits, &req, &sectors), i ? REQUEST_OK : REQUEST_MALFORMED);
	}
}

static void a_device_with_large_sectors_is_asked_for_whole_ones(void **state)
{
	static const struct {
		uint64_t sector;
		unsigned nr_segments, first, last;
		enum request_verdict verdict;
	} large[] = {
		{8, 1, 0, 7, REQUEST_OK},        {16, 11, 0, 7, REQUEST_OK},     {4, 1, 0, 7, REQUEST_UNALIGNED},
		{1, 1, 0, 7, REQUEST_UNALIGNED}, {8, 1, 0, 6, REQUEST_UNALIGNED}, {8, 1, 0, 3, REQUEST_UNALIGNED},
		{8, 2, 0, 3, REQUEST_UNALIGNED}, /* the sum would do */
	};
	struct request_limits limits = {.sectors = SECTORS, .sectors_per_block = 8};
	unsigned sectors;

	for (size_t i = 0; i < ARRAY_LEN(large); i++) {
		struct blkif_request req =
			a_request(BLKIF_OP_WRITE, large[i].sector, large[i].nr_segments, large[i].first, large[i].last);

		assert_int_equal(check(&limits, &req, &sectors), large[i].verdict);
	}
}

static void another_devices_handle_is_refused(void **state)
{
	static const uint8_t ops[] = {BLKIF_OP_READ, BLKIF_OP_WRITE, BLKIF_OP_WRITE_BARRIER};
	struct request_limits limits = {.sectors = SECTORS, .sectors_per_block = 1, .handle = 51712};
	unsigned sectors;

	for (size_t i = 0; i < ARRAY_LEN(ops); i++) {
		struct blkif_request req = a_request(ops[i], 0, 1, 0, 0);

		assert_int_equal(check(&limits, &req, &sectors), REQUEST_HANDLE);
		req.handle = 51712;
		assert_int_equal(check(&limits, &req, &sectors), REQUEST_OK);
	}
	struct blkif_request flush = a_request(BLKIF_OP_FLUSH_DISKCACHE, 0, 0, 0, 0);

	assert_int_equal(check(&limits, &flush, &sectors), REQUEST_OK);
}

static void every_field_of_a_discard_is_checked_at_its_edges(void **state)
{
	static const struct {
		uint64_t sector, nr_sectors;
		uint8_t flag;
		bool can_not, readonly, is_large, can_secure;
		enum request_verdict verdict;
		bool is_secure;
	} discards[] = {
		{.nr_sectors = 1, .verdict = REQUEST_OK},
		{.nr_sectors = SECTORS, .verdict = REQUEST_OK},
		{.sector = SECTORS - 1, .nr_sectors = 1, .verdict = REQUEST_OK},
		{.nr_sectors = 0, .verdict = REQUEST_MALFORMED},
		{.nr_sectors = SECTORS + 1, .verdict = REQUEST_BEYOND},
		{.sector = SECTORS, .nr_sectors = 1, .verdict = REQUEST_BEYOND},
		{.sector = 1, .nr_sectors = UINT64_MAX, .verdict = REQUEST_BEYOND},
		{.sector = UINT64_MAX, .nr_sectors = 1, .verdict = REQUEST_BEYOND},
		{.sector = UINT64_C(1) << 63, .nr_sectors = UINT64_C(1) << 63, .verdict = REQUEST_BEYOND},
		{.nr_sectors = 1, .can_not = true, .verdict = REQUEST_UNSUPPORTED},
		{.nr_sectors = 1, .readonly = true, .verdict = REQUEST_READONLY},
		{.sector = 8, .nr_sectors = 16, .is_large = true, .verdict = REQUEST_OK},
		{.sector = 4, .nr_sectors = 16, .is_large = true, .verdict = REQUEST_UNALIGNED},
		{.sector = 8, .nr_sectors = 15, .is_large = true, .verdict = REQUEST_UNALIGNED},
		{.nr_sectors = 1, .flag = BLKIF_DISCARD_SECURE, .can_secure = true, .verdict = REQUEST_OK, .is_secure = true},
		{.nr_sectors = 1, .flag = BLKIF_DISCARD_SECURE, .verdict = REQUEST_OK},
	};

	for (size_t i = 0; i < ARRAY_LEN(discards); i++) {
		struct request_limits limits = {
			.sectors = SECTORS,
			.sectors_per_block = discards[i].is_large ? 8 : 1,
			.is_readonly = discards[i].readonly,
			.can_discard = !discards[i].can_not,
			.can_secure_discard = discards[i].can_secure,
		};
		union blkif_any_request req;
		struct request ask;

		memset(&req, 0, sizeof(req));
		req.discard = (struct blkif_request_discard){.operation = BLKIF_OP_DISCARD,
							     .flag = discards[i].flag,
							     .handle = 77,
							     .sector_number = discards[i].sector,
							     .nr_sectors = discards[i].nr_sectors};
		if (request_parse(&limits, &req, &ask) != discards[i].verdict || ask.is_secure != discards[i].is_secure)
			fail_msg("discard %zu", i);
	}
}

static void every_field_of_an_indirect_request_is_checked_at_its_edges(void **state)
{
	static const struct {
		uint8_t op;
		uint16_t nr_segments, handle, max_segments;
		bool readonly;
		enum request_verdict verdict;
	} edges[] = {
		{BLKIF_OP_READ, 1, 5, 256, false, REQUEST_OK},
		{BLKIF_OP_WRITE, 256, 5, 256, false, REQUEST_OK},
		{BLKIF_OP_READ, 4096, 5, 4096, false, REQUEST_OK},
		{BLKIF_OP_READ, 0, 5, 256, false, REQUEST_MALFORMED},
		{BLKIF_OP_READ, 257, 5, 256, false, REQUEST_MALFORMED},
		{BLKIF_OP_READ, 65535, 5, 4096, false, REQUEST_MALFORMED},
		{BLKIF_OP_WRITE, 1, 5, 256, true, REQUEST_READONLY},
		{BLKIF_OP_READ, 1, 6, 256, false, REQUEST_HANDLE},
		{BLKIF_OP_READ, 1, 5, 0, false, REQUEST_UNSUPPORTED},
		{BLKIF_OP_WRITE_BARRIER, 1, 5, 256, false, REQUEST_MALFORMED},
		{BLKIF_OP_FLUSH_DISKCACHE, 0, 5, 256, false, REQUEST_MALFORMED},
		{BLKIF_OP_DISCARD, 1, 5, 256, false, REQUEST_MALFORMED},
		{BLKIF_OP_INDIRECT, 1, 5, 256, false, REQUEST_MALFORMED},
	};

	for (size_t i = 0; i < ARRAY_LEN(edges); i++) {
		struct request_limits limits = {.sectors = SECTORS,
						.sectors_per_block = 1,
						.max_segments = edges[i].max_segments,
						.handle = 5,
						.is_readonly = edges[i].readonly};
		union blkif_any_request req;
		struct request ask;

		memset(&req, 0, sizeof(req));
		req.indirect = (struct blkif_request_indirect){.operation = BLKIF_OP_INDIRECT,
							       .indirect_op = edges[i].op,
							       .nr_segments = edges[i].nr_segments,
							       .handle = edges[i].handle};
		if (request_parse(&limits, &req, &ask) != edges[i].verdict)
			fail_msg("indirect %zu", i);
		/* Front ends expect the inner operation in the answer, a refusing one too. */
		assert_int_equal(ask.operation, edges[i].op);
	}
}

static void verdicts_have_their_status(void **state)
{
	assert_int_equal(request_status(REQUEST_OK), BLKIF_RSP_OKAY);
	assert_int_equal(request_status(REQUEST_UNSUPPORTED), BLKIF_RSP_EOPNOTSUPP);
	assert_int_equal(request_status(REQUEST_MALFORMED), BLKIF_RSP_ERROR);
	assert_int_equal(request_status(REQUEST_BEYOND), BLKIF_RSP_ERROR);
	assert_int_equal(request_status(REQUEST_READONLY), BLKIF_RSP_ERROR);
	assert_int_equal(request_status(REQUEST_UNALIGNED), BLKIF_RSP_ERROR);
	assert_int_equal(request_status(REQUEST_HANDLE), BLKIF_RSP_ERROR);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_field_is_checked_at_its_edges),
		cmocka_unit_test(a_bad_segment_is_found_wherever_it_stands),
		cmocka_unit_test(a_device_with_large_sectors_is_asked_for_whole_ones),
		cmocka_unit_test(another_devices_handle_is_refused),
		cmocka_unit_test(every_field_of_a_discard_is_checked_at_its_edges),
		cmocka_unit_test(every_field_of_an_indirect_request_is_checked_at_its_edges),
		cmocka_unit_test(verdicts_have_their_status),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
