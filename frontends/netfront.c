/*
 * frontends/netfront.c - connects a vif's front end: what both ends can, queues, keys, states.
 *
 *      back end offers  ->  publish: share pages, post rx, write keys  ->  back end Connected  ->  connect: wake it  ->  disconnect
 *            ^                                                                                                             |
 *            +------------------------------- reconnects: what was under way is lost --------------------------------------+
 *
 * Owns     queues and control ring from publish to disconnect.
 * Trusts   no number in the store.
 * Runs in  the bus's thread.
 * Fails    -errno to the handshake, which closes the device and writes why.
 * Spec     xen/io/netif.h.
 */
#include "frontends/netfront.h"

#include "hv/clock.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/random.h>

#define DEFAULT_MTU 1500u
#define MIN_MTU 68u
#define SCARCE_SLOTS 64u
#define SHORT_LIFE_MS 1000

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

/* ---- what the two ends can ------------------------------------------------------------------------------------------- */

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

/* A number that the back end may have written; absent or nonsense counts as what is said here. */
static uint64_t offer(struct handshake *h, const char *key, uint64_t otherwise)
{
	uint64_t value;

	if (store_client_read_uint(h->store, STORE_NO_TX, &value, "%s/%s", h->other_path, key) < 0)
		return otherwise;
	return value;
}

static void read_carrier(struct netfront *nf)
{
	nf->has_carrier = offer(&nf->handshake, "carrier", 1) != 0;
}

static void read_abilities(struct netfront *nf)
{
	struct handshake *h = &nf->handshake;
	bool sg = offer(h, "feature-sg", 0) == 1;

	nf->tx_can = sg ? NETFRONT_SG : 0;
	if (offer(h, "feature-no-csum-offload", 0) != 1)
		nf->tx_can |= NETFRONT_CSUM4;
	if (offer(h, "feature-ipv6-csum-offload", 0) == 1)
		nf->tx_can |= NETFRONT_CSUM6;
	if (sg && nf->tx_can & NETFRONT_CSUM4 && offer(h, "feature-gso-tcpv4", 0) == 1)
		nf->tx_can |= NETFRONT_GSO4;
	if (sg && nf->tx_can & NETFRONT_CSUM6 && offer(h, "feature-gso-tcpv6", 0) == 1)
		nf->tx_can |= NETFRONT_GSO6;
	if (offer(h, "feature-multicast-control", 0) == 1)
		nf->tx_can |= NETFRONT_MCAST;
	nf->rx_can = NETFRONT_SG | (nf->options.accepts & (NETFRONT_CSUM4 | NETFRONT_CSUM6 | NETFRONT_GSO4 | NETFRONT_GSO6));
	if (nf->options.accepts & nf->tx_can & NETFRONT_MCAST)
		nf->rx_can |= NETFRONT_MCAST;
	read_carrier(nf);
}

/* ---- publish ----------------------------------------------------------------------------------------------------------- */

static unsigned count_queues(struct netfront *nf)
{
	uint64_t max = offer(&nf->handshake, "multi-queue-max-queues", 1);
	unsigned n = nf->nr_counters;

	nf->max_queues = max < NETFRONT_MAX_QUEUES ? (unsigned)max : NETFRONT_MAX_QUEUES;
	if (!nf->max_queues)
		nf->max_queues = 1;
	return n < nf->max_queues ? n : nf->max_queues;
}

static unsigned count_slots(const struct netfront *nf)
{
	bool is_scarce = !hv_grants(nf->handshake.hv);
	unsigned want = nf->options.slots, slots = NETFRONT_MIN_SLOTS;

	if (!want)
		want = is_scarce ? SCARCE_SLOTS : NETFRONT_SLOTS;
	while (slots * 2 <= want && slots < NETFRONT_SLOTS)
		slots *= 2;
	return slots;
}

/*
 * The control ring serves staging grants, which only pay where a grant in use costs the back end something, and the hash.
 * A vif works without it.
 */
static void open_ctrl(struct netfront *nf)
{
	struct handshake *h = &nf->handshake;
	bool is_wanted = !nf->options.no_staging || nf->options.accepts & NETFRONT_HASH;

	if (!is_wanted || offer(h, "feature-ctrl-ring", 0) != 1)
		return;
	if (netfront_ctrl_open(&nf->ctrl, h->hv, h->other_domid) == 0 && nf->options.accepts & NETFRONT_HASH)
		nf->rx_can |= NETFRONT_HASH;
}

static void close_all(struct netfront *nf)
{
	netfront_ctrl_close(&nf->ctrl);
	for (unsigned i = 0; i < nf->nr_queues; i++)
		netfront_queue_close(&nf->queue[i]);
	nf->nr_queues = 0;
}

/* A back end that is not trusted must not be able to change what was checked. */
static struct netfront_lending *choose_lending(struct netfront *nf)
{
	struct handshake *h = &nf->handshake;
	uint64_t trusted;

	nf->lends_not = NULL;
	if (!nf->options.lending || store_client_read_uint(h->store, STORE_NO_TX, &trusted, "%s/trusted", h->own_path) || trusted)
		return nf->options.lending;
	nf->lends_not = "its back end is not trusted (trusted=0)";
	return NULL;
}

/* As many queues as there are pages for, at least one. */
static int open_queues(struct netfront *nf)
{
	struct handshake *h = &nf->handshake;
	struct netfront_queue_traits t = {.peer = h->other_domid, .slots = count_slots(nf), .tx_can = nf->tx_can};
	unsigned want = count_queues(nf);
	int rc = 0;

	t.has_split_channels = !nf->options.no_split && offer(h, "feature-split-event-channels", 0) == 1;
	t.rx_can = nf->rx_can;
	t.lending = choose_lending(nf);
	for (nf->nr_queues = 0; nf->nr_queues < want; nf->nr_queues++) {
		t.counters = &nf->counters[nf->nr_queues];
		rc = netfront_queue_open(&nf->queue[nf->nr_queues], h->hv, &t);
		if (rc < 0)
			break;
		t.slots = nf->queue[nf->nr_queues].memory.nr_slots;
		if (t.lending && !nf->queue[nf->nr_queues].memory.loans)
			nf->lends_not = "there are too few pages to share with the back end";
	}
	if (nf->nr_queues)
		return 0;
	if (rc == -ENOSPC || rc == -ENOMEM)
		handshake_fail(h, "no %u pages are left to share with the back end; give the guest more, or use fewer devices",
			       2 + 2 * NETFRONT_MIN_SLOTS);
	return rc;
}

struct key {
	const char *name;
	unsigned value;
	bool is_meant;
};

/* Keys of an earlier connection, made with another back end, would contradict ours. */
static int remove_key(struct netfront *nf, struct store_client *store, uint32_t tx, const char *key)
{
	char path[160];
	int rc;

	snprintf(path, sizeof(path), "%s/%s", nf->handshake.own_path, key);
	rc = store_client_rm(store, tx, path);
	return rc == -ENOENT ? 0 : rc;
}

static int write_key_table(struct netfront *nf, struct store_client *store, uint32_t tx, const struct key keys[], unsigned nr)
{
	int rc = 0;

	for (unsigned i = 0; !rc && i < nr; i++)
		rc = keys[i].is_meant ? store_client_printf(store, tx, nf->handshake.own_path, keys[i].name, "%u", keys[i].value)
				      : remove_key(nf, store, tx, keys[i].name);
	return rc;
}

static int write_queues(struct netfront *nf, struct store_client *store, uint32_t tx)
{
	static const char *const of_one[] = {"tx-ring-ref", "rx-ring-ref", "event-channel", "event-channel-tx",
					     "event-channel-rx"};
	char dir[160], key[24];
	int rc = 0;

	for (unsigned i = 0; !rc && i < sizeof(of_one) / sizeof(of_one[0]); i++)
		rc = remove_key(nf, store, tx, of_one[i]);
	for (unsigned i = 0; !rc && i < NETFRONT_MAX_QUEUES; i++) {
		snprintf(key, sizeof(key), "queue-%u", i);
		rc = remove_key(nf, store, tx, key);
	}
	if (!rc && nf->nr_queues == 1)
		return netfront_queue_write_keys(&nf->queue[0], store, tx, nf->handshake.own_path);
	for (unsigned i = 0; !rc && i < nf->nr_queues; i++) {
		snprintf(dir, sizeof(dir), "%s/queue-%u", nf->handshake.own_path, i);
		rc = netfront_queue_write_keys(&nf->queue[i], store, tx, dir);
	}
	return rc;
}

static int write_keys(struct store_client *store, uint32_t tx, void *arg)
{
	struct netfront *nf = arg;
	const struct key keys[] = {
		{"request-rx-copy", 1, true},
		{"feature-rx-notify", 1, true},
		{"feature-sg", 1, true},
		{"feature-no-csum-offload", 1, !(nf->rx_can & NETFRONT_CSUM4)},
		{"feature-ipv6-csum-offload", 1, nf->rx_can & NETFRONT_CSUM6},
		{"feature-gso-tcpv4", 1, nf->rx_can & NETFRONT_GSO4},
		{"feature-gso-tcpv6", 1, nf->rx_can & NETFRONT_GSO6},
		{"request-multicast-control", 1, nf->rx_can & NETFRONT_MCAST},
		{"multi-queue-num-queues", nf->nr_queues, nf->nr_queues > 1},
		{"ctrl-ring-ref", nf->ctrl.ring_ref, nf->ctrl.port != 0},
		{"event-channel-ctrl", nf->ctrl.port, nf->ctrl.port != 0},
	};
	int rc = write_key_table(nf, store, tx, keys, sizeof(keys) / sizeof(keys[0]));

	if (!rc)
		rc = front_counters_write_key(&nf->shared_counters, store, tx, nf->handshake.own_path);
	return rc ? rc : write_queues(nf, store, tx);
}

/* What is read before the queues are opened. */
static const char *const identity[] = {"mtu", "mac"};
static const char *const offers[] = {
	"feature-sg", "feature-no-csum-offload", "feature-ipv6-csum-offload", "feature-gso-tcpv4", "feature-gso-tcpv6",
	"feature-multicast-control", "carrier", "feature-ctrl-ring", "multi-queue-max-queues", "feature-split-event-channels",
};

static int netfront_publish(struct handshake *h)
{
	struct netfront *nf = h->priv;
	int rc;

	store_client_prefetch(h->store, h->own_path, identity, sizeof(identity) / sizeof(identity[0]));
	store_client_prefetch(h->store, h->other_path, offers, sizeof(offers) / sizeof(offers[0]));
	read_identity(nf);
	read_abilities(nf);
	open_ctrl(nf);
	rc = open_queues(nf);
	if (!rc)
		rc = store_client_transaction(h->store, write_keys, nf);
	if (rc < 0)
		close_all(nf);
	return rc;
}

/* ---- connected ---------------------------------------------------------------------------------------------------------- */

static void start_ctrl(struct netfront *nf)
{
	struct netfront_ctrl_job job = {
		.nr_queues = nf->nr_queues,
		.wants_staging = !nf->options.no_staging,
		.wants_hash = nf->rx_can & NETFRONT_HASH,
	};

	if (!nf->ctrl.port)
		return;
	for (unsigned i = 0; i < nf->nr_queues; i++)
		job.queue[i] = (struct netfront_ctrl_pages){
			.tx_refs = nf->queue[i].tx_refs,
			.rx_refs = nf->queue[i].rx_refs,
			.nr_tx = netfront_ring_tx_pages(nf->queue[i].memory.nr_slots),
			.nr_rx = netfront_queue_rx_pages(&nf->queue[i]),
		};
	if (job.wants_hash && getrandom(job.key, sizeof(job.key), 0) != sizeof(job.key))
		job.wants_hash = false;
	netfront_ctrl_start(&nf->ctrl, &job);
}

static int netfront_connect(struct handshake *h)
{
	struct netfront *nf = h->priv;

	nf->is_connected = true;
	nf->connected_ms = clock_now_ms();
	start_ctrl(nf);
	/* The rx pages were posted before there was anybody to tell. */
	for (unsigned i = 0; i < nf->nr_queues; i++)
		hv_notify(h->hv, nf->queue[i].rx_port);
	if (nf->options.hooks.up)
		nf->options.hooks.up(nf, nf->options.hooks.arg);
	return 0;
}

static void count_lost(struct netfront *nf)
{
	for (unsigned q = 0; q < nf->nr_queues; q++)
		for (unsigned i = 0; i < NETFRONT_SLOTS; i++)
			nf->lost += nf->queue[q].ring.tx_out[i];
}

static void netfront_disconnect(struct handshake *h)
{
	struct netfront *nf = h->priv;

	if (nf->is_connected && nf->options.hooks.down)
		nf->options.hooks.down(nf, nf->options.hooks.arg);
	if (nf->is_connected) {
		count_lost(nf);
		nf->nr_short_lives = clock_now_ms() - nf->connected_ms < SHORT_LIFE_MS ? nf->nr_short_lives + 1 : 0;
	}
	nf->is_connected = false;
	close_all(nf);
}

static void netfront_changed(struct handshake *h, const char *key)
{
	if (!strcmp(key, "carrier"))
		read_carrier(h->priv);
}

static const struct handshake_driver netfront_driver = {
	.type = "vif",
	.published = XenbusStateConnected,
	.publish = netfront_publish,
	.connect = netfront_connect,
	.disconnect = netfront_disconnect,
	.changed = netfront_changed,
};

static int open_counters(struct netfront *nf)
{
	unsigned nr = nf->options.queues ? nf->options.queues : 1;
	int rc;

	nf->nr_counters = nr < NETFRONT_MAX_QUEUES ? nr : NETFRONT_MAX_QUEUES;
	rc = front_counters_open(&nf->shared_counters, nf->bus->hv, &netfront_counters_layout, nf->nr_counters);
	if (!rc)
		nf->counters = counters_queues(nf->shared_counters.memory, &netfront_counters_layout);
	return rc;
}

int netfront_create(struct frontbus *bus, unsigned devid, const struct netfront_options *opt, struct netfront **out)
{
	struct netfront *nf = calloc(1, sizeof(*nf));
	char path[64];
	int rc = -ENOMEM;

	if (!nf)
		return rc;
	nf->queue = calloc(NETFRONT_MAX_QUEUES, sizeof(*nf->queue));
	if (!nf->queue)
		goto free_device;
	nf->bus = bus;
	if (opt)
		nf->options = *opt;
	busy_poll_init(&nf->wait, nf->options.busy_poll_us);
	rc = open_counters(nf);
	if (rc < 0)
		goto free_queues;
	snprintf(path, sizeof(path), "device/vif/%u", devid);
	rc = frontbus_start(bus, &nf->handshake, &netfront_driver, path, nf);
	if (rc < 0)
		goto close_counters;
	*out = nf;
	return 0;

close_counters:
	front_counters_close(&nf->shared_counters);
free_queues:
	free(nf->queue);
free_device:
	free(nf);
	return rc;
}

void netfront_destroy(struct netfront *nf)
{
	if (!nf)
		return;
	front_counters_remove_key(nf->handshake.store, nf->handshake.own_path);
	frontbus_stop(nf->bus, &nf->handshake);
	front_counters_close(&nf->shared_counters);
	free(nf->queue);
	free(nf);
}

int netfront_wait_connected(struct netfront *nf, int timeout_ms)
{
	return frontbus_wait_connected(nf->bus, &nf->handshake, timeout_ms);
}

/* ---- a back end that goes, and one that comes ----------------------------------------------------------------------------- */

static bool has_back_error(struct netfront *nf)
{
	char *text;

	if (store_client_readf(nf->handshake.store, STORE_NO_TX, &text, "%s/error", nf->handshake.other_path) < 0)
		return false;
	free(text);
	return true;
}

/* The toolstack that detaches a device says that it shall not be online any more. */
static bool may_begin_anew(struct netfront *nf)
{
	struct handshake *h = &nf->handshake;

	return nf->options.reconnects && !h->failed && !h->gone && h->own == XenbusStateClosed && !nf->bus->is_stopping &&
	       !nf->bus->is_lost && nf->nr_short_lives < NETFRONT_SHORT_LIVES && offer(h, "online", 1) == 1 && !has_back_error(nf);
}

static void begin_anew(struct netfront *nf)
{
	char path[sizeof(nf->handshake.own_path)];

	strcpy(path, nf->handshake.own_path);
	frontbus_stop(nf->bus, &nf->handshake);
	nf->handshake.gone = frontbus_start(nf->bus, &nf->handshake, &netfront_driver, path, nf) < 0;
}

/* A device that may begin anew is not over while it closes: that comes first. */
bool netfront_is_over(const struct netfront *nf)
{
	const struct handshake *h = &nf->handshake;
	bool is_between = nf->options.reconnects && !h->failed && !h->gone && h->own == XenbusStateClosing;

	return nf->bus->is_lost || (frontbus_is_over(h) && !is_between);
}

/* ---- the control side of a running device ------------------------------------------------------------------------------ */

int netfront_check(struct netfront *nf)
{
	const char *why = NULL;

	if (may_begin_anew(nf))
		begin_anew(nf);
	if (nf->handshake.failed || !nf->is_connected)
		return nf->handshake.failed ? -EPROTO : 0;
	netfront_ctrl_poll(&nf->ctrl);
	why = nf->ctrl.port ? nf->ctrl.broken : NULL;
	for (unsigned i = 0; !why && i < nf->nr_queues; i++)
		why = nf->queue[i].ring.broken;
	if (!why)
		return 0;
	handshake_fail(&nf->handshake, "the back end broke the protocol: %s", why);
	return -EPROTO;
}

void netfront_count(const struct netfront *nf, struct netfront_counters *sum)
{
	memset(sum, 0, sizeof(*sum));
	for (unsigned i = 0; i < nf->nr_counters; i++)
		counters_add(&netfront_counters_layout, sum, &nf->counters[i]);
}

bool netfront_has_work(const struct netfront *nf, bool for_rx, unsigned tx_room)
{
	bool has_work = false;

	for (unsigned i = 0; nf->is_connected && i < nf->nr_queues && !has_work; i++) {
		const struct netfront_ring *r = &nf->queue[i].ring;

		has_work = r->broken || (for_rx && netfront_ring_has_rx(r)) || (tx_room && netfront_ring_has_room(r, tx_room));
	}
	return has_work;
}

bool netfront_arm(struct netfront *nf, bool for_rx, unsigned tx_room)
{
	bool has_work = false;

	if (!nf->is_connected)
		return false;
	for (unsigned i = 0; i < nf->nr_queues; i++) {
		struct netfront_ring *r = &nf->queue[i].ring;

		if (for_rx)
			has_work |= netfront_ring_arm_rx(r);
		if (tx_room)
			has_work |= netfront_ring_arm_tx(r, tx_room);
		has_work |= r->broken != NULL;
	}
	return has_work | netfront_ctrl_arm(&nf->ctrl);
}

/* True: there is something to do, or has come meanwhile. */
static bool look(struct netfront *nf, bool for_rx, unsigned tx_room)
{
	while (!netfront_has_work(nf, for_rx, tx_room))
		if (!nf->is_connected || !busy_poll_looks_again(&nf->wait, clock_now_ns()))
			return false;
	return true;
}

int netfront_wait(struct netfront *nf, bool for_rx, unsigned tx_room, int timeout_ms)
{
	int rc = 1;

	frontbus_pump(nf->bus);
	if (netfront_check(nf) < 0 || netfront_is_over(nf))
		return -ENODEV;
	if (!look(nf, for_rx, tx_room) && !netfront_arm(nf, for_rx, tx_room)) {
		rc = frontbus_sleep(nf->bus, timeout_ms);
		if (rc > 0)
			frontbus_pump(nf->bus);
	}
	if (netfront_has_work(nf, for_rx, tx_room))
		busy_poll_found(&nf->wait);
	return rc < 0 || netfront_check(nf) < 0 || netfront_is_over(nf) ? -ENODEV : rc;
}
