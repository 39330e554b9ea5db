/*
 * test/lib/disk_fault.h - an engine that does what another does, but for what a test has ordered to go wrong.
 *
 * Runs in  as the engine behind it: the queue's thread. The order is given before the image is opened.
 */
#ifndef SLUICE_TEST_DISK_FAULT_H
#define SLUICE_TEST_DISK_FAULT_H

#include "blkback/disk_image.h"

struct disk_fault_order {
	const struct disk_engine *inner;
	int (*error)(const struct disk_io *io);      /* 0, or -errno that it ends with, not done at all; NULL: none does */
	unsigned (*delay)(const struct disk_io *io); /* how many polls it is kept from the engine behind; NULL: none is */
};

extern struct disk_fault_order disk_fault_order;
extern const struct disk_engine disk_fault;

#endif
