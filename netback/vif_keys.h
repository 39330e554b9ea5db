/*
 * netback/vif_keys.h - a vif's keys in the store: what this back end offers, and what a front end wishes.
 *
 *      offered     feature-sg, feature-gso-tcpv4, ...                         (in our directory)
 *      wished      tx-ring-ref, ... or queue-N/tx-ring-ref, ...; feature-*    (in the front end's)
 *
 * Trusts   no key of the front end.
 * Runs in  the control thread.
 * Fails    -errno, and the reason by handshake_fail.
 * Spec     xen/io/netif.h.
 */
#ifndef SLUICE_NETBACK_VIF_KEYS_H
#define SLUICE_NETBACK_VIF_KEYS_H

#include "hv/handshake.h"
#include "netback/vif.h"

struct vif_wishes {
	unsigned nr_queues;
	struct vif_keys keys[VIF_MAX_QUEUES];
	struct vif_features features;
	bool wants_mcast; /* no multicast but what it lists */
	bool has_ctrl; /* a control ring */
	grant_ref_t ctrl_ring_ref;
	evtchn_port_t ctrl_port;
};

/* takes_large: TCP packets longer than a frame, left to us to be segmented. */
int vif_keys_offer(struct handshake *h, unsigned max_queues, bool takes_large);
/* Does our directory say the same already, from an earlier back end? */
bool vif_keys_are_offered(struct handshake *h, unsigned max_queues, bool takes_large);
int vif_keys_read(struct handshake *h, unsigned max_queues, struct vif_wishes *wishes);

/* request-multicast-control, which may change at any time. */
bool vif_keys_want_mcast(struct handshake *h);
/* xdp-headroom, which changes while the front end is Reconfiguring; beyond VIF_MAX_HEADROOM there is none, said in the log. */
uint16_t vif_keys_headroom(struct handshake *h);

#endif
