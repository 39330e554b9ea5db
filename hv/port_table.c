/*
 * hv/port_table.c - enters ports and fds, and takes them out again.
 */
#include "hv/port_table.h"

#include <errno.h>
#include <stdlib.h>

void port_table_init(struct port_table *t)
{
	*t = (struct port_table){0};
	pthread_mutex_init(&t->lock, NULL);
}

void port_table_finish(struct port_table *t, void (*drop)(void *entry))
{
	for (unsigned c = 0; c < PORT_TABLE_CHUNKS; c++) {
		for (unsigned i = 0; t->by_port[c] && i < PORT_TABLE_CHUNK; i++)
			if (t->by_port[c]->entry[i])
				drop(t->by_port[c]->entry[i]);
		free(t->by_port[c]);
	}
	for (unsigned c = 0; c < PORT_TABLE_FD_CHUNKS; c++)
		free(t->by_fd[c]);
	pthread_mutex_destroy(&t->lock);
}

static int slot_of(struct port_chunk **chunks, unsigned nr_chunks, unsigned at, void ***slot)
{
	struct port_chunk **c = &chunks[at / PORT_TABLE_CHUNK];
	struct port_chunk *fresh;

	if (at / PORT_TABLE_CHUNK >= nr_chunks)
		return -ENOSPC;
	if (!*c) {
		fresh = calloc(1, sizeof(*fresh));
		if (!fresh)
			return -ENOMEM;
		store_release(c, fresh); /* pairs with port_table_find */
	}
	*slot = &(*c)->entry[at % PORT_TABLE_CHUNK];
	return 0;
}

int port_table_enter(struct port_table *t, evtchn_port_t port, int fd, void *entry)
{
	void **by_port, **by_fd;
	int err;

	pthread_mutex_lock(&t->lock);
	err = slot_of(t->by_port, PORT_TABLE_CHUNKS, port, &by_port);
	if (!err)
		err = slot_of(t->by_fd, PORT_TABLE_FD_CHUNKS, (unsigned)fd, &by_fd);
	if (!err) {
		store_release(by_port, entry); /* both pair with port_table_find */
		store_release(by_fd, entry);
	}
	pthread_mutex_unlock(&t->lock);
	return err;
}

void port_table_leave(struct port_table *t, evtchn_port_t port, int fd)
{
	void **slot;

	pthread_mutex_lock(&t->lock);
	if (!slot_of(t->by_port, PORT_TABLE_CHUNKS, port, &slot))
		store_release(slot, NULL);
	if (!slot_of(t->by_fd, PORT_TABLE_FD_CHUNKS, (unsigned)fd, &slot))
		store_release(slot, NULL);
	pthread_mutex_unlock(&t->lock);
}
