/*
 * netback/ctrl.h - the server of a vif's control ring: receive hashing and staging grants.
 *
 *      request  -->  ctrl_serve  -->  checked, prepared here  -->  put into force while no packet moves  -->  response
 *
 * Owns     ring and event channel from open to close. What it put into force belongs to the port and its queues.
 * Trusts   no field of a request, no byte of a page that one names: copied once, checked, used (XSA-270).
 * Runs in  the control thread.
 * Fails    a bad request: its status. An impossible ring: ctrl_serve says -EPROTO.
 * Spec     xen/io/netif.h, "Control messages".
 */
#ifndef SLUICE_NETBACK_CTRL_H
#define SLUICE_NETBACK_CTRL_H

#include "netback/ctrl_note.h"

/* Runs fn while nobody moves packets of the vif, and returns what it returns. */
typedef int (*ctrl_pause_fn)(void *mover, int (*fn)(void *arg), void *arg);

/* Whose queues and hash the control ring sets. */
struct ctrl_target {
	struct vif_queue **queue;
	unsigned nr_queues;
	struct steer *steer; /* in force; NULL: hashing is not offered */
	ctrl_pause_fn pause; /* NULL: nobody moves packets, changes come into force at once */
	void *mover;
};

struct ctrl {
	struct hv *hv;
	struct hv_peer *peer;
	struct ctrl_target target; /* set before the first ctrl_serve */
	void *area;
	struct netif_ctrlr_back ring;
	evtchn_port_t evtchn;
	struct steer steer; /* as it will be */
	struct ctrl_note *note; /* the device's, from ctrl_begin to ctrl_close; NULL: nothing outlives this process */
	uint64_t requests, refused;
};

/* The front end's keys. -errno: nothing is left, *what names what failed. */
int ctrl_open(struct ctrl *c, struct hv *hv, domid_t domid, grant_ref_t ring_ref, evtchn_port_t evtchn, bool is_takeover,
	      const char **what);
/*
 * The target is set: before the first ctrl_serve. is_resumed: what the note says is in force, as the front end believes; a grant that it
 * has ended meanwhile is not. -EPROTO: the ring is not as the note's back end can have left it.
 */
int ctrl_begin(struct ctrl *c, struct ctrl_note *note, bool is_resumed);
/* Its queues have been disconnected, or live on without it. */
void ctrl_close(struct ctrl *c);
/* Answers all requests that are there, at most a ring full. -EPROTO: the ring is impossible. */
int ctrl_serve(struct ctrl *c);
/* The fd of its event channel; after an event, ctrl_serve. */
int ctrl_event_fd(const struct ctrl *c);
void ctrl_event_take(const struct ctrl *c);

/* For ctrl_note.c: */
void ctrl_put_into_force(struct ctrl *c);
/* Maps what the list names and keeps it mapped for that queue: all or none. */
int ctrl_stage(struct ctrl *c, unsigned queue, const struct xen_netif_gref list[], unsigned nr);
/* Before rsp is put into the ring. */
void ctrl_note_write(struct ctrl *c, const struct xen_netif_ctrl_response *rsp);

#endif
