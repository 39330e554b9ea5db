/*
 * tools/backend.c - a back end program from its arguments to its end, but for what it serves.
 */
#include "tools/backend.h"

#include <errno.h>
#include <limits.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <unistd.h>

#include "hv/log.h"

int backend_parse_number(const struct backend *b, const char *option, const char *text, unsigned long min, unsigned long max,
			 unsigned *value)
{
	unsigned long n;
	char *end;

	errno = 0;
	n = strtoul(text, &end, 10);
	if (errno || end == text || *end || *text == '-' || n < min || n > max) {
		fprintf(stderr, "%s: %s %s is no number from %lu to %lu\n", b->program, option, text, min, max);
		return -EINVAL;
	}
	*value = (unsigned)n;
	return 0;
}

/* -ENOENT: not one of these. */
static int parse_common(struct backend *b, int opt)
{
	unsigned n;
	int err;

	switch (opt) {
	case BACKEND_OPT_HV:
		b->hypervisor = optarg;
		return 0;
	case BACKEND_OPT_RUN_DIR:
		b->run_dir = optarg;
		return 0;
	case BACKEND_OPT_STATS_FILE:
		b->stats_file = optarg;
		return 0;
	case BACKEND_OPT_READY_FD:
		err = backend_parse_number(b, "--ready-fd", optarg, 0, 1u << 20, &n);
		if (!err)
			b->ready_fd = (int)n;
		return err;
	case 'v':
		b->is_verbose = true;
		return 0;
	case '?':
		return -EINVAL; /* getopt has said why */
	default:
		return -ENOENT;
	}
}

int backend_parse(struct backend *b, int argc, char **argv, const struct option *long_options,
		  int (*parse_own)(const struct backend *b, void *arg, int opt), void *arg)
{
	int opt, err = 0;

	b->ready_fd = -1;
	while (!err && (opt = getopt_long(argc, argv, "vh", long_options, NULL)) != -1) {
		if (opt == 'h') {
			fputs(b->usage, stdout);
			return 1;
		}
		err = parse_common(b, opt);
		if (err == -ENOENT)
			err = parse_own(b, arg, opt);
	}
	if (!err && optind < argc) {
		fprintf(stderr, "%s: argument %s is one too many\n", b->program, argv[optind]);
		err = -EINVAL;
	}
	if (err)
		fprintf(stderr, "Try %s --help.\n", b->program);
	return err;
}

/* Where they can be counted: what the data path has asked of the hypervisor. */
static void print_counters(const struct hv *hv, FILE *out)
{
	struct hv_counters c;
	const struct {
		const char *name;
		const uint64_t *value;
	} lines[] = {
		{"map_calls", &c.map_calls}, {"map_refs", &c.map_refs}, {"unmap_calls", &c.unmap_calls},
		{"unmap_refs", &c.unmap_refs}, {"copy_calls", &c.copy_calls}, {"copy_segments", &c.copy_segments},
		{"notifies", &c.notifies}, {"events", &c.events},
	};

	if (hv_counters(hv, &c))
		return;
	for (size_t i = 0; i < sizeof(lines) / sizeof(lines[0]); i++)
		fprintf(out, "hv.%s %llu\n", lines[i].name, (unsigned long long)*lines[i].value);
}

/* Whole or not at all: who reads the file never sees half of it. */
static void write_stats(const struct backend *b)
{
	char temporary[PATH_MAX];
	FILE *out = stdout;

	if (b->stats_file) {
		snprintf(temporary, sizeof(temporary), "%s.new", b->stats_file);
		out = fopen(temporary, "w");
	}
	if (!out) {
		log_error("counters cannot be written to %s: %s", b->stats_file, strerror(errno));
		return;
	}
	b->print_stats(b->devices, out);
	print_counters(b->hv, out);
	if (!b->stats_file)
		fflush(out);
	else if (fclose(out) || rename(temporary, b->stats_file))
		log_error("counters cannot be written to %s: %s", b->stats_file, strerror(errno));
}

static void on_stop(void *arg, int signo)
{
	struct backend *b = arg;

	loop_stop(b->loop);
}

static void on_stats(void *arg, int signo)
{
	const struct backend *b = arg;

	if (b->print_stats)
		write_stats(b);
}

static void on_lost(void *arg, uint32_t events)
{
	struct backend *b = arg;

	if (strcmp(hv_platform(b->hv), "xen") == 0)
		log_error("xenstored is gone; devices stay connected, start xenstored and then %s again", b->program);
	else
		log_error("sluiced is gone, and all guests with it; ending");
	b->is_lost = true;
	loop_stop(b->loop);
}

static int open_hypervisor(struct backend *b)
{
	char why[HV_WHY_BYTES] = "";
	struct hv_options opt = {.platform = b->hypervisor, .run_dir = b->run_dir, .why = why};
	int err = hv_open_dom0(&opt, &b->hv);

	if (err)
		log_error("%s", why[0] ? why : strerror(-err));
	return err;
}

static int open_loop(struct backend *b)
{
	int err = loop_create(&b->loop);

	if (!err && (!loop_add_signal(b->loop, SIGTERM, on_stop, b) || !loop_add_signal(b->loop, SIGINT, on_stop, b) ||
		     !loop_add_signal(b->loop, SIGUSR1, on_stats, b) ||
		     !loop_add_fd(b->loop, hv_lost_fd(b->hv), EPOLLIN, on_lost, b)))
		err = -errno;
	if (err)
		log_error("no event source: %s", strerror(-err));
	return err;
}

int backend_open(struct backend *b)
{
	int err;

	log_init(b->program, b->is_verbose ? LOG_LEVEL_DEBUG : LOG_LEVEL_INFO);
	signal(SIGPIPE, SIG_IGN);
	err = open_hypervisor(b);
	if (!err)
		err = open_loop(b);
	if (err)
		backend_close(b);
	return err;
}

int backend_run(struct backend *b, void (*print_stats)(void *devices, FILE *out), void *devices)
{
	int err;

	b->print_stats = print_stats;
	b->devices = devices;
	if (b->ready_fd >= 0) {
		if (write(b->ready_fd, "\n", 1) != 1)
			log_warn("whoever waits at --ready-fd %d is gone", b->ready_fd);
		close(b->ready_fd);
	}
	err = loop_run(b->loop);
	if (b->stats_file)
		write_stats(b);
	return err ? err : b->is_lost ? -ENOTCONN : 0;
}

void backend_close(struct backend *b)
{
	if (b->loop)
		loop_destroy(b->loop);
	hv_close(b->hv);
	b->loop = NULL;
	b->hv = NULL;
}
