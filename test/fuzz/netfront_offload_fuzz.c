/*
 * test/fuzz/netfront_offload_fuzz.c - the input is a frame, what it says of itself, and what a TAP says of it.
 */
#include <stdlib.h>

#include "frontends/netfront_offload.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct said {
	struct virtio_net_hdr hdr;
	uint8_t flags;
	uint8_t gso_type;
	uint16_t gso_size;
	uint32_t can;
};

static uint8_t pages[2 * PAGE_BYTES] __attribute__((aligned(PAGE_BYTES)));

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct iovec pieces[2] = {{pages, PAGE_BYTES}, {pages + PAGE_BYTES, PAGE_BYTES}};
	struct netfront_meta meta = {0};
	struct virtio_net_hdr hdr;
	struct said said;
	uint32_t bytes;
	uint8_t *head;

	if (size < sizeof(said) + NETFRONT_MIN_FRAME || size > sizeof(said) + sizeof(pages))
		return 0;
	memcpy(&said, data, sizeof(said));
	bytes = (uint32_t)(size - sizeof(said));
	memcpy(pages, data + sizeof(said), bytes);
	netfront_from_virtio(&said.hdr, pieces, bytes, said.can, &meta);
	meta = (struct netfront_meta){.flags = said.flags, .gso_type = said.gso_type, .gso_size = said.gso_size};
	size = bytes < NETFRONT_HEAD_BYTES ? bytes : NETFRONT_HEAD_BYTES;
	head = malloc(size); /* so that a sanitizer sees its end */
	memcpy(head, data + sizeof(said), size);
	if (netfront_to_virtio(&meta, head, (uint32_t)size, bytes, &hdr) == 0 && hdr.flags & VIRTIO_NET_HDR_F_NEEDS_CSUM &&
	    (uint32_t)hdr.csum_start + hdr.csum_offset + 2 > size)
		abort();
	free(head);
	return 0;
}
