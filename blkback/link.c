/*
 * blkback/link.c - one connection of a vbd.
 *
 * Runs in  the thread that owns the store client.
 * Fails    with one sentence in the device's error node (handshake_fail).
 */
#include "blkback/link.h"

#include <stdio.h>
#include <stdlib.h>

static int queue_open(struct handshake *h, struct link *link, const struct link_config *config, const struct front *front, unsigned i)
{
	const struct front_queue *fq = &front->queue[i];
	struct link_queue *q = &link->queue[i];
	struct queue_config queue = {
		.io = config->io, .image = config->image, .busy_poll_us = config->busy_poll_us, .fault_fd = config->attention_fd};
	char name[32];
	int err = hv_peer_map_ring(link->peer, fq->ref, front->ring_pages, &q->ring);

	if (err) {
		handshake_fail(h, "the ring's %u pages cannot be mapped: %s", front->ring_pages, hv_map_fault(err));
		return err;
	}
	err = hv_evtchn_bind_interdomain(link->hv, h->other_domid, fq->port, &q->port);
	if (err) {
		handshake_fail(h, "event-channel %u cannot be bound: %s", fq->port, strerror(-err));
		goto unmap_ring;
	}
	queue.io.peer = link->peer;
	queue.io.port = q->port;
	queue.io.ring = q->ring;
	queue.io.ring_pages = front->ring_pages;
	queue.io.is_x86_32 = front->is_x86_32;
	queue.io.stats = &config->stats[i].stats;
	queue.io.times = &config->stats[i].times;
	queue.io.journal = journal_file_queue(config->journal, i);
	snprintf(name, sizeof(name), "vbd-%u-%u-%u", h->other_domid, config->devid, i);
	queue.name = name;
	err = queue_start(&queue, &q->queue);
	if (!err)
		return 0;
	if (err == -EPROTO)
		handshake_fail(h, "the running ring does not fit what was noted of it: detach and attach the disk");
	else
		handshake_fail(h, "engine %s cannot start: %s", config->image->engine->name, strerror(-err));
	hv_evtchn_close(link->hv, q->port);
unmap_ring:
	hv_peer_unmap_ring(link->peer, q->ring);
	return err;
}

static void queue_close(struct link *link, struct link_queue *q)
{
	queue_destroy(q->queue);
	hv_evtchn_close(link->hv, q->port);
	hv_peer_unmap_ring(link->peer, q->ring);
}

int link_open(struct handshake *h, const struct link_config *config, const struct front *front, struct link **out)
{
	struct link *link = calloc(1, sizeof(*link));
	int err;

	if (!link)
		return -ENOMEM;
	link->hv = h->hv;
	err = hv_peer_open(h->hv, h->other_domid, &link->peer);
	if (err) {
		handshake_fail(h, "domain %u cannot be reached: %s", h->other_domid, strerror(-err));
		free(link);
		return err;
	}
	while (link->nr_queues < front->nr_queues) {
		err = queue_open(h, link, config, front, link->nr_queues);
		if (err) {
			link_ask_close(link);
			link_close(link);
			return err;
		}
		link->nr_queues++;
	}
	*out = link;
	return 0;
}

enum queue_fault link_fault(const struct link *link)
{
	enum queue_fault fault = QUEUE_FAULT_NONE;

	for (unsigned i = 0; i < link->nr_queues && fault == QUEUE_FAULT_NONE; i++)
		fault = queue_fault(link->queue[i].queue);
	return fault;
}

void link_wake(struct link *link)
{
	for (unsigned i = 0; i < link->nr_queues; i++)
		queue_wake(link->queue[i].queue);
}

void link_ask_close(struct link *link)
{
	link->is_closing = true;
	for (unsigned i = 0; i < link->nr_queues; i++)
		queue_ask_stop(link->queue[i].queue);
}

bool link_is_over(const struct link *link)
{
	for (unsigned i = 0; i < link->nr_queues; i++)
		if (!queue_is_over(link->queue[i].queue))
			return false;
	return true;
}

void link_close(struct link *link)
{
	for (unsigned i = 0; i < link->nr_queues; i++)
		queue_close(link, &link->queue[i]);
	hv_peer_close(link->peer);
	free(link);
}
