/*
 * test/liar/netfront_ctrl_test.c - the client of the control ring in a box, against back ends that refuse, and that lie.
 */
#include "test.h"

#include "box.h"
#include "frontends/netfront_ctrl.h"

#define SLOTS 64u

static struct box box;
static domid_t domid;
static struct hv *guest, *dom0;
static struct hv_peer *peer;
static struct netfront_ctrl ctrl;
static struct netif_ctrlr_back back;
static void *ring;
static grant_ref_t tx_refs[NETFRONT_MAX_QUEUES][SLOTS], rx_refs[NETFRONT_MAX_QUEUES][SLOTS];

static int start(void **state)
{
	box_start(&box);
	domid = box_create(&box, "a", 8192);
	guest = box_run(&box, domid, "a");
	dom0 = box_open_dom0(&box);
	assert_int_equal(netfront_ctrl_open(&ctrl, guest, 0), 0);
	assert_int_equal(hv_peer_open(dom0, domid, &peer), 0);
	assert_int_equal(hv_peer_map_ring(peer, &ctrl.ring_ref, 1, &ring), 0);
	netif_ctrlr_back_init(&back, ring, PAGE_BYTES);
	for (unsigned q = 0; q < NETFRONT_MAX_QUEUES; q++)
		for (unsigned i = 0; i < SLOTS; i++) {
			tx_refs[q][i] = 1000 * (q + 1) + i;
			rx_refs[q][i] = 1000 * (q + 1) + 500 + i;
		}
	return 0;
}

static int stop(void **state)
{
	netfront_ctrl_close(&ctrl);
	hv_peer_unmap_ring(peer, ring);
	hv_peer_close(peer);
	hv_close(dom0);
	box_end(&box, domid, guest);
	return 0;
}

static void begin(unsigned nr_queues, bool staging, bool hash)
{
	struct netfront_ctrl_job job = {.nr_queues = nr_queues, .wants_staging = staging, .wants_hash = hash};

	for (unsigned i = 0; i < sizeof(job.key); i++)
		job.key[i] = (uint8_t)(i + 1);
	for (unsigned q = 0; q < nr_queues; q++)
		job.queue[q] = (struct netfront_ctrl_pages){tx_refs[q], rx_refs[q], SLOTS, SLOTS};
	netfront_ctrl_start(&ctrl, &job);
}

static void answer(const struct xen_netif_ctrl_request *req, uint32_t status, uint32_t data)
{
	struct xen_netif_ctrl_response rsp = {.id = req->id, .type = req->type, .status = status, .data = data};

	netif_ctrlr_back_put(&back, &rsp);
	netif_ctrlr_back_push(&back);
	netfront_ctrl_poll(&ctrl);
}

/* The one request that is out, of this type. */
static struct xen_netif_ctrl_request expect(uint16_t type)
{
	struct xen_netif_ctrl_request req;

	assert_int_equal(netif_ctrlr_back_pending(&back), 1);
	netif_ctrlr_back_take(&back, &req);
	assert_int_equal(req.type, type);
	return req;
}

static void read_argument(grant_ref_t ref, void *to, uint16_t bytes)
{
	struct grant_copy_op op = {.local = to, .ref = ref, .len = bytes};

	assert_int_equal(hv_peer_copy(peer, &op, 1), 0);
}

static void every_queues_pages_become_staging_grants(void **state)
{
	static struct xen_netif_gref list[SLOTS];

	begin(3, true, false);
	for (unsigned q = 0; q < 3; q++) {
		struct xen_netif_ctrl_request req = expect(XEN_NETIF_CTRL_TYPE_GET_GREF_MAPPING_SIZE);

		assert_int_equal(req.data[0], q);
		answer(&req, XEN_NETIF_CTRL_STATUS_SUCCESS, 512);
		for (unsigned is_rx = 0; is_rx < 2; is_rx++) {
			req = expect(XEN_NETIF_CTRL_TYPE_ADD_GREF_MAPPING);
			assert_int_equal(req.data[0], q);
			assert_int_equal(req.data[2], SLOTS);
			read_argument(req.data[1], list, sizeof(list));
			for (unsigned i = 0; i < SLOTS; i++) {
				assert_int_equal(list[i].ref, is_rx ? rx_refs[q][i] : tx_refs[q][i]);
				assert_int_equal(list[i].flags, is_rx ? 0 : XEN_NETIF_CTRLF_GREF_readonly);
			}
			answer(&req, XEN_NETIF_CTRL_STATUS_SUCCESS, 0);
		}
	}
	assert_true(netfront_ctrl_is_idle(&ctrl));
	assert_int_equal(ctrl.staged_pages, 3 * 2 * SLOTS);
	assert_int_equal(ctrl.refused, 0);
}

static void a_back_end_with_little_room_gets_as_many_as_it_keeps(void **state)
{
	struct xen_netif_ctrl_request req;

	begin(1, true, false);
	req = expect(XEN_NETIF_CTRL_TYPE_GET_GREF_MAPPING_SIZE);
	answer(&req, XEN_NETIF_CTRL_STATUS_SUCCESS, 10);
	req = expect(XEN_NETIF_CTRL_TYPE_ADD_GREF_MAPPING);
	assert_int_equal(req.data[2], 10);
	answer(&req, XEN_NETIF_CTRL_STATUS_SUCCESS, 0);
	assert_true(netfront_ctrl_is_idle(&ctrl));
	assert_int_equal(ctrl.staged_pages, 10);
}

static void what_is_refused_stays_off_and_the_rest_goes_on(void **state)
{
	struct xen_netif_ctrl_request req;

	begin(2, true, true);
	req = expect(XEN_NETIF_CTRL_TYPE_GET_GREF_MAPPING_SIZE);
	answer(&req, XEN_NETIF_CTRL_STATUS_NOT_SUPPORTED, 0);
	req = expect(XEN_NETIF_CTRL_TYPE_SET_HASH_ALGORITHM); /* no second queue is asked for */
	assert_int_equal(req.data[0], XEN_NETIF_CTRL_HASH_ALGORITHM_TOEPLITZ);
	answer(&req, XEN_NETIF_CTRL_STATUS_INVALID_PARAMETER, 0);
	assert_true(netfront_ctrl_is_idle(&ctrl));
	assert_int_equal(ctrl.refused, 2);
	assert_int_equal(ctrl.staged_pages, 0);
	assert_false(ctrl.is_hash_on);
	assert_null(ctrl.broken);
}

static void hashing_is_set_up_step_by_step(void **state)
{
	struct xen_netif_ctrl_request req;
	uint8_t key[NETFRONT_HASH_KEY_BYTES];
	uint32_t mapping[128];

	begin(3, false, true);
	req = expect(XEN_NETIF_CTRL_TYPE_SET_HASH_ALGORITHM);
	answer(&req, XEN_NETIF_CTRL_STATUS_SUCCESS, 0);
	req = expect(XEN_NETIF_CTRL_TYPE_GET_HASH_FLAGS);
	answer(&req, XEN_NETIF_CTRL_STATUS_SUCCESS, 0xffffffff);
	req = expect(XEN_NETIF_CTRL_TYPE_SET_HASH_KEY);
	assert_int_equal(req.data[1], sizeof(key));
	read_argument(req.data[0], key, sizeof(key));
	for (unsigned i = 0; i < sizeof(key); i++)
		assert_int_equal(key[i], i + 1);
	answer(&req, XEN_NETIF_CTRL_STATUS_SUCCESS, 0);
	req = expect(XEN_NETIF_CTRL_TYPE_SET_HASH_MAPPING_SIZE);
	assert_int_equal(req.data[0], 128);
	answer(&req, XEN_NETIF_CTRL_STATUS_SUCCESS, 0);
	req = expect(XEN_NETIF_CTRL_TYPE_SET_HASH_MAPPING);
	read_argument(req.data[0], mapping, sizeof(mapping));
	for (unsigned i = 0; i < 128; i++)
		assert_int_equal(mapping[i], i % 3);
	answer(&req, XEN_NETIF_CTRL_STATUS_SUCCESS, 0);
	req = expect(XEN_NETIF_CTRL_TYPE_SET_HASH_FLAGS);
	assert_int_equal(req.data[0], 15);
	assert_false(ctrl.is_hash_on);
	answer(&req, XEN_NETIF_CTRL_STATUS_SUCCESS, 0);
	assert_true(ctrl.is_hash_on);
	assert_true(netfront_ctrl_is_idle(&ctrl));
}

static void a_back_end_that_can_no_hash_is_not_asked_for_one(void **state)
{
	struct xen_netif_ctrl_request req;

	begin(1, false, true);
	req = expect(XEN_NETIF_CTRL_TYPE_SET_HASH_ALGORITHM);
	answer(&req, XEN_NETIF_CTRL_STATUS_SUCCESS, 0);
	req = expect(XEN_NETIF_CTRL_TYPE_GET_HASH_FLAGS);
	answer(&req, XEN_NETIF_CTRL_STATUS_SUCCESS, 0xf0);
	while (!netfront_ctrl_is_idle(&ctrl)) {
		netif_ctrlr_back_take(&back, &req);
		assert_int_not_equal(req.type, XEN_NETIF_CTRL_TYPE_SET_HASH_FLAGS);
		answer(&req, XEN_NETIF_CTRL_STATUS_SUCCESS, 0);
	}
	assert_false(ctrl.is_hash_on);
}

static void an_answer_to_something_else_breaks_the_ring(void **state)
{
	static const struct {
		int id_off, type_off;
		unsigned times;
	} t[] = {{1, 0, 1}, {0, 1, 1}, {0x8000, 0, 1}, {0, 0, 2}};

	for (unsigned i = 0; i < ARRAY_LEN(t); i++) {
		struct xen_netif_ctrl_request req;

		begin(1, true, false);
		req = expect(XEN_NETIF_CTRL_TYPE_GET_GREF_MAPPING_SIZE);
		for (unsigned k = 0; k < t[i].times; k++) {
			struct xen_netif_ctrl_response rsp = {.id = (uint16_t)(req.id + t[i].id_off),
							      .type = (uint16_t)(req.type + t[i].type_off), .data = 1};

			netif_ctrlr_back_put(&back, &rsp);
		}
		netif_ctrlr_back_push(&back);
		netfront_ctrl_poll(&ctrl);
		assert_non_null(ctrl.broken);
		assert_true(netfront_ctrl_arm(&ctrl)); /* nobody sleeps on it */
		assert_true(netfront_ctrl_is_idle(&ctrl));
		stop(NULL);
		start(NULL);
	}
}

#define IN_A_BOX(test) cmocka_unit_test_setup_teardown(test, start, stop)

int main(void)
{
	const struct CMUnitTest tests[] = {
		IN_A_BOX(every_queues_pages_become_staging_grants),
		IN_A_BOX(a_back_end_with_little_room_gets_as_many_as_it_keeps),
		IN_A_BOX(what_is_refused_stays_off_and_the_rest_goes_on),
		IN_A_BOX(hashing_is_set_up_step_by_step),
		IN_A_BOX(a_back_end_that_can_no_hash_is_not_asked_for_one),
		IN_A_BOX(an_answer_to_something_else_breaks_the_ring),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
