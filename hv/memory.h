/*
 * hv/memory.h - a domain's memory: sealed memfds, and the list of extents that its frame numbers index.
 *
 * Each memfd is sealed against shrinking, growing and further sealing: whoever maps it can never be made to fault.
 *
 * Owns     the fds and this process's mappings of them.
 * Runs in  the core's thread.
 */
#ifndef SLUICE_HV_MEMORY_H
#define SLUICE_HV_MEMORY_H

#include "grant/gate.h"

struct memory_object {
	int fd; /* -1: none */
	void *base;
	size_t bytes;
	bool is_huge;
};

/* A zeroed, sealed memfd, mapped. Hugepage-backed when that is wished, bytes is a multiple of 2 MiB and enough pages are free. */
int memory_object_create(struct memory_object *o, const char *name, size_t bytes, bool wish_huge);
void memory_object_finish(struct memory_object *o);

struct memory {
	struct gate gate;
	struct memory_object extent[GATE_MAX_EXTENTS];
	uint64_t max_frames; /* quota, set by the toolstack */
	uint64_t nr_frames;  /* that the domain has now: all but the holes */
	uint64_t *hole;      /* a bit for each frame that was given back; NULL: none */
};

void memory_init(struct memory *m);
void memory_finish(struct memory *m);
/* First frame number that no extent has. */
uint64_t memory_end(const struct memory *m);
/* Appends an extent of nr frames at memory_end. -E2BIG: over the quota; -ENOSPC: there are GATE_MAX_EXTENTS. */
int memory_extend(struct memory *m, uint64_t nr);
/* Gives a frame back to the host: it reads as zeros from now on. -EINVAL: not a frame of this memory, or given back before. */
int memory_punch(struct memory *m, uint64_t frame);
/* Takes a frame that was given back. -EINVAL: it was not; -E2BIG. */
int memory_refill(struct memory *m, uint64_t frame);

#endif
