/*
 * hv/local_op.h - how a domain is described to a process that becomes it, or maps it.
 */
#ifndef SLUICE_HV_LOCAL_OP_H
#define SLUICE_HV_LOCAL_OP_H

#include "hv/local_abi.h"

struct domain;

/* Fills the welcome and lists the fds that go with it, all but private; they stay the domain's. */
void local_describe(const struct domain *d, struct local_welcome *w, int fds[LOCAL_MAX_FDS], unsigned *nr_fds);

#endif
