/*
 * tools/sluice-guest.c - the program that a guest runs: one command, then the domain shuts itself down.
 *
 * Spawned by the core it has an empty root, no files but its domain (fd 3), and its arguments come from extra= of the
 * domain's configuration. With --attach it becomes an empty domain that exists already. Under Xen it is a process beside others
 * in its domain, which goes on when it ends.
 */
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "tools/guest.h"

#include <xen/sched.h>

#define DISK_OPTIONS \
	"[--ring-order N] [--queues N] [--segments N] [--persistent|--no-persistent] [--pool-pages N] [--busy-poll US] " \
	"[--x86-32] [--untrusted] [--reconnect]"

static const struct command {
	const char *name;
	const char *arguments;
	int min_args;
	int max_args;
	int (*run)(struct guest *g, int argc, char **argv);
} commands[] = {
	{"idle", "[VIF [DISK]]", 0, 2, guest_idle},
	{"pcap-send", "DISK [VIF] [--rate PACKETS-PER-SECOND]", 1, 4, guest_pcap_send},
	{"pcap-receive", "VIF DISK COUNT [--timeout SECONDS]", 3, 5, guest_pcap_receive},
	{"copy-tree", "SOURCE-DISK TARGET-DISK", 2, 2, guest_copy_tree},
	{"net-send", "VIF BYTES SECONDS TARGET-MAC [--rate PPS] [--busy-poll US]", 4, 8, guest_net_send},
	{"net-receive", "VIF SECONDS [--busy-poll US]", 2, 4, guest_net_receive},
	{"net-echo", "VIF SECONDS [--busy-poll US]", 2, 4, guest_net_echo},
	{"net-ping", "VIF COUNT TARGET-MAC [--busy-poll US]", 3, 5, guest_net_ping},
	{"net-multicast", "VIF GROUP-MAC SECONDS", 3, 3, guest_net_multicast},
	{"tap",
	 "VIF [--address A/N].. [--gateway A] [--mtu N] [--queues N] [--slots N] [--name NAME] [--busy-poll US] [--no-offload] [--hash] "
	 "[-- COMMAND ..]",
	 1, 99, guest_tap},
	{"blk-bench", "DISK randread|randwrite BYTES DEPTH SECONDS " DISK_OPTIONS, 5, 99, guest_blk_bench},
	{"blk-verify", "DISK MEGABYTES [--bytes N] [--depth N] [--read-only] " DISK_OPTIONS, 2, 99, guest_blk_verify},
	{"blk-info", "DISK " DISK_OPTIONS, 1, 99, guest_blk_info},
	{"blk-order", "DISK flush|barrier|discard|secure-discard [SECTOR COUNT]", 2, 4, guest_blk_order},
	{"blk-size", "DISK SECTORS SECONDS", 3, 3, guest_blk_size},
};

#define NR_COMMANDS (sizeof(commands) / sizeof(commands[0]))

static int usage(FILE *to)
{
	fprintf(to, "usage: sluice-guest [--attach DOMAIN [--run-dir DIR] | --hv xen] COMMAND ...\n");
	for (unsigned i = 0; i < NR_COMMANDS; i++)
		fprintf(to, "       %s %s\n", commands[i].name, commands[i].arguments);
	return to == stdout ? 0 : 2;
}

static void shutdown_asked(void *arg, const char *path)
{
	struct guest *g = arg;
	char *what;

	(void)path;
	if (store_client_read(g->bus.store, STORE_NO_TX, "control/shutdown", &what, NULL) < 0)
		return;
	if (!strcmp(what, "poweroff") || !strcmp(what, "halt") || !strcmp(what, "reboot")) {
		g->bus.is_stopping = true;
		store_client_write(g->bus.store, STORE_NO_TX, "control/shutdown", "", 0); /* seen */
	}
	free(what);
}

static void watch_shutdown(struct guest *g)
{
	frontbus_add(&g->bus, "shutdown", shutdown_asked, g);
	store_client_watch(g->bus.store, "control/shutdown", "shutdown");
}

static const struct command *find_command(const char *name)
{
	for (unsigned i = 0; i < NR_COMMANDS; i++)
		if (!strcmp(commands[i].name, name))
			return &commands[i];
	return NULL;
}

static int run(struct guest *g, int argc, char **argv)
{
	const struct command *c = argc > 0 ? find_command(argv[0]) : find_command("idle");

	if (!c)
		return guest_fail(g, "'%s' is not a command of sluice-guest; see sluice-guest --help", argv[0]);
	if (argc > 0) {
		argc--;
		argv++;
	}
	if (argc < c->min_args || argc > c->max_args)
		return guest_fail(g, "usage: %s %s", c->name, c->arguments);
	return c->run(g, argc, argv);
}

/* The domain ends here: poweroff after success or when it was asked to, crash after failure. */
static void shut_down(struct guest *g, int code)
{
	struct sched_shutdown s = {.reason = code && !g->bus.is_stopping ? SHUTDOWN_crash : SHUTDOWN_poweroff};

	guest_console_drain(&g->console);
	hv_hypercall(g->hv, __HYPERVISOR_sched_op, SCHEDOP_shutdown, &s, sizeof(s));
}

int main(int argc, char **argv)
{
	char why[HV_WHY_BYTES] = "";
	struct hv_options opt = {.why = why};
	struct guest g = {0};
	int code, rc, at = 1;
	bool is_xen;

	if (argc > 1 && (!strcmp(argv[1], "--help") || !strcmp(argv[1], "-h")))
		return usage(stdout);
	for (; at < argc && argv[at][0] == '-'; at += 2) {
		if (at + 1 < argc && !strcmp(argv[at], "--hv"))
			opt.platform = argv[at + 1];
		else if (at + 1 < argc && !strcmp(argv[at], "--attach"))
			opt.attach = argv[at + 1];
		else if (at + 1 < argc && !strcmp(argv[at], "--run-dir"))
			opt.run_dir = argv[at + 1];
		else
			return usage(stderr);
	}
	rc = hv_open_guest(&opt, &g.hv);
	if (rc < 0) {
		fprintf(stderr, "sluice-guest: %s\n", why[0] ? why : strerror(-rc));
		return 1;
	}
	is_xen = !strcmp(hv_platform(g.hv), "xen");
	guest_console_init(&g.console, g.hv, opt.attach || is_xen);
	rc = frontbus_init(&g.bus, g.hv);
	if (rc < 0) {
		code = guest_fail(&g, "the store does not answer: %s", strerror(-rc));
	} else {
		if (!is_xen)
			watch_shutdown(&g);
		code = run(&g, argc - at, argv + at);
	}
	if (is_xen)
		guest_console_drain(&g.console);
	else
		shut_down(&g, code);
	hv_close(g.hv);
	return code;
}
