/*
 * grant/grant_copy.h - checked copies between a Domain-0 process and granted pages.   [hot]
 *
 * Validate, pin, copy, unpin: the hypervisor's code, run in the caller's context, no message.
 *
 * Trusts   no ref, offset or length.
 * Spec     xen/grant_table.h GNTTABOP_copy: neither end may cross a page; every status is written.
 */
#ifndef SLUICE_GRANT_GRANT_COPY_H
#define SLUICE_GRANT_GRANT_COPY_H

#include "grant/grant_map.h"

/* One copy between our own memory and a granted page. */
struct grant_copy_op {
	void *local;
	grant_ref_t ref;
	uint16_t offset; /* in the granted page */
	uint16_t len;    /* bytes; offset + len <= 4096 */
	bool to_peer;
	int16_t status; /* GNTST_* */
};

/* Runs all n, in order; returns how many failed. */
unsigned grant_copy(const struct grant_peer *peer, struct grant_copy_op ops[], unsigned n);

/* Both ends named as in GNTTABOP_copy, for the hypercall: src/dst NULL when that end is a frame of the caller's own memory. */
int16_t grant_copy_between(const struct grant_peer *src, const struct gate *src_memory, const struct grant_peer *dst,
			   const struct gate *dst_memory, const struct gnttab_copy *op);

#endif
