/*
 * netback/rx.c - copies packets from the bridge into the buffers that the guest posted.   [hot]
 *
 *      bridge             here                       ring               guest
 *      packets   -->   take requests (copied)  <--   req_prod    <--   post buffers
 *                      one batch of copies,
 *                      answer in the same slots -->  rsp_prod    -->   take, wake if asked
 *
 * A packet fills as many buffers as it has pages, all but the last marked more_data. One to be segmented by the guest has extra
 * info behind the first.
 *
 * Owns     the packets it is given: each is freed here, delivered or not.
 * Trusts   nothing behind q->rx.ring.sh. A request is answered in the slot it came from, because answers are put in the
 *          order in which requests were taken.
 * Runs in  the worker. No lock, no allocation, no system call but the wake.
 * Fails    too few buffers: of a guest that says when it posts more (feature-rx-notify) a few packets wait, up to 64 and 1 MiB,
 *          for a tenth of a second; else dropped and counted. A packet too long: dropped. A bad grant: NETIF_RSP_ERROR for every
 *          slot of that packet. Impossible ring: vif_fail().
 * Spec     xen/io/netif.h.
 */
#include <rte_cycles.h>

#include "netback/vif.h"
#include "rings/copy_frame.h"

struct rx_batch {
	uint32_t nr_rsp, nr_copy;
	uint32_t avail; /* requests known to be there */
	uint32_t packets, bytes;
};

/* What the guest must know of checksums. */
static inline uint16_t rx_flags(const struct rte_mbuf *m)
{
	if (likely(!(m->ol_flags & (RTE_MBUF_F_TX_L4_MASK | RTE_MBUF_F_RX_L4_CKSUM_MASK))))
		return 0;
	if (m->ol_flags & RTE_MBUF_F_TX_L4_MASK)
		return NETRXF_csum_blank | NETRXF_data_validated;
	return (m->ol_flags & RTE_MBUF_F_RX_L4_CKSUM_MASK) == RTE_MBUF_F_RX_L4_CKSUM_GOOD ? NETRXF_data_validated : 0;
}

static inline bool rx_is_gso(const struct rte_mbuf *m)
{
	return m->ol_flags & RTE_MBUF_F_TX_TCP_SEG;
}

static inline bool rx_has_hash(const struct vif_queue *q, const struct rte_mbuf *m)
{
	return unlikely(q->wants_hash) && (m->ol_flags & RTE_MBUF_F_RX_RSS_HASH);
}

/* Slots of extra info. */
static inline uint32_t rx_extras(const struct vif_queue *q, const struct rte_mbuf *m)
{
	return rx_is_gso(m) + rx_has_hash(q, m) + (q->headroom != 0);
}

#define EXTRA_TYPE_XDP 5 /* Linux's, which Xen's header does not have: bytes free before the frame, in the first word of u */

/* Extra info takes a request like any other, but not its buffer. */
static void rx_plan_extra(struct vif_queue *q, struct rx_batch *b, struct netif_extra_info *extra, bool is_last)
{
	struct netif_rx_request req;

	_Static_assert(sizeof(*extra) == sizeof(q->journal->rsp[0]), "extra info lies in a response's place");
	extra->flags = is_last ? 0 : XEN_NETIF_EXTRA_FLAG_MORE;
	netif_rxr_back_take(&q->rx.ring, &req);
	__builtin_memcpy(&q->journal->rsp[b->nr_rsp++], extra, sizeof(*extra));
	b->avail--;
}

static void rx_plan_extras(struct vif_queue *q, struct rx_batch *b, const struct rte_mbuf *m)
{
	struct netif_extra_info extra = {.type = XEN_NETIF_EXTRA_TYPE_GSO};
	uint32_t left = rx_extras(q, m), hash = m->hash.fdir.lo;

	if (rx_is_gso(m)) {
		extra.u.gso.size = m->tso_segsz;
		extra.u.gso.type =
			m->ol_flags & RTE_MBUF_F_TX_IPV6 ? XEN_NETIF_GSO_TYPE_TCPV6 : XEN_NETIF_GSO_TYPE_TCPV4;
		rx_plan_extra(q, b, &extra, --left == 0);
		count_add(&q->stats->rx_gso, 1);
	}
	if (q->headroom) {
		extra = (struct netif_extra_info){.type = EXTRA_TYPE_XDP};
		__builtin_memcpy(&extra.u, &q->headroom, sizeof(q->headroom));
		rx_plan_extra(q, b, &extra, --left == 0);
	}
	if (rx_has_hash(q, m)) {
		extra = (struct netif_extra_info){.type = XEN_NETIF_EXTRA_TYPE_HASH};
		extra.u.hash.type = (uint8_t)m->hash.fdir.hi;
		extra.u.hash.algorithm = XEN_NETIF_CTRL_HASH_ALGORITHM_TOEPLITZ;
		__builtin_memcpy(extra.u.hash.value, &hash, sizeof(hash));
		rx_plan_extra(q, b, &extra, --left == 0);
	}
}

/* The packet's next byte. */
struct rx_place {
	const struct rte_mbuf *m;
	uint32_t at;
};

/* Straight into a page that is kept mapped. False: it is none, the batch of grant copies does it. */
static inline bool rx_copy_staged(struct vif_queue *q, grant_ref_t ref, uint32_t offset, const void *bytes, uint32_t len)
{
	struct stage_entry *e = unlikely(q->stage != NULL) ? stage_find(q->stage, ref) : NULL;

	if (likely(!e || e->is_readonly))
		return false;
	rte_memcpy(e->page + offset, bytes, len);
	return true;
}

/* Lists the copies for the bytes between two offsets of one buffer. */
static inline void rx_plan_copies(struct vif_queue *q, struct rx_batch *b, struct rx_place *from, grant_ref_t ref,
				  uint32_t at, uint32_t end, uint32_t packet)
{
	while (at < end) {
		uint32_t len = RTE_MIN(end - at, from->m->data_len - from->at);

		q->rx.copy_packet[b->nr_copy] = (uint16_t)packet;
		if (likely(len) && !rx_copy_staged(q, ref, at, rte_pktmbuf_mtod_offset(from->m, void *, from->at), len))
			q->rx.copy[b->nr_copy++] = (struct grant_copy_op){
				.local = rte_pktmbuf_mtod_offset(from->m, void *, from->at),
				.ref = ref,
				.offset = (uint16_t)at,
				.len = (uint16_t)len,
				.to_peer = true,
			};
		at += len;
		from->at += len;
		if (from->at == from->m->data_len && from->m->next)
			*from = (struct rx_place){.m = from->m->next};
	}
}

/* One segment into one buffer: most packets. */
static inline void rx_plan_simple(struct vif_queue *q, struct rx_batch *b, const struct rte_mbuf *m)
{
	struct netif_rx_request req;

	netif_rxr_back_take(&q->rx.ring, &req);
	if (!rx_copy_staged(q, req.gref, 0, rte_pktmbuf_mtod(m, void *), m->data_len)) {
		q->rx.copy_packet[b->nr_copy] = (uint16_t)b->nr_rsp;
		q->rx.copy[b->nr_copy++] = (struct grant_copy_op){
			.local = rte_pktmbuf_mtod(m, void *), .ref = req.gref, .len = m->data_len, .to_peer = true};
	}
	q->journal->rsp[b->nr_rsp++] =
		(struct netif_rx_response){.id = req.id, .flags = rx_flags(m), .status = (int16_t)m->data_len};
	b->avail--;
	b->packets++;
	b->bytes += m->data_len;
}

/* Spreads the packet over its buffers. */
static void rx_plan(struct vif_queue *q, struct rx_batch *b, const struct rte_mbuf *m)
{
	uint16_t flags = (uint16_t)(rx_flags(m) | (rx_extras(q, m) ? NETRXF_extra_info : 0));
	uint32_t left = m->pkt_len, first = b->nr_rsp, offset = q->headroom;
	struct rx_place from = {.m = m};

	b->packets++;
	b->bytes += left;
	while (left) {
		uint32_t in_page = RTE_MIN(left, PAGE_BYTES - offset);
		struct netif_rx_request req;

		netif_rxr_back_take(&q->rx.ring, &req);
		b->avail--;
		left -= in_page;
		q->journal->rsp[b->nr_rsp++] = (struct netif_rx_response){
			.id = req.id,
			.offset = (uint16_t)offset,
			.flags = (uint16_t)(flags | (left ? NETRXF_more_data : 0)),
			.status = (int16_t)in_page,
		};
		rx_plan_copies(q, b, &from, req.gref, offset, offset + in_page, first);
		if (unlikely(flags & NETRXF_extra_info))
			rx_plan_extras(q, b, m);
		flags = 0;
		offset = 0;
	}
}

static uint32_t rx_extras_at(const struct netif_rx_response *rsp, uint32_t first)
{
	struct netif_extra_info extra = {.flags = rsp[first].flags & NETRXF_extra_info ? XEN_NETIF_EXTRA_FLAG_MORE : 0};
	uint32_t n = 0;

	for (; extra.flags & XEN_NETIF_EXTRA_FLAG_MORE; n++)
		__builtin_memcpy(&extra, &rsp[first + 1 + n], sizeof(extra));
	return n;
}

/* A packet of which one page could not be written is no packet. */
static void rx_mark_error(struct vif_queue *q, struct rx_batch *b, uint32_t first)
{
	struct netif_rx_response *rsp = q->journal->rsp;
	uint32_t extras = rx_extras_at(rsp, first), bytes = 0, i = first;
	bool more;

	if (rsp[first].status < 0)
		return;
	do {
		more = rsp[i].flags & NETRXF_more_data;
		bytes += (uint32_t)rsp[i].status;
		rsp[i].status = NETIF_RSP_ERROR;
		i += i == first ? 1 + extras : 1;
	} while (more);
	b->packets--;
	b->bytes -= bytes;
	count_add(&q->stats->rx_drop_bad_grant, 1);
}

/* Copies, answers, shows: the journal's rsp[] is empty again. */
static void rx_flush(struct vif_queue *q, struct rx_batch *b)
{
	struct vif_rx *rx = &q->rx;
	struct netif_rxr_back ring;

	if (b->nr_copy && unlikely(hv_peer_copy(q->peer, rx->copy, b->nr_copy)))
		for (uint32_t i = 0; i < b->nr_copy; i++)
			if (rx->copy[i].status != GNTST_okay)
				rx_mark_error(q, b, rx->copy_packet[i]);
	journal_flush(q->journal, rx->ring.rsp_prod, b->nr_rsp);
	ring = rx->ring;
	for (uint32_t i = 0; i < b->nr_rsp; i++)
		netif_rxr_back_put(&ring, &q->journal->rsp[i]);
	rx->ring = ring;
	vif_wake(q, q->rx_port, netif_rxr_back_push(&rx->ring));
	count_add(&q->stats->rx_packets, b->packets);
	count_add(&q->stats->rx_bytes, b->bytes);
	count_add(&q->stats->rx_slots, b->nr_rsp);
	b->nr_rsp = b->nr_copy = b->packets = b->bytes = 0;
}

/* The control thread is told, too. */
static void rx_set_stalled(struct vif_queue *q, bool is_stalled)
{
	store_relaxed(&q->rx.is_stalled, is_stalled);
	*q->any_fault = true;
}

/* Are there that many buffers? Looks at the ring only when the last look does not suffice. */
static bool rx_has_requests(struct vif_queue *q, struct rx_batch *b, uint32_t slots)
{
	int n;

	if (b->avail >= slots)
		return true;
	n = netif_rxr_back_pending(&q->rx.ring);
	if (unlikely(n < 0)) {
		vif_fail(q, VIF_FAULT_RX_RING);
		return false;
	}
	b->avail = (uint32_t)n;
	if (b->avail < slots)
		return false;
	if (unlikely(q->rx.is_stalled))
		rx_set_stalled(q, false);
	return true;
}

/* False: the guest has posted too few buffers; else the packet is on its way, or dropped for good. */
static __rte_always_inline bool rx_packet(struct vif_queue *q, struct rx_batch *b, const struct rte_mbuf *m)
{
	uint32_t slots = (m->pkt_len + q->headroom + PAGE_BYTES - 1) / PAGE_BYTES + rx_extras(q, m);

	if (unlikely(m->pkt_len == 0 || m->pkt_len > q->max_frame || m->nb_segs + slots > VIF_OPS)) {
		count_add(&q->stats->rx_drop_too_long, 1);
		return true;
	}
	if (b->nr_rsp + slots > VIF_OPS || b->nr_copy + m->nb_segs + slots > VIF_OPS)
		rx_flush(q, b);
	if (unlikely(!rx_has_requests(q, b, slots))) {
		q->rx.wanted = (uint16_t)slots;
		return false;
	}
	if (likely(slots == 1 && m->nb_segs == 1))
		rx_plan_simple(q, b, m);
	else
		rx_plan(q, b, m);
	return true;
}

static inline void rx_finish(struct vif_queue *q, struct rx_batch *b)
{
	if (b->nr_rsp)
		rx_flush(q, b);
}

/* ---- packets that wait for buffers ------------------------------------------------------------------------------ */

/* One reference more, for the queue of those that wait. Dropped when that is full, or the guest has not answered for long. */
static __rte_noinline void rx_hold(struct vif_queue *q, struct rte_mbuf *m)
{
	struct vif_rx *rx = &q->rx;

	/* Flooded packets carry one hash at a time: this guest's would not be its own later. */
	if (!q->rx_notify || rx->is_stalled || rx->nr_held == VIF_RX_HELD || rx->held_bytes + m->pkt_len > VIF_RX_HELD_BYTES ||
	    (q->wants_hash && rte_mbuf_refcnt_read(m) > 1)) {
		count_add(&q->stats->rx_drop_no_request, 1);
		return;
	}
	if (rx->nr_held == 0)
		rx->held_tsc = rte_rdtsc();
	rte_pktmbuf_refcnt_update(m, 1);
	rx->held[(rx->held_at + rx->nr_held++) % VIF_RX_HELD] = m;
	rx->held_bytes += m->pkt_len;
	count_add(&q->stats->rx_held, 1);
}

static struct rte_mbuf *rx_unhold(struct vif_rx *rx)
{
	struct rte_mbuf *m = rx->held[rx->held_at];

	rx->held_at = (rx->held_at + 1) % VIF_RX_HELD;
	rx->nr_held--;
	rx->held_bytes -= m->pkt_len;
	return m;
}

void vif_rx_drop_held(struct vif_queue *q)
{
	while (q->rx.nr_held)
		rte_pktmbuf_free(rx_unhold(&q->rx));
}

/* Nothing waits: the burst that is being timed has been dealt with. */
static __rte_noinline void rx_timed(struct vif_queue *q)
{
	histogram_add(&q->stats->rx_ns, clock_ticks_to_ns(clock_ticks() - q->rx.probe.since, q->tick_length));
	q->rx.probe.since = 0;
}

void vif_rx_retry(struct vif_queue *q)
{
	struct rte_mbuf *done[VIF_RX_HELD];
	struct vif_rx *rx = &q->rx;
	struct rx_batch b = {0};
	unsigned nr = 0;

	if (rx->is_stalled && !rx_has_requests(q, &b, rx->wanted))
		return; /* nothing waits while it stalls */
	while (rx->nr_held && !q->fault && rx_packet(q, &b, rx->held[rx->held_at]))
		done[nr++] = rx_unhold(rx);
	rx_finish(q, &b);
	rte_pktmbuf_free_bulk(done, nr);
	if (nr) {
		rx->held_tsc = rte_rdtsc();
	} else if (rx->nr_held && rte_rdtsc() - rx->held_tsc > q->patience_tsc) {
		/* Drained: others' pages are among what waits. Nothing waits again until the guest posts buffers. */
		count_add(&q->stats->rx_drop_stalled, rx->nr_held);
		rx_set_stalled(q, true);
		vif_rx_drop_held(q);
	}
	if (q->rx.probe.since && rx->nr_held == 0)
		rx_timed(q);
}

bool vif_rx_arm(struct vif_queue *q)
{
	if (!vif_rx_is_waiting(q))
		return false;
	vif_rx_retry(q);
	if (!vif_rx_is_waiting(q) || q->fault)
		return false;
	/* To be woken when the first that waits has room, not before. */
	ring_arm(&q->rx.ring.sh->head.req_event, q->rx.ring.req_cons + q->rx.wanted - 1u);
	return netif_rxr_back_pending(&q->rx.ring) >= (int)q->rx.wanted;
}

/* ---- the short way ---------------------------------------------------------------------------------------------- */

/* Short packets begin at different lines of their pages: else a burst of them fights for one set of the cache. */
#define COLOUR_BYTES 2048u
#define COLOURS 32u

struct rx_simple {
	uint8_t *to;
	uint16_t id, offset;
};

static inline uint32_t rx_available(struct vif_queue *q, uint32_t n)
{
	struct vif_rx *rx = &q->rx;
	uint32_t known = rx->seen - rx->ring.req_cons;
	int pending;

	if (known <= VIF_RING_SLOTS && known >= n)
		return n;
	pending = netif_rxr_back_pending(&rx->ring);
	if (pending <= 0)
		return 0; /* an impossible ring is found, and told, on the long way */
	rx->seen = rx->ring.req_cons + (uint32_t)pending;
	return RTE_MIN((uint32_t)pending, n);
}

/* It fits a page, and nothing is with it. One segment; or two, headers and what stayed in another guest's page. */
static inline bool rx_is_simple(const struct vif_queue *q, const struct rte_mbuf *m)
{
	return m->nb_segs <= 2 && m->pkt_len && m->pkt_len <= PAGE_BYTES && !rx_extras(q, m);
}

static inline void rx_simple_copy(uint8_t *to, const struct rte_mbuf *m)
{
	copy_frame(to, rte_pktmbuf_mtod(m, void *), m->data_len);
	if (m->nb_segs == 2)
		copy_frame(to + m->data_len, rte_pktmbuf_mtod(m->next, void *), m->next->data_len);
}

/* Looks for the pages that packets go to, as long as both are simple. */
static inline uint32_t rx_simple_look(struct vif_queue *q, struct rte_mbuf **pkts, uint32_t n, struct rx_simple s[])
{
	uint32_t i;

	netif_rxr_back_prefetch(&q->rx.ring, n);
	for (i = 0; i < n && rx_is_simple(q, pkts[i]); i++) {
		struct netif_rx_request req;
		struct stage_entry *e;

		netif_rxr_back_look(&q->rx.ring, i, &req);
		e = stage_find(q->stage, req.gref);
		if (!e || e->is_readonly)
			break;
		s[i].id = req.id;
		s[i].offset = pkts[i]->pkt_len <= COLOUR_BYTES ? (req.gref % COLOURS) * RING_LINE_BYTES : 0;
		s[i].to = e->page + s[i].offset;
		prefetch_for_write(s[i].to);
	}
	return i;
}

/* Packets into staged pages, as long as all is simple: straight from buffer to page. Returns how many. */
static uint16_t rx_simple_burst(struct vif_queue *q, struct rx_batch *b, struct rte_mbuf **pkts, uint16_t n)
{
	struct rx_simple s[VIF_SIMPLE_BURST];
	uint32_t nr = rx_simple_look(q, pkts, rx_available(q, RTE_MIN(n, VIF_SIMPLE_BURST)), s);
	struct netif_rx_response *rsp = &q->journal->rsp[b->nr_rsp];

	for (uint32_t i = 0; i < nr; i++) {
		const struct rte_mbuf *m = pkts[i];

		/* While this one is copied, the next one's lines come. */
		if (i + 1 < nr)
			for (uint32_t at = RING_LINE_BYTES; at < pkts[i + 1]->pkt_len; at += RING_LINE_BYTES)
				prefetch_for_write(s[i + 1].to + at);
		rx_simple_copy(s[i].to, m);
		rsp[i] = (struct netif_rx_response){
			.id = s[i].id, .offset = s[i].offset, .flags = rx_flags(m), .status = (int16_t)m->pkt_len};
		b->bytes += m->pkt_len;
	}
	netif_rxr_back_skip(&q->rx.ring, nr);
	b->nr_rsp += nr;
	b->packets += nr;
	if (nr && unlikely(q->rx.is_stalled))
		rx_set_stalled(q, false);
	return (uint16_t)nr;
}

uint16_t vif_rx_burst(void *queue, struct rte_mbuf **pkts, uint16_t n)
{
	struct vif_queue *q = queue;
	struct rx_batch b = {0};
	uint16_t simple = 0, some;

	if (unlikely(q->stats->rx_batch.nr % PROBE_BURSTS == 0))
		probe_begin(&q->rx.probe, 0);
	if (unlikely(q->rx.nr_held))
		vif_rx_retry(q);
	else if (q->stage && !q->fault)
		do {
			some = rx_simple_burst(q, &b, pkts + simple, (uint16_t)(n - simple));
			simple = (uint16_t)(simple + some);
		} while (some == VIF_SIMPLE_BURST);
	/* What comes behind one that waits waits, too. */
	for (uint16_t i = simple; i < n && !q->fault; i++)
		if (unlikely(q->rx.nr_held) || unlikely(!rx_packet(q, &b, pkts[i])))
			rx_hold(q, pkts[i]);
	rx_finish(q, &b);
	if (likely(n))
		histogram_batch_add(&q->stats->rx_batch, n);
	if (unlikely(q->rx.probe.since && q->rx.nr_held == 0))
		rx_timed(q);
	rte_pktmbuf_free_bulk(pkts, n);
	return n;
}
