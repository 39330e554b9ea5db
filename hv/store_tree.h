/*
 * hv/store_tree.h - the store's nodes: values, permissions, children, and what each domain owns of them.
 *
 * The tree is flat: one table from the whole path to the node, and in each node the names of its children. So a look-up costs one
 * hash whatever the depth, and nothing recurses into a depth that a guest has chosen.
 *
 * Owns     the nodes in the table, the domains' accounts.
 * Runs in  the loop's thread.
 */
#ifndef SLUICE_HV_STORE_TREE_H
#define SLUICE_HV_STORE_TREE_H

#include "hv/store_map.h"
#include "hv/store_wire.h"

#define STORE_DOMAIN_BUCKETS 256u

struct store_conn;

struct store_node {
	struct store_map_entry entry; /* its key's text is path */
	uint64_t generation;
	struct store_perm *perms; /* at least one: the owner's */
	unsigned nr_perms;
	unsigned len;
	char *value;             /* len bytes and a NUL */
	char *children;          /* names, each with its NUL, oldest first */
	unsigned children_bytes;
	char path[];
};

/* What is known of a domain that owns nodes, is named in permissions, or is connected. */
struct store_domain {
	struct store_domain *next;
	domid_t domid;
	bool has_target;
	domid_t target;          /* its rights are this domain's too */
	unsigned nodes;          /* that it owns */
	unsigned perm_refs;      /* entries of nodes' permissions that name it, the owner's not counted */
	struct store_conn *conn; /* its ring, NULL when it is not introduced */
};

struct store_tree {
	uint64_t base;       /* of the hash */
	uint64_t generation; /* of the newest change */
	struct store_map nodes;
	struct store_domain *domains[STORE_DOMAIN_BUCKETS];
};

/* Who asks. */
struct store_who {
	domid_t domid;
	bool is_privileged;
	bool has_target;
	domid_t target;
};

/* With the nodes every store has: the root, /tool/xenstored, and the two special ones. */
int store_tree_init(struct store_tree *tree);
void store_tree_finish(struct store_tree *tree);
/* The key's text is all the path. */
struct store_node *store_tree_find(const struct store_tree *tree, const struct store_key *key);
/* Into and out of the table, and of the accounts; the parent's list of children is the caller's business. Domains are prepared. */
void store_tree_insert(struct store_tree *tree, struct store_node *node);
void store_tree_take(struct store_tree *tree, struct store_node *node);
/* The node is about to change: it gets a new generation. */
void store_tree_touch(struct store_tree *tree, struct store_node *node);
/* Takes over perms (heap); accounts move. Domains are prepared. */
void store_tree_set_perms(struct store_tree *tree, struct store_node *node, struct store_perm *perms, unsigned nr);
/* Takes a dead domain out of the node's permissions; what belonged to it belongs to Domain-0. */
void store_tree_drop_domain(struct store_tree *tree, struct store_node *node, domid_t domid);
/* Accounts for all whom these permissions name, so that what follows cannot fail. 0 or -ENOMEM. */
int store_tree_prepare(struct store_tree *tree, const struct store_perm *perms, unsigned nr);

/* NULL when nothing is known of it. */
struct store_domain *store_domain_find(const struct store_tree *tree, domid_t domid);
/* Finds or makes; NULL: no memory. */
struct store_domain *store_domain_get(struct store_tree *tree, domid_t domid);
void store_domain_forget(struct store_tree *tree, domid_t domid);

/* An empty node with a copy of these permissions; NULL: no memory. */
struct store_node *store_node_create(const struct store_key *key, const struct store_perm *perms, unsigned nr);
struct store_node *store_node_copy(const struct store_node *node);
/* Takes NULL. */
void store_node_destroy(struct store_node *node);
/* 0 or -ENOMEM. */
int store_node_set_value(struct store_node *node, const void *value, unsigned len);
int store_node_add_child(struct store_node *node, const char *name, unsigned len);
/* Is nothing when there is no such child. */
void store_node_drop_child(struct store_node *node, const char *name, unsigned len);
/* Among the children of a node that has some. */
const char *store_node_last_child(const struct store_node *node, unsigned *len);
/* What the quota of node_bytes counts: value, permissions, names of children. */
size_t store_node_bytes(const struct store_node *node);

/* What these permissions let one do: STORE_READ | STORE_WRITE | STORE_OWNER. */
unsigned store_access(const struct store_perm *perms, unsigned nr, const struct store_who *who);

/* Parents, children and accounts agree: 0 or -EINVAL. */
int store_tree_validate(const struct store_tree *tree);

#endif
