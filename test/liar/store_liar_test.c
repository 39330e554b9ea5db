/*
 * test/liar/store_liar_test.c - guests that break the store's ring protocol harm only themselves.
 */
#include "test.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "hv/store_conn.h"
#include "store_box.h"

struct world {
	struct store_box *box;
	struct store_peer *dom0, *liar, *honest;
	struct xenstore_domain_interface *sh; /* the liar's page */
	struct store_conn *conn;              /* the liar's */
};

static int setup(void **state)
{
	struct world *w = calloc(1, sizeof(*w));

	w->box = store_box_create(NULL);
	w->dom0 = store_box_connect(w->box);
	w->liar = store_box_guest(w->box, 1);
	w->honest = store_box_guest(w->box, 2);
	w->sh = &w->box->pages[1];
	w->conn = store_domain_find(&w->box->store->tree, 1)->conn;
	*state = w;
	return 0;
}

static int teardown(void **state)
{
	struct world *w = *state;

	/* Whatever the liar did: the others are served, and the store is whole. */
	assert_int_equal(store_peer_write(w->honest, 0, "alive", "yes"), 0);
	assert_string_equal(store_peer_read(w->dom0, 0, "/local/domain/2/alive", NULL), "yes");
	assert_int_equal(store_validate(w->box->store), 0);
	store_peer_close(w->dom0);
	store_peer_close(w->liar);
	store_peer_close(w->honest);
	store_box_destroy(w->box);
	free(w);
	return 0;
}

static void kick(struct world *w)
{
	store_ring_event(w->box->store, 1);
	for (unsigned i = 0; i < 4; i++)
		store_box_turn(w->box);
}

static void the_guest_is_told_what_the_server_can_do(void **state)
{
	struct world *w = *state;

	assert_int_equal(w->sh->server_features, XENSTORE_SERVER_FEATURE_RECONNECTION | XENSTORE_SERVER_FEATURE_ERROR);
	assert_int_equal(w->sh->connection, XENSTORE_CONNECTED);
	assert_int_equal(w->sh->error, XENSTORE_ERROR_NONE);
}

static void impossible_indices_stop_the_ring(void **state)
{
	static const uint32_t distances[] = {XENSTORE_RING_SIZE + 1, 0x7fffffff, 0x80000000, 0xffffffff};

	for (unsigned i = 0; i < ARRAY_LEN(distances); i++)
		for (unsigned which = 0; which < 2; which++) {
			struct world *w;
			unsigned wakes;

			assert_int_equal(setup((void **)&w), 0);
			assert_int_equal(store_peer_watch(w->liar, "w", "t"), 0);
			store_peer_forget_events(w->liar);
			store_peer_begin(w->liar);
			wakes = w->box->wakes[1];
			if (which)
				w->sh->rsp_cons = w->sh->rsp_prod - distances[i];
			else
				w->sh->req_prod = w->sh->req_cons + distances[i];
			/* The broken answers' index is met when there is something to say. */
			store_write(w->box->store, "/local/domain/1/w", "", 0);
			kick(w);
			assert_int_equal(w->sh->error, XENSTORE_ERROR_RINGIDX);
			assert_true(w->conn->is_stopped);
			assert_true(w->box->wakes[1] > wakes); /* it may look why */
			assert_int_equal(w->conn->nr_watches, 0);
			assert_int_equal(w->conn->nr_txs, 0);
			assert_int_equal(w->conn->out_bytes, 0);
			/* Not served any more, whatever it does. */
			w->sh->req_prod = w->sh->req_cons + 16;
			wakes = w->box->wakes[1];
			for (unsigned kicks = 0; kicks < 100; kicks++)
				kick(w);
			assert_int_equal(w->sh->req_prod, w->sh->req_cons + 16);
			teardown((void **)&w);
		}
	(void)state;
}

static void a_message_that_is_too_long_stops_the_ring(void **state)
{
	static const uint32_t lengths[] = {XENSTORE_PAYLOAD_MAX + 1, 0x7fffffff, 0xfffffff0, 0xffffffff};

	for (unsigned i = 0; i < ARRAY_LEN(lengths); i++) {
		struct xsd_sockmsg header = {XS_READ, 1, 0, lengths[i]};
		struct world *w;

		assert_int_equal(setup((void **)&w), 0);
		assert_int_equal(store_peer_put(w->liar, &header, sizeof(header)), sizeof(header));
		kick(w);
		assert_int_equal(w->sh->error, XENSTORE_ERROR_PROTO);
		assert_true(w->conn->is_stopped);
		teardown((void **)&w);
	}
	(void)state;
}

static void a_half_message_waits_for_its_rest(void **state)
{
	struct world *w = *state;
	struct xsd_sockmsg header = {XS_READ, 1, 0, 2};
	struct store_reply reply;

	assert_int_equal(store_peer_put(w->liar, &header, 7), 7);
	for (unsigned i = 0; i < 100; i++)
		kick(w);
	assert_int_equal(w->conn->in_len, 7);
	assert_int_equal(w->sh->error, XENSTORE_ERROR_NONE);
	assert_int_equal(store_peer_put(w->liar, (char *)&header + 7, sizeof(header) - 7), sizeof(header) - 7);
	assert_int_equal(store_peer_put(w->liar, "x", 2), 2);
	assert_true(store_peer_receive(w->liar, &reply));
	assert_string_equal(reply.data, "ENOENT");
}

static void a_stopped_ring_can_be_connected_again(void **state)
{
	struct world *w = *state;

	assert_int_equal(store_peer_watch(w->liar, "w", "t"), 0);
	w->sh->req_prod = w->sh->req_cons + 5000;
	kick(w);
	assert_int_equal(w->sh->error, XENSTORE_ERROR_RINGIDX);
	w->sh->connection = XENSTORE_RECONNECT;
	kick(w);
	assert_int_equal(w->sh->connection, XENSTORE_CONNECTED);
	assert_int_equal(w->sh->error, XENSTORE_ERROR_NONE);
	assert_int_equal(w->sh->req_prod | w->sh->req_cons | w->sh->rsp_prod | w->sh->rsp_cons, 0);
	w->liar->in_len = 0;
	assert_int_equal(store_peer_write(w->liar, 0, "w", "again"), 0);
	assert_null(store_peer_event(w->liar)); /* the watch ended with the connection before */
	/* And a ring that works: the same, half a message and waiting answers forgotten. */
	assert_int_equal(store_peer_put(w->liar, "half", 4), 4);
	w->sh->connection = XENSTORE_RECONNECT;
	kick(w);
	assert_int_equal(w->conn->in_len, 0);
	assert_string_equal(store_peer_read(w->liar, 0, "w", NULL), "again");
}

/* One event is one bounded piece of work, also when the guest refills the ring while it is read: others get their turn. */
static void a_flood_is_served_in_turns(void **state)
{
	struct world *w = *state;
	struct xsd_sockmsg headers[XENSTORE_RING_SIZE / sizeof(struct xsd_sockmsg)];
	uint32_t before;

	for (unsigned i = 0; i < ARRAY_LEN(headers); i++)
		headers[i] = (struct xsd_sockmsg){XS_WATCH_EVENT, i, 0, 0};
	assert_int_equal(store_ring_put(store_ring_requests(w->sh), headers, sizeof(headers)), sizeof(headers));
	before = w->sh->rsp_prod;
	store_ring_event(w->box->store, 1);
	/* Answers to all 64 do not even fit: it stops at the quota of those not taken. */
	assert_true(w->sh->rsp_prod - before <= XENSTORE_RING_SIZE);
	assert_true(w->conn->nr_out <= w->box->store->quota.outstanding);
	assert_int_equal(store_peer_write(w->honest, 0, "between", ""), 0);
}

/* The liar scribbles over its page at random between kicks; nothing in it is believed. */
static void a_page_of_nonsense_harms_nobody(void **state)
{
	struct world *w = *state;
	uint32_t random = 0x1234567;

	for (unsigned i = 0; i < 20000; i++) {
		uint32_t r = test_random(&random);
		uint32_t *fields[] = {&w->sh->req_cons, &w->sh->req_prod, &w->sh->rsp_cons, &w->sh->rsp_prod, &w->sh->connection,
				      &w->sh->error, &w->sh->server_features};

		switch (r % 8) {
		case 0:
			*fields[(r >> 8) % ARRAY_LEN(fields)] = test_random(&random) >> (r >> 27);
			break;
		case 1:
			w->sh->connection = XENSTORE_RECONNECT;
			break;
		case 2: { /* a header that makes sense, of something */
			struct xsd_sockmsg header = {(r >> 8) % 24, r, 0, (r >> 16) % 64};
			char message[sizeof(header) + 64];

			memcpy(message, &header, sizeof(header));
			for (unsigned j = 0; j < header.len; j++)
				message[sizeof(header) + j] = "/local/domain/1\0device/w\0T\0n1\0r2"[test_random(&random) % 32];
			if (w->sh->req_prod - w->sh->req_cons > XENSTORE_RING_SIZE)
				w->sh->req_prod = w->sh->req_cons;
			store_ring_put(store_ring_requests(w->sh), message, (uint32_t)sizeof(header) + header.len);
			break;
		}
		case 3:
			w->sh->req[r >> 22] = (char)(r >> 8);
			break;
		default:
			w->sh->rsp_cons = w->sh->rsp_prod;
		}
		store_ring_event(w->box->store, 1);
		if (!(i % 16))
			store_box_turn(w->box);
		if (!(i % 256))
			assert_int_equal(store_validate(w->box->store), 0);
	}
	/* And at the end it can be a good guest after all. */
	w->sh->connection = XENSTORE_RECONNECT;
	kick(w);
	w->liar->in_len = 0;
	assert_int_equal(store_peer_write(w->liar, 0, "/local/domain/1/good", ""), 0);
}

/* Requests left waiting for a guest that dies go with it. */
static void a_guest_may_die_at_any_moment(void **state)
{
	struct world *w = *state;
	struct xsd_sockmsg header = {XS_READ, 1, 0, 2};

	for (unsigned i = 0; i < 200; i++) {
		for (unsigned j = 0; j < i % 60; j++) {
			store_ring_put(store_ring_requests(w->sh), &header, sizeof(header));
			store_ring_put(store_ring_requests(w->sh), "x", 2);
		}
		store_ring_event(w->box->store, 1);
		w->box->alive[1] = false;
		store_release_domain(w->box->store, 1);
		store_ring_event(w->box->store, 1); /* late */
		store_box_turn(w->box);
		store_peer_close(w->liar);
		w->liar = store_box_guest(w->box, 1);
		assert_int_equal(store_validate(w->box->store), 0);
	}
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest tests[] = {
		TEST(the_guest_is_told_what_the_server_can_do),
		TEST(impossible_indices_stop_the_ring),
		TEST(a_message_that_is_too_long_stops_the_ring),
		TEST(a_half_message_waits_for_its_rest),
		TEST(a_stopped_ring_can_be_connected_again),
		TEST(a_flood_is_served_in_turns),
		TEST(a_page_of_nonsense_harms_nobody),
		TEST(a_guest_may_die_at_any_moment),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
