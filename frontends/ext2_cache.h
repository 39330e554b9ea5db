/*
 * frontends/ext2_cache.h - blocks of a disk, kept: reads are grouped, writes are gathered until write_back.
 *
 *      read   one block --miss--> the aligned group of blocks around it in one request
 *      write  one block --> dirty here --half full, or asked--> sorted, neighbours in one request
 *
 * libext2fs reads and writes a block at a time, and an inode's block again with each block of its file.
 *
 * Owns     the blocks that it keeps. The disk is borrowed.
 * Runs in  the disk's thread.
 * Fails    negative errno. What could not be written back stays dirty: the next write_back tries, and fails, again.
 */
#ifndef SLUICE_FRONTENDS_EXT2_CACHE_H
#define SLUICE_FRONTENDS_EXT2_CACHE_H

#include "frontends/blkfront.h"

#define EXT2_CACHE_BYTES (2u << 20)
#define EXT2_CACHE_GROUP_BYTES 65536u /* read at once */
#define EXT2_CACHE_RUN_BYTES 262144u  /* written at once */

struct ext2_cache {
	struct blkfront *bf;
	uint32_t block_bytes;
	uint32_t nr_slots; /* a block's slot is its number modulo this */
	uint32_t nr_dirty;
	uint64_t *block;   /* of a slot; UINT64_MAX: empty */
	bool *is_dirty;
	uint64_t *order;   /* dirty blocks, to be sorted */
	uint8_t *data;
	uint8_t *run;
};

/* block_bytes: 512 to 65536, a power of two. -ENOMEM. */
int ext2_cache_init(struct ext2_cache *c, struct blkfront *bf, uint32_t block_bytes);
/* Forgets everything, dirty or not. */
void ext2_cache_finish(struct ext2_cache *c);

int ext2_cache_read(struct ext2_cache *c, uint64_t block, uint64_t nr, void *data);
int ext2_cache_write(struct ext2_cache *c, uint64_t block, uint64_t nr, const void *data);
/* Any bytes, past the cache, which is written back first, and forgotten before a write. */
int ext2_cache_read_bytes(struct ext2_cache *c, uint64_t at, uint64_t bytes, void *data);
int ext2_cache_write_bytes(struct ext2_cache *c, uint64_t at, uint64_t bytes, const void *data);
/* Everything dirty is on the disk, though perhaps in its own cache: blkfront_flush. */
int ext2_cache_write_back(struct ext2_cache *c);

#endif
