/*
 * test/lib/blk_guest.h - a guest that writes, reads and flushes at random and checks every block against what it last wrote there.
 *
 * Small requests, big (indirect) ones where they are offered, flushes and barriers; no two in flight on the same blocks.
 */
#ifndef SLUICE_TEST_BLK_GUEST_H
#define SLUICE_TEST_BLK_GUEST_H

#include "blk_box.h"

#define BLK_GUEST_SECTORS 2048u
#define BLK_GUEST_BLOCKS (BLK_GUEST_SECTORS / BLKIF_SECTORS_PER_PAGE)
#define BLK_GUEST_DEPTH 12u
#define BLK_GUEST_PAGES 3u /* of data in a request; its fourth page is for the descriptors of a big one */

struct blk_guest {
	struct blk_box box;
	uint32_t random;
	uint32_t stamp[BLK_GUEST_BLOCKS]; /* what every word of the block must be */
	bool is_busy[BLK_GUEST_BLOCKS];
	unsigned nr_in_flight;
	unsigned nr_sent;
	struct {
		bool is_used;
		uint8_t op;
		uint64_t id;
		unsigned block, nr_pages;
	} place[BLK_GUEST_DEPTH];
	uint64_t next_id;
};

/* Sends a burst of at least one request if there is room, while fewer than max were sent. */
void blk_guest_send(struct blk_guest *g, unsigned max);
/* Waits for one answer and checks it, and all that have come with it. */
void blk_guest_receive(struct blk_guest *g);

#endif
