/*
 * netback/ctrl_note.h - what a control ring has put into force, and its last answer, for the next back end.
 *
 * Two halves: the one that does not hold is written, then they change places. So whatever the moment of a kill, one is whole.
 *
 * Runs in  the control thread.
 */
#ifndef SLUICE_NETBACK_CTRL_NOTE_H
#define SLUICE_NETBACK_CTRL_NOTE_H

#include "netback/steer.h"
#include "netback/vif.h"

struct ctrl_staged {
	grant_ref_t ref;
	uint32_t is_readonly;
};

/* One half. Behind it, STAGE_MAX entries for each queue. */
struct ctrl_state {
	uint32_t rsp_prod; /* where rsp goes */
	uint32_t has_rsp;
	struct xen_netif_ctrl_response rsp;
	struct steer steer;
	uint32_t nr_staged[VIF_MAX_QUEUES];
	struct ctrl_staged staged[];
};

struct ctrl_note {
	uint32_t holds; /* 0, 1: which half */
	uint32_t nr_queues;
};

static inline size_t ctrl_state_bytes(unsigned nr_queues)
{
	return RTE_ALIGN_CEIL(sizeof(struct ctrl_state) + (size_t)nr_queues * STAGE_MAX * sizeof(struct ctrl_staged), 64);
}

static inline size_t ctrl_note_bytes(unsigned nr_queues)
{
	return 64 + 2 * ctrl_state_bytes(nr_queues);
}

static inline struct ctrl_state *ctrl_note_half(struct ctrl_note *n, unsigned half)
{
	return (struct ctrl_state *)((uint8_t *)n + 64 + half * ctrl_state_bytes(n->nr_queues));
}

#endif
