/*
 * test/unit/blkback_fault_test.c - engines on a kernel that lacks features, that does less than it was asked, or that breaks.
 *
 * The kernel's interfaces are functions of shared libraries, and this program's own come first: each passes on to the real one
 * but for what the test has ordered.
 */
#include <dlfcn.h>
#include <libaio.h>
#include <liburing.h>
#include <sys/syscall.h>

#include "disk_rig.h"

static struct {
	unsigned refused_flags;  /* of io_uring_setup: -EINVAL */
	unsigned max_entries;    /* more: -ENOMEM; 0: any number */
	bool no_files, no_buffers, no_update, no_ring_fd;
	bool shorten;            /* transfers are cut to about half */
	unsigned nr_shortened;
	unsigned submits_left;   /* then io_uring_submit fails for good */
	bool is_counting;
	bool aio_breaks;
} order;

#define REAL(name) ((__typeof__(&name))dlsym(RTLD_NEXT, #name))

/* ---- io_uring -------------------------------------------------------------------------------------------------------- */

int io_uring_queue_init_params(unsigned entries, struct io_uring *ring, struct io_uring_params *p)
{
	if (p->flags & order.refused_flags)
		return -EINVAL;
	if (order.max_entries && entries > order.max_entries)
		return -ENOMEM;
	return REAL(io_uring_queue_init_params)(entries, ring, p);
}

int io_uring_register_files(struct io_uring *ring, const int *files, unsigned nr)
{
	return order.no_files ? -EPERM : REAL(io_uring_register_files)(ring, files, nr);
}

int io_uring_register_ring_fd(struct io_uring *ring)
{
	return order.no_ring_fd ? -EINVAL : REAL(io_uring_register_ring_fd)(ring);
}

int io_uring_register_buffers_sparse(struct io_uring *ring, unsigned nr)
{
	return order.no_buffers ? -EINVAL : REAL(io_uring_register_buffers_sparse)(ring, nr);
}

int io_uring_register_buffers_update_tag(struct io_uring *ring, unsigned off, const struct iovec *iov, const __u64 *tags,
					 unsigned nr)
{
	return order.no_update ? -ENOMEM : REAL(io_uring_register_buffers_update_tag)(ring, off, iov, tags, nr);
}

static size_t half(size_t bytes)
{
	return bytes > BLKIF_SECTOR_BYTES ? (bytes / 2 + BLKIF_SECTOR_BYTES - 1) & ~(size_t)(BLKIF_SECTOR_BYTES - 1) : bytes;
}

static void shorten_sqes(struct io_uring *ring)
{
	for (unsigned i = ring->sq.sqe_head; order.shorten && i != ring->sq.sqe_tail; i++) {
		struct io_uring_sqe *sqe = &ring->sq.sqes[i & ring->sq.ring_mask];
		unsigned len = sqe->len;

		if (sqe->opcode == IORING_OP_READ_FIXED || sqe->opcode == IORING_OP_WRITE_FIXED)
			sqe->len = (unsigned)half(len);
		else if (sqe->opcode == IORING_OP_READV || sqe->opcode == IORING_OP_WRITEV)
			sqe->len = len > 1 ? len / 2 : len;
		order.nr_shortened += sqe->len != len;
	}
}

int io_uring_submit(struct io_uring *ring)
{
	if (order.is_counting && !order.submits_left)
		return -EBADR;
	if (order.is_counting)
		order.submits_left--;
	shorten_sqes(ring);
	return REAL(io_uring_submit)(ring);
}

int io_uring_submit_and_wait(struct io_uring *ring, unsigned nr)
{
	shorten_sqes(ring);
	return REAL(io_uring_submit_and_wait)(ring, nr);
}

/* ---- libaio and plain calls --------------------------------------------------------------------------------------------- */

int io_submit(io_context_t ctx, long nr, struct iocb *iocbs[])
{
	static struct iovec cut[DISK_RIG_DEPTH];

	for (long i = 0; order.shorten && i < nr; i++) {
		struct iocb *cb = iocbs[i];
		struct iovec *iov = cb->u.c.buf;

		if (cb->aio_lio_opcode != IO_CMD_PREADV && cb->aio_lio_opcode != IO_CMD_PWRITEV)
			continue;
		cut[i] = (struct iovec){iov->iov_base, half(iov->iov_len)};
		order.nr_shortened += cb->u.c.nbytes > 1 || cut[i].iov_len < iov->iov_len;
		cb->u.c.buf = &cut[i];
		cb->u.c.nbytes = 1;
	}
	return REAL(io_submit)(ctx, nr, iocbs);
}

int io_getevents(io_context_t ctx, long least, long nr, struct io_event *events, struct timespec *timeout)
{
	return order.aio_breaks ? -EINVAL : REAL(io_getevents)(ctx, least, nr, events, timeout);
}

static size_t shorten(size_t bytes)
{
	size_t less = order.shorten ? half(bytes) : bytes;

	order.nr_shortened += less < bytes;
	return less;
}

ssize_t pread(int fd, void *data, size_t bytes, off_t at)
{
	return syscall(SYS_pread64, fd, data, shorten(bytes), at);
}

ssize_t pwrite(int fd, const void *data, size_t bytes, off_t at)
{
	return syscall(SYS_pwrite64, fd, data, shorten(bytes), at);
}

ssize_t preadv(int fd, const struct iovec *iov, int nr, off_t at)
{
	return order.shorten ? pread(fd, iov->iov_base, iov->iov_len, at) : syscall(SYS_preadv, fd, iov, nr, at, 0);
}

ssize_t pwritev(int fd, const struct iovec *iov, int nr, off_t at)
{
	return order.shorten ? pwrite(fd, iov->iov_base, iov->iov_len, at) : syscall(SYS_pwritev, fd, iov, nr, at, 0);
}

/* ---- tests ------------------------------------------------------------------------------------------------------------------- */

/* Writes, in one piece and in several, many at a time; reads all back; flushes and discards. */
static void check_all_works(struct disk_rig *r)
{
	uint8_t *copy = r->ram + 48 * PAGE_BYTES;

	disk_rig_fill(r->ram, 32 * PAGE_BYTES, 99);
	for (unsigned i = 0; i < 16; i++) {
		struct iovec v[2] = {{r->ram + 2 * i * PAGE_BYTES, PAGE_BYTES + 1024},
				     {r->ram + 2 * i * PAGE_BYTES + PAGE_BYTES + 1024, PAGE_BYTES - 1024}};

		v[0].iov_len = i % 2 ? v[0].iov_len : 2 * PAGE_BYTES;
		disk_rig_submit(r, i, DISK_WRITE, i * 16, v, i % 2 ? 2 : 1);
	}
	disk_rig_run(r, 16);
	assert_int_equal(disk_rig_do(r, DISK_FLUSH, 0, NULL, 0), 0);
	for (unsigned i = 0; i < 16; i++) {
		struct iovec v[2] = {{copy, 512}, {copy + 512, 2 * PAGE_BYTES - 512}};

		assert_int_equal(r->io[i].error, 0);
		v[0].iov_len = i % 2 ? 2 * PAGE_BYTES : 512;
		assert_int_equal(disk_rig_do(r, DISK_READ, i * 16, v, i % 2 ? 1 : 2), 0);
		assert_memory_equal(copy, r->ram + 2 * i * PAGE_BYTES, 2 * PAGE_BYTES);
	}
	assert_int_equal(disk_rig_discard(r, DISK_DISCARD, 0, 8), 0);
	assert_int_equal(disk_rig_do(r, DISK_READ, 0, &(struct iovec){copy, PAGE_BYTES}, 1), 0);
	for (unsigned i = 0; i < PAGE_BYTES; i++)
		assert_int_equal(copy[i], 0);
}

static void what_comes_up_short_is_continued(void **state)
{
	static const struct disk_engine *const engines[] = {&disk_uring, &disk_aio, &disk_sync};

	for (size_t i = 0; i < ARRAY_LEN(engines); i++) {
		struct disk_rig r;

		memset(&order, 0, sizeof(order));
		disk_rig_start(&r, engines[i], DISK_DIRECT_OFF);
		order.shorten = true;
		check_all_works(&r);
		assert_true(order.nr_shortened > 16);
		order.shorten = false;
		disk_rig_stop(&r);
	}
}

static void io_uring_does_without_what_the_kernel_lacks(void **state)
{
	static const struct {
		unsigned refused_flags, max_entries;
		bool no_files, no_buffers, no_update, no_ring_fd, wants_sqpoll, wants_iopoll;
		enum disk_direct direct;
	} cases[] = {
		{0},
		{.refused_flags = IORING_SETUP_SINGLE_ISSUER},
		{.refused_flags = IORING_SETUP_DEFER_TASKRUN},
		{.refused_flags = IORING_SETUP_SINGLE_ISSUER | IORING_SETUP_COOP_TASKRUN},
		{.max_entries = 8},
		{.no_files = true},
		{.no_buffers = true},
		{.no_update = true}, /* as with a limit on locked memory */
		{.no_ring_fd = true},
		{.wants_sqpoll = true},
		{.wants_sqpoll = true, .max_entries = 8},
		{.wants_sqpoll = true, .refused_flags = IORING_SETUP_SQPOLL},
		{.wants_iopoll = true, .direct = DISK_DIRECT_OFF},
		{.wants_iopoll = true},
		{.wants_iopoll = true, .refused_flags = IORING_SETUP_IOPOLL},
		{.wants_iopoll = true, .wants_sqpoll = true},
	};

	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct disk_options options = {.engine = &disk_uring, .direct = cases[i].direct,
					       .is_polled_submit = cases[i].wants_sqpoll, .is_polled_complete = cases[i].wants_iopoll};
		struct disk_rig r;

		memset(&order, 0, sizeof(order));
		memset(&r, 0, sizeof(r));
		order.refused_flags = cases[i].refused_flags;
		order.max_entries = cases[i].max_entries;
		order.no_files = cases[i].no_files;
		order.no_buffers = cases[i].no_buffers;
		order.no_update = cases[i].no_update;
		order.no_ring_fd = cases[i].no_ring_fd;
		disk_rig_make_file(r.path, DISK_RIG_SECTORS * BLKIF_SECTOR_BYTES);
		assert_int_equal(disk_image_open(&r.image, r.path, false, &options, r.why, r.note), 0);
		disk_rig_make_queue(&r);
		check_all_works(&r);
		disk_rig_stop(&r);
	}
	memset(&order, 0, sizeof(order));
}

/* Polls until the engine says that it broke; how many came back, each with an error. */
static unsigned count_failed(struct disk_rig *r, int error)
{
	struct disk_io *done[3];
	unsigned woken = 0, nr = 0;
	int got;

	while ((got = r->queue->engine->poll(r->queue, done, 3, &woken)) >= 0) {
		for (int i = 0; i < got; i++)
			nr += done[i]->error == error;
		if (!got)
			assert_int_equal(r->queue->engine->wait(r->queue), 0);
	}
	assert_int_equal(got, error);
	return nr;
}

static void an_engine_that_breaks_gives_everything_back_first(void **state)
{
	struct disk_rig r;

	memset(&order, 0, sizeof(order));
	disk_rig_start(&r, &disk_uring, DISK_DIRECT_AUTO);
	order.max_entries = 8;
	order.is_counting = true;
	for (unsigned i = 0; i < DISK_RIG_DEPTH; i++)
		disk_rig_submit(&r, i, i % 4 ? DISK_READ : DISK_FLUSH, i * 8, &(struct iovec){r.ram + i * PAGE_BYTES, PAGE_BYTES},
				i % 4 ? 1 : 0);
	assert_int_equal(count_failed(&r, -EBADR), DISK_RIG_DEPTH);
	disk_rig_stop(&r);

	/* Some are with the kernel when it breaks: they end as they end. */
	memset(&order, 0, sizeof(order));
	disk_rig_start(&r, &disk_uring, DISK_DIRECT_AUTO);
	order.is_counting = true;
	order.submits_left = 1;
	for (unsigned half_way = 0; half_way < 2; half_way++) {
		struct disk_io *done[1];
		unsigned woken = 0;

		for (unsigned i = 0; i < DISK_RIG_DEPTH / 2; i++)
			disk_rig_submit(&r, half_way * DISK_RIG_DEPTH / 2 + i, DISK_READ, 0, &(struct iovec){r.ram, PAGE_BYTES}, 1);
		if (!half_way)
			assert_true(r.queue->engine->poll(r.queue, done, 0, &woken) == 0);
	}
	assert_in_range(count_failed(&r, -EBADR), DISK_RIG_DEPTH / 2, DISK_RIG_DEPTH);
	for (unsigned i = 0; i < DISK_RIG_DEPTH; i++)
		assert_int_not_equal(r.io[i].error, 12345);
	disk_rig_stop(&r);

	memset(&order, 0, sizeof(order));
	disk_rig_start(&r, &disk_aio, DISK_DIRECT_AUTO);
	order.aio_breaks = true;
	for (unsigned i = 0; i < DISK_RIG_DEPTH; i++)
		disk_rig_submit(&r, i, DISK_READ, i * 8, &(struct iovec){r.ram + i * PAGE_BYTES, PAGE_BYTES}, 1);
	assert_int_equal(count_failed(&r, -EINVAL), DISK_RIG_DEPTH);
	disk_rig_stop(&r);
	memset(&order, 0, sizeof(order));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_comes_up_short_is_continued),
		cmocka_unit_test(io_uring_does_without_what_the_kernel_lacks),
		cmocka_unit_test(an_engine_that_breaks_gives_everything_back_first),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
