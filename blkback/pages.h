/*
 * blkback/pages.h - where the data of a request lies while the engine works on it.   [hot: plan to settle]
 *
 *      PAGES_MAP         the guest's pages, mapped for this request          the hypervisor maps cheaply (local)
 *      PAGES_COPY        our own buffers, copied in or out in batches        it does not (xen): one call for a burst
 *      PAGES_PERSISTENT  the guest's pages, mapped once and kept             the front end offers it; a request for whose pages
 *                                                                            the quota of maps has no room is copied
 *
 *      plan, plan, ...   what a burst of requests needs
 *      fetch             one map or copy call for all of them
 *      ready             its pieces, for the engine; or that a page was not to be had
 *      done, done, ...   the engine is through with a request
 *      settle            one copy call for what was read, one unmap call for what is let go
 *
 * Owns     every mapping it made until settle after done has returned; the buffers always.
 * Trusts   no grant ref.
 * Runs in  the queue's thread; init and finish in any other.
 */
#ifndef SLUICE_BLKBACK_PAGES_H
#define SLUICE_BLKBACK_PAGES_H

#include <sys/uio.h>

#include "blkback/persistent.h"
#include "rings/blkif.h"

enum pages_mode { PAGES_MAP, PAGES_COPY, PAGES_PERSISTENT };

/* How one segment's page is held. */
struct page_hold {
	grant_handle_t handle;
	uint16_t kept; /* of the persistent pages; PERSISTENT_NONE: mapped for this request alone */
	bool is_held;  /* PAGES_PERSISTENT */
};

/* The pages of one request. The owner gives memory for most segments that may come, and but in mode PAGES_MAP a buffer for them. */
struct pages_lot {
	const struct blkif_request_segment *segment; /* the owner's copy, checked; until settle */
	struct page_hold *hold;
	struct iovec *iov;
	char *buffer;
	uint32_t bytes;
	uint16_t nr_segments;
	uint16_t nr_iov;
	bool is_read;  /* of the disk: a write to the guest's pages */
	bool is_copied; /* through buffer */
	bool is_bad;   /* a page could not be mapped or copied */
	uint32_t op_at; /* where its operations begin in the batch */
};

struct pages_config {
	struct hv_peer *peer;
	enum pages_mode mode;
	unsigned max_batch;     /* segments of one fetch, and of one request */
	unsigned max_lots;      /* requests between two settles */
	unsigned nr_persistent; /* PAGES_PERSISTENT: most to keep */
	uint64_t unused_ns;     /* what has not been used so long is unmapped */
};

struct pages {
	struct hv_peer *peer;
	enum pages_mode mode;
	unsigned max_batch;
	uint64_t unused_ns;
	uint64_t now_ns; /* the owner sets it before done and settle, well enough for unused_ns */
	struct hv_map_op *map;
	unsigned nr_map;
	struct grant_copy_op *copy;
	unsigned nr_copy;
	struct pages_lot **copying; /* whose operations are in copy: a settle's */
	unsigned nr_copying;
	grant_handle_t *unmap;
	unsigned nr_unmap;
	struct persistent persistent;
};

/* 0 or -ENOMEM. */
int pages_init(struct pages *pg, const struct pages_config *config);
/* Unmaps what is kept; every lot must be done and settled. */
void pages_finish(struct pages *pg);

/* Adds a lot, of at least one segment, to the next fetch: at most max_batch segments in all. */
void pages_plan(struct pages *pg, struct pages_lot *lot, bool is_read);
void pages_fetch(struct pages *pg);
/* After fetch, for each lot. true: iov holds the pieces. false: nothing is held, the request cannot be served. */
bool pages_ready(struct pages *pg, struct pages_lot *lot);
/* The engine is through with it; is_good: what was read shall reach the guest. */
void pages_done(struct pages *pg, struct pages_lot *lot, bool is_good);
/* After it lot->is_bad says of each whose done came before whether the guest has its data. Guests may be answered now. */
void pages_settle(struct pages *pg);
/* Lets go of kept pages that have not been used for long. How many stay. */
unsigned pages_drop_unused(struct pages *pg);

#endif
