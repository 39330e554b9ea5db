/*
 * test/fuzz/netback_tx_fuzz.c - any tx requests, 12 bytes each, as they lie in the ring.
 *
 * The first byte says how many a push shows, whether long packets are mapped, and whether pages are staged.
 *
 * Whatever they say, each slot is answered once, nothing leaks, and a packet is as long as its chain said.
 */
#include "vif_box.h"

#include "netback/gso.h"

#define REQ_BYTES sizeof(struct netif_tx_request)

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct vif_box box;

static void must(bool ok)
{
	if (!ok)
		abort();
}

static uint32_t answers(void)
{
	int n = netif_txr_front_pending(&box.tx);
	struct netif_tx_response rsp;

	must(n >= 0);
	for (int i = 0; i < n; i++) {
		netif_txr_front_take(&box.tx, &rsp);
		must(rsp.status == NETIF_RSP_OKAY || rsp.status == NETIF_RSP_ERROR || rsp.status == NETIF_RSP_NULL ||
		     rsp.status == NETIF_RSP_DROPPED);
	}
	return (uint32_t)n;
}

static void fill_page(uint8_t *p)
{
	static const uint8_t headers[] = {
		2, 0, 0, 0, 0, 1, 2, 0, 0, 0, 0, 2, 0x08, 0x00,                                 /* Ethernet */
		0x45, 0, 0x08, 0x00, 0, 1, 0, 0, 64, 6, 0, 0, 10, 0, 0, 1, 10, 0, 0, 2,         /* IPv4, 2048 bytes, TCP */
		0, 1, 0, 2, 0, 0, 0, 1, 0, 0, 0, 0, 0x50, 0x10, 0, 0, 0, 0, 0, 0,               /* TCP */
	};

	memcpy(p, headers, sizeof(headers));
	memcpy(p + 2048, headers, sizeof(headers));
}

/* What the packet leaves undone can be done: its marks lie in our own copy, its frames are as long as it was. */
static void finish_packet(struct rte_mbuf *m)
{
	uint32_t header = (uint32_t)m->l2_len + m->l3_len + m->l4_len, payload = 0;
	struct rte_mbuf *frame;
	struct gso g;

	if (!offload_needs(m))
		return;
	must(header <= m->data_len);
	if (!(m->ol_flags & RTE_MBUF_F_TX_TCP_SEG)) {
		offload_fill(m);
		return;
	}
	must(m->tso_segsz >= OFFLOAD_MIN_SEGMENT && header + m->tso_segsz < m->pkt_len);
	gso_begin(&g, m, vif_box_pool(), vif_box_ext_pool());
	while ((frame = gso_next(&g)) != NULL) {
		must(frame->pkt_len > header && frame->pkt_len <= header + m->tso_segsz);
		must(offload_needs(frame));
		offload_fill(frame);
		payload += frame->pkt_len - header;
		rte_mbuf_sanity_check(frame, 1);
		rte_pktmbuf_free(frame);
	}
	must(gso_is_done(&g) && payload == m->pkt_len - header);
}

static void run_queue(void)
{
	struct rte_mbuf *m[VIF_TX_BURST];
	unsigned rounds = 0;

	do {
		uint16_t n = vif_tx_burst(box.queue, m, VIF_TX_BURST);

		for (uint16_t i = 0; i < n; i++) {
			must(m[i]->pkt_len >= TX_MIN_BYTES && m[i]->pkt_len <= VIF_MAX_FRAME);
			must(m[i]->data_len >= RTE_MIN(m[i]->pkt_len, (uint32_t)VIF_TX_HEADER_BYTES));
			rte_mbuf_sanity_check(m[i], 1);
			finish_packet(m[i]);
		}
		rte_pktmbuf_free_bulk(m, n);
		must(rounds++ <= 2 * VIF_RING_SLOTS);
	} while (vif_arm(box.queue));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	uint32_t shown, put = 0, answered = 0;
	bool is_extra = false; /* a slot of extra info comes, not a request: its first bytes are no grant */

	if (size < 1 + REQ_BYTES)
		return 0;
	vif_box_init(&box, true);
	/* Every page is a TCP segment, so that extra info can mean something. */
	for (unsigned i = 0; i < VIF_BOX_DATA_FRAMES; i++)
		fill_page(vif_box_page(&box, i));
	shown = 1 + data[0] % VIF_RING_SLOTS;
	box.queue->map_large = data[0] < 128;
	if (data[0] & 1)
		vif_box_stage(&box, VIF_BOX_DATA_FRAMES / 2);
	for (const uint8_t *p = data + 1; p + REQ_BYTES <= data + size && !box.queue->fault; p += REQ_BYTES) {
		struct netif_tx_request req;

		memcpy(&req, p, REQ_BYTES);
		if (!is_extra)
			req.gref %= 2 * BOX_ENTRIES; /* half of them can exist */
		is_extra = is_extra ? req.gref >> 8 & XEN_NETIF_EXTRA_FLAG_MORE : (req.flags & NETTXF_extra_info) != 0;
		netif_txr_front_put(&box.tx, &req);
		if (++put % shown && netif_txr_front_free(&box.tx))
			continue;
		netif_txr_front_push(&box.tx);
		run_queue();
		answered += answers();
		if (!netif_txr_front_free(&box.tx))
			break; /* a packet as long as the ring, without end: refused, never */
	}
	netif_txr_front_push(&box.tx);
	run_queue();
	answered += answers();
	if (box.queue->fault)
		vif_tx_reclaim(box.queue); /* as disconnect does: nothing is answered any more */
	must(!vif_has_attached(box.queue));
	/* All are answered but the beginning of a packet whose end never came. */
	must(box.queue->fault || put - answered == box.queue->tx.taken_end - box.queue->tx.taken_at);
	must(put - answered <= TX_MAX_FRAGS + TX_MAX_EXTRAS || box.queue->fault);
	must(vif_box_in_use() == 0);
	vif_box_finish(&box);
	return 0;
}
