/*
 * frontends/blkfront_control.h - what blkfront's control files have between them.
 *
 * Runs in  the bus's thread.
 */
#ifndef SLUICE_FRONTENDS_BLKFRONT_CONTROL_H
#define SLUICE_FRONTENDS_BLKFRONT_CONTROL_H

#include "frontends/blkfront.h"

/* ---- blkfront_keys.c: what the store says, and what it is told ------------------------------------------------------ */

/* A number that the back end wrote; otherwise, if it did not, or wrote none. */
uint64_t blkfront_offer(struct blkfront *bf, const char *key, uint64_t otherwise);
/* Is the domain told not to trust this back end? */
bool blkfront_is_distrusted(struct blkfront *bf);
/* Has the back end said why it does not serve the device? */
bool blkfront_has_back_error(struct blkfront *bf);
/* -EINVAL: no disk can be so. */
int blkfront_read_disk(struct blkfront *bf, struct blkfront_disk *disk);
/* All keys of all queues, in one transaction. */
int blkfront_write_keys(struct blkfront *bf);

/* ---- blkfront_queue.c: a queue's memory, and what it shares ------------------------------------------------------------ */

/* Tables for the largest ring that may be agreed on: held parts outlive a connection, so the tables do too. */
int blkfront_queue_init(struct blkfront_queue *q, struct blkfront *bf, unsigned index);
/* What the back end still holds is given up to the grant table. */
void blkfront_queue_finish(struct blkfront_queue *q);
/* Ring and event channel. */
int blkfront_queue_publish(struct blkfront_queue *q);
/* Pool and lists, as this connection needs them; then requests may come. */
int blkfront_queue_connect(struct blkfront_queue *q);
void blkfront_queue_disconnect(struct blkfront_queue *q);
/* What was kept for a next connection comes back with -ENODEV. */
void blkfront_queue_give_up(struct blkfront_queue *q);
/* -ENOMEM, -ENOSPC. */
int blkfront_queue_need_pool(struct blkfront_queue *q);
bool blkfront_queue_is_broken(struct blkfront_queue *q, const char **why);
/* Has it something to poll? */
bool blkfront_queue_has_answers(const struct blkfront_queue *q);

/* ---- blkfront.c ------------------------------------------------------------------------------------------------------------ */

/* Hands out watch events; begins anew, or ends, what they call for. False: the device is over. */
bool blkfront_pump(struct blkfront *bf);

#endif
