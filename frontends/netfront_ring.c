/*
 * frontends/netfront_ring.c - bursts of frames through the two rings of a queue.   [hot]
 *
 *      front                        ring                         back end
 *      tx: copy, put, push  --->   requests    --->   reads the page, answers
 *      rx: post pages       --->   requests    --->   fills a page, answers in the same slot
 *
 * The k-th rx request sits in slot k modulo the number of slots, and the back end must answer it there. So one comparison proves
 * that an id is in range, outstanding, and answered once. Which page is behind a slot changes when one is lent. An entry of extra
 * info has no id; its page was not written and goes back with the frame's.
 *
 * Owns     struct netfront_ring.
 * Trusts   no response; rx pages are read once, by the copy to the caller.
 * Runs in  the one thread that uses the queue.
 * Fails    netfront_ring.h.
 */
#include "frontends/netfront_ring.h"

/* How exact the time of an answer must be known. */
#define LOOK_NS 100000u

#define EXTRAS_ASKED (NETFRONT_GSO4 | NETFRONT_GSO6 | NETFRONT_HASH)

static void break_ring(struct netfront_ring *r, const char *why)
{
	r->broken = why;
}

static bool count_push(struct netfront_ring *r, bool wake)
{
	if (wake)
		r->count->notify_sent++;
	else
		r->count->notify_suppressed++;
	return wake;
}

void netfront_ring_init(struct netfront_ring *r, const struct netfront_ring_memory *m, uint32_t tx_can, uint32_t rx_can)
{
	memset(r, 0, sizeof(*r));
	netif_txr_front_init(&r->tx, m->tx_ring, PAGE_BYTES);
	netif_rxr_front_init(&r->rx, m->rx_ring, PAGE_BYTES);
	r->tx_can = tx_can;
	r->rx_can = rx_can;
	r->max_frame = tx_can & NETFRONT_SG ? NETFRONT_MAX_FRAME : PAGE_BYTES;
	r->nr_slots = m->nr_slots;
	r->tx_pages = m->tx_pages;
	r->short_pages = r->tx_pages + pages_to_bytes(r->nr_slots);
	r->rx_pages_sh = m->rx_pages;
	memcpy(r->tx_refs, m->tx_refs, netfront_ring_tx_pages(r->nr_slots) * sizeof(r->tx_refs[0]));
	r->loans = m->loans;
	memcpy(r->rx_refs, m->rx_refs, (r->loans ? r->loans->nr_pages : r->nr_slots) * sizeof(r->rx_refs[0]));
	for (unsigned i = 0; i < r->nr_slots; i++)
		r->tx_free[i] = r->rx_page[i] = (uint16_t)i;
	if (r->loans)
		netfront_loans_init(r->loans, r->nr_slots);
	r->nr_tx_free = r->nr_slots;
	r->count = m->counters ? m->counters : &r->own_count;
	r->packets_pushed = r->count->tx_packets;
	r->tick_length = m->tick_length;
	netfront_ring_post(r);
}

/* ---- tx ------------------------------------------------------------------------------------------------------------ */

/* One that says more than that a request was done. */
static void take_odd_tx(struct netfront_ring *r, const struct netif_tx_response *rsp)
{
	if (rsp->status == NETIF_RSP_NULL) { /* for an entry of extra info; such an answer has no id */
		if (!r->tx_extras_out)
			break_ring(r, "an empty tx response without extra info before it");
		else
			r->tx_extras_out--;
		return;
	}
	break_ring(r, "a tx response for a request that is not outstanding");
}

/* The page that was sent in this slot's place is nobody's any more. */
static __attribute__((noinline)) void end_tx_loan(struct netfront_ring *r, uint16_t id)
{
	struct netfront_loan *loan = r->tx_loan[id];

	if (!loan)
		return;
	r->tx_loan[id] = NULL;
	r->nr_tx_loans--;
	loan->is_resent = false;
	netfront_loan_end(loan);
}

/* A front end looks for answers when it has something to send: when it has not looked for long, nobody knows when they came. */
static __attribute__((noinline)) void look_at_probe(struct netfront_ring *r)
{
	uint64_t now = clock_ticks();

	if (probe_is_over(&r->probe, r->tx.rsp_cons)) {
		if (clock_ticks_to_ns(now - r->looked, r->tick_length) < LOOK_NS)
			histogram_add(&r->count->tx_ns, clock_ticks_to_ns(now - r->probe.since, r->tick_length));
		r->probe.since = 0;
	}
	r->looked = now;
}

unsigned netfront_ring_reclaim(struct netfront_ring *r)
{
	int pending = r->broken ? 0 : netif_txr_front_pending(&r->tx);
	unsigned at = r->tx_free_at + r->nr_tx_free, first = at;
	bool has_loans = r->nr_tx_loans;

	if (pending < 0)
		break_ring(r, "more tx responses than there were requests");
	else
		netif_txr_front_prefetch(&r->tx, (uint32_t)pending);
	for (int i = 0; i < pending && !r->broken; i++) {
		struct netif_tx_response rsp;

		netif_txr_front_take(&r->tx, &rsp);
		if (rsp.status == NETIF_RSP_NULL || rsp.id >= r->nr_slots || !r->tx_out[rsp.id]) {
			take_odd_tx(r, &rsp);
			continue;
		}
		r->tx_out[rsp.id] = false;
		r->tx_free[at++ % NETFRONT_SLOTS] = rsp.id;
		if (has_loans)
			end_tx_loan(r, rsp.id);
		if (rsp.status != NETIF_RSP_OKAY)
			r->count->tx_errors++;
	}
	r->nr_tx_free += at - first;
	if (r->probe.since)
		look_at_probe(r);
	return r->nr_slots - r->nr_tx_free;
}

/* The next slot. There is a free one. */
static uint16_t take_slot(struct netfront_ring *r)
{
	uint16_t id = r->tx_free[r->tx_free_at++ % NETFRONT_SLOTS];

	r->nr_tx_free--;
	r->tx_out[id] = true;
	return id;
}

/* How many frames of one slot may be put now. Each look at the responses' index takes a line from the other processor. */
static unsigned slot_room(struct netfront_ring *r, unsigned wanted)
{
	unsigned entries = netif_txr_front_free(&r->tx);

	if (r->nr_tx_free < wanted || entries < wanted) {
		netfront_ring_reclaim(r);
		entries = netif_txr_front_free(&r->tx);
	}
	if (r->broken)
		return 0;
	return r->nr_tx_free < entries ? r->nr_tx_free : entries;
}

unsigned netfront_ring_put_short(struct netfront_ring *r, const struct netfront_short frames[], unsigned n)
{
	unsigned room = slot_room(r, n), at = r->tx_free_at;
	struct netif_txr_front tx = r->tx; /* ours alone: in registers, whatever the copies below may alias */
	uint8_t *pages = r->short_pages;
	const grant_ref_t *refs = &r->tx_refs[r->nr_slots];
	uint64_t bytes = 0;

	if (n > room) {
		n = room;
		r->count->tx_ring_full++;
	}
	for (unsigned i = 0; i < n; i++) {
		uint16_t id = r->tx_free[at++ % NETFRONT_SLOTS];

		copy_frame(pages + (size_t)id * NETFRONT_SHORT, frames[i].data, frames[i].len);
		netif_txr_front_put(&tx, &(struct netif_tx_request){
						 .gref = refs[id / NETFRONT_SHORT_IN_PAGE],
						 .offset = (uint16_t)(id % NETFRONT_SHORT_IN_PAGE * NETFRONT_SHORT),
						 .id = id,
						 .size = (uint16_t)frames[i].len,
					 });
		r->tx_out[id] = true;
		bytes += frames[i].len;
	}
	r->tx = tx;
	r->tx_free_at = at;
	r->nr_tx_free -= n;
	r->count->tx_packets += n;
	r->count->tx_bytes += bytes;
	return n;
}

/* Pieces are read one after the other; a piece may lie in several slots, and a slot take several pieces. */
static void fill_page(uint8_t *to, uint32_t bytes, const struct iovec **piece, size_t *done)
{
	while (bytes) {
		size_t left = (*piece)->iov_len - *done;
		size_t now = left < bytes ? left : bytes;

		copy_frame(to, (const uint8_t *)(*piece)->iov_base + *done, (uint32_t)now);
		to += now;
		bytes -= (uint32_t)now;
		*done += now;
		if (*done == (*piece)->iov_len) {
			++*piece;
			*done = 0;
		}
	}
}

static void put_gso(struct netfront_ring *r, const struct netfront_meta *meta)
{
	struct netif_extra_info extra = {.type = XEN_NETIF_EXTRA_TYPE_GSO};
	struct netif_tx_request raw = {0};

	extra.u.gso.size = meta->gso_size;
	extra.u.gso.type = meta->gso_type;
	__builtin_memcpy(&raw, &extra, sizeof(extra));
	netif_txr_front_put(&r->tx, &raw);
	r->tx_extras_out++;
}

static uint16_t tx_flags(const struct netfront_meta *meta)
{
	uint16_t flags = 0;

	if (!meta)
		return 0;
	if (meta->flags & NETFRONT_CSUM_BLANK)
		flags |= NETTXF_csum_blank | NETTXF_data_validated;
	if (meta->flags & NETFRONT_CSUM_VALID)
		flags |= NETTXF_data_validated;
	if (meta->gso_size)
		flags |= NETTXF_extra_info;
	return flags;
}

/* Copies one frame into free pages and puts its chain of requests; there are enough free slots. Without pieces: it is there. */
static void put_chain(struct netfront_ring *r, const struct iovec *piece, uint32_t left, const struct netfront_meta *meta)
{
	uint32_t size = left; /* the first slot says the whole frame's, later ones their own */
	uint16_t flags = tx_flags(meta);
	size_t done = 0;

	do {
		uint16_t id = take_slot(r);
		const uint8_t *next = r->tx_pages + pages_to_bytes(r->tx_free[(r->tx_free_at + 1) % NETFRONT_SLOTS]);
		uint32_t bytes = left < PAGE_BYTES ? left : PAGE_BYTES;
		struct netif_tx_request req = {.gref = r->tx_refs[id], .id = id, .size = (uint16_t)size};

		/* The headers of the page that is next but one were read by the back end; the rest of it is ours still. */
		prefetch_for_write(next);
		prefetch_for_write(next + RING_LINE_BYTES);
		prefetch_for_write(next + 2 * RING_LINE_BYTES);
		if (piece)
			fill_page(r->tx_pages + pages_to_bytes(id), bytes, &piece, &done);
		left -= bytes;
		req.flags = flags | (left ? NETTXF_more_data : 0);
		netif_txr_front_put(&r->tx, &req);
		if (flags & NETTXF_extra_info)
			put_gso(r, meta);
		flags = 0;
		size = left < PAGE_BYTES ? left : PAGE_BYTES;
	} while (left);
}

/* May this frame be sent at all? */
static bool is_acceptable(struct netfront_ring *r, uint32_t bytes, const struct netfront_meta *meta)
{
	if (bytes < NETFRONT_MIN_FRAME || bytes > r->max_frame) {
		r->count->tx_drop_size++;
		return false;
	}
	if (!meta || !(meta->gso_size || meta->flags & NETFRONT_CSUM_BLANK))
		return true;
	if (meta->gso_size && !(meta->gso_type == XEN_NETIF_GSO_TYPE_TCPV4 && r->tx_can & NETFRONT_GSO4) &&
	    !(meta->gso_type == XEN_NETIF_GSO_TYPE_TCPV6 && r->tx_can & NETFRONT_GSO6)) {
		r->count->tx_drop_offload++;
		return false;
	}
	if (meta->flags & NETFRONT_CSUM_BLANK && !(r->tx_can & (NETFRONT_CSUM4 | NETFRONT_CSUM6))) {
		r->count->tx_drop_offload++;
		return false;
	}
	return true;
}

/* A short frame from one piece. */
static bool is_short(const struct iovec pieces[], uint32_t bytes, const struct netfront_meta *meta)
{
	return bytes <= NETFRONT_SHORT && pieces[0].iov_len == bytes && (!meta || !(meta->gso_size || meta->flags));
}

bool netfront_ring_put(struct netfront_ring *r, const struct iovec pieces[], uint32_t bytes, const struct netfront_meta *meta)
{
	unsigned pages = (unsigned)bytes_to_pages(bytes);

	if (r->broken)
		return false;
	if (!is_acceptable(r, bytes, meta))
		return true;
	/* An entry of extra info needs no page, but room in the ring. */
	if (slot_room(r, pages + 1) < pages + (meta && meta->gso_size)) {
		r->count->tx_ring_full++;
		return false;
	}
	if (is_short(pieces, bytes, meta))
		return netfront_ring_put_short(r, &(struct netfront_short){pieces[0].iov_base, bytes}, 1) == 1;
	put_chain(r, pieces, bytes, meta);
	r->count->tx_packets++;
	r->count->tx_bytes += bytes;
	return true;
}

bool netfront_ring_put_loan(struct netfront_ring *r, struct netfront_loan *loan, uint32_t offset, uint32_t bytes)
{
	uint16_t id;

	if (!slot_room(r, 1)) {
		r->count->tx_ring_full++;
		return false;
	}
	id = take_slot(r);
	loan->is_resent = true;
	r->tx_loan[id] = loan;
	r->nr_tx_loans++;
	netif_txr_front_put(&r->tx, &(struct netif_tx_request){
					    .gref = r->rx_refs[loan->page],
					    .offset = (uint16_t)offset,
					    .id = id,
					    .size = (uint16_t)bytes,
				    });
	r->count->tx_packets++;
	r->count->tx_resent++;
	r->count->tx_bytes += bytes;
	return true;
}

unsigned netfront_ring_reserve(struct netfront_ring *r, struct iovec pieces[NETFRONT_MAX_CHAIN], uint32_t bytes)
{
	unsigned pages = (unsigned)bytes_to_pages(bytes < r->max_frame ? bytes : r->max_frame);

	if (r->broken || pages > r->nr_tx_free || pages + 1 > netif_txr_front_free(&r->tx))
		return 0;
	for (unsigned i = 0; i < pages; i++)
		pieces[i] = (struct iovec){r->tx_pages + pages_to_bytes(r->tx_free[(r->tx_free_at + i) % NETFRONT_SLOTS]), PAGE_BYTES};
	return pages;
}

void netfront_ring_put_reserved(struct netfront_ring *r, uint32_t bytes, const struct netfront_meta *meta)
{
	if (!is_acceptable(r, bytes, meta))
		return;
	put_chain(r, NULL, bytes, meta);
	r->count->tx_packets++;
	r->count->tx_bytes += bytes;
}

bool netfront_ring_mcast(struct netfront_ring *r, const uint8_t mac[6], bool add)
{
	struct netif_extra_info extra = {.type = add ? XEN_NETIF_EXTRA_TYPE_MCAST_ADD : XEN_NETIF_EXTRA_TYPE_MCAST_DEL};
	struct netif_tx_request req = {.flags = NETTXF_extra_info}, raw = {0};

	if (r->broken || !(r->tx_can & NETFRONT_MCAST) || !r->nr_tx_free || netif_txr_front_free(&r->tx) < 2)
		return false;
	req.id = take_slot(r);
	req.gref = r->tx_refs[req.id];
	netif_txr_front_put(&r->tx, &req);
	memcpy(extra.u.mcast.addr, mac, 6);
	__builtin_memcpy(&raw, &extra, sizeof(extra));
	netif_txr_front_put(&r->tx, &raw);
	r->tx_extras_out++;
	return true;
}

bool netfront_ring_push(struct netfront_ring *r)
{
	if (r->tx.req_prod == r->tx.req_shown)
		return false;
	r->count->tx_slots += r->tx.req_prod - r->tx.req_shown;
	r->count->tx_bursts++;
	histogram_batch_add(&r->count->tx_batch, r->count->tx_packets - r->packets_pushed);
	r->packets_pushed = r->count->tx_packets;
	if (r->count->tx_bursts % PROBE_BURSTS == 1 && r->tick_length && probe_begin(&r->probe, r->tx.req_prod))
		r->looked = r->probe.since;
	return count_push(r, netif_txr_front_push(&r->tx));
}

unsigned netfront_ring_tx(struct netfront_ring *r, const struct netfront_packet pkts[], unsigned n, bool *wake)
{
	unsigned i;

	netfront_ring_reclaim(r);
	for (i = 0; i < n; i++) {
		struct iovec piece = {pkts[i].data, pkts[i].len};

		if (!netfront_ring_put(r, &piece, pkts[i].len, &pkts[i].meta))
			break;
	}
	*wake = netfront_ring_push(r);
	return i;
}

/* ---- rx ------------------------------------------------------------------------------------------------------------ */

bool netfront_ring_post(struct netfront_ring *r)
{
	uint32_t until = r->rx_done + r->nr_slots;

	if (r->broken || r->rx.req_prod == until)
		return false;
	while (r->rx.req_prod != until) {
		uint16_t slot = (uint16_t)(r->rx.req_prod & (r->nr_slots - 1));
		struct netif_rx_request req = {.id = slot, .gref = r->rx_refs[r->rx_page[slot]]};

		netif_rxr_front_put(&r->rx, &req);
	}
	return count_push(r, netif_rxr_front_push(&r->rx));
}

/* Adds one checked fragment to the frame being gathered, or notes what is wrong with it. */
static void gather(struct netfront_ring *r, uint16_t slot, const struct netif_rx_response *rsp)
{
	struct netfront_frame *f = &r->frame;

	if (rsp->status < 0)
		r->fault = &r->count->rx_drop_error;
	else if (rsp->status == 0 || rsp->offset >= PAGE_BYTES || (uint32_t)rsp->status > PAGE_BYTES - rsp->offset)
		r->fault = &r->count->rx_drop_bounds;
	else if (f->nr_fragments == NETFRONT_MAX_CHAIN)
		r->fault = &r->count->rx_drop_chain;
	if (r->fault)
		return;
	f->fragment[f->nr_fragments++] =
		(struct netfront_fragment){.page = r->rx_page[slot], .offset = rsp->offset, .len = (uint16_t)rsp->status};
	f->bytes += (uint32_t)rsp->status;
}

static void take_gso(struct netfront_ring *r, const struct netif_extra_info *extra)
{
	bool is_asked = (extra->u.gso.type == XEN_NETIF_GSO_TYPE_TCPV4 && r->rx_can & NETFRONT_GSO4) ||
			(extra->u.gso.type == XEN_NETIF_GSO_TYPE_TCPV6 && r->rx_can & NETFRONT_GSO6);

	if (!is_asked || !extra->u.gso.size) {
		r->fault = &r->count->rx_drop_extra;
		return;
	}
	r->frame.meta.gso_type = extra->u.gso.type;
	r->frame.meta.gso_size = extra->u.gso.size;
}

/* Takes one entry of extra info; true: it was the last of the frame. */
static bool take_extra(struct netfront_ring *r)
{
	struct netif_extra_info extra;
	struct netif_rx_response raw;

	_Static_assert(sizeof(raw) == sizeof(extra), "extra info fills an rx entry");
	netif_rxr_front_take(&r->rx, &raw);
	__builtin_memcpy(&extra, &raw, sizeof(extra));
	r->count->rx_slots++;
	r->is_in_extras = extra.flags & XEN_NETIF_EXTRA_FLAG_MORE;
	if (extra.type == XEN_NETIF_EXTRA_TYPE_GSO) {
		take_gso(r, &extra);
	} else if (extra.type == XEN_NETIF_EXTRA_TYPE_HASH && r->rx_can & NETFRONT_HASH) {
		r->frame.meta.hash_type = extra.u.hash.type;
		memcpy(&r->frame.meta.hash, extra.u.hash.value, sizeof(r->frame.meta.hash));
	} else {
		r->fault = &r->count->rx_drop_extra;
	}
	return !r->is_in_extras && !r->is_more_after_extras;
}

/* Takes one response; true: it ended a frame. */
static bool take_rx(struct netfront_ring *r)
{
	uint16_t slot = (uint16_t)(r->rx.rsp_cons & (r->nr_slots - 1));
	struct netif_rx_response rsp;

	netif_rxr_front_take(&r->rx, &rsp);
	if (rsp.id != slot) {
		break_ring(r, "an rx response in another slot than its request");
		return false;
	}
	if (rsp.flags & NETRXF_extra_info && (!(r->rx_can & EXTRAS_ASKED) || r->frame.nr_fragments)) {
		break_ring(r, "extra info that was not asked for");
		return false;
	}
	r->count->rx_slots++;
	if (!r->frame.nr_fragments) {
		r->frame.meta.flags = (rsp.flags & NETRXF_csum_blank ? NETFRONT_CSUM_BLANK : 0) |
				      (rsp.flags & NETRXF_data_validated ? NETFRONT_CSUM_VALID : 0);
	}
	gather(r, slot, &rsp);
	r->is_in_extras = rsp.flags & NETRXF_extra_info;
	r->is_more_after_extras = rsp.flags & NETRXF_more_data;
	return !r->is_in_extras && !r->is_more_after_extras;
}

static void forget_frame(struct netfront_ring *r)
{
	r->frame.bytes = 0;
	r->frame.nr_fragments = 0;
	r->frame.meta = (struct netfront_meta){0};
	r->copied_fragments = 0;
	r->copied_bytes = 0;
	r->fault = NULL;
	r->rx_done = r->rx.rsp_cons;
}

void netfront_ring_done(struct netfront_ring *r)
{
	r->count->rx_packets++;
	r->count->rx_bytes += r->frame.bytes;
	forget_frame(r);
}

void netfront_ring_no_room(struct netfront_ring *r)
{
	r->count->rx_drop_room++;
	forget_frame(r);
}

void netfront_ring_look(struct netfront_ring *r)
{
	if (r->rx_pending || r->broken)
		return;
	r->rx_pending = netif_rxr_front_pending(&r->rx);
	if (r->rx_pending < 0) {
		r->rx_pending = 0;
		break_ring(r, "more rx responses than there were requests");
	}
	netif_rxr_front_prefetch(&r->rx, (uint32_t)r->rx_pending);
}

/* Everything about it that does not belong to a simple frame is left to take_rx. */
static bool look_at_simple(const struct netfront_ring *r, unsigned ahead, struct netfront_simple *f)
{
	uint16_t slot = (uint16_t)((r->rx.rsp_cons + ahead) & (r->nr_slots - 1));
	struct netif_rx_response rsp;

	netif_rxr_front_look(&r->rx, ahead, &rsp);
	if (rsp.id != slot || rsp.flags & (NETRXF_extra_info | NETRXF_more_data) || rsp.status < (int)NETFRONT_MIN_FRAME ||
	    (uint32_t)rsp.offset + (uint32_t)rsp.status > PAGE_BYTES)
		return false;
	f->data_sh = r->rx_pages_sh + pages_to_bytes(r->rx_page[slot]) + rsp.offset;
	f->len = (uint16_t)rsp.status;
	f->flags = (uint8_t)((rsp.flags & NETRXF_csum_blank ? NETFRONT_CSUM_BLANK : 0) |
			     (rsp.flags & NETRXF_data_validated ? NETFRONT_CSUM_VALID : 0));
	return true;
}

unsigned netfront_ring_simple(struct netfront_ring *r, struct netfront_simple frames[], unsigned n)
{
	bool lends = r->loans;
	unsigned i;

	if (r->broken || r->is_in_extras || r->fault || r->frame.nr_fragments)
		return 0;
	for (i = 0; i < n && i < (unsigned)r->rx_pending && look_at_simple(r, i, &frames[i]); i++)
		if (!lends || !netfront_ring_is_to_lend(&frames[i]))
			prefetch(frames[i].data_sh);
	return i;
}

void netfront_ring_took(struct netfront_ring *r, unsigned n, uint64_t bytes)
{
	netif_rxr_front_skip(&r->rx, n);
	r->rx_pending -= (int)n;
	r->rx_done = r->rx.rsp_cons;
	r->count->rx_slots += n;
	r->count->rx_packets += n;
	r->count->rx_bytes += bytes;
}

const struct netfront_frame *netfront_ring_next(struct netfront_ring *r)
{
	netfront_ring_look(r);
	while (r->rx_pending > 0 && !r->broken) {
		bool is_complete = r->is_in_extras ? take_extra(r) : take_rx(r);

		r->rx_pending--;
		if (r->broken)
			break;
		if (!is_complete) {
			/* A frame may not use up the ring: a back end that never ends it would stop us. */
			if (r->rx.rsp_cons - r->rx_done >= r->nr_slots)
				break_ring(r, "a frame without an end");
			continue;
		}
		if (!r->fault && r->frame.bytes < NETFRONT_MIN_FRAME)
			r->fault = &r->count->rx_drop_bounds;
		if (!r->fault)
			return &r->frame;
		++*r->fault;
		forget_frame(r);
	}
	return NULL;
}

void netfront_ring_copy(struct netfront_ring *r, void *to, uint32_t bytes)
{
	while (bytes) {
		const struct netfront_fragment *f = &r->frame.fragment[r->copied_fragments];
		uint32_t left = f->len - r->copied_bytes;
		uint32_t now = left < bytes ? left : bytes;

		copy_frame(to, r->rx_pages_sh + pages_to_bytes(f->page) + f->offset + r->copied_bytes, now);
		to = (uint8_t *)to + now;
		bytes -= now;
		r->copied_bytes += now;
		if (r->copied_bytes == f->len) {
			r->copied_fragments++;
			r->copied_bytes = 0;
		}
	}
}

unsigned netfront_ring_pieces(const struct netfront_ring *r, uint32_t skip, struct iovec pieces[NETFRONT_MAX_CHAIN])
{
	unsigned n = 0;

	for (unsigned i = 0; i < r->frame.nr_fragments; i++) {
		const struct netfront_fragment *f = &r->frame.fragment[i];
		uint32_t now = skip < f->len ? skip : f->len;

		skip -= now;
		if (now < f->len)
			pieces[n++] = (struct iovec){r->rx_pages_sh + pages_to_bytes(f->page) + f->offset + now, f->len - now};
	}
	return n;
}

unsigned netfront_ring_rx(struct netfront_ring *r, struct netfront_packet pkts[], unsigned n, bool *wake)
{
	const struct netfront_frame *f;
	unsigned got = 0;

	while (got < n && (f = netfront_ring_next(r))) {
		if (f->bytes > pkts[got].len) {
			netfront_ring_no_room(r);
			continue;
		}
		netfront_ring_copy(r, pkts[got].data, f->bytes);
		pkts[got].len = f->bytes;
		pkts[got++].meta = f->meta;
		netfront_ring_done(r);
	}
	netfront_ring_count_rx(r, got);
	*wake = netfront_ring_post(r);
	return got;
}

/* ---- before sleep ---------------------------------------------------------------------------------------------------- */

bool netfront_ring_arm_rx(struct netfront_ring *r)
{
	return r->broken || r->rx_pending || netif_rxr_front_final_check(&r->rx);
}

/* How many responses have to come until want slots are free, or all are; 0: they are, or the ring is broken. */
static unsigned tx_missing(const struct netfront_ring *r, unsigned want)
{
	unsigned entries = netif_txr_front_free(&r->tx), out = NETFRONT_SLOTS - entries;
	unsigned room = r->nr_tx_free < entries ? r->nr_tx_free : entries;
	unsigned missing = want > room ? want - room : 0;

	return r->broken ? 0 : missing < out ? missing : out;
}

static bool tx_has_come(const struct netfront_ring *r, unsigned missing)
{
	int pending = netif_txr_front_pending(&r->tx);

	return pending < 0 || (unsigned)pending >= missing;
}

bool netfront_ring_has_room(const struct netfront_ring *r, unsigned want)
{
	return tx_has_come(r, tx_missing(r, want));
}

bool netfront_ring_arm_tx(struct netfront_ring *r, unsigned want)
{
	unsigned missing = tx_missing(r, want);

	if (!missing)
		return true;
	ring_arm(&r->tx.sh->head.rsp_event, r->tx.rsp_cons + missing - 1);
	return tx_has_come(r, missing);
}
