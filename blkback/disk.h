/*
 * blkback/disk.h - the contract between the block device and what does its I/O: an engine behind one struct.
 *
 *      vbd (control)   open ----------------------------------------------------> close
 *      queue thread          create --> submit* --> poll* --> wait --> ... --> destroy
 *
 * The queue thread submits as many as it likes (at most depth are ever in flight), then polls: that starts what was
 * submitted and gives back what is finished. When there is nothing to do it waits, in one system call, for a finished I/O or
 * for one of the wake fds (the guest's event, the control thread).
 *
 * Owns     an engine owns a struct disk_io, its iov, and the memory behind them, from submit until poll returns it.
 * Runs in  open, close: control thread. All else: the queue's own thread, also create.
 * Fails    an I/O that fails is an I/O that finishes: io->error. Short reads and writes are continued here, never reported.
 */
#ifndef SLUICE_BLKBACK_DISK_H
#define SLUICE_BLKBACK_DISK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/uio.h>

#include "rings/blkif.h"

#define DISK_MAX_IOV 4096u /* more than one system call takes (IOV_MAX): an engine does a long one in parts */
#define DISK_NR_WAKE_FDS 2
#define DISK_MAX_RETRIES 16

/* The discards are only submitted to an image that can_discard and can_secure_discard. A secure one leaves nothing readable behind. */
enum disk_op { DISK_READ, DISK_WRITE, DISK_FLUSH, DISK_DISCARD, DISK_SECURE_DISCARD };

/*
 * One I/O. The owner fills op to iov; slot is its index in the owner's table, below depth, and never changes. Offsets and
 * lengths, those of each iov too, are multiples of 512 bytes; offset and left_bytes are multiples of the image's sector_bytes.
 */
struct disk_io {
	uint32_t slot;
	uint8_t op;      /* enum disk_op */
	uint8_t retries; /* engine; the owner sets 0 */
	uint16_t nr_iov; /* reads and writes: at least 1, at most DISK_MAX_IOV; all else: 0 */
	uint16_t iov_at; /* engine: the first that is not finished; the owner sets 0 */
	int error;       /* engine: 0 or -errno, when poll returns it */
	uint64_t left_bytes;   /* all iov together, or how much to discard; the engine counts it down */
	uint64_t offset_bytes; /* in the image; inside it, checked by the owner; the engine counts it up */
	struct iovec *iov;     /* the owner's; the engine may change the entries that are left */
};

struct disk_image;
struct disk_engine;

/* One thread's way to an image; engines put it first in their own struct. */
struct disk_queue {
	const struct disk_engine *engine;
};

struct disk_queue_config {
	const struct disk_image *image;
	unsigned depth;          /* most that will ever be in flight */
	const struct iovec *ram; /* where the pages of iov may lie, to register; at most GATE_MAX_EXTENTS; copied */
	unsigned nr_ram;
	const uint32_t *ram_epoch; /* changes when pages of ram were replaced; NULL: never (hv_peer_ram_epoch) */
	int wake_fd[DISK_NR_WAKE_FDS]; /* readable: wait returns, poll says which; -1: none */
};

struct disk_engine {
	const char *name;
	bool can_be_direct;  /* O_DIRECT makes sense for it */
	bool merges;         /* one I/O costs it less than two for the same sectors */
	bool follows_size;   /* it serves what an image that grew has gained */
	/*
	 * For an engine whose images are not files of this machine: reaches the target and fills in the image, its fd stays -1.
	 * 0, or -errno with one sentence in why. NULL: disk_image_open opens a file or a block device.
	 */
	int (*reach)(struct disk_image *image, const char *target, char why[256]);
	/* What the engine keeps for an image beside its queues, in image->engine_data. Both may be NULL. 0 or -errno. */
	int (*open)(struct disk_image *image);
	void (*close)(struct disk_image *image);
	/* 0 or -errno. At most image->max_queues at a time. */
	int (*create)(const struct disk_queue_config *config, struct disk_queue **out);
	/* Nothing may be in flight. */
	void (*destroy)(struct disk_queue *queue);
	/* Takes the I/O; always succeeds for up to depth of them. [hot] */
	void (*submit)(struct disk_queue *queue, struct disk_io *io);
	/*
	 * Starts what was submitted, gives back at most max finished ones; sets bit i of *woken when wake_fd[i] was readable (the
	 * caller reads it). How many, or -errno: the engine broke. Before it says so it has given back all it held, each with an
	 * error, and only when the kernel could no longer touch its pages; nothing can be submitted any more. Never blocks. [hot]
	 */
	int (*poll)(struct disk_queue *queue, struct disk_io *done[], unsigned max, unsigned *woken);
	/* Sleeps until poll has something to say. 0 or -errno as poll. */
	int (*wait)(struct disk_queue *queue);
};

extern const struct disk_engine disk_uring;
extern const struct disk_engine disk_aio;
extern const struct disk_engine disk_sync;
extern const struct disk_engine disk_mem;
extern const struct disk_engine disk_null;
extern const struct disk_engine disk_nbd; /* chosen by the target, not by name */

/* By name, or NULL. */
const struct disk_engine *disk_engine_find(const char *name);
/* "io_uring, libaio, sync, memory, null": those that serve files and block devices. */
const char *disk_engine_names(void);

/*
 * Takes the kernel's answer for what was left: bytes done or -errno. true: finished, io->error says how; false: the rest must
 * be submitted again. Reading nothing before the end (somebody cut the image) and writing nothing are -EIO. [hot]
 */
bool disk_io_answer(struct disk_io *io, int64_t result);

#endif
