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

/* How a person wants images to be served. */
struct disk_options {
	const struct disk_engine *engine; /* of files and block devices */
	enum disk_direct direct;
	bool is_polled_submit;   /* io_uring: a kernel thread takes the I/Os, at the cost of a processor (IORING_SETUP_SQPOLL) */
	bool is_polled_complete; /* io_uring: no interrupt ends an I/O, the queue looks for it; O_DIRECT only (IORING_SETUP_IOPOLL) */
};

struct disk_image {
	int fd; /* -1: the engine has reached its target otherwise */
	bool is_readonly;
	bool is_direct;
	bool is_block;        /* a block device */
	bool is_memory;       /* of a file system in memory: an I/O is a copy and waits for nothing */
	bool is_polled_submit;
	bool is_polled_complete;
	uint64_t sectors; /* of 512 bytes, a whole number of sector_bytes; when it was opened */
	uint32_t sector_bytes; /* what requests must be aligned to: 512 or 4096 */
	uint32_t physical_sector_bytes; /* what is best for speed; at least sector_bytes */
	bool can_discard;
	bool can_secure_discard; /* implies can_discard */
	uint32_t discard_granularity_bytes; /* with can_discard: what can be given back at once, a multiple of sector_bytes */
	uint32_t discard_alignment_bytes;   /* where the first such piece begins */
	unsigned max_queues; /* that may serve it at a time */
	const struct disk_engine *engine;
	void *engine_data;
};

/* Is this target an NBD server's, not a path? */
static inline bool disk_target_is_nbd(const char *target)
{
	return !strncmp(target, "nbd:", 4) || !strncmp(target, "nbds:", 5) || !strncmp(target, "nbd+unix:", 9) ||
	       !strncmp(target, "nbds+unix:", 10);
}

/*
 * Opens and locks. target: a file, a block device, or an NBD server (disk_nbd_server.h), which has an engine of its own. 0, or -errno
 * with one sentence in why: what, and what to do about it. note is empty, or one sentence worth a log line (that O_DIRECT could
 * not be had).
 */
int disk_image_open(struct disk_image *image, const char *target, bool readonly, const struct disk_options *options,
		    char why[256], char note[256]);
void disk_image_close(struct disk_image *image);

/*
 * How many sectors the image has by now, at least one; image->sectors stays as it is. -ENODEV: it is gone or empty. What the
 * engine cannot follow has not changed. A size that is no whole number of sectors is rounded down.
 */
int disk_image_measure(const struct disk_image *image, uint64_t *sectors);

#endif
