/*
 * frontends/netfront_queue.h - one queue of a netfront: the pages it shares and its event channels, around its rings.
 *
 * Pages are 2 + 2 x slots and some: two rings, one for each slot and direction, and those for short frames. Where shared pages are
 * scarce (a Linux domain's gntalloc hands out 1,024 in all) a queue that cannot have what it asks for takes half, down to
 * NETFRONT_MIN_SLOTS. One that lends pages has two rx pages for each slot; before it takes fewer slots it does without.
 *
 * Owns     pages, grants and event channels from open to close.
 * Runs in  open, close: the bus's thread. The ring: the one thread that uses the queue.
 * Fails    -errno; nothing is left.
 * Spec     xen/io/netif.h.
 */
#ifndef SLUICE_FRONTENDS_NETFRONT_QUEUE_H
#define SLUICE_FRONTENDS_NETFRONT_QUEUE_H

#include "frontends/netfront_ring.h"
#include "hv/hv.h"
#include "hv/store_client.h"

struct netfront_queue {
	struct hv *hv;
	bool is_open;
	evtchn_port_t tx_port;
	evtchn_port_t rx_port; /* the same as tx_port unless the back end offers split event channels */
	struct netfront_ring_memory memory;
	grant_ref_t tx_ring_ref;
	grant_ref_t rx_ring_ref;
	grant_ref_t tx_refs[NETFRONT_MAX_TX_PAGES];
	grant_ref_t rx_refs[NETFRONT_MAX_RX_PAGES];
	struct netfront_lending *lending; /* where loans go that outlive the queue */
	struct netfront_ring ring;
};

struct netfront_queue_traits {
	domid_t peer;
	unsigned slots; /* a power of two from NETFRONT_MIN_SLOTS to NETFRONT_SLOTS */
	bool has_split_channels;
	uint32_t tx_can, rx_can; /* netfront_ring_init */
	struct netfront_counters *counters;
	struct netfront_lending *lending; /* NULL: the queue shall not lend pages */
};

/* Shares, posts, opens event channels. -ENOSPC, -ENOMEM: not even NETFRONT_MIN_SLOTS are to be had. */
int netfront_queue_open(struct netfront_queue *q, struct hv *hv, const struct netfront_queue_traits *t);
/* How many rx pages it shares. */
static inline uint32_t netfront_queue_rx_pages(const struct netfront_queue *q)
{
	return q->memory.loans ? q->memory.loans->nr_pages : q->memory.nr_slots;
}
/* Takes a queue that is not open. */
void netfront_queue_close(struct netfront_queue *q);
/* Writes the queue's keys into dir, in a transaction. */
int netfront_queue_write_keys(const struct netfront_queue *q, struct store_client *store, uint32_t tx, const char *dir);

#endif
