/*
 * blkback/disk_image.c - the file or block device behind a vbd.
 *
 * The lock is an open-file-description lock over the whole file: it dies with the descriptor, holds between two devices of
 * one process, and is the kind that other disk programs take too. Nothing ever grows, fills or punches the image: a sparse one
 * stays sparse but for what guests write.
 *
 * Fails    with a sentence for the person who wrote the configuration.
 */
#include "blkback/disk_image.h"

#include <fcntl.h>
#include <linux/fs.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <unistd.h>

#define WHY_BYTES 256

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

static int image_measure(struct disk_image *image, const char *path, char why[WHY_BYTES])
{
	uint64_t bytes;
	struct stat st;

	if (fstat(image->fd, &st) < 0)
		goto fail;
	if (S_ISREG(st.st_mode)) {
		bytes = (uint64_t)st.st_size;
	} else if (S_ISBLK(st.st_mode)) {
		if (ioctl(image->fd, BLKGETSIZE64, &bytes) < 0)
			goto fail;
	} else {
		snprintf(why, WHY_BYTES, "image %s is neither a file nor a block device", path);
		return -EINVAL;
	}
	if (bytes == 0 || bytes % BLKIF_SECTOR_BYTES) {
		snprintf(why, WHY_BYTES, "image %s has %llu bytes, which is no whole number of 512-byte sectors: resize it "
			 "(truncate -s)", path, (unsigned long long)bytes);
		return -EINVAL;
	}
	image->sectors = bytes / BLKIF_SECTOR_BYTES;
	image->sector_bytes = image->physical_sector_bytes = BLKIF_SECTOR_BYTES;
	return 0;
fail:
	snprintf(why, WHY_BYTES, "image %s cannot be measured: %s", path, strerror(errno));
	return -errno;
}

static int image_lock(struct disk_image *image, const char *path, char why[WHY_BYTES])
{
	struct flock lock = {.l_type = image->is_readonly ? F_RDLCK : F_WRLCK, .l_whence = SEEK_SET};

	if (fcntl(image->fd, F_OFD_SETLK, &lock) == 0)
		return 0;
	if (errno == EAGAIN || errno == EACCES) {
		snprintf(why, WHY_BYTES, "image %s is in use by another device: detach it there first", path);
		return -EBUSY;
	}
	snprintf(why, WHY_BYTES, "image %s cannot be locked: %s", path, strerror(errno));
	return -errno;
}

/* Can the smallest request there is, one sector at a sector's address, go past the page cache? */
static bool image_direct_works(const struct disk_image *image)
{
	void *page = NULL;
	bool works;

	if (posix_memalign(&page, PAGE_BYTES, PAGE_BYTES))
		return false;
	works = pread(image->fd, (char *)page + BLKIF_SECTOR_BYTES, BLKIF_SECTOR_BYTES, 0) == (ssize_t)BLKIF_SECTOR_BYTES;
	free(page);
	return works;
}

/* Switches the page cache off, or says in note (AUTO) or why (ON) what stood against it. */
static int image_set_direct(struct disk_image *image, const char *path, enum disk_direct direct, char why[WHY_BYTES],
			    char note[WHY_BYTES])
{
	int flags = fcntl(image->fd, F_GETFL);
	const char *reason = "its file system has no O_DIRECT";

	if (fcntl(image->fd, F_SETFL, flags | O_DIRECT) == 0) {
		if (image_direct_works(image)) {
			image->is_direct = true;
			return 0;
		}
		reason = "its device does not take 512-byte requests with O_DIRECT";
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

/* O_NONBLOCK was for the open alone (a FIFO must not hang it); with it, I/O on some files would answer -EAGAIN. */
static void image_clear_nonblock(struct disk_image *image)
{
	fcntl(image->fd, F_SETFL, fcntl(image->fd, F_GETFL) & ~O_NONBLOCK);
}

int disk_image_open(struct disk_image *image, const struct disk_engine *engine, const char *path, bool readonly,
		    enum disk_direct direct, char why[WHY_BYTES], char note[WHY_BYTES])
{
	int err;

	*image = (struct disk_image){.fd = -1, .is_readonly = readonly, .engine = engine};
	why[0] = note[0] = 0;
	err = image_open_file(image, path, why);
	if (err)
		return err;
	image_clear_nonblock(image);
	err = image_measure(image, path, why);
	if (!err)
		err = image_lock(image, path, why);
	if (!err && engine->can_be_direct && direct != DISK_DIRECT_OFF)
		err = image_set_direct(image, path, direct, why, note);
	if (err)
		goto close_file;
	if (engine->open) {
		err = engine->open(image);
		if (err) {
			snprintf(why, WHY_BYTES, "image %s: the %s engine cannot take it: %s", path, engine->name, strerror(-err));
			goto close_file;
		}
	}
	return 0;

close_file:
	close(image->fd);
	image->fd = -1;
	return err;
}

void disk_image_close(struct disk_image *image)
{
	struct flock unlock = {.l_type = F_UNLCK, .l_whence = SEEK_SET};

	if (image->fd < 0)
		return;
	if (image->engine->close)
		image->engine->close(image);
	/* Said aloud: the kernel may hold the open file a little longer than we do, and the next device shall not wait. */
	fcntl(image->fd, F_OFD_SETLK, &unlock);
	close(image->fd);
	image->fd = -1;
}
