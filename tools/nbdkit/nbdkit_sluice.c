/*
 * tools/nbdkit/nbdkit_sluice.c - a vbd for every NBD client: nbdkit nbdkit-sluice-plugin.so domain=NAME disk=xvda
 *
 *      nbdkit's threads     lock, submit, push, unlock, sleep until answered
 *      the queue's thread   sleeps until the back end answers, polls, wakes them
 *
 * nbdkit's buffers are not the domain's pages: data is copied through the queue's pool.
 *
 * Owns     the guest from after_fork to unload.
 * Runs in  any number of nbdkit's threads at once, and the queue's own.
 * Fails    one sentence through nbdkit_error, and an errno for the client.
 * Spec     nbdkit-plugin(3), API version 2.
 */
#define NBDKIT_API_VERSION 2
#include <nbdkit-plugin.h>

#include <pthread.h>
#include <semaphore.h>
#include <stdlib.h>

#include "frontends/disk_guest.h"

#define THREAD_MODEL NBDKIT_THREAD_MODEL_PARALLEL
#define POOL_PAGES 1024u
/* Of a large request: so much at once, that others find room in the pool beside it. */
#define MAX_PIECE_BYTES (256u << 10)
#define BURST 64u

static struct {
	const char *domain, *disk, *run_dir, *platform;
	struct disk_guest *guest;
	struct blkfront *bf;
	struct blkfront_queue *q;
	pthread_t thread;
	pthread_mutex_t lock; /* whose the queue is, among nbdkit's threads and its own */
	pthread_cond_t has_room;
	uint32_t must_end; /* atomic */
} plugin_state = {.disk = "xvda", .lock = PTHREAD_MUTEX_INITIALIZER, .has_room = PTHREAD_COND_INITIALIZER};

/* ---- life ---------------------------------------------------------------------------------------------------------------------- */

static int plugin_config(const char *key, const char *value)
{
	if (!strcmp(key, "domain"))
		plugin_state.domain = value;
	else if (!strcmp(key, "disk"))
		plugin_state.disk = value;
	else if (!strcmp(key, "run_dir"))
		plugin_state.run_dir = value;
	else if (!strcmp(key, "hv"))
		plugin_state.platform = value;
	else {
		nbdkit_error("'%s' is not a parameter of this plugin: use domain, disk, run_dir, hv", key);
		return -1;
	}
	return 0;
}

static int plugin_config_complete(void)
{
	if (plugin_state.domain || (plugin_state.platform && !strcmp(plugin_state.platform, "xen")))
		return 0;
	nbdkit_error("no domain is named: create one with kernel=\"\" and give its name as domain=NAME");
	return -1;
}

/* Takes answers for everybody. */
static void *run_queue(void *arg)
{
	struct blkfront_queue *q = arg;
	struct blkfront_request *done[BURST];

	while (!load_acquire(&plugin_state.must_end)) { /* pairs with plugin_unload's release */
		unsigned n = 0;

		pthread_mutex_lock(&plugin_state.lock);
		if (blkfront_enter(q)) {
			n = blkfront_poll(q, done, BURST);
			blkfront_push(q); /* what a reconnect asked for again */
			blkfront_leave(q);
		}
		pthread_cond_broadcast(&plugin_state.has_room);
		pthread_mutex_unlock(&plugin_state.lock);
		for (unsigned i = 0; i < n; i++)
			sem_post(done[i]->user);
		/* Gone: all have come back, and new ones are refused; until the end there is nothing to wait for. */
		if (!n && blkfront_queue_wait(q, -1) == -ENODEV)
			break;
	}
	return NULL;
}

static int plugin_after_fork(void)
{
	const struct hv_options hv = {.platform = plugin_state.platform, .run_dir = plugin_state.run_dir, .attach = plugin_state.domain};
	const struct blkfront_options opt = {.max_ring_order = BLKIF_MAX_RING_ORDER, .pool_pages = POOL_PAGES, .has_foreign_data = true,
					     .reconnects = true};
	char why[DISK_GUEST_WHY_BYTES];

	if (disk_guest_open(&hv, &plugin_state.guest, why) ||
	    disk_guest_attach(plugin_state.guest, plugin_state.disk, &opt, &plugin_state.bf, why)) {
		nbdkit_error("%s", why);
		return -1;
	}
	plugin_state.q = blkfront_get_queue(plugin_state.bf, 0);
	if (!pthread_create(&plugin_state.thread, NULL, run_queue, plugin_state.q))
		return 0;
	nbdkit_error("there is no thread to be had for the disk's queue");
	plugin_state.q = NULL;
	return -1;
}

static void plugin_unload(void)
{
	if (plugin_state.q) {
		store_release(&plugin_state.must_end, 1); /* pairs with run_queue's acquire */
		blkfront_queue_wake(plugin_state.q);
		pthread_join(plugin_state.thread, NULL);
	}
	disk_guest_close(plugin_state.guest);
}

/* ---- what the disk can ------------------------------------------------------------------------------------------------------------- */

static void *plugin_open(int readonly)
{
	return plugin_state.bf; /* all connections use the one disk */
}

static int64_t plugin_get_size(void *handle)
{
	return (int64_t)(load_relaxed(&blkfront_get_disk(handle)->nr_sectors) * BLKIF_SECTOR_BYTES);
}

static int plugin_can_write(void *handle)
{
	return !blkfront_get_disk(handle)->is_read_only;
}

static int plugin_can_flush(void *handle)
{
	return 1; /* a disk without a flush caches nothing */
}

static int plugin_can_trim(void *handle)
{
	return blkfront_get_disk(handle)->can_discard;
}

static int plugin_can_fua(void *handle)
{
	return NBDKIT_FUA_EMULATE;
}

/* A flush is for what all connections wrote. */
static int plugin_can_multi_conn(void *handle)
{
	return 1;
}

static int plugin_block_size(void *handle, uint32_t *minimum, uint32_t *preferred, uint32_t *maximum)
{
	*minimum = blkfront_get_disk(handle)->sector_bytes;
	*preferred = PAGE_BYTES;
	*maximum = UINT32_MAX;
	return 0;
}

/* ---- requests ------------------------------------------------------------------------------------------------------------------------ */

/* Puts it on the ring, when there is room. */
static int submit(struct blkfront_request *req)
{
	struct blkfront_queue *q = plugin_state.q;
	int rc;

	pthread_mutex_lock(&plugin_state.lock);
	for (;;) {
		rc = -EAGAIN;
		if (blkfront_enter(q)) {
			rc = blkfront_submit(q, req);
			if (!rc)
				blkfront_push(q);
			blkfront_leave(q);
		}
		if (rc != -EAGAIN)
			break;
		pthread_cond_wait(&plugin_state.has_room, &plugin_state.lock); /* an answer makes some */
	}
	pthread_mutex_unlock(&plugin_state.lock);
	return rc;
}

static int run(uint8_t op, uint64_t offset, uint32_t bytes, void *data)
{
	struct blkfront_request req = {.op = op, .sector = offset / BLKIF_SECTOR_BYTES, .nr_sectors = bytes / BLKIF_SECTOR_BYTES,
				       .data = data};
	sem_t answered;
	int rc;

	sem_init(&answered, 0, 0);
	req.user = &answered;
	rc = submit(&req);
	while (!rc && sem_wait(&answered) < 0)
		; /* a signal */
	sem_destroy(&answered);
	return rc ? rc : req.status;
}

static int answer(int rc, const char *what, uint64_t offset, uint32_t bytes)
{
	if (!rc)
		return 0;
	nbdkit_error("disk %s: %s of %u bytes at %llu: %s", plugin_state.disk, what, bytes, (unsigned long long)offset, strerror(-rc));
	nbdkit_set_error(-rc);
	return -1;
}

static int run_pieces(uint8_t op, const char *what, uint64_t offset, uint32_t bytes, uint8_t *data)
{
	uint32_t unit = blkfront_get_disk(plugin_state.bf)->sector_bytes;
	int rc = (offset | bytes) % unit ? -EINVAL : 0;

	for (uint32_t at = 0; at < bytes && !rc; at += MAX_PIECE_BYTES)
		rc = run(op, offset + at, bytes - at < MAX_PIECE_BYTES ? bytes - at : MAX_PIECE_BYTES, data + at);
	return answer(rc, what, offset, bytes);
}

static int plugin_pread(void *handle, void *buf, uint32_t count, uint64_t offset, uint32_t flags)
{
	return run_pieces(BLKIF_OP_READ, "a read", offset, count, buf);
}

static int plugin_pwrite(void *handle, const void *buf, uint32_t count, uint64_t offset, uint32_t flags)
{
	return run_pieces(BLKIF_OP_WRITE, "a write", offset, count, (uint8_t *)(uintptr_t)buf);
}

static int plugin_flush(void *handle, uint32_t flags)
{
	const struct blkfront_disk *d = blkfront_get_disk(handle);

	if (!d->can_flush && !d->can_barrier)
		return 0;
	return answer(run(d->can_flush ? BLKIF_OP_FLUSH_DISKCACHE : BLKIF_OP_WRITE_BARRIER, 0, 0, NULL), "a flush", 0, 0);
}

/* What is not in whole sectors is not discarded: it is a hint. */
static int plugin_trim(void *handle, uint32_t count, uint64_t offset, uint32_t flags)
{
	uint32_t unit = blkfront_get_disk(handle)->sector_bytes;
	uint64_t first = (offset + unit - 1) / unit * unit, end = (offset + count) / unit * unit;

	return first < end ? answer(run(BLKIF_OP_DISCARD, first, (uint32_t)(end - first), NULL), "a discard", offset, count) : 0;
}

static struct nbdkit_plugin plugin = {
	.name = "sluice",
	.longname = "Sluice vbd",
	.description = "a Xen block device, through blkfront",
	.config = plugin_config,
	.config_complete = plugin_config_complete,
	.config_help = "domain=NAME   the domain to become, created with kernel=\"\"\n"
		       "disk=xvda     which of its disks\n"
		       "run_dir=DIR   where sluiced's sockets are\n"
		       "hv=xen|local  the platform; found by itself",
	.magic_config_key = "domain",
	.after_fork = plugin_after_fork,
	.unload = plugin_unload,
	.open = plugin_open,
	.get_size = plugin_get_size,
	.can_write = plugin_can_write,
	.can_flush = plugin_can_flush,
	.can_trim = plugin_can_trim,
	/* no zero: blkif has no such request, and a discard need not leave zeros; nbdkit writes them */
	.can_fua = plugin_can_fua,
	.can_multi_conn = plugin_can_multi_conn,
	.block_size = plugin_block_size,
	.pread = plugin_pread,
	.pwrite = plugin_pwrite,
	.flush = plugin_flush,
	.trim = plugin_trim,
};

/* What nbdkit asks a plugin for. */
__attribute__((visibility("default"))) struct nbdkit_plugin *plugin_init(void);

NBDKIT_REGISTER_PLUGIN(plugin)
