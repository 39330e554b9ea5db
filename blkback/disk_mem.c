/*
 * blkback/disk_mem.c - the memory engine: the image's content in RAM. What guests write is not persisted.
 *
 * For tests and for measuring everything but the disk. Holes of the image take no memory until somebody writes there. An I/O is
 * a copy, done in poll, a few at a time:
 *
 *      read     a copy, while the next read's content is being fetched into the cache
 *      write    a copy past the cache: the content's old lines need not be read to be overwritten
 *      discard  whole pages go back to the kernel, which gives zeroes the next time; so a secure one is the same
 *
 * Owns     the content, for as long as the image is open: a front end that reconnects finds what it wrote.
 */
#include <sys/mman.h>
#include <unistd.h>

#include "blkback/disk_fifo.h"
#include "blkback/disk_image.h"
#include "blkback/disk_wake.h"

#if defined(__SSE2__)
#include <emmintrin.h>
#endif

/* Few enough that the guest takes the first answers while later ones are being copied. */
#define MEM_BATCH 16u
#define MEM_PREFETCH_BYTES 1024u /* the processor follows a stream by itself once it has begun */
#define CACHE_LINE_BYTES 64u

struct mem_queue {
	struct disk_queue base;
	char *content;
	struct disk_wake wake;
	struct disk_fifo todo;
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
	madvise(content, bytes, MADV_HUGEPAGE); /* best effort: a random read is a third faster without the TLB's misses */
	err = mem_load(image->fd, content, (off_t)bytes);
	if (err) {
		munmap(content, bytes);
		return err;
	}
	image->engine_data = content;
	image->can_discard = image->can_secure_discard = !image->is_readonly;
	image->discard_granularity_bytes = PAGE_BYTES;
	image->discard_alignment_bytes = 0;
	return 0;
}

static void mem_close(struct disk_image *image)
{
	munmap(image->engine_data, image->sectors * BLKIF_SECTOR_BYTES);
	image->engine_data = NULL;
}

static int mem_create(const struct disk_queue_config *config, struct disk_queue **out)
{
	struct mem_queue *q = calloc(1, sizeof(*q));

	if (!q)
		return -ENOMEM;
	q->base.engine = &disk_mem;
	q->content = config->image->engine_data;
	disk_wake_init(&q->wake, config);
	if (disk_fifo_init(&q->todo, config->depth)) {
		free(q);
		return -ENOMEM;
	}
	*out = &q->base;
	return 0;
}

static void mem_destroy(struct disk_queue *queue)
{
	struct mem_queue *q = (struct mem_queue *)queue;

	disk_fifo_finish(&q->todo);
	free(q);
}

static void mem_submit(struct disk_queue *queue, struct disk_io *io)
{
	disk_fifo_put(&((struct mem_queue *)queue)->todo, io);
}

/* to: in the content, a multiple of 512; so are the bytes. */
static void mem_store(char *to, const char *from, size_t bytes)
{
#if defined(__SSE2__)
	for (size_t at = 0; at < bytes; at += CACHE_LINE_BYTES) {
		__m128i a = _mm_loadu_si128((const __m128i *)(from + at));
		__m128i b = _mm_loadu_si128((const __m128i *)(from + at + 16));
		__m128i c = _mm_loadu_si128((const __m128i *)(from + at + 32));
		__m128i d = _mm_loadu_si128((const __m128i *)(from + at + 48));

		_mm_stream_si128((__m128i *)(to + at), a);
		_mm_stream_si128((__m128i *)(to + at + 16), b);
		_mm_stream_si128((__m128i *)(to + at + 32), c);
		_mm_stream_si128((__m128i *)(to + at + 48), d);
	}
#else
	memcpy(to, from, bytes);
#endif
}

/* Streamed stores are ordered with nothing; before the guest hears of them they must be seen by every thread. */
static void mem_store_fence(void)
{
#if defined(__SSE2__)
	_mm_sfence();
#endif
}

static void mem_prefetch(const struct mem_queue *q, const struct disk_io *io)
{
	const char *at = q->content + io->offset_bytes;
	uint64_t bytes = io->left_bytes < MEM_PREFETCH_BYTES ? io->left_bytes : MEM_PREFETCH_BYTES;

	if (io->op != DISK_READ)
		return;
	for (uint64_t i = 0; i < bytes; i += CACHE_LINE_BYTES)
		__builtin_prefetch(at + i, 0, 2);
}

/* The kernel takes back whole pages; of those at the edges a part is zeroed here. */
static void mem_discard(char *from, uint64_t bytes)
{
	char *end = from + bytes;
	char *first = (char *)(((uintptr_t)from + PAGE_BYTES - 1) & ~(uintptr_t)(PAGE_BYTES - 1));
	char *last = (char *)((uintptr_t)end & ~(uintptr_t)(PAGE_BYTES - 1));

	if (first >= last || madvise(first, (size_t)(last - first), MADV_DONTNEED) < 0) {
		memset(from, 0, bytes);
		return;
	}
	memset(from, 0, (size_t)(first - from));
	memset(last, 0, (size_t)(end - last));
}

static void mem_do(struct mem_queue *q, struct disk_io *io)
{
	char *at = q->content + io->offset_bytes;

	if (io->op >= DISK_DISCARD)
		mem_discard(at, io->left_bytes);
	for (unsigned i = 0; i < io->nr_iov; i++) { /* only reads and writes have any */
		const struct iovec *v = &io->iov[i];

		if (io->op == DISK_READ)
			memcpy(v->iov_base, at, v->iov_len);
		else
			mem_store(at, v->iov_base, v->iov_len);
		at += v->iov_len;
	}
	io->left_bytes = 0;
	io->error = 0;
}

static int mem_poll(struct disk_queue *queue, struct disk_io *done[], unsigned max, unsigned *woken)
{
	struct mem_queue *q = (struct mem_queue *)queue;
	unsigned n = 0, left;

	while (n < max && n < MEM_BATCH && (left = disk_fifo_count(&q->todo)) > 0) {
		struct disk_io *io = disk_fifo_take(&q->todo);

		if (left > 1)
			mem_prefetch(q, disk_fifo_peek(&q->todo, 0));
		mem_do(q, io);
		done[n++] = io;
	}
	if (n)
		mem_store_fence();
	disk_wake_tell(&q->wake, woken);
	return (int)n;
}

static int mem_wait(struct disk_queue *queue)
{
	struct mem_queue *q = (struct mem_queue *)queue;

	return disk_fifo_count(&q->todo) ? 0 : disk_wake_wait(&q->wake, -1, 0, -1, NULL);
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
