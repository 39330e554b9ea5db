/*
 * hv/store_watch.h - watches, found by the path they hang on: a change asks for each prefix of its path, never for all watches.
 *
 * Owns     watches and the points they hang on.
 * Runs in  the loop's thread.
 */
#ifndef SLUICE_HV_STORE_WATCH_H
#define SLUICE_HV_STORE_WATCH_H

#include "hv/store_tree.h"
#include "hv/store_tx.h"

struct store_watch_point {
	struct store_map_entry entry;
	struct store_watch *watches;
	char path[];
};

struct store_watch {
	struct store_watch *prev_at, *next_at;     /* at the same point */
	struct store_watch *prev_of, *next_of;     /* of the same connection */
	struct store_watch_point *point;
	struct store_conn *conn;
	unsigned skip; /* bytes of an event's path that the client does not see: its watch is relative */
	unsigned bytes;
	char token[];
};

struct store_watches {
	struct store_map points;
	unsigned nr;
};

int store_watches_init(struct store_watches *watches);
/* When all connections are gone. */
void store_watches_finish(struct store_watches *watches);
/* -EEXIST: this connection has it already. -ENOMEM. */
int store_watch_add(struct store_watches *watches, struct store_conn *conn, const struct store_path *path, unsigned skip,
		    const char *token, struct store_watch **out);
/* NULL when the connection has no such watch. */
struct store_watch *store_watch_find(const struct store_watches *watches, const struct store_conn *conn, const struct store_path *path,
				     const char *token);
void store_watch_remove(struct store_watches *watches, struct store_watch *watch);
/* The event a watch gets at once, on its own path. */
void store_watch_fire_one(struct store_watch *watch);

/*
 * The node at path changed, or is about to go: an event for each watch on it and, with STORE_FIRE_ALL, on its parents, whose client may
 * read the node as it is, or as it was (old_perms, may be NULL), or its parent.
 */
void store_watches_fire(const struct store_watches *watches, const struct store_tree *tree, const struct store_path *path,
			const struct store_perm *old_perms, unsigned nr_old, enum store_fire fire);

/* Every watch hangs where it should; 0 or -EINVAL. */
int store_watches_validate(const struct store_watches *watches);

#endif
