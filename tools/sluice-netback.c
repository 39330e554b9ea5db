/*
 * tools/sluice-netback.c - the network back end as a program: arguments, signals, nothing else.
 */
#include <errno.h>
#include <getopt.h>
#include <limits.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <unistd.h>

#include "hv/log.h"
#include "netback/eal.h"
#include "netback/netback.h"

struct options {
	const char *run_dir;
	const char *stats_file;
	int ready_fd;
	struct netback_options netback;
};

struct program {
	const struct options *opt;
	struct loop *loop;
	struct hv *hv;
	struct netback *nb;
	bool is_lost;
};

static const char usage_text[] =
	"usage: sluice-netback [options]\n"
	"Serves the network interfaces of all guests: a bridge between them and the ports given.\n"
	"  --run-dir DIR       where sluiced's sockets are (else $SLUICE_RUN_DIR, else /run/sluice)\n"
	"  --bridge NAME       the bridge's name, as guests' configs call it (default " NETBACK_DEFAULT_BRIDGE ")\n"
	"  --port DEVARGS      a DPDK port on the bridge, e.g. net_tap0,iface=tap0 (may be repeated)\n"
	"  --ageing SECONDS    how long a silent address is remembered (default 300; 0: a hub)\n"
	"  --lcore CPU         run the packet thread on this processor\n"
	"  --busy-poll USEC    look again so long before sleeping (default 20)\n"
	"  --memory MIB        for packet buffers (default 64)\n"
	"  --eal \"ARGS\"        more arguments for DPDK\n"
	"  --stats-file PATH   write counters there at exit and at SIGUSR1 (else SIGUSR1 prints them)\n"
	"  --ready-fd N        write a line there and close it when devices are served\n"
	"  -v, --verbose       log more, DPDK's messages too\n"
	"  -h, --help          this text\n";

enum {
	OPT_RUN_DIR = 256,
	OPT_BRIDGE,
	OPT_PORT,
	OPT_AGEING,
	OPT_LCORE,
	OPT_BUSY_POLL,
	OPT_MEMORY,
	OPT_EAL,
	OPT_STATS_FILE,
	OPT_READY_FD
};

static const struct option long_options[] = {
	{"run-dir", required_argument, NULL, OPT_RUN_DIR},
	{"bridge", required_argument, NULL, OPT_BRIDGE},
	{"port", required_argument, NULL, OPT_PORT},
	{"ageing", required_argument, NULL, OPT_AGEING},
	{"lcore", required_argument, NULL, OPT_LCORE},
	{"busy-poll", required_argument, NULL, OPT_BUSY_POLL},
	{"memory", required_argument, NULL, OPT_MEMORY},
	{"eal", required_argument, NULL, OPT_EAL},
	{"stats-file", required_argument, NULL, OPT_STATS_FILE},
	{"ready-fd", required_argument, NULL, OPT_READY_FD},
	{"verbose", no_argument, NULL, 'v'},
	{"help", no_argument, NULL, 'h'},
	{NULL, 0, NULL, 0},
};

static const struct {
	int opt;
	const char *name;
	unsigned long min, max;
} numbers[] = {
	{OPT_AGEING, "--ageing", 0, 1000000},
	{OPT_LCORE, "--lcore", 0, 1023},
	{OPT_BUSY_POLL, "--busy-poll", 0, 1000000},
	{OPT_MEMORY, "--memory", 16, 1048576},
	{OPT_READY_FD, "--ready-fd", 0, 1u << 20},
};

static int parse_number(int opt, const char *text, unsigned *value)
{
	for (size_t i = 0; i < sizeof(numbers) / sizeof(numbers[0]); i++) {
		unsigned long n;
		char *end;

		if (numbers[i].opt != opt)
			continue;
		errno = 0;
		n = strtoul(text, &end, 10);
		if (!errno && end != text && !*end && *text != '-' && n >= numbers[i].min && n <= numbers[i].max) {
			*value = (unsigned)n;
			return 0;
		}
		fprintf(stderr, "sluice-netback: %s %s is no number from %lu to %lu\n", numbers[i].name, text, numbers[i].min,
			numbers[i].max);
	}
	return -EINVAL;
}

static int parse_port(struct options *opt, const char *devargs)
{
	if (opt->netback.nr_ports == NETBACK_MAX_PORTS) {
		fprintf(stderr, "sluice-netback: --port %s is one too many: DPDK takes %d\n", devargs, NETBACK_MAX_PORTS);
		return -EINVAL;
	}
	opt->netback.ports[opt->netback.nr_ports++] = devargs;
	return 0;
}

static int parse_lcore(struct options *opt, const char *text)
{
	unsigned cpu = 0;
	int err = parse_number(OPT_LCORE, text, &cpu);

	if (!err && (long)cpu >= sysconf(_SC_NPROCESSORS_CONF)) {
		fprintf(stderr, "sluice-netback: --lcore %u does not exist: this machine has %ld processors\n", cpu,
			sysconf(_SC_NPROCESSORS_CONF));
		return -EINVAL;
	}
	opt->netback.cpu = (int)cpu;
	return err;
}

static int parse_option(struct options *opt, int c)
{
	unsigned n = 0;
	int err;

	switch (c) {
	case OPT_RUN_DIR:
		opt->run_dir = optarg;
		return 0;
	case OPT_BRIDGE:
		opt->netback.bridge = optarg;
		return 0;
	case OPT_PORT:
		return parse_port(opt, optarg);
	case OPT_AGEING:
		return parse_number(c, optarg, &opt->netback.ageing_s);
	case OPT_LCORE:
		return parse_lcore(opt, optarg);
	case OPT_BUSY_POLL:
		return parse_number(c, optarg, &opt->netback.idle_us);
	case OPT_MEMORY:
		return parse_number(c, optarg, &opt->netback.memory_mib);
	case OPT_EAL:
		opt->netback.eal_args = optarg;
		return 0;
	case OPT_STATS_FILE:
		opt->stats_file = optarg;
		return 0;
	case OPT_READY_FD:
		err = parse_number(c, optarg, &n);
		opt->ready_fd = (int)n;
		return err;
	case 'v':
		opt->netback.is_verbose = true;
		return 0;
	default:
		return -EINVAL; /* getopt has said why */
	}
}

/* 0; 1: the help was asked for and printed; -EINVAL: said what is wrong. */
static int parse_options(struct options *opt, int argc, char **argv)
{
	int c;

	while ((c = getopt_long(argc, argv, "vh", long_options, NULL)) != -1) {
		if (c == 'h') {
			fputs(usage_text, stdout);
			return 1;
		}
		if (parse_option(opt, c)) {
			fputs("Try sluice-netback --help.\n", stderr);
			return -EINVAL;
		}
	}
	if (optind < argc) {
		fprintf(stderr, "sluice-netback: argument %s is one too many\nTry sluice-netback --help.\n", argv[optind]);
		return -EINVAL;
	}
	return 0;
}

/* Whole or not at all: who reads the file never sees half of it. */
static void write_stats(const struct program *p)
{
	const char *path = p->opt->stats_file;
	char temporary[PATH_MAX];
	FILE *out = stdout;

	if (path) {
		snprintf(temporary, sizeof(temporary), "%s.new", path);
		out = fopen(temporary, "w");
	}
	if (!out) {
		log_error("counters cannot be written to %s: %s", path, strerror(errno));
		return;
	}
	netback_print_stats(p->nb, out);
	if (!path)
		fflush(out);
	else if (fclose(out) || rename(temporary, path))
		log_error("counters cannot be written to %s: %s", path, strerror(errno));
}

static void on_stop(void *arg, int signo)
{
	struct program *p = arg;

	loop_stop(p->loop);
}

static void on_stats(void *arg, int signo)
{
	write_stats(arg);
}

static void on_lost(void *arg, uint32_t events)
{
	struct program *p = arg;

	log_error("sluiced is gone; closing all devices");
	p->is_lost = true;
	loop_stop(p->loop);
}

static int open_hypervisor(struct program *p)
{
	struct hv_options hv_opt = {.run_dir = p->opt->run_dir};
	int err = hv_open_dom0(&hv_opt, &p->hv);

	if (err == -ENOENT || err == -ECONNREFUSED)
		log_error("no sluiced answers in %s: start sluiced first, or give its --run-dir",
			  p->opt->run_dir ? p->opt->run_dir : "the default run directory");
	else if (err)
		log_error("sluiced cannot be reached: %s", strerror(-err));
	return err;
}

static int add_sources(struct program *p)
{
	if (!loop_add_signal(p->loop, SIGTERM, on_stop, p) || !loop_add_signal(p->loop, SIGINT, on_stop, p) ||
	    !loop_add_signal(p->loop, SIGUSR1, on_stats, p) ||
	    !loop_add_fd(p->loop, hv_lost_fd(p->hv), EPOLLIN, on_lost, p))
		return -errno;
	return 0;
}

static void say_ready(int fd)
{
	if (fd < 0)
		return;
	if (write(fd, "\n", 1) != 1)
		log_warn("whoever waits at --ready-fd %d is gone", fd);
	close(fd);
}

static int serve(struct program *p)
{
	char why[NETBACK_WHY_BYTES];
	int err = add_sources(p);

	if (err) {
		log_error("no event source: %s", strerror(-err));
		return err;
	}
	err = netback_create(p->loop, p->hv, &p->opt->netback, &p->nb, why);
	if (err) {
		log_error("%s", why);
		return err;
	}
	log_info("serving bridge %s", p->opt->netback.bridge);
	say_ready(p->opt->ready_fd);
	err = loop_run(p->loop);
	if (p->opt->stats_file)
		write_stats(p);
	return err ? err : p->is_lost ? -ENOTCONN : 0;
}

int main(int argc, char **argv)
{
	struct options opt = {
		.ready_fd = -1,
		.netback = {.bridge = NETBACK_DEFAULT_BRIDGE, .ageing_s = 300, .memory_mib = 64, .idle_us = 20, .cpu = -1},
	};
	struct program p = {.opt = &opt};
	int err = parse_options(&opt, argc, argv);

	if (err)
		return err > 0 ? 0 : 2;
	log_init("sluice-netback", opt.netback.is_verbose ? LOG_LEVEL_DEBUG : LOG_LEVEL_INFO);
	signal(SIGPIPE, SIG_IGN);
	err = open_hypervisor(&p);
	if (err)
		return 1;
	err = loop_create(&p.loop);
	if (!err)
		err = serve(&p);
	netback_destroy(p.nb);
	if (p.loop)
		loop_destroy(p.loop);
	hv_close(p.hv);
	eal_stop();
	return err ? 1 : 0;
}
