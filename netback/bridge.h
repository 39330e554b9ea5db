/*
 * netback/bridge.h - a learning bridge, moved by one or more lanes.   [hot]
 *
 *      port --in--> learn source, look destination up --out--> port(s)
 *                                  |
 *                                  +--> another lane's ring --> out
 *
 * A lane is what one thread moves. Each of a port's queues belongs to one lane, which alone calls its burst functions: a port has a part in
 * every lane that has queues of it. What a lane has for a queue of another lane goes there through a ring between the two, a burst at
 * a time, with one wake. So no lane locks, and one lane alone knows nothing of all this.
 *
 * A part is two burst functions; a vif, an ethdev or a test stands behind them. The bridge's own words are "in" (from the
 * port to the bridge) and "out": tx and rx stay the guest's view.
 *
 * The table is fixed in size: buckets of eight, hashed with a secret, so that a guest can neither fill memory nor choose
 * whose addresses it pushes out. A port may own a quarter of the table; a live entry of another port is never
 * evicted. What cannot be learned is flooded. All lanes read and write it: an entry changes hands by one compare-and-swap.
 *
 * What a packet leaves undone (offload.h) and its way out does not do by itself is done here, before the port gets it: a checksum
 * filled in, a large packet cut into frames. A flooded packet is made ready for the least able port, once, before another lane sees it.
 *
 * Owns     packets from in to out; a part's packets between bridge_put and lane_flush.
 * Trusts   no byte of a packet.
 * Runs in  each lane's functions in that lane's thread. What changes the set of ports, and bridge_settle: while all lanes stand still.
 */
#ifndef SLUICE_NETBACK_BRIDGE_H
#define SLUICE_NETBACK_BRIDGE_H

#include <rte_ether.h>
#include <rte_mbuf.h>
#include <rte_ring.h>

#include "netback/offload.h"
#include "rings/atomics.h"

#define BRIDGE_MAX_PORTS 4096
#define BRIDGE_NO_PORT UINT16_MAX
#define BRIDGE_MAX_LANES 16
#define BRIDGE_BURST 64
#define BRIDGE_MAX_MIRRORS 32 /* ports that a port's burst may put packets for while others are flushed */
#define BRIDGE_BUCKETS 1024
#define BRIDGE_WAYS 8
#define BRIDGE_PORT_ADDRESSES (BRIDGE_BUCKETS * BRIDGE_WAYS / 4)
#define BRIDGE_RING_SLOTS 2048 /* packets on their way from one lane to another */

typedef uint16_t (*bridge_burst_fn)(void *queue, struct rte_mbuf **pkts, uint16_t n);

/* Name, and what it counts. Written by the part's lane, read by anybody. */
#define BRIDGE_PORT_COUNTERS(X)                                                             \
	X(in_packets)                                                                       \
	X(in_bytes)                                                                         \
	X(out_packets)                                                                      \
	X(out_bytes)                                                                        \
	X(drop_runt)      /* in: no Ethernet header */                                      \
	X(drop_same_port) /* in: its destination is where it came from */                   \
	X(drop_reserved)  /* in: 01:80:c2:00:00:0x, which bridges keep to themselves */     \
	X(drop_too_long)  /* out: the port takes no such frame */                           \
	X(drop_full)      /* out: the port did not take it */                               \
	X(drop_no_mbuf)   /* out: no buffer for a part of a large packet */                 \
	X(checksums)      /* out: filled in for this port */                                \
	X(segmented)      /* out: large packets cut for this port */

struct bridge_port_stats {
#define BRIDGE_PORT_COUNTER_FIELD(name) uint64_t name;
	BRIDGE_PORT_COUNTERS(BRIDGE_PORT_COUNTER_FIELD)
#undef BRIDGE_PORT_COUNTER_FIELD
};

struct bridge_port;

/* A port's queues in one lane. The caller sets the first four. */
struct bridge_part {
	void *queue;
	bridge_burst_fn in;  /* NULL: this port brings nothing */
	bridge_burst_fn out; /* takes what it wants; the rest stays the caller's */
	uint16_t lane;
	bool is_dirty; /* on the flush list */
	bool is_some;  /* other lanes have queues that packets may belong to: lane_of says */
	uint16_t nr_out;
	uint32_t max_frame; /* the port's */
	unsigned caps;      /* the port's */
	struct bridge_port *port;
	struct bridge_port_stats stats;
	struct rte_mbuf *out_pkts[BRIDGE_BURST];
};

/* The caller's memory, and that of its parts. The caller sets parts, peer, lane_of, max_frame and caps. */
struct bridge_port {
	struct bridge_part *parts[BRIDGE_MAX_LANES]; /* in lanes that differ */
	uint16_t nr_parts;
	uint16_t owner; /* the first part's lane: there the port gets what is flooded */
	uint16_t index; /* BRIDGE_NO_PORT: not attached */
	struct bridge_port *peer; /* joined to that port alone: nothing is learned, nothing else comes here; NULL: on the bridge */
	/* Whose queue a packet goes to; any lane may ask. NULL: any queue will do, and a lane takes its own if it has one. */
	uint16_t (*lane_of)(const struct bridge_port *p, struct rte_mbuf *m);
	uint32_t max_frame; /* bytes, Ethernet header included, FCS not */
	unsigned caps;      /* OFFLOAD_*: what this way out does by itself */
	uint32_t nr_addresses;
};

struct bridge_entry {
	uint64_t key; /* mac in 48 bits, port above; 0: free */
	uint64_t seen;
};

struct bridge;

/* A packet for another lane. */
struct bridge_errand {
	struct rte_mbuf *m;
	uint32_t port;
	uint32_t is_flood; /* for all ports of that lane but this one */
};

/* From one lane to another. */
struct bridge_way {
	struct rte_ring *ring;
	uint16_t nr;
	struct bridge_errand errands[BRIDGE_BURST];
};

/* Events so far. Written by the lane, read by anybody. */
struct bridge_lane_stats {
	uint64_t learned, moved, not_learned, flooded;
	uint64_t handed_over; /* packets for other lanes */
	uint64_t drop_handed_over; /* no room on the way, or no buffer */
	uint64_t wakes;       /* of other lanes */
};

struct bridge_lane {
	struct bridge *bridge;
	uint16_t index;
	uint16_t nr_dirty;
	uint64_t now;  /* ticks, set by the caller before each round */
	int wake_fd;   /* an eventfd that wakes this lane's thread */
	struct bridge_lane_stats stats;
	struct bridge_part *parts[BRIDGE_MAX_PORTS];
	struct bridge_part *dirty[BRIDGE_MAX_PORTS + BRIDGE_MAX_MIRRORS];
	struct bridge_way ways[BRIDGE_MAX_LANES]; /* to each lane */
	/* Written by this lane before it sleeps, and by who wakes it. */
	uint32_t is_asleep __rte_cache_aligned;
} __rte_cache_aligned;

struct bridge {
	uint64_t ageing; /* ticks; 0: nothing is learned, a hub */
	uint64_t secret;
	struct rte_mempool *pool, *ext_pool; /* for frames cut here: with data room, and without */
	uint16_t nr_lanes;
	uint16_t nr_ports;
	struct bridge_lane *lanes;
	struct bridge_port *ports[BRIDGE_MAX_PORTS];
	struct bridge_entry table[BRIDGE_BUCKETS][BRIDGE_WAYS] __rte_cache_aligned;
};

/* ---- while all lanes stand still --------------------------------------------------------------------------------- */

struct bridge_options {
	uint16_t nr_lanes;
	uint64_t ageing; /* ticks of lane.now */
	uint64_t secret; /* should be random */
	struct rte_mempool *pool, *ext_pool;
};

/* -ENOMEM. All ports are removed before bridge_destroy, which takes NULL. */
int bridge_create(const struct bridge_options *opt, struct bridge **out);
void bridge_destroy(struct bridge *b);
/* -ENOSPC: BRIDGE_MAX_PORTS. */
int bridge_add_port(struct bridge *b, struct bridge_port *p);
/* Settles, frees packets that wait for it, forgets its addresses. */
void bridge_remove_port(struct bridge *b, struct bridge_port *p);
/* Delivers whatever is between two lanes: afterwards no lane holds a packet. */
void bridge_settle(struct bridge *b);

/* ---- any thread -------------------------------------------------------------------------------------------------- */

void bridge_port_count(const struct bridge_port *p, struct bridge_port_stats *sum);
void bridge_count(const struct bridge *b, struct bridge_lane_stats *sum);
/* Which port an address lives on, or BRIDGE_NO_PORT. */
uint16_t bridge_lookup(const struct bridge *b, uint64_t now, const struct rte_ether_addr *mac);

/* ---- hot, in the lane's thread ----------------------------------------------------------------------------------- */

/* Takes n packets that came in on a part of this lane. */
void lane_input(struct bridge_lane *l, struct bridge_part *from, struct rte_mbuf **pkts, uint16_t n);
/* One burst in; returns how many. */
uint16_t lane_poll(struct bridge_lane *l, struct bridge_part *part);
/* Takes what other lanes have sent; returns how many packets. */
unsigned lane_receive(struct bridge_lane *l);
/* Gives a port a packet, done with what the port does not do by itself; sent with the next flush, or when there is a burst. */
void lane_put(struct bridge_lane *l, struct bridge_port *p, struct rte_mbuf *m);
/* Hands every part what was put for it, and every other lane, too. */
void lane_flush(struct bridge_lane *l);
/* The lane's thread is about to sleep; true: something has come, and it must not. Whoever sends it something from now on writes wake_fd. */
bool lane_doze(struct bridge_lane *l);
void lane_awake(struct bridge_lane *l);

static inline void count_add(uint64_t *counter, uint64_t n)
{
	store_relaxed(counter, load_relaxed(counter) + n);
}

#endif
