/*
 * netback/capture_request.h - what a request for a capture may say, and its filter made ready.
 *
 * Trusts   no field: the sender may be anybody whom the socket lets in.
 * Runs in  the control thread.
 * Fails    -errno, and a sentence in why.
 */
#ifndef SLUICE_NETBACK_CAPTURE_REQUEST_H
#define SLUICE_NETBACK_CAPTURE_REQUEST_H

#include <stddef.h>

#include "netback/capture_abi.h"

struct rte_bpf;

/* -EPROTO: not of this version's format; -EINVAL: a field out of range. */
int capture_request_check(const struct capture_request *rq, size_t bytes, char why[CAPTURE_WHY_BYTES]);
/* nr is not 0. What *out points to is destroyed with rte_bpf_destroy. -EINVAL: no filter. */
int capture_filter_load(const struct capture_insn *insns, unsigned nr, struct rte_bpf **out, char why[CAPTURE_WHY_BYTES]);

#endif
