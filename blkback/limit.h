/*
 * blkback/limit.h - how fast a vbd may go: requests and bytes a second, reads and writes apart.   [hot: may, charge]
 *
 * Each is a token bucket, kept as one number: the moment at which all that was let through so far would have been through at the
 * limit's pace. A request may start while that moment is no further ahead than the burst; what it costs moves it on. So a request
 * that is larger than the burst is let through and paid for afterwards, and a queue that wakes late has lost nothing.
 *
 * All queues of a vbd share it: a queue that looks while another charges may let one request too many through, which is paid for
 * like any other.
 *
 * Runs in  any queue's thread; limit_set: the control thread, at any time.
 */
#ifndef SLUICE_BLKBACK_LIMIT_H
#define SLUICE_BLKBACK_LIMIT_H

#include <stdint.h>

#include "rings/atomics.h"

#define LIMIT_DEFAULT_BURST_MS 10u
#define LIMIT_MAX_BURST_MS 60000u
#define LIMIT_MAX_RATE (UINT64_C(1) << 40)
#define LIMIT_FRACTION_BITS 5 /* of a nanosecond: at 10 GB/s a byte costs a tenth of one */

enum limit_of { LIMIT_READ_IOPS, LIMIT_WRITE_IOPS, LIMIT_READ_BYTES, LIMIT_WRITE_BYTES, LIMIT_NR };

struct limit_bucket {
	uint64_t rate; /* a second; 0: no limit */
	uint64_t paid_until; /* in fractions of a nanosecond */
};

struct limit {
	uint64_t burst; /* in fractions of a nanosecond */
	uint32_t nr_set;
	struct limit_bucket bucket[LIMIT_NR];
};

/* rate at most LIMIT_MAX_RATE, 0: none. A new rate begins with nothing to pay. */
static inline void limit_set(struct limit *l, enum limit_of of, uint64_t rate)
{
	uint64_t old = load_relaxed(&l->bucket[of].rate);

	if (rate == old)
		return;
	store_relaxed(&l->nr_set, load_relaxed(&l->nr_set) + (rate != 0) - (old != 0));
	store_relaxed(&l->bucket[of].rate, rate);
	store_relaxed(&l->bucket[of].paid_until, 0);
}

static inline void limit_set_burst(struct limit *l, unsigned ms)
{
	store_relaxed(&l->burst, (uint64_t)ms * 1000000u << LIMIT_FRACTION_BITS);
}

/* Is there any limit at all? */
static inline bool limit_is_any(const struct limit *l)
{
	return load_relaxed(&l->nr_set) != 0;
}

/* How long to sleep when a request must wait so long: a part of the burst at least, so that one wake serves several requests. */
static inline uint64_t limit_pause_ns(const struct limit *l, uint64_t wait_ns)
{
	uint64_t least = load_relaxed(&l->burst) >> (LIMIT_FRACTION_BITS + 3);

	return wait_ns > least ? wait_ns : least;
}

/* How long a request must still wait; 0: it may start. */
uint64_t limit_wait_ns(const struct limit *l, bool is_write, uint64_t now_ns);
/* It has started, and brings or takes so many bytes. */
void limit_charge(struct limit *l, bool is_write, uint64_t bytes, uint64_t now_ns);

#endif
