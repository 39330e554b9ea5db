/*
 * blkback/disk_nbd_server.h - an NBD server by name: how a target is written, and connecting to it.
 *
 *      nbd:unix:/path/of/a/socket[:exportname=NAME]
 *      nbd:HOST:PORT[:exportname=NAME]                 HOST: a name, an address, or [an IPv6 address]
 *      nbd://HOST[:PORT]/[NAME]   nbd+unix:///[NAME]?socket=/path   and the other URIs of the NBD project
 *
 * Runs in  any thread; a handle in one at a time.
 */
#ifndef SLUICE_BLKBACK_DISK_NBD_SERVER_H
#define SLUICE_BLKBACK_DISK_NBD_SERVER_H

#include <libnbd.h>

#define NBD_CONNECT_MS 5000
#define NBD_WHY_BYTES 256

/* Begins to connect; nbd_aio_is_ready says when it is. -EINVAL: not a target; else -errno. One sentence in why. */
int nbd_server_begin(const char *target, struct nbd_handle **out, char why[NBD_WHY_BYTES]);
/* Connects, NBD_CONNECT_MS at most. As nbd_server_begin. */
int nbd_server_connect(const char *target, struct nbd_handle **out, char why[NBD_WHY_BYTES]);
/* Says good-bye if anybody listens, and closes. NULL is taken. */
void nbd_server_leave(struct nbd_handle *nbd);

#endif
