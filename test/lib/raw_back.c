/*
 * test/lib/raw_back.c - states, keys, rings and copies of a bare back end.
 */
#include "raw_back.h"

#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

static void die(const char *what, int err)
{
	fprintf(stderr, "raw_back: %s: %s\n", what, strerror(err < 0 ? -err : err));
	abort();
}

static void check(const char *what, int err)
{
	if (err)
		die(what, err);
}

bool raw_back_must_stop(struct raw_back *b)
{
	return load_acquire(&b->must_stop);
}

static void *run_script(void *arg)
{
	struct raw_back *b = arg;

	b->script(b);
	raw_back_disconnect(b);
	return NULL;
}

void raw_back_start(struct raw_back *b, struct hv *dom0, const char *type, domid_t domid, unsigned devid,
		    void (*script)(struct raw_back *b), void *arg)
{
	int err = 0;

	memset(b, 0, sizeof(*b));
	b->hv = dom0;
	b->domid = domid;
	b->script = script;
	b->arg = arg;
	b->store = hv_store(dom0, &err);
	check("store", err);
	snprintf(b->path, sizeof(b->path), "/local/domain/0/backend/%s/%u/%u", type, domid, devid);
	snprintf(b->front, sizeof(b->front), "/local/domain/%u/device/%s/%u", domid, type, devid);
	check("thread", pthread_create(&b->thread, NULL, run_script, b));
}

void raw_back_stop(struct raw_back *b)
{
	store_release(&b->must_stop, 1);
	pthread_join(b->thread, NULL);
	hv_close(b->hv);
}

void raw_back_write(struct raw_back *b, const char *key, const char *value)
{
	check(key, store_client_printf(b->store, STORE_NO_TX, b->path, key, "%s", value));
}

void raw_back_state(struct raw_back *b, enum xenbus_state state)
{
	char text[12];

	snprintf(text, sizeof(text), "%u", state);
	raw_back_write(b, "state", text);
}

bool raw_back_wait_front(struct raw_back *b, enum xenbus_state state)
{
	uint64_t now = 0;

	while (!raw_back_must_stop(b)) {
		if (!store_client_read_uint(b->store, STORE_NO_TX, &now, "%s/state", b->front) && now == state)
			return true;
		usleep(1000);
	}
	return false;
}

static uint32_t front_number(struct raw_back *b, const char *key)
{
	uint64_t v = 0;

	check(key, store_client_read_uint(b->store, STORE_NO_TX, &v, "%s/%s", b->front, key));
	return (uint32_t)v;
}

static void bind(struct raw_back *b)
{
	check("peer", hv_peer_open(b->hv, b->domid, &b->peer));
	check("bind", hv_evtchn_bind_interdomain(b->hv, b->domid, front_number(b, "event-channel"), &b->port));
}

void raw_back_connect_vbd(struct raw_back *b)
{
	grant_ref_t refs[16];
	uint64_t order = 0;
	char key[24];

	bind(b);
	if (store_client_read_uint(b->store, STORE_NO_TX, &order, "%s/ring-page-order", b->front) < 0)
		refs[0] = front_number(b, "ring-ref");
	for (unsigned i = 0; order && i < 1u << order; i++) {
		snprintf(key, sizeof(key), "ring-ref%u", i);
		refs[i] = front_number(b, key);
	}
	check("ring", hv_peer_map_ring(b->peer, refs, 1u << order, &b->ring[0]));
	blkif_ring_back_init(&b->blk, b->ring[0], pages_to_bytes(1u << order));
}

void raw_back_connect_vif(struct raw_back *b)
{
	grant_ref_t tx = front_number(b, "tx-ring-ref"), rx = front_number(b, "rx-ring-ref");

	bind(b);
	check("tx ring", hv_peer_map_ring(b->peer, &tx, 1, &b->ring[0]));
	check("rx ring", hv_peer_map_ring(b->peer, &rx, 1, &b->ring[1]));
	netif_txr_back_init(&b->tx, b->ring[0], PAGE_BYTES);
	netif_rxr_back_init(&b->rx, b->ring[1], PAGE_BYTES);
}

void raw_back_disconnect(struct raw_back *b)
{
	if (b->port)
		hv_evtchn_close(b->hv, b->port);
	for (unsigned i = 0; i < 2; i++)
		if (b->ring[i])
			hv_peer_unmap_ring(b->peer, b->ring[i]);
	if (b->peer)
		hv_peer_close(b->peer);
	b->peer = NULL;
	b->ring[0] = b->ring[1] = NULL;
	b->port = 0;
}

void raw_back_nap(struct raw_back *b)
{
	struct pollfd p = {.fd = hv_event_fd(b->hv, b->port), .events = POLLIN};
	evtchn_port_t port;

	if (poll(&p, 1, 10) > 0)
		hv_event_take(b->hv, p.fd, &port, 1);
}

int16_t raw_back_serve(struct raw_back *b, const struct blkif_request *req, uint8_t *disk, uint64_t nr_sectors)
{
	bool is_read = req->operation == BLKIF_OP_READ;
	uint64_t sector = req->sector_number;

	if (req->operation == BLKIF_OP_FLUSH_DISKCACHE)
		return BLKIF_RSP_OKAY;
	for (unsigned i = 0; i < req->nr_segments; i++) {
		const struct blkif_request_segment *s = &req->seg[i];
		uint32_t nr = s->last_sect - s->first_sect + 1u;
		struct grant_copy_op op = {.local = disk + sector * 512, .ref = s->gref, .len = (uint16_t)(nr * 512),
					   .offset = (uint16_t)(s->first_sect * 512), .to_peer = is_read};

		if (sector + nr > nr_sectors || hv_peer_copy(b->peer, &op, 1))
			return BLKIF_RSP_ERROR;
		sector += nr;
	}
	return BLKIF_RSP_OKAY;
}

void raw_back_serve_disk(struct raw_back *b, uint8_t *disk, uint64_t nr_sectors)
{
	while (!raw_back_must_stop(b)) {
		int pending = blkif_ring_back_pending(&b->blk);

		if (pending <= 0) {
			if (!blkif_ring_back_final_check(&b->blk))
				raw_back_nap(b);
			continue;
		}
		while (pending-- > 0) {
			struct blkif_request req;
			struct blkif_response rsp;

			blkif_ring_back_take(&b->blk, &req);
			rsp = (struct blkif_response){.id = req.id, .operation = req.operation};
			rsp.status = raw_back_serve(b, &req, disk, nr_sectors);
			blkif_ring_back_put(&b->blk, &rsp);
		}
		if (blkif_ring_back_push(&b->blk))
			hv_notify(b->hv, b->port);
	}
}
