/*
 * test/unit/netfront_offload_test.c - headers found and not found; offloads to a TAP's description and back; checksums filled in.
 */
#include <arpa/inet.h>

#include "frontends/netfront_offload.h"
#include "test.h"

#define ALL (NETFRONT_SG | NETFRONT_CSUM4 | NETFRONT_CSUM6 | NETFRONT_GSO4 | NETFRONT_GSO6)

static uint8_t frame[4 * PAGE_BYTES] __attribute__((aligned(PAGE_BYTES)));
static struct iovec pieces[4];

struct shape {
	unsigned tags;
	bool is_v6;
	unsigned options; /* of IPv4: words; of IPv6: extension headers of 8 bytes */
	uint8_t protocol;
	uint16_t flags; /* of IPv4: fragment field */
};

static uint8_t *put16(uint8_t *p, unsigned v)
{
	p[0] = (uint8_t)(v >> 8);
	p[1] = (uint8_t)v;
	return p + 2;
}

/* Writes a frame of bytes bytes; returns where the TCP or UDP header is. */
static unsigned build(const struct shape *s, unsigned bytes)
{
	uint32_t seed = bytes + s->tags;
	uint8_t *p = frame + 12;
	unsigned l3, l4;

	for (unsigned i = 0; i < bytes; i++)
		frame[i] = (uint8_t)test_random(&seed);
	for (unsigned i = 0; i < s->tags; i++)
		p = put16(put16(p, 0x8100), 7);
	p = put16(p, s->is_v6 ? 0x86dd : 0x0800);
	l3 = (unsigned)(p - frame);
	if (s->is_v6) {
		l4 = l3 + 40 + s->options * 8;
		p[0] = 0x60;
		put16(p + 4, bytes - l3 - 40);
		p[6] = s->options ? 0 : s->protocol;
		for (unsigned i = 0; i < s->options; i++) {
			p[40 + i * 8] = i + 1 < s->options ? 60 : s->protocol;
			p[41 + i * 8] = 0;
		}
	} else {
		l4 = l3 + 20 + s->options * 4;
		p[0] = (uint8_t)(0x45 + s->options);
		put16(p + 2, bytes - l3);
		put16(p + 6, s->flags);
		p[9] = s->protocol;
	}
	frame[l4 + 12] = 0x50; /* a TCP header of 20 bytes */
	for (unsigned i = 0; i < 4; i++)
		pieces[i] = (struct iovec){frame + i * PAGE_BYTES, PAGE_BYTES};
	return l4;
}

static const struct shape good[] = {
	{0, false, 0, 6, 0}, {0, false, 0, 17, 0}, {1, false, 5, 6, 0}, {2, false, 10, 17, 0x4000},
	{0, true, 0, 6, 0},  {0, true, 0, 17, 0},  {1, true, 1, 6, 0},	{2, true, 3, 17, 0},
};

static void headers_are_found_behind_tags_and_options(void **state)
{
	for (unsigned i = 0; i < ARRAY_LEN(good); i++) {
		unsigned l4 = build(&good[i], 400);
		struct netfront_headers h;

		assert_int_equal(netfront_find_headers(frame, 256, &h), 0);
		assert_int_equal(h.l4, l4);
		assert_int_equal(h.protocol, good[i].protocol);
		assert_int_equal(h.is_v6, good[i].is_v6);
		for (unsigned cut = 0; cut < l4; cut++)
			assert_int_equal(netfront_find_headers(frame, cut, &h), -EINVAL);
	}
}

static void what_has_no_such_header_is_said_to_have_none(void **state)
{
	static const struct shape bad[] = {{3, false, 0, 6, 0},	     {0, false, 0, 1, 0},  {0, false, 0, 6, 0x2000},
					   {0, false, 0, 6, 0x1fff}, {0, true, 0, 44, 0}, {0, true, 9, 6, 0},
					   {0, true, 0, 58, 0}};
	struct netfront_headers h;

	for (unsigned i = 0; i < ARRAY_LEN(bad); i++) {
		build(&bad[i], 400);
		assert_int_equal(netfront_find_headers(frame, 256, &h), -EINVAL);
	}
	build(&good[0], 400);
	frame[14] = 0x44; /* an IPv4 header of 16 bytes */
	assert_int_equal(netfront_find_headers(frame, 256, &h), -EINVAL);
	frame[14] = 0x65; /* version 6 in an IPv4 frame */
	assert_int_equal(netfront_find_headers(frame, 256, &h), -EINVAL);
}

/* The checksum of a TCP or UDP packet from its first principles; a right one sums to ffff. */
static uint16_t sum_of(const struct shape *s, unsigned l4, unsigned bytes)
{
	unsigned l3 = 14 + 4 * s->tags;
	uint64_t sum = s->protocol + (bytes - l4);

	for (unsigned i = 0; i < (s->is_v6 ? 32u : 8u); i++)
		sum += (uint64_t)frame[l3 + (s->is_v6 ? 8 : 12) + i] << (i % 2 ? 0 : 8);
	for (unsigned i = l4; i < bytes; i++)
		sum += (uint64_t)frame[i] << ((i - l4) % 2 ? 0 : 8);
	while (sum >> 16)
		sum = (sum & 0xffff) + (sum >> 16);
	return (uint16_t)sum;
}

static void a_blank_checksum_crosses_or_is_filled_in(void **state)
{
	static const unsigned sizes[] = {100, 101, 1514, 4095, 4096, 4097, 8193, 12001};

	for (unsigned i = 0; i < ARRAY_LEN(good); i++) {
		for (unsigned k = 0; k < ARRAY_LEN(sizes); k++) {
			unsigned bytes = sizes[k] + 64, l4 = build(&good[i], bytes);
			struct netfront_meta meta = {.flags = NETFRONT_CSUM_BLANK};
			struct virtio_net_hdr hdr;

			/* What the receiver's side makes of a blank frame is what its TAP needs. */
			assert_int_equal(netfront_to_virtio(&meta, frame, 256, bytes, &hdr), 0);
			assert_int_equal(hdr.flags, VIRTIO_NET_HDR_F_NEEDS_CSUM);
			assert_int_equal(hdr.csum_start, l4);
			assert_int_equal(netfront_from_virtio(&hdr, pieces, bytes, ALL, &meta), 0);
			assert_int_equal(meta.flags, NETFRONT_CSUM_BLANK | NETFRONT_CSUM_VALID);
			/* A back end that does not take it gets the whole sum. */
			assert_int_equal(netfront_from_virtio(&hdr, pieces, bytes,
							      good[i].is_v6 ? NETFRONT_CSUM4 : NETFRONT_CSUM6, &meta), 0);
			assert_int_equal(meta.flags, 0);
			assert_int_equal(sum_of(&good[i], l4, bytes), 0xffff);
		}
	}
}

static void a_padded_packet_counts_without_its_padding(void **state)
{
	struct netfront_meta meta = {.flags = NETFRONT_CSUM_BLANK};
	unsigned l4 = build(&good[1], 50);
	struct virtio_net_hdr hdr;

	memset(frame + 50, 0, 10);
	assert_int_equal(netfront_to_virtio(&meta, frame, 60, 60, &hdr), 0);
	assert_int_equal(netfront_from_virtio(&hdr, pieces, 60, 0, &meta), 0);
	assert_int_equal(sum_of(&good[1], l4, 50), 0xffff);
}

static void a_large_frame_keeps_its_segment_size(void **state)
{
	for (unsigned i = 0; i < ARRAY_LEN(good); i++) {
		struct netfront_meta meta = {.flags = NETFRONT_CSUM_BLANK, .gso_size = 1400}, back;
		struct virtio_net_hdr hdr;
		unsigned l4 = build(&good[i], 9000);
		int rc = good[i].protocol == 6 ? 0 : -EINVAL;

		meta.gso_type = good[i].is_v6 ? XEN_NETIF_GSO_TYPE_TCPV6 : XEN_NETIF_GSO_TYPE_TCPV4;
		assert_int_equal(netfront_to_virtio(&meta, frame, 256, 9000, &hdr), rc);
		if (rc)
			continue;
		assert_int_equal(hdr.gso_size, 1400);
		assert_int_equal(hdr.hdr_len, l4 + 20);
		assert_int_equal(netfront_from_virtio(&hdr, pieces, 9000, ALL, &back), 0);
		assert_int_equal(back.gso_type, meta.gso_type);
		assert_int_equal(back.gso_size, 1400);
		assert_int_equal(netfront_from_virtio(&hdr, pieces, 9000, ALL & ~(NETFRONT_GSO4 | NETFRONT_GSO6), &back), -EINVAL);
		meta.gso_type ^= 3; /* the other family */
		assert_int_equal(netfront_to_virtio(&meta, frame, 256, 9000, &hdr), -EINVAL);
	}
}

static void a_frame_that_lies_about_itself_is_refused(void **state)
{
	struct netfront_meta blank = {.flags = NETFRONT_CSUM_BLANK}, meta;
	struct virtio_net_hdr hdr = {.flags = VIRTIO_NET_HDR_F_NEEDS_CSUM, .csum_start = 65535, .csum_offset = 16};
	static const struct shape icmp = {0, false, 0, 1, 0};

	build(&icmp, 400);
	assert_int_equal(netfront_to_virtio(&blank, frame, 256, 400, &hdr), -EINVAL);
	hdr = (struct virtio_net_hdr){.flags = VIRTIO_NET_HDR_F_NEEDS_CSUM, .csum_start = 65535, .csum_offset = 16};
	assert_int_equal(netfront_from_virtio(&hdr, pieces, 400, ALL, &meta), -EINVAL);
	hdr.csum_start = 399;
	assert_int_equal(netfront_from_virtio(&hdr, pieces, 400, ALL, &meta), -EINVAL);
	hdr = (struct virtio_net_hdr){.gso_type = VIRTIO_NET_HDR_GSO_TCPV4, .gso_size = 100}; /* without a blank checksum */
	assert_int_equal(netfront_from_virtio(&hdr, pieces, 400, ALL, &meta), -EINVAL);
	hdr = (struct virtio_net_hdr){.gso_type = VIRTIO_NET_HDR_GSO_UDP, .gso_size = 100};
	assert_int_equal(netfront_from_virtio(&hdr, pieces, 400, ALL, &meta), -EINVAL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(headers_are_found_behind_tags_and_options),
		cmocka_unit_test(what_has_no_such_header_is_said_to_have_none),
		cmocka_unit_test(a_blank_checksum_crosses_or_is_filled_in),
		cmocka_unit_test(a_padded_packet_counts_without_its_padding),
		cmocka_unit_test(a_large_frame_keeps_its_segment_size),
		cmocka_unit_test(a_frame_that_lies_about_itself_is_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
