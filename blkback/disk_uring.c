/*
 * blkback/disk_uring.c - the io_uring engine: one ring a queue, one system call for a burst, one to sleep.
 *
 *      submit: one SQE, or a place in the list of those that wait for room
 *      poll:   io_uring_enter if there are new SQEs, then the completion ring
 *      wait:   polls on the wake fds are put into the same ring, so that one io_uring_enter sleeps for all
 *
 * The image is a registered file; guest memory is registered too (disk_uring_ram.h). A request that lies in one piece within a
 * registered buffer goes as a fixed read or write, any other as readv or writev. What io_uring cannot do here (a secure discard;
 * all but reads and writes on a ring that polls for completions) is a system call of this thread (disk_sync.h).
 *
 * What this kernel lacks is done without, one thing at a time: polled completion, polled submission, a single issuer with
 * deferred task work, cooperative task work, a ring with room for all, registered ring, file and memory.
 *
 * Runs in  create too: the queue's thread, because the kernel is told that it is the only one to submit.
 * Fails    io_uring_enter refuses for good: what the kernel has not taken comes back with the error, then what it has taken as
 *          that ends; then poll says the error.
 */
#include <limits.h>
#include <poll.h>
#include <unistd.h>

#include "blkback/disk_fifo.h"
#include "blkback/disk_sync.h"
#include "blkback/disk_uring_ram.h"
#include "blkback/disk_wake.h"
#include "hv/log.h"
#include "rings/atomics.h"

#define URING_MIN_ENTRIES 8u
#define URING_MAX_TAG DISK_NR_WAKE_FDS /* user_data 0 .. DISK_NR_WAKE_FDS - 1: a wake fd; else a struct disk_io */
#define URING_SUBMIT_IDLE_MS 50        /* after which the kernel's submitting thread sleeps */
/* The disk works on the first of a burst while the rest is being submitted, and the guest on the first answers. */
#define URING_BATCH 16u
#define URING_BROKEN_PAUSE_MS 1

/* linux/blkdev.h's BLOCK_URING_CMD_DISCARD, which older headers do not have. */
#define URING_CMD_DISCARD _IO(0x12, 0)

struct uring_queue {
	struct disk_queue base;
	struct io_uring ring;
	bool is_open; /* the ring */
	const struct disk_image *image;
	int fd;           /* of the image: a number, or its index when fd_flags is IOSQE_FIXED_FILE */
	uint8_t fd_flags;
	bool is_polled;   /* completions are looked for: no SQE but reads and writes */
	bool is_refused;  /* which the device cannot: another ring will be made when this one is empty */
	bool has_discard; /* the kernel discards on block devices asynchronously, as far as we know */
	int error;        /* the ring is broken */
	unsigned max_in_kernel; /* more could overflow the completion ring */
	unsigned in_kernel;     /* SQEs of I/Os, those not yet submitted included */
	bool is_armed[DISK_NR_WAKE_FDS];
	struct disk_wake wake;
	struct disk_fifo waiting; /* for room in the ring */
	struct disk_fifo sync;    /* for a system call */
	struct uring_ram ram;
	/* For the next ring. */
	unsigned depth;
	const uint32_t *ram_epoch;
	unsigned nr_memory;
	struct iovec memory[GATE_MAX_EXTENTS];
};

/* ---- setting up --------------------------------------------------------------------------------------------------- */

/* The largest ring that there is memory for. */
static int uring_init_flags(struct io_uring *ring, unsigned entries, unsigned flags)
{
	int err;

	do {
		struct io_uring_params params = {.flags = flags | IORING_SETUP_CLAMP, .sq_thread_idle = URING_SUBMIT_IDLE_MS};

		err = io_uring_queue_init_params(entries, ring, &params);
		entries /= 2;
	} while (err == -ENOMEM && entries >= URING_MIN_ENTRIES);
	return err;
}

/* want: IORING_SETUP_SQPOLL, IORING_SETUP_IOPOLL or none; all else that helps, as far as the kernel knows it. */
static int uring_init(struct io_uring *ring, unsigned entries, unsigned want)
{
	static const unsigned wishes[] = {
		IORING_SETUP_SINGLE_ISSUER | IORING_SETUP_DEFER_TASKRUN | IORING_SETUP_TASKRUN_FLAG,
		IORING_SETUP_COOP_TASKRUN | IORING_SETUP_TASKRUN_FLAG,
		0,
	};
	int err = -EINVAL;

	if (want & IORING_SETUP_SQPOLL) /* its submitter is the kernel's thread: no task work is ours */
		return uring_init_flags(ring, entries, want);
	for (size_t i = 0; i < sizeof(wishes) / sizeof(wishes[0]) && err == -EINVAL; i++)
		err = uring_init_flags(ring, entries, want | wishes[i]);
	return err;
}

static int uring_set_up(struct uring_queue *q)
{
	unsigned entries = q->depth + DISK_NR_WAKE_FDS, submit = q->image->is_polled_submit ? IORING_SETUP_SQPOLL : 0;
	int err = -EOPNOTSUPP;

	if (q->is_polled)
		err = uring_init(&q->ring, entries, IORING_SETUP_IOPOLL | submit);
	if (err && q->is_polled)
		log_info("io_uring: the kernel does not let completions be polled for (%s); going on without", strerror(-err));
	q->is_polled = !err;
	if (err)
		err = uring_init(&q->ring, entries, submit);
	if (err && submit) {
		log_info("io_uring: the kernel gives no thread that submits (%s); going on without", strerror(-err));
		err = uring_init(&q->ring, entries, 0);
	}
	return err;
}

static int uring_open(struct uring_queue *q)
{
	int err = uring_set_up(q);

	q->is_open = !err;
	if (err)
		return err;
	q->max_in_kernel = q->ring.cq.ring_entries - DISK_NR_WAKE_FDS;
	io_uring_register_ring_fd(&q->ring); /* best effort: saves a look-up on every enter */
	q->fd = q->image->fd;
	q->fd_flags = 0;
	if (io_uring_register_files(&q->ring, &q->fd, 1) == 0) {
		q->fd = 0;
		q->fd_flags = IOSQE_FIXED_FILE;
	}
	uring_ram_init(&q->ram, &q->ring, q->memory, q->nr_memory, q->ram_epoch);
	return 0;
}

static void uring_close(struct uring_queue *q)
{
	if (!q->is_open)
		return;
	q->is_open = false;
	/* The kernel takes a ring apart some time after it was closed; the image is let go of now. */
	if (q->fd_flags & IOSQE_FIXED_FILE)
		io_uring_unregister_files(&q->ring);
	uring_ram_finish(&q->ram);
	io_uring_queue_exit(&q->ring);
}

static void uring_free(struct uring_queue *q)
{
	disk_fifo_finish(&q->sync);
	disk_fifo_finish(&q->waiting);
	free(q);
}

static int uring_create(const struct disk_queue_config *config, struct disk_queue **out)
{
	struct uring_queue *q;
	int err = -ENOMEM;

	if (config->image->is_memory)
		return disk_sync.create(config, out);
	q = calloc(1, sizeof(*q));
	if (!q)
		return -ENOMEM;
	q->base.engine = &disk_uring;
	q->image = config->image;
	q->depth = config->depth;
	q->has_discard = q->image->is_block;
	q->is_polled = q->image->is_polled_complete && q->image->is_direct;
	if (q->image->is_polled_complete && !q->is_polled)
		log_info("io_uring: completions cannot be polled for without O_DIRECT; going on without");
	q->nr_memory = config->nr_ram < GATE_MAX_EXTENTS ? config->nr_ram : GATE_MAX_EXTENTS;
	for (unsigned i = 0; i < q->nr_memory; i++)
		q->memory[i] = config->ram[i];
	q->ram_epoch = config->ram_epoch;
	disk_wake_init(&q->wake, config);
	if (!disk_fifo_init(&q->waiting, config->depth) && !disk_fifo_init(&q->sync, config->depth))
		err = uring_open(q);
	if (err) {
		uring_free(q);
		return err;
	}
	*out = &q->base;
	return 0;
}

static void uring_destroy(struct disk_queue *queue)
{
	struct uring_queue *q = (struct uring_queue *)queue;

	uring_close(q);
	uring_free(q);
}

/* The device said to the first I/O that it cannot be polled; none is in the kernel any more. */
static void uring_stop_polling(struct uring_queue *q)
{
	log_info("io_uring: the image's device cannot be polled for completions; going on without");
	uring_close(q);
	q->is_polled = q->is_refused = false;
	q->error = uring_open(q);
}

/* ---- submitting --------------------------------------------------------------------------------------------------- */

static void uring_prepare_transfer(struct uring_queue *q, struct io_uring_sqe *sqe, struct disk_io *io)
{
	const struct iovec *iov = &io->iov[io->iov_at];
	unsigned left = io->nr_iov - io->iov_at, nr_iov = left < IOV_MAX ? left : IOV_MAX;
	bool is_read = io->op == DISK_READ;
	int fixed = nr_iov == 1 ? uring_ram_index(&q->ram, iov) : -1;

	if (fixed >= 0 && is_read)
		io_uring_prep_read_fixed(sqe, q->fd, iov->iov_base, (unsigned)iov->iov_len, io->offset_bytes, fixed);
	else if (fixed >= 0)
		io_uring_prep_write_fixed(sqe, q->fd, iov->iov_base, (unsigned)iov->iov_len, io->offset_bytes, fixed);
	else if (is_read)
		io_uring_prep_readv(sqe, q->fd, iov, nr_iov, io->offset_bytes);
	else
		io_uring_prep_writev(sqe, q->fd, iov, nr_iov, io->offset_bytes);
}

static void uring_prepare_discard(struct uring_queue *q, struct io_uring_sqe *sqe, const struct disk_io *io)
{
	if (!q->image->is_block) {
		io_uring_prep_fallocate(sqe, q->fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, (off_t)io->offset_bytes,
					(off_t)io->left_bytes);
		return;
	}
	io_uring_prep_rw(IORING_OP_URING_CMD, sqe, q->fd, (void *)(uintptr_t)io->offset_bytes, 0, 0);
	sqe->cmd_op = URING_CMD_DISCARD;
	sqe->addr3 = io->left_bytes;
}

/* Is it for a system call of this thread? */
static bool uring_is_sync(const struct uring_queue *q, const struct disk_io *io)
{
	if (q->is_polled && io->op > DISK_WRITE)
		return true;
	return io->op == DISK_SECURE_DISCARD || (io->op == DISK_DISCARD && q->image->is_block && !q->has_discard);
}

/* false: the ring is full. */
static bool uring_put(struct uring_queue *q, struct disk_io *io)
{
	bool has_room = q->in_kernel < q->max_in_kernel && !q->is_refused;
	struct io_uring_sqe *sqe = has_room ? io_uring_get_sqe(&q->ring) : NULL;

	if (!sqe)
		return false;
	if (io->op == DISK_FLUSH)
		io_uring_prep_fsync(sqe, q->fd, IORING_FSYNC_DATASYNC);
	else if (io->op == DISK_DISCARD)
		uring_prepare_discard(q, sqe, io);
	else
		uring_prepare_transfer(q, sqe, io);
	sqe->flags |= q->fd_flags;
	io_uring_sqe_set_data(sqe, io);
	q->in_kernel++;
	return true;
}

/* -EBUSY, -EAGAIN, -EINTR: the kernel is short of something for a moment; what was not taken stays in the ring. */
static bool uring_is_transient(int err)
{
	return err == -EAGAIN || err == -EBUSY || err == -EINTR;
}

/* A ring that breaks says so in poll. */
static void uring_check(struct uring_queue *q, int err)
{
	if (err < 0 && !uring_is_transient(err))
		q->error = err;
}

/* Gives the kernel what is new. */
static void uring_push(struct uring_queue *q)
{
	uring_check(q, io_uring_submit(&q->ring));
}

static void uring_submit(struct disk_queue *queue, struct disk_io *io)
{
	struct uring_queue *q = (struct uring_queue *)queue;

	if (uring_is_sync(q, io))
		disk_fifo_put(&q->sync, io);
	else if (disk_fifo_count(&q->waiting) || !uring_put(q, io))
		disk_fifo_put(&q->waiting, io);
	else if (!q->error && io_uring_sq_ready(&q->ring) >= URING_BATCH)
		uring_push(q);
}

/* ---- completing --------------------------------------------------------------------------------------------------- */

/* Gives the kernel what is new, and lets it do its part of what has finished. */
static void uring_enter(struct uring_queue *q)
{
	if (q->is_refused && !q->in_kernel)
		uring_stop_polling(q);
	if (q->error)
		return;
	while (disk_fifo_count(&q->waiting) && uring_put(q, disk_fifo_peek(&q->waiting, 0)))
		disk_fifo_take(&q->waiting);
	if (io_uring_sq_ready(&q->ring))
		uring_push(q);
	if (!q->error && q->is_polled && q->in_kernel)
		uring_check(q, io_uring_get_events(&q->ring));
}

/* A kernel without asynchronous discards says so at the first one. */
static bool uring_is_refused_discard(const struct disk_io *io, int result)
{
	return io->op == DISK_DISCARD && (result == -EOPNOTSUPP || result == -EINVAL || result == -ENOTTY);
}

/* The kernel is done with this one; true: it has finished. */
static bool uring_complete(struct uring_queue *q, struct disk_io *io, int result)
{
	q->in_kernel--;
	if (q->image->is_block && q->has_discard && uring_is_refused_discard(io, result)) {
		q->has_discard = false;
		uring_submit(&q->base, io);
		return false;
	}
	if (q->is_polled && result == -EOPNOTSUPP)
		q->is_refused = true;
	else if (disk_io_answer(io, result))
		return true;
	uring_submit(&q->base, io);
	return false;
}

static unsigned uring_reap(struct uring_queue *q, struct disk_io *done[], unsigned max)
{
	struct io_uring_cqe *cqe;
	unsigned n = 0;

	while (n < max && io_uring_peek_cqe(&q->ring, &cqe) == 0) {
		uint64_t data = cqe->user_data;
		int result = cqe->res;

		io_uring_cqe_seen(&q->ring, cqe);
		if (data < URING_MAX_TAG) {
			q->is_armed[data] = false;
			q->wake.woken |= 1u << data;
			continue;
		}
		done[n] = (struct disk_io *)(uintptr_t)data;
		n += uring_complete(q, done[n], result);
	}
	return n;
}

/* An I/O that the kernel has not seen, nor will see: taken off the end of the submission ring. NULL: there is none. */
static struct disk_io *uring_take_back(struct uring_queue *q)
{
	struct io_uring_sq *sq = &q->ring.sq;

	/* The kernel is told of these only in io_uring_enter, which is no more called to submit; a thread of its own sees them. */
	while (q->is_open && !(q->ring.flags & IORING_SETUP_SQPOLL) && sq->sqe_tail != load_acquire(sq->khead)) {
		uint64_t data = sq->sqes[--sq->sqe_tail & sq->ring_mask].user_data;

		if (data < URING_MAX_TAG)
			continue;
		q->in_kernel--;
		return (struct disk_io *)(uintptr_t)data;
	}
	return NULL;
}

/* The ring is broken: everything comes back, what the kernel has when it is done with it. */
static int uring_poll_broken(struct uring_queue *q, struct disk_io *done[], unsigned max)
{
	unsigned n = 0;

	while (n < max) {
		struct disk_io *io = disk_fifo_count(&q->waiting) ? disk_fifo_take(&q->waiting) : uring_take_back(q);

		if (!io && disk_fifo_count(&q->sync))
			io = disk_fifo_take(&q->sync);
		if (!io)
			break;
		io->error = q->error;
		done[n++] = io;
	}
	if (n < max && q->in_kernel) {
		io_uring_get_events(&q->ring); /* the kernel may yet do its part of what has finished */
		n += uring_reap(q, done + n, max - n);
	}
	return n || q->in_kernel || disk_fifo_count(&q->waiting) || disk_fifo_count(&q->sync) ? (int)n : q->error;
}

static int uring_poll(struct disk_queue *queue, struct disk_io *done[], unsigned max, unsigned *woken)
{
	struct uring_queue *q = (struct uring_queue *)queue;
	unsigned n;
	int left;

	if (!q->error)
		uring_enter(q);
	if (q->error) {
		left = uring_poll_broken(q, done, max);
		disk_wake_tell(&q->wake, woken);
		return left;
	}
	n = uring_reap(q, done, max < URING_BATCH ? max : URING_BATCH);
	if (n < max && disk_fifo_count(&q->sync)) { /* one at a time: these may take long */
		done[n] = disk_fifo_take(&q->sync);
		disk_sync_do(q->image, done[n++]);
	}
	disk_wake_tell(&q->wake, woken);
	return (int)n;
}

static void uring_arm(struct uring_queue *q)
{
	for (unsigned i = 0; i < DISK_NR_WAKE_FDS; i++) {
		struct io_uring_sqe *sqe;

		if (q->is_armed[i] || q->wake.fd[i] < 0)
			continue;
		sqe = io_uring_get_sqe(&q->ring);
		if (!sqe)
			return; /* full of I/Os: one of them will end the sleep */
		io_uring_prep_poll_add(sqe, q->wake.fd[i], POLLIN);
		io_uring_sqe_set_data64(sqe, i);
		q->is_armed[i] = true;
	}
}

static int uring_wait(struct disk_queue *queue)
{
	struct uring_queue *q = (struct uring_queue *)queue;

	if (disk_fifo_count(&q->sync) || (disk_fifo_count(&q->waiting) && !q->in_kernel))
		return 0;
	if (q->error)
		return disk_wake_wait(&q->wake, -1, 0, URING_BROKEN_PAUSE_MS, NULL);
	if (q->is_polled) /* nobody tells us of a completion: there is nothing to sleep for while one is due */
		return q->in_kernel ? 0 : disk_wake_wait(&q->wake, -1, 0, -1, NULL);
	uring_arm(q);
	uring_check(q, io_uring_submit_and_wait(&q->ring, 1)); /* if it breaks, poll gives everything back and then says so */
	return 0;
}

const struct disk_engine disk_uring = {
	.name = "io_uring",
	.can_be_direct = true,
	.merges = true,
	.follows_size = true,
	.create = uring_create,
	.destroy = uring_destroy,
	.submit = uring_submit,
	.poll = uring_poll,
	.wait = uring_wait,
};
