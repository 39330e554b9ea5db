/*
 * grant/table.h - what a granter knows of its own table. Internal to grant/.
 */
#ifndef SLUICE_GRANT_TABLE_H
#define SLUICE_GRANT_TABLE_H

#include <pthread.h>

#include "grant/free_stack.h"
#include "grant/grant_table.h"

/* One grant that ends when the peer lets go. */
struct grant_wait {
	struct grant_wait *next;
	grant_ref_t ref;
	void (*released)(void *arg);
	void *arg;
};

struct grant_table {
	struct grant_entry_v1 *entries_sh;
	uint32_t nr_entries;
	uint32_t nr_free;
	struct free_stack refs;
	pthread_mutex_t lock; /* over the three below */
	struct grant_wait *first;
	struct grant_wait **last;
	unsigned nr_waiting; /* in the list, or in the hands of a thread that reaps */
};

#endif
