/*
 * blkback/disk_uring_ram.c - guest memory as an io_uring's registered ("fixed") buffers.
 */
#include "blkback/disk_uring_ram.h"

#include <stdlib.h>
#include <string.h>

#include "hv/log.h"
#include "rings/atomics.h"

#define RAM_MIN_CHUNK_BYTES (UINT64_C(1) << 20)
#define RAM_MAX_CHUNKS 4096u

static void ram_refused(struct uring_ram *ram, int err)
{
	log_info("io_uring: guest memory is not registered (%s%s); going on without", strerror(-err),
		 err == -ENOMEM ? ": raise the limit on locked memory, ulimit -l" : "");
	ram->nr_chunks = 0; /* what is registered stays so, unused, until the queue ends */
}

void uring_ram_init(struct uring_ram *ram, struct io_uring *ring, const struct iovec extents[], unsigned nr,
		    const uint32_t *epoch)
{
	uint64_t bytes = 0;
	unsigned chunks = 0;
	int err;

	*ram = (struct uring_ram){.ring = ring, .epoch = epoch};
	for (unsigned i = 0; i < nr && i < GATE_MAX_EXTENTS; i++)
		bytes += extents[i].iov_len;
	ram->chunk_shift = (unsigned)__builtin_ctzll(RAM_MIN_CHUNK_BYTES);
	while (bytes >> ram->chunk_shift > RAM_MAX_CHUNKS - GATE_MAX_EXTENTS)
		ram->chunk_shift++;
	for (unsigned i = 0; i < nr && i < GATE_MAX_EXTENTS; i++) {
		ram->extent[i] = (struct uring_extent){extents[i].iov_base, extents[i].iov_len, chunks};
		chunks += (unsigned)((extents[i].iov_len + (UINT64_C(1) << ram->chunk_shift) - 1) >> ram->chunk_shift);
		ram->nr_extents++;
	}
	if (!chunks)
		return;
	ram->is_fixed = calloc(chunks, sizeof(ram->is_fixed[0]));
	err = ram->is_fixed ? io_uring_register_buffers_sparse(ring, chunks) : -ENOMEM;
	if (err < 0)
		ram_refused(ram, err);
	else
		ram->nr_chunks = chunks;
}

void uring_ram_finish(struct uring_ram *ram)
{
	if (ram->is_fixed)
		io_uring_unregister_buffers(ram->ring);
	free(ram->is_fixed);
	ram->is_fixed = NULL;
}

/* Registers one chunk of an extent, its last one possibly shorter. */
static bool ram_fix_chunk(struct uring_ram *ram, const struct uring_extent *e, unsigned index)
{
	uint64_t start = (uint64_t)index << ram->chunk_shift;
	uint64_t size = UINT64_C(1) << ram->chunk_shift;
	struct iovec iov = {e->base + start, e->bytes - start < size ? e->bytes - start : size};
	__u64 tag = 0;
	int err = io_uring_register_buffers_update_tag(ram->ring, e->first_chunk + index, &iov, &tag, 1);

	if (err < 0)
		ram_refused(ram, err);
	else
		ram->is_fixed[e->first_chunk + index] = true;
	return err >= 0;
}

/* Pages of the guest's RAM were replaced: registered chunks may hold the old ones. Each is registered anew at its next I/O. */
static void ram_check_epoch(struct uring_ram *ram)
{
	/* Pairs with the release of who replaced them, before the guest could ask for I/O there. */
	uint32_t epoch = ram->epoch ? load_acquire(ram->epoch) : 0;

	if (epoch == ram->seen_epoch)
		return;
	ram->seen_epoch = epoch;
	memset(ram->is_fixed, 0, ram->nr_chunks * sizeof(ram->is_fixed[0]));
}

int uring_ram_index(struct uring_ram *ram, const struct iovec *v)
{
	if (!ram->nr_chunks)
		return -1;
	ram_check_epoch(ram);
	for (unsigned i = 0; i < ram->nr_extents; i++) {
		const struct uring_extent *e = &ram->extent[i];
		uint64_t at = (uint64_t)((char *)v->iov_base - e->base);
		unsigned index;

		if (at >= e->bytes)
			continue;
		index = (unsigned)(at >> ram->chunk_shift);
		if ((at + v->iov_len - 1) >> ram->chunk_shift != index)
			return -1;
		if (!ram->is_fixed[e->first_chunk + index] && !ram_fix_chunk(ram, e, index))
			return -1;
		return (int)(e->first_chunk + index);
	}
	return -1;
}
