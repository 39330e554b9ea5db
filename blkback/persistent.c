/*
 * blkback/persistent.c - the granted pages that one queue keeps mapped between requests.   [hot]
 *
 * Runs in  the queue's thread. No lock, no allocation.
 */
#include "blkback/persistent.h"

static uint16_t *persistent_bucket(struct persistent *p, grant_ref_t ref)
{
	/* Front ends take refs from a pool: mostly neighbours. */
	return &p->bucket[(ref ^ ref >> 12) & p->bucket_mask];
}

static uint16_t persistent_find(struct persistent *p, grant_ref_t ref)
{
	uint16_t i = *persistent_bucket(p, ref);

	while (i != PERSISTENT_NONE && p->pages[i].ref != ref)
		i = p->pages[i].chain;
	return i;
}

static void lru_remove(struct persistent *p, uint16_t index)
{
	struct persistent_page *page = &p->pages[index];

	*(page->newer == PERSISTENT_NONE ? &p->newest : &p->pages[page->newer].older) = page->older;
	*(page->older == PERSISTENT_NONE ? &p->oldest : &p->pages[page->older].newer) = page->newer;
}

static void lru_add(struct persistent *p, uint16_t index)
{
	struct persistent_page *page = &p->pages[index];

	page->newer = PERSISTENT_NONE;
	page->older = p->newest;
	*(p->newest == PERSISTENT_NONE ? &p->oldest : &p->pages[p->newest].newer) = index;
	p->newest = index;
}

/* Out of hash and LRU, onto the free list. */
static void persistent_forget(struct persistent *p, uint16_t index)
{
	uint16_t *at = persistent_bucket(p, p->pages[index].ref);

	while (*at != index)
		at = &p->pages[*at].chain;
	*at = p->pages[index].chain;
	lru_remove(p, index);
	p->pages[index].chain = p->free;
	p->free = index;
	p->nr--;
}

uint16_t persistent_get(struct persistent *p, grant_ref_t ref)
{
	uint16_t i = persistent_find(p, ref);

	if (i != PERSISTENT_NONE && p->pages[i].users++ == 0)
		lru_remove(p, i);
	return i;
}

uint16_t persistent_add(struct persistent *p, grant_ref_t ref, grant_handle_t handle, void *page, bool *has_evicted,
			grant_handle_t *evicted)
{
	uint16_t *bucket = persistent_bucket(p, ref), i;

	*has_evicted = false;
	if (persistent_find(p, ref) != PERSISTENT_NONE)
		return PERSISTENT_NONE; /* twice in one burst */
	if (p->free == PERSISTENT_NONE) {
		if (p->oldest == PERSISTENT_NONE)
			return PERSISTENT_NONE;
		*has_evicted = true;
		*evicted = p->pages[p->oldest].handle;
		persistent_forget(p, p->oldest);
	}
	i = p->free;
	p->free = p->pages[i].chain;
	p->pages[i] = (struct persistent_page){.ref = ref, .handle = handle, .page = page, .users = 1, .chain = *bucket};
	*bucket = i;
	p->nr++;
	return i;
}

void persistent_put(struct persistent *p, uint16_t index, uint64_t now_ns)
{
	if (--p->pages[index].users)
		return;
	p->pages[index].unused_since_ns = now_ns;
	lru_add(p, index);
}

unsigned persistent_drop_unused(struct persistent *p, uint64_t before_ns, grant_handle_t handles[], unsigned max)
{
	unsigned n = 0;

	while (n < max && p->oldest != PERSISTENT_NONE && p->pages[p->oldest].unused_since_ns < before_ns) {
		handles[n++] = p->pages[p->oldest].handle;
		persistent_forget(p, p->oldest);
	}
	return n;
}
