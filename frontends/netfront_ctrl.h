/*
 * frontends/netfront_ctrl.h - the client of a vif's control ring: staging grants and receive hashing.
 *
 *      start -> one request at a time, in the order of a table -> poll takes the answer, sends the next -> idle
 *
 * What a back end refuses stays off; the vif works without it.
 *
 * Owns     ring page, argument page and event channel from open to close.
 * Trusts   no answer: it must be to the request that is out, and numbers in it are limits, never indices.
 * Runs in  the bus's thread.
 * Fails    -errno; an answer that no honest back end gives: broken says why.
 * Spec     xen/io/netif.h, "Control messages".
 */
#ifndef SLUICE_FRONTENDS_NETFRONT_CTRL_H
#define SLUICE_FRONTENDS_NETFRONT_CTRL_H

#include "hv/hv.h"
#include "rings/netif.h"

#define NETFRONT_HASH_KEY_BYTES 40u /* of a Toeplitz key for two IPv6 addresses and ports */
#define NETFRONT_MAX_QUEUES 8u

/* The pages of one queue that live as long as the connection. */
struct netfront_ctrl_pages {
	const grant_ref_t *tx_refs; /* the back end only reads them */
	const grant_ref_t *rx_refs;
	unsigned nr_tx, nr_rx; /* each fits a list page */
};

struct netfront_ctrl_job {
	unsigned nr_queues;
	bool wants_staging;
	bool wants_hash;
	uint8_t key[NETFRONT_HASH_KEY_BYTES];
	struct netfront_ctrl_pages queue[NETFRONT_MAX_QUEUES];
};

struct netfront_ctrl {
	struct hv *hv;
	evtchn_port_t port; /* 0: there is no control ring */
	grant_ref_t ring_ref, arg_ref;
	void *ring_page, *arg_page;
	struct netif_ctrlr_front ring;
	const char *broken;
	struct netfront_ctrl_job job;
	unsigned step;  /* of the table; its end: idle */
	unsigned queue; /* of a step that is done for each queue */
	bool is_out;    /* a request waits for its answer */
	uint16_t id;    /* of that request */
	uint16_t type;
	uint32_t staging_room;   /* entries the back end still has for the queue at hand */
	uint32_t staging_asked;  /* of the request that is out */
	uint32_t staged_pages;   /* in all queues */
	uint32_t hash_types;     /* the back end can calculate */
	bool is_hash_on;
	uint64_t refused;        /* requests that the back end answered with an error */
};

/* Shares the pages and opens the event channel; the keys are ring_ref and port. -errno: nothing is left. */
int netfront_ctrl_open(struct netfront_ctrl *c, struct hv *hv, domid_t peer);
/* The back end is connected: begins to ask. */
void netfront_ctrl_start(struct netfront_ctrl *c, const struct netfront_ctrl_job *job);
/* Takes answers and asks on. Takes a ctrl that was never opened. */
void netfront_ctrl_poll(struct netfront_ctrl *c);
/* Before sleep: true when an answer is there, or the ring is broken. */
bool netfront_ctrl_arm(struct netfront_ctrl *c);
/* All is asked and answered, or there is no control ring. */
bool netfront_ctrl_is_idle(const struct netfront_ctrl *c);
void netfront_ctrl_close(struct netfront_ctrl *c);

#endif
