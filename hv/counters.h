/*
 * hv/counters.h - what the queues of a device have counted, in memory that others look at.
 *
 *      head        which fields a queue has: name, kind, where            1 set once, by counters_init
 *      queue 0     the driver's own struct, of 8-byte words                W the one thread that works on the queue
 *      queue 1 ...
 *
 * The memory says itself what is in it, so whoever reads it need not know the driver, nor its version. A back end's is a file of
 * its run folder (run_file.h); a front end's are pages granted to Domain-0 (frontends/front_counters.h). The same tables of
 * fields give an ethdev its xstats and a program its --stats-file: names and numbers are the same everywhere.
 *
 * Trusts   counters_check: nothing. What it is given is a copy, made by counters_copy, that nobody changes.
 * Runs in  the writer of a queue's words: one thread. Readers: any, each word for itself.
 */
#ifndef SLUICE_HV_COUNTERS_H
#define SLUICE_HV_COUNTERS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>

#include "hv/histogram.h"

#define COUNTERS_MAX_QUEUES 64u
#define COUNTERS_MAX_FIELDS 128u
#define COUNTERS_MAX_BYTES (4u << 20)
#define COUNTERS_NAME_BYTES 32u
#define COUNTERS_VALUE_NAME_BYTES (COUNTERS_NAME_BYTES + 8) /* with the part of a histogram that is meant */

enum counters_kind {
	COUNTERS_SUM = 1,   /* only grows */
	COUNTERS_LEVEL,     /* as it is now */
	COUNTERS_PEAK,      /* the highest so far */
	COUNTERS_HISTOGRAM, /* struct histogram, or histogram_batch: nr_buckets says */
};

struct counters_field {
	char name[COUNTERS_NAME_BYTES];
	uint16_t kind;
	uint16_t nr_buckets;
	uint32_t offset; /* of its first word in the queue's struct */
};

_Static_assert(sizeof(struct counters_field) == 40, "read by other programs");

#define COUNTERS_FIELD(type, member) {#member, COUNTERS_SUM, 0, offsetof(type, member)}
#define COUNTERS_TIMES(type, member) {#member, COUNTERS_HISTOGRAM, HISTOGRAM_BUCKETS, offsetof(type, member)}
#define COUNTERS_BATCHES(type, member) {#member, COUNTERS_HISTOGRAM, HISTOGRAM_BATCH_BUCKETS, offsetof(type, member)}

/* What a queue's struct looks like. Histograms are last, so that two queues' writers do not meet on a cache line. */
struct counters_layout {
	const struct counters_field *field;
	uint32_t nr_fields;
	uint32_t queue_bytes; /* a multiple of 8 */
};

/* All of it, queues and all. */
size_t counters_bytes(const struct counters_layout *layout, unsigned max_queues);
/* memory: so many bytes, zeroed, aligned to 64. */
void counters_init(void *memory, const struct counters_layout *layout, unsigned max_queues);
/* Queue 0's struct; the others follow, layout->queue_bytes apart. */
void *counters_queues(void *memory, const struct counters_layout *layout);

/* ---- reading ----------------------------------------------------------------------------------------------------------- */

/* Copies what others are writing, word by word; bytes in whole words. */
void counters_copy(void *to, const void *from, size_t bytes);

/* A copy that was found sound: points into it. */
struct counters_view {
	struct counters_layout layout;
	unsigned max_queues;
	const uint8_t *queues;
};

/* -EINVAL: nothing that counters_init made. */
int counters_check(const void *copy, size_t bytes, struct counters_view *view);

/* Adds a queue's struct to another: levels add, of peaks the higher one. From may be counting. */
void counters_add(const struct counters_layout *layout, void *to, const void *from);
/* The same for who takes over from another: his levels are no more. */
void counters_go_on(const struct counters_layout *layout, void *to, const void *from);
/* Takes off what was counted before: levels and peaks, also of histograms, stay. */
void counters_subtract(const struct counters_layout *layout, void *from, const void *before);

/* Numbers that a queue comes down to: each counter is one, a histogram is "name.count", ".p50", ".p99", ".p99_9", ".max". */
unsigned counters_nr_values(const struct counters_layout *layout);
uint64_t counters_value(const struct counters_layout *layout, const void *queue, unsigned i);
void counters_value_name(const struct counters_layout *layout, unsigned i, char name[COUNTERS_VALUE_NAME_BYTES]);

/* One "<prefix>.<name> <value>" a line. */
void counters_print(FILE *out, const char *prefix, const struct counters_layout *layout, const void *queue);
/* "<prefix>.queue.<n>" for each queue that has counted anything. */
void counters_print_queues(FILE *out, const char *prefix, const struct counters_view *view);

#endif
