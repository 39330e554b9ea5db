/*
 * test/lib/bell.h - an event channel for a test of two threads: an eventfd that one rings and the other sleeps on.
 *
 * A wake-up that was lost would be a sleep without end: the limit only turns that into a failure.
 */
#ifndef SLUICE_TEST_BELL_H
#define SLUICE_TEST_BELL_H

#include <poll.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <unistd.h>

#define BELL_LIMIT_MS 60000

static inline int bell_open(void)
{
	int fd = eventfd(0, EFD_CLOEXEC);

	if (fd < 0)
		abort();
	return fd;
}

static inline void bell_ring(int fd)
{
	uint64_t one = 1;

	if (write(fd, &one, sizeof(one)) != sizeof(one))
		abort();
}

/* False: nobody has rung. */
static inline bool bell_sleep(int fd)
{
	struct pollfd pfd = {.fd = fd, .events = POLLIN};
	uint64_t count;

	return poll(&pfd, 1, BELL_LIMIT_MS) == 1 && read(fd, &count, sizeof(count)) == sizeof(count);
}

#endif
