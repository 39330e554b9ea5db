/*
 * hv/sandbox.h - what a guest's process may do: its root, its identity, its system calls.
 *
 * The parent prepares (may allocate, may fail with a reason), the child applies: system calls only, no allocation, no
 * lock, because the parent may have had other threads when it forked.
 *
 * Trusts   the program with nothing.
 */
#ifndef SLUICE_HV_SANDBOX_H
#define SLUICE_HV_SANDBOX_H

#include <stdbool.h>
#include <sys/types.h>

#define SANDBOX_UID 65534 /* nobody */

struct sandbox_filter;

struct sandbox {
	bool is_dynamic;        /* sees /lib, /lib64, /usr/lib and its own /proc, read-only */
	bool has_user_ns;       /* the clone made one: maps SANDBOX_UID to outer_uid */
	bool has_mount_ns;
	bool has_pid_ns;
	uid_t outer_uid;
	gid_t outer_gid;
	const char *mountpoint; /* an existing directory: the new root is mounted there */
	unsigned long address_space_bytes; /* RLIMIT_AS; 0: none */
	const struct sandbox_filter *filter;
};

/* Chooses the seccomp program, which is built once in a process for each kind of guest and stays. 0 or -errno. Any thread. */
int sandbox_prepare(struct sandbox *s);
/* Child: everything but the filter. Returns the step that failed as text, errno set; NULL: all done. */
const char *sandbox_enter(const struct sandbox *s);
/* Child, last before exec. */
const char *sandbox_lock(const struct sandbox *s);

#endif
