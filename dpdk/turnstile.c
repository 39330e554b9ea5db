/*
 * dpdk/turnstile.c - the dear half of a turnstile.
 *
 * Runs in  a control thread.
 */
#include "dpdk/turnstile.h"

#include <errno.h>
#include <linux/membarrier.h>
#include <sched.h>
#include <sys/syscall.h>
#include <unistd.h>

int turnstile_init(void)
{
	return syscall(SYS_membarrier, MEMBARRIER_CMD_REGISTER_PRIVATE_EXPEDITED, 0, 0) ? -errno : 0;
}

void turnstile_close(struct turnstile *g)
{
	store_relaxed(&g->is_open, 0);
	syscall(SYS_membarrier, MEMBARRIER_CMD_PRIVATE_EXPEDITED, 0, 0);
	while (load_acquire(&g->is_inside)) /* pairs with turnstile_leave's release */
		sched_yield();
}
