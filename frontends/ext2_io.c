/*
 * frontends/ext2_io.c - the io_manager: blocks of a file system become sectors of a disk.
 *
 *      ext2fs  block, count  -->  cache of single blocks  -->  blkfront_read / blkfront_write  (count blocks in one go)
 *
 * libext2fs asks for metadata one block at a time and often for the same again; data come with counts. So single
 * blocks go through a small write-through cache, runs of blocks go past it (and refresh or drop what it holds of them).
 *
 * Owns     the channel and its cache. The disk is borrowed.
 * Runs in  the disk's thread.
 * Fails    errno as errcode_t; nothing is written to the disk later than the call that wrote it.
 * Spec     ext2fs/ext2_io.h. A negative count is a size in bytes, which need not be whole sectors.
 */
#include "frontends/ext2_io.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define CACHE_BLOCKS 128u /* direct-mapped */
#define MAX_BLOCK_BYTES 65536
#define NO_BLOCK UINT64_MAX

struct ext2_io {
	struct blkfront *bf;
	struct struct_io_stats stats;
	uint8_t *cache; /* CACHE_BLOCKS blocks, or NULL when there was no memory for it */
	uint64_t cached[CACHE_BLOCKS];
};

static struct {
	const char *name;
	struct blkfront *bf;
} disks[EXT2_IO_MAX_DISKS];

int ext2_io_add(const char *name, struct blkfront *bf)
{
	int free_slot = -1;

	for (int i = 0; i < EXT2_IO_MAX_DISKS; i++) {
		if (!disks[i].name)
			free_slot = i;
		else if (!strcmp(disks[i].name, name))
			return -EEXIST;
	}
	if (free_slot < 0)
		return -ENOSPC;
	disks[free_slot].name = name;
	disks[free_slot].bf = bf;
	return 0;
}

void ext2_io_remove(const char *name)
{
	for (int i = 0; i < EXT2_IO_MAX_DISKS; i++)
		if (disks[i].name && !strcmp(disks[i].name, name))
			disks[i].name = NULL;
}

static void cache_drop(struct ext2_io *io)
{
	for (unsigned i = 0; i < CACHE_BLOCKS; i++)
		io->cached[i] = NO_BLOCK;
}

static errcode_t set_block_size(io_channel channel, int bytes)
{
	struct ext2_io *io = channel->private_data;

	if (bytes < (int)BLKIF_SECTOR_BYTES || bytes > MAX_BLOCK_BYTES || bytes % (int)BLKIF_SECTOR_BYTES)
		return EINVAL;
	if (bytes == channel->block_size && io->cache)
		return 0;
	channel->block_size = bytes;
	free(io->cache);
	io->cache = malloc((size_t)bytes * CACHE_BLOCKS);
	cache_drop(io);
	return 0;
}

/* The cache's copy of a block, or NULL: it has none. */
static uint8_t *cache_find(struct ext2_io *io, io_channel channel, uint64_t block)
{
	unsigned slot = block % CACHE_BLOCKS;

	if (!io->cache || io->cached[slot] != block)
		return NULL;
	return io->cache + (size_t)slot * (size_t)channel->block_size;
}

static void cache_put(struct ext2_io *io, io_channel channel, uint64_t block, const void *data)
{
	unsigned slot = block % CACHE_BLOCKS;

	if (!io->cache)
		return;
	memcpy(io->cache + (size_t)slot * (size_t)channel->block_size, data, (size_t)channel->block_size);
	io->cached[slot] = block;
}

/* Bytes of a libext2fs count: blocks, or, negative, bytes. */
static uint64_t bytes_of_count(io_channel channel, int count)
{
	return count < 0 ? (uint64_t)-(int64_t)count : (uint64_t)count * (uint64_t)channel->block_size;
}

/* The smallest piece that the disk takes. */
static uint64_t unit_bytes(const struct ext2_io *io)
{
	return blkfront_get_disk(io->bf)->sector_bytes;
}

static errcode_t errcode(int rc)
{
	return rc < 0 ? (errcode_t)-rc : 0;
}

/* Reads or writes bytes at a byte position that need not be aligned to the disk's sectors: the edges through a copy. */
static errcode_t transfer(struct ext2_io *io, bool is_write, uint64_t at, uint64_t bytes, void *data)
{
	uint64_t unit = unit_bytes(io);
	uint64_t start = at - at % unit;
	uint64_t end = (at + bytes + unit - 1) / unit * unit;
	uint64_t sector = start / BLKIF_SECTOR_BYTES, nr = (end - start) / BLKIF_SECTOR_BYTES;
	uint8_t *copy;
	int rc;

	if (start == at && end == at + bytes) {
		rc = is_write ? blkfront_write(io->bf, sector, nr, data) : blkfront_read(io->bf, sector, nr, data);
		return errcode(rc);
	}
	copy = malloc(end - start);
	if (!copy)
		return ENOMEM;
	rc = blkfront_read(io->bf, sector, nr, copy);
	if (!rc && is_write) {
		memcpy(copy + (at - start), data, bytes);
		rc = blkfront_write(io->bf, sector, nr, copy);
	} else if (!rc) {
		memcpy(data, copy + (at - start), bytes);
	}
	free(copy);
	return errcode(rc);
}

static bool is_beyond(io_channel channel, uint64_t block)
{
	return block > UINT64_MAX / 2 / (uint64_t)channel->block_size;
}

static errcode_t read_blk64(io_channel channel, unsigned long long block, int count, void *data)
{
	struct ext2_io *io = channel->private_data;
	uint64_t bytes = bytes_of_count(channel, count);
	errcode_t err;

	if (is_beyond(channel, block))
		return EINVAL;
	if (count == 1 && cache_find(io, channel, block)) {
		memcpy(data, cache_find(io, channel, block), bytes);
		return 0;
	}
	err = transfer(io, false, block * (uint64_t)channel->block_size, bytes, data);
	if (err)
		return channel->read_error ? channel->read_error(channel, (unsigned long)block, count, data, bytes, 0, err) : err;
	io->stats.bytes_read += bytes;
	if (count == 1)
		cache_put(io, channel, block, data);
	return 0;
}

/* What the cache holds of the blocks that these bytes touch is stale now. */
static void cache_forget(struct ext2_io *io, io_channel channel, uint64_t block, uint64_t bytes)
{
	uint64_t nr = (bytes + (uint64_t)channel->block_size - 1) / (uint64_t)channel->block_size;

	if (nr >= CACHE_BLOCKS) {
		cache_drop(io);
		return;
	}
	for (uint64_t b = block; b < block + nr; b++)
		if (cache_find(io, channel, b))
			io->cached[b % CACHE_BLOCKS] = NO_BLOCK;
}

static errcode_t write_blk64(io_channel channel, unsigned long long block, int count, const void *data)
{
	struct ext2_io *io = channel->private_data;
	uint64_t bytes = bytes_of_count(channel, count);
	errcode_t err;

	if (is_beyond(channel, block))
		return EINVAL;
	cache_forget(io, channel, block, bytes);
	err = transfer(io, true, block * (uint64_t)channel->block_size, bytes, (void *)(uintptr_t)data);
	if (err)
		return channel->write_error ? channel->write_error(channel, (unsigned long)block, count, data, bytes, 0, err) : err;
	io->stats.bytes_written += bytes;
	if (count == 1)
		cache_put(io, channel, block, data);
	return 0;
}

static errcode_t read_blk(io_channel channel, unsigned long block, int count, void *data)
{
	return read_blk64(channel, block, count, data);
}

static errcode_t write_blk(io_channel channel, unsigned long block, int count, const void *data)
{
	return write_blk64(channel, block, count, data);
}

static errcode_t write_byte(io_channel channel, unsigned long offset, int count, const void *data)
{
	struct ext2_io *io = channel->private_data;

	if (count < 0)
		return EINVAL;
	cache_drop(io);
	return transfer(io, true, offset, (uint64_t)count, (void *)(uintptr_t)data);
}

static errcode_t flush(io_channel channel)
{
	struct ext2_io *io = channel->private_data;

	if (blkfront_get_disk(io->bf)->is_read_only)
		return 0;
	return errcode(blkfront_flush(io->bf));
}

static errcode_t set_option(io_channel channel, const char *option, const char *arg)
{
	return EXT2_ET_INVALID_ARGUMENT;
}

static errcode_t get_stats(io_channel channel, io_stats *stats)
{
	struct ext2_io *io = channel->private_data;

	*stats = &io->stats;
	return 0;
}

static errcode_t close_channel(io_channel channel)
{
	struct ext2_io *io = channel->private_data;
	errcode_t err;

	if (--channel->refcount > 0)
		return 0;
	err = flush(channel);
	free(io->cache);
	free(io);
	free(channel->name);
	free(channel);
	return err;
}

static errcode_t open_channel(const char *name, int flags, io_channel *out)
{
	struct blkfront *bf = NULL;
	struct ext2_io *io;
	io_channel channel;

	for (int i = 0; i < EXT2_IO_MAX_DISKS; i++)
		if (disks[i].name && !strcmp(disks[i].name, name))
			bf = disks[i].bf;
	if (!bf)
		return ENOENT;
	if ((flags & IO_FLAG_RW) && blkfront_get_disk(bf)->is_read_only)
		return EROFS;
	channel = calloc(1, sizeof(*channel));
	io = calloc(1, sizeof(*io));
	if (channel)
		channel->name = strdup(name);
	if (!channel || !io || !channel->name) {
		free(channel ? channel->name : NULL);
		free(channel);
		free(io);
		return ENOMEM;
	}
	*io = (struct ext2_io){.bf = bf, .stats = {.num_fields = 2}};
	channel->magic = EXT2_ET_MAGIC_IO_CHANNEL;
	channel->manager = &ext2_io_manager;
	channel->block_size = 1024;
	channel->refcount = 1;
	channel->flags = CHANNEL_FLAGS_WRITETHROUGH | CHANNEL_FLAGS_BLOCK_DEVICE;
	channel->private_data = io;
	cache_drop(io);
	*out = channel;
	return 0;
}

struct struct_io_manager ext2_io_manager = {
	.magic = EXT2_ET_MAGIC_IO_MANAGER,
	.name = "blkfront",
	.open = open_channel,
	.close = close_channel,
	.set_blksize = set_block_size,
	.read_blk = read_blk,
	.write_blk = write_blk,
	.flush = flush,
	.write_byte = write_byte,
	.set_option = set_option,
	.get_stats = get_stats,
	.read_blk64 = read_blk64,
	.write_blk64 = write_blk64,
};
