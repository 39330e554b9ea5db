/*
 * hv/store_client_ops.h - what stands behind hv/store_client.h. An implementation's own struct begins with struct store_client.
 */
#ifndef SLUICE_HV_STORE_CLIENT_OPS_H
#define SLUICE_HV_STORE_CLIENT_OPS_H

#include "hv/store_client.h"

struct store_client_ops {
	void (*close)(struct store_client *sc);
	int (*read)(struct store_client *sc, uint32_t tx, const char *path, char **value, unsigned *len);
	int (*write)(struct store_client *sc, uint32_t tx, const char *path, const void *value, unsigned len);
	int (*mkdir)(struct store_client *sc, uint32_t tx, const char *path);
	int (*rm)(struct store_client *sc, uint32_t tx, const char *path);
	int (*list)(struct store_client *sc, uint32_t tx, const char *path, char ***names, unsigned *nr);
	int (*set_perms)(struct store_client *sc, uint32_t tx, const char *path, const char *const perms[], unsigned nr);
	/* These three may be NULL: every request waits for its answer then. */
	int (*prefetch)(struct store_client *sc, const char *path);
	void (*batch_begin)(struct store_client *sc);
	int (*batch_end)(struct store_client *sc);
	int (*transaction_start)(struct store_client *sc, uint32_t *tx);
	int (*transaction_end)(struct store_client *sc, uint32_t tx, bool abort);
	int (*watch)(struct store_client *sc, const char *path, const char *token);
	int (*unwatch)(struct store_client *sc, const char *path, const char *token);
	int (*fd)(const struct store_client *sc);
	int (*next_watch)(struct store_client *sc, char **path, char **token);
	int (*wait)(struct store_client *sc, int timeout_ms);
};

struct store_client {
	const struct store_client_ops *ops;
};

#endif
