/*
 * hv/store.h - the store: xenstore, served by the core on a UNIX socket and on guests' ring pages.
 *
 * A tree of nodes with owners and permissions, watches, transactions with conflict detection, quotas for each unprivileged
 * domain. Wire-compatible with libxenstore and the stock xenstore-* programs.
 *
 * Trusts   nobody below Domain-0: every length, index, path and number from a guest is checked; work for each event is bounded.
 * Runs in  the loop's thread.
 * Spec     xen/io/xs_wire.h; docs/misc/xenstore.txt and xenstore-ring.txt of Xen.
 */
#ifndef SLUICE_HV_STORE_H
#define SLUICE_HV_STORE_H

#include "hv/loop.h"
#include "rings/store_ring.h"

struct store;

struct store_quota { /* of each unprivileged domain; 0 means the default, Xen's */
	unsigned nodes;              /* 1000 */
	unsigned watches;            /* 128 */
	unsigned transactions;       /* 10 */
	unsigned transaction_nodes;  /* 1024 */
	unsigned node_bytes;         /* 2048 */
	unsigned perms;              /* 5 */
	unsigned outstanding;        /* 20 unanswered requests and watch events */
	unsigned memory_bytes;       /* 2.5 MB: of queued answers and events */
};

struct store_hooks {
	void *arg;
	/* XS_INTRODUCE came from Domain-0: the core maps the page and calls store_introduce. 0 or -errno for the answer. */
	int (*introduce)(void *arg, domid_t domid, uint64_t frame, evtchn_port_t port);
	/* XS_RELEASE came: the core lets go of the page and calls store_release_domain. */
	int (*release)(void *arg, domid_t domid);
	/* Does this domain exist (a dead domid in permissions is dropped)? */
	bool (*domain_exists)(void *arg, domid_t domid);
};

int store_create(struct loop *loop, const struct store_hooks *hooks, const struct store_quota *quota, struct store **out);
void store_destroy(struct store *store);

/* Listens on a UNIX stream socket; who may connect is the caller's business (mode of the path). Clients there are Domain-0. */
int store_listen(struct store *store, const char *path);

/* A guest's ring page is served from now on; wake(arg) sends it the event. Fires @introduceDomain. -EEXIST. */
int store_introduce(struct store *store, domid_t domid, struct xenstore_domain_interface *page_sh, void (*wake)(void *arg), void *arg);
/* The guest's event came. Bounded work: the rest is done from the loop. */
void store_ring_event(struct store *store, domid_t domid);
/* The domain is gone: its ring is let go, watches and transactions end, its nodes' quota is forgotten, @releaseDomain fires. */
void store_release_domain(struct store *store, domid_t domid);

/* The core's own access, as Domain-0, outside transactions; watches fire. */
int store_write(struct store *store, const char *path, const void *value, unsigned len);
int store_remove(struct store *store, const char *path);
/* Borrowed until the next change; -ENOENT. */
int store_read(struct store *store, const char *path, const char **value, unsigned *len);
/* The names of a node's children, each with its NUL, bytes in all; borrowed until the next change. -ENOENT. */
int store_children(struct store *store, const char *path, const char **names, unsigned *bytes);

/* Checks the tree's invariants (accounting = sum over the tree, names sorted, ...); for tests. 0 or -EINVAL. */
int store_validate(const struct store *store);

#endif
