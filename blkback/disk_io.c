/*
 * blkback/disk_io.c - what all engines share: continuing an I/O that came up short.   [hot]
 *
 * Runs in  the queue's thread.
 */
#include "blkback/disk.h"

/* Skips bytes that are done; what remains starts at iov[iov_at]. */
static void disk_io_advance(struct disk_io *io, uint64_t bytes)
{
	io->offset_bytes += bytes;
	io->left_bytes -= bytes;
	while (bytes) {
		struct iovec *v = &io->iov[io->iov_at];

		if (bytes < v->iov_len) {
			v->iov_base = (char *)v->iov_base + bytes;
			v->iov_len -= bytes;
			return;
		}
		bytes -= v->iov_len;
		io->iov_at++;
	}
}

bool disk_io_answer(struct disk_io *io, int64_t result)
{
	if ((result == -EAGAIN || result == -EINTR) && io->retries++ < DISK_MAX_RETRIES)
		return false;
	if (result < 0 || io->op >= DISK_FLUSH) {
		io->error = (int)result;
		return true;
	}
	if (result == 0 || (uint64_t)result > io->left_bytes) {
		io->error = -EIO;
		return true;
	}
	disk_io_advance(io, (uint64_t)result);
	io->error = 0;
	return io->left_bytes == 0;
}
