/*
 * netback/steer.c - hashes packets and picks queues.   [hot]
 */
#include "netback/steer.h"

#include <rte_ether.h>
#include <rte_ip.h>
#include <rte_thash.h>

static inline uint64_t load_u64(const uint8_t *p)
{
	uint64_t v;

	__builtin_memcpy(&v, p, sizeof(v));
	return v;
}

static inline uint32_t load_u32(const uint8_t *p)
{
	uint32_t v;

	__builtin_memcpy(&v, p, sizeof(v));
	return v;
}

/* Addresses, and both ports where TCP or UDP follows at once. Fragments have no ports, and must stay with their flow's others. */
static uint64_t flow_of(const struct rte_mbuf *m)
{
	const uint8_t *eth = rte_pktmbuf_mtod(m, const uint8_t *), *ip = eth + RTE_ETHER_HDR_LEN;
	uint16_t type = ((const struct rte_ether_hdr *)eth)->ether_type;
	uint32_t bytes = m->data_len;
	uint64_t flow;

	if (type == RTE_BE16(RTE_ETHER_TYPE_IPV4) && bytes >= RTE_ETHER_HDR_LEN + 24) {
		const struct rte_ipv4_hdr *v4 = (const struct rte_ipv4_hdr *)ip;

		flow = load_u64(ip + offsetof(struct rte_ipv4_hdr, src_addr));
		if ((v4->next_proto_id == IPPROTO_TCP || v4->next_proto_id == IPPROTO_UDP) && v4->version_ihl == 0x45 &&
		    !(v4->fragment_offset & RTE_BE16(RTE_IPV4_HDR_MF_FLAG | RTE_IPV4_HDR_OFFSET_MASK)))
			flow ^= (uint64_t)load_u32(ip + sizeof(*v4)) << 16;
	} else if (type == RTE_BE16(RTE_ETHER_TYPE_IPV6) && bytes >= RTE_ETHER_HDR_LEN + 44) {
		const uint8_t *addr = ip + offsetof(struct rte_ipv6_hdr, src_addr);
		uint8_t proto = ((const struct rte_ipv6_hdr *)ip)->proto;

		flow = load_u64(addr) + load_u64(addr + 8) * 3 + load_u64(addr + 16) * 5 + load_u64(addr + 24) * 7;
		if (proto == IPPROTO_TCP || proto == IPPROTO_UDP)
			flow ^= (uint64_t)load_u32(addr + 32) << 16;
	} else {
		flow = load_u64(eth) ^ (uint64_t)load_u32(eth + 8) << 32;
	}
	return flow;
}

unsigned steer_flow(const struct rte_mbuf *m, unsigned nr_queues)
{
	uint64_t hash = flow_of(m) * UINT64_C(0x9e3779b97f4a7c15);

	return (unsigned)(((hash >> 32) * nr_queues) >> 32);
}

/* Where the IP header begins, one VLAN tag stepped over; 0: no IP. */
static uint32_t find_ip(const struct rte_mbuf *m, bool *is_ipv6)
{
	const uint8_t *eth = rte_pktmbuf_mtod(m, const uint8_t *);
	uint16_t type = ((const struct rte_ether_hdr *)eth)->ether_type;
	uint32_t at = RTE_ETHER_HDR_LEN;

	if (type == RTE_BE16(RTE_ETHER_TYPE_VLAN) && m->data_len >= at + RTE_VLAN_HLEN) {
		type = ((const struct rte_vlan_hdr *)(eth + at))->eth_proto;
		at += RTE_VLAN_HLEN;
	}
	*is_ipv6 = type == RTE_BE16(RTE_ETHER_TYPE_IPV6);
	if (*is_ipv6)
		return m->data_len >= at + sizeof(struct rte_ipv6_hdr) ? at : 0;
	return type == RTE_BE16(RTE_ETHER_TYPE_IPV4) && m->data_len >= at + sizeof(struct rte_ipv4_hdr) ? at : 0;
}

/* Addresses as they lie, then both ports: nr words of which the hash is taken. */
static void toeplitz(const struct steer *s, const uint8_t *addresses, unsigned nr, const uint8_t *ports, uint32_t *value)
{
	uint32_t tuple[9];

	for (unsigned i = 0; i < nr; i++)
		tuple[i] = rte_be_to_cpu_32(load_u32(addresses + 4 * i));
	if (ports)
		tuple[nr++] = rte_be_to_cpu_32(load_u32(ports));
	*value = rte_softrss(tuple, nr, (const uint8_t *)s->key);
}

static bool hash_ipv4(const struct steer *s, const struct rte_mbuf *m, uint32_t at, struct steer_hash *hash)
{
	const uint8_t *ip = rte_pktmbuf_mtod_offset(m, const uint8_t *, at);
	const struct rte_ipv4_hdr *v4 = (const struct rte_ipv4_hdr *)ip;
	uint32_t l4 = at + rte_ipv4_hdr_len(v4);
	bool is_tcp = v4->next_proto_id == IPPROTO_TCP && m->data_len >= l4 + 4 &&
		      !(v4->fragment_offset & RTE_BE16(RTE_IPV4_HDR_MF_FLAG | RTE_IPV4_HDR_OFFSET_MASK));

	if (is_tcp && (s->types & XEN_NETIF_CTRL_HASH_TYPE_IPV4_TCP)) {
		hash->type = _XEN_NETIF_CTRL_HASH_TYPE_IPV4_TCP;
		toeplitz(s, ip + offsetof(struct rte_ipv4_hdr, src_addr), 2, ip + (l4 - at), &hash->value);
		return true;
	}
	hash->type = _XEN_NETIF_CTRL_HASH_TYPE_IPV4;
	if (s->types & XEN_NETIF_CTRL_HASH_TYPE_IPV4)
		toeplitz(s, ip + offsetof(struct rte_ipv4_hdr, src_addr), 2, NULL, &hash->value);
	return s->types & XEN_NETIF_CTRL_HASH_TYPE_IPV4;
}

static bool hash_ipv6(const struct steer *s, const struct rte_mbuf *m, uint32_t at, struct steer_hash *hash)
{
	const uint8_t *ip = rte_pktmbuf_mtod_offset(m, const uint8_t *, at);
	const struct rte_ipv6_hdr *v6 = (const struct rte_ipv6_hdr *)ip;
	bool is_tcp = v6->proto == IPPROTO_TCP && m->data_len >= at + sizeof(*v6) + 4;

	if (is_tcp && (s->types & XEN_NETIF_CTRL_HASH_TYPE_IPV6_TCP)) {
		hash->type = _XEN_NETIF_CTRL_HASH_TYPE_IPV6_TCP;
		toeplitz(s, ip + offsetof(struct rte_ipv6_hdr, src_addr), 8, ip + sizeof(*v6), &hash->value);
		return true;
	}
	hash->type = _XEN_NETIF_CTRL_HASH_TYPE_IPV6;
	if (s->types & XEN_NETIF_CTRL_HASH_TYPE_IPV6)
		toeplitz(s, ip + offsetof(struct rte_ipv6_hdr, src_addr), 8, NULL, &hash->value);
	return s->types & XEN_NETIF_CTRL_HASH_TYPE_IPV6;
}

bool steer_hash(const struct steer *s, const struct rte_mbuf *m, struct steer_hash *hash)
{
	bool is_ipv6;
	uint32_t at = find_ip(m, &is_ipv6);

	if (!at)
		return false;
	return is_ipv6 ? hash_ipv6(s, m, at, hash) : hash_ipv4(s, m, at, hash);
}

unsigned steer_queue(const struct steer *s, uint32_t hash, unsigned nr_queues)
{
	uint32_t queue = s->nr_mapping ? s->mapping[hash % s->nr_mapping] : hash;

	return queue % nr_queues; /* what the mapping says was checked when it was set */
}

unsigned steer_queue_of(const struct steer *s, const struct rte_mbuf *m, unsigned nr_queues, struct steer_hash *hash)
{
	if (steer_is_on(s) && steer_hash(s, m, hash))
		return steer_queue(s, hash->value, nr_queues);
	hash->is_none = true;
	return steer_flow(m, nr_queues);
}

unsigned steer_packet(const struct steer *s, struct rte_mbuf *m, unsigned nr_queues)
{
	struct steer_hash hash = {0};
	unsigned queue = steer_queue_of(s, m, nr_queues, &hash);

	m->ol_flags &= ~RTE_MBUF_F_RX_RSS_HASH;
	if (hash.is_none)
		return queue;
	m->ol_flags |= RTE_MBUF_F_RX_RSS_HASH;
	m->hash.fdir.lo = hash.value;
	m->hash.fdir.hi = hash.type;
	return queue;
}
