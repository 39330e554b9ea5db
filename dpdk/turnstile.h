/*
 * dpdk/turnstile.h - keeps an lcore out of what a control thread takes away.   [hot]
 *
 *      lcore     turnstile_enter -> burst -> turnstile_leave            two plain stores, a load
 *      control   turnstile_close -> nobody is inside -> rings and pages go -> turnstile_open when there are others
 *
 * Any lcore may be in a burst when the other end of its queue goes. The lcore says that it is inside and then looks whether the
 * turnstile is open; the control thread closes it and then looks who is inside. Each must see the other's store, which would cost the
 * lcore a full fence; instead the control thread makes all processors run one (membarrier).
 *
 * Runs in  enter, leave: one lcore for each turnstile. The rest: one control thread.
 */
#ifndef SLUICE_DPDK_TURNSTILE_H
#define SLUICE_DPDK_TURNSTILE_H

#include <stdint.h>

#include "rings/atomics.h"

struct turnstile {
	uint32_t is_open;   /* control thread */
	uint32_t is_inside; /* lcore */
};

static inline bool turnstile_enter(struct turnstile *g)
{
	store_relaxed(&g->is_inside, 1);
	compiler_fence(); /* the processor's fence is turnstile_close's membarrier */
	if (__builtin_expect(load_acquire(&g->is_open), 1)) /* pairs with turnstile_open's release */
		return true;
	store_relaxed(&g->is_inside, 0);
	return false;
}

static inline void turnstile_leave(struct turnstile *g)
{
	store_release(&g->is_inside, 0); /* pairs with turnstile_close's acquire */
}

static inline void turnstile_open(struct turnstile *g)
{
	store_release(&g->is_open, 1);
}

/* Once in a process: this kernel has the membarrier that closing needs. -ENOSYS. */
int turnstile_init(void);
/* Returns when nobody is inside any more. Takes a closed one. */
void turnstile_close(struct turnstile *g);

#endif
