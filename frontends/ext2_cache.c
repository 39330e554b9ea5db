/*
 * frontends/ext2_cache.c - a direct-mapped write-back cache of a disk's blocks.
 *
 * A dirty block leaves its slot only through write_back, which writes all of them: a slot that is wanted by another block,
 * or half of all slots dirty, is the occasion.
 */
#include "frontends/ext2_cache.h"

#include <stdlib.h>

#define EMPTY UINT64_MAX
/* Longer transfers go past the cache. */
#define MAX_CACHED_BYTES EXT2_CACHE_GROUP_BYTES

int ext2_cache_init(struct ext2_cache *c, struct blkfront *bf, uint32_t block_bytes)
{
	uint32_t nr = EXT2_CACHE_BYTES / block_bytes;

	*c = (struct ext2_cache){.bf = bf, .block_bytes = block_bytes, .nr_slots = nr};
	c->block = malloc(nr * sizeof(*c->block));
	c->is_dirty = calloc(nr, sizeof(*c->is_dirty));
	c->order = malloc(nr * sizeof(*c->order));
	c->data = malloc(EXT2_CACHE_BYTES);
	c->run = malloc(EXT2_CACHE_RUN_BYTES);
	if (!c->block || !c->is_dirty || !c->order || !c->data || !c->run) {
		ext2_cache_finish(c);
		return -ENOMEM;
	}
	for (uint32_t i = 0; i < nr; i++)
		c->block[i] = EMPTY;
	return 0;
}

void ext2_cache_finish(struct ext2_cache *c)
{
	free(c->block);
	free(c->is_dirty);
	free(c->order);
	free(c->data);
	free(c->run);
	*c = (struct ext2_cache){0};
}

static uint8_t *slot_data(struct ext2_cache *c, uint64_t block)
{
	return c->data + (size_t)(block % c->nr_slots) * c->block_bytes;
}

static bool has_block(const struct ext2_cache *c, uint64_t block)
{
	return c->block[block % c->nr_slots] == block;
}

/* Reads or writes any bytes of the disk: whole sectors as they are, the edges through a copy. */
static int transfer(struct ext2_cache *c, bool is_write, uint64_t at, uint64_t bytes, void *data)
{
	uint64_t unit = blkfront_get_disk(c->bf)->sector_bytes;
	uint64_t start = at - at % unit;
	uint64_t end = (at + bytes + unit - 1) / unit * unit;
	uint64_t sector = start / BLKIF_SECTOR_BYTES, nr = (end - start) / BLKIF_SECTOR_BYTES;
	uint8_t *copy;
	int rc;

	if (start == at && end == at + bytes)
		return is_write ? blkfront_write(c->bf, sector, nr, data) : blkfront_read(c->bf, sector, nr, data);
	copy = malloc(end - start);
	if (!copy)
		return -ENOMEM;
	rc = blkfront_read(c->bf, sector, nr, copy);
	if (!rc && is_write) {
		memcpy(copy + (at - start), data, bytes);
		rc = blkfront_write(c->bf, sector, nr, copy);
	} else if (!rc) {
		memcpy(data, copy + (at - start), bytes);
	}
	free(copy);
	return rc;
}

static int compare_blocks(const void *a, const void *b)
{
	uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

	return x < y ? -1 : x > y;
}

/* Writes the run of neighbours that begins at order[i]; how many they were, or -errno. */
static int write_run(struct ext2_cache *c, uint32_t i, uint32_t nr_order)
{
	uint32_t most = EXT2_CACHE_RUN_BYTES / c->block_bytes, n = 0;
	uint64_t first = c->order[i];
	int rc;

	while (n < most && i + n < nr_order && c->order[i + n] == first + n) {
		memcpy(c->run + (size_t)n * c->block_bytes, slot_data(c, first + n), c->block_bytes);
		n++;
	}
	rc = transfer(c, true, first * c->block_bytes, (uint64_t)n * c->block_bytes, c->run);
	if (rc < 0)
		return rc;
	for (uint32_t k = 0; k < n; k++)
		c->is_dirty[(first + k) % c->nr_slots] = false;
	c->nr_dirty -= n;
	return (int)n;
}

int ext2_cache_write_back(struct ext2_cache *c)
{
	uint32_t nr = 0;

	if (!c->nr_dirty)
		return 0;
	for (uint32_t i = 0; i < c->nr_slots; i++)
		if (c->is_dirty[i])
			c->order[nr++] = c->block[i];
	qsort(c->order, nr, sizeof(*c->order), compare_blocks);
	for (uint32_t i = 0; i < nr;) {
		int n = write_run(c, i, nr);

		if (n < 0)
			return n;
		i += (uint32_t)n;
	}
	return 0;
}

/* Makes the block's slot free to be filled. */
static int claim_slot(struct ext2_cache *c, uint64_t block)
{
	return c->is_dirty[block % c->nr_slots] && !has_block(c, block) ? ext2_cache_write_back(c) : 0;
}

/* Reads the aligned group around a block; blocks whose slots are dirty stay out of it. */
static int read_group(struct ext2_cache *c, uint64_t block)
{
	uint64_t disk_blocks = blkfront_get_disk(c->bf)->nr_sectors * BLKIF_SECTOR_BYTES / c->block_bytes;
	uint32_t nr = EXT2_CACHE_GROUP_BYTES / c->block_bytes;
	uint64_t first = block - block % nr;
	int rc;

	if (block >= disk_blocks)
		return -EINVAL;
	if (first + nr > disk_blocks)
		nr = (uint32_t)(disk_blocks - first);
	rc = transfer(c, false, first * c->block_bytes, (uint64_t)nr * c->block_bytes, c->run);
	for (uint32_t i = 0; !rc && i < nr; i++) {
		uint32_t slot = (uint32_t)((first + i) % c->nr_slots);

		if (c->is_dirty[slot])
			continue;
		memcpy(slot_data(c, first + i), c->run + (size_t)i * c->block_bytes, c->block_bytes);
		c->block[slot] = first + i;
	}
	return rc;
}

static int read_one(struct ext2_cache *c, uint64_t block, uint8_t *data)
{
	int rc = 0;

	if (!has_block(c, block)) {
		rc = claim_slot(c, block);
		if (!rc)
			rc = read_group(c, block);
	}
	if (!rc)
		memcpy(data, slot_data(c, block), c->block_bytes);
	return rc;
}

static int write_one(struct ext2_cache *c, uint64_t block, const uint8_t *data)
{
	uint32_t slot = (uint32_t)(block % c->nr_slots);
	int rc = c->nr_dirty >= c->nr_slots / 2 ? ext2_cache_write_back(c) : claim_slot(c, block);

	if (rc < 0)
		return rc;
	memcpy(slot_data(c, block), data, c->block_bytes);
	c->block[slot] = block;
	c->nr_dirty += !c->is_dirty[slot];
	c->is_dirty[slot] = true;
	return 0;
}

static bool is_on_disk(const struct ext2_cache *c, uint64_t block, uint64_t nr)
{
	uint64_t blocks = blkfront_get_disk(c->bf)->nr_sectors * BLKIF_SECTOR_BYTES / c->block_bytes;

	return block <= blocks && nr <= blocks - block;
}

int ext2_cache_read(struct ext2_cache *c, uint64_t block, uint64_t nr, void *data)
{
	uint8_t *to = data;
	int rc = 0;

	if (!is_on_disk(c, block, nr))
		return -EINVAL;
	if (nr * c->block_bytes > MAX_CACHED_BYTES)
		return ext2_cache_read_bytes(c, block * c->block_bytes, nr * c->block_bytes, data);
	for (uint64_t i = 0; !rc && i < nr; i++)
		rc = read_one(c, block + i, to + i * c->block_bytes);
	return rc;
}

int ext2_cache_write(struct ext2_cache *c, uint64_t block, uint64_t nr, const void *data)
{
	const uint8_t *from = data;
	int rc = 0;

	if (!is_on_disk(c, block, nr))
		return -EINVAL;
	if (blkfront_get_disk(c->bf)->is_read_only)
		return -EROFS;
	if (nr * c->block_bytes > MAX_CACHED_BYTES)
		return ext2_cache_write_bytes(c, block * c->block_bytes, nr * c->block_bytes, data);
	for (uint64_t i = 0; !rc && i < nr; i++)
		rc = write_one(c, block + i, from + i * c->block_bytes);
	return rc;
}

int ext2_cache_read_bytes(struct ext2_cache *c, uint64_t at, uint64_t bytes, void *data)
{
	int rc = ext2_cache_write_back(c);

	return rc ? rc : transfer(c, false, at, bytes, data);
}

int ext2_cache_write_bytes(struct ext2_cache *c, uint64_t at, uint64_t bytes, const void *data)
{
	int rc = ext2_cache_write_back(c);

	if (rc < 0)
		return rc;
	for (uint32_t i = 0; i < c->nr_slots; i++)
		c->block[i] = EMPTY;
	return transfer(c, true, at, bytes, (void *)(uintptr_t)data);
}
