/*
 * blkback/disk_sync.h - one I/O by plain system calls, in the thread that asks.
 *
 * For engines whose kernel interface lacks an operation.
 */
#ifndef SLUICE_BLKBACK_DISK_SYNC_H
#define SLUICE_BLKBACK_DISK_SYNC_H

#include "blkback/disk_image.h"

/* Does all of it, however many calls that takes; io->error says how it went. */
void disk_sync_do(const struct disk_image *image, struct disk_io *io);

#endif
