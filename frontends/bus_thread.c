/*
 * frontends/bus_thread.c - sleeps for the bus, and does what other threads ask for.
 *
 * Owns, Runs in, Fails: bus_thread.h.
 */
#include "frontends/bus_thread.h"

#include <signal.h>
#include <stdio.h>
#include <string.h>

#include <xen/sched.h>

/* What another thread asks the bus's for, one at a time. */
struct bus_thread_order {
	int (*fn)(struct frontbus *bus, void *arg);
	void *arg;
	int rc;
};

/* ---- the bus's thread ----------------------------------------------------------------------------------------------------- */

/* False: the end was asked for. */
static bool obey(struct bus_thread *t)
{
	bool must_end;

	pthread_mutex_lock(&t->lock);
	if (t->order) {
		t->order->rc = t->order->fn(&t->bus, t->order->arg);
		t->order = NULL;
		pthread_cond_broadcast(&t->has_changed);
	}
	must_end = t->must_end;
	pthread_mutex_unlock(&t->lock);
	return !must_end;
}

static void wait_for_order(struct bus_thread *t)
{
	pthread_mutex_lock(&t->lock);
	while (!t->order && !t->must_end)
		pthread_cond_wait(&t->has_changed, &t->lock);
	pthread_mutex_unlock(&t->lock);
}

static void *run_bus(void *arg)
{
	struct bus_thread *t = arg;

	while (obey(t)) {
		frontbus_pump(&t->bus);
		t->look(t->arg);
		if (t->bus.is_lost) /* all have been told; no fd has anything to say any more */
			wait_for_order(t);
		else
			frontbus_sleep(&t->bus, t->look_ms);
	}
	return NULL;
}

/* ---- any thread ------------------------------------------------------------------------------------------------------------ */

int bus_thread_run(struct bus_thread *t, int (*fn)(struct frontbus *bus, void *arg), void *arg)
{
	struct bus_thread_order o = {fn, arg, 0};

	pthread_mutex_lock(&t->lock);
	while (t->order) /* another thread's */
		pthread_cond_wait(&t->has_changed, &t->lock);
	t->order = &o;
	pthread_cond_broadcast(&t->has_changed);
	frontbus_wake(&t->bus);
	while (t->order == &o)
		pthread_cond_wait(&t->has_changed, &t->lock);
	pthread_mutex_unlock(&t->lock);
	return o.rc;
}

/* Signals are the program's, not this thread's. */
static int start_thread(struct bus_thread *t)
{
	sigset_t all, before;
	int rc;

	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &before);
	rc = -pthread_create(&t->thread, NULL, run_bus, t);
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	return rc;
}

int bus_thread_open(struct bus_thread *t, const struct hv_options *opt, void (*look)(void *arg), void *arg, int look_ms,
		    char why[HV_WHY_BYTES])
{
	struct hv_options own = *opt;
	struct hv *hv;
	int rc;

	*t = (struct bus_thread){.look = look, .arg = arg, .look_ms = look_ms};
	*why = '\0';
	own.why = why;
	rc = hv_open_guest(&own, &hv);
	if (rc) {
		if (!*why)
			snprintf(why, HV_WHY_BYTES, "the hypervisor cannot be reached: %s", strerror(-rc));
		return rc;
	}
	rc = frontbus_init(&t->bus, hv);
	if (!rc)
		rc = frontbus_need_wake(&t->bus);
	if (rc) {
		snprintf(why, HV_WHY_BYTES, "the store does not answer: %s", strerror(-rc));
		goto close_hv;
	}
	pthread_mutex_init(&t->lock, NULL);
	pthread_cond_init(&t->has_changed, NULL);
	rc = start_thread(t);
	if (rc) {
		snprintf(why, HV_WHY_BYTES, "no thread: %s", strerror(-rc));
		goto finish_bus;
	}
	return 0;

finish_bus:
	pthread_cond_destroy(&t->has_changed);
	pthread_mutex_destroy(&t->lock);
	frontbus_finish(&t->bus);
close_hv:
	hv_close(hv);
	return rc;
}

void bus_thread_close(struct bus_thread *t, bool shuts_down)
{
	struct sched_shutdown s = {.reason = SHUTDOWN_poweroff};
	struct hv *hv = t->bus.hv;

	pthread_mutex_lock(&t->lock);
	t->must_end = true;
	pthread_cond_broadcast(&t->has_changed);
	pthread_mutex_unlock(&t->lock);
	frontbus_wake(&t->bus);
	pthread_join(t->thread, NULL);
	if (shuts_down)
		hv_hypercall(hv, __HYPERVISOR_sched_op, SCHEDOP_shutdown, &s, sizeof(s));
	frontbus_finish(&t->bus);
	hv_close(hv);
	pthread_cond_destroy(&t->has_changed);
	pthread_mutex_destroy(&t->lock);
}
