/*
 * blkback/io.h - the data path of one block device queue: ring to engine to ring.   [hot]
 *
 *      io_take       requests off the ring, checked, mapped in one batch, submitted
 *      io_complete   what the engine finished: answers, written but not yet shown
 *      io_answer     unmaps, shows the answers, wakes the guest once
 *
 * Owns     a request slot from take to answer; its grants are held just as long as its I/O runs.
 * Trusts   nothing in the ring, no grant ref.
 * Runs in  one thread, the queue's. It can be run by any thread in a test: nothing here blocks.
 */
#ifndef SLUICE_BLKBACK_IO_H
#define SLUICE_BLKBACK_IO_H

#include "blkback/disk.h"
#include "blkback/request.h"
#include "blkback/stats.h"
#include "hv/hv.h"

#define IO_BURST 64
#define IO_BURST_SEGMENTS (IO_BURST * BLKIF_MAX_SEGMENTS_PER_REQUEST)

struct io_request {
	struct disk_io disk; /* first: the engine gives back a pointer to it */
	struct io_request *next; /* free list, or flushes that wait */
	uint64_t id;
	uint64_t order; /* how many requests were taken before this one */
	unsigned nr_sectors;
	unsigned writes_before; /* a flush: earlier writes that still run */
	uint8_t operation;
	uint8_t nr_segments;
	uint16_t segment[BLKIF_MAX_SEGMENTS_PER_REQUEST]; /* first_sect << 8 | last_sect */
	grant_handle_t handle[BLKIF_MAX_SEGMENTS_PER_REQUEST];
	struct iovec iov[BLKIF_MAX_SEGMENTS_PER_REQUEST];
};

struct io_config {
	struct hv *hv;
	struct hv_peer *peer;
	evtchn_port_t port;
	void *ring;
	unsigned ring_pages;
	struct request_limits limits;
	struct stats *stats;
};

struct io {
	struct blkif_ring_back ring;
	struct hv *hv;
	struct hv_peer *peer;
	evtchn_port_t port;
	struct request_limits limits;
	struct stats *stats;
	struct disk_queue *disk; /* the owner sets it before the first take */
	struct io_request *requests; /* as many as the ring has slots */
	struct io_request *free;
	struct io_request *flushes; /* those that wait for earlier writes, oldest first */
	unsigned nr_requests;
	unsigned nr_in_flight; /* taken and not answered, waiting flushes included */
	unsigned nr_writes;    /* writes among them */
	uint64_t order;
	unsigned nr_unmap;
	struct hv_map_op map[IO_BURST_SEGMENTS];
	grant_handle_t unmap[2 * IO_BURST_SEGMENTS]; /* of one take and one complete */
};

/* 0 or -ENOMEM. The ring stays the caller's. */
int io_init(struct io *io, const struct io_config *config);
/* Nothing may be in flight. */
void io_finish(struct io *io);

/* How many requests were taken, at most IO_BURST, or -EPROTO: the ring is impossible and must not be looked at again. */
int io_take(struct io *io);
/* The engine is done with these n, at most IO_BURST of them since the last io_answer. */
void io_complete(struct io *io, struct disk_io *const done[], unsigned n);
/* Lets go of the grants, shows the answers, wakes the guest if it asked. */
void io_answer(struct io *io);
/* Before sleep: true when the ring has something (or something impossible) to take. */
bool io_final_check(struct io *io);

#endif
