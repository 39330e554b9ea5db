/*
 * blkback/disk_fifo.h - disk I/Os in the order they came, for engines that do the work themselves.   [hot]
 *
 * Such an engine does a few in each poll, not all: the guest sees the first answers while the rest is being done.
 *
 * Owns     what was put, until it is taken.
 * Runs in  the queue's thread.
 */
#ifndef SLUICE_BLKBACK_DISK_FIFO_H
#define SLUICE_BLKBACK_DISK_FIFO_H

#include <assert.h>
#include <stdlib.h>

#include "blkback/disk.h"

struct disk_fifo {
	struct disk_io **io; /* mask + 1 of them */
	uint32_t mask;
	uint32_t head; /* both run freely */
	uint32_t tail;
};

/* Room for depth. 0 or -ENOMEM. */
static inline int disk_fifo_init(struct disk_fifo *f, unsigned depth)
{
	uint32_t size = 1;

	while (size < depth)
		size *= 2;
	*f = (struct disk_fifo){.mask = size - 1};
	f->io = calloc(size, sizeof(f->io[0]));
	return f->io ? 0 : -ENOMEM;
}

static inline void disk_fifo_finish(struct disk_fifo *f)
{
	free(f->io);
	f->io = NULL;
}

static inline unsigned disk_fifo_count(const struct disk_fifo *f)
{
	return f->tail - f->head;
}

static inline void disk_fifo_put(struct disk_fifo *f, struct disk_io *io)
{
	assert(disk_fifo_count(f) <= f->mask);
	f->io[f->tail++ & f->mask] = io;
}

/* The i-th from the head; there are more than i. */
static inline struct disk_io *disk_fifo_peek(const struct disk_fifo *f, unsigned i)
{
	return f->io[(f->head + i) & f->mask];
}

static inline struct disk_io *disk_fifo_take(struct disk_fifo *f)
{
	return f->io[f->head++ & f->mask];
}

#endif
