/*
 * netback/worker.h - a thread that moves one lane's packets: polls while there is work, sleeps when there is none.
 *
 *      active ports:   poll --> bridge --> flush --> (looking again is not worth it?) arm, rest
 *      resting ports:  event fd in epoll: an event makes them active again
 *      other lanes:    what they have handed over is delivered each round; they wake this one when it sleeps
 *      no port active: sleep in epoll; ports that cannot wake anybody are looked at now and then
 *
 * How long a quiet port is looked at before it rests, hv/busy_poll.h says, for each by what came of it lately.
 *
 * Owns     its lane, and the parts between worker_add and worker_remove, but while it stands still.
 * Runs in  its own thread; these functions are the control thread's.
 * Fails    a vif that broke the protocol is left alone, and the fault eventfd is written.
 */
#ifndef SLUICE_NETBACK_WORKER_H
#define SLUICE_NETBACK_WORKER_H

#include <sys/queue.h>

#include "hv/busy_poll.h"
#include "netback/port.h"
#include "netback/vif.h"

struct worker;

enum worker_wake {
	WORKER_WAKE_EVENT, /* the queues' event channels */
	WORKER_WAKE_FD,    /* fd is readable as long as there are packets */
	WORKER_WAKE_TIMER, /* the port cannot wake anybody */
	WORKER_WAKE_NONE,  /* the port brings nothing */
};

/* An fd that wakes a port. */
struct worker_source {
	struct worker_port *port;
	struct vif_queue *queue; /* whose event channel it is; NULL: not a vif's */
	int fd;
};

/* A part of a port as its worker sees it. The caller fills the first few; the rest is the worker's while it has the part. */
struct worker_port {
	struct bridge_part *part;
	struct vif_queue *queue[VIF_MAX_QUEUES]; /* a vif's, in this lane */
	unsigned nr_queues;       /* 0: not a vif */
	enum worker_wake wake;
	int fd;                   /* WORKER_WAKE_FD */
	const bool *is_throttled; /* it may have more, but not now: looked at by the timer; NULL: never */
	/* --- the worker's */
	unsigned nr_sources;
	struct worker_source source[2 * VIF_MAX_QUEUES];
	bool is_active;
	bool is_busy;      /* it brought something this round */
	bool is_glance;    /* one empty look and it rests again */
	struct busy_poll wait;
	TAILQ_ENTRY(worker_port) all;
};

struct worker_options {
	struct bridge_lane *lane;
	int cpu;               /* -1: not pinned */
	unsigned busy_poll_us; /* looks so long, at most, before a port rests */
	int fault_fd;          /* an eventfd */
};

/* Starts the thread. */
int worker_create(const struct worker_options *opt, struct worker **out);
/* Ends it; it has no ports. Takes NULL. */
void worker_destroy(struct worker *w);

/* It will stand still: worker_await returns when it does, and everything that it has done is visible then. */
void worker_halt(struct worker *w);
void worker_await(struct worker *w);
void worker_resume(struct worker *w);

/* While it stands still. Its part is in the worker's lane, the port on the bridge. */
int worker_add(struct worker *w, struct worker_port *p);
void worker_remove(struct worker *w, struct worker_port *p);

/* Queues that it has; control thread. */
unsigned worker_load(const struct worker *w);
/* Counter: relaxed read. */
uint64_t worker_sleeps(const struct worker *w);

#endif
