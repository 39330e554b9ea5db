/*
 * blkback/link.h - one connection of a vbd: its rings, ports and queues, from connect until the last I/O is over.
 *
 *      link_open --> queues run --> link_ask_close --> ... I/O that still runs ... --> link_is_over --> link_close
 *
 * A connection may outlive the disconnect: I/O to an image that hangs goes on, and the pages it touches stay mapped until it ends.
 *
 * Owns     the peer, ring mappings, ports and queues.
 * Runs in  the thread that owns the store client.
 */
#ifndef SLUICE_BLKBACK_LINK_H
#define SLUICE_BLKBACK_LINK_H

#include "blkback/front.h"
#include "blkback/journal_file.h"
#include "blkback/queue.h"
#include "blkback/stats.h"

struct link_queue {
	void *ring;
	evtchn_port_t port;
	struct queue *queue;
};

struct link {
	struct hv *hv;
	struct hv_peer *peer;
	unsigned nr_queues;
	bool is_closing;
	struct link_queue queue[FRONT_MAX_QUEUES];
};

struct link_config {
	const struct disk_image *image;
	struct io_config io; /* what is the same for all queues; the rest is filled in here */
	struct stats_queue *stats; /* one for each queue */
	const struct journal_file *journal;
	unsigned busy_poll_us;
	int attention_fd; /* written when a queue has a fault to report, or is over */
	unsigned devid;
};

/* 0, or -errno with the reason in the device's error node. */
int link_open(struct handshake *h, const struct link_config *config, const struct front *front, struct link **out);
/* The first fault of any queue. */
enum queue_fault link_fault(const struct link *link);
/* All queues look again at what they wait for. */
void link_wake(struct link *link);
void link_ask_close(struct link *link);
/* After link_ask_close: nothing runs any more. */
bool link_is_over(const struct link *link);
/* Waits until it is over, frees. */
void link_close(struct link *link);

#endif
