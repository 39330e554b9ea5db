/*
 * blkback/blkback.c - all vbds that this process serves: the list, the loop's callbacks, the counters.
 *
 * Runs in  the loop's thread.
 */
#include "blkback/blkback.h"

#include <poll.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "blkback/vbd.h"
#include "hv/clock.h"
#include "hv/log.h"
#include "hv/xenbus.h"

#define MAX_RETIRED 1024

/* Counters of a device that is gone. */
struct retired {
	domid_t domid;
	unsigned devid;
	struct stats stats;
};

/* How long to wait at the end for images that do not finish their I/O. */
#define LEAVING_WAIT_MS 5000

struct blkback {
	struct blkback_options options;
	struct xenbus_driver driver;
	struct xenbus *bus;
	struct loop_source *bus_source;
	struct loop_source *attention_source;
	int attention_fd; /* a queue has a fault, or the bus has more to do */
	struct vbd *vbds;
	struct vbd *leaving; /* removed; their images have not finished their I/O */
	struct stats_queue gone; /* the sum over all that are gone */
	unsigned nr_retired;
	struct retired *retired; /* the first MAX_RETIRED of them one by one */
};

static int blkback_probe(struct xenbus *bus, domid_t frontend, unsigned devid, const char *path, void **priv)
{
	struct blkback *bb = xenbus_arg(bus);
	struct vbd *vbd = calloc(1, sizeof(*vbd));

	if (!vbd || vbd_init(vbd, &bb->options, hv_run_dir(xenbus_hv(bus)), bb->attention_fd, frontend, devid)) {
		free(vbd);
		return -ENOMEM;
	}
	vbd->next = bb->vbds;
	bb->vbds = vbd;
	*priv = vbd;
	return 0;
}

static void blkback_retire(struct blkback *bb, const struct vbd *vbd)
{
	struct stats_queue sum;
	struct retired *r;

	vbd_sum(vbd, &sum);
	counters_add(&stats_layout, &bb->gone, &sum);
	if (bb->nr_retired == MAX_RETIRED)
		return;
	r = realloc(bb->retired, (bb->nr_retired + 1) * sizeof(*r));
	if (!r)
		return;
	bb->retired = r;
	r[bb->nr_retired++] = (struct retired){vbd->domid, vbd->devid, sum.stats};
}

/* Frees the removed ones whose last I/O is over. */
static void blkback_see_off(struct blkback *bb)
{
	struct vbd **at = &bb->leaving, *vbd;

	while ((vbd = *at)) {
		if (!vbd_is_over(vbd)) {
			at = &vbd->next;
			continue;
		}
		*at = vbd->next;
		vbd_finish(vbd);
		free(vbd);
	}
}

static void blkback_remove(struct xenbus *bus, void *priv)
{
	struct blkback *bb = xenbus_arg(bus);
	struct vbd *vbd = priv;
	struct vbd **at = &bb->vbds;

	while (*at != vbd)
		at = &(*at)->next;
	*at = vbd->next;
	blkback_retire(bb, vbd);
	vbd->next = bb->leaving;
	bb->leaving = vbd;
	blkback_see_off(bb);
}

/* One piece of work at a time; when there is more, the loop comes back after its other sources. */
static void blkback_bus_event(void *arg, uint32_t events)
{
	struct blkback *bb = arg;

	if (xenbus_process(bb->bus))
		eventfd_write(bb->attention_fd, 1);
}

static void blkback_attention(void *arg, uint32_t events)
{
	struct blkback *bb = arg;
	eventfd_t count;

	eventfd_read(bb->attention_fd, &count);
	for (struct vbd *vbd = bb->vbds; vbd; vbd = vbd->next)
		vbd_look(vbd);
	blkback_see_off(bb);
	blkback_bus_event(bb, 0);
}

static int blkback_add_sources(struct blkback *bb, struct loop *loop)
{
	bb->attention_source = loop_add_fd(loop, bb->attention_fd, EPOLLIN, blkback_attention, bb);
	if (!bb->attention_source)
		return -errno;
	bb->bus_source = loop_add_fd(loop, xenbus_fd(bb->bus), EPOLLIN, blkback_bus_event, bb);
	return bb->bus_source ? 0 : -errno;
}

static bool blkback_has(void *arg, unsigned domid, unsigned devid)
{
	const struct blkback *bb = arg;

	for (const struct vbd *vbd = bb->vbds; vbd; vbd = vbd->next)
		if (vbd->domid == domid && vbd->devid == devid)
			return true;
	return false;
}

int blkback_create(struct loop *loop, struct hv *hv, const struct blkback_options *options, struct blkback **out)
{
	struct blkback *bb = calloc(1, sizeof(*bb));
	int err;

	if (!bb)
		return -ENOMEM;
	bb->driver = (struct xenbus_driver){.handshake = vbd_driver, .probe = blkback_probe, .remove = blkback_remove};
	bb->options = *options;
	bb->attention_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (bb->attention_fd < 0) {
		err = -errno;
		goto free_blkback;
	}
	err = xenbus_create(hv, &bb->driver, bb, &bb->bus);
	if (err)
		goto close_attention;
	err = blkback_add_sources(bb, loop);
	if (err)
		goto remove_sources;
	run_file_sweep(hv_run_dir(hv), "vbd", blkback_has, bb);
	*out = bb;
	return 0;

remove_sources:
	loop_remove(bb->attention_source);
	xenbus_destroy(bb->bus);
close_attention:
	close(bb->attention_fd);
free_blkback:
	free(bb);
	return err;
}

/* For the I/O of removed devices; an image that hangs is left to the end of the process. */
static void blkback_wait(struct blkback *bb)
{
	int64_t until = clock_now_ms() + LEAVING_WAIT_MS;
	struct pollfd attention = {.fd = bb->attention_fd, .events = POLLIN};
	eventfd_t count;

	while (blkback_see_off(bb), bb->leaving && clock_now_ms() < until)
		if (poll(&attention, 1, 100) > 0)
			eventfd_read(bb->attention_fd, &count);
	for (const struct vbd *vbd = bb->leaving; vbd; vbd = vbd->next)
		log_warn("vbd %u/%u: its image has not finished its I/O", vbd->domid, vbd->devid);
}

void blkback_destroy(struct blkback *bb)
{
	if (!bb)
		return;
	loop_remove(bb->bus_source);
	loop_remove(bb->attention_source);
	xenbus_destroy(bb->bus);
	blkback_wait(bb);
	close(bb->attention_fd);
	free(bb->retired);
	free(bb);
}

void blkback_print_stats(const struct blkback *bb, FILE *out)
{
	struct stats_queue total = bb->gone;
	char prefix[64];

	for (unsigned i = 0; i < bb->nr_retired; i++) {
		snprintf(prefix, sizeof(prefix), "vbd.%u.%u", bb->retired[i].domid, bb->retired[i].devid);
		counters_print(out, prefix, &stats_counts, &bb->retired[i].stats);
	}
	for (const struct vbd *vbd = bb->vbds; vbd; vbd = vbd->next) {
		struct stats_queue sum;

		vbd_sum(vbd, &sum);
		snprintf(prefix, sizeof(prefix), "vbd.%u.%u", vbd->domid, vbd->devid);
		counters_print(out, prefix, &stats_layout, &sum);
		counters_add(&stats_layout, &total, &sum);
	}
	counters_print(out, "vbd.total", &stats_counts, &total);
}
