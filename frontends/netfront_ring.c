/*
 * frontends/netfront_ring.c - bursts of frames through the two rings of a vif.   [hot]
 *
 *      front                        ring                         back end
 *      tx: copy, put, push  --->   requests    --->   reads the page, answers
 *      rx: post pages       --->   requests    --->   fills a page, answers in the same slot
 *
 * The k-th rx request sits in slot k and names page k, and the back end must answer it there. So one comparison proves
 * that an id is in range, outstanding, and answered once.
 *
 * Owns     struct netfront_ring.
 * Trusts   no response; rx pages are read once, by the copy to the caller.
 * Runs in  the one thread that uses the vif.
 * Fails    netfront_ring.h.
 */
#include "frontends/netfront_ring.h"

/* Small frames start at different cache lines of their pages, so that a burst does not fight for one cache set. */
#define COLOUR_BYTES 2048u
#define COLOUR_LINES 32u

static unsigned break_ring(struct netfront_ring *r, const char *why)
{
	r->broken = why;
	return 0;
}

static void count_push(struct netfront_ring *r, bool wake)
{
	if (wake)
		r->count.notify_sent++;
	else
		r->count.notify_suppressed++;
}

/* Posts every page that is ours again. Returns whether the back end wants to hear of it. */
static bool post_rx(struct netfront_ring *r)
{
	uint32_t until = r->rx_done + NETFRONT_SLOTS;
	bool wake;

	if (r->rx.req_prod == until)
		return false;
	while (r->rx.req_prod != until) {
		uint16_t slot = (uint16_t)(r->rx.req_prod % NETFRONT_SLOTS);
		struct netif_rx_request req = {.id = slot, .gref = r->rx_refs[slot]};

		netif_rxr_front_put(&r->rx, &req);
	}
	wake = netif_rxr_front_push(&r->rx);
	count_push(r, wake);
	return wake;
}

void netfront_ring_init(struct netfront_ring *r, const struct netfront_ring_memory *m, bool sg)
{
	memset(r, 0, sizeof(*r));
	netif_txr_front_init(&r->tx, m->tx_ring, PAGE_BYTES);
	netif_rxr_front_init(&r->rx, m->rx_ring, PAGE_BYTES);
	r->max_chain = sg ? XEN_NETIF_NR_SLOTS_MIN : 1;
	r->max_frame = sg ? NETFRONT_MAX_FRAME : PAGE_BYTES;
	r->tx_pages = m->tx_pages;
	r->rx_pages_sh = m->rx_pages;
	memcpy(r->tx_refs, m->tx_refs, sizeof(r->tx_refs));
	memcpy(r->rx_refs, m->rx_refs, sizeof(r->rx_refs));
	for (unsigned i = 0; i < NETFRONT_SLOTS; i++)
		r->tx_free[i] = (uint16_t)(NETFRONT_SLOTS - 1 - i);
	r->nr_tx_free = NETFRONT_SLOTS;
	post_rx(r);
}

unsigned netfront_ring_reclaim(struct netfront_ring *r)
{
	int pending = r->broken ? 0 : netif_txr_front_pending(&r->tx);

	if (pending < 0)
		break_ring(r, "more tx responses than there were requests");
	while (pending-- > 0) {
		struct netif_tx_response rsp;

		netif_txr_front_take(&r->tx, &rsp);
		if (rsp.id >= NETFRONT_SLOTS || !r->tx_out[rsp.id]) {
			break_ring(r, "a tx response for a request that is not outstanding");
			break;
		}
		r->tx_out[rsp.id] = false;
		r->tx_free[r->nr_tx_free++] = rsp.id;
		if (rsp.status != NETIF_RSP_OKAY)
			r->count.tx_errors++;
	}
	return NETFRONT_SLOTS - r->nr_tx_free;
}

/* Copies one frame into free pages and puts its chain of requests; there are enough free slots. */
static void put_chain(struct netfront_ring *r, const struct netfront_packet *pkt)
{
	const uint8_t *from = pkt->data;
	uint32_t left = pkt->len;
	uint32_t size = left; /* the first slot says the whole frame's, later ones their own */

	do {
		uint16_t id = r->tx_free[--r->nr_tx_free];
		uint32_t offset = left <= COLOUR_BYTES ? (id % COLOUR_LINES) * 64u : 0;
		uint32_t bytes = left < PAGE_BYTES ? left : PAGE_BYTES;
		struct netif_tx_request req = {.gref = r->tx_refs[id], .offset = (uint16_t)offset, .id = id};

		memcpy(r->tx_pages + pages_to_bytes(id) + offset, from, bytes);
		from += bytes;
		left -= bytes;
		req.size = (uint16_t)size;
		req.flags = left ? NETTXF_more_data : 0;
		r->tx_out[id] = true;
		netif_txr_front_put(&r->tx, &req);
		size = left < PAGE_BYTES ? left : PAGE_BYTES;
	} while (left);
}

unsigned netfront_ring_tx(struct netfront_ring *r, const struct netfront_packet pkts[], unsigned n, bool *wake)
{
	uint32_t before = r->tx.req_prod;
	unsigned i;

	*wake = false;
	netfront_ring_reclaim(r);
	if (r->broken)
		return 0;
	for (i = 0; i < n; i++) {
		const struct netfront_packet *pkt = &pkts[i];
		unsigned slots = (unsigned)bytes_to_pages(pkt->len);

		if (pkt->len < NETFRONT_MIN_FRAME || pkt->len > r->max_frame) {
			r->count.tx_drop_size++;
			continue;
		}
		if (slots > r->nr_tx_free) {
			r->count.tx_ring_full++;
			break;
		}
		put_chain(r, pkt);
		r->count.tx_packets++;
		r->count.tx_bytes += pkt->len;
	}
	if (r->tx.req_prod != before) {
		r->count.tx_slots += r->tx.req_prod - before;
		r->count.tx_bursts++;
		*wake = netif_txr_front_push(&r->tx);
		count_push(r, *wake);
	}
	return i;
}

/* Adds one checked fragment to the frame being gathered, or notes what is wrong with it. */
static void gather(struct netfront_ring *r, uint16_t slot, const struct netif_rx_response *rsp)
{
	if (rsp->status < 0)
		r->chain_fault = &r->count.rx_drop_error;
	else if (rsp->status == 0 || rsp->offset >= PAGE_BYTES || (uint32_t)rsp->status > PAGE_BYTES - rsp->offset)
		r->chain_fault = &r->count.rx_drop_bounds;
	else if (r->nr_fragments == XEN_NETIF_NR_SLOTS_MIN)
		r->chain_fault = &r->count.rx_drop_chain;
	if (r->chain_fault)
		return;
	r->chain[r->nr_fragments++] =
		(struct netfront_fragment){.slot = slot, .offset = rsp->offset, .len = (uint16_t)rsp->status};
	r->chain_bytes += (uint32_t)rsp->status;
}

/* The frame is complete: copies it out, unless something is wrong with it. Its pages are free afterwards. */
static bool deliver(struct netfront_ring *r, struct netfront_packet *pkt)
{
	uint8_t *to = pkt->data;

	if (!r->chain_fault && r->chain_bytes < NETFRONT_MIN_FRAME)
		r->chain_fault = &r->count.rx_drop_bounds;
	if (!r->chain_fault && r->chain_bytes > pkt->len)
		r->chain_fault = &r->count.rx_drop_room;
	if (r->chain_fault) {
		++*r->chain_fault;
		return false;
	}
	for (unsigned i = 0; i < r->nr_fragments; i++) {
		const struct netfront_fragment *f = &r->chain[i];

		memcpy(to, r->rx_pages_sh + pages_to_bytes(f->slot) + f->offset, f->len);
		to += f->len;
	}
	pkt->len = r->chain_bytes;
	r->count.rx_packets++;
	r->count.rx_bytes += r->chain_bytes;
	return true;
}

/* Takes one response; true: it ended a frame. */
static bool take_rx(struct netfront_ring *r)
{
	uint16_t slot = (uint16_t)(r->rx.rsp_cons % NETFRONT_SLOTS);
	struct netif_rx_response rsp;

	netif_rxr_front_take(&r->rx, &rsp);
	if (rsp.id != slot) {
		break_ring(r, "an rx response in another slot than its request");
		return false;
	}
	if (rsp.flags & NETRXF_extra_info) {
		break_ring(r, "extra info that was not asked for");
		return false;
	}
	r->count.rx_slots++;
	gather(r, slot, &rsp);
	return !(rsp.flags & NETRXF_more_data);
}

unsigned netfront_ring_rx(struct netfront_ring *r, struct netfront_packet pkts[], unsigned n, bool *wake)
{
	int pending = r->broken ? 0 : netif_rxr_front_pending(&r->rx);
	unsigned got = 0;

	*wake = false;
	if (pending < 0)
		return break_ring(r, "more rx responses than there were requests");
	while (got < n && pending-- > 0) {
		bool is_complete = take_rx(r);

		if (r->broken)
			return got;
		if (!is_complete) {
			/* A frame may not use up the ring: a back end that never ends it would stop us. */
			if (r->rx.rsp_cons - r->rx_done >= NETFRONT_SLOTS)
				return break_ring(r, "a frame without an end"), got;
			continue;
		}
		got += deliver(r, &pkts[got]);
		r->nr_fragments = 0;
		r->chain_bytes = 0;
		r->chain_fault = NULL;
		r->rx_done = r->rx.rsp_cons;
	}
	if (got)
		r->count.rx_bursts++;
	*wake = post_rx(r);
	return got;
}

bool netfront_ring_arm_rx(struct netfront_ring *r)
{
	return r->broken || netif_rxr_front_final_check(&r->rx);
}

bool netfront_ring_arm_tx(struct netfront_ring *r, unsigned want)
{
	unsigned missing = want > r->nr_tx_free ? want - r->nr_tx_free : 0;
	unsigned out = NETFRONT_SLOTS - r->nr_tx_free;
	int pending;

	if (r->broken || !missing || !out)
		return true;
	if (missing > out)
		missing = out;
	ring_arm(&r->tx.sh->head.rsp_event, r->tx.rsp_cons + missing - 1);
	pending = netif_txr_front_pending(&r->tx);
	return pending < 0 || (unsigned)pending >= missing;
}
