/*
 * hv/spawn.c - starts a guest's program in its sandbox, reads what it says, waits for its end.
 */
#include "hv/spawn.h"

#include <elf.h>
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "hv/log.h"
#include "hv/loop.h"
#include "hv/sandbox.h"
#include "rings/atomics.h"

#define MAX_ARGS 128
#define MAX_PROGRAM_HEADERS 128
#define SOCKET_FD 3
#define PROGRAM_FD 4
#define SPARE_ADDRESS_SPACE (UINT64_C(1) << 30) /* the program itself, its threads' stacks, its heap */

void spawn_init(struct spawn *s)
{
	memset(s, 0, sizeof(*s));
	s->kernel_fd = s->pidfd = s->out_fd = -1;
}

/* An ELF program for this machine. */
static int check_elf(int fd, bool *is_dynamic)
{
	Elf64_Ehdr eh;
	Elf64_Phdr ph;

	if (pread(fd, &eh, sizeof(eh), 0) != sizeof(eh) || memcmp(eh.e_ident, ELFMAG, SELFMAG) ||
	    eh.e_ident[EI_CLASS] != ELFCLASS64 || (eh.e_type != ET_EXEC && eh.e_type != ET_DYN) ||
	    eh.e_phentsize != sizeof(ph) || eh.e_phnum > MAX_PROGRAM_HEADERS)
		return -ENOEXEC;
#if defined(__x86_64__)
	if (eh.e_machine != EM_X86_64)
		return -ENOEXEC;
#elif defined(__aarch64__)
	if (eh.e_machine != EM_AARCH64)
		return -ENOEXEC;
#endif
	*is_dynamic = false;
	for (unsigned i = 0; i < eh.e_phnum; i++) {
		if (pread(fd, &ph, sizeof(ph), (off_t)(eh.e_phoff + i * sizeof(ph))) != sizeof(ph))
			return -ENOEXEC;
		if (ph.p_type == PT_INTERP)
			*is_dynamic = true;
	}
	return 0;
}

int spawn_load(struct spawn *s, int fd, const char *cmdline)
{
	struct stat st;
	bool is_dynamic;
	int err, copy;

	if (s->pid)
		return -EBUSY;
	if (fstat(fd, &st))
		return -errno;
	/* Executable for somebody, and not on a file system that forbids it. */
	if (!S_ISREG(st.st_mode) || faccessat(fd, "", X_OK, AT_EMPTY_PATH | AT_EACCESS))
		return -EACCES;
	if (strlen(cmdline) >= sizeof(s->cmdline))
		return -E2BIG;
	err = check_elf(fd, &is_dynamic);
	if (err)
		return err;
	copy = fcntl(fd, F_DUPFD_CLOEXEC, PROGRAM_FD + 1);
	if (copy < 0)
		return -errno;
	if (s->kernel_fd >= 0)
		close(s->kernel_fd);
	s->kernel_fd = copy;
	s->is_dynamic = is_dynamic;
	strcpy(s->cmdline, cmdline);
	return 0;
}

/* What the child is given, all made before the fork. */
struct child {
	struct sandbox sandbox;
	int kernel_fd, socket, null_fd, out_fd;
	char cmdline[SPAWN_CMDLINE_BYTES];
	char *argv[MAX_ARGS + 2];
	char *envp[8];
};

static void split(struct child *c, const char *name, const char *cmdline)
{
	char *save = NULL, *word;
	unsigned n = 0;

	strcpy(c->cmdline, cmdline);
	c->argv[n++] = (char *)name;
	for (word = strtok_r(c->cmdline, " \t\n", &save); word && n <= MAX_ARGS; word = strtok_r(NULL, " \t\n", &save))
		c->argv[n++] = word;
	c->argv[n] = NULL;
}

/* A guest knows nothing of the host's environment; only a sanitizer's options go through. */
static void pass_environment(struct child *c)
{
	extern char **environ;
	unsigned n = 0;

	for (char **e = environ; c->sandbox.is_dynamic && e && *e && n < 6; e++)
		if (!strncmp(*e, "ASAN_OPTIONS=", 13) || !strncmp(*e, "UBSAN_OPTIONS=", 14) || !strncmp(*e, "TSAN_OPTIONS=", 13))
			c->envp[n++] = *e;
	c->envp[n] = NULL;
}

static void child_say(const char *text)
{
	if (write(2, text, strlen(text)) < 0)
		return;
}

static void child_fail(const char *step)
{
	const char *why = strerrordesc_np(errno);

	child_say("sluiced: the guest's program cannot be started: ");
	child_say(step);
	child_say(": ");
	child_say(why ? why : "unknown error");
	child_say("\n");
	_exit(127);
}

/* Moves the four fds to where the program finds them, and closes all others. The sources lie above PROGRAM_FD. */
static const char *child_fds(const struct child *c)
{
	if (dup2(c->null_fd, 0) < 0 || dup2(c->out_fd, 1) < 0 || dup2(c->out_fd, 2) < 0)
		return "giving it an output";
	if (dup2(c->socket, SOCKET_FD) < 0)
		return "giving it its socket";
	if (dup3(c->kernel_fd, PROGRAM_FD, O_CLOEXEC) < 0)
		return "giving it its program";
	return syscall(SYS_close_range, PROGRAM_FD + 1, ~0u, 0) ? "closing other files" : NULL;
}

static void child_reset_signals(void)
{
	sigset_t none;

	for (int signo = 1; signo < NSIG; signo++)
		signal(signo, SIG_DFL);
	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
}

/* System calls only: see hv/sandbox.h. */
__attribute__((noreturn)) static void child_run(const struct child *c)
{
	const char *step = child_fds(c);

	if (!step) {
		child_reset_signals();
		step = sandbox_enter(&c->sandbox);
	}
	if (!step)
		step = sandbox_lock(&c->sandbox);
	if (!step) {
		syscall(SYS_execveat, PROGRAM_FD, "", c->argv, c->envp, AT_EMPTY_PATH);
		step = "executing it";
	}
	child_fail(step);
	__builtin_unreachable();
}

/* From the strictest down: what a host allows depends on who we are, on its settings, and on the container we are in. */
static const uint64_t namespace_sets[] = {
	CLONE_NEWNS | CLONE_NEWNET | CLONE_NEWPID | CLONE_NEWIPC | CLONE_NEWUTS,
	CLONE_NEWNS | CLONE_NEWNET | CLONE_NEWPID | CLONE_NEWIPC | CLONE_NEWUTS | CLONE_NEWUSER,
	CLONE_NEWNET | CLONE_NEWPID | CLONE_NEWIPC | CLONE_NEWUTS,
	CLONE_NEWNET | CLONE_NEWPID | CLONE_NEWIPC | CLONE_NEWUTS | CLONE_NEWUSER,
	0,
};
#define NR_SETS (sizeof(namespace_sets) / sizeof(namespace_sets[0]))

static void use_set(struct child *c, uint64_t set)
{
	c->sandbox.has_user_ns = set & CLONE_NEWUSER;
	c->sandbox.has_mount_ns = set & CLONE_NEWNS;
	c->sandbox.has_pid_ns = set & CLONE_NEWPID;
}

/* A fork, with the child's pidfd. Not clone3: containers refuse it. The last two arguments change places between machines. */
static pid_t fork_into(uint64_t namespaces, int *pidfd)
{
	long pid = syscall(SYS_clone, (long)(CLONE_PIDFD | SIGCHLD | namespaces), 0L, pidfd, 0L, 0L);

	return pid < 0 ? -errno : (pid_t)pid;
}

/* Can a child live in that set? Tried out by one that does nothing else. */
static bool set_works(struct child *c, uint64_t set)
{
	int status = -1, pidfd;
	pid_t pid;

	use_set(c, set);
	pid = fork_into(set, &pidfd);
	if (pid == 0)
		_exit(sandbox_enter(&c->sandbox) ? 1 : 0);
	if (pid < 0)
		return false;
	while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
		;
	close(pidfd);
	return status == 0;
}

/* The host's answer, asked for once in a process for each kind of program. Two threads may both ask: they hear the same. */
static unsigned choose_set(struct child *c)
{
	static unsigned known[2]; /* set + 1 */
	unsigned *answer = &known[c->sandbox.is_dynamic], set = load_relaxed(answer);

	if (set)
		return set - 1;
	for (set = 0; set < NR_SETS - 1 && !set_works(c, namespace_sets[set]); set++)
		;
	if (!(namespace_sets[set] & CLONE_NEWNS))
		log_warn("this host allows guests no %s: their seccomp filter has to do",
			 namespace_sets[set] ? "root directory of their own" : "namespaces");
	store_relaxed(answer, set + 1);
	return set;
}

static int clone_child(struct child *c, int *pidfd)
{
	uint64_t set = namespace_sets[choose_set(c)];
	pid_t pid;
	int err;

	use_set(c, set);
	err = sandbox_prepare(&c->sandbox);
	if (err)
		return err;
	pid = fork_into(set, pidfd);
	if (pid == 0)
		child_run(c);
	return pid;
}

static void say_line(struct spawn *s)
{
	s->line[s->line_bytes] = '\0';
	s->line_bytes = 0;
	s->said(s->arg, s->line);
}

/* Up to a few buffers for each wake-up. */
static void output(void *arg, uint32_t events)
{
	struct spawn *s = arg;
	char buf[1024];
	ssize_t n = read(s->out_fd, buf, sizeof(buf));

	if (n <= 0) {
		if (n < 0 && (errno == EAGAIN || errno == EINTR))
			return;
		loop_remove(s->out_source);
		s->out_source = NULL;
		return;
	}
	for (ssize_t i = 0; i < n; i++) {
		if (buf[i] != '\n')
			s->line[s->line_bytes++] = buf[i];
		if (buf[i] == '\n' || s->line_bytes == sizeof(s->line) - 1)
			say_line(s);
	}
}

static void close_process(struct spawn *s)
{
	loop_remove(s->pid_source);
	loop_remove(s->out_source);
	s->pid_source = s->out_source = NULL;
	if (s->pidfd >= 0)
		close(s->pidfd);
	if (s->out_fd >= 0)
		close(s->out_fd);
	s->pidfd = s->out_fd = -1;
	s->pid = 0;
}

static void exited(void *arg, uint32_t events)
{
	struct spawn *s = arg;
	int status;

	if (waitpid(s->pid, &status, WNOHANG) != s->pid)
		return;
	/* Its last words; the pipe holds no more than this. */
	for (unsigned i = 0; i < 64 && s->out_source; i++)
		output(s, 0);
	if (s->line_bytes)
		say_line(s);
	close_process(s);
	s->exited(s->arg, status);
}

static int watch(struct spawn *s, struct loop *loop)
{
	s->pid_source = loop_add_fd(loop, s->pidfd, EPOLLIN, exited, s);
	s->out_source = s->pid_source ? loop_add_fd(loop, s->out_fd, EPOLLIN, output, s) : NULL;
	return s->out_source ? 0 : -errno;
}

int spawn_start(struct spawn *s, struct loop *loop, int socket, const char *name, const char *mountpoint, unsigned long ram_bytes)
{
	struct child *c = calloc(1, sizeof(*c));
	int err, out[2];

	if (!c)
		return -ENOMEM;
	c->sandbox = (struct sandbox){
		.is_dynamic = s->is_dynamic,
		.outer_uid = geteuid(),
		.outer_gid = getegid(),
		.mountpoint = mountpoint,
		.address_space_bytes = s->is_dynamic ? 0 : ram_bytes + SPARE_ADDRESS_SPACE,
	};
	split(c, name, s->cmdline);
	pass_environment(c);
	err = pipe2(out, O_CLOEXEC | O_NONBLOCK) ? -errno : 0;
	if (err)
		goto free_child;
	c->kernel_fd = s->kernel_fd;
	c->null_fd = open("/dev/null", O_RDONLY | O_CLOEXEC);
	/* Above the numbers that the child assigns, so that no dup2 hits a source. The program's end blocks. */
	c->socket = fcntl(socket, F_DUPFD_CLOEXEC, PROGRAM_FD + 1);
	c->out_fd = fcntl(out[1], F_DUPFD_CLOEXEC, PROGRAM_FD + 1);
	if (c->null_fd < 0 || c->socket < 0 || c->out_fd < 0 || fcntl(out[1], F_SETFL, 0)) {
		err = -errno;
		goto close_fds;
	}
	err = clone_child(c, &s->pidfd);
	if (err < 0)
		goto close_fds;
	s->pid = err;
	s->out_fd = out[0];
	out[0] = -1;
	err = watch(s, loop);
	if (err)
		spawn_finish(s);
close_fds:
	if (c->null_fd >= 0)
		close(c->null_fd);
	if (c->socket >= 0)
		close(c->socket);
	if (c->out_fd >= 0)
		close(c->out_fd);
	if (out[0] >= 0)
		close(out[0]);
	close(out[1]);
free_child:
	free(c);
	return err;
}

int spawn_signal(const struct spawn *s, int signo)
{
	if (s->pidfd < 0)
		return -ESRCH;
	return syscall(SYS_pidfd_send_signal, s->pidfd, signo, NULL, 0) ? -errno : 0;
}

void spawn_finish(struct spawn *s)
{
	int status;

	if (s->pid) {
		spawn_signal(s, SIGKILL);
		while (waitpid(s->pid, &status, 0) < 0 && errno == EINTR)
			;
		close_process(s);
	}
	if (s->kernel_fd >= 0)
		close(s->kernel_fd);
	s->kernel_fd = -1;
}
