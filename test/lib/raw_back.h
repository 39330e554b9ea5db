/*
 * test/lib/raw_back.h - a back end made of bare calls, so that a test can let it lie in any way. One device, one thread.
 */
#ifndef SLUICE_TEST_RAW_BACK_H
#define SLUICE_TEST_RAW_BACK_H

#include <pthread.h>
#include <xen/io/xenbus.h>

#include "hv/hv.h"
#include "hv/store_client.h"
#include "rings/blkif.h"
#include "rings/netif.h"

#define RAW_BACK_QUEUES 4
#define RAW_BACK_KEPT 4096

struct raw_back {
	struct hv *hv; /* Domain-0, this back end's own */
	struct store_client *store;
	struct hv_peer *peer;
	evtchn_port_t port; /* 0: not bound */
	char path[80];
	char front[80];
	domid_t domid;
	void *ring[RAW_BACK_QUEUES]; /* mapped: a vbd's queues', or tx and rx */
	unsigned nr_queues; /* of a vbd */
	evtchn_port_t queue_port[RAW_BACK_QUEUES]; /* the first is port */
	struct blkif_ring_back blk[RAW_BACK_QUEUES];
	bool keeps_grants; /* persistent: what was mapped once stays so until disconnect */
	unsigned nr_kept;
	struct {
		grant_ref_t ref;
		grant_handle_t handle;
		void *page;
	} kept[RAW_BACK_KEPT];
	struct netif_txr_back tx;
	struct netif_rxr_back rx;
	uint32_t must_stop; /* atomic */
	pthread_t thread;
	void (*script)(struct raw_back *b);
	void *arg;
};

/* Runs script in a thread of its own, on a device that box_add_vbd or box_add_vif made. */
void raw_back_start(struct raw_back *b, struct hv *dom0, const char *type, domid_t domid, unsigned devid,
		    void (*script)(struct raw_back *b), void *arg);
/* Tells it to stop, waits for it, gives back what it had, closes dom0. */
void raw_back_stop(struct raw_back *b);

/* For scripts. What cannot be done aborts with a sentence; what the front end may refuse returns false. */
void raw_back_write(struct raw_back *b, const char *key, const char *value);
void raw_back_state(struct raw_back *b, enum xenbus_state state);
/* Until the front end is in that state; false: told to stop before. */
bool raw_back_wait_front(struct raw_back *b, enum xenbus_state state);
/* Maps what the front end published and binds its event channels: all queues of a vbd. */
void raw_back_connect_vbd(struct raw_back *b);
void raw_back_connect_vif(struct raw_back *b);
void raw_back_disconnect(struct raw_back *b);
bool raw_back_must_stop(struct raw_back *b);
/* Sleeps until an event comes, 10 ms at most. */
void raw_back_nap(struct raw_back *b);
/* Serves one block request against memory of that many sectors: every operation that blkif has. */
int16_t raw_back_serve(struct raw_back *b, const struct blkif_request *req, uint8_t *disk, uint64_t nr_sectors);
/* Serves all that waits in the queues, each answer shown; how many there were. */
unsigned raw_back_serve_queues(struct raw_back *b, uint8_t *disk, uint64_t nr_sectors);
/* Serves block requests honestly until told to stop. */
void raw_back_serve_disk(struct raw_back *b, uint8_t *disk, uint64_t nr_sectors);

#endif
