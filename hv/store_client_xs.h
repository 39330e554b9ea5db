/*
 * hv/store_client_xs.h - the store through libxenstore: Domain-0's way.
 */
#ifndef SLUICE_HV_STORE_CLIENT_XS_H
#define SLUICE_HV_STORE_CLIENT_XS_H

#include "hv/store_client.h"

/* path: the store's socket. -errno of connecting. */
int store_client_xs_open(const char *path, struct store_client **out);
/* For the toolstack: the store serves a domain's ring page from now on; -EEXIST, -errno of the core. */
int store_client_xs_introduce(struct store_client *sc, domid_t domid, uint64_t frame, evtchn_port_t port);

#endif
