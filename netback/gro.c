/*
 * netback/gro.c - recognises neighbours in a TCP flow and hangs one behind the other.   [hot]
 *
 * Owns, Trusts, Runs in: gro.h.
 */
#include "netback/gro.h"

#include <rte_ether.h>
#include <rte_ip.h>
#include <rte_tcp.h>

#include "netback/offload.h"

#define MIN_FRAME 512u   /* a shorter one begins nothing: no bulk transfer */
#define MAX_OPEN 8u      /* flows that are looked at at a time */
#define MAX_IP 65535u
#define MAX_SEGMENTS 64u /* mbufs: more than a packet of 1,448-byte frames has */

/* A frame's headers: offsets, and what is compared most. */
struct frame {
	struct rte_mbuf *m;
	uint16_t l3, l4, payload_at;
	uint32_t payload; /* bytes */
	uint32_t seq;
	bool is_v6;
	bool is_pushed;
};

/* A packet to which frames may be joined. */
struct head {
	struct frame first;
	uint32_t payload; /* of all */
	uint16_t nr;      /* frames */
};

enum kind { OTHER, TCP, BULK };

static struct rte_ipv4_hdr *ipv4_of(const struct frame *f)
{
	return rte_pktmbuf_mtod_offset(f->m, struct rte_ipv4_hdr *, f->l3);
}

static struct rte_ipv6_hdr *ipv6_of(const struct frame *f)
{
	return rte_pktmbuf_mtod_offset(f->m, struct rte_ipv6_hdr *, f->l3);
}

static struct rte_tcp_hdr *tcp_of(const struct frame *f)
{
	return rte_pktmbuf_mtod_offset(f->m, struct rte_tcp_hdr *, f->l4);
}

/* Without options, whole, not padded: what a bulk transfer consists of. */
static enum kind find_ip(struct frame *f, uint16_t type)
{
	if (type == RTE_BE16(RTE_ETHER_TYPE_IPV4)) {
		const struct rte_ipv4_hdr *ip = ipv4_of(f);

		if (f->m->data_len < f->l3 + sizeof(*ip) || ip->next_proto_id != IPPROTO_TCP)
			return OTHER;
		f->l4 = (uint16_t)(f->l3 + sizeof(*ip));
		return ip->version_ihl == RTE_IPV4_VHL_DEF && !(ip->fragment_offset & ~RTE_BE16(RTE_IPV4_HDR_DF_FLAG)) &&
				       (uint32_t)rte_be_to_cpu_16(ip->total_length) + f->l3 == f->m->pkt_len ? BULK : TCP;
	}
	if (type == RTE_BE16(RTE_ETHER_TYPE_IPV6)) {
		const struct rte_ipv6_hdr *ip = ipv6_of(f);

		if (f->m->data_len < f->l3 + sizeof(*ip) || ip->proto != IPPROTO_TCP)
			return OTHER;
		f->is_v6 = true;
		f->l4 = (uint16_t)(f->l3 + sizeof(*ip));
		return (ip->vtc_flow & RTE_BE32(0xf0000000)) == RTE_BE32(0x60000000) &&
				       (uint32_t)rte_be_to_cpu_16(ip->payload_len) + f->l4 == f->m->pkt_len ? BULK : TCP;
	}
	return OTHER;
}

/* A segment with data and nothing else to say, in memory that is ours alone. */
static enum kind parse(struct rte_mbuf *m, struct frame *f)
{
	const struct rte_ether_hdr *eth = rte_pktmbuf_mtod(m, const struct rte_ether_hdr *);
	const struct rte_vlan_hdr *vlan = NULL;
	const struct rte_tcp_hdr *tcp;
	enum kind kind;

	*f = (struct frame){.m = m, .l3 = sizeof(*eth)};
	if (eth->ether_type == RTE_BE16(RTE_ETHER_TYPE_VLAN) && m->data_len >= sizeof(*eth) + sizeof(*vlan)) {
		vlan = (const struct rte_vlan_hdr *)(eth + 1);
		f->l3 += (uint16_t)sizeof(*vlan);
	}
	kind = find_ip(f, vlan ? vlan->eth_proto : eth->ether_type);
	if (kind != BULK || m->data_len < f->l4 + sizeof(*tcp))
		return kind == OTHER ? OTHER : TCP;
	tcp = tcp_of(f);
	f->payload_at = (uint16_t)(f->l4 + (tcp->data_off >> 4) * 4u);
	if (f->payload_at < f->l4 + sizeof(*tcp) || f->payload_at > m->data_len || f->payload_at >= m->pkt_len ||
	    (tcp->tcp_flags | RTE_TCP_PSH_FLAG) != (RTE_TCP_ACK_FLAG | RTE_TCP_PSH_FLAG) || !RTE_MBUF_DIRECT(m) ||
	    rte_mbuf_refcnt_read(m) != 1 || m->ol_flags & RTE_MBUF_F_TX_TCP_SEG)
		return TCP;
	f->payload = m->pkt_len - f->payload_at;
	f->seq = rte_be_to_cpu_32(tcp->sent_seq);
	f->is_pushed = tcp->tcp_flags & RTE_TCP_PSH_FLAG;
	return BULK;
}

/* Joined frames have one checksum, which is made anew: so each must have been right before. */
static bool is_sound(const struct frame *f)
{
	uint64_t said = f->m->ol_flags & RTE_MBUF_F_RX_L4_CKSUM_MASK;
	uint16_t sum = 0;
	uint32_t all;

	if (!f->is_v6 && rte_raw_cksum(ipv4_of(f), sizeof(struct rte_ipv4_hdr)) != 0xffff)
		return false;
	if (offload_needs(f->m) || said == RTE_MBUF_F_RX_L4_CKSUM_GOOD)
		return true; /* left blank by another guest, or seen to by the port */
	rte_raw_cksum_mbuf(f->m, f->l4, f->m->pkt_len - f->l4, &sum);
	all = (uint32_t)sum + (f->is_v6 ? rte_ipv6_phdr_cksum(ipv6_of(f), 0) : rte_ipv4_phdr_cksum(ipv4_of(f), 0));
	return __rte_raw_cksum_reduce(all) == 0xffff;
}

static bool is_same(const void *a, const void *b, uint32_t from, uint32_t to)
{
	return __builtin_memcmp((const uint8_t *)a + from, (const uint8_t *)b + from, to - from) == 0;
}

/* Service, flags, hops, addresses; and a number that cutting would give it again. */
static bool is_same_ip(const struct head *h, const struct frame *f)
{
	const struct rte_ipv4_hdr *a = ipv4_of(&h->first), *b = ipv4_of(f);

	if (f->is_v6) /* all but the length */
		return is_same(a, b, 0, 4) && is_same(a, b, 6, sizeof(struct rte_ipv6_hdr));
	return a->type_of_service == b->type_of_service && a->fragment_offset == b->fragment_offset &&
	       a->time_to_live == b->time_to_live && is_same(a, b, 12, sizeof(*a)) &&
	       rte_be_to_cpu_16(b->packet_id) == (uint16_t)(rte_be_to_cpu_16(a->packet_id) + h->nr);
}

/* Ethernet, ports, acknowledgement, window, options; all but sequence number, PSH and checksum. */
static bool is_same_flow(const struct head *h, const struct frame *f)
{
	const struct rte_tcp_hdr *a = tcp_of(&h->first), *b = tcp_of(f);

	return h->first.is_v6 == f->is_v6 && h->first.payload_at == f->payload_at && is_same(a, b, 0, 4) &&
	       is_same(rte_pktmbuf_mtod(h->first.m, void *), rte_pktmbuf_mtod(f->m, void *), 0, f->l3) && is_same_ip(h, f);
}

static bool is_next(const struct head *h, const struct frame *f)
{
	const struct rte_tcp_hdr *a = tcp_of(&h->first), *b = tcp_of(f);

	return f->seq == h->first.seq + h->payload && a->recv_ack == b->recv_ack && a->data_off == b->data_off &&
	       a->rx_win == b->rx_win && is_same(a, b, sizeof(*a), f->payload_at - f->l4) && f->payload <= h->first.payload &&
	       h->first.payload_at - h->first.l3 + h->payload + f->payload <= MAX_IP &&
	       h->first.m->nb_segs + f->m->nb_segs <= MAX_SEGMENTS;
}

static void join(struct head *h, struct frame *f)
{
	if (f->is_pushed)
		tcp_of(&h->first)->tcp_flags |= RTE_TCP_PSH_FLAG;
	rte_pktmbuf_adj(f->m, f->payload_at);
	rte_pktmbuf_chain(h->first.m, f->m);
	h->payload += f->payload;
	h->nr++;
}

/* Headers of the whole; then it is as a sender's large packet. */
static void finish(const struct head *h)
{
	struct rte_mbuf *m = h->first.m;

	if (h->nr == 1)
		return;
	if (h->first.is_v6) {
		ipv6_of(&h->first)->payload_len = rte_cpu_to_be_16((uint16_t)(m->pkt_len - h->first.l4));
	} else {
		struct rte_ipv4_hdr *ip = ipv4_of(&h->first);

		ip->total_length = rte_cpu_to_be_16((uint16_t)(m->pkt_len - h->first.l3));
		ip->hdr_checksum = 0;
		ip->hdr_checksum = rte_ipv4_cksum(ip);
	}
	m->ol_flags &= ~(RTE_MBUF_F_RX_L4_CKSUM_MASK | RTE_MBUF_F_RX_RSS_HASH);
	offload_segment(m, h->first.is_v6, (uint16_t)h->first.payload); /* it has been looked at: it cannot fail */
}

/* The head that this frame may not overtake or is joined to; MAX_OPEN: none. */
static unsigned find_head(const struct head heads[], unsigned nr, const struct frame *f)
{
	for (unsigned i = 0; i < nr; i++)
		if (is_same_flow(&heads[i], f))
			return i;
	return MAX_OPEN;
}

struct gro {
	unsigned caps, nr;
	struct head heads[MAX_OPEN];
};

static void close_head(struct gro *g, unsigned i)
{
	finish(&g->heads[i]);
	g->heads[i] = g->heads[--g->nr];
}

/* True: the frame has been joined to another. Else it stays in the burst, and may be the first of several. */
static bool take(struct gro *g, struct frame *f)
{
	unsigned at = find_head(g->heads, g->nr, f);

	if (at < MAX_OPEN) {
		struct head *h = &g->heads[at];

		if (is_next(h, f) && (h->nr > 1 || is_sound(&h->first)) && is_sound(f)) {
			bool is_last = f->is_pushed || f->payload < h->first.payload;

			join(h, f);
			if (is_last)
				close_head(g, at);
			return true;
		}
		close_head(g, at);
	}
	if (f->is_pushed || f->m->pkt_len < MIN_FRAME || f->payload < OFFLOAD_MIN_SEGMENT)
		return false;
	if (g->nr == MAX_OPEN)
		close_head(g, 0);
	g->heads[g->nr++] = (struct head){.first = *f, .payload = f->payload, .nr = 1};
	return false;
}

uint16_t gro_burst(struct rte_mbuf **pkts, uint16_t n, unsigned caps)
{
	struct gro g;
	uint16_t left = 0;

	g.caps = caps;
	g.nr = 0;
	for (uint16_t i = 0; i < n; i++) {
		struct rte_mbuf *m = pkts[i];
		struct frame f;
		enum kind kind;

		/* Small packets cost this look as long as no flow is open. */
		if (likely(g.nr == 0 && m->pkt_len < MIN_FRAME)) {
			pkts[left++] = m;
			continue;
		}
		kind = parse(m, &f);
		/* Of TCP's other packets none may be overtaken. */
		while (kind == TCP && g.nr)
			close_head(&g, 0);
		if (kind != BULK || !(g.caps & (f.is_v6 ? OFFLOAD_GSO_IPV6 : OFFLOAD_GSO_IPV4)) || !take(&g, &f))
			pkts[left++] = m;
	}
	while (g.nr)
		close_head(&g, 0);
	return left;
}
