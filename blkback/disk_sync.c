/*
 * blkback/disk_sync.c - the sync engine: an I/O is a system call of the queue's thread.
 *
 * For images in a file system that is memory (tmpfs): there a read is a copy and never waits, and io_uring would hand each one
 * to a worker thread, which costs more than the copy. The io_uring and libaio engines give such images to this one. An image
 * that may wait for a device is served one I/O at a time.
 *
 *      submit: appends to the list
 *      poll:   does a few of the list
 *      wait:   poll(2) on the wake fds
 */
#include "blkback/disk_sync.h"

#include <fcntl.h>
#include <limits.h>
#include <linux/fs.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "blkback/disk_fifo.h"
#include "blkback/disk_wake.h"

/* Few enough that the guest takes the first answers while later ones are being done. */
#define SYNC_BATCH 8u

struct sync_queue {
	struct disk_queue base;
	const struct disk_image *image;
	struct disk_wake wake;
	struct disk_fifo todo;
};

static ssize_t sync_transfer(int fd, struct disk_io *io)
{
	struct iovec *v = &io->iov[io->iov_at];
	int left = io->nr_iov - io->iov_at, nr = left < IOV_MAX ? left : IOV_MAX;
	off_t at = (off_t)io->offset_bytes;

	if (io->op == DISK_READ)
		return nr == 1 ? pread(fd, v->iov_base, v->iov_len, at) : preadv(fd, v, nr, at);
	return nr == 1 ? pwrite(fd, v->iov_base, v->iov_len, at) : pwritev(fd, v, nr, at);
}

static int sync_discard(const struct disk_image *image, const struct disk_io *io)
{
	uint64_t range[2] = {io->offset_bytes, io->left_bytes};

	if (image->is_block)
		return ioctl(image->fd, io->op == DISK_SECURE_DISCARD ? BLKSECDISCARD : BLKDISCARD, range);
	return fallocate(image->fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, (off_t)range[0], (off_t)range[1]);
}

void disk_sync_do(const struct disk_image *image, struct disk_io *io)
{
	int64_t result;

	do {
		if (io->op <= DISK_WRITE)
			result = sync_transfer(image->fd, io);
		else if (io->op == DISK_FLUSH)
			result = fdatasync(image->fd);
		else
			result = sync_discard(image, io);
	} while (!disk_io_answer(io, result < 0 ? -errno : result));
}

static int sync_create(const struct disk_queue_config *config, struct disk_queue **out)
{
	struct sync_queue *q = calloc(1, sizeof(*q));

	if (!q)
		return -ENOMEM;
	q->base.engine = &disk_sync;
	q->image = config->image;
	disk_wake_init(&q->wake, config);
	if (disk_fifo_init(&q->todo, config->depth)) {
		free(q);
		return -ENOMEM;
	}
	*out = &q->base;
	return 0;
}

static void sync_destroy(struct disk_queue *queue)
{
	struct sync_queue *q = (struct sync_queue *)queue;

	disk_fifo_finish(&q->todo);
	free(q);
}

static void sync_submit(struct disk_queue *queue, struct disk_io *io)
{
	disk_fifo_put(&((struct sync_queue *)queue)->todo, io);
}

static int sync_poll(struct disk_queue *queue, struct disk_io *done[], unsigned max, unsigned *woken)
{
	struct sync_queue *q = (struct sync_queue *)queue;
	unsigned n = 0;

	while (n < max && n < SYNC_BATCH && disk_fifo_count(&q->todo)) {
		done[n] = disk_fifo_take(&q->todo);
		disk_sync_do(q->image, done[n++]);
	}
	disk_wake_tell(&q->wake, woken);
	return (int)n;
}

static int sync_wait(struct disk_queue *queue)
{
	struct sync_queue *q = (struct sync_queue *)queue;

	return disk_fifo_count(&q->todo) ? 0 : disk_wake_wait(&q->wake, -1, 0, -1, NULL);
}

const struct disk_engine disk_sync = {
	.name = "sync",
	.can_be_direct = true,
	.merges = true,
	.follows_size = true,
	.create = sync_create,
	.destroy = sync_destroy,
	.submit = sync_submit,
	.poll = sync_poll,
	.wait = sync_wait,
};
