/*
 * tools/cmd_info.c - sluice info and dmesg: the host, and what sluiced has said.
 */
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/utsname.h>
#include <unistd.h>

#include <xen/version.h>
#include <xen/xen.h>

#include "tools/cmd.h"

#define DMESG_BYTES 65536

static void print_uname(void)
{
	struct utsname u;

	if (uname(&u) < 0)
		return;
	printf("host                   : %s\n", u.nodename);
	printf("release                : %s\n", u.release);
	printf("version                : %s\n", u.version);
	printf("machine                : %s\n", u.machine);
}

static void print_version(struct cmd *cmd)
{
	long version = hv_hypercall(cmd->hv, __HYPERVISOR_xen_version, XENVER_version, NULL, 0);
	xen_extraversion_t extra = "";

	if (version < 0)
		return;
	if (hv_hypercall(cmd->hv, __HYPERVISOR_xen_version, XENVER_extraversion, extra, sizeof(extra)) < 0)
		extra[0] = '\0';
	extra[sizeof(extra) - 1] = '\0';
	printf("xen_major              : %ld\n", version >> 16);
	printf("xen_minor              : %ld\n", version & 0xffff);
	printf("xen_extra              : %s\n", extra);
	printf("xen_version            : %ld.%ld%s\n", version >> 16, version & 0xffff, extra);
}

int cmd_info(struct cmd *cmd, int argc, char **argv)
{
	struct toolstack_physinfo info;
	int ret, err;

	if (argc != 1)
		return CMD_USAGE;
	ret = cmd_open(cmd);
	if (ret)
		return ret;
	err = toolstack_physinfo(cmd->hv, &info);
	if (err)
		return cmd_fail("sluiced does not describe the host: %s", strerror(-err));
	print_uname();
	printf("nr_cpus                : %u\n", info.nr_cpus);
	printf("total_memory           : %lu\n", (unsigned long)(info.total_kib / 1024));
	printf("free_memory            : %lu\n", (unsigned long)(info.free_kib / 1024));
	print_version(cmd);
	printf("run_dir                : %s\n", hv_run_dir(cmd->hv));
	return 0;
}

int cmd_dmesg(struct cmd *cmd, int argc, char **argv)
{
	static char text[DMESG_BYTES];
	bool clear = argc == 2 && !strcmp(argv[1], "-c");
	int ret, bytes;

	if (argc > 2 || (argc == 2 && !clear))
		return CMD_USAGE;
	ret = cmd_open(cmd);
	if (ret)
		return ret;
	bytes = toolstack_dmesg(cmd->hv, text, sizeof(text), clear);
	if (bytes < 0)
		return cmd_fail("sluiced's messages cannot be read: %s", strerror(-bytes));
	fwrite(text, 1, (size_t)bytes, stdout);
	return 0;
}
