/*
 * frontends/disk_guest.h - makes a program the guest whose disks it uses: fio, nbdkit.
 *
 *      disk_guest_open -> disk_guest_attach "xvda" -> the queues of its blkfront, each by a thread of the program's
 *                      -> disk_guest_close
 *
 * The store, the handshakes and the restarts of back ends are the business of a thread in here, which is the bus's. The program's
 * threads do nothing but blkfront_enter, submit, push, poll, leave and blkfront_queue_wait (blkfront.h).
 *
 * Owns     the domain, the bus and its thread, the devices.
 * Runs in  any thread: calls wait until the bus's thread has done what they ask for.
 * Fails    negative errno, and one sentence with the remedy.
 */
#ifndef SLUICE_FRONTENDS_DISK_GUEST_H
#define SLUICE_FRONTENDS_DISK_GUEST_H

#include "frontends/blkfront.h"

#define DISK_GUEST_WHY_BYTES 512
#define DISK_GUEST_MAX_DISKS 16

struct disk_guest;

/* Becomes the domain that opt names (opt->attach), which was created and has no program; under Xen, uses the one that it is in. */
int disk_guest_open(const struct hv_options *opt, struct disk_guest **out, char why[DISK_GUEST_WHY_BYTES]);
/* No thread is at a queue any more. The domain shuts down. NULL is taken. */
void disk_guest_close(struct disk_guest *g);

/* Waits until the disk of that name is connected. opt->is_threaded is implied. The blkfront is g's. */
int disk_guest_attach(struct disk_guest *g, const char *name, const struct blkfront_options *opt, struct blkfront **out,
		      char why[DISK_GUEST_WHY_BYTES]);

/* Pages of the domain: buffers that need no copy. NULL when there are not so many. Under Xen: plain memory. */
void *disk_guest_alloc(struct disk_guest *g, size_t bytes);
void disk_guest_free(struct disk_guest *g, void *pages, size_t bytes);

#endif
