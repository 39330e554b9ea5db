/*
 * hv/store_op.c - reads, writes, makes and removes nodes as Xen's xenstored does.
 */
#include "hv/store_op.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

static void scope_fire(struct store_scope *scope, const struct store_path *path, const struct store_perm *old_perms, unsigned nr_old,
		       enum store_fire fire)
{
	struct store_key key = store_path_whole(path);

	if (scope->view.tx)
		store_tx_fire(scope->view.tx, &key, fire);
	else
		store_watches_fire(scope->watches, scope->view.tree, path, old_perms, nr_old, fire);
}

/* The nearest parent that is there: its level. */
static int nearest_parent(struct store_scope *scope, const struct store_path *path, const struct store_node **out)
{
	for (unsigned level = path->depth; level-- > 0;) {
		struct store_key key = store_path_key(path, level);
		int ret = store_view_get(&scope->view, &key, out);

		if (ret < 0)
			return ret;
		if (*out)
			return (int)level;
	}
	return -ENOENT;
}

/* A client hears that a node is missing only where it may have the same access to the nearest parent. */
static int missing(struct store_scope *scope, const struct store_path *path, unsigned access)
{
	const struct store_node *parent;
	int ret;

	if (scope->view.who.is_privileged)
		return -ENOENT;
	ret = nearest_parent(scope, path, &parent);
	if (ret == -ENOENT)
		return -EACCES;
	if (ret < 0)
		return ret;
	return store_access(parent->perms, parent->nr_perms, &scope->view.who) & access ? -ENOENT : -EACCES;
}

int store_op_get(struct store_scope *scope, const struct store_path *path, unsigned access, const struct store_node **out)
{
	struct store_key key = store_path_whole(path);
	int ret = store_view_get(&scope->view, &key, out);

	if (ret < 0)
		return ret;
	if (!*out)
		return missing(scope, path, access);
	if ((store_access((*out)->perms, (*out)->nr_perms, &scope->view.who) & access) != access)
		return -EACCES;
	return 0;
}

static bool is_too_big(const struct store_scope *scope, size_t bytes)
{
	return !scope->view.who.is_privileged && bytes > scope->view.quota->node_bytes;
}

/* Would the nodes from level `from` on, hung on parent, keep the client's quotas? */
static int create_check(const struct store_scope *scope, const struct store_path *path, const struct store_node *parent,
			unsigned from, unsigned value_len)
{
	size_t perms_bytes = parent->nr_perms * sizeof(*parent->perms);
	unsigned name_len;

	if (scope->view.who.is_privileged)
		return 0;
	if (store_view_own_nodes(&scope->view) + (path->depth - from + 1) > scope->view.quota->nodes)
		return -ENOSPC;
	store_path_name(path, from, &name_len);
	if (is_too_big(scope, store_node_bytes(parent) + name_len + 1))
		return -ENOSPC;
	for (unsigned level = from; level < path->depth; level++) {
		store_path_name(path, level + 1, &name_len);
		if (is_too_big(scope, perms_bytes + name_len + 1))
			return -ENOSPC;
	}
	return is_too_big(scope, perms_bytes + value_len) ? -ENOSPC : 0;
}

/* One new node, with the name of its one child to be, or its value. */
static int create_level(struct store_scope *scope, const struct store_path *path, unsigned level, const struct store_perm *perms,
			unsigned nr_perms, const void *value, unsigned len)
{
	struct store_key key = store_path_key(path, level);
	struct store_node *node = store_node_create(&key, perms, nr_perms);
	unsigned name_len;
	const char *name;
	int ret;

	if (!node)
		return -ENOMEM;
	if (level < path->depth) {
		name = store_path_name(path, level + 1, &name_len);
		ret = store_node_add_child(node, name, name_len);
	} else {
		ret = store_node_set_value(node, value, len);
	}
	if (!ret)
		ret = store_view_add(&scope->view, node);
	if (ret < 0)
		store_node_destroy(node);
	return ret;
}

static int create(struct store_scope *scope, const struct store_path *path, const void *value, unsigned len)
{
	const struct store_node *parent;
	struct store_perm *perms;
	struct store_key key;
	unsigned first, level, name_len, nr_perms;
	const char *name;
	int ret = nearest_parent(scope, path, &parent);

	if (ret < 0)
		return ret;
	first = (unsigned)ret + 1;
	ret = create_check(scope, path, parent, first, len);
	if (ret < 0)
		return ret;
	nr_perms = parent->nr_perms;
	perms = malloc(nr_perms * sizeof(*perms));
	if (!perms)
		return -ENOMEM;
	memcpy(perms, parent->perms, nr_perms * sizeof(*perms));
	if (!scope->view.who.is_privileged)
		perms[0].domid = scope->view.who.domid;
	for (level = first; level <= path->depth; level++) {
		ret = create_level(scope, path, level, perms, nr_perms, value, len);
		if (ret < 0)
			goto drop_levels;
	}
	key = store_path_key(path, first - 1);
	name = store_path_name(path, first, &name_len);
	ret = store_view_add_child(&scope->view, &key, name, name_len);
	if (ret < 0)
		goto drop_levels;
	free(perms);
	return 0;

drop_levels:
	while (level-- > first) {
		key = store_path_key(path, level);
		store_view_drop(&scope->view, &key);
	}
	free(perms);
	return ret;
}

int store_op_write(struct store_scope *scope, const struct store_path *path, const void *value, unsigned len)
{
	struct store_key key = store_path_whole(path);
	const struct store_node *node;
	int ret = store_op_get(scope, path, STORE_WRITE, &node);

	if (ret == -ENOENT) {
		ret = create(scope, path, value, len);
	} else if (!ret) {
		if (is_too_big(scope, store_node_bytes(node) - node->len + len))
			return -ENOSPC;
		ret = store_view_set_value(&scope->view, &key, value, len);
	}
	if (!ret)
		scope_fire(scope, path, NULL, 0, STORE_FIRE_ALL);
	return ret;
}

int store_op_mkdir(struct store_scope *scope, const struct store_path *path)
{
	const struct store_node *node;
	int ret = store_op_get(scope, path, STORE_WRITE, &node);

	if (ret != -ENOENT)
		return ret;
	ret = create(scope, path, "", 0);
	if (!ret)
		scope_fire(scope, path, NULL, 0, STORE_FIRE_ALL);
	return ret;
}

/*
 * The node at the path's end goes, with all below: always the last child of the last child first, then back up, so that neither
 * stack nor list grows with the depth.
 */
static int remove_below(struct store_scope *scope, struct store_path *path)
{
	const unsigned top = path->depth;

	for (;;) {
		struct store_key key = store_path_whole(path);
		const struct store_node *node;
		const char *name;
		unsigned len;
		int ret = store_view_get(&scope->view, &key, &node);

		if (ret < 0)
			return ret;
		if (node && node->children_bytes) {
			name = store_node_last_child(node, &len);
			ret = store_path_push(path, name, len);
			if (ret < 0)
				return ret;
			continue;
		}
		if (node) {
			if (path->depth > top)
				scope_fire(scope, path, NULL, 0, STORE_FIRE_EXACT);
			store_view_drop(&scope->view, &key);
		}
		key = store_path_key(path, path->depth - 1);
		name = store_path_name(path, path->depth, &len);
		ret = store_view_drop_child(&scope->view, &key, name, len);
		if (ret < 0)
			return ret;
		if (path->depth == top)
			return 0;
		store_path_pop(path);
	}
}

int store_op_rm(struct store_scope *scope, struct store_path *path)
{
	const struct store_node *node;
	struct store_key key;
	int ret = store_op_get(scope, path, STORE_WRITE, &node);

	if (!path->depth)
		return ret < 0 ? ret : -EINVAL;
	key = store_path_key(path, path->depth - 1);
	if (ret == -ENOENT) {
		ret = store_view_get(&scope->view, &key, &node);
		return ret < 0 || node ? ret : -ENOENT;
	}
	if (ret < 0)
		return ret;
	ret = store_view_get(&scope->view, &key, &node);
	if (ret < 0)
		return ret;
	scope_fire(scope, path, NULL, 0, STORE_FIRE_ALL);
	ret = remove_below(scope, path);
	if (ret < 0 && scope->view.tx)
		scope->view.tx->is_broken = true;
	return ret;
}

int store_op_set_perms(struct store_scope *scope, const struct store_path *path, const struct store_perm *perms, unsigned nr)
{
	const struct store_quota *quota = scope->view.quota;
	struct store_key key = store_path_whole(path);
	struct store_perm *copy, *old;
	const struct store_node *node;
	unsigned nr_old;
	int ret = store_op_get(scope, path, STORE_WRITE | STORE_OWNER, &node);

	if (ret < 0)
		return ret;
	if (!scope->view.who.is_privileged && perms[0].domid != node->perms[0].domid)
		return -EPERM;
	if (!scope->view.who.is_privileged && nr > quota->perms)
		return -ENOSPC;
	nr_old = node->nr_perms;
	copy = malloc(nr * sizeof(*copy));
	old = malloc(nr_old * sizeof(*old));
	if (!copy || !old) {
		ret = -ENOMEM;
		goto free_both;
	}
	memcpy(copy, perms, nr * sizeof(*copy));
	memcpy(old, node->perms, nr_old * sizeof(*old));
	ret = store_view_set_perms(&scope->view, &key, copy, nr);
	if (ret < 0)
		goto free_both;
	scope_fire(scope, path, old, nr_old, STORE_FIRE_ALL);
	free(old);
	return 0;

free_both:
	free(copy);
	free(old);
	return ret;
}
