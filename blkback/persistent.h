/*
 * blkback/persistent.h - the granted pages that one queue keeps mapped between requests, by grant ref.   [hot: get to drop]
 *
 *      map (pages.c)  -->  add, in use  <-- get/put -->  unused, in an LRU  -->  evict, drop_unused  -->  unmap (pages.c)
 *
 * The front end promises to use the same refs for the same pages again (feature-persistent), so a request finds its pages
 * mapped and no hypervisor is asked. Pages are mapped writable. What has not been used for a while, or is in the way of a new
 * one, is handed back to the caller, who unmaps it; a page in use never is.
 *
 * Owns     the entries; the mappings are the caller's to make and undo.
 * Runs in  the queue's thread; create and destroy in any other.
 */
#ifndef SLUICE_BLKBACK_PERSISTENT_H
#define SLUICE_BLKBACK_PERSISTENT_H

#include "hv/hv.h"

#define PERSISTENT_NONE UINT16_MAX
#define PERSISTENT_MAX (UINT16_MAX - 1u)

struct persistent_page {
	grant_ref_t ref;
	grant_handle_t handle;
	void *page;
	uint64_t unused_since_ns;
	uint32_t users;
	uint16_t chain;      /* of the hash bucket, or of the free ones */
	uint16_t newer, older; /* the LRU, while nobody uses it */
};

struct persistent {
	struct persistent_page *pages;
	uint16_t *bucket;
	unsigned bucket_mask;
	unsigned cap;
	unsigned nr; /* kept */
	uint16_t free;
	uint16_t newest, oldest; /* of the unused */
};

/* cap at most PERSISTENT_MAX; 0: keeps nothing. -ENOMEM. */
int persistent_init(struct persistent *p, unsigned cap);
/* Nothing may be kept. */
void persistent_finish(struct persistent *p);

/* The page of a ref, in use from now on, or PERSISTENT_NONE. */
uint16_t persistent_get(struct persistent *p, grant_ref_t ref);
/*
 * Keeps a fresh mapping, in use. PERSISTENT_NONE: there is one of this ref already, or all are in use; the caller unmaps after
 * this request. *evicted becomes the handle to unmap for it, if *has_evicted.
 */
uint16_t persistent_add(struct persistent *p, grant_ref_t ref, grant_handle_t handle, void *page, bool *has_evicted,
			grant_handle_t *evicted);
/* The request is over. */
void persistent_put(struct persistent *p, uint16_t index, uint64_t now_ns);
/* Forgets at most max that nobody has used since before_ns, oldest first; their handles are to be unmapped. Returns how many. */
unsigned persistent_drop_unused(struct persistent *p, uint64_t before_ns, grant_handle_t handles[], unsigned max);

static inline void *persistent_page(const struct persistent *p, uint16_t index)
{
	return p->pages[index].page;
}

#endif
