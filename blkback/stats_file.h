/*
 * blkback/stats_file.h - the counters of one vbd, in <run folder>/vbd-<domid>-<devid>.stats: as they are counted, for who looks on.
 *
 * Runs in  the writer: each queue's thread its own counters. Readers map the file and look; each counter is for itself.
 */
#ifndef SLUICE_BLKBACK_STATS_FILE_H
#define SLUICE_BLKBACK_STATS_FILE_H

#include "blkback/stats.h"

#define STATS_FILE_MAGIC "sluiceBS"
#define STATS_FILE_NAME "vbd-%u-%u.stats" /* domid, devid */

struct stats_file_queue {
	struct stats stats;
	struct stats_times times;
};

struct stats_file {
	char magic[8];
	uint32_t queue_bytes; /* sizeof queue[0]: another version has another */
	uint32_t max_queues;
	uint32_t nr_queues; /* connected; 0: none */
	uint32_t pad;
	struct stats_file_queue queue[]; /* max_queues of them */
};

static inline size_t stats_file_bytes(uint32_t max_queues)
{
	return sizeof(struct stats_file) + max_queues * sizeof(struct stats_file_queue);
}

#endif
