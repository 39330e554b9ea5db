/*
 * test/unit/guest_test.c - the parts of sluice-guest that need no domain: captures on disks, percentiles, names of disks.
 */
#include "test.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "frontends/blkfront.h"
#include "hv/histogram.h"
#include "tools/guest_pcap.h"

struct memory_disk {
	uint8_t *bytes;
	uint64_t size;
	unsigned ios;
	int fail_with;
};

static int check_io(struct memory_disk *d, uint64_t at, size_t len)
{
	d->ios++;
	assert_int_equal(at % PCAP_SECTOR, 0);
	assert_true(at + len <= d->size);
	assert_true(len % PCAP_SECTOR == 0 || at + len == d->size);
	return d->fail_with;
}

static int disk_read(void *arg, uint64_t at, void *data, size_t len)
{
	struct memory_disk *d = arg;
	int rc = check_io(d, at, len);

	if (!rc)
		memcpy(data, d->bytes + at, len);
	return rc;
}

static int disk_write(void *arg, uint64_t at, void *data, size_t len)
{
	struct memory_disk *d = arg;
	int rc = check_io(d, at, len);

	if (!rc)
		memcpy(d->bytes + at, data, len);
	return rc;
}

static uint8_t packet[PCAP_MAX_PACKET], back[PCAP_MAX_PACKET];

static void fill(uint32_t n, uint32_t len)
{
	for (uint32_t i = 0; i < len; i++)
		packet[i] = (uint8_t)(n * 31 + i * 7 + i / 256);
}

static uint32_t length_of(uint32_t n)
{
	static const uint32_t lengths[] = {14, 60, 1514, 9014, 65535, 1, 4096, 4097};

	return lengths[n % ARRAY_LEN(lengths)];
}

static void what_is_written_as_a_capture_is_read_back(void **state)
{
	static const uint64_t sizes[] = {4 << 20, (4 << 20) + 512}; /* whole sectors of 4096, and not */
	static struct guest_pcap_writer w;
	static struct guest_pcap_reader r;

	for (unsigned k = 0; k < ARRAY_LEN(sizes); k++) {
		struct memory_disk d = {.bytes = calloc(1, sizes[k]), .size = sizes[k]};
		uint32_t len;

		memset(d.bytes, 0xcc, sizes[k]);
		assert_int_equal(guest_pcap_create(&w, disk_write, &d, d.size), 0);
		for (uint32_t n = 0; n < 300; n++) {
			fill(n, length_of(n));
			assert_int_equal(guest_pcap_append(&w, n * UINT64_C(1000000007), packet, length_of(n)), 0);
		}
		assert_int_equal(guest_pcap_finish(&w), 0);
		/* The rest of the disk was not written, but for the last sector. */
		assert_int_equal(d.bytes[w.file_bytes - w.file_bytes % PCAP_SECTOR + PCAP_SECTOR], 0xcc);
		memset(d.bytes + w.file_bytes, 0, d.size - w.file_bytes);
		assert_int_equal(guest_pcap_open(&r, disk_read, &d, d.size), 0);
		for (uint32_t n = 0; n < 300; n++) {
			fill(n, length_of(n));
			assert_int_equal(guest_pcap_next(&r, back, &len), 1);
			assert_int_equal(len, length_of(n));
			assert_memory_equal(packet, back, len);
		}
		assert_int_equal(guest_pcap_next(&r, back, &len), 0);
		assert_int_equal(r.truncated, 0);
		free(d.bytes);
	}
}

static void a_full_disk_takes_no_part_of_a_packet(void **state)
{
	static struct guest_pcap_writer w;
	uint8_t bytes[8192] = {0};
	struct memory_disk d = {.bytes = bytes, .size = sizeof(bytes)};

	assert_int_equal(guest_pcap_create(&w, disk_write, &d, 23), -ENOSPC);
	assert_int_equal(guest_pcap_create(&w, disk_write, &d, d.size), 0);
	assert_int_equal(guest_pcap_append(&w, 0, packet, 8000), 0);
	assert_int_equal(guest_pcap_append(&w, 0, packet, 8192 - 24 - 16 - 8000 - 16 + 1), -ENOSPC);
	assert_int_equal(guest_pcap_append(&w, 0, packet, 8192 - 24 - 16 - 8000 - 16), 0);
	assert_int_equal(guest_pcap_append(&w, 0, packet, 1), -ENOSPC);
	assert_int_equal(guest_pcap_finish(&w), 0);
	assert_int_equal(w.file_bytes, 8192);
}

/* A header with that magic and link type, and one record with that header. */
static void write_file(uint8_t *bytes, uint32_t magic, uint32_t link, uint32_t seconds, uint32_t held, uint32_t length)
{
	uint32_t words[10] = {magic, 0x00040002, 0, 0, 65535, link, seconds, 0, held, length};

	memcpy(bytes, words, sizeof(words));
}

static void damaged_captures_are_told_apart(void **state)
{
	static const struct {
		uint32_t magic, link, seconds, held, length;
		int open_rc, next_rc;
	} t[] = {
		{0xa1b2c3d4, 1, 1, 100, 100, 0, 1},
		{0xa1b23c4d, 1, 1, 100, 100, 0, 1},
		{0xd4c3b2a1, 0x01000000, 1, 0x64000000, 0x64000000, 0, 1},
		{0x4d3cb2a1, 0x01000000, 1, 0x64000000, 0x64000000, 0, 1},
		{0xa1b2c3d4, 1, 0, 0, 0, 0, 0},
		{0xa1b2c3d4, 1, 1, 0, 0, 0, -EBADMSG},
		{0xa1b2c3d4, 1, 1, 65536, 65536, 0, -EBADMSG},
		{0xa1b2c3d4, 1, 1, UINT32_MAX, 1, 0, -EBADMSG},
		{0xa1b2c3d4, 1, 1, 512 - 40 + 1, 1, 0, -EBADMSG}, /* beyond the disk */
		{0xa1b2c3d4, 1, 1, 512 - 40, 1, 0, 1},
		{0xa1b2c3d4, 113, 1, 100, 100, -EPROTONOSUPPORT, 0},
		{0x0a0d0d0a, 1, 1, 100, 100, -EINVAL, 0}, /* pcapng */
		{0, 0, 0, 0, 0, -EINVAL, 0},
	};
	static struct guest_pcap_reader r;

	for (unsigned i = 0; i < ARRAY_LEN(t); i++) {
		uint8_t bytes[512] = {0};
		struct memory_disk d = {.bytes = bytes, .size = sizeof(bytes)};
		uint32_t len;

		write_file(bytes, t[i].magic, t[i].link, t[i].seconds, t[i].held, t[i].length);
		assert_int_equal(guest_pcap_open(&r, disk_read, &d, d.size), t[i].open_rc);
		if (!t[i].open_rc)
			assert_int_equal(guest_pcap_next(&r, back, &len), t[i].next_rc);
		d.fail_with = -EIO;
		assert_int_equal(guest_pcap_open(&r, disk_read, &d, d.size), -EIO);
	}
}

static void a_percentile_is_close_to_the_exact_one(void **state)
{
	static struct histogram h;
	static const unsigned permille[] = {1, 100, 500, 900, 990, 999, 1000};

	assert_int_equal(histogram_permille(&h, 500), 0);
	for (uint64_t v = 1; v <= 1000000; v++)
		histogram_add(&h, v * 3);
	for (unsigned i = 0; i < ARRAY_LEN(permille); i++) {
		double exact = permille[i] * 3000.0, got = (double)histogram_permille(&h, permille[i]);

		assert_true(got >= exact && got <= exact * 1.017);
	}
	assert_int_equal(histogram_permille(&h, 1000), 3000000);
}

static void every_value_has_a_bucket_that_holds_it(void **state)
{
	static struct histogram far;

	for (unsigned shift = 0; shift < 64; shift++) {
		for (int64_t d = -1; d <= 1; d++) {
			uint64_t v = (UINT64_C(1) << shift) + (uint64_t)d;
			unsigned b = histogram_bucket(v);

			assert_true(b < HISTOGRAM_BUCKETS_OF(shift < 7 ? 7 : shift + 1));
			assert_true(histogram_value(b) >= v);
			assert_true(b == 0 || histogram_value(b - 1) < v);
		}
	}
	histogram_add(&far, UINT64_MAX); /* beyond all buckets: in the last */
	assert_int_equal(far.bucket[HISTOGRAM_BUCKETS - 1], 1);
	assert_true(histogram_permille(&far, 500) == UINT64_MAX);
}

static void names_of_disks_are_xens(void **state)
{
	static const struct {
		const char *name;
		int rc;
		unsigned devid;
	} t[] = {
		{"xvda", 0, 51712},  {"xvdb", 0, 51728},      {"xvdp", 0, 51952},	  {"xvda1", 0, 51713},	{"xvdb15", 0, 51743},
		{"hda", 0, 768},     {"hdb", 0, 832},	      {"sda", 0, 2048},		  {"sdb2", 0, 2066},	{"51712", 0, 51712},
		{"0xca00", 0, 51712}, {"xvd", -EINVAL, 0},     {"xvdA", -EINVAL, 0},	  {"xvdq", -EINVAL, 0}, {"xvda16", -EINVAL, 0},
		{"xvda0", -EINVAL, 0}, {"xvda1x", -EINVAL, 0}, {"hdc", -EINVAL, 0},	  {"", -EINVAL, 0},	{"-1", -EINVAL, 0},
		{"vda", -EINVAL, 0}, {"99999999999", -EINVAL, 0}, {"xvda+1", -EINVAL, 0},
	};

	for (unsigned i = 0; i < ARRAY_LEN(t); i++) {
		unsigned devid = 0;

		assert_int_equal(blkfront_parse_name(t[i].name, &devid), t[i].rc);
		assert_int_equal(devid, t[i].devid);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_is_written_as_a_capture_is_read_back),
		cmocka_unit_test(a_full_disk_takes_no_part_of_a_packet),
		cmocka_unit_test(damaged_captures_are_told_apart),
		cmocka_unit_test(a_percentile_is_close_to_the_exact_one),
		cmocka_unit_test(every_value_has_a_bucket_that_holds_it),
		cmocka_unit_test(names_of_disks_are_xens),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
