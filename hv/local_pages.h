/*
 * hv/local_pages.h - a guest's own pages: which frames of its RAM are in use.
 *
 * Runs in  any thread; one lock. Control paths only.
 */
#ifndef SLUICE_HV_LOCAL_PAGES_H
#define SLUICE_HV_LOCAL_PAGES_H

#include <pthread.h>

#include "grant/gate.h"

struct local_pages {
	pthread_mutex_t lock;
	const struct gate *memory;
	uint64_t *used; /* a bit for each frame */
	uint64_t nr_frames;
	uint64_t nr_free;
	uint64_t next;  /* where the last search ended */
	uint64_t fresh; /* frames from here on were never handed out: they are zeros still, and cost no memory */
};

/* memory is all zeros, and outlives it. -ENOMEM. */
int local_pages_init(struct local_pages *p, const struct gate *memory);
void local_pages_finish(struct local_pages *p);
/* Takes a frame out of use for good. -EINVAL: no such frame; -EBUSY: taken. */
int local_pages_reserve(struct local_pages *p, uint64_t frame);
/* nr pages in a row, in one extent, zeroed. -ENOMEM; -EINVAL for 0. */
int local_pages_alloc(struct local_pages *p, unsigned nr, void **pages);
void local_pages_free(struct local_pages *p, void *pages, unsigned nr);
uint64_t local_pages_nr_free(struct local_pages *p);

#endif
