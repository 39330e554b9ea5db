/*
 * blkback/io.c - takes block requests off the ring, has the engine do them, answers.   [hot]
 *
 *      front                 ring                here                         engine
 *      fill request   -->   req_prod   -->   take  check  map  submit   -->   image
 *      reuse page     <--   rsp_prod   <--   unmap  answer  one wake    <--   done
 *
 * A flush covers every write that came before it on the ring: it is held until those have finished, then the engine
 * makes the image durable, then it is answered. Requests behind it are not held up.
 *
 * Owns     a request slot from take to answer.
 * Trusts   nothing in the ring: copied once (ring.h), checked (request.c), used. Pages only through grants.
 * Runs in  the queue's own thread. No lock, no allocation, no system call but the I/O and the wake.
 * Fails    bad request or grant: BLKIF_RSP_ERROR; operation not offered: BLKIF_RSP_EOPNOTSUPP; impossible ring: -EPROTO.
 * Spec     xen/io/blkif.h.
 */
#include "blkback/io.h"

/* Writes the answer into the ring; io_answer shows it. All 16 bytes are written: no stack reaches the guest (XSA-216). */
static void io_put(struct io *io, uint64_t id, uint8_t operation, int16_t status)
{
	struct blkif_response rsp;

	memset(&rsp, 0, sizeof(rsp));
	rsp.id = id;
	rsp.operation = operation;
	rsp.status = status;
	blkif_ring_back_put(&io->ring, &rsp);
}

static struct io_request *io_request_get(struct io *io)
{
	struct io_request *r = io->free;

	io->free = r->next;
	io->nr_in_flight++;
	return r;
}

static void io_request_put(struct io *io, struct io_request *r)
{
	r->next = io->free;
	io->free = r;
	io->nr_in_flight--;
}

static void io_request_answer(struct io *io, struct io_request *r, int16_t status)
{
	io_put(io, r->id, r->operation, status);
	io_request_put(io, r);
}

/* Copies one request off the ring, checks it, plans the map of each segment. NULL: it was refused and is answered. */
static struct io_request *io_take_one(struct io *io, struct hv_map_op *ops)
{
	struct blkif_request req;
	enum request_verdict verdict;
	struct io_request *r;
	unsigned nr_sectors;

	blkif_ring_back_take(&io->ring, &req);
	verdict = request_check(&io->limits, &req, &nr_sectors);
	if (verdict != REQUEST_OK) {
		stats_add(&io->stats->refused[verdict], 1);
		io_put(io, req.id, req.operation, request_status(verdict));
		return NULL;
	}
	r = io_request_get(io);
	r->id = req.id;
	r->order = io->order++;
	r->operation = req.operation;
	r->nr_segments = req.nr_segments;
	r->nr_sectors = nr_sectors;
	r->disk.offset_bytes = req.sector_number * BLKIF_SECTOR_BYTES;
	for (unsigned i = 0; i < r->nr_segments; i++) {
		r->segment[i] = (uint16_t)(req.seg[i].first_sect << 8 | req.seg[i].last_sect);
		/* A read of the disk is a write to the guest's page. */
		ops[i] = (struct hv_map_op){.ref = req.seg[i].gref, .readonly = req.operation == BLKIF_OP_WRITE};
	}
	return r;
}

/* Lets go of every segment that was mapped: at the next io_answer, before the guest sees its answer. */
static void io_release(struct io *io, const struct hv_map_op *ops, unsigned n)
{
	for (unsigned i = 0; i < n; i++)
		if (ops[i].status == GNTST_okay)
			io->unmap[io->nr_unmap++] = ops[i].handle;
}

/* Adds len bytes at p; pages that follow each other in memory become one piece. */
static void io_add_piece(struct disk_io *disk, char *p, size_t len)
{
	struct iovec *last = disk->nr_iov ? &disk->iov[disk->nr_iov - 1] : NULL;

	disk->left_bytes += (uint32_t)len;
	if (last && (char *)last->iov_base + last->iov_len == p)
		last->iov_len += len;
	else
		disk->iov[disk->nr_iov++] = (struct iovec){p, len};
}

/* Fills the I/O from what was mapped. false: a page was not to be had. */
static bool io_prepare(struct io_request *r, const struct hv_map_op *ops)
{
	struct disk_io *disk = &r->disk;

	disk->nr_iov = disk->iov_at = disk->retries = 0;
	disk->left_bytes = 0;
	disk->error = 0;
	for (unsigned i = 0; i < r->nr_segments; i++) {
		unsigned first = r->segment[i] >> 8, last = r->segment[i] & 0xff;

		if (ops[i].status != GNTST_okay)
			return false;
		r->handle[i] = ops[i].handle;
		io_add_piece(disk, (char *)ops[i].page + first * BLKIF_SECTOR_BYTES,
			     (size_t)(last - first + 1) * BLKIF_SECTOR_BYTES);
	}
	return true;
}

static void io_submit_transfer(struct io *io, struct io_request *r, const struct hv_map_op *ops)
{
	if (!io_prepare(r, ops)) {
		stats_add(&io->stats->grant_errors, 1);
		io_release(io, ops, r->nr_segments);
		io_request_answer(io, r, BLKIF_RSP_ERROR);
		return;
	}
	r->disk.op = r->operation == BLKIF_OP_READ ? DISK_READ : DISK_WRITE;
	io->nr_writes += r->disk.op == DISK_WRITE;
	io->disk->engine->submit(io->disk, &r->disk);
}

/* Submits the flush, or keeps it behind the writes that came before it and still run. */
static void io_submit_flush(struct io *io, struct io_request *r)
{
	struct io_request **tail = &io->flushes;

	r->disk.op = DISK_FLUSH;
	r->disk.offset_bytes = 0; /* the guest's sector number means nothing here */
	r->disk.nr_iov = r->disk.iov_at = r->disk.retries = 0;
	r->disk.left_bytes = 0;
	r->writes_before = io->nr_writes;
	if (!r->writes_before) {
		io->disk->engine->submit(io->disk, &r->disk);
		return;
	}
	r->next = NULL;
	while (*tail)
		tail = &(*tail)->next;
	*tail = r;
}

/* A write has finished: flushes behind it wait for one less. */
static void io_write_done(struct io *io, uint64_t order)
{
	struct io_request **at = &io->flushes;

	io->nr_writes--;
	while (*at) {
		struct io_request *flush = *at;

		if (flush->order > order && --flush->writes_before == 0) {
			*at = flush->next;
			io->disk->engine->submit(io->disk, &flush->disk);
		} else {
			at = &flush->next;
		}
	}
}

static void io_count_burst(struct io *io, unsigned n)
{
	unsigned class = 31u - (unsigned)__builtin_clz(n);

	stats_add(&io->stats->bursts, 1);
	stats_add(&io->stats->batch[class < STATS_BATCH_CLASSES ? class : STATS_BATCH_CLASSES - 1], 1);
}

int io_take(struct io *io)
{
	int n = blkif_ring_back_pending(&io->ring);
	struct io_request *burst[IO_BURST];
	unsigned nr = 0, nr_ops = 0;

	if (n <= 0)
		return n;
	if (n > IO_BURST)
		n = IO_BURST;
	for (int i = 0; i < n; i++) {
		struct io_request *r = io_take_one(io, &io->map[nr_ops]);

		if (r) {
			nr_ops += r->nr_segments;
			burst[nr++] = r;
		}
	}
	if (nr_ops)
		hv_peer_map(io->peer, io->map, nr_ops);
	nr_ops = 0;
	for (unsigned i = 0; i < nr; i++) {
		struct hv_map_op *ops = &io->map[nr_ops];

		nr_ops += burst[i]->nr_segments; /* first: what is submitted may be finished and reused */
		if (burst[i]->operation == BLKIF_OP_FLUSH_DISKCACHE)
			io_submit_flush(io, burst[i]);
		else
			io_submit_transfer(io, burst[i], ops);
	}
	io_count_burst(io, (unsigned)n);
	return n;
}

static void io_count_done(struct stats *stats, const struct io_request *r)
{
	if (r->disk.error) {
		stats_add(&stats->io_errors, 1);
	} else if (r->operation == BLKIF_OP_READ) {
		stats_add(&stats->reads, 1);
		stats_add(&stats->read_sectors, r->nr_sectors);
	} else if (r->operation == BLKIF_OP_WRITE) {
		stats_add(&stats->writes, 1);
		stats_add(&stats->write_sectors, r->nr_sectors);
	} else {
		stats_add(&stats->flushes, 1);
	}
}

void io_complete(struct io *io, struct disk_io *const done[], unsigned n)
{
	for (unsigned i = 0; i < n; i++) {
		struct io_request *r = (struct io_request *)done[i];

		for (unsigned s = 0; s < r->nr_segments; s++)
			io->unmap[io->nr_unmap++] = r->handle[s];
		io_count_done(io->stats, r);
		if (r->operation == BLKIF_OP_WRITE)
			io_write_done(io, r->order);
		io_request_answer(io, r, r->disk.error ? BLKIF_RSP_ERROR : BLKIF_RSP_OKAY);
	}
}

void io_answer(struct io *io)
{
	if (io->nr_unmap) {
		hv_peer_unmap(io->peer, io->unmap, io->nr_unmap);
		io->nr_unmap = 0;
	}
	if (io->ring.rsp_prod == io->ring.rsp_shown)
		return;
	if (blkif_ring_back_push(&io->ring)) {
		hv_notify(io->hv, io->port);
		stats_add(&io->stats->notifications_sent, 1);
	} else {
		stats_add(&io->stats->notifications_suppressed, 1);
	}
}

bool io_final_check(struct io *io)
{
	return blkif_ring_back_final_check(&io->ring);
}
