/*
 * hv/store_watch.c - hangs watches on paths, and fires them.
 */
#include "hv/store_watch.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "hv/store_conn.h"

int store_watches_init(struct store_watches *watches)
{
	watches->nr = 0;
	return store_map_init(&watches->points);
}

void store_watches_finish(struct store_watches *watches)
{
	store_map_finish(&watches->points);
}

static struct store_watch_point *point_find(const struct store_watches *watches, const struct store_key *key)
{
	return (struct store_watch_point *)store_map_find(&watches->points, key);
}

static struct store_watch_point *point_get(struct store_watches *watches, const struct store_key *key)
{
	struct store_watch_point *point = point_find(watches, key);

	if (point)
		return point;
	point = calloc(1, sizeof(*point) + key->len + 1);
	if (!point)
		return NULL;
	memcpy(point->path, key->text, key->len);
	point->entry.key = (struct store_key){point->path, key->len, key->hash};
	store_map_insert(&watches->points, &point->entry);
	return point;
}

struct store_watch *store_watch_find(const struct store_watches *watches, const struct store_conn *conn, const struct store_path *path,
				     const char *token)
{
	struct store_key key = store_path_whole(path);
	struct store_watch_point *point = point_find(watches, &key);
	struct store_watch *w = point ? point->watches : NULL;

	while (w && (w->conn != conn || strcmp(w->token, token)))
		w = w->next_at;
	return w;
}

static void watch_link(struct store_watch *w, struct store_watch_point *point, struct store_conn *conn)
{
	w->point = point;
	w->next_at = point->watches;
	if (w->next_at)
		w->next_at->prev_at = w;
	point->watches = w;
	w->conn = conn;
	w->next_of = conn->watches;
	if (w->next_of)
		w->next_of->prev_of = w;
	conn->watches = w;
}

int store_watch_add(struct store_watches *watches, struct store_conn *conn, const struct store_path *path, unsigned skip,
		    const char *token, struct store_watch **out)
{
	struct store_key key = store_path_whole(path);
	size_t token_bytes = strlen(token) + 1;
	struct store_watch_point *point;
	struct store_watch *w;

	if (store_watch_find(watches, conn, path, token))
		return -EEXIST;
	w = calloc(1, sizeof(*w) + token_bytes);
	if (!w)
		return -ENOMEM;
	point = point_get(watches, &key);
	if (!point) {
		free(w);
		return -ENOMEM;
	}
	memcpy(w->token, token, token_bytes);
	w->skip = skip;
	w->bytes = (unsigned)(sizeof(*w) + token_bytes + sizeof(*point) + key.len);
	watch_link(w, point, conn);
	watches->nr++;
	*out = w;
	return 0;
}

void store_watch_remove(struct store_watches *watches, struct store_watch *w)
{
	struct store_watch_point *point = w->point;

	*(w->prev_at ? &w->prev_at->next_at : &point->watches) = w->next_at;
	if (w->next_at)
		w->next_at->prev_at = w->prev_at;
	*(w->prev_of ? &w->prev_of->next_of : &w->conn->watches) = w->next_of;
	if (w->next_of)
		w->next_of->prev_of = w->prev_of;
	free(w);
	watches->nr--;
	if (point->watches)
		return;
	store_map_remove(&watches->points, &point->entry);
	free(point);
}

void store_watch_fire_one(struct store_watch *watch)
{
	store_conn_event(watch->conn, watch, watch->point->path);
}

/* What decides who may hear of a change. */
struct change {
	const char *path;
	const struct store_perm *old_perms;
	unsigned nr_old;
	const struct store_node *node, *parent;
};

static bool may_hear(const struct change *c, const struct store_who *who)
{
	if (who->is_privileged)
		return true;
	if (c->old_perms && (store_access(c->old_perms, c->nr_old, who) & STORE_READ))
		return true;
	if (c->node && (store_access(c->node->perms, c->node->nr_perms, who) & STORE_READ))
		return true;
	return c->parent && (store_access(c->parent->perms, c->parent->nr_perms, who) & STORE_READ);
}

static void fire_point(const struct store_watch_point *point, const struct change *c)
{
	for (struct store_watch *w = point->watches; w; w = w->next_at)
		if (may_hear(c, &w->conn->who))
			store_conn_event(w->conn, w, c->path);
}

void store_watches_fire(const struct store_watches *watches, const struct store_tree *tree, const struct store_path *path,
			const struct store_perm *old_perms, unsigned nr_old, enum store_fire fire)
{
	struct change c = {.path = path->text, .old_perms = old_perms, .nr_old = nr_old};
	struct store_key key = store_path_whole(path);

	if (!watches->nr || fire == STORE_FIRE_NONE)
		return;
	c.node = store_tree_find(tree, &key);
	if (path->depth) {
		key = store_path_key(path, path->depth - 1);
		c.parent = store_tree_find(tree, &key);
	}
	for (unsigned level = fire == STORE_FIRE_ALL ? 0 : path->depth; level <= path->depth; level++) {
		const struct store_watch_point *point;

		key = store_path_key(path, level);
		point = point_find(watches, &key);
		if (point)
			fire_point(point, &c);
	}
}

int store_watches_validate(const struct store_watches *watches)
{
	unsigned nr = 0;

	for (struct store_map_entry *e = store_map_next(&watches->points, NULL); e; e = store_map_next(&watches->points, e)) {
		const struct store_watch_point *point = (const struct store_watch_point *)e;

		if (!point->watches)
			return -EINVAL;
		for (const struct store_watch *w = point->watches; w; w = w->next_at, nr++)
			if (w->point != point || (w->next_at && w->next_at->prev_at != w))
				return -EINVAL;
	}
	return nr == watches->nr ? 0 : -EINVAL;
}
