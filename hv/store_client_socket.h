/*
 * hv/store_client_socket.h - the store through its socket: Domain-0's way on the local platform.
 */
#ifndef SLUICE_HV_STORE_CLIENT_SOCKET_H
#define SLUICE_HV_STORE_CLIENT_SOCKET_H

#include "hv/store_client.h"

/* -errno of connecting. */
int store_client_socket_open(const char *path, struct store_client **out);

#endif
