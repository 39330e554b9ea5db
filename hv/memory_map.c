/*
 * hv/memory_map.c - the process's mappings, found by file and by address.
 */
#include "hv/memory_map.h"

#include <errno.h>
#include <pthread.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/stat.h>

#define BUCKETS 1024u /* a core with 1,000 guests has some 3,000 mappings */

struct mapping {
	struct mapping *next_of_file, *next_of_base;
	dev_t dev;
	ino_t ino;
	void *base;
	size_t bytes;
	unsigned refs;
};

/* The address space is the process's, so its register is too. */
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static struct mapping *by_file[BUCKETS], *by_base[BUCKETS];

static struct mapping **bucket_of_file(ino_t ino)
{
	return &by_file[ino % BUCKETS];
}

static struct mapping **bucket_of_base(const void *base)
{
	return &by_base[((uintptr_t)base >> 12) * 2654435761u % BUCKETS];
}

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
	/* A child that is forked to become a guest has no business there, and copying the mappings is what a fork costs most. */
	madvise(m->base, m->bytes, MADV_DONTFORK);
	m->dev = st->st_dev;
	m->ino = st->st_ino;
	m->next_of_file = *bucket_of_file(m->ino);
	*bucket_of_file(m->ino) = m;
	m->next_of_base = *bucket_of_base(m->base);
	*bucket_of_base(m->base) = m;
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
	for (m = *bucket_of_file(st.st_ino); m; m = m->next_of_file)
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

static void unlink_from_file(const struct mapping *m)
{
	struct mapping **at = bucket_of_file(m->ino);

	while (*at != m)
		at = &(*at)->next_of_file;
	*at = m->next_of_file;
}

void memory_map_put(void *base)
{
	struct mapping **at, *m;

	if (!base)
		return;
	pthread_mutex_lock(&lock);
	for (at = bucket_of_base(base); *at && (*at)->base != base; at = &(*at)->next_of_base)
		;
	m = *at;
	if (m && !--m->refs) {
		*at = m->next_of_base;
		unlink_from_file(m);
		munmap(m->base, m->bytes);
		free(m);
	}
	pthread_mutex_unlock(&lock);
}
