/*
 * test/unit/blkback_nbd_test.c - the NBD engine against nbdkit, a server that is not ours. Skipped where it is not installed.
 */
#include <fcntl.h>
#include <signal.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include "disk_rig.h"

#define SIZE_OPTION "size=2097152" /* DISK_RIG_SECTORS of them */
#define MAX_ARGS 16

static struct {
	char dir[64];
	char socket[96];
	char target[160];
	pid_t pid;
} server;

static bool is_installed(void)
{
	return access("/usr/bin/nbdkit", X_OK) == 0 || access("/usr/sbin/nbdkit", X_OK) == 0;
}

static void server_begin(void)
{
	strcpy(server.dir, "/tmp/sluice-nbd-XXXXXX");
	assert_non_null(mkdtemp(server.dir));
	snprintf(server.socket, sizeof(server.socket), "%s/socket", server.dir);
	snprintf(server.target, sizeof(server.target), "nbd:unix:%s", server.socket);
}

/* Starts nbdkit with these arguments; it writes its pid file when it serves. */
static void server_run(const char *const args[])
{
	const char *argv[MAX_ARGS + 8] = {"nbdkit", "--foreground", "--exit-with-parent", "--unix", server.socket, "--pidfile"};
	char pid_file[96];
	struct stat st;
	unsigned n = 6;

	snprintf(pid_file, sizeof(pid_file), "%s/pid", server.dir);
	unlink(pid_file);
	argv[n++] = pid_file;
	for (unsigned i = 0; args[i]; i++)
		argv[n++] = args[i];
	server.pid = fork();
	assert_true(server.pid >= 0);
	if (!server.pid) {
		dup2(open("/dev/null", O_WRONLY), 2);
		execvp("nbdkit", (char *const *)argv);
		_exit(127);
	}
	while (stat(pid_file, &st) < 0 || !st.st_size) {
		assert_int_equal(waitpid(server.pid, NULL, WNOHANG), 0); /* it ended instead */
		usleep(1000);
	}
}

static void server_kill(void)
{
	kill(server.pid, SIGKILL);
	waitpid(server.pid, NULL, 0);
	unlink(server.socket);
}

static void server_end(void)
{
	char path[96];

	server_kill();
	snprintf(path, sizeof(path), "%s/pid", server.dir);
	unlink(path);
	snprintf(path, sizeof(path), "%s/fail", server.dir);
	unlink(path);
	rmdir(server.dir);
}

static void rig_open(struct disk_rig *r)
{
	memset(r, 0, sizeof(*r));
	strcpy(r->path, "/nonexistent"); /* nothing of this machine to remove */
	assert_int_equal(disk_rig_open_image(&r->image, &disk_uring, server.target, false, 0, r->why, r->note), 0);
	assert_ptr_equal(r->image.engine, &disk_nbd);
	assert_int_equal(r->image.sectors, DISK_RIG_SECTORS);
	disk_rig_make_queue(r);
}

static void what_is_written_to_a_server_is_read_back(void **state)
{
	/* The second one takes 4 KiB at a time, so that every larger I/O is several commands. */
	static const char *const servers[][MAX_ARGS] = {
		{"memory", SIZE_OPTION, NULL},
		{"--filter=blocksize-policy", "memory", SIZE_OPTION, "blocksize-minimum=512", "blocksize-preferred=4096",
		 "blocksize-maximum=65536", "blocksize-error-policy=error", NULL},
	};

	if (!is_installed())
		skip();
	for (size_t i = 0; i < ARRAY_LEN(servers); i++) {
		struct iovec whole, pieces[3];
		struct disk_rig r;

		server_begin();
		server_run(servers[i]);
		rig_open(&r);
		whole = (struct iovec){r.ram, 30 * PAGE_BYTES};
		pieces[0] = (struct iovec){r.ram + 31 * PAGE_BYTES, 7 * PAGE_BYTES + 512};
		pieces[1] = (struct iovec){r.ram + 39 * PAGE_BYTES + 512, 512};
		pieces[2] = (struct iovec){r.ram + 40 * PAGE_BYTES, 20 * PAGE_BYTES};
		disk_rig_fill(r.ram, 30 * PAGE_BYTES, 41);
		assert_int_equal(disk_rig_do(&r, DISK_WRITE, 7, &whole, 1), 0);
		assert_int_equal(disk_rig_do(&r, DISK_FLUSH, 0, NULL, 0), 0);
		assert_int_equal(disk_rig_do(&r, DISK_READ, 7, pieces, 3), 0);
		assert_memory_equal(pieces[0].iov_base, r.ram, pieces[0].iov_len);
		assert_memory_equal(pieces[1].iov_base, r.ram + pieces[0].iov_len, 512);
		assert_memory_equal(pieces[2].iov_base, r.ram + 7 * PAGE_BYTES + 1024, pieces[2].iov_len);
		assert_int_equal(disk_rig_do(&r, DISK_WRITE, 2000, pieces, 3), 0);
		memset(r.ram, 0, 8 * PAGE_BYTES);
		whole.iov_len = 8 * PAGE_BYTES;
		assert_int_equal(disk_rig_do(&r, DISK_READ, 2000, &whole, 1), 0);
		assert_memory_equal(r.ram, pieces[0].iov_base, pieces[0].iov_len);
		assert_true(r.image.can_discard);
		assert_int_equal(disk_rig_discard(&r, DISK_DISCARD, 2000, 8), 0);
		assert_int_equal(disk_rig_do(&r, DISK_READ, 2000, &whole, 1), 0);
		for (unsigned at = 0; at < PAGE_BYTES; at++)
			assert_int_equal(r.ram[at], 0);
		assert_memory_equal(r.ram + PAGE_BYTES, (char *)pieces[0].iov_base + PAGE_BYTES, PAGE_BYTES);
		disk_rig_stop(&r);
		server_end();
	}
}

static void many_may_be_with_a_server_at_a_time(void **state)
{
	static const char *const args[] = {"--filter=delay", "memory", SIZE_OPTION, "rdelay=1ms", NULL};
	struct disk_rig r;

	if (!is_installed())
		skip();
	server_begin();
	server_run(args);
	rig_open(&r);
	disk_rig_fill(r.ram, DISK_RIG_DEPTH * PAGE_BYTES, 5);
	for (int op = DISK_WRITE; op >= DISK_READ; op--) {
		for (unsigned i = 0; i < DISK_RIG_DEPTH; i++) {
			struct iovec v = {r.ram + (op == DISK_READ ? (i + 1) % 32 + 32 : i) * PAGE_BYTES, PAGE_BYTES};

			disk_rig_submit(&r, i, (enum disk_op)op, i * 8, &v, 1);
		}
		disk_rig_run(&r, DISK_RIG_DEPTH);
		for (unsigned i = 0; i < DISK_RIG_DEPTH; i++)
			assert_int_equal(r.io[i].error, 0);
	}
	for (unsigned i = 0; i < DISK_RIG_DEPTH; i++)
		assert_memory_equal(r.ram + ((i + 1) % 32 + 32) * PAGE_BYTES, r.ram + i * PAGE_BYTES, PAGE_BYTES);
	disk_rig_stop(&r);
	server_end();
}

static void what_a_server_refuses_fails_and_nothing_else_does(void **state)
{
	char fail_file[128], option[160];
	const char *args[] = {"--filter=error", "memory", SIZE_OPTION, "error-pwrite=ENOSPC", "error-pwrite-rate=100%", option, NULL};
	struct disk_rig r;
	struct iovec v;

	if (!is_installed())
		skip();
	server_begin();
	snprintf(fail_file, sizeof(fail_file), "%s/fail", server.dir);
	snprintf(option, sizeof(option), "error-pwrite-file=%s", fail_file);
	server_run(args);
	rig_open(&r);
	v = (struct iovec){r.ram, PAGE_BYTES};
	assert_int_equal(disk_rig_do(&r, DISK_WRITE, 0, &v, 1), 0);
	close(open(fail_file, O_CREAT | O_WRONLY, 0600));
	disk_rig_submit(&r, 0, DISK_READ, 0, &v, 1);
	disk_rig_submit(&r, 1, DISK_WRITE, 8, &v, 1);
	disk_rig_submit(&r, 2, DISK_READ, 8, &v, 1);
	disk_rig_run(&r, 3);
	assert_int_equal(r.io[0].error, 0);
	assert_int_equal(r.io[1].error, -ENOSPC);
	assert_int_equal(r.io[2].error, 0);
	unlink(fail_file);
	assert_int_equal(disk_rig_do(&r, DISK_WRITE, 8, &v, 1), 0);
	disk_rig_stop(&r);
	server_end();
}

/* What had been written and not flushed went with it, and so the next flush fails, the one after it does not. */
static void a_server_that_comes_back_is_gone_on_with(void **state)
{
	static const char *const args[] = {"--filter=delay", "memory", SIZE_OPTION, "rdelay=100", NULL}; /* reads never end */
	static const char *const again[] = {"memory", SIZE_OPTION, NULL};
	struct disk_rig r;
	struct iovec v;

	if (!is_installed())
		skip();
	server_begin();
	server_run(args);
	rig_open(&r);
	v = (struct iovec){r.ram, PAGE_BYTES};
	assert_int_equal(disk_rig_do(&r, DISK_WRITE, 0, &v, 1), 0);
	disk_rig_submit(&r, 1, DISK_READ, 0, &v, 1);
	disk_rig_submit(&r, 2, DISK_READ, 8, &v, 1);
	server_kill();
	disk_rig_run(&r, 2);
	assert_true(r.io[1].error < 0 && r.io[2].error < 0);
	assert_true(disk_rig_do(&r, DISK_READ, 0, &v, 1) < 0);
	server_run(again);
	while (disk_rig_do(&r, DISK_READ, 0, &v, 1) < 0)
		usleep(10000);
	assert_int_equal(disk_rig_do(&r, DISK_FLUSH, 0, NULL, 0), -EIO);
	assert_int_equal(disk_rig_do(&r, DISK_FLUSH, 0, NULL, 0), 0);
	assert_int_equal(disk_rig_do(&r, DISK_WRITE, 0, &v, 1), 0);
	disk_rig_stop(&r);
	server_end();
}

static void a_queue_takes_over_the_connection_of_the_one_before(void **state)
{
	struct iovec v;
	struct disk_rig r;
	static const char *const args[] = {"--filter=multi-conn", "--filter=noparallel", "memory", SIZE_OPTION,
					   "multi-conn-mode=disable", NULL};

	if (!is_installed())
		skip();
	server_begin();
	server_run(args);
	rig_open(&r);
	assert_int_equal(r.image.max_queues, 1);
	for (int i = 0; i < 3; i++) {
		v = (struct iovec){r.ram, PAGE_BYTES};
		assert_int_equal(disk_rig_do(&r, DISK_WRITE, 0, &v, 1), 0);
		r.queue->engine->destroy(r.queue);
		free(r.ram);
		for (unsigned f = 0; f < DISK_NR_WAKE_FDS; f++)
			close(r.wake_fd[f]);
		disk_rig_make_queue(&r);
	}
	disk_rig_stop(&r);
	server_end();
}

static void a_target_that_cannot_be_served_says_why(void **state)
{
	static const char *const read_only[] = {"--readonly", "memory", SIZE_OPTION, NULL};
	static const char *const odd[] = {"memory", "size=1000", NULL};
	static const struct {
		const char *target;
		const char *says;
	} cases[] = {
		{"nbd:", "names no NBD server"},
		{"nbd:here", "names no NBD server"},
		{"nbd:unix:/no/such/socket", "cannot be reached"},
		{"nbd://localhost:1/", "cannot be reached"},
		{"nbd:[::1]:1:exportname=x", "cannot be reached"},
	};
	struct disk_image image;
	char why[256], note[256];

	if (!is_installed())
		skip();
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		assert_true(disk_rig_open_image(&image, &disk_mem, cases[i].target, false, 0, why, note) < 0);
		if (!strstr(why, cases[i].says) || !strstr(why, cases[i].target))
			fail_msg("%s: %s", cases[i].target, why);
		disk_image_close(&image);
	}
	server_begin();
	server_run(read_only);
	assert_int_equal(disk_rig_open_image(&image, &disk_mem, server.target, false, 0, why, note), -EROFS);
	assert_non_null(strstr(why, "served read-only"));
	assert_int_equal(disk_rig_open_image(&image, &disk_mem, server.target, true, 0, why, note), 0);
	assert_false(image.can_discard);
	disk_image_close(&image);
	server_kill();
	server_run(odd);
	assert_int_equal(disk_rig_open_image(&image, &disk_mem, server.target, false, 0, why, note), -EINVAL);
	assert_non_null(strstr(why, "cannot be a disk"));
	server_end();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_is_written_to_a_server_is_read_back),
		cmocka_unit_test(many_may_be_with_a_server_at_a_time),
		cmocka_unit_test(what_a_server_refuses_fails_and_nothing_else_does),
		cmocka_unit_test(a_server_that_comes_back_is_gone_on_with),
		cmocka_unit_test(a_queue_takes_over_the_connection_of_the_one_before),
		cmocka_unit_test(a_target_that_cannot_be_served_says_why),
	};

	signal(SIGPIPE, SIG_IGN);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
