/*
 * bench/system.h - a private Sluice system for a bench: daemons of the same build, a run directory, domains.
 *
 * Owns     the daemons and everything in the run directory, until system_end.
 * Runs in  the bench's main thread.
 * Fails    system_die: one sentence, everything ended, exit 1.
 */
#ifndef SLUICE_BENCH_SYSTEM_H
#define SLUICE_BENCH_SYSTEM_H

#include <stdbool.h>
#include <sys/types.h>

#include "hv/toolstack.h"

#define SYSTEM_MAX_DAEMONS 4
#define SYSTEM_ANY_CPU (-1)
#define SYSTEM_NO_KERNEL (-1)
#define SYSTEM_CONNECT_MS 20000 /* most that a back end may take */

struct system {
	char dir[64];     /* of the run */
	char tools[4096]; /* of the build */
	const char *bench;
	pid_t daemon[SYSTEM_MAX_DAEMONS];
	unsigned nr_daemons;
	struct hv *hv; /* this process as part of Domain-0 */
	struct store_client *store;
};

/* The bench's one system. */
extern struct system sys;

/* Finds the build by argv0, makes the run directory, starts sluiced, and becomes part of Domain-0. SIGINT and SIGTERM end it all. */
void system_begin(const char *argv0);
/* Starts a daemon, on one processor if cpu is one, and waits until it says that it serves. Its log goes to the run directory. */
pid_t system_start(const char *name, int cpu, char *const extra[]);
/* Kills (-9) the nr-th that was started, and starts it again; returns when it serves. */
void system_kill_and_start(unsigned nr, const char *name, int cpu, char *const extra[]);
/* Ends the one that was started last. */
void system_stop_last(void);
void system_end(void);
__attribute__((noreturn, format(printf, 1, 2))) void system_die(const char *fmt, ...);

/*
 * Makes a domain of these lines of its configuration (all but its name), as `sluice create` does: built, nodes written, back
 * ends waited for, unpaused.
 */
domid_t system_make_domain(const char *name, const char *lines, int kernel_fd);
/* Makes a domain that has RAM and these lines of its configuration, and has this process become it. */
struct hv *system_become(const char *name, unsigned memory_mib, const char *devices);
/* The same with a disk, xvda. */
struct hv *system_attach(const char *name, unsigned memory_mib, const char *disk_target);

#endif
