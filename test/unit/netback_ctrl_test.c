/*
 * test/unit/netback_ctrl_test.c - the control ring: hashing as Xen specifies it, staging grants, and every bound.
 */
#include "test.h"

#include "netback/ctrl.h"
#include "netback/vif_port.h"
#include "vif_box.h"

#include <rte_ip.h>
#include <rte_tcp.h>

#define CTRL_FRAME (BOX_FRAMES - 1)
#define ARG_FRAME (BOX_FRAMES - 2)
#define NR_QUEUES 4

enum {
	OK = XEN_NETIF_CTRL_STATUS_SUCCESS,
	INVALID = XEN_NETIF_CTRL_STATUS_INVALID_PARAMETER,
	OVERFLOW = XEN_NETIF_CTRL_STATUS_BUFFER_OVERFLOW,
	UNSUPPORTED = XEN_NETIF_CTRL_STATUS_NOT_SUPPORTED,
};

static struct vif_box box;
static struct vif_port port;
static struct vif_part part;
static struct ctrl ctrl;
static struct netif_ctrlr_front front;
static grant_ref_t ring_ref, arg_ref;

/* All queues of the port are the one that there is: only their number matters here. */
static void begin(void)
{
	const char *what;

	vif_box_init(&box, true);
	netif_ctrlr_front_init(&front, grant_box_page(&box.grants, CTRL_FRAME), PAGE_BYTES);
	ring_ref = box.ref[CTRL_FRAME - VIF_BOX_FIRST_FRAME];
	arg_ref = box.ref[ARG_FRAME - VIF_BOX_FIRST_FRAME];
	memset(&port, 0, sizeof(port));
	port.nr_queues = NR_QUEUES;
	for (unsigned i = 0; i < NR_QUEUES; i++)
		port.queue[i] = box.queue;
	assert_int_equal(ctrl_open(&ctrl, (struct hv *)&box, 3, ring_ref, 7, false, &what), 0);
	part = (struct vif_part){.port = &port, .nr_own = NR_QUEUES};
	for (uint16_t i = 0; i < NR_QUEUES; i++)
		part.own[i] = i;
	ctrl.target = (struct ctrl_target){.queue = port.queue, .nr_queues = NR_QUEUES, .steer = &port.steer};
}

static void end(void)
{
	ctrl_close(&ctrl);
	vif_box_finish(&box);
}

static void *arg_page(void)
{
	return grant_box_page(&box.grants, ARG_FRAME);
}

static uint32_t ask(uint16_t type, uint32_t a, uint32_t b, uint32_t c, uint32_t *out)
{
	static uint16_t id;
	struct xen_netif_ctrl_request req = {.id = ++id, .type = type, .data = {a, b, c}};
	struct xen_netif_ctrl_response rsp;

	netif_ctrlr_front_put(&front, &req);
	netif_ctrlr_front_push(&front);
	assert_int_equal(ctrl_serve(&ctrl), 0);
	assert_int_equal(netif_ctrlr_front_pending(&front), 1);
	netif_ctrlr_front_take(&front, &rsp);
	assert_int_equal(rsp.id, id);
	assert_int_equal(rsp.type, type);
	if (out)
		*out = rsp.data;
	return rsp.status;
}

static const uint8_t known_key[STEER_KEY_BYTES] = {
	0x6d, 0x5a, 0x56, 0xda, 0x25, 0x5b, 0x0e, 0xc2, 0x41, 0x67, 0x25, 0x3d, 0x43, 0xa3, 0x8f, 0xb0, 0xd0, 0xca, 0x2b, 0xcb,
	0xae, 0x7b, 0x30, 0xb4, 0x77, 0xcb, 0x2d, 0xa3, 0x80, 0x30, 0xf2, 0x0c, 0x6a, 0x42, 0xb7, 0x3b, 0xbe, 0xac, 0x01, 0xfa};

static void hashing_on(uint32_t types)
{
	memcpy(arg_page(), known_key, sizeof(known_key));
	assert_int_equal(ask(XEN_NETIF_CTRL_TYPE_SET_HASH_ALGORITHM, XEN_NETIF_CTRL_HASH_ALGORITHM_TOEPLITZ, 0, 0, NULL), OK);
	assert_int_equal(ask(XEN_NETIF_CTRL_TYPE_SET_HASH_KEY, arg_ref, sizeof(known_key), 0, NULL), OK);
	assert_int_equal(ask(XEN_NETIF_CTRL_TYPE_SET_HASH_FLAGS, types, 0, 0, NULL), OK);
}

static struct rte_mbuf *tcp_packet(bool is_ipv6, uint8_t proto)
{
	static const uint8_t v6_src[16] = {0x3f, 0xfe, 0x25, 0x01, 0x02, 0, 0x1f, 0xff, [15] = 7};
	static const uint8_t v6_dst[16] = {0x3f, 0xfe, 0x25, 0x01, 0x02, 0, 0, 3, [15] = 1};
	struct rte_mbuf *m = vif_box_packet(100, 2000, 0);
	uint8_t *p = rte_pktmbuf_mtod(m, uint8_t *), *ip = p + RTE_ETHER_HDR_LEN, *l4 = ip + (is_ipv6 ? 40 : 20);

	memset(p, 0, 100);
	((struct rte_ether_hdr *)p)->ether_type = rte_cpu_to_be_16(is_ipv6 ? RTE_ETHER_TYPE_IPV6 : RTE_ETHER_TYPE_IPV4);
	if (is_ipv6) {
		struct rte_ipv6_hdr *v6 = (struct rte_ipv6_hdr *)ip;

		v6->vtc_flow = RTE_BE32(6u << 28);
		v6->proto = proto;
		memcpy(v6->src_addr, v6_src, 16);
		memcpy(v6->dst_addr, v6_dst, 16);
	} else {
		*(struct rte_ipv4_hdr *)ip = (struct rte_ipv4_hdr){
			.version_ihl = 0x45, .next_proto_id = proto, .src_addr = RTE_BE32(RTE_IPV4(66, 9, 149, 187)),
			.dst_addr = RTE_BE32(RTE_IPV4(161u, 142, 100, 80))};
	}
	((struct rte_tcp_hdr *)l4)->src_port = RTE_BE16(2794);
	((struct rte_tcp_hdr *)l4)->dst_port = RTE_BE16(1766);
	return m;
}

static void hashes_are_those_of_the_published_vectors(void **state)
{
	static const struct {
		bool is_ipv6;
		uint8_t proto, type;
		uint32_t types, value;
	} cases[] = {
		{false, IPPROTO_TCP, _XEN_NETIF_CTRL_HASH_TYPE_IPV4_TCP, 15, 0x51ccc178},
		{false, IPPROTO_TCP, _XEN_NETIF_CTRL_HASH_TYPE_IPV4, XEN_NETIF_CTRL_HASH_TYPE_IPV4, 0x323e8fc2},
		{false, IPPROTO_UDP, _XEN_NETIF_CTRL_HASH_TYPE_IPV4, 15, 0x323e8fc2},
		{true, IPPROTO_TCP, _XEN_NETIF_CTRL_HASH_TYPE_IPV6_TCP, 15, 0x40207d3d},
		{true, IPPROTO_UDP, _XEN_NETIF_CTRL_HASH_TYPE_IPV6, 15, 0x2cc18cd5},
	};

	begin();
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct rte_mbuf *m = tcp_packet(cases[i].is_ipv6, cases[i].proto);
		struct steer_hash hash = {0};

		hashing_on(cases[i].types);
		assert_true(steer_hash(&port.steer, m, &hash));
		assert_int_equal(hash.value, cases[i].value);
		assert_int_equal(hash.type, cases[i].type);
		rte_pktmbuf_free(m);
	}
	end();
}

static void a_packet_goes_to_the_queue_of_the_mapping_and_says_its_hash(void **state)
{
	uint32_t *mapping = arg_page();
	struct netif_extra_info extra;
	struct netif_rx_response rsp;
	struct rte_mbuf *m;

	begin();
	mapping = arg_page();
	hashing_on(15);
	assert_int_equal(ask(XEN_NETIF_CTRL_TYPE_SET_HASH_MAPPING_SIZE, 4, 0, 0, NULL), OK);
	for (uint32_t i = 0; i < 4; i++)
		mapping[i] = 3 - i;
	assert_int_equal(ask(XEN_NETIF_CTRL_TYPE_SET_HASH_MAPPING, arg_ref, 4, 0, NULL), OK);
	assert_int_equal(steer_queue(&port.steer, 0x51ccc178, NR_QUEUES), 3 - 0x51ccc178 % 4);
	assert_true(box.queue->wants_hash);
	vif_box_post(&box, 0, 2);
	m = tcp_packet(false, IPPROTO_TCP);
	vif_port_out(&part, &m, 1);
	assert_int_equal(netif_rxr_front_pending(&box.rx), 2);
	netif_rxr_front_take(&box.rx, &rsp);
	assert_int_equal(rsp.flags, NETRXF_extra_info);
	netif_rxr_front_take(&box.rx, &rsp);
	memcpy(&extra, &rsp, sizeof(extra));
	assert_int_equal(extra.type, XEN_NETIF_EXTRA_TYPE_HASH);
	assert_int_equal(extra.u.hash.type, _XEN_NETIF_CTRL_HASH_TYPE_IPV4_TCP);
	assert_int_equal(extra.u.hash.algorithm, XEN_NETIF_CTRL_HASH_ALGORITHM_TOEPLITZ);
	assert_int_equal(rte_le_to_cpu_32(*(unaligned_uint32_t *)extra.u.hash.value), 0x51ccc178);
	/* Off again. */
	assert_int_equal(ask(XEN_NETIF_CTRL_TYPE_SET_HASH_ALGORITHM, 0, 0, 0, NULL), OK);
	assert_false(box.queue->wants_hash);
	end();
}

static void a_request_out_of_bounds_gets_its_status_and_changes_nothing(void **state)
{
	static const struct {
		const char *says;
		uint16_t type;
		uint32_t data[3]; /* ARG: the argument page's grant */
		uint32_t status;
	} cases[] = {
#define ARG 0xa0a0a0a0u
#define ASK(name) XEN_NETIF_CTRL_TYPE_##name
		{"no type", 0, {0}, UNSUPPORTED},
		{"beyond the last type", 11, {0}, UNSUPPORTED},
		{"the last type there can be", UINT16_MAX, {0}, UNSUPPORTED},
		{"an unknown algorithm", ASK(SET_HASH_ALGORITHM), {2}, INVALID},
		{"hash types that do not exist", ASK(SET_HASH_FLAGS), {16}, INVALID},
		{"a key of 41 bytes", ASK(SET_HASH_KEY), {ARG, 41}, OVERFLOW},
		{"a key without end", ASK(SET_HASH_KEY), {ARG, UINT32_MAX}, OVERFLOW},
		{"a key in nobody's page", ASK(SET_HASH_KEY), {UINT32_MAX, 40}, INVALID},
		{"a mapping of 129", ASK(SET_HASH_MAPPING_SIZE), {129}, INVALID},
		{"more entries than there are", ASK(SET_HASH_MAPPING), {ARG, 9, 0}, INVALID},
		{"more entries than fit", ASK(SET_HASH_MAPPING), {ARG, 129, 0}, OVERFLOW},
		{"entries behind the end", ASK(SET_HASH_MAPPING), {ARG, 1, 8}, INVALID},
		{"offset and number wrap", ASK(SET_HASH_MAPPING), {ARG, 8, UINT32_MAX - 3}, INVALID},
		{"the number wraps", ASK(SET_HASH_MAPPING), {ARG, UINT32_MAX, 2}, OVERFLOW},
		{"a mapping in nobody's page", ASK(SET_HASH_MAPPING), {1u << 30, 8, 0}, INVALID},
		{"staging of no queue", ASK(GET_GREF_MAPPING_SIZE), {NR_QUEUES}, INVALID},
		{"adding to no queue", ASK(ADD_GREF_MAPPING), {NR_QUEUES, ARG, 1}, INVALID},
		{"a list longer than its page", ASK(ADD_GREF_MAPPING), {0, ARG, 513}, INVALID},
		{"a list without end", ASK(ADD_GREF_MAPPING), {0, ARG, UINT32_MAX}, INVALID},
		{"a list in nobody's page", ASK(ADD_GREF_MAPPING), {0, UINT32_MAX, 1}, INVALID},
		{"removing from no queue", ASK(DEL_GREF_MAPPING), {UINT32_MAX, ARG, 1}, INVALID},
		{"removing more than a page", ASK(DEL_GREF_MAPPING), {0, ARG, 1u << 31}, INVALID},
		{"an empty key", ASK(SET_HASH_KEY), {UINT32_MAX, 0}, OK},
		{"an empty mapping", ASK(SET_HASH_MAPPING), {UINT32_MAX, 0, 8}, OK},
		{"an empty list", ASK(ADD_GREF_MAPPING), {0, UINT32_MAX, 0}, OK},
	};
	struct steer before;
	uint32_t *page;

	begin();
	page = arg_page();
	assert_int_equal(ask(XEN_NETIF_CTRL_TYPE_GET_HASH_FLAGS, 0, 0, 0, NULL), UNSUPPORTED);
	assert_int_equal(ask(XEN_NETIF_CTRL_TYPE_SET_HASH_FLAGS, 1, 0, 0, NULL), UNSUPPORTED);
	hashing_on(15);
	assert_int_equal(ask(XEN_NETIF_CTRL_TYPE_SET_HASH_MAPPING_SIZE, 8, 0, 0, NULL), OK);
	before = port.steer;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		uint32_t data[3];

		for (unsigned d = 0; d < 3; d++)
			data[d] = cases[i].data[d] == ARG ? arg_ref : cases[i].data[d];
		memset(page, 0, PAGE_BYTES);
		if (ask(cases[i].type, data[0], data[1], data[2], NULL) != cases[i].status)
			fail_msg("%s: another status", cases[i].says);
		if (cases[i].status != OK)
			assert_memory_equal(&port.steer, &before, sizeof(before));
		assert_null(box.queue->stage);
	}
	/* One entry that is no queue spoils the whole part. */
	for (uint32_t i = 0; i < 8; i++)
		page[i] = i == 5 ? NR_QUEUES : 1;
	assert_int_equal(ask(XEN_NETIF_CTRL_TYPE_SET_HASH_MAPPING, arg_ref, 8, 0, NULL), INVALID);
	for (uint32_t i = 0; i < 8; i++)
		assert_int_equal(port.steer.mapping[i], 0);
	/* A smaller table forgets; what lies behind it is not reached (XSA-270). */
	page[5] = 2;
	assert_int_equal(ask(XEN_NETIF_CTRL_TYPE_SET_HASH_MAPPING, arg_ref, 8, 0, NULL), OK);
	assert_int_equal(ask(XEN_NETIF_CTRL_TYPE_SET_HASH_MAPPING_SIZE, 2, 0, 0, NULL), OK);
	assert_int_equal(ask(XEN_NETIF_CTRL_TYPE_SET_HASH_MAPPING, arg_ref, 1, 5, NULL), INVALID);
	assert_int_equal(steer_queue(&port.steer, 5, NR_QUEUES), 0);
	end();
}

static void an_impossible_control_ring_is_told(void **state)
{
	begin();
	store_relaxed(&front.sh->head.req_prod, 1000);
	assert_int_equal(ctrl_serve(&ctrl), -EPROTO);
	end();
}

/* ---- staging --------------------------------------------------------------------------------------------------------- */

static uint32_t stage(unsigned first, unsigned nr, uint16_t flags, uint16_t type, uint32_t *out)
{
	struct xen_netif_gref *list = arg_page();

	for (unsigned i = 0; i < nr; i++)
		list[i] = (struct xen_netif_gref){.ref = box.ref[first + i], .flags = flags, .status = 77};
	return ask(type, 0, arg_ref, nr, out);
}

static void staged_pages_are_used_without_grant_operations(void **state)
{
	struct rte_mbuf *m[3];
	struct netif_tx_response tx;
	struct netif_rx_response rx;
	uint32_t out;

	begin();
	assert_int_equal(ask(XEN_NETIF_CTRL_TYPE_GET_GREF_MAPPING_SIZE, 0, 0, 0, &out), OK);
	assert_int_equal(out, STAGE_MAX);
	assert_int_equal(stage(0, 4, XEN_NETIF_CTRLF_GREF_readonly, XEN_NETIF_CTRL_TYPE_ADD_GREF_MAPPING, NULL), OK);
	assert_int_equal(stage(4, 4, 0, XEN_NETIF_CTRL_TYPE_ADD_GREF_MAPPING, NULL), OK);
	box.nr_copy_calls = box.nr_map_calls = 0;
	for (unsigned i = 0; i < 2000; i++)
		vif_box_page(&box, 0)[i] = vif_box_byte(9, i);
	vif_box_put(&box, box.ref[0], 0, 60, 0, 1);    /* copied */
	vif_box_put(&box, box.ref[0], 0, 2000, 0, 2);  /* attached */
	netif_txr_front_push(&box.tx);
	assert_int_equal(vif_tx_burst(box.queue, m, 3), 2);
	assert_int_equal(m[0]->pkt_len, 60);
	assert_int_equal(m[1]->pkt_len, 2000);
	for (unsigned i = 0; i < 60; i++)
		assert_int_equal(rte_pktmbuf_mtod(m[0], uint8_t *)[i], vif_box_byte(9, i));
	assert_ptr_equal(rte_pktmbuf_mtod(m[1]->next, uint8_t *), vif_box_page(&box, 0) + VIF_TX_HEADER_BYTES);
	assert_int_equal(box.stats.tx_staged, 2);

	/* A page that a packet borrows cannot be taken back; the others can. */
	assert_int_equal(stage(0, 2, 0, XEN_NETIF_CTRL_TYPE_DEL_GREF_MAPPING, &out), OK);
	assert_int_equal(out, 1);
	assert_int_equal(((struct xen_netif_gref *)arg_page())[0].status, INVALID);
	assert_int_equal(((struct xen_netif_gref *)arg_page())[1].status, OK);
	rte_pktmbuf_free_bulk(m, 2);
	vif_tx_finish(box.queue);
	for (unsigned i = 0; i < 2; i++) {
		netif_txr_front_take(&box.tx, &tx);
		assert_int_equal(tx.status, NETIF_RSP_OKAY);
	}
	assert_true(grant_table_in_use(box.grants.table, box.ref[0]));
	assert_false(grant_table_in_use(box.grants.table, box.ref[1]));

	box.nr_copy_calls = box.nr_map_calls = 0;
	vif_box_post(&box, 4, 3);
	m[0] = vif_box_packet(100, 2000, 1);
	m[1] = vif_box_packet(5000, 2000, 2);
	vif_rx_burst(box.queue, m, 2);
	assert_int_equal(netif_rxr_front_pending(&box.rx), 3);
	for (unsigned i = 0; i < 3; i++) {
		netif_rxr_front_take(&box.rx, &rx);
		assert_int_equal(rx.status, i == 0 ? 100 : i == 1 ? 4096 : 904);
		for (int b = 0; b < rx.status; b++)
			assert_int_equal(vif_box_page(&box, rx.id)[rx.offset + b],
					 i == 0 ? vif_box_byte(1, (uint32_t)b) : vif_box_byte(2, (i - 1) * 4096 + (uint32_t)b));
	}
	assert_int_equal(box.nr_copy_calls + box.nr_map_calls, 0);

	/* A page staged for reading is not written through; its grant allows it, so the batch does. */
	vif_box_post(&box, 2, 1);
	m[0] = vif_box_packet(100, 2000, 3);
	vif_rx_burst(box.queue, m, 1);
	netif_rxr_front_take(&box.rx, &rx);
	assert_int_equal(rx.status, 100);
	assert_int_equal(box.nr_copy_calls, 1);
	end(); /* and all are let go */
}

static void a_list_with_one_bad_entry_stages_none(void **state)
{
	struct xen_netif_gref *list;
	static const struct {
		grant_ref_t ref;
		uint16_t flags;
	} bad[] = {{UINT32_MAX, 0}, {BOX_ENTRIES - 1, 0}, {0, 0}};

	begin();
	list = arg_page();
	for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
		for (unsigned e = 0; e < 4; e++)
			list[e] = (struct xen_netif_gref){.ref = box.ref[e]};
		list[i] = (struct xen_netif_gref){.ref = bad[i].ref, .flags = bad[i].flags};
		assert_int_equal(ask(XEN_NETIF_CTRL_TYPE_ADD_GREF_MAPPING, 0, arg_ref, 4, NULL), INVALID);
		for (unsigned e = 0; e < 4; e++)
			assert_false(grant_table_in_use(box.grants.table, box.ref[e]));
	}
	/* Twice the same, in one list and in two. */
	for (unsigned e = 0; e < 4; e++)
		list[e] = (struct xen_netif_gref){.ref = box.ref[e % 3]};
	assert_int_equal(ask(XEN_NETIF_CTRL_TYPE_ADD_GREF_MAPPING, 0, arg_ref, 4, NULL), INVALID);
	assert_int_equal(box.queue->stage->nr, 0);
	assert_int_equal(stage(0, 3, 0, XEN_NETIF_CTRL_TYPE_ADD_GREF_MAPPING, NULL), OK);
	assert_int_equal(stage(2, 3, 0, XEN_NETIF_CTRL_TYPE_ADD_GREF_MAPPING, NULL), INVALID);
	assert_int_equal(box.queue->stage->nr, 3);
	assert_false(grant_table_in_use(box.grants.table, box.ref[4]));
	end();
}

static void the_table_finds_what_was_added_whatever_was_removed(void **state)
{
	struct stage *s = calloc(1, sizeof(*s));
	static uint8_t page;
	bool is_in[2 * STAGE_BUCKETS] = {false};
	uint32_t seed = 7, nr = 0;

	for (unsigned round = 0; round < 200000; round++) {
		grant_ref_t ref = test_random(&seed) % ARRAY_LEN(is_in);
		struct stage_entry added = {.page = &page, .ref = ref};

		if (is_in[ref]) {
			assert_non_null(stage_find(s, ref));
			assert_int_equal(stage_add(s, &added), -EEXIST);
			stage_remove(s, stage_find(s, ref));
			is_in[ref] = false;
			nr--;
		} else {
			assert_null(stage_find(s, ref));
			is_in[ref] = stage_add(s, &added) == 0;
			nr += is_in[ref];
		}
		assert_int_equal(s->nr, nr);
		assert_true(nr <= STAGE_MAX);
	}
	/* References that collide are refused beyond the few that are looked at. */
	memset(s, 0, sizeof(*s));
	for (unsigned i = 0; i < 2 * STAGE_PROBES; i++)
		assert_int_equal(stage_add(s, &(struct stage_entry){.page = &page, .ref = i * STAGE_BUCKETS}),
				 i < STAGE_PROBES ? 0 : -ENOSPC);
	free(s);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(hashes_are_those_of_the_published_vectors),
		cmocka_unit_test(a_packet_goes_to_the_queue_of_the_mapping_and_says_its_hash),
		cmocka_unit_test(a_request_out_of_bounds_gets_its_status_and_changes_nothing),
		cmocka_unit_test(an_impossible_control_ring_is_told),
		cmocka_unit_test(staged_pages_are_used_without_grant_operations),
		cmocka_unit_test(a_list_with_one_bad_entry_stages_none),
		cmocka_unit_test(the_table_finds_what_was_added_whatever_was_removed),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
