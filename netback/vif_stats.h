/*
 * netback/vif_stats.h - where a vif's counters lie: <run folder>/vif-<domid>-<devid>.stats, as they are counted, for who looks on.
 *
 * Owns     the memory from create to destroy; queues count in it while they are attached.
 * Runs in  the thread that has the vif. The counters: one worker writes, anybody reads (hv/counters.h).
 */
#ifndef SLUICE_NETBACK_VIF_STATS_H
#define SLUICE_NETBACK_VIF_STATS_H

#include "hv/counters.h"
#include "netback/vif.h"

#define VIF_STATS_NAME_BYTES 64

/* Of a struct vif_stats. */
extern const struct counters_layout vif_stats_layout;
extern const struct counters_layout vif_stats_counts; /* without histograms */

/* The file's name for this device. */
void vif_stats_name(domid_t domid, unsigned devid, char name[VIF_STATS_NAME_BYTES]);
/*
 * For VIF_MAX_QUEUES queues, all zero, in a file that is held: what killed programs left is known by that. What an earlier back end
 * left is kept until vif_stats_begin. -ENOMEM.
 */
int vif_stats_create(struct vif *vif, const char *run_dir, const char *name);
/*
 * Before the queues of a connection count. is_resumed: this back end goes on with the rings of the one that left the file, and with its
 * counters; that they are of the same connection the journal says.
 */
void vif_stats_begin(struct vif *vif, bool is_resumed);
/* removes: the file goes, too. Takes a zeroed vif. */
void vif_stats_destroy(struct vif *vif, bool removes);
/* Adds up all queues' counters. */
void vif_stats_sum(struct vif_stats *sum, const struct vif *vif);

#endif
