/*
 * netback/eal.c - builds DPDK's arguments and starts it.
 *
 * Without free hugepages of the amount asked for, --no-huge. PCI devices are looked for only when a port names one.
 * DPDK's own messages go nowhere unless the program is verbose: what a person must know is said in our words.
 *
 * Owns     DPDK's global state. The worker registers itself; DPDK starts no thread for packets.
 * Runs in  the control thread.
 * Fails    -errno.
 */
#include "netback/eal.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <rte_eal.h>
#include <rte_errno.h>
#include <rte_log.h>

#include "netback/netback.h"

#define EAL_MAX_ARGS 64
#define MEMPOOL_DRIVER "librte_mempool_ring.so.23" /* the one that is always used; the ABI's number, as meson.build checks it */

struct eal_args {
	int nr;
	char *arg[EAL_MAX_ARGS + 1];
};

static FILE *quiet;

static int args_add(struct eal_args *a, const char *text)
{
	if (a->nr == EAL_MAX_ARGS)
		return -E2BIG;
	a->arg[a->nr] = strdup(text);
	if (!a->arg[a->nr])
		return -ENOMEM;
	a->nr++;
	return 0;
}

/* Splits at blanks. */
static int args_add_words(struct eal_args *a, const char *text)
{
	char *copy = strdup(text), *save = NULL;
	int err = copy ? 0 : -ENOMEM;

	for (char *word = strtok_r(copy, " \t", &save); word && !err; word = strtok_r(NULL, " \t", &save))
		err = args_add(a, word);
	free(copy);
	return err;
}

static bool has_hugepages(unsigned memory_mib)
{
	FILE *f = fopen("/sys/kernel/mm/hugepages/hugepages-2048kB/free_hugepages", "r");
	unsigned pages = 0;

	if (!f)
		return false;
	if (fscanf(f, "%u", &pages) != 1)
		pages = 0;
	fclose(f);
	return pages * 2 >= memory_mib;
}

/* A PCI address among the ports: only then is the bus worth a look. */
static bool wants_pci(const struct netback_options *opt)
{
	unsigned bus, slot, fn;

	for (unsigned i = 0; i < opt->nr_ports; i++) {
		const char *p = opt->ports[i];

		if (strncmp(p, "pci:", 4) == 0 || sscanf(p, "%x:%x.%u", &bus, &slot, &fn) == 3 ||
		    sscanf(p, "%*x:%x:%x.%u", &bus, &slot, &fn) == 3)
			return true;
	}
	return false;
}

/* A port that is one of DPDK's drivers, or words of the user's own that may ask for one: else 40 ms are saved by not loading them all. */
static bool wants_drivers(const struct netback_options *opt)
{
	bool wants = opt->eal_args && opt->eal_args[0];

	for (unsigned i = 0; i < opt->nr_ports; i++)
		wants |= strncmp(opt->ports[i], "tap:", 4) != 0;
	return wants;
}

static int args_build(struct eal_args *a, const struct netback_options *opt)
{
	bool huge = has_hugepages(opt->memory_mib);
	char memory[16], lcores[32];
	int err;

	snprintf(memory, sizeof(memory), "%u", opt->memory_mib);
	snprintf(lcores, sizeof(lcores), "0@%d", sched_getcpu());
	err = args_add(a, "sluice-netback");
	err = err ? err : args_add_words(a, huge ? "--in-memory" : "--no-huge --no-shconf");
	err = err ? err : args_add_words(a, "--no-telemetry --lcores");
	err = err ? err : args_add(a, lcores);
	err = err ? err : args_add_words(a, "-m");
	err = err ? err : args_add(a, memory);
	if (!err && !wants_pci(opt))
		err = args_add(a, "--no-pci");
	if (!err && !wants_drivers(opt))
		err = args_add_words(a, "-d " MEMPOOL_DRIVER);
	if (!err && opt->is_verbose)
		err = args_add(a, "--log-level=lib.*:info");
	if (!err && opt->eal_args)
		err = args_add_words(a, opt->eal_args);
	return err;
}

/* While DPDK starts it writes to both streams past its own log: usage texts, alerts. */
static void streams_mute(int saved[2])
{
	int null = open("/dev/null", O_WRONLY | O_CLOEXEC);

	fflush(stdout);
	for (int fd = 1; fd <= 2; fd++) {
		saved[fd - 1] = fcntl(fd, F_DUPFD_CLOEXEC, 3);
		if (null >= 0 && saved[fd - 1] >= 0)
			dup2(null, fd);
	}
	if (null >= 0)
		close(null);
}

static void streams_restore(const int saved[2])
{
	fflush(stdout);
	for (int fd = 1; fd <= 2; fd++)
		if (saved[fd - 1] >= 0) {
			dup2(saved[fd - 1], fd);
			close(saved[fd - 1]);
		}
}

static int eal_init(const struct netback_options *opt, int argc, char **argv)
{
	int saved[2] = {-1, -1}, err;

	if (!opt->is_verbose)
		streams_mute(saved);
	eal_start_begin(wants_drivers(opt));
	err = rte_eal_init(argc, argv) < 0 ? -rte_errno : 0;
	eal_start_end();
	if (!opt->is_verbose)
		streams_restore(saved);
	return err;
}

int eal_start(const struct netback_options *opt)
{
	struct eal_args args = {0};
	char *argv[EAL_MAX_ARGS + 1];
	cpu_set_t cpus;
	int err = args_build(&args, opt);

	if (!opt->is_verbose && !quiet) {
		quiet = fopen("/dev/null", "w");
		if (quiet)
			rte_openlog_stream(quiet);
	}
	memcpy(argv, args.arg, sizeof(argv)); /* DPDK permutes what it is given */
	if (!err && sched_getaffinity(0, sizeof(cpus), &cpus) < 0)
		err = -errno;
	err = err ? err : eal_init(opt, args.nr, argv);
	/* DPDK has pinned us; this thread, and the worker that it will start, run where they did before. */
	if (!err && sched_setaffinity(0, sizeof(cpus), &cpus) < 0)
		err = -errno;
	for (int i = 0; i < args.nr; i++)
		free(args.arg[i]);
	return err;
}

void eal_stop(void)
{
	rte_eal_cleanup();
}
