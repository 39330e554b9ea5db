/*
 * rings/blkif.h - the block device's ring.
 *
 * Both halves speak the x86_64 layout ("x86_64-abi", which is native here) and the x86_32 one, whose 64-bit fields are aligned to
 * 4 bytes. struct blkif_any_front and blkif_any_back are halves of either: what goes in and comes out has the native layout.
 *
 * Sector numbers and counts on the wire are in units of 512 bytes, whatever the device's sector-size is.
 *
 * Spec     xen/io/blkif.h. Entries for ring orders 0 to 4: 32, 64, 128, 256, 512.
 */
#ifndef SLUICE_RINGS_BLKIF_H
#define SLUICE_RINGS_BLKIF_H

#include "rings/ring.h"

#include <xen/io/blkif.h>

#define BLKIF_SECTOR_BYTES 512u
#define BLKIF_SECTORS_PER_PAGE (PAGE_BYTES / BLKIF_SECTOR_BYTES)
#define BLKIF_MAX_RING_ORDER 4

#define BLKIF_SEGMENTS_PER_PAGE (PAGE_BYTES / sizeof(struct blkif_request_segment))
#define BLKIF_MAX_INDIRECT_SEGMENTS (BLKIF_MAX_INDIRECT_PAGES_PER_REQUEST * BLKIF_SEGMENTS_PER_PAGE)

RING_DEFINE(blkif_ring, struct blkif_request, struct blkif_response);

/* A slot in all that it may mean; operation says which. */
union blkif_any_request {
	struct blkif_request rw;
	struct blkif_request_discard discard;
	struct blkif_request_indirect indirect;
};

_Static_assert(sizeof(union blkif_ring_slot) == sizeof(union blkif_sring_entry), "slot");
_Static_assert(sizeof(struct blkif_request) == 112 && sizeof(struct blkif_response) == 16, "wire");
_Static_assert(offsetof(struct blkif_request, id) == 8, "wire");
_Static_assert(offsetof(struct blkif_request, sector_number) == 16, "wire");
_Static_assert(offsetof(struct blkif_request, seg) == 24, "wire");
_Static_assert(offsetof(struct blkif_response, status) == 10, "wire");
_Static_assert(sizeof(struct blkif_request_segment) == 8, "wire");
_Static_assert(sizeof(union blkif_any_request) == sizeof(struct blkif_request), "wire");
_Static_assert(offsetof(struct blkif_request_discard, nr_sectors) == 24, "wire");
_Static_assert(offsetof(struct blkif_request_indirect, handle) == 24, "wire");
_Static_assert(offsetof(struct blkif_request_indirect, indirect_grefs) == 28, "wire");

/* The x86_32 layout: the same fields in the same order. */
#define BLKIF32 __attribute__((packed, aligned(4)))

struct blkif32_head {
	uint8_t operation;
	uint8_t byte;  /* nr_segments, flag, indirect_op */
	uint16_t word; /* handle; indirect: nr_segments */
	uint64_t id;
	uint64_t sector_number;
} BLKIF32;

struct blkif32_request {
	struct blkif32_head head;
	union {
		struct blkif_request_segment seg[BLKIF_MAX_SEGMENTS_PER_REQUEST];
		struct {
			uint32_t low, high;
		} nr_sectors; /* discard */
		struct {
			uint16_t handle;
			uint16_t pad;
			grant_ref_t grefs[BLKIF_MAX_INDIRECT_PAGES_PER_REQUEST];
		} indirect;
	};
} BLKIF32;

struct blkif32_response {
	uint64_t id;
	uint8_t operation;
	uint8_t pad;
	int16_t status;
} BLKIF32;

RING_DEFINE(blkif32_ring, struct blkif32_request, struct blkif32_response);

_Static_assert(sizeof(union blkif32_ring_slot) == 108 && sizeof(struct blkif32_response) == 12, "wire");
_Static_assert(offsetof(struct blkif32_head, id) == 4 && offsetof(struct blkif32_head, sector_number) == 12, "wire");
_Static_assert(offsetof(struct blkif32_request, seg) == 20 && offsetof(struct blkif32_request, indirect.grefs) == 24, "wire");
_Static_assert(offsetof(struct blkif32_response, status) == 10, "wire");

/*
 * What the native layout has and the other has not: four bytes between a request's word and its id. All that follows, in every kind
 * of request, lies as it does natively; so does a response, which is only longer at its end.
 */
#define BLKIF32_GAP_BYTES (offsetof(struct blkif_request, id) - offsetof(struct blkif32_head, id))

_Static_assert(offsetof(struct blkif32_request, seg) + BLKIF32_GAP_BYTES == offsetof(struct blkif_request, seg), "gap");
_Static_assert(offsetof(struct blkif32_request, nr_sectors) + BLKIF32_GAP_BYTES == offsetof(struct blkif_request_discard, nr_sectors),
	       "gap");
_Static_assert(offsetof(struct blkif32_request, indirect.grefs) + BLKIF32_GAP_BYTES ==
		       offsetof(struct blkif_request_indirect, indirect_grefs),
	       "gap");

/* A front half of either layout. Both have the same number of slots, so all but the slots themselves is done on native. */
struct blkif_any_front {
	struct blkif_ring_front native;
	bool is_x86_32;
};

_Static_assert(sizeof(struct blkif32_ring_front) == sizeof(struct blkif_ring_front), "one head for both");

/*
 * Writes one request of any kind, its first bytes of them, at least up to sector_number's end; the rest of the slot stays what it was.
 * Needs a free slot.
 */
RING_FN void blkif_any_front_put(struct blkif_any_front *f, const void *request, size_t bytes)
{
	const size_t id = offsetof(struct blkif_request, id), narrow_id = offsetof(struct blkif32_head, id);
	uint32_t at = f->native.req_prod++ & f->native.mask;
	uint8_t *narrow_sh;

	if (!f->is_x86_32) {
		ring_copy(&f->native.sh->slot[at].req, request, bytes);
		return;
	}
	narrow_sh = (uint8_t *)&((struct blkif32_ring_area_sh *)f->native.sh)->slot[at].req;
	ring_copy(narrow_sh, request, narrow_id);
	ring_copy(narrow_sh + narrow_id, (const uint8_t *)request + id, bytes - id);
}

/* Copies one response out, in the native layout. Only as many as blkif_ring_front_pending said. */
RING_FN void blkif_any_front_take(struct blkif_any_front *f, struct blkif_response *rsp)
{
	struct blkif32_ring_area_sh *sh = (struct blkif32_ring_area_sh *)f->native.sh;
	struct blkif32_response narrow;

	if (!f->is_x86_32) {
		blkif_ring_front_take(&f->native, rsp);
		return;
	}
	ring_copy(&narrow, &sh->slot[f->native.rsp_cons++ & f->native.mask].rsp, sizeof(narrow));
	*rsp = (struct blkif_response){.id = narrow.id, .operation = narrow.operation, .status = narrow.status};
}

/* A back half of either layout, as the front half. */
struct blkif_any_back {
	struct blkif_ring_back native;
	bool is_x86_32;
};

_Static_assert(sizeof(struct blkif32_ring_back) == sizeof(struct blkif_ring_back), "one head for both");

/* Copies one request out, in the native layout. Only as many as blkif_ring_back_pending said. */
RING_FN void blkif_any_back_take(struct blkif_any_back *b, union blkif_any_request *req)
{
	struct blkif32_ring_area_sh *sh = (struct blkif32_ring_area_sh *)b->native.sh;
	struct blkif32_request narrow;

	if (!b->is_x86_32) {
		blkif_ring_back_take(&b->native, &req->rw);
		return;
	}
	ring_copy(&narrow, &sh->slot[b->native.req_cons++ & b->native.mask].req, sizeof(narrow));
	req->rw.operation = narrow.head.operation;
	req->rw.nr_segments = narrow.head.byte;
	req->rw.handle = narrow.head.word;
	req->rw.id = narrow.head.id;
	req->rw.sector_number = narrow.head.sector_number;
	if (narrow.head.operation == BLKIF_OP_INDIRECT) {
		req->indirect.handle = narrow.indirect.handle;
		memcpy(req->indirect.indirect_grefs, narrow.indirect.grefs, sizeof(narrow.indirect.grefs));
	} else if (narrow.head.operation == BLKIF_OP_DISCARD) {
		req->discard.nr_sectors = (uint64_t)narrow.nr_sectors.high << 32 | narrow.nr_sectors.low;
	} else {
		memcpy(req->rw.seg, narrow.seg, sizeof(narrow.seg));
	}
}

/* Gives back the request that was taken last: it will be taken again. */
RING_FN void blkif_any_back_untake(struct blkif_any_back *b)
{
	b->native.req_cons--;
}

/* Writes one response, every byte of it; the front half sees it at the next push. */
RING_FN void blkif_any_back_put(struct blkif_any_back *b, uint64_t id, uint8_t operation, int16_t status)
{
	struct blkif32_ring_area_sh *sh = (struct blkif32_ring_area_sh *)b->native.sh;

	if (b->is_x86_32) {
		struct blkif32_response narrow = {.id = id, .operation = operation, .pad = 0, .status = status};

		ring_copy(&sh->slot[b->native.rsp_prod++ & b->native.mask].rsp, &narrow, sizeof(narrow));
	} else {
		struct blkif_response rsp;

		memset(&rsp, 0, sizeof(rsp)); /* padding too: no stack reaches the guest (XSA-216) */
		rsp.id = id;
		rsp.operation = operation;
		rsp.status = status;
		blkif_ring_back_put(&b->native, &rsp);
	}
}

#endif
