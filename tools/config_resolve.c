/*
 * tools/config_resolve.c - what the host must have for a domain's config: a kernel that runs, images that open.
 *
 * Also fills in what the file left to chance: MAC addresses, uuid.
 */
#include <elf.h>
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>

#include "blkback/disk_image.h"
#include "tools/domain_config.h"

__attribute__((format(printf, 2, 3))) static int fail(char **why, const char *fmt, ...)
{
	va_list args;

	va_start(args, fmt);
	if (vasprintf(why, fmt, args) < 0)
		*why = NULL;
	va_end(args);
	return -EINVAL;
}

/* *path becomes absolute: the back end has its own working directory. */
static int make_absolute(char **path, char **why, const char *what)
{
	char *absolute = realpath(*path, NULL);

	if (!absolute)
		return fail(why, "%s %s: %s", what, *path, strerror(errno));
	free(*path);
	*path = absolute;
	return 0;
}

static int resolve_kernel(struct domain_config *config, char **why)
{
	char magic[SELFMAG];
	struct stat st;
	int fd, ret;

	if (!*config->kernel)
		return 0;
	ret = make_absolute(&config->kernel, why, "kernel");
	if (ret)
		return ret;
	fd = open(config->kernel, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	if (fd < 0)
		return fail(why, "kernel %s cannot be read: %s", config->kernel, strerror(errno));
	if (fstat(fd, &st) < 0 || !S_ISREG(st.st_mode))
		ret = fail(why, "kernel %s is not a file", config->kernel);
	else if (access(config->kernel, X_OK) < 0)
		ret = fail(why, "kernel %s is not executable: chmod +x it", config->kernel);
	else if (read(fd, magic, SELFMAG) != SELFMAG || memcmp(magic, ELFMAG, SELFMAG))
		ret = fail(why, "kernel %s is not a program (it has no ELF header)", config->kernel);
	close(fd);
	return ret;
}

static int resolve_disk(struct disk_spec *disk, char **why)
{
	struct stat st;
	int fd, ret;

	if (disk_target_is_nbd(disk->target))
		return 0; /* the back end reaches it, and says why when it cannot */
	ret = make_absolute(&disk->target, why, "disk image");
	if (ret)
		return ret;
	/* Before open: opening a device or a FIFO has effects. */
	if (stat(disk->target, &st) < 0 || (!S_ISREG(st.st_mode) && !S_ISBLK(st.st_mode)))
		return fail(why, "disk image %s is neither a file nor a block device", disk->target);
	fd = open(disk->target, (disk->writable ? O_RDWR : O_RDONLY) | O_CLOEXEC);
	if (fd < 0)
		return fail(why, "disk image %s cannot be opened for %s: %s", disk->target,
			    disk->writable ? "writing (access=ro would do without)" : "reading", strerror(errno));
	close(fd);
	if (S_ISREG(st.st_mode) && st.st_size == 0)
		return fail(why, "disk image %s is empty: give it a size, for example truncate -s 256M", disk->target);
	if (S_ISREG(st.st_mode) && st.st_size % 512)
		return fail(why, "disk image %s is not a whole number of 512-byte sectors: truncate -s %%512 pads it",
			    disk->target);
	return 0;
}

static int fill_uuid(struct domain_config *config, char **why)
{
	if (config->has_uuid)
		return 0;
	if (getrandom(config->uuid, sizeof(config->uuid), 0) != sizeof(config->uuid))
		return fail(why, "no random numbers for a uuid: %s", strerror(errno));
	config->uuid[6] = (config->uuid[6] & 0x0f) | 0x40; /* version 4: random */
	config->uuid[8] = (config->uuid[8] & 0x3f) | 0x80;
	config->has_uuid = true;
	return 0;
}

int domain_config_resolve(struct domain_config *config, char **why)
{
	int ret = resolve_kernel(config, why);

	for (unsigned i = 0; !ret && i < config->nr_disks; i++)
		ret = resolve_disk(&config->disks[i], why);
	for (unsigned i = 0; !ret && i < config->nr_vifs; i++) {
		if (config->vifs[i].has_mac)
			continue;
		if (vif_spec_random_mac(config->vifs[i].mac) < 0)
			ret = fail(why, "no random numbers for a MAC address: %s", strerror(errno));
		config->vifs[i].has_mac = true;
	}
	return ret ? ret : fill_uuid(config, why);
}
