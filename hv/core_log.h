/*
 * hv/core_log.h - the hypervisor's message buffer: the newest bytes in a ring (sysctl readconsole, `sluice dmesg`).
 *
 * Runs in  the core's thread.
 */
#ifndef SLUICE_HV_CORE_LOG_H
#define SLUICE_HV_CORE_LOG_H

#include <stdint.h>

#define CORE_LOG_BYTES 65536u

struct core_log {
	uint32_t prod; /* free-running */
	uint32_t cons; /* what readers that ask for it have cleared */
	char ring[CORE_LOG_BYTES];
};

void core_log_put(struct core_log *log, const char *bytes, uint32_t len);
/* A line, with its newline. For log_set_sink as well: arg is the struct core_log. */
void core_log_line(void *arg, const char *line);
/* Copies out up to size bytes from index *at (moved up when it was overwritten); *at is where to go on. */
uint32_t core_log_get(const struct core_log *log, uint32_t *at, char *buf, uint32_t size);

#endif
