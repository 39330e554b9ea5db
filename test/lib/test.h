/*
 * test/lib/test.h - cmocka with what it wants to have included before it.
 */
#ifndef SLUICE_TEST_TEST_H
#define SLUICE_TEST_TEST_H

#include <poll.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#define ARRAY_LEN(a) (sizeof(a) / sizeof((a)[0]))

/* A small generator of our own: the same numbers everywhere, from one seed. */
static inline uint32_t test_random(uint32_t *state)
{
	*state ^= *state << 13;
	*state ^= *state >> 17;
	*state ^= *state << 5;
	return *state;
}

/* Now, without a wait. */
static inline bool test_is_readable(int fd)
{
	struct pollfd pfd = {.fd = fd, .events = POLLIN};

	return poll(&pfd, 1, 0) == 1;
}

#endif
