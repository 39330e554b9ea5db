/*
 * frontends/netfront_counters.h - the names of a netfront's counters.
 */
#ifndef SLUICE_FRONTENDS_NETFRONT_COUNTERS_H
#define SLUICE_FRONTENDS_NETFRONT_COUNTERS_H

#include "frontends/netfront_ring.h"
#include "hv/counters.h"

/* Of a struct netfront_counters. */
extern const struct counters_layout netfront_counters_layout;

#endif
