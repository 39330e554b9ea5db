/*
 * hv/store_internal.h - the store's own state, shared by its files.
 */
#ifndef SLUICE_HV_STORE_INTERNAL_H
#define SLUICE_HV_STORE_INTERNAL_H

#include "hv/store.h"
#include "hv/store_tree.h"
#include "hv/store_watch.h"

struct store {
	struct loop *loop;
	struct store_hooks hooks;
	struct store_quota quota;
	struct store_tree tree;
	struct store_watches watches;
	struct store_conn *conns;
	struct store_conn *dirty; /* to be flushed or destroyed by store_leave */
	struct store_conn *ready; /* to be served from the loop */
	unsigned depth;           /* of store_enter */
	int listen_fd;            /* -1: does not listen */
	struct loop_source *listen_source;
	bool is_listening;        /* false while there is no fd to accept with */
	char *listen_path;
	int kick_fd;              /* brings the loop round to `ready` */
	struct loop_source *kick_source;
};

/* Around whatever changes the store. The outermost leave sends what was queued and frees what died. */
void store_enter(struct store *store);
void store_leave(struct store *store);
/* The connection has output, or died. */
void store_mark_dirty(struct store *store, struct store_conn *conn);
/* The connection has more to do, in a later round of the loop. */
void store_mark_ready(struct store *store, struct store_conn *conn);
/* An fd was closed: accept again. */
void store_accept_again(struct store *store);
bool store_domain_exists(const struct store *store, domid_t domid);
/* @introduceDomain, @releaseDomain. */
void store_fire_special(struct store *store, const char *name);

#endif
