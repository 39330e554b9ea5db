/*
 * hv/sched_op.h - ends a guest's sleep.
 */
#ifndef SLUICE_HV_SCHED_OP_H
#define SLUICE_HV_SCHED_OP_H

struct conn;

/* Unwatches whatever the connection's SCHEDOP_poll or block waits for; no answer is sent. */
void sched_poll_end(struct conn *conn);

#endif
