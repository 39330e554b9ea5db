/*
 * frontends/netfront_offload.c - reads headers, moves offloads from one description to the other.   [hot]
 *
 * Trusts, Runs in, Fails: netfront_offload.h.
 */
#include "frontends/netfront_offload.h"

#include <arpa/inet.h>
#include <linux/if_ether.h>
#include <netinet/ip.h>
#include <netinet/ip6.h>
#include <netinet/tcp.h>
#include <netinet/udp.h>

#define MAX_EXTENSIONS 8u /* of an IPv6 header: more serve nobody but who wants to keep us busy */

static uint16_t read16(const uint8_t *p)
{
	return (uint16_t)(p[0] << 8 | p[1]);
}

/* ---- headers ------------------------------------------------------------------------------------------------------------- */

static int find_v4(const uint8_t *head, uint32_t bytes, uint32_t at, struct netfront_headers *h)
{
	uint32_t header;

	if (at + sizeof(struct iphdr) > bytes || head[at] >> 4 != 4)
		return -EINVAL;
	header = (head[at] & 15u) * 4;
	if (header < sizeof(struct iphdr) || read16(head + at + 6) & (IP_MF | IP_OFFMASK))
		return -EINVAL;
	h->protocol = head[at + 9];
	h->l4 = (uint16_t)(at + header);
	h->is_v6 = false;
	return 0;
}

static int find_v6(const uint8_t *head, uint32_t bytes, uint32_t at, struct netfront_headers *h)
{
	uint8_t next;

	if (at + sizeof(struct ip6_hdr) > bytes || head[at] >> 4 != 6)
		return -EINVAL;
	next = head[at + 6];
	at += sizeof(struct ip6_hdr);
	for (unsigned i = 0; next == IPPROTO_HOPOPTS || next == IPPROTO_ROUTING || next == IPPROTO_DSTOPTS; i++) {
		if (i == MAX_EXTENSIONS || at + 2 > bytes)
			return -EINVAL;
		next = head[at];
		at += (head[at + 1] + 1u) * 8;
	}
	h->protocol = next;
	h->l4 = (uint16_t)at;
	h->is_v6 = true;
	return 0;
}

int netfront_find_headers(const uint8_t *head, uint32_t head_bytes, struct netfront_headers *h)
{
	uint32_t at = ETH_HLEN;
	uint16_t type;
	int rc = -EINVAL;

	if (head_bytes < at)
		return -EINVAL;
	type = read16(head + 12);
	for (unsigned tags = 0; tags < 2 && (type == ETH_P_8021Q || type == ETH_P_8021AD); tags++) {
		if (head_bytes < at + 4)
			return -EINVAL;
		type = read16(head + at + 2);
		at += 4;
	}
	h->l3 = (uint16_t)at;
	if (type == ETH_P_IP)
		rc = find_v4(head, head_bytes, at, h);
	else if (type == ETH_P_IPV6)
		rc = find_v6(head, head_bytes, at, h);
	if (rc)
		return rc;
	if (h->protocol == IPPROTO_TCP)
		return h->l4 + sizeof(struct tcphdr) <= head_bytes ? 0 : -EINVAL;
	if (h->protocol == IPPROTO_UDP)
		return h->l4 + sizeof(struct udphdr) <= head_bytes ? 0 : -EINVAL;
	return -EINVAL;
}

static uint16_t checksum_at(const struct netfront_headers *h)
{
	return h->protocol == IPPROTO_TCP ? offsetof(struct tcphdr, check) : offsetof(struct udphdr, check);
}

/* ---- sums ------------------------------------------------------------------------------------------------------------------ */

static uint16_t fold(uint64_t sum)
{
	while (sum >> 16)
		sum = (sum & 0xffff) + (sum >> 16);
	return (uint16_t)sum;
}

static uint64_t add_bytes(uint64_t sum, const uint8_t *p, uint32_t bytes)
{
	for (; bytes >= 2; p += 2, bytes -= 2)
		sum += read16(p);
	return bytes ? sum + (uint64_t)(*p << 8) : sum;
}

/* Addresses, protocol and length: what the checksum field of a blank frame holds, not inverted. */
static uint16_t pseudo_sum(const uint8_t *head, const struct netfront_headers *h, uint32_t l4_bytes)
{
	uint64_t sum = l4_bytes + (uint64_t)h->protocol;

	if (h->is_v6)
		return fold(add_bytes(sum, head + h->l3 + offsetof(struct ip6_hdr, ip6_src), 32));
	return fold(add_bytes(sum, head + h->l3 + offsetof(struct iphdr, saddr), 8));
}

/* The packet may be shorter than its frame, which was padded. A large TCP frame is as long as it is. */
static uint32_t l4_length(const uint8_t *head, const struct netfront_headers *h, uint32_t bytes, bool is_gso)
{
	uint32_t end = h->l3 + (h->is_v6 ? sizeof(struct ip6_hdr) + read16(head + h->l3 + 4) : read16(head + h->l3 + 2));

	return (is_gso || end <= h->l4 || end > bytes ? bytes : end) - h->l4;
}

/* Sums bytes from start to the frame's end, and stores the result at start + offset. Pieces are whole pages but the last. */
static void fill_checksum(const struct iovec pieces[], uint32_t bytes, uint32_t start, uint32_t offset)
{
	uint8_t *field = (uint8_t *)pieces[0].iov_base + start + offset;
	uint64_t sum = 0;
	uint16_t value;

	for (uint32_t at = start; at < bytes;) {
		const struct iovec *piece = &pieces[at / PAGE_BYTES];
		uint32_t in = at % PAGE_BYTES, now = PAGE_BYTES - in;

		if (now > bytes - at)
			now = bytes - at;
		if ((at - start) & 1) {
			sum += ((const uint8_t *)piece->iov_base)[in++];
			at++;
			now--;
		}
		sum = add_bytes(sum, (const uint8_t *)piece->iov_base + in, now);
		at += now;
	}
	value = (uint16_t)~fold(sum);
	value = htons(value ? value : 0xffff);
	memcpy(field, &value, sizeof(value));
}

/* ---- from a TAP ----------------------------------------------------------------------------------------------------------- */

static int take_gso(const struct virtio_net_hdr *hdr, uint32_t can, struct netfront_meta *meta)
{
	uint8_t type = hdr->gso_type & ~VIRTIO_NET_HDR_GSO_ECN;

	if (type == VIRTIO_NET_HDR_GSO_NONE)
		return 0;
	if (type == VIRTIO_NET_HDR_GSO_TCPV4 && can & NETFRONT_GSO4)
		meta->gso_type = XEN_NETIF_GSO_TYPE_TCPV4;
	else if (type == VIRTIO_NET_HDR_GSO_TCPV6 && can & NETFRONT_GSO6)
		meta->gso_type = XEN_NETIF_GSO_TYPE_TCPV6;
	else
		return -EINVAL;
	meta->gso_size = hdr->gso_size;
	return hdr->gso_size ? 0 : -EINVAL;
}

int netfront_from_virtio(const struct virtio_net_hdr *hdr, const struct iovec pieces[], uint32_t bytes, uint32_t can,
			 struct netfront_meta *meta)
{
	uint32_t head = bytes < PAGE_BYTES ? bytes : PAGE_BYTES;
	struct netfront_headers h;
	bool is_known;

	*meta = (struct netfront_meta){0};
	if (take_gso(hdr, can, meta))
		return -EINVAL;
	if (hdr->flags & VIRTIO_NET_HDR_F_DATA_VALID)
		meta->flags = NETFRONT_CSUM_VALID;
	if (!(hdr->flags & VIRTIO_NET_HDR_F_NEEDS_CSUM))
		return meta->gso_size ? -EINVAL : 0;
	if ((uint32_t)hdr->csum_start + hdr->csum_offset + 2 > head)
		return -EINVAL;
	is_known = netfront_find_headers(pieces[0].iov_base, head, &h) == 0 && h.l4 == hdr->csum_start &&
		   checksum_at(&h) == hdr->csum_offset;
	if (is_known && can & (h.is_v6 ? NETFRONT_CSUM6 : NETFRONT_CSUM4)) {
		meta->flags = NETFRONT_CSUM_BLANK | NETFRONT_CSUM_VALID;
		return 0;
	}
	if (meta->gso_size)
		return -EINVAL;
	fill_checksum(pieces, bytes, hdr->csum_start, hdr->csum_offset);
	return 0;
}

/* ---- to a TAP ------------------------------------------------------------------------------------------------------------- */

int netfront_to_virtio(const struct netfront_meta *meta, uint8_t *head, uint32_t head_bytes, uint32_t bytes,
		       struct virtio_net_hdr *hdr)
{
	struct netfront_headers h;
	uint16_t sum;

	*hdr = (struct virtio_net_hdr){0};
	if (!meta->gso_size && !(meta->flags & NETFRONT_CSUM_BLANK)) {
		hdr->flags = meta->flags & NETFRONT_CSUM_VALID ? VIRTIO_NET_HDR_F_DATA_VALID : 0;
		return 0;
	}
	if (netfront_find_headers(head, head_bytes, &h))
		return -EINVAL;
	hdr->flags = VIRTIO_NET_HDR_F_NEEDS_CSUM;
	hdr->csum_start = h.l4;
	hdr->csum_offset = checksum_at(&h);
	hdr->hdr_len = (uint16_t)(h.l4 + (h.protocol == IPPROTO_TCP ? sizeof(struct tcphdr) : sizeof(struct udphdr)));
	/* Some senders leave the field empty, or count it otherwise: what it has to hold is known. */
	sum = htons(pseudo_sum(head, &h, l4_length(head, &h, bytes, meta->gso_size)));
	memcpy(head + h.l4 + hdr->csum_offset, &sum, sizeof(sum));
	if (!meta->gso_size)
		return 0;
	if (h.protocol != IPPROTO_TCP || h.is_v6 != (meta->gso_type == XEN_NETIF_GSO_TYPE_TCPV6))
		return -EINVAL;
	hdr->gso_type = h.is_v6 ? VIRTIO_NET_HDR_GSO_TCPV6 : VIRTIO_NET_HDR_GSO_TCPV4;
	hdr->gso_size = meta->gso_size;
	hdr->hdr_len = (uint16_t)(h.l4 + (head[h.l4 + 12] >> 4) * 4);
	return hdr->hdr_len >= h.l4 + sizeof(struct tcphdr) && hdr->hdr_len < bytes ? 0 : -EINVAL;
}
