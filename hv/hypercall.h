/*
 * hv/hypercall.h - hypercalls: who may call what, and how arguments come in and go out.
 *
 * Arguments lie in the caller's memory: one copy in, one copy out, through the gate. A handler works on its copy. The
 * table in hypercall.c names every number; each file named *_op.c holds the commands of one.
 *
 * Trusts   no number, no address, no argument.
 * Runs in  the core's thread.
 * Fails    -ENOSYS unknown number or command; -EPERM the caller may not; -EFAULT the address is not in its memory.
 * Spec     xen/xen.h and the header of each call.
 */
#ifndef SLUICE_HV_HYPERCALL_H
#define SLUICE_HV_HYPERCALL_H

#include <limits.h>

#include "grant/gate.h"
#include "hv/local_abi.h"

struct conn;
struct core;
struct domain;

struct caller {
	struct core *core;
	struct domain *domain;
	struct conn *conn;
	const struct gate *gate; /* its memory, or its argument area */
	int fd_in;               /* came with the call; -1: none. Who keeps it writes -1 */
	int fds[LOCAL_MAX_FDS];  /* go with the answer; borrowed */
	unsigned nr_fds;
	int fd_out; /* goes with the answer and is closed then; -1: none */
};

/* A handler's return: the answer comes later, by conn_complete. */
#define HYPERCALL_DEFERRED LONG_MIN

enum hypercall_who { HYPERCALL_ANY, HYPERCALL_DOM0, HYPERCALL_GUEST };

struct hypercall_op {
	uint32_t cmd;
	uint32_t bytes; /* of the argument; at most HYPERCALL_MAX_BYTES */
	enum hypercall_who who;
	bool is_out;    /* copied back when the handler succeeds */
	long (*fn)(struct caller *c, void *arg);
};

#define HYPERCALL_MAX_BYTES 4096u

struct hypercall_ops {
	const struct hypercall_op *op;
	unsigned nr;
};

long hypercall(struct caller *c, const struct local_call *call);
/* Runs arg[0], a command of ops, with its argument at address arg[1]. */
long hypercall_run(struct caller *c, const struct hypercall_ops *ops, const uint64_t arg[5]);
bool hypercall_known(const struct hypercall_ops *ops, uint64_t cmd);

bool caller_is_dom0(const struct caller *c);
bool caller_may(const struct caller *c, enum hypercall_who who);
/* 0 or -EFAULT. */
int caller_copy_in(const struct caller *c, void *to, uint64_t address, size_t bytes);
int caller_copy_out(const struct caller *c, uint64_t address, const void *from, size_t bytes);
/*
 * The domain that an argument names: DOMID_SELF or the caller's own, or any living one when Domain-0 asks. -EPERM, -ESRCH in *err
 * when NULL.
 */
struct domain *caller_domain(const struct caller *c, domid_t domid, int *err);
/* As the owner of a new port: the connection for Domain-0, NULL for a guest. */
struct conn *caller_port_owner(const struct caller *c);

/* One for each *_op.c: their commands, or the whole call where the arguments have another shape. */
extern const struct hypercall_ops evtchn_hypercalls, sched_hypercalls, memory_hypercalls, hvm_hypercalls, physdev_hypercalls,
	local_hypercalls, version_hypercalls;
long grant_hypercall(struct caller *c, const uint64_t arg[5]);
long console_hypercall(struct caller *c, const uint64_t arg[5]);
long timer_hypercall(struct caller *c, const uint64_t arg[5]);
long domctl_hypercall(struct caller *c, const uint64_t arg[5]);
long sysctl_hypercall(struct caller *c, const uint64_t arg[5]);

#endif
