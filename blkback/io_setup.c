/*
 * blkback/io_setup.c - makes and frees the state of io.c: all that it will ever need, before the first request.
 *
 * Runs in  the thread that will run the data path, or one that hands it over.
 */
#include <stdlib.h>

#include "blkback/io.h"

int io_init(struct io *io, const struct io_config *config)
{
	size_t ring_bytes = pages_to_bytes(config->ring_pages);

	memset(io, 0, sizeof(*io));
	io->hv = config->hv;
	io->peer = config->peer;
	io->port = config->port;
	io->limits = config->limits;
	io->stats = config->stats;
	blkif_ring_back_init(&io->ring, config->ring, ring_bytes);
	/* As many as the ring has slots: a request that is there can always be taken. */
	io->nr_requests = blkif_ring_slots(ring_bytes);
	io->requests = calloc(io->nr_requests, sizeof(io->requests[0]));
	if (!io->requests)
		return -ENOMEM;
	for (unsigned i = 0; i < io->nr_requests; i++) {
		io->requests[i].disk.slot = i;
		io->requests[i].disk.iov = io->requests[i].iov;
		io->requests[i].next = i + 1 < io->nr_requests ? &io->requests[i + 1] : NULL;
	}
	io->free = io->requests;
	return 0;
}

void io_finish(struct io *io)
{
	free(io->requests);
	io->requests = NULL;
}
