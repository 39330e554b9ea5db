/*
 * frontends/ext2_io.h - libext2fs reads and writes a blkfront: an io_manager.
 *
 * libext2fs opens devices by name; a disk is given its name with ext2_io_add first.
 *
 * Runs in  the disk's thread.
 * Fails    with errno values, which com_err knows: EIO, EROFS, ENODEV, EINVAL.
 * Spec     ext2fs/ext2_io.h.
 */
#ifndef SLUICE_FRONTENDS_EXT2_IO_H
#define SLUICE_FRONTENDS_EXT2_IO_H

#include <ext2fs/ext2fs.h>

#include "frontends/blkfront.h"

#define EXT2_IO_MAX_DISKS 16

extern struct struct_io_manager ext2_io_manager;

/* From now on the name opens this disk, which must be connected by then and outlive what is opened. -EEXIST, -ENOSPC. */
int ext2_io_add(const char *name, struct blkfront *bf);
void ext2_io_remove(const char *name);

#endif
