/*
 * frontends/netfront.c - connects a vif's front end: pages, keys, states.
 *
 *      back end offers  ->  publish: share pages, post rx, write keys  ->  back end Connected  ->  connect: wake it
 *
 * Owns     the event channel and all shared pages from publish to disconnect.
 * Trusts   no number in the store.
 * Runs in  the bus's thread.
 * Fails    -errno to the handshake, which closes the device and writes why.
 * Spec     xen/io/netif.h.
 */
#include "frontends/netfront.h"

#include <stdio.h>
#include <stdlib.h>

#define DEFAULT_MTU 1500u
#define MIN_MTU 68u

int netfront_parse_mac(const char *text, uint8_t mac[6])
{
	uint8_t bytes[6];

	for (unsigned i = 0; i < 6; i++) {
		char *end;
		unsigned long v;

		if (!strchr("0123456789abcdefABCDEF", *text) || !*text)
			return -EINVAL;
		v = strtoul(text, &end, 16);
		if (end - text != 2 || *end != (i < 5 ? ':' : '\0'))
			return -EINVAL;
		bytes[i] = (uint8_t)v;
		text = end + 1;
	}
	memcpy(mac, bytes, 6);
	return 0;
}

static void read_identity(struct netfront *nf)
{
	struct handshake *h = &nf->handshake;
	uint64_t mtu;
	char *mac;

	nf->mtu = DEFAULT_MTU;
	if (!store_client_read_uint(h->store, STORE_NO_TX, &mtu, "%s/mtu", h->own_path) && mtu >= MIN_MTU &&
	    mtu <= NETFRONT_MAX_FRAME - NETFRONT_MIN_FRAME)
		nf->mtu = (unsigned)mtu;
	if (store_client_readf(h->store, STORE_NO_TX, &mac, "%s/mac", h->own_path) < 0)
		return;
	netfront_parse_mac(mac, nf->mac);
	free(mac);
}

/* A number that the back end may have written; absent or nonsense counts as 0. */
static uint64_t feature(struct handshake *h, const char *key)
{
	uint64_t value = 0;

	if (store_client_read_uint(h->store, STORE_NO_TX, &value, "%s/%s", h->other_path, key) < 0)
		return 0;
	return value;
}

static void unshare(struct hv *hv, void **pages, unsigned nr, const grant_ref_t refs[])
{
	if (*pages)
		hv_unshare(hv, *pages, nr, refs);
	*pages = NULL;
}

static void unshare_all(struct netfront *nf)
{
	struct hv *hv = nf->handshake.hv;

	unshare(hv, &nf->memory.tx_ring, 1, &nf->tx_ring_ref);
	unshare(hv, &nf->memory.rx_ring, 1, &nf->rx_ring_ref);
	unshare(hv, &nf->memory.tx_pages, NETFRONT_SLOTS, nf->tx_refs);
	unshare(hv, &nf->memory.rx_pages, NETFRONT_SLOTS, nf->rx_refs);
}

static int share_all(struct netfront *nf)
{
	struct netfront_ring_memory *m = &nf->memory;
	struct hv *hv = nf->handshake.hv;
	domid_t peer = nf->handshake.other_domid;
	int rc;

	*m = (struct netfront_ring_memory){.tx_refs = nf->tx_refs, .rx_refs = nf->rx_refs};
	rc = hv_share(hv, peer, 1, false, &nf->tx_ring_ref, &m->tx_ring);
	if (!rc)
		rc = hv_share(hv, peer, 1, false, &nf->rx_ring_ref, &m->rx_ring);
	if (!rc)
		rc = hv_share(hv, peer, NETFRONT_SLOTS, true, nf->tx_refs, &m->tx_pages);
	if (!rc)
		rc = hv_share(hv, peer, NETFRONT_SLOTS, false, nf->rx_refs, &m->rx_pages);
	if (rc < 0)
		unshare_all(nf);
	return rc;
}

static int write_keys(struct store_client *store, uint32_t tx, void *arg)
{
	const struct netfront *nf = arg;
	const struct {
		const char *key;
		unsigned value;
	} keys[] = {
		{"tx-ring-ref", nf->tx_ring_ref}, {"rx-ring-ref", nf->rx_ring_ref}, {"event-channel", nf->port},
		{"request-rx-copy", 1},           {"feature-rx-notify", 1},         {"feature-sg", 1},
		{"feature-no-csum-offload", 1}, /* whoever reads our frames expects their checksums */
	};
	int rc = 0;

	for (unsigned i = 0; !rc && i < sizeof(keys) / sizeof(keys[0]); i++)
		rc = store_client_printf(store, tx, nf->handshake.own_path, keys[i].key, "%u", keys[i].value);
	return rc;
}

static int netfront_publish(struct handshake *h)
{
	struct netfront *nf = h->priv;
	int rc;

	read_identity(nf);
	nf->has_sg = feature(h, "feature-sg") == 1;
	rc = share_all(nf);
	if (rc < 0)
		return rc;
	rc = hv_evtchn_alloc_unbound(h->hv, h->other_domid, &nf->port);
	if (rc < 0)
		goto unshare_all;
	netfront_ring_init(&nf->ring, &nf->memory, nf->has_sg);
	rc = store_client_transaction(h->store, write_keys, nf);
	if (rc < 0)
		goto close_port;
	return 0;

close_port:
	hv_evtchn_close(h->hv, nf->port);
	nf->port = 0;
unshare_all:
	unshare_all(nf);
	return rc;
}

static int netfront_connect(struct handshake *h)
{
	struct netfront *nf = h->priv;

	nf->is_connected = true;
	/* The rx pages were posted before there was anybody to tell. */
	hv_notify(h->hv, nf->port);
	return 0;
}

static void netfront_disconnect(struct handshake *h)
{
	struct netfront *nf = h->priv;

	nf->is_connected = false;
	if (nf->port) {
		hv_evtchn_close(h->hv, nf->port);
		nf->port = 0;
	}
	unshare_all(nf);
}

static const struct handshake_driver netfront_driver = {
	.type = "vif",
	.published = XenbusStateConnected,
	.publish = netfront_publish,
	.connect = netfront_connect,
	.disconnect = netfront_disconnect,
};

int netfront_create(struct frontbus *bus, unsigned devid, struct netfront **out)
{
	struct netfront *nf = calloc(1, sizeof(*nf));
	char path[64];
	int rc;

	if (!nf)
		return -ENOMEM;
	nf->bus = bus;
	snprintf(path, sizeof(path), "device/vif/%u", devid);
	rc = frontbus_start(bus, &nf->handshake, &netfront_driver, path, nf);
	if (rc < 0)
		free(nf);
	else
		*out = nf;
	return rc;
}

void netfront_destroy(struct netfront *nf)
{
	if (!nf)
		return;
	frontbus_stop(nf->bus, &nf->handshake);
	free(nf);
}

int netfront_wait_connected(struct netfront *nf, int timeout_ms)
{
	return frontbus_wait_connected(nf->bus, &nf->handshake, timeout_ms);
}

int netfront_check(struct netfront *nf)
{
	const char *why = nf->ring.broken;

	if (nf->handshake.failed || !nf->is_connected || !why)
		return nf->handshake.failed ? -EPROTO : 0;
	handshake_fail(&nf->handshake, "the back end broke the protocol: %s", why);
	return -EPROTO;
}

int netfront_wait(struct netfront *nf, bool for_rx, unsigned tx_room, int timeout_ms)
{
	int rc = 1;

	frontbus_pump(nf->bus);
	if (netfront_check(nf) < 0 || frontbus_is_over(&nf->handshake))
		return -ENODEV;
	if (!netfront_arm(nf, for_rx, tx_room)) {
		rc = frontbus_sleep(nf->bus, timeout_ms);
		if (rc > 0)
			frontbus_pump(nf->bus);
	}
	return rc < 0 || netfront_check(nf) < 0 || frontbus_is_over(&nf->handshake) ? -ENODEV : rc;
}
