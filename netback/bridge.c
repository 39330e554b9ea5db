/*
 * netback/bridge.c - learns where addresses live and sends packets there.   [hot]
 *
 * Owns     see bridge.h.
 * Trusts   no byte of a packet; the Ethernet header is read from the first segment, whose length is checked.
 * Runs in  the worker. No lock, no allocation.
 * Fails    a full bucket or a port over its share: the address is not learned, its packets are flooded. No buffer: the rest of a
 *          packet that is being cut is dropped.
 * Spec     IEEE 802.1D: learning, filtering, reserved addresses.
 */
#include "netback/bridge.h"

#include "netback/gso.h"

#define MAC_BITS 48
#define MAC_MASK ((UINT64_C(1) << MAC_BITS) - 1)

static inline uint64_t mac_key(const struct rte_ether_addr *mac)
{
	uint64_t key = 0;

	__builtin_memcpy(&key, mac->addr_bytes, RTE_ETHER_ADDR_LEN);
	return key;
}

static inline bool mac_is_reserved(const struct rte_ether_addr *mac)
{
	static const uint8_t prefix[5] = {0x01, 0x80, 0xc2, 0x00, 0x00};

	return __builtin_memcmp(mac->addr_bytes, prefix, sizeof(prefix)) == 0 && mac->addr_bytes[5] < 0x10;
}

/* Multiply-and-fold with a secret: good enough that collisions cannot be chosen from outside. */
static inline unsigned bucket_of(const struct bridge *b, uint64_t key)
{
	__uint128_t product = (__uint128_t)(key ^ b->secret) * (b->secret | 1);

	return (unsigned)((uint64_t)(product >> 64) ^ (uint64_t)product) % BRIDGE_BUCKETS;
}

static inline uint16_t entry_port(const struct bridge_entry *e)
{
	return (uint16_t)(e->key >> MAC_BITS) - 1;
}

static inline bool entry_is_live(const struct bridge *b, const struct bridge_entry *e)
{
	return e->key && b->now - e->seen < b->ageing;
}

static inline void entry_clear(struct bridge *b, struct bridge_entry *e)
{
	if (e->key)
		b->ports[entry_port(e)]->nr_addresses--;
	*e = (struct bridge_entry){0};
}

static void entry_set(struct bridge *b, struct bridge_entry *e, uint64_t key, struct bridge_port *p)
{
	entry_clear(b, e);
	*e = (struct bridge_entry){.key = key | (uint64_t)(p->index + 1) << MAC_BITS, .seen = b->now};
	p->nr_addresses++;
}

static void learn(struct bridge *b, const struct rte_ether_addr *mac, struct bridge_port *p)
{
	uint64_t key = mac_key(mac);
	struct bridge_entry *bucket = b->table[bucket_of(b, key)];
	struct bridge_entry *unused = NULL;

	if (key == 0 || rte_is_multicast_ether_addr(mac))
		return;
	for (unsigned i = 0; i < BRIDGE_WAYS; i++) {
		struct bridge_entry *e = &bucket[i];

		if (e->key && (e->key & MAC_MASK) == key) {
			if (entry_port(e) == p->index) {
				e->seen = b->now;
			} else if (p->nr_addresses < BRIDGE_PORT_ADDRESSES) {
				entry_set(b, e, key, p);
				count_add(&b->moved, 1);
			}
			return;
		}
		if (!unused && !entry_is_live(b, e))
			unused = e;
	}
	if (!unused || p->nr_addresses >= BRIDGE_PORT_ADDRESSES) {
		count_add(&b->not_learned, 1);
		return;
	}
	entry_set(b, unused, key, p);
	count_add(&b->learned, 1);
}

uint16_t bridge_lookup(const struct bridge *b, const struct rte_ether_addr *mac)
{
	uint64_t key = mac_key(mac);
	const struct bridge_entry *bucket = b->table[bucket_of(b, key)];

	for (unsigned i = 0; i < BRIDGE_WAYS; i++)
		if ((bucket[i].key & MAC_MASK) == key && entry_is_live(b, &bucket[i]))
			return entry_port(&bucket[i]);
	return BRIDGE_NO_PORT;
}

static void port_flush(struct bridge_port *p)
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

static void port_put_ready(struct bridge *b, struct bridge_port *p, struct rte_mbuf *m)
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
		b->dirty[b->nr_dirty++] = p->index;
	}
	if (p->nr_out == BRIDGE_BURST)
		port_flush(p);
}

/* To one port, or from one port to all others. */
typedef void (*bridge_put_fn)(struct bridge *b, struct bridge_port *p, struct rte_mbuf *m);

/* Does for p what its caps leave, and puts the outcome. */
static void put_prepared(struct bridge *b, struct bridge_port *p, unsigned left, struct rte_mbuf *m, unsigned caps,
			 bridge_put_fn put)
{
	struct rte_mbuf *frame;
	struct gso g;

	if (!(left & (OFFLOAD_GSO_IPV4 | OFFLOAD_GSO_IPV6))) {
		offload_fill(m);
		count_add(&p->stats.checksums, 1);
		put(b, p, m);
		return;
	}
	count_add(&p->stats.segmented, 1);
	gso_begin(&g, m, b->pool, b->ext_pool);
	while ((frame = gso_next(&g)) != NULL) {
		if (offload_needs(frame) & ~caps)
			offload_fill(frame);
		put(b, p, frame);
	}
	if (!gso_is_done(&g))
		count_add(&p->stats.drop_no_mbuf, 1);
	rte_pktmbuf_free(m);
}

void bridge_put(struct bridge *b, struct bridge_port *p, struct rte_mbuf *m)
{
	unsigned left = offload_needs(m) & ~p->caps;

	if (unlikely(left))
		put_prepared(b, p, left, m, p->caps, port_put_ready);
	else
		port_put_ready(b, p, m);
}

static inline bool is_flooded(const struct bridge_port *p, const struct bridge_port *from)
{
	return p && p != from && !p->peer;
}

static void flood_ready(struct bridge *b, struct bridge_port *from, struct rte_mbuf *m)
{
	/* Readers share one packet: each port frees its reference. Ours is held until the last port has its own. */
	for (uint16_t i = 0; i < b->nr_ports; i++) {
		struct bridge_port *p = b->ports[i];

		if (!is_flooded(p, from))
			continue;
		rte_pktmbuf_refcnt_update(m, 1);
		port_put_ready(b, p, m);
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

static void flood(struct bridge *b, struct bridge_port *from, struct rte_mbuf *m)
{
	unsigned needs = offload_needs(m), caps = needs ? flood_caps(b, from) : 0;

	count_add(&b->flooded, 1);
	if (unlikely(needs & ~caps))
		put_prepared(b, from, needs & ~caps, m, caps, flood_ready);
	else
		flood_ready(b, from, m);
}

static void put_to_peer(struct bridge *b, struct bridge_port *from, struct rte_mbuf *m)
{
	if (likely(from->peer->index != BRIDGE_NO_PORT)) {
		bridge_put(b, from->peer, m);
		return;
	}
	count_add(&from->stats.drop_full, 1); /* it comes, or goes */
	rte_pktmbuf_free(m);
}

static void forward(struct bridge *b, struct bridge_port *from, struct rte_mbuf *m)
{
	const struct rte_ether_hdr *eth = rte_pktmbuf_mtod(m, const struct rte_ether_hdr *);
	uint16_t to = BRIDGE_NO_PORT;

	if (from->peer) {
		put_to_peer(b, from, m);
		return;
	}
	if (b->ageing) {
		if (unlikely(mac_is_reserved(&eth->dst_addr))) {
			count_add(&from->stats.drop_reserved, 1);
			rte_pktmbuf_free(m);
			return;
		}
		learn(b, &eth->src_addr, from);
		if (!rte_is_multicast_ether_addr(&eth->dst_addr))
			to = bridge_lookup(b, &eth->dst_addr);
	}
	if (to == BRIDGE_NO_PORT) {
		flood(b, from, m);
	} else if (to == from->index) {
		count_add(&from->stats.drop_same_port, 1);
		rte_pktmbuf_free(m);
	} else {
		bridge_put(b, b->ports[to], m);
	}
}

void bridge_input(struct bridge *b, struct bridge_port *from, struct rte_mbuf **pkts, uint16_t n)
{
	uint64_t bytes = 0;

	for (uint16_t i = 0; i < n; i++) {
		if (i + 1 < n)
			rte_prefetch0(rte_pktmbuf_mtod(pkts[i + 1], void *));
		bytes += pkts[i]->pkt_len;
		if (unlikely(pkts[i]->data_len < sizeof(struct rte_ether_hdr))) {
			count_add(&from->stats.drop_runt, 1);
			rte_pktmbuf_free(pkts[i]);
			continue;
		}
		forward(b, from, pkts[i]);
	}
	count_add(&from->stats.in_packets, n);
	count_add(&from->stats.in_bytes, bytes);
}

uint16_t bridge_poll(struct bridge *b, struct bridge_port *p)
{
	struct rte_mbuf *pkts[BRIDGE_BURST];
	uint16_t n = p->in ? p->in(p->queue, pkts, BRIDGE_BURST) : 0;

	if (n)
		bridge_input(b, p, pkts, n);
	return n;
}

void bridge_flush(struct bridge *b)
{
	for (uint16_t i = 0; i < b->nr_dirty; i++) {
		struct bridge_port *p = b->ports[b->dirty[i]];

		p->is_dirty = false;
		if (p->nr_out)
			port_flush(p);
	}
	b->nr_dirty = 0;
}

void bridge_init(struct bridge *b, uint64_t ageing, uint64_t secret, struct rte_mempool *pool, struct rte_mempool *ext_pool)
{
	memset(b, 0, sizeof(*b));
	b->pool = pool;
	b->ext_pool = ext_pool;
	b->ageing = ageing;
	b->secret = secret;
}

int bridge_add_port(struct bridge *b, struct bridge_port *p)
{
	uint16_t at = 0;

	while (at < b->nr_ports && b->ports[at])
		at++;
	if (at == BRIDGE_MAX_PORTS)
		return -ENOSPC;
	p->index = at;
	p->nr_out = 0;
	p->is_dirty = false;
	p->nr_addresses = 0;
	b->ports[at] = p;
	if (at == b->nr_ports)
		b->nr_ports++;
	return 0;
}

void bridge_remove_port(struct bridge *b, struct bridge_port *p)
{
	bridge_flush(b); /* nothing is dirty below, so no index dangles */
	for (unsigned i = 0; i < BRIDGE_BUCKETS; i++)
		for (unsigned w = 0; w < BRIDGE_WAYS; w++)
			if (b->table[i][w].key && entry_port(&b->table[i][w]) == p->index)
				entry_clear(b, &b->table[i][w]);
	b->ports[p->index] = NULL;
	while (b->nr_ports && !b->ports[b->nr_ports - 1])
		b->nr_ports--;
	p->index = BRIDGE_NO_PORT;
}
