/*
 * test/lib/blk_box.h - a guest's block ring and a back end queue in one process, with no hypervisor between them.
 *
 * Behind hv.h stand a grant box and two eventfds, so that the shipped data path and its thread run as they are. The guest's side
 * is raw on purpose: a test may write whatever it likes into the ring.
 *
 * Runs in  the test's thread is the guest; the queue has its own.
 */
#ifndef SLUICE_TEST_BLK_BOX_H
#define SLUICE_TEST_BLK_BOX_H

#include "blkback/queue.h"
#include "grant_box.h"
#include "hv/hv_ops.h"

#define BLK_BOX_RING_FRAMES 16u
#define BLK_BOX_DATA_FRAMES (BOX_FRAMES - BLK_BOX_RING_FRAMES)
#define BLK_BOX_PORT 7

struct blk_box {
	struct hv hv;
	struct hv_peer peer;
	struct grant_box grants;
	grant_ref_t ref[BLK_BOX_DATA_FRAMES]; /* of data page i, writable */
	unsigned ring_pages;
	struct blkif_ring_front front;
	int to_back_fd;
	int to_front_fd;
	int fault_fd;
	struct disk_image image;
	enum pages_mode mode;
	unsigned nr_persistent;
	unsigned max_merge_bytes;
	struct request_limits limits;
	struct limit limit;
	struct journal *journal; /* the queues' */
	struct stats stats;
	struct stats_times times;
	struct queue *queue;
};

struct blk_box_options {
	const struct disk_engine *engine;
	unsigned ring_pages; /* 0: 1 */
	uint64_t sectors;
	bool readonly;
	enum disk_direct direct;
	unsigned busy_poll_us;
	enum pages_mode mode;
	unsigned nr_persistent; /* PAGES_PERSISTENT */
	unsigned max_segments;  /* of indirect requests; 0: not offered */
	unsigned max_merge_bytes;
	bool is_shared;         /* the queues run in processes that are forked */
};

/* Everything but the queue; the image is a temporary file full of zeroes. Aborts when that cannot be had. */
void blk_box_init(struct blk_box *box, const struct blk_box_options *opt);
void blk_box_finish(struct blk_box *box);
/* For io_init. */
struct io_config blk_box_io_config(struct blk_box *box);
int blk_box_start_queue(struct blk_box *box, unsigned busy_poll_us);
/* The same for a ring that another queue served before. */
int blk_box_attach_queue(struct blk_box *box);
/* init and start_queue, which must work. */
void blk_box_start(struct blk_box *box, const struct blk_box_options *opt);

uint8_t *blk_box_data(struct blk_box *box, unsigned i);
/* A request of whole pages, data pages first_page and on. */
struct blkif_request blk_box_request(struct blk_box *box, uint8_t op, uint64_t id, uint64_t sector, unsigned first_page,
				     unsigned nr_pages);
/* Makes it an indirect one, with its segments in that data page. */
void blk_box_make_big(struct blk_box *box, struct blkif_request *req, unsigned page);
void blk_box_put(struct blk_box *box, const struct blkif_request *req);
/* Publishes; sends the event if it is asked for. */
void blk_box_push(struct blk_box *box);
void blk_box_ring_bell(struct blk_box *box);
/* Waits for one answer. False: none came within a time that means that none will. */
bool blk_box_answer(struct blk_box *box, struct blkif_response *rsp);
/* put, push, answer: its status. Aborts when no answer comes or it is another's. */
int16_t blk_box_do(struct blk_box *box, const struct blkif_request *req);
/* Waits until the queue reports a fault; QUEUE_FAULT_NONE: none came within a time that means that none will. */
enum queue_fault blk_box_wait_fault(struct blk_box *box);
/* Does anybody hold a grant of the guest's? */
bool blk_box_grants_in_use(struct blk_box *box);

#endif
