/*
 * blkback/io_setup.c - makes and frees the state of io.c: all that it will ever need, before the first request.
 *
 * Runs in  the thread that will run the data path, or one that hands it over.
 */
#include <stdlib.h>
#include <sys/mman.h>

#include "blkback/io.h"

#define DIRECT_BYTES (BLKIF_MAX_SEGMENTS_PER_REQUEST * PAGE_BYTES)

/* Big requests that can be in flight at once. */
static unsigned bags_of(const struct io *io)
{
	unsigned nr = io->limits->max_segments ? IO_POOL_SEGMENTS / io->limits->max_segments : 0;

	if (io->limits->max_segments && nr == 0)
		nr = 1;
	return nr < io->nr_requests ? nr : io->nr_requests;
}

/* One piece of memory for all arrays of all bags. */
static int setup_bags(struct io *io, unsigned nr)
{
	size_t segments = io->limits->max_segments;
	size_t pages = (segments + BLKIF_SEGMENTS_PER_PAGE - 1) / BLKIF_SEGMENTS_PER_PAGE;
	size_t descriptor_bytes = pages * PAGE_BYTES, iov_bytes = segments * sizeof(struct iovec);
	size_t each = descriptor_bytes + iov_bytes + segments * sizeof(struct page_hold);
	char *at;

	if (!nr)
		return 0;
	each = (each + 63) & ~(size_t)63;
	io->bag_table = calloc(1, nr * (sizeof(struct io_bag) + each) + 64);
	if (!io->bag_table)
		return -ENOMEM;
	at = (char *)(((uintptr_t)&io->bag_table[nr] + 63) & ~(uintptr_t)63);
	for (unsigned i = 0; i < nr; i++, at += each) {
		struct io_bag *bag = &io->bag_table[i];

		bag->descriptor = (struct blkif_request_segment *)at;
		bag->iov = (struct iovec *)(at + descriptor_bytes);
		bag->hold = (struct page_hold *)(at + descriptor_bytes + iov_bytes);
		bag->next = io->bags;
		io->bags = bag;
	}
	return 0;
}

/* Buffers for all that can be in flight. The kernel gives a page of them when it is used first. */
static int setup_buffers(struct io *io, unsigned nr_bags)
{
	size_t bag_bytes = (size_t)io->limits->max_segments * PAGE_BYTES;
	char *at;

	io->buffer_bytes = io->nr_requests * DIRECT_BYTES + nr_bags * bag_bytes;
	io->buffers = mmap(NULL, io->buffer_bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (io->buffers == MAP_FAILED) {
		io->buffers = NULL;
		return -ENOMEM;
	}
	at = io->buffers;
	for (unsigned i = 0; i < io->nr_requests; i++, at += DIRECT_BYTES)
		io->requests[i].buffer = io->requests[i].lot.buffer = at;
	for (unsigned i = 0; i < nr_bags; i++, at += bag_bytes)
		io->bag_table[i].buffer = at;
	return 0;
}

static int setup_pages(struct io *io, const struct io_config *config)
{
	struct pages_config pages = {
		.peer = config->peer,
		.mode = config->mode,
		.max_batch = IO_BURST * BLKIF_MAX_SEGMENTS_PER_REQUEST,
		.max_lots = io->nr_requests,
		.nr_persistent = config->nr_persistent,
		.unused_ns = config->unused_ns,
	};

	if (pages.max_batch < config->limits->max_segments)
		pages.max_batch = config->limits->max_segments;
	return pages_init(&io->pages, &pages);
}

static int setup_requests(struct io *io, const struct io_config *config)
{
	unsigned nr_bags = bags_of(io);
	int err = setup_bags(io, nr_bags);

	io->requests = calloc(io->nr_requests, sizeof(io->requests[0]));
	io->finished = calloc(io->nr_requests, sizeof(io->finished[0]));
	io->journal = config->journal;
	if (!io->journal) {
		io->journal = calloc(1, journal_bytes(io->nr_requests));
		io->is_own_journal = true;
	}
	if (err || !io->requests || !io->finished || !io->journal)
		return -ENOMEM;
	for (unsigned i = 0; i < io->nr_requests; i++) {
		io->requests[i].disk.slot = i;
		io->requests[i].entry = &io->journal->entry[i];
		io->requests[i].lot.hold = io->requests[i].hold;
		io->requests[i].lot.iov = io->requests[i].iov;
	}
	return config->mode != PAGES_MAP ? setup_buffers(io, nr_bags) : 0;
}

static int compare_taken(const void *a, const void *b)
{
	const struct io_request *const *x = a, *const *y = b;

	return (int32_t)((*x)->entry->taken_idx - (*y)->entry->taken_idx);
}

/* The ring goes on where the last back end left it: what the journal says was in flight is done again, in its order. */
static int setup_takeover(struct io *io, const struct io_config *config)
{
	struct blkif_ring_back *ring = &io->ring.native;
	struct io_request *redo[1u << 10];
	unsigned nr = 0;
	int err = blkif_ring_back_attach(ring, config->ring, pages_to_bytes(config->ring_pages));

	if (!err && config->is_clean) {
		memset(io->journal, 0, journal_bytes(io->nr_requests));
		journal_before_show(io->journal, ring->rsp_prod);
		journal_after_show(io->journal, ring->rsp_prod);
		return 0;
	}
	if (err || !journal_fits(io->journal, ring->rsp_prod) || io->nr_requests > sizeof(redo) / sizeof(redo[0]))
		return -EPROTO;
	for (unsigned i = 0; i < io->nr_requests; i++) {
		struct io_request *r = &io->requests[i];

		if (journal_is_in_flight(r->entry, ring->rsp_prod)) {
			r->is_redo = true;
			redo[nr++] = r;
		} else {
			r->entry->state = JOURNAL_FREE;
		}
	}
	qsort(redo, nr, sizeof(redo[0]), compare_taken);
	for (unsigned i = nr; i-- > 0; io->redo = redo[i])
		redo[i]->next = io->redo;
	ring->req_cons += nr;
	stats_add(&io->stats->redone, nr);
	return blkif_ring_back_pending(ring) < 0 ? -EPROTO : 0;
}

static void setup_fresh(struct io *io, const struct io_config *config)
{
	blkif_ring_back_init(&io->ring.native, config->ring, pages_to_bytes(config->ring_pages));
	memset(io->journal, 0, journal_bytes(io->nr_requests));
}

static void io_free(struct io *io)
{
	if (io->buffers)
		munmap(io->buffers, io->buffer_bytes);
	if (io->is_own_journal)
		free(io->journal);
	free(io->finished);
	free(io->requests);
	free(io->bag_table);
}

int io_init(struct io *io, const struct io_config *config)
{
	int err;

	memset(io, 0, sizeof(*io));
	io->hv = config->hv;
	io->peer = config->peer;
	io->port = config->port;
	io->limits = config->limits;
	io->limit = config->limit;
	io->stats = config->stats;
	io->times = config->times;
	io->run_sectors = config->max_merge_bytes / BLKIF_SECTOR_BYTES;
	io->ring.is_x86_32 = config->is_x86_32;
	/* As many as the ring has slots: a request that is there can always be taken. */
	io->nr_requests = blkif_ring_slots(pages_to_bytes(config->ring_pages));
	err = setup_requests(io, config);
	if (!err)
		err = setup_pages(io, config);
	if (err)
		goto free_all;
	if (config->is_takeover)
		err = setup_takeover(io, config);
	else
		setup_fresh(io, config);
	if (err)
		goto finish_pages;
	io->journal->nr_entries = io->nr_requests;
	for (unsigned i = io->nr_requests; i-- > 0;)
		if (!io->requests[i].is_redo) {
			io->requests[i].next = io->free;
			io->free = &io->requests[i];
		}
	return 0;

finish_pages:
	pages_finish(&io->pages);
free_all:
	io_free(io);
	return err;
}

void io_finish(struct io *io)
{
	pages_finish(&io->pages);
	io_free(io);
}

unsigned io_buffers(const struct io *io, struct iovec *iov)
{
	*iov = (struct iovec){io->buffers, io->buffer_bytes};
	return io->buffers != NULL;
}
