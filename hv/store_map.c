/*
 * hv/store_map.c - a hash table of paths with chains; doubles when it is full.
 */
#include "hv/store_map.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <time.h>

#define FIRST_BUCKETS 16u

int store_map_init(struct store_map *map)
{
	map->buckets = calloc(FIRST_BUCKETS, sizeof(*map->buckets));
	if (!map->buckets)
		return -ENOMEM;
	map->nr_buckets = FIRST_BUCKETS;
	map->nr = 0;
	return 0;
}

void store_map_finish(struct store_map *map)
{
	free(map->buckets);
	*map = (struct store_map){0};
}

struct store_map_entry *store_map_find(const struct store_map *map, const struct store_key *key)
{
	struct store_map_entry *e = map->buckets[key->hash & (map->nr_buckets - 1)];

	while (e && (e->key.hash != key->hash || e->key.len != key->len || memcmp(e->key.text, key->text, key->len)))
		e = e->next;
	return e;
}

static void map_grow(struct store_map *map)
{
	size_t nr_buckets = map->nr_buckets * 2;
	struct store_map_entry **buckets = calloc(nr_buckets, sizeof(*buckets));

	if (!buckets)
		return;
	for (size_t i = 0; i < map->nr_buckets; i++) {
		struct store_map_entry *e = map->buckets[i], *next;

		for (; e; e = next) {
			struct store_map_entry **head = &buckets[e->key.hash & (nr_buckets - 1)];

			next = e->next;
			e->next = *head;
			*head = e;
		}
	}
	free(map->buckets);
	map->buckets = buckets;
	map->nr_buckets = nr_buckets;
}

void store_map_insert(struct store_map *map, struct store_map_entry *entry)
{
	struct store_map_entry **head;

	if (map->nr >= map->nr_buckets)
		map_grow(map);
	head = &map->buckets[entry->key.hash & (map->nr_buckets - 1)];
	entry->next = *head;
	*head = entry;
	map->nr++;
}

void store_map_remove(struct store_map *map, struct store_map_entry *entry)
{
	struct store_map_entry **link = &map->buckets[entry->key.hash & (map->nr_buckets - 1)];

	while (*link != entry)
		link = &(*link)->next;
	*link = entry->next;
	map->nr--;
}

struct store_map_entry *store_map_next(const struct store_map *map, const struct store_map_entry *entry)
{
	size_t i = 0;

	if (entry) {
		if (entry->next)
			return entry->next;
		i = (entry->key.hash & (map->nr_buckets - 1)) + 1;
	}
	for (; i < map->nr_buckets; i++)
		if (map->buckets[i])
			return map->buckets[i];
	return NULL;
}

uint64_t store_hash_base(void)
{
	uint64_t base;

	/* A machine without entropy still gets a base; it is only easier to guess. */
	if (getrandom(&base, sizeof(base), GRND_NONBLOCK) != sizeof(base))
		base = (uint64_t)time(NULL) * UINT64_C(0x9e3779b97f4a7c15);
	return base % (STORE_HASH_PRIME - 256) + 255;
}
