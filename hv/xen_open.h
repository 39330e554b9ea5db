/*
 * hv/xen_open.h - what the platform's files share of opening: devices, the store, the one process that serves a type.
 */
#ifndef SLUICE_HV_XEN_OPEN_H
#define SLUICE_HV_XEN_OPEN_H

#include "hv/xen_hv.h"

#define XEN_EVTCHN_DEVICE "/dev/xen/evtchn"
#define XEN_GNTDEV_DEVICE "/dev/xen/gntdev"
#define XEN_GNTALLOC_DEVICE "/dev/xen/gntalloc"

/* xen_hv.c: all handles, without the store. */
int xen_hv_create(bool as_guest, struct xen_hv **out);
/* A handle whose fd does not block. */
int xen_open_events(xenevtchn_handle **xce);

/* xen_store.c */
/* Where the store answers: xenstored's socket, or the kernel's device. NULL: nowhere. */
const char *xen_store_path(void);
int xen_store_open(struct hv *hv, struct store_client **out);
/* A connection of its own that says nothing, readable when xenstored is gone; one that never is where the kernel keeps the store. */
int xen_store_lost_fd(const char *path);

/* xen_claim.c */
int xen_claim(struct hv *hv, const char *type, bool takes_some);
void xen_claims_finish(struct xen_hv *x);

#endif
