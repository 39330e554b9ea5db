/*
 * rings/blkif.h - the block device's ring, x86_64 layout ("x86_64-abi", which is native here).
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

RING_DEFINE(blkif_ring, struct blkif_request, struct blkif_response);

_Static_assert(sizeof(union blkif_ring_slot) == sizeof(union blkif_sring_entry), "slot");
_Static_assert(sizeof(struct blkif_request) == 112 && sizeof(struct blkif_response) == 16, "wire");
_Static_assert(offsetof(struct blkif_request, id) == 8, "wire");
_Static_assert(offsetof(struct blkif_request, sector_number) == 16, "wire");
_Static_assert(offsetof(struct blkif_request, seg) == 24, "wire");
_Static_assert(offsetof(struct blkif_response, status) == 10, "wire");
_Static_assert(sizeof(struct blkif_request_segment) == 8, "wire");

#endif
