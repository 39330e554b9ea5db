/*
 * hv/core.h - the hypervisor core: domains, store, hypercall server, in one event loop.
 *
 * No globals: a test runs as many cores as it likes, each in a thread of its own.
 *
 * Owns     everything it creates; the loop stays the caller's.
 * Runs in  the loop's thread, all but loop_stop.
 */
#ifndef SLUICE_HV_CORE_H
#define SLUICE_HV_CORE_H

#include "hv/core_log.h"
#include "hv/local_abi.h"
#include "hv/loop.h"
#include "hv/store.h"

struct conn;
struct core;
struct domain;
struct local_server;
struct orphans;
struct pirq;

struct core_options {
	const char *run_dir;         /* exists; sockets and log/ are made in it. NULL: no sockets, no logs (unit tests) */
	unsigned max_domains;        /* 0: 4096 */
	unsigned keep_ms;            /* how long devices wait for another back end when theirs has gone; 0: not at all */
	struct store_quota store_quota;
};

struct core {
	struct loop *loop;
	char run_dir[512]; /* "": none */
	unsigned max_domains;
	struct domain **domain; /* [DOMID_FIRST_RESERVED] */
	unsigned nr_domains;    /* without Domain-0 */
	domid_t last_domid;     /* most recently given out */
	struct store *store;
	struct local_server *server; /* NULL: no sockets */
	struct conn *conns;
	struct orphans *orphans; /* devices that wait for a back end, for keep_ms */
	unsigned keep_ms;
	struct pirq *pirqs;
	struct core_log log;
	bool is_ending;
};

/* Serves when it returns. -EADDRINUSE and others of bind(2) for the sockets. */
int core_create(struct loop *loop, const struct core_options *options, struct core **out);
/* Kills every guest and waits for it, removes the sockets. Takes NULL. */
void core_destroy(struct core *core);

/* A domain of any stage, or NULL. */
struct domain *core_domain(const struct core *core, unsigned domid);
/* The first domain from domid upwards, or NULL. */
struct domain *core_next_domain(const struct core *core, unsigned domid);

#endif
