/*
 * test/unit/handshake_test.c - the xenbus handshake: both ends together, and one end against every state of the other.
 */
#include "test.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "fake_store.h"
#include "hv/handshake.h"
#include "hv/hv_ops.h"
#include "hv/log.h"

#define FRONT "/local/domain/7/device/vbd/5"
#define BACK "/local/domain/0/backend/vbd/7/5"

/* What a driver was told, in order: o offer, p publish, c connect, t take over, u that after a kill, r reconfigure, d disconnect. */
struct driver_log {
	char calls[64];
	char changed[32];
	char fail_at;   /* the call that fails, with -EIO */
	bool says_why;  /* by handshake_fail */
};

/* A platform that can do nothing: a handshake needs none. */
static const struct hv_ops bare_ops;
static struct hv bare_hv = {.ops = &bare_ops};

static struct fake_store *fs;
static struct store_client *front_store, *back_store;
static struct handshake front, back;
static struct driver_log front_log, back_log;

static int note(struct handshake *h, char call)
{
	struct driver_log *log = h->priv;
	size_t len = strlen(log->calls);

	assert_true(len + 1 < sizeof(log->calls));
	log->calls[len] = call;
	if (log->fail_at != call)
		return 0;
	if (log->says_why)
		handshake_fail(h, "call %c does not work", call);
	return -EIO;
}

static int on_offer(struct handshake *h)
{
	return note(h, 'o');
}

static int on_publish(struct handshake *h)
{
	return note(h, 'p');
}

static int on_connect(struct handshake *h)
{
	return note(h, !h->is_takeover ? 'c' : h->is_unclean ? 'u' : 't');
}

static void on_disconnect(struct handshake *h)
{
	note(h, 'd');
}

static void on_changed(struct handshake *h, const char *key)
{
	snprintf(((struct driver_log *)h->priv)->changed, sizeof(front_log.changed), "%s", key);
}

static const struct handshake_driver back_driver = {
	.type = "vbd", .is_back = true, .offer = on_offer, .connect = on_connect, .disconnect = on_disconnect, .changed = on_changed};
static const struct handshake_driver vbd_front_driver = {.type = "vbd",
							 .published = XenbusStateInitialised,
							 .publish = on_publish,
							 .connect = on_connect,
							 .disconnect = on_disconnect,
							 .changed = on_changed};
static const struct handshake_driver vif_front_driver = {.type = "vif",
							 .published = XenbusStateConnected,
							 .publish = on_publish,
							 .connect = on_connect,
							 .disconnect = on_disconnect};

static void set_state(const char *dir, unsigned state)
{
	char path[64], value[12];

	snprintf(path, sizeof(path), "%s/state", dir);
	snprintf(value, sizeof(value), "%u", state);
	fake_store_set(fs, path, value);
}

static int state_of(const char *dir)
{
	char path[64];
	const char *value;

	snprintf(path, sizeof(path), "%s/state", dir);
	value = fake_store_get(fs, path);
	return value ? atoi(value) : -1;
}

static int start(void **state)
{
	log_init("test", LOG_LEVEL_ERROR - 1);
	memset(&front_log, 0, sizeof(front_log));
	memset(&back_log, 0, sizeof(back_log));
	fs = fake_store_create();
	front_store = fake_store_open(fs);
	back_store = fake_store_open(fs);
	fake_store_set(fs, FRONT "/backend", BACK);
	fake_store_set(fs, FRONT "/backend-id", "0");
	fake_store_set(fs, BACK "/frontend", FRONT);
	fake_store_set(fs, BACK "/frontend-id", "7");
	fake_store_set(fs, BACK "/online", "1");
	set_state(FRONT, XenbusStateInitialising);
	set_state(BACK, XenbusStateInitialising);
	return 0;
}

static int stop(void **state)
{
	store_client_close(front_store);
	store_client_close(back_store);
	fake_store_destroy(fs);
	return 0;
}

static void start_back(void)
{
	assert_int_equal(handshake_start(&back, &bare_hv, back_store, &back_driver, BACK, &back_log), 0);
}

static void start_front(const struct handshake_driver *driver)
{
	assert_int_equal(handshake_start(&front, &bare_hv, front_store, driver, FRONT, &front_log), 0);
}

static unsigned pump_one(struct handshake *h)
{
	char *path, *token;
	unsigned n = 0;

	while (!store_client_next_watch(h->store, &path, &token)) {
		assert_string_equal(token, h->own_path);
		handshake_event(h, path);
		free(path);
		free(token);
		n++;
	}
	return n;
}

/* Until both ends rest; the number of rounds is bounded, or they would never. */
static void pump(bool has_front, bool has_back)
{
	for (unsigned round = 0; round < 50; round++) {
		unsigned n = has_front ? pump_one(&front) : 0;

		n += has_back ? pump_one(&back) : 0;
		if (!n)
			return;
	}
	fail_msg("the handshake does not come to rest");
}

static void connect_both(const struct handshake_driver *front_driver)
{
	start_back();
	start_front(front_driver);
	pump(true, true);
	assert_true(front.connected && back.connected);
}

static void stop_both(void)
{
	handshake_stop(&front);
	handshake_stop(&back);
	assert_int_equal(fake_store_nr_watches(fs), 0);
}

/* A back end on a bus of a platform that keeps devices. */
static void start_keeping_back(void)
{
	memset(back_log.calls, 0, sizeof(back_log.calls));
	assert_int_equal(handshake_start_on_bus(&back, &bare_hv, back_store, &back_driver, BACK, &back_log,
						HANDSHAKE_TAKE_OVER | HANDSHAKE_ERROR_TREE), 0);
}

/* ---- both ends together ---------------------------------------------------------------------------------------------- */

static void two_ends_connect_whoever_starts_first(void **state)
{
	static const struct handshake_driver *const drivers[] = {&vbd_front_driver, &vif_front_driver};

	for (unsigned i = 0; i < 4; i++) {
		const struct handshake_driver *driver = drivers[i & 1];

		stop(NULL);
		start(NULL);
		if (i & 2)
			start_front(driver);
		start_back();
		if (!(i & 2))
			start_front(driver);
		pump(true, true);
		assert_int_equal(state_of(FRONT), XenbusStateConnected);
		assert_int_equal(state_of(BACK), XenbusStateConnected);
		assert_string_equal(front_log.calls, "pc");
		assert_string_equal(back_log.calls, "oc");
		assert_int_equal(back.other_domid, 7);
		assert_int_equal(back.devid, 5);
		assert_int_equal(handshake_wait_connected(&front, 0), 0);
		stop_both();
		assert_string_equal(front_log.calls, "pcd");
		assert_string_equal(back_log.calls, "ocd");
		assert_int_equal(state_of(FRONT), XenbusStateClosed);
		assert_int_equal(state_of(BACK), XenbusStateClosed);
	}
}

static void front_that_closes_is_followed_by_the_back(void **state)
{
	connect_both(&vbd_front_driver);
	handshake_close(&front);
	pump(true, true);
	assert_string_equal(front_log.calls, "pcd");
	assert_string_equal(back_log.calls, "ocd");
	assert_int_equal(state_of(FRONT), XenbusStateClosed);
	assert_int_equal(state_of(BACK), XenbusStateClosed);
	assert_false(back.gone); /* online: a new beginning may come */
	stop_both();
}

static void back_that_closes_is_followed_by_the_front(void **state)
{
	connect_both(&vif_front_driver);
	handshake_close(&back);
	pump(true, true);
	assert_int_equal(state_of(FRONT), XenbusStateClosed);
	assert_int_equal(state_of(BACK), XenbusStateClosed);
	assert_int_equal(handshake_wait_connected(&front, 0), -ENODEV);
	stop_both();
}

static void front_can_begin_anew_after_both_closed(void **state)
{
	connect_both(&vbd_front_driver);
	handshake_close(&front);
	pump(true, true);
	handshake_stop(&front);
	memset(front_log.calls, 0, sizeof(front_log.calls));
	start_front(&vbd_front_driver);
	pump(true, true);
	assert_true(front.connected && back.connected);
	assert_string_equal(front_log.calls, "pc");
	assert_string_equal(back_log.calls, "ocdoc");
	stop_both();
}

static void toolstack_that_asks_a_device_to_go_gets_it_gone(void **state)
{
	connect_both(&vbd_front_driver);
	fake_store_set(fs, BACK "/online", "0");
	set_state(BACK, XenbusStateClosing);
	pump(true, true);
	assert_true(back.gone);
	assert_int_equal(state_of(BACK), XenbusStateClosed);
	assert_int_equal(state_of(FRONT), XenbusStateClosed);
	assert_string_equal(back_log.calls, "ocd");
	stop_both();
}

static void front_end_that_died_is_closed_by_the_back_until_another_begins(void **state)
{
	connect_both(&vbd_front_driver);
	handshake_front_died(&back);
	assert_int_equal(state_of(BACK), XenbusStateClosed);
	assert_false(back.connected);
	pump(false, true); /* the front end's state is what it was */
	assert_int_equal(state_of(BACK), XenbusStateClosed);
	assert_false(back.gone);
	set_state(BACK, XenbusStateClosing); /* xl waits for Closed */
	pump(false, true);
	assert_int_equal(state_of(BACK), XenbusStateClosed);
	set_state(FRONT, XenbusStateInitialising);
	pump(false, true);
	assert_int_equal(state_of(BACK), XenbusStateInitWait);
	assert_string_equal(back_log.calls, "ocdo");
	stop_both();
}

static void removed_directories_close_both_ends_and_stay_removed(void **state)
{
	static const char *const removed[] = {FRONT, BACK, "/local/domain/7", "/local/domain/0/backend/vbd/7"};

	for (unsigned i = 0; i < ARRAY_LEN(removed); i++) {
		stop(NULL);
		start(NULL);
		connect_both(&vbd_front_driver);
		fake_store_set(fs, removed[i], NULL);
		pump(true, true);
		assert_true(back.gone);
		assert_false(front.connected || back.connected);
		assert_string_equal(front_log.calls, "pcd");
		assert_string_equal(back_log.calls, "ocd");
		if (strstr(removed[i], "/backend/"))
			assert_int_equal(state_of(BACK), -1);
		stop_both();
		if (strstr(removed[i], "/backend/"))
			assert_int_equal(state_of(BACK), -1);
	}
}

static void changed_keys_are_told_while_connected_only(void **state)
{
	start_back();
	start_front(&vbd_front_driver);
	fake_store_set(fs, BACK "/sectors", "100");
	pump_one(&front);
	assert_string_equal(front_log.changed, "");
	pump(true, true);
	fake_store_set(fs, BACK "/sectors", "200");
	pump(true, true);
	assert_string_equal(front_log.changed, "sectors");
	stop_both();
}

/* ---- failures ------------------------------------------------------------------------------------------------------------ */

static void failing_callback_closes_and_says_why(void **state)
{
	static const struct {
		bool is_back;
		char at;
		const char *front_calls, *back_calls;
	} cases[] = {
		{true, 'o', "", "o"},
		{true, 'c', "pd", "oc"},
		{false, 'p', "p", "o"},
		{false, 'c', "pcd", "ocd"},
	};

	for (unsigned i = 0; i < 2 * ARRAY_LEN(cases); i++) {
		const char *error;

		stop(NULL);
		start(NULL);
		(cases[i / 2].is_back ? &back_log : &front_log)->fail_at = cases[i / 2].at;
		(cases[i / 2].is_back ? &back_log : &front_log)->says_why = i & 1;
		start_back();
		start_front(&vbd_front_driver);
		pump(true, true);
		assert_string_equal(front_log.calls, cases[i / 2].front_calls);
		assert_string_equal(back_log.calls, cases[i / 2].back_calls);
		assert_int_equal(state_of(BACK), XenbusStateClosed);
		assert_int_equal(state_of(FRONT), XenbusStateClosed);
		error = fake_store_get(fs, cases[i / 2].is_back ? BACK "/error" : FRONT "/error");
		assert_non_null(error);
		if (i & 1)
			assert_non_null(strstr(error, "does not work"));
		assert_int_equal(handshake_wait_connected(&front, 0), -ENODEV);
		stop_both();
	}
}

static void failure_while_connected_closes_both_ends(void **state)
{
	connect_both(&vif_front_driver);
	handshake_fail(&back, "the front end wrote %s", "nonsense");
	handshake_fail(&back, "said twice");
	pump(true, true);
	assert_string_equal(fake_store_get(fs, BACK "/error"), "the front end wrote nonsense");
	assert_string_equal(back_log.calls, "ocd");
	assert_string_equal(front_log.calls, "pcd");
	assert_int_equal(state_of(FRONT), XenbusStateClosed);
	stop_both();
}

static void error_is_cleared_by_a_new_beginning(void **state)
{
	connect_both(&vbd_front_driver);
	handshake_fail(&back, "once");
	pump(true, true);
	handshake_stop(&front);
	start_front(&vbd_front_driver);
	pump(true, true);
	assert_null(fake_store_get(fs, BACK "/error"));
	assert_true(back.connected && !back.failed);
	stop_both();
}

static void front_that_never_closes_is_not_offered_a_failed_device_again(void **state)
{
	back_log.fail_at = 'o';
	start_back();
	for (unsigned i = 0; i < 5; i++) {
		set_state(FRONT, XenbusStateInitialising);
		pump(false, true);
	}
	assert_string_equal(back_log.calls, "o");
	handshake_stop(&back);
}

static void missing_keys_are_reported_at_start(void **state)
{
	static const char *const keys[] = {"/frontend", "/frontend-id", "/state"};

	for (unsigned i = 0; i < ARRAY_LEN(keys); i++) {
		char path[64];

		stop(NULL);
		start(NULL);
		snprintf(path, sizeof(path), BACK "%s", keys[i]);
		fake_store_set(fs, path, NULL);
		assert_int_equal(handshake_start(&back, &bare_hv, back_store, &back_driver, BACK, &back_log), -ENOENT);
		assert_int_equal(fake_store_nr_watches(fs), 0);
	}
	stop(NULL);
	start(NULL);
	fake_store_set(fs, BACK "/frontend-id", "99999");
	assert_int_equal(handshake_start(&back, &bare_hv, back_store, &back_driver, BACK, &back_log), -EINVAL);
	assert_int_equal(fake_store_nr_watches(fs), 0);
}

static void store_that_refuses_writes_ends_in_a_closed_device(void **state)
{
	connect_both(&vbd_front_driver);
	fake_store_fail_writes(fs, 1000, -ENOSPC);
	handshake_fail(&back, "whatever");
	assert_false(back.connected);
	assert_int_equal(back.own, XenbusStateClosing);
	fake_store_fail_writes(fs, 0, 0);
	stop_both();
}

static void back_end_that_starts_over_a_device_in_use_closes_it(void **state)
{
	connect_both(&vbd_front_driver);
	/* It is killed: its watches go, the nodes stay. */
	store_client_close(back_store);
	back_store = fake_store_open(fs);
	memset(&back_log, 0, sizeof(back_log));
	start_back();
	pump(true, true);
	assert_string_equal(back_log.calls, "");
	assert_string_equal(front_log.calls, "pcd");
	assert_int_equal(state_of(FRONT), XenbusStateClosed);
	stop_both();
}

/* ---- every state against every state --------------------------------------------------------------------------------------- */

enum reach { NEW, READY, CONNECTED, CLOSED, NR_REACH };

static const char *const other_values[] = {"0", "1", "2", "3", "4", "5", "6", "7", "8", "9", "-1", "x", "", "99999999999999999999"};

/* Brings our end to where the case wants it, with the other end played by hand. */
static void reach_back(enum reach reach)
{
	if (reach == NEW)
		set_state(FRONT, XenbusStateClosed); /* makes it wait until the front end begins */
	start_back();
	if (reach == CONNECTED || reach == CLOSED)
		set_state(FRONT, XenbusStateInitialised);
	pump(false, true);
	if (reach == CLOSED) {
		set_state(FRONT, XenbusStateClosed);
		pump(false, true);
	}
}

static void back_survives_whatever_the_front_says(void **state)
{
	for (unsigned reach = NEW; reach < NR_REACH; reach++)
		for (unsigned i = 0; i < ARRAY_LEN(other_values); i++) {
			unsigned connects, disconnects;
			bool is_up;

			stop(NULL);
			start(NULL);
			reach_back(reach);
			fake_store_set(fs, FRONT "/state", other_values[i]);
			pump(false, true);
			is_up = !strcmp(other_values[i], "3") || !strcmp(other_values[i], "4");
			connects = (unsigned)(strchr(back_log.calls, 'c') != NULL);
			disconnects = (unsigned)(strchr(back_log.calls, 'd') != NULL);
			if (reach == READY || reach == CONNECTED)
				assert_int_equal(back.connected, is_up);
			if (!back.connected)
				assert_int_equal(connects, disconnects); /* nothing is left open */
			if (reach == READY && !is_up && strcmp(other_values[i], "1") && strcmp(other_values[i], "2"))
				assert_true(state_of(BACK) == XenbusStateClosing || state_of(BACK) == XenbusStateClosed);
			handshake_stop(&back);
			assert_int_equal(fake_store_nr_watches(fs), 0);
		}
}

static void front_survives_whatever_the_back_says(void **state)
{
	static const unsigned steps[NR_REACH] = {XenbusStateInitialising, XenbusStateInitWait, XenbusStateConnected,
						 XenbusStateClosed};

	for (unsigned reach = NEW; reach < NR_REACH; reach++)
		for (unsigned i = 0; i < ARRAY_LEN(other_values); i++) {
			size_t undone, done;

			stop(NULL);
			start(NULL);
			start_front(&vbd_front_driver);
			for (unsigned s = 1; s <= reach; s++) {
				set_state(BACK, steps[s]);
				pump(true, false);
			}
			fake_store_set(fs, BACK "/state", other_values[i]);
			pump(true, false);
			if (reach == CONNECTED)
				assert_int_equal(front.connected, !strcmp(other_values[i], "4"));
			if (reach == NEW)
				assert_int_equal(front.prepared, !strcmp(other_values[i], "2"));
			if (reach == CLOSED)
				assert_string_equal(front_log.calls, "pcd");
			done = strchr(front_log.calls, 'p') != NULL;
			undone = strchr(front_log.calls, 'd') != NULL;
			if (!front.prepared)
				assert_int_equal(done, undone);
			handshake_stop(&front);
			assert_int_equal(fake_store_nr_watches(fs), 0);
		}
}

/* Any sequence of states: never twice connected, never left open. */
static void random_front_never_confuses_the_back(void **state)
{
	uint32_t seed = 11;

	for (unsigned run = 0; run < 300; run++) {
		stop(NULL);
		start(NULL);
		start_back();
		for (unsigned step = 0; step < 20; step++) {
			int open = 0;

			fake_store_set(fs, FRONT "/state", other_values[test_random(&seed) % ARRAY_LEN(other_values)]);
			if (test_random(&seed) % 3)
				pump(false, true);
			for (const char *c = back_log.calls; *c; c++) {
				open += *c == 'c' ? 1 : *c == 'd' ? -1 : 0;
				assert_true(open == 0 || open == 1);
			}
			assert_int_equal(open, back.connected);
			if (strlen(back_log.calls) > 50)
				break;
		}
		handshake_stop(&back);
	}
}

/* ---- a back end that leaves, and the next one -------------------------------------------------------------------------- */

static void connect_keeping_back(void)
{
	start_keeping_back();
	start_front(&vif_front_driver);
	pump(true, true);
	assert_true(front.connected && back.connected);
}

static void detached_device_is_taken_over_and_the_front_sees_nothing(void **state)
{
	connect_keeping_back();
	handshake_detach(&back);
	assert_string_equal(back_log.calls, "ocd");
	assert_int_equal(state_of(BACK), XenbusStateConnected);
	assert_non_null(fake_store_get(fs, BACK "/detached"));
	start_keeping_back();
	pump(true, true);
	assert_string_equal(back_log.calls, "t");
	assert_null(fake_store_get(fs, BACK "/detached")); /* a kill from now on is seen */
	assert_true(back.connected);
	assert_false(back.is_takeover);
	assert_string_equal(front_log.calls, "pc");
	handshake_close(&front); /* it is a device as any other */
	pump(true, true);
	assert_string_equal(back_log.calls, "td");
	assert_int_equal(state_of(BACK), XenbusStateClosed);
	stop_both();
}

static void killed_back_end_is_told_to_the_next_one(void **state)
{
	connect_keeping_back();
	store_client_close(back_store); /* its watches go with it */
	back_store = fake_store_open(fs);
	start_keeping_back();
	assert_string_equal(back_log.calls, "u");
	assert_true(back.connected);
	stop_both();
}

static int on_reconfigure(struct handshake *h)
{
	return note(h, 'r');
}

/* As Linux's netfront does when an XDP program comes. */
static void connected_back_end_changes_what_the_front_end_asks_for_and_goes_on(void **state)
{
	struct handshake_driver changing = back_driver;

	for (int can = 0; can < 2; can++) {
		changing.reconfigure = can ? on_reconfigure : NULL;
		stop(NULL);
		start(NULL);
		connect_both(&vif_front_driver);
		back.driver = &changing;
		set_state(FRONT, XenbusStateReconfiguring);
		pump(false, true);
		pump(false, true);
		assert_string_equal(back_log.calls, can ? "ocr" : "ocd");
		assert_int_equal(state_of(BACK), can ? XenbusStateReconfigured : XenbusStateClosed);
		if (can) {
			set_state(FRONT, XenbusStateConnected);
			pump(false, true);
			assert_int_equal(state_of(BACK), XenbusStateConnected);
			assert_string_equal(back_log.calls, "ocr");
			assert_true(back.connected);
		}
		stop_both();
	}
}

static void take_over_that_fails_closes_the_device_and_says_why(void **state)
{
	connect_keeping_back();
	handshake_detach(&back);
	back_log.fail_at = 't';
	start_keeping_back();
	pump(true, true);
	assert_string_equal(back_log.calls, "t");
	assert_string_equal(fake_store_get(fs, BACK "/error"), "taking over failed: Input/output error");
	assert_int_equal(state_of(BACK), XenbusStateClosed);
	assert_int_equal(state_of(FRONT), XenbusStateClosed);
	stop_both();
}

/* The front end has moved on meanwhile: nothing is left to take over. */
static void only_a_device_connected_at_both_ends_is_taken_over(void **state)
{
	for (unsigned other = XenbusStateUnknown; other <= XenbusStateReconfigured; other++) {
		bool is_up = other == XenbusStateInitialised || other == XenbusStateConnected;

		stop(NULL);
		start(NULL);
		set_state(BACK, XenbusStateConnected);
		set_state(FRONT, other);
		start_keeping_back();
		pump(false, true);
		assert_int_equal(back.connected, is_up);
		if (!is_up)
			assert_null(strpbrk(back_log.calls, "tuc"));
		handshake_stop(&back);
	}
}

static void device_that_waits_is_left_waiting_and_offered_again(void **state)
{
	start_keeping_back();
	handshake_detach(&back);
	assert_int_equal(state_of(BACK), XenbusStateInitWait);
	assert_null(fake_store_get(fs, BACK "/detached"));
	start_front(&vif_front_driver); /* answers the offer while nobody is there */
	pump(true, false);
	start_keeping_back();
	pump(true, true);
	assert_string_equal(back_log.calls, "oc");
	assert_true(front.connected && back.connected);
	stop_both();
}

static void state_that_is_none_closes_the_device_and_says_so(void **state)
{
	static const char *const values[] = {"hello", "", "9", "0", "-1", "4 "};

	for (unsigned reach = 0; reach < 2; reach++)
		for (unsigned i = 0; i < ARRAY_LEN(values); i++) {
			stop(NULL);
			start(NULL);
			start_back();
			if (reach) {
				set_state(FRONT, XenbusStateConnected);
				pump(false, true);
				assert_true(back.connected);
			}
			fake_store_set(fs, FRONT "/state", values[i]);
			pump(false, true);
			assert_false(back.connected);
			assert_int_equal(state_of(BACK), XenbusStateClosed);
			assert_string_equal(fake_store_get(fs, BACK "/error"), "the other end's state is none that there is");
			handshake_stop(&back);
		}
}

#define ERROR_TREE "/local/domain/0/error/backend/vbd/7/5"

static void error_stands_where_xens_own_drivers_write_it_too(void **state)
{
	for (unsigned is_removed = 0; is_removed < 2; is_removed++) {
		stop(NULL);
		start(NULL);
		back_log.fail_at = 'o';
		start_keeping_back();
		assert_string_equal(fake_store_get(fs, ERROR_TREE "/error"), "offering the device failed: Input/output error");
		assert_string_equal(fake_store_get(fs, BACK "/error"), fake_store_get(fs, ERROR_TREE "/error"));
		if (is_removed) {
			fake_store_set(fs, BACK, NULL);
			pump(false, true);
			assert_true(back.gone);
		} else { /* a new beginning */
			back_log.fail_at = 0;
			set_state(FRONT, XenbusStateClosed);
			pump(false, true);
			set_state(FRONT, XenbusStateInitialising);
			pump(false, true);
			assert_int_equal(state_of(BACK), XenbusStateInitWait);
		}
		handshake_stop(&back);
		assert_null(fake_store_get(fs, ERROR_TREE));
		assert_null(fake_store_get(fs, "/local/domain/0/error/backend/vbd/7"));
		assert_null(fake_store_get(fs, BACK "/error"));
	}
}

static void detaching_brings_no_removed_device_back_to_life(void **state)
{
	connect_keeping_back();
	fake_store_set(fs, BACK, NULL);
	handshake_detach(&back);
	assert_null(fake_store_get(fs, BACK "/detached"));
	assert_null(fake_store_get(fs, BACK "/state"));
	assert_string_equal(back_log.calls, "ocd");
	handshake_stop(&front);
}

int main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, start, stop)
	const struct CMUnitTest tests[] = {
		T(two_ends_connect_whoever_starts_first),
		T(front_that_closes_is_followed_by_the_back),
		T(back_that_closes_is_followed_by_the_front),
		T(front_can_begin_anew_after_both_closed),
		T(toolstack_that_asks_a_device_to_go_gets_it_gone),
		T(front_end_that_died_is_closed_by_the_back_until_another_begins),
		T(removed_directories_close_both_ends_and_stay_removed),
		T(changed_keys_are_told_while_connected_only),
		T(failing_callback_closes_and_says_why),
		T(failure_while_connected_closes_both_ends),
		T(error_is_cleared_by_a_new_beginning),
		T(front_that_never_closes_is_not_offered_a_failed_device_again),
		T(missing_keys_are_reported_at_start),
		T(store_that_refuses_writes_ends_in_a_closed_device),
		T(back_end_that_starts_over_a_device_in_use_closes_it),
		T(detached_device_is_taken_over_and_the_front_sees_nothing),
		T(killed_back_end_is_told_to_the_next_one),
		T(connected_back_end_changes_what_the_front_end_asks_for_and_goes_on),
		T(take_over_that_fails_closes_the_device_and_says_why),
		T(only_a_device_connected_at_both_ends_is_taken_over),
		T(device_that_waits_is_left_waiting_and_offered_again),
		T(state_that_is_none_closes_the_device_and_says_so),
		T(error_stands_where_xens_own_drivers_write_it_too),
		T(detaching_brings_no_removed_device_back_to_life),
		T(back_survives_whatever_the_front_says),
		T(front_survives_whatever_the_back_says),
		T(random_front_never_confuses_the_back),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
