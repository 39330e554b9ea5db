/*
 * tools/cmd_counters.c - finds, copies and prints what both ends of a device have counted.
 *
 * Owns     a mapping only while it is copied.
 * Trusts   nothing: the back end may be of another version, the guest anybody's. A guest's pages are mapped read-only and no more
 *          of them than COUNTERS_MAX_BYTES.
 */
#include "tools/cmd_counters.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "frontends/front_counters.h"
#include "hv/counters.h"

#define MAPS_AT_ONCE 64u

/* What was copied: freed. */
static void print_copy(void *copy, size_t bytes, const char *prefix, const char *whose)
{
	struct counters_view view;

	if (copy && !counters_check(copy, bytes, &view))
		counters_print_queues(stdout, prefix, &view);
	else if (copy) {
		fflush(stdout);
		fprintf(stderr, "sluice: the counters of %s make no sense; another version of it may be running\n", whose);
	}
	free(copy);
}

/* ---- the back end's file ---------------------------------------------------------------------------------------------- */

/* A back end replaces its file, and never cuts it. NULL: there is none. */
static void *copy_file(const char *path, size_t *bytes)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
	struct stat st = {0};
	void *map, *copy;

	if (fd < 0)
		return NULL; /* no back end of ours serves it */
	fstat(fd, &st);
	*bytes = (size_t)st.st_size < COUNTERS_MAX_BYTES ? (size_t)st.st_size : COUNTERS_MAX_BYTES;
	map = *bytes ? mmap(NULL, *bytes, PROT_READ, MAP_SHARED, fd, 0) : MAP_FAILED;
	close(fd);
	if (map == MAP_FAILED)
		*bytes = 0;
	copy = calloc(1, *bytes + 1);
	if (copy && map != MAP_FAILED)
		counters_copy(copy, map, *bytes);
	if (map != MAP_FAILED)
		munmap(map, *bytes);
	return copy;
}

static void print_back(struct cmd *cmd, const char *type, domid_t domid, unsigned devid)
{
	char path[512], prefix[48];
	size_t bytes = 0;
	void *copy;

	snprintf(path, sizeof(path), "%s/%s-%u-%u.stats", hv_run_dir(cmd->hv), type, domid, devid);
	snprintf(prefix, sizeof(prefix), "%s.%u.%u", type, domid, devid);
	copy = copy_file(path, &bytes);
	print_copy(copy, bytes, prefix, path);
}

/* ---- the front end's pages -------------------------------------------------------------------------------------------- */

/* Copies nr of the guest's pages. -errno: one cannot be mapped. */
static int copy_pages(struct hv_peer *peer, const grant_ref_t refs[], unsigned nr, uint8_t *to)
{
	struct hv_map_op ops[MAPS_AT_ONCE];
	grant_handle_t handles[MAPS_AT_ONCE];
	unsigned nr_mapped = 0;
	int err = 0;

	for (unsigned i = 0; i < nr; i++)
		ops[i] = (struct hv_map_op){.ref = refs[i], .readonly = true};
	if (hv_peer_map(peer, ops, nr))
		err = -EACCES;
	for (unsigned i = 0; i < nr; i++) {
		if (ops[i].status != GNTST_okay)
			continue;
		handles[nr_mapped++] = ops[i].handle;
		counters_copy(to + pages_to_bytes(i), ops[i].page, PAGE_BYTES);
	}
	hv_peer_unmap(peer, handles, nr_mapped);
	return err;
}

static bool is_directory(const struct front_counters_directory *dir)
{
	return !memcmp(dir->magic, FRONT_COUNTERS_MAGIC, sizeof(dir->magic)) && dir->nr_pages <= FRONT_COUNTERS_MAX_PAGES &&
	       dir->bytes <= COUNTERS_MAX_BYTES && dir->nr_pages == bytes_to_pages(dir->bytes);
}

/* NULL: there are none any more. Of no bytes: they make no sense. */
static void *copy_front(struct hv_peer *peer, grant_ref_t ref, size_t *bytes)
{
	struct front_counters_directory dir;
	uint8_t *copy;
	int err = copy_pages(peer, &ref, 1, (uint8_t *)&dir);

	if (err)
		return NULL; /* the front end has gone */
	if (!is_directory(&dir))
		return calloc(1, 1);
	copy = malloc(pages_to_bytes(dir.nr_pages) + 1);
	for (unsigned i = 0; copy && !err && i < dir.nr_pages; i += MAPS_AT_ONCE) {
		unsigned nr = dir.nr_pages - i < MAPS_AT_ONCE ? dir.nr_pages - i : MAPS_AT_ONCE;

		err = copy_pages(peer, dir.ref + i, nr, copy + pages_to_bytes(i));
	}
	*bytes = err ? 0 : dir.bytes;
	return copy;
}

static void print_front(struct cmd *cmd, const char *type, domid_t domid, unsigned devid)
{
	char prefix[48], whose[64];
	struct hv_peer *peer;
	size_t bytes = 0;
	uint64_t ref;
	void *copy;

	if (store_client_read_uint(cmd->store, STORE_NO_TX, &ref, "/local/domain/%u/device/%s/%u/" FRONT_COUNTERS_KEY, domid, type,
				   devid) || ref > UINT32_MAX)
		return;
	if (hv_peer_open(cmd->hv, domid, &peer))
		return;
	snprintf(prefix, sizeof(prefix), "%s.%u.%u.front", type, domid, devid);
	snprintf(whose, sizeof(whose), "domain %u's front end of %s %u", domid, type, devid);
	copy = copy_front(peer, (grant_ref_t)ref, &bytes);
	print_copy(copy, bytes, prefix, whose);
	hv_peer_close(peer);
}

void cmd_counters(struct cmd *cmd, const char *type, domid_t domid, unsigned devid)
{
	print_back(cmd, type, domid, devid);
	print_front(cmd, type, domid, devid);
}
