/*
 * test/lib/fake_store.h - a store in memory behind hv/store_client.h: one tree, any number of clients, watches, no rights.
 *
 * Transactions take effect at once and never conflict. Everything happens in the caller's thread.
 */
#ifndef SLUICE_TEST_FAKE_STORE_H
#define SLUICE_TEST_FAKE_STORE_H

#include "hv/store_client.h"

#define FAKE_STORE_NODES 128
#define FAKE_STORE_CLIENTS 4
#define FAKE_STORE_WATCHES 16
#define FAKE_STORE_EVENTS 256

struct fake_store;

struct fake_store *fake_store_create(void);
/* Its clients are closed before. */
void fake_store_destroy(struct fake_store *fs);
struct store_client *fake_store_open(struct fake_store *fs);

/* As somebody else: the watches of all clients fire. A NULL value removes the node and all below it. */
void fake_store_set(struct fake_store *fs, const char *path, const char *value);
/* NULL: no such node. */
const char *fake_store_get(const struct fake_store *fs, const char *path);
unsigned fake_store_nr_watches(const struct fake_store *fs);
/* The next so many writes of clients fail with that -errno. */
void fake_store_fail_writes(struct fake_store *fs, unsigned nr, int err);

#endif
