/*
 * grant/maptrack.h - what one mapper's handles stand for. Internal to grant/.
 *
 * A handle is an index. An entry belongs to whoever popped its index until state says that it is live, and to whoever
 * swapped state back to free afterwards.
 */
#ifndef SLUICE_GRANT_MAPTRACK_H
#define SLUICE_GRANT_MAPTRACK_H

#include "grant/free_stack.h"
#include "grant/grant_map.h"

enum maptrack_state { MAPTRACK_FREE, MAPTRACK_READ, MAPTRACK_WRITE };

struct maptrack_entry {
	const struct grant_active *active; /* whose grant: compared, never followed */
	grant_ref_t ref;
	uint32_t state;
};

struct grant_maptrack {
	struct free_stack handles;
	struct maptrack_entry *entry; /* [handles.limit] */
};

#endif
