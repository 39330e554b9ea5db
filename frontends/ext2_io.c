/*
 * frontends/ext2_io.c - the io_manager: blocks of a file system become sectors of a disk.
 *
 *      ext2fs  block, count  -->  ext2_cache  -->  blkfront_read, blkfront_write
 *
 * Owns     the channel and its cache. The disk is borrowed.
 * Runs in  the disk's thread.
 * Fails    errno as errcode_t. Writes may be reported as failed by a later call, at the latest by flush or close.
 * Spec     ext2fs/ext2_io.h. A negative count is a size in bytes, which need not be whole sectors.
 */
#include "frontends/ext2_io.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "frontends/ext2_cache.h"

#define FIRST_BLOCK_BYTES 1024
#define MAX_BLOCK_BYTES 65536

struct ext2_io {
	struct blkfront *bf;
	struct struct_io_stats stats;
	struct ext2_cache cache;
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

static errcode_t errcode(int rc)
{
	return rc < 0 ? (errcode_t)-rc : 0;
}

static errcode_t set_block_size(io_channel channel, int bytes)
{
	struct ext2_io *io = channel->private_data;
	struct ext2_cache fresh;
	int rc;

	if (bytes < (int)BLKIF_SECTOR_BYTES || bytes > MAX_BLOCK_BYTES || (bytes & (bytes - 1)))
		return EINVAL;
	if (bytes == channel->block_size)
		return 0;
	rc = ext2_cache_write_back(&io->cache);
	if (!rc)
		rc = ext2_cache_init(&fresh, io->bf, (uint32_t)bytes);
	if (rc < 0)
		return errcode(rc);
	ext2_cache_finish(&io->cache);
	io->cache = fresh;
	channel->block_size = bytes;
	return 0;
}

/* Bytes of a libext2fs count: blocks, or, negative, bytes. */
static uint64_t bytes_of_count(io_channel channel, int count)
{
	return count < 0 ? (uint64_t)-(int64_t)count : (uint64_t)count * (uint64_t)channel->block_size;
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
	if (count < 0)
		err = errcode(ext2_cache_read_bytes(&io->cache, block * (uint64_t)channel->block_size, bytes, data));
	else
		err = errcode(ext2_cache_read(&io->cache, block, (uint64_t)count, data));
	if (err)
		return channel->read_error ? channel->read_error(channel, (unsigned long)block, count, data, bytes, 0, err) : err;
	io->stats.bytes_read += bytes;
	return 0;
}

static errcode_t write_blk64(io_channel channel, unsigned long long block, int count, const void *data)
{
	struct ext2_io *io = channel->private_data;
	uint64_t bytes = bytes_of_count(channel, count);
	errcode_t err;

	if (is_beyond(channel, block))
		return EINVAL;
	if (count < 0)
		err = errcode(ext2_cache_write_bytes(&io->cache, block * (uint64_t)channel->block_size, bytes, data));
	else
		err = errcode(ext2_cache_write(&io->cache, block, (uint64_t)count, data));
	if (err)
		return channel->write_error ? channel->write_error(channel, (unsigned long)block, count, data, bytes, 0, err) : err;
	io->stats.bytes_written += bytes;
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

	return count < 0 ? EINVAL : errcode(ext2_cache_write_bytes(&io->cache, offset, (uint64_t)count, data));
}

static errcode_t flush(io_channel channel)
{
	struct ext2_io *io = channel->private_data;
	int rc = ext2_cache_write_back(&io->cache);

	if (!rc && !blkfront_get_disk(io->bf)->is_read_only)
		rc = blkfront_flush(io->bf);
	return errcode(rc);
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
	ext2_cache_finish(&io->cache);
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
	if (!channel || !io || !channel->name || ext2_cache_init(&io->cache, bf, FIRST_BLOCK_BYTES) < 0) {
		free(channel ? channel->name : NULL);
		free(channel);
		free(io);
		return ENOMEM;
	}
	io->bf = bf;
	io->stats.num_fields = 2;
	channel->magic = EXT2_ET_MAGIC_IO_CHANNEL;
	channel->manager = &ext2_io_manager;
	channel->block_size = FIRST_BLOCK_BYTES;
	channel->refcount = 1;
	channel->flags = CHANNEL_FLAGS_BLOCK_DEVICE;
	channel->private_data = io;
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
