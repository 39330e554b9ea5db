/*
 * hv/memory_map.h - maps a memfd once for each process, whoever asks: the key is the file itself (device, inode).
 *
 * When core, guest and back end live in one test process they see one address for one page, and a race detector sees
 * both ends of it.
 *
 * Owns     the mapping until the last put; not the fd, which may be closed after the get.
 * Runs in  any thread; one lock. Control paths only.
 */
#ifndef SLUICE_HV_MEMORY_MAP_H
#define SLUICE_HV_MEMORY_MAP_H

#include <stddef.h>

/* Maps all of fd, shared and writable, at *base; *bytes (may be NULL) is its size. -EINVAL: it is empty; -errno of mmap. */
int memory_map_get(int fd, void **base, size_t *bytes);
/* Gives one get back. NULL is taken. */
void memory_map_put(void *base);

#endif
