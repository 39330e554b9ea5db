/*
 * hv/memory.c - sealed memfds as a domain's extents.
 */
#include "hv/memory.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/memfd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "hv/memory_map.h"

#define HUGE_BYTES (UINT64_C(2) << 20)
#define FREE_HUGE_PAGES "/sys/kernel/mm/hugepages/hugepages-2048kB/free_hugepages"

static bool huge_pages_are_free(uint64_t needed)
{
	unsigned long long nr_free = 0;
	FILE *f = fopen(FREE_HUGE_PAGES, "re");

	if (!f)
		return false;
	if (fscanf(f, "%llu", &nr_free) != 1)
		nr_free = 0;
	fclose(f);
	return nr_free >= needed;
}

static int object_try(struct memory_object *o, const char *name, size_t bytes, unsigned flags)
{
	int err, fd = memfd_create(name, MFD_CLOEXEC | MFD_ALLOW_SEALING | flags);

	if (fd < 0)
		return -errno;
	if (ftruncate(fd, (off_t)bytes) || fcntl(fd, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL)) {
		err = -errno;
		goto close_fd;
	}
	/* For hugepages this reserves all of them, or fails. */
	err = memory_map_get(fd, &o->base, NULL);
	if (err)
		goto close_fd;
	o->fd = fd;
	o->bytes = bytes;
	o->is_huge = flags & MFD_HUGETLB;
	return 0;
close_fd:
	close(fd);
	return err;
}

int memory_object_create(struct memory_object *o, const char *name, size_t bytes, bool wish_huge)
{
	if (wish_huge && bytes % HUGE_BYTES == 0 && huge_pages_are_free(bytes / HUGE_BYTES) &&
	    !object_try(o, name, bytes, MFD_HUGETLB | MFD_HUGE_2MB))
		return 0;
	return object_try(o, name, bytes, 0);
}

void memory_object_finish(struct memory_object *o)
{
	if (o->fd < 0)
		return;
	memory_map_put(o->base);
	close(o->fd);
	o->fd = -1;
	o->base = NULL;
}

void memory_init(struct memory *m)
{
	memset(m, 0, sizeof(*m));
	for (unsigned i = 0; i < GATE_MAX_EXTENTS; i++)
		m->extent[i].fd = -1;
}

void memory_finish(struct memory *m)
{
	for (unsigned i = 0; i < GATE_MAX_EXTENTS; i++)
		memory_object_finish(&m->extent[i]);
	free(m->hole);
	m->hole = NULL;
	m->gate.nr_extents = 0;
	m->nr_frames = 0;
}

uint64_t memory_end(const struct memory *m)
{
	const struct gate_extent *last;

	if (!m->gate.nr_extents)
		return 0;
	last = &m->gate.extent[m->gate.nr_extents - 1];
	return last->first_frame + last->nr_frames;
}

int memory_extend(struct memory *m, uint64_t nr)
{
	unsigned i = m->gate.nr_extents;
	uint64_t end = memory_end(m);
	uint64_t *hole;
	int err;

	if (!nr)
		return -EINVAL;
	if (i == GATE_MAX_EXTENTS)
		return -ENOSPC;
	if (nr > m->max_frames || m->nr_frames > m->max_frames - nr)
		return -E2BIG;
	hole = realloc(m->hole, (end + nr + 63) / 64 * sizeof(*hole));
	if (!hole)
		return -ENOMEM;
	m->hole = hole;
	err = memory_object_create(&m->extent[i], "sluice-ram", pages_to_bytes(nr), true);
	if (err)
		return err;
	for (uint64_t word = (end + 63) / 64; word < (end + nr + 63) / 64; word++)
		hole[word] = 0;
	m->gate.extent[i] = (struct gate_extent){m->extent[i].base, end, nr};
	m->gate.nr_extents++;
	m->nr_frames += nr;
	return 0;
}

/* The extent of that frame, and where in it; NULL: no such frame. */
static struct memory_object *find(struct memory *m, uint64_t frame, off_t *at)
{
	for (unsigned i = 0; i < m->gate.nr_extents; i++) {
		const struct gate_extent *e = &m->gate.extent[i];

		if (frame - e->first_frame < e->nr_frames) {
			*at = (off_t)pages_to_bytes(frame - e->first_frame);
			return &m->extent[i];
		}
	}
	return NULL;
}

static bool is_hole(const struct memory *m, uint64_t frame)
{
	return m->hole[frame / 64] >> (frame % 64) & 1;
}

int memory_punch(struct memory *m, uint64_t frame)
{
	off_t at;
	struct memory_object *o = find(m, frame, &at);

	if (!o || is_hole(m, frame))
		return -EINVAL;
	/* A part of a hugepage cannot go back to the host: it is zeroed, as its user may rely on that. */
	if (o->is_huge)
		memset((uint8_t *)o->base + at, 0, PAGE_BYTES);
	else if (fallocate(o->fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, at, PAGE_BYTES))
		return -errno;
	m->hole[frame / 64] |= UINT64_C(1) << (frame % 64);
	m->nr_frames--;
	return 0;
}

int memory_refill(struct memory *m, uint64_t frame)
{
	off_t at;

	if (!find(m, frame, &at) || !is_hole(m, frame))
		return -EINVAL;
	if (m->nr_frames >= m->max_frames)
		return -E2BIG;
	m->hole[frame / 64] &= ~(UINT64_C(1) << (frame % 64));
	m->nr_frames++;
	return 0;
}
