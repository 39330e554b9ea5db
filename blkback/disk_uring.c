/*
 * blkback/disk_uring.c - the io_uring engine: one ring a queue, one system call for a burst, one to sleep.
 *
 *      submit: one SQE
 *      poll:   io_uring_enter if there are new SQEs, then the completion ring
 *      wait:   polls on the wake fds are put into the same ring, so that one io_uring_enter sleeps for all
 *
 * The image is a registered file. Guest RAM becomes registered ("fixed") buffers chunk by chunk, when a chunk sees its first
 * I/O: a guest that uses little of its memory for I/O has little of it pinned, and connecting a device costs nothing.
 * A request that lies in one piece within a chunk goes as a fixed read or write, any other as readv or writev. A registered
 * buffer keeps the pages it was made of: when the guest gave frames back (ram_epoch), all are made anew.
 *
 * Runs in  create too: the queue's thread, because the kernel is told that it is the only one to submit.
 * Fails    what this kernel lacks (single issuer, deferred task work, registering) is done without.
 */
#include <liburing.h>
#include <limits.h>
#include <poll.h>
#include <stdlib.h>
#include <unistd.h>

#include "blkback/disk_image.h"
#include "grant/gate.h"
#include "rings/atomics.h"
#include "hv/log.h"

#define URING_MIN_CHUNK_BYTES (UINT64_C(1) << 20)
#define URING_MAX_CHUNKS 4096u
#define URING_MAX_TAG DISK_NR_WAKE_FDS /* user_data 0 .. DISK_NR_WAKE_FDS - 1: a wake fd; else a struct disk_io */

struct uring_ram {
	char *base;
	uint64_t bytes;
	unsigned first_chunk;
};

struct uring_queue {
	struct disk_queue base;
	struct io_uring ring;
	int fd;         /* of the image: a number, or its index when fd_flags is IOSQE_FIXED_FILE */
	uint8_t fd_flags;
	unsigned woken;
	int wake_fd[DISK_NR_WAKE_FDS];
	bool is_armed[DISK_NR_WAKE_FDS];
	unsigned chunk_shift;
	unsigned nr_chunks; /* 0: no fixed buffers */
	bool *is_fixed;     /* by chunk */
	const uint32_t *ram_epoch;
	uint32_t seen_epoch; /* that the registered chunks belong to */
	unsigned nr_ram;
	struct uring_ram ram[GATE_MAX_EXTENTS];
};

static int uring_setup(struct io_uring *ring, unsigned entries)
{
	static const unsigned wishes[] = {
		IORING_SETUP_SINGLE_ISSUER | IORING_SETUP_DEFER_TASKRUN | IORING_SETUP_TASKRUN_FLAG,
		IORING_SETUP_COOP_TASKRUN | IORING_SETUP_TASKRUN_FLAG,
		0,
	};
	int err = -EINVAL;

	for (size_t i = 0; i < sizeof(wishes) / sizeof(wishes[0]) && err == -EINVAL; i++) {
		struct io_uring_params params = {.flags = wishes[i] | IORING_SETUP_CLAMP};

		err = io_uring_queue_init_params(entries, ring, &params);
	}
	return err;
}

/* Cuts the RAM into chunks and makes an empty buffer table for them; without one, all I/O goes unregistered. */
static void uring_prepare_ram(struct uring_queue *q, const struct iovec ram[], unsigned nr_ram)
{
	uint64_t bytes = 0;
	unsigned nr = 0;

	for (unsigned i = 0; i < nr_ram && i < GATE_MAX_EXTENTS; i++)
		bytes += ram[i].iov_len;
	q->chunk_shift = (unsigned)__builtin_ctzll(URING_MIN_CHUNK_BYTES);
	while (bytes >> q->chunk_shift > URING_MAX_CHUNKS - GATE_MAX_EXTENTS)
		q->chunk_shift++;
	for (unsigned i = 0; i < nr_ram && i < GATE_MAX_EXTENTS; i++) {
		q->ram[i] = (struct uring_ram){ram[i].iov_base, ram[i].iov_len, nr};
		nr += (unsigned)((ram[i].iov_len + (UINT64_C(1) << q->chunk_shift) - 1) >> q->chunk_shift);
		q->nr_ram++;
	}
	if (!nr)
		return;
	q->is_fixed = calloc(nr, sizeof(q->is_fixed[0]));
	if (q->is_fixed && io_uring_register_buffers_sparse(&q->ring, nr) == 0)
		q->nr_chunks = nr;
}

static int uring_create(const struct disk_queue_config *config, struct disk_queue **out)
{
	struct uring_queue *q = calloc(1, sizeof(*q));
	int err;

	if (!q)
		return -ENOMEM;
	q->base.engine = &disk_uring;
	q->fd = config->image->fd;
	memcpy(q->wake_fd, config->wake_fd, sizeof(q->wake_fd));
	/* Every I/O has at most one SQE at a time, every wake fd one: the submission ring is never full. */
	err = uring_setup(&q->ring, config->depth + DISK_NR_WAKE_FDS);
	if (err) {
		free(q);
		return err;
	}
	io_uring_register_ring_fd(&q->ring); /* best effort: saves a look-up on every enter */
	if (io_uring_register_files(&q->ring, &q->fd, 1) == 0) {
		q->fd = 0;
		q->fd_flags = IOSQE_FIXED_FILE;
	}
	q->ram_epoch = config->ram_epoch;
	uring_prepare_ram(q, config->ram, config->nr_ram);
	*out = &q->base;
	return 0;
}

static void uring_destroy(struct disk_queue *queue)
{
	struct uring_queue *q = (struct uring_queue *)queue;

	/* The kernel takes a ring apart some time after it was closed; image and guest memory are let go of now. */
	if (q->fd_flags & IOSQE_FIXED_FILE)
		io_uring_unregister_files(&q->ring);
	if (q->is_fixed)
		io_uring_unregister_buffers(&q->ring);
	io_uring_queue_exit(&q->ring);
	free(q->is_fixed);
	free(q);
}

/* Registers one chunk of a RAM extent, its last one possibly shorter. */
static bool uring_fix_chunk(struct uring_queue *q, const struct uring_ram *ram, unsigned index)
{
	uint64_t start = (uint64_t)index << q->chunk_shift;
	uint64_t size = UINT64_C(1) << q->chunk_shift;
	struct iovec iov = {ram->base + start, ram->bytes - start < size ? ram->bytes - start : size};
	__u64 tag = 0;
	int err = io_uring_register_buffers_update_tag(&q->ring, ram->first_chunk + index, &iov, &tag, 1);

	if (err >= 0) {
		q->is_fixed[ram->first_chunk + index] = true;
		return true;
	}
	log_info("io_uring: guest memory is not registered (%s); going on without", strerror(-err));
	q->nr_chunks = 0; /* what is registered stays so, unused, until the queue ends */
	return false;
}

/* Pages of the guest's RAM were replaced: registered chunks may hold the old ones. Each is registered anew at its next I/O. */
static void uring_check_epoch(struct uring_queue *q)
{
	/* Pairs with the release of who replaced them, before the guest could ask for I/O there. */
	uint32_t epoch = q->ram_epoch ? load_acquire(q->ram_epoch) : 0;

	if (epoch == q->seen_epoch)
		return;
	q->seen_epoch = epoch;
	memset(q->is_fixed, 0, q->nr_chunks * sizeof(q->is_fixed[0]));
}

/* The registered buffer that holds all of v, or -1. */
static int uring_fixed_index(struct uring_queue *q, const struct iovec *v)
{
	if (!q->nr_chunks)
		return -1;
	uring_check_epoch(q);
	for (unsigned i = 0; i < q->nr_ram; i++) {
		const struct uring_ram *ram = &q->ram[i];
		uint64_t at = (uint64_t)((char *)v->iov_base - ram->base);
		unsigned index;

		if (at >= ram->bytes)
			continue;
		index = (unsigned)(at >> q->chunk_shift);
		if ((at + v->iov_len - 1) >> q->chunk_shift != index)
			return -1;
		if (!q->is_fixed[ram->first_chunk + index] && !uring_fix_chunk(q, ram, index))
			return -1;
		return (int)(ram->first_chunk + index);
	}
	return -1;
}

static void uring_prepare_transfer(struct uring_queue *q, struct io_uring_sqe *sqe, struct disk_io *io)
{
	const struct iovec *iov = &io->iov[io->iov_at];
	unsigned left = io->nr_iov - io->iov_at, nr_iov = left < IOV_MAX ? left : IOV_MAX;
	bool is_read = io->op == DISK_READ;
	int fixed = nr_iov == 1 ? uring_fixed_index(q, iov) : -1;

	if (fixed >= 0 && is_read)
		io_uring_prep_read_fixed(sqe, q->fd, iov->iov_base, (unsigned)iov->iov_len, io->offset_bytes, fixed);
	else if (fixed >= 0)
		io_uring_prep_write_fixed(sqe, q->fd, iov->iov_base, (unsigned)iov->iov_len, io->offset_bytes, fixed);
	else if (is_read)
		io_uring_prep_readv(sqe, q->fd, iov, nr_iov, io->offset_bytes);
	else
		io_uring_prep_writev(sqe, q->fd, iov, nr_iov, io->offset_bytes);
}

static void uring_submit(struct disk_queue *queue, struct disk_io *io)
{
	struct uring_queue *q = (struct uring_queue *)queue;
	struct io_uring_sqe *sqe = io_uring_get_sqe(&q->ring);

	if (io->op == DISK_FLUSH)
		io_uring_prep_fsync(sqe, q->fd, IORING_FSYNC_DATASYNC);
	else
		uring_prepare_transfer(q, sqe, io);
	sqe->flags |= q->fd_flags;
	io_uring_sqe_set_data(sqe, io);
}

/* -EBUSY, -EAGAIN, -EINTR: the kernel is short of something for a moment; what was not taken stays in the ring. */
static bool uring_is_transient(int err)
{
	return err == -EAGAIN || err == -EBUSY || err == -EINTR;
}

static int uring_poll(struct disk_queue *queue, struct disk_io *done[], unsigned max, unsigned *woken)
{
	struct uring_queue *q = (struct uring_queue *)queue;
	struct io_uring_cqe *cqe;
	unsigned n = 0;
	int err = 0;

	if (io_uring_sq_ready(&q->ring))
		err = io_uring_submit(&q->ring);
	if (err < 0 && !uring_is_transient(err))
		return err;
	while (n < max && io_uring_peek_cqe(&q->ring, &cqe) == 0) {
		uint64_t data = cqe->user_data;
		int result = cqe->res;

		io_uring_cqe_seen(&q->ring, cqe);
		if (data < URING_MAX_TAG) {
			q->is_armed[data] = false;
			q->woken |= 1u << data;
			continue;
		}
		if (disk_io_answer((struct disk_io *)(uintptr_t)data, result))
			done[n++] = (struct disk_io *)(uintptr_t)data;
		else
			uring_submit(queue, (struct disk_io *)(uintptr_t)data);
	}
	*woken |= q->woken;
	q->woken = 0;
	return (int)n;
}

static int uring_wait(struct disk_queue *queue)
{
	struct uring_queue *q = (struct uring_queue *)queue;
	int err;

	for (unsigned i = 0; i < DISK_NR_WAKE_FDS; i++) {
		struct io_uring_sqe *sqe;

		if (q->is_armed[i] || q->wake_fd[i] < 0)
			continue;
		sqe = io_uring_get_sqe(&q->ring);
		io_uring_prep_poll_add(sqe, q->wake_fd[i], POLLIN);
		io_uring_sqe_set_data64(sqe, i);
		q->is_armed[i] = true;
	}
	err = io_uring_submit_and_wait(&q->ring, 1);
	return err < 0 && !uring_is_transient(err) ? err : 0;
}

const struct disk_engine disk_uring = {
	.name = "io_uring",
	.can_be_direct = true,
	.create = uring_create,
	.destroy = uring_destroy,
	.submit = uring_submit,
	.poll = uring_poll,
	.wait = uring_wait,
};
