/*
 * tools/fio/fio_sluice.c - fio's engine for a vbd: libsluice-fio.so, ioengine=external:.../libsluice-fio.so.
 *
 *      queue       collects io_us
 *      commit      puts them on the ring, shows them at once
 *      getevents   takes answers, puts what did not fit before; looks, or looks and then sleeps
 *
 * The process becomes one guest, the jobs are its threads (thread=1); each job has a queue of its own, of one vbd or of several.
 * Buffers are pages of the domain: nothing is copied, unless grants are persistent or the platform has no grant table.
 *
 * Owns     the guest while any job uses it, a job's queue while the job runs.
 * Runs in  setup, in fio's first thread; all else in the job's.
 * Spec     fio 3.33's ioengines.h: an external engine is built against the source of the fio that loads it.
 *
 * SPDX-License-Identifier: GPL-2.0-only
 */
#include <config-host.h>

#include <fio.h>
#include <optgroup.h>

#include "frontends/disk_guest.h"

#define NS_PER_MS 1000000

struct sluice_options {
	void *pad; /* fio takes an option at offset 0 for none */
	char *attach;
	char *run_dir;
	char *hv;
	unsigned ring_order;
	unsigned queues;
	unsigned segments;
	unsigned pool_pages;
	unsigned busy_poll_us;
	unsigned poll;
	unsigned persistent;
	unsigned x86_32;
};

#define OPTION(option, kind, field, text, ...)                                                                              \
	{                                                                                                                   \
		.name = "sluice_" option, .lname = "Sluice: " option, .type = kind, .off1 = offsetof(struct sluice_options, field), \
		.help = text, .category = FIO_OPT_C_ENGINE, .group = FIO_OPT_G_INVALID, __VA_ARGS__                         \
	}

static struct fio_option options[] = {
	OPTION("attach", FIO_OPT_STR_STORE, attach, "Name of the domain to become, created with kernel=\"\""),
	OPTION("run_dir", FIO_OPT_STR_STORE, run_dir, "Where sluiced's sockets are"),
	OPTION("hv", FIO_OPT_STR_STORE, hv, "Platform, local or xen; found by itself"),
	OPTION("ring_order", FIO_OPT_INT, ring_order, "Largest ring, 2^N pages", .def = "4", .maxval = BLKIF_MAX_RING_ORDER),
	OPTION("queues", FIO_OPT_INT, queues, "Queues of each vbd; 0: one for each job that uses it", .def = "0",
	       .maxval = BLKFRONT_MAX_QUEUES),
	OPTION("segments", FIO_OPT_INT, segments, "Longest indirect request, in segments; 11: none", .def = "256",
	       .maxval = BLKFRONT_MAX_SEGMENTS),
	OPTION("pool_pages", FIO_OPT_INT, pool_pages, "Pages of each queue's pool, where one is needed", .def = "0"),
	OPTION("busy_poll_us", FIO_OPT_INT, busy_poll_us, "Look for so long at most before sleeping", .def = "100"),
	OPTION("poll", FIO_OPT_BOOL, poll, "Never sleep", .def = "0"),
	OPTION("persistent", FIO_OPT_BOOL, persistent, "Persistent grants, data copied", .def = "0"),
	OPTION("x86_32", FIO_OPT_BOOL, x86_32, "A ring of the layout of 32-bit guests", .def = "0"),
	{.name = NULL},
};

/* One vbd, used by one job or several. */
struct disk {
	const char *name;
	struct blkfront *bf;
	unsigned nr_taken; /* queues that a job has */
};

/* The process's guest. Jobs are set up one after the other; later only the counts change. */
static struct {
	pthread_mutex_t lock;
	struct disk_guest *guest;
	unsigned nr_users;
	unsigned nr_disks;
	struct disk disk[DISK_GUEST_MAX_DISKS];
} process = {.lock = PTHREAD_MUTEX_INITIALIZER};

struct job {
	struct disk *disk;
	struct blkfront_queue *q; /* NULL until the job runs */
	bool is_user; /* of the process's guest */
	unsigned depth;
	unsigned nr_waiting; /* collected, not on the ring yet; from waiting[first] on */
	unsigned first;
	struct io_u **waiting;
	unsigned nr_done;
	struct blkfront_request **done;
	struct blkfront_request *request; /* io_u->index says which */
	size_t nr_bytes; /* of buffers */
};

/* ---- setup: the guest and its disks ------------------------------------------------------------------------------------------ */

static struct disk *find_disk(const char *name)
{
	for (unsigned i = 0; i < process.nr_disks; i++)
		if (!strcmp(process.disk[i].name, name))
			return &process.disk[i];
	return NULL;
}

static const char *disk_name(struct thread_data *td)
{
	return td->files_index ? td->files[0]->file_name : NULL;
}

/* Jobs of this engine that use the same disk: each wants a queue. */
static unsigned count_jobs(struct thread_data *td)
{
	const char *name = disk_name(td);
	struct thread_data *other;
	unsigned n = 0;
	int i;

	for_each_td(other, i) {
		/* Those not set up yet have no files: their option says what they will have. */
		const char *used = other->o.filename ? other->o.filename : disk_name(other);

		n += other->io_ops && td->io_ops && !strcmp(other->io_ops->name, td->io_ops->name) && used && !strcmp(used, name);
	}
	return n ? n : 1;
}

static int open_guest(struct thread_data *td, char *why)
{
	struct sluice_options *o = td->eo;
	const struct hv_options opt = {.platform = o->hv, .run_dir = o->run_dir, .attach = o->attach};
	bool is_xen = o->hv && !strcmp(o->hv, "xen");

	if (process.guest)
		return 0;
	if (!o->attach && !is_xen) {
		log_err("fio: sluice: no domain is named: create one with kernel=\"\" and give its name with sluice_attach=\n");
		return 1;
	}
	if (!disk_guest_open(&opt, &process.guest, why))
		return 0;
	log_err("fio: sluice: %s\n", why);
	return 1;
}

static int open_disk(struct thread_data *td, struct disk **out)
{
	struct sluice_options *o = td->eo;
	const struct blkfront_options opt = {
		.max_ring_order = o->ring_order,
		.max_queues = o->queues ? o->queues : count_jobs(td),
		.max_segments = o->segments,
		.pool_pages = o->pool_pages,
		.busy_poll_us = o->poll ? 0 : o->busy_poll_us,
		.persistent = o->persistent ? BLKFRONT_PERSISTENT_WANTED : BLKFRONT_PERSISTENT_IF_POOLED,
		.is_x86_32 = o->x86_32,
		.reconnects = true,
	};
	struct disk *d = find_disk(disk_name(td));
	char why[DISK_GUEST_WHY_BYTES];

	if (!d && open_guest(td, why))
		return 1;
	if (!d) {
		d = &process.disk[process.nr_disks];
		if (disk_guest_attach(process.guest, disk_name(td), &opt, &d->bf, why)) {
			log_err("fio: sluice: %s\n", why);
			return 1;
		}
		d->name = disk_name(td);
		process.nr_disks++;
	}
	*out = d;
	return 0;
}

static int check_use(struct thread_data *td, const struct disk *d)
{
	const struct blkfront_disk *bd = blkfront_get_disk(d->bf);

	if (td_write(td) && bd->is_read_only) {
		log_err("fio: sluice: disk %s is read-only: give it mode w, or only read\n", d->name);
		return 1;
	}
	if (td_trim(td) && !bd->can_discard) {
		log_err("fio: sluice: the back end of disk %s offers no discard: leave out trim\n", d->name);
		return 1;
	}
	return 0;
}

static int sluice_setup(struct thread_data *td)
{
	struct job *j;
	int rc;

	if (!td->o.use_thread) {
		log_err("fio: sluice: the jobs share one guest: add thread=1\n");
		return 1;
	}
	if (td->files_index != 1) {
		log_err("fio: sluice: name one disk for each job, as filename=xvda\n");
		return 1;
	}
	j = calloc(1, sizeof(*j));
	if (!j)
		return 1;
	td->io_ops_data = j;
	pthread_mutex_lock(&process.lock);
	rc = open_disk(td, &j->disk);
	if (process.guest) {
		process.nr_users++;
		j->is_user = true;
	}
	pthread_mutex_unlock(&process.lock);
	if (rc || check_use(td, j->disk))
		return 1;
	td->files[0]->real_file_size = blkfront_get_disk(j->disk->bf)->nr_sectors * BLKIF_SECTOR_BYTES;
	return 0;
}

/* The last one out closes the guest. */
static void leave_guest(struct job *j)
{
	pthread_mutex_lock(&process.lock);
	if (j->is_user && !--process.nr_users) {
		disk_guest_close(process.guest);
		process.guest = NULL;
		process.nr_disks = 0;
	}
	pthread_mutex_unlock(&process.lock);
}

/* ---- a job's life ------------------------------------------------------------------------------------------------------------ */

static int take_queue(struct thread_data *td, struct job *j)
{
	struct disk *d = j->disk;

	pthread_mutex_lock(&process.lock);
	if (d->nr_taken < d->bf->nr_queues)
		j->q = blkfront_get_queue(d->bf, d->nr_taken++);
	pthread_mutex_unlock(&process.lock);
	if (!j->q) {
		log_err("fio: sluice: each job needs a queue, and disk %s has %u: use fewer jobs, or more disks\n", d->name,
			d->bf->nr_queues);
		return 1;
	}
	if (td_max_bs(td) > blkfront_max_bytes(j->q)) {
		log_err("fio: sluice: disk %s takes at most %u bytes at once: use a smaller bs\n", d->name, blkfront_max_bytes(j->q));
		return 1;
	}
	return 0;
}

static int sluice_init(struct thread_data *td)
{
	struct job *j = td->io_ops_data;

	j->depth = td->o.iodepth;
	j->waiting = calloc(j->depth, sizeof(*j->waiting));
	j->done = calloc(j->depth, sizeof(*j->done));
	j->request = calloc(j->depth, sizeof(*j->request));
	if (!j->waiting || !j->done || !j->request)
		return 1;
	return take_queue(td, j);
}

static void sluice_cleanup(struct thread_data *td)
{
	struct job *j = td->io_ops_data;

	if (!j)
		return;
	leave_guest(j);
	free(j->waiting);
	free(j->done);
	free(j->request);
	free(j);
	td->io_ops_data = NULL;
}

static int sluice_iomem_alloc(struct thread_data *td, size_t bytes)
{
	struct job *j = td->io_ops_data;

	td->orig_buffer = disk_guest_alloc(process.guest, bytes);
	j->nr_bytes = bytes;
	if (td->orig_buffer)
		return 0;
	log_err("fio: sluice: the domain has no %zu bytes in a row for buffers: create it with more memory\n", bytes);
	return 1;
}

static void sluice_iomem_free(struct thread_data *td)
{
	struct job *j = td->io_ops_data;

	disk_guest_free(process.guest, td->orig_buffer, j->nr_bytes);
	td->orig_buffer = NULL;
}

static int sluice_open_file(struct thread_data *td, struct fio_file *f)
{
	return 0;
}

static int sluice_close_file(struct thread_data *td, struct fio_file *f)
{
	return 0;
}

static int sluice_invalidate(struct thread_data *td, struct fio_file *f)
{
	return 0;
}

/* ---- the data path ------------------------------------------------------------------------------------------------------------- */

/* False: a flush, and the disk has no cache. */
static bool fill(struct job *j, struct blkfront_request *req, struct io_u *io_u)
{
	const struct blkfront_disk *d = &j->disk->bf->disk;

	req->user = io_u;
	req->sector = io_u->offset / BLKIF_SECTOR_BYTES;
	req->nr_sectors = (uint32_t)(io_u->xfer_buflen / BLKIF_SECTOR_BYTES);
	req->data = io_u->xfer_buf;
	if (io_u->ddir == DDIR_READ) {
		req->op = BLKIF_OP_READ;
	} else if (io_u->ddir == DDIR_WRITE) {
		req->op = BLKIF_OP_WRITE;
	} else if (io_u->ddir == DDIR_TRIM) {
		req->op = BLKIF_OP_DISCARD;
	} else {
		req->op = d->can_flush ? BLKIF_OP_FLUSH_DISKCACHE : BLKIF_OP_WRITE_BARRIER;
		req->sector = req->nr_sectors = 0;
		return d->can_flush || d->can_barrier;
	}
	return true;
}

/* Of waiting[]; a division would cost more than all else here. */
static unsigned wrapped(const struct job *j, unsigned index)
{
	return index < j->depth ? index : index - j->depth;
}

static enum fio_q_status sluice_queue(struct thread_data *td, struct io_u *io_u)
{
	struct job *j = td->io_ops_data;

	fio_ro_check(td, io_u);
	if ((ddir_sync(io_u->ddir) && !fill(j, &j->request[io_u->index], io_u)) || io_u->ddir == DDIR_WAIT)
		return FIO_Q_COMPLETED;
	if (ddir_rw(io_u->ddir) && (io_u->offset | io_u->xfer_buflen) % BLKIF_SECTOR_BYTES) {
		io_u->error = EINVAL;
		return FIO_Q_COMPLETED;
	}
	if (j->nr_waiting == j->depth)
		return FIO_Q_BUSY;
	j->waiting[wrapped(j, j->first + j->nr_waiting++)] = io_u;
	return FIO_Q_QUEUED;
}

/* It was refused for good, or the device has gone: it comes back as an answer does. */
static void fail_one(struct job *j, struct blkfront_request *req, int rc)
{
	req->status = rc;
	j->done[j->nr_done++] = req;
}

/* Entered. What finds no room stays for the next time. */
static void submit_waiting(struct job *j)
{
	while (j->nr_waiting) {
		struct io_u *io_u = j->waiting[j->first];
		struct blkfront_request *req = &j->request[io_u->index];
		int rc;

		fill(j, req, io_u);
		rc = blkfront_submit(j->q, req);
		if (rc == -EAGAIN)
			break;
		if (rc < 0)
			fail_one(j, req, rc);
		j->first = wrapped(j, j->first + 1);
		j->nr_waiting--;
	}
	blkfront_push(j->q);
}

static void stamp_waiting(struct thread_data *td, struct job *j)
{
	struct timespec now;

	if (!fio_fill_issue_time(td))
		return;
	fio_gettime(&now, NULL);
	for (unsigned i = 0; i < j->nr_waiting; i++) {
		struct io_u *io_u = j->waiting[wrapped(j, j->first + i)];

		memcpy(&io_u->issue_time, &now, sizeof(now));
		io_u_queued(td, io_u);
	}
}

static int sluice_commit(struct thread_data *td)
{
	struct job *j = td->io_ops_data;
	unsigned nr = j->nr_waiting;

	if (!nr)
		return 0;
	stamp_waiting(td, j);
	io_u_mark_submit(td, nr);
	if (blkfront_enter(j->q)) {
		submit_waiting(j);
		blkfront_leave(j->q);
	}
	return 0;
}

/* One look: answers in, what waited out. */
static void look(struct job *j)
{
	if (!blkfront_enter(j->q))
		return;
	j->nr_done += blkfront_poll(j->q, j->done + j->nr_done, j->depth - j->nr_done);
	if (j->nr_waiting)
		submit_waiting(j);
	blkfront_leave(j->q);
}

static int sluice_getevents(struct thread_data *td, unsigned int min, unsigned int max, const struct timespec *t)
{
	const struct sluice_options *o = td->eo;
	struct job *j = td->io_ops_data;
	uint64_t until = t ? clock_now_ns() + (uint64_t)t->tv_sec * 1000000000u + (uint64_t)t->tv_nsec : 0;

	j->nr_done = 0;
	for (;;) {
		look(j);
		if (j->nr_done >= min || (t && clock_now_ns() >= until))
			return (int)j->nr_done;
		if (o->poll) {
			cpu_relax();
			if (!load_relaxed(&j->disk->bf->is_over))
				continue;
		}
		if (blkfront_queue_wait(j->q, t ? (int)((until - clock_now_ns()) / NS_PER_MS) + 1 : -1) == -ENODEV && j->nr_done < min) {
			look(j);
			return j->nr_done ? (int)j->nr_done : -ENODEV;
		}
	}
}

static struct io_u *sluice_event(struct thread_data *td, int event)
{
	struct job *j = td->io_ops_data;
	struct blkfront_request *req = j->done[event];
	struct io_u *io_u = req->user;

	io_u->error = -req->status;
	return io_u;
}

static struct ioengine_ops engine = {
	.name = "sluice",
	.version = FIO_IOOPS_VERSION,
	.flags = FIO_DISKLESSIO | FIO_NOEXTEND | FIO_RAWIO | FIO_MEMALIGN | FIO_ASYNCIO_SETS_ISSUE_TIME,
	.setup = sluice_setup,
	.init = sluice_init,
	.cleanup = sluice_cleanup,
	.queue = sluice_queue,
	.commit = sluice_commit,
	.getevents = sluice_getevents,
	.event = sluice_event,
	.open_file = sluice_open_file,
	.close_file = sluice_close_file,
	.invalidate = sluice_invalidate,
	.iomem_alloc = sluice_iomem_alloc,
	.iomem_free = sluice_iomem_free,
	.option_struct_size = sizeof(struct sluice_options),
	.options = options,
};

/* What fio asks an external engine for. */
__attribute__((visibility("default"))) void get_ioengine(struct ioengine_ops **ops);

void get_ioengine(struct ioengine_ops **ops)
{
	*ops = &engine;
}
