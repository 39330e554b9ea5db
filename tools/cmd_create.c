/*
 * tools/cmd_create.c - sluice create: from an xl.cfg file to a running domain, or to one clear sentence.
 *
 *      read --> parse --> resolve --> name free? --> domain --> load --> device nodes --> back ends offer --> unpause
 *      \__________ nothing exists yet _________/     \_____________ undone by one destroy ______________/
 *
 * Fails    undone: the domain and its nodes at both ends are gone. If this process dies on the way, sluiced does the same.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "tools/cmd.h"
#include "tools/device_nodes.h"
#include "tools/domain_config.h"
#include "tools/foreground.h"

#define BACKEND_TIMEOUT_MS 10000

struct create {
	bool stay_paused;
	bool console;
	bool foreground;
	bool quiet;
	const char *source; /* for messages: the file's name */
	struct domain_config config;
	domid_t domid;
};

/* ---- the config's text ---------------------------------------------------------------------------------------------- */

/* The whole file, then the extra lines of the command line, as xl has it. Heap; NULL: said why. */
static char *read_config(const char *path, char **extra, int nr_extra)
{
	char *text = NULL, chunk[4096];
	size_t bytes = 0, got;
	FILE *out = open_memstream(&text, &bytes), *in = path ? fopen(path, "re") : NULL;

	if (!out || (path && !in)) {
		cmd_fail("%s cannot be read: %s", path ? path : "the config", strerror(errno));
		goto close_out;
	}
	while (in && (got = fread(chunk, 1, sizeof(chunk), in)) > 0)
		fwrite(chunk, 1, got, out);
	if (in && ferror(in)) {
		cmd_fail("%s cannot be read: %s", path, strerror(errno));
		goto close_in;
	}
	for (int i = 0; i < nr_extra; i++)
		fprintf(out, "\n%s", extra[i]);
	fputc('\n', out);
	if (in)
		fclose(in);
	fclose(out);
	if (memchr(text, '\0', bytes)) {
		cmd_fail("%s is not a text file", path);
		free(text);
		return NULL;
	}
	return text;
close_in:
	fclose(in);
close_out:
	if (out)
		fclose(out);
	free(text);
	return NULL;
}

static int complain(char *why)
{
	cmd_fail("%s", why ? why : "no memory");
	free(why);
	return 1;
}

static int load_config(struct create *c, const char *path, char **extra, int nr_extra)
{
	char *text = read_config(path, extra, nr_extra), *why = NULL, *warnings = NULL;
	int ret;

	if (!text)
		return 1;
	ret = domain_config_parse(&c->config, c->source, text, &why, &warnings);
	free(text);
	if (warnings && *warnings)
		fprintf(stderr, "sluice: %s", warnings);
	free(warnings);
	if (!ret) {
		ret = domain_config_resolve(&c->config, &why);
		if (ret)
			domain_config_finish(&c->config);
	}
	return ret ? complain(why) : 0;
}

/* ---- checks against what runs already ------------------------------------------------------------------------------- */

static int check_name(struct cmd *cmd, const struct create *c)
{
	domid_t other;
	int err = cmd_name_to_domid(cmd, c->config.name, &other);

	if (err == 0)
		return cmd_fail("the name %s is in use by domain %u: destroy it, or choose another name", c->config.name, other);
	return err == -ESRCH ? 0 : 1;
}

/* Is the image of this back end node the disk's, with one of the two writing? */
static bool node_conflicts(struct cmd *cmd, const char *domid, const char *devid, const struct disk_spec *disk)
{
	char *params = NULL, *mode = NULL;
	bool conflict = false;

	if (!store_client_readf(cmd->store, STORE_NO_TX, &params, "/local/domain/0/backend/vbd/%s/%s/params", domid, devid) &&
	    !store_client_readf(cmd->store, STORE_NO_TX, &mode, "/local/domain/0/backend/vbd/%s/%s/mode", domid, devid))
		conflict = !strcmp(params, disk->target) && (disk->writable || strchr(mode, 'w'));
	free(params);
	free(mode);
	return conflict;
}

static int check_disk(struct cmd *cmd, const struct disk_spec *disk)
{
	char **domids, **devids, dir[64];
	unsigned nr_domids, nr_devids;
	int ret = 0;

	if (store_client_list(cmd->store, STORE_NO_TX, "/local/domain/0/backend/vbd", &domids, &nr_domids))
		return 0;
	for (unsigned i = 0; i < nr_domids && !ret; i++) {
		snprintf(dir, sizeof(dir), "/local/domain/0/backend/vbd/%.16s", domids[i]);
		if (store_client_list(cmd->store, STORE_NO_TX, dir, &devids, &nr_devids))
			continue;
		for (unsigned j = 0; j < nr_devids && !ret; j++)
			if (node_conflicts(cmd, domids[i], devids[j], disk))
				ret = cmd_fail("disk image %s is in use by domain %s, and one of the two may write to it",
					       disk->target, domids[i]);
		store_client_free_list(devids, nr_devids);
	}
	store_client_free_list(domids, nr_domids);
	return ret;
}

static int check_disks(struct cmd *cmd, const struct create *c)
{
	int ret = 0;

	for (unsigned i = 0; i < c->config.nr_disks && !ret; i++) {
		const struct disk_spec *disk = &c->config.disks[i];

		for (unsigned j = 0; j < i && !ret; j++)
			if (!strcmp(disk->target, c->config.disks[j].target) && (disk->writable || c->config.disks[j].writable))
				ret = cmd_fail("disk image %s is there twice, and writable", disk->target);
		if (!ret)
			ret = check_disk(cmd, disk);
	}
	return ret;
}

/* ---- making it ------------------------------------------------------------------------------------------------------ */

static int create_domain(struct cmd *cmd, struct create *c)
{
	struct toolstack_domain domain = {
		.name = c->config.name,
		.vcpus = c->config.vcpus,
		.memory_kib = c->config.memory_kib,
		.grant_frames = c->config.grant_frames,
		.maptrack_frames = c->config.maptrack_frames,
	};
	int err;

	memcpy(domain.uuid, c->config.uuid, sizeof(domain.uuid));
	err = toolstack_domain_create(cmd->hv, &domain, &c->domid);
	if (err == -EEXIST)
		return cmd_fail("the name or the uuid of %s is in use by another domain", c->config.name);
	if (err == -ENOMEM)
		return cmd_fail("there is no room for domain %s with its %lu MiB: make it smaller, or destroy another",
				c->config.name, (unsigned long)(c->config.memory_kib / 1024));
	return err ? cmd_fail("domain %s could not be created: %s", c->config.name, strerror(-err)) : 0;
}

static int load_kernel(struct cmd *cmd, struct create *c)
{
	int err, fd;

	if (!*c->config.kernel)
		return 0; /* a process will attach */
	fd = open(c->config.kernel, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return cmd_fail("kernel %s cannot be read: %s", c->config.kernel, strerror(errno));
	err = toolstack_domain_load(cmd->hv, c->domid, fd, c->config.cmdline);
	close(fd);
	return err ? cmd_fail("kernel %s could not be loaded: %s", c->config.kernel, strerror(-err)) : 0;
}

static int add_devices(struct cmd *cmd, struct create *c)
{
	char *why = NULL;
	int err = device_nodes_write(cmd->store, c->domid, &c->config);

	if (err)
		return cmd_fail("the devices of %s could not be written to the store: %s", c->config.name, strerror(-err));
	err = device_nodes_wait(cmd->store, c->domid, &c->config, BACKEND_TIMEOUT_MS, &why);
	if (!err)
		return 0;
	if (!why)
		return cmd_fail("the store does not answer any more: %s", strerror(-err));
	return complain(why);
}

/* A domain that exists: furnish it and let it run. On failure the caller destroys it. */
static int furnish(struct cmd *cmd, struct create *c, struct foreground *f)
{
	int ret = load_kernel(cmd, c), err;

	if (!ret)
		ret = add_devices(cmd, c);
	if (!ret)
		ret = foreground_prepare(f, cmd, c->domid, c->foreground, c->console);
	if (ret)
		return ret;
	/* Pauses are counted. The first unpause says that the domain is made and outlives us, paused or not. */
	err = c->stay_paused ? toolstack_domain_pause(cmd->hv, c->domid) : 0;
	if (!err)
		err = toolstack_domain_unpause(cmd->hv, c->domid);
	return err ? cmd_fail("domain %s could not be started: %s", c->config.name, strerror(-err)) : 0;
}

static int run_create(struct cmd *cmd, struct create *c)
{
	struct foreground f;
	int ret = check_name(cmd, c);

	if (!ret)
		ret = check_disks(cmd, c);
	if (!ret)
		ret = create_domain(cmd, c);
	if (ret)
		return ret;
	ret = furnish(cmd, c, &f);
	if (ret) {
		toolstack_domain_destroy(cmd->hv, c->domid);
		return ret;
	}
	return foreground_run(&f, c->config.name);
}

static int parse_options(struct create *c, int argc, char **argv)
{
	int opt;

	while ((opt = getopt(argc, argv, "+pcFqe")) != -1) {
		switch (opt) {
		case 'p': c->stay_paused = true; break;
		case 'c': c->console = true; break;
		case 'F': c->foreground = true; break;
		case 'q': c->quiet = true; break;
		case 'e': break; /* xl: do not wait in the background for the domain to end; nobody does here */
		default: return CMD_USAGE;
		}
	}
	return 0;
}

int cmd_create(struct cmd *cmd, int argc, char **argv)
{
	struct create c = { 0 };
	const char *path = NULL;
	int ret = parse_options(&c, argc, argv);

	if (ret)
		return ret;
	argv += optind;
	argc -= optind;
	if (argc > 0 && !strchr(argv[0], '=')) {
		path = *argv++;
		argc--;
	}
	if (!path && argc == 0)
		return CMD_USAGE;
	c.source = path ? path : "command line";
	if (!c.quiet && path) {
		printf("Parsing config from %s\n", path);
		fflush(stdout);
	}
	ret = load_config(&c, path, argv, argc);
	if (ret)
		return ret;
	ret = cmd_open(cmd);
	if (!ret)
		ret = run_create(cmd, &c);
	domain_config_finish(&c.config);
	return ret;
}
