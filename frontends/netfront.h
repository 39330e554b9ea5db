/*
 * frontends/netfront.h - a guest's network device.
 *
 *      netfront_create -> netfront_wait_connected -> bursts, arm, sleep ... -> netfront_destroy
 *
 * When the back end goes, the device is closed from within frontbus_pump: frames that were under way are lost, as on a cable that was
 * pulled, and bursts move nothing. It stays closed, and waits say -ENODEV; or, with `reconnects`, it begins anew and connects to the next
 * back end. (One that is killed and started again in time takes the rings over: then nothing is seen here at all.)
 *
 * Owns     queues and control ring, shared with the back end while connected.
 * Trusts   the back end with nothing but the frames themselves: netfront_ring.h.
 * Runs in  one thread, which is also its bus's; or, with hooks, bursts of each queue in a thread of their own.
 * Fails    a back end that breaks the protocol: netfront_check closes the device and says why in its "error" node.
 * Spec     xen/io/netif.h. What is used of it: as much as both ends offer, of what the options ask for.
 */
#ifndef SLUICE_FRONTENDS_NETFRONT_H
#define SLUICE_FRONTENDS_NETFRONT_H

#include "frontends/front_counters.h"
#include "frontends/frontbus.h"
#include "frontends/netfront_counters.h"
#include "frontends/netfront_ctrl.h"
#include "frontends/netfront_queue.h"
#include "hv/busy_poll.h"

#define NETFRONT_BUSY_POLL_US 50u /* what programs ask for that have no reason to ask for something else */

struct netfront;

/* Who uses the queues in other threads learns here, in the bus's thread, when they may be touched. */
struct netfront_hooks {
	void (*up)(struct netfront *nf, void *arg);   /* connected */
	void (*down)(struct netfront *nf, void *arg); /* when it returns, nobody is in a burst any more */
	void *arg;
};

struct netfront_options {
	unsigned queues;  /* at most so many; 0: one */
	unsigned slots;   /* pages each way and queue, rounded down to a power of two; 0: 256, or 64 where shared pages are scarce */
	uint32_t accepts; /* of CSUM4, CSUM6, GSO4, GSO6, HASH, MCAST: what the caller can make use of; 0: plain frames only */
	bool no_staging;  /* do not ask for staging grants */
	bool reconnects;  /* outlive the back end: netfront_check begins anew */
	bool no_split;    /* one event channel for a queue, whatever is offered */
	unsigned busy_poll_us; /* netfront_wait looks at the rings so long, at most, before it sleeps (hv/busy_poll.h) */
	struct netfront_lending *lending; /* lend rx pages to the caller; it outlives the device. NULL: do not */
	struct netfront_hooks hooks;
};

struct netfront {
	struct handshake handshake;
	struct frontbus *bus;
	struct netfront_options options;
	bool is_connected;
	bool has_carrier; /* false: the back end says that its cable is out */
	uint8_t mac[6];
	unsigned mtu;
	uint64_t lost;           /* slots sent that a back end took along when it went */
	unsigned nr_short_lives; /* connections in a row that were over at once */
	int64_t connected_ms;
	uint32_t tx_can; /* enum netfront_ability of the back end, while connected */
	uint32_t rx_can; /* what it was told that we take */
	unsigned max_queues; /* that the back end offers */
	unsigned nr_queues;
	struct netfront_queue *queue; /* NETFRONT_MAX_QUEUES of them */
	const char *lends_not; /* while connected: why frames are copied although a lending was given, or NULL */
	struct front_counters shared_counters;
	struct netfront_counters *counters; /* in it, for as many queues as there may be: they outlive a connection */
	unsigned nr_counters;
	struct netfront_ctrl ctrl;
	struct busy_poll wait;
};

/* Starts the handshake of device/vif/<devid>. opt may be NULL. -ENOENT: there is no such device; -ENOMEM; the store's errors. */
int netfront_create(struct frontbus *bus, unsigned devid, const struct netfront_options *opt, struct netfront **out);
/* Closes the device and gives everything back. Takes NULL. */
void netfront_destroy(struct netfront *nf);
/* frontbus_wait_connected for this device. */
int netfront_wait_connected(struct netfront *nf, int timeout_ms);

/*
 * For the control side, now and then: goes on with the control ring; has the back end broken the protocol? Then closes the
 * device. Has it gone? Then begins anew, if that is wished and the back end's directory says that there may be another: not after an
 * error, not when the toolstack detached the device, not when NETFRONT_SHORT_LIVES connections in a row were over within a second.
 * 0, or -EPROTO.
 */
int netfront_check(struct netfront *nf);
#define NETFRONT_SHORT_LIVES 5u
/* After netfront_check: closed, failed or gone, and not to come back. */
bool netfront_is_over(const struct netfront *nf);

/* All queues' counters. */
void netfront_count(const struct netfront *nf, struct netfront_counters *sum);

/* The longest frame that can be sent now: one page without scatter-gather; 0 while not connected. */
static inline uint32_t netfront_max_frame(const struct netfront *nf)
{
	return nf->is_connected ? nf->queue[0].ring.max_frame : 0;
}

/* Sends on queue q: how many were taken, the others found the ring full. Frames are copied.   [hot] */
static inline unsigned netfront_tx_burst(struct netfront *nf, unsigned q, const struct netfront_packet pkts[], unsigned n)
{
	unsigned taken;
	bool wake;

	if (!nf->is_connected)
		return 0;
	taken = netfront_ring_tx(&nf->queue[q].ring, pkts, n, &wake);
	if (wake)
		hv_notify(nf->handshake.hv, nf->queue[q].tx_port);
	return taken;
}

/* Receives up to n frames of queue q into the callers' buffers; each len is the room, then the length.   [hot] */
static inline unsigned netfront_rx_burst(struct netfront *nf, unsigned q, struct netfront_packet pkts[], unsigned n)
{
	unsigned got;
	bool wake;

	if (!nf->is_connected)
		return 0;
	got = netfront_ring_rx(&nf->queue[q].ring, pkts, n, &wake);
	if (wake)
		hv_notify(nf->handshake.hv, nf->queue[q].rx_port);
	return got;
}

/* Takes tx answers of all queues; slots still with the back end. 0 while not connected: what was there is lost.   [hot] */
static inline unsigned netfront_tx_outstanding(struct netfront *nf)
{
	unsigned out = 0;

	for (unsigned i = 0; nf->is_connected && i < nf->nr_queues; i++)
		out += netfront_ring_reclaim(&nf->queue[i].ring);
	return out;
}

/*
 * Before sleep: asks all queues for events. tx_room: wake me when so many slots of a queue are free (0: do not care). True:
 * there is work already. Not connected: false, only the store can bring news.
 */
bool netfront_arm(struct netfront *nf, bool for_rx, unsigned tx_room);

/* Without arming: is there what netfront_arm would find? */
bool netfront_has_work(const struct netfront *nf, bool for_rx, unsigned tx_room);

/*
 * If there is nothing to do, looks for a while if that is worth it, arms, and sleeps on the bus; then hands out watch events.
 * 1: look again; 0: time is up; -ENODEV: closed, broken or gone.
 */
int netfront_wait(struct netfront *nf, bool for_rx, unsigned tx_room, int timeout_ms);

/* "xx:xx:xx:xx:xx:xx", nothing before or after. 0 or -EINVAL. */
int netfront_parse_mac(const char *text, uint8_t mac[6]);

#endif
