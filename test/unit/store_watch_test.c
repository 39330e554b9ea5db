/*
 * test/unit/store_watch_test.c - watches: when they fire, what they say, who may hear it, what a client that does not listen gets.
 */
#include "test.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "hv/store_conn.h"
#include "store_box.h"

static int setup(void **state)
{
	struct store_world *w = store_world_create(NULL);

	w->other = store_box_connect(w->box);
	w->one = store_box_guest(w->box, 1);
	w->two = store_box_guest(w->box, 2);
	*state = w;
	return 0;
}

static int teardown(void **state)
{
	assert_int_equal(store_world_destroy(*state), 0);
	return 0;
}

static int rm(struct store_peer *peer, const char *path)
{
	return store_peer_ask(peer, XS_RM, 0, NULL, path, NULL);
}

static void expect_event(struct store_peer *peer, const char *text)
{
	const char *event = store_peer_event(peer);

	if (!event || strcmp(event, text))
		fail_msg("\"%s\" came, not \"%s\"", event ? event : "nothing", text);
}

static void a_watch_fires_once_at_once_after_its_answer(void **state)
{
	struct store_world *w = *state;
	struct store_reply reply;

	store_peer_send(w->dom0, XS_WATCH, 0, "/none\0tok", 10);
	assert_true(store_peer_receive(w->dom0, &reply));
	assert_int_equal(reply.type, XS_WATCH);
	assert_int_equal(w->dom0->nr_events, 0); /* the answer was first */
	expect_event(w->dom0, "/none tok");
	assert_null(store_peer_event(w->dom0));
}

static void a_change_is_heard_on_the_node_and_above(void **state)
{
	struct store_world *w = *state;
	static const char *const heard[] = {"/", "/a", "/a/b", "/a/b/c"}, *const deaf[] = {"/a/b/c/d", "/a/bb", "/a/b/cc", "/x"};

	for (unsigned i = 0; i < 4; i++) {
		assert_int_equal(store_peer_watch(w->dom0, heard[i], "t"), 0);
		assert_int_equal(store_peer_watch(w->dom0, deaf[i], "t"), 0);
	}
	store_peer_forget_events(w->dom0);
	assert_int_equal(store_peer_write(w->other, 0, "/a/b/c", "v"), 0);
	for (unsigned i = 0; i < 4; i++)
		expect_event(w->dom0, "/a/b/c t");
	assert_null(store_peer_event(w->dom0));
	assert_int_equal(store_peer_ask(w->other, XS_MKDIR, 0, NULL, "/a/b/c", NULL), 0); /* changes nothing */
	assert_null(store_peer_event(w->dom0));
	assert_int_equal(store_peer_perms(w->other, 0, "/a/b", "r0"), 0);
	for (unsigned i = 0; i < 3; i++)
		expect_event(w->dom0, "/a/b t");
	assert_null(store_peer_event(w->dom0));
}

static void removal_is_told_to_watches_below(void **state)
{
	struct store_world *w = *state;

	assert_int_equal(store_peer_write(w->other, 0, "/a/b/c", "v"), 0);
	assert_int_equal(store_peer_write(w->other, 0, "/a/d", "v"), 0);
	assert_int_equal(store_peer_watch(w->dom0, "/a/b/c", "deep"), 0);
	assert_int_equal(store_peer_watch(w->dom0, "/a/b/none", "none"), 0);
	assert_int_equal(store_peer_watch(w->dom0, "/", "root"), 0);
	store_peer_forget_events(w->dom0);
	assert_int_equal(rm(w->other, "/a"), 0);
	expect_event(w->dom0, "/a root");
	expect_event(w->dom0, "/a/b/c deep");
	assert_null(store_peer_event(w->dom0));
}

static void relative_watches_get_relative_paths(void **state)
{
	struct store_world *w = *state;

	assert_int_equal(store_peer_watch(w->one, "device", "rel"), 0);
	assert_int_equal(store_peer_watch(w->one, "/local/domain/1/device", "abs"), 0);
	expect_event(w->one, "device rel");
	expect_event(w->one, "/local/domain/1/device abs");
	assert_int_equal(store_peer_write(w->dom0, 0, "/local/domain/1/device/vif/0", ""), 0);
	expect_event(w->one, "/local/domain/1/device/vif/0 abs");
	expect_event(w->one, "device/vif/0 rel");
	assert_null(store_peer_event(w->one));
	assert_int_equal(store_peer_ask(w->one, XS_UNWATCH, 0, NULL, "device", "rel", NULL), 0);
	assert_int_equal(store_peer_write(w->dom0, 0, "/local/domain/1/device", ""), 0);
	expect_event(w->one, "/local/domain/1/device abs");
	assert_null(store_peer_event(w->one));
}

static void the_same_watch_twice_is_refused(void **state)
{
	struct store_world *w = *state;

	assert_int_equal(store_peer_watch(w->dom0, "/a", "t"), 0);
	assert_int_equal(store_peer_watch(w->dom0, "/a", "t"), -EEXIST);
	assert_int_equal(store_peer_watch(w->dom0, "/a", "u"), 0);
	assert_int_equal(store_peer_watch(w->other, "/a", "t"), 0);
	assert_int_equal(store_peer_ask(w->dom0, XS_UNWATCH, 0, NULL, "/a", "v", NULL), -ENOENT);
	assert_int_equal(store_peer_ask(w->dom0, XS_UNWATCH, 0, NULL, "/a", "t", NULL), 0);
	assert_int_equal(store_peer_ask(w->dom0, XS_UNWATCH, 0, NULL, "/a", "t", NULL), -ENOENT);
	assert_int_equal(store_peer_ask(w->dom0, XS_RESET_WATCHES, 0, NULL, NULL), 0);
	assert_int_equal(store_peer_ask(w->dom0, XS_UNWATCH, 0, NULL, "/a", "u", NULL), -ENOENT);
	assert_int_equal(w->box->store->watches.nr, 1);
}

static void a_guest_hears_only_of_what_it_may_read(void **state)
{
	struct store_world *w = *state;
	static const struct {
		const char *parent, *node; /* permissions */
		bool is_heard;
	} cases[] = {
		{"n0", "n0", false},	{"n0", "n0 r1", true},	{"n0", "n0 w1", false}, {"n0", "r0", true}, {"n0", "r0 n1", false},
		{"n0 r1", "n0", true},	{"n0 w1", "n0", false}, {"n1", "n0", true},	{"n0", "n1", true}, {"n0 r2", "n0 r2", false},
	};

	assert_int_equal(store_peer_watch(w->one, "/p/q", "t"), 0);
	expect_event(w->one, "/p/q t");
	for (unsigned i = 0; i < ARRAY_LEN(cases); i++) {
		assert_int_equal(store_peer_write(w->dom0, 0, "/p/q/node", ""), 0);
		assert_int_equal(store_peer_perms(w->dom0, 0, "/p/q", cases[i].parent), 0);
		assert_int_equal(store_peer_perms(w->dom0, 0, "/p/q/node", cases[i].node), 0);
		store_peer_forget_events(w->one);
		for (unsigned how = 0; how < 4; how++) {
			uint32_t tx = how & 1 ? store_peer_begin(w->dom0) : 0;

			if (how & 2)
				assert_int_equal(store_peer_ask(w->dom0, XS_RM, tx, NULL, "/p/q/node", NULL), 0);
			else
				assert_int_equal(store_peer_write(w->dom0, tx, "/p/q/node", "v"), 0);
			if (tx)
				assert_int_equal(store_peer_end(w->dom0, tx, true), 0);
			if (!!store_peer_event(w->one) != cases[i].is_heard)
				fail_msg("%s under %s, way %u: heard against the rules, or not", cases[i].node, cases[i].parent, how);
			assert_null(store_peer_event(w->one));
			/* Made again by Domain-0 with the parent's permissions: give it back its own for the next way. */
			if (how & 2) {
				assert_int_equal(store_peer_write(w->dom0, 0, "/p/q/node", ""), 0);
				assert_int_equal(store_peer_perms(w->dom0, 0, "/p/q/node", cases[i].node), 0);
				store_peer_forget_events(w->one);
			}
		}
	}
}

static void losing_the_right_to_read_is_still_heard(void **state)
{
	struct store_world *w = *state;

	assert_int_equal(store_peer_write(w->dom0, 0, "/p/node", ""), 0);
	assert_int_equal(store_peer_perms(w->dom0, 0, "/p/node", "n0 r1"), 0);
	assert_int_equal(store_peer_watch(w->one, "/p/node", "t"), 0);
	expect_event(w->one, "/p/node t");
	assert_int_equal(store_peer_perms(w->dom0, 0, "/p/node", "n0"), 0);
	expect_event(w->one, "/p/node t");
	assert_int_equal(store_peer_perms(w->dom0, 0, "/p/node", "n0 w1"), 0);
	assert_null(store_peer_event(w->one));
}

static void domains_come_and_go_is_told_to_whom_domain_0_allows(void **state)
{
	struct store_world *w = *state;

	assert_int_equal(store_peer_watch(w->dom0, "@introduceDomain", "in"), 0);
	assert_int_equal(store_peer_watch(w->dom0, "@releaseDomain", "out"), 0);
	assert_int_equal(store_peer_watch(w->one, "@releaseDomain", "out"), 0);
	assert_int_equal(store_peer_watch(w->two, "@releaseDomain", "out"), 0);
	store_peer_forget_events(w->dom0);
	expect_event(w->one, "@releaseDomain out");
	expect_event(w->two, "@releaseDomain out");
	assert_int_equal(store_peer_perms(w->dom0, 0, "@releaseDomain", "n0 r2"), 0);
	store_peer_forget_events(w->dom0);
	store_peer_forget_events(w->two);
	store_peer_close(store_box_guest(w->box, 3));
	expect_event(w->dom0, "@introduceDomain in");
	store_release_domain(w->box->store, 3);
	expect_event(w->dom0, "@releaseDomain out");
	expect_event(w->two, "@releaseDomain out");
	assert_null(store_peer_event(w->one));
}

static void a_guests_waiting_events_are_told_once(void **state)
{
	struct store_world *w = *state;
	const struct store_conn *conn = store_domain_find(&w->box->store->tree, 1)->conn;
	char path[64];
	unsigned nr = 0;

	assert_int_equal(store_peer_watch(w->one, "w", "t"), 0);
	store_peer_forget_events(w->one);
	/* 40 different paths, 50 times each, while the guest does not look: a ring full of them, the rest once each. */
	for (unsigned i = 0; i < 2000; i++) {
		snprintf(path, sizeof(path), "/local/domain/1/w/%u", i % 40);
		assert_int_equal(store_write(w->box->store, path, "v", 1), 0);
	}
	assert_true(conn->nr_out <= 41);
	assert_int_equal(store_validate(w->box->store), 0);
	while (store_peer_event(w->one))
		nr++;
	assert_true(nr >= 40 && nr <= 40 + XENSTORE_RING_SIZE / 16);
	assert_int_equal(conn->nr_out, 0);
	assert_int_equal(conn->event_bytes, 0);
}

static void what_waits_for_a_deaf_guest_is_bounded(void **state)
{
	struct store_world *w = *state;
	struct store *store = w->box->store;
	const struct store_conn *conn = store_domain_find(&store->tree, 1)->conn;
	char path[3000];
	const char *event;
	bool was_told = false;
	size_t most;

	assert_int_equal(store_peer_watch(w->one, "w", "t"), 0);
	store_peer_forget_events(w->one);
	memset(path, 'x', sizeof(path));
	for (unsigned i = 0; i < 2000; i++) {
		int at = snprintf(path, sizeof(path), "/local/domain/1/w/%u", i);

		path[at] = 'x';
		path[sizeof(path) - 1] = 0;
		assert_int_equal(store_write(store, path, "v", 1), 0);
		assert_int_equal(store_remove(store, path), 0);
	}
	most = conn->out_bytes;
	assert_true(most <= store->quota.memory_bytes / 2 + 2 * STORE_MESSAGE_BYTES_MAX);
	assert_int_equal(store_write(store, "/local/domain/1/w/last", "v", 1), 0);
	assert_int_equal(conn->out_bytes, most);
	/* It is still served, and knows that something below its watch changed. */
	while ((event = store_peer_event(w->one)))
		was_told = was_told || !strcmp(event, "w t");
	assert_true(was_told);
	assert_int_equal(conn->out_bytes, 0);
	assert_int_equal(store_peer_write(w->one, 0, "after", "v"), 0);
}

/* A guest cannot make the store queue without end for a client of Domain-0 that is busy, nor get it disconnected. */
static void what_waits_for_a_busy_client_of_domain_0_is_bounded(void **state)
{
	struct store_world *w = *state;
	char path[3000];
	const char *event;
	bool was_told = false;
	size_t most = 0;

	assert_int_equal(store_peer_watch(w->other, "/local/domain", "t"), 0);
	store_peer_forget_events(w->other);
	memset(path, 'x', sizeof(path));
	for (unsigned i = 0; i < 4000; i++) {
		int at = snprintf(path, sizeof(path), "/local/domain/1/w/%u", i);

		path[at] = 'x';
		path[sizeof(path) - 1] = 0;
		assert_int_equal(store_write(w->box->store, path, "v", 1), 0);
		assert_int_equal(store_remove(w->box->store, path), 0);
	}
	for (struct store_conn *conn = w->box->store->conns; conn; conn = conn->next)
		most = conn->out_bytes > most ? conn->out_bytes : most;
	assert_true(most > 1u << 20 && most < 5u << 20);
	assert_int_equal(store_validate(w->box->store), 0);
	while ((event = store_peer_event(w->other)))
		was_told = was_told || !strcmp(event, "/local/domain t");
	assert_true(was_told);
	assert_int_equal(store_peer_write(w->other, 0, "/after", "v"), 0);
}

static void events_that_would_not_fit_are_left_out(void **state)
{
	struct store_world *w = *state;
	char token[2000], path[3000];

	memset(token, 't', sizeof(token));
	token[sizeof(token) - 1] = 0;
	memset(path, 'p', sizeof(path));
	memcpy(path, "/long/", 6);
	path[sizeof(path) - 1] = 0;
	assert_int_equal(store_peer_watch(w->dom0, "/long", token), 0);
	store_peer_forget_events(w->dom0);
	assert_int_equal(store_peer_write(w->other, 0, path, "v"), 0);
	assert_null(store_peer_event(w->dom0));
}

static void ten_thousand_watches_are_not_looked_through(void **state)
{
	struct store_world *w = *state;
	struct store *store = w->box->store;
	char path[64];
	size_t longest = 0;

	for (unsigned i = 0; i < 10000; i++) {
		snprintf(path, sizeof(path), "/many/%u/state", i);
		assert_int_equal(store_peer_watch(w->dom0, path, "t"), 0);
		w->dom0->next_event = w->dom0->nr_events;
	}
	store_peer_forget_events(w->dom0);
	assert_int_equal(store->watches.points.nr, 10000);
	for (size_t i = 0; i < store->watches.points.nr_buckets; i++) {
		size_t len = 0;

		for (struct store_map_entry *e = store->watches.points.buckets[i]; e; e = e->next)
			len++;
		longest = len > longest ? len : longest;
	}
	assert_true(longest <= 16); /* a look-up is a few steps, whatever the number */
	assert_int_equal(store_peer_write(w->other, 0, "/many/7777/state", "4"), 0);
	expect_event(w->dom0, "/many/7777/state t");
	assert_null(store_peer_event(w->dom0));
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest tests[] = {
		TEST(a_watch_fires_once_at_once_after_its_answer),
		TEST(a_change_is_heard_on_the_node_and_above),
		TEST(removal_is_told_to_watches_below),
		TEST(relative_watches_get_relative_paths),
		TEST(the_same_watch_twice_is_refused),
		TEST(a_guest_hears_only_of_what_it_may_read),
		TEST(losing_the_right_to_read_is_still_heard),
		TEST(domains_come_and_go_is_told_to_whom_domain_0_allows),
		TEST(a_guests_waiting_events_are_told_once),
		TEST(what_waits_for_a_deaf_guest_is_bounded),
		TEST(what_waits_for_a_busy_client_of_domain_0_is_bounded),
		TEST(events_that_would_not_fit_are_left_out),
		TEST(ten_thousand_watches_are_not_looked_through),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
