/*
 * hv/store_conn.h - a client of the store: a socket of Domain-0's, or a guest's ring page.
 *
 *      socket or ring  -->  in  -->  parse, request  -->  answers, events queued  -->  socket or ring
 *
 * A guest that does not take its answers is not asked for more requests. Events that wait are merged and, beyond a limit, told as one
 * event on the watch's own path: what is queued for a client is bounded by its own watches, whatever others change. Nothing is freed
 * while a request runs: a dead connection waits for store_leave.
 *
 * Trusts   nothing on the ring page; lengths on either.
 * Fails    a broken ring: its error field is set, its watches and transactions end, it is not served until it asks to reconnect.
 */
#ifndef SLUICE_HV_STORE_CONN_H
#define SLUICE_HV_STORE_CONN_H

#include "hv/store_internal.h"
#include "hv/store_watch.h"

#define STORE_CONN_EVENT_BUCKETS 256u

struct store_message {
	struct store_message *next;
	struct store_message *next_same; /* in a bucket of queued events */
	uint32_t hash;
	bool is_event;
	unsigned len;
	char data[];
};

struct store_conn {
	struct store *store;
	struct store_conn *prev, *next;
	struct store_conn *next_dirty, *next_ready;
	bool is_dirty; /* output waits, or it is dead */
	bool is_ready; /* input waits, out of turn */
	bool is_dead;
	struct store_who who;

	int fd; /* -1: a ring */
	struct loop_source *source;
	uint32_t events;

	struct xenstore_domain_interface *page_sh; /* NULL: a socket */
	void (*wake)(void *arg);
	void *wake_arg;
	bool ring_moved;  /* the guest is due an event: bytes for it, or room that it may wait for */
	bool is_stopped;  /* the ring is broken */
	bool was_stopped; /* ever, and that was logged */
	bool is_held;     /* requests wait until the guest has taken answers */

	char *in;
	unsigned in_len, in_room;

	struct store_message *first, *last;
	unsigned sent; /* bytes of first */
	unsigned nr_out;
	size_t out_bytes, event_bytes;
	struct store_message *queued_events[STORE_CONN_EVENT_BUCKETS];

	size_t memory; /* charged: watches, transactions */
	struct store_watch *watches;
	unsigned nr_watches;
	struct store_tx *txs;
	unsigned nr_txs;
	uint32_t next_tx_id;
};

/* The fd belongs to the connection from now on, also when it fails. */
int store_conn_create_socket(struct store *store, int fd);
int store_conn_create_ring(struct store *store, domid_t domid, struct xenstore_domain_interface *page_sh, void (*wake)(void *arg),
			   void *arg, struct store_conn **out);
void store_conn_destroy(struct store_conn *conn);
/* Takes and answers requests, a bounded number; asks for another turn when there are more. */
void store_conn_serve(struct store_conn *conn);
/* Sends what is queued, as far as it goes. False: the connection is dead and to be destroyed. */
bool store_conn_flush(struct store_conn *conn);
/* Ends watches and transactions. */
void store_conn_reset(struct store_conn *conn);

/* Two parts, so that a reply needs no buffer in between. */
void store_conn_reply(struct store_conn *conn, const struct store_request *req, const void *data, unsigned len, const void *more,
		      unsigned more_len);
void store_conn_error(struct store_conn *conn, const struct store_request *req, int error);
void store_conn_event(struct store_conn *conn, const struct store_watch *watch, const char *path);

void store_conn_drop_watch(struct store_conn *conn, struct store_watch *watch);
void store_conn_drop_tx(struct store_conn *conn, struct store_tx *tx);
/* Counts agree; 0 or -EINVAL. */
int store_conn_validate(const struct store_conn *conn);

/* store_request.c */
void store_request_handle(struct store_conn *conn, const struct store_request *req);

#endif
