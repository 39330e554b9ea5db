/*
 * netback/workers.h - all threads that move packets: the bridge, a worker for each of its lanes, and who polls what.
 *
 *      a vif's queues, a port's queues   --workers_spread-->   lanes   --workers_attach-->   polled, each by one worker
 *
 * Changes happen while all workers stand between two rounds, and no packet is between two of them. So whoever moves packets never
 * meets half a change, and a port that has left is nowhere any more.
 *
 * Owns     the bridge and the workers.
 * Runs in  the control thread.
 * Fails    -errno; nothing is left.
 */
#ifndef SLUICE_NETBACK_WORKERS_H
#define SLUICE_NETBACK_WORKERS_H

#include "netback/worker.h"

struct workers;

struct workers_options {
	const int *cpus; /* one worker on each; -1: not pinned */
	unsigned nr;     /* up to BRIDGE_MAX_LANES */
	uint64_t ageing_s;
	unsigned busy_poll_us; /* a quiet port is looked at so long, at most, before it rests */
	struct rte_mempool *pool, *ext_pool; /* the bridge's */
};

int workers_create(const struct workers_options *opt, struct workers **out);
/* All ports are detached. Takes NULL. */
void workers_destroy(struct workers *ws);

struct bridge *workers_bridge(struct workers *ws);
unsigned workers_nr(const struct workers *ws);
/* The lane of a processor, or -ENOENT: no worker runs there. */
int workers_lane_of_cpu(const struct workers *ws, int cpu);
/*
 * A lane for each of nr queues: those in pins by turns, or, without pins, whichever has least to poll. No lane comes twice before each
 * has come.
 */
void workers_spread(const struct workers *ws, const uint16_t pins[], unsigned nr_pins, uint16_t lanes[], unsigned nr);

/* The port and its parts, whose lanes are set: ports[i] polls port->parts[i]. */
int workers_attach(struct workers *ws, struct bridge_port *port, struct worker_port *ports[]);
/* On return all workers have forgotten the port and touch nothing of it. */
void workers_detach(struct workers *ws, struct bridge_port *port, struct worker_port *ports[]);
/* Runs fn while all workers stand still; returns what it returns. */
int workers_run(struct workers *ws, int (*fn)(void *arg), void *arg);

/* Readable when a vif has failed; the caller clears it (8-byte read) and looks at its vifs. */
int workers_fault_fd(const struct workers *ws);
/* Counter: relaxed reads. */
uint64_t workers_sleeps(const struct workers *ws);

#endif
