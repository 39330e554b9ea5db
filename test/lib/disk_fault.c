/*
 * test/lib/disk_fault.c - an engine that does what another does, but for what a test has ordered to go wrong.
 */
#include "disk_fault.h"

#include <stdlib.h>

struct disk_fault_order disk_fault_order;

struct kept {
	struct disk_io *io;
	unsigned polls_left;
	int error;
};

struct fault_queue {
	struct disk_queue base;
	struct disk_queue *inner;
	unsigned nr_kept;
	struct kept kept[];
};

static int fault_open(struct disk_image *image)
{
	return disk_fault_order.inner->open ? disk_fault_order.inner->open(image) : 0;
}

static void fault_close(struct disk_image *image)
{
	if (disk_fault_order.inner->close)
		disk_fault_order.inner->close(image);
}

static int fault_create(const struct disk_queue_config *config, struct disk_queue **out)
{
	struct fault_queue *q = calloc(1, sizeof(*q) + config->depth * sizeof(q->kept[0]));
	int err;

	if (!q)
		return -ENOMEM;
	err = disk_fault_order.inner->create(config, &q->inner);
	if (err) {
		free(q);
		return err;
	}
	q->base.engine = &disk_fault;
	*out = &q->base;
	return 0;
}

static void fault_destroy(struct disk_queue *queue)
{
	struct fault_queue *q = (struct fault_queue *)queue;

	q->inner->engine->destroy(q->inner);
	free(q);
}

static void fault_submit(struct disk_queue *queue, struct disk_io *io)
{
	struct fault_queue *q = (struct fault_queue *)queue;
	struct kept kept = {.io = io};

	if (disk_fault_order.error)
		kept.error = disk_fault_order.error(io);
	if (disk_fault_order.delay)
		kept.polls_left = disk_fault_order.delay(io);
	if (kept.error || kept.polls_left)
		q->kept[q->nr_kept++] = kept;
	else
		q->inner->engine->submit(q->inner, io);
}

static int fault_poll(struct disk_queue *queue, struct disk_io *done[], unsigned max, unsigned *woken)
{
	struct fault_queue *q = (struct fault_queue *)queue;
	unsigned n = 0, still = 0;
	int got;

	for (unsigned i = 0; i < q->nr_kept; i++) {
		struct kept k = q->kept[i];

		if (k.polls_left) {
			k.polls_left--;
			q->kept[still++] = k;
		} else if (!k.error) {
			q->inner->engine->submit(q->inner, k.io);
		} else if (n < max) {
			k.io->error = k.error;
			done[n++] = k.io;
		} else {
			q->kept[still++] = k;
		}
	}
	q->nr_kept = still;
	got = q->inner->engine->poll(q->inner, done + n, max - n, woken);
	return got < 0 ? got : (int)n + got;
}

static int fault_wait(struct disk_queue *queue)
{
	struct fault_queue *q = (struct fault_queue *)queue;

	return q->nr_kept ? 0 : q->inner->engine->wait(q->inner);
}

const struct disk_engine disk_fault = {
	.name = "fault",
	.merges = true,
	.open = fault_open,
	.close = fault_close,
	.create = fault_create,
	.destroy = fault_destroy,
	.submit = fault_submit,
	.poll = fault_poll,
	.wait = fault_wait,
};
