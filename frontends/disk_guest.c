/*
 * frontends/disk_guest.c - a thread that looks after the store, and a way to ask it for disks.
 *
 * Owns     the domain's connection and the devices until close.
 * Runs in  any thread; what belongs to the bus is touched by its thread only.
 * Fails    negative errno and a sentence.
 */
#include "frontends/disk_guest.h"

#include <pthread.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <xen/sched.h>

#include "frontends/blkfront_control.h"

#define CONNECT_MS 30000

/* What another thread asks the bus's for, one at a time. */
struct order {
	const char *name;
	struct blkfront_options opt;
	char *why;
	struct blkfront *bf;
	int rc;
};

struct disk_guest {
	struct hv *hv;
	struct frontbus bus;
	pthread_t thread;
	pthread_mutex_t lock; /* of the fields below, and of one order at a time */
	pthread_cond_t is_done;
	struct order *order; /* NULL: none waits */
	bool must_end;
	unsigned nr_disks; /* the bus's thread's */
	struct blkfront *disk[DISK_GUEST_MAX_DISKS];
};

static int fail(char *why, int rc, const char *fmt, ...) __attribute__((format(printf, 3, 4)));

static int fail(char *why, int rc, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(why, DISK_GUEST_WHY_BYTES, fmt, ap);
	va_end(ap);
	return rc;
}

/* ---- the bus's thread ----------------------------------------------------------------------------------------------------- */

static int say_not_connected(struct disk_guest *g, struct order *o, int rc)
{
	char *text = NULL;

	if (rc == -ENOENT)
		return fail(o->why, rc, "disk %s does not exist in this domain: add it to the domain's configuration", o->name);
	if (rc == -ENOSPC)
		return fail(o->why, rc, "disk %s needs more grants than there are: use fewer queues, or give the domain more", o->name);
	if (rc == -ETIMEDOUT)
		return fail(o->why, rc, "disk %s: no back end has connected within %d seconds: is sluice-blkback running?", o->name,
			    CONNECT_MS / 1000);
	if (o->bf && store_client_readf(g->bus.store, STORE_NO_TX, &text, "%s/error", o->bf->handshake.own_path) < 0)
		text = NULL;
	fail(o->why, rc, "disk %s cannot be used: %s", o->name, text ? text : strerror(-rc));
	free(text);
	return rc;
}

static int attach(struct disk_guest *g, struct order *o)
{
	unsigned devid;
	int rc;

	if (g->nr_disks == DISK_GUEST_MAX_DISKS)
		return fail(o->why, -ENOSPC, "disk %s is one too many: %d may be used at once", o->name, DISK_GUEST_MAX_DISKS);
	if (blkfront_parse_name(o->name, &devid) < 0)
		return fail(o->why, -EINVAL, "'%s' is not the name of a disk: use one as xvda", o->name);
	o->opt.is_threaded = true;
	rc = blkfront_create(&g->bus, devid, &o->opt, &o->bf);
	if (!rc)
		rc = blkfront_wait_connected(o->bf, CONNECT_MS);
	if (!rc) {
		g->disk[g->nr_disks++] = o->bf;
		return 0;
	}
	say_not_connected(g, o, rc);
	blkfront_destroy(o->bf);
	o->bf = NULL;
	return rc;
}

/* Takes what was asked for; false: the end was. */
static bool obey(struct disk_guest *g)
{
	bool must_end;

	pthread_mutex_lock(&g->lock);
	if (g->order) {
		g->order->rc = attach(g, g->order);
		g->order = NULL;
		pthread_cond_broadcast(&g->is_done);
	}
	must_end = g->must_end;
	pthread_mutex_unlock(&g->lock);
	return !must_end;
}

static void *run_bus(void *arg)
{
	struct disk_guest *g = arg;

	while (obey(g)) {
		frontbus_pump(&g->bus);
		for (unsigned i = 0; i < g->nr_disks; i++)
			blkfront_pump(g->disk[i]);
		if (frontbus_sleep(&g->bus, -1) >= 0)
			continue;
		/* The hypervisor is gone: all are told; what is left is to wait for the end. */
		for (unsigned i = 0; i < g->nr_disks; i++)
			blkfront_pump(g->disk[i]);
		pthread_mutex_lock(&g->lock);
		while (!g->must_end) {
			if (g->order) {
				g->order->rc = fail(g->order->why, -ENODEV, "the hypervisor has gone, or has destroyed this domain");
				g->order = NULL;
				pthread_cond_broadcast(&g->is_done);
			}
			pthread_cond_wait(&g->is_done, &g->lock);
		}
		pthread_mutex_unlock(&g->lock);
	}
	while (g->nr_disks)
		blkfront_destroy(g->disk[--g->nr_disks]);
	return NULL;
}

/* ---- any thread -------------------------------------------------------------------------------------------------------------- */

static int say_not_open(const struct hv_options *opt, int rc, char *why)
{
	const char *dir = opt->run_dir ? opt->run_dir : "the default run directory";

	if (opt->why && *opt->why)
		return fail(why, rc, "%s", opt->why);
	if (rc == -ESRCH)
		return fail(why, rc, "there is no domain '%s': create it first, with kernel=\"\", see sluice list", opt->attach);
	if (rc == -EBUSY)
		return fail(why, rc, "domain '%s' runs already: shut it down first", opt->attach);
	return fail(why, rc, "no sluiced answers in %s: %s", dir, strerror(-rc));
}

/* Signals are the program's, not this thread's. */
static int start_thread(struct disk_guest *g)
{
	sigset_t all, before;
	int rc;

	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &before);
	rc = -pthread_create(&g->thread, NULL, run_bus, g);
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	return rc;
}

int disk_guest_open(const struct hv_options *opt, struct disk_guest **out, char why[DISK_GUEST_WHY_BYTES])
{
	char hv_why[HV_WHY_BYTES] = "";
	struct hv_options hv_opt = *opt;
	struct disk_guest *g = calloc(1, sizeof(*g));
	int rc;

	if (!g)
		return fail(why, -ENOMEM, "no memory");
	hv_opt.why = hv_why;
	rc = hv_open_guest(&hv_opt, &g->hv);
	if (rc) {
		say_not_open(&hv_opt, rc, why);
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
		goto close_hv;
	}
	*out = g;
	return 0;

close_hv:
	frontbus_finish(&g->bus);
	hv_close(g->hv);
free_guest:
	free(g);
	return rc;
}

void disk_guest_close(struct disk_guest *g)
{
	struct sched_shutdown s = {.reason = SHUTDOWN_poweroff};

	if (!g)
		return;
	pthread_mutex_lock(&g->lock);
	g->must_end = true;
	pthread_cond_broadcast(&g->is_done);
	pthread_mutex_unlock(&g->lock);
	frontbus_wake(&g->bus);
	pthread_join(g->thread, NULL);
	frontbus_finish(&g->bus);
	if (!strcmp(hv_platform(g->hv), "local"))
		hv_hypercall(g->hv, __HYPERVISOR_sched_op, SCHEDOP_shutdown, &s, sizeof(s));
	hv_close(g->hv);
	pthread_cond_destroy(&g->is_done);
	pthread_mutex_destroy(&g->lock);
	free(g);
}

int disk_guest_attach(struct disk_guest *g, const char *name, const struct blkfront_options *opt, struct blkfront **out,
		      char why[DISK_GUEST_WHY_BYTES])
{
	struct order o = {.name = name, .opt = *opt, .why = why, .rc = 1};

	pthread_mutex_lock(&g->lock);
	while (g->order) /* another thread's */
		pthread_cond_wait(&g->is_done, &g->lock);
	g->order = &o;
	frontbus_wake(&g->bus);
	pthread_cond_broadcast(&g->is_done);
	while (o.rc > 0)
		pthread_cond_wait(&g->is_done, &g->lock);
	pthread_mutex_unlock(&g->lock);
	if (!o.rc)
		*out = o.bf;
	return o.rc;
}

void *disk_guest_alloc(struct disk_guest *g, size_t bytes)
{
	void *pages;

	if (!hv_grants(g->hv))
		return aligned_alloc(PAGE_BYTES, pages_to_bytes(bytes_to_pages(bytes)));
	return hv_pages_alloc(g->hv, (unsigned)bytes_to_pages(bytes), &pages) ? NULL : pages;
}

void disk_guest_free(struct disk_guest *g, void *pages, size_t bytes)
{
	if (!hv_grants(g->hv))
		free(pages);
	else if (pages)
		hv_pages_free(g->hv, pages, (unsigned)bytes_to_pages(bytes));
}
