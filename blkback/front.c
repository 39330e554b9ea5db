/*
 * blkback/front.c - what a front end wrote into its directory.
 *
 *      one queue        ring-ref, or ring-page-order and ring-ref<n>; event-channel
 *      several          multi-queue-num-queues, ring-page-order; queue-<q>/ring-ref<n>, queue-<q>/event-channel
 *      all              protocol, feature-persistent
 *
 * Runs in  the thread that owns the store client.
 * Fails    with one sentence in the device's error node (handshake_fail).
 */
#include "blkback/front.h"

#include <stdio.h>
#include <stdlib.h>
#include <xen/io/protocols.h>

/* A number of the front end's that must fit 32 bits. */
static int read_u32(struct handshake *h, const char *key, uint32_t *value)
{
	uint64_t wide;
	int err = store_client_read_uint(h->store, STORE_NO_TX, &wide, "%s/%s", h->other_path, key);

	if (!err && wide > UINT32_MAX)
		err = -ERANGE;
	if (!err)
		*value = (uint32_t)wide;
	return err;
}

static int need_u32(struct handshake *h, const char *key, uint32_t *value)
{
	int err = read_u32(h, key, value);

	if (err)
		handshake_fail(h, "front end key %s is missing or no 32-bit number", key);
	return err;
}

/* Absent: native. */
static int read_protocol(struct handshake *h, struct front *front)
{
	char *protocol;
	int err = store_client_readf(h->store, STORE_NO_TX, &protocol, "%s/protocol", h->other_path);

	if (err)
		return err == -ENOENT ? 0 : err;
	front->is_x86_32 = !strcmp(protocol, XEN_IO_PROTO_ABI_X86_32);
	if (!front->is_x86_32 && strcmp(protocol, XEN_IO_PROTO_ABI_X86_64)) {
		handshake_fail(h, "front end protocol %.32s is not supported: use %s or %s", protocol, XEN_IO_PROTO_ABI_X86_64,
			       XEN_IO_PROTO_ABI_X86_32);
		err = -EPROTONOSUPPORT;
	}
	free(protocol);
	return err;
}

static int read_nr_queues(struct handshake *h, unsigned max_queues, struct front *front, bool *has_folders)
{
	uint32_t queues = 1;
	int err = read_u32(h, "multi-queue-num-queues", &queues);

	if (err && err != -ENOENT) {
		handshake_fail(h, "front end key multi-queue-num-queues is no number");
		return err;
	}
	if (queues < 1 || queues > max_queues) {
		handshake_fail(h, "front end asks for %u queues (multi-queue-num-queues), and 1 to %u were offered", queues, max_queues);
		return -EINVAL;
	}
	front->nr_queues = queues;
	*has_folders = queues > 1; /* with one the keys lie as if multi-queue were not known */
	return 0;
}

/* *has_order: the refs are numbered. */
static int read_order(struct handshake *h, struct front *front, bool *has_order)
{
	uint32_t order = 0;
	int err = read_u32(h, "ring-page-order", &order);

	if (err && err != -ENOENT) {
		handshake_fail(h, "front end key ring-page-order is no number");
		return err;
	}
	if (order > BLKIF_MAX_RING_ORDER) {
		handshake_fail(h, "front end asks for ring-page-order %u, and max-ring-page-order is %u", order,
			       BLKIF_MAX_RING_ORDER);
		return -EINVAL;
	}
	*has_order = err == 0;
	front->ring_pages = 1u << order;
	return 0;
}

/* A ring of one page may have its ref under either name. */
static int read_refs(struct handshake *h, const char *folder, const struct front *front, bool has_order, grant_ref_t refs[])
{
	char key[48];
	int err;

	snprintf(key, sizeof(key), "%sring-ref", folder);
	if (front->ring_pages == 1 && read_u32(h, key, &refs[0]) == 0)
		return 0;
	if (!has_order)
		return need_u32(h, key, &refs[0]); /* says what is missing */
	for (unsigned i = 0; i < front->ring_pages; i++) {
		snprintf(key, sizeof(key), "%sring-ref%u", folder, i);
		err = need_u32(h, key, &refs[i]);
		if (err)
			return err;
	}
	return 0;
}

static int read_queue(struct handshake *h, const char *folder, bool has_order, const struct front *front, struct front_queue *q)
{
	char key[48];
	int err = read_refs(h, folder, front, has_order, q->ref);

	snprintf(key, sizeof(key), "%sevent-channel", folder);
	return err ? err : need_u32(h, key, &q->port);
}

/* All that front_read wants of a vbd with one queue and a ring of one page. */
static const char *const wished[] = {"protocol", "multi-queue-num-queues", "ring-page-order", "ring-ref", "event-channel",
				     "feature-persistent"};

int front_read(struct handshake *h, unsigned max_queues, struct front *front)
{
	bool has_order = false, has_folders = false;
	uint32_t persistent = 0;
	char folder[24] = "";
	int err;

	*front = (struct front){.nr_queues = 1};
	store_client_prefetch(h->store, h->other_path, wished, sizeof(wished) / sizeof(wished[0]));
	err = read_protocol(h, front);
	if (!err)
		err = read_nr_queues(h, max_queues, front, &has_folders);
	if (!err)
		err = read_order(h, front, &has_order);
	for (unsigned i = 0; i < front->nr_queues && !err; i++) {
		if (has_folders)
			snprintf(folder, sizeof(folder), "queue-%u/", i);
		err = read_queue(h, folder, has_order, front, &front->queue[i]);
	}
	if (!err)
		front->is_persistent = read_u32(h, "feature-persistent", &persistent) == 0 && persistent == 1;
	return err;
}
