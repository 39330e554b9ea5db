/*
 * hv/store_map.h - a hash table of the store's paths: nodes, transaction entries and watch points all live in one.
 *
 * The hash is a polynomial over the bytes modulo 2^61-1 with a random base: two chosen paths collide with a chance of
 * length / 2^61, so that a guest cannot build long chains; and the hash of every prefix of a path falls out of one pass.
 *
 * Owns     its buckets; the entries are the caller's (embedded, first in the caller's struct).
 * Fails    growth that cannot be had is left out: chains get longer, nothing is lost.
 */
#ifndef SLUICE_HV_STORE_MAP_H
#define SLUICE_HV_STORE_MAP_H

#include <stddef.h>
#include <stdint.h>

#define STORE_HASH_PRIME ((UINT64_C(1) << 61) - 1)

struct store_key {
	const char *text; /* len bytes; need not end in a NUL */
	unsigned len;
	uint64_t hash;
};

struct store_map_entry {
	struct store_map_entry *next;
	struct store_key key; /* the text is the entry's owner's */
};

struct store_map {
	struct store_map_entry **buckets;
	size_t nr_buckets; /* a power of two */
	size_t nr;
};

/* 0 or -ENOMEM. */
int store_map_init(struct store_map *map);
/* The entries are not touched. */
void store_map_finish(struct store_map *map);
struct store_map_entry *store_map_find(const struct store_map *map, const struct store_key *key);
/* The key must not be in the map. */
void store_map_insert(struct store_map *map, struct store_map_entry *entry);
void store_map_remove(struct store_map *map, struct store_map_entry *entry);
/* Every entry once: NULL begins, NULL ends. The map may not change meanwhile. */
struct store_map_entry *store_map_next(const struct store_map *map, const struct store_map_entry *entry);

/* A random base for one store; all its maps and paths use the same. */
uint64_t store_hash_base(void);

static inline uint64_t store_hash_step(uint64_t base, uint64_t hash, char c)
{
	unsigned __int128 product = (unsigned __int128)(hash + (unsigned char)c + 1) * base;
	uint64_t sum = (uint64_t)(product & STORE_HASH_PRIME) + (uint64_t)(product >> 61);

	return sum >= STORE_HASH_PRIME ? sum - STORE_HASH_PRIME : sum;
}

#endif
