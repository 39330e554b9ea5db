/*
 * hv/store_op.h - what requests do to nodes: permissions, quotas, inheritance, watches; in a transaction or not.
 *
 * Fails    -ENOENT, -EACCES (also for "is not there" where the client may not know that), -EPERM, -ENOSPC, -ENOMEM, -EINVAL.
 */
#ifndef SLUICE_HV_STORE_OP_H
#define SLUICE_HV_STORE_OP_H

#include "hv/store_tx.h"
#include "hv/store_watch.h"

struct store_scope { /* a view, and whom its changes concern */
	struct store_view view;
	const struct store_watches *watches;
};

/* The node, when the client has all of `access` to it. */
int store_op_get(struct store_scope *scope, const struct store_path *path, unsigned access, const struct store_node **out);
/* Makes missing parents, which inherit; a guest owns what it makes. */
int store_op_write(struct store_scope *scope, const struct store_path *path, const void *value, unsigned len);
/* A node that is there stays as it is. */
int store_op_mkdir(struct store_scope *scope, const struct store_path *path);
/* With all below it. Not an error when only the last part of the path is missing. The path is used up. */
int store_op_rm(struct store_scope *scope, struct store_path *path);
/* The first is the owner; only Domain-0 may change it. */
int store_op_set_perms(struct store_scope *scope, const struct store_path *path, const struct store_perm *perms, unsigned nr);

#endif
