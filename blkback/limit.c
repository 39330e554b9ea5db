/*
 * blkback/limit.c - how fast a vbd may go.   [hot]
 *
 * Runs in  any queue's thread. No lock: one compare and swap for each limit that is set.
 */
#include "blkback/limit.h"

#define SECOND (UINT64_C(1000000000) << LIMIT_FRACTION_BITS)

static uint64_t bucket_wait(const struct limit_bucket *b, uint64_t burst, uint64_t now)
{
	uint64_t until = load_relaxed(&b->paid_until);

	if (!load_relaxed(&b->rate) || until <= now + burst)
		return 0;
	return until - now - burst;
}

static void bucket_charge(struct limit_bucket *b, uint64_t amount, uint64_t now)
{
	uint64_t rate = load_relaxed(&b->rate), until = load_relaxed(&b->paid_until), cost;

	if (!rate || !amount)
		return;
	cost = amount * SECOND / rate; /* at most 16 MiB: fits */
	/* Only the number itself is shared: nothing is read because of it. */
	while (!cas_acq_rel(&b->paid_until, &until, (until > now ? until : now) + cost))
		;
}

uint64_t limit_wait_ns(const struct limit *l, bool is_write, uint64_t now_ns)
{
	uint64_t now = now_ns << LIMIT_FRACTION_BITS, burst = load_relaxed(&l->burst);
	uint64_t iops = bucket_wait(&l->bucket[LIMIT_READ_IOPS + is_write], burst, now);
	uint64_t bytes = bucket_wait(&l->bucket[LIMIT_READ_BYTES + is_write], burst, now);
	uint64_t wait = iops > bytes ? iops : bytes;

	return (wait + (UINT64_C(1) << LIMIT_FRACTION_BITS) - 1) >> LIMIT_FRACTION_BITS;
}

void limit_charge(struct limit *l, bool is_write, uint64_t bytes, uint64_t now_ns)
{
	uint64_t now = now_ns << LIMIT_FRACTION_BITS;

	bucket_charge(&l->bucket[LIMIT_READ_IOPS + is_write], 1, now);
	bucket_charge(&l->bucket[LIMIT_READ_BYTES + is_write], bytes, now);
}
