/*
 * frontends/blkfront_counters.h - the names of a blkfront's counters.
 */
#ifndef SLUICE_FRONTENDS_BLKFRONT_COUNTERS_H
#define SLUICE_FRONTENDS_BLKFRONT_COUNTERS_H

#include "frontends/blkfront_ring.h"
#include "hv/counters.h"

/* Of a struct blkfront_counters. */
extern const struct counters_layout blkfront_counters_layout;

#endif
