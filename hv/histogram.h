/*
 * hv/histogram.h - how often each value was seen, in HdrHistogram's layout.
 *
 * bucket[] is HdrHistogram's array of counts with a lowest value of 1 and 128 sub-buckets: exact to 127, then 64 steps to each
 * doubling, so a percentile is off by 1.6 % at most. Values beyond the last bucket are counted in it.
 *
 * Runs in  one writer; others read, each word for itself.
 */
#ifndef SLUICE_HV_HISTOGRAM_H
#define SLUICE_HV_HISTOGRAM_H

#include <stdint.h>

#include "rings/atomics.h"

#define HISTOGRAM_STEP_BITS 6
#define HISTOGRAM_BUCKETS_OF(value_bits) (((value_bits) - HISTOGRAM_STEP_BITS + 1) << HISTOGRAM_STEP_BITS)
#define HISTOGRAM_BUCKETS HISTOGRAM_BUCKETS_OF(40)       /* nanoseconds: 18 minutes */
#define HISTOGRAM_BATCH_BUCKETS HISTOGRAM_BUCKETS_OF(10) /* of one burst: 1,023 */

/* Of times. */
struct histogram {
	uint64_t nr;
	uint64_t max;
	uint32_t bucket[HISTOGRAM_BUCKETS];
};

/* Of small numbers. */
struct histogram_batch {
	uint64_t nr;
	uint64_t max;
	uint32_t bucket[HISTOGRAM_BATCH_BUCKETS];
};

static inline unsigned histogram_bucket(uint64_t value)
{
	unsigned shift;

	if (value < 1u << HISTOGRAM_STEP_BITS)
		return (unsigned)value;
	shift = 63u - (unsigned)__builtin_clzll(value) - HISTOGRAM_STEP_BITS;
	return ((shift + 1) << HISTOGRAM_STEP_BITS) + (unsigned)((value >> shift) & ((1u << HISTOGRAM_STEP_BITS) - 1));
}

/* The largest value that falls into the bucket. */
static inline uint64_t histogram_value(unsigned bucket)
{
	unsigned shift = bucket >> HISTOGRAM_STEP_BITS;
	uint64_t step = bucket & ((1u << HISTOGRAM_STEP_BITS) - 1);

	if (!shift)
		return step;
	shift--;
	return (((UINT64_C(1) << HISTOGRAM_STEP_BITS) + step) << shift) + ((UINT64_C(1) << shift) - 1);
}

static inline void histogram_count(uint64_t *nr, uint64_t *max, uint32_t bucket[], unsigned nr_buckets, uint64_t value)
{
	unsigned at = histogram_bucket(value);
	uint32_t *b = &bucket[at < nr_buckets ? at : nr_buckets - 1];

	store_relaxed(b, load_relaxed(b) + 1);
	store_relaxed(nr, load_relaxed(nr) + 1);
	if (value > load_relaxed(max))
		store_relaxed(max, value);
}

/* [hot] */
static inline void histogram_add(struct histogram *h, uint64_t value)
{
	histogram_count(&h->nr, &h->max, h->bucket, HISTOGRAM_BUCKETS, value);
}

/* [hot] */
static inline void histogram_batch_add(struct histogram_batch *h, uint64_t value)
{
	histogram_count(&h->nr, &h->max, h->bucket, HISTOGRAM_BATCH_BUCKETS, value);
}

/* The value that permille of a thousand do not exceed; 0 when nothing was counted. The buckets decide, whatever max says. */
static inline uint64_t histogram_permille_of(const uint32_t bucket[], unsigned nr_buckets, uint64_t max, unsigned permille)
{
	uint64_t nr = 0, want, seen = 0;

	for (unsigned i = 0; i < nr_buckets; i++)
		nr += load_relaxed(&bucket[i]);
	want = (nr * permille + 999) / 1000;
	for (unsigned i = 0; i < nr_buckets && nr; i++) {
		seen += load_relaxed(&bucket[i]);
		if (seen >= want && seen) {
			uint64_t v = histogram_value(i);

			return v < max && i < nr_buckets - 1 ? v : max;
		}
	}
	return max;
}

static inline uint64_t histogram_permille(const struct histogram *h, unsigned permille)
{
	return histogram_permille_of(h->bucket, HISTOGRAM_BUCKETS, load_relaxed(&h->max), permille);
}

#endif
