/*
 * blkback/pages_setup.c - makes and frees the state of pages.c and persistent.c.
 *
 * Runs in  the thread that will run the data path, or one that hands it over.
 */
#include <stdlib.h>

#include "blkback/pages.h"

int persistent_init(struct persistent *p, unsigned cap)
{
	unsigned buckets = 1;

	*p = (struct persistent){.cap = cap, .free = PERSISTENT_NONE, .newest = PERSISTENT_NONE, .oldest = PERSISTENT_NONE};
	while (buckets < 2 * cap)
		buckets *= 2;
	p->bucket_mask = buckets - 1;
	p->bucket = malloc(buckets * sizeof(p->bucket[0]));
	p->pages = calloc(cap + 1, sizeof(p->pages[0]));
	if (!p->bucket || !p->pages) {
		persistent_finish(p);
		return -ENOMEM;
	}
	memset(p->bucket, 0xff, buckets * sizeof(p->bucket[0])); /* PERSISTENT_NONE everywhere */
	for (unsigned i = cap; i-- > 0;) {
		p->pages[i].chain = p->free;
		p->free = (uint16_t)i;
	}
	return 0;
}

void persistent_finish(struct persistent *p)
{
	free(p->bucket);
	free(p->pages);
}

int pages_init(struct pages *pg, const struct pages_config *config)
{
	*pg = (struct pages){
		.peer = config->peer, .mode = config->mode, .max_batch = config->max_batch, .unused_ns = config->unused_ns};
	if (persistent_init(&pg->persistent, config->mode == PAGES_PERSISTENT ? config->nr_persistent : 0))
		return -ENOMEM;
	if (config->mode != PAGES_MAP)
		pg->copy = calloc(config->max_batch, sizeof(pg->copy[0]));
	if (config->mode != PAGES_COPY)
		pg->map = calloc(config->max_batch, sizeof(pg->map[0]));
	pg->unmap = calloc(config->max_batch, sizeof(pg->unmap[0]));
	pg->copying = calloc(config->max_lots, sizeof(pg->copying[0]));
	if ((pg->copy || config->mode == PAGES_MAP) && (pg->map || config->mode == PAGES_COPY) && pg->unmap && pg->copying)
		return 0;
	pages_finish(pg);
	return -ENOMEM;
}

void pages_finish(struct pages *pg)
{
	if (pg->unmap) {
		pg->now_ns = UINT64_MAX;
		pg->unused_ns = 0;
		pages_drop_unused(pg);
	}
	persistent_finish(&pg->persistent);
	free(pg->map);
	free(pg->copy);
	free(pg->unmap);
	free(pg->copying);
}
