/*
 * rings/ring.h - a shared ring, front half and back half, over Xen's layout.
 *
 *      front                        shared page                       back
 *      put, push  ------------->  req_prod   slots  ------------->  pending, take
 *      pending, take  <---------  slots   rsp_prod  <-------------  put, push
 *      final_check: rsp_event = cons + 1          req_event = cons + 1 :final_check
 *
 * RING_DEFINE(name, req, rsp) makes struct name_front, struct name_back and their functions. Indices run
 * freely over 32 bits; slot = idx & mask. What the peer can write is read once into a local copy, here, and
 * nowhere else: there is no function that returns a pointer into the ring.
 *
 * Trusts   nothing behind sh. A producer index that no honest peer can have written is -EPROTO, for good:
 *          the ring cannot be resynchronised and its owner closes the device.
 * Runs in  one thread for each half.
 * Spec     xen/io/ring.h: layout, sizes, and the event rule.
 */
#ifndef SLUICE_RINGS_RING_H
#define SLUICE_RINGS_RING_H

#include <errno.h>
#include <string.h>

#include "rings/atomics.h"
#include "rings/types.h"

/* Head of the shared page. F: written by the front half, B: by the back half. */
struct ring_head_sh {
	uint32_t req_prod;  /* F */
	uint32_t req_event; /* B: wake me when req_prod passes this */
	uint32_t rsp_prod;  /* B */
	uint32_t rsp_event; /* F: wake me when rsp_prod passes this */
	uint8_t pad[48];
};

_Static_assert(sizeof(struct ring_head_sh) == 64, "slots start at byte 64");

/* The largest power of two of slots that fits the shared area; 0 when not even one does. */
static inline uint32_t ring_slots(size_t area_bytes, size_t slot_bytes)
{
	uint32_t n = 1;

	if (area_bytes < sizeof(struct ring_head_sh) + slot_bytes)
		return 0;
	while (sizeof(struct ring_head_sh) + (size_t)n * 2 * slot_bytes <= area_bytes)
		n *= 2;
	return n;
}

/* Did prod, moving from old to now, pass the index at which the peer asked to be woken? */
static inline bool ring_event_passed(uint32_t event, uint32_t old, uint32_t now)
{
	return now - event < now - old;
}

/* Resets the shared head, as its owner (the front end) does before it offers the ring. */
static inline void ring_head_init(void *area)
{
	struct ring_head_sh *sh = area;

	memset(sh, 0, sizeof(*sh));
	sh->req_event = 1;
	sh->rsp_event = 1;
}

/* Publishes an index; true: the peer sleeps, or is about to, and must be woken. */
static inline bool ring_publish(uint32_t *prod_sh, const uint32_t *event_sh, uint32_t old, uint32_t now)
{
	store_release(prod_sh, now); /* pairs with ring_peek's acquire: slots before index */
	full_fence();                /* pairs with ring_arm's: either we see its event or it sees our index */
	return ring_event_passed(load_relaxed(event_sh), old, now);
}

/* The peer's producer index, read once. */
static inline uint32_t ring_peek(const uint32_t *prod_sh)
{
	return load_acquire(prod_sh); /* pairs with ring_publish's release */
}

/* Asks to be woken at the next entry after cons; the caller must look once more before it sleeps. */
static inline void ring_arm(uint32_t *event_sh, uint32_t cons)
{
	store_relaxed(event_sh, cons + 1);
	full_fence(); /* pairs with ring_publish's */
}

#define RING_LINE_BYTES 64u /* of a processor's cache */

/*
 * Copies one slot out of the ring; the fence keeps the compiler from fetching a field twice. (Slots are written field by field: a copy
 * in words, of a local made field by field, would wait until all stores before it have left the processor.)
 */
static inline void ring_copy(void *dst, const void *src, size_t bytes)
{
	__builtin_memcpy(dst, src, bytes);
	compiler_fence();
}

/* One .c file may use fewer than all of a ring's functions. */
#define RING_FN static inline __attribute__((unused))

#define RING_DEFINE(name, req_type, rsp_type)                                                                   \
	union name##_slot {                                                                                     \
		req_type req;                                                                                   \
		rsp_type rsp;                                                                                   \
	};                                                                                                      \
	struct name##_area_sh {                                                                                 \
		struct ring_head_sh head;                                                                       \
		union name##_slot slot[];                                                                       \
	};                                                                                                      \
	struct name##_front {                                                                                   \
		struct name##_area_sh *sh;                                                                      \
		uint32_t mask;                                                                                  \
		uint32_t req_prod;  /* put so far */                                                            \
		uint32_t req_shown; /* pushed so far */                                                         \
		uint32_t rsp_cons;                                                                              \
	};                                                                                                      \
	struct name##_back {                                                                                    \
		struct name##_area_sh *sh;                                                                      \
		uint32_t mask;                                                                                  \
		uint32_t rsp_prod;  /* put so far */                                                            \
		uint32_t rsp_shown; /* pushed so far */                                                         \
		uint32_t req_cons;                                                                              \
	};                                                                                                      \
	/* Slots in an area of that many bytes (whole pages). */                                                \
	RING_FN uint32_t name##_slots(size_t area_bytes)                                                        \
	{                                                                                                       \
		return ring_slots(area_bytes, sizeof(union name##_slot));                                       \
	}                                                                                                       \
	/* Takes the area, resets its head. The area stays the caller's. */                                     \
	RING_FN void name##_front_init(struct name##_front *f, void *area, size_t area_bytes)                   \
	{                                                                                                       \
		ring_head_init(area);                                                                           \
		*f = (struct name##_front){.sh = area, .mask = name##_slots(area_bytes) - 1};                   \
	}                                                                                                       \
	/* Requests that still fit. */                                                                          \
	RING_FN uint32_t name##_front_free(const struct name##_front *f)                                        \
	{                                                                                                       \
		return f->mask + 1 - (f->req_prod - f->rsp_cons);                                               \
	}                                                                                                       \
	/* Writes one request; the back half sees it at the next push. Needs a free slot. */                    \
	RING_FN void name##_front_put(struct name##_front *f, const req_type *req)                              \
	{                                                                                                       \
		f->sh->slot[f->req_prod++ & f->mask].req = *req;                                                \
	}                                                                                                       \
	/* Publishes what was put; true: send the event. */                                                     \
	RING_FN bool name##_front_push(struct name##_front *f)                                                  \
	{                                                                                                       \
		uint32_t old = f->req_shown;                                                                    \
                                                                                                                \
		f->req_shown = f->req_prod;                                                                     \
		return ring_publish(&f->sh->head.req_prod, &f->sh->head.req_event, old, f->req_prod);           \
	}                                                                                                       \
	/* Responses to take now, or -EPROTO: more than there are requests. */                                  \
	RING_FN int name##_front_pending(const struct name##_front *f)                                          \
	{                                                                                                       \
		uint32_t n = ring_peek(&f->sh->head.rsp_prod) - f->rsp_cons;                                    \
                                                                                                                \
		return n <= f->req_shown - f->rsp_cons ? (int)n : -EPROTO;                                      \
	}                                                                                                       \
	/* Copies one response out. Only as many as pending said. */                                            \
	RING_FN void name##_front_take(struct name##_front *f, rsp_type *rsp)                                   \
	{                                                                                                       \
		ring_copy(rsp, &f->sh->slot[f->rsp_cons++ & f->mask].rsp, sizeof(*rsp));                        \
	}                                                                                                       \
	/* Copies the response out that is ahead of the next to be taken, and takes none. */                    \
	RING_FN void name##_front_look(const struct name##_front *f, uint32_t ahead, rsp_type *rsp)             \
	{                                                                                                       \
		ring_copy(rsp, &f->sh->slot[(f->rsp_cons + ahead) & f->mask].rsp, sizeof(*rsp));                \
	}                                                                                                       \
	/* Takes n that were looked at. */                                                                      \
	RING_FN void name##_front_skip(struct name##_front *f, uint32_t n)                                      \
	{                                                                                                       \
		f->rsp_cons += n;                                                                               \
	}                                                                                                       \
	/* n responses are about to be taken, and requests put into their places. */                            \
	RING_FN void name##_front_prefetch(const struct name##_front *f, uint32_t n)                            \
	{                                                                                                       \
		for (uint32_t i = 0; i < n; i += RING_LINE_BYTES / sizeof(union name##_slot))                   \
			prefetch_for_write(&f->sh->slot[(f->rsp_cons + i) & f->mask]);                          \
	}                                                                                                       \
	/* Before sleep: arms the event; true: there is more already (or an impossible index), do not sleep. */ \
	RING_FN bool name##_front_final_check(struct name##_front *f)                                           \
	{                                                                                                       \
		ring_arm(&f->sh->head.rsp_event, f->rsp_cons);                                                  \
		return name##_front_pending(f) != 0;                                                            \
	}                                                                                                       \
	/* Takes over an area that the front half has reset. */                                                 \
	RING_FN void name##_back_init(struct name##_back *b, void *area, size_t area_bytes)                     \
	{                                                                                                       \
		*b = (struct name##_back){.sh = area, .mask = name##_slots(area_bytes) - 1};                    \
	}                                                                                                       \
	/* Requests to take now, or -EPROTO: more than the ring holds beside the unanswered ones. */            \
	RING_FN int name##_back_pending(const struct name##_back *b)                                            \
	{                                                                                                       \
		uint32_t prod = ring_peek(&b->sh->head.req_prod);                                               \
		uint32_t n = prod - b->req_cons;                                                                \
                                                                                                                \
		return n <= b->mask + 1 - (b->req_cons - b->rsp_prod) ? (int)n : -EPROTO;                       \
	}                                                                                                       \
	/* Takes over an area in use where the last back half stopped, with all answered that it had taken. */  \
	/* -EPROTO: more requests than slots. A front half that wrote into rsp_prod deceives itself alone. */   \
	RING_FN int name##_back_attach(struct name##_back *b, void *area, size_t area_bytes)                    \
	{                                                                                                       \
		struct name##_back running;                                                                     \
                                                                                                                \
		name##_back_init(&running, area, area_bytes);                                                   \
		running.rsp_prod = ring_peek(&running.sh->head.rsp_prod);                                       \
		running.rsp_shown = running.req_cons = running.rsp_prod;                                        \
		if (name##_back_pending(&running) < 0)                                                          \
			return -EPROTO;                                                                         \
		*b = running;                                                                                   \
		return 0;                                                                                       \
	}                                                                                                       \
	/* Copies one request out. Only as many as pending said. */                                             \
	RING_FN void name##_back_take(struct name##_back *b, req_type *req)                                     \
	{                                                                                                       \
		ring_copy(req, &b->sh->slot[b->req_cons++ & b->mask].req, sizeof(*req));                        \
	}                                                                                                       \
	/* Copies the request out that is ahead of the next to be taken, and takes none. */                     \
	RING_FN void name##_back_look(const struct name##_back *b, uint32_t ahead, req_type *req)               \
	{                                                                                                       \
		ring_copy(req, &b->sh->slot[(b->req_cons + ahead) & b->mask].req, sizeof(*req));                \
	}                                                                                                       \
	/* Takes n that were looked at. */                                                                      \
	RING_FN void name##_back_skip(struct name##_back *b, uint32_t n)                                        \
	{                                                                                                       \
		b->req_cons += n;                                                                               \
	}                                                                                                       \
	/* n requests are about to be taken, and responses put into their places. */                            \
	RING_FN void name##_back_prefetch(const struct name##_back *b, uint32_t n)                              \
	{                                                                                                       \
		for (uint32_t i = 0; i < n; i += RING_LINE_BYTES / sizeof(union name##_slot))                   \
			prefetch_for_write(&b->sh->slot[(b->req_cons + i) & b->mask]);                          \
	}                                                                                                       \
	/* Writes one response; the front half sees it at the next push. At most one for each request taken. */ \
	RING_FN void name##_back_put(struct name##_back *b, const rsp_type *rsp)                                \
	{                                                                                                       \
		b->sh->slot[b->rsp_prod++ & b->mask].rsp = *rsp;                                                \
	}                                                                                                       \
	/* Publishes what was put; true: send the event. */                                                     \
	RING_FN bool name##_back_push(struct name##_back *b)                                                    \
	{                                                                                                       \
		uint32_t old = b->rsp_shown;                                                                    \
                                                                                                                \
		b->rsp_shown = b->rsp_prod;                                                                     \
		return ring_publish(&b->sh->head.rsp_prod, &b->sh->head.rsp_event, old, b->rsp_prod);           \
	}                                                                                                       \
	/* Before sleep: arms the event; true: there is more already (or an impossible index), do not sleep. */ \
	RING_FN bool name##_back_final_check(struct name##_back *b)                                             \
	{                                                                                                       \
		ring_arm(&b->sh->head.req_event, b->req_cons);                                                  \
		return name##_back_pending(b) != 0;                                                             \
	}                                                                                                       \
	_Static_assert(offsetof(struct name##_area_sh, slot) == 64, #name ": slots start at byte 64")

#endif
