/*
 * blkback/disk_uring_ram.h - guest memory as an io_uring's registered ("fixed") buffers.
 *
 * Memory becomes a registered buffer chunk by chunk, when a chunk sees its first I/O: a guest that uses little of its memory for
 * I/O has little of it pinned, and connecting a device costs nothing. A registered buffer keeps the pages that it was made of:
 * when the guest gave frames back (epoch), all are made anew.
 *
 * Owns     the ring's buffer table.
 * Runs in  the thread that owns the ring.
 * Fails    never: where registering is refused (an old kernel, a limit on locked memory), I/O goes on without, and one line in
 *          the log says why.
 */
#ifndef SLUICE_BLKBACK_DISK_URING_RAM_H
#define SLUICE_BLKBACK_DISK_URING_RAM_H

#include <liburing.h>

#include "grant/gate.h"

struct uring_extent {
	char *base;
	uint64_t bytes;
	unsigned first_chunk;
};

struct uring_ram {
	struct io_uring *ring;
	unsigned chunk_shift;
	unsigned nr_chunks; /* 0: no registered buffers */
	bool *is_fixed;     /* by chunk */
	const uint32_t *epoch; /* NULL: it never changes */
	uint32_t seen_epoch;   /* that the registered chunks belong to */
	unsigned nr_extents;
	struct uring_extent extent[GATE_MAX_EXTENTS];
};

/* Makes an empty buffer table for these extents. The ring must outlive it. */
void uring_ram_init(struct uring_ram *ram, struct io_uring *ring, const struct iovec extents[], unsigned nr,
		    const uint32_t *epoch);
/* The kernel takes a ring apart some time after it was closed; the memory is let go of now. */
void uring_ram_finish(struct uring_ram *ram);
/* The registered buffer that holds all of v, or -1. */
int uring_ram_index(struct uring_ram *ram, const struct iovec *v);

#endif
