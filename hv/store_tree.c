/*
 * hv/store_tree.c - nodes, their permissions, and each domain's account.
 */
#include "hv/store_tree.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* Names are packed into a block whose size is the next power of two, so that adding one by one copies seldom. */
static unsigned children_room(unsigned bytes)
{
	unsigned room = 32;

	while (room < bytes)
		room *= 2;
	return bytes ? room : 0;
}

struct store_node *store_node_create(const struct store_key *key, const struct store_perm *perms, unsigned nr)
{
	struct store_node *node = calloc(1, sizeof(*node) + key->len + 1);

	if (!node)
		return NULL;
	memcpy(node->path, key->text, key->len);
	node->entry.key = (struct store_key){node->path, key->len, key->hash};
	node->perms = malloc(nr * sizeof(*perms));
	node->value = calloc(1, 1);
	if (!node->perms || !node->value) {
		store_node_destroy(node);
		return NULL;
	}
	memcpy(node->perms, perms, nr * sizeof(*perms));
	node->nr_perms = nr;
	return node;
}

struct store_node *store_node_copy(const struct store_node *node)
{
	struct store_node *copy = store_node_create(&node->entry.key, node->perms, node->nr_perms);

	if (!copy)
		return NULL;
	copy->generation = node->generation;
	if (store_node_set_value(copy, node->value, node->len) < 0)
		goto destroy_copy;
	if (node->children_bytes) {
		copy->children = malloc(children_room(node->children_bytes));
		if (!copy->children)
			goto destroy_copy;
		memcpy(copy->children, node->children, node->children_bytes);
		copy->children_bytes = node->children_bytes;
	}
	return copy;

destroy_copy:
	store_node_destroy(copy);
	return NULL;
}

void store_node_destroy(struct store_node *node)
{
	if (!node)
		return;
	free(node->perms);
	free(node->value);
	free(node->children);
	free(node);
}

int store_node_set_value(struct store_node *node, const void *value, unsigned len)
{
	char *copy = malloc((size_t)len + 1);

	if (!copy)
		return -ENOMEM;
	if (len)
		memcpy(copy, value, len);
	copy[len] = 0;
	free(node->value);
	node->value = copy;
	node->len = len;
	return 0;
}

int store_node_add_child(struct store_node *node, const char *name, unsigned len)
{
	unsigned bytes = node->children_bytes + len + 1;

	if (children_room(bytes) != children_room(node->children_bytes)) {
		char *children = realloc(node->children, children_room(bytes));

		if (!children)
			return -ENOMEM;
		node->children = children;
	}
	memcpy(node->children + node->children_bytes, name, len);
	node->children[bytes - 1] = 0;
	node->children_bytes = bytes;
	return 0;
}

const char *store_node_last_child(const struct store_node *node, unsigned *len)
{
	const char *end = node->children + node->children_bytes - 1;
	const char *before = memrchr(node->children, 0, (size_t)(end - node->children));
	const char *name = before ? before + 1 : node->children;

	*len = (unsigned)(end - name);
	return name;
}

/* From the end: removing a whole tree takes the last child each time. */
void store_node_drop_child(struct store_node *node, const char *name, unsigned len)
{
	char *end = node->children + node->children_bytes;
	unsigned have;

	for (char *at = end; at > node->children; at -= have + 1) {
		char *before = memrchr(node->children, 0, (size_t)(at - 1 - node->children));
		char *start = before ? before + 1 : node->children;

		have = (unsigned)(at - 1 - start);
		if (have != len || memcmp(start, name, len))
			continue;
		memmove(start, at, (size_t)(end - at));
		node->children_bytes -= len + 1;
		if (!node->children_bytes) {
			free(node->children);
			node->children = NULL;
		}
		return;
	}
}

size_t store_node_bytes(const struct store_node *node)
{
	return (size_t)node->len + node->children_bytes + node->nr_perms * sizeof(*node->perms);
}

unsigned store_access(const struct store_perm *perms, unsigned nr, const struct store_who *who)
{
	if (who->is_privileged || perms[0].domid == who->domid || (who->has_target && perms[0].domid == who->target))
		return STORE_READ | STORE_WRITE | STORE_OWNER;
	for (unsigned i = 1; i < nr; i++)
		if (perms[i].domid == who->domid || (who->has_target && perms[i].domid == who->target))
			return perms[i].access;
	return perms[0].access;
}

struct store_domain *store_domain_find(const struct store_tree *tree, domid_t domid)
{
	struct store_domain *d = tree->domains[domid % STORE_DOMAIN_BUCKETS];

	while (d && d->domid != domid)
		d = d->next;
	return d;
}

struct store_domain *store_domain_get(struct store_tree *tree, domid_t domid)
{
	struct store_domain **head = &tree->domains[domid % STORE_DOMAIN_BUCKETS];
	struct store_domain *d = store_domain_find(tree, domid);

	if (d)
		return d;
	d = calloc(1, sizeof(*d));
	if (!d)
		return NULL;
	d->domid = domid;
	d->next = *head;
	*head = d;
	return d;
}

void store_domain_forget(struct store_tree *tree, domid_t domid)
{
	struct store_domain **link = &tree->domains[domid % STORE_DOMAIN_BUCKETS], *d;

	while (*link && (*link)->domid != domid)
		link = &(*link)->next;
	d = *link;
	if (!d)
		return;
	*link = d->next;
	free(d);
}

int store_tree_prepare(struct store_tree *tree, const struct store_perm *perms, unsigned nr)
{
	for (unsigned i = 0; i < nr; i++)
		if (!store_domain_get(tree, perms[i].domid))
			return -ENOMEM;
	return 0;
}

static void account(struct store_tree *tree, const struct store_perm *perms, unsigned nr, int by)
{
	store_domain_find(tree, perms[0].domid)->nodes += (unsigned)by;
	for (unsigned i = 1; i < nr; i++)
		store_domain_find(tree, perms[i].domid)->perm_refs += (unsigned)by;
}

struct store_node *store_tree_find(const struct store_tree *tree, const struct store_key *key)
{
	return (struct store_node *)store_map_find(&tree->nodes, key);
}

void store_tree_touch(struct store_tree *tree, struct store_node *node)
{
	node->generation = ++tree->generation;
}

void store_tree_insert(struct store_tree *tree, struct store_node *node)
{
	account(tree, node->perms, node->nr_perms, 1);
	store_map_insert(&tree->nodes, &node->entry);
	store_tree_touch(tree, node);
}

void store_tree_take(struct store_tree *tree, struct store_node *node)
{
	account(tree, node->perms, node->nr_perms, -1);
	store_map_remove(&tree->nodes, &node->entry);
}

void store_tree_set_perms(struct store_tree *tree, struct store_node *node, struct store_perm *perms, unsigned nr)
{
	account(tree, node->perms, node->nr_perms, -1);
	account(tree, perms, nr, 1);
	free(node->perms);
	node->perms = perms;
	node->nr_perms = nr;
}

void store_tree_drop_domain(struct store_tree *tree, struct store_node *node, domid_t domid)
{
	unsigned kept = 1;

	account(tree, node->perms, node->nr_perms, -1);
	if (node->perms[0].domid == domid)
		node->perms[0].domid = 0;
	for (unsigned i = 1; i < node->nr_perms; i++)
		if (node->perms[i].domid != domid)
			node->perms[kept++] = node->perms[i];
	node->nr_perms = kept;
	account(tree, node->perms, node->nr_perms, 1);
	store_tree_touch(tree, node);
}

static int tree_first_node(struct store_tree *tree, const char *text, struct store_path *path)
{
	static const struct store_perm nobody = {0, 0};
	struct store_node *node, *parent;
	struct store_key key;
	const char *name;
	unsigned len;
	int ret = store_path_parse(path, tree->base, text, 0, true, NULL);

	if (ret < 0)
		return ret;
	key = store_path_whole(path);
	node = store_node_create(&key, &nobody, 1);
	if (!node)
		return -ENOMEM;
	if (path->depth) {
		name = store_path_name(path, path->depth, &len);
		key = store_path_key(path, path->depth - 1);
		parent = store_tree_find(tree, &key);
		if (store_node_add_child(parent, name, len) < 0) {
			store_node_destroy(node);
			return -ENOMEM;
		}
	}
	store_tree_insert(tree, node);
	return 0;
}

int store_tree_init(struct store_tree *tree)
{
	static const char *const first[] = {"/", "/tool", "/tool/xenstored", "@introduceDomain", "@releaseDomain"};
	struct store_path path;
	int ret;

	*tree = (struct store_tree){.base = store_hash_base()};
	ret = store_map_init(&tree->nodes);
	if (!ret && !store_domain_get(tree, 0))
		ret = -ENOMEM;
	for (unsigned i = 0; !ret && i < sizeof(first) / sizeof(first[0]); i++)
		ret = tree_first_node(tree, first[i], &path);
	if (ret < 0)
		store_tree_finish(tree);
	return ret;
}

void store_tree_finish(struct store_tree *tree)
{
	for (size_t i = 0; i < tree->nodes.nr_buckets; i++) {
		struct store_map_entry *e = tree->nodes.buckets[i], *next;

		for (; e; e = next) {
			next = e->next;
			store_node_destroy((struct store_node *)e);
		}
	}
	store_map_finish(&tree->nodes);
	for (unsigned i = 0; i < STORE_DOMAIN_BUCKETS; i++)
		while (tree->domains[i])
			store_domain_forget(tree, tree->domains[i]->domid);
}

/* Every name in the list has its node, and no name is there twice (the sum over all lists is checked by the caller). */
static int validate_children(const struct store_tree *tree, const struct store_node *node, struct store_path *path, size_t *nr)
{
	unsigned at = 0;

	if (store_path_parse(path, tree->base, node->path, 0, true, NULL) < 0 || path->hash[path->depth] != node->entry.key.hash)
		return -EINVAL;
	while (at < node->children_bytes) {
		unsigned len = (unsigned)strlen(node->children + at);
		struct store_key key;

		if (!len || store_path_push(path, node->children + at, len) < 0)
			return -EINVAL;
		key = store_path_whole(path);
		if (!store_tree_find(tree, &key))
			return -EINVAL;
		store_path_pop(path);
		at += len + 1;
		(*nr)++;
	}
	return 0;
}

static int validate_listed(const struct store_tree *tree, const struct store_path *path)
{
	struct store_node *parent;
	struct store_key key;
	const char *name;
	unsigned len, times = 0;

	if (!path->depth)
		return 0;
	key = store_path_key(path, path->depth - 1);
	parent = store_tree_find(tree, &key);
	if (!parent)
		return -EINVAL;
	name = store_path_name(path, path->depth, &len);
	for (unsigned at = 0; at < parent->children_bytes; at += (unsigned)strlen(parent->children + at) + 1)
		times += strlen(parent->children + at) == len && !memcmp(parent->children + at, name, len);
	return times == 1 ? 0 : -EINVAL;
}

static int validate_account(const struct store_tree *tree, const struct store_domain *d)
{
	unsigned nodes = 0, refs = 0;

	for (struct store_map_entry *e = store_map_next(&tree->nodes, NULL); e; e = store_map_next(&tree->nodes, e)) {
		const struct store_node *node = (const struct store_node *)e;

		nodes += node->perms[0].domid == d->domid;
		for (unsigned i = 1; i < node->nr_perms; i++)
			refs += node->perms[i].domid == d->domid;
	}
	return nodes == d->nodes && refs == d->perm_refs ? 0 : -EINVAL;
}

int store_tree_validate(const struct store_tree *tree)
{
	size_t listed = 0, specials = 0;
	struct store_path path;

	for (struct store_map_entry *e = store_map_next(&tree->nodes, NULL); e; e = store_map_next(&tree->nodes, e)) {
		const struct store_node *node = (const struct store_node *)e;

		if (!node->nr_perms || node->generation > tree->generation || node->value[node->len])
			return -EINVAL;
		if (validate_children(tree, node, &path, &listed) < 0 || validate_listed(tree, &path) < 0)
			return -EINVAL;
		for (unsigned i = 0; i < node->nr_perms; i++)
			if (!store_domain_find(tree, node->perms[i].domid))
				return -EINVAL;
		specials += store_path_is_special(&path);
	}
	if (listed + specials + 1 != tree->nodes.nr)
		return -EINVAL;
	for (unsigned i = 0; i < STORE_DOMAIN_BUCKETS; i++)
		for (const struct store_domain *d = tree->domains[i]; d; d = d->next)
			if (validate_account(tree, d) < 0)
				return -EINVAL;
	return 0;
}
