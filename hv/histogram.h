/*
 * hv/histogram.h - counts of times, log-linear: 64 steps to each doubling, so a percentile is off by 1.6 % at most.
 */
#ifndef SLUICE_HV_HISTOGRAM_H
#define SLUICE_HV_HISTOGRAM_H

#include <stdint.h>

#define HISTOGRAM_STEP_BITS 6
#define HISTOGRAM_BUCKETS ((64 - HISTOGRAM_STEP_BITS + 1) << HISTOGRAM_STEP_BITS)

struct histogram {
	uint64_t nr;
	uint64_t max;
	uint32_t bucket[HISTOGRAM_BUCKETS];
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

static inline void histogram_add(struct histogram *h, uint64_t value)
{
	h->bucket[histogram_bucket(value)]++;
	h->nr++;
	if (value > h->max)
		h->max = value;
}

/* The value that permille of a thousand do not exceed; 0 when nothing was counted. */
static inline uint64_t histogram_permille(const struct histogram *h, unsigned permille)
{
	uint64_t want = (h->nr * permille + 999) / 1000, seen = 0;

	for (unsigned i = 0; i < HISTOGRAM_BUCKETS && h->nr; i++) {
		seen += h->bucket[i];
		if (seen >= want && seen) {
			uint64_t v = histogram_value(i);

			return v < h->max ? v : h->max;
		}
	}
	return h->max;
}

#endif
