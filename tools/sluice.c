/*
 * tools/sluice.c - the toolstack's program: xl's words for local domains.
 *
 *      sluice [--run-dir DIR] COMMAND [OPTION...]        --run-dir may also stand behind COMMAND
 */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "hv/log.h"
#include "tools/cmd.h"

static const struct command {
	const char *name;
	int (*run)(struct cmd *cmd, int argc, char **argv);
	const char *arguments;
	const char *summary;
} commands[] = {
	{ "create", cmd_create, "[-pcFq] FILE ['key=\"value\"'...]", "Create a domain from an xl.cfg file" },
	{ "list", cmd_list, "[DOMAIN...]", "List information about domains" },
	{ "destroy", cmd_destroy, "DOMAIN...", "Terminate a domain immediately" },
	{ "shutdown", cmd_shutdown, "[-w] -a|DOMAIN...", "Ask a domain to shut down" },
	{ "pause", cmd_pause, "DOMAIN...", "Pause execution of a domain" },
	{ "unpause", cmd_unpause, "DOMAIN...", "Unpause a paused domain" },
	{ "console", cmd_console, "DOMAIN", "Attach to a domain's console; Ctrl-] leaves" },
	{ "domid", cmd_domid, "NAME", "Convert a domain's name to its id" },
	{ "domname", cmd_domname, "DOMID", "Convert a domain's id to its name" },
	{ "network-list", cmd_network_list, "[-s] DOMAIN...", "List virtual network interfaces of a domain; -s: what both ends counted" },
	{ "block-list", cmd_block_list, "[-s] DOMAIN...", "List virtual block devices of a domain; -s: what both ends counted" },
	{ "block-limit", cmd_block_limit, "DOMAIN VDEV [LIMIT=N...]", "Set or show how fast a disk may be" },
	{ "block-resize", cmd_block_resize, "DOMAIN VDEV [SIZE]", "Make a disk larger, or tell that its image has another size" },
	{ "capture", cmd_capture, "VIF -w FILE [OPTION...] [FILTER]", "Write an interface's packets to a pcapng file" },
	{ "mirror", cmd_mirror, "VIF PORT [OPTION...] [FILTER]", "Copy an interface's packets to another port" },
	{ "dmesg", cmd_dmesg, "[-c]", "Read, and with -c clear, sluiced's message buffer" },
	{ "info", cmd_info, "", "Get information about the host" },
};

static void usage(FILE *out)
{
	fprintf(out, "usage: sluice [--run-dir DIR] COMMAND [OPTION...]\n");
	for (size_t i = 0; i < sizeof(commands) / sizeof(commands[0]); i++)
		fprintf(out, "  %-13s %-36s %s\n", commands[i].name, commands[i].arguments, commands[i].summary);
}

/* Takes NAME VALUE or NAME=VALUE out of argv, wherever it stands. Returns the new argc, -1 when the value is missing. */
static int take_option(int argc, char **argv, const char *name, const char **value)
{
	size_t len = strlen(name);
	int kept = 1;

	for (int i = 1; i < argc; i++) {
		if (!strncmp(argv[i], name, len) && argv[i][len] == '=') {
			*value = argv[i] + len + 1;
		} else if (!strcmp(argv[i], name)) {
			if (++i == argc)
				return -1;
			*value = argv[i];
		} else {
			argv[kept++] = argv[i];
		}
	}
	argv[kept] = NULL;
	return kept;
}

int main(int argc, char **argv)
{
	struct cmd cmd = { 0 };
	const char *hypervisor = NULL;
	int ret;

	log_init("sluice", LOG_LEVEL_WARN);
	signal(SIGPIPE, SIG_IGN);
	argc = take_option(argc, argv, "--run-dir", &cmd.run_dir);
	if (argc > 0)
		argc = take_option(argc, argv, "--hv", &hypervisor);
	if (hypervisor && strcmp(hypervisor, "local"))
		return cmd_fail("this is the toolstack of sluiced's domains, --hv local; under Xen use xl");
	if (argc < 2) {
		usage(stderr);
		return CMD_USAGE;
	}
	if (!strcmp(argv[1], "help") || !strcmp(argv[1], "--help") || !strcmp(argv[1], "-h")) {
		usage(stdout);
		return 0;
	}
	for (size_t i = 0; i < sizeof(commands) / sizeof(commands[0]); i++) {
		if (strcmp(commands[i].name, argv[1]))
			continue;
		ret = commands[i].run(&cmd, argc - 1, argv + 1);
		if (ret == CMD_USAGE)
			fprintf(stderr, "usage: sluice %s %s\n", commands[i].name, commands[i].arguments);
		cmd_close(&cmd);
		if (fflush(stdout) == EOF && !ret)
			ret = cmd_fail("the output could not be written");
		return ret;
	}
	cmd_fail("there is no command '%s': sluice help lists them", argv[1]);
	return CMD_USAGE;
}
