/*
 * frontends/netfront.h - a guest's network device.
 *
 *      netfront_create -> netfront_wait_connected -> bursts, arm, sleep ... -> netfront_destroy
 *
 * When the back end goes, the device is closed from within frontbus_pump and stays closed: bursts move nothing, waits say
 * -ENODEV; frames that were under way are lost, as on a cable that was pulled.
 *
 * Owns     rings and pages, shared with the back end while connected.
 * Trusts   the back end with nothing but the frames themselves: netfront_ring.h.
 * Runs in  one thread, which is also its bus's.
 * Fails    a back end that breaks the protocol: netfront_check closes the device and says why in its "error" node.
 * Spec     xen/io/netif.h. One queue, one event channel, rx-copy, scatter-gather where the back end offers it.
 */
#ifndef SLUICE_FRONTENDS_NETFRONT_H
#define SLUICE_FRONTENDS_NETFRONT_H

#include "frontends/frontbus.h"
#include "frontends/netfront_ring.h"

struct netfront {
	struct handshake handshake;
	struct frontbus *bus;
	bool is_connected;
	evtchn_port_t port;
	uint8_t mac[6];
	unsigned mtu;
	struct netfront_ring_memory memory; /* shared while prepared */
	bool has_sg;
	grant_ref_t tx_ring_ref;
	grant_ref_t rx_ring_ref;
	grant_ref_t tx_refs[NETFRONT_SLOTS];
	grant_ref_t rx_refs[NETFRONT_SLOTS];
	struct netfront_ring ring;
};

/* Starts the handshake of device/vif/<devid>. -ENOENT: there is no such device; -ENOMEM; the store's errors. */
int netfront_create(struct frontbus *bus, unsigned devid, struct netfront **out);
/* Closes the device and gives everything back. Takes NULL. */
void netfront_destroy(struct netfront *nf);
/* frontbus_wait_connected for this device. */
int netfront_wait_connected(struct netfront *nf, int timeout_ms);

/* Has the back end broken the protocol? Then closes the device. 0, or -EPROTO. For the control side, now and then. */
int netfront_check(struct netfront *nf);

/* The longest frame that can be sent now: one page without scatter-gather; 0 while not connected. */
static inline uint32_t netfront_max_frame(const struct netfront *nf)
{
	return nf->is_connected ? nf->ring.max_frame : 0;
}

/* Sends: how many were taken, the others found the ring full. Frames are copied.   [hot] */
static inline unsigned netfront_tx_burst(struct netfront *nf, const struct netfront_packet pkts[], unsigned n)
{
	unsigned taken;
	bool wake;

	if (!nf->is_connected)
		return 0;
	taken = netfront_ring_tx(&nf->ring, pkts, n, &wake);
	if (wake)
		hv_notify(nf->handshake.hv, nf->port);
	return taken;
}

/* Receives up to n frames into the callers' buffers; each len is the room, then the length.   [hot] */
static inline unsigned netfront_rx_burst(struct netfront *nf, struct netfront_packet pkts[], unsigned n)
{
	unsigned got;
	bool wake;

	if (!nf->is_connected)
		return 0;
	got = netfront_ring_rx(&nf->ring, pkts, n, &wake);
	if (wake)
		hv_notify(nf->handshake.hv, nf->port);
	return got;
}

/* Takes tx answers; slots still with the back end. 0 while not connected: what was there is lost.   [hot] */
static inline unsigned netfront_tx_outstanding(struct netfront *nf)
{
	return nf->is_connected ? netfront_ring_reclaim(&nf->ring) : 0;
}

/*
 * Before sleep: asks for events. tx_room: wake me when so many slots are free (0: do not care). True: there is work
 * already. Not connected: false, only the store can bring news.
 */
static inline bool netfront_arm(struct netfront *nf, bool for_rx, unsigned tx_room)
{
	bool has_work = false;

	if (!nf->is_connected)
		return false;
	if (for_rx)
		has_work = netfront_ring_arm_rx(&nf->ring);
	if (tx_room)
		has_work |= netfront_ring_arm_tx(&nf->ring, tx_room);
	return has_work || nf->ring.broken;
}

/*
 * Arms, and sleeps on the bus if there is nothing to do; then hands out watch events. 1: look again; 0: time is up;
 * -ENODEV: closed, broken or gone.
 */
int netfront_wait(struct netfront *nf, bool for_rx, unsigned tx_room, int timeout_ms);

/* "xx:xx:xx:xx:xx:xx", nothing before or after. 0 or -EINVAL. */
int netfront_parse_mac(const char *text, uint8_t mac[6]);

#endif
