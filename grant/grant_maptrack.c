/*
 * grant/grant_maptrack.c - makes and unmakes a mapper's table of handles.
 *
 * Owns     the table; the entries are its users'.
 * Runs in  create, destroy: one thread. forget: any thread.
 */
#include <errno.h>
#include <stdlib.h>

#include "grant/maptrack.h"

int grant_maptrack_create(uint32_t nr_handles, struct grant_maptrack **out)
{
	struct grant_maptrack *mt = calloc(1, sizeof(*mt));
	uint32_t *next;

	if (!mt)
		return -ENOMEM;
	/* calloc, not malloc: fresh zero pages cost nothing until a handle is used. */
	next = calloc(nr_handles, sizeof(*next));
	mt->entry = calloc(nr_handles, sizeof(*mt->entry));
	free_stack_init(&mt->handles, next, 0, nr_handles);
	if (nr_handles && (!next || !mt->entry)) {
		grant_maptrack_destroy(mt);
		return -ENOMEM;
	}
	*out = mt;
	return 0;
}

void grant_maptrack_destroy(struct grant_maptrack *mt)
{
	if (!mt)
		return;
	free(mt->handles.next);
	free(mt->entry);
	free(mt);
}

unsigned grant_maptrack_forget(struct grant_maptrack *mt, const struct grant_peer *peer)
{
	uint32_t nr_used = load_relaxed(&mt->handles.fresh);
	unsigned nr = 0;

	for (uint32_t n = 0; n < nr_used; n++)
		nr += grant_unmap(mt, peer, n) == GNTST_okay;
	return nr;
}
