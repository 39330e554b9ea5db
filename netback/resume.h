/*
 * netback/resume.h - a queue goes on where the back end before this one stood when it ended, in good order or killed.
 *
 * Runs in  the control thread, before the worker has the queue.
 * Fails    -EPROTO: the rings are not as the journal's back end can have left them. The device must begin anew.
 */
#ifndef SLUICE_NETBACK_RESUME_H
#define SLUICE_NETBACK_RESUME_H

#include "netback/vif.h"

/* Rings are mapped and attached (xxx_back_attach), q->journal is the one that was left. Answers what will not be sent any more. */
int resume_queue(struct vif_queue *q);

#endif
