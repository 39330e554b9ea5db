/*
 * netback/eal_start.c - takes two waits out of DPDK's start, so that a back end that was killed is soon there again.
 *
 *      100 ms   asleep, to measure the processor's clock where no register says its rate: 10 ms tell it to 1 part in 10,000
 *       40 ms   to load all drivers that are installed: not where no port asks for one
 *
 * DPDK has an option for neither. Its libraries call nanosleep and stat through the dynamic linker, which takes a program's own
 * functions first; while DPDK does not start they do what the C library's do. Where it calls others, it starts as slowly as it did.
 *
 * Runs in  any thread; eal_start_begin and eal_start_end in the control thread.
 */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>

#include "netback/eal.h"

#define CLOCK_SLEEP_NS 100000000
#define SHORT_SLEEP_NS 10000000
#define DRIVERS "/dpdk/pmds-" /* in the folder's path, whatever the distribution and the version */

static _Thread_local bool is_starting, is_without_drivers;

void eal_start_begin(bool wants_drivers)
{
	is_starting = true;
	is_without_drivers = !wants_drivers;
}

void eal_start_end(void)
{
	is_starting = is_without_drivers = false;
}

int nanosleep(const struct timespec *request, struct timespec *left)
{
	struct timespec t = *request;
	int err;

	if (is_starting && t.tv_sec == 0 && t.tv_nsec == CLOCK_SLEEP_NS)
		t.tv_nsec = SHORT_SLEEP_NS;
	err = clock_nanosleep(CLOCK_REALTIME, 0, &t, left);
	if (!err)
		return 0;
	errno = err;
	return -1;
}

/* With 64-bit offsets, as everything here is built, this is stat64, which DPDK calls. */
int stat(const char *restrict path, struct stat *restrict st)
{
	if (is_without_drivers && strstr(path, DRIVERS)) {
		errno = ENOENT;
		return -1;
	}
	return fstatat(AT_FDCWD, path, st, 0);
}
