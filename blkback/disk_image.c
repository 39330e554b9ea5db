/*
 * blkback/disk_image.c - the file or block device behind a vbd.
 *
 * The lock is an open-file-description lock over the whole file: it dies with the descriptor, holds between two devices of
 * one process, and is the kind that other disk programs take too. Nothing ever grows or fills the image: a sparse one stays
 * sparse but for what guests write.
 *
 * Fails    with a sentence for the person who wrote the configuration.
 */
#include "blkback/disk_image.h"

#include <fcntl.h>
#include <limits.h>
#include <linux/fs.h>
#include <linux/magic.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/vfs.h>
#include <unistd.h>

#define WHY_BYTES 256
#define LOCK_RETRY_MS 10
#define LOCK_PATIENCE_MS 1000

static int image_open_file(struct disk_image *image, const char *path, char why[WHY_BYTES])
{
	int err;

	image->fd = open(path, (image->is_readonly ? O_RDONLY : O_RDWR) | O_CLOEXEC | O_NONBLOCK);
	if (image->fd >= 0)
		return 0;
	err = -errno;
	if (err == -ENOENT)
		snprintf(why, WHY_BYTES, "image %s does not exist: create it first or correct the path", path);
	else if (err == -EACCES || err == -EPERM || err == -EROFS)
		snprintf(why, WHY_BYTES, "image %s may not be opened for %s: %s; change its permissions or %s", path,
			 image->is_readonly ? "reading" : "writing", strerror(-err),
			 image->is_readonly ? "the user of the back end" : "make the disk read-only (mode r)");
	else if (err == -EISDIR)
		snprintf(why, WHY_BYTES, "image %s is a folder: name a file or a block device", path);
	else
		snprintf(why, WHY_BYTES, "image %s cannot be opened: %s", path, strerror(-err));
	return err;
}

/* The size in bytes as it is now. 0 or -errno. */
static int image_bytes(const struct disk_image *image, uint64_t *bytes)
{
	struct stat st;

	if (image->is_block)
		return ioctl(image->fd, BLKGETSIZE64, bytes) < 0 ? -errno : 0;
	if (fstat(image->fd, &st) < 0)
		return -errno;
	*bytes = (uint64_t)st.st_size;
	return 0;
}

/* What the image is: its kind, sectors, size. */
static int image_examine(struct disk_image *image, const char *path, char why[WHY_BYTES])
{
	unsigned physical = 0;
	int logical = 0, err = 0;
	uint64_t bytes = 0;
	struct stat st;

	if (fstat(image->fd, &st) < 0)
		err = -errno;
	if (!err && !S_ISREG(st.st_mode) && !S_ISBLK(st.st_mode)) {
		snprintf(why, WHY_BYTES, "image %s is neither a file nor a block device", path);
		return -EINVAL;
	}
	image->is_block = !err && S_ISBLK(st.st_mode);
	image->sector_bytes = image->physical_sector_bytes = BLKIF_SECTOR_BYTES;
	if (image->is_block && ioctl(image->fd, BLKSSZGET, &logical) == 0 && logical == 4096)
		image->sector_bytes = image->physical_sector_bytes = 4096;
	if (image->is_block && ioctl(image->fd, BLKPBSZGET, &physical) == 0 && physical > image->sector_bytes)
		image->physical_sector_bytes = physical;
	if (!err)
		err = image_bytes(image, &bytes);
	if (err) {
		snprintf(why, WHY_BYTES, "image %s cannot be measured: %s", path, strerror(-err));
		return err;
	}
	if (bytes == 0 || bytes % image->sector_bytes) {
		snprintf(why, WHY_BYTES, "image %s has %llu bytes, which is no whole number of %u-byte sectors: resize it "
			 "(truncate -s)", path, (unsigned long long)bytes, image->sector_bytes);
		return -EINVAL;
	}
	image->sectors = bytes / BLKIF_SECTOR_BYTES;
	return 0;
}

int disk_image_measure(const struct disk_image *image, uint64_t *sectors)
{
	uint64_t bytes = 0;
	int err;

	if (image->fd < 0 || !image->engine->follows_size) {
		*sectors = image->sectors;
		return 0;
	}
	err = image_bytes(image, &bytes);
	if (err || bytes < image->sector_bytes)
		return -ENODEV;
	*sectors = bytes / image->sector_bytes * (image->sector_bytes / BLKIF_SECTOR_BYTES);
	return 0;
}

/*
 * A back end that was killed leaves its lock behind for a moment: the kernel lets go of an io_uring's files after the process
 * has gone. Its successor waits that long.
 */
static int image_lock(struct disk_image *image, const char *path, char why[WHY_BYTES])
{
	struct flock lock = {.l_type = image->is_readonly ? F_RDLCK : F_WRLCK, .l_whence = SEEK_SET};

	for (unsigned waited_ms = 0; fcntl(image->fd, F_OFD_SETLK, &lock); waited_ms += LOCK_RETRY_MS) {
		if ((errno != EAGAIN && errno != EACCES) || waited_ms >= LOCK_PATIENCE_MS)
			break;
		usleep(LOCK_RETRY_MS * 1000);
	}
	if (fcntl(image->fd, F_OFD_SETLK, &lock) == 0)
		return 0;
	if (errno == EAGAIN || errno == EACCES) {
		snprintf(why, WHY_BYTES, "image %s is in use by another device: detach it there first", path);
		return -EBUSY;
	}
	snprintf(why, WHY_BYTES, "image %s cannot be locked: %s", path, strerror(errno));
	return -errno;
}

/* Does a request of this many bytes, aligned to them, go past the page cache? */
static bool image_direct_works(const struct disk_image *image, uint32_t bytes)
{
	void *page = NULL;
	bool works;

	if (posix_memalign(&page, PAGE_BYTES, 2 * PAGE_BYTES))
		return false;
	works = pread(image->fd, (char *)page + bytes, bytes, 0) == (ssize_t)bytes;
	free(page);
	return works;
}

/* O_DIRECT is on. NULL: requests of one sector work; else why not. Sectors become larger where the person insists on O_DIRECT. */
static const char *image_try_direct(struct disk_image *image, enum disk_direct direct)
{
	if (image_direct_works(image, image->sector_bytes))
		return NULL;
	if (direct == DISK_DIRECT_ON && image->sectors % BLKIF_SECTORS_PER_PAGE == 0 && image_direct_works(image, PAGE_BYTES)) {
		image->sector_bytes = PAGE_BYTES;
		if (image->physical_sector_bytes < PAGE_BYTES)
			image->physical_sector_bytes = PAGE_BYTES;
		return NULL;
	}
	return "its device does not take 512-byte requests with O_DIRECT";
}

/* Switches the page cache off, or says in note (AUTO) or why (ON) what stood against it. */
static int image_set_direct(struct disk_image *image, const char *path, enum disk_direct direct, char why[WHY_BYTES],
			    char note[WHY_BYTES])
{
	int flags = fcntl(image->fd, F_GETFL);
	const char *reason = "its file system has no O_DIRECT";

	if (fcntl(image->fd, F_SETFL, flags | O_DIRECT) == 0)
		reason = image_try_direct(image, direct);
	if (!reason) {
		image->is_direct = true;
		if (image->sector_bytes == PAGE_BYTES && !image->is_block)
			snprintf(note, WHY_BYTES, "image %s: O_DIRECT needs 4096-byte sectors there, so the disk has them", path);
		return 0;
	}
	if (direct == DISK_DIRECT_ON) {
		snprintf(why, WHY_BYTES, "image %s: %s; use --direct auto or off", path, reason);
		return -EOPNOTSUPP;
	}
	if (fcntl(image->fd, F_SETFL, flags & ~O_DIRECT) < 0) {
		snprintf(why, WHY_BYTES, "image %s: O_DIRECT cannot be switched off: %s", path, strerror(errno));
		return -errno;
	}
	snprintf(note, WHY_BYTES, "image %s: %s; going through the page cache", path, reason);
	return 0;
}

/* A number of the device's queue in sysfs; 0 when there is none. */
static uint64_t image_sysfs(const struct stat *st, const char *name)
{
	char path[128], text[32] = "";
	uint64_t value = 0;
	FILE *f;

	snprintf(path, sizeof(path), "/sys/dev/block/%u:%u/queue/%s", major(st->st_rdev), minor(st->st_rdev), name);
	f = fopen(path, "re");
	if (!f) { /* a partition: the whole disk is its parent */
		snprintf(path, sizeof(path), "/sys/dev/block/%u:%u/../queue/%s", major(st->st_rdev), minor(st->st_rdev), name);
		f = fopen(path, "re");
	}
	if (!f)
		return 0;
	if (fgets(text, sizeof(text), f))
		value = strtoull(text, NULL, 10);
	fclose(f);
	return value;
}

/* Asked for a range behind the end of the device: a device that knows the request refuses the range, others the request. */
static bool image_knows_ioctl(const struct disk_image *image, unsigned long request)
{
	uint64_t range[2] = {image->sectors * BLKIF_SECTOR_BYTES, image->sector_bytes};

	return ioctl(image->fd, request, range) == 0 || (errno != EOPNOTSUPP && errno != ENOTTY && errno != EBADF);
}

/* What can be given back to the device or the file system below. */
static void image_find_discard(struct disk_image *image)
{
	struct stat st;

	if (image->is_readonly || fstat(image->fd, &st) < 0)
		return;
	if (image->is_block) {
		image->can_discard = image_sysfs(&st, "discard_max_bytes") > 0;
		image->discard_granularity_bytes = (uint32_t)image_sysfs(&st, "discard_granularity");
		image->discard_alignment_bytes = (uint32_t)image_sysfs(&st, "../discard_alignment");
		image->can_secure_discard = image->can_discard && image_knows_ioctl(image, BLKSECDISCARD);
	} else {
		/* A hole behind the end changes nothing, and only a file system that makes holes takes it. */
		image->can_discard = fallocate(image->fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE,
					       (off_t)(image->sectors * BLKIF_SECTOR_BYTES), PAGE_BYTES) == 0;
		image->discard_granularity_bytes = (uint32_t)st.st_blksize;
	}
	if (image->discard_granularity_bytes < image->sector_bytes)
		image->discard_granularity_bytes = image->sector_bytes;
}

static bool image_is_memory(const struct disk_image *image)
{
	struct statfs fs;

	return !image->is_block && fstatfs(image->fd, &fs) == 0 && (fs.f_type == TMPFS_MAGIC || fs.f_type == RAMFS_MAGIC);
}

/* O_NONBLOCK was for the open alone (a FIFO must not hang it); with it, I/O on some files would answer -EAGAIN. */
static void image_clear_nonblock(struct disk_image *image)
{
	fcntl(image->fd, F_SETFL, fcntl(image->fd, F_GETFL) & ~O_NONBLOCK);
}

/* The file is open: what it is and can, its lock, its engine. */
static int image_set_up(struct disk_image *image, const char *path, enum disk_direct direct, char why[WHY_BYTES],
			char note[WHY_BYTES])
{
	int err;

	image_clear_nonblock(image);
	err = image_examine(image, path, why);
	if (!err)
		err = image_lock(image, path, why);
	if (!err && image->engine->can_be_direct && direct != DISK_DIRECT_OFF)
		err = image_set_direct(image, path, direct, why, note);
	if (err)
		return err;
	image_find_discard(image);
	image->is_memory = image_is_memory(image);
	if (image->engine->open)
		err = image->engine->open(image);
	if (err)
		snprintf(why, WHY_BYTES, "image %s: the %s engine cannot take it: %s", path, image->engine->name, strerror(-err));
	return err;
}

int disk_image_open(struct disk_image *image, const char *target, bool readonly, const struct disk_options *options,
		    char why[WHY_BYTES], char note[WHY_BYTES])
{
	int err;

	*image = (struct disk_image){.fd = -1,
				     .is_readonly = readonly,
				     .is_polled_submit = options->is_polled_submit,
				     .is_polled_complete = options->is_polled_complete,
				     .max_queues = UINT_MAX,
				     .engine = options->engine};
	why[0] = note[0] = 0;
	if (disk_target_is_nbd(target)) {
		image->engine = &disk_nbd;
		return image->engine->reach(image, target, why);
	}
	err = image_open_file(image, target, why);
	if (err)
		return err;
	err = image_set_up(image, target, options->direct, why, note);
	if (err) {
		close(image->fd);
		image->fd = -1;
	}
	return err;
}

void disk_image_close(struct disk_image *image)
{
	struct flock unlock = {.l_type = F_UNLCK, .l_whence = SEEK_SET};

	if (image->engine && image->engine->close && (image->fd >= 0 || image->engine_data))
		image->engine->close(image);
	if (image->fd < 0)
		return;
	/* Said aloud: the kernel may hold the open file a little longer than we do, and the next device shall not wait. */
	fcntl(image->fd, F_OFD_SETLK, &unlock);
	close(image->fd);
	image->fd = -1;
}
