/*
 * tools/backend.h - what the back end programs share: their common options, the hypervisor, signals, counters' file.
 *
 *      backend_parse --> backend_open --> the program creates its devices --> backend_run --> destroys them --> backend_close
 *
 * Fails    0 or -errno, with one sentence said.
 */
#ifndef SLUICE_TOOLS_BACKEND_H
#define SLUICE_TOOLS_BACKEND_H

#include <getopt.h>
#include <stdio.h>

#include "hv/hv.h"
#include "hv/loop.h"

struct backend {
	const char *program;
	const char *usage;
	/* Options: */
	const char *hypervisor;
	const char *run_dir;
	const char *stats_file;
	int ready_fd;
	bool is_verbose;
	/* After backend_open: */
	struct loop *loop;
	struct hv *hv;
	/* After backend_run: */
	void (*print_stats)(void *devices, FILE *out);
	void *devices;
	bool is_lost;
};

enum { BACKEND_OPT_HV = 512, BACKEND_OPT_RUN_DIR, BACKEND_OPT_STATS_FILE, BACKEND_OPT_READY_FD };

/* For the program's own table of long options. */
#define BACKEND_LONG_OPTIONS                                                                                                  \
	{"hv", required_argument, NULL, BACKEND_OPT_HV}, {"run-dir", required_argument, NULL, BACKEND_OPT_RUN_DIR},           \
		{"stats-file", required_argument, NULL, BACKEND_OPT_STATS_FILE},                                              \
		{"ready-fd", required_argument, NULL, BACKEND_OPT_READY_FD}, {"verbose", no_argument, NULL, 'v'},             \
	{"help", no_argument, NULL, 'h'}

#define BACKEND_USAGE                                                                                                         \
	"  --hv NAME           the hypervisor: xen or local (else xen in its Domain-0, local anywhere else)\n"                  \
	"  --run-dir DIR       where sockets are, sluiced's first (else $SLUICE_RUN_DIR, else /run/sluice)\n"                          \
	"  --stats-file PATH   write counters there at exit and at SIGUSR1 (else SIGUSR1 prints them)\n"                        \
	"  --ready-fd N        write a line there and close it when devices are served\n"                                       \
	"  -v, --verbose       log more\n"                                                                                      \
	"  -h, --help          this text\n"

/* The value of an option as a number from min to max; -EINVAL: said what is wrong. */
int backend_parse_number(const struct backend *b, const char *option, const char *text, unsigned long min, unsigned long max,
			 unsigned *value);
/* Parses argv; parse_own gets every option that is not common. -EINVAL: said why; 1: the help was asked for and printed. */
int backend_parse(struct backend *b, int argc, char **argv, const struct option *long_options,
		  int (*parse_own)(const struct backend *b, void *arg, int opt), void *arg);
/* Connects to the hypervisor, makes the loop, takes SIGTERM, SIGINT and SIGUSR1. */
int backend_open(struct backend *b);
/* Devices are served: says so to --ready-fd and runs the loop until a signal or until sluiced (Xen: xenstored) is gone (-ENOTCONN). */
int backend_run(struct backend *b, void (*print_stats)(void *devices, FILE *out), void *devices);
void backend_close(struct backend *b);

#endif
