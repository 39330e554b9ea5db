/*
 * blkback/io.h - the data path of one block device queue: ring to engine to ring.   [hot]
 *
 *      io_take       requests off the ring, checked, their pages fetched in one batch, submitted
 *      io_complete   what the engine finished
 *      io_answer     hands over what was read, lets go of the pages, shows the answers, wakes the guest once
 *
 * A request that cannot start yet stays in the ring, and with it those behind it: when the memory for big requests is used up, when
 * a barrier waits for what runs, when a limit of the vbd is reached. io_final_check then says that there is nothing to do
 * until something has finished, or until the time in retry_ns.
 *
 * Owns     a request slot from take until its answer is shown; its pages just as long as its I/O runs.
 * Trusts   nothing in the ring, no grant ref.
 * Runs in  one thread, the queue's. It can be run by any thread in a test: nothing here blocks.
 */
#ifndef SLUICE_BLKBACK_IO_H
#define SLUICE_BLKBACK_IO_H

#include "blkback/disk.h"
#include "blkback/journal.h"
#include "blkback/limit.h"
#include "blkback/pages.h"
#include "blkback/request.h"
#include "blkback/stats.h"
#include "hv/hv.h"

#define IO_BURST 64
#define IO_DEFAULT_MAX_SEGMENTS 256u
#define IO_POOL_SEGMENTS 8192u /* of big requests in flight in one queue, at least one of the largest: 32 MiB of data */

/* The memory of a big request: one that names its segments in pages of their own. */
struct io_bag {
	struct io_bag *next;
	struct blkif_request_segment *descriptor; /* copied from the guest's pages */
	struct page_hold *hold;
	struct iovec *iov;
	char *buffer; /* PAGES_COPY */
};

/* A barrier is drained, flushed, written and flushed again. */
enum io_step { IO_STEP_ONLY, IO_STEP_FLUSH, IO_STEP_WRITE };

struct io_request {
	struct disk_io disk; /* first: the engine gives back a pointer to it */
	struct io_request *next; /* in one of the lists of struct io */
	struct journal_entry *entry; /* the private copy of what was taken */
	struct io_bag *bag;
	struct io_bag *run;          /* the first one of a run that is under way: its pieces (run.h); else NULL */
	struct io_request *run_next; /* of a run */
	struct request ask;
	struct pages_lot lot;
	uint64_t taken_ns;
	uint64_t order;         /* how many requests were taken before this one */
	unsigned writes_before; /* a flush: earlier writes that still run */
	uint8_t step;           /* enum io_step */
	bool is_redo;           /* it comes from the back end before this one, not from the ring */
	struct page_hold hold[BLKIF_MAX_SEGMENTS_PER_REQUEST];
	struct iovec iov[BLKIF_MAX_SEGMENTS_PER_REQUEST];
	char *buffer;
};

struct io_config {
	struct hv *hv;
	struct hv_peer *peer;
	evtchn_port_t port;
	void *ring;
	unsigned ring_pages;
	bool is_x86_32;
	const struct request_limits *limits; /* the vbd's */
	struct limit *limit;                 /* the vbd's; NULL: none */
	struct stats *stats;
	struct stats_times *times; /* NULL: nothing is timed */
	enum pages_mode mode;
	unsigned nr_persistent;   /* PAGES_PERSISTENT */
	uint64_t unused_ns;       /* PAGES_PERSISTENT */
	unsigned max_merge_bytes; /* that requests are merged to; 0: none are */
	struct journal *journal;  /* journal_bytes of the ring's slots; NULL: one of our own */
	bool is_takeover;         /* the ring is in use, and the journal says what of it was in flight */
	bool is_clean;            /* with it: nothing was, and the journal begins */
};

struct io {
	struct blkif_any_back ring;
	struct hv *hv;
	struct hv_peer *peer;
	evtchn_port_t port;
	const struct request_limits *limits;
	struct limit *limit;
	struct stats *stats;
	struct stats_times *times;
	struct disk_queue *disk; /* the owner sets it before the first take */
	uint64_t run_sectors;    /* of a run at most; 0: there are none */
	uint64_t now_ns;   /* the owner sets it before take and complete; what is timed is timed by it */
	uint64_t retry_ns; /* when the limit lets the next request through; 0: no limit was reached */
	bool is_limited;   /* the vbd has limits just now */
	bool is_closing;   /* nothing more is taken from the ring */
	bool is_stalled;   /* the next request waits for one that runs */
	struct pages pages;
	struct journal *journal;
	bool is_own_journal;
	struct io_request *requests; /* as many as the ring has slots */
	unsigned nr_requests;
	struct io_request *free;
	struct io_request *redo;     /* taken by the back end before this one, in order */
	struct io_request *answered; /* not yet shown: the journal still needs them */
	struct io_request *flushes;  /* those that wait for earlier writes, oldest first */
	struct io_request *barrier;  /* runs alone */
	unsigned nr_in_flight; /* taken and not answered, waiting flushes included */
	unsigned nr_writes;    /* writes among them */
	uint64_t order;
	struct io_bag *bags; /* free ones */
	unsigned nr_burst;
	struct io_request *burst[IO_BURST];
	unsigned nr_finished;
	struct io_request **finished; /* since the last answer */
	struct grant_copy_op descriptor[IO_BURST * BLKIF_MAX_INDIRECT_PAGES_PER_REQUEST];
	/* What io_setup.c allocated. */
	struct io_bag *bag_table;
	char *buffers; /* PAGES_COPY: of all requests and bags */
	size_t buffer_bytes;
};

/*
 * 0, -ENOMEM, or -EPROTO: a ring to be taken over does not fit its journal. The ring stays the caller's, limits, limit, stats and
 * journal too.
 */
int io_init(struct io *io, const struct io_config *config);
/* Nothing may be in flight. What the front end has not been answered stays in the journal. */
void io_finish(struct io *io);
/* The memory that I/O goes to or comes from, to register: 0 or 1; 0 too when it is the guest's. */
unsigned io_buffers(const struct io *io, struct iovec *iov);

/* How many requests were taken, at most IO_BURST, or -EPROTO: the ring is impossible and must not be looked at again. */
int io_take(struct io *io);
/* The engine is done with these n. */
void io_complete(struct io *io, struct disk_io *const done[], unsigned n);
/* Reads are handed over, grants let go of, answers shown, the guest woken if it asked. */
void io_answer(struct io *io);
/* Before sleep: true when there is something to take now, or something impossible in the ring. */
bool io_final_check(struct io *io);

#endif
