/*
 * test/unit/store_tx_test.c - transactions: what they see, what conflicts, what a commit fires.
 */
#include "test.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "store_box.h"

struct world {
	struct store_box *box;
	struct store_peer *a, *b;
};

static int setup(void **state)
{
	struct world *w = calloc(1, sizeof(*w));

	w->box = store_box_create(NULL);
	w->a = store_box_connect(w->box);
	w->b = store_box_connect(w->box);
	assert_int_equal(store_peer_write(w->a, 0, "/x/one", "1"), 0);
	assert_int_equal(store_peer_write(w->a, 0, "/x/two", "2"), 0);
	assert_int_equal(store_peer_write(w->a, 0, "/y/three/four", "4"), 0);
	*state = w;
	return 0;
}

static int teardown(void **state)
{
	struct world *w = *state;

	assert_int_equal(store_validate(w->box->store), 0);
	store_peer_close(w->a);
	store_peer_close(w->b);
	store_box_destroy(w->box);
	free(w);
	return 0;
}

static int rm(struct store_peer *peer, uint32_t tx, const char *path)
{
	return store_peer_ask(peer, XS_RM, tx, NULL, path, NULL);
}

/* "r/path" reads, "w/path" writes, "m" makes, "d" removes, "l" lists, "p" sets permissions: what a row's letters mean. */
static void step(struct store_peer *peer, uint32_t tx, const char *what)
{
	const char *path = what + 1;
	int ret = -1;

	switch (*what) {
	case 'r':
		ret = store_peer_ask(peer, XS_READ, tx, NULL, path, NULL);
		ret = ret == -ENOENT ? 0 : ret;
		break;
	case 'w':
		ret = store_peer_write(peer, tx, path, tx ? "in" : "out");
		break;
	case 'm':
		ret = store_peer_ask(peer, XS_MKDIR, tx, NULL, path, NULL);
		break;
	case 'd':
		ret = rm(peer, tx, path);
		break;
	case 'l':
		ret = store_peer_ask(peer, XS_DIRECTORY, tx, NULL, path, NULL);
		break;
	case 'p':
		ret = store_peer_perms(peer, tx, path, "r0");
		break;
	}
	if (ret)
		fail_msg("%s: %d", what, ret);
}

static void only_what_was_looked_at_conflicts(void **state)
{
	static const struct {
		const char *inside, *outside;
		int commit;
	} cases[] = {
		{"r/x/one", "w/x/two", 0},
		{"r/x/one", "r/x/one", 0},
		{"r/x/one", "w/x/one", -EAGAIN},
		{"r/x/one", "p/x/one", -EAGAIN},
		{"r/x/one", "d/x/one", -EAGAIN},
		{"r/x/one", "d/x", -EAGAIN},
		{"r/x/one", "w/x/one/below", -EAGAIN}, /* a child changes its parent */
		{"r/x/one", "w/x/new", 0},
		{"r/x/none", "w/x/none", -EAGAIN},
		{"r/x/none", "w/x/other", 0},
		{"w/x/one", "w/x/two", 0},
		{"w/x/one", "w/x/one", -EAGAIN},
		{"w/x/one", "d/x", -EAGAIN},
		{"w/x/new", "w/x/new", -EAGAIN},
		{"w/x/new", "w/x/other", -EAGAIN}, /* both change the list of /x */
		{"w/x/new", "w/y/other", 0},
		{"w/n/e/w", "w/y/other", 0},
		{"m/x/one", "w/x/two", 0},
		{"d/x/one", "w/y/three", 0},
		{"d/x", "w/x/two", -EAGAIN},
		{"d/x", "w/x/new", -EAGAIN},
		{"d/x/one", "w/x/two", 0},
		{"l/x", "w/x/one", 0},
		{"l/x", "w/x/new", -EAGAIN},
		{"l/x", "d/x/one", -EAGAIN},
		{"p/x/one", "w/x/one", -EAGAIN},
		{"p/x/one", "w/x/two", 0},
	};

	for (unsigned i = 0; i < ARRAY_LEN(cases); i++) {
		for (unsigned order = 0; order < 2; order++) {
			struct world *w;
			uint32_t tx;
			int ret;

			assert_int_equal(setup((void **)&w), 0);
			tx = store_peer_begin(w->a);
			if (order)
				step(w->a, tx, "r/tool");
			step(w->a, tx, cases[i].inside);
			step(w->b, 0, cases[i].outside);
			if (order)
				step(w->a, tx, cases[i].inside[0] == 'd' ? "r/tool" : cases[i].inside);
			ret = store_peer_end(w->a, tx, true);
			if (ret != cases[i].commit)
				fail_msg("%s against %s: %d, not %d", cases[i].inside, cases[i].outside, ret, cases[i].commit);
			teardown((void **)&w);
		}
	}
	(void)state;
}

static void what_two_commit_conflicts_as_what_one_writes(void **state)
{
	struct world *w = *state;
	uint32_t ta = store_peer_begin(w->a), tb = store_peer_begin(w->b), tc = store_peer_begin(w->b);

	step(w->a, ta, "w/x/one");
	step(w->b, tb, "w/x/one");
	step(w->b, tc, "w/x/two");
	assert_int_equal(store_peer_end(w->a, ta, true), 0);
	assert_int_equal(store_peer_end(w->b, tb, true), -EAGAIN);
	assert_int_equal(store_peer_end(w->b, tc, true), 0);
	assert_int_equal(store_peer_end(w->b, tc, true), -ENOENT); /* ended is ended */
	assert_int_equal(store_peer_end(w->b, tb, true), -ENOENT);
	assert_string_equal(store_peer_read(w->a, 0, "/x/two", NULL), "in");
}

static void changes_are_private_until_the_commit(void **state)
{
	struct world *w = *state;
	struct store_reply reply;
	uint32_t tx = store_peer_begin(w->a);
	int error;

	step(w->a, tx, "w/x/one");
	step(w->a, tx, "w/n/e/w");
	assert_int_equal(rm(w->a, tx, "/y"), 0);
	assert_string_equal(store_peer_read(w->a, tx, "/x/one", NULL), "in");
	assert_string_equal(store_peer_read(w->a, tx, "/n/e/w", NULL), "in");
	assert_null(store_peer_read(w->a, tx, "/y/three/four", &error));
	assert_int_equal(error, -ENOENT);
	assert_int_equal(store_peer_ask(w->a, XS_DIRECTORY, tx, &reply, "/", NULL), 0);
	assert_memory_equal(reply.data, "tool\0x\0n", reply.len);

	assert_string_equal(store_peer_read(w->a, 0, "/x/one", NULL), "1");
	assert_string_equal(store_peer_read(w->b, 0, "/y/three/four", NULL), "4");
	assert_null(store_peer_read(w->b, 0, "/n", NULL));
	assert_int_equal(store_validate(w->box->store), 0);

	assert_int_equal(store_peer_end(w->a, tx, true), 0);
	assert_string_equal(store_peer_read(w->b, 0, "/x/one", NULL), "in");
	assert_string_equal(store_peer_read(w->b, 0, "/n/e/w", NULL), "in");
	assert_null(store_peer_read(w->b, 0, "/y/three", NULL));
}

static void an_aborted_transaction_changes_nothing(void **state)
{
	struct world *w = *state;
	uint32_t tx = store_peer_begin(w->a);
	size_t nr = w->box->store->tree.nodes.nr;

	step(w->a, tx, "w/x/one");
	step(w->a, tx, "w/n/e/w");
	assert_int_equal(rm(w->a, tx, "/y"), 0);
	assert_int_equal(store_peer_end(w->a, tx, false), 0);
	assert_string_equal(store_peer_read(w->a, 0, "/x/one", NULL), "1");
	assert_int_equal(w->box->store->tree.nodes.nr, nr);
}

static void removing_and_making_again_in_one_transaction_holds(void **state)
{
	struct world *w = *state;
	struct store_reply reply;
	uint32_t tx = store_peer_begin(w->a);

	assert_int_equal(rm(w->a, tx, "/x"), 0);
	step(w->a, tx, "w/x/three");
	assert_int_equal(store_peer_end(w->a, tx, true), 0);
	assert_int_equal(store_peer_ask(w->a, XS_DIRECTORY, 0, &reply, "/x", NULL), 0);
	assert_memory_equal(reply.data, "three", reply.len);
	assert_null(store_peer_read(w->a, 0, "/x/one", NULL));
}

static void a_commit_fires_what_it_changed_once_and_in_order(void **state)
{
	struct world *w = *state;
	uint32_t tx;

	assert_int_equal(store_peer_watch(w->b, "/x", "t"), 0);
	assert_int_equal(store_peer_watch(w->b, "/y/three/four", "f"), 0);
	assert_string_equal(store_peer_event(w->b), "/x t");
	assert_string_equal(store_peer_event(w->b), "/y/three/four f");
	tx = store_peer_begin(w->a);
	step(w->a, tx, "w/x/state");
	step(w->a, tx, "w/x/ring-ref");
	step(w->a, tx, "r/x/two");
	step(w->a, tx, "w/x/state");
	assert_int_equal(rm(w->a, tx, "/y"), 0);
	assert_null(store_peer_event(w->b));
	assert_int_equal(store_peer_end(w->a, tx, true), 0);
	/* The last write decides the place: what is announced comes before the announcement. */
	assert_string_equal(store_peer_event(w->b), "/x/ring-ref t");
	assert_string_equal(store_peer_event(w->b), "/x/state t");
	assert_string_equal(store_peer_event(w->b), "/y/three/four f");
	assert_null(store_peer_event(w->b));
	tx = store_peer_begin(w->a);
	step(w->a, tx, "w/x/state");
	step(w->b, 0, "w/x/state");
	assert_string_equal(store_peer_event(w->b), "/x/state t");
	assert_int_equal(store_peer_end(w->a, tx, true), -EAGAIN);
	assert_null(store_peer_event(w->b));
}

static void a_lost_connection_ends_its_transactions(void **state)
{
	struct world *w = *state;
	struct store_peer *c = store_box_connect(w->box);
	uint32_t tx = store_peer_begin(c);

	step(c, tx, "w/x/one");
	store_peer_close(c);
	assert_string_equal(store_peer_read(w->a, 0, "/x/one", NULL), "1");
	tx = store_peer_begin(w->a);
	assert_int_equal(store_peer_ask(w->a, XS_RESET_WATCHES, 0, NULL, NULL), 0);
	assert_int_equal(store_peer_end(w->a, tx, true), -ENOENT);
}

/* Others pull the ground away under a transaction in every order: each step is answered, the commit refuses. */
static void a_doomed_transaction_harms_nobody(void **state)
{
	static const char *const inside[] = {"w/y/three/four", "d/y/three/four", "w/y/three/five", "d/y/three", "l/y",
					     "p/y/three/four", "m/y/three/six/seven", "d/y", "w/y/again"};
	struct world *w = *state;

	for (unsigned first = 0; first < ARRAY_LEN(inside); first++)
		for (unsigned outside = 0; outside < 2; outside++) {
			uint32_t tx = store_peer_begin(w->a);

			step(w->a, tx, "r/y/three/four");
			step(w->a, tx, inside[first]);
			step(w->b, 0, outside ? "d/y/three" : "d/y");
			for (unsigned i = 0; i < ARRAY_LEN(inside); i++) {
				char path[64];

				/* Any answer will do, as long as one comes. */
				snprintf(path, sizeof(path), "%s", inside[i] + 1);
				store_peer_write(w->a, tx, path, "z");
				rm(w->a, tx, path);
				store_peer_ask(w->a, XS_DIRECTORY, tx, NULL, path, NULL);
				store_peer_perms(w->a, tx, path, "n0");
			}
			assert_int_equal(store_peer_end(w->a, tx, true), -EAGAIN);
			assert_int_equal(store_validate(w->box->store), 0);
			step(w->b, 0, "w/y/three/four");
		}
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest tests[] = {
		TEST(only_what_was_looked_at_conflicts),
		TEST(what_two_commit_conflicts_as_what_one_writes),
		TEST(changes_are_private_until_the_commit),
		TEST(an_aborted_transaction_changes_nothing),
		TEST(removing_and_making_again_in_one_transaction_holds),
		TEST(a_commit_fires_what_it_changed_once_and_in_order),
		TEST(a_lost_connection_ends_its_transactions),
		TEST(a_doomed_transaction_harms_nobody),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
