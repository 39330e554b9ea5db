/*
 * blkback/disk_wake.h - the wake fds of an engine whose kernel interface cannot wait for them: poll(2) on all of them.
 *
 * Runs in  the queue's thread.
 */
#ifndef SLUICE_BLKBACK_DISK_WAKE_H
#define SLUICE_BLKBACK_DISK_WAKE_H

#include <poll.h>

#include "blkback/disk.h"

struct disk_wake {
	int fd[DISK_NR_WAKE_FDS];
	unsigned woken; /* not yet told */
};

static inline void disk_wake_init(struct disk_wake *w, const struct disk_queue_config *config)
{
	memcpy(w->fd, config->wake_fd, sizeof(w->fd));
	w->woken = 0;
}

/* Sleeps until a wake fd is readable, or fd (-1: none) has one of events; then *revents, if asked for, says which. 0 or -errno. */
static inline int disk_wake_wait(struct disk_wake *w, int fd, short events, int timeout_ms, short *revents)
{
	struct pollfd fds[DISK_NR_WAKE_FDS + 1];

	for (int i = 0; i < DISK_NR_WAKE_FDS; i++)
		fds[i] = (struct pollfd){.fd = w->fd[i], .events = POLLIN};
	fds[DISK_NR_WAKE_FDS] = (struct pollfd){.fd = fd, .events = events};
	if (revents)
		*revents = 0;
	if (poll(fds, DISK_NR_WAKE_FDS + 1, timeout_ms) < 0)
		return errno == EINTR ? 0 : -errno;
	for (int i = 0; i < DISK_NR_WAKE_FDS; i++)
		if (fds[i].revents)
			w->woken |= 1u << i;
	if (revents)
		*revents = fds[DISK_NR_WAKE_FDS].revents;
	return 0;
}

static inline void disk_wake_tell(struct disk_wake *w, unsigned *woken)
{
	*woken |= w->woken;
	w->woken = 0;
}

#endif
