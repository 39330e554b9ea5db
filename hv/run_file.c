/*
 * hv/run_file.c - memory in a file of the run folder.
 *
 * Runs in  the control thread.
 */
#include "hv/run_file.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "hv/log.h"

static int map_file(struct run_file *f, int fd, size_t bytes)
{
	f->memory = mmap(NULL, bytes, PROT_READ | PROT_WRITE, fd < 0 ? MAP_PRIVATE | MAP_ANONYMOUS : MAP_SHARED, fd, 0);
	if (f->memory == MAP_FAILED) {
		f->memory = NULL;
		return -ENOMEM;
	}
	f->bytes = bytes;
	return 0;
}

/* Another process may have the old one mapped: it is replaced, never cut. */
static int create_file(const char *path, size_t bytes)
{
	int fd;

	if (unlink(path) < 0 && errno != ENOENT)
		return -errno;
	fd = open(path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0644);
	if (fd < 0)
		return -errno;
	if (posix_fallocate(fd, 0, (off_t)bytes)) { /* a full file system shows here, not as a fault in the data path */
		close(fd);
		unlink(path);
		return -ENOSPC;
	}
	return fd;
}

/* One who sweeps may find it before it is held: then it has gone, and is made anew. */
static int create_held(const char *path, size_t bytes)
{
	struct stat st;
	int fd, err;

	do {
		fd = create_file(path, bytes);
		if (fd < 0)
			return fd;
		err = flock(fd, LOCK_EX) < 0 || fstat(fd, &st) < 0 ? -errno : 0;
		if (!err && st.st_nlink)
			return fd;
		close(fd);
	} while (!err);
	unlink(path);
	return err;
}

static int create(struct run_file *f, const char *dir, const char *name, size_t bytes, bool is_held)
{
	int fd = -ENAMETOOLONG, err;

	*f = (struct run_file){0};
	if ((size_t)snprintf(f->path, sizeof(f->path), "%s/%s", dir, name) < sizeof(f->path)) {
		mkdir(dir, 0755); /* it is there, or what follows says why not */
		fd = is_held ? create_held(f->path, bytes) : create_file(f->path, bytes);
	}
	if (fd < 0) {
		log_warn("%s/%s cannot be written (%s): what is kept there does not outlive this process", dir, name, strerror(-fd));
		f->path[0] = 0;
	}
	err = map_file(f, fd, bytes);
	f->is_held = is_held && fd >= 0 && !err;
	if (f->is_held)
		f->held_fd = fd;
	else if (fd >= 0)
		close(fd);
	return err;
}

int run_file_create(struct run_file *f, const char *dir, const char *name, size_t bytes)
{
	return create(f, dir, name, bytes, false);
}

int run_file_create_held(struct run_file *f, const char *dir, const char *name, size_t bytes)
{
	return create(f, dir, name, bytes, true);
}

int run_file_open(struct run_file *f, const char *dir, const char *name, size_t bytes)
{
	struct stat st;
	int fd, err = -EINVAL;

	*f = (struct run_file){0};
	if ((size_t)snprintf(f->path, sizeof(f->path), "%s/%s", dir, name) >= sizeof(f->path))
		return -EINVAL;
	fd = open(f->path, O_RDWR | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	if (fstat(fd, &st) == 0 && (size_t)st.st_size == bytes)
		err = map_file(f, fd, bytes);
	close(fd);
	return err;
}

int run_file_rename(struct run_file *f, const char *dir, const char *name)
{
	char path[sizeof(f->path)];

	if (!f->path[0])
		return 0;
	if ((size_t)snprintf(path, sizeof(path), "%s/%s", dir, name) >= sizeof(path))
		return -ENAMETOOLONG;
	if (rename(f->path, path) < 0)
		return -errno;
	memcpy(f->path, path, sizeof(path));
	return 0;
}

void run_file_sweep(const char *dir, const char *type, bool (*is_wanted)(void *arg, unsigned domid, unsigned devid), void *arg)
{
	size_t len = strlen(type);
	DIR *d = opendir(dir);
	const struct dirent *e;

	while (d && (e = readdir(d))) {
		unsigned domid, devid;
		char suffix[16];

		if (!strncmp(e->d_name, type, len) && sscanf(e->d_name + len, "-%5u-%10u.%15s", &domid, &devid, suffix) == 3 &&
		    !is_wanted(arg, domid, devid) &&
		    (!strcmp(suffix, "stats") || !strcmp(suffix, "inflight")))
			unlinkat(dirfd(d), e->d_name, 0);
	}
	if (d)
		closedir(d);
}

/* What is held by nobody is nobody's. */
static void remove_unheld(int dir, const char *name)
{
	int fd = openat(dir, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);

	if (fd < 0)
		return;
	if (flock(fd, LOCK_EX | LOCK_NB) == 0)
		unlinkat(dir, name, 0);
	close(fd);
}

void run_file_sweep_left(const char *dir, const char *begin)
{
	static const char suffix[] = ".stats";
	DIR *d = opendir(dir);
	const struct dirent *e;

	while (d && (e = readdir(d))) {
		size_t len = strlen(e->d_name);

		if (!strncmp(e->d_name, begin, strlen(begin)) && len >= sizeof(suffix) &&
		    !strcmp(e->d_name + len + 1 - sizeof(suffix), suffix))
			remove_unheld(dirfd(d), e->d_name);
	}
	if (d)
		closedir(d);
}

void run_file_close(struct run_file *f, bool removes)
{
	if (f->memory)
		munmap(f->memory, f->bytes);
	if (f->memory && f->path[0] && removes)
		unlink(f->path);
	if (f->is_held)
		close(f->held_fd);
	*f = (struct run_file){0};
}
