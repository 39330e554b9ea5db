/*
 * test/unit/store_batch_test.c - requests that do not wait for their answers, over Domain-0's socket and a guest's ring.
 */
#include "test.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "box.h"
#include "hv/store_client.h"

#define MANY 300u /* more than wait for their answers at once, and than the ring holds */

static struct box box;
static domid_t domid;
static struct hv *guest;
static struct store_client *clients[2]; /* Domain-0's, the guest's */
static char dir[64]; /* both may write there */

static int start(void **state)
{
	box_start(&box);
	domid = box_create(&box, "a", 4096);
	guest = box_run(&box, domid, "a");
	clients[0] = hv_store(box.dom0, NULL);
	clients[1] = hv_store(guest, NULL);
	snprintf(dir, sizeof(dir), "/local/domain/%u/data", domid);
	return 0;
}

static int stop(void **state)
{
	box_end(&box, domid, guest);
	return 0;
}

static int write_key(struct store_client *sc, uint32_t tx, const char *key, unsigned value)
{
	return store_client_printf(sc, tx, dir, key, "%u", value);
}

static void assert_key(struct store_client *sc, const char *key, unsigned value)
{
	uint64_t number;

	assert_int_equal(store_client_read_uint(sc, STORE_NO_TX, &number, "%s/%s", dir, key), 0);
	assert_int_equal(number, value);
}

static void assert_missing(struct store_client *sc, const char *key)
{
	uint64_t number;

	assert_int_equal(store_client_read_uint(sc, STORE_NO_TX, &number, "%s/%s", dir, key), -ENOENT);
}

static void batch_says_its_first_error_and_does_the_rest(void **state)
{
	for (unsigned i = 0; i < 2; i++) {
		store_client_batch_begin(clients[i]);
		assert_int_equal(write_key(clients[i], STORE_NO_TX, "a", i), 0);
		write_key(clients[i], STORE_NO_TX, "no//path", 1);
		store_client_set_perms(clients[i], STORE_NO_TX, "/nowhere", (const char *[]){"n0"}, 1);
		assert_int_equal(write_key(clients[i], STORE_NO_TX, "b", i), 0);
		assert_key(clients[i], "b", i); /* a read waits, and comes behind what was written */
		assert_int_equal(store_client_batch_end(clients[i]), -EINVAL);
		assert_key(clients[i], "a", i);
		store_client_batch_begin(clients[i]);
		assert_int_equal(store_client_batch_end(clients[i]), 0); /* said once */
		assert_int_equal(write_key(clients[i], STORE_NO_TX, "no//path", 1), -EINVAL);
	}
}

static void key_that_is_missing_is_removed_in_a_batch(void **state)
{
	char path[96];

	snprintf(path, sizeof(path), "%s/no/missing", dir);
	for (unsigned i = 0; i < 2; i++) {
		assert_int_equal(store_client_rm(clients[i], STORE_NO_TX, path), -ENOENT);
		store_client_batch_begin(clients[i]);
		assert_int_equal(store_client_rm(clients[i], STORE_NO_TX, path), 0);
		assert_int_equal(store_client_batch_end(clients[i]), 0);
	}
}

static void batch_may_be_longer_than_what_is_on_its_way(void **state)
{
	char key[16];

	for (unsigned i = 0; i < 2; i++) {
		store_client_batch_begin(clients[i]);
		for (unsigned k = 0; k < MANY; k++) {
			snprintf(key, sizeof(key), "key-%u", k);
			assert_int_equal(write_key(clients[i], STORE_NO_TX, key, k + i), 0);
		}
		assert_int_equal(store_client_batch_end(clients[i]), 0);
		for (unsigned k = 0; k < MANY; k++) {
			snprintf(key, sizeof(key), "key-%u", k);
			assert_key(clients[!i], key, k + i);
		}
	}
}

static int half_wrong(struct store_client *sc, uint32_t tx, void *arg)
{
	int err = write_key(sc, tx, "half", 1);

	write_key(sc, tx, "no//path", 1);
	return err;
}

static void transaction_with_a_failed_write_changes_nothing(void **state)
{
	for (unsigned i = 0; i < 2; i++) {
		assert_int_equal(store_client_transaction(clients[i], half_wrong, NULL), -EINVAL);
		assert_missing(clients[i], "half");
	}
}

static void value_read_ahead_is_of_that_moment_and_serves_once(void **state)
{
	static const char *const keys[] = {"x", "missing", "y"};
	char path[96];

	for (unsigned i = 0; i < 2; i++) {
		struct store_client *other = clients[!i];

		write_key(other, STORE_NO_TX, "x", 1);
		write_key(other, STORE_NO_TX, "y", 2);
		store_client_prefetch(clients[i], dir, keys, 3);
		assert_key(clients[i], "x", 1); /* all have been answered: one client's answers keep their order */
		assert_missing(clients[i], "missing");
		write_key(other, STORE_NO_TX, "x", 3);
		assert_key(clients[i], "x", 3);
		assert_key(clients[i], "y", 2);
		store_client_prefetch(clients[i], dir, keys, 3);
		write_key(clients[i], STORE_NO_TX, "z", 0); /* forgets them */
		write_key(other, STORE_NO_TX, "missing", 4);
		assert_key(clients[i], "missing", 4);
		assert_key(clients[i], "x", 3);
		snprintf(path, sizeof(path), "%s/missing", dir);
		assert_int_equal(store_client_rm(other, STORE_NO_TX, path), 0);
	}
}

/* Whoever sleeps on the fd is woken by an event that came while another answer was waited for. */
static void event_that_came_with_an_answer_wakes(void **state)
{
	struct store_client *sc = clients[0];
	char *path, *token;

	assert_int_equal(store_client_watch(sc, dir, "t"), 0);
	while (!store_client_next_watch(sc, &path, &token)) {
		free(path);
		free(token);
	}
	for (unsigned i = 0; i < 3; i++)
		assert_int_equal(write_key(clients[1], STORE_NO_TX, i == 1 ? "p" : "q", i), 0);
	assert_key(sc, "p", 1);
	for (unsigned i = 0; i < 3; i++) {
		assert_true(box_wait_readable(store_client_fd(sc)));
		assert_int_equal(store_client_next_watch(sc, &path, &token), 0);
		assert_string_equal(token, "t");
		free(path);
		free(token);
	}
	assert_int_equal(store_client_next_watch(sc, &path, &token), -EAGAIN);
	assert_int_equal(store_client_wait(sc, 0), 0);
	assert_int_equal(store_client_unwatch(sc, dir, "t"), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(batch_says_its_first_error_and_does_the_rest, start, stop),
		cmocka_unit_test_setup_teardown(key_that_is_missing_is_removed_in_a_batch, start, stop),
		cmocka_unit_test_setup_teardown(batch_may_be_longer_than_what_is_on_its_way, start, stop),
		cmocka_unit_test_setup_teardown(transaction_with_a_failed_write_changes_nothing, start, stop),
		cmocka_unit_test_setup_teardown(value_read_ahead_is_of_that_moment_and_serves_once, start, stop),
		cmocka_unit_test_setup_teardown(event_that_came_with_an_answer_wakes, start, stop),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
