/*
 * frontends/netfront_burst.c - bursts of mbufs through a netfront's rings.   [hot]
 *
 * Owns, Trusts, Runs in: netfront_pmd.h.
 * Fails    what cannot be sent or received is dropped and counted; a full ring takes fewer.
 */
#include "frontends/netfront_pmd.h"

#include <rte_errno.h>
#include <rte_ip.h>
#include <rte_tcp.h>
#include <rte_udp.h>

#include "hv/hv.h"

#define MAX_SEGMENTS 64u

/* ---- rx ------------------------------------------------------------------------------------------------------------------ */

static inline struct rte_mbuf *take_spare(struct netfront_pmd_queue *q)
{
	if (unlikely(!q->nr_spare)) {
		if (rte_pktmbuf_alloc_bulk(q->pool, q->spare, NETFRONT_PMD_SPARES))
			return NULL;
		q->nr_spare = NETFRONT_PMD_SPARES;
	}
	return q->spare[--q->nr_spare];
}

/* The rest of a frame that is longer than one mbuf. False: no buffers; the chain so far is still m's. */
static bool append(struct netfront_pmd_queue *q, struct netfront_ring *r, struct rte_mbuf *m, uint32_t left)
{
	struct rte_mbuf *last = m;

	while (left) {
		struct rte_mbuf *next = take_spare(q);
		uint32_t bytes;

		if (!next)
			return false;
		bytes = RTE_MIN(left, (uint32_t)rte_pktmbuf_tailroom(next));
		netfront_ring_copy(r, rte_pktmbuf_mtod(next, void *), bytes);
		next->data_len = (uint16_t)bytes;
		last->next = next;
		last = next;
		m->nb_segs++;
		left -= bytes;
	}
	return true;
}

static inline void set_offloads(struct rte_mbuf *m, const struct netfront_meta *meta)
{
	if (meta->flags & NETFRONT_CSUM_BLANK)
		m->ol_flags |= RTE_MBUF_F_RX_L4_CKSUM_NONE;
	else if (meta->flags & NETFRONT_CSUM_VALID)
		m->ol_flags |= RTE_MBUF_F_RX_L4_CKSUM_GOOD;
	if (meta->gso_size) {
		m->ol_flags |= RTE_MBUF_F_RX_LRO;
		m->tso_segsz = meta->gso_size;
	}
	if (meta->hash_type) {
		m->ol_flags |= RTE_MBUF_F_RX_RSS_HASH;
		m->hash.rss = meta->hash;
	}
}

/* The mbuf that was attached to the page has been freed, or detached; one that was sent is the tx slot's. */
static void page_freed(void *page, void *loan)
{
	struct netfront_loan *l = loan;

	if (!l->is_resent)
		netfront_loan_end(l);
}

/* The frame stays where it is; what is before and behind it in its page is room. False: there was no page to lend for it. */
static inline bool attach(struct netfront_ring *r, struct rte_mbuf *m, struct netfront_loan *loan, const uint8_t *data_sh)
{
	struct rte_mbuf_ext_shared_info *shared;
	uint16_t offset = (uint16_t)((uintptr_t)data_sh % PAGE_BYTES);
	uint8_t *page = (uint8_t *)(uintptr_t)data_sh - offset;

	_Static_assert(sizeof(*shared) <= sizeof(loan->borrower), "DPDK's record of a buffer is kept with the loan");
	if (!loan)
		return false;
	shared = (struct rte_mbuf_ext_shared_info *)loan->borrower;
	*shared = (struct rte_mbuf_ext_shared_info){.free_cb = page_freed, .fcb_opaque = loan, .refcnt = 1};
	rte_pktmbuf_attach_extbuf(m, page, (rte_iova_t)(uintptr_t)page, PAGE_BYTES, shared);
	m->data_off = offset;
	r->count->rx_lent++;
	return true;
}

/* One that lies in one page, whatever goes with it. */
static bool lend_frame(struct netfront_ring *r, const struct netfront_frame *f, struct rte_mbuf *m)
{
	const struct netfront_fragment *at = &f->fragment[0];

	if (f->nr_fragments != 1 || f->bytes <= NETFRONT_LEND_ABOVE)
		return false;
	return attach(r, m, netfront_ring_lend_frame(r), r->rx_pages_sh + pages_to_bytes(at->page) + at->offset);
}

/* One frame into mbufs; NULL: there are none. */
static inline struct rte_mbuf *receive(struct netfront_pmd_queue *q, struct netfront_ring *r, const struct netfront_frame *f)
{
	struct rte_mbuf *m = take_spare(q);
	uint32_t bytes;

	if (unlikely(!m))
		return NULL;
	if (r->loans && lend_frame(r, f, m)) {
		bytes = f->bytes;
	} else {
		bytes = RTE_MIN(f->bytes, (uint32_t)rte_pktmbuf_tailroom(m));
		netfront_ring_copy(r, rte_pktmbuf_mtod(m, void *), bytes);
	}
	m->data_len = (uint16_t)bytes;
	m->pkt_len = f->bytes;
	m->port = q->port_id;
	if (unlikely(bytes < f->bytes) && !append(q, r, m, f->bytes - bytes)) {
		rte_pktmbuf_free(m);
		return NULL;
	}
	set_offloads(m, &f->meta);
	return m;
}

/* The other processor has just written it. */
static inline void prefetch_rest(const struct netfront_simple *f)
{
	for (uint32_t at = RING_LINE_BYTES; at < f->len; at += RING_LINE_BYTES)
		prefetch(f->data_sh + at);
}

/* Fills mbufs with frames that were looked at, until one has no room; those that are to be lent without a copy. */
static __rte_always_inline unsigned fill(struct netfront_pmd_queue *q, struct netfront_ring *r, const struct netfront_simple frames[],
					 struct rte_mbuf **pkts, unsigned nr, uint64_t *bytes, const bool lends)
{
	unsigned i;

	for (i = 0; i < nr; i++) {
		struct rte_mbuf *m = pkts[i];

		if (!lends || !netfront_ring_is_to_lend(&frames[i]) || !attach(r, m, netfront_ring_lend(r, i), frames[i].data_sh)) {
			if (unlikely(frames[i].len > rte_pktmbuf_tailroom(m)))
				break;
			if (i + 1 < nr && !(lends && netfront_ring_is_to_lend(&frames[i + 1])))
				prefetch_rest(&frames[i + 1]);
			copy_frame(rte_pktmbuf_mtod(m, void *), frames[i].data_sh, frames[i].len);
		}
		m->data_len = frames[i].len;
		m->pkt_len = frames[i].len;
		m->port = q->port_id;
		if (unlikely(frames[i].flags))
			set_offloads(m, &(struct netfront_meta){.flags = frames[i].flags});
		*bytes += frames[i].len;
	}
	return i;
}

/* Frames of one page and one mbuf, which most are: all looked at and prefetched, then all copied, or lent. */
static uint16_t receive_simple(struct netfront_pmd_queue *q, struct netfront_ring *r, struct rte_mbuf **pkts, uint16_t n)
{
	struct netfront_simple frames[NETFRONT_PMD_BURST];
	unsigned nr = netfront_ring_simple(r, frames, RTE_MIN(n, NETFRONT_PMD_BURST)), i;
	uint64_t bytes = 0;

	if (!nr || rte_pktmbuf_alloc_bulk(q->pool, pkts, nr))
		return 0;
	i = r->loans ? fill(q, r, frames, pkts, nr, &bytes, true) : fill(q, r, frames, pkts, nr, &bytes, false);
	if (unlikely(i < nr))
		rte_pktmbuf_free_bulk(pkts + i, nr - i);
	netfront_ring_took(r, i, bytes);
	return (uint16_t)i;
}

/* The next frame, whatever it is like; 0: there is no whole one, or no buffer for it. */
static uint16_t receive_one(struct netfront_pmd_queue *q, struct netfront_ring *r, struct rte_mbuf **pkt)
{
	const struct netfront_frame *f = netfront_ring_next(r);

	if (!f)
		return 0;
	*pkt = receive(q, r, f);
	if (likely(*pkt)) {
		netfront_ring_done(r);
		return 1;
	}
	q->no_mbuf++;
	netfront_ring_no_room(r);
	return 0;
}

uint16_t netfront_pmd_rx(void *rxq, struct rte_mbuf **pkts, uint16_t n)
{
	struct netfront_pmd_queue *q = rxq;
	struct netfront_ring *r;
	uint16_t got = 0;

	if (!turnstile_enter(&q->turnstile))
		return 0;
	r = &q->queue->ring;
	netfront_ring_look(r);
	while (got < n && netfront_ring_known(r)) {
		uint16_t some = receive_simple(q, r, pkts + got, n - got);

		got += some ? some : receive_one(q, r, pkts + got);
	}
	netfront_ring_count_rx(r, got);
	if (netfront_ring_must_post(r) && netfront_ring_post(r))
		hv_notify(q->queue->hv, q->queue->rx_port);
	turnstile_leave(&q->turnstile);
	return got;
}

/* ---- tx ------------------------------------------------------------------------------------------------------------------ */

static inline void get_offloads(const struct rte_mbuf *m, struct netfront_meta *meta)
{
	if (m->ol_flags & (RTE_MBUF_F_TX_L4_MASK | RTE_MBUF_F_TX_TCP_SEG))
		meta->flags = NETFRONT_CSUM_BLANK;
	if (m->ol_flags & RTE_MBUF_F_TX_TCP_SEG) {
		meta->gso_size = m->tso_segsz;
		meta->gso_type = m->ol_flags & RTE_MBUF_F_TX_IPV6 ? XEN_NETIF_GSO_TYPE_TCPV6 : XEN_NETIF_GSO_TYPE_TCPV4;
	}
}

/* The loan of the page that the packet lies in, whole and alone. NULL: that is none of this queue's, or something is asked for. */
static inline struct netfront_loan *loan_of(struct netfront_ring *r, const struct rte_mbuf *m)
{
	if (likely(!(m->ol_flags & RTE_MBUF_F_EXTERNAL)) || !r->loans || m->nb_segs != 1 || m->data_len < NETFRONT_MIN_FRAME ||
	    m->ol_flags & (RTE_MBUF_F_TX_L4_MASK | RTE_MBUF_F_TX_TCP_SEG) || rte_mbuf_refcnt_read(m) != 1 ||
	    rte_mbuf_ext_refcnt_read(m->shinfo) != 1)
		return NULL;
	return netfront_loans_find(r->loans, m->shinfo);
}

static inline bool transmit(struct netfront_ring *r, struct rte_mbuf *m)
{
	struct netfront_loan *loan = loan_of(r, m);
	struct iovec pieces[MAX_SEGMENTS];
	struct netfront_meta meta = {0};
	unsigned nr = 0;

	if (loan) {
		bool is_put = netfront_ring_put_loan(r, loan, m->data_off, m->data_len);

		if (is_put)
			rte_pktmbuf_detach(m); /* at once: whatever the back end answers, the loan has one owner */
		return is_put;
	}
	get_offloads(m, &meta);
	for (const struct rte_mbuf *s = m; s && nr < MAX_SEGMENTS; s = s->next)
		pieces[nr++] = (struct iovec){rte_pktmbuf_mtod(s, void *), s->data_len};
	if (unlikely(m->nb_segs > MAX_SEGMENTS)) {
		r->count->tx_drop_size++;
		return true;
	}
	return netfront_ring_put(r, pieces, m->pkt_len, &meta);
}

/* One segment of the program's own, short, nothing to be done by others. */
static inline bool is_short(const struct rte_mbuf *m)
{
	return m->nb_segs == 1 && m->data_len >= NETFRONT_MIN_FRAME && m->data_len <= NETFRONT_SHORT &&
	       !(m->ol_flags & (RTE_MBUF_F_TX_L4_MASK | RTE_MBUF_F_TX_TCP_SEG | RTE_MBUF_F_EXTERNAL));
}

/* As many as are short. */
static uint16_t transmit_short(struct netfront_ring *r, struct rte_mbuf **pkts, uint16_t n)
{
	struct netfront_short frames[NETFRONT_PMD_BURST];
	unsigned i;

	for (i = 0; i < RTE_MIN(n, NETFRONT_PMD_BURST) && likely(is_short(pkts[i])); i++)
		frames[i] = (struct netfront_short){rte_pktmbuf_mtod(pkts[i], void *), pkts[i]->data_len};
	return (uint16_t)netfront_ring_put_short(r, frames, i);
}

uint16_t netfront_pmd_tx(void *txq, struct rte_mbuf **pkts, uint16_t n)
{
	struct netfront_pmd_queue *q = txq;
	struct netfront_ring *r;
	uint16_t sent = 0, nr_short = 0;

	if (!turnstile_enter(&q->turnstile))
		return 0;
	r = &q->queue->ring;
	if (r->nr_tx_loans >= NETFRONT_PMD_BURST) /* rx may wait for their pages */
		netfront_ring_reclaim(r);
	while (sent < n) {
		bool are_short = is_short(pkts[sent]);
		uint16_t some = are_short ? transmit_short(r, pkts + sent, n - sent) : transmit(r, pkts[sent]);

		if (!some)
			break;
		sent += some;
		nr_short += are_short ? some : 0;
	}
	if (netfront_ring_push(r))
		hv_notify(q->queue->hv, q->queue->tx_port);
	if (nr_short)
		netfront_ring_prefetch_short(r, RTE_MIN(n, r->nr_tx_free));
	turnstile_leave(&q->turnstile);
	if (q->fast_free && nr_short == sent && sent)
		rte_mempool_put_bulk(pkts[0]->pool, (void **)pkts, sent);
	else
		rte_pktmbuf_free_bulk(pkts, sent);
	return sent;
}

/* The sum of addresses, protocol and length, of the whole segment even when it is to be cut. */
static uint16_t pseudo_sum(const struct rte_mbuf *m, const void *l3, uint8_t protocol)
{
	uint32_t bytes = m->pkt_len - m->l2_len - m->l3_len;

	if (m->ol_flags & RTE_MBUF_F_TX_IPV6) {
		struct rte_ipv6_hdr ip = *(const struct rte_ipv6_hdr *)l3;

		ip.proto = protocol;
		ip.payload_len = rte_cpu_to_be_16((uint16_t)bytes);
		return rte_ipv6_phdr_cksum(&ip, 0);
	}
	struct rte_ipv4_hdr ip = *(const struct rte_ipv4_hdr *)l3;

	ip.total_length = rte_cpu_to_be_16((uint16_t)(bytes + rte_ipv4_hdr_len(&ip)));
	return rte_ipv4_phdr_cksum(&ip, 0);
}

uint16_t netfront_pmd_tx_prepare(void *txq, struct rte_mbuf **pkts, uint16_t n)
{
	uint16_t i;

	for (i = 0; i < n; i++) {
		struct rte_mbuf *m = pkts[i];
		bool is_udp = (m->ol_flags & RTE_MBUF_F_TX_L4_MASK) == RTE_MBUF_F_TX_UDP_CKSUM;
		uint32_t at = m->l2_len + m->l3_len;
		uint16_t sum;

		if (!(m->ol_flags & (RTE_MBUF_F_TX_L4_MASK | RTE_MBUF_F_TX_TCP_SEG)))
			continue;
		if (at + (is_udp ? sizeof(struct rte_udp_hdr) : sizeof(struct rte_tcp_hdr)) > m->data_len) {
			rte_errno = EINVAL;
			break;
		}
		sum = pseudo_sum(m, rte_pktmbuf_mtod_offset(m, const void *, m->l2_len), is_udp ? IPPROTO_UDP : IPPROTO_TCP);
		if (is_udp)
			rte_pktmbuf_mtod_offset(m, struct rte_udp_hdr *, at)->dgram_cksum = sum;
		else
			rte_pktmbuf_mtod_offset(m, struct rte_tcp_hdr *, at)->cksum = sum;
	}
	return i;
}
