/*
 * tools/guest_disk.c - a guest's disks by name, with what is to be asked of them; what was agreed on; buffers.
 */
#include "tools/guest.h"

#include <stdlib.h>

/* One option of a disk: a number, or (max 0) a flag. */
struct disk_option {
	const char *name;
	unsigned max;
	size_t field; /* of an unsigned, or of a bool */
};

#define FIELD(name) offsetof(struct blkfront_options, name)

static const struct disk_option disk_options[] = {
	{"--ring-order", BLKIF_MAX_RING_ORDER, FIELD(max_ring_order)},
	{"--queues", BLKFRONT_MAX_QUEUES, FIELD(max_queues)},
	{"--segments", BLKFRONT_MAX_SEGMENTS, FIELD(max_segments)},
	{"--pool-pages", 65536, FIELD(pool_pages)},
	{"--busy-poll", 1000000, FIELD(busy_poll_us)},
	{"--x86-32", 0, FIELD(is_x86_32)},
	{"--untrusted", 0, FIELD(is_untrusted)},
	{"--reconnect", 0, FIELD(reconnects)},
};

static const struct disk_option *find_option(const char *name)
{
	for (unsigned i = 0; i < sizeof(disk_options) / sizeof(disk_options[0]); i++)
		if (!strcmp(disk_options[i].name, name))
			return &disk_options[i];
	return NULL;
}

int guest_disk_option(struct guest *g, int argc, char **argv, struct blkfront_options *opt)
{
	const struct disk_option *o = find_option(argv[0]);
	uint64_t value;

	if (!strcmp(argv[0], "--persistent") || !strcmp(argv[0], "--no-persistent")) {
		opt->persistent = argv[0][2] == 'n' ? BLKFRONT_PERSISTENT_REFUSED : BLKFRONT_PERSISTENT_WANTED;
		return 1;
	}
	if (!o) {
		guest_fail(g, "'%s' is not an option of a disk; see sluice-guest(8)", argv[0]);
		return -1;
	}
	if (!o->max) {
		*(bool *)(void *)((uint8_t *)opt + o->field) = true;
		return 1;
	}
	if (argc < 2) {
		guest_fail(g, "%s needs a number", argv[0]);
		return -1;
	}
	if (!guest_number(g, argv[0], argv[1], 0, o->max, &value))
		return -1;
	*(unsigned *)(void *)((uint8_t *)opt + o->field) = (unsigned)value;
	return 2;
}

struct blkfront *guest_open_disk_with(struct guest *g, const char *name, const struct blkfront_options *opt)
{
	struct blkfront *bf = NULL;
	unsigned id;
	int rc;

	if (blkfront_parse_name(name, &id) < 0) {
		guest_fail(g, "'%s' is not the name of a disk; use one as xvda", name);
		return NULL;
	}
	rc = blkfront_create(&g->bus, id, opt, &bf);
	if (!rc)
		rc = blkfront_wait_connected(bf, GUEST_CONNECT_MS);
	if (!rc)
		return bf;
	guest_say_not_connected(g, "disk", name, rc, bf ? &bf->handshake : NULL);
	blkfront_destroy(bf);
	return NULL;
}

struct blkfront *guest_open_disk(struct guest *g, const char *name, unsigned ring_order)
{
	const struct blkfront_options opt = {.max_ring_order = ring_order};

	return guest_open_disk_with(g, name, &opt);
}

void guest_say_disk(struct guest *g, const struct blkfront *bf)
{
	const struct blkfront_disk *d = blkfront_get_disk(bf);

	guest_figure(g, "blk_sectors", (double)d->nr_sectors, "sectors");
	guest_figure(g, "blk_sector_size", d->sector_bytes, "bytes");
	guest_figure(g, "blk_ring_pages", 1u << bf->ring_order, "pages");
	guest_figure(g, "blk_queues", bf->nr_queues, "queues");
	guest_figure(g, "blk_segments", bf->queue[0].ring.max_segments, "segments");
	guest_figure(g, "blk_pool_pages", bf->queue[0].ring.pool.nr, "pages");
	guest_figure(g, "blk_persistent", bf->is_persistent, "flag");
	guest_figure(g, "blk_x86_32", bf->opt.is_x86_32, "flag");
	guest_figure(g, "blk_copies", bf->queue[0].ring.is_pool_only, "flag");
	guest_figure(g, "blk_read_only", d->is_read_only, "flag");
	guest_figure(g, "blk_cdrom", d->is_cdrom, "flag");
	guest_figure(g, "blk_flush", d->can_flush, "flag");
	guest_figure(g, "blk_barrier", d->can_barrier, "flag");
	guest_figure(g, "blk_discard", d->can_discard, "flag");
	guest_figure(g, "blk_discard_granularity", d->discard_granularity_bytes, "bytes");
	guest_figure(g, "blk_secure_discard", d->can_secure_discard, "flag");
}

void *guest_alloc(struct guest *g, size_t bytes)
{
	void *pages;

	if (!hv_grants(g->hv)) /* all data is copied anyway */
		return aligned_alloc(PAGE_BYTES, pages_to_bytes(bytes_to_pages(bytes)));
	return hv_pages_alloc(g->hv, (unsigned)bytes_to_pages(bytes), &pages) < 0 ? NULL : pages;
}

void guest_free(struct guest *g, void *pages, size_t bytes)
{
	if (!hv_grants(g->hv))
		free(pages);
	else if (pages)
		hv_pages_free(g->hv, pages, (unsigned)bytes_to_pages(bytes));
}
