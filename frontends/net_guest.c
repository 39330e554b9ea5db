/*
 * frontends/net_guest.c - the guests of this process, and the vifs that their buses' threads look after (bus_thread.h).
 *
 * Owns, Runs in, Fails: net_guest.h.
 */
#include "frontends/net_guest.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "frontends/bus_thread.h"

/* Rings and control rings are looked at so often even if nothing wakes us: queues that are polled ask for no events. */
#define CHECK_MS 200
/* How long the last put waits for pages that are lent, and in how many steps. */
#define LOANS_MS 100
#define LOANS_LOOKS 20u

struct net_guest {
	struct net_guest *next;
	unsigned refs;
	char name[64];
	struct bus_thread thread;
	struct netfront *vif[NET_GUEST_MAX_VIFS]; /* the bus's thread's */
	struct netfront_lending lending;          /* as well */
};

static pthread_mutex_t guests_lock = PTHREAD_MUTEX_INITIALIZER;
static struct net_guest *guests;

/* ---- the bus's thread ----------------------------------------------------------------------------------------------------- */

static void look(void *arg)
{
	struct net_guest *g = arg;

	for (unsigned i = 0; i < NET_GUEST_MAX_VIFS; i++)
		if (g->vif[i])
			netfront_check(g->vif[i]);
	netfront_lending_sweep(&g->lending);
}

int net_guest_add(struct net_guest *g, struct netfront *nf)
{
	for (unsigned i = 0; i < NET_GUEST_MAX_VIFS; i++) {
		if (g->vif[i])
			continue;
		g->vif[i] = nf;
		return 0;
	}
	return -ENOSPC;
}

void net_guest_remove(struct net_guest *g, struct netfront *nf)
{
	for (unsigned i = 0; i < NET_GUEST_MAX_VIFS; i++)
		if (g->vif[i] == nf)
			g->vif[i] = NULL;
}

/* ---- any thread ------------------------------------------------------------------------------------------------------------ */

int net_guest_run(struct net_guest *g, int (*fn)(struct frontbus *bus, void *arg), void *arg)
{
	return bus_thread_run(&g->thread, fn, arg);
}

static int open_guest(const struct hv_options *opt, struct net_guest **out, char why[HV_WHY_BYTES])
{
	struct net_guest *g = calloc(1, sizeof(*g));
	int rc;

	if (!g) {
		snprintf(why, HV_WHY_BYTES, "no memory");
		return -ENOMEM;
	}
	snprintf(g->name, sizeof(g->name), "%s", opt->attach ? opt->attach : "");
	rc = bus_thread_open(&g->thread, opt, look, g, CHECK_MS, why);
	if (rc)
		free(g);
	else
		*out = g;
	return rc;
}

static void close_guest(struct net_guest *g)
{
	bus_thread_close(&g->thread, *g->name); /* a domain that is more than this program goes on */
	free(g);
}

int net_guest_get(const struct hv_options *opt, struct net_guest **out, char why[HV_WHY_BYTES])
{
	struct net_guest *g;
	int rc = 0;

	pthread_mutex_lock(&guests_lock);
	for (g = guests; g; g = g->next)
		if (!strcmp(g->name, opt->attach ? opt->attach : ""))
			break;
	if (!g) {
		rc = open_guest(opt, &g, why);
		if (!rc) {
			g->next = guests;
			guests = g;
		}
	}
	if (!rc) {
		g->refs++;
		*out = g;
	}
	pthread_mutex_unlock(&guests_lock);
	return rc;
}

struct netfront_lending *net_guest_lending(struct net_guest *g)
{
	return &g->lending;
}

static int sweep(struct frontbus *bus, void *arg)
{
	struct net_guest *g = arg;

	(void)bus;
	return (int)netfront_lending_sweep(&g->lending);
}

/* Other threads may be about to free what they have. */
static unsigned wait_for_loans(struct net_guest *g)
{
	const struct timespec pause = {.tv_nsec = LOANS_MS * 1000000L / LOANS_LOOKS};
	int out;

	for (unsigned i = 0; (out = net_guest_run(g, sweep, g)) > 0 && i < LOANS_LOOKS; i++)
		nanosleep(&pause, NULL);
	return (unsigned)out;
}

unsigned net_guest_put(struct net_guest *g)
{
	unsigned out = 0;

	pthread_mutex_lock(&guests_lock);
	if (--g->refs == 0)
		out = wait_for_loans(g);
	if (g->refs || out) {
		pthread_mutex_unlock(&guests_lock);
		return out;
	}
	for (struct net_guest **at = &guests; *at; at = &(*at)->next) {
		if (*at == g) {
			*at = g->next;
			break;
		}
	}
	pthread_mutex_unlock(&guests_lock);
	close_guest(g);
	return 0;
}
