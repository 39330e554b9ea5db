/*
 * blkback/io.c - takes block requests off the ring, has the engine do them, answers.   [hot]
 *
 *      front                 ring                here                           engine
 *      fill request   -->   req_prod   -->   take  check  fetch  submit   -->   image
 *      reuse page     <--   rsp_prod   <--   settle  answer  one wake     <--   done
 *
 * A flush covers every write that came before it on the ring: it is held until those have finished, then the engine
 * makes the image durable, then it is answered. Requests behind it are not held up. Writes of other queues that were answered
 * before it are finished, so they are covered, too. A barrier runs alone, between two flushes.
 *
 * Owns     a request slot from take until its answer is shown.
 * Trusts   nothing in the ring: copied once (into the journal), checked (request.c), used. Pages only through grants.
 * Runs in  the queue's own thread. No lock, no allocation, no system call but the I/O, the hypervisor's and the wake.
 * Fails    bad request or grant: BLKIF_RSP_ERROR; operation not offered: BLKIF_RSP_EOPNOTSUPP; impossible ring: -EPROTO.
 * Spec     xen/io/blkif.h.
 */
#include "blkback/run.h"

/* ---- slots ---- */

static void io_push(struct io_request **list, struct io_request *r)
{
	r->next = *list;
	*list = r;
}

static struct io_request *io_pop(struct io_request **list)
{
	struct io_request *r = *list;

	*list = r->next;
	return r;
}

static void io_take_bag(struct io *io, struct io_request *r)
{
	r->bag = io->bags;
	io->bags = r->bag->next;
	r->lot.hold = r->bag->hold;
	r->lot.iov = r->bag->iov;
	r->lot.buffer = r->bag->buffer;
}

static void io_give_back_bag(struct io *io, struct io_request *r)
{
	r->bag->next = io->bags;
	io->bags = r->bag;
	r->bag = NULL;
	r->lot.hold = r->hold;
	r->lot.iov = r->iov;
	r->lot.buffer = r->buffer;
}

/* Writes the answer into the ring; io_answer shows it. */
static void io_put(struct io *io, struct io_request *r, int16_t status)
{
	journal_answer(r->entry, io->ring.native.rsp_prod);
	blkif_any_back_put(&io->ring, r->entry->req.rw.id, r->ask.operation, status);
	if (r->bag)
		io_give_back_bag(io, r);
	if (io->barrier == r)
		io->barrier = NULL;
	io->nr_in_flight--;
	io_push(&io->answered, r);
}

static void io_refuse(struct io *io, struct io_request *r, enum request_verdict verdict)
{
	stats_add(&io->stats->refused[verdict], 1);
	io_put(io, r, request_status(verdict));
}

static void io_refuse_pages(struct io *io, struct io_request *r)
{
	stats_add(&io->stats->grant_errors, 1);
	io_put(io, r, BLKIF_RSP_ERROR);
}

/* ---- take: from the ring into a burst ---- */

/* The next request, copied; NULL: there is none. */
static struct io_request *io_next(struct io *io, int *pending)
{
	struct io_request *r;

	if (io->redo) {
		r = io_pop(&io->redo);
	} else {
		if (*pending <= 0 || !io->free)
			return NULL;
		r = io_pop(&io->free);
		blkif_any_back_take(&io->ring, &r->entry->req);
		journal_take(r->entry, io->ring.native.req_cons - 1);
		--*pending;
	}
	io->nr_in_flight++;
	return r;
}

/* It cannot start now: back to where it came from. */
static void io_put_back(struct io *io, struct io_request *r)
{
	io->nr_in_flight--;
	if (r->is_redo) {
		io_push(&io->redo, r);
		return;
	}
	journal_untake(r->entry);
	blkif_any_back_untake(&io->ring);
	io_push(&io->free, r);
}

/* Does a limit of the vbd let it start? Flushes are not limited, and a queue that closes does what it still has to do. */
static bool io_is_within_limit(struct io *io, const struct request *ask)
{
	bool is_write = ask->operation != BLKIF_OP_READ;
	uint64_t wait;

	if (ask->operation == BLKIF_OP_FLUSH_DISKCACHE || io->is_closing)
		return true;
	wait = limit_wait_ns(io->limit, is_write, io->now_ns);
	if (!wait)
		return true;
	io->retry_ns = io->now_ns + limit_pause_ns(io->limit, wait);
	return false;
}

/* May it start now? If not, is_stalled or retry_ns say what it waits for. room: segments that still fit the batch. */
static bool io_may_start(struct io *io, const struct request *ask, unsigned room)
{
	if (ask->nr_segments > room)
		return false; /* the next burst will have it */
	io->is_stalled = (ask->operation == BLKIF_OP_WRITE_BARRIER && io->nr_in_flight > 1) || (ask->is_indirect && !io->bags);
	return !io->is_stalled && (!io->is_limited || io_is_within_limit(io, ask));
}

/* Counts a wait once, however often it is looked whether it is over. */
static void io_count_wait(struct io *io, const struct request *ask, bool waited)
{
	if (waited)
		return;
	if (io->retry_ns)
		stats_add(&io->stats->waits_limit, 1);
	else if (io->is_stalled && ask->is_indirect)
		stats_add(&io->stats->waits_memory, 1);
}

static void io_admit(struct io *io, struct io_request *r)
{
	r->order = io->order++;
	r->taken_ns = io->now_ns;
	r->step = IO_STEP_ONLY;
	r->lot.nr_segments = 0;
	r->run = NULL;
	if (r->ask.operation == BLKIF_OP_WRITE_BARRIER)
		io->barrier = r;
	if (r->ask.is_indirect)
		io_take_bag(io, r);
	io->burst[io->nr_burst++] = r;
}

/* Checks the segments of a transfer, in the slot or in the copied descriptors, and plans where its data will lie. */
static bool io_plan(struct io *io, struct io_request *r)
{
	const struct blkif_request_segment *seg = r->bag ? r->bag->descriptor : r->entry->req.rw.seg;
	enum request_verdict verdict = request_segments(io->limits, seg, &r->ask);
	bool is_read = r->ask.operation == BLKIF_OP_READ;

	if (verdict != REQUEST_OK) {
		io_refuse(io, r, verdict);
		return false;
	}
	r->lot.segment = seg;
	r->lot.nr_segments = r->ask.nr_segments;
	if (r->ask.nr_segments)
		pages_plan(&io->pages, &r->lot, is_read);
	if (io->is_limited)
		limit_charge(io->limit, !is_read, r->ask.nr_sectors * BLKIF_SECTOR_BYTES, io->now_ns);
	return true;
}

static bool io_is_transfer(const struct io_request *r)
{
	return r->ask.operation == BLKIF_OP_READ || request_is_write(&r->ask);
}

/* Takes what may start now. Returns how many were taken, refused ones included; nr_burst of them go on. */
static unsigned io_gather(struct io *io, int pending)
{
	bool waited = io->is_stalled || io->retry_ns;
	unsigned room = io->pages.max_batch, taken = 0;
	struct io_request *r;

	io->nr_burst = 0;
	io->is_stalled = false;
	io->retry_ns = 0;
	io->is_limited = io->limit && limit_is_any(io->limit);
	while (taken < IO_BURST && !io->barrier && (r = io_next(io, &pending)) != NULL) {
		enum request_verdict verdict = request_parse(io->limits, &r->entry->req, &r->ask);

		if (verdict != REQUEST_OK) {
			io_refuse(io, r, verdict);
			taken++;
			continue;
		}
		if (!io_may_start(io, &r->ask, room)) {
			io_count_wait(io, &r->ask, waited && !taken);
			io_put_back(io, r);
			break;
		}
		room -= r->ask.nr_segments;
		taken++;
		io_admit(io, r);
		/* What it costs is known when its segments are: those of an indirect request lie in pages that are fetched later. */
		if (r->ask.is_indirect && io->is_limited)
			break;
		if (r->ask.operation == BLKIF_OP_DISCARD && io->is_limited)
			limit_charge(io->limit, true, 0, io->now_ns);
		else if (io_is_transfer(r) && !r->ask.is_indirect && !io_plan(io, r))
			io->nr_burst--;
	}
	return taken;
}

/* ---- take: from the burst to the engine ---- */

static unsigned io_descriptor_pages(const struct io_request *r)
{
	return (r->ask.nr_segments + BLKIF_SEGMENTS_PER_PAGE - 1) / BLKIF_SEGMENTS_PER_PAGE;
}

/* Copies the pages of segments that indirect requests name, in one batch. They are not looked at in the guest's memory. */
static void io_fetch_descriptors(struct io *io)
{
	unsigned nr = 0, failed, kept = 0;

	for (unsigned i = 0; i < io->nr_burst; i++) {
		struct io_request *r = io->burst[i];

		for (unsigned p = 0; r->bag && p < io_descriptor_pages(r); p++) {
			unsigned left = r->ask.nr_segments - p * (unsigned)BLKIF_SEGMENTS_PER_PAGE;
			unsigned n = left < BLKIF_SEGMENTS_PER_PAGE ? left : (unsigned)BLKIF_SEGMENTS_PER_PAGE;

			io->descriptor[nr++] = (struct grant_copy_op){
				.local = r->bag->descriptor + p * BLKIF_SEGMENTS_PER_PAGE,
				.ref = r->entry->req.indirect.indirect_grefs[p],
				.len = (uint16_t)(n * sizeof(struct blkif_request_segment)),
			};
		}
	}
	if (!nr)
		return;
	failed = hv_peer_copy(io->peer, io->descriptor, nr);
	nr = 0;
	for (unsigned i = 0; i < io->nr_burst; i++) {
		struct io_request *r = io->burst[i];
		bool is_good = true;

		for (unsigned p = 0; r->bag && p < io_descriptor_pages(r); p++)
			is_good &= io->descriptor[nr++].status == GNTST_okay;
		if (failed && !is_good)
			io_refuse_pages(io, r);
		else if (!r->bag || io_plan(io, r))
			io->burst[kept++] = r;
	}
	io->nr_burst = kept;
}

static void io_prepare(struct io_request *r, enum disk_op op)
{
	bool is_transfer = op == DISK_READ || op == DISK_WRITE;

	r->disk.op = (uint8_t)op;
	r->disk.retries = 0;
	r->disk.error = 0;
	r->disk.nr_iov = is_transfer ? r->lot.nr_iov : 0;
	r->disk.iov_at = 0;
	r->disk.iov = r->lot.iov;
	r->disk.left_bytes = op == DISK_FLUSH ? 0 : r->ask.nr_sectors * BLKIF_SECTOR_BYTES;
	r->disk.offset_bytes = op == DISK_FLUSH ? 0 : r->ask.sector * BLKIF_SECTOR_BYTES;
}

static void io_submit(struct io *io, struct io_request *r, enum disk_op op)
{
	io_prepare(r, op);
	io->disk->engine->submit(io->disk, &r->disk);
}

static enum disk_op io_direction(const struct io_request *r)
{
	return r->ask.operation == BLKIF_OP_READ ? DISK_READ : DISK_WRITE;
}

/* Submits the flush, or keeps it behind the writes that came before it and still run. */
static void io_submit_flush(struct io *io, struct io_request *r)
{
	struct io_request **tail = &io->flushes;

	r->writes_before = io->nr_writes;
	if (!r->writes_before) {
		io_submit(io, r, DISK_FLUSH);
		return;
	}
	while (*tail)
		tail = &(*tail)->next;
	r->next = NULL;
	*tail = r;
}

/* Are its pages there? If not, it is answered. */
static inline bool io_has_pages(struct io *io, struct io_request *r)
{
	if (!r->lot.nr_segments || pages_ready(&io->pages, &r->lot))
		return true;
	io_refuse_pages(io, r);
	return false;
}

static void io_submit_transfer(struct io *io, struct io_request *r)
{
	if (r->ask.operation == BLKIF_OP_WRITE_BARRIER) {
		r->step = r->lot.nr_segments ? IO_STEP_FLUSH : IO_STEP_ONLY;
		io_submit(io, r, DISK_FLUSH);
	} else {
		io->nr_writes += r->ask.operation == BLKIF_OP_WRITE;
		io_submit(io, r, io_direction(r));
	}
}

static void io_submit_one(struct io *io, struct io_request *r)
{
	if (r->ask.operation == BLKIF_OP_FLUSH_DISKCACHE)
		io_submit_flush(io, r);
	else if (r->ask.operation == BLKIF_OP_DISCARD)
		io_submit(io, r, r->ask.is_secure ? DISK_SECURE_DISCARD : DISK_DISCARD);
	else if (io_has_pages(io, r))
		io_submit_transfer(io, r);
}

/* One I/O for all n; or one for each, if the pages of one of them are not to be had. r is the caller's to change. */
static __attribute__((noinline)) void io_submit_run(struct io *io, struct io_request *r[], unsigned n)
{
	enum disk_op op = io_direction(r[0]);
	unsigned nr_ready = 0;

	for (unsigned i = 0; i < n; i++)
		if (io_has_pages(io, r[i]))
			r[nr_ready++] = r[i];
	if (op == DISK_WRITE)
		io->nr_writes += nr_ready;
	if (nr_ready == n) {
		io_prepare(r[0], op);
		run_make(io, r, n);
		io->disk->engine->submit(io->disk, &r[0]->disk);
		return;
	}
	for (unsigned i = 0; i < nr_ready; i++)
		io_submit(io, r[i], op);
}

static void io_submit_burst(struct io *io)
{
	bool merges = io->run_sectors && io->disk->engine->merges;
	unsigned n;

	for (unsigned i = 0; i < io->nr_burst; i += n) {
		n = 1;
		if (merges && i + 1 < io->nr_burst && run_is_follower(io->burst[i], io->burst[i + 1]))
			n = run_length(io, &io->burst[i], io->nr_burst - i);
		if (n == 1)
			io_submit_one(io, io->burst[i]);
		else
			io_submit_run(io, &io->burst[i], n);
	}
}

static void io_count_burst(struct io *io, unsigned n)
{
	stats_add(&io->stats->bursts, 1);
	histogram_batch_add(&io->stats->batch, n);
	stats_depth(io->stats, io->nr_in_flight);
}

int io_take(struct io *io)
{
	int pending = io->is_closing ? 0 : blkif_ring_back_pending(&io->ring.native);
	unsigned taken;

	if (pending < 0)
		return pending;
	if (!pending && !io->redo)
		return 0;
	taken = io_gather(io, pending);
	if (!taken)
		return 0;
	io_count_burst(io, taken);
	io_fetch_descriptors(io);
	pages_fetch(&io->pages);
	io_submit_burst(io);
	return (int)taken;
}

/* ---- complete and answer ---- */

/* A write has finished: flushes behind it wait for one less. */
static void io_write_done(struct io *io, uint64_t order)
{
	struct io_request **at = &io->flushes;

	io->nr_writes--;
	while (*at) {
		struct io_request *flush = *at;

		if (flush->order > order && --flush->writes_before == 0) {
			*at = flush->next;
			io_submit(io, flush, DISK_FLUSH);
		} else {
			at = &flush->next;
		}
	}
}

/* A barrier has done one of its steps; true: it goes on with the next. */
static bool io_next_step(struct io *io, struct io_request *r)
{
	if (r->step == IO_STEP_ONLY || r->disk.error)
		return false;
	if (r->step == IO_STEP_FLUSH) {
		r->step = IO_STEP_WRITE;
		io_submit(io, r, DISK_WRITE);
	} else {
		r->step = IO_STEP_ONLY;
		io_submit(io, r, DISK_FLUSH);
	}
	return true;
}

/* It is done: io_answer says so. */
static inline void io_finish_request(struct io *io, struct io_request *r)
{
	if (r->lot.nr_segments)
		pages_done(&io->pages, &r->lot, r->disk.error == 0);
	if (r->ask.operation == BLKIF_OP_WRITE)
		io_write_done(io, r->order);
	io->finished[io->nr_finished++] = r;
}

/* What went wrong with one I/O for all may be the fault of one of them: each is done by itself then. */
static __attribute__((noinline)) void io_complete_run(struct io *io, struct io_request *first)
{
	int error = first->disk.error;

	run_end(io, first);
	for (struct io_request *r = first, *next; r; r = next) {
		next = r->run_next;
		if (error) {
			io_submit(io, r, io_direction(r));
		} else {
			r->disk.error = 0;
			io_finish_request(io, r);
		}
	}
}

void io_complete(struct io *io, struct disk_io *const done[], unsigned n)
{
	io->pages.now_ns = io->now_ns;
	for (unsigned i = 0; i < n; i++) {
		struct io_request *r = (struct io_request *)done[i];

		if (r->run)
			io_complete_run(io, r);
		else if (!io_next_step(io, r))
			io_finish_request(io, r);
	}
}

void io_answer(struct io *io)
{
	pages_settle(&io->pages);
	for (unsigned i = 0; i < io->nr_finished; i++) {
		struct io_request *r = io->finished[i];

		if (r->lot.nr_segments && r->lot.is_bad) {
			io_refuse_pages(io, r);
			continue;
		}
		stats_done(io->stats, &r->ask, r->disk.error);
		if (io->times)
			stats_time(io->times, &r->ask, io->now_ns - r->taken_ns);
		io_put(io, r, r->disk.error ? BLKIF_RSP_ERROR : BLKIF_RSP_OKAY);
	}
	io->nr_finished = 0;
	if (!io->answered)
		return;
	journal_before_show(io->journal, io->ring.native.rsp_prod);
	if (blkif_ring_back_push(&io->ring.native)) {
		hv_notify(io->hv, io->port);
		stats_add(&io->stats->notifications_sent, 1);
	} else {
		stats_add(&io->stats->notifications_suppressed, 1);
	}
	journal_after_show(io->journal, io->ring.native.rsp_prod);
	while (io->answered) {
		struct io_request *r = io_pop(&io->answered);

		r->is_redo = false;
		io_push(&io->free, r);
	}
	stats_depth(io->stats, io->nr_in_flight);
}

bool io_final_check(struct io *io)
{
	if (io->redo && !io->is_stalled && !io->retry_ns)
		return true;
	/* Nothing runs that could end the stall: it is over. */
	if (io->is_stalled || io->retry_ns || io->barrier)
		return !io->retry_ns && io->nr_in_flight == 0;
	return blkif_ring_back_final_check(&io->ring.native);
}
