/*
 * frontends/front_counters.h - a front end's counters in pages that Domain-0 may read.
 *
 *      device/vif/0/counters-ref = R      R: a page with the refs of the others, which hold what hv/counters.h describes
 *
 * A guest and Domain-0 share no folder, but a guest can grant pages: read-only, so nobody outside changes what it counts, and
 * whoever looks copies them and checks the copy. Where shared pages are scarce (user space of a domain of Xen's) the counters lie
 * in memory of the process alone, and there is no key.
 *
 * Owns     the pages from open to close; what Domain-0 still looks at is freed when it lets go.
 * Runs in  open, close, write_key: the bus's thread. The counters: hv/counters.h.
 * Fails    -errno; nothing is left.
 */
#ifndef SLUICE_FRONTENDS_FRONT_COUNTERS_H
#define SLUICE_FRONTENDS_FRONT_COUNTERS_H

#include "hv/counters.h"
#include "hv/hv.h"
#include "hv/store_client.h"

#define FRONT_COUNTERS_MAGIC "sluiceCD"
#define FRONT_COUNTERS_KEY "counters-ref"
#define FRONT_COUNTERS_MAX_PAGES ((PAGE_BYTES - 16) / sizeof(grant_ref_t))

/* The page that the key names. */
struct front_counters_directory {
	char magic[8];
	uint32_t bytes; /* of the counters */
	uint32_t nr_pages;
	grant_ref_t ref[FRONT_COUNTERS_MAX_PAGES];
};

_Static_assert(sizeof(struct front_counters_directory) == PAGE_BYTES, "read by other programs");

struct front_counters {
	struct hv *hv;
	void *memory;      /* as counters_init made it */
	void *pages;       /* shared: the directory, then the counters; NULL: memory is private */
	unsigned nr_pages; /* shared */
	grant_ref_t *refs;
};

/* -ENOMEM. */
int front_counters_open(struct front_counters *fc, struct hv *hv, const struct counters_layout *layout, unsigned max_queues);
/* Takes a zeroed one. */
void front_counters_close(struct front_counters *fc);
/* Says in the front end's directory where they are; takes away what an earlier front end said. 0 or the store's error. */
int front_counters_write_key(const struct front_counters *fc, struct store_client *store, uint32_t tx, const char *dir);
/* Before they are closed for good. */
void front_counters_remove_key(struct store_client *store, const char *dir);

#endif
