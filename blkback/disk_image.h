/*
 * blkback/disk_image.h - the file or block device behind a vbd: found, measured, locked, opened once.
 *
 * Owns     the descriptor, and with it the lock: many readers or one writer, over all processes of this machine.
 * Runs in  the control thread; a queue reads fd and sectors only.
 */
#ifndef SLUICE_BLKBACK_DISK_IMAGE_H
#define SLUICE_BLKBACK_DISK_IMAGE_H

#include "blkback/disk.h"

/* auto: past the page cache where the image allows it for every request, else through it. */
enum disk_direct { DISK_DIRECT_AUTO, DISK_DIRECT_ON, DISK_DIRECT_OFF };

struct disk_image {
	int fd;
	bool is_readonly;
	bool is_direct;
	uint64_t sectors; /* of 512 bytes, a whole number of sector_bytes */
	uint32_t sector_bytes; /* what requests must be aligned to: 512 or 4096 */
	uint32_t physical_sector_bytes; /* what is best for speed; at least sector_bytes */
	bool can_discard;
	bool can_secure_discard; /* implies can_discard */
	uint32_t discard_granularity_bytes; /* with can_discard: what can be given back at once, a multiple of sector_bytes */
	uint32_t discard_alignment_bytes;   /* where the first such piece begins */
	const struct disk_engine *engine;
	void *engine_data;
};

/*
 * Opens and locks. 0, or -errno with one sentence in why: what, and what to do about it. note is empty, or one sentence
 * worth a log line (that O_DIRECT could not be had).
 */
int disk_image_open(struct disk_image *image, const struct disk_engine *engine, const char *path, bool readonly,
		    enum disk_direct direct, char why[256], char note[256]);
void disk_image_close(struct disk_image *image);

#endif
