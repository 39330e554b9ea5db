/*
 * hv/store_client_wire.h - a client that speaks the store's wire protocol, whatever carries it.
 */
#ifndef SLUICE_HV_STORE_CLIENT_WIRE_H
#define SLUICE_HV_STORE_CLIENT_WIRE_H

#include "hv/store_client.h"

/* What carries the bytes. */
struct store_transport {
	void *arg;
	/* Takes over as many of the bytes as there is room for: that number, or -errno for good. */
	int (*put)(void *arg, const void *data, uint32_t len);
	/* Hands out up to len bytes that have come: that number, 0: none now, or -errno for good. */
	int (*take)(void *arg, void *data, uint32_t len);
	/* What was put is to be looked at. */
	void (*notify)(void *arg);
	/* Until something moved. 1: it did, perhaps; 0: time is up; -errno: it never will. */
	int (*wait)(void *arg, int timeout_ms);
	/* Watch events were left in the queue by a call that did not come for them: makes fd readable. */
	void (*raise)(void *arg);
	/* There are none any more; NULL: who sleeps on the fd takes such events from it. */
	void (*lower)(void *arg);
	/* take has more at once; NULL: then fd is readable. */
	bool (*has_bytes)(void *arg);
	/* The client is closed. */
	void (*close)(void *arg);
	int fd;
	int timeout_ms;      /* for one answer */
	unsigned max_events; /* that wait in the queue; 0: the other end bounds them, and repeats none without need */
};

/* The transport's arg stays the caller's until its close. */
int store_client_wire_create(const struct store_transport *transport, struct store_client **out);
/* For the toolstack: the store serves a domain's ring page from now on; -EEXIST, -errno of the core. */
int store_client_wire_introduce(struct store_client *sc, domid_t domid, uint64_t frame, evtchn_port_t port);

#endif
