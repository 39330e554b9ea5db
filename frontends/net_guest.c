/*
 * frontends/net_guest.c - a thread that looks after vifs, and a way to have things done in it.
 *
 * Owns, Runs in, Fails: net_guest.h.
 */
#include "frontends/net_guest.h"

#include <pthread.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <xen/sched.h>

/* Rings and control rings are looked at so often even if nothing wakes us: queues that are polled ask for no events. */
#define CHECK_MS 200

struct order {
	int (*fn)(struct frontbus *bus, void *arg);
	void *arg;
	int rc;
};

struct net_guest {
	struct net_guest *next;
	unsigned refs;
	char name[64];
	struct hv *hv;
	struct frontbus bus;
	pthread_t thread;
	pthread_mutex_t lock; /* of order and must_end */
	pthread_cond_t is_done;
	struct order *order; /* NULL: none waits */
	bool must_end;
	struct netfront *vif[NET_GUEST_MAX_VIFS]; /* the bus's thread's */
};

static pthread_mutex_t guests_lock = PTHREAD_MUTEX_INITIALIZER;
static struct net_guest *guests;

static int fail(char *why, int rc, const char *fmt, ...) __attribute__((format(printf, 3, 4)));

static int fail(char *why, int rc, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(why, HV_WHY_BYTES, fmt, ap);
	va_end(ap);
	return rc;
}

/* ---- the bus's thread ----------------------------------------------------------------------------------------------------- */

/* False: the end was asked for. */
static bool obey(struct net_guest *g)
{
	bool must_end;

	pthread_mutex_lock(&g->lock);
	if (g->order) {
		g->order->rc = g->order->fn(&g->bus, g->order->arg);
		g->order = NULL;
		pthread_cond_broadcast(&g->is_done);
	}
	must_end = g->must_end;
	pthread_mutex_unlock(&g->lock);
	return !must_end;
}

static void *run_bus(void *arg)
{
	struct net_guest *g = arg;

	while (obey(g)) {
		frontbus_pump(&g->bus);
		for (unsigned i = 0; i < NET_GUEST_MAX_VIFS; i++)
			if (g->vif[i])
				netfront_check(g->vif[i]);
		if (frontbus_sleep(&g->bus, CHECK_MS) >= 0)
			continue;
		/* The hypervisor is gone. What is left is to wait for the end. */
		pthread_mutex_lock(&g->lock);
		while (!g->order && !g->must_end)
			pthread_cond_wait(&g->is_done, &g->lock);
		pthread_mutex_unlock(&g->lock);
	}
	return NULL;
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
	struct order o = {fn, arg, 0};

	pthread_mutex_lock(&g->lock);
	while (g->order) /* another thread's */
		pthread_cond_wait(&g->is_done, &g->lock);
	g->order = &o;
	pthread_cond_broadcast(&g->is_done);
	frontbus_wake(&g->bus);
	while (g->order == &o)
		pthread_cond_wait(&g->is_done, &g->lock);
	pthread_mutex_unlock(&g->lock);
	return o.rc;
}

static int say_not_open(const struct hv_options *opt, int rc, char *why)
{
	if (*why)
		return rc;
	if (rc == -ESRCH)
		return fail(why, rc, "there is no domain '%s': create it first, with kernel=\"\", see sluice list", opt->attach);
	if (rc == -EBUSY)
		return fail(why, rc, "domain '%s' runs already: shut it down first", opt->attach);
	return fail(why, rc, "no sluiced answers in %s: %s", opt->run_dir ? opt->run_dir : "the default run directory", strerror(-rc));
}

/* Signals are the program's, not this thread's. */
static int start_thread(struct net_guest *g)
{
	sigset_t all, before;
	int rc;

	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &before);
	rc = -pthread_create(&g->thread, NULL, run_bus, g);
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	return rc;
}

static int open_guest(const struct hv_options *opt, struct net_guest **out, char why[HV_WHY_BYTES])
{
	struct net_guest *g = calloc(1, sizeof(*g));
	struct hv_options own = *opt;
	int rc;

	if (!g)
		return fail(why, -ENOMEM, "no memory");
	snprintf(g->name, sizeof(g->name), "%s", opt->attach ? opt->attach : "");
	own.why = why;
	rc = hv_open_guest(&own, &g->hv);
	if (rc) {
		say_not_open(opt, rc, why);
		goto free_guest;
	}
	rc = frontbus_init(&g->bus, g->hv);
	if (!rc)
		rc = frontbus_need_wake(&g->bus);
	if (rc) {
		fail(why, rc, "the store does not answer: %s", strerror(-rc));
		goto close_hv;
	}
	pthread_mutex_init(&g->lock, NULL);
	pthread_cond_init(&g->is_done, NULL);
	rc = start_thread(g);
	if (rc) {
		fail(why, rc, "no thread: %s", strerror(-rc));
		goto finish_bus;
	}
	*out = g;
	return 0;

finish_bus:
	pthread_cond_destroy(&g->is_done);
	pthread_mutex_destroy(&g->lock);
	frontbus_finish(&g->bus);
close_hv:
	hv_close(g->hv);
free_guest:
	free(g);
	return rc;
}

static void close_guest(struct net_guest *g)
{
	struct sched_shutdown s = {.reason = SHUTDOWN_poweroff};

	pthread_mutex_lock(&g->lock);
	g->must_end = true;
	pthread_cond_broadcast(&g->is_done);
	pthread_mutex_unlock(&g->lock);
	frontbus_wake(&g->bus);
	pthread_join(g->thread, NULL);
	if (*g->name) /* a domain that is more than this program goes on */
		hv_hypercall(g->hv, __HYPERVISOR_sched_op, SCHEDOP_shutdown, &s, sizeof(s));
	frontbus_finish(&g->bus);
	hv_close(g->hv);
	pthread_cond_destroy(&g->is_done);
	pthread_mutex_destroy(&g->lock);
	free(g);
}

int net_guest_get(const struct hv_options *opt, struct net_guest **out, char why[HV_WHY_BYTES])
{
	struct net_guest *g;
	int rc = 0;

	*why = '\0';
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

void net_guest_put(struct net_guest *g)
{
	pthread_mutex_lock(&guests_lock);
	if (--g->refs) {
		pthread_mutex_unlock(&guests_lock);
		return;
	}
	for (struct net_guest **at = &guests; *at; at = &(*at)->next) {
		if (*at == g) {
			*at = g->next;
			break;
		}
	}
	pthread_mutex_unlock(&guests_lock);
	close_guest(g);
}
