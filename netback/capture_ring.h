/*
 * netback/capture_ring.h - captured packets on their way from the back end to the program that writes them down.
 *
 *      sluice-netback's worker      memfd: one page, then a ring of bytes        sluice capture
 *      room, fill, publish    -->   record packet record packet ...      -->     take, done
 *      drops, counts                                                             sleeps when it is empty
 *
 * The ring's bytes are mapped twice, one after the other, so that no record is ever split. The memfd is sealed: neither side
 * can shrink it under the other. A writer that finds no room drops the packet and says so in the next record.
 *
 * Owns     both mappings, from create or open to close.
 * Trusts   the writer: not the reader's index. The reader: not the writer's index, nor a record's sizes.
 * Runs in  one writer, one reader.
 * Fails    0 or -errno; an index that cannot be is -EPROTO, and the ring is not used any more.
 */
#ifndef SLUICE_NETBACK_CAPTURE_RING_H
#define SLUICE_NETBACK_CAPTURE_RING_H

#include <errno.h>
#include <stddef.h>

#include "rings/atomics.h"
#include "rings/types.h"

#define CAPTURE_RING_MIN_BYTES (128u << 10) /* the longest packet has room */
#define CAPTURE_RING_MAX_BYTES (1u << 30)

/* The first page. B: the back end writes, R: the reader. */
struct capture_area {
	uint64_t prod;     /* B bytes, free-running */
	uint64_t seen;     /* B packets of the directions and queue that were asked for */
	uint64_t accepted; /* B of these, by the filter */
	uint64_t dropped;  /* B of these, for lack of room */
	uint32_t is_over;  /* B as many packets as were asked for have been taken */
	uint32_t unused[7];
	uint64_t cons;       /* R bytes, free-running */
	uint32_t wants_wake; /* R sets before it sleeps, B clears when it wakes it */
};

_Static_assert(offsetof(struct capture_area, cons) == 64, "each side writes a cache line of its own");

struct capture_record {
	uint64_t tsc;
	uint64_t dropped;     /* packets lost since the last record */
	uint32_t bytes;       /* of the packet, that follow */
	uint32_t frame_bytes; /* of the whole packet */
	uint16_t queue;
	uint16_t direction; /* CAPTURE_TX or CAPTURE_RX */
	uint32_t unused;
};

_Static_assert(sizeof(struct capture_record) == 32, "abi");

struct capture_ring {
	struct capture_area *sh;
	uint8_t *data;
	uint64_t bytes;      /* of data, a power of two; 0: counters only */
	uint64_t prod, cons; /* one's own index, and what one last saw of the other's */
	bool is_broken;      /* the reader's index could not be */
};

/* A new ring and the fd to hand to the reader, which is the caller's. bytes: 0, or a power of two in range. */
int capture_ring_create(struct capture_ring *r, uint64_t bytes, int *fd);
/* The ring behind an fd, which stays the caller's. */
int capture_ring_open(struct capture_ring *r, int fd);
/* Twice does no harm. */
void capture_ring_close(struct capture_ring *r);

static inline uint64_t capture_ring_need(uint32_t bytes)
{
	return (sizeof(struct capture_record) + bytes + 15u) & ~(uint64_t)15;
}

/* Where a record with so many bytes behind it may be written; NULL: no room. */
static inline struct capture_record *capture_ring_room(struct capture_ring *r, uint32_t bytes)
{
	uint64_t need = capture_ring_need(bytes);

	if (r->prod + need - r->cons > r->bytes) {
		uint64_t cons = load_acquire(&r->sh->cons); /* pairs with capture_ring_done: what is overwritten was read */

		r->is_broken |= r->prod - cons > r->bytes;
		if (r->is_broken)
			return NULL; /* and again: the index that we know leaves no room */
		r->cons = cons;
		if (r->prod + need - cons > r->bytes)
			return NULL;
	}
	return (struct capture_record *)(r->data + (r->prod & (r->bytes - 1)));
}

/* The record at capture_ring_room's place is written, with so many bytes behind it. */
static inline void capture_ring_put(struct capture_ring *r, uint32_t bytes)
{
	r->prod += capture_ring_need(bytes);
}

/* Shows all that was put; true: the reader sleeps, and is to be woken. */
static inline bool capture_ring_publish(struct capture_ring *r)
{
	store_release(&r->sh->prod, r->prod); /* pairs with capture_ring_take: records before the index */
	full_fence(); /* pairs with capture_ring_arm's: the reader sees the index, or we see that it sleeps */
	if (!load_relaxed(&r->sh->wants_wake))
		return false;
	store_relaxed(&r->sh->wants_wake, 0);
	return true;
}

/* The next record, copied, and where its bytes are until capture_ring_done. 1; 0: there is none; -EPROTO. */
static inline int capture_ring_take(struct capture_ring *r, struct capture_record *rec, const uint8_t **bytes)
{
	if (r->prod == r->cons)
		r->prod = load_acquire(&r->sh->prod); /* pairs with capture_ring_publish */
	if (r->prod == r->cons)
		return 0;
	if (r->prod - r->cons > r->bytes || r->prod - r->cons < sizeof(*rec))
		return -EPROTO;
	__builtin_memcpy(rec, r->data + (r->cons & (r->bytes - 1)), sizeof(*rec));
	compiler_fence(); /* checked and used is the copy */
	if (rec->bytes > rec->frame_bytes || capture_ring_need(rec->bytes) > r->prod - r->cons)
		return -EPROTO;
	*bytes = r->data + (r->cons & (r->bytes - 1)) + sizeof(*rec);
	return 1;
}

/* The bytes of the record that was taken are not looked at any more. */
static inline void capture_ring_done(struct capture_ring *r, const struct capture_record *rec)
{
	r->cons += capture_ring_need(rec->bytes);
	store_release(&r->sh->cons, r->cons); /* pairs with capture_ring_room */
}

/* Asks to be woken. True: the ring has something already. */
static inline bool capture_ring_arm(struct capture_ring *r)
{
	store_relaxed(&r->sh->wants_wake, 1);
	full_fence(); /* pairs with capture_ring_publish's */
	return load_acquire(&r->sh->prod) != r->cons || load_relaxed(&r->sh->is_over);
}

#endif
