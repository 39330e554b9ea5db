/*
 * tools/cmd_devices.c - sluice network-list and block-list: a domain's devices as the store has them, in xl's columns.
 *
 * Trusts   nothing in a front end's directory: numbers that are none are shown as -1.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tools/cmd_counters.h"

struct device {
	unsigned devid;
	domid_t frontend;
	char *backend; /* the back end's directory */
	char path[96]; /* the front end's */
};

static long number(struct cmd *cmd, const struct device *d, const char *key)
{
	uint64_t value;

	if (store_client_read_uint(cmd->store, STORE_NO_TX, &value, "%s/%s", d->path, key) || value > 0x7fffffff)
		return -1;
	return (long)value;
}

/* The first of two keys that is there: a device with split event channels has no plain one. */
static long either(struct cmd *cmd, const struct device *d, const char *key, const char *other)
{
	long value = number(cmd, d, key);

	return value >= 0 ? value : number(cmd, d, other);
}

static void print_vif(struct cmd *cmd, const struct device *d)
{
	char *mac = NULL;

	if (store_client_readf(cmd->store, STORE_NO_TX, &mac, "%s/mac", d->path))
		mac = NULL;
	printf("%-3u %-2ld %-17.17s %6ld %5ld %6ld %5ld/%-11ld %-30s\n", d->devid, number(cmd, d, "backend-id"), mac ? mac : "?",
	       number(cmd, d, "handle"), number(cmd, d, "state"), either(cmd, d, "event-channel", "event-channel-tx"),
	       number(cmd, d, "tx-ring-ref"), number(cmd, d, "rx-ring-ref"), d->backend ? d->backend : "?");
	free(mac);
}

static void print_vbd(struct cmd *cmd, const struct device *d)
{
	static const char *const refs[] = {"ring-ref", "ring-ref0", "queue-0/ring-ref", "queue-0/ring-ref0"};
	long ref = -1;

	for (size_t i = 0; i < sizeof(refs) / sizeof(refs[0]) && ref < 0; i++)
		ref = number(cmd, d, refs[i]);
	printf("%-5u %-3ld %-6u %-5ld %-6ld %-8ld %-30s\n", d->devid, number(cmd, d, "backend-id"), d->frontend,
	       number(cmd, d, "state"), either(cmd, d, "event-channel", "queue-0/event-channel"), ref, d->backend ? d->backend : "?");
}

/* One kind of device. */
struct kind {
	const char *type;
	const char *header;
	void (*print)(struct cmd *cmd, const struct device *d);
};

static int print_devices(struct cmd *cmd, domid_t domid, const struct kind *kind, bool has_counters)
{
	char dir[64], **names;
	unsigned nr;
	int err;

	snprintf(dir, sizeof(dir), "/local/domain/%u/device/%s", domid, kind->type);
	err = store_client_list(cmd->store, STORE_NO_TX, dir, &names, &nr);
	if (err == -ENOENT)
		return 0;
	if (err)
		return cmd_fail("the store does not list %s: %s", dir, strerror(-err));
	for (unsigned i = 0; i < nr; i++) {
		struct device d = { .devid = (unsigned)strtoul(names[i], NULL, 10), .frontend = domid };

		snprintf(d.path, sizeof(d.path), "%s/%u", dir, d.devid);
		if (store_client_readf(cmd->store, STORE_NO_TX, &d.backend, "%s/backend", d.path))
			d.backend = NULL;
		kind->print(cmd, &d);
		if (has_counters)
			cmd_counters(cmd, kind->type, domid, d.devid);
		free(d.backend);
	}
	store_client_free_list(names, nr);
	return 0;
}

static int list_devices(struct cmd *cmd, int argc, char **argv, const struct kind *kind)
{
	bool has_counters = argc > 1 && !strcmp(argv[1], "-s");
	int first = has_counters ? 2 : 1;
	domid_t domid;
	int ret;

	if (argc <= first || argv[first][0] == '-')
		return CMD_USAGE;
	ret = cmd_open(cmd);
	for (int i = first; i < argc && !ret; i++) {
		ret = cmd_find(cmd, argv[i], &domid);
		if (ret)
			return ret;
		if (i == first)
			puts(kind->header);
		ret = print_devices(cmd, domid, kind, has_counters);
	}
	return ret;
}

int cmd_network_list(struct cmd *cmd, int argc, char **argv)
{
	static const struct kind vif = {
		"vif", "Idx BE Mac Addr.         handle state evt-ch   tx-/rx-ring-ref BE-path                       ", print_vif};

	return list_devices(cmd, argc, argv, &vif);
}

int cmd_block_list(struct cmd *cmd, int argc, char **argv)
{
	static const struct kind vbd = {"vbd", "Vdev  BE  handle state evt-ch ring-ref BE-path                       ", print_vbd};

	return list_devices(cmd, argc, argv, &vbd);
}
