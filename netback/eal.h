/*
 * netback/eal.h - brings DPDK up the way a Domain-0 program wants it: quiet, in memory, with or without hugepages.
 */
#ifndef SLUICE_NETBACK_EAL_H
#define SLUICE_NETBACK_EAL_H

#include <stdbool.h>

struct netback_options;

/* Starts DPDK; once for each process. -errno, and opt's own words in DPDK's messages when it is verbose. */
int eal_start(const struct netback_options *opt);
void eal_stop(void);

/* eal_start.c, for eal.c: the calls around DPDK's start. */
void eal_start_begin(bool wants_drivers);
void eal_start_end(void);

#endif
