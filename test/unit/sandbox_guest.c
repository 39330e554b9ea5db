/*
 * test/unit/sandbox_guest.c - a guest program that tries what it must not, says what came of it, and shuts down.
 *
 *      try       each forbidden thing: one line "name errno" to its output
 *      hang      says "up" and sleeps for ever
 *      crash     says "up" and dies of a signal
 *      exit N    ends without a word to the hypervisor
 *      args ...  says what it was given
 *
 * Statically linked and without any sanitizer: it runs in an empty root.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/io_uring.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "hv/local_abi.h"

#include <xen/sched.h>

static void report(const char *what, long ret)
{
	printf("%s %d\n", what, ret < 0 ? errno : 0);
}

static void *thread(void *arg)
{
	*(int *)arg = 1;
	return NULL;
}

static void try_files(void)
{
	report("open", open("/etc/passwd", O_RDONLY));
	report("openat", syscall(SYS_openat, AT_FDCWD, "/", O_RDONLY));
	report("mkdir", mkdir("/x", 0755));
	report("mount", mount("none", "/", "tmpfs", 0, NULL));
	report("chroot", chroot("/"));
	report("memfd_create", memfd_create("x", 0));
}

static void try_processes(void)
{
	char *const argv[] = {"sh", NULL};
	int ran = 0;
	pthread_t t;

	report("kill", kill(1, SIGTERM));
	report("kill_all", kill(-1, 0));
	report("ptrace", ptrace(PTRACE_TRACEME, 0, NULL, NULL));
	report("fork", syscall(SYS_fork));
	report("clone", syscall(SYS_clone, (long)SIGCHLD, 0L, 0L, 0L, 0L));
	report("unshare", unshare(CLONE_NEWUSER));
	report("setuid", syscall(SYS_setuid, 0));
	report("process_vm_readv", syscall(SYS_process_vm_readv, 1, NULL, 0, NULL, 0, 0));
	report("execve", execve("/bin/sh", argv, argv + 1));
	errno = EAGAIN;
	report("thread", pthread_create(&t, NULL, thread, &ran) ? -1 : 0);
	pthread_join(t, NULL);
	printf("uid %d\n", (int)getuid());
	printf("pid %d\n", (int)getpid());
	printf("cap %d\n", prctl(PR_CAPBSET_READ, 21, 0, 0, 0) > 0);
}

static void try_kernel(void)
{
	struct rlimit limit = {1, 1};
	struct io_uring_params params = {0};

	report("socket", socket(AF_UNIX, SOCK_STREAM, 0));
	report("inet", socket(AF_INET, SOCK_DGRAM, 0));
	report("io_uring", syscall(SYS_io_uring_setup, 1, &params));
	report("bpf", syscall(SYS_bpf, 0, NULL, 0));
	report("setrlimit", setrlimit(RLIMIT_NOFILE, &limit));
	report("nonblock", fcntl(LOCAL_SPAWNED_FD, F_SETFL, 0));
	report("ioctl", ioctl(LOCAL_SPAWNED_FD, FIONBIO, &(int){0}));
	for (int fd = 0; fd < 1024; fd++)
		if (fcntl(fd, F_GETFD) >= 0)
			printf("fd %d\n", fd);
}

/* Becomes the domain: returns its first frames. */
static uint8_t *enter(void)
{
	struct local_hello hello = {.magic = LOCAL_MAGIC, .version = LOCAL_VERSION, .kind = LOCAL_KIND_SPAWNED};
	struct local_welcome welcome;
	union {
		struct cmsghdr align;
		char bytes[CMSG_SPACE(sizeof(int) * LOCAL_MAX_FDS)];
	} control;
	struct iovec iov = {&welcome, sizeof(welcome)};
	struct msghdr msg = {
		.msg_iov = &iov, .msg_iovlen = 1, .msg_control = control.bytes, .msg_controllen = sizeof(control)};
	int ram;
	void *base;

	if (send(LOCAL_SPAWNED_FD, &hello, sizeof(hello), 0) < 0 || recvmsg(LOCAL_SPAWNED_FD, &msg, 0) != sizeof(welcome) ||
	    welcome.status || !CMSG_FIRSTHDR(&msg))
		return NULL;
	memcpy(&ram, CMSG_DATA(CMSG_FIRSTHDR(&msg)), sizeof(ram));
	base = mmap(NULL, 8192, PROT_READ | PROT_WRITE, MAP_SHARED, ram, 0);
	return base == MAP_FAILED ? NULL : base;
}

static int power_off(uint8_t *ram)
{
	struct local_call call = {.nr = __HYPERVISOR_sched_op, .arg = {SCHEDOP_shutdown, 4096}};
	struct sched_shutdown op = {.reason = SHUTDOWN_poweroff};

	memcpy(ram + 4096, &op, sizeof(op));
	return send(LOCAL_SPAWNED_FD, &call, sizeof(call), 0) == sizeof(call) ? 0 : 1;
}

int main(int argc, char **argv)
{
	const char *what = argc > 1 ? argv[1] : "";
	uint8_t *ram;

	setvbuf(stdout, NULL, _IOLBF, 0);
	if (!strcmp(what, "exit"))
		return argc > 2 ? atoi(argv[2]) : 0;
	if (!strcmp(what, "try")) {
		try_files();
		try_processes();
		try_kernel();
	}
	if (!strcmp(what, "args"))
		for (int i = 0; i < argc; i++)
			printf("arg %s\n", argv[i]);
	ram = enter();
	if (!ram) {
		puts("no welcome");
		return 1;
	}
	puts("up");
	if (!strcmp(what, "hang"))
		for (;;)
			pause();
	if (!strcmp(what, "crash"))
		__builtin_trap();
	return power_off(ram);
}
