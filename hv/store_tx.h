/*
 * hv/store_tx.h - transactions, and the view of the tree that a request has: of the tree itself, or through a transaction.
 *
 * A transaction keeps an entry for each path it looked at: the node's generation then (0: there was none) and, when it changes the
 * node, a copy of its own. It is committed when all generations are still the same; nothing else is compared, so that two
 * transactions on different nodes do not disturb each other.
 *
 * Owns     entries and private copies until commit or abort.
 * Fails    -EAGAIN: somebody else changed what was looked at. -ENOSPC: a quota.
 */
#ifndef SLUICE_HV_STORE_TX_H
#define SLUICE_HV_STORE_TX_H

#include "hv/store.h"
#include "hv/store_tree.h"

/* Which watches a change fires: those on the very path, or those on its parents as well. Ordered: more is greater. */
enum store_fire { STORE_FIRE_NONE, STORE_FIRE_EXACT, STORE_FIRE_ALL };

struct store_tx_entry {
	struct store_map_entry entry;
	struct store_tx_entry *prev_fire, *next_fire;
	uint64_t seen;           /* generation at the first look, 0: none */
	struct store_node *node; /* the copy; NULL and is_modified: removed here */
	struct store_node *old;  /* after the commit: what was replaced */
	bool is_modified;
	enum store_fire fire;
	char path[];
};

struct store_tx {
	struct store_tx *next; /* of the connection's */
	uint32_t id;
	struct store_map entries;
	struct store_tx_entry *first_fire, *last_fire;
	int own_nodes;    /* created less removed, of those the client's domain owns */
	bool is_broken;   /* an operation failed half way */
	bool is_doomed;   /* a conflict is certain already */
};

/* How a request sees the tree. */
struct store_view {
	struct store_tree *tree;
	struct store_tx *tx; /* NULL: the tree itself */
	struct store_who who;
	const struct store_quota *quota;
	size_t *memory;      /* bytes charged to the client */
};

/* NULL: no memory. */
struct store_tx *store_tx_create(uint32_t id);
/* Forgets all it did; memory (what is charged to the client) shrinks. Takes NULL. */
void store_tx_destroy(struct store_tx *tx, size_t *memory);
/*
 * Into the tree, all or nothing; fired is called for each change in order, while the nodes it replaced are still there (old: NULL when
 * there was none). The transaction is to be destroyed after either outcome. 0, -EAGAIN, -ENOSPC, -ENOMEM.
 */
int store_tx_commit(struct store_view *view,
		    void (*fired)(void *arg, const char *path, const struct store_node *old, enum store_fire fire), void *arg);
/* Some private copy names this domain, which is going: the transaction cannot be committed any more. */
void store_tx_domain_gone(struct store_tx *tx, domid_t domid);
/* The change to this path, looked at before, fires watches at the commit. */
void store_tx_fire(struct store_tx *tx, const struct store_key *key, enum store_fire fire);

/* *out is NULL when there is no such node. 0, -ENOSPC, -ENOMEM. */
int store_view_get(struct store_view *view, const struct store_key *key, const struct store_node **out);
/* The changes, to a node that store_view_get found: 0, -ENOMEM. */
int store_view_set_value(struct store_view *view, const struct store_key *key, const void *value, unsigned len);
int store_view_add_child(struct store_view *view, const struct store_key *key, const char *name, unsigned len);
int store_view_drop_child(struct store_view *view, const struct store_key *key, const char *name, unsigned len);
/* Where store_view_get found none; takes the node over unless it fails. */
int store_view_add(struct store_view *view, struct store_node *node);
/* A node that store_view_get found. */
void store_view_drop(struct store_view *view, const struct store_key *key);
/* Takes perms over unless it fails. */
int store_view_set_perms(struct store_view *view, const struct store_key *key, struct store_perm *perms, unsigned nr);
/* What the client's own domain owns, in this view. */
unsigned store_view_own_nodes(const struct store_view *view);

#endif
