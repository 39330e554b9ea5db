/*
 * hv/core_log.c - the message ring.
 */
#include "hv/core_log.h"

#include <string.h>

void core_log_put(struct core_log *log, const char *bytes, uint32_t len)
{
	for (uint32_t i = 0; i < len; i++)
		log->ring[log->prod++ % CORE_LOG_BYTES] = bytes[i];
	if (log->prod - log->cons > CORE_LOG_BYTES)
		log->cons = log->prod - CORE_LOG_BYTES;
}

void core_log_line(void *arg, const char *line)
{
	core_log_put(arg, line, (uint32_t)strlen(line));
	core_log_put(arg, "\n", 1);
}

uint32_t core_log_get(const struct core_log *log, uint32_t *at, char *buf, uint32_t size)
{
	uint32_t n;

	/* Cleared, overwritten, or an index that never was. */
	if (log->prod - *at > log->prod - log->cons)
		*at = log->cons;
	n = log->prod - *at;
	if (n > size)
		n = size;
	for (uint32_t i = 0; i < n; i++)
		buf[i] = log->ring[(*at)++ % CORE_LOG_BYTES];
	return n;
}
