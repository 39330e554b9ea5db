/*
 * test/unit/run_file_test.c - files of the run folder: whoever is killed leaves some, and whoever comes next removes just those.
 */
#include "test.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "hv/run_file.h"

static char dir[64];

static bool is_there(const char *name)
{
	char path[128];

	snprintf(path, sizeof(path), "%s/%s", dir, name);
	return access(path, F_OK) == 0;
}

/* Another process makes the file, and dies without a chance to remove it. */
static void leave(const char *name, bool is_held)
{
	pid_t pid = fork();
	int status;

	assert_true(pid >= 0);
	if (pid == 0) {
		struct run_file f;

		if (is_held ? run_file_create_held(&f, dir, name, 100) : run_file_create(&f, dir, name, 100))
			_exit(1);
		raise(SIGKILL);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFSIGNALED(status));
	assert_true(is_there(name));
}

static void begin(void)
{
	strcpy(dir, "/tmp/sluice-run-file.XXXXXX");
	assert_non_null(mkdtemp(dir));
}

static void what_killed_processes_left_is_swept_and_nothing_else(void **state)
{
	struct run_file held, renamed;

	begin();
	leave("port-a-1.stats", true);
	leave("port-b-2.stats", true);
	leave("other-1.stats", true);
	leave("port-a.inflight", true);
	assert_int_equal(run_file_create_held(&held, dir, "port-c-3.stats", 100), 0);
	assert_int_equal(run_file_create_held(&renamed, dir, "else.stats", 100), 0);
	assert_int_equal(run_file_rename(&renamed, dir, "port-d-4.stats"), 0);
	run_file_sweep_left(dir, "port-");
	assert_false(is_there("port-a-1.stats"));
	assert_false(is_there("port-b-2.stats"));
	assert_true(is_there("other-1.stats"));
	assert_true(is_there("port-a.inflight"));
	assert_true(is_there("port-c-3.stats"));
	assert_true(is_there("port-d-4.stats"));
	run_file_close(&renamed, false);
	run_file_sweep_left(dir, "port-");
	assert_false(is_there("port-d-4.stats"));
	run_file_close(&held, true);
	assert_false(is_there("port-c-3.stats"));
	run_file_sweep_left(dir, "");
	leave("port-a.inflight", false); /* in place of the one that is there */
	assert_true(is_there("port-a.inflight"));
	snprintf(dir + strlen(dir), 20, "/port-a.inflight");
	assert_int_equal(unlink(dir), 0);
	*strrchr(dir, '/') = '\0';
	assert_int_equal(rmdir(dir), 0);
}

static void where_nothing_can_be_written_the_memory_is_private(void **state)
{
	struct run_file f;

	assert_int_equal(run_file_create_held(&f, "/proc/no-such-folder", "x.stats", 100), 0);
	assert_string_equal(f.path, "");
	assert_false(f.is_held);
	memset(f.memory, 1, f.bytes);
	run_file_sweep_left("/proc/no-such-folder", "x");
	run_file_close(&f, true);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_killed_processes_left_is_swept_and_nothing_else),
		cmocka_unit_test(where_nothing_can_be_written_the_memory_is_private),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
