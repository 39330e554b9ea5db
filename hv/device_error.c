/*
 * hv/device_error.c - writes a device's error to both places, and removes it there with what it leaves empty.
 */
#include "hv/device_error.h"

#include <stdio.h>
#include <string.h>

#define PATH_BYTES 192

/* The second place; false: there is none. */
static bool tree_of(const char *path, bool has_tree, char tree[PATH_BYTES])
{
	int domid, at = 0;

	if (!has_tree || sscanf(path, "/local/domain/%d/%n", &domid, &at) < 1 || at == 0)
		return false;
	return (size_t)snprintf(tree, PATH_BYTES, "%.*serror/%s", at, path, path + at) < PATH_BYTES;
}

void device_error_write(struct store_client *sc, const char *path, bool has_tree, const char *text)
{
	char tree[PATH_BYTES];

	store_client_printf(sc, STORE_NO_TX, path, "error", "%s", text);
	if (tree_of(path, has_tree, tree))
		store_client_printf(sc, STORE_NO_TX, tree, "error", "%s", text);
}

/* A front end's directory of errors of one type of device: only this process writes there. */
static void remove_if_empty(struct store_client *sc, const char *dir)
{
	char **names;
	unsigned nr;

	if (store_client_list(sc, STORE_NO_TX, dir, &names, &nr))
		return;
	store_client_free_list(names, nr);
	if (nr == 0)
		store_client_rm(sc, STORE_NO_TX, dir);
}

void device_error_clear(struct store_client *sc, const char *path, bool has_tree)
{
	char tree[PATH_BYTES];

	if ((size_t)snprintf(tree, sizeof(tree), "%s/error", path) < sizeof(tree))
		store_client_rm(sc, STORE_NO_TX, tree);
	if (!tree_of(path, has_tree, tree))
		return;
	store_client_rm(sc, STORE_NO_TX, tree);
	*strrchr(tree, '/') = '\0';
	remove_if_empty(sc, tree);
}
