/*
 * test/lib/store_box.h - a store in a box: loop, store, clients of Domain-0 over sockets and guests over ring pages, in one thread.
 *
 * A call sends one request, turns the loop until the answer is there, and keeps the events that came meanwhile.
 */
#ifndef SLUICE_TEST_STORE_BOX_H
#define SLUICE_TEST_STORE_BOX_H

#include "hv/loop.h"
#include "hv/store.h"
#include "hv/store_internal.h"

#define STORE_BOX_DOMAINS 16
#define STORE_BOX_EVENTS 512

struct store_event {
	char path[3080];
	char token[64];
};

struct store_peer {
	struct store_box *box;
	int fd;          /* -1: a guest */
	domid_t domid;
	char in[1 << 16];
	unsigned in_len;
	uint32_t req_id;
	struct store_event *events; /* STORE_BOX_EVENTS of them, from next_event to nr_events */
	unsigned nr_events, next_event;
};

struct store_box {
	struct loop *loop;
	struct store *store;
	char dir[32], socket[64];
	bool alive[STORE_BOX_DOMAINS];
	struct xenstore_domain_interface pages[STORE_BOX_DOMAINS];
	unsigned wakes[STORE_BOX_DOMAINS];
	unsigned introduced, released; /* calls of the hooks */
};

struct store_reply {
	uint32_t type, req_id, tx_id;
	unsigned len;
	char data[XENSTORE_PAYLOAD_MAX + 1]; /* a NUL behind len */
};

/* quota: NULL for Xen's. Asserts that all goes well. */
struct store_box *store_box_create(const struct store_quota *quota);
void store_box_destroy(struct store_box *box);

/* Over the socket, Domain-0. */
struct store_peer *store_box_connect(struct store_box *box);
/* A new guest: alive, introduced, with /local/domain/<domid> that is its own. */
struct store_peer *store_box_guest(struct store_box *box, domid_t domid);
void store_peer_close(struct store_peer *peer);

/* Puts bytes on the wire as they are, as far as they go: how many. */
int store_peer_put(struct store_peer *peer, const void *data, unsigned len);
/* Takes what there is; false: the connection has ended. */
bool store_peer_take(struct store_peer *peer);
void store_peer_send(struct store_peer *peer, uint32_t type, uint32_t tx_id, const void *data, unsigned len);
/* The next answer (events are put aside): false when none has come after some turns. */
bool store_peer_receive(struct store_peer *peer, struct store_reply *reply);
void store_box_turn(struct store_box *box);

/* One request: 0 or -errno by the name in the answer, which may be NULL. */
int store_peer_call(struct store_peer *peer, uint32_t type, uint32_t tx_id, const void *data, unsigned len, struct store_reply *reply);
/* The same, of strings: each gets its NUL; the last is NULL. */
int store_peer_ask(struct store_peer *peer, uint32_t type, uint32_t tx_id, struct store_reply *reply, ...) __attribute__((sentinel));
int store_peer_write(struct store_peer *peer, uint32_t tx_id, const char *path, const char *value);
/* As a string in a static buffer; NULL when it cannot be read, the error in *error (may be NULL). */
const char *store_peer_read(struct store_peer *peer, uint32_t tx_id, const char *path, int *error);
int store_peer_watch(struct store_peer *peer, const char *path, const char *token);
int store_peer_perms(struct store_peer *peer, uint32_t tx_id, const char *path, const char *perms); /* "n0 r1" */
uint32_t store_peer_begin(struct store_peer *peer);
int store_peer_end(struct store_peer *peer, uint32_t tx_id, bool commit);
/* The next event as "path token", or NULL when none is there after some turns. */
const char *store_peer_event(struct store_peer *peer);
void store_peer_forget_events(struct store_peer *peer);

/* A box and its usual clients, which a test may have as its state. */
struct store_world {
	struct store_box *box;
	struct store_peer *dom0, *other; /* both Domain-0's */
	struct store_peer *one, *two;    /* guests 1 and 2 */
};

/* Has dom0; the others are NULL until the test's setup makes them. */
struct store_world *store_world_create(const struct store_quota *quota);
/* Closes the clients it has. 0 if the store was sound to its end. */
int store_world_destroy(struct store_world *world);

#endif
