/*
 * netback/rx.c - copies packets from the bridge into the buffers that the guest posted.   [hot]
 *
 *      bridge             here                       ring               guest
 *      packets   -->   take requests (copied)  <--   req_prod    <--   post buffers
 *                      one batch of copies,
 *                      answer in the same slots -->  rsp_prod    -->   take, wake if asked
 *
 * A packet fills as many buffers as it has pages, all but the last marked more_data.
 *
 * Owns     the packets it is given: each is freed here, delivered or not.
 * Trusts   nothing behind q->rx.ring.sh. A request is answered in the slot it came from, because answers are put in the
 *          order in which requests were taken.
 * Runs in  the worker. No lock, no allocation, no system call but the wake.
 * Fails    too few buffers, or a packet too long: dropped and counted, never waited for. A bad grant: NETIF_RSP_ERROR
 *          for every slot of that packet. Impossible ring: vif_fail().
 * Spec     xen/io/netif.h.
 */
#include "netback/vif.h"

struct rx_batch {
	uint32_t nr_rsp, nr_copy;
	uint32_t avail; /* requests known to be there */
};

/* Spreads the packet over its buffers. */
static void rx_plan(struct vif_queue *q, struct rx_batch *b, const struct rte_mbuf *m)
{
	struct vif_rx *rx = &q->rx;
	uint32_t left = m->pkt_len, first = b->nr_rsp, from = 0;

	while (left) {
		uint32_t in_page = RTE_MIN(left, PAGE_BYTES), at = 0;
		struct netif_rx_request req;

		netif_rxr_back_take(&rx->ring, &req);
		left -= in_page;
		rx->rsp_packet[b->nr_rsp] = (uint16_t)first;
		rx->rsp[b->nr_rsp] = (struct netif_rx_response){
			.id = req.id, .flags = left ? NETRXF_more_data : 0, .status = (int16_t)in_page};
		while (at < in_page) {
			uint32_t len = RTE_MIN(in_page - at, m->data_len - from);

			rx->copy_rsp[b->nr_copy] = (uint16_t)b->nr_rsp;
			if (len)
				rx->copy[b->nr_copy++] = (struct grant_copy_op){
					.local = rte_pktmbuf_mtod_offset(m, void *, from),
					.ref = req.gref,
					.offset = (uint16_t)at,
					.len = (uint16_t)len,
					.to_peer = true,
				};
			at += len;
			from += len;
			if (from == m->data_len && m->next) {
				m = m->next;
				from = 0;
			}
		}
		b->nr_rsp++;
		b->avail--;
	}
}

/* A packet of which one page could not be written is no packet. */
static void rx_mark_errors(struct vif_rx *rx, const struct rx_batch *b)
{
	for (uint32_t i = 0; i < b->nr_copy; i++) {
		uint16_t first = rx->rsp_packet[rx->copy_rsp[i]];

		if (rx->copy[i].status == GNTST_okay)
			continue;
		for (uint32_t j = first; j < b->nr_rsp && rx->rsp_packet[j] == first; j++)
			rx->rsp[j].status = NETIF_RSP_ERROR;
	}
}

/* Copies, answers; the batch is empty again. */
static void rx_flush(struct vif_queue *q, struct rx_batch *b)
{
	struct vif_rx *rx = &q->rx;
	uint64_t packets = 0, bytes = 0, bad = 0;

	if (hv_peer_copy(q->peer, rx->copy, b->nr_copy))
		rx_mark_errors(rx, b);
	for (uint32_t i = 0; i < b->nr_rsp; i++) {
		bool is_first = rx->rsp_packet[i] == i;

		if (rx->rsp[i].status < 0) {
			bad += is_first;
		} else {
			packets += is_first;
			bytes += (uint64_t)rx->rsp[i].status;
		}
		netif_rxr_back_put(&rx->ring, &rx->rsp[i]);
	}
	count_add(&q->stats->rx_packets, packets);
	count_add(&q->stats->rx_bytes, bytes);
	count_add(&q->stats->rx_slots, b->nr_rsp);
	if (bad)
		count_add(&q->stats->rx_drop_bad_grant, bad);
	b->nr_rsp = b->nr_copy = 0;
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
	return b->avail >= slots;
}

static void rx_packet(struct vif_queue *q, struct rx_batch *b, const struct rte_mbuf *m)
{
	uint32_t slots = (m->pkt_len + PAGE_BYTES - 1) / PAGE_BYTES;

	if (unlikely(m->pkt_len == 0 || m->pkt_len > q->max_frame || m->nb_segs + slots > VIF_OPS)) {
		count_add(&q->stats->rx_drop_too_long, 1);
		return;
	}
	if (b->nr_rsp + slots > VIF_OPS || b->nr_copy + m->nb_segs + slots > VIF_OPS)
		rx_flush(q, b);
	if (!rx_has_requests(q, b, slots)) {
		count_add(&q->stats->rx_drop_no_request, 1);
		return;
	}
	rx_plan(q, b, m);
}

uint16_t vif_rx_burst(void *queue, struct rte_mbuf **pkts, uint16_t n)
{
	struct vif_queue *q = queue;
	struct rx_batch b = {0};

	for (uint16_t i = 0; i < n && !q->fault; i++)
		rx_packet(q, &b, pkts[i]);
	if (b.nr_rsp)
		rx_flush(q, &b);
	if (q->rx.ring.rsp_prod != q->rx.ring.rsp_shown)
		vif_wake(q, netif_rxr_back_push(&q->rx.ring));
	rte_pktmbuf_free_bulk(pkts, n);
	return n;
}
