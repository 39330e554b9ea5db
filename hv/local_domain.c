/*
 * hv/local_domain.c - maps a domain's objects from the fds that sluiced handed over.
 */
#include "hv/local_domain.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "hv/memory_map.h"

static int map_at_least(int fd, uint64_t bytes, void **base)
{
	size_t size;
	int err = memory_map_get(fd, base, &size);

	if (!err && size < bytes) {
		memory_map_put(*base);
		*base = NULL;
		return -EPROTO;
	}
	return err;
}

static int map_extents(struct local_domain *d, const struct local_welcome *w, const struct local_fds *fds)
{
	uint64_t first = 0;

	for (unsigned i = 0; i < w->nr_extents; i++) {
		uint64_t nr = w->extent_frames[i];
		void *base;
		int err;

		if (!nr || nr > LOCAL_MAX_FRAMES - first)
			return -EPROTO;
		err = map_at_least(fds->fd[i], nr << PAGE_SHIFT_BITS, &base);
		if (err)
			return err;
		d->memory.extent[d->memory.nr_extents++] = (struct gate_extent){base, first, nr};
		first += nr;
	}
	return 0;
}

static int map_shared(struct local_domain *d, const struct local_welcome *w, int fd)
{
	void *base;
	int err = map_at_least(fd, ((uint64_t)w->nr_grant_frames + 1) << PAGE_SHIFT_BITS, &base);

	if (err)
		return err;
	d->shared_sh = base;
	d->entries_sh = (struct grant_entry_v1 *)((uint8_t *)base + PAGE_BYTES);
	d->nr_entries = w->nr_grant_frames * GRANT_ENTRIES_PER_FRAME;
	return 0;
}

static int map_private(struct local_domain *d, int fd)
{
	uint64_t bytes = LOCAL_PRIVATE_ACTIVE_OFFSET + (uint64_t)d->nr_entries * sizeof(struct grant_active);
	void *base;
	int err = map_at_least(fd, bytes, &base);

	if (!err)
		d->priv = base;
	return err;
}

int local_domain_init(struct local_domain *d, const struct local_welcome *w, struct local_fds *fds, bool has_private)
{
	unsigned shared_at = w->nr_extents;
	int err = -EPROTO;

	memset(d, 0, sizeof(*d));
	if (w->nr_extents > GATE_MAX_EXTENTS || w->nr_vcpus < 1 || w->nr_vcpus > LOCAL_MAX_VCPUS ||
	    w->nr_grant_frames < 1 || w->nr_grant_frames > UINT16_MAX ||
	    fds->nr != w->nr_extents + 1 + w->nr_vcpus + (has_private ? 1 : 0))
		goto close_fds;
	err = map_extents(d, w, fds);
	if (!err)
		err = map_shared(d, w, fds->fd[shared_at]);
	if (!err && has_private)
		err = map_private(d, fds->fd[fds->nr - 1]);
	if (err)
		goto unmap;
	memcpy(d->extent_fd, fds->fd, w->nr_extents * sizeof(int));
	memcpy(d->vcpu_fd, fds->fd + shared_at + 1, w->nr_vcpus * sizeof(int));
	d->nr_vcpus = w->nr_vcpus;
	close(fds->fd[shared_at]);
	if (has_private)
		close(fds->fd[fds->nr - 1]);
	fds->nr = 0;
	return 0;
unmap:
	local_domain_finish(d);
close_fds:
	local_fds_close(fds);
	return err;
}

/* After a failed init nr_vcpus is still 0 and the extents' fds are still the caller's. */
void local_domain_finish(struct local_domain *d)
{
	for (unsigned i = 0; i < d->memory.nr_extents; i++) {
		memory_map_put(d->memory.extent[i].base);
		if (d->nr_vcpus)
			close(d->extent_fd[i]);
	}
	for (unsigned i = 0; i < d->nr_vcpus; i++)
		close(d->vcpu_fd[i]);
	memory_map_put(d->shared_sh);
	memory_map_put(d->priv);
}
