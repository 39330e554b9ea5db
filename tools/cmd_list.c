/*
 * tools/cmd_list.c - sluice list: one line a domain, in xl's columns.
 */
#include <errno.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <xen/sched.h>

#include "tools/cmd.h"

/* xl's letter for why a domain shut down; '-' for a power-off, or while it runs. */
static char reason_letter(const struct toolstack_info *info)
{
	static const char letters[] = { [SHUTDOWN_poweroff] = '-',
					[SHUTDOWN_reboot] = 'r',
					[SHUTDOWN_suspend] = 's',
					[SHUTDOWN_crash] = 'c',
					[SHUTDOWN_watchdog] = 'w' };

	if (info->crashed)
		return 'c';
	if (!info->shutdown)
		return '-';
	return info->shutdown_reason < sizeof(letters) ? letters[info->shutdown_reason] : '?';
}

static void print_domain(struct cmd *cmd, const struct toolstack_info *info)
{
	char *name = cmd_domain_name(cmd, info->domid);

	printf("%-40s %5u %5lu %5u     %c%c%c%c%c%c  %8.1f\n", name ? name : "?", info->domid,
	       (unsigned long)(info->memory_kib / 1024), info->vcpus, info->running ? 'r' : '-', info->blocked ? 'b' : '-',
	       info->paused ? 'p' : '-', info->shutdown ? 's' : '-', reason_letter(info), info->dying ? 'd' : '-',
	       (double)info->cpu_time_ns / 1e9);
	free(name);
}

static void print_header(void)
{
	printf("Name                                        ID   Mem VCPUs\tState\tTime(s)\n");
}

static int list_all(struct cmd *cmd)
{
	struct toolstack_info *infos;
	unsigned nr;
	int ret = cmd_domains(cmd, &infos, &nr);

	if (ret)
		return ret;
	print_header();
	for (unsigned i = 0; i < nr; i++)
		print_domain(cmd, &infos[i]);
	free(infos);
	return 0;
}

int cmd_list(struct cmd *cmd, int argc, char **argv)
{
	struct toolstack_info info;
	domid_t domid;
	int ret;

	if (argc > 1 && argv[1][0] == '-')
		return CMD_USAGE;
	ret = cmd_open(cmd);
	if (ret || argc == 1)
		return ret ? ret : list_all(cmd);
	for (int i = 1; i < argc; i++) {
		ret = cmd_find(cmd, argv[i], &domid);
		if (ret)
			return ret;
		if (cmd_domain_info(cmd, domid, &info))
			return cmd_fail("domain %s has just gone", argv[i]);
		if (i == 1)
			print_header();
		print_domain(cmd, &info);
	}
	return 0;
}
