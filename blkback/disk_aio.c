/*
 * blkback/disk_aio.c - the libaio engine, for kernels or sandboxes without io_uring.
 *
 * Truly asynchronous with O_DIRECT only: through the page cache the kernel does the work inside io_submit.
 *
 *      submit: fills the iocb of the slot, appends it to the batch
 *      poll:   io_submit of the batch, io_getevents of what is finished; discards, which libaio has not, as system calls
 *      wait:   poll(2) on the context's eventfd and the wake fds
 *
 * Fails    io_getevents refuses for good: the batch comes back with the error; what the kernel has is waited for by taking the
 *          context apart, which ends when none of it runs any more, and comes back too; then poll says the error.
 */
#include <libaio.h>
#include <limits.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "blkback/disk_fifo.h"
#include "blkback/disk_sync.h"
#include "blkback/disk_wake.h"

#define AIO_EVENTS 64

struct aio_queue {
	struct disk_queue base;
	const struct disk_image *image;
	io_context_t ctx; /* NULL: it broke */
	int error;        /* of what broke it */
	int done_fd;      /* counts finished I/Os */
	struct disk_wake wake;
	unsigned depth;
	unsigned in_kernel;
	unsigned nr_batch;
	struct iocb **batch; /* submitted here, not yet to the kernel, in order */
	struct iocb *iocbs;  /* by slot; data is NULL while the kernel does not have it */
	struct disk_fifo sync; /* for a system call */
};

/* At least a place for one, where the system's limit (fs.aio-max-nr) leaves no more: the batch waits for room. */
static int aio_set_up(unsigned depth, io_context_t *ctx)
{
	int err;

	do
		err = io_setup((int)depth, ctx);
	while (err == -EAGAIN && (depth /= 2));
	return err;
}

static void aio_free(struct aio_queue *q)
{
	disk_fifo_finish(&q->sync);
	free(q->batch);
	free(q->iocbs);
	free(q);
}

static int aio_create(const struct disk_queue_config *config, struct disk_queue **out)
{
	struct aio_queue *q;
	int err;

	if (config->image->is_memory)
		return disk_sync.create(config, out);
	q = calloc(1, sizeof(*q));
	if (!q)
		return -ENOMEM;
	q->base.engine = &disk_aio;
	q->image = config->image;
	q->depth = config->depth;
	disk_wake_init(&q->wake, config);
	err = disk_fifo_init(&q->sync, config->depth);
	q->iocbs = calloc(config->depth, sizeof(q->iocbs[0]));
	q->batch = calloc(config->depth, sizeof(q->batch[0]));
	if (err || !q->iocbs || !q->batch) {
		err = -ENOMEM;
		goto free_queue;
	}
	q->done_fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
	if (q->done_fd < 0) {
		err = -errno;
		goto free_queue;
	}
	err = aio_set_up(config->depth, &q->ctx);
	if (err)
		goto close_done;
	*out = &q->base;
	return 0;

close_done:
	close(q->done_fd);
free_queue:
	aio_free(q);
	return err;
}

static void aio_destroy(struct disk_queue *queue)
{
	struct aio_queue *q = (struct aio_queue *)queue;

	if (q->ctx)
		io_destroy(q->ctx);
	close(q->done_fd);
	aio_free(q);
}

static void aio_submit(struct disk_queue *queue, struct disk_io *io)
{
	struct aio_queue *q = (struct aio_queue *)queue;
	struct iocb *cb = &q->iocbs[io->slot];
	struct iovec *iov = &io->iov[io->iov_at];
	int left = io->nr_iov - io->iov_at, nr_iov = left < IOV_MAX ? left : IOV_MAX, fd = q->image->fd;

	if (io->op > DISK_FLUSH) {
		disk_fifo_put(&q->sync, io);
		return;
	}
	if (io->op == DISK_READ)
		io_prep_preadv(cb, fd, iov, nr_iov, (long long)io->offset_bytes);
	else if (io->op == DISK_WRITE)
		io_prep_pwritev(cb, fd, iov, nr_iov, (long long)io->offset_bytes);
	else
		io_prep_fdsync(cb, fd);
	io_set_eventfd(cb, q->done_fd);
	cb->data = io;
	q->batch[q->nr_batch++] = cb;
}

static void aio_drop_batch(struct aio_queue *q, unsigned n)
{
	q->nr_batch -= n;
	memmove(q->batch, q->batch + n, q->nr_batch * sizeof(q->batch[0]));
}

/* The first of the batch was refused; kernels before 4.18 do not know asynchronous fdsync: then it is done here. */
static void aio_refused(struct aio_queue *q, int err, struct disk_io **done)
{
	struct disk_io *io = q->batch[0]->data;

	q->iocbs[io->slot].data = NULL;
	io->error = err;
	if (io->op == DISK_FLUSH && err == -EINVAL)
		io->error = fdatasync(q->image->fd) < 0 ? -errno : 0;
	*done = io;
	aio_drop_batch(q, 1);
}

/* Returns how many finished by being refused. -EAGAIN leaves the rest in the batch for the next poll. */
static unsigned aio_start(struct aio_queue *q, struct disk_io *done[], unsigned max)
{
	unsigned n = 0;

	while (q->nr_batch && n < max) {
		int started = io_submit(q->ctx, q->nr_batch, q->batch);

		if (started == -EAGAIN || started == -EINTR)
			break;
		if (started < 0) {
			aio_refused(q, started, &done[n++]);
			continue;
		}
		q->in_kernel += (unsigned)started;
		aio_drop_batch(q, (unsigned)started);
	}
	return n;
}

/* What the kernel has finished. How many of them are finished for good, or -errno. */
static int aio_reap(struct aio_queue *q, struct disk_io *done[], unsigned max)
{
	struct io_event events[AIO_EVENTS];
	struct timespec now = {0, 0};
	int got = io_getevents(q->ctx, 0, max < AIO_EVENTS ? max : AIO_EVENTS, events, &now);
	unsigned n = 0;

	if (got < 0)
		return got == -EINTR ? 0 : got;
	for (int i = 0; i < got; i++) {
		struct disk_io *io = events[i].data;

		q->in_kernel--;
		q->iocbs[io->slot].data = NULL;
		if (disk_io_answer(io, (int64_t)events[i].res))
			done[n++] = io;
		else
			aio_submit(&q->base, io);
	}
	return (int)n;
}

/* io_destroy waits until the kernel is done with everything; whether it went well is not known any more. */
static void aio_break(struct aio_queue *q, int err)
{
	io_destroy(q->ctx);
	q->ctx = NULL;
	q->error = err;
	q->in_kernel = 0;
}

/* Gives back all there is: the batch's iocbs have data too. */
static int aio_poll_broken(struct aio_queue *q, struct disk_io *done[], unsigned max)
{
	unsigned n = 0;

	q->nr_batch = 0;
	for (unsigned slot = 0; slot < q->depth && n < max; slot++) {
		struct disk_io *io = q->iocbs[slot].data;

		if (!io)
			continue;
		q->iocbs[slot].data = NULL;
		io->error = q->error;
		done[n++] = io;
	}
	while (n < max && disk_fifo_count(&q->sync)) {
		done[n] = disk_fifo_take(&q->sync);
		done[n++]->error = q->error;
	}
	return n ? (int)n : q->error;
}

static int aio_poll(struct disk_queue *queue, struct disk_io *done[], unsigned max, unsigned *woken)
{
	struct aio_queue *q = (struct aio_queue *)queue;
	unsigned n = 0;
	int got = 0;

	disk_wake_tell(&q->wake, woken);
	if (q->ctx)
		n = aio_start(q, done, max);
	if (q->ctx && q->in_kernel && n < max)
		got = aio_reap(q, done + n, max - n);
	if (got < 0)
		aio_break(q, got);
	if (!q->ctx)
		return n ? (int)n : aio_poll_broken(q, done, max);
	n += (unsigned)got;
	n += aio_start(q, done + n, max - n); /* what came up short goes on at once */
	if (n < max && disk_fifo_count(&q->sync)) { /* one at a time: these may take long */
		done[n] = disk_fifo_take(&q->sync);
		disk_sync_do(q->image, done[n++]);
	}
	return (int)n;
}

static int aio_wait(struct disk_queue *queue)
{
	struct aio_queue *q = (struct aio_queue *)queue;
	eventfd_t count;
	short events;
	int err;

	if (!q->ctx || disk_fifo_count(&q->sync))
		return 0;
	/* A batch that the kernel had no room for is tried again soon, or as soon as something finishes. */
	err = disk_wake_wait(&q->wake, q->done_fd, POLLIN, q->nr_batch ? 1 : -1, &events);
	if (!err && events)
		eventfd_read(q->done_fd, &count);
	return err;
}

const struct disk_engine disk_aio = {
	.name = "libaio",
	.can_be_direct = true,
	.merges = true,
	.follows_size = true,
	.create = aio_create,
	.destroy = aio_destroy,
	.submit = aio_submit,
	.poll = aio_poll,
	.wait = aio_wait,
};
