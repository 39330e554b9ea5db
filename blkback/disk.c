/*
 * blkback/disk.c - the engines there are, by name.
 */
#include "blkback/disk.h"

static const struct disk_engine *const engines[] = {&disk_uring, &disk_aio, &disk_sync, &disk_mem, &disk_null};

const struct disk_engine *disk_engine_find(const char *name)
{
	for (size_t i = 0; i < sizeof(engines) / sizeof(engines[0]); i++)
		if (!strcmp(engines[i]->name, name))
			return engines[i];
	return NULL;
}

const char *disk_engine_names(void)
{
	return "io_uring, libaio, sync, memory, null";
}
