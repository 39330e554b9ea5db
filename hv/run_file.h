/*
 * hv/run_file.h - memory in a file of the run folder: it outlives this process, and others may look at it.
 *
 * Owns     the mapping. The file stays until run_file_close is told to remove it, also when this process is killed.
 * Runs in  the control thread; the memory is anybody's.
 */
#ifndef SLUICE_HV_RUN_FILE_H
#define SLUICE_HV_RUN_FILE_H

#include <stdbool.h>
#include <stddef.h>

struct run_file {
	void *memory;
	size_t bytes;
	char path[256]; /* "": in no folder; the memory is private */
	bool is_held;
	int held_fd; /* whose lock says that this process lives */
};

/* A new one, zeroed, in place of an old one. Where the folder cannot be written it is private memory, with a line in the log. -ENOMEM. */
int run_file_create(struct run_file *f, const char *dir, const char *name, size_t bytes);
/* The same, and held (flock) until it is closed or this process ends, however it ends: run_file_sweep_left lets it be. */
int run_file_create_held(struct run_file *f, const char *dir, const char *name, size_t bytes);
/* The one that is there, if it has that size. -ENOENT, -EINVAL. */
int run_file_open(struct run_file *f, const char *dir, const char *name, size_t bytes);
/* Another name for it, in place of what has that name. -errno: it keeps its own. */
int run_file_rename(struct run_file *f, const char *dir, const char *name);
/*
 * Removes the files <type>-<domid>-<devid>.stats and .inflight of devices that is_wanted does not know: what a killed back end left
 * of devices that have gone meanwhile.
 */
void run_file_sweep(const char *dir, const char *type, bool (*is_wanted)(void *arg, unsigned domid, unsigned devid), void *arg);
/* Removes the files <begin>*.stats that were created held, and that nobody holds any more. */
void run_file_sweep_left(const char *dir, const char *begin);
/* A zeroed struct is taken. */
void run_file_close(struct run_file *f, bool removes);

#endif
