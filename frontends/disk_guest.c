/*
 * frontends/disk_guest.c - disks, made and looked after by the bus's thread (bus_thread.h).
 *
 * Owns, Runs in, Fails: disk_guest.h.
 */
#include "frontends/disk_guest.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include "frontends/blkfront_control.h"
#include "frontends/bus_thread.h"

#define CONNECT_MS 30000

/* What disk_guest_attach asks for. */
struct order {
	struct disk_guest *g;
	const char *name;
	struct blkfront_options opt;
	char *why;
	struct blkfront *bf;
};

struct disk_guest {
	struct bus_thread thread;
	unsigned nr_disks; /* the bus's thread's */
	struct blkfront *disk[DISK_GUEST_MAX_DISKS];
};

_Static_assert(DISK_GUEST_WHY_BYTES >= HV_WHY_BYTES, "bus_thread_open writes there, too");

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

static int say_not_connected(struct frontbus *bus, struct order *o, int rc)
{
	char *text = NULL;

	if (rc == -ENOENT)
		return fail(o->why, rc, "disk %s does not exist in this domain: add it to the domain's configuration", o->name);
	if (rc == -ENOSPC)
		return fail(o->why, rc, "disk %s needs more grants than there are: use fewer queues, or give the domain more", o->name);
	if (rc == -ETIMEDOUT)
		return fail(o->why, rc, "disk %s: no back end has connected within %d seconds: is sluice-blkback running?", o->name,
			    CONNECT_MS / 1000);
	if (o->bf && store_client_readf(bus->store, STORE_NO_TX, &text, "%s/error", o->bf->handshake.own_path) < 0)
		text = NULL;
	fail(o->why, rc, "disk %s cannot be used: %s", o->name, text ? text : strerror(-rc));
	free(text);
	return rc;
}

static int attach(struct frontbus *bus, void *arg)
{
	struct order *o = arg;
	struct disk_guest *g = o->g;
	unsigned devid;
	int rc;

	if (bus->is_lost)
		return fail(o->why, -ENODEV, "the hypervisor has gone, or has destroyed this domain");
	if (g->nr_disks == DISK_GUEST_MAX_DISKS)
		return fail(o->why, -ENOSPC, "disk %s is one too many: %d may be used at once", o->name, DISK_GUEST_MAX_DISKS);
	if (blkfront_parse_name(o->name, &devid) < 0)
		return fail(o->why, -EINVAL, "'%s' is not the name of a disk: use one as xvda", o->name);
	o->opt.is_threaded = true;
	rc = blkfront_create(bus, devid, &o->opt, &o->bf);
	if (!rc)
		rc = blkfront_wait_connected(o->bf, CONNECT_MS);
	if (!rc) {
		g->disk[g->nr_disks++] = o->bf;
		return 0;
	}
	say_not_connected(bus, o, rc);
	blkfront_destroy(o->bf);
	o->bf = NULL;
	return rc;
}

static int detach_all(struct frontbus *bus, void *arg)
{
	struct disk_guest *g = arg;

	(void)bus;
	while (g->nr_disks)
		blkfront_destroy(g->disk[--g->nr_disks]);
	return 0;
}

static void look(void *arg)
{
	struct disk_guest *g = arg;

	for (unsigned i = 0; i < g->nr_disks; i++)
		blkfront_pump(g->disk[i]);
}

/* ---- any thread -------------------------------------------------------------------------------------------------------------- */

int disk_guest_open(const struct hv_options *opt, struct disk_guest **out, char why[DISK_GUEST_WHY_BYTES])
{
	struct disk_guest *g = calloc(1, sizeof(*g));
	int rc;

	if (!g)
		return fail(why, -ENOMEM, "no memory");
	rc = bus_thread_open(&g->thread, opt, look, g, -1, why);
	if (rc)
		free(g);
	else
		*out = g;
	return rc;
}

void disk_guest_close(struct disk_guest *g)
{
	if (!g)
		return;
	bus_thread_run(&g->thread, detach_all, g);
	bus_thread_close(&g->thread, !strcmp(hv_platform(g->thread.bus.hv), "local"));
	free(g);
}

int disk_guest_attach(struct disk_guest *g, const char *name, const struct blkfront_options *opt, struct blkfront **out,
		      char why[DISK_GUEST_WHY_BYTES])
{
	struct order o = {.g = g, .name = name, .opt = *opt, .why = why};
	int rc = bus_thread_run(&g->thread, attach, &o);

	if (!rc)
		*out = o.bf;
	return rc;
}

void *disk_guest_alloc(struct disk_guest *g, size_t bytes)
{
	struct hv *hv = g->thread.bus.hv;
	void *pages;

	if (!hv_grants(hv))
		return aligned_alloc(PAGE_BYTES, pages_to_bytes(bytes_to_pages(bytes)));
	return hv_pages_alloc(hv, (unsigned)bytes_to_pages(bytes), &pages) ? NULL : pages;
}

void disk_guest_free(struct disk_guest *g, void *pages, size_t bytes)
{
	struct hv *hv = g->thread.bus.hv;

	if (!hv_grants(hv))
		free(pages);
	else if (pages)
		hv_pages_free(hv, pages, (unsigned)bytes_to_pages(bytes));
}
