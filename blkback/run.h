/*
 * blkback/run.h - requests for sectors that follow each other, done by one I/O of the engine: a run.   [hot]
 *
 *      burst     read 0-7   read 8-15   read 16-23   write 24-31   read 64-71
 *      engine    read 0-23 ----------------------    write 24-31   read 64-71
 *
 * Only neighbours of one burst make a run, and nothing waits for one: what has come is looked at, what may come is not. A run's
 * first request has the I/O, the others hang behind it. Whether it goes well is one answer for all; when it does not, each is done
 * again by itself, so that an error is that request's alone. (Doing it again is right: nobody was answered.)
 *
 * Owns     the list of a run's pieces, lent by a big request's memory (struct io_bag), until the run ends.
 * Runs in  the queue's thread.
 */
#ifndef SLUICE_BLKBACK_RUN_H
#define SLUICE_BLKBACK_RUN_H

#include "blkback/io.h"

/* Does it go on where r ends? Big requests have enough for an I/O of their own. */
static inline bool run_is_follower(const struct io_request *r, const struct io_request *next)
{
	return next->ask.sector == r->ask.sector + r->ask.nr_sectors && next->ask.operation == r->ask.operation && !next->bag;
}

/* So many of these nr, of which the second follows the first, may one I/O carry, the first among them; 1: the first goes alone. */
unsigned run_length(const struct io *io, struct io_request *const r[], unsigned nr);
/* Makes the first one's disk I/O that of all n, whose pages are there. At least 2 of them, as run_length said. */
void run_make(struct io *io, struct io_request *const r[], unsigned n);
/* The run's I/O has ended: its pieces are given back. The first one's run_next chains its requests, each a lone one again. */
void run_end(struct io *io, struct io_request *first);

#endif
