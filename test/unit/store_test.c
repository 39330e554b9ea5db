/*
 * test/unit/store_test.c - the store's requests: values, paths, errors, permissions, domains.
 */
#include "test.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "store_box.h"

static int setup(void **state)
{
	struct store_world *w = store_world_create(NULL);

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

static void what_was_written_is_read_byte_for_byte(void **state)
{
	static const char bytes[] = "/v\0\0\xff\n\0x";
	struct store_world *w = *state;
	struct store_reply reply;

	assert_int_equal(store_peer_call(w->dom0, XS_WRITE, 0, bytes, sizeof(bytes) - 1, NULL), 0);
	assert_int_equal(store_peer_ask(w->dom0, XS_READ, 0, &reply, "/v", NULL), 0);
	assert_int_equal(reply.len, 5);
	assert_memory_equal(reply.data, bytes + 3, 5);
	assert_int_equal(store_peer_write(w->dom0, 0, "/v", ""), 0);
	assert_string_equal(store_peer_read(w->dom0, 0, "/v", NULL), "");
}

static void the_core_reads_and_writes_what_clients_see(void **state)
{
	struct store_world *w = *state;
	const char *value;
	unsigned len;

	assert_int_equal(store_write(w->box->store, "/core/x", "abc", 3), 0);
	assert_string_equal(store_peer_read(w->dom0, 0, "/core/x", NULL), "abc");
	assert_int_equal(store_read(w->box->store, "/core/x", &value, &len), 0);
	assert_int_equal(len, 3);
	assert_memory_equal(value, "abc", 3);
	assert_int_equal(store_remove(w->box->store, "/core"), 0);
	assert_int_equal(store_read(w->box->store, "/core/x", &value, &len), -ENOENT);
	assert_int_equal(store_write(w->box->store, "core", "", 0), 0); /* relative to Domain-0's own */
	assert_int_equal(store_write(w->box->store, "/a//b", "", 0), -EINVAL);
}

static void answers_carry_the_exact_words(void **state)
{
	struct store_world *w = *state;
	static const struct {
		uint32_t type, tx_id;
		bool from_guest;
		const char *data;
		unsigned len;
		uint32_t answer_type;
		const char *answer;
		unsigned answer_len;
	} cases[] = {
#define IN(text) text, sizeof(text)
#define OUT(type, text) type, text, sizeof(text)
		{XS_WRITE, 0, false, "/a\0v", 4, OUT(XS_WRITE, "OK")},
		{XS_READ, 0, false, "/a", 3, XS_READ, "v", 1},
		{XS_READ, 0, false, "/a", 2, OUT(XS_ERROR, "EINVAL")},
		{XS_READ, 0, false, "/a\0x", 4, OUT(XS_ERROR, "EINVAL")},
		{XS_READ, 0, false, "", 0, OUT(XS_ERROR, "EINVAL")},
		{XS_READ, 0, false, IN("/none"), OUT(XS_ERROR, "ENOENT")},
		{XS_READ, 0, true, IN("/none"), OUT(XS_ERROR, "EACCES")},
		{XS_READ, 77, false, IN("/a"), OUT(XS_ERROR, "ENOENT")},
		{XS_MKDIR, 0, false, IN("/d/e"), OUT(XS_MKDIR, "OK")},
		{XS_DIRECTORY, 0, false, IN("/d"), OUT(XS_DIRECTORY, "e")},
		{XS_DIRECTORY, 0, false, IN("/d/e"), XS_DIRECTORY, "", 0},
		{XS_RM, 0, false, IN("/d/none"), OUT(XS_RM, "OK")},
		{XS_RM, 0, false, IN("/d/none/none"), OUT(XS_ERROR, "ENOENT")},
		{XS_RM, 0, false, IN("/"), OUT(XS_ERROR, "EINVAL")},
		{XS_GET_PERMS, 0, false, IN("/a"), OUT(XS_GET_PERMS, "n0")},
		{XS_SET_PERMS, 0, false, IN("/a\0r0\0b1"), OUT(XS_SET_PERMS, "OK")},
		{XS_GET_PERMS, 0, false, IN("/a"), OUT(XS_GET_PERMS, "r0\0b1")},
		{XS_SET_PERMS, 0, false, IN("/a"), OUT(XS_ERROR, "EINVAL")},
		{XS_SET_PERMS, 0, false, IN("/a\0x0"), OUT(XS_ERROR, "EINVAL")},
		{XS_SET_PERMS, 0, false, IN("/a\0r"), OUT(XS_ERROR, "EINVAL")},
		{XS_SET_PERMS, 0, false, IN("/a\0r99999"), OUT(XS_ERROR, "EINVAL")},
		{XS_SET_PERMS, 0, false, "/a\0r0\0b1", 8, OUT(XS_ERROR, "EINVAL")},
		{XS_WATCH, 0, false, IN("/a"), OUT(XS_ERROR, "EINVAL")},
		{XS_UNWATCH, 0, false, IN("/a\0t"), OUT(XS_ERROR, "ENOENT")},
		{XS_TRANSACTION_START, 5, false, IN(""), OUT(XS_ERROR, "ENOENT")},
		{XS_TRANSACTION_END, 0, false, IN("T"), OUT(XS_ERROR, "ENOENT")},
		{XS_TRANSACTION_END, 0, false, IN("X"), OUT(XS_ERROR, "EINVAL")},
		{XS_GET_DOMAIN_PATH, 0, false, IN("7"), OUT(XS_GET_DOMAIN_PATH, "/local/domain/7")},
		{XS_GET_DOMAIN_PATH, 0, false, IN("x"), OUT(XS_ERROR, "EINVAL")},
		{XS_IS_DOMAIN_INTRODUCED, 0, false, IN("1"), OUT(XS_IS_DOMAIN_INTRODUCED, "T")},
		{XS_IS_DOMAIN_INTRODUCED, 0, false, IN("9"), OUT(XS_IS_DOMAIN_INTRODUCED, "F")},
		{XS_IS_DOMAIN_INTRODUCED, 0, true, IN("32752"), OUT(XS_IS_DOMAIN_INTRODUCED, "T")},
		{XS_INTRODUCE, 0, false, IN("1\0" "1\0" "1"), OUT(XS_ERROR, "EEXIST")},
		{XS_INTRODUCE, 0, false, IN("0\0" "1\0" "1"), OUT(XS_ERROR, "EINVAL")},
		{XS_INTRODUCE, 0, false, IN("9\0" "1\0" "1"), OUT(XS_ERROR, "ENOENT")},
		{XS_INTRODUCE, 0, false, IN("1\0" "1"), OUT(XS_ERROR, "EINVAL")},
		{XS_INTRODUCE, 0, true, IN("1\0" "1\0" "1"), OUT(XS_ERROR, "EACCES")},
		{XS_RELEASE, 0, false, IN("9"), OUT(XS_ERROR, "ENOENT")},
		{XS_RELEASE, 0, true, IN("2"), OUT(XS_ERROR, "EACCES")},
		{XS_RESUME, 0, false, IN("1"), OUT(XS_RESUME, "OK")},
		{XS_RESUME, 0, false, IN("9"), OUT(XS_ERROR, "ENOENT")},
		{XS_SET_TARGET, 0, true, IN("1\0" "2"), OUT(XS_ERROR, "EACCES")},
		{XS_SET_TARGET, 0, false, IN("1\0" "9"), OUT(XS_ERROR, "ENOENT")},
		{XS_CONTROL, 0, false, IN("print\0" "a test says hello"), OUT(XS_CONTROL, "OK")},
		{XS_CONTROL, 0, false, IN("check"), OUT(XS_CONTROL, "OK")},
		{XS_CONTROL, 0, false, IN("nonsense"), OUT(XS_ERROR, "EINVAL")},
		{XS_CONTROL, 0, true, IN("help"), OUT(XS_ERROR, "EACCES")},
		{XS_RESET_WATCHES, 0, true, IN(""), OUT(XS_RESET_WATCHES, "OK")},
		{XS_WATCH_EVENT, 0, false, IN("/a\0t"), OUT(XS_ERROR, "ENOSYS")},
		{XS_ERROR, 0, false, IN("EIO"), OUT(XS_ERROR, "ENOSYS")},
		{20, 0, false, IN(""), OUT(XS_ERROR, "ENOSYS")},
		{XS_TYPE_COUNT, 0, false, IN(""), OUT(XS_ERROR, "ENOSYS")},
		{XS_INVALID, 0, true, IN(""), OUT(XS_ERROR, "ENOSYS")},
		{UINT32_MAX, 0, true, IN(""), OUT(XS_ERROR, "ENOSYS")},
#undef IN
#undef OUT
	};

	for (unsigned i = 0; i < ARRAY_LEN(cases); i++) {
		struct store_peer *peer = cases[i].from_guest ? w->one : w->dom0;
		struct store_reply reply;

		store_peer_send(peer, cases[i].type, cases[i].tx_id, cases[i].data, cases[i].len);
		assert_true(store_peer_receive(peer, &reply));
		if (reply.type != cases[i].answer_type || reply.len != cases[i].answer_len ||
		    memcmp(reply.data, cases[i].answer, reply.len))
			fail_msg("case %u: type %u answered %u \"%s\", not \"%s\"", i, cases[i].type, reply.type, reply.data,
				 cases[i].answer);
		assert_int_equal(reply.req_id, peer->req_id);
		assert_int_equal(reply.tx_id, cases[i].tx_id);
	}
}

static void paths_are_checked(void **state)
{
	struct store_world *w = *state;
	char longest[XENSTORE_ABS_PATH_MAX + 2], relative[XENSTORE_REL_PATH_MAX + 2];
	const struct {
		const char *path;
		int error;
	} cases[] = {
		{"/", 0}, {"/a-b_c@d/Z9", 0}, {"rel/x", 0}, {"", -EINVAL}, {"//", -EINVAL}, {"/a/", -EINVAL}, {"/a//b", -EINVAL},
		{"a/", -EINVAL}, {"/a b", -EINVAL}, {"/a.b", -EINVAL}, {"/\xe9", -EINVAL}, {"@releaseDomain", -EINVAL},
		{"/a:b", -EINVAL}, {longest, 0}, {relative, 0},
	};

	memset(longest, 'x', sizeof(longest));
	longest[0] = '/';
	longest[XENSTORE_ABS_PATH_MAX] = 0;
	memset(relative, 'y', sizeof(relative));
	relative[XENSTORE_REL_PATH_MAX] = 0;
	for (unsigned i = 0; i < ARRAY_LEN(cases); i++) {
		int ret = store_peer_write(w->dom0, 0, cases[i].path, "v");

		if (ret != cases[i].error)
			fail_msg("case %u (%s): %d, not %d", i, cases[i].path, ret, cases[i].error);
		assert_int_equal(store_validate(w->box->store), 0);
	}
	longest[XENSTORE_ABS_PATH_MAX] = 'x';
	longest[XENSTORE_ABS_PATH_MAX + 1] = 0;
	assert_int_equal(store_peer_write(w->dom0, 0, longest, "v"), -EINVAL);
	relative[XENSTORE_REL_PATH_MAX] = 'y';
	relative[XENSTORE_REL_PATH_MAX + 1] = 0;
	assert_int_equal(store_peer_write(w->dom0, 0, relative, "v"), -EINVAL);
}

static void relative_paths_are_the_callers_own(void **state)
{
	struct store_world *w = *state;

	assert_int_equal(store_peer_write(w->one, 0, "data/x", "of one"), 0);
	assert_int_equal(store_peer_write(w->two, 0, "data/x", "of two"), 0);
	assert_string_equal(store_peer_read(w->dom0, 0, "/local/domain/1/data/x", NULL), "of one");
	assert_string_equal(store_peer_read(w->dom0, 0, "/local/domain/2/data/x", NULL), "of two");
	assert_string_equal(store_peer_read(w->one, 0, "data/x", NULL), "of one");
}

static void removal_takes_all_below_however_deep(void **state)
{
	struct store_world *w = *state;
	char path[XENSTORE_ABS_PATH_MAX + 1];
	int error;

	for (unsigned i = 0; i < XENSTORE_ABS_PATH_MAX; i += 2)
		memcpy(path + i, "/d", 2);
	path[XENSTORE_ABS_PATH_MAX] = 0;
	assert_int_equal(store_peer_write(w->dom0, 0, path, "deep"), 0);
	assert_int_equal(store_validate(w->box->store), 0);
	assert_string_equal(store_peer_read(w->dom0, 0, path, NULL), "deep");
	assert_int_equal(store_peer_write(w->dom0, 0, "/d/other/leaf", ""), 0);
	assert_int_equal(store_peer_write(w->dom0, 0, "/dd", "stays"), 0);
	assert_int_equal(store_peer_ask(w->dom0, XS_RM, 0, NULL, "/d", NULL), 0);
	assert_null(store_peer_read(w->dom0, 0, path, &error));
	assert_int_equal(error, -ENOENT);
	assert_null(store_peer_read(w->dom0, 0, "/d/other/leaf", &error));
	assert_string_equal(store_peer_read(w->dom0, 0, "/dd", NULL), "stays");
	assert_int_equal(w->box->store->tree.nodes.nr, 3 + 2 + 2 + 2 + 1); /* first ones, /local/domain, two homes, /dd */
}

static void long_lists_come_in_pieces(void **state)
{
	struct store_world *w = *state;
	struct store_reply reply;
	char path[64], offset[16], generation[XENSTORE_PAYLOAD_MAX + 1] = "";
	unsigned nr = 0, at = 0;
	bool last = false;

	for (unsigned i = 0; i < 1000; i++) {
		snprintf(path, sizeof(path), "/list/child-%u", i);
		assert_int_equal(store_peer_ask(w->dom0, XS_MKDIR, 0, NULL, path, NULL), 0);
	}
	assert_int_equal(store_peer_ask(w->dom0, XS_DIRECTORY, 0, NULL, "/list", NULL), -E2BIG);
	while (!last) {
		unsigned i;

		snprintf(offset, sizeof(offset), "%u", at);
		assert_int_equal(store_peer_ask(w->dom0, XS_DIRECTORY_PART, 0, &reply, "/list", offset, NULL), 0);
		if (!at)
			strcpy(generation, reply.data);
		assert_string_equal(reply.data, generation);
		for (i = (unsigned)strlen(generation) + 1; i < reply.len && reply.data[i]; i += (unsigned)strlen(reply.data + i) + 1) {
			snprintf(path, sizeof(path), "child-%u", nr++);
			assert_string_equal(reply.data + i, path);
			at += (unsigned)strlen(path) + 1;
		}
		last = i < reply.len;
		assert_true(nr <= 1000);
	}
	assert_int_equal(nr, 1000);
	assert_int_equal(store_peer_ask(w->dom0, XS_DIRECTORY_PART, 0, &reply, "/list", "999999", NULL), 0);
	assert_int_equal(reply.len, strlen(reply.data) + 2);
}

/* For each permission of the owner's entry and of a named one: what domain 1 (owner), 2 (named or not) and Domain-0 may. */
static void permissions_decide_as_the_table_says(void **state)
{
	struct store_world *w = *state;
	static const char letters[] = "nrwb";
	static const bool reads[] = {false, true, false, true}, writes[] = {false, false, true, true};

	for (unsigned others = 0; others < 4; others++)
		for (unsigned named = 0; named < 5; named++) { /* 4: not named */
			char perms[16];
			unsigned rule = named < 4 ? named : others;
			int may_read = reads[rule] ? 0 : -EACCES, may_write = writes[rule] ? 0 : -EACCES;

			assert_int_equal(store_peer_write(w->dom0, 0, "/p/node", "v"), 0);
			snprintf(perms, sizeof(perms), named < 4 ? "%c1 %c2" : "%c1", letters[others], letters[named % 4]);
			assert_int_equal(store_peer_perms(w->dom0, 0, "/p/node", perms), 0);
			assert_int_equal(store_peer_write(w->one, 0, "/p/node", "1"), 0);
			assert_string_equal(store_peer_read(w->one, 0, "/p/node", NULL), "1");
			assert_string_equal(store_peer_read(w->dom0, 0, "/p/node", NULL), "1");
			assert_int_equal(store_peer_ask(w->two, XS_READ, 0, NULL, "/p/node", NULL), may_read);
			assert_int_equal(store_peer_ask(w->two, XS_DIRECTORY, 0, NULL, "/p/node", NULL), may_read);
			assert_int_equal(store_peer_ask(w->two, XS_GET_PERMS, 0, NULL, "/p/node", NULL), may_read);
			assert_int_equal(store_peer_write(w->two, 0, "/p/node", "2"), may_write);
			assert_int_equal(store_peer_ask(w->two, XS_MKDIR, 0, NULL, "/p/node", NULL), may_write);
			/* Below, what the parent lets one do decides; and who may not look does not learn what is missing. */
			assert_int_equal(store_peer_ask(w->two, XS_READ, 0, NULL, "/p/node/x", NULL),
					 reads[rule] ? -ENOENT : -EACCES);
			assert_int_equal(store_peer_write(w->two, 0, "/p/node/x", "2"), may_write);
			assert_int_equal(store_peer_perms(w->two, 0, "/p/node", "b1 b2"), -EACCES);
			assert_int_equal(store_peer_ask(w->two, XS_RM, 0, NULL, "/p/node", NULL), may_write);
			assert_int_equal(store_validate(w->box->store), 0);
			assert_int_equal(store_peer_ask(w->dom0, XS_RM, 0, NULL, "/p", NULL), 0);
		}
}

static void what_a_guest_makes_is_its_own_and_inherits_the_rest(void **state)
{
	struct store_world *w = *state;
	struct store_reply reply;

	assert_int_equal(store_peer_write(w->dom0, 0, "/shared", ""), 0);
	assert_int_equal(store_peer_perms(w->dom0, 0, "/shared", "r0 b1 w2"), 0);
	assert_int_equal(store_peer_write(w->one, 0, "/shared/a/b", "x"), 0);
	assert_int_equal(store_peer_ask(w->dom0, XS_GET_PERMS, 0, &reply, "/shared/a", NULL), 0);
	assert_int_equal(reply.len, 9);
	assert_memory_equal(reply.data, "r1\0b1\0w2", 9);
	assert_int_equal(store_peer_write(w->dom0, 0, "/shared/a/c", "x"), 0);
	assert_int_equal(store_peer_ask(w->dom0, XS_GET_PERMS, 0, &reply, "/shared/a/c", NULL), 0);
	assert_memory_equal(reply.data, "r1\0b1\0w2", 9);
	assert_int_equal(store_domain_find(&w->box->store->tree, 1)->nodes, 4);
}

static void only_domain_0_gives_nodes_away(void **state)
{
	struct store_world *w = *state;

	assert_int_equal(store_peer_write(w->one, 0, "mine", ""), 0);
	assert_int_equal(store_peer_perms(w->one, 0, "mine", "n2"), -EPERM);
	assert_int_equal(store_peer_perms(w->one, 0, "mine", "n1 r2"), 0);
	assert_int_equal(store_peer_perms(w->one, 0, "@releaseDomain", "n0 r1"), -EACCES);
	assert_int_equal(store_peer_perms(w->dom0, 0, "/local/domain/1/mine", "n2"), 0);
	assert_int_equal(store_peer_ask(w->one, XS_READ, 0, NULL, "mine", NULL), -EACCES);
	assert_int_equal(store_domain_find(&w->box->store->tree, 1)->nodes, 1);
	assert_int_equal(store_domain_find(&w->box->store->tree, 2)->nodes, 2);
}

static void a_target_lends_its_rights(void **state)
{
	struct store_world *w = *state;

	assert_int_equal(store_peer_write(w->two, 0, "secret", "s"), 0);
	assert_int_equal(store_peer_ask(w->one, XS_READ, 0, NULL, "/local/domain/2/secret", NULL), -EACCES);
	assert_int_equal(store_peer_ask(w->dom0, XS_SET_TARGET, 0, NULL, "1", "2", NULL), 0);
	assert_string_equal(store_peer_read(w->one, 0, "/local/domain/2/secret", NULL), "s");
	w->box->alive[2] = false;
	store_release_domain(w->box->store, 2);
	assert_int_equal(store_peer_write(w->dom0, 0, "/local/domain/2/secret", "of a new domain 2"), 0);
	w->box->alive[2] = true;
	assert_int_equal(store_peer_perms(w->dom0, 0, "/local/domain/2/secret", "n2"), 0);
	assert_int_equal(store_peer_ask(w->one, XS_READ, 0, NULL, "/local/domain/2/secret", NULL), -EACCES);
}

static void a_dead_domain_leaves_no_right_behind(void **state)
{
	struct store_world *w = *state;
	struct store_reply reply;
	uint32_t tx;

	assert_int_equal(store_peer_write(w->one, 0, "of-one", ""), 0);
	assert_int_equal(store_peer_perms(w->one, 0, "of-one", "n1 r2 b0"), 0);
	assert_int_equal(store_peer_write(w->dom0, 0, "/local/domain/1/below/two", ""), 0);
	assert_int_equal(store_peer_perms(w->dom0, 0, "/local/domain/1/below", "n2"), 0);
	assert_int_equal(store_peer_perms(w->dom0, 0, "@releaseDomain", "n0 r2"), 0);
	assert_int_equal(store_peer_perms(w->dom0, 0, "/tool", "w2 b1"), 0);
	tx = store_peer_begin(w->dom0);
	assert_int_equal(store_peer_write(w->dom0, tx, "/in-tx", ""), 0);
	assert_int_equal(store_peer_perms(w->dom0, tx, "/in-tx", "n2"), 0);

	w->box->alive[2] = false;
	assert_int_equal(store_peer_ask(w->dom0, XS_RELEASE, 0, NULL, "2", NULL), 0);
	assert_int_equal(w->box->released, 1);
	assert_int_equal(store_validate(w->box->store), 0);
	assert_null(store_domain_find(&w->box->store->tree, 2));
	assert_int_equal(store_peer_end(w->dom0, tx, true), -EAGAIN);

	assert_int_equal(store_peer_ask(w->dom0, XS_GET_PERMS, 0, &reply, "/local/domain/1/of-one", NULL), 0);
	assert_memory_equal(reply.data, "n1\0b0", 6);
	assert_int_equal(reply.len, 6);
	assert_int_equal(store_peer_ask(w->dom0, XS_READ, 0, NULL, "/local/domain/1/below", NULL), -ENOENT);
	assert_int_equal(store_peer_ask(w->dom0, XS_READ, 0, NULL, "/local/domain/2", NULL), -ENOENT);
	assert_int_equal(store_peer_ask(w->dom0, XS_READ, 0, NULL, "/tool/xenstored", NULL), -ENOENT); /* was below what was 2's */
	assert_int_equal(store_peer_ask(w->dom0, XS_GET_PERMS, 0, &reply, "@releaseDomain", NULL), 0);
	assert_int_equal(reply.len, 3);
	/* Nor can a right be given to the dead. */
	assert_int_equal(store_peer_perms(w->dom0, 0, "/local/domain/1/of-one", "n1 r2 r1"), 0);
	assert_int_equal(store_peer_ask(w->dom0, XS_GET_PERMS, 0, &reply, "/local/domain/1/of-one", NULL), 0);
	assert_memory_equal(reply.data, "n1\0r1", 6);
}

static void a_domain_that_was_never_introduced_is_forgotten_too(void **state)
{
	struct store_world *w = *state;

	w->box->alive[5] = true;
	assert_int_equal(store_peer_write(w->dom0, 0, "/local/domain/5", ""), 0);
	assert_int_equal(store_peer_perms(w->dom0, 0, "/local/domain/5", "n5"), 0);
	store_release_domain(w->box->store, 5);
	assert_int_equal(store_peer_ask(w->dom0, XS_READ, 0, NULL, "/local/domain/5", NULL), -ENOENT);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest tests[] = {
		TEST(what_was_written_is_read_byte_for_byte),
		TEST(the_core_reads_and_writes_what_clients_see),
		TEST(answers_carry_the_exact_words),
		TEST(paths_are_checked),
		TEST(relative_paths_are_the_callers_own),
		TEST(removal_takes_all_below_however_deep),
		TEST(long_lists_come_in_pieces),
		TEST(permissions_decide_as_the_table_says),
		TEST(what_a_guest_makes_is_its_own_and_inherits_the_rest),
		TEST(only_domain_0_gives_nodes_away),
		TEST(a_target_lends_its_rights),
		TEST(a_dead_domain_leaves_no_right_behind),
		TEST(a_domain_that_was_never_introduced_is_forgotten_too),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
