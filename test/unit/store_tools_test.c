/*
 * test/unit/store_tools_test.c - the stock xenstore-* programs and libxenstore against the store. Skipped where they are missing.
 */
#include "test.h"

#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>
#include <xenstore.h>

#include "hv/loop.h"
#include "hv/store.h"

static struct {
	struct loop *loop;
	struct store *store;
	pthread_t thread;
	char dir[40], path[64];
} host;

static void *serve(void *arg)
{
	loop_run(host.loop);
	return arg;
}

static int setup(void **state)
{
	strcpy(host.dir, "/tmp/store_tools.XXXXXX");
	assert_non_null(mkdtemp(host.dir));
	snprintf(host.path, sizeof(host.path), "%s/xenstored", host.dir);
	assert_int_equal(loop_create(&host.loop), 0);
	assert_int_equal(store_create(host.loop, NULL, NULL, &host.store), 0);
	assert_int_equal(store_listen(host.store, host.path), 0);
	assert_int_equal(pthread_create(&host.thread, NULL, serve, NULL), 0);
	setenv("XENSTORED_PATH", host.path, 1);
	(void)state;
	return 0;
}

static int teardown(void **state)
{
	loop_stop(host.loop);
	pthread_join(host.thread, NULL);
	assert_int_equal(store_validate(host.store), 0);
	store_destroy(host.store);
	loop_destroy(host.loop);
	assert_int_equal(rmdir(host.dir), 0); /* the socket is gone, too */
	(void)state;
	return 0;
}

/* Runs a shell command; its output must be as said, byte for byte, and its exit status, too. */
static void run(const char *command, int status, const char *expected)
{
	char output[8192];
	FILE *f = popen(command, "r");
	size_t len;
	int have;

	assert_non_null(f);
	len = fread(output, 1, sizeof(output) - 1, f);
	output[len] = 0;
	have = pclose(f);
	if (!WIFEXITED(have) || WEXITSTATUS(have) != status || strcmp(output, expected))
		fail_msg("%s: status %d, not %d; output:\n%s\nnot:\n%s", command, WEXITSTATUS(have), status, output, expected);
}

static void values_are_written_read_listed_and_removed(void **state)
{
	(void)state;
	run("xenstore-write /t/a one /t/b two /t/c/d three", 0, "");
	run("xenstore-read /t/a /t/c/d", 0, "one\nthree\n");
	run("xenstore-read -p /t/b", 0, "/t/b: two\n");
	run("xenstore-list /t", 0, "a\nb\nc\n");
	run("xenstore-ls /t", 0, "a = \"one\"\nb = \"two\"\nc = \"\"\n d = \"three\"\n");
	run("xenstore-ls -f /t", 0, "/t/a = \"one\"\n/t/b = \"two\"\n/t/c = \"\"\n/t/c/d = \"three\"\n");
	run("xenstore-exists /t/a && echo there", 0, "there\n");
	run("xenstore-exists /t/x || echo not", 0, "not\n");
	run("xenstore-rm /t/c /t/a && xenstore-list /t", 0, "b\n");
	run("xenstore-read /t/a 2>&1", 1, "xenstore-read: couldn't read path /t/a\n");
	run("xenstore-rm -t /t/b && xenstore-exists /t || echo tidied", 0, "tidied\n");
}

static void permissions_are_changed_and_shown(void **state)
{
	(void)state;
	run("xenstore-write /p/x v && xenstore-chmod /p/x n5 r6 b7 && xenstore-ls -fp /p", 0,
	    "/p/x = \"v\"   (n5,r6,b7)\n");
	run("xenstore-chmod -r /p r0 && xenstore-ls -fp /p", 0, "/p/x = \"v\"   (r0)\n");
	run("xenstore-chmod -u /p/x w3 && xenstore-ls -fp / | grep /p", 0, "/p = \"\"   (w3)\n/p/x = \"v\"   (w3)\n");
}

static void watches_print_what_changes(void **state)
{
	(void)state;
	/* The first line says that the watch stands; only then is written. */
	run("rm -f $XENSTORED_PATH.out; mkfifo $XENSTORED_PATH.out\n"
	    "xenstore-watch -n 4 /w > $XENSTORED_PATH.out & exec 3< $XENSTORED_PATH.out\n"
	    "read line <&3; echo $line; xenstore-write /w/x 1; read line <&3; echo $line\n"
	    "xenstore-write /w/x 2; xenstore-rm /w; cat <&3; wait; rm $XENSTORED_PATH.out",
	    0, "/w\n/w/x\n/w/x\n/w\n");
}

static void a_long_list_is_shown_whole(void **state)
{
	struct xs_handle *xs = xs_open(0);
	char path[64];

	(void)state;
	assert_non_null(xs);
	for (unsigned i = 0; i < 1500; i++) {
		snprintf(path, sizeof(path), "/long/a-rather-long-name-%u", i);
		assert_true(xs_write(xs, XBT_NULL, path, "v", 1));
	}
	xs_close(xs);
	run("xenstore-list /long | wc -l; xenstore-list /long | tail -n 1; xenstore-ls /long | wc -l", 0,
	    "1500\na-rather-long-name-1499\n1500\n");
}

static void transactions_of_the_library_conflict_and_repeat(void **state)
{
	struct xs_handle *a = xs_open(0), *b = xs_open(0);
	xs_transaction_t t;

	(void)state;
	assert_true(a && b);
	assert_true(xs_write(a, XBT_NULL, "/x/count", "1", 1));
	t = xs_transaction_start(a);
	assert_int_not_equal(t, XBT_NULL);
	free(xs_read(a, t, "/x/count", NULL));
	assert_true(xs_write(b, XBT_NULL, "/x/count", "2", 1));
	assert_true(xs_write(a, t, "/x/count", "9", 1));
	assert_false(xs_transaction_end(a, t, false));
	assert_int_equal(errno, EAGAIN);
	t = xs_transaction_start(a);
	assert_true(xs_write(a, t, "/x/count", "3", 1));
	assert_true(xs_transaction_end(a, t, false));
	run("xenstore-read /x/count", 0, "3\n");
	xs_close(a);
	xs_close(b);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(values_are_written_read_listed_and_removed),
		cmocka_unit_test(permissions_are_changed_and_shown),
		cmocka_unit_test(watches_print_what_changes),
		cmocka_unit_test(a_long_list_is_shown_whole),
		cmocka_unit_test(transactions_of_the_library_conflict_and_repeat),
	};

	if (system("command -v xenstore-ls xenstore-read > /dev/null")) {
		fprintf(stderr, "skipped: package xenstore-utils is not installed\n");
		return 77;
	}
	return cmocka_run_group_tests(tests, setup, teardown);
}
