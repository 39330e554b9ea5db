/*
 * blkback/run.c - which requests one I/O may carry, and what it carries.   [hot]
 *
 * Runs in  the queue's thread.
 */
#include "blkback/run.h"

unsigned run_length(const struct io *io, struct io_request *const r[], unsigned nr)
{
	uint64_t sectors = r[0]->ask.nr_sectors;
	unsigned pieces = r[0]->ask.nr_segments, n = 1;

	if (r[0]->bag || (r[0]->ask.operation != BLKIF_OP_READ && r[0]->ask.operation != BLKIF_OP_WRITE))
		return 1;
	/* The last bag stays for a big request: it would wait for it with all that is behind. */
	if (!io->bags || !io->bags->next)
		return 1;
	for (; n < nr && run_is_follower(r[n - 1], r[n]); n++) {
		sectors += r[n]->ask.nr_sectors;
		pieces += r[n]->ask.nr_segments;
		if (sectors > io->run_sectors || pieces > io->limits->max_segments)
			break;
	}
	return n;
}

/* Pages that follow each other in memory, too, become one piece: that one may be a registered buffer. */
static unsigned add_pieces(struct iovec *iov, unsigned nr, const struct pages_lot *lot)
{
	for (unsigned i = 0; i < lot->nr_iov; i++) {
		struct iovec *last = nr ? &iov[nr - 1] : NULL;

		if (last && (char *)last->iov_base + last->iov_len == lot->iov[i].iov_base)
			last->iov_len += lot->iov[i].iov_len;
		else
			iov[nr++] = lot->iov[i];
	}
	return nr;
}

void run_make(struct io *io, struct io_request *const r[], unsigned n)
{
	struct io_request *first = r[0];
	uint64_t sectors = 0;
	unsigned nr_iov = 0;

	first->run = io->bags;
	io->bags = first->run->next;
	for (unsigned i = 0; i < n; i++) {
		nr_iov = add_pieces(first->run->iov, nr_iov, &r[i]->lot);
		sectors += r[i]->ask.nr_sectors;
		r[i]->run_next = i + 1 < n ? r[i + 1] : NULL;
	}
	first->disk.nr_iov = (uint16_t)nr_iov;
	first->disk.iov = first->run->iov;
	first->disk.left_bytes = sectors * BLKIF_SECTOR_BYTES;
	stats_add(&io->stats->merged, n - 1);
}

void run_end(struct io *io, struct io_request *first)
{
	first->run->next = io->bags;
	io->bags = first->run;
	first->run = NULL;
}
