/*
 * tools/cmd.c - what sluice's commands share.
 */
#include "tools/cmd.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "hv/local_abi.h"

#define DOMAINS_AT_ONCE 64

int cmd_fail(const char *fmt, ...)
{
	va_list args;

	fflush(stdout);
	fputs("sluice: ", stderr);
	va_start(args, fmt);
	vfprintf(stderr, fmt, args);
	va_end(args);
	fputc('\n', stderr);
	return 1;
}

static const char *run_dir_of(const struct cmd *cmd)
{
	if (cmd->run_dir)
		return cmd->run_dir;
	return getenv("SLUICE_RUN_DIR") ?: LOCAL_DEFAULT_RUN_DIR;
}

int cmd_open(struct cmd *cmd)
{
	const struct hv_options options = { .platform = "local", .run_dir = cmd->run_dir };
	int err = hv_open_dom0(&options, &cmd->hv);

	if (err == -ENOENT || err == -ECONNREFUSED)
		return cmd_fail("no sluiced serves %s: start it, or name its folder with --run-dir", run_dir_of(cmd));
	if (err == -EACCES || err == -EPERM)
		return cmd_fail("sluiced in %s does not let this user in: run as root or as the user who started it",
				run_dir_of(cmd));
	if (err)
		return cmd_fail("sluiced in %s cannot be reached: %s", run_dir_of(cmd), strerror(-err));
	cmd->store = hv_store(cmd->hv, &err);
	if (!cmd->store)
		return cmd_fail("the store in %s cannot be reached: %s", run_dir_of(cmd), strerror(-err));
	return 0;
}

void cmd_close(struct cmd *cmd)
{
	hv_close(cmd->hv);
	cmd->hv = NULL;
}

int cmd_domains(struct cmd *cmd, struct toolstack_info **infos, unsigned *nr)
{
	struct toolstack_info *list = NULL;
	unsigned filled = 0;
	int got;

	do {
		domid_t first = filled ? (domid_t)(list[filled - 1].domid + 1) : 0;
		struct toolstack_info *more = reallocarray(list, filled + DOMAINS_AT_ONCE, sizeof(*list));

		if (!more) {
			free(list);
			return cmd_fail("no memory");
		}
		list = more;
		got = toolstack_domain_list(cmd->hv, first, list + filled, DOMAINS_AT_ONCE);
		if (got < 0) {
			free(list);
			return cmd_fail("sluiced does not list its domains: %s", strerror(-got));
		}
		filled += (unsigned)got;
	} while (got == DOMAINS_AT_ONCE);
	*infos = list;
	*nr = filled;
	return 0;
}

int cmd_domain_info(struct cmd *cmd, domid_t domid, struct toolstack_info *info)
{
	int got = toolstack_domain_list(cmd->hv, domid, info, 1);

	if (got < 0)
		return got;
	return got == 1 && info->domid == domid ? 0 : -ESRCH;
}

char *cmd_domain_name(struct cmd *cmd, domid_t domid)
{
	char *name;

	if (store_client_readf(cmd->store, STORE_NO_TX, &name, "/local/domain/%u/name", domid) == 0)
		return name;
	return strdup(domid ? "?" : "Domain-0");
}

int cmd_name_to_domid(struct cmd *cmd, const char *name, domid_t *domid)
{
	struct toolstack_info *infos;
	unsigned nr;
	int ret = -ESRCH;

	if (cmd_domains(cmd, &infos, &nr))
		return -EIO;
	for (unsigned i = 0; i < nr && ret; i++) {
		char *other = cmd_domain_name(cmd, infos[i].domid);

		if (other && !strcmp(other, name)) {
			*domid = infos[i].domid;
			ret = 0;
		}
		free(other);
	}
	free(infos);
	return ret;
}

int cmd_find(struct cmd *cmd, const char *name, domid_t *domid)
{
	struct toolstack_info info;

	if (*name && name[strspn(name, "0123456789")] == '\0') {
		unsigned long n = strtoul(name, NULL, 10);

		if (n < DOMID_FIRST_RESERVED && cmd_domain_info(cmd, (domid_t)n, &info) == 0) {
			*domid = (domid_t)n;
			return 0;
		}
	} else if (cmd_name_to_domid(cmd, name, domid) == 0) {
		return 0;
	}
	return cmd_fail("there is no domain '%s': sluice list shows those there are", name);
}
