/*
 * frontends/blkfront_queue.c - one queue of a blkfront: its tables, what it shares with the back end, its thread's sleep.
 *
 * Owns     tables and refs as long as the device; ring, pool and lists while they are shared.
 * Runs in  the bus's thread, except blkfront_queue_wait, blkfront_queue_tell and blkfront_max_bytes: the queue's. Where both
 *          would touch the ring, is_entered says whose it is.
 * Fails    negative errno.
 */
#include <errno.h>
#include <poll.h>
#include <sched.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "frontends/blkfront_control.h"

/* Own refs of a queue, unless one request or the ring needs more or less. */
#define MAX_GRANTS 2048u
/* Room for the ends of parts that must not cut a large sector, beside a request's own pages. */
#define SPARE_GRANTS 32u
/* A pool's pages: when everything goes through it, when only some does, and where shared pages are scarce (for all queues). */
#define POOL_PAGES 1024u
#define SIDE_POOL_PAGES 64u
#define SCARCE_POOL_PAGES 256u
#define MIN_POOL_PAGES BLKFRONT_SEGMENTS
/* Requests with lists that may be under way at once. */
#define LISTED_REQUESTS 32u
#define SCARCE_LISTED_REQUESTS 4u
/* While a back end holds pages after its answer no event will tell when it lets go. */
#define HELD_RETRY_MS 1

static struct hv *hv_of(const struct blkfront_queue *q)
{
	return q->bf->bus->hv;
}

static uint32_t smaller(uint32_t a, uint32_t b)
{
	return a < b ? a : b;
}

static uint32_t larger(uint32_t a, uint32_t b)
{
	return a > b ? a : b;
}

/* ---- tables ---------------------------------------------------------------------------------------------------------------- */

static int area_storage(struct blkfront_area *a, unsigned nr)
{
	if (nr <= a->max_nr)
		return 0;
	free(a->refs);
	free(a->next);
	a->refs = calloc(nr, sizeof(*a->refs));
	a->next = calloc(nr, sizeof(*a->next));
	a->max_nr = a->refs && a->next ? nr : 0;
	return a->max_nr ? 0 : -ENOMEM;
}

static void area_free(struct blkfront_area *a)
{
	free(a->refs);
	free(a->next);
}

/* Takes nr refs from the domain's table: all, or none and -ENOSPC. */
static int take_refs(struct grant_table *gt, grant_ref_t refs[], unsigned nr)
{
	for (unsigned i = 0; i < nr; i++) {
		if (!grant_table_alloc(gt, &refs[i]))
			continue;
		while (i--)
			grant_table_free(gt, refs[i]);
		return -ENOSPC;
	}
	return 0;
}

/* As many refs as serve the ring well; fewer when the domain has no more; enough for the longest request. */
static int init_grants(struct blkfront_queue *q, uint32_t ring_slots)
{
	struct blkfront_ring *r = &q->ring;
	uint32_t least = larger(BLKFRONT_MIN_MAX_BYTES / PAGE_BYTES, q->bf->opt.max_segments) + SPARE_GRANTS;
	uint32_t nr = larger(smaller(ring_slots * BLKFRONT_SEGMENTS, MAX_GRANTS), least);
	int rc = -ENOSPC;

	r->gt = hv_grants(hv_of(q));
	if (!r->gt)
		return 0;
	for (; rc == -ENOSPC && nr >= least; nr = nr / 2 > least || nr == least ? nr / 2 : least) {
		rc = area_storage(&q->grants, nr);
		if (!rc)
			rc = take_refs(r->gt, q->grants.refs, nr);
		if (rc)
			continue;
		q->grants.nr = nr;
		blkfront_slots_init(&r->grants, nr, q->grants.next, q->grants.refs, NULL);
		return 0;
	}
	return rc;
}

static uint32_t frame_of(void *hv, const void *page)
{
	return hv_frame_of(hv, page);
}

int blkfront_queue_init(struct blkfront_queue *q, struct blkfront *bf, unsigned index)
{
	uint32_t parts = blkif_ring_slots(pages_to_bytes(1u << bf->opt.max_ring_order));
	struct blkfront_ring *r = &q->ring;

	q->bf = bf;
	q->index = index;
	q->needs_pool = bf->opt.has_foreign_data;
	busy_poll_init(&q->wait, bf->opt.busy_poll_us);
	q->wake_fd = bf->opt.is_threaded ? eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK) : -1;
	if (bf->opt.is_threaded && q->wake_fd < 0)
		return -errno;
	r->part = calloc(parts, sizeof(*r->part));
	r->free = calloc(parts, sizeof(*r->free));
	r->held = calloc(parts, sizeof(*r->held));
	if (!r->part || !r->free || !r->held)
		return -ENOMEM;
	r->nr_parts = (uint16_t)parts;
	r->count = &bf->counters[index];
	r->tick_length = clock_tick_length();
	r->disk = &bf->disk;
	r->ring.is_x86_32 = bf->opt.is_x86_32;
	r->keeps = bf->opt.reconnects;
	r->frame_of = frame_of;
	r->frame_arg = hv_of(q);
	blkfront_ring_init(r);
	return init_grants(q, parts);
}

/* Refs of held parts are freed when the back end lets go, whoever lives then; all others now. */
static void return_refs(struct blkfront_queue *q)
{
	struct blkfront_ring *r = &q->ring;

	for (unsigned i = 0; i < r->nr_held; i++) {
		struct blkfront_part *p = &r->part[r->held[i]];

		for (uint32_t slot = p->first; p->nr_slots; p->nr_slots--, slot = r->grants.next[slot])
			grant_table_end_when_idle(r->gt, r->grants.ref[slot], NULL, NULL);
	}
	while (r->grants.nr_free)
		grant_table_free(r->gt, r->grants.ref[blkfront_slots_take(&r->grants)]);
}

void blkfront_queue_finish(struct blkfront_queue *q)
{
	return_refs(q);
	free(q->ring.part);
	free(q->ring.free);
	free(q->ring.held);
	area_free(&q->shared_ring);
	area_free(&q->pool);
	area_free(&q->lists);
	area_free(&q->grants);
	if (q->bf && q->wake_fd >= 0)
		close(q->wake_fd);
}

/* ---- whose the ring is ---------------------------------------------------------------------------------------------------- */

/* Keeps the queue's thread out; it does not stay long, and never sleeps inside. */
static void shut(struct blkfront_queue *q)
{
	while (!blkfront_enter(q))
		sched_yield();
}

static void open_again(struct blkfront_queue *q)
{
	store_release(&q->is_entered, 0); /* pairs with blkfront_enter's acquire */
}

static void write_event(int fd)
{
	uint64_t one = 1;
	ssize_t n = fd >= 0 ? write(fd, &one, sizeof(one)) : 0; /* full: it is readable, which is all we want */

	(void)n;
}

/* ---- shared pages ----------------------------------------------------------------------------------------------------------- */

/* Between least and most pages, as many as there are. */
static int share_area(struct blkfront_queue *q, struct blkfront_area *a, unsigned most, unsigned least, bool readonly)
{
	int rc = -ENOMEM;

	for (unsigned nr = most; nr >= least; nr = nr == least ? 0 : larger(nr / 2, least)) {
		rc = area_storage(a, nr);
		if (!rc)
			rc = hv_share(hv_of(q), q->bf->handshake.other_domid, nr, readonly, a->refs, &a->pages);
		if (!rc)
			a->nr = nr;
		if (!rc || (rc != -ENOMEM && rc != -ENOSPC))
			break;
	}
	return rc;
}

static void unshare_area(struct blkfront_queue *q, struct blkfront_area *a)
{
	if (a->pages)
		hv_unshare(hv_of(q), a->pages, a->nr, a->refs);
	a->pages = NULL;
	a->nr = 0;
}

static unsigned pool_pages(const struct blkfront_queue *q, bool is_only)
{
	const struct blkfront *bf = q->bf;

	if (bf->opt.pool_pages)
		return larger(bf->opt.pool_pages, MIN_POOL_PAGES);
	if (!q->ring.gt)
		return larger(SCARCE_POOL_PAGES / bf->nr_queues, MIN_POOL_PAGES);
	return is_only ? smaller((q->ring.ring.native.mask + 1) * BLKFRONT_SEGMENTS, POOL_PAGES) : SIDE_POOL_PAGES;
}

static int share_pool(struct blkfront_queue *q)
{
	struct blkfront_ring *r = &q->ring;
	int rc = share_area(q, &q->pool, pool_pages(q, r->is_pool_only), MIN_POOL_PAGES, false);

	if (!rc)
		blkfront_slots_init(&r->pool, q->pool.nr, q->pool.next, q->pool.refs, q->pool.pages);
	return rc;
}

int blkfront_queue_need_pool(struct blkfront_queue *q)
{
	q->needs_pool = true;
	return q->ring.is_connected && !q->pool.pages ? share_pool(q) : 0;
}

/* Long requests need lists; without pages for those they go as several short ones. */
static void share_lists(struct blkfront_queue *q)
{
	struct blkfront_ring *r = &q->ring;
	uint32_t segments = q->bf->opt.max_segments;
	unsigned each, requests;
	uint64_t offered;

	r->max_segments = BLKFRONT_SEGMENTS;
	offered = segments > BLKFRONT_SEGMENTS ? blkfront_offer(q->bf, "feature-max-indirect-segments", 0) : 0;
	if (offered <= BLKFRONT_SEGMENTS)
		return;
	segments = offered < segments ? (uint32_t)offered : segments;
	each = (segments + BLKFRONT_LIST_SEGMENTS - 1) / BLKFRONT_LIST_SEGMENTS;
	requests = smaller(r->gt ? LISTED_REQUESTS : SCARCE_LISTED_REQUESTS, r->ring.native.mask + 1);
	/* Writable, though nobody writes there: Linux maps them so when it keeps grants mapped. */
	if (share_area(q, &q->lists, requests * each, each, false))
		return;
	blkfront_slots_init(&r->lists, q->lists.nr, q->lists.next, q->lists.refs, q->lists.pages);
	r->max_segments = segments;
}

int blkfront_queue_publish(struct blkfront_queue *q)
{
	unsigned pages = 1u << q->bf->ring_order;
	struct hv *hv = hv_of(q);
	int rc;

	shut(q);
	q->is_breach_told = false;
	rc = share_area(q, &q->shared_ring, pages, pages, false);
	if (rc)
		goto open;
	blkfront_ring_prepare(&q->ring, q->shared_ring.pages, pages_to_bytes(pages), q->bf->handshake.other_domid);
	rc = hv_evtchn_alloc_unbound(hv, q->bf->handshake.other_domid, &q->port);
	if (rc)
		goto unshare;
	if (q->bf->opt.is_threaded) {
		/* A virtual processor of its own spares its thread the others' events; where there is none they share. */
		hv_evtchn_bind_vcpu(hv, q->port, q->index + 1);
		rc = frontbus_add_sleeper(q->bf->bus, q->port, q->wake_fd);
		if (rc)
			goto close_port;
	}
	open_again(q);
	return 0;

close_port:
	hv_evtchn_close(hv, q->port);
unshare:
	q->port = 0;
	unshare_area(q, &q->shared_ring);
open:
	open_again(q);
	return rc;
}

int blkfront_queue_connect(struct blkfront_queue *q)
{
	struct blkfront_ring *r = &q->ring;
	int rc = 0;

	shut(q);
	r->is_pool_only = q->bf->is_pool_only || q->bf->is_persistent;
	if (r->is_pool_only || q->needs_pool)
		rc = share_pool(q);
	if (!rc) {
		share_lists(q);
		r->max_bytes = larger(BLKFRONT_MIN_MAX_BYTES, r->max_segments * PAGE_BYTES);
		r->keeps = q->bf->opt.reconnects;
		blkfront_ring_start(r);
		blkfront_push(q);
	}
	open_again(q);
	write_event(q->wake_fd);
	return rc;
}

void blkfront_queue_disconnect(struct blkfront_queue *q)
{
	struct blkfront_ring *r = &q->ring;

	shut(q);
	if (q->port) {
		frontbus_remove_sleeper(q->bf->bus, q->port);
		hv_evtchn_close(hv_of(q), q->port);
	}
	q->port = 0;
	blkfront_ring_abort(r);
	blkfront_slots_init(&r->pool, 0, NULL, NULL, NULL);
	blkfront_slots_init(&r->lists, 0, NULL, NULL, NULL);
	unshare_area(q, &q->shared_ring);
	unshare_area(q, &q->pool);
	unshare_area(q, &q->lists);
	open_again(q);
	write_event(q->wake_fd);
}

void blkfront_queue_give_up(struct blkfront_queue *q)
{
	shut(q);
	blkfront_ring_abort(&q->ring);
	blkfront_ring_give_up(&q->ring);
	open_again(q);
}

void blkfront_queue_wake(struct blkfront_queue *q)
{
	write_event(q->wake_fd);
}

bool blkfront_queue_is_broken(struct blkfront_queue *q, const char **why)
{
	shut(q);
	*why = q->ring.is_connected ? q->ring.broken : NULL;
	open_again(q);
	return *why;
}

/* ---- the queue's thread -------------------------------------------------------------------------------------------------------- */

uint32_t blkfront_max_bytes(const struct blkfront_queue *q)
{
	const struct blkfront_ring *r = &q->ring;
	uint32_t pool = (uint32_t)pages_to_bytes(r->pool.nr);

	if (r->is_pool_only)
		return smaller(pool, BLKFRONT_MAX_SEGMENTS * PAGE_BYTES);
	return pool ? smaller(pool, r->max_bytes) : r->max_bytes;
}

void blkfront_queue_tell(struct blkfront_queue *q)
{
	q->is_breach_told = true;
	frontbus_wake(q->bf->bus);
}

bool blkfront_queue_has_answers(const struct blkfront_queue *q)
{
	const struct blkfront_ring *r = &q->ring;

	return r->done || r->broken || (r->is_connected && blkif_ring_front_pending(&r->ring.native));
}

/* Arms; true: something to poll is there already, came while it was looked for, or cannot be waited for. */
static bool look(struct blkfront_queue *q, evtchn_port_t *port, bool *has_held)
{
	bool has;

	shut(q);
	while (!(has = blkfront_queue_has_answers(q)) && q->wait.max_ns && q->ring.is_connected &&
	       busy_poll_looks_again(&q->wait, clock_now_ns()))
		;
	has = has || blkfront_ring_arm(&q->ring);
	*has_held = q->ring.nr_held;
	*port = q->port;
	open_again(q);
	return has;
}

int blkfront_queue_wait(struct blkfront_queue *q, int timeout_ms)
{
	struct pollfd p[2] = {{.fd = -1, .events = POLLIN}, {.fd = q->wake_fd, .events = POLLIN}};
	evtchn_port_t port;
	uint64_t count;
	bool has_held;
	int n;

	if (look(q, &port, &has_held)) {
		busy_poll_found(&q->wait);
		return 1;
	}
	if (load_acquire(&q->bf->is_over) && !has_held) /* pairs with blkfront.c's release: all that was kept has come back */
		return blkfront_queue_has_answers(q) ? 1 : -ENODEV;
	if (port)
		p[0].fd = hv_event_fd(hv_of(q), port);
	if (has_held && (timeout_ms < 0 || timeout_ms > HELD_RETRY_MS))
		timeout_ms = HELD_RETRY_MS;
	n = poll(p, 2, timeout_ms);
	if (n > 0 && p[0].revents) {
		frontbus_take_events(q->bf->bus, p[0].fd, port);
		busy_poll_found(&q->wait);
	}
	if (n > 0 && p[1].revents && read(q->wake_fd, &count, sizeof(count)) < 0)
		return 1;
	return n > 0 || has_held;
}
