/*
 * hv/local_pages.c - a bitmap over the guest's frames; runs are found next-fit.
 */
#include "hv/local_pages.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

int local_pages_init(struct local_pages *p, const struct gate *memory)
{
	uint64_t nr = 0;

	for (unsigned i = 0; i < memory->nr_extents; i++)
		nr += memory->extent[i].nr_frames;
	*p = (struct local_pages){.memory = memory, .nr_frames = nr, .nr_free = nr};
	p->used = calloc(nr / 64 + 1, sizeof(*p->used));
	if (!p->used)
		return -ENOMEM;
	pthread_mutex_init(&p->lock, NULL);
	return 0;
}

void local_pages_finish(struct local_pages *p)
{
	free(p->used);
	pthread_mutex_destroy(&p->lock);
}

static bool is_used(const struct local_pages *p, uint64_t frame)
{
	return p->used[frame / 64] >> (frame % 64) & 1;
}

static void mark_used(struct local_pages *p, uint64_t frame, uint64_t nr)
{
	for (uint64_t f = frame; f < frame + nr; f++)
		p->used[f / 64] |= UINT64_C(1) << (f % 64);
	p->nr_free -= nr;
}

int local_pages_reserve(struct local_pages *p, uint64_t frame)
{
	int err = 0;

	pthread_mutex_lock(&p->lock);
	if (frame >= p->nr_frames)
		err = -EINVAL;
	else if (is_used(p, frame))
		err = -EBUSY;
	else
		mark_used(p, frame, 1);
	pthread_mutex_unlock(&p->lock);
	return err;
}

/* The first run of nr free frames in [from, to), or UINT64_MAX. */
static uint64_t find_run(const struct local_pages *p, uint64_t from, uint64_t to, unsigned nr)
{
	uint64_t run = from, f = from;

	while (f < to) {
		if (f % 64 == 0 && p->used[f / 64] == UINT64_MAX) {
			f += 64;
			run = f;
			continue;
		}
		if (is_used(p, f++))
			run = f;
		else if (f - run == nr)
			return run;
	}
	return UINT64_MAX;
}

/* Runs that begin at or after from; an extent's end ends a run. */
static uint64_t find_from(const struct local_pages *p, uint64_t from, unsigned nr)
{
	for (unsigned i = 0; i < p->memory->nr_extents; i++) {
		const struct gate_extent *e = &p->memory->extent[i];
		uint64_t end = e->first_frame + e->nr_frames;
		uint64_t at;

		if (end <= from)
			continue;
		at = find_run(p, from > e->first_frame ? from : e->first_frame, end, nr);
		if (at != UINT64_MAX)
			return at;
	}
	return UINT64_MAX;
}

int local_pages_alloc(struct local_pages *p, unsigned nr, void **pages)
{
	uint64_t at = UINT64_MAX, stale = 0;
	void *base;

	if (!nr)
		return -EINVAL;
	pthread_mutex_lock(&p->lock);
	if (nr <= p->nr_free) {
		at = find_from(p, p->next, nr);
		if (at == UINT64_MAX)
			at = find_from(p, 0, nr);
	}
	if (at != UINT64_MAX) {
		mark_used(p, at, nr);
		p->next = at + nr;
		stale = p->fresh > at ? p->fresh - at : 0;
		if (p->fresh < at + nr)
			p->fresh = at + nr;
	}
	pthread_mutex_unlock(&p->lock);
	if (at == UINT64_MAX)
		return -ENOMEM;
	base = gate_page(p->memory, at);
	memset(base, 0, pages_to_bytes(stale < nr ? stale : nr));
	*pages = base;
	return 0;
}

void local_pages_free(struct local_pages *p, void *pages, unsigned nr)
{
	uint64_t frame = gate_frame_of(p->memory, pages);

	pthread_mutex_lock(&p->lock);
	assert(frame < p->nr_frames && nr <= p->nr_frames - frame);
	for (uint64_t f = frame; f < frame + nr; f++) {
		assert(is_used(p, f));
		p->used[f / 64] &= ~(UINT64_C(1) << (f % 64));
	}
	p->nr_free += nr;
	pthread_mutex_unlock(&p->lock);
}

uint64_t local_pages_nr_free(struct local_pages *p)
{
	uint64_t n;

	pthread_mutex_lock(&p->lock);
	n = p->nr_free;
	pthread_mutex_unlock(&p->lock);
	return n;
}
