/*
 * netback/tx.c - takes packets off the guest's tx ring and hands them to the bridge.   [hot]
 *
 *      guest                 ring                here                    port
 *      fill request   -->   req_prod   -->   take  check  attach   -->  send
 *      reuse buffer   <--   rsp_prod   <--   answer, wake if asked
 *
 * A burst in five steps over q->tx: finish what came back, take slots, plan packets (parse and list copies and maps),
 * run one batch of copies and one of maps, build or refuse each packet. Small packets are copied whole; of larger ones the
 * headers are copied and the pages attached, so that what is read twice cannot change between.
 *
 * Packets of one slot in staged pages, which is what our own front end sends most of the time, take a shorter way (tx_simple_burst):
 * straight from the ring into a buffer. The first that is not so ends the burst; the next begins with the long way.
 *
 * Owns     a request slot from take to answer; a page from map to the free of the packet.
 * Trusts   nothing behind q->tx.ring.sh: copied once, checked, used.
 * Runs in  the worker; vif_tx_slot_freed in any thread. No lock, no allocation but from the pools, no system call but
 *          the wake.
 * Fails    bad request: NETIF_RSP_ERROR; impossible ring: vif_fail(), and nothing is touched any more.
 * Spec     xen/io/netif.h.
 */
#include "netback/vif.h"
#include "rings/copy_frame.h"

#define SLOT_MASK (VIF_RING_SLOTS - 1)
#define OUT_LOOKS 16u /* in vain, in one go, for pages that came back: they mostly do in the order in which they went */

static void tx_answer(struct vif_queue *q, uint16_t id, int16_t status)
{
	netif_txr_back_put(&q->tx.ring, &(struct netif_tx_response){.id = id, .status = status});
}

static __rte_noinline void tx_timed(struct vif_queue *q)
{
	histogram_add(&q->stats->tx_ns, clock_ticks_to_ns(clock_ticks() - q->tx.probe.since, q->tick_length));
	q->tx.probe.since = 0;
}

static void tx_push(struct vif_queue *q)
{
	struct netif_txr_back *ring = &q->tx.ring;

	if (q->journal->next == journal_pair(ring->rsp_prod, q->tx.taken_at))
		return;
	journal_before_show(q->journal, ring->rsp_prod, q->tx.taken_at);
	if (ring->rsp_prod != ring->rsp_shown)
		vif_wake(q, q->tx_port, netif_txr_back_push(ring));
	journal_after_show(q->journal);
	if (unlikely(probe_is_over(&q->tx.probe, ring->rsp_prod)))
		tx_timed(q);
}

/* ---- pages that come back --------------------------------------------------------------------------------------- */

/* Whichever thread it is: one store. What it did with the page comes before. */
void vif_tx_slot_freed(void *page, void *slot)
{
	store_release(&((struct vif_tx_slot *)slot)->is_out, false); /* pairs with tx_collect's acquire */
}

/* Looks at slots that are out, the longest first, until most have been in vain. Moves up to max that came back into slots[]. */
static uint32_t tx_collect(struct vif_queue *q, struct vif_tx_slot *slots[], uint32_t max, uint32_t most)
{
	struct vif_tx *tx = &q->tx;
	uint32_t n = 0, in_vain = 0;

	for (uint32_t looks = tx->nr_out; looks && n < max && in_vain < most; looks--) {
		uint16_t i = tx->out_slot[tx->out_at++ & SLOT_MASK];

		if (load_acquire(&tx->slot[i].is_out)) {
			tx->out_slot[(tx->out_at + tx->nr_out - 1) & SLOT_MASK] = i;
			in_vain++;
			continue;
		}
		tx->nr_out--;
		slots[n++] = &tx->slot[i];
	}
	return n;
}

/* A free slot, for a page that goes out. */
static inline struct vif_tx_slot *tx_slot_out(struct vif_queue *q)
{
	uint16_t i = q->tx.free_slot[--q->tx.nr_free];

	q->tx.out_slot[(q->tx.out_at + q->tx.nr_out++) & SLOT_MASK] = i;
	q->tx.slot[i].is_out = true;
	return &q->tx.slot[i];
}

static void tx_release(struct vif_queue *q, struct vif_tx_slot *slots[], uint32_t n)
{
	grant_handle_t handles[VIF_TX_BURST];
	uint32_t nr = 0;

	for (uint32_t i = 0; i < n; i++) {
		if (slots[i]->staged)
			slots[i]->staged->nr_users--;
		else
			handles[nr++] = slots[i]->handle;
		q->tx.free_slot[q->tx.nr_free++] = (uint16_t)(slots[i] - q->tx.slot);
	}
	if (nr)
		hv_peer_unmap(q->peer, handles, nr);
}

static void tx_finish(struct vif_queue *q)
{
	struct vif_tx_slot *slots[VIF_TX_BURST];
	uint32_t n;

	while (q->tx.nr_out && (n = tx_collect(q, slots, VIF_TX_BURST, OUT_LOOKS)) != 0) {
		/* Unmapped first: an answered page is the guest's again. */
		tx_release(q, slots, n);
		for (uint32_t i = 0; i < n; i++) {
			journal_finish(q->journal, (uint32_t)(slots[i] - q->tx.slot), slots[i]->id, q->tx.ring.rsp_prod);
			tx_answer(q, slots[i]->id, NETIF_RSP_OKAY);
		}
	}
}

void vif_tx_finish(struct vif_queue *q)
{
	if (q->fault)
		return;
	tx_finish(q);
	tx_push(q);
}

uint32_t vif_tx_reclaim(struct vif_queue *q)
{
	struct vif_tx_slot *slots[VIF_TX_BURST];
	uint32_t n;

	while (q->tx.nr_out && (n = tx_collect(q, slots, VIF_TX_BURST, VIF_RING_SLOTS)) != 0)
		tx_release(q, slots, n);
	return q->tx.nr_out;
}

void vif_attach(struct vif_queue *q, bool *any_fault)
{
	q->any_fault = any_fault;
}

void vif_detach(struct vif_queue *q)
{
	vif_rx_drop_held(q);
}

/* ---- taking and planning ---------------------------------------------------------------------------------------- */

/* Copies every published request out of the ring. False: the ring is impossible. */
static bool tx_take(struct vif_queue *q)
{
	struct vif_tx *tx = &q->tx;
	int n = netif_txr_back_pending(&tx->ring);

	if (unlikely(n < 0)) {
		vif_fail(q, VIF_FAULT_TX_RING);
		return false;
	}
	/* Untaken and unanswered together never pass the ring's size, so taken[] has room. */
	for (int i = 0; i < n; i++)
		netif_txr_back_take(&tx->ring, &q->journal->taken[tx->taken_end++ & SLOT_MASK]);
	if (n) {
		journal_taken(q->journal, tx->taken_end);
		count_add(&q->stats->tx_slots, (uint64_t)n);
		if (unlikely(q->stats->tx_batch.nr % PROBE_BURSTS == 0))
			probe_begin(&tx->probe, tx->ring.req_cons);
	}
	return true;
}

static uint64_t *tx_drop_counter(struct vif_queue *q, enum tx_chain_status status)
{
	switch (status) {
	case TX_CHAIN_EXTRA:
		return &q->stats->tx_drop_extra;
	case TX_CHAIN_TOO_LONG:
		return &q->stats->tx_drop_too_long;
	case TX_CHAIN_TOO_SMALL:
		return &q->stats->tx_drop_too_small;
	default:
		return &q->stats->tx_drop_bad_frag;
	}
}

/* Extra info has no id, but its slots are answered all the same. */
static inline void tx_answer_extras(struct vif_queue *q, const struct tx_chain *c)
{
	for (uint32_t i = 0; unlikely(i < c->nr_extras); i++)
		tx_answer(q, 0, NETIF_RSP_NULL);
}

/* Every slot of a packet that is not to be. */
static void tx_answer_all(struct vif_queue *q, const struct tx_chain *c, int16_t status)
{
	for (uint32_t i = 0; i < c->nr_frags; i++)
		tx_answer(q, c->frag[i].id, status);
	tx_answer_extras(q, c);
}

/* Answers every slot of the packet at taken_at. */
static void tx_refuse(struct vif_queue *q, const struct tx_chain *c)
{
	struct vif_tx *tx = &q->tx;

	for (uint32_t i = 0; i < c->nr_slots; i++) {
		bool is_extra = i - c->first_extra < c->nr_extras;

		tx_answer(q, q->journal->taken[(tx->taken_at + i) & SLOT_MASK].id, is_extra ? NETIF_RSP_NULL : NETIF_RSP_ERROR);
	}
	tx->taken_at += c->nr_slots;
	tx->is_skipping = c->open;
	count_add(tx_drop_counter(q, c->status), 1);
}

/* A change of the multicast list at taken_at: done, or refused, at once. */
static void tx_mcast(struct vif_queue *q, const struct tx_chain *c)
{
	struct rte_ether_addr addr;
	int err = 0;

	__builtin_memcpy(&addr, c->mcast_addr, sizeof(addr));
	if (!q->mcast || !rte_is_multicast_ether_addr(&addr))
		err = -EINVAL;
	else if (c->mcast_type == XEN_NETIF_EXTRA_TYPE_MCAST_ADD)
		err = mcast_add(q->mcast, &addr);
	else
		mcast_del(q->mcast, &addr);
	tx_answer_all(q, c, err ? NETIF_RSP_ERROR : NETIF_RSP_OKAY);
	q->tx.taken_at += c->nr_slots;
	count_add(err ? &q->stats->tx_drop_extra : &q->stats->tx_mcast, 1);
}

/* The rest of a packet that was too long. */
static void tx_skip(struct vif_queue *q)
{
	struct vif_tx *tx = &q->tx;

	while (tx->is_skipping && tx->taken_at != tx->taken_end) {
		const struct netif_tx_request *r = &q->journal->taken[tx->taken_at++ & SLOT_MASK];

		tx_answer(q, r->id, NETIF_RSP_ERROR);
		tx->is_skipping = r->flags & NETTXF_more_data;
	}
}

/* A buffer for the next bytes of w->m: its last segment, or a new one behind it. */
static struct rte_mbuf *tx_room(struct vif_queue *q, struct vif_tx_work *w)
{
	struct rte_mbuf *last = rte_pktmbuf_lastseg(w->m), *m;

	if (rte_pktmbuf_tailroom(last))
		return last;
	m = rte_pktmbuf_alloc(q->pool);
	if (m) {
		last->next = m;
		w->m->nb_segs++;
	}
	return m;
}

/* Are all of the packet's pages kept mapped? */
static bool tx_find_staged(struct vif_queue *q, struct vif_tx_work *w)
{
	for (uint32_t i = 0; i < w->chain.nr_frags; i++) {
		w->staged[i] = stage_find(q->stage, w->chain.frag[i].ref);
		if (!w->staged[i])
			return false;
	}
	return true;
}

/*
 * The packet's first bytes bytes into buffers: listed for the batch of grant copies, or, where all its pages are kept mapped,
 * copied at once. False: no buffer.
 */
static __rte_always_inline bool tx_fill(struct vif_queue *q, struct vif_tx_work *w, uint32_t bytes, uint32_t *nr_copy,
					const bool is_staged)
{
	uint32_t i = 0, from = 0;

	while (bytes) {
		const struct tx_frag *f = &w->chain.frag[i];
		struct rte_mbuf *m = tx_room(q, w);
		uint32_t len = RTE_MIN(bytes, (uint32_t)f->len - from);

		if (!m)
			return false;
		len = RTE_MIN(len, (uint32_t)rte_pktmbuf_tailroom(m));
		if (is_staged)
			rte_memcpy(rte_pktmbuf_mtod_offset(m, void *, m->data_len), w->staged[i]->page + f->offset + from, len);
		else
			q->tx.copy[(*nr_copy)++] = (struct grant_copy_op){
				.local = rte_pktmbuf_mtod_offset(m, void *, m->data_len),
				.ref = f->ref,
				.offset = (uint16_t)(f->offset + from),
				.len = (uint16_t)len,
			};
		m->data_len = (uint16_t)(m->data_len + len);
		w->m->pkt_len += len;
		bytes -= len;
		from += len;
		if (from == f->len) {
			i++;
			from = 0;
		}
	}
	w->first_mapped_frag = (uint16_t)i;
	w->mapped_from = (uint16_t)from;
	return true;
}

static __rte_noinline bool tx_copy_staged(struct vif_queue *q, struct vif_tx_work *w, uint32_t bytes)
{
	return tx_fill(q, w, bytes, NULL, true);
}

static bool tx_plan_copies(struct vif_queue *q, struct vif_tx_work *w, uint32_t bytes, uint32_t *nr_copy)
{
	w->copy_at = (uint16_t)*nr_copy;
	w->nr_copy = 0;
	w->is_staged = unlikely(q->stage != NULL) && tx_find_staged(q, w);
	if (unlikely(w->is_staged))
		return tx_copy_staged(q, w, bytes);
	if (!tx_fill(q, w, bytes, nr_copy, false))
		return false;
	w->nr_copy = (uint16_t)(*nr_copy - w->copy_at);
	return true;
}

static void tx_plan_maps(struct vif_queue *q, struct vif_tx_work *w, uint32_t *nr_map)
{
	w->map_at = (uint16_t)*nr_map;
	w->nr_map = (uint16_t)(w->chain.nr_frags - w->first_mapped_frag);
	if (w->is_staged)
		return;
	for (uint32_t i = w->first_mapped_frag; i < w->chain.nr_frags; i++)
		q->tx.map[(*nr_map)++] = (struct hv_map_op){.ref = w->chain.frag[i].ref, .readonly = true};
}

/* Plans the packet at taken_at, which is whole and well-formed. False: no buffer, and it was answered. */
static bool tx_plan(struct vif_queue *q, struct vif_tx_work *w, uint32_t *nr_copy, uint32_t *nr_map)
{
	uint32_t total = w->chain.total_bytes, copy_before = *nr_copy;
	bool is_copied = total <= VIF_TX_COPY_BYTES || !q->map_large;

	w->first_idx = q->tx.taken_at;
	q->tx.taken_at += w->chain.nr_slots;
	w->nr_map = 0;
	w->m = rte_pktmbuf_alloc(q->pool);
	if (w->m && tx_plan_copies(q, w, is_copied ? total : VIF_TX_HEADER_BYTES, nr_copy)) {
		if (!is_copied)
			tx_plan_maps(q, w, nr_map);
		return true;
	}
	*nr_copy = copy_before;
	rte_pktmbuf_free(w->m);
	tx_answer_all(q, &w->chain, NETIF_RSP_DROPPED);
	count_add(&q->stats->tx_drop_no_mbuf, 1);
	return false;
}

/* Plans up to n packets, of so many slots and the last one's, into work[]; returns how many. */
static uint16_t tx_plan_burst(struct vif_queue *q, uint16_t n, uint32_t *nr_copy, uint32_t *nr_map)
{
	struct vif_tx *tx = &q->tx;
	uint32_t until = tx->taken_at + VIF_TX_BURST;
	uint16_t nr = 0;

	tx_skip(q);
	while (nr < n && (int32_t)(until - tx->taken_at) > 0 && *nr_copy + VIF_TX_PACKET_OPS <= VIF_OPS &&
	       *nr_map + TX_MAX_FRAGS <= VIF_OPS) {
		struct vif_tx_work *w = &tx->work[nr];

		tx_chain_parse(q->journal->taken, SLOT_MASK, tx->taken_at, tx->taken_end - tx->taken_at, &w->chain);
		if (w->chain.status == TX_CHAIN_INCOMPLETE)
			break;
		if (unlikely(w->chain.status == TX_CHAIN_BAD_EXTRA)) {
			vif_fail(q, VIF_FAULT_TX_EXTRA);
			break;
		}
		if (unlikely(w->chain.status == TX_CHAIN_MCAST)) {
			tx_mcast(q, &w->chain);
		} else if (unlikely(w->chain.status != TX_CHAIN_OK)) {
			tx_refuse(q, &w->chain);
			tx_skip(q);
		} else if (tx_plan(q, w, nr_copy, nr_map)) {
			nr++;
		}
	}
	return nr;
}

/* ---- building packets ------------------------------------------------------------------------------------------- */

static bool tx_all_granted(const struct vif_queue *q, const struct vif_tx_work *w)
{
	if (unlikely(w->is_staged))
		return true;
	for (uint32_t i = 0; i < w->nr_copy; i++)
		if (q->tx.copy[w->copy_at + i].status != GNTST_okay)
			return false;
	for (uint32_t i = 0; i < w->nr_map; i++)
		if (q->tx.map[w->map_at + i].status != GNTST_okay)
			return false;
	return true;
}

/* Gives back what was mapped, frees, answers: the packet is not to be. */
static void tx_reject(struct vif_queue *q, struct vif_tx_work *w, int16_t status)
{
	for (uint32_t i = 0; i < w->nr_map && !w->is_staged; i++)
		if (q->tx.map[w->map_at + i].status == GNTST_okay)
			hv_peer_unmap(q->peer, &q->tx.map[w->map_at + i].handle, 1);
	rte_pktmbuf_free(w->m);
	tx_answer_all(q, &w->chain, status);
}

/* Hangs one mapped page behind the packet. */
static void tx_attach(struct vif_queue *q, struct vif_tx_work *w, uint32_t frag, struct rte_mbuf *seg,
		      struct rte_mbuf *last)
{
	const struct hv_map_op *map = &q->tx.map[w->map_at + frag - w->first_mapped_frag];
	const struct tx_frag *f = &w->chain.frag[frag];
	struct stage_entry *staged = w->is_staged ? w->staged[frag] : NULL;
	uint16_t from = frag == w->first_mapped_frag ? w->mapped_from : 0;
	struct vif_tx_slot *s = tx_slot_out(q);
	uint8_t *bytes = (staged ? staged->page : (uint8_t *)map->page) + f->offset + from;

	s->staged = staged;
	if (staged)
		staged->nr_users++;
	else
		s->handle = map->handle;
	s->id = f->id;
	journal_attach(q->journal, (uint32_t)(s - q->tx.slot), f->id, w->first_idx);
	rte_mbuf_ext_refcnt_set(&s->shinfo, 1);
	rte_pktmbuf_attach_extbuf(seg, bytes, (rte_iova_t)(uintptr_t)bytes, (uint16_t)(f->len - from), &s->shinfo);
	seg->data_len = (uint16_t)(f->len - from);
	last->next = seg;
	w->m->nb_segs++;
	w->m->pkt_len += seg->data_len;
}

/* What the guest left to us of the checksum, or knows of it. False: it cannot be done to this packet, which is gone. */
static bool tx_checksum(struct vif_queue *q, struct rte_mbuf *m, uint16_t flags)
{
	if (flags & NETTXF_csum_blank) {
		if (offload_checksum(m) < 0) {
			count_add(&q->stats->tx_drop_checksum, 1);
			rte_pktmbuf_free(m); /* its pages are answered as they come back */
			return false;
		}
		count_add(&q->stats->tx_csum_blank, 1);
	} else if (flags & NETTXF_data_validated) {
		m->ol_flags |= RTE_MBUF_F_RX_L4_CKSUM_GOOD;
	}
	return true;
}

/* The same of the whole packet. */
static bool tx_offload(struct vif_queue *q, struct vif_tx_work *w)
{
	const struct tx_chain *c = &w->chain;

	if (c->gso_type) {
		if (offload_segment(w->m, c->gso_type == XEN_NETIF_GSO_TYPE_TCPV6, c->gso_size) < 0) {
			count_add(&q->stats->tx_drop_gso, 1);
			rte_pktmbuf_free(w->m); /* its pages are answered as they come back */
			return false;
		}
		count_add(&q->stats->tx_gso, 1);
		return true;
	}
	return tx_checksum(q, w->m, c->flags);
}

/* True: w->m is a whole packet. */
static bool tx_build(struct vif_queue *q, struct vif_tx_work *w)
{
	struct rte_mbuf *segs[TX_MAX_FRAGS], *last = w->m;

	if (unlikely(!tx_all_granted(q, w))) {
		tx_reject(q, w, NETIF_RSP_ERROR);
		count_add(&q->stats->tx_drop_bad_grant, 1);
		return false;
	}
	if (w->nr_map && rte_pktmbuf_alloc_bulk(q->ext_pool, segs, w->nr_map) < 0) {
		tx_reject(q, w, NETIF_RSP_DROPPED);
		count_add(&q->stats->tx_drop_no_mbuf, 1);
		return false;
	}
	/* What was copied whole is the guest's again at once. */
	for (uint32_t i = 0; i < w->first_mapped_frag; i++)
		tx_answer(q, w->chain.frag[i].id, NETIF_RSP_OKAY);
	tx_answer_extras(q, &w->chain);
	for (uint32_t i = 0; i < w->nr_map; i++) {
		tx_attach(q, w, w->first_mapped_frag + i, segs[i], last);
		last = segs[i];
	}
	count_add(w->is_staged ? &q->stats->tx_staged : w->nr_map ? &q->stats->tx_mapped : &q->stats->tx_copied, 1);
	return !(w->chain.flags & (NETTXF_csum_blank | NETTXF_data_validated | NETTXF_extra_info)) || tx_offload(q, w);
}

static inline void tx_count(struct vif_queue *q, uint16_t packets, uint64_t bytes)
{
	count_add(&q->stats->tx_packets, packets);
	count_add(&q->stats->tx_bytes, bytes);
	histogram_batch_add(&q->stats->tx_batch, packets);
}

/* ---- the short way ---------------------------------------------------------------------------------------------- */

/* A request whose one page is kept mapped. */
struct tx_simple {
	const uint8_t *bytes_sh;
	struct stage_entry *staged;
	uint16_t id, size, flags;
};

/* How many requests there are, up to n; -EPROTO. Looks at the ring only when fewer are known of. */
static inline int tx_available(struct vif_tx *tx, uint32_t n)
{
	uint32_t known = tx->seen - tx->ring.req_cons;
	int pending;

	if (known <= VIF_RING_SLOTS && known >= n)
		return (int)n;
	pending = netif_txr_back_pending(&tx->ring);
	if (pending > 0)
		tx->seen = tx->ring.req_cons + (uint32_t)pending;
	return RTE_MIN(pending, (int)n);
}

/* Looks at requests as long as they are simple, and keeps copies in the journal; returns how many. */
static inline uint32_t tx_simple_look(struct vif_queue *q, uint32_t n, struct tx_simple s[])
{
	uint32_t longest = q->map_large ? PAGE_BYTES : VIF_TX_COPY_BYTES, i;
	const struct netif_txr_back ring = q->tx.ring;

	netif_txr_back_prefetch(&ring, n);
	for (i = 0; i < n; i++) {
		struct netif_tx_request req;
		struct stage_entry *e;

		netif_txr_back_look(&ring, i, &req);
		q->journal->taken[(ring.req_cons + i) & SLOT_MASK] = req;
		if (unlikely(req.flags & (NETTXF_more_data | NETTXF_extra_info) || req.size < TX_MIN_BYTES || req.size > longest ||
			     (uint32_t)req.offset + req.size > PAGE_BYTES))
			break;
		e = stage_find(q->stage, req.gref);
		if (unlikely(!e))
			break;
		s[i] = (struct tx_simple){e->page + req.offset, e, req.id, req.size, req.flags};
		prefetch(s[i].bytes_sh);
		if (unlikely(req.size > VIF_TX_COPY_BYTES)) /* both lines of its headers */
			prefetch(s[i].bytes_sh + RING_LINE_BYTES);
	}
	return i;
}

/* The headers are copied, what is behind them stays in the guest's page. */
static void tx_simple_attach(struct vif_queue *q, const struct tx_simple *s, uint32_t idx, struct rte_mbuf *m, struct rte_mbuf *seg)
{
	struct vif_tx_slot *slot = tx_slot_out(q);
	uint8_t *bytes = (uint8_t *)s->staged->page + (s->bytes_sh - s->staged->page) + VIF_TX_HEADER_BYTES;
	uint16_t len = (uint16_t)(s->size - VIF_TX_HEADER_BYTES);

	copy_frame(rte_pktmbuf_mtod(m, void *), s->bytes_sh, VIF_TX_HEADER_BYTES);
	m->data_len = VIF_TX_HEADER_BYTES;
	slot->staged = s->staged;
	slot->id = s->id;
	s->staged->nr_users++;
	journal_attach(q->journal, (uint32_t)(slot - q->tx.slot), s->id, idx);
	rte_mbuf_ext_refcnt_set(&slot->shinfo, 1);
	rte_pktmbuf_attach_extbuf(seg, bytes, (rte_iova_t)(uintptr_t)bytes, len, &slot->shinfo);
	seg->data_len = len;
	m->next = seg;
	m->nb_segs = 2;
}

static inline bool tx_simple_is_long(const struct tx_simple *s)
{
	return s->size > VIF_TX_COPY_BYTES;
}

/* Copies the short ones, answers them; attaches the others. */
static void tx_simple_build(struct vif_queue *q, const struct tx_simple s[], struct rte_mbuf **pkts, uint32_t nr, struct rte_mbuf **segs)
{
	struct netif_txr_back ring = q->tx.ring; /* ours alone: in registers, whatever the copies below may alias */

	journal_taken(q->journal, ring.req_cons + nr);
	for (uint32_t i = 0; i < nr; i++) {
		pkts[i]->pkt_len = s[i].size;
		if (unlikely(tx_simple_is_long(&s[i]))) {
			tx_simple_attach(q, &s[i], ring.req_cons + i, pkts[i], *segs++);
			continue;
		}
		pkts[i]->data_len = s[i].size;
		copy_frame(rte_pktmbuf_mtod(pkts[i], void *), s[i].bytes_sh, s[i].size);
		netif_txr_back_put(&ring, &(struct netif_tx_response){.id = s[i].id, .status = NETIF_RSP_OKAY});
	}
	netif_txr_back_skip(&ring, nr);
	q->tx.ring = ring;
	q->tx.taken_at = q->tx.taken_end = ring.req_cons;
}

/* Buffers for all of them: pkts[nr], and segs[] for those that are long. */
static bool tx_simple_alloc(struct vif_queue *q, const struct tx_simple s[], struct rte_mbuf **pkts, uint32_t nr, struct rte_mbuf **segs)
{
	uint32_t nr_long = 0;

	if (rte_pktmbuf_alloc_bulk(q->pool, pkts, nr))
		return false;
	for (uint32_t i = 0; i < nr; i++)
		nr_long += tx_simple_is_long(&s[i]);
	if (likely(!nr_long) || !rte_pktmbuf_alloc_bulk(q->ext_pool, segs, nr_long))
		return true;
	rte_pktmbuf_free_bulk(pkts, nr);
	return false;
}

/* Up to n packets, as long as they are simple. 0: the long way has to look. */
static uint16_t tx_simple_burst(struct vif_queue *q, struct rte_mbuf **pkts, uint32_t n)
{
	struct tx_simple s[VIF_SIMPLE_BURST];
	struct rte_mbuf *segs[VIF_SIMPLE_BURST];
	uint32_t nr = tx_simple_look(q, n, s);
	uint16_t out = 0;
	uint64_t bytes = 0;

	if (!nr || !tx_simple_alloc(q, s, pkts, nr, segs))
		return 0;
	if (unlikely(q->stats->tx_batch.nr % PROBE_BURSTS == 0))
		probe_begin(&q->tx.probe, q->tx.ring.req_cons + nr);
	tx_simple_build(q, s, pkts, nr, segs);
	for (uint32_t i = 0; i < nr; i++) {
		if (unlikely(s[i].flags) && !tx_checksum(q, pkts[i], s[i].flags))
			continue;
		bytes += s[i].size;
		pkts[out++] = pkts[i];
	}
	count_add(&q->stats->tx_slots, nr);
	count_add(&q->stats->tx_staged, nr);
	tx_count(q, out, bytes);
	return out;
}

uint16_t vif_tx_take(struct vif_queue *q, struct rte_mbuf **pkts, uint16_t n)
{
	uint32_t nr_copy = 0, nr_map = 0;
	uint16_t planned, out = 0;
	uint64_t bytes = 0;

	if (unlikely(q->fault))
		return 0;
	tx_finish(q);
	if (q->stage && q->tx.taken_at == q->tx.taken_end && !q->tx.is_skipping) {
		int there = tx_available(&q->tx, RTE_MIN(n, VIF_SIMPLE_BURST));

		if (there > 0)
			out = tx_simple_burst(q, pkts, (uint32_t)there);
		if (out || there == 0) {
			tx_push(q);
			return out;
		}
	}
	if (unlikely(!tx_take(q)))
		return 0;
	planned = tx_plan_burst(q, RTE_MIN(n, VIF_TX_BURST), &nr_copy, &nr_map);
	if (nr_copy)
		hv_peer_copy(q->peer, q->tx.copy, nr_copy);
	if (nr_map)
		hv_peer_map(q->peer, q->tx.map, nr_map);
	for (uint16_t i = 0; i < planned; i++) {
		if (!tx_build(q, &q->tx.work[i]))
			continue;
		pkts[out] = q->tx.work[i].m;
		bytes += pkts[out++]->pkt_len;
	}
	if (out)
		tx_count(q, out, bytes);
	tx_push(q);
	return out;
}

uint16_t vif_tx_burst(void *queue, struct rte_mbuf **pkts, uint16_t n)
{
	struct vif_queue *q = queue;

	if (unlikely(vif_rx_is_waiting(q)) && !q->fault)
		vif_rx_retry(q);
	return vif_tx_take(q, pkts, n);
}

bool vif_arm(struct vif_queue *q)
{
	uint32_t left = q->tx.taken_end - q->tx.taken_at;
	struct tx_chain c;
	bool has_room;

	if (q->fault)
		return false;
	vif_tx_finish(q);
	has_room = vif_rx_arm(q);
	if (netif_txr_back_final_check(&q->tx.ring) || has_room)
		return true;
	/* Slots taken but not yet worked on count as work, the beginning of an unfinished packet does not. */
	tx_chain_parse(q->journal->taken, SLOT_MASK, q->tx.taken_at, left, &c);
	return left && c.status != TX_CHAIN_INCOMPLETE;
}
