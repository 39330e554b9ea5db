/*
 * hv/spawn.h - a guest's program as a sandboxed process.
 *
 * New namespaces (mount, net, pid, ipc, uts; a user namespace when that is what it takes), an empty read-only root, no
 * capabilities, uid 65534, no new privileges, a seccomp filter, limits; fds 1 and 2 go to the guest's console log, 3 is its
 * hypercall socket, and nothing else is open. What the host does not allow is left out, and logged.
 *
 * Owns     the pidfd, the program's fd, the output pipe.
 * Runs in  the core's thread.
 */
#ifndef SLUICE_HV_SPAWN_H
#define SLUICE_HV_SPAWN_H

#include <stdbool.h>
#include <sys/types.h>

struct loop;
struct loop_source;

#define SPAWN_CMDLINE_BYTES 2048
#define SPAWN_LINE_BYTES 512

struct spawn {
	int kernel_fd; /* -1: none loaded */
	bool is_dynamic; /* has PT_INTERP: sees the host's libraries, read-only */
	char cmdline[SPAWN_CMDLINE_BYTES];

	pid_t pid;   /* 0: not running */
	int pidfd;
	int out_fd;  /* what it writes to 1 and 2 */
	struct loop_source *pid_source, *out_source;
	char line[SPAWN_LINE_BYTES];
	unsigned line_bytes;

	void (*exited)(void *arg, int wait_status); /* from the loop, once; waited for */
	void (*said)(void *arg, const char *line);
	void *arg;
};

void spawn_init(struct spawn *s);
/* Keeps a duplicate of fd. -EACCES: not executable; -ENOEXEC: not an ELF program for this machine; -EBUSY: runs already. */
int spawn_load(struct spawn *s, int fd, const char *cmdline);
/* Starts it, with socket as its fd 3 (stays the caller's). name: argv[0]. mountpoint: an existing directory. */
int spawn_start(struct spawn *s, struct loop *loop, int socket, const char *name, const char *mountpoint, unsigned long ram_bytes);
/* Sends a signal; 0 or -errno. */
int spawn_signal(const struct spawn *s, int signo);
/* Kills it if need be, waits for it, frees everything. */
void spawn_finish(struct spawn *s);

#endif
