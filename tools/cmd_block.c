/*
 * tools/cmd_block.c - sluice block-limit and block-resize.
 *
 * What is changed here are keys in the device's back end directory; sluice-blkback watches them (blkback/vbd_settings.h).
 */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "tools/cmd.h"
#include "tools/vdev.h"

#define RESIZE_WAIT_MS 5000
#define RESIZE_PAUSE_MS 10

struct block {
	domid_t domid;
	uint32_t devid;
	char *path; /* the back end's directory */
};

/* ---- the device that is meant ---- */

static int block_find(struct cmd *cmd, const char *domain, const char *vdev, struct block *b)
{
	int ret = cmd_find(cmd, domain, &b->domid);

	if (ret)
		return ret;
	if (vdev_parse(vdev, &b->devid))
		return cmd_fail("%s is no disk's name: use one like xvda, or its number", vdev);
	if (store_client_readf(cmd->store, STORE_NO_TX, &b->path, "/local/domain/%u/device/vbd/%u/backend", b->domid, b->devid))
		return cmd_fail("domain %s has no disk %s: sluice block-list %s shows those it has", domain, vdev, domain);
	return 0;
}

static int block_write(struct cmd *cmd, const struct block *b, const char *key, uint64_t value)
{
	int err = store_client_printf(cmd->store, STORE_NO_TX, b->path, key, "%" PRIu64, value);

	return err ? cmd_fail("%s/%s cannot be written: %s", b->path, key, strerror(-err)) : 0;
}

/* A number, possibly with K, M, G or T behind it: powers of 1024 for sizes, of 1000 for rates. */
static bool parse_amount(const char *text, unsigned kilo, uint64_t *value)
{
	static const char letters[] = "KMGT";
	const char *letter;
	char *end;

	errno = 0;
	*value = strtoull(text, &end, 10);
	if (errno || end == text || *text == '-')
		return false;
	if (!*end)
		return true;
	letter = strchr(letters, *end & ~0x20);
	if (!letter || end[1])
		return false;
	for (const char *l = letters; l <= letter; l++)
		if (__builtin_mul_overflow(*value, kilo, value))
			return false;
	return true;
}

/* ---- block-limit ---- */

static const char *const limits[] = {"read-iops", "write-iops", "read-bytes", "write-bytes", "burst-ms"};

#define NR_LIMITS (sizeof(limits) / sizeof(limits[0]))

static void print_limits(struct cmd *cmd, const struct block *b)
{
	for (size_t i = 0; i < NR_LIMITS; i++) {
		uint64_t value;

		if (store_client_read_uint(cmd->store, STORE_NO_TX, &value, "%s/limit-%s", b->path, limits[i]))
			printf("%s -\n", limits[i]);
		else
			printf("%s %" PRIu64 "\n", limits[i], value);
	}
}

/* "read-iops=1000". -1: it is none. */
static int parse_limit(const char *text, uint64_t *value)
{
	for (size_t i = 0; i < NR_LIMITS; i++) {
		size_t len = strlen(limits[i]);

		if (!strncmp(text, limits[i], len) && text[len] == '=')
			return parse_amount(text + len + 1, 1000, value) ? (int)i : -1;
	}
	return -1;
}

static int set_limits(struct cmd *cmd, const struct block *b, int nr, char **settings)
{
	uint64_t value;
	char key[32];
	int ret = 0;

	for (int i = 0; i < nr; i++) /* all or none */
		if (parse_limit(settings[i], &value) < 0)
			return cmd_fail("%s is no limit: use read-iops, write-iops, read-bytes, write-bytes or burst-ms, = and a number "
					"(0 for none)", settings[i]);
	for (int i = 0; i < nr && !ret; i++) {
		snprintf(key, sizeof(key), "limit-%s", limits[parse_limit(settings[i], &value)]);
		ret = block_write(cmd, b, key, value);
	}
	return ret;
}

int cmd_block_limit(struct cmd *cmd, int argc, char **argv)
{
	struct block b = { 0 };
	int ret;

	if (argc < 3)
		return CMD_USAGE;
	ret = cmd_open(cmd);
	if (!ret)
		ret = block_find(cmd, argv[1], argv[2], &b);
	if (!ret && argc > 3)
		ret = set_limits(cmd, &b, argc - 3, argv + 3);
	if (!ret)
		print_limits(cmd, &b);
	free(b.path);
	return ret;
}

/* ---- block-resize ---- */

/* A file is made longer; a device has its size from elsewhere. */
static int grow_image(struct cmd *cmd, const struct block *b, const char *size)
{
	struct stat st;
	uint64_t bytes;
	char *image;
	int ret = 0;

	if (!parse_amount(size, 1024, &bytes) || !bytes || bytes % 512)
		return cmd_fail("%s is no size: use a multiple of 512 bytes, K, M, G or T", size);
	if (store_client_readf(cmd->store, STORE_NO_TX, &image, "%s/params", b->path))
		return cmd_fail("%s/params does not name the image", b->path);
	if (stat(image, &st) < 0)
		ret = cmd_fail("image %s: %s", image, strerror(errno));
	else if (!S_ISREG(st.st_mode))
		ret = cmd_fail("image %s is no file: change its size where it comes from, then block-resize without a size", image);
	else if (bytes < (uint64_t)st.st_size)
		ret = cmd_fail("image %s has %lld bytes already, and cutting it destroys what is there: truncate it yourself, then "
			       "block-resize without a size", image, (long long)st.st_size);
	else if (truncate(image, (off_t)bytes) < 0)
		ret = cmd_fail("image %s cannot be made %" PRIu64 " bytes long: %s", image, bytes, strerror(errno));
	free(image);
	return ret;
}

/* The back end takes the key away when it has looked. */
static int await_size(struct cmd *cmd, const struct block *b)
{
	struct timespec pause = {0, RESIZE_PAUSE_MS * 1000000L};
	uint64_t value, sectors;

	for (unsigned ms = 0; ms < RESIZE_WAIT_MS; ms += RESIZE_PAUSE_MS) {
		if (store_client_read_uint(cmd->store, STORE_NO_TX, &value, "%s/resize", b->path) == -ENOENT) {
			if (store_client_read_uint(cmd->store, STORE_NO_TX, &sectors, "%s/sectors", b->path))
				return cmd_fail("the disk is not connected: it has its new size when it is");
			printf("%" PRIu64 " sectors\n", sectors);
			return 0;
		}
		nanosleep(&pause, NULL);
	}
	return cmd_fail("no back end looks at %s: is sluice-blkback running?", b->path);
}

int cmd_block_resize(struct cmd *cmd, int argc, char **argv)
{
	struct block b = { 0 };
	int ret;

	if (argc < 3 || argc > 4)
		return CMD_USAGE;
	ret = cmd_open(cmd);
	if (!ret)
		ret = block_find(cmd, argv[1], argv[2], &b);
	if (!ret && argc == 4)
		ret = grow_image(cmd, &b, argv[3]);
	if (!ret)
		ret = block_write(cmd, &b, "resize", 1);
	if (!ret)
		ret = await_size(cmd, &b);
	free(b.path);
	return ret;
}
