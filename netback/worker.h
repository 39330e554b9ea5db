/*
 * netback/worker.h - the thread that moves packets: polls while there is work, sleeps when there is none.
 *
 *      active ports:   poll --> bridge --> flush --> (quiet for a while?) arm, rest
 *      resting ports:  event fd in epoll: an event makes them active again
 *      no port active: sleep in epoll; ports that cannot wake anybody are looked at now and then
 *
 * Owns     the bridge and the attached ports, between worker_attach and worker_detach.
 * Runs in  its own thread; these functions are the control thread's.
 * Fails    a vif that broke the protocol is left alone, and fault_fd becomes readable.
 */
#ifndef SLUICE_NETBACK_WORKER_H
#define SLUICE_NETBACK_WORKER_H

#include <sys/queue.h>

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

/* A port as the worker sees it. The caller fills the first few; the rest is the worker's while attached. */
struct worker_port {
	struct bridge_port *port;
	struct vif_queue **queue; /* a vif's */
	unsigned nr_queues;       /* 0: not a vif */
	enum worker_wake wake;
	int fd;                   /* WORKER_WAKE_FD */
	const bool *is_throttled; /* it may have more, but not now: looked at by the timer; NULL: never */
	/* --- the worker's */
	unsigned nr_sources;
	struct worker_source source[2 * VIF_MAX_QUEUES];
	bool is_active;
	bool is_glance;    /* one empty look and it rests again */
	uint64_t busy_tsc; /* when it last brought something */
	TAILQ_ENTRY(worker_port) all;
};

struct worker_options {
	int cpu;          /* -1: not pinned */
	uint64_t ageing_s;
	uint64_t idle_us; /* polls so long before a port rests */
	struct rte_mempool *pool, *ext_pool; /* the bridge's */
};

/* Starts the thread. */
int worker_create(const struct worker_options *opt, struct worker **out);
/* Stops it; all ports are detached. Takes NULL. */
void worker_destroy(struct worker *w);
/* Readable when a vif has failed; the caller clears it (8-byte read) and looks at its vifs. */
int worker_fault_fd(const struct worker *w);

int worker_attach(struct worker *w, struct worker_port *p);
/* On return the worker has forgotten the port and touches nothing of it. */
void worker_detach(struct worker *w, struct worker_port *p);
/* Runs fn between two rounds of the worker, in its thread, and waits for it; returns what it returns. */
int worker_run(struct worker *w, int (*fn)(void *arg), void *arg);

/* Counters: relaxed reads. */
struct bridge *worker_bridge(struct worker *w);
uint64_t worker_sleeps(const struct worker *w);

#endif
