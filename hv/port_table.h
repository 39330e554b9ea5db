/*
 * hv/port_table.h - a Domain-0 process's event channel ports, found by port and by fd.   [lookups hot]
 *
 * Two steps each way; the second arrays are made as needed and stay until finish, so that a look-up takes no lock.
 *
 * Owns     the arrays, not what stands in them.
 * Runs in  any thread: one lock for coming and going. An entry is left when nobody uses it any more.
 */
#ifndef SLUICE_HV_PORT_TABLE_H
#define SLUICE_HV_PORT_TABLE_H

#include <pthread.h>

#include "rings/atomics.h"
#include "rings/types.h"

#define PORT_TABLE_MAX_PORTS 131072u
#define PORT_TABLE_CHUNK 1024u
#define PORT_TABLE_CHUNKS (PORT_TABLE_MAX_PORTS / PORT_TABLE_CHUNK)
#define PORT_TABLE_FD_CHUNKS 1024u

struct port_chunk {
	void *entry[PORT_TABLE_CHUNK]; /* atomic */
};

struct port_table {
	pthread_mutex_t lock;
	struct port_chunk *by_port[PORT_TABLE_CHUNKS];  /* atomic */
	struct port_chunk *by_fd[PORT_TABLE_FD_CHUNKS]; /* atomic */
};

void port_table_init(struct port_table *t);
/* Each entry that is still there is given to drop. */
void port_table_finish(struct port_table *t, void (*drop)(void *entry));
/* -ENOMEM; -ENOSPC: a port or an fd over the table's end. */
int port_table_enter(struct port_table *t, evtchn_port_t port, int fd, void *entry);
void port_table_leave(struct port_table *t, evtchn_port_t port, int fd);

static inline void *port_table_find(struct port_chunk *const *chunks, unsigned nr_chunks, unsigned at)
{
	struct port_chunk *c;

	if (at / PORT_TABLE_CHUNK >= nr_chunks)
		return NULL;
	c = load_acquire(&chunks[at / PORT_TABLE_CHUNK]); /* pairs with port_table_enter's release */
	return c ? load_acquire(&c->entry[at % PORT_TABLE_CHUNK]) : NULL;
}

static inline void *port_table_by_port(struct port_table *t, evtchn_port_t port)
{
	return port_table_find(t->by_port, PORT_TABLE_CHUNKS, port);
}

static inline void *port_table_by_fd(struct port_table *t, int fd)
{
	return port_table_find(t->by_fd, PORT_TABLE_FD_CHUNKS, (unsigned)fd);
}

#endif
