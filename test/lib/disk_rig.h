/*
 * test/lib/disk_rig.h - an engine under test: an image, a queue on it, memory to read and write.
 *
 * Runs in  the test's thread, which is the queue's.
 */
#ifndef SLUICE_TEST_DISK_RIG_H
#define SLUICE_TEST_DISK_RIG_H

#include <stdio.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "blkback/disk_image.h"
#include "test.h"

#define DISK_RIG_PAGES 64u
#define DISK_RIG_SECTORS 4096u
#define DISK_RIG_DEPTH 32u
#define DISK_RIG_MAX_IOV 64u

struct disk_rig {
	char path[64];
	struct disk_image image;
	struct disk_queue *queue;
	uint8_t *ram; /* registered with the engine but for its last page */
	struct disk_io io[DISK_RIG_DEPTH];
	struct iovec iov[DISK_RIG_DEPTH][DISK_RIG_MAX_IOV];
	int wake_fd[DISK_NR_WAKE_FDS];
	char why[256], note[256];
};

/* Not in /tmp, which may be a tmpfs: for an image that is memory each engine does without itself. */
static inline void disk_rig_make_file(char *path, off_t bytes)
{
	int fd;

	strcpy(path, "/var/tmp/sluice-disk-XXXXXX");
	fd = mkstemp(path);
	assert_true(fd >= 0);
	assert_int_equal(ftruncate(fd, bytes), 0);
	close(fd);
}

static inline int disk_rig_open_image(struct disk_image *image, const struct disk_engine *engine, const char *path,
				      bool readonly, enum disk_direct direct, char why[256], char note[256])
{
	struct disk_options options = {.engine = engine, .direct = direct};

	return disk_image_open(image, path, readonly, &options, why, note);
}

static inline void disk_rig_make_queue(struct disk_rig *r)
{
	struct iovec ram = {r->ram, (DISK_RIG_PAGES - 1) * PAGE_BYTES};
	struct disk_queue_config config = {.image = &r->image, .depth = DISK_RIG_DEPTH, .ram = &ram, .nr_ram = 1};

	for (unsigned i = 0; i < DISK_NR_WAKE_FDS; i++) {
		r->wake_fd[i] = eventfd(0, EFD_NONBLOCK);
		config.wake_fd[i] = r->wake_fd[i];
	}
	r->ram = aligned_alloc(PAGE_BYTES, DISK_RIG_PAGES * PAGE_BYTES);
	ram.iov_base = r->ram;
	memset(r->ram, 0x11, DISK_RIG_PAGES * PAGE_BYTES);
	assert_int_equal(r->image.engine->create(&config, &r->queue), 0);
	for (unsigned i = 0; i < DISK_RIG_DEPTH; i++)
		r->io[i].slot = i;
}

static inline void disk_rig_start(struct disk_rig *r, const struct disk_engine *engine, enum disk_direct direct)
{
	memset(r, 0, sizeof(*r));
	disk_rig_make_file(r->path, DISK_RIG_SECTORS * BLKIF_SECTOR_BYTES);
	assert_int_equal(disk_rig_open_image(&r->image, engine, r->path, false, direct, r->why, r->note), 0);
	disk_rig_make_queue(r);
}

static inline void disk_rig_stop(struct disk_rig *r)
{
	r->queue->engine->destroy(r->queue);
	disk_image_close(&r->image);
	unlink(r->path);
	free(r->ram);
	for (unsigned i = 0; i < DISK_NR_WAKE_FDS; i++)
		close(r->wake_fd[i]);
}

/* The I/O of that slot, filled in. Its error is one that no engine gives, until the engine sets it. */
static inline struct disk_io *disk_rig_prepare(struct disk_rig *r, unsigned slot, enum disk_op op, uint64_t sector,
					       const struct iovec *iov, unsigned nr_iov)
{
	struct disk_io *io = &r->io[slot];

	*io = (struct disk_io){.slot = slot,
			       .op = op,
			       .nr_iov = (uint16_t)nr_iov,
			       .offset_bytes = sector * BLKIF_SECTOR_BYTES,
			       .error = 12345,
			       .iov = r->iov[slot]};
	for (unsigned i = 0; i < nr_iov; i++) {
		io->iov[i] = iov[i];
		io->left_bytes += (uint32_t)iov[i].iov_len;
	}
	return io;
}

static inline struct disk_io *disk_rig_submit(struct disk_rig *r, unsigned slot, enum disk_op op, uint64_t sector,
					      const struct iovec *iov, unsigned nr_iov)
{
	struct disk_io *io = disk_rig_prepare(r, slot, op, sector, iov, nr_iov);

	r->queue->engine->submit(r->queue, io);
	return io;
}

/* Runs the engine until n are done, a few at a time. */
static inline void disk_rig_run(struct disk_rig *r, unsigned n)
{
	struct disk_io *done[3];
	unsigned woken = 0;

	while (n) {
		int got = r->queue->engine->poll(r->queue, done, 3, &woken);

		assert_true(got >= 0 && (unsigned)got <= n);
		n -= (unsigned)got;
		if (!got)
			assert_int_equal(r->queue->engine->wait(r->queue), 0);
	}
	assert_int_equal(woken, 0);
}

static inline int disk_rig_do(struct disk_rig *r, enum disk_op op, uint64_t sector, const struct iovec *iov,
			      unsigned nr_iov)
{
	struct disk_io *io = disk_rig_submit(r, 0, op, sector, iov, nr_iov);

	disk_rig_run(r, 1);
	return io->error;
}

static inline int disk_rig_discard(struct disk_rig *r, enum disk_op op, uint64_t sector, unsigned nr_sectors)
{
	struct disk_io *io = disk_rig_prepare(r, 0, op, sector, NULL, 0);

	io->left_bytes = nr_sectors * BLKIF_SECTOR_BYTES;
	r->queue->engine->submit(r->queue, io);
	disk_rig_run(r, 1);
	return io->error;
}

static inline void disk_rig_fill(uint8_t *p, size_t bytes, uint32_t seed)
{
	for (size_t i = 0; i < bytes; i++)
		p[i] = (uint8_t)test_random(&seed);
}

#endif
