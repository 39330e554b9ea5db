/*
 * test/lib/liar.h - a thread that does mischief to shared memory until it is told to stop.
 *
 * LIAR_CODE keeps ThreadSanitizer out of a liar's function: its races are what it is for.
 */
#ifndef SLUICE_TEST_LIAR_H
#define SLUICE_TEST_LIAR_H

#include <pthread.h>
#include <stdlib.h>

#include "rings/atomics.h"
#include "rings/types.h"

#define LIAR_CODE __attribute__((no_sanitize("thread"), noinline))

struct liar {
	pthread_t thread;
	void (*mischief)(void *arg, uint32_t random);
	void *arg;
	uint32_t must_stop;
	uint32_t nr_lies;
};

static inline void *liar_main(void *arg)
{
	struct liar *l = arg;
	uint32_t random = 2463534242u;

	while (!load_relaxed(&l->must_stop)) {
		random ^= random << 13;
		random ^= random >> 17;
		random ^= random << 5;
		l->mischief(l->arg, random);
		fetch_add_relaxed(&l->nr_lies, 1u);
	}
	return NULL;
}

static inline void liar_start(struct liar *l, void (*mischief)(void *, uint32_t), void *arg)
{
	*l = (struct liar){.mischief = mischief, .arg = arg};
	if (pthread_create(&l->thread, NULL, liar_main, l))
		abort();
}

static inline void liar_stop(struct liar *l)
{
	store_relaxed(&l->must_stop, 1);
	pthread_join(l->thread, NULL);
}

/* Has it had its say? The tests go on until it has, however little processor it is given. */
static inline bool liar_has_told(struct liar *l, uint32_t lies)
{
	return load_relaxed(&l->nr_lies) >= lies;
}

#endif
