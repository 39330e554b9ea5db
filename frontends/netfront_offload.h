/*
 * frontends/netfront_offload.h - between a frame's netif offloads and virtio_net_hdr, which a TAP speaks.   [hot]
 *
 * netif says only "the TCP or UDP checksum is blank"; virtio says where it starts and where it goes. So headers are read
 * here: from the callers' private copy of a frame's beginning.
 *
 * Trusts   no header.
 * Runs in  any thread.
 * Fails    -EINVAL: no header that would fit what the frame says of itself.
 */
#ifndef SLUICE_FRONTENDS_NETFRONT_OFFLOAD_H
#define SLUICE_FRONTENDS_NETFRONT_OFFLOAD_H

#include <linux/virtio_net.h>

#include "frontends/netfront_ring.h"

#define NETFRONT_HEAD_BYTES 256u /* enough for every header that is looked at */

/* Where the TCP or UDP header of a frame is. */
struct netfront_headers {
	uint16_t l3;      /* offset of the IP header */
	uint16_t l4;      /* of the TCP or UDP header */
	uint8_t protocol; /* IPPROTO_TCP or IPPROTO_UDP */
	bool is_v6;
};

/* Ethernet, up to two VLAN tags, IPv4 or IPv6 with extension headers, TCP or UDP; no fragment. -EINVAL: something else. */
int netfront_find_headers(const uint8_t *head, uint32_t head_bytes, struct netfront_headers *h);

/*
 * What a TAP says of a frame of bytes bytes, as netif's meta. pieces hold the frame, in memory of our own; a blank checksum
 * that the back end does not take (can: enum netfront_ability) is filled in there. -EINVAL.
 */
int netfront_from_virtio(const struct virtio_net_hdr *hdr, const struct iovec pieces[], uint32_t bytes, uint32_t can,
			 struct netfront_meta *meta);
/*
 * A received frame's meta for a TAP. head: its first head_bytes bytes, in which the pseudo header's sum may be written anew.
 * -EINVAL: it lies about itself.
 */
int netfront_to_virtio(const struct netfront_meta *meta, uint8_t *head, uint32_t head_bytes, uint32_t bytes,
		       struct virtio_net_hdr *hdr);

#endif
