/*
 * hv/store_tx.c - a transaction's private copies, and their way into the tree.
 */
#include "hv/store_tx.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* An entry's and a copy's own structs, for the memory a client is charged. */
#define ENTRY_BYTES (sizeof(struct store_tx_entry) + sizeof(struct store_node))

struct store_tx *store_tx_create(uint32_t id)
{
	struct store_tx *tx = calloc(1, sizeof(*tx));

	if (!tx || store_map_init(&tx->entries) < 0) {
		free(tx);
		return NULL;
	}
	tx->id = id;
	return tx;
}

static size_t entry_bytes(const struct store_tx_entry *e)
{
	return ENTRY_BYTES + e->entry.key.len + (e->node ? store_node_bytes(e->node) : 0);
}

void store_tx_destroy(struct store_tx *tx, size_t *memory)
{
	if (!tx)
		return;
	for (size_t i = 0; i < tx->entries.nr_buckets; i++) {
		struct store_tx_entry *e = (struct store_tx_entry *)tx->entries.buckets[i], *next;

		for (; e; e = next) {
			next = (struct store_tx_entry *)e->entry.next;
			*memory -= entry_bytes(e);
			store_node_destroy(e->node);
			store_node_destroy(e->old);
			free(e);
		}
	}
	store_map_finish(&tx->entries);
	free(tx);
}

static bool is_over(const struct store_view *view, size_t more)
{
	return !view->who.is_privileged && *view->memory + more > view->quota->memory_bytes;
}

static struct store_tx_entry *tx_find(const struct store_tx *tx, const struct store_key *key)
{
	return (struct store_tx_entry *)store_map_find(&tx->entries, key);
}

/* The first look at a path: what is there now is what has to be there at the commit. */
static int tx_look(struct store_view *view, const struct store_key *key, struct store_tx_entry **out)
{
	const struct store_node *base = store_tree_find(view->tree, key);
	struct store_tx *tx = view->tx;
	struct store_tx_entry *e;

	if (!view->who.is_privileged && tx->entries.nr >= view->quota->transaction_nodes)
		return -ENOSPC;
	if (is_over(view, ENTRY_BYTES + key->len))
		return -ENOMEM;
	e = calloc(1, sizeof(*e) + key->len + 1);
	if (!e)
		return -ENOMEM;
	memcpy(e->path, key->text, key->len);
	e->entry.key = (struct store_key){e->path, key->len, key->hash};
	e->seen = base ? base->generation : 0;
	store_map_insert(&tx->entries, &e->entry);
	*view->memory += entry_bytes(e);
	*out = e;
	return 0;
}

int store_view_get(struct store_view *view, const struct store_key *key, const struct store_node **out)
{
	const struct store_node *base;
	struct store_tx_entry *e;
	int ret;

	if (!view->tx) {
		*out = store_tree_find(view->tree, key);
		return 0;
	}
	e = tx_find(view->tx, key);
	if (!e) {
		ret = tx_look(view, key, &e);
		if (ret < 0)
			return ret;
	}
	if (e->is_modified) {
		*out = e->node;
		return 0;
	}
	base = store_tree_find(view->tree, key);
	if ((base ? base->generation : 0) != e->seen)
		view->tx->is_doomed = true;
	*out = base;
	return 0;
}

/* The private copy of a node that was looked at and is there. */
static int tx_own(struct store_view *view, const struct store_key *key, struct store_tx_entry **out)
{
	struct store_tx_entry *e = tx_find(view->tx, key);
	const struct store_node *base;

	*out = e;
	if (e->is_modified)
		return 0;
	base = store_tree_find(view->tree, key);
	if (is_over(view, store_node_bytes(base)))
		return -ENOMEM;
	e->node = store_node_copy(base);
	if (!e->node)
		return -ENOMEM;
	*view->memory += store_node_bytes(e->node);
	e->is_modified = true;
	return 0;
}

/* The node itself, or the transaction's copy, about to be changed; the memory charged for a copy is settled by edit_end. */
static int edit_begin(struct store_view *view, const struct store_key *key, struct store_node **out)
{
	struct store_tx_entry *e;
	int ret;

	if (!view->tx) {
		*out = store_tree_find(view->tree, key);
		store_tree_touch(view->tree, *out);
		return 0;
	}
	ret = tx_own(view, key, &e);
	if (ret < 0)
		return ret;
	*out = e->node;
	*view->memory -= store_node_bytes(e->node);
	return 0;
}

static void edit_end(struct store_view *view, const struct store_node *node)
{
	if (view->tx)
		*view->memory += store_node_bytes(node);
}

int store_view_set_value(struct store_view *view, const struct store_key *key, const void *value, unsigned len)
{
	struct store_node *node;
	int ret;

	if (view->tx && is_over(view, len))
		return -ENOMEM;
	ret = edit_begin(view, key, &node);
	if (ret < 0)
		return ret;
	ret = store_node_set_value(node, value, len);
	edit_end(view, node);
	return ret;
}

int store_view_add_child(struct store_view *view, const struct store_key *key, const char *name, unsigned len)
{
	struct store_node *node;
	int ret;

	if (view->tx && is_over(view, len))
		return -ENOMEM;
	ret = edit_begin(view, key, &node);
	if (ret < 0)
		return ret;
	ret = store_node_add_child(node, name, len);
	edit_end(view, node);
	return ret;
}

int store_view_drop_child(struct store_view *view, const struct store_key *key, const char *name, unsigned len)
{
	const struct store_node *there;
	struct store_node *node;
	int ret = store_view_get(view, key, &there);

	if (ret < 0)
		return ret;
	if (!there) {
		/* Only in a transaction: others removed the parent of what it has a copy of. */
		view->tx->is_doomed = true;
		return 0;
	}
	ret = edit_begin(view, key, &node);
	if (ret < 0)
		return ret;
	store_node_drop_child(node, name, len);
	edit_end(view, node);
	return 0;
}

static int own_count(const struct store_view *view, const struct store_perm *perms)
{
	return !view->who.is_privileged && perms[0].domid == view->who.domid;
}

int store_view_add(struct store_view *view, struct store_node *node)
{
	struct store_tx_entry *e;
	int ret;

	if (!view->tx) {
		ret = store_tree_prepare(view->tree, node->perms, node->nr_perms);
		if (!ret)
			store_tree_insert(view->tree, node);
		return ret;
	}
	if (is_over(view, store_node_bytes(node)))
		return -ENOMEM;
	e = tx_find(view->tx, &node->entry.key);
	e->node = node;
	e->is_modified = true;
	*view->memory += store_node_bytes(node);
	view->tx->own_nodes += own_count(view, node->perms);
	return 0;
}

void store_view_drop(struct store_view *view, const struct store_key *key)
{
	struct store_node *node = store_tree_find(view->tree, key);
	struct store_tx_entry *e;

	if (!view->tx) {
		store_tree_take(view->tree, node);
		store_node_destroy(node);
		return;
	}
	e = tx_find(view->tx, key);
	if (!e->is_modified) {
		view->tx->own_nodes -= own_count(view, node->perms);
	} else {
		*view->memory -= store_node_bytes(e->node);
		view->tx->own_nodes -= own_count(view, e->node->perms);
		store_node_destroy(e->node);
	}
	e->node = NULL;
	e->is_modified = true;
}

int store_view_set_perms(struct store_view *view, const struct store_key *key, struct store_perm *perms, unsigned nr)
{
	struct store_tx_entry *e;
	struct store_node *node;
	int ret;

	if (!view->tx) {
		ret = store_tree_prepare(view->tree, perms, nr);
		if (ret < 0)
			return ret;
		node = store_tree_find(view->tree, key);
		store_tree_set_perms(view->tree, node, perms, nr);
		store_tree_touch(view->tree, node);
		return 0;
	}
	ret = tx_own(view, key, &e);
	if (ret < 0)
		return ret;
	view->tx->own_nodes += own_count(view, perms) - own_count(view, e->node->perms);
	*view->memory -= store_node_bytes(e->node);
	free(e->node->perms);
	e->node->perms = perms;
	e->node->nr_perms = nr;
	*view->memory += store_node_bytes(e->node);
	return 0;
}

unsigned store_view_own_nodes(const struct store_view *view)
{
	const struct store_domain *d = store_domain_find(view->tree, view->who.domid);
	int nodes = (int)(d ? d->nodes : 0) + (view->tx ? view->tx->own_nodes : 0);

	/* Below zero only in a transaction that others' changes have doomed. */
	return nodes > 0 ? (unsigned)nodes : 0;
}

/* A path changed again moves to the end: who waits for a state sees it after what it announces. */
void store_tx_fire(struct store_tx *tx, const struct store_key *key, enum store_fire fire)
{
	struct store_tx_entry *e = tx_find(tx, key);

	if (e->fire) {
		*(e->prev_fire ? &e->prev_fire->next_fire : &tx->first_fire) = e->next_fire;
		*(e->next_fire ? &e->next_fire->prev_fire : &tx->last_fire) = e->prev_fire;
	}
	if (fire > e->fire)
		e->fire = fire;
	e->prev_fire = tx->last_fire;
	e->next_fire = NULL;
	*(tx->last_fire ? &tx->last_fire->next_fire : &tx->first_fire) = e;
	tx->last_fire = e;
}

void store_tx_domain_gone(struct store_tx *tx, domid_t domid)
{
	for (struct store_map_entry *m = store_map_next(&tx->entries, NULL); m; m = store_map_next(&tx->entries, m)) {
		const struct store_tx_entry *e = (const struct store_tx_entry *)m;

		for (unsigned i = 0; e->node && i < e->node->nr_perms; i++)
			tx->is_doomed = tx->is_doomed || e->node->perms[i].domid == domid;
	}
}

/* Is every node as it was at the first look, and is there an account for every domain that comes in? */
static int commit_check(struct store_view *view)
{
	const struct store_tx *tx = view->tx;
	int ret;

	if (tx->is_broken)
		return -ENOMEM;
	if (tx->is_doomed)
		return -EAGAIN;
	for (struct store_map_entry *m = store_map_next(&tx->entries, NULL); m; m = store_map_next(&tx->entries, m)) {
		const struct store_tx_entry *e = (const struct store_tx_entry *)m;
		const struct store_node *base = store_tree_find(view->tree, &m->key);

		if ((base ? base->generation : 0) != e->seen)
			return -EAGAIN;
		ret = e->node ? store_tree_prepare(view->tree, e->node->perms, e->node->nr_perms) : 0;
		if (ret < 0)
			return ret;
	}
	if (!view->who.is_privileged && tx->own_nodes > 0 && store_view_own_nodes(view) > view->quota->nodes)
		return -ENOSPC;
	return 0;
}

static void commit_entry(struct store_view *view, struct store_tx_entry *e)
{
	if (!e->is_modified)
		return;
	e->old = store_tree_find(view->tree, &e->entry.key);
	if (e->old)
		store_tree_take(view->tree, e->old);
	if (!e->node)
		return;
	*view->memory -= store_node_bytes(e->node);
	store_tree_insert(view->tree, e->node);
	e->node = NULL;
}

int store_tx_commit(struct store_view *view,
		    void (*fired)(void *arg, const char *path, const struct store_node *old, enum store_fire fire), void *arg)
{
	struct store_tx *tx = view->tx;
	int ret = commit_check(view);

	if (ret < 0)
		return ret;
	for (struct store_map_entry *m = store_map_next(&tx->entries, NULL); m; m = store_map_next(&tx->entries, m))
		commit_entry(view, (struct store_tx_entry *)m);
	for (struct store_tx_entry *e = tx->first_fire; e; e = e->next_fire)
		fired(arg, e->path, e->old, e->fire);
	return 0;
}
