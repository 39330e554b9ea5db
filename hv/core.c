/*
 * hv/core.c - puts the hypervisor core together, and takes it apart without leaving anything behind.
 */
#include "hv/core.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "hv/conn.h"
#include "hv/domain.h"
#include "hv/domain_store.h"
#include "hv/local_server.h"
#include "hv/log.h"
#include "hv/orphan.h"

#define DEFAULT_MAX_DOMAINS 4096u

struct domain *core_domain(const struct core *core, unsigned domid)
{
	return domid < DOMID_FIRST_RESERVED ? core->domain[domid] : NULL;
}

struct domain *core_next_domain(const struct core *core, unsigned domid)
{
	for (; domid < DOMID_FIRST_RESERVED; domid++)
		if (core->domain[domid])
			return core->domain[domid];
	return NULL;
}

static int make_dir(const struct core *core, const char *name)
{
	char path[sizeof(core->run_dir) + 16];

	snprintf(path, sizeof(path), "%s/%s", core->run_dir, name);
	return mkdir(path, 0755) && errno != EEXIST ? -errno : 0;
}

static void store_path(const struct core *core, char *path, size_t size)
{
	snprintf(path, size, "%s/" LOCAL_STORE_SOCKET, core->run_dir);
}

static int open_store(struct core *core, const struct store_quota *quota)
{
	struct store_hooks hooks = domain_store_hooks;
	char path[sizeof(core->run_dir) + 16];
	int err;

	hooks.arg = core;
	err = store_create(core->loop, &hooks, quota, &core->store);
	if (err)
		return err;
	err = store_write(core->store, "/local/domain/0/name", "Domain-0", 8);
	if (!err)
		err = store_write(core->store, "/local/domain/0/domid", "0", 1);
	if (err || !core->run_dir[0])
		return err;
	store_path(core, path, sizeof(path));
	err = store_listen(core->store, path);
	/* Whoever connects there is Domain-0: the owner only. */
	if (!err && chmod(path, 0600))
		err = -errno;
	return err;
}

static int open_sockets(struct core *core)
{
	int err;

	if (!core->run_dir[0])
		return 0;
	err = make_dir(core, "log");
	if (!err)
		err = make_dir(core, "empty");
	return err ? err : local_server_create(core, &core->server);
}

int core_create(struct loop *loop, const struct core_options *options, struct core **out)
{
	struct core *core = calloc(1, sizeof(*core));
	int err = -ENOMEM;

	if (!core)
		return -ENOMEM;
	core->loop = loop;
	core->max_domains = options->max_domains ? options->max_domains : DEFAULT_MAX_DOMAINS;
	core->keep_ms = options->keep_ms;
	core->domain = calloc(DOMID_FIRST_RESERVED, sizeof(core->domain[0]));
	if (!core->domain)
		goto destroy_core;
	err = -ENAMETOOLONG;
	if (options->run_dir && (size_t)snprintf(core->run_dir, sizeof(core->run_dir), "%s", options->run_dir) >= sizeof(core->run_dir))
		goto destroy_core;
	err = domain_create_dom0(core, &core->domain[0]);
	if (!err)
		err = open_store(core, &options->store_quota);
	if (!err)
		err = open_sockets(core);
	if (err)
		goto destroy_core;
	*out = core;
	return 0;
destroy_core:
	core_destroy(core);
	return err;
}

void core_destroy(struct core *core)
{
	char path[sizeof(core->run_dir) + 16];

	if (!core)
		return;
	core->is_ending = true;
	local_server_destroy(core->server);
	while (core->conns)
		conn_close(core->conns);
	orphan_finish(core);
	for (unsigned domid = DOMID_FIRST_RESERVED; core->domain && domid-- > 0;)
		if (core->domain[domid])
			domain_free(core->domain[domid]);
	store_destroy(core->store);
	if (core->store && core->run_dir[0]) {
		store_path(core, path, sizeof(path));
		unlink(path);
		snprintf(path, sizeof(path), "%s/empty", core->run_dir);
		rmdir(path);
	}
	free(core->domain);
	free(core);
}
