/*
 * netback/bridge.c - learns where addresses live and sends packets there.   [hot]
 *
 * Owns     see bridge.h.
 * Trusts   no byte of a packet; the Ethernet header is read from the first segment, whose length is checked.
 * Runs in  the lane's thread. No lock, no allocation; a system call only to wake another lane that sleeps.
 * Fails    a full bucket or a port over its share: the address is not learned, its packets are flooded. No buffer: the rest of a
 *          packet that is being cut is dropped. No room on the way to another lane: dropped and counted.
 * Spec     IEEE 802.1D: learning, filtering, reserved addresses.
 */
#include "netback/bridge.h"

#include <sys/eventfd.h>

#include <rte_ring_elem.h>

#include "netback/gso.h"

#define MAC_BITS 48
#define MAC_MASK ((UINT64_C(1) << MAC_BITS) - 1)
#define MAC_GROUP UINT64_C(1)              /* in a key: the address's first bit on the wire */
#define MAC_RESERVED UINT64_C(0xc28001)    /* 01:80:c2:00:00:0x */
#define MAC_RESERVED_MASK UINT64_C(0xf0ffffffffff)
#define TO_NOBODY (BRIDGE_NO_PORT - 1)
#define REFRESH_SHIFT 7 /* an address that is heard is written down again after this part of its life: lanes share the table */

/* The address at the beginning of eight bytes. */
static inline uint64_t mac_key(const void *bytes)
{
	rte_le64_t key;

	__builtin_memcpy(&key, bytes, sizeof(key));
	return rte_le_to_cpu_64(key) & MAC_MASK;
}

/* Multiply-and-fold with a secret: good enough that collisions cannot be chosen from outside. */
static inline unsigned bucket_of(const struct bridge *b, uint64_t key)
{
	__uint128_t product = (__uint128_t)(key ^ b->secret) * (b->secret | 1);

	return (unsigned)((uint64_t)(product >> 64) ^ (uint64_t)product) % BRIDGE_BUCKETS;
}

static inline uint16_t key_port(uint64_t key)
{
	return (uint16_t)(key >> MAC_BITS) - 1;
}

/* Another lane's clock may be ahead of ours. Between its key and its time an entry may look older than it is: it is then not found. */
static inline bool is_live(const struct bridge *b, uint64_t now, uint64_t key, const struct bridge_entry *e)
{
	return key && (int64_t)(now - load_relaxed(&e->seen)) < (int64_t)b->ageing;
}

/* False: another lane was faster. */
static bool entry_set(struct bridge_lane *l, struct bridge_entry *e, uint64_t old, uint64_t mac, struct bridge_port *p)
{
	uint64_t key = mac | (uint64_t)(p->index + 1) << MAC_BITS, was = old;

	if (!cas_acq_rel(&e->key, &was, key)) /* with other lanes' of the same: whose port counts the entry */
		return false;
	store_relaxed(&e->seen, l->now);
	if (old)
		fetch_add_relaxed(&l->bridge->ports[key_port(old)]->nr_addresses, -1u);
	fetch_add_relaxed(&p->nr_addresses, 1u);
	return true;
}

static inline bool has_share_left(const struct bridge_port *p)
{
	return load_relaxed(&p->nr_addresses) < BRIDGE_PORT_ADDRESSES;
}

/* The address is not in its bucket: a place that nobody needs any more. */
static __rte_noinline void learn_new(struct bridge_lane *l, struct bridge_entry bucket[], uint64_t mac, struct bridge_port *p)
{
	for (unsigned i = 0; i < BRIDGE_WAYS && has_share_left(p); i++) {
		uint64_t key = load_relaxed(&bucket[i].key);

		if (is_live(l->bridge, l->now, key, &bucket[i]))
			continue;
		if (!entry_set(l, &bucket[i], key, mac, p))
			break;
		count_add(&l->stats.learned, 1);
		return;
	}
	count_add(&l->stats.not_learned, 1);
}

static inline struct bridge_entry *entry_find(const struct bridge_entry bucket[], uint64_t mac, uint64_t *key)
{
	for (unsigned i = 0; i < BRIDGE_WAYS; i++) {
		*key = load_relaxed(&bucket[i].key);
		if ((*key & MAC_MASK) == mac)
			return (struct bridge_entry *)&bucket[i];
	}
	return NULL;
}

static void learn(struct bridge_lane *l, uint64_t mac, struct bridge_port *p)
{
	struct bridge *b = l->bridge;
	struct bridge_entry *bucket = b->table[bucket_of(b, mac)], *e;
	uint64_t key;

	if (mac == 0 || mac & MAC_GROUP)
		return;
	e = entry_find(bucket, mac, &key);
	if (unlikely(!e)) {
		learn_new(l, bucket, mac, p);
	} else if (likely(key_port(key) == p->index)) {
		if ((int64_t)(l->now - load_relaxed(&e->seen)) > (int64_t)(b->ageing >> REFRESH_SHIFT))
			store_relaxed(&e->seen, l->now);
	} else if (has_share_left(p) && entry_set(l, e, key, mac, p)) {
		count_add(&l->stats.moved, 1);
	}
}

static uint16_t look_up(const struct bridge *b, uint64_t now, uint64_t mac)
{
	uint64_t key;
	const struct bridge_entry *e = entry_find(b->table[bucket_of(b, mac)], mac, &key);

	return e && is_live(b, now, key, e) ? key_port(key) : BRIDGE_NO_PORT;
}

uint16_t bridge_lookup(const struct bridge *b, uint64_t now, const struct rte_ether_addr *mac)
{
	uint8_t bytes[sizeof(uint64_t)] = {0};

	__builtin_memcpy(bytes, mac, sizeof(*mac));
	return look_up(b, now, mac_key(bytes));
}

/* ---- to another lane -------------------------------------------------------------------------------------------- */

/* The packets are in the ring before the flag is read; a lane sets the flag before it looks into the ring a last time. */
static void lane_wake(struct bridge_lane *from, struct bridge_lane *l)
{
	full_fence(); /* pairs with lane_doze's */
	if (!load_relaxed(&l->is_asleep) || !exchange_acq_rel(&l->is_asleep, 0))
		return;
	eventfd_write(l->wake_fd, 1);
	count_add(&from->stats.wakes, 1);
}

static void way_flush(struct bridge_lane *l, uint16_t to)
{
	struct bridge_way *way = &l->ways[to];
	unsigned sent = rte_ring_sp_enqueue_burst_elem(way->ring, way->errands, sizeof(way->errands[0]), way->nr, NULL);

	count_add(&l->stats.handed_over, sent);
	if (unlikely(sent < way->nr)) {
		count_add(&l->stats.drop_handed_over, way->nr - sent);
		for (unsigned i = sent; i < way->nr; i++)
			rte_pktmbuf_free(way->errands[i].m);
	}
	way->nr = 0;
	lane_wake(l, &l->bridge->lanes[to]);
}

/* No two lanes have the same packet: one that others read here, too, goes as a clone. */
static __rte_noinline void hand_over(struct bridge_lane *l, uint16_t to, uint16_t port, struct rte_mbuf *m, bool is_flood)
{
	struct bridge_way *way = &l->ways[to];

	if (rte_mbuf_refcnt_read(m) > 1) {
		struct rte_mbuf *clone = rte_pktmbuf_clone(m, l->bridge->ext_pool);

		rte_pktmbuf_free(m);
		if (!clone) {
			count_add(&l->stats.drop_handed_over, 1);
			return;
		}
		m = clone;
	}
	way->errands[way->nr++] = (struct bridge_errand){.m = m, .port = port, .is_flood = is_flood};
	if (way->nr == BRIDGE_BURST)
		way_flush(l, to);
}

/* Our part of the port, or NULL: the packet is on its way to the lane that has its queue. */
static __rte_noinline struct bridge_part *part_elsewhere(struct bridge_lane *l, uint16_t port, struct rte_mbuf *m)
{
	const struct bridge_port *p = l->bridge->ports[port];
	uint16_t lane = p->nr_parts > 1 && p->lane_of ? p->lane_of(p, m) : p->owner;

	if (lane == l->index)
		return l->parts[port];
	hand_over(l, lane, port, m, false);
	return NULL;
}

static inline struct bridge_part *part_for(struct bridge_lane *l, uint16_t port, struct rte_mbuf *m)
{
	struct bridge_part *part = l->parts[port];

	return likely(part && !part->is_some) ? part : part_elsewhere(l, port, m);
}

/* ---- out -------------------------------------------------------------------------------------------------------- */

static void part_flush(struct bridge_part *p)
{
	uint16_t n = p->nr_out;
	uint16_t sent = p->out(p->queue, p->out_pkts, n);

	/* What the port took it may have freed: its bytes were counted when they were put. */
	count_add(&p->stats.out_packets, sent);
	if (sent < n) {
		count_add(&p->stats.drop_full, n - sent);
		for (uint16_t i = sent; i < n; i++)
			count_add(&p->stats.out_bytes, -(uint64_t)p->out_pkts[i]->pkt_len);
		rte_pktmbuf_free_bulk(p->out_pkts + sent, n - sent);
	}
	p->nr_out = 0;
}

static void put_ready(struct bridge_lane *l, struct bridge_part *p, struct rte_mbuf *m)
{
	if (offload_frame_bytes(m) > p->max_frame) {
		count_add(&p->stats.drop_too_long, 1);
		rte_pktmbuf_free(m);
		return;
	}
	count_add(&p->stats.out_bytes, m->pkt_len);
	p->out_pkts[p->nr_out++] = m;
	if (!p->is_dirty) {
		p->is_dirty = true;
		l->dirty[l->nr_dirty++] = p;
	}
	if (p->nr_out == BRIDGE_BURST)
		part_flush(p);
}

/* To one part, or from one part to all other ports. */
typedef void (*put_fn)(struct bridge_lane *l, struct bridge_part *p, struct rte_mbuf *m);

/* Does for p what its caps leave, and puts the outcome. */
static void put_prepared(struct bridge_lane *l, struct bridge_part *p, unsigned left, struct rte_mbuf *m, unsigned caps, put_fn put)
{
	struct rte_mbuf *frame;
	struct gso g;

	if (!(left & (OFFLOAD_GSO_IPV4 | OFFLOAD_GSO_IPV6))) {
		offload_fill(m);
		count_add(&p->stats.checksums, 1);
		put(l, p, m);
		return;
	}
	count_add(&p->stats.segmented, 1);
	gso_begin(&g, m, l->bridge->pool, l->bridge->ext_pool);
	while ((frame = gso_next(&g)) != NULL) {
		if (offload_needs(frame) & ~caps)
			offload_fill(frame);
		put(l, p, frame);
	}
	if (!gso_is_done(&g))
		count_add(&p->stats.drop_no_mbuf, 1);
	rte_pktmbuf_free(m);
}

static inline void put_to_part(struct bridge_lane *l, struct bridge_part *p, struct rte_mbuf *m)
{
	unsigned left = offload_needs(m) & ~p->caps;

	if (unlikely(left))
		put_prepared(l, p, left, m, p->caps, put_ready);
	else
		put_ready(l, p, m);
}

static inline void put_to_index(struct bridge_lane *l, uint16_t port, struct rte_mbuf *m)
{
	struct bridge_part *part = part_for(l, port, m);

	if (likely(part))
		put_to_part(l, part, m);
}

void lane_put(struct bridge_lane *l, struct bridge_port *p, struct rte_mbuf *m)
{
	put_to_index(l, p->index, m);
}

/* ---- to all ----------------------------------------------------------------------------------------------------- */

static inline bool is_flooded(const struct bridge_port *p, const struct bridge_port *from)
{
	return p && p != from && !p->peer;
}

/* To this lane's ports; returns which other lanes have some, as bits. Readers share one packet: each port frees its reference. */
static uint32_t flood_own(struct bridge_lane *l, const struct bridge_port *from, struct rte_mbuf *m)
{
	const struct bridge *b = l->bridge;
	uint32_t others = 0;

	for (uint16_t i = 0; i < b->nr_ports; i++) {
		const struct bridge_port *p = b->ports[i];

		if (!is_flooded(p, from))
			continue;
		if (p->owner == l->index) {
			struct bridge_part *part;

			rte_pktmbuf_refcnt_update(m, 1);
			part = part_for(l, i, m);
			if (likely(part))
				put_ready(l, part, m);
		} else {
			others |= 1u << p->owner;
		}
	}
	return others;
}

/* Our reference is held until the last port has its own. */
static void flood_ready(struct bridge_lane *l, struct bridge_part *from, struct rte_mbuf *m)
{
	uint32_t others = flood_own(l, from->port, m);

	for (; others; others &= others - 1) {
		rte_pktmbuf_refcnt_update(m, 1);
		hand_over(l, (uint16_t)__builtin_ctz(others), from->port->index, m, true);
	}
	rte_pktmbuf_free(m);
}

/* What all ports but one can do. */
static unsigned flood_caps(const struct bridge *b, const struct bridge_port *from)
{
	unsigned caps = OFFLOAD_ALL;

	for (uint16_t i = 0; i < b->nr_ports; i++)
		if (is_flooded(b->ports[i], from))
			caps &= b->ports[i]->caps;
	return caps;
}

static void flood(struct bridge_lane *l, struct bridge_part *from, struct rte_mbuf *m)
{
	unsigned needs = offload_needs(m), caps = needs ? flood_caps(l->bridge, from->port) : 0;

	count_add(&l->stats.flooded, 1);
	if (unlikely(needs & ~caps))
		put_prepared(l, from, needs & ~caps, m, caps, flood_ready);
	else
		flood_ready(l, from, m);
}

/* ---- in --------------------------------------------------------------------------------------------------------- */

static void put_to_peer(struct bridge_lane *l, struct bridge_part *from, struct rte_mbuf *m)
{
	const struct bridge_port *peer = from->port->peer;

	if (likely(peer->index != BRIDGE_NO_PORT)) {
		put_to_index(l, peer->index, m);
		return;
	}
	count_add(&from->stats.drop_full, 1); /* it comes, or goes */
	rte_pktmbuf_free(m);
}

/* The last packet's addresses, and where it went: most bursts are of one flow. */
struct memo {
	uint64_t src, dst;
	uint16_t to;
};

/* Where a packet goes: to one port, nobody, or, BRIDGE_NO_PORT, all. */
static inline uint16_t destination(struct bridge_lane *l, struct bridge_part *from, const struct rte_mbuf *m, struct memo *memo)
{
	const uint8_t *eth = rte_pktmbuf_mtod(m, const uint8_t *);
	uint64_t dst = mac_key(eth), src = mac_key(eth + RTE_ETHER_ADDR_LEN); /* the type follows: eight bytes are there */

	if (src == memo->src && dst == memo->dst)
		return memo->to;
	if (src != memo->src)
		learn(l, src, from->port);
	*memo = (struct memo){.src = src, .dst = dst, .to = BRIDGE_NO_PORT};
	if (unlikely((dst & MAC_RESERVED_MASK) == MAC_RESERVED))
		memo->to = TO_NOBODY;
	else if (!(dst & MAC_GROUP))
		memo->to = look_up(l->bridge, l->now, dst);
	return memo->to;
}

static inline void forward(struct bridge_lane *l, struct bridge_part *from, struct rte_mbuf *m, uint16_t to)
{
	if (likely(to < BRIDGE_MAX_PORTS && to != from->port->index)) {
		put_to_index(l, to, m);
	} else if (to == BRIDGE_NO_PORT) {
		flood(l, from, m);
	} else {
		count_add(to == TO_NOBODY ? &from->stats.drop_reserved : &from->stats.drop_same_port, 1);
		rte_pktmbuf_free(m);
	}
}

void lane_input(struct bridge_lane *l, struct bridge_part *from, struct rte_mbuf **pkts, uint16_t n)
{
	struct memo memo = {.to = BRIDGE_NO_PORT}; /* what is not learned, and not looked up: the address of zeros */
	bool is_hub = !l->bridge->ageing;
	uint64_t bytes = 0;

	for (uint16_t i = 0; i < n; i++) {
		if (i + 1 < n)
			rte_prefetch0(rte_pktmbuf_mtod(pkts[i + 1], void *));
		bytes += pkts[i]->pkt_len;
		if (unlikely(pkts[i]->data_len < sizeof(struct rte_ether_hdr))) {
			count_add(&from->stats.drop_runt, 1);
			rte_pktmbuf_free(pkts[i]);
		} else if (unlikely(from->port->peer != NULL)) {
			put_to_peer(l, from, pkts[i]);
		} else {
			forward(l, from, pkts[i], is_hub ? BRIDGE_NO_PORT : destination(l, from, pkts[i], &memo));
		}
	}
	count_add(&from->stats.in_packets, n);
	count_add(&from->stats.in_bytes, bytes);
}

uint16_t lane_poll(struct bridge_lane *l, struct bridge_part *part)
{
	struct rte_mbuf *pkts[BRIDGE_BURST];
	uint16_t n = part->in ? part->in(part->queue, pkts, BRIDGE_BURST) : 0;

	if (n)
		lane_input(l, part, pkts, n);
	return n;
}

static void run_errand(struct bridge_lane *l, const struct bridge_errand *e)
{
	if (likely(!e->is_flood)) {
		put_to_index(l, (uint16_t)e->port, e->m);
		return;
	}
	flood_own(l, l->bridge->ports[e->port], e->m);
	rte_pktmbuf_free(e->m);
}

unsigned lane_receive(struct bridge_lane *l)
{
	struct bridge_errand errands[BRIDGE_BURST];
	struct bridge *b = l->bridge;
	unsigned nr = 0;

	for (uint16_t from = 0; from < b->nr_lanes; from++) {
		unsigned n = from == l->index ? 0
					      : rte_ring_sc_dequeue_burst_elem(b->lanes[from].ways[l->index].ring, errands,
									       sizeof(errands[0]), BRIDGE_BURST, NULL);

		for (unsigned i = 0; i < n; i++)
			run_errand(l, &errands[i]);
		nr += n;
	}
	return nr;
}

void lane_flush(struct bridge_lane *l)
{
	for (uint16_t i = 0; i < l->nr_dirty; i++) {
		struct bridge_part *p = l->dirty[i];

		p->is_dirty = false;
		if (p->nr_out)
			part_flush(p);
	}
	l->nr_dirty = 0;
	for (uint16_t to = 0; unlikely(l->bridge->nr_lanes > 1) && to < l->bridge->nr_lanes; to++)
		if (l->ways[to].nr)
			way_flush(l, to);
}

bool lane_doze(struct bridge_lane *l)
{
	if (l->bridge->nr_lanes == 1)
		return false;
	store_relaxed(&l->is_asleep, 1);
	full_fence(); /* pairs with lane_wake's */
	if (lane_receive(l) == 0)
		return false;
	lane_flush(l);
	lane_awake(l);
	return true;
}

void lane_awake(struct bridge_lane *l)
{
	store_relaxed(&l->is_asleep, 0);
}
