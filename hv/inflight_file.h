/*
 * hv/inflight_file.h - what a back end leaves for the one that comes after it, in <run folder>/<type>-<domid>-<devid>.inflight.
 *
 *      create -> fill in -> announce ... close           a token in the file and in the device's own store directory
 *      open: the same token in both ...  close           (inflight-token): written for this device, in this life of it
 *
 * The file begins with a struct inflight_head; all after it is the driver's.
 *
 * Owns     the mapping, until close. The file is there while the device is connected, and when its back end has gone.
 * Trusts   the file's bytes no further than its head and its size tell that they are ours: only Domain-0 reaches it.
 * Runs in  the thread that owns the store client.
 */
#ifndef SLUICE_HV_INFLIGHT_FILE_H
#define SLUICE_HV_INFLIGHT_FILE_H

#include "hv/handshake.h"
#include "hv/run_file.h"

struct inflight_head {
	char magic[8];
	uint64_t token;
	uint32_t version; /* of the driver's part */
	uint32_t pad;
};

/* A new one of that size, zeroed but for its head. -ENOMEM; -EIO: there is no token to be had. */
int inflight_file_create(struct run_file *f, const struct handshake *h, uint32_t version, size_t bytes);
/* All that the next back end needs is in it: from now on that one may read it. -errno: it is closed and removed. */
int inflight_file_announce(struct run_file *f, const struct handshake *h);
/* The earlier back end's. -ENOENT: there is none; -EINVAL: it is of another device, life, version or size. */
int inflight_file_open(struct run_file *f, const struct handshake *h, uint32_t version, size_t bytes);
/* Of a device whose file is closed, removes it. */
void inflight_file_remove(const struct hv *hv, const char *type, domid_t domid, unsigned devid);

#endif
