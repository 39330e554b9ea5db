/*
 * blkback/disk_null.c - the null engine: every I/O is done as soon as it is submitted, and no byte of it is touched.
 *
 * For measuring the path itself. A read leaves in the guest's pages what was there, as the null engines of fio and SPDK do. The
 * image gives the disk its size, nothing else.
 *
 * Runs in  the queue's thread.
 */
#include "blkback/disk_fifo.h"
#include "blkback/disk_image.h"
#include "blkback/disk_wake.h"

/* Few enough that the guest takes the first answers while later ones are being written. */
#define NULL_BATCH 16u

struct null_queue {
	struct disk_queue base;
	struct disk_wake wake;
	struct disk_fifo todo;
};

static int null_open(struct disk_image *image)
{
	image->can_discard = image->can_secure_discard = !image->is_readonly;
	image->discard_granularity_bytes = image->sector_bytes;
	image->discard_alignment_bytes = 0;
	return 0;
}

static int null_create(const struct disk_queue_config *config, struct disk_queue **out)
{
	struct null_queue *q = calloc(1, sizeof(*q));

	if (!q)
		return -ENOMEM;
	q->base.engine = &disk_null;
	disk_wake_init(&q->wake, config);
	if (disk_fifo_init(&q->todo, config->depth)) {
		free(q);
		return -ENOMEM;
	}
	*out = &q->base;
	return 0;
}

static void null_destroy(struct disk_queue *queue)
{
	struct null_queue *q = (struct null_queue *)queue;

	disk_fifo_finish(&q->todo);
	free(q);
}

static void null_submit(struct disk_queue *queue, struct disk_io *io)
{
	disk_fifo_put(&((struct null_queue *)queue)->todo, io);
}

static int null_poll(struct disk_queue *queue, struct disk_io *done[], unsigned max, unsigned *woken)
{
	struct null_queue *q = (struct null_queue *)queue;
	unsigned n = 0;

	while (n < max && n < NULL_BATCH && disk_fifo_count(&q->todo)) {
		struct disk_io *io = disk_fifo_take(&q->todo);

		io->left_bytes = 0;
		io->error = 0;
		done[n++] = io;
	}
	disk_wake_tell(&q->wake, woken);
	return (int)n;
}

static int null_wait(struct disk_queue *queue)
{
	struct null_queue *q = (struct null_queue *)queue;

	return disk_fifo_count(&q->todo) ? 0 : disk_wake_wait(&q->wake, -1, 0, -1, NULL);
}

const struct disk_engine disk_null = {
	.name = "null",
	.can_be_direct = false,
	.follows_size = true,
	.open = null_open,
	.create = null_create,
	.destroy = null_destroy,
	.submit = null_submit,
	.poll = null_poll,
	.wait = null_wait,
};
