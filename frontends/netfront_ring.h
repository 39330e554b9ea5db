/*
 * frontends/netfront_ring.h - the data half of a netfront: two rings and the pages behind them.   [hot]
 *
 *      tx   caller's frame --copy--> tx page (the peer reads it) --request--> ring --response--> page is free again
 *      rx   rx page posted --request--> ring --response--> checked --copy--> caller's buffer, page is posted again
 *
 * Every slot owns a page, shared once for the life of the connection: tx pages read-only to the back end, rx pages
 * writable, and therefore copied out before anybody looks at them. It knows no hypervisor: whoever connects hands
 * over memory and refs, and sends the event when told to wake.
 *
 * Owns     which tx pages are with the back end; which rx fragments of an unfinished frame were taken.
 * Trusts   no response: id outstanding and answered once, fragment inside its page, chain bounded.
 * Runs in  one thread. No lock, no allocation, no system call.
 * Fails    an impossible index or id: broken says why, and nothing moves any more. A bad frame: dropped, counted.
 * Spec     xen/io/netif.h.
 */
#ifndef SLUICE_FRONTENDS_NETFRONT_RING_H
#define SLUICE_FRONTENDS_NETFRONT_RING_H

#include "rings/netif.h"

#define NETFRONT_SLOTS 256u
#define NETFRONT_MIN_FRAME 14u /* an Ethernet header */
#define NETFRONT_MAX_FRAME XEN_NETIF_MAX_TX_SIZE

/* One frame. tx: data and len in. rx: data and its room in len go in, the frame's length comes out in len. */
struct netfront_packet {
	void *data;
	uint32_t len;
};

struct netfront_counters {
	uint64_t tx_packets;
	uint64_t tx_bytes;
	uint64_t tx_slots;
	uint64_t tx_bursts;    /* that sent anything */
	uint64_t tx_ring_full; /* bursts cut short because no slot was free */
	uint64_t tx_drop_size; /* frames too short, or longer than the connection takes */
	uint64_t tx_errors;    /* slots that the back end answered with an error */
	uint64_t rx_packets;
	uint64_t rx_bytes;
	uint64_t rx_slots;
	uint64_t rx_bursts;      /* that received anything */
	uint64_t rx_drop_error;  /* frames that the back end gave an error for */
	uint64_t rx_drop_bounds; /* frames with a fragment outside its page, or shorter than an Ethernet header */
	uint64_t rx_drop_chain;  /* frames of too many fragments */
	uint64_t rx_drop_room;   /* frames longer than the caller's buffer */
	uint64_t notify_sent;
	uint64_t notify_suppressed; /* pushes of which the back end did not want to hear */
};

struct netfront_fragment {
	uint16_t slot;
	uint16_t offset;
	uint16_t len;
};

struct netfront_ring {
	struct netif_txr_front tx;
	struct netif_rxr_front rx;
	const char *broken; /* why the back end can no longer be dealt with, or NULL */
	unsigned max_chain; /* tx slots a frame may take: 1 without feature-sg */
	uint32_t max_frame;

	uint8_t *tx_pages; /* the back end only reads them */
	unsigned nr_tx_free;
	uint16_t tx_free[NETFRONT_SLOTS]; /* a stack: the page used last is the warmest */
	bool tx_out[NETFRONT_SLOTS];      /* with the back end */
	grant_ref_t tx_refs[NETFRONT_SLOTS];

	uint8_t *rx_pages_sh;
	uint32_t rx_done; /* responses up to here are delivered or dropped: their pages may be posted again */
	unsigned nr_fragments;
	uint32_t chain_bytes;
	uint64_t *chain_fault; /* the counter of what is wrong with the frame being gathered, or NULL */
	struct netfront_fragment chain[XEN_NETIF_NR_SLOTS_MIN];
	grant_ref_t rx_refs[NETFRONT_SLOTS];

	struct netfront_counters count;
};

/* What a connection stands on; all of it stays the caller's, pages zeroed, NETFRONT_SLOTS of each kind. */
struct netfront_ring_memory {
	void *tx_ring; /* one page */
	void *rx_ring; /* one page */
	void *tx_pages;
	void *rx_pages;
	const grant_ref_t *tx_refs;
	const grant_ref_t *rx_refs;
};

/* Resets the rings and posts all rx pages. sg: the back end takes chains. Counters start at zero. */
void netfront_ring_init(struct netfront_ring *r, const struct netfront_ring_memory *m, bool sg);

/*
 * Copies frames into tx pages and pushes them; returns how many it took, the rest found the ring full. A frame that can
 * never be sent is taken, dropped and counted. *wake: send the event.
 */
unsigned netfront_ring_tx(struct netfront_ring *r, const struct netfront_packet pkts[], unsigned n, bool *wake);
/* Takes tx responses; returns how many slots are still with the back end. */
unsigned netfront_ring_reclaim(struct netfront_ring *r);
/* Copies up to n frames out, posts their pages again; returns how many. *wake: send the event. */
unsigned netfront_ring_rx(struct netfront_ring *r, struct netfront_packet pkts[], unsigned n, bool *wake);

/* Asks for an event at the next rx response; true: there is one already, or the ring is broken. */
bool netfront_ring_arm_rx(struct netfront_ring *r);
/* Asks for an event when want slots are free (at most all); true: they are, or the ring is broken. */
bool netfront_ring_arm_tx(struct netfront_ring *r, unsigned want);

#endif
