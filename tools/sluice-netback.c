/*
 * tools/sluice-netback.c - the network back end as a program: its arguments, nothing else.
 */
#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "hv/log.h"
#include "netback/eal.h"
#include "netback/netback.h"
#include "tools/backend.h"

static const char usage_text[] =
	"usage: sluice-netback [options]\n"
	"Serves the network interfaces of all guests: a bridge between them and the ports given.\n"
	"  --bridge NAME       the bridge's name, as guests' configs call it (default " NETBACK_DEFAULT_BRIDGE ")\n"
	"  --port tap:NAME     a TAP interface on the bridge, with checksum and segmentation offload (may be repeated)\n"
	"  --port DEVARGS      a DPDK port on the bridge, e.g. net_af_packet0,iface=eth0 (may be repeated)\n"
	"  --ageing SECONDS    how long a silent address is remembered (default 300; 0: a hub)\n"
	"  --lcores LIST       a packet thread on each of these processors, e.g. 2,3 or 2-5 (default: one, on any)\n"
	"  --pin NAME=LIST     which of them poll this vif or port, e.g. vif1.0=2,3 (default: the least busy; may be repeated)\n"
	"  --busy-poll USEC    look again so long, at most, before sleeping (default 50)\n"
	"  --queues N          that an interface may have (default: as many as processors, at most 8)\n"
	"  --memory MIB        for packet buffers (default 64)\n"
	"  --copy              copy guests' pages even where mapping them is cheap\n"
	"  --no-gro            give guests TCP frames as they came, however many follow each other\n"
	"  --eal \"ARGS\"        more arguments for DPDK\n" BACKEND_USAGE;

enum {
	OPT_BRIDGE = 256, OPT_PORT, OPT_AGEING, OPT_LCORES, OPT_PIN, OPT_BUSY_POLL, OPT_QUEUES, OPT_MEMORY, OPT_COPY, OPT_NO_GRO, OPT_EAL
};

static const struct option long_options[] = {
	BACKEND_LONG_OPTIONS,
	{"bridge", required_argument, NULL, OPT_BRIDGE},
	{"port", required_argument, NULL, OPT_PORT},
	{"ageing", required_argument, NULL, OPT_AGEING},
	{"lcores", required_argument, NULL, OPT_LCORES},
	{"pin", required_argument, NULL, OPT_PIN},
	{"busy-poll", required_argument, NULL, OPT_BUSY_POLL},
	{"queues", required_argument, NULL, OPT_QUEUES},
	{"memory", required_argument, NULL, OPT_MEMORY},
	{"copy", no_argument, NULL, OPT_COPY},
	{"no-gro", no_argument, NULL, OPT_NO_GRO},
	{"eal", required_argument, NULL, OPT_EAL},
	{NULL, 0, NULL, 0},
};

static int parse_port(struct netback_options *opt, const char *devargs)
{
	if (opt->nr_ports == NETBACK_MAX_PORTS) {
		fprintf(stderr, "sluice-netback: --port %s is one too many: DPDK takes %d\n", devargs, NETBACK_MAX_PORTS);
		return -EINVAL;
	}
	opt->ports[opt->nr_ports++] = devargs;
	return 0;
}

static int parse_lcores(struct netback_options *opt, const char *text)
{
	long nr = sysconf(_SC_NPROCESSORS_CONF);
	int err = lcores_parse(text, &opt->lcores);

	if (err == -E2BIG)
		fprintf(stderr, "sluice-netback: --lcores %s are too many: %d threads at most\n", text, LCORES_MAX);
	else if (err)
		fprintf(stderr, "sluice-netback: --lcores %s is no list of processors, as in 2,3 or 2-5, each once\n", text);
	for (unsigned i = 0; i < opt->lcores.nr && !err; i++)
		if (opt->lcores.cpu[i] >= nr) {
			fprintf(stderr, "sluice-netback: --lcores %d does not exist: this machine has %ld processors\n", opt->lcores.cpu[i],
				nr);
			err = -EINVAL;
		}
	return err;
}

static int parse_pin(struct netback_options *opt, const char *text)
{
	if (opt->nr_pins == NETBACK_MAX_PINS) {
		fprintf(stderr, "sluice-netback: --pin %s is one too many: %d at most\n", text, NETBACK_MAX_PINS);
		return -EINVAL;
	}
	opt->pins[opt->nr_pins++] = text;
	return 0;
}

static int parse_own(const struct backend *b, void *arg, int c)
{
	struct netback_options *opt = arg;

	switch (c) {
	case OPT_BRIDGE:
		opt->bridge = optarg;
		return 0;
	case OPT_PORT:
		return parse_port(opt, optarg);
	case OPT_AGEING:
		return backend_parse_number(b, "--ageing", optarg, 0, 1000000, &opt->ageing_s);
	case OPT_LCORES:
		return parse_lcores(opt, optarg);
	case OPT_PIN:
		return parse_pin(opt, optarg);
	case OPT_BUSY_POLL:
		return backend_parse_number(b, "--busy-poll", optarg, 0, 1000000, &opt->busy_poll_us);
	case OPT_QUEUES:
		return backend_parse_number(b, "--queues", optarg, 1, NETBACK_MAX_QUEUES, &opt->max_queues);
	case OPT_COPY:
		opt->copies_only = true;
		return 0;
	case OPT_NO_GRO:
		opt->joins_none = true;
		return 0;
	case OPT_MEMORY:
		return backend_parse_number(b, "--memory", optarg, 16, 1048576, &opt->memory_mib);
	default:
		opt->eal_args = optarg;
		return 0;
	}
}

static unsigned default_queues(void)
{
	long cpus = sysconf(_SC_NPROCESSORS_ONLN);

	return cpus < 1 ? 1 : cpus > NETBACK_MAX_QUEUES ? NETBACK_MAX_QUEUES : (unsigned)cpus;
}

static void print_stats(void *devices, FILE *out)
{
	netback_print_stats(devices, out);
}

int main(int argc, char **argv)
{
	struct backend b = {.program = "sluice-netback", .usage = usage_text};
	struct netback_options opt = {
		.bridge = NETBACK_DEFAULT_BRIDGE,
		.ageing_s = 300,
		.memory_mib = 64,
		.busy_poll_us = 50,
		.max_queues = default_queues(),
	};
	char why[NETBACK_WHY_BYTES];
	struct netback *nb = NULL;
	int err = backend_parse(&b, argc, argv, long_options, parse_own, &opt);

	if (err)
		return err > 0 ? 0 : 2;
	if (backend_open(&b))
		return 1;
	opt.is_verbose = b.is_verbose;
	err = netback_create(b.loop, b.hv, &opt, &nb, why);
	if (err) {
		log_error("%s", why);
	} else {
		log_info("serving bridge %s", opt.bridge);
		err = backend_run(&b, print_stats, nb);
	}
	netback_destroy(nb);
	backend_close(&b);
	eal_stop();
	return err ? 1 : 0;
}
