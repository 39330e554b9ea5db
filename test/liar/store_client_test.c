/*
 * test/liar/store_client_test.c - a store that lies to a guest's client: each lie costs one answer at most.
 */
#include "test.h"

#include <stdio.h>
#include <stdlib.h>

#include "script_store.h"

#define SOON_MS 50

static uint8_t script[1 << 16];
static struct script_store store;
static struct store_client *sc;

static int start(void **state)
{
	memset(&store, 0, sizeof(store));
	store.bytes = script;
	return script_open(&store, SOON_MS, &sc);
}

static int stop(void **state)
{
	store_client_close(sc);
	return 0;
}

static int read_something(void)
{
	char *value;
	int err = store_client_read(sc, STORE_NO_TX, "name", &value, NULL);

	if (!err)
		free(value);
	return err;
}

static void answers(uint32_t type, uint32_t req_id, const void *body, uint32_t len)
{
	store.nr_bytes += script_message(script + store.nr_bytes, type, req_id, body, len);
}

static void honest_answer_is_taken_whatever_comes_before_it(void **state)
{
	char *value, *token;

	answers(XS_WATCH_EVENT, 0, "a/b\0token", 10);
	answers(XS_READ, 77, "old", 3); /* to nobody's question */
	answers(XS_WATCH_EVENT, 0, "a/b\0token", 10);
	answers(XS_READ, 1, "value", 5);
	assert_int_equal(store_client_read(sc, STORE_NO_TX, "name", &value, NULL), 0);
	assert_string_equal(value, "value");
	free(value);
	assert_int_equal(store.raises, 1); /* there is an event to fetch, once although it came twice */
	assert_int_equal(store_client_next_watch(sc, &value, &token), 0);
	assert_string_equal(value, "a/b");
	assert_string_equal(token, "token");
	free(value);
	free(token);
}

static void lies_break_the_connection_for_good(void **state)
{
	static const struct {
		uint32_t type, len;
		const char *body;
		uint32_t claimed;
	} cases[] = {
		{XS_READ, 0, "", XENSTORE_PAYLOAD_MAX + 1},
		{XS_READ, 0, "", UINT32_MAX},
		{XS_WRITE, 3, "OK", 3}, /* an answer to another question */
		{XS_TYPE_COUNT, 0, "", 0},
		{XS_WATCH_EVENT, 4, "path", 4}, /* no end */
		{XS_WATCH_EVENT, 5, "path", 5}, /* no token */
		{XS_WATCH_EVENT, 8, "path\0tok", 8},
		{XS_WATCH_EVENT, 0, "", 0},
	};

	for (unsigned i = 0; i < ARRAY_LEN(cases); i++) {
		stop(NULL);
		start(NULL);
		answers(cases[i].type, 1, cases[i].body, cases[i].len);
		memcpy(script + offsetof(struct xsd_sockmsg, len), &cases[i].claimed, 4);
		assert_int_equal(read_something(), -EPROTO);
		store.at = store.nr_bytes = 0;
		answers(XS_READ, 2, "fine", 4);
		assert_int_equal(read_something(), -EPROTO);
		assert_int_equal(store_client_wait(sc, 0), -EPROTO);
	}
}

static void impossible_indices_break_the_connection(void **state)
{
	store.is_corrupt = true;
	assert_int_equal(read_something(), -EPROTO);
	stop(NULL);
	start(NULL);
	store.page.req_cons = 5; /* ahead of what was put */
	assert_int_equal(read_something(), -EPROTO);
}

static void store_that_is_silent_costs_one_timeout(void **state)
{
	assert_int_equal(read_something(), -ETIMEDOUT);
	/* Its late answer is dropped; the next question has its own. */
	answers(XS_READ, 1, "late", 4);
	answers(XS_READ, 2, "now", 3);
	assert_int_equal(read_something(), 0);
}

static void store_that_takes_no_request_is_given_up(void **state)
{
	char text[2000];

	memset(text, 'x', sizeof(text));
	store.takes_nothing = true;
	assert_int_equal(store_client_write(sc, STORE_NO_TX, "data", text, sizeof(text)), -ETIMEDOUT);
	/* Half a request lies in the ring: nothing sensible can follow it. */
	store.takes_nothing = false;
	assert_int_equal(read_something(), -ETIMEDOUT);
}

static void flood_of_events_ends_with_the_timeout_and_stays_bounded(void **state)
{
	char *path, *token, body[32];
	unsigned n = 0;

	for (unsigned i = 0; i < 1500; i++) {
		int len = snprintf(body, sizeof(body), "p%u", i) + 1;

		body[len] = 't';
		body[len + 1] = 0;
		answers(XS_WATCH_EVENT, 0, body, (uint32_t)len + 2);
	}
	store.is_repeated = true;
	assert_int_equal(read_something(), -ETIMEDOUT);
	store.is_repeated = false;
	store.at = store.nr_bytes;
	while (!store_client_next_watch(sc, &path, &token)) {
		free(path);
		free(token);
		n++;
	}
	assert_true(n > 0 && n <= 1100); /* 1,024 queued, and what the ring still held */
}

static void wrong_ids_for_ever_end_with_the_timeout(void **state)
{
	answers(XS_READ, 99, "x", 1);
	store.is_repeated = true;
	assert_int_equal(read_something(), -ETIMEDOUT);
}

static void error_strings_become_errors_whatever_they_say(void **state)
{
	static const struct {
		const char *text;
		uint32_t len;
		int err;
	} cases[] = {{"ENOENT", 7, -ENOENT}, {"EACCES", 7, -EACCES}, {"EAGAIN", 7, -EAGAIN}, {"EQUOTA", 7, -ENOSPC},
		     {"EFOO", 5, -EIO},	     {"", 0, -EIO},	     {"", 1, -EIO},	     {"ENOENT", 6, -ENOENT},
		     {"ENOENTX", 8, -EIO},   {"0", 2, -EIO}};

	for (unsigned i = 0; i < ARRAY_LEN(cases); i++) {
		stop(NULL);
		start(NULL);
		answers(XS_ERROR, 1, cases[i].text, cases[i].len);
		assert_int_equal(read_something(), cases[i].err);
	}
}

static void directory_of_any_bytes_is_a_list(void **state)
{
	static const struct {
		const char *body;
		uint32_t len;
		unsigned nr;
	} cases[] = {{"a\0b", 4, 2}, {"a\0b", 3, 2}, {"", 0, 0}, {"\0\0\0\0", 4, 4}, {"x", 1, 1}};

	for (unsigned i = 0; i < ARRAY_LEN(cases); i++) {
		char **names;
		unsigned nr;

		stop(NULL);
		start(NULL);
		answers(XS_DIRECTORY, 1, cases[i].body, cases[i].len);
		assert_int_equal(store_client_list(sc, STORE_NO_TX, "device", &names, &nr), 0);
		assert_int_equal(nr, cases[i].nr);
		for (unsigned k = 0; k < nr; k++)
			assert_true(strlen(names[k]) <= 1);
		store_client_free_list(names, nr);
	}
}

static void transaction_id_that_is_none_is_refused(void **state)
{
	static const char *const ids[] = {"0", "", "x", "1x", "99999999999", "18446744073709551616"};
	uint32_t tx;

	for (unsigned i = 0; i < ARRAY_LEN(ids); i++) {
		stop(NULL);
		start(NULL);
		answers(XS_TRANSACTION_START, 1, ids[i], (uint32_t)strlen(ids[i]) + 1);
		assert_int_equal(store_client_transaction_start(sc, &tx), -EPROTO);
	}
}

static void requests_that_are_too_long_are_not_sent(void **state)
{
	static char text[XENSTORE_PAYLOAD_MAX + 1];

	assert_int_equal(store_client_write(sc, STORE_NO_TX, "data", text, sizeof(text)), -E2BIG);
	memset(text, 'p', sizeof(text) - 1);
	assert_int_equal(store_client_rm(sc, STORE_NO_TX, text), -E2BIG);
	assert_int_equal(store.notifies, 0);
}

int main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, start, stop)
	const struct CMUnitTest tests[] = {
		T(honest_answer_is_taken_whatever_comes_before_it),
		T(lies_break_the_connection_for_good),
		T(impossible_indices_break_the_connection),
		T(store_that_is_silent_costs_one_timeout),
		T(store_that_takes_no_request_is_given_up),
		T(flood_of_events_ends_with_the_timeout_and_stays_bounded),
		T(wrong_ids_for_ever_end_with_the_timeout),
		T(error_strings_become_errors_whatever_they_say),
		T(directory_of_any_bytes_is_a_list),
		T(transaction_id_that_is_none_is_refused),
		T(requests_that_are_too_long_are_not_sent),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
