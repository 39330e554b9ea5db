/*
 * hv/counters_file.c - makes the file, and finds the one before.
 *
 * Owns, Trusts, Runs in: counters_file.h.
 */
#include "hv/counters_file.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

static bool is_same_layout(const struct counters_file *f, const struct counters_view *v)
{
	return v->max_queues == f->max_queues && v->layout.nr_fields == f->layout->nr_fields &&
	       v->layout.queue_bytes == f->layout->queue_bytes &&
	       memcmp(v->layout.field, f->layout->field, f->layout->nr_fields * sizeof(*f->layout->field)) == 0;
}

/* The counters that lie there, if they are this driver's and this version's. */
static void *read_before(const struct counters_file *f, const char *dir, const char *name, size_t bytes)
{
	size_t queues_bytes = (size_t)f->max_queues * f->layout->queue_bytes;
	struct counters_view view;
	struct run_file old;
	void *before = NULL;

	if (run_file_open(&old, dir, name, bytes) < 0)
		return NULL;
	if (counters_check(old.memory, bytes, &view) == 0 && is_same_layout(f, &view))
		before = malloc(queues_bytes);
	if (before)
		memcpy(before, view.queues, queues_bytes);
	run_file_close(&old, false);
	return before;
}

int counters_file_create(struct counters_file *f, const char *dir, const char *name, const struct counters_layout *layout,
			 unsigned max_queues)
{
	size_t bytes = counters_bytes(layout, max_queues);
	int err;

	*f = (struct counters_file){.layout = layout, .max_queues = max_queues};
	f->before = read_before(f, dir, name, bytes);
	err = run_file_create_held(&f->file, dir, name, bytes);
	if (err) {
		counters_file_drop(f);
		return err;
	}
	counters_init(f->file.memory, layout, max_queues);
	f->queues = counters_queues(f->file.memory, layout);
	return 0;
}

void counters_file_go_on(struct counters_file *f)
{
	uint32_t step = f->layout->queue_bytes;

	for (unsigned i = 0; f->before && i < f->max_queues; i++)
		counters_go_on(f->layout, (uint8_t *)f->queues + (size_t)i * step, (const uint8_t *)f->before + (size_t)i * step);
	counters_file_drop(f);
}

void counters_file_drop(struct counters_file *f)
{
	free(f->before);
	f->before = NULL;
}

void counters_file_close(struct counters_file *f, bool removes)
{
	counters_file_drop(f);
	run_file_close(&f->file, removes);
	*f = (struct counters_file){0};
}
