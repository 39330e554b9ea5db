/*
 * hv/memory_map.c - the process's mappings, found by file and by address.
 */
#include "hv/memory_map.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/stat.h>

struct mapping {
	struct mapping *next;
	dev_t dev;
	ino_t ino;
	void *base;
	size_t bytes;
	unsigned refs;
};

/* The address space is the process's, so its register is too. */
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static struct mapping *mappings;

static int map_new(int fd, const struct stat *st, struct mapping **out)
{
	struct mapping *m;

	if (st->st_size <= 0)
		return -EINVAL;
	m = calloc(1, sizeof(*m));
	if (!m)
		return -ENOMEM;
	m->bytes = (size_t)st->st_size;
	m->base = mmap(NULL, m->bytes, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (m->base == MAP_FAILED) {
		int err = -errno;

		free(m);
		return err;
	}
	m->dev = st->st_dev;
	m->ino = st->st_ino;
	m->next = mappings;
	mappings = m;
	*out = m;
	return 0;
}

int memory_map_get(int fd, void **base, size_t *bytes)
{
	struct mapping *m;
	struct stat st;
	int err = 0;

	if (fstat(fd, &st))
		return -errno;
	pthread_mutex_lock(&lock);
	for (m = mappings; m; m = m->next)
		if (m->dev == st.st_dev && m->ino == st.st_ino)
			break;
	if (!m)
		err = map_new(fd, &st, &m);
	if (!err) {
		m->refs++;
		*base = m->base;
		if (bytes)
			*bytes = m->bytes;
	}
	pthread_mutex_unlock(&lock);
	return err;
}

void memory_map_put(void *base)
{
	struct mapping **at;

	if (!base)
		return;
	pthread_mutex_lock(&lock);
	for (at = &mappings; *at; at = &(*at)->next) {
		struct mapping *m = *at;

		if (m->base != base)
			continue;
		if (!--m->refs) {
			*at = m->next;
			munmap(m->base, m->bytes);
			free(m);
		}
		break;
	}
	pthread_mutex_unlock(&lock);
}
