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

/* Ring and event channel of one queue; dir: "" or "queue-N/". */
static void connect_queue(struct raw_back *b, unsigned i, const char *dir, unsigned order)
{
	grant_ref_t refs[16];
	char key[48];

	snprintf(key, sizeof(key), "%sring-ref", dir);
	if (!order)
		refs[0] = front_number(b, key);
	for (unsigned k = 0; order && k < 1u << order; k++) {
		snprintf(key, sizeof(key), "%sring-ref%u", dir, k);
		refs[k] = front_number(b, key);
	}
	check("ring", hv_peer_map_ring(b->peer, refs, 1u << order, &b->ring[i]));
	blkif_ring_back_init(&b->blk[i], b->ring[i], pages_to_bytes(1u << order));
	snprintf(key, sizeof(key), "%sevent-channel", dir);
	check("bind", hv_evtchn_bind_interdomain(b->hv, b->domid, front_number(b, key), &b->queue_port[i]));
}

void raw_back_connect_vbd(struct raw_back *b)
{
	uint64_t order = 0, queues = 1;
	char dir[24];

	if (store_client_read_uint(b->store, STORE_NO_TX, &order, "%s/ring-page-order", b->front) < 0)
		order = 0;
	if (store_client_read_uint(b->store, STORE_NO_TX, &queues, "%s/multi-queue-num-queues", b->front) < 0)
		queues = 1;
	check("peer", hv_peer_open(b->hv, b->domid, &b->peer));
	b->nr_queues = (unsigned)queues;
	for (unsigned i = 0; i < queues; i++) {
		snprintf(dir, sizeof(dir), "queue-%u/", i);
		connect_queue(b, i, queues > 1 ? dir : "", (unsigned)order);
	}
	b->port = b->queue_port[0];
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

static void let_go(struct raw_back *b)
{
	while (b->nr_kept)
		hv_peer_unmap(b->peer, &b->kept[--b->nr_kept].handle, 1);
}

void raw_back_disconnect(struct raw_back *b)
{
	let_go(b);
	if (b->port)
		hv_evtchn_close(b->hv, b->port);
	for (unsigned i = 1; i < RAW_BACK_QUEUES; i++)
		if (b->queue_port[i])
			hv_evtchn_close(b->hv, b->queue_port[i]);
	for (unsigned i = 0; i < RAW_BACK_QUEUES; i++)
		if (b->ring[i])
			hv_peer_unmap_ring(b->peer, b->ring[i]);
	if (b->peer)
		hv_peer_close(b->peer);
	b->peer = NULL;
	b->port = 0;
	b->nr_queues = 0;
	memset(b->ring, 0, sizeof(b->ring));
	memset(b->queue_port, 0, sizeof(b->queue_port));
}

void raw_back_nap(struct raw_back *b)
{
	struct pollfd p[RAW_BACK_QUEUES];
	unsigned n = b->nr_queues ? b->nr_queues : 1;
	evtchn_port_t port;

	for (unsigned i = 0; i < n; i++)
		p[i] = (struct pollfd){.fd = hv_event_fd(b->hv, i ? b->queue_port[i] : b->port), .events = POLLIN};
	if (poll(p, n, 10) <= 0)
		return;
	for (unsigned i = 0; i < n; i++)
		if (p[i].revents)
			hv_event_take(b->hv, p[i].fd, &port, 1);
}

/* ---- a disk -------------------------------------------------------------------------------------------------------------- */

/* The page of a persistent grant: mapped at its first use. */
static uint8_t *kept_page(struct raw_back *b, grant_ref_t ref)
{
	struct hv_map_op op = {.ref = ref};

	for (unsigned i = 0; i < b->nr_kept; i++)
		if (b->kept[i].ref == ref)
			return b->kept[i].page;
	if (b->nr_kept == RAW_BACK_KEPT || hv_peer_map(b->peer, &op, 1))
		return NULL;
	b->kept[b->nr_kept].ref = ref;
	b->kept[b->nr_kept].handle = op.handle;
	b->kept[b->nr_kept++].page = op.page;
	return op.page;
}

/* How many sectors; 0: it cannot be. */
static uint32_t serve_segment(struct raw_back *b, bool is_read, const struct blkif_request_segment *s, uint8_t *at)
{
	uint32_t bytes = (s->last_sect - s->first_sect + 1u) * 512, offset = s->first_sect * 512u;
	struct grant_copy_op op = {.local = at, .ref = s->gref, .len = (uint16_t)bytes, .offset = (uint16_t)offset, .to_peer = is_read};
	uint8_t *page;

	if (!b->keeps_grants)
		return hv_peer_copy(b->peer, &op, 1) ? 0 : bytes / 512;
	page = kept_page(b, s->gref);
	if (!page)
		return 0;
	if (is_read)
		memcpy(page + offset, at, bytes);
	else
		memcpy(at, page + offset, bytes);
	return bytes / 512;
}

static bool get_list(struct raw_back *b, const struct blkif_request_indirect *req, struct blkif_request_segment *seg)
{
	for (unsigned at = 0, i = 0; at < req->nr_segments; at += 512, i++) {
		unsigned nr = req->nr_segments - at < 512 ? req->nr_segments - at : 512;
		struct grant_copy_op op = {.local = seg + at, .ref = req->indirect_grefs[i], .len = (uint16_t)(nr * sizeof(*seg))};

		if (hv_peer_copy(b->peer, &op, 1))
			return false;
	}
	return true;
}

static int16_t serve_discard(const struct blkif_request_discard *d, uint8_t *disk, uint64_t nr_sectors)
{
	if (d->sector_number > nr_sectors || d->nr_sectors > nr_sectors - d->sector_number)
		return BLKIF_RSP_ERROR;
	memset(disk + d->sector_number * 512, d->flag & BLKIF_DISCARD_SECURE ? 0xff : 0, d->nr_sectors * 512);
	return BLKIF_RSP_OKAY;
}

int16_t raw_back_serve(struct raw_back *b, const struct blkif_request *req, uint8_t *disk, uint64_t nr_sectors)
{
	static _Thread_local struct blkif_request_segment list[4096];
	const struct blkif_request_indirect *in = (const void *)req;
	const struct blkif_request_segment *seg = req->seg;
	bool is_read = req->operation == BLKIF_OP_READ;
	uint64_t sector = req->sector_number;
	unsigned nr = req->nr_segments;

	if (req->operation == BLKIF_OP_FLUSH_DISKCACHE)
		return BLKIF_RSP_OKAY;
	if (req->operation == BLKIF_OP_DISCARD)
		return serve_discard((const void *)req, disk, nr_sectors);
	if (req->operation == BLKIF_OP_INDIRECT) {
		is_read = in->indirect_op == BLKIF_OP_READ;
		nr = in->nr_segments;
		seg = list;
		if (nr > 4096 || !get_list(b, in, list))
			return BLKIF_RSP_ERROR;
	}
	for (unsigned i = 0; i < nr; i++) {
		uint32_t sectors = seg[i].last_sect - seg[i].first_sect + 1u;

		if (sector + sectors > nr_sectors || !serve_segment(b, is_read, &seg[i], disk + sector * 512))
			return BLKIF_RSP_ERROR;
		sector += sectors;
	}
	return BLKIF_RSP_OKAY;
}

static unsigned serve_queue(struct raw_back *b, unsigned q, uint8_t *disk, uint64_t nr_sectors)
{
	int pending = blkif_ring_back_pending(&b->blk[q]);
	unsigned n = 0;

	while (pending-- > 0) {
		struct blkif_request req;
		struct blkif_response rsp;

		blkif_ring_back_take(&b->blk[q], &req);
		rsp = (struct blkif_response){.id = req.id, .operation = req.operation};
		if (req.operation == BLKIF_OP_INDIRECT)
			rsp.operation = ((const struct blkif_request_indirect *)(const void *)&req)->indirect_op;
		rsp.status = raw_back_serve(b, &req, disk, nr_sectors);
		blkif_ring_back_put(&b->blk[q], &rsp);
		n++;
	}
	if (n && blkif_ring_back_push(&b->blk[q]))
		hv_notify(b->hv, b->queue_port[q]);
	return n;
}

unsigned raw_back_serve_queues(struct raw_back *b, uint8_t *disk, uint64_t nr_sectors)
{
	unsigned n = 0;

	for (unsigned q = 0; q < b->nr_queues; q++)
		n += serve_queue(b, q, disk, nr_sectors);
	return n;
}

void raw_back_serve_disk(struct raw_back *b, uint8_t *disk, uint64_t nr_sectors)
{
	while (!raw_back_must_stop(b)) {
		bool has_more = false;

		if (raw_back_serve_queues(b, disk, nr_sectors))
			continue;
		for (unsigned q = 0; q < b->nr_queues; q++)
			has_more |= blkif_ring_back_final_check(&b->blk[q]);
		if (!has_more)
			raw_back_nap(b);
	}
}
