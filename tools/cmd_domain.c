/*
 * tools/cmd_domain.c - what is done to a domain that exists: destroy, shutdown, pause, unpause; its name and its number.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "tools/cmd.h"

#define RELEASE_TOKEN "shutdown-wait"

/* Runs fn for every domain named on the command line; goes on after a failure, and remembers it. */
static int for_each(struct cmd *cmd, int argc, char **argv, int (*fn)(struct cmd *cmd, domid_t domid, const char *name))
{
	int status, ret = 0;
	domid_t domid;

	if (argc < 2 || argv[1][0] == '-')
		return CMD_USAGE;
	ret = cmd_open(cmd);
	if (ret)
		return ret;
	for (int i = 1; i < argc; i++) {
		status = cmd_find(cmd, argv[i], &domid);
		if (!status)
			status = fn(cmd, domid, argv[i]);
		if (status)
			ret = status;
	}
	return ret;
}

static int answer(int err, const char *what, const char *name)
{
	return err ? cmd_fail("domain %s could not be %s: %s", name, what, strerror(-err)) : 0;
}

static int destroy_one(struct cmd *cmd, domid_t domid, const char *name)
{
	if (domid == 0)
		return cmd_fail("Cannot destroy privileged domain 0.");
	return answer(toolstack_domain_destroy(cmd->hv, domid), "destroyed", name);
}

static int pause_one(struct cmd *cmd, domid_t domid, const char *name)
{
	if (domid == 0)
		return cmd_fail("Cannot pause privileged domain 0.");
	return answer(toolstack_domain_pause(cmd->hv, domid), "paused", name);
}

static int unpause_one(struct cmd *cmd, domid_t domid, const char *name)
{
	if (domid == 0)
		return cmd_fail("Domain-0 is not paused.");
	return answer(toolstack_domain_unpause(cmd->hv, domid), "unpaused", name);
}

int cmd_destroy(struct cmd *cmd, int argc, char **argv)
{
	return for_each(cmd, argc, argv, destroy_one);
}

int cmd_pause(struct cmd *cmd, int argc, char **argv)
{
	return for_each(cmd, argc, argv, pause_one);
}

int cmd_unpause(struct cmd *cmd, int argc, char **argv)
{
	return for_each(cmd, argc, argv, unpause_one);
}

/* ---- shutdown ------------------------------------------------------------------------------------------------------- */

static int shutdown_one(struct cmd *cmd, domid_t domid, const char *name)
{
	char dir[64];

	if (domid == 0)
		return cmd_fail("Cannot shut down privileged domain 0.");
	printf("Shutting down domain %u\n", domid);
	fflush(stdout);
	snprintf(dir, sizeof(dir), "/local/domain/%u/control", domid);
	return answer(store_client_printf(cmd->store, STORE_NO_TX, dir, "shutdown", "poweroff"), "asked to shut down", name);
}

/* Until the domain is gone, or has shut down and waits for its owner. */
static int wait_one(struct cmd *cmd, domid_t domid)
{
	struct toolstack_info info;
	char *path, *token;
	int err;

	while (!(err = cmd_domain_info(cmd, domid, &info)) && !info.shutdown && !info.dying) {
		err = store_client_wait(cmd->store, 1000);
		if (err < 0)
			return cmd_fail("the store does not answer any more: %s", strerror(-err));
		while (!store_client_next_watch(cmd->store, &path, &token)) {
			free(path);
			free(token);
		}
	}
	if (err && err != -ESRCH)
		return cmd_fail("sluiced does not answer any more: %s", strerror(-err));
	printf("Domain %u has been shut down\n", domid);
	return 0;
}

static int shutdown_each(struct cmd *cmd, const domid_t domids[], unsigned nr, bool wait)
{
	char name[16];
	int ret = 0, err;

	err = wait ? store_client_watch(cmd->store, "@releaseDomain", RELEASE_TOKEN) : 0;
	if (err)
		return cmd_fail("the store takes no watch: %s", strerror(-err));
	for (unsigned i = 0; i < nr && !ret; i++) {
		snprintf(name, sizeof(name), "%u", domids[i]);
		ret = shutdown_one(cmd, domids[i], name);
	}
	for (unsigned i = 0; i < nr && wait && !ret; i++)
		ret = wait_one(cmd, domids[i]);
	return ret;
}

static int all_domids(struct cmd *cmd, domid_t **domids, unsigned *nr)
{
	struct toolstack_info *infos;
	unsigned listed;
	int ret = cmd_domains(cmd, &infos, &listed);

	if (ret)
		return ret;
	*nr = 0;
	*domids = calloc(listed + 1, sizeof(**domids));
	for (unsigned i = 0; *domids && i < listed; i++)
		if (infos[i].domid != 0 && !infos[i].shutdown && !infos[i].dying)
			(*domids)[(*nr)++] = infos[i].domid;
	free(infos);
	return *domids ? 0 : cmd_fail("no memory");
}

static int named_domids(struct cmd *cmd, int argc, char **argv, domid_t **domids, unsigned *nr)
{
	int ret = 0;

	*nr = (unsigned)argc;
	*domids = calloc(*nr + 1, sizeof(**domids));
	if (!*domids)
		return cmd_fail("no memory");
	for (int i = 0; i < argc && !ret; i++)
		ret = cmd_find(cmd, argv[i], &(*domids)[i]);
	return ret;
}

int cmd_shutdown(struct cmd *cmd, int argc, char **argv)
{
	bool wait = false, all = false;
	domid_t *domids = NULL;
	unsigned nr = 0;
	int opt, ret;

	while ((opt = getopt(argc, argv, "+wa")) != -1) {
		if (opt == '?')
			return CMD_USAGE;
		wait |= opt == 'w';
		all |= opt == 'a';
	}
	if (all == (optind < argc))
		return CMD_USAGE;
	ret = cmd_open(cmd);
	if (ret)
		return ret;
	ret = all ? all_domids(cmd, &domids, &nr) : named_domids(cmd, argc - optind, argv + optind, &domids, &nr);
	if (!ret)
		ret = shutdown_each(cmd, domids, nr, wait);
	free(domids);
	return ret;
}

/* ---- names ---------------------------------------------------------------------------------------------------------- */

int cmd_domid(struct cmd *cmd, int argc, char **argv)
{
	domid_t domid;
	int ret;

	if (argc != 2)
		return CMD_USAGE;
	ret = cmd_open(cmd);
	if (!ret)
		ret = cmd_find(cmd, argv[1], &domid);
	if (!ret)
		printf("%u\n", domid);
	return ret;
}

int cmd_domname(struct cmd *cmd, int argc, char **argv)
{
	domid_t domid;
	char *name;
	int ret;

	if (argc != 2)
		return CMD_USAGE;
	ret = cmd_open(cmd);
	if (!ret)
		ret = cmd_find(cmd, argv[1], &domid);
	if (ret)
		return ret;
	name = cmd_domain_name(cmd, domid);
	printf("%s\n", name ? name : "?");
	free(name);
	return 0;
}
