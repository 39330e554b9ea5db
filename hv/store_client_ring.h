/*
 * hv/store_client_ring.h - the store through the ring page: a guest's way.
 */
#ifndef SLUICE_HV_STORE_CLIENT_RING_H
#define SLUICE_HV_STORE_CLIENT_RING_H

#include "hv/store_client.h"
#include "rings/store_ring.h"

/* How the ring's other end is woken and heard. */
struct store_channel {
	void *arg;
	/* An index moved: tells the store. */
	void (*notify)(void *arg);
	/* Until the store's event comes. 1: it came; 0: time is up; -errno: it never will. */
	int (*wait)(void *arg, int timeout_ms);
	/* Watch events were left in the queue by a call that did not come for them: makes fd readable. */
	void (*raise)(void *arg);
	/* The client is closed; may be NULL. */
	void (*close)(void *arg);
	int fd;
	int timeout_ms; /* for one answer */
};

/* The page and the channel's arg stay the caller's until close. */
int store_client_ring_create(struct xenstore_domain_interface *page_sh, const struct store_channel *channel,
			     struct store_client **out);

#endif
