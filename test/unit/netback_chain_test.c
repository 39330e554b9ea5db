/*
 * test/unit/netback_chain_test.c - one packet's requests, read out of copied slots.
 */
#include "test.h"

#include "netback/tx_chain.h"

#define MORE NETTXF_more_data
#define EXTRA NETTXF_extra_info

struct slot {
	uint16_t offset, size, flags;
};

static uint32_t load(struct netif_tx_request reqs[256], uint32_t at, const struct slot slots[])
{
	uint32_t n = 0;

	for (; slots[n].flags != UINT16_MAX; n++)
		reqs[(at + n) & 255] = (struct netif_tx_request){
			.gref = 100 + n,
			.offset = slots[n].offset,
			.flags = slots[n].flags,
			.id = (uint16_t)(200 + n),
			.size = slots[n].size,
		};
	return n;
}

/* An extra info slot: type in the low byte, flags in the next, of what would be gref. */
#define END {0, 0, UINT16_MAX}

static void a_chain_says_what_it_is(void **state)
{
	static const struct {
		const char *says;
		enum tx_chain_status status;
		uint32_t nr_slots, nr_frags, first_len;
		struct slot slots[8];
	} cases[] = {
		{"one slot", TX_CHAIN_OK, 1, 1, 60, {{0, 60, 0}, END}},
		{"the smallest", TX_CHAIN_OK, 1, 1, 14, {{0, 14, 0}, END}},
		{"a whole page", TX_CHAIN_OK, 1, 1, 4096, {{0, 4096, 0}, END}},
		{"at the end of a page", TX_CHAIN_OK, 1, 1, 60, {{4036, 60, 0}, END}},
		{"two slots", TX_CHAIN_OK, 2, 2, 1000, {{0, 1500, MORE}, {0, 500, 0}, END}},
		{"two packets", TX_CHAIN_OK, 1, 1, 60, {{0, 60, 0}, {0, 70, 0}, END}},
		{"the largest", TX_CHAIN_SIZES, 2, 2, 0, {{0, 4096, MORE}, {0, 65535, 0}, END}},
		{"nothing", TX_CHAIN_INCOMPLETE, 0, 0, 0, {END}},
		{"the rest is missing", TX_CHAIN_INCOMPLETE, 0, 1, 0, {{0, 1500, MORE}, END}},
		{"too small", TX_CHAIN_TOO_SMALL, 1, 1, 0, {{0, 13, 0}, END}},
		{"empty", TX_CHAIN_TOO_SMALL, 1, 1, 0, {{0, 0, 0}, END}},
		{"too small, in a chain", TX_CHAIN_TOO_SMALL, 2, 2, 0, {{0, 10, MORE}, {0, 5, 0}, END}},
		{"crosses its page", TX_CHAIN_PAGE, 1, 1, 0, {{4037, 60, 0}, END}},
		{"offset beyond the page", TX_CHAIN_PAGE, 1, 1, 0, {{65535, 60, 0}, END}},
		{"longer than a page", TX_CHAIN_PAGE, 1, 1, 0, {{0, 4097, 0}, END}},
		{"offset and size wrap 16 bits", TX_CHAIN_PAGE, 1, 1, 0, {{65000, 600, 0}, END}},
		{"second crosses", TX_CHAIN_PAGE, 2, 2, 1000, {{0, 1500, MORE}, {4000, 500, 0}, END}},
		{"second is empty", TX_CHAIN_EMPTY_FRAG, 2, 2, 1500, {{0, 1500, MORE}, {0, 0, 0}, END}},
		{"first is empty", TX_CHAIN_EMPTY_FRAG, 2, 2, 0, {{0, 500, MORE}, {0, 500, 0}, END}},
		{"fragments longer than the packet", TX_CHAIN_SIZES, 2, 2, 0, {{0, 500, MORE}, {0, 501, 0}, END}},
		{"fragment sums wrap 16 bits", TX_CHAIN_SIZES, 4, 4, 0,
		 {{0, 100, MORE}, {0, 40000, MORE}, {0, 25536, MORE}, {0, 50, 0}, END}},
		{"extra info of no kind", TX_CHAIN_EXTRA, 2, 1, 0, {{0, 1500, EXTRA}, {0, 0, 0}, END}},
		{"extra info, missing", TX_CHAIN_INCOMPLETE, 0, 1, 0, {{0, 1500, EXTRA}, END}},
		{"extra info of no kind and more data", TX_CHAIN_EXTRA, 3, 2, 0,
		 {{0, 1500, EXTRA | MORE}, {0, 0, 0}, {0, 5, 0}, END}},
	};

	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		/* Anywhere in the ring, its end included. */
		for (uint32_t at = 250; at < 258; at++) {
			struct netif_tx_request reqs[256] = {0};
			struct tx_chain c;
			uint32_t n = load(reqs, at, cases[i].slots);

			if (cases[i].slots[0].flags & EXTRA)
				reqs[(at + 1) & 255].gref = XEN_NETIF_EXTRA_TYPE_MAX;
			tx_chain_parse(reqs, 255, at, n, &c);
			if (c.status != cases[i].status || c.nr_slots != cases[i].nr_slots)
				fail_msg("%s: status %d, %u slots", cases[i].says, c.status, c.nr_slots);
			if (c.status != TX_CHAIN_OK)
				continue;
			assert_int_equal(c.nr_frags, cases[i].nr_frags);
			assert_int_equal(c.frag[0].len, cases[i].first_len);
			for (uint32_t f = 0; f < c.nr_frags; f++) {
				assert_int_equal(c.frag[f].ref, 100 + f);
				assert_int_equal(c.frag[f].id, 200 + f);
			}
		}
	}
}

static void put_extra(struct netif_tx_request *req, uint8_t type, uint8_t flags, uint16_t gso_size, uint8_t gso_type)
{
	struct netif_extra_info extra = {.type = type, .flags = flags, .u.gso = {.size = gso_size, .type = gso_type}};

	memset(req, 0xee, sizeof(*req));
	memcpy(req, &extra, sizeof(extra));
}

static void extra_info_says_how_to_segment_or_the_packet_is_refused(void **state)
{
	static const struct {
		uint8_t type, gso_type;
		uint16_t size;
		enum tx_chain_status status;
	} cases[] = {
		{XEN_NETIF_EXTRA_TYPE_GSO, XEN_NETIF_GSO_TYPE_TCPV4, 1448, TX_CHAIN_OK},
		{XEN_NETIF_EXTRA_TYPE_GSO, XEN_NETIF_GSO_TYPE_TCPV6, UINT16_MAX, TX_CHAIN_OK},
		{XEN_NETIF_EXTRA_TYPE_GSO, XEN_NETIF_GSO_TYPE_TCPV4, 0, TX_CHAIN_EXTRA},
		{XEN_NETIF_EXTRA_TYPE_GSO, XEN_NETIF_GSO_TYPE_NONE, 1448, TX_CHAIN_EXTRA},
		{XEN_NETIF_EXTRA_TYPE_GSO, 3, 1448, TX_CHAIN_EXTRA},
		{XEN_NETIF_EXTRA_TYPE_NONE, XEN_NETIF_GSO_TYPE_TCPV4, 1448, TX_CHAIN_EXTRA},
		{XEN_NETIF_EXTRA_TYPE_MAX, XEN_NETIF_GSO_TYPE_TCPV4, 1448, TX_CHAIN_EXTRA},
		{UINT8_MAX, XEN_NETIF_GSO_TYPE_TCPV4, 1448, TX_CHAIN_EXTRA},
	};

	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct netif_tx_request reqs[256] = {0};
		struct tx_chain c;

		reqs[255] = (struct netif_tx_request){.size = 5000, .flags = EXTRA | MORE | NETTXF_csum_blank};
		put_extra(&reqs[0], cases[i].type, 0, cases[i].size, cases[i].gso_type);
		reqs[1] = (struct netif_tx_request){.size = 4096, .id = 7};
		tx_chain_parse(reqs, 255, 255, 3, &c);
		assert_int_equal(c.status, cases[i].status);
		assert_int_equal(c.nr_slots, 3);
		assert_int_equal(c.nr_extras, 1);
		assert_int_equal(c.nr_frags, 2);
		if (c.status != TX_CHAIN_OK)
			continue;
		assert_int_equal(c.gso_type, cases[i].gso_type);
		assert_int_equal(c.gso_size, cases[i].size);
		assert_int_equal(c.frag[0].len, 904);
		assert_int_equal(c.frag[1].id, 7);
	}
}

static void load_chain(struct netif_tx_request reqs[256], uint32_t slots)
{
	for (uint32_t i = 0; i < slots; i++)
		reqs[i] = (struct netif_tx_request){.size = i ? 10 : 2000, .flags = i + 1 < slots ? MORE : 0};
}

static void eighteen_slots_are_a_packet_and_nineteen_are_not(void **state)
{
	struct netif_tx_request reqs[256];
	struct tx_chain c;

	load_chain(reqs, 18);
	tx_chain_parse(reqs, 255, 0, 18, &c);
	assert_int_equal(c.status, TX_CHAIN_OK);
	assert_int_equal(c.nr_frags, 18);
	load_chain(reqs, 19);
	tx_chain_parse(reqs, 255, 0, 19, &c);
	assert_int_equal(c.status, TX_CHAIN_TOO_LONG);
	assert_int_equal(c.nr_slots, 19);
	assert_false(c.open);
}

static void a_chain_without_end_is_refused_after_nineteen_slots_and_stays_open(void **state)
{
	struct netif_tx_request reqs[256];
	struct tx_chain c;

	load_chain(reqs, 256);
	reqs[255].flags = MORE;
	tx_chain_parse(reqs, 255, 0, 256, &c);
	assert_int_equal(c.status, TX_CHAIN_TOO_LONG);
	assert_int_equal(c.nr_slots, 19);
	assert_true(c.open);
}

static void extras_without_end_are_told_apart_from_extras_still_to_come(void **state)
{
	struct netif_tx_request reqs[256] = {0};
	struct tx_chain c;

	reqs[0] = (struct netif_tx_request){.size = 100, .flags = EXTRA};
	for (unsigned i = 1; i < 256; i++)
		reqs[i].gref = XEN_NETIF_EXTRA_TYPE_GSO | XEN_NETIF_EXTRA_FLAG_MORE << 8;
	tx_chain_parse(reqs, 255, 0, TX_MAX_EXTRAS, &c);
	assert_int_equal(c.status, TX_CHAIN_INCOMPLETE);
	tx_chain_parse(reqs, 255, 0, 256, &c);
	assert_int_equal(c.status, TX_CHAIN_BAD_EXTRA);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_chain_says_what_it_is),
		cmocka_unit_test(extra_info_says_how_to_segment_or_the_packet_is_refused),
		cmocka_unit_test(eighteen_slots_are_a_packet_and_nineteen_are_not),
		cmocka_unit_test(a_chain_without_end_is_refused_after_nineteen_slots_and_stays_open),
		cmocka_unit_test(extras_without_end_are_told_apart_from_extras_still_to_come),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
