/*
 * hv/conn.h - one process's connection to the core: hello, then one call at a time.
 *
 * Trusts   a guest's with nothing; sizes and numbers of a Domain-0 process's are checked as well.
 * Runs in  the core's thread. Bounded work per wake-up.
 * Fails    a message of the wrong size gets -EINVAL; a wrong hello, or a peer that does not take its answers, is cut off.
 * Spec     hv/local_abi.h.
 */
#ifndef SLUICE_HV_CONN_H
#define SLUICE_HV_CONN_H

#include <sys/types.h>

#include "hv/hypercall.h"
#include "hv/local_abi.h"
#include "hv/memory.h"

struct evtchn;
struct loop_source;

enum conn_state {
	CONN_HELLO,  /* nothing said yet */
	CONN_HELD,   /* attaches to a domain that is still paused */
	CONN_READY,
	CONN_WAITING, /* a call is being worked on: its answer comes later */
	CONN_CLOSED,
};

struct conn {
	struct core *core;
	struct conn *next, **pprev; /* core->conns */
	enum conn_state state;
	bool is_spawned;      /* the core made both ends: the other one is a guest's fd 3 */
	bool is_busy;         /* in a handler: not to be freed yet */
	int fd;
	pid_t pid;            /* of the peer, as it was when it connected */
	struct loop_source *source;
	struct domain *domain; /* Domain-0, or the guest; NULL before the hello */

	struct memory_object area; /* Domain-0: argument area */
	struct gate gate;          /* over it */
	struct evtchn *ports;      /* Domain-0: it owns them */
	bool has_served;           /* Domain-0: one of them was once bound to a guest's */
	struct local_serve served[LOCAL_MAX_SERVED]; /* Domain-0: device types; an empty one is free */

	/* CONN_WAITING, one of: */
	struct domain *wait_destroyed;   /* domctl destroydomain: until the domain leaves KILLING */
	struct loop_source *poll_source[LOCAL_MAX_VCPUS]; /* SCHEDOP_poll, block */
	struct loop_source *poll_timer;
};

/* Takes fd over. spawned_for: the domain whose process has the other end; NULL: somebody who connected. */
int conn_create(struct core *core, int fd, struct domain *spawned_for, struct conn **out);
/* Releases all that it held. It is freed when no handler of it runs any more. */
void conn_close(struct conn *conn);
/* Answers a waiting call and listens again. */
void conn_complete(struct conn *conn, long ret);
/* The domain that it waited for runs: welcome. */
void conn_admit(struct conn *conn);
/* Reads what a dead process left behind, so that its last words count. */
void conn_drain(struct conn *conn);

#endif
