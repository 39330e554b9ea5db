/*
 * frontends/front_counters.c - grants a front end's counters to Domain-0.
 *
 * Owns, Runs in, Fails: front_counters.h.
 */
#include "frontends/front_counters.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define DOMAIN0 0

/* False: they will be private. */
static bool share(struct front_counters *fc, size_t bytes)
{
	unsigned nr = (unsigned)bytes_to_pages(bytes);
	struct front_counters_directory *dir;

	if (!hv_grants(fc->hv) || nr > FRONT_COUNTERS_MAX_PAGES)
		return false;
	fc->refs = calloc(nr + 1, sizeof(fc->refs[0]));
	if (!fc->refs)
		return false;
	if (hv_share(fc->hv, DOMAIN0, nr + 1, true, fc->refs, &fc->pages)) {
		fc->pages = NULL;
		return false;
	}
	fc->nr_pages = nr + 1;
	fc->memory = (uint8_t *)fc->pages + PAGE_BYTES;
	dir = fc->pages;
	dir->bytes = (uint32_t)bytes;
	dir->nr_pages = nr;
	memcpy(dir->ref, fc->refs + 1, nr * sizeof(dir->ref[0]));
	memcpy(dir->magic, FRONT_COUNTERS_MAGIC, sizeof(dir->magic));
	return true;
}

int front_counters_open(struct front_counters *fc, struct hv *hv, const struct counters_layout *layout, unsigned max_queues)
{
	size_t bytes = counters_bytes(layout, max_queues);

	*fc = (struct front_counters){.hv = hv};
	if (!share(fc, bytes)) {
		fc->memory = aligned_alloc(64, (bytes + 63) & ~(size_t)63);
		if (!fc->memory) {
			free(fc->refs);
			fc->refs = NULL;
			return -ENOMEM;
		}
		memset(fc->memory, 0, bytes);
	}
	counters_init(fc->memory, layout, max_queues);
	return 0;
}

void front_counters_close(struct front_counters *fc)
{
	if (fc->pages)
		hv_unshare(fc->hv, fc->pages, fc->nr_pages, fc->refs);
	else
		free(fc->memory);
	free(fc->refs);
	*fc = (struct front_counters){0};
}

int front_counters_write_key(const struct front_counters *fc, struct store_client *store, uint32_t tx, const char *dir)
{
	char path[160];
	int rc;

	if (fc->pages)
		return store_client_printf(store, tx, dir, FRONT_COUNTERS_KEY, "%u", fc->refs[0]);
	snprintf(path, sizeof(path), "%s/%s", dir, FRONT_COUNTERS_KEY);
	rc = store_client_rm(store, tx, path);
	return rc == -ENOENT ? 0 : rc;
}

void front_counters_remove_key(struct store_client *store, const char *dir)
{
	char path[160];

	snprintf(path, sizeof(path), "%s/%s", dir, FRONT_COUNTERS_KEY);
	store_client_rm(store, STORE_NO_TX, path);
}
