/*
 * test/unit/store_quota_test.c - what one guest may take of the store, and that Domain-0 is not held to it.
 */
#include "test.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "hv/store_conn.h"
#include "store_box.h"

static const struct store_quota small = {
	.nodes = 20,
	.watches = 5,
	.transactions = 3,
	.transaction_nodes = 12,
	.node_bytes = 256,
	.perms = 3,
	.outstanding = 4,
	.memory_bytes = 12288,
};

static int setup(void **state)
{
	struct store_world *w = store_world_create(&small);

	w->one = store_box_guest(w->box, 1);
	*state = w;
	return 0;
}

static int teardown(void **state)
{
	assert_int_equal(store_world_destroy(*state), 0);
	return 0;
}

static unsigned nodes_of(const struct store_world *w, domid_t domid)
{
	return store_domain_find(&w->box->store->tree, domid)->nodes;
}

static struct store_conn *conn_of(const struct store_world *w)
{
	return store_domain_find(&w->box->store->tree, 1)->conn;
}

static void nodes_are_counted_and_limited(void **state)
{
	struct store_world *w = *state;
	char path[32];

	for (unsigned i = nodes_of(w, 1); i < small.nodes; i++) {
		snprintf(path, sizeof(path), "n%u", i);
		assert_int_equal(store_peer_write(w->one, 0, path, ""), 0);
	}
	assert_int_equal(store_peer_write(w->one, 0, "more", ""), -ENOSPC);
	assert_int_equal(store_peer_ask(w->one, XS_MKDIR, 0, NULL, "more", NULL), -ENOSPC);
	assert_int_equal(store_peer_write(w->one, 0, "n1", "still"), 0);
	assert_int_equal(nodes_of(w, 1), small.nodes);
	/* Several at once: none is made when not all may be. */
	assert_int_equal(store_peer_ask(w->one, XS_RM, 0, NULL, "n1", NULL), 0);
	assert_int_equal(store_peer_write(w->one, 0, "a/b", ""), -ENOSPC);
	assert_int_equal(nodes_of(w, 1), small.nodes - 1);
	assert_int_equal(store_peer_write(w->one, 0, "a", ""), 0);
	/* Domain-0 is not held to the guest's quota, but what it gives counts. */
	assert_int_equal(store_peer_write(w->dom0, 0, "/local/domain/1/given", ""), 0);
	assert_int_equal(nodes_of(w, 1), small.nodes + 1);
}

static void a_transaction_does_not_get_around_the_nodes(void **state)
{
	struct store_world *w = *state;
	uint32_t a = store_peer_begin(w->one), b = store_peer_begin(w->one);
	char path[32];

	/* Each alone would fit; the second to be committed does not. */
	assert_int_equal(store_peer_write(w->one, 0, "x", ""), 0);
	assert_int_equal(store_peer_write(w->one, 0, "y", ""), 0);
	for (unsigned i = 0; i < 10; i++) {
		snprintf(path, sizeof(path), "x/%u", i);
		assert_int_equal(store_peer_write(w->one, a, path, ""), 0);
		snprintf(path, sizeof(path), "y/%u", i);
		assert_int_equal(store_peer_write(w->one, b, path, ""), 0);
	}
	assert_int_equal(store_peer_end(w->one, a, true), 0);
	assert_int_equal(nodes_of(w, 1), 13);
	assert_int_equal(store_peer_end(w->one, b, true), -ENOSPC);
	assert_int_equal(nodes_of(w, 1), 13);
	a = store_peer_begin(w->one);
	for (unsigned i = 0; i < 7; i++) {
		snprintf(path, sizeof(path), "y/%u", i);
		assert_int_equal(store_peer_write(w->one, a, path, ""), 0);
	}
	assert_int_equal(store_peer_write(w->one, a, "y/more", ""), -ENOSPC);
	/* What is removed inside makes room inside. */
	assert_int_equal(store_peer_ask(w->one, XS_RM, a, NULL, "y/1", NULL), 0);
	assert_int_equal(store_peer_write(w->one, a, "y/more", ""), 0);
	assert_int_equal(store_peer_end(w->one, a, true), 0);
	assert_int_equal(nodes_of(w, 1), small.nodes);
}

static void transactions_and_their_nodes_are_limited(void **state)
{
	struct store_world *w = *state;
	uint32_t tx = 0;
	char path[32];

	for (unsigned i = 0; i < small.transactions; i++)
		tx = store_peer_begin(w->one);
	assert_int_equal(store_peer_call(w->one, XS_TRANSACTION_START, 0, "", 1, NULL), -ENOSPC);
	assert_int_equal(store_peer_write(w->one, 0, "a", ""), 0);
	for (unsigned i = 0; i < small.transaction_nodes - 1; i++) { /* one is the home that is asked about */
		snprintf(path, sizeof(path), "n%u", i);
		assert_int_equal(store_peer_ask(w->one, XS_READ, tx, NULL, path, NULL), -ENOENT);
	}
	assert_int_equal(store_peer_ask(w->one, XS_READ, tx, NULL, "n0", NULL), -ENOENT);
	assert_int_equal(store_peer_ask(w->one, XS_READ, tx, NULL, "more", NULL), -ENOSPC);
	assert_int_equal(store_peer_end(w->one, tx, false), 0);
	tx = store_peer_begin(w->one);
	assert_int_equal(store_peer_ask(w->one, XS_RESET_WATCHES, 0, NULL, NULL), 0);
	assert_int_equal(conn_of(w)->nr_txs, 0);
	assert_int_equal(conn_of(w)->memory, 0);
}

/* A removal that the quota stops half way must not be committed half way. */
static void a_removal_that_is_too_big_for_its_transaction_breaks_it(void **state)
{
	struct store_world *w = *state;
	char path[32];
	uint32_t tx;

	for (unsigned i = 0; i < 15; i++) {
		snprintf(path, sizeof(path), "d/%u", i);
		assert_int_equal(store_peer_write(w->one, 0, path, ""), 0);
	}
	tx = store_peer_begin(w->one);
	assert_int_equal(store_peer_ask(w->one, XS_RM, tx, NULL, "d", NULL), -ENOSPC);
	assert_int_equal(store_peer_end(w->one, tx, true), -ENOMEM);
	assert_non_null(store_peer_read(w->one, 0, "d/14", NULL));
	assert_int_equal(nodes_of(w, 1), 17);
}

static void watches_are_limited(void **state)
{
	struct store_world *w = *state;
	char path[32];

	for (unsigned i = 0; i < small.watches; i++) {
		snprintf(path, sizeof(path), "w%u", i);
		assert_int_equal(store_peer_watch(w->one, path, "t"), 0);
	}
	assert_int_equal(store_peer_watch(w->one, "more", "t"), -E2BIG);
	assert_int_equal(store_peer_ask(w->one, XS_UNWATCH, 0, NULL, "w0", "t", NULL), 0);
	assert_int_equal(store_peer_watch(w->one, "more", "t"), 0);
	assert_int_equal(store_peer_ask(w->one, XS_RESET_WATCHES, 0, NULL, NULL), 0);
	assert_int_equal(conn_of(w)->memory, 0);
	for (unsigned i = 0; i < 100; i++) {
		snprintf(path, sizeof(path), "/w%u", i);
		assert_int_equal(store_peer_watch(w->dom0, path, "t"), 0);
	}
}

static void a_node_is_limited_in_value_names_and_permissions(void **state)
{
	struct store_world *w = *state;
	char value[300], path[300];

	w->box->alive[2] = w->box->alive[3] = w->box->alive[4] = true;
	memset(value, 'v', sizeof(value));
	value[small.node_bytes - sizeof(struct store_perm)] = 0;
	assert_int_equal(store_peer_write(w->one, 0, "a", value), 0);
	value[small.node_bytes - sizeof(struct store_perm)] = 'v';
	value[small.node_bytes - sizeof(struct store_perm) + 1] = 0;
	assert_int_equal(store_peer_write(w->one, 0, "a", value), -ENOSPC);
	assert_int_equal(store_peer_write(w->one, 0, "b", value), -ENOSPC);
	assert_int_equal(store_peer_write(w->one, 0, "a/child", ""), -ENOSPC);
	memset(path, 'p', sizeof(path));
	path[260] = 0;
	assert_int_equal(store_peer_write(w->one, 0, path, ""), -ENOSPC);
	memcpy(path, "x/", 2);
	assert_int_equal(store_peer_write(w->one, 0, path, ""), -ENOSPC);
	assert_int_equal(store_peer_ask(w->one, XS_READ, 0, NULL, "x", NULL), -ENOENT);
	assert_int_equal(store_peer_perms(w->one, 0, "a", "n1 r2 r3"), 0);
	assert_int_equal(store_peer_perms(w->one, 0, "a", "n1 r2 r3 r4"), -ENOSPC);
	assert_int_equal(store_peer_perms(w->dom0, 0, "/local/domain/1/a", "n1 r2 r3 r4"), 0);
	assert_int_equal(store_peer_write(w->dom0, 0, "/local/domain/1/a", value), 0);
}

static void memory_of_transactions_and_watches_is_limited(void **state)
{
	struct store_world *w = *state;
	char value[300], path[2100];
	unsigned fit = 0;
	uint32_t tx;
	int ret = 0;

	memset(value, 'v', sizeof(value));
	value[240] = 0;
	for (unsigned i = 0; i < 12; i++) {
		snprintf(path, sizeof(path), "n%u", i);
		assert_int_equal(store_peer_write(w->one, 0, path, value), 0);
	}
	for (unsigned t = 0; t < small.transactions && !ret; t++) {
		tx = store_peer_begin(w->one);
		for (unsigned i = 0; i < 12 && !ret; i++) {
			snprintf(path, sizeof(path), "n%u", i);
			ret = store_peer_write(w->one, tx, path, value);
			fit += !ret;
		}
	}
	assert_int_equal(ret, -ENOMEM);
	assert_true(fit > 10);
	assert_true(conn_of(w)->memory <= small.memory_bytes);
	assert_int_equal(store_peer_ask(w->one, XS_RESET_WATCHES, 0, NULL, NULL), 0);
	assert_int_equal(conn_of(w)->memory, 0);
	for (unsigned i = 0; i < small.watches; i++) {
		memset(path, 'a' + (int)i, 2040);
		path[2040] = 0;
		memset(value, 't', 200);
		value[200] = 0;
		assert_int_equal(store_peer_watch(w->one, path, value), 0);
	}
	assert_true(conn_of(w)->memory > 5 * 2240 && conn_of(w)->memory <= small.memory_bytes);
}

/* Requests beyond the limit stay where they are until the guest has taken answers. */
static void a_guest_that_takes_no_answer_is_asked_nothing_more(void **state)
{
	struct store_world *w = *state;
	char message[40];
	struct xsd_sockmsg header = {XS_READ, 9, 0, 5};
	unsigned sent = 0, got = 0, rest = 0;
	struct store_reply reply;
	char value[251];

	memset(value, 'v', 250);
	value[250] = 0;
	assert_int_equal(store_peer_write(w->one, 0, "long", value), 0);
	memcpy(message, &header, sizeof(header));
	memcpy(message + sizeof(header), "long", 5);
	for (unsigned i = 0; i < 10000; i++) {
		int n = store_peer_put(w->one, message, sizeof(header) + 5);

		assert_true(n >= 0);
		sent++;
		if (n != (int)sizeof(header) + 5) {
			/* Full: what of it did not go in follows when there is room. */
			rest = (unsigned)((int)sizeof(header) + 5 - n);
			memmove(message, message + n, rest);
			break;
		}
		store_box_turn(w->box);
	}
	assert_true(sent < 1000);
	assert_true(conn_of(w)->nr_out <= small.outstanding);
	assert_true(conn_of(w)->is_held);
	assert_int_equal(store_validate(w->box->store), 0);
	while (store_peer_receive(w->one, &reply)) {
		int n = rest ? store_peer_put(w->one, message, rest) : 0;

		assert_true(n >= 0);
		rest -= (unsigned)n;
		memmove(message, message + n, rest);
		assert_int_equal(reply.len, 250);
		got++;
	}
	assert_int_equal(rest, 0);
	assert_int_equal(got, sent);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest tests[] = {
		TEST(nodes_are_counted_and_limited),
		TEST(a_transaction_does_not_get_around_the_nodes),
		TEST(transactions_and_their_nodes_are_limited),
		TEST(a_removal_that_is_too_big_for_its_transaction_breaks_it),
		TEST(watches_are_limited),
		TEST(a_node_is_limited_in_value_names_and_permissions),
		TEST(memory_of_transactions_and_watches_is_limited),
		TEST(a_guest_that_takes_no_answer_is_asked_nothing_more),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
