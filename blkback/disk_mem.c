/*
 * blkback/disk_mem.c - the memory engine: the image's content in RAM. What guests write is not persisted.
 *
 * For tests and for measuring everything but the disk. Holes of the image take no memory until somebody writes there. An I/O is a
 * copy, done at submit; poll only hands it back.
 *
 * Owns     the content, for as long as the image is open: a front end that reconnects finds what it wrote.
 */
#include <poll.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#include "blkback/disk_image.h"

struct mem_queue {
	struct disk_queue base;
	char *content;
	unsigned depth;
	unsigned nr_done; /* never above depth */
	unsigned woken;
	int wake_fd[DISK_NR_WAKE_FDS];
	struct disk_io *done[];
};

static int mem_load_range(int fd, char *content, off_t at, off_t end)
{
	while (at < end) {
		ssize_t n = pread(fd, content + at, (size_t)(end - at), at);

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return n < 0 ? -errno : -EIO;
		at += n;
	}
	return 0;
}

/* Reads what is data; a file system that cannot say where its holes are says that all is data. */
static int mem_load(int fd, char *content, off_t bytes)
{
	off_t data = lseek(fd, 0, SEEK_DATA), hole;
	int err;

	if (data < 0 && errno != ENXIO)
		return mem_load_range(fd, content, 0, bytes);
	while (data >= 0 && data < bytes) {
		hole = lseek(fd, data, SEEK_HOLE);
		if (hole < 0 || hole > bytes)
			hole = bytes;
		err = mem_load_range(fd, content, data, hole);
		if (err)
			return err;
		data = lseek(fd, hole, SEEK_DATA);
	}
	return 0;
}

static int mem_open(struct disk_image *image)
{
	size_t bytes = image->sectors * BLKIF_SECTOR_BYTES;
	void *content = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	int err;

	if (content == MAP_FAILED)
		return -errno;
	err = mem_load(image->fd, content, (off_t)bytes);
	if (err) {
		munmap(content, bytes);
		return err;
	}
	image->engine_data = content;
	return 0;
}

static void mem_close(struct disk_image *image)
{
	munmap(image->engine_data, image->sectors * BLKIF_SECTOR_BYTES);
	image->engine_data = NULL;
}

static int mem_create(const struct disk_queue_config *config, struct disk_queue **out)
{
	struct mem_queue *q = calloc(1, sizeof(*q) + config->depth * sizeof(q->done[0]));

	if (!q)
		return -ENOMEM;
	q->base.engine = &disk_mem;
	q->content = config->image->engine_data;
	q->depth = config->depth;
	memcpy(q->wake_fd, config->wake_fd, sizeof(q->wake_fd));
	*out = &q->base;
	return 0;
}

static void mem_destroy(struct disk_queue *queue)
{
	free(queue);
}

static void mem_submit(struct disk_queue *queue, struct disk_io *io)
{
	struct mem_queue *q = (struct mem_queue *)queue;
	char *at = q->content + io->offset_bytes;

	for (unsigned i = 0; i < io->nr_iov; i++) { /* a flush has none */
		const struct iovec *v = &io->iov[i];

		if (io->op == DISK_READ)
			memcpy(v->iov_base, at, v->iov_len);
		else
			memcpy(at, v->iov_base, v->iov_len);
		at += v->iov_len;
	}
	io->left_bytes = 0;
	io->error = 0;
	q->done[q->nr_done++] = io;
}

static int mem_poll(struct disk_queue *queue, struct disk_io *done[], unsigned max, unsigned *woken)
{
	struct mem_queue *q = (struct mem_queue *)queue;
	unsigned n = q->nr_done < max ? q->nr_done : max;

	memcpy(done, q->done, n * sizeof(done[0]));
	q->nr_done -= n;
	memmove(q->done, q->done + n, q->nr_done * sizeof(done[0]));
	*woken |= q->woken;
	q->woken = 0;
	return (int)n;
}

static int mem_wait(struct disk_queue *queue)
{
	struct mem_queue *q = (struct mem_queue *)queue;
	struct pollfd fds[DISK_NR_WAKE_FDS];

	if (q->nr_done)
		return 0;
	for (int i = 0; i < DISK_NR_WAKE_FDS; i++)
		fds[i] = (struct pollfd){.fd = q->wake_fd[i], .events = POLLIN};
	if (poll(fds, DISK_NR_WAKE_FDS, -1) < 0)
		return errno == EINTR ? 0 : -errno;
	for (int i = 0; i < DISK_NR_WAKE_FDS; i++)
		if (fds[i].revents)
			q->woken |= 1u << i;
	return 0;
}

const struct disk_engine disk_mem = {
	.name = "memory",
	.can_be_direct = false,
	.open = mem_open,
	.close = mem_close,
	.create = mem_create,
	.destroy = mem_destroy,
	.submit = mem_submit,
	.poll = mem_poll,
	.wait = mem_wait,
};
