/*
 * netback/gro.h - joins the TCP frames of a burst that follow each other into large packets, for a guest that takes those.   [hot]
 *
 *      headers | part 1,  headers' | part 2,  headers'' | part 3   -->   headers | part 1 | part 2 | part 3, to be segmented
 *
 * The opposite of gso.h: what is joined here can be cut again into the same frames. A flow's packets keep their order; nothing
 * waits for the next burst.
 *
 * Owns     the packets of a burst in which others are joined; those become segments of them.
 * Trusts   no byte of a packet: a frame whose checksum is wrong is passed on as it is, and joined to none.
 * Runs in  the worker. No allocation.
 * Spec     RFC 9293; what Linux's GRO takes for one flow.
 */
#ifndef SLUICE_NETBACK_GRO_H
#define SLUICE_NETBACK_GRO_H

#include <rte_mbuf.h>

/* Joins what can be; returns how many packets are left in pkts. caps: OFFLOAD_*, what the guest takes. */
uint16_t gro_burst(struct rte_mbuf **pkts, uint16_t n, unsigned caps);

#endif
