/*
 * test/lib/blk_box.c - a guest's block ring and a back end queue in one process.
 */
#include "blk_box.h"

#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <unistd.h>

#define NEVER_MS 20000

static struct blk_box *box_of_hv(struct hv *hv)
{
	return (struct blk_box *)((char *)hv - offsetof(struct blk_box, hv));
}

static struct blk_box *box_of_peer(struct hv_peer *peer)
{
	return (struct blk_box *)((char *)peer - offsetof(struct blk_box, peer));
}

/* ---- hv.h, as far as a queue needs it ---- */

void hv_notify(struct hv *hv, evtchn_port_t port)
{
	eventfd_write(box_of_hv(hv)->to_front_fd, 1);
}

int hv_event_fd(struct hv *hv, evtchn_port_t port)
{
	return box_of_hv(hv)->to_back_fd;
}

unsigned hv_event_take(struct hv *hv, int fd, evtchn_port_t ports[], unsigned max)
{
	eventfd_t count;

	if (eventfd_read(fd, &count) < 0)
		return 0;
	ports[0] = BLK_BOX_PORT;
	return 1;
}

unsigned hv_peer_map(struct hv_peer *peer, struct hv_map_op ops[], unsigned n)
{
	struct grant_box *grants = &box_of_peer(peer)->grants;
	unsigned failed = 0;

	for (unsigned i = 0; i < n; i++) {
		ops[i].status = grant_map(grants->maptrack, &grants->peer[0], ops[i].ref, ops[i].readonly, &ops[i].page,
					  &ops[i].handle);
		failed += ops[i].status != GNTST_okay;
	}
	return failed;
}

unsigned hv_peer_unmap(struct hv_peer *peer, const grant_handle_t handles[], unsigned n)
{
	struct grant_box *grants = &box_of_peer(peer)->grants;

	for (unsigned i = 0; i < n; i++)
		grant_box_must(grant_unmap(grants->maptrack, &grants->peer[0], handles[i]) == GNTST_okay);
	return 0;
}

unsigned hv_peer_copy(struct hv_peer *peer, struct grant_copy_op ops[], unsigned n)
{
	return grant_copy(&box_of_peer(peer)->grants.peer[0], ops, n);
}

unsigned hv_peer_ram(const struct hv_peer *peer, struct iovec ram[GATE_MAX_EXTENTS])
{
	const struct gate *gate = &((const struct blk_box *)((const char *)peer - offsetof(struct blk_box, peer)))->grants.gate;

	for (unsigned i = 0; i < gate->nr_extents; i++)
		ram[i] = (struct iovec){gate->extent[i].base, pages_to_bytes(gate->extent[i].nr_frames)};
	return gate->nr_extents;
}

const uint32_t *hv_peer_ram_epoch(const struct hv_peer *peer)
{
	return NULL;
}

/* ---- the box ---- */

static void box_make_image(struct blk_box *box, const struct blk_box_options *opt)
{
	struct disk_options options = {.engine = opt->engine, .direct = opt->direct};
	char path[] = "/tmp/sluice-blk-box-XXXXXX", why[256], note[256];
	int fd;

	fd = mkstemp(path);
	grant_box_must(fd >= 0 && ftruncate(fd, (off_t)(opt->sectors * BLKIF_SECTOR_BYTES)) == 0);
	close(fd);
	if (disk_image_open(&box->image, path, opt->readonly, &options, why, note)) {
		fprintf(stderr, "%s\n", why);
		abort();
	}
	unlink(path); /* the descriptor is enough, and nothing stays behind */
}

void blk_box_init(struct blk_box *box, const struct blk_box_options *opt)
{
	memset(box, 0, sizeof(*box));
	grant_box_init_as(&box->grants, 4096, opt->is_shared);
	for (unsigned i = 0; i < BLK_BOX_DATA_FRAMES; i++)
		box->ref[i] = grant_box_grant(&box->grants, BLK_BOX_RING_FRAMES + i, false);
	box->ring_pages = opt->ring_pages ? opt->ring_pages : 1;
	blkif_ring_front_init(&box->front, grant_box_page(&box->grants, 0), pages_to_bytes(box->ring_pages));
	box->to_back_fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
	box->to_front_fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
	box->fault_fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
	grant_box_must(box->to_back_fd >= 0 && box->to_front_fd >= 0 && box->fault_fd >= 0);
	box_make_image(box, opt);
	box->journal = grant_box_pages(&box->grants, (journal_bytes(512) + PAGE_BYTES - 1) & ~(PAGE_BYTES - 1));
	limit_set_burst(&box->limit, LIMIT_DEFAULT_BURST_MS);
	box->mode = opt->mode;
	box->nr_persistent = opt->nr_persistent;
	box->max_merge_bytes = opt->max_merge_bytes;
	box->limits = (struct request_limits){
		.sectors = box->image.sectors,
		.sectors_per_block = box->image.sector_bytes / BLKIF_SECTOR_BYTES,
		.max_segments = (uint16_t)opt->max_segments,
		.is_readonly = opt->readonly,
		.can_discard = box->image.can_discard,
		.can_secure_discard = box->image.can_secure_discard,
	};
}

struct io_config blk_box_io_config(struct blk_box *box)
{
	return (struct io_config){
		.hv = &box->hv,
		.peer = &box->peer,
		.port = BLK_BOX_PORT,
		.ring = grant_box_page(&box->grants, 0),
		.ring_pages = box->ring_pages,
		.limits = &box->limits,
		.limit = &box->limit,
		.stats = &box->stats,
		.times = &box->times,
		.journal = box->journal,
		.mode = box->mode,
		.nr_persistent = box->nr_persistent,
		.unused_ns = UINT64_C(60000000000),
		.max_merge_bytes = box->max_merge_bytes,
	};
}

static int box_start_queue(struct blk_box *box, unsigned busy_poll_us, bool is_takeover)
{
	struct queue_config config = {
		.io = blk_box_io_config(box),
		.image = &box->image,
		.busy_poll_us = busy_poll_us,
		.fault_fd = box->fault_fd,
		.name = "vbd-box",
	};

	config.io.is_takeover = is_takeover;
	return queue_start(&config, &box->queue);
}

int blk_box_start_queue(struct blk_box *box, unsigned busy_poll_us)
{
	return box_start_queue(box, busy_poll_us, false);
}

int blk_box_attach_queue(struct blk_box *box)
{
	return box_start_queue(box, 0, true);
}

void blk_box_start(struct blk_box *box, const struct blk_box_options *opt)
{
	blk_box_init(box, opt);
	grant_box_must(blk_box_start_queue(box, opt->busy_poll_us) == 0);
}

void blk_box_finish(struct blk_box *box)
{
	queue_stop(box->queue);
	disk_image_close(&box->image);
	if (!box->grants.is_shared)
		free(box->journal);
	close(box->fault_fd);
	close(box->to_front_fd);
	close(box->to_back_fd);
	grant_box_finish(&box->grants);
}

uint8_t *blk_box_data(struct blk_box *box, unsigned i)
{
	return grant_box_page(&box->grants, BLK_BOX_RING_FRAMES + i);
}

struct blkif_request blk_box_request(struct blk_box *box, uint8_t op, uint64_t id, uint64_t sector, unsigned first_page,
				     unsigned nr_pages)
{
	struct blkif_request req;

	memset(&req, 0, sizeof(req));
	req.operation = op;
	req.nr_segments = (uint8_t)nr_pages;
	req.id = id;
	req.sector_number = sector;
	for (unsigned i = 0; i < nr_pages; i++) {
		req.seg[i].gref = box->ref[first_page + i];
		req.seg[i].last_sect = BLKIF_SECTORS_PER_PAGE - 1;
	}
	return req;
}

void blk_box_make_big(struct blk_box *box, struct blkif_request *req, unsigned page)
{
	struct blkif_request_indirect big;

	memset(&big, 0, sizeof(big));
	memcpy(blk_box_data(box, page), req->seg, sizeof(req->seg));
	big.operation = BLKIF_OP_INDIRECT;
	big.indirect_op = req->operation;
	big.nr_segments = req->nr_segments;
	big.id = req->id;
	big.sector_number = req->sector_number;
	big.handle = req->handle;
	big.indirect_grefs[0] = box->ref[page];
	memset(req, 0, sizeof(*req));
	memcpy(req, &big, sizeof(big));
}

void blk_box_put(struct blk_box *box, const struct blkif_request *req)
{
	blkif_ring_front_put(&box->front, req);
}

void blk_box_ring_bell(struct blk_box *box)
{
	eventfd_write(box->to_back_fd, 1);
}

void blk_box_push(struct blk_box *box)
{
	if (blkif_ring_front_push(&box->front))
		blk_box_ring_bell(box);
}

static bool box_wait_fd(int fd)
{
	struct pollfd p = {.fd = fd, .events = POLLIN};
	eventfd_t count;

	if (poll(&p, 1, NEVER_MS) != 1)
		return false;
	eventfd_read(fd, &count);
	return true;
}

bool blk_box_answer(struct blk_box *box, struct blkif_response *rsp)
{
	int n;

	while ((n = blkif_ring_front_pending(&box->front)) == 0) {
		if (blkif_ring_front_final_check(&box->front))
			continue;
		if (!box_wait_fd(box->to_front_fd))
			return false;
	}
	if (n < 0)
		return false;
	blkif_ring_front_take(&box->front, rsp);
	return true;
}

int16_t blk_box_do(struct blk_box *box, const struct blkif_request *req)
{
	struct blkif_response rsp;

	blk_box_put(box, req);
	blk_box_push(box);
	grant_box_must(blk_box_answer(box, &rsp) && rsp.id == req->id && rsp.operation == req->operation);
	return rsp.status;
}

enum queue_fault blk_box_wait_fault(struct blk_box *box)
{
	if (!box_wait_fd(box->fault_fd))
		return QUEUE_FAULT_NONE;
	return queue_fault(box->queue);
}

bool blk_box_grants_in_use(struct blk_box *box)
{
	for (unsigned i = 0; i < BLK_BOX_DATA_FRAMES; i++)
		if (grant_table_in_use(box->grants.table, box->ref[i]))
			return true;
	return false;
}
