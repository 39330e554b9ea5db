/*
 * test/scenario/liar_guest.c - a guest that breaks the protocols on purpose. liar_guest.sh looks at who suffers.
 *
 *      liar-guest WHAT MILLISECONDS
 *        keys         nonsense where ring references and event channels belong
 *        vbd-index    a connected disk; the producer index jumps beyond the ring
 *        vbd-noise    a connected disk; random requests, random bytes over all of the ring
 *        vif-index    a connected vif; both producer indices jump
 *        vif-noise    a connected vif; random requests and chains, random bytes
 *        store-noise  store requests with random paths, values and transactions, and events without any
 *        hypercalls   random numbers, commands and addresses
 *
 * Says on its console which state its back end is in afterwards, then powers off.
 */
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <xen/hvm/hvm_op.h>
#include <xen/hvm/params.h>
#include <xen/io/blkif.h>
#include <xen/io/netif.h>
#include <xen/io/xenbus.h>
#include <xen/sched.h>

#include "hv/hv.h"
#include "hv/store_client.h"

struct liar {
	struct hv *hv;
	struct store_client *store;
	uint64_t random;
	uint64_t until_ns;
	char device[64];
	evtchn_port_t port;
};

static uint64_t now_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

static uint64_t next(struct liar *l)
{
	l->random ^= l->random << 13;
	l->random ^= l->random >> 7;
	l->random ^= l->random << 17;
	return l->random;
}

static bool goes_on(const struct liar *l)
{
	return now_ns() < l->until_ns;
}

static void say(const char *fmt, ...)
{
	va_list args;

	va_start(args, fmt);
	vprintf(fmt, args);
	va_end(args);
	putchar('\n');
	fflush(stdout);
}

static unsigned back_state(struct liar *l)
{
	uint64_t state = 0;
	char *back;

	if (store_client_readf(l->store, STORE_NO_TX, &back, "%s/backend", l->device))
		return 0;
	if (store_client_read_uint(l->store, STORE_NO_TX, &state, "%s/state", back))
		state = 0;
	free(back);
	return (unsigned)state;
}

static bool wait_back(struct liar *l, unsigned state, int ms)
{
	for (int i = 0; i < ms / 10; i++) {
		if (back_state(l) == state)
			return true;
		nanosleep(&(struct timespec){ .tv_nsec = 10000000 }, NULL);
	}
	return false;
}

static void put(struct liar *l, const char *key, unsigned long value)
{
	store_client_printf(l->store, STORE_NO_TX, l->device, key, "%lu", value);
}

static void *share_ring(struct liar *l, const char *key)
{
	grant_ref_t ref;
	void *page;

	if (hv_share(l->hv, 0, 1, false, &ref, &page) < 0)
		return NULL;
	put(l, key, ref);
	return page;
}

static bool offer_port(struct liar *l)
{
	if (hv_evtchn_alloc_unbound(l->hv, 0, &l->port) < 0)
		return false;
	put(l, "event-channel", l->port);
	return true;
}

static void init_indices(void *ring)
{
	((uint32_t *)ring)[1] = 1; /* req_event */
	((uint32_t *)ring)[3] = 1; /* rsp_event */
}

/* ---- liars ---------------------------------------------------------------------------------------------------------- */

static void *connect_vbd(struct liar *l)
{
	void *ring;

	snprintf(l->device, sizeof(l->device), "device/vbd/51712");
	ring = share_ring(l, "ring-ref");
	if (!ring || !offer_port(l))
		return NULL;
	init_indices(ring);
	store_client_printf(l->store, STORE_NO_TX, l->device, "protocol", "x86_64-abi");
	put(l, "state", XenbusStateInitialised);
	if (!wait_back(l, XenbusStateConnected, 5000))
		return NULL;
	put(l, "state", XenbusStateConnected);
	return ring;
}

static bool connect_vif(struct liar *l, void *rings[2])
{
	snprintf(l->device, sizeof(l->device), "device/vif/0");
	rings[0] = share_ring(l, "tx-ring-ref");
	rings[1] = share_ring(l, "rx-ring-ref");
	if (!rings[0] || !rings[1] || !offer_port(l))
		return false;
	init_indices(rings[0]);
	init_indices(rings[1]);
	put(l, "request-rx-copy", 1);
	put(l, "feature-sg", 1);
	put(l, "state", XenbusStateConnected);
	return wait_back(l, XenbusStateConnected, 5000);
}

static void jump_index(struct liar *l, void *ring)
{
	volatile uint32_t *req_prod = ring;

	while (goes_on(l)) {
		*req_prod += 4096 + (uint32_t)next(l) % 1000000;
		hv_notify(l->hv, l->port);
		nanosleep(&(struct timespec){ .tv_nsec = 1000000 }, NULL);
	}
}

/* A few requests of random bytes at a time, the index within what the ring holds; now and then noise everywhere else. */
static void random_requests(struct liar *l, void *ring, unsigned slot_bytes, unsigned slots)
{
	volatile uint32_t *req_prod = ring;
	uint8_t *bytes = ring;

	while (goes_on(l)) {
		unsigned n = 1 + (unsigned)next(l) % 4;

		for (unsigned i = 0; i < n * slot_bytes; i++)
			bytes[64 + (*req_prod % slots * slot_bytes + i) % (slots * slot_bytes)] = (uint8_t)next(l);
		if (next(l) % 4) /* likelier to get past the first check: a small first byte, few segments */
			bytes[64 + *req_prod % slots * slot_bytes] = (uint8_t)(next(l) % 8);
		*req_prod += n;
		hv_notify(l->hv, l->port);
		if (next(l) % 64 == 0)
			bytes[64 + next(l) % (slots * slot_bytes)] = (uint8_t)next(l);
		if (next(l) % 16 == 0)
			nanosleep(&(struct timespec){ .tv_nsec = 200000 }, NULL);
	}
}

static const char *lie_vbd_index(struct liar *l)
{
	void *ring = connect_vbd(l);

	if (!ring)
		return "not connected";
	jump_index(l, ring);
	return NULL;
}

static const char *lie_vbd_noise(struct liar *l)
{
	void *ring = connect_vbd(l);

	if (!ring)
		return "not connected";
	random_requests(l, ring, sizeof(union blkif_sring_entry), 32);
	return NULL;
}

static const char *lie_vif_index(struct liar *l)
{
	void *rings[2];

	if (!connect_vif(l, rings))
		return "not connected";
	l->until_ns -= (l->until_ns - now_ns()) / 2;
	jump_index(l, rings[1]);
	l->until_ns += 200000000;
	jump_index(l, rings[0]);
	return NULL;
}

static const char *lie_vif_noise(struct liar *l)
{
	uint64_t end = l->until_ns;
	void *rings[2];

	if (!connect_vif(l, rings))
		return "not connected";
	while (now_ns() < end) {
		l->until_ns = now_ns() + 20000000;
		random_requests(l, rings[next(l) % 2], sizeof(union netif_tx_sring_entry), 256);
	}
	return NULL;
}

static const char *lie_keys(struct liar *l)
{
	static const char *const values[] = { "4294967295", "-1", "0", "", "99999", "x", "18446744073709551616", "1 2", "8" };
	static const char *const keys[] = { "ring-ref", "event-channel", "ring-page-order", "num-ring-pages", "protocol",
					    "tx-ring-ref", "rx-ring-ref", "request-rx-copy", "multi-queue-num-queues", "state" };

	while (goes_on(l)) {
		snprintf(l->device, sizeof(l->device), next(l) % 2 ? "device/vbd/51712" : "device/vif/0");
		for (unsigned i = 0; i < sizeof(keys) / sizeof(keys[0]); i++)
			store_client_printf(l->store, STORE_NO_TX, l->device, keys[i], "%s",
					    values[next(l) % (sizeof(values) / sizeof(values[0]))]);
		put(l, "state", 1 + next(l) % 8);
	}
	snprintf(l->device, sizeof(l->device), "device/vbd/51712");
	return NULL;
}

static uint64_t hvm_param(struct liar *l, uint32_t index)
{
	struct xen_hvm_param p = { .domid = DOMID_SELF, .index = index };

	return hv_hypercall(l->hv, __HYPERVISOR_hvm_op, HVMOP_get_param, &p, sizeof(p)) < 0 ? 0 : p.value;
}

static const char *lie_store_noise(struct liar *l)
{
	evtchn_port_t port = (evtchn_port_t)hvm_param(l, HVM_PARAM_STORE_EVTCHN);

	while (goes_on(l)) {
		char path[300], *value;
		unsigned n = (unsigned)next(l) % sizeof(path);

		for (unsigned i = 0; i < n; i++)
			path[i] = (char)(1 + next(l) % 255);
		path[n ? n - 1 : 0] = '\0';
		if (next(l) % 2)
			path[0] = '/';
		store_client_write(l->store, (uint32_t)(next(l) % 3), path, path, n);
		if (store_client_read(l->store, (uint32_t)next(l), path, &value, NULL) == 0)
			free(value);
		store_client_rm(l->store, STORE_NO_TX, path[0] == '/' ? path : "/local/domain/0/backend");
		hv_notify(l->hv, port);
	}
	return NULL;
}

static const char *lie_hypercalls(struct liar *l)
{
	uint8_t arg[256];

	while (goes_on(l)) {
		unsigned nr = (unsigned)next(l) % 64;
		uint64_t cmd = next(l) % 4 ? next(l) % 64 : next(l);

		/* What would end this domain is no lie, only a wish. */
		if (nr == __HYPERVISOR_sched_op || nr == __HYPERVISOR_sched_op_compat)
			cmd = 64 + cmd % 1000;
		for (unsigned i = 0; i < sizeof(arg); i++)
			arg[i] = next(l) % 3 ? 0 : (uint8_t)next(l);
		hv_hypercall(l->hv, nr, cmd, next(l) % 8 ? arg : NULL, sizeof(arg));
	}
	return NULL;
}

static const struct {
	const char *name;
	const char *(*lie)(struct liar *l);
} liars[] = {
	{ "keys", lie_keys },		{ "vbd-index", lie_vbd_index },	    { "vbd-noise", lie_vbd_noise },
	{ "vif-index", lie_vif_index }, { "vif-noise", lie_vif_noise },	    { "store-noise", lie_store_noise },
	{ "hypercalls", lie_hypercalls },
};

static const char *lie(struct liar *l, const char *what)
{
	for (unsigned i = 0; i < sizeof(liars) / sizeof(liars[0]); i++)
		if (!strcmp(liars[i].name, what))
			return liars[i].lie(l);
	return "no such lie";
}

int main(int argc, char **argv)
{
	struct sched_shutdown end = { .reason = SHUTDOWN_poweroff };
	const struct hv_options options = { 0 };
	struct liar l = { .random = UINT64_C(88172645463325252) };
	const char *problem;

	if (argc != 3 || hv_open_guest(&options, &l.hv) < 0)
		return 2;
	l.store = hv_store(l.hv, NULL);
	if (!l.store)
		return 2;
	l.until_ns = now_ns() + strtoull(argv[2], NULL, 10) * 1000000;
	problem = lie(&l, argv[1]);
	if (problem)
		say("%s", problem);
	else
		say("lied; back end in state %u", l.device[0] ? back_state(&l) : 0);
	hv_hypercall(l.hv, __HYPERVISOR_sched_op, SCHEDOP_shutdown, &end, sizeof(end));
	return 0;
}
