/*
 * netback/vif_stats.c - the names of a vif's counters, and the file that shows them.
 *
 * Owns, Runs in: vif_stats.h.
 */
#include "netback/vif_stats.h"

#include <stdio.h>

static const struct counters_field fields[] = {
#define VIF_COUNTER_NAMED(counter) COUNTERS_FIELD(struct vif_stats, counter),
	VIF_COUNTERS(VIF_COUNTER_NAMED)
#undef VIF_COUNTER_NAMED
	COUNTERS_BATCHES(struct vif_stats, tx_batch),
	COUNTERS_BATCHES(struct vif_stats, rx_batch),
	COUNTERS_TIMES(struct vif_stats, tx_ns),
	COUNTERS_TIMES(struct vif_stats, rx_ns),
};

#define NR_FIELDS (sizeof(fields) / sizeof(fields[0]))
#define NR_HISTOGRAMS 4

const struct counters_layout vif_stats_layout = {fields, NR_FIELDS, sizeof(struct vif_stats)};
const struct counters_layout vif_stats_counts = {fields, NR_FIELDS - NR_HISTOGRAMS, sizeof(struct vif_stats)};

void vif_stats_name(domid_t domid, unsigned devid, char name[VIF_STATS_NAME_BYTES])
{
	snprintf(name, VIF_STATS_NAME_BYTES, "vif-%u-%u.stats", domid, devid);
}

int vif_stats_create(struct vif *vif, const char *run_dir, const char *name)
{
	int err = counters_file_create(&vif->stats_file, run_dir, name, &vif_stats_layout, VIF_MAX_QUEUES);

	vif->stats = err ? NULL : vif->stats_file.queues;
	return err;
}

void vif_stats_begin(struct vif *vif, bool is_resumed)
{
	if (is_resumed)
		counters_file_go_on(&vif->stats_file);
	else
		counters_file_drop(&vif->stats_file);
}

void vif_stats_destroy(struct vif *vif, bool removes)
{
	counters_file_close(&vif->stats_file, removes);
	vif->stats = NULL;
}

void vif_stats_sum(struct vif_stats *sum, const struct vif *vif)
{
	for (unsigned i = 0; i < VIF_MAX_QUEUES; i++)
		counters_add(&vif_stats_layout, sum, &vif->stats[i]);
}
