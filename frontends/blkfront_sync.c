/*
 * frontends/blkfront_sync.c - a disk's synchronous calls: one request at a time, through the pool of queue 0.
 *
 * Owns     bf->sync while a call lasts.
 * Runs in  the bus's thread.
 * Fails    negative errno.
 */
#include "frontends/blkfront_control.h"

/* How often a call that finds the ring full looks again at the bus. */
#define FULL_RETRY_MS 1

/* Waits until the request is complete. It completes whatever happens: at the device's end with -ENODEV. */
static int wait_sync(struct blkfront *bf)
{
	struct blkfront_queue *q = &bf->queue[0];

	for (;;) {
		blkfront_poll(q, NULL, 0);
		blkfront_push(q); /* what a reconnect asked for again */
		if (!bf->sync.is_busy)
			return bf->sync.status;
		blkfront_wait(bf, -1);
	}
}

static int run_sync(struct blkfront *bf, const struct blkfront_request *what)
{
	struct blkfront_queue *q = &bf->queue[0];
	int rc;

	bf->sync = *what;
	bf->sync.is_private = true;
	while ((rc = blkfront_submit(q, &bf->sync)) == -EAGAIN) {
		/* Answers make room; other users' completed requests stay on the done list. */
		blkfront_push(q);
		blkfront_poll(q, NULL, 0);
		if (blkfront_wait(bf, FULL_RETRY_MS) < 0)
			return -ENODEV;
	}
	if (rc < 0)
		return rc;
	blkfront_push(q);
	return wait_sync(bf);
}

/* Pieces that a pool of that size takes with room to spare, in whole sectors of any disk. */
static uint32_t piece_sectors(const struct blkfront_queue *q)
{
	return (uint32_t)((q->pool.nr ? q->pool.nr : BLKFRONT_SEGMENTS) * BLKIF_SECTORS_PER_PAGE);
}

static int run_pieces(struct blkfront *bf, uint8_t op, uint64_t sector, uint64_t nr_sectors, void *data)
{
	struct blkfront_request req = {.op = op, .sector = sector, .data = data};
	int rc = bf->opt.is_threaded ? -EINVAL : blkfront_queue_need_pool(&bf->queue[0]);

	while (!rc && nr_sectors) {
		uint32_t most = piece_sectors(&bf->queue[0]);

		req.nr_sectors = nr_sectors < most ? (uint32_t)nr_sectors : most;
		rc = run_sync(bf, &req);
		req.data = (uint8_t *)req.data + (size_t)req.nr_sectors * BLKIF_SECTOR_BYTES;
		req.sector += req.nr_sectors;
		nr_sectors -= req.nr_sectors;
	}
	return rc;
}

int blkfront_read(struct blkfront *bf, uint64_t sector, uint64_t nr_sectors, void *data)
{
	return run_pieces(bf, BLKIF_OP_READ, sector, nr_sectors, data);
}

int blkfront_write(struct blkfront *bf, uint64_t sector, uint64_t nr_sectors, const void *data)
{
	return run_pieces(bf, BLKIF_OP_WRITE, sector, nr_sectors, (void *)(uintptr_t)data);
}

int blkfront_discard(struct blkfront *bf, uint64_t sector, uint64_t nr_sectors, bool is_secure)
{
	/* A multiple of every sector size. */
	const uint32_t most = UINT32_MAX - (BLKIF_SECTORS_PER_PAGE - 1);
	struct blkfront_request req = {.op = BLKIF_OP_DISCARD, .is_secure = is_secure, .sector = sector};
	int rc = bf->opt.is_threaded ? -EINVAL : 0;

	while (!rc && nr_sectors) {
		req.nr_sectors = nr_sectors < most ? (uint32_t)nr_sectors : most;
		rc = run_sync(bf, &req);
		req.sector += req.nr_sectors;
		nr_sectors -= req.nr_sectors;
	}
	return rc;
}

int blkfront_flush(struct blkfront *bf)
{
	struct blkfront_request req = {.op = BLKIF_OP_FLUSH_DISKCACHE};
	bool is_connected = bf->queue[0].ring.is_connected;

	if (bf->opt.is_threaded)
		return -EINVAL;
	if (is_connected && !bf->disk.can_flush) {
		if (!bf->disk.can_barrier)
			return 0;
		req.op = BLKIF_OP_WRITE_BARRIER;
	}
	return run_sync(bf, &req);
}
