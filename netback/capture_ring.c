/*
 * netback/capture_ring.c - makes, opens and closes the memory behind a capture ring.
 *
 * Owns     see capture_ring.h.
 * Runs in  a control thread at either end.
 * Fails    0 or -errno; everything is undone.
 */
#include "netback/capture_ring.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#define SEALS (F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL)

static size_t mapped_bytes(uint64_t bytes)
{
	return PAGE_BYTES + 2 * bytes;
}

static bool is_ring_size(uint64_t bytes)
{
	return bytes == 0 ||
	       (bytes >= CAPTURE_RING_MIN_BYTES && bytes <= CAPTURE_RING_MAX_BYTES && (bytes & (bytes - 1)) == 0);
}

/* The page and the bytes, and the bytes once more behind them. Pages are there at once: no fault delays the writer. */
static int ring_map(struct capture_ring *r, int fd, uint64_t bytes)
{
	uint8_t *base = mmap(NULL, mapped_bytes(bytes), PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	int flags = MAP_SHARED | MAP_FIXED | MAP_POPULATE, err;

	if (base == MAP_FAILED)
		return -errno;
	if (mmap(base, PAGE_BYTES + bytes, PROT_READ | PROT_WRITE, flags, fd, 0) == MAP_FAILED ||
	    (bytes && mmap(base + PAGE_BYTES + bytes, bytes, PROT_READ | PROT_WRITE, flags, fd, PAGE_BYTES) == MAP_FAILED)) {
		err = -errno;
		munmap(base, mapped_bytes(bytes));
		return err;
	}
	*r = (struct capture_ring){.sh = (struct capture_area *)base, .data = base + PAGE_BYTES, .bytes = bytes};
	return 0;
}

int capture_ring_create(struct capture_ring *r, uint64_t bytes, int *out)
{
	int fd, err;

	if (!is_ring_size(bytes))
		return -EINVAL;
	fd = memfd_create("capture", MFD_CLOEXEC | MFD_ALLOW_SEALING);
	if (fd < 0)
		return -errno;
	/* Allocated now: a full machine is told here, and not by a signal in the data path. */
	err = -posix_fallocate(fd, 0, (off_t)(PAGE_BYTES + bytes));
	if (!err && fcntl(fd, F_ADD_SEALS, SEALS) < 0)
		err = -errno;
	if (!err)
		err = ring_map(r, fd, bytes);
	if (err) {
		close(fd);
		return err;
	}
	*out = fd;
	return 0;
}

int capture_ring_open(struct capture_ring *r, int fd)
{
	struct stat st;
	uint64_t bytes;

	if (fstat(fd, &st) < 0)
		return -errno;
	bytes = (uint64_t)st.st_size - PAGE_BYTES;
	if (st.st_size < (off_t)PAGE_BYTES || !is_ring_size(bytes) || (fcntl(fd, F_GET_SEALS) & SEALS) != SEALS)
		return -EPROTO;
	return ring_map(r, fd, bytes);
}

void capture_ring_close(struct capture_ring *r)
{
	if (r->sh)
		munmap(r->sh, mapped_bytes(r->bytes));
	r->sh = NULL;
}
