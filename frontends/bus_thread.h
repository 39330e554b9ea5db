/*
 * frontends/bus_thread.h - a program as a guest domain: its connection, its bus, and the thread that looks after the bus.
 *
 *      bus_thread_open(look) -> bus_thread_run(fn) from any thread .. -> bus_thread_close
 *
 * Handshakes and the restarts of back ends go on in here, whatever the program's threads do; the devices of whoever opens it are
 * created, changed and destroyed by functions that they have run in here, one at a time.
 *
 * Owns     the domain's connection, the bus and the thread. The devices are the opener's.
 * Runs in  any thread: calls wait. The bus is touched by its thread only.
 * Fails    negative errno, and one sentence with the remedy.
 */
#ifndef SLUICE_FRONTENDS_BUS_THREAD_H
#define SLUICE_FRONTENDS_BUS_THREAD_H

#include <pthread.h>

#include "frontends/frontbus.h"

struct bus_thread_order;

struct bus_thread {
	struct frontbus bus;
	void (*look)(void *arg);
	void *arg;
	int look_ms;
	pthread_t thread;
	pthread_mutex_t lock; /* of order and must_end */
	pthread_cond_t has_changed;
	struct bus_thread_order *order; /* NULL: none waits */
	bool must_end;
};

/*
 * Becomes the domain that opt names (hv_open_guest; opt->why is not used). The thread calls look after each wake-up, and every
 * look_ms (-1: only then), for the devices to be looked after; once more after the hypervisor has gone (bus.is_lost).
 */
int bus_thread_open(struct bus_thread *t, const struct hv_options *opt, void (*look)(void *arg), void *arg, int look_ms,
		    char why[HV_WHY_BYTES]);
/* All devices are destroyed, and no other thread is in a call. shuts_down: the domain is no more than this program, and ends with it. */
void bus_thread_close(struct bus_thread *t, bool shuts_down);

/* Runs fn(bus, arg) in the bus's thread and returns its result; also when bus->is_lost: what there is has to be given back. */
int bus_thread_run(struct bus_thread *t, int (*fn)(struct frontbus *bus, void *arg), void *arg);

#endif
