/*
 * test/unit/spawn_test.c - a guest's program runs in its sandbox, and its end is noticed, however it comes.
 *
 * Arguments: the program sandbox_guest; then how poor the host is to be:
 *      no-namespaces   as in a container: clone3 unknown, namespaces refused
 *      no-mounts       namespaces, but nothing may be mounted in them
 */
#include "test.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <seccomp.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core_box.h"
#include "hv/domctl.h"
#include "hv/log.h"

static const char *guest_path;
static bool has_no_namespaces;

struct fixture {
	struct core_box box;
	struct core_client dom0;
	char log[16384];
};

static int setup(void **state)
{
	static struct fixture f;

	core_box_init(&f.box, true);
	assert_int_equal(core_client_hello(&f.box, &f.dom0, LOCAL_KIND_DOM0, NULL), 0);
	*state = &f;
	return 0;
}

static int teardown(void **state)
{
	struct fixture *f = *state;

	core_client_close(&f->dom0);
	core_box_finish(&f->box);
	return 0;
}

static long load(struct fixture *f, const struct domain *d, const char *path, const char *cmdline)
{
	struct local_load *op = (void *)(f->dom0.area + 4096);
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	long ret;

	memset(op, 0, sizeof(*op));
	op->domid = d->domid;
	strcpy(op->cmdline, cmdline);
	assert_true(fd >= 0);
	ret = core_client_call(&f->dom0, LOCAL_HYPERCALL, LOCAL_OP_load, 4096, 0, fd);
	close(fd);
	return ret;
}

/* A domain named "g" that runs the program; this connection owns it. */
static struct domain *start(struct fixture *f, const char *cmdline)
{
	struct domain *d = core_box_domain(&f->dom0, "g");
	struct local_domid own = {.domid = d->domid};

	assert_int_equal(load(f, d, guest_path, cmdline), 0);
	assert_int_equal(core_client_op(&f->dom0, LOCAL_HYPERCALL, LOCAL_OP_own, &own, sizeof(own)), 0);
	assert_int_equal(core_client_domctl(&f->dom0, XEN_DOMCTL_unpausedomain, d->domid), 0);
	return d;
}

static bool is_over(void *arg)
{
	const struct domain *d = arg;

	return d->is_shutdown && !d->spawn.pid;
}

static const char *read_log(struct fixture *f)
{
	char path[128];
	int fd;
	ssize_t n;

	snprintf(path, sizeof(path), "%s/log/guest-g.log", f->box.run_dir);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	n = fd >= 0 ? read(fd, f->log, sizeof(f->log) - 1) : 0;
	f->log[n > 0 ? n : 0] = '\0';
	if (fd >= 0)
		close(fd);
	return f->log;
}

struct wanted {
	struct fixture *f;
	const char *text;
};

static bool log_has(void *arg)
{
	const struct wanted *w = arg;

	return strstr(read_log(w->f), w->text);
}

static void expect_line(struct fixture *f, const char *line)
{
	char text[80];

	snprintf(text, sizeof(text), "\n%s\n", line);
	if (strncmp(f->log, line, strlen(line)) && !strstr(f->log, text))
		fail_msg("no line '%s' in:\n%s", line, f->log);
}

static void a_sandboxed_program_can_do_nothing_but_be_a_guest(void **state)
{
	static const char *const forbidden[] = {
		"open", "openat", "mkdir", "mount", "chroot", "memfd_create", "kill", "kill_all", "ptrace", "fork", "clone", "unshare",
		"setuid", "process_vm_readv", "execve", "socket", "inet", "io_uring", "bpf", "setrlimit", "nonblock", "ioctl"};
	static const char *const others[] = {"thread 0", "fd 0", "fd 1", "fd 2", "fd 3", "up"};
	struct fixture *f = *state;
	struct domain *d = start(f, "try");
	char line[64];

	assert_true(core_box_until(&f->box, is_over, d));
	read_log(f);
	for (size_t i = 0; i < ARRAY_LEN(forbidden); i++) {
		snprintf(line, sizeof(line), "%s %d", forbidden[i], EPERM);
		expect_line(f, line);
	}
	for (size_t i = 0; i < ARRAY_LEN(others); i++)
		expect_line(f, others[i]);
	/* Who is not root can become nobody only in a namespace of his own. */
	if (!has_no_namespaces || geteuid() == 0)
		expect_line(f, "uid 65534");
	assert_null(strstr(f->log, "fd 4"));
	assert_int_equal(d->shutdown_reason, SHUTDOWN_poweroff);
}

static void a_program_is_given_its_name_and_its_words(void **state)
{
	struct fixture *f = *state;

	assert_true(core_box_until(&f->box, is_over, start(f, "args  one\ttwo ")));
	read_log(f);
	assert_non_null(strstr(f->log, "arg g\narg args\narg one\narg two\nup\n"));
}

static void every_end_has_its_reason(void **state)
{
	static const struct {
		const char *cmdline;
		unsigned reason;
	} cases[] = {
		{"off", SHUTDOWN_poweroff},
		{"crash", SHUTDOWN_crash},
		{"exit 0", SHUTDOWN_crash}, /* without a word */
		{"exit 3", SHUTDOWN_crash},
	};
	struct fixture *f = *state;

	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct domain *d = start(f, cases[i].cmdline);

		assert_true(core_box_until(&f->box, is_over, d));
		assert_int_equal(d->shutdown_reason, cases[i].reason);
		assert_int_equal(core_client_domctl(&f->dom0, XEN_DOMCTL_destroydomain, d->domid), 0);
	}
}

struct gone {
	struct core *core;
	domid_t domid;
};

static bool is_gone(void *arg)
{
	const struct gone *g = arg;

	return !core_domain(g->core, g->domid);
}

static void destroying_a_running_guest_kills_it(void **state)
{
	struct fixture *f = *state;
	struct domain *d = start(f, "hang");
	struct wanted up = {f, "up\n"};
	struct gone gone = {f->box.core, d->domid};
	struct local_return ret;
	pid_t pid = d->spawn.pid;
	long answer;

	assert_true(core_box_until(&f->box, log_has, &up));
	assert_int_equal(kill(pid, 0), 0);
	answer = core_client_domctl(&f->dom0, XEN_DOMCTL_destroydomain, d->domid);
	assert_true(answer == -EINPROGRESS || answer == 0);
	assert_true(core_box_until(&f->box, is_gone, &gone));
	if (answer)
		assert_int_equal(core_client_receive(&f->dom0, &ret, sizeof(ret)), sizeof(ret));
	assert_int_equal(kill(pid, 0), -1);
}

/* The state letter of /proc/<pid>/stat. */
static char process_state(pid_t pid)
{
	char path[64], name[64], letter = '?';
	FILE *file;

	snprintf(path, sizeof(path), "/proc/%d/stat", (int)pid);
	file = fopen(path, "re");
	if (!file)
		return '-';
	if (fscanf(file, "%*d %63s %c", name, &letter) != 2)
		letter = '?';
	fclose(file);
	return letter;
}

static bool is_stopped(void *arg)
{
	return process_state(*(pid_t *)arg) == 'T';
}

static bool is_running(void *arg)
{
	return process_state(*(pid_t *)arg) == 'S';
}

static void a_paused_guest_does_not_run(void **state)
{
	struct fixture *f = *state;
	struct domain *d = start(f, "hang");
	struct wanted up = {f, "up\n"};

	assert_true(core_box_until(&f->box, log_has, &up));
	assert_int_equal(core_client_domctl(&f->dom0, XEN_DOMCTL_pausedomain, d->domid), 0);
	assert_true(core_box_until(&f->box, is_stopped, &d->spawn.pid));
	assert_int_equal(core_client_domctl(&f->dom0, XEN_DOMCTL_unpausedomain, d->domid), 0);
	assert_true(core_box_until(&f->box, is_running, &d->spawn.pid));
}

static void the_core_takes_its_guests_along(void **state)
{
	struct fixture *f = *state;
	struct domain *d = start(f, "hang");
	struct wanted up = {f, "up\n"};
	pid_t pid = d->spawn.pid;

	assert_true(core_box_until(&f->box, log_has, &up));
	core_destroy(f->box.core);
	f->box.core = NULL;
	assert_int_equal(kill(pid, 0), -1);
}

static void what_cannot_be_executed_is_refused_with_a_reason(void **state)
{
	struct fixture *f = *state;
	struct domain *d = core_box_domain(&f->dom0, "g");
	char text[96], script[96];
	int fd;

	snprintf(text, sizeof(text), "%s/text", f->box.run_dir);
	snprintf(script, sizeof(script), "%s/script", f->box.run_dir);
	fd = open(text, O_CREAT | O_WRONLY | O_CLOEXEC, 0644);
	close(fd);
	fd = open(script, O_CREAT | O_WRONLY | O_CLOEXEC, 0755);
	assert_int_equal(write(fd, "#!/bin/sh\n", 10), 10);
	close(fd);
	assert_int_equal(load(f, d, text, ""), -EACCES);
	assert_int_equal(load(f, d, script, ""), -ENOEXEC);
	assert_int_equal(load(f, d, "/dev/null", ""), -EACCES);
	assert_int_equal(load(f, d, f->box.run_dir, ""), -EACCES);
	assert_int_equal(core_client_call(&f->dom0, LOCAL_HYPERCALL, LOCAL_OP_load, 4096, 0, -1), -EBADF);
	assert_int_equal(load(f, d, guest_path, "off"), 0);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

/* From here on the host refuses these, to us and to all that we start. */
static int impoverish(const char *how)
{
	static const uint64_t namespaces[] = {CLONE_NEWNS, CLONE_NEWNET, CLONE_NEWPID, CLONE_NEWIPC, CLONE_NEWUTS, CLONE_NEWUSER};
	scmp_filter_ctx ctx = seccomp_init(SCMP_ACT_ALLOW);
	int err = ctx ? 0 : -ENOMEM;

	if (!strcmp(how, "no-mounts")) {
		err = seccomp_rule_add(ctx, SCMP_ACT_ERRNO(EPERM), SCMP_SYS(mount), 0);
	} else {
		for (size_t i = 0; i < ARRAY_LEN(namespaces) && !err; i++)
			err = seccomp_rule_add(ctx, SCMP_ACT_ERRNO(EPERM), SCMP_SYS(clone), 1,
					       SCMP_A0(SCMP_CMP_MASKED_EQ, namespaces[i], namespaces[i]));
		if (!err)
			err = seccomp_rule_add(ctx, SCMP_ACT_ERRNO(ENOSYS), SCMP_SYS(clone3), 0);
	}
	if (!err)
		err = seccomp_load(ctx);
	seccomp_release(ctx);
	return err;
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		TEST(a_sandboxed_program_can_do_nothing_but_be_a_guest),
		TEST(a_program_is_given_its_name_and_its_words),
		TEST(every_end_has_its_reason),
		TEST(destroying_a_running_guest_kills_it),
		TEST(a_paused_guest_does_not_run),
		TEST(the_core_takes_its_guests_along),
		TEST(what_cannot_be_executed_is_refused_with_a_reason),
	};

	if (argc < 2) {
		fputs("usage: unit_spawn PATH-OF-sandbox_guest\n", stderr);
		return 1;
	}
	guest_path = argv[1];
	if (argc > 2 && impoverish(argv[2])) {
		fprintf(stderr, "cannot make the host poorer: %s\n", argv[2]);
		return 77;
	}
	has_no_namespaces = argc > 2 && !strcmp(argv[2], "no-namespaces");
	log_init("spawn_test", LOG_LEVEL_ERROR);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
