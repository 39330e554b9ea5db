/*
 * hv/counters_file.h - a back end's counters of one device, in a file of the run folder, and those of the back end before it.
 *
 *      create     what a killed or stopped back end left is kept aside; the file is new, all zero
 *      go_on      this one took that one's rings over: it counts on from there
 *      drop       it did not: the device began anew
 *
 * Owns     the file's memory, and the copy until go_on or drop.
 * Trusts   what lies in the file as little as a front end's counters (counters_check): another version may have left it.
 * Runs in  the control thread. go_on and drop: before the first queue counts.
 */
#ifndef SLUICE_HV_COUNTERS_FILE_H
#define SLUICE_HV_COUNTERS_FILE_H

#include "hv/counters.h"
#include "hv/run_file.h"

struct counters_file {
	struct run_file file;
	const struct counters_layout *layout;
	unsigned max_queues;
	void *queues; /* max_queues of the driver's struct */
	void *before; /* as many, of the back end before; NULL: none, or it does not matter any more */
};

/* The file is held (run_file_create_held). -ENOMEM. The layout stays the caller's. */
int counters_file_create(struct counters_file *f, const char *dir, const char *name, const struct counters_layout *layout,
			 unsigned max_queues);
void counters_file_go_on(struct counters_file *f);
void counters_file_drop(struct counters_file *f);
/* removes: nobody shall go on with it. Takes a zeroed struct. */
void counters_file_close(struct counters_file *f, bool removes);

#endif
