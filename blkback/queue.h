/*
 * blkback/queue.h - the thread of one block device: runs the data path while there is work, sleeps when there is none.
 *
 * Owns     its thread, its engine queue, its in-flight requests. The ring, the port and the image stay the caller's, until
 *          queue_destroy has returned.
 * Runs in  start and stop: the control thread.
 */
#ifndef SLUICE_BLKBACK_QUEUE_H
#define SLUICE_BLKBACK_QUEUE_H

#include "blkback/disk_image.h"
#include "blkback/io.h"

struct queue;

enum queue_fault {
	QUEUE_FAULT_NONE,
	QUEUE_FAULT_RING,   /* the front end wrote indices that no honest one can write */
	QUEUE_FAULT_ENGINE, /* the kernel refuses to do I/O at all */
};

struct queue_config {
	struct io_config io;
	const struct disk_image *image;
	unsigned busy_poll_us; /* how long it looks again before it sleeps, at most (hv/busy_poll.h) */
	int fault_fd;          /* eventfd, written when the queue has a fault to report or is over; -1: none */
	const char *name;      /* of the thread; the first 15 characters count */
};

/* 0, or -errno: the thread or the engine could not be set up. */
int queue_start(const struct queue_config *config, struct queue **out);
/* What it waits for may have changed: it looks again. */
void queue_wake(struct queue *queue);
/* From now on it takes nothing more, and is over when the I/O that runs has finished and its grants are let go of. Waits for nothing. */
void queue_ask_stop(struct queue *queue);
bool queue_is_over(const struct queue *queue);
/* After queue_ask_stop; waits until it is over, frees. */
void queue_destroy(struct queue *queue);
/* All of it. NULL is taken. */
void queue_stop(struct queue *queue);
/* Where its requests' pages lie. */
enum pages_mode queue_pages_mode(const struct queue *queue);
/* What went wrong, if anything; the queue then waits to be stopped. Any thread. */
enum queue_fault queue_fault(const struct queue *queue);

#endif
