/*
 * hv/handshake.h - the xenbus state machine, once, for all four drivers.
 *
 *      back:   Initialising --offer--> InitWait ----------connect---------> Connected --> Closing --> Closed
 *      front:  Initialising ------------- publish --> Initialised --connect--> Connected --> Closing --> Closed
 *
 * A driver supplies what to do; a table (own state x other end's state) says when. A front end that skips states, or goes
 * back, gets the shortest correct answer or a closed device, never an undefined one.
 *
 * Runs in  the thread that owns the store client.
 * Fails    a driver's callback that returns -errno closes the device; handshake_fail has written why to its "error" node.
 * Spec     xen/io/xenbus.h, start-up comments in xen/io/blkif.h and netif.h, docs/misc/pv-drivers-lifecycle of Xen.
 */
#ifndef SLUICE_HV_HANDSHAKE_H
#define SLUICE_HV_HANDSHAKE_H

#include <xen/io/xenbus.h>

#include "hv/hv.h"
#include "hv/life.h"
#include "hv/store_client.h"

struct handshake;

struct handshake_driver {
	const char *type; /* "vif", "vbd" */
	bool is_back;
	/* Front: own state after publish. XenbusStateInitialised (vbd), XenbusStateConnected (vif). */
	enum xenbus_state published;
	/* Back: own keys before InitWait: features, sizes. Also on a reconnect. */
	int (*offer)(struct handshake *h);
	/* Back: is what our own directory offers still so? Else a running device is closed and begins anew. NULL: it is. */
	bool (*may_take_over)(struct handshake *h);
	/* Front: the back end offers: allocate rings, write keys (in one transaction). */
	int (*publish)(struct handshake *h);
	/*
	 * Back: the front end's keys are there. Front: the back end is Connected (its keys are there). Own state
	 * becomes Connected after it.
	 * Back, with is_takeover: both ends are Connected, a back end that ran before has left; offer was not called. The rings
	 * are taken over as they are (xxx_back_attach), with what the earlier one offered, which our own directory still says.
	 */
	int (*connect)(struct handshake *h);
	/* Back: Connected, and the front end is Reconfiguring: what it asks for comes into force, then Reconfigured. NULL: it may not. */
	int (*reconfigure)(struct handshake *h);
	/* Undoes publish and connect, whichever ran; must not touch the ring or the peer afterwards. */
	void (*disconnect)(struct handshake *h);
	/* Connected, and a key in the other end's directory changed (sectors, rate, ...); may be NULL. */
	void (*changed)(struct handshake *h, const char *key);
	/* Back, on a bus: a key in our own directory was written, by the toolstack or by us; may be NULL. */
	void (*own_changed)(struct handshake *h, const char *key);
};

struct handshake {
	const struct handshake_driver *driver;
	struct hv *hv;
	struct store_client *store;
	char own_path[128];   /* back: /local/domain/0/backend/vif/3/0   front: device/vif/0 or absolute */
	char other_path[128]; /* the other end's directory, as the toolstack wrote it into ours */
	domid_t other_domid;
	unsigned devid;
	enum xenbus_state own;
	enum xenbus_state other;
	bool connected;   /* connect() has run and disconnect() has not */
	bool prepared;    /* publish() has run and disconnect() has not */
	bool failed;      /* handshake_fail was called */
	bool barred;      /* back: we closed by ourselves: no new beginning before the other end has been closed, too.
			   * front: we begin anew, and the back end has not noticed yet */
	bool in_callback; /* of the driver: handshake_fail only notes it, the close comes when it returns */
	bool is_takeover; /* back: the connect() that runs, or comes, takes over a running device */
	bool is_unclean;  /* with it: the last back end was killed. What it had taken and not answered may lie in the ring out of
			   * order: a driver that cannot know that nothing is lost fails the device */
	unsigned nr_connects; /* how often connect() has succeeded */
	unsigned bus;     /* HANDSHAKE_* */
	bool gone;        /* own or other directory vanished, or both are Closed and the device is not "online" */
	struct life life; /* front: announced from publish to disconnect */
	void *priv;       /* the driver's */
};

/* Reads where the other end is, sets watches (token: own_path), does the first step. -ENOENT: no such device. */
int handshake_start(struct handshake *h, struct hv *hv, struct store_client *store, const struct handshake_driver *driver,
		    const char *own_path, void *priv);
#define HANDSHAKE_OWN_WATCHED 1u /* the bus watches own_path itself, and calls handshake_event for what it sees there */
#define HANDSHAKE_TAKE_OVER 2u   /* a device that is Connected at both ends goes on */
#define HANDSHAKE_ERROR_TREE 4u  /* an error is also written where Xen's own drivers do: /local/domain/<n>/error/<rest of path>/error */

/* The same for a bus. */
int handshake_start_on_bus(struct handshake *h, struct hv *hv, struct store_client *store,
			   const struct handshake_driver *driver, const char *own_path, void *priv, unsigned bus);
/* A watch fired with our token (path NULL: look at all of it): looks again and does what the table says, step by step until it rests. */
void handshake_event(struct handshake *h, const char *path);
/* Back: the front end's process is gone, and wrote no state: Closed, until another begins. */
void handshake_front_died(struct handshake *h);
/* Begins to close from our side. */
void handshake_close(struct handshake *h);
/*
 * Writes the sentence to the device's "error" node, logs it once, and closes. For a peer that broke the protocol, and
 * for our own failures.
 */
void handshake_fail(struct handshake *h, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
/* Unwatches; disconnects if need be, and leaves Closed behind (waits for nobody). */
void handshake_stop(struct handshake *h);
/*
 * Unwatches and disconnects, and leaves the state as it is, for a back end with HANDSHAKE_TAKE_OVER that comes after this one.
 * disconnect() must have answered all that was taken from the rings.
 */
void handshake_detach(struct handshake *h);

/* Waits (guest, one device) until both ends are Connected. 0, -ETIMEDOUT, or -ENODEV (closed; the reason is in the error node). */
int handshake_wait_connected(struct handshake *h, int timeout_ms);

#endif
