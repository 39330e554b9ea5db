/*
 * hv/local_domain.h - a local domain's memory objects and event fds, as this process sees them: its own, or a peer's.
 *
 * Owns     the mappings and the fds.
 */
#ifndef SLUICE_HV_LOCAL_DOMAIN_H
#define SLUICE_HV_LOCAL_DOMAIN_H

#include "hv/evtchn_send.h"
#include "hv/local_link.h"

struct local_domain {
	struct gate memory;
	int extent_fd[GATE_MAX_EXTENTS];
	struct shared_info *shared_sh;
	struct grant_entry_v1 *entries_sh;
	uint32_t nr_entries;
	struct local_private *priv; /* NULL in a guest */
	unsigned nr_vcpus;
	int vcpu_fd[LOCAL_MAX_VCPUS];
};

/* Maps what the welcome describes. Takes the fds over, also on failure. -EPROTO: they do not fit the description. */
int local_domain_init(struct local_domain *d, const struct local_welcome *welcome, struct local_fds *fds, bool has_private);
void local_domain_finish(struct local_domain *d);

#endif
