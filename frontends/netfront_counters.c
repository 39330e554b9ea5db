/*
 * frontends/netfront_counters.c - the names of a netfront's counters; where sluice-netback counts the same, they are its names.
 */
#include "frontends/netfront_counters.h"

#define COUNT(member) COUNTERS_FIELD(struct netfront_counters, member)

static const struct counters_field fields[] = {
	COUNT(tx_packets),
	COUNT(tx_bytes),
	COUNT(tx_slots),
	COUNT(tx_bursts),
	COUNT(tx_ring_full),
	COUNT(tx_drop_size),
	COUNT(tx_drop_offload),
	COUNT(tx_resent),
	COUNT(tx_errors),
	COUNT(rx_packets),
	COUNT(rx_bytes),
	COUNT(rx_slots),
	COUNT(rx_bursts),
	COUNT(rx_lent),
	COUNT(rx_drop_error),
	COUNT(rx_drop_bounds),
	COUNT(rx_drop_chain),
	COUNT(rx_drop_extra),
	COUNT(rx_drop_room),
	COUNT(notify_sent),
	COUNT(notify_suppressed),
	COUNTERS_BATCHES(struct netfront_counters, tx_batch),
	COUNTERS_BATCHES(struct netfront_counters, rx_batch),
	COUNTERS_TIMES(struct netfront_counters, tx_ns),
};

const struct counters_layout netfront_counters_layout = {fields, sizeof(fields) / sizeof(fields[0]), sizeof(struct netfront_counters)};
