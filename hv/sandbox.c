/*
 * hv/sandbox.c - an empty root, nobody's identity, a short list of system calls.
 */
#include "hv/sandbox.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/capability.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sched.h>
#include <seccomp.h>
#include <signal.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "rings/atomics.h"

#define MAX_OPEN_FILES 1024u /* a few for each queue of each device */

/* What a statically linked program needs that has nothing but memory, eventfds and one socket. */
static const int allowed[] = {
	SCMP_SYS(read), SCMP_SYS(write), SCMP_SYS(readv), SCMP_SYS(writev), SCMP_SYS(pread64), SCMP_SYS(close), SCMP_SYS(fstat),
	SCMP_SYS(newfstatat), SCMP_SYS(lseek), SCMP_SYS(dup), SCMP_SYS(dup2), SCMP_SYS(dup3),
	SCMP_SYS(mmap), SCMP_SYS(munmap), SCMP_SYS(mprotect), SCMP_SYS(mremap), SCMP_SYS(madvise), SCMP_SYS(brk),
	SCMP_SYS(rt_sigaction), SCMP_SYS(rt_sigprocmask), SCMP_SYS(rt_sigreturn), SCMP_SYS(sigaltstack),
	SCMP_SYS(sched_yield), SCMP_SYS(sched_getaffinity), SCMP_SYS(sched_setaffinity), SCMP_SYS(getcpu),
	SCMP_SYS(nanosleep), SCMP_SYS(clock_nanosleep), SCMP_SYS(clock_gettime), SCMP_SYS(clock_getres), SCMP_SYS(gettimeofday),
	SCMP_SYS(time), SCMP_SYS(restart_syscall), SCMP_SYS(pause), SCMP_SYS(rt_sigsuspend), SCMP_SYS(rt_sigtimedwait),
	SCMP_SYS(poll), SCMP_SYS(ppoll), SCMP_SYS(select), SCMP_SYS(pselect6), SCMP_SYS(epoll_create1), SCMP_SYS(epoll_ctl),
	SCMP_SYS(epoll_wait), SCMP_SYS(epoll_pwait), SCMP_SYS(eventfd2), SCMP_SYS(timerfd_create), SCMP_SYS(timerfd_settime),
	SCMP_SYS(timerfd_gettime),
	SCMP_SYS(sendmsg), SCMP_SYS(recvmsg), SCMP_SYS(sendto), SCMP_SYS(recvfrom), SCMP_SYS(getsockopt), SCMP_SYS(shutdown),
	SCMP_SYS(futex), SCMP_SYS(set_robust_list), SCMP_SYS(get_robust_list), SCMP_SYS(set_tid_address), SCMP_SYS(rseq),
	SCMP_SYS(membarrier), SCMP_SYS(arch_prctl),
	SCMP_SYS(getpid), SCMP_SYS(gettid), SCMP_SYS(getuid), SCMP_SYS(geteuid), SCMP_SYS(getgid), SCMP_SYS(getegid),
	SCMP_SYS(uname), SCMP_SYS(sysinfo), SCMP_SYS(getrusage), SCMP_SYS(umask), SCMP_SYS(getrandom),
	SCMP_SYS(exit), SCMP_SYS(exit_group),
};

/* A dynamically linked one (sanitizer builds) also looks for its libraries and at itself; its root is read-only. */
static const int allowed_dynamic[] = {
	SCMP_SYS(open), SCMP_SYS(openat), SCMP_SYS(access), SCMP_SYS(faccessat), SCMP_SYS(faccessat2), SCMP_SYS(stat),
	SCMP_SYS(lstat), SCMP_SYS(statx), SCMP_SYS(readlink), SCMP_SYS(readlinkat), SCMP_SYS(getdents64), SCMP_SYS(getcwd),
	SCMP_SYS(prctl), SCMP_SYS(personality), SCMP_SYS(mincore), SCMP_SYS(tgkill), SCMP_SYS(prlimit64),
};

static int allow_list(scmp_filter_ctx ctx, const int *list, size_t nr)
{
	int err = 0;

	for (size_t i = 0; i < nr && !err; i++)
		err = seccomp_rule_add(ctx, SCMP_ACT_ALLOW, list[i], 0);
	return err;
}

static int allow_if(scmp_filter_ctx ctx, int nr, struct scmp_arg_cmp condition)
{
	return seccomp_rule_add_array(ctx, SCMP_ACT_ALLOW, nr, 1, &condition);
}

static int allow_fcntl(scmp_filter_ctx ctx)
{
	/*
	 * Not F_SETFL: an open file's flags are shared with the core and Domain-0, who rely on eventfds that do not block.
	 * ioctl, which has FIONBIO, is not allowed at all.
	 */
	static const int commands[] = {F_GETFD, F_SETFD, F_GETFL, F_DUPFD, F_DUPFD_CLOEXEC, F_GET_SEALS};
	int err = 0;

	for (size_t i = 0; i < sizeof(commands) / sizeof(commands[0]) && !err; i++)
		err = allow_if(ctx, SCMP_SYS(fcntl), SCMP_A1(SCMP_CMP_EQ, (uint64_t)commands[i], 0));
	return err;
}

static int allow_special(scmp_filter_ctx ctx, bool has_pid_ns)
{
	int err = allow_fcntl(ctx);

	/* Threads, not processes. clone3 hides its flags: -ENOSYS makes the C library use clone. */
	if (!err)
		err = allow_if(ctx, SCMP_SYS(clone), SCMP_A0(SCMP_CMP_MASKED_EQ, CLONE_THREAD | CLONE_VM, CLONE_THREAD | CLONE_VM));
	if (!err)
		err = seccomp_rule_add(ctx, SCMP_ACT_ERRNO(ENOSYS), SCMP_SYS(clone3), 0);
	/* abort() and raise(); in a pid namespace of its own it reaches nobody else. */
	if (!err && has_pid_ns)
		err = seccomp_rule_add(ctx, SCMP_ACT_ALLOW, SCMP_SYS(tgkill), 0);
	/* Reading limits, which the C library does for thread stacks; not setting them. */
	if (!err)
		err = allow_if(ctx, SCMP_SYS(prlimit64), SCMP_A2(SCMP_CMP_EQ, 0, 0));
	if (!err)
		err = allow_if(ctx, SCMP_SYS(prctl), SCMP_A0(SCMP_CMP_EQ, PR_SET_NAME, 0));
	/* The program itself is started under the filter; later there is nothing left that it could start. */
	if (!err)
		err = allow_if(ctx, SCMP_SYS(execveat), SCMP_A4(SCMP_CMP_EQ, AT_EMPTY_PATH, 0));
	return err;
}

struct sandbox_filter {
	unsigned short len;
	struct sock_filter program[];
};

/* The program's BPF text, from a memfd, as libseccomp exports it. */
static int export_filter(scmp_filter_ctx ctx, struct sandbox_filter **out)
{
	int err, fd = memfd_create("sluice-seccomp", MFD_CLOEXEC);
	struct sandbox_filter *f;
	struct stat st;

	if (fd < 0)
		return -errno;
	err = seccomp_export_bpf(ctx, fd);
	if (!err && fstat(fd, &st))
		err = -errno;
	if (err)
		goto close_fd;
	err = -ENOMEM;
	f = malloc(sizeof(*f) + (size_t)st.st_size);
	if (!f)
		goto close_fd;
	f->len = (unsigned short)((size_t)st.st_size / sizeof(f->program[0]));
	err = pread(fd, f->program, (size_t)st.st_size, 0) == st.st_size ? 0 : -EIO;
	if (err)
		free(f);
	else
		*out = f;
close_fd:
	close(fd);
	return err;
}

static int build_filter(const struct sandbox *s, struct sandbox_filter **out)
{
	scmp_filter_ctx ctx = seccomp_init(SCMP_ACT_ERRNO(EPERM));
	int err;

	if (!ctx)
		return -ENOMEM;
	err = allow_list(ctx, allowed, sizeof(allowed) / sizeof(allowed[0]));
	if (!err && s->is_dynamic)
		err = allow_list(ctx, allowed_dynamic, sizeof(allowed_dynamic) / sizeof(allowed_dynamic[0]));
	if (!err)
		err = allow_special(ctx, s->has_pid_ns);
	if (!err)
		err = export_filter(ctx, out);
	seccomp_release(ctx);
	return err;
}

int sandbox_prepare(struct sandbox *s)
{
	static struct sandbox_filter *built[2][2];
	struct sandbox_filter **kept = &built[s->is_dynamic][s->has_pid_ns], *found = load_acquire(kept), *made = NULL;
	int err;

	if (found) { /* load_acquire pairs with the exchange */
		s->filter = found;
		return 0;
	}
	err = build_filter(s, &made);
	if (err)
		return err;
	if (cas_acq_rel(kept, &found, made)) {
		s->filter = made;
	} else { /* another thread's, made meanwhile */
		free(made);
		s->filter = found;
	}
	return 0;
}

static bool write_file(const char *path, const char *text)
{
	int fd = open(path, O_WRONLY | O_CLOEXEC);
	bool ok = fd >= 0 && write(fd, text, strlen(text)) >= 0;

	if (fd >= 0)
		close(fd);
	return ok;
}

/* "65534 <outer> 1", without stdio. */
static bool write_map(const char *path, unsigned outer)
{
	char text[40] = "65534 ", digits[12];
	unsigned n = 0, at = 6;

	do
		digits[n++] = (char)('0' + outer % 10);
	while (outer /= 10);
	while (n)
		text[at++] = digits[--n];
	memcpy(text + at, " 1", 3);
	return write_file(path, text);
}

static bool bind_readonly(const char *from, const char *to)
{
	if (mount(from, to, NULL, MS_BIND | MS_REC, NULL))
		return errno == ENOENT; /* this host has no such directory */
	return !mount(NULL, to, NULL, MS_BIND | MS_REMOUNT | MS_RDONLY | MS_NOSUID | MS_NODEV | MS_REC, NULL);
}

static const char *show_libraries(const struct sandbox *s)
{
	if (mkdir("lib", 0755) || mkdir("lib64", 0755) || mkdir("usr", 0755) || mkdir("usr/lib", 0755) || mkdir("proc", 0555))
		return "making directories in the new root";
	if (!bind_readonly("/lib", "lib") || !bind_readonly("/lib64", "lib64") || !bind_readonly("/usr/lib", "usr/lib"))
		return "showing it the host's libraries";
	/* Sanitizers read their own memory map there. Without a pid namespace it would show everybody: then it is left out. */
	if (s->has_pid_ns && mount("proc", "proc", "proc", MS_NOSUID | MS_NODEV | MS_NOEXEC | MS_RDONLY, NULL) && errno != EPERM)
		return "mounting its own /proc";
	return NULL;
}

static const char *change_root(const struct sandbox *s)
{
	const char *step;

	if (mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL))
		return "making mounts private";
	if (mount("none", s->mountpoint, "tmpfs", MS_NOSUID | MS_NODEV, "size=64k,mode=755"))
		return "mounting an empty root";
	if (chdir(s->mountpoint))
		return "entering the empty root";
	step = s->is_dynamic ? show_libraries(s) : NULL;
	if (step)
		return step;
	if (syscall(SYS_pivot_root, ".", "."))
		return "changing to the empty root";
	if (umount2(".", MNT_DETACH))
		return "letting go of the host's root";
	if (mount(NULL, "/", NULL, MS_REMOUNT | MS_RDONLY | MS_NOSUID | MS_NODEV, NULL))
		return "making the root read-only";
	return chdir("/") ? "entering the root" : NULL;
}

static void set_limit(int what, rlim_t value)
{
	struct rlimit limit = {value, value};

	setrlimit(what, &limit); /* lowering one's own limits does not fail */
}

static const char *drop_privileges(const struct sandbox *s)
{
	struct __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3};
	struct __user_cap_data_struct none[2];

	for (int cap = 0; cap < 64; cap++)
		prctl(PR_CAPBSET_DROP, cap, 0, 0, 0); /* beyond the last one: -EINVAL */
	if (s->has_user_ns || geteuid() == 0) {
		/* The raw calls: the C library's would ask the other threads of the process, which this copy does not have. */
		if (!s->has_user_ns && syscall(SYS_setgroups, 0, NULL))
			return "leaving its groups";
		if (syscall(SYS_setresgid, SANDBOX_UID, SANDBOX_UID, SANDBOX_UID) ||
		    syscall(SYS_setresuid, SANDBOX_UID, SANDBOX_UID, SANDBOX_UID))
			return "becoming nobody";
	}
	memset(none, 0, sizeof(none));
	if (syscall(SYS_capset, &header, none))
		return "giving up capabilities";
	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0))
		return "giving up new privileges";
	return NULL;
}

const char *sandbox_enter(const struct sandbox *s)
{
	const char *step;

	if (s->has_user_ns && (!write_file("/proc/self/setgroups", "deny") || !write_map("/proc/self/uid_map", s->outer_uid) ||
			       !write_map("/proc/self/gid_map", s->outer_gid)))
		return "mapping its user";
	if (setsid() < 0)
		return "leaving the session";
	umask(077);
	step = s->has_mount_ns ? change_root(s) : NULL;
	if (step)
		return step;
	set_limit(RLIMIT_CORE, 0);
	set_limit(RLIMIT_FSIZE, 0);
	set_limit(RLIMIT_NOFILE, MAX_OPEN_FILES);
	if (s->address_space_bytes)
		set_limit(RLIMIT_AS, s->address_space_bytes);
	return drop_privileges(s);
}

const char *sandbox_lock(const struct sandbox *s)
{
	struct sock_fprog program = {s->filter->len, (struct sock_filter *)s->filter->program};

	/* After the change of identity, which would clear it. */
	if (prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0))
		return "tying it to sluiced";
	return prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program, 0, 0) ? "installing its filter" : NULL;
}
