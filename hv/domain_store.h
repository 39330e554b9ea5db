/*
 * hv/domain_store.h - a domain's link to the store: its ring page and port, and its nodes' end.
 *
 * Runs in  the core's thread.
 */
#ifndef SLUICE_HV_DOMAIN_STORE_H
#define SLUICE_HV_DOMAIN_STORE_H

#include "hv/store.h"

struct domain;

/* The store's hooks; arg is the core. */
extern const struct store_hooks domain_store_hooks;

/* Lets go of ring and port. */
void domain_store_release(struct domain *d);
/* The domain is dead: its nodes and its devices' nodes at both ends are removed, and the ring let go. */
void domain_store_finish(struct domain *d);

#endif
