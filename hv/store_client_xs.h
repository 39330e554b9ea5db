/*
 * hv/store_client_xs.h - the store through libxenstore: the way on Xen.
 */
#ifndef SLUICE_HV_STORE_CLIENT_XS_H
#define SLUICE_HV_STORE_CLIENT_XS_H

#include "hv/store_client.h"

/* path: the store's socket, or the kernel's device for it. -errno of connecting. */
int store_client_xs_open(const char *path, struct store_client **out);
/*
 * From the first watch on its events make epoll_fd readable, too, and store_client_fd is epoll_fd: for whoever sleeps on other
 * events as well. Before the first watch only.
 */
void store_client_xs_gather(struct store_client *sc, int epoll_fd);

#endif
