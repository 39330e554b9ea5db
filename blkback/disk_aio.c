/*
 * blkback/disk_aio.c - the libaio engine, for kernels or sandboxes without io_uring.
 *
 * Truly asynchronous with O_DIRECT only: through the page cache the kernel does the work inside io_submit.
 *
 *      submit: fills the iocb of the slot, appends it to the batch
 *      poll:   io_submit of the batch, io_getevents of what is finished
 *      wait:   poll(2) on the context's eventfd and the wake fds
 */
#include <libaio.h>
#include <limits.h>
#include <poll.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "blkback/disk_image.h"

#define AIO_EVENTS 64

struct aio_queue {
	struct disk_queue base;
	io_context_t ctx;
	int fd;
	int done_fd; /* counts finished I/Os */
	int wake_fd[DISK_NR_WAKE_FDS];
	unsigned woken;
	unsigned in_kernel;
	unsigned nr_batch;
	struct iocb **batch; /* submitted here, not yet to the kernel, in order */
	struct iocb *iocbs;  /* by slot */
};

static int aio_create(const struct disk_queue_config *config, struct disk_queue **out)
{
	struct aio_queue *q = calloc(1, sizeof(*q));
	int err;

	if (!q)
		return -ENOMEM;
	q->base.engine = &disk_aio;
	q->fd = config->image->fd;
	memcpy(q->wake_fd, config->wake_fd, sizeof(q->wake_fd));
	err = -ENOMEM;
	q->iocbs = calloc(config->depth, sizeof(q->iocbs[0]));
	q->batch = calloc(config->depth, sizeof(q->batch[0]));
	if (!q->iocbs || !q->batch)
		goto free_queue;
	q->done_fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
	if (q->done_fd < 0) {
		err = -errno;
		goto free_queue;
	}
	err = io_setup((int)config->depth, &q->ctx);
	if (err)
		goto close_done;
	*out = &q->base;
	return 0;

close_done:
	close(q->done_fd);
free_queue:
	free(q->batch);
	free(q->iocbs);
	free(q);
	return err;
}

static void aio_destroy(struct disk_queue *queue)
{
	struct aio_queue *q = (struct aio_queue *)queue;

	io_destroy(q->ctx);
	close(q->done_fd);
	free(q->batch);
	free(q->iocbs);
	free(q);
}

static void aio_submit(struct disk_queue *queue, struct disk_io *io)
{
	struct aio_queue *q = (struct aio_queue *)queue;
	struct iocb *cb = &q->iocbs[io->slot];
	struct iovec *iov = &io->iov[io->iov_at];
	int left = io->nr_iov - io->iov_at, nr_iov = left < IOV_MAX ? left : IOV_MAX;

	if (io->op == DISK_READ)
		io_prep_preadv(cb, q->fd, iov, nr_iov, (long long)io->offset_bytes);
	else if (io->op == DISK_WRITE)
		io_prep_pwritev(cb, q->fd, iov, nr_iov, (long long)io->offset_bytes);
	else
		io_prep_fdsync(cb, q->fd);
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

	io->error = err;
	if (io->op == DISK_FLUSH && err == -EINVAL)
		io->error = fdatasync(q->fd) < 0 ? -errno : 0;
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

static int aio_poll(struct disk_queue *queue, struct disk_io *done[], unsigned max, unsigned *woken)
{
	struct aio_queue *q = (struct aio_queue *)queue;
	struct io_event events[AIO_EVENTS];
	struct timespec now = {0, 0};
	unsigned n = aio_start(q, done, max);
	unsigned room = max - n < AIO_EVENTS ? max - n : AIO_EVENTS;
	int got = q->in_kernel && room ? io_getevents(q->ctx, 0, room, events, &now) : 0;

	*woken |= q->woken;
	q->woken = 0;
	if (got < 0 && got != -EINTR)
		return got;
	for (int i = 0; i < got; i++) {
		struct disk_io *io = events[i].data;

		q->in_kernel--;
		if (disk_io_answer(io, (int64_t)events[i].res))
			done[n++] = io;
		else
			aio_submit(queue, io);
	}
	if (got > 0)
		n += aio_start(q, done + n, max - n); /* what came up short goes on at once */
	return (int)n;
}

static int aio_wait(struct disk_queue *queue)
{
	struct aio_queue *q = (struct aio_queue *)queue;
	struct pollfd fds[DISK_NR_WAKE_FDS + 1];
	eventfd_t count;

	for (int i = 0; i < DISK_NR_WAKE_FDS; i++)
		fds[i] = (struct pollfd){.fd = q->wake_fd[i], .events = POLLIN};
	fds[DISK_NR_WAKE_FDS] = (struct pollfd){.fd = q->done_fd, .events = POLLIN};
	/* A batch that the kernel had no room for is tried again soon, or as soon as something finishes. */
	if (poll(fds, DISK_NR_WAKE_FDS + 1, q->nr_batch ? 1 : -1) < 0)
		return errno == EINTR ? 0 : -errno;
	if (fds[DISK_NR_WAKE_FDS].revents)
		eventfd_read(q->done_fd, &count);
	for (int i = 0; i < DISK_NR_WAKE_FDS; i++)
		if (fds[i].revents)
			q->woken |= 1u << i;
	return 0;
}

const struct disk_engine disk_aio = {
	.name = "libaio",
	.can_be_direct = true,
	.create = aio_create,
	.destroy = aio_destroy,
	.submit = aio_submit,
	.poll = aio_poll,
	.wait = aio_wait,
};
