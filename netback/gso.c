/*
 * netback/gso.c - segments TCP over IPv4 and IPv6.   [hot]
 *
 * Runs in  the worker. No allocation but from the pools.
 * Spec     RFC 9293, and what Linux's GSO does with flags: FIN and PSH in the last frame only, CWR in the first.
 */
#include "netback/gso.h"

#include <rte_ip.h>
#include <rte_tcp.h>

#include "netback/offload.h"

#define TCP_FIN_PSH (RTE_TCP_FIN_FLAG | RTE_TCP_PSH_FLAG)

static uint32_t header_bytes(const struct rte_mbuf *m)
{
	return (uint32_t)m->l2_len + m->l3_len + m->l4_len;
}

/* Steps over segments that have nothing left. */
static void settle(struct gso *g)
{
	while (g->left && g->from_at == g->from->data_len) {
		g->from = g->from->next;
		g->from_at = 0;
	}
}

void gso_begin(struct gso *g, struct rte_mbuf *packet, struct rte_mempool *pool, struct rte_mempool *ext_pool)
{
	*g = (struct gso){
		.pool = pool,
		.ext_pool = ext_pool,
		.packet = packet,
		.from = packet,
		.from_at = header_bytes(packet),
		.left = packet->pkt_len - header_bytes(packet),
	};
	settle(g);
}

/* Hangs the next bytes bytes of payload behind the frame. */
static bool borrow(struct gso *g, struct rte_mbuf *frame, uint32_t bytes)
{
	struct rte_mbuf *last = frame;

	while (bytes) {
		uint32_t len = RTE_MIN(bytes, (uint32_t)g->from->data_len - g->from_at);
		struct rte_mbuf *part = rte_pktmbuf_alloc(g->ext_pool);

		if (!part)
			return false;
		rte_pktmbuf_attach(part, g->from);
		part->data_off = (uint16_t)(part->data_off + g->from_at);
		part->data_len = (uint16_t)len;
		part->pkt_len = len;
		part->ol_flags &= RTE_MBUF_F_EXTERNAL | RTE_MBUF_F_INDIRECT;
		last->next = part;
		last = part;
		frame->nb_segs++;
		frame->pkt_len += len;
		g->from_at += len;
		g->left -= len;
		bytes -= len;
		settle(g);
	}
	return true;
}

static void fix_headers(const struct gso *g, struct rte_mbuf *frame, uint32_t payload)
{
	uint8_t *l3 = rte_pktmbuf_mtod_offset(frame, uint8_t *, frame->l2_len);
	struct rte_tcp_hdr *tcp = (struct rte_tcp_hdr *)(l3 + frame->l3_len);
	uint32_t l3_payload = frame->l4_len + payload;

	if (frame->ol_flags & RTE_MBUF_F_TX_IPV6) {
		((struct rte_ipv6_hdr *)l3)->payload_len =
			rte_cpu_to_be_16((uint16_t)(frame->l3_len - sizeof(struct rte_ipv6_hdr) + l3_payload));
	} else {
		struct rte_ipv4_hdr *ip = (struct rte_ipv4_hdr *)l3;

		ip->total_length = rte_cpu_to_be_16((uint16_t)(frame->l3_len + l3_payload));
		ip->packet_id = rte_cpu_to_be_16((uint16_t)(rte_be_to_cpu_16(ip->packet_id) + g->nr));
		ip->hdr_checksum = 0;
		ip->hdr_checksum = (uint16_t)~rte_raw_cksum(ip, frame->l3_len);
	}
	tcp->sent_seq = rte_cpu_to_be_32(rte_be_to_cpu_32(tcp->sent_seq) + g->sent);
	if (g->left)
		tcp->tcp_flags &= (uint8_t)~TCP_FIN_PSH;
	if (g->nr)
		tcp->tcp_flags &= (uint8_t)~RTE_TCP_CWR_FLAG;
}

struct rte_mbuf *gso_next(struct gso *g)
{
	const struct rte_mbuf *packet = g->packet;
	uint32_t header = header_bytes(packet), payload = RTE_MIN(g->left, (uint32_t)packet->tso_segsz);
	struct rte_mbuf *frame = g->left ? rte_pktmbuf_alloc(g->pool) : NULL;

	if (!frame)
		return NULL;
	rte_memcpy(rte_pktmbuf_mtod(frame, void *), rte_pktmbuf_mtod(packet, const void *), header);
	frame->data_len = (uint16_t)header;
	frame->pkt_len = header;
	frame->tx_offload = packet->tx_offload;
	frame->tso_segsz = 0;
	frame->ol_flags = packet->ol_flags & (RTE_MBUF_F_TX_IPV4 | RTE_MBUF_F_TX_IPV6 | RTE_MBUF_F_TX_L4_MASK);
	if (!borrow(g, frame, payload)) {
		rte_pktmbuf_free(frame);
		return NULL;
	}
	fix_headers(g, frame, payload);
	g->nr++;
	g->sent += payload;
	/* A way out that fills checksums in by itself wants this frame's own pseudo header. */
	offload_checksum(frame);
	return frame;
}
