/*
 * rings/atomics.h - the only file that spells memory orders.
 *
 * Every use of anything stronger than relaxed names its partner in a comment;
 * docs/memory_order.md is the table of pairs.
 */
#ifndef SLUICE_RINGS_ATOMICS_H
#define SLUICE_RINGS_ATOMICS_H

#include <stdbool.h>

#define load_relaxed(p) __atomic_load_n((p), __ATOMIC_RELAXED)
#define load_acquire(p) __atomic_load_n((p), __ATOMIC_ACQUIRE)
#define store_relaxed(p, v) __atomic_store_n((p), (v), __ATOMIC_RELAXED)
#define store_release(p, v) __atomic_store_n((p), (v), __ATOMIC_RELEASE)
#define exchange_acq_rel(p, v) __atomic_exchange_n((p), (v), __ATOMIC_ACQ_REL)
#define fetch_or_acq_rel(p, v) __atomic_fetch_or((p), (v), __ATOMIC_ACQ_REL)
#define fetch_and_acq_rel(p, v) __atomic_fetch_and((p), (v), __ATOMIC_ACQ_REL)
#define fetch_add_relaxed(p, v) __atomic_fetch_add((p), (v), __ATOMIC_RELAXED)
#define fetch_add_acq_rel(p, v) __atomic_fetch_add((p), (v), __ATOMIC_ACQ_REL)
#define fetch_sub_acq_rel(p, v) __atomic_fetch_sub((p), (v), __ATOMIC_ACQ_REL)

/* Strong compare and swap; on failure *expected holds what was found. */
#define cas_acq_rel(p, expected, v) \
	__atomic_compare_exchange_n((p), (expected), (v), false, __ATOMIC_ACQ_REL, __ATOMIC_ACQUIRE)

/* Orders nothing between processors; stops the compiler from reading shared memory a second time. */
static inline void compiler_fence(void)
{
	__asm__ volatile("" ::: "memory");
}

/*
 * Store before load, both ways: the one fence the wake-up rule needs (publish, then ask whether the
 * peer sleeps). A locked add to the stack is cheaper than mfence, and ThreadSanitizer, which does not
 * know fences, is not led to see an ordering between data accesses that only release/acquire give.
 */
static inline void full_fence(void)
{
#if defined(__x86_64__)
	__asm__ volatile("lock; addl $0, -128(%%rsp)" ::: "memory", "cc");
#else
	__atomic_thread_fence(__ATOMIC_SEQ_CST);
#endif
}

/* The line will be read soon. Any address will do. */
static inline void prefetch(const void *p)
{
	__builtin_prefetch(p, 0, 3);
}

/* The line will be written soon: it is fetched for this processor alone, in one go. Any address will do. */
static inline void prefetch_for_write(const void *p)
{
#if defined(__x86_64__)
	__asm__ volatile("prefetchw %0" ::"m"(*(const char *)p)); /* the compiler's builtin writes one that shares the line */
#else
	__builtin_prefetch(p, 1, 3);
#endif
}

static inline void cpu_relax(void)
{
#if defined(__x86_64__)
	__asm__ volatile("pause");
#else
	compiler_fence();
#endif
}

#endif
