/*
 * test/unit/blkback_disk_test.c - the engine contract, for every engine; and the image behind them.
 */
#include <fcntl.h>
#include <poll.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#include "disk_rig.h"
#include "grant/gate.h"

static const struct disk_engine *const engines[] = {&disk_uring, &disk_aio, &disk_sync, &disk_mem};
#define NR_FILE_ENGINES 3u /* the first ones: they do their I/O on the file */

static void make_sparse(const char *path, off_t bytes)
{
	int fd = open(path, O_RDWR | O_CREAT, 0600);

	assert_true(fd >= 0);
	assert_int_equal(ftruncate(fd, bytes), 0);
	close(fd);
}

static void check_round_trip(const struct disk_engine *engine, enum disk_direct direct)
{
	struct disk_rig r;
	struct iovec whole, pieces[3], unregistered;

	disk_rig_start(&r, engine, direct);
	whole = (struct iovec){r.ram, 8 * PAGE_BYTES};
	pieces[0] = (struct iovec){r.ram + 20 * PAGE_BYTES, 4 * PAGE_BYTES};
	pieces[1] = (struct iovec){r.ram + 30 * PAGE_BYTES + 1024, 512};
	pieces[2] = (struct iovec){r.ram + 10 * PAGE_BYTES, 4 * PAGE_BYTES - 512};
	unregistered = (struct iovec){r.ram + (DISK_RIG_PAGES - 1) * PAGE_BYTES, PAGE_BYTES};
	disk_rig_fill(r.ram, 8 * PAGE_BYTES, 77);
	disk_rig_fill(unregistered.iov_base, PAGE_BYTES, 78);
	assert_int_equal(disk_rig_do(&r, DISK_WRITE, 8, &whole, 1), 0);
	assert_int_equal(disk_rig_do(&r, DISK_WRITE, DISK_RIG_SECTORS - 8, &unregistered, 1), 0);
	assert_int_equal(disk_rig_do(&r, DISK_FLUSH, 0, NULL, 0), 0);
	assert_int_equal(disk_rig_do(&r, DISK_READ, 8, pieces, 3), 0);
	assert_memory_equal(pieces[0].iov_base, r.ram, 4 * PAGE_BYTES);
	assert_memory_equal(pieces[1].iov_base, r.ram + 4 * PAGE_BYTES, 512);
	assert_memory_equal(pieces[2].iov_base, r.ram + 4 * PAGE_BYTES + 512, 4 * PAGE_BYTES - 512);
	assert_int_equal(r.ram[30 * PAGE_BYTES + 1023], 0x11);
	assert_int_equal(r.ram[30 * PAGE_BYTES + 1536], 0x11);
	whole.iov_len = PAGE_BYTES;
	assert_int_equal(disk_rig_do(&r, DISK_READ, DISK_RIG_SECTORS - 8, &whole, 1), 0);
	assert_memory_equal(whole.iov_base, unregistered.iov_base, PAGE_BYTES);
	assert_int_equal(disk_rig_do(&r, DISK_READ, 0, &whole, 1), 0);
	for (unsigned i = 0; i < PAGE_BYTES; i++)
		assert_int_equal(r.ram[i], 0);
	disk_rig_stop(&r);
}

static void what_is_written_is_read_back(void **state)
{
	for (size_t i = 0; i < ARRAY_LEN(engines); i++) {
		check_round_trip(engines[i], DISK_DIRECT_OFF);
		check_round_trip(engines[i], DISK_DIRECT_AUTO);
	}
}

static void writes_reach_the_file_unless_the_engine_is_memory(void **state)
{
	for (size_t i = 0; i < ARRAY_LEN(engines); i++) {
		struct disk_rig r;
		struct iovec v;
		uint8_t back[PAGE_BYTES];
		bool same;
		int fd;

		disk_rig_start(&r, engines[i], DISK_DIRECT_AUTO);
		v = (struct iovec){r.ram, PAGE_BYTES};
		disk_rig_fill(r.ram, PAGE_BYTES, 5);
		assert_int_equal(disk_rig_do(&r, DISK_WRITE, 16, &v, 1), 0);
		fd = open(r.path, O_RDONLY);
		assert_int_equal(pread(fd, back, sizeof(back), 16 * BLKIF_SECTOR_BYTES), sizeof(back));
		close(fd);
		same = !memcmp(back, r.ram, sizeof(back));
		assert_int_equal(same, engines[i] != &disk_mem);
		disk_rig_stop(&r);
	}
}

static void depth_many_may_be_in_flight(void **state)
{
	for (size_t e = 0; e < ARRAY_LEN(engines); e++) {
		struct disk_rig r;

		disk_rig_start(&r, engines[e], DISK_DIRECT_AUTO);
		for (int round = 0; round < 3; round++) {
			disk_rig_fill(r.ram, DISK_RIG_DEPTH * PAGE_BYTES, 9 + (uint32_t)round);
			for (unsigned i = 0; i < DISK_RIG_DEPTH; i++) {
				struct iovec v = {r.ram + i * PAGE_BYTES, PAGE_BYTES};

				disk_rig_submit(&r, i, DISK_WRITE, i * 8, &v, 1);
			}
			disk_rig_run(&r, DISK_RIG_DEPTH);
			for (unsigned i = 0; i < DISK_RIG_DEPTH; i++) {
				struct iovec v = {r.ram + (32 + i % 31) * PAGE_BYTES, PAGE_BYTES};

				assert_int_equal(r.io[i].error, 0);
				disk_rig_do(&r, DISK_READ, i * 8, &v, 1);
				assert_memory_equal(v.iov_base, r.ram + i * PAGE_BYTES, PAGE_BYTES);
			}
		}
		disk_rig_stop(&r);
	}
}

static void a_file_cut_short_answers_EIO(void **state)
{
	for (size_t i = 0; i < NR_FILE_ENGINES; i++) {
		struct disk_rig r;
		struct iovec v;

		disk_rig_start(&r, engines[i], DISK_DIRECT_OFF);
		v = (struct iovec){r.ram, 2 * PAGE_BYTES};
		assert_int_equal(truncate(r.path, 9 * BLKIF_SECTOR_BYTES), 0);
		assert_int_equal(disk_rig_do(&r, DISK_READ, 100, &v, 1), -EIO);
		assert_int_equal(disk_rig_do(&r, DISK_READ, 8, &v, 1), -EIO); /* begins inside, comes up short */
		v.iov_len = PAGE_BYTES;
		assert_int_equal(disk_rig_do(&r, DISK_READ, 0, &v, 1), 0);
		disk_rig_stop(&r);
	}
}

static void errors_reach_the_request_that_had_them(void **state)
{
	for (size_t i = 0; i < NR_FILE_ENGINES; i++) {
		struct disk_rig r;
		struct iovec good, bad;

		disk_rig_start(&r, engines[i], DISK_DIRECT_OFF);
		good = (struct iovec){r.ram, PAGE_BYTES};
		bad = (struct iovec){(void *)(uintptr_t)PAGE_BYTES, PAGE_BYTES};
		disk_rig_submit(&r, 0, DISK_WRITE, 0, &good, 1);
		disk_rig_submit(&r, 1, DISK_WRITE, 8, &bad, 1);
		disk_rig_submit(&r, 2, DISK_WRITE, 16, &good, 1);
		disk_rig_run(&r, 3);
		assert_int_equal(r.io[0].error, 0);
		assert_int_equal(r.io[1].error, -EFAULT);
		assert_int_equal(r.io[2].error, 0);
		disk_rig_stop(&r);
	}
}

static void a_full_file_system_answers_ENOSPC(void **state)
{
	char dir[] = "/tmp/sluice-full-XXXXXX";

	assert_non_null(mkdtemp(dir));
	/* A file system of our own, with room for eight pages, that nobody else sees. */
	if (unshare(CLONE_NEWNS) < 0 || mount("none", "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0 ||
	    mount("tmpfs", dir, "tmpfs", 0, "size=32k") < 0) {
		rmdir(dir);
		skip();
	}
	for (size_t i = 0; i < NR_FILE_ENGINES; i++) {
		struct disk_rig r;
		struct iovec v;

		memset(&r, 0, sizeof(r));
		snprintf(r.path, sizeof(r.path), "%s/image", dir);
		make_sparse(r.path, DISK_RIG_SECTORS * BLKIF_SECTOR_BYTES);
		assert_int_equal(disk_rig_open_image(&r.image, engines[i], r.path, false, DISK_DIRECT_OFF, r.why, r.note), 0);
		disk_rig_make_queue(&r);
		v = (struct iovec){r.ram, 16 * PAGE_BYTES};
		assert_int_equal(disk_rig_do(&r, DISK_WRITE, 0, &v, 1), -ENOSPC);
		v = (struct iovec){r.ram, 2 * PAGE_BYTES};
		assert_int_equal(disk_rig_do(&r, DISK_READ, 0, &v, 1), 0);
		disk_rig_stop(&r);
	}
	assert_int_equal(umount(dir), 0); /* nobody holds a file there any more */
	rmdir(dir);
}

static void wait_returns_when_a_wake_fd_is_readable(void **state)
{
	for (size_t i = 0; i < ARRAY_LEN(engines); i++)
		for (unsigned f = 0; f < DISK_NR_WAKE_FDS; f++) {
			struct disk_io *done[1];
			unsigned woken = 0;
			eventfd_t count;
			struct disk_rig r;

			disk_rig_start(&r, engines[i], DISK_DIRECT_OFF);
			for (int round = 0; round < 3; round++) {
				eventfd_write(r.wake_fd[f], 1);
				assert_int_equal(r.queue->engine->wait(r.queue), 0);
				assert_int_equal(r.queue->engine->poll(r.queue, done, 1, &woken), 0);
				assert_int_equal(woken, 1u << f);
				assert_int_equal(eventfd_read(r.wake_fd[f], &count), 0);
				woken = 0;
			}
			disk_rig_stop(&r);
		}
}

/* The guest gives a page back and gets another in its place: I/O must reach the new one. */
static void replaced_pages_are_registered_anew(void **state)
{
	for (size_t e = 0; e < ARRAY_LEN(engines); e++) {
		struct disk_rig r = {.wake_fd = {-1, -1}};
		struct iovec ram = {.iov_len = DISK_RIG_PAGES * PAGE_BYTES};
		uint32_t epoch = 0;
		struct disk_queue_config config = {
			.image = &r.image, .depth = DISK_RIG_DEPTH, .ram = &ram, .nr_ram = 1, .ram_epoch = &epoch, .wake_fd = {-1, -1}};
		int fd = memfd_create("ram", 0);

		disk_rig_make_file(r.path, DISK_RIG_SECTORS * BLKIF_SECTOR_BYTES);
		assert_int_equal(disk_rig_open_image(&r.image, engines[e], r.path, false, DISK_DIRECT_OFF, r.why, r.note), 0);
		assert_int_equal(ftruncate(fd, (off_t)ram.iov_len), 0);
		ram.iov_base = mmap(NULL, ram.iov_len, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
		assert_ptr_not_equal(ram.iov_base, MAP_FAILED);
		r.ram = ram.iov_base;
		assert_int_equal(engines[e]->create(&config, &r.queue), 0);
		for (unsigned round = 1; round <= 3; round++) {
			struct iovec from = {r.ram, PAGE_BYTES}, to = {r.ram + 8 * PAGE_BYTES, PAGE_BYTES};

			memset(from.iov_base, (int)round, PAGE_BYTES);
			assert_int_equal(disk_rig_do(&r, DISK_WRITE, 0, &from, 1), 0);
			assert_int_equal(disk_rig_do(&r, DISK_READ, 0, &to, 1), 0);
			assert_memory_equal(from.iov_base, to.iov_base, PAGE_BYTES);
			assert_int_equal(fallocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 0, (off_t)ram.iov_len), 0);
			store_release(&epoch, round);
		}
		r.queue->engine->destroy(r.queue);
		disk_image_close(&r.image);
		unlink(r.path);
		munmap(r.ram, ram.iov_len);
		close(fd);
	}
}

static void null_answers_at_once_and_touches_nothing(void **state)
{
	uint8_t before[PAGE_BYTES];
	struct disk_rig r;
	struct iovec v;

	disk_rig_start(&r, &disk_null, DISK_DIRECT_AUTO);
	v = (struct iovec){r.ram, PAGE_BYTES};
	disk_rig_fill(r.ram, PAGE_BYTES, 3);
	memcpy(before, r.ram, PAGE_BYTES);
	for (unsigned i = 0; i < DISK_RIG_DEPTH; i++)
		disk_rig_submit(&r, i, i % 2 ? DISK_READ : DISK_WRITE, i, &v, 1);
	disk_rig_run(&r, DISK_RIG_DEPTH);
	for (unsigned i = 0; i < DISK_RIG_DEPTH; i++)
		assert_int_equal(r.io[i].error, 0);
	assert_memory_equal(r.ram, before, PAGE_BYTES);
	disk_rig_stop(&r);
}

/* A file system that makes no holes has no discard; the one of the tests' files does. */
static void what_is_discarded_reads_as_zeroes_and_nothing_else_does(void **state)
{
	static const struct {
		unsigned sector, nr;
	} cases[] = {{8, 8}, {0, 1}, {7, 2}, {20, 33}, {48, 16}};

	for (size_t e = 0; e < ARRAY_LEN(engines); e++)
		for (size_t c = 0; c < ARRAY_LEN(cases); c++)
			for (int op = DISK_DISCARD; op <= DISK_SECURE_DISCARD; op++) {
				struct disk_rig r;
				struct iovec v;

				disk_rig_start(&r, engines[e], DISK_DIRECT_AUTO);
				assert_true(r.image.can_discard);
				assert_int_equal(r.image.discard_granularity_bytes % r.image.sector_bytes, 0);
				if (op == DISK_SECURE_DISCARD && !r.image.can_secure_discard) {
					disk_rig_stop(&r);
					continue;
				}
				v = (struct iovec){r.ram, 8 * PAGE_BYTES};
				memset(r.ram, 0x77, 8 * PAGE_BYTES);
				assert_int_equal(disk_rig_do(&r, DISK_WRITE, 0, &v, 1), 0);
				assert_int_equal(disk_rig_discard(&r, (enum disk_op)op, cases[c].sector, cases[c].nr), 0);
				assert_int_equal(disk_rig_do(&r, DISK_READ, 0, &v, 1), 0);
				for (unsigned s = 0; s < 64; s++) {
					bool in = s >= cases[c].sector && s < cases[c].sector + cases[c].nr;

					assert_int_equal(r.ram[s * BLKIF_SECTOR_BYTES], in ? 0 : 0x77);
					assert_int_equal(r.ram[(s + 1) * BLKIF_SECTOR_BYTES - 1], in ? 0 : 0x77);
				}
				disk_rig_stop(&r);
			}
}

static void a_short_answer_is_continued_where_it_ended(void **state)
{
	static const struct {
		int64_t result;
		bool finished;
		int error;
		unsigned iov_at, left;
		uint64_t offset;
		size_t first_len;
	} cases[] = {
		{3072, true, 0, 3, 0, 4096 + 3072, 0},
		{512, false, 0, 0, 2560, 4096 + 512, 512},
		{1024, false, 0, 1, 2048, 4096 + 1024, 1024},
		{1536, false, 0, 1, 1536, 4096 + 1536, 512},
		{2560, false, 0, 2, 512, 4096 + 2560, 512},
		{0, true, -EIO, 0, 3072, 4096, 1024},
		{3073, true, -EIO, 0, 3072, 4096, 1024},
		{-ENOSPC, true, -ENOSPC, 0, 3072, 4096, 1024},
		{-EAGAIN, false, 0, 0, 3072, 4096, 1024},
		{-EINTR, false, 0, 0, 3072, 4096, 1024},
	};
	static char memory[4096];

	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct iovec iov[] = {{memory, 1024}, {memory + 1024, 1024}, {memory + 2048, 1024}};
		struct disk_io io = {.op = DISK_WRITE, .nr_iov = 3, .left_bytes = 3072, .offset_bytes = 4096, .iov = iov};

		assert_int_equal(disk_io_answer(&io, cases[i].result), cases[i].finished);
		assert_int_equal(io.error, cases[i].error);
		assert_int_equal(io.iov_at, cases[i].iov_at);
		assert_int_equal(io.left_bytes, cases[i].left);
		assert_int_equal(io.offset_bytes, cases[i].offset);
		if (io.iov_at < 3)
			assert_int_equal(io.iov[io.iov_at].iov_len, cases[i].first_len);
	}
}

static void trying_again_has_an_end(void **state)
{
	struct disk_io io = {.op = DISK_FLUSH};
	unsigned tries = 1;

	while (!disk_io_answer(&io, -EAGAIN))
		tries++;
	assert_int_equal(tries, DISK_MAX_RETRIES + 1);
	assert_int_equal(io.error, -EAGAIN);
}

static void a_sparse_image_stays_sparse(void **state)
{
	for (size_t i = 0; i < ARRAY_LEN(engines); i++) {
		struct disk_rig r;
		struct iovec v;
		struct stat st;

		disk_rig_start(&r, engines[i], DISK_DIRECT_OFF);
		v = (struct iovec){r.ram, PAGE_BYTES};
		assert_int_equal(disk_rig_do(&r, DISK_WRITE, 0, &v, 1), 0);
		assert_int_equal(disk_rig_do(&r, DISK_FLUSH, 0, NULL, 0), 0);
		assert_int_equal(stat(r.path, &st), 0);
		assert_true((uint64_t)st.st_blocks * 512 <= DISK_RIG_SECTORS * BLKIF_SECTOR_BYTES / 4);
		assert_int_equal(st.st_size, DISK_RIG_SECTORS * BLKIF_SECTOR_BYTES);
		disk_rig_stop(&r);
	}
}

/* ---- the image ---- */

static void an_image_in_use_is_not_opened_for_writing_twice(void **state)
{
	static const struct {
		bool first_readonly, second_readonly;
		int err;
	} cases[] = {{false, false, -EBUSY}, {false, true, -EBUSY}, {true, false, -EBUSY}, {true, true, 0}};

	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct disk_image a, b;
		char path[64], why[256], note[256];

		disk_rig_make_file(path, 4096);
		assert_int_equal(disk_rig_open_image(&a, &disk_uring, path, cases[i].first_readonly, 0, why, note), 0);
		assert_int_equal(disk_rig_open_image(&b, &disk_uring, path, cases[i].second_readonly, 0, why, note), cases[i].err);
		if (cases[i].err)
			assert_non_null(strstr(why, "is in use by another device"));
		disk_image_close(&a);
		disk_image_close(&b);
		assert_int_equal(disk_rig_open_image(&b, &disk_uring, path, false, 0, why, note), 0);
		disk_image_close(&b);
		unlink(path);
	}
}

static void a_closed_image_can_be_opened_at_once(void **state)
{
	for (size_t i = 0; i < ARRAY_LEN(engines); i++)
		for (int round = 0; round < 20; round++) {
			struct disk_image next;
			struct iovec v;
			struct disk_rig r;

			disk_rig_start(&r, engines[i], DISK_DIRECT_AUTO);
			v = (struct iovec){r.ram, 8 * PAGE_BYTES};
			assert_int_equal(disk_rig_do(&r, DISK_WRITE, 0, &v, 1), 0);
			r.queue->engine->destroy(r.queue);
			disk_image_close(&r.image);
			assert_int_equal(disk_rig_open_image(&next, engines[i], r.path, false, 0, r.why, r.note), 0);
			disk_image_close(&next);
			unlink(r.path);
			free(r.ram);
			for (unsigned f = 0; f < DISK_NR_WAKE_FDS; f++)
				close(r.wake_fd[f]);
		}
}

static void an_image_that_cannot_be_served_says_why(void **state)
{
	char path[64], fifo[64], why[256], note[256];
	const struct {
		const char *path;
		int err;
		const char *says;
	} cases[] = {
		{"/tmp/no/such/image", -ENOENT, "/tmp/no/such/image does not exist"},
		{"/tmp", -EISDIR, "is a folder"},
		{"/dev/null", -EINVAL, "neither a file nor a block device"},
		{fifo, -EINVAL, "neither a file nor a block device"},
		{path, -EINVAL, "no whole number of 512-byte sectors"},
	};
	struct disk_image image;

	disk_rig_make_file(path, 1000);
	disk_rig_make_file(fifo, 0);
	unlink(fifo);
	assert_int_equal(mkfifo(fifo, 0600), 0);
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		assert_int_equal(disk_rig_open_image(&image, &disk_uring, cases[i].path, false, 0, why, note), cases[i].err);
		if (!strstr(why, cases[i].says) || !strstr(why, cases[i].path))
			fail_msg("%s: %s", cases[i].path, why);
		assert_int_equal(image.fd, -1);
	}
	assert_int_equal(truncate(path, 0), 0);
	assert_int_equal(disk_rig_open_image(&image, &disk_uring, path, false, 0, why, note), -EINVAL);
	unlink(path);
	unlink(fifo);
}

static void an_image_that_grew_or_shrank_is_measured_anew(void **state)
{
	static const struct disk_engine *const followers[] = {&disk_uring, &disk_aio, &disk_sync, &disk_null};
	char path[64], why[256], note[256];
	struct disk_image image;
	uint64_t sectors;

	disk_rig_make_file(path, 8192);
	for (size_t i = 0; i < ARRAY_LEN(followers); i++) {
		assert_int_equal(truncate(path, 8192), 0);
		assert_int_equal(disk_rig_open_image(&image, followers[i], path, false, DISK_DIRECT_OFF, why, note), 0);
		assert_int_equal(disk_image_measure(&image, &sectors), 0);
		assert_int_equal(sectors, 16);
		assert_int_equal(truncate(path, 20000), 0); /* 39 sectors and some bytes */
		assert_int_equal(disk_image_measure(&image, &sectors), 0);
		assert_int_equal(sectors, 39);
		assert_int_equal(truncate(path, 512), 0);
		assert_int_equal(disk_image_measure(&image, &sectors), 0);
		assert_int_equal(sectors, 1);
		assert_int_equal(truncate(path, 0), 0);
		assert_int_equal(disk_image_measure(&image, &sectors), -ENODEV);
		disk_image_close(&image);
	}
	assert_int_equal(truncate(path, 8192), 0);
	assert_int_equal(disk_rig_open_image(&image, &disk_mem, path, false, DISK_DIRECT_OFF, why, note), 0);
	assert_int_equal(truncate(path, 16384), 0);
	assert_int_equal(disk_image_measure(&image, &sectors), 0);
	assert_int_equal(sectors, 16); /* the content is a copy */
	disk_image_close(&image);
	unlink(path);
}

static void a_read_only_image_is_opened_for_reading(void **state)
{
	char path[64], why[256], note[256];
	struct disk_image image;

	disk_rig_make_file(path, 8192);
	assert_int_equal(disk_rig_open_image(&image, &disk_uring, path, true, DISK_DIRECT_OFF, why, note), 0);
	assert_int_equal(fcntl(image.fd, F_GETFL) & O_ACCMODE, O_RDONLY);
	assert_int_equal(fcntl(image.fd, F_GETFL) & (O_DIRECT | O_NONBLOCK), 0);
	assert_int_equal(image.sectors, 16);
	disk_image_close(&image);
	unlink(path);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_is_written_is_read_back),
		cmocka_unit_test(writes_reach_the_file_unless_the_engine_is_memory),
		cmocka_unit_test(depth_many_may_be_in_flight),
		cmocka_unit_test(a_file_cut_short_answers_EIO),
		cmocka_unit_test(errors_reach_the_request_that_had_them),
		cmocka_unit_test(a_full_file_system_answers_ENOSPC),
		cmocka_unit_test(wait_returns_when_a_wake_fd_is_readable),
		cmocka_unit_test(replaced_pages_are_registered_anew),
		cmocka_unit_test(null_answers_at_once_and_touches_nothing),
		cmocka_unit_test(what_is_discarded_reads_as_zeroes_and_nothing_else_does),
		cmocka_unit_test(a_short_answer_is_continued_where_it_ended),
		cmocka_unit_test(trying_again_has_an_end),
		cmocka_unit_test(a_sparse_image_stays_sparse),
		cmocka_unit_test(an_image_in_use_is_not_opened_for_writing_twice),
		cmocka_unit_test(a_closed_image_can_be_opened_at_once),
		cmocka_unit_test(an_image_that_cannot_be_served_says_why),
		cmocka_unit_test(an_image_that_grew_or_shrank_is_measured_anew),
		cmocka_unit_test(a_read_only_image_is_opened_for_reading),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
