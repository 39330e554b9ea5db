/*
 * netback/workers.c - starts the workers, has them stand still, and gives each its share.
 */
#include "netback/workers.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <rte_cycles.h>
#include <rte_random.h>

struct workers {
	struct bridge *bridge;
	int fault_fd;
	unsigned nr;
	int cpus[BRIDGE_MAX_LANES];
	struct worker *worker[BRIDGE_MAX_LANES];
};

int workers_create(const struct workers_options *opt, struct workers **out)
{
	const struct bridge_options bridge = {.nr_lanes = (uint16_t)opt->nr,
					      .ageing = opt->ageing_s * rte_get_tsc_hz(),
					      .secret = rte_rand(),
					      .pool = opt->pool,
					      .ext_pool = opt->ext_pool};
	struct worker_options worker = {.busy_poll_us = opt->busy_poll_us};
	struct workers *ws = calloc(1, sizeof(*ws));
	int err;

	if (!ws)
		return -ENOMEM;
	ws->fault_fd = worker.fault_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	err = ws->fault_fd < 0 ? -errno : bridge_create(&bridge, &ws->bridge);
	while (!err && ws->nr < opt->nr) {
		worker.lane = &ws->bridge->lanes[ws->nr];
		worker.cpu = ws->cpus[ws->nr] = opt->cpus[ws->nr];
		err = worker_create(&worker, &ws->worker[ws->nr]);
		if (!err)
			ws->nr++;
	}
	if (err)
		workers_destroy(ws);
	else
		*out = ws;
	return err;
}

void workers_destroy(struct workers *ws)
{
	if (!ws)
		return;
	for (unsigned i = 0; i < ws->nr; i++)
		worker_destroy(ws->worker[i]);
	bridge_destroy(ws->bridge);
	if (ws->fault_fd >= 0)
		close(ws->fault_fd);
	free(ws);
}

struct bridge *workers_bridge(struct workers *ws)
{
	return ws->bridge;
}

unsigned workers_nr(const struct workers *ws)
{
	return ws->nr;
}

int workers_lane_of_cpu(const struct workers *ws, int cpu)
{
	for (unsigned i = 0; i < ws->nr; i++)
		if (ws->cpus[i] == cpu)
			return (int)i;
	return -ENOENT;
}

void workers_spread(const struct workers *ws, const uint16_t pins[], unsigned nr_pins, uint16_t lanes[], unsigned nr)
{
	unsigned given[BRIDGE_MAX_LANES] = {0};

	for (unsigned q = 0; q < nr; q++) {
		unsigned best = 0;

		for (unsigned i = 1; i < ws->nr; i++)
			if (given[i] < given[best] ||
			    (given[i] == given[best] && worker_load(ws->worker[i]) < worker_load(ws->worker[best])))
				best = i;
		lanes[q] = nr_pins ? pins[q % nr_pins] : (uint16_t)best;
		given[lanes[q]]++;
	}
}

/* ---- changes ---------------------------------------------------------------------------------------------------- */

static void stand_still(struct workers *ws)
{
	for (unsigned i = 0; i < ws->nr; i++)
		worker_halt(ws->worker[i]);
	for (unsigned i = 0; i < ws->nr; i++)
		worker_await(ws->worker[i]);
	bridge_settle(ws->bridge);
}

static void go_on(struct workers *ws)
{
	for (unsigned i = 0; i < ws->nr; i++)
		worker_resume(ws->worker[i]);
}

static void remove_parts(struct workers *ws, struct worker_port *ports[], unsigned nr)
{
	while (nr--)
		worker_remove(ws->worker[ports[nr]->part->lane], ports[nr]);
}

static int attach(struct workers *ws, struct bridge_port *port, struct worker_port *ports[])
{
	int err = bridge_add_port(ws->bridge, port);

	if (err)
		return err;
	for (unsigned i = 0; i < port->nr_parts; i++) {
		ports[i]->part = port->parts[i];
		err = worker_add(ws->worker[ports[i]->part->lane], ports[i]);
		if (err) {
			remove_parts(ws, ports, i);
			bridge_remove_port(ws->bridge, port);
			return err;
		}
	}
	return 0;
}

int workers_attach(struct workers *ws, struct bridge_port *port, struct worker_port *ports[])
{
	int err;

	stand_still(ws);
	err = attach(ws, port, ports);
	go_on(ws);
	return err;
}

void workers_detach(struct workers *ws, struct bridge_port *port, struct worker_port *ports[])
{
	stand_still(ws);
	bridge_remove_port(ws->bridge, port);
	remove_parts(ws, ports, port->nr_parts);
	go_on(ws);
}

int workers_run(struct workers *ws, int (*fn)(void *arg), void *arg)
{
	int ret;

	stand_still(ws);
	ret = fn(arg);
	go_on(ws);
	return ret;
}

int workers_fault_fd(const struct workers *ws)
{
	return ws->fault_fd;
}

uint64_t workers_sleeps(const struct workers *ws)
{
	uint64_t sum = 0;

	for (unsigned i = 0; i < ws->nr; i++)
		sum += worker_sleeps(ws->worker[i]);
	return sum;
}
