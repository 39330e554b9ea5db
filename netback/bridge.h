/*
 * netback/bridge.h - a learning bridge.   [hot]
 *
 *      port --in--> learn source, look destination up --out--> port(s)
 *
 * A port is two burst functions; a vif, an ethdev or a test stands behind them. The bridge's own words are "in" (from the
 * port to the bridge) and "out": tx and rx stay the guest's view.
 *
 * The table is fixed in size: buckets of eight, hashed with a secret, so that a guest can neither fill memory nor choose
 * whose addresses it pushes out. A port may own a quarter of the table; a live entry of another port is never
 * evicted. What cannot be learned is flooded.
 *
 * What a packet leaves undone (offload.h) and its way out does not do by itself is done here, before the port gets it: a checksum
 * filled in, a large packet cut into frames. A flooded packet is made ready for the least able port, once.
 *
 * Owns     packets from in to out; a port's packets between bridge_put and bridge_flush.
 * Trusts   no byte of a packet.
 * Runs in  one thread, the worker's.
 */
#ifndef SLUICE_NETBACK_BRIDGE_H
#define SLUICE_NETBACK_BRIDGE_H

#include <rte_ether.h>
#include <rte_mbuf.h>

#include "netback/offload.h"
#include "rings/atomics.h"

#define BRIDGE_MAX_PORTS 4096
#define BRIDGE_NO_PORT UINT16_MAX
#define BRIDGE_BURST 64
#define BRIDGE_MAX_MIRRORS 32 /* ports that a port's burst may put packets for while others are flushed */
#define BRIDGE_BUCKETS 1024
#define BRIDGE_WAYS 8
#define BRIDGE_PORT_ADDRESSES (BRIDGE_BUCKETS * BRIDGE_WAYS / 4)

typedef uint16_t (*bridge_burst_fn)(void *queue, struct rte_mbuf **pkts, uint16_t n);

/* Written by the worker, read by anybody. */
struct bridge_port_stats {
	uint64_t in_packets, in_bytes, out_packets, out_bytes;
	uint64_t drop_runt;      /* in: no Ethernet header */
	uint64_t drop_same_port; /* in: its destination is where it came from */
	uint64_t drop_reserved;  /* in: 01:80:c2:00:00:0x, which bridges keep to themselves */
	uint64_t drop_too_long;  /* out: the port takes no such frame */
	uint64_t drop_full;      /* out: the port did not take it */
	uint64_t drop_no_mbuf;   /* out: no buffer for a part of a large packet */
	uint64_t checksums;      /* out: filled in for this port */
	uint64_t segmented;      /* out: large packets cut for this port */
};

struct bridge_port {
	void *queue;
	struct bridge_port *peer; /* joined to that port alone: nothing is learned, nothing else comes here; NULL: on the bridge */
	bridge_burst_fn in;  /* NULL: this port brings nothing */
	bridge_burst_fn out; /* takes what it wants; the rest stays the caller's */
	uint32_t max_frame;  /* bytes, Ethernet header included, FCS not */
	unsigned caps;       /* OFFLOAD_*: what this way out does by itself */
	uint16_t index;      /* in bridge->port; BRIDGE_NO_PORT: not attached */
	uint16_t nr_out;
	bool is_dirty; /* on the flush list */
	uint32_t nr_addresses;
	struct bridge_port_stats stats;
	struct rte_mbuf *out_pkts[BRIDGE_BURST];
};

struct bridge_entry {
	uint64_t key; /* mac in 48 bits, port above; 0: free */
	uint64_t seen;
};

struct bridge {
	uint64_t ageing; /* ticks; 0: nothing is learned, a hub */
	uint64_t now;    /* ticks, set by the caller before each round */
	uint64_t secret;
	uint64_t learned, moved, not_learned, flooded; /* events so far */
	struct rte_mempool *pool, *ext_pool;           /* for frames cut here: with data room, and without */
	uint16_t nr_ports;
	uint16_t nr_dirty;
	struct bridge_port *ports[BRIDGE_MAX_PORTS];
	uint16_t dirty[BRIDGE_MAX_PORTS + BRIDGE_MAX_MIRRORS];
	struct bridge_entry table[BRIDGE_BUCKETS][BRIDGE_WAYS];
};

/* The caller's memory; nothing to finish once all ports are removed. ageing in ticks of now; the secret should be random. */
void bridge_init(struct bridge *b, uint64_t ageing, uint64_t secret, struct rte_mempool *pool, struct rte_mempool *ext_pool);

/* The port's queue, in, out and max_frame are set. -ENOSPC: BRIDGE_MAX_PORTS. */
int bridge_add_port(struct bridge *b, struct bridge_port *p);
/* Frees packets that wait for it and forgets its addresses. */
void bridge_remove_port(struct bridge *b, struct bridge_port *p);

/* Takes n packets that came in on a port. */
void bridge_input(struct bridge *b, struct bridge_port *from, struct rte_mbuf **pkts, uint16_t n);
/* One burst in; returns how many. */
uint16_t bridge_poll(struct bridge *b, struct bridge_port *p);
/* Gives a port a packet, done with what the port does not do by itself; sent with the next flush, or when there is a burst. */
void bridge_put(struct bridge *b, struct bridge_port *p, struct rte_mbuf *m);
/* Hands every port what was put for it. */
void bridge_flush(struct bridge *b);

/* Which port an address lives on, or BRIDGE_NO_PORT. */
uint16_t bridge_lookup(const struct bridge *b, const struct rte_ether_addr *mac);

static inline void count_add(uint64_t *counter, uint64_t n)
{
	store_relaxed(counter, load_relaxed(counter) + n);
}

#endif
