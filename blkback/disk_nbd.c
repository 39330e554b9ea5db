/*
 * blkback/disk_nbd.c - the NBD engine: an image behind an NBD server, through libnbd.
 *
 * So qcow2, VHD, remote and distributed images are served: by qemu-nbd, nbdkit, or whatever else speaks NBD.
 *
 *      submit: appends to the list of those that wait
 *      poll:   turns them into NBD commands, lets the connection send and receive
 *      wait:   poll(2) on the connection and the wake fds
 *
 * One connection a queue, the first of them the one that the image was reached with; more than one queue only where the server
 * says that a flush on one connection covers the others (multi-conn). An I/O in several pieces is gathered in a buffer: a command
 * has one.
 *
 * Owns     the connection; the gathered buffers.
 * Trusts   the server with the data, as one trusts a disk.
 * Fails    the connection ends: what was on it fails with the error, and it is tried again, once a second at most, when something
 *          is asked; until then all fails. What had been written and not flushed may be lost with the server: the next flush
 *          fails, once.
 * Spec     https://github.com/NetworkBlockDevice/nbd/blob/master/doc/proto.md
 */
#include <stdio.h>

#include "blkback/disk_fifo.h"
#include "blkback/disk_image.h"
#include "blkback/disk_nbd_server.h"
#include "blkback/disk_wake.h"
#include "hv/clock.h"
#include "hv/log.h"
#include "rings/atomics.h"

#define NBD_RETRY_NS UINT64_C(1000000000)
#define NBD_LOOK_MS 100 /* how often a connection that is being made is looked at */
#define NBD_MAX_COMMAND_BYTES (UINT32_C(1) << 25) /* what a server takes that does not say */
#define NBD_MAX_TRIM_BYTES (UINT64_C(1) << 30)

/* What is kept for an image. */
struct nbd_target {
	struct nbd_handle *spare; /* a connection that no queue uses; exchanged atomically */
	uint32_t max_bytes;       /* of a command with data */
	bool can_flush;
	char name[];
};

/* One I/O under way, by slot. */
struct nbd_io {
	struct nbd_queue *queue;
	struct disk_io *io;
	unsigned nr_commands; /* not yet answered, and one while they are being made */
	char *gathered;       /* its pieces in one, or NULL */
};

struct nbd_queue {
	struct disk_queue base;
	const struct disk_image *image;
	struct nbd_target *target;
	struct nbd_handle *nbd; /* NULL: gone */
	bool is_connecting;
	bool is_dirty;    /* something was written and not flushed since */
	bool is_lost;     /* and then the connection ended: a flush has to fail */
	uint64_t next_ns; /* when to try again */
	uint64_t give_up_ns; /* is_connecting: until when */
	struct disk_wake wake;
	struct disk_fifo waiting;
	struct disk_fifo done;
	unsigned depth;
	struct nbd_io ios[]; /* depth of them */
};

/* ---- the image ---------------------------------------------------------------------------------------------------- */

/* What the server says of its export. 0, or -EINVAL with the sentence. */
static int nbd_examine(struct disk_image *image, struct nbd_target *t, char why[NBD_WHY_BYTES])
{
	struct nbd_handle *nbd = t->spare;
	int64_t bytes = nbd_get_size(nbd);
	int64_t least = nbd_get_block_size(nbd, LIBNBD_SIZE_MINIMUM), best = nbd_get_block_size(nbd, LIBNBD_SIZE_PREFERRED);
	int64_t most = nbd_get_block_size(nbd, LIBNBD_SIZE_MAXIMUM);

	image->sector_bytes = least > (int64_t)BLKIF_SECTOR_BYTES ? PAGE_BYTES : BLKIF_SECTOR_BYTES;
	if (bytes <= 0 || bytes % image->sector_bytes || least > (int64_t)PAGE_BYTES) {
		snprintf(why, NBD_WHY_BYTES, "image %s has %lld bytes in blocks of %lld, which cannot be a disk: serve it with blocks "
			 "of 512 or 4096 bytes and a whole number of them", t->name, (long long)bytes, (long long)least);
		return -EINVAL;
	}
	if (!image->is_readonly && nbd_is_read_only(nbd) > 0) {
		snprintf(why, NBD_WHY_BYTES, "image %s is served read-only: make the disk read-only (mode r) or the server writable",
			 t->name);
		return -EROFS;
	}
	image->sectors = (uint64_t)bytes / BLKIF_SECTOR_BYTES;
	image->physical_sector_bytes = best >= (int64_t)PAGE_BYTES ? PAGE_BYTES : image->sector_bytes;
	image->can_discard = !image->is_readonly && nbd_can_trim(nbd) > 0;
	image->discard_granularity_bytes = image->physical_sector_bytes;
	image->max_queues = nbd_can_multi_conn(nbd) > 0 ? UINT32_MAX : 1;
	t->can_flush = nbd_can_flush(nbd) > 0;
	t->max_bytes = most > 0 && most < (int64_t)NBD_MAX_COMMAND_BYTES ? (uint32_t)most : NBD_MAX_COMMAND_BYTES;
	t->max_bytes -= t->max_bytes % image->sector_bytes;
	return 0;
}

static int nbd_reach(struct disk_image *image, const char *target, char why[NBD_WHY_BYTES])
{
	size_t bytes = strlen(target) + 1;
	struct nbd_target *t = calloc(1, sizeof(*t) + bytes);
	int err;

	if (!t) {
		snprintf(why, NBD_WHY_BYTES, "image %s: no memory", target);
		return -ENOMEM;
	}
	memcpy(t->name, target, bytes);
	err = nbd_server_connect(target, &t->spare, why);
	if (err)
		goto free_target;
	err = nbd_examine(image, t, why);
	if (err)
		goto leave;
	image->engine_data = t;
	return 0;

leave:
	nbd_server_leave(t->spare);
free_target:
	free(t);
	return err;
}

static void nbd_close_image(struct disk_image *image)
{
	struct nbd_target *t = image->engine_data;

	nbd_server_leave(t->spare);
	free(t);
	image->engine_data = NULL;
}

/* ---- a queue ------------------------------------------------------------------------------------------------------- */

static int nbd_create_queue(const struct disk_queue_config *config, struct disk_queue **out)
{
	struct nbd_queue *q = calloc(1, sizeof(*q) + config->depth * sizeof(q->ios[0]));
	char why[NBD_WHY_BYTES];
	int err = -ENOMEM;

	if (!q)
		return -ENOMEM;
	q->base.engine = &disk_nbd;
	q->image = config->image;
	q->target = q->image->engine_data;
	q->depth = config->depth;
	disk_wake_init(&q->wake, config);
	for (unsigned i = 0; i < config->depth; i++)
		q->ios[i].queue = q;
	if (disk_fifo_init(&q->waiting, config->depth) || disk_fifo_init(&q->done, config->depth))
		goto free_queue;
	q->nbd = exchange_acq_rel(&q->target->spare, (struct nbd_handle *)NULL);
	if (!q->nbd) {
		err = nbd_server_connect(q->target->name, &q->nbd, why);
		if (err) {
			log_error("%s", why);
			goto free_queue;
		}
	}
	*out = &q->base;
	return 0;

free_queue:
	disk_fifo_finish(&q->done);
	disk_fifo_finish(&q->waiting);
	free(q);
	return err;
}

static void nbd_destroy_queue(struct disk_queue *queue)
{
	struct nbd_queue *q = (struct nbd_queue *)queue;

	/* The next queue goes on with it: a server that takes one client may be slow to notice that this one has left. */
	if (q->nbd && !q->is_connecting && nbd_aio_is_ready(q->nbd) > 0)
		q->nbd = exchange_acq_rel(&q->target->spare, q->nbd);
	nbd_server_leave(q->nbd);
	disk_fifo_finish(&q->done);
	disk_fifo_finish(&q->waiting);
	free(q);
}

/* ---- one I/O ------------------------------------------------------------------------------------------------------- */

static void nbd_scatter(struct disk_io *io, const char *from)
{
	for (unsigned i = 0; i < io->nr_iov; i++) {
		memcpy(io->iov[i].iov_base, from, io->iov[i].iov_len);
		from += io->iov[i].iov_len;
	}
}

static void nbd_gather(const struct disk_io *io, char *to)
{
	for (unsigned i = 0; i < io->nr_iov; i++) {
		memcpy(to, io->iov[i].iov_base, io->iov[i].iov_len);
		to += io->iov[i].iov_len;
	}
}

/* One command fewer to wait for; after the last one the I/O is done. */
static void nbd_command_done(struct nbd_io *n, int error)
{
	struct nbd_queue *q = n->queue;
	struct disk_io *io = n->io;

	if (error && !io->error)
		io->error = -error;
	if (--n->nr_commands)
		return;
	if (!io->error && io->op == DISK_READ && n->gathered)
		nbd_scatter(io, n->gathered);
	if (io->op == DISK_WRITE)
		q->is_dirty = true;
	if (io->op == DISK_FLUSH && !io->error)
		q->is_dirty = false;
	free(n->gathered);
	n->gathered = NULL;
	disk_fifo_put(&q->done, io);
}

/* libnbd's, from within nbd_poll, or when the connection ends. */
static int nbd_command_callback(void *arg, int *error)
{
	nbd_command_done(arg, *error);
	return 1; /* nobody asks for the command again */
}

/* One command for bytes of the I/O from byte `from` of it. 0 or the error. */
static int nbd_command(struct nbd_queue *q, struct nbd_io *n, char *data, uint64_t from, uint64_t bytes)
{
	nbd_completion_callback done = {.callback = nbd_command_callback, .user_data = n};
	uint64_t at = n->io->offset_bytes + from;
	int64_t cookie;

	n->nr_commands++;
	if (n->io->op == DISK_READ)
		cookie = nbd_aio_pread(q->nbd, data + from, bytes, at, done, 0);
	else if (n->io->op == DISK_WRITE)
		cookie = nbd_aio_pwrite(q->nbd, data + from, bytes, at, done, 0);
	else if (n->io->op == DISK_FLUSH)
		cookie = nbd_aio_flush(q->nbd, done, 0);
	else
		cookie = nbd_aio_trim(q->nbd, bytes, at, done, 0);
	if (cookie >= 0)
		return 0;
	n->nr_commands--; /* a command that was refused is not called back */
	return nbd_get_errno() > 0 ? nbd_get_errno() : EIO;
}

/* Where the I/O's bytes are in one piece. NULL: no memory. */
static char *nbd_data(struct nbd_io *n)
{
	struct disk_io *io = n->io;

	if (io->nr_iov == 1)
		return io->iov[0].iov_base;
	n->gathered = malloc(io->left_bytes);
	if (n->gathered && io->op == DISK_WRITE)
		nbd_gather(io, n->gathered);
	return n->gathered;
}

static void nbd_start(struct nbd_queue *q, struct disk_io *io)
{
	struct nbd_io *n = &q->ios[io->slot];
	uint64_t most = io->op == DISK_DISCARD ? NBD_MAX_TRIM_BYTES : q->target->max_bytes;
	bool has_data = io->op <= DISK_WRITE;
	char *data = NULL;
	int error = 0;

	n->io = io;
	n->nr_commands = 1; /* ours, until all are made */
	io->error = 0;
	if (has_data && !(data = nbd_data(n)))
		error = ENOMEM;
	else if (io->op == DISK_FLUSH && q->is_lost)
		error = EIO;
	else if (io->op == DISK_FLUSH && q->target->can_flush)
		error = nbd_command(q, n, NULL, 0, 0);
	for (uint64_t at = 0; !error && at < io->left_bytes; at += most)
		error = nbd_command(q, n, data, at, io->left_bytes - at < most ? io->left_bytes - at : most);
	if (io->op == DISK_FLUSH)
		q->is_lost = false;
	nbd_command_done(n, error);
}

/* ---- the connection ------------------------------------------------------------------------------------------------ */

/* Everything on the connection fails. libnbd has called back what it knew of; nothing may be left to it. */
static void nbd_lose(struct nbd_queue *q, const char *why)
{
	if (!q->is_connecting) /* that it is still gone need not be said each second */
		log_error("image %s: %s; it is tried again when the guest asks", q->target->name, why);
	nbd_close(q->nbd);
	q->nbd = NULL;
	for (unsigned i = 0; i < q->depth; i++)
		if (q->ios[i].nr_commands) {
			q->ios[i].nr_commands = 1;
			nbd_command_done(&q->ios[i], EIO);
		}
	q->is_connecting = false;
	q->is_lost |= q->is_dirty;
	q->is_dirty = false;
	q->next_ns = clock_now_ns() + NBD_RETRY_NS;
}

static void nbd_try_again(struct nbd_queue *q)
{
	uint64_t now = clock_now_ns();
	char why[NBD_WHY_BYTES];

	if (now < q->next_ns)
		return;
	q->next_ns = now + NBD_RETRY_NS;
	q->give_up_ns = now + UINT64_C(1000000) * NBD_CONNECT_MS;
	q->is_connecting = nbd_server_begin(q->target->name, &q->nbd, why) == 0;
}

/* Goes on with connecting; what it connects to must be the same disk. */
static void nbd_connect_more(struct nbd_queue *q)
{
	const struct disk_image *image = q->image;

	if (nbd_poll(q->nbd, 0) < 0 || nbd_aio_is_dead(q->nbd) > 0 || nbd_aio_is_closed(q->nbd) > 0 ||
	    clock_now_ns() >= q->give_up_ns) {
		nbd_lose(q, "the NBD server does not answer");
		return;
	}
	if (nbd_aio_is_ready(q->nbd) <= 0)
		return;
	q->is_connecting = false;
	if (nbd_get_size(q->nbd) < (int64_t)(image->sectors * BLKIF_SECTOR_BYTES) ||
	    (!image->is_readonly && nbd_is_read_only(q->nbd) > 0))
		nbd_lose(q, "the NBD server serves another disk now");
	else
		log_info("image %s: connected to the NBD server again", q->target->name);
}

/* Commands for all that waits; sends and receives as far as that goes at once. */
static void nbd_drive(struct nbd_queue *q)
{
	if (!q->nbd && disk_fifo_count(&q->waiting))
		nbd_try_again(q);
	if (q->is_connecting)
		nbd_connect_more(q);
	if (q->is_connecting)
		return;
	while (q->nbd && disk_fifo_count(&q->waiting))
		nbd_start(q, disk_fifo_take(&q->waiting));
	if (q->nbd && (nbd_poll(q->nbd, 0) < 0 || nbd_aio_is_dead(q->nbd) > 0 || nbd_aio_is_closed(q->nbd) > 0))
		nbd_lose(q, "the connection to the NBD server is lost");
}

/* ---- the contract --------------------------------------------------------------------------------------------------- */

static void nbd_submit(struct disk_queue *queue, struct disk_io *io)
{
	disk_fifo_put(&((struct nbd_queue *)queue)->waiting, io);
}

static int nbd_poll_queue(struct disk_queue *queue, struct disk_io *done[], unsigned max, unsigned *woken)
{
	struct nbd_queue *q = (struct nbd_queue *)queue;
	unsigned n = 0;

	nbd_drive(q);
	while (!q->nbd && disk_fifo_count(&q->waiting)) {
		struct disk_io *io = disk_fifo_take(&q->waiting);

		io->error = -EIO;
		disk_fifo_put(&q->done, io);
	}
	while (n < max && disk_fifo_count(&q->done))
		done[n++] = disk_fifo_take(&q->done);
	disk_wake_tell(&q->wake, woken);
	return (int)n;
}

static int nbd_wait(struct disk_queue *queue)
{
	struct nbd_queue *q = (struct nbd_queue *)queue;
	unsigned direction;
	short events;

	if (disk_fifo_count(&q->done) || (disk_fifo_count(&q->waiting) && !q->is_connecting))
		return 0;
	if (!q->nbd)
		return disk_wake_wait(&q->wake, -1, 0, -1, NULL);
	direction = nbd_aio_get_direction(q->nbd);
	events = (short)((direction & LIBNBD_AIO_DIRECTION_READ ? POLLIN : 0) |
			 (direction & LIBNBD_AIO_DIRECTION_WRITE ? POLLOUT : 0));
	return disk_wake_wait(&q->wake, nbd_aio_get_fd(q->nbd), events, q->is_connecting ? NBD_LOOK_MS : -1, NULL);
}

const struct disk_engine disk_nbd = {
	.name = "nbd",
	.merges = true,
	.reach = nbd_reach,
	.close = nbd_close_image,
	.create = nbd_create_queue,
	.destroy = nbd_destroy_queue,
	.submit = nbd_submit,
	.poll = nbd_poll_queue,
	.wait = nbd_wait,
};
