/*
 * test/unit/store_wire_test.c - the store's wire: messages in any pieces, many at once, too long; clients that vanish.
 */
#include "test.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "hv/store_conn.h"
#include "store_box.h"

static int setup(void **state)
{
	struct store_world *w = store_world_create(NULL);

	w->one = store_box_guest(w->box, 1);
	assert_int_equal(store_peer_write(w->dom0, 0, "/local/domain/1/x", "value"), 0);
	*state = w;
	return 0;
}

static int teardown(void **state)
{
	assert_int_equal(store_world_destroy(*state), 0);
	return 0;
}

static unsigned put_read(char *out, uint32_t id)
{
	static const char path[] = "/local/domain/1/x";
	struct xsd_sockmsg header = {XS_READ, id, 0, sizeof(path)};

	memcpy(out, &header, sizeof(header));
	memcpy(out + sizeof(header), path, sizeof(path));
	return sizeof(header) + sizeof(path);
}

static void messages_may_come_in_any_pieces(void **state)
{
	struct store_world *w = *state;
	struct store_peer *peers[] = {w->dom0, w->one};
	struct store_reply reply;
	char message[64];
	unsigned len = put_read(message, 5);

	for (unsigned p = 0; p < 2; p++)
		for (unsigned piece = 1; piece <= len; piece++) {
			for (unsigned at = 0; at < len; at += piece) {
				unsigned n = piece < len - at ? piece : len - at;

				assert_int_equal(store_peer_put(peers[p], message + at, n), n);
				store_box_turn(w->box);
			}
			assert_true(store_peer_receive(peers[p], &reply));
			assert_int_equal(reply.type, XS_READ);
			assert_string_equal(reply.data, "value");
		}
}

static void many_requests_at_once_are_answered_in_order(void **state)
{
	struct store_world *w = *state;
	struct store_peer *peers[] = {w->dom0, w->one};
	struct store_reply reply;
	char batch[1000 * 64];

	for (unsigned p = 0; p < 2; p++) {
		unsigned len = 0, at = 0, next = 0;

		for (unsigned i = 0; i < 1000; i++)
			len += put_read(batch + len, 1000 + i);
		for (unsigned turns = 0; next < 1000 && turns < 100000; turns++) {
			int n = at < len ? store_peer_put(peers[p], batch + at, len - at) : 0;

			at += n > 0 ? (unsigned)n : 0;
			while (store_peer_receive(peers[p], &reply)) {
				assert_int_equal(reply.req_id, 1000 + next++);
				assert_string_equal(reply.data, "value");
			}
		}
		assert_int_equal(next, 1000);
	}
}

static void a_message_that_is_too_long_ends_the_connection(void **state)
{
	struct store_world *w = *state;
	struct store_peer *c = store_box_connect(w->box);
	struct xsd_sockmsg header = {XS_WRITE, 1, 0, XENSTORE_PAYLOAD_MAX + 1};
	struct store_reply reply;

	assert_int_equal(store_peer_put(c, &header, sizeof(header)), sizeof(header));
	assert_false(store_peer_receive(c, &reply));
	assert_false(store_peer_take(c)); /* the end of the stream */
	store_peer_close(c);
	assert_non_null(store_peer_read(w->dom0, 0, "/local/domain/1/x", NULL));
}

static void the_longest_message_is_served(void **state)
{
	struct store_world *w = *state;
	static char payload[XENSTORE_PAYLOAD_MAX];
	struct store_reply reply;

	memcpy(payload, "/big", 5);
	memset(payload + 5, 'b', sizeof(payload) - 5);
	assert_int_equal(store_peer_call(w->dom0, XS_WRITE, 0, payload, sizeof(payload), NULL), 0);
	assert_int_equal(store_peer_ask(w->dom0, XS_READ, 0, &reply, "/big", NULL), 0);
	assert_int_equal(reply.len, sizeof(payload) - 5);
	assert_int_equal(store_peer_perms(w->dom0, 0, "/big", "n0 r1"), 0);
	assert_int_equal(store_peer_ask(w->one, XS_READ, 0, &reply, "/big", NULL), 0);
	assert_int_equal(reply.len, sizeof(payload) - 5);
}

static void a_client_that_does_not_read_is_not_read_from(void **state)
{
	struct store_world *w = *state;
	struct store_peer *c = store_box_connect(w->box);
	static char value[4000], batch[64 * 64];
	struct store_reply reply;
	unsigned len = 0, sent = 0, got = 0;
	size_t most = 0;

	memset(value, 'v', sizeof(value) - 1);
	assert_int_equal(store_peer_write(w->dom0, 0, "/local/domain/1/x", value), 0);
	for (unsigned i = 0; i < 64; i++)
		len += put_read(batch + len, i);
	while (sent < 200) {
		if (store_peer_put(c, batch, len) != (int)len)
			break;
		sent++;
		store_box_turn(w->box);
		for (struct store_conn *conn = w->box->store->conns; conn; conn = conn->next)
			most = conn->out_bytes > most ? conn->out_bytes : most;
	}
	assert_true(most > (1u << 20) && most < (1u << 20) + 16384 / 34 * 4100 + 4096);
	for (unsigned turns = 0; turns < 1000 && store_peer_receive(c, &reply); turns = 0)
		got++;
	assert_true(got >= sent * 64);
	store_peer_close(c);
}

static void clients_come_and_go(void **state)
{
	struct store_world *w = *state;

	for (unsigned i = 0; i < 50; i++) {
		struct store_peer *c = store_box_connect(w->box);
		char message[64];

		assert_int_equal(store_peer_watch(c, "/local", "t"), 0);
		store_peer_begin(c);
		store_peer_put(c, message, put_read(message, 1) - i % 30); /* and half a request */
		store_peer_close(c);
	}
	store_box_turn(w->box);
	assert_int_equal(w->box->store->watches.nr, 0);
	assert_int_equal(store_write(w->box->store, "/local/y", "", 0), 0);
}

static void listening_takes_the_place_of_a_dead_socket_only(void **state)
{
	struct store_world *w = *state;
	struct store *second;
	char path[96];
	struct stat st;
	int fd;

	assert_int_equal(store_listen(w->box->store, w->box->socket), -EBUSY);
	assert_int_equal(store_create(w->box->loop, NULL, NULL, &second), 0);
	snprintf(path, sizeof(path), "%s/file", w->box->dir);
	fd = open(path, O_CREAT | O_WRONLY | O_CLOEXEC, 0600);
	assert_true(fd >= 0);
	close(fd);
	assert_int_equal(store_listen(second, path), -EADDRINUSE);
	assert_int_equal(stat(path, &st), 0);
	assert_int_equal(unlink(path), 0);
	assert_int_equal(store_listen(second, path), 0);
	store_destroy(second);
	assert_int_equal(stat(path, &st), -1); /* tidied up */
	assert_int_equal(store_create(w->box->loop, NULL, NULL, &second), 0);
	assert_int_equal(store_listen(second, "/tmp/a-path-that-is-far-longer-than-what-an-address-of-a-unix-socket-can-hold/"
					      "and/therefore/is/refused/before/anything/happens"),
			 -ENAMETOOLONG);
	store_destroy(second);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest tests[] = {
		TEST(messages_may_come_in_any_pieces),
		TEST(many_requests_at_once_are_answered_in_order),
		TEST(a_message_that_is_too_long_ends_the_connection),
		TEST(the_longest_message_is_served),
		TEST(a_client_that_does_not_read_is_not_read_from),
		TEST(clients_come_and_go),
		TEST(listening_takes_the_place_of_a_dead_socket_only),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
