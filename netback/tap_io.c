/*
 * netback/tap_io.c - frames from and to a descriptor of a TAP, one call each.   [hot]
 *
 * A read fills as many of the standing buffers as the frame needs; only those are replaced. So a 64 KiB frame costs one
 * call, and a small one one buffer.
 *
 * Runs in  the worker. System calls: the reads and writes.
 */
#include <errno.h>
#include <sys/uio.h>

#include <linux/virtio_net.h>

#include <rte_ip.h>
#include <rte_tcp.h>
#include <rte_udp.h>

#include "netback/tap.h"

#define MAX_IOV 64

static bool parts_refill(struct tap_queue *q)
{
	if (likely(q->nr_parts == TAP_MAX_PARTS))
		return true;
	if (rte_pktmbuf_alloc_bulk(q->pool, &q->part[q->nr_parts], TAP_MAX_PARTS - q->nr_parts) < 0) {
		count_add(&q->stats.drop_no_mbuf, 1);
		return false;
	}
	q->nr_parts = TAP_MAX_PARTS;
	return true;
}

/* The first parts hold bytes bytes: they become a packet. */
static struct rte_mbuf *packet_of_parts(struct tap_queue *q, uint32_t bytes)
{
	struct rte_mbuf *head = q->part[0], *last = NULL;
	unsigned nr = 0;

	head->pkt_len = bytes;
	do {
		struct rte_mbuf *m = q->part[nr++];

		m->data_len = (uint16_t)RTE_MIN(bytes, (uint32_t)rte_pktmbuf_tailroom(m));
		bytes -= m->data_len;
		if (last)
			last->next = m;
		last = m;
	} while (bytes);
	head->nb_segs = (uint16_t)nr;
	/* From the other end, so that the order of those that stay does not matter. */
	q->nr_parts -= nr;
	for (unsigned i = 0; i < nr && i < q->nr_parts; i++)
		q->part[i] = q->part[TAP_MAX_PARTS - 1 - i];
	return head;
}

/* A checksum of some protocol that we do not know: from csum_start to the packet's end. */
static int fill_anywhere(struct rte_mbuf *m, const struct virtio_net_hdr *h)
{
	uint32_t at = (uint32_t)h->csum_start + h->csum_offset;
	uint16_t sum;

	if (at + sizeof(sum) > m->data_len || h->csum_start >= m->pkt_len ||
	    rte_raw_cksum_mbuf(m, h->csum_start, m->pkt_len - h->csum_start, &sum) < 0)
		return -EINVAL;
	sum = (uint16_t)~sum;
	__builtin_memcpy(rte_pktmbuf_mtod_offset(m, void *, at), &sum, sizeof(sum));
	return 0;
}

static int marks_from_header(struct rte_mbuf *m, const struct virtio_net_hdr *h)
{
	uint8_t gso = h->gso_type & (uint8_t)~VIRTIO_NET_HDR_GSO_ECN;

	if (gso == VIRTIO_NET_HDR_GSO_TCPV4 || gso == VIRTIO_NET_HDR_GSO_TCPV6)
		return offload_segment(m, gso == VIRTIO_NET_HDR_GSO_TCPV6, h->gso_size);
	if (gso != VIRTIO_NET_HDR_GSO_NONE)
		return -EINVAL;
	if (h->flags & VIRTIO_NET_HDR_F_NEEDS_CSUM)
		return offload_checksum(m) == 0 ? 0 : fill_anywhere(m, h);
	if (h->flags & VIRTIO_NET_HDR_F_DATA_VALID)
		m->ol_flags |= RTE_MBUF_F_RX_L4_CKSUM_GOOD;
	return 0;
}

/* One frame, or NULL: there is none. *is_dropped: there was one, of no use. */
static struct rte_mbuf *read_frame(struct tap_queue *q, bool *is_dropped)
{
	struct iovec iov[1 + TAP_MAX_PARTS];
	struct virtio_net_hdr header;
	struct rte_mbuf *m;
	ssize_t n;

	*is_dropped = false;
	if (!parts_refill(q))
		return NULL;
	iov[0] = (struct iovec){&header, sizeof(header)};
	for (unsigned i = 0; i < TAP_MAX_PARTS; i++)
		iov[1 + i] = (struct iovec){rte_pktmbuf_mtod(q->part[i], void *), rte_pktmbuf_tailroom(q->part[i])};
	n = readv(q->fd, iov, 1 + TAP_MAX_PARTS);
	if (n < (ssize_t)(sizeof(header) + sizeof(struct rte_ether_hdr)))
		return NULL;
	m = packet_of_parts(q, (uint32_t)n - (uint32_t)sizeof(header));
	if (unlikely((header.flags | header.gso_type) && marks_from_header(m, &header) < 0)) {
		count_add(&q->stats.drop_offload, 1);
		rte_pktmbuf_free(m);
		*is_dropped = true;
		return NULL;
	}
	return m;
}

uint16_t tap_in(void *queue, struct rte_mbuf **pkts, uint16_t n)
{
	uint16_t got = 0;

	for (uint16_t i = 0; i < n; i++) {
		bool is_dropped;
		struct rte_mbuf *m = read_frame(queue, &is_dropped);

		if (m)
			pkts[got++] = m;
		else if (!is_dropped)
			break;
	}
	return got;
}

static void header_from_marks(struct virtio_net_hdr *h, const struct rte_mbuf *m)
{
	*h = (struct virtio_net_hdr){0};
	if (!offload_needs(m)) {
		if ((m->ol_flags & RTE_MBUF_F_RX_L4_CKSUM_MASK) == RTE_MBUF_F_RX_L4_CKSUM_GOOD)
			h->flags = VIRTIO_NET_HDR_F_DATA_VALID;
		return;
	}
	h->flags = VIRTIO_NET_HDR_F_NEEDS_CSUM;
	h->csum_start = (uint16_t)(m->l2_len + m->l3_len);
	h->csum_offset = (m->ol_flags & RTE_MBUF_F_TX_L4_MASK) == RTE_MBUF_F_TX_UDP_CKSUM
				 ? offsetof(struct rte_udp_hdr, dgram_cksum) : offsetof(struct rte_tcp_hdr, cksum);
	if (!(m->ol_flags & RTE_MBUF_F_TX_TCP_SEG))
		return;
	h->gso_type = m->ol_flags & RTE_MBUF_F_TX_IPV6 ? VIRTIO_NET_HDR_GSO_TCPV6 : VIRTIO_NET_HDR_GSO_TCPV4;
	h->gso_size = m->tso_segsz;
	h->hdr_len = (uint16_t)(m->l2_len + m->l3_len + m->l4_len);
}

/* False: Linux has no room now. What it does not take for another reason is gone. */
static bool write_frame(struct tap_queue *q, const struct rte_mbuf *m)
{
	struct virtio_net_hdr header;
	struct iovec iov[MAX_IOV];
	int nr = 1;

	header_from_marks(&header, m);
	iov[0] = (struct iovec){&header, sizeof(header)};
	for (; m && nr < MAX_IOV; m = m->next)
		iov[nr++] = (struct iovec){rte_pktmbuf_mtod(m, void *), m->data_len};
	if (likely(!m && writev(q->fd, iov, nr) >= 0))
		return true;
	if (!m && errno == EAGAIN)
		return false;
	count_add(&q->stats.drop_refused, 1);
	return true;
}

uint16_t tap_out(void *queue, struct rte_mbuf **pkts, uint16_t n)
{
	uint16_t sent = 0;

	while (sent < n && write_frame(queue, pkts[sent]))
		sent++;
	rte_pktmbuf_free_bulk(pkts, sent);
	return sent;
}
