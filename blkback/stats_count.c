/*
 * blkback/stats_count.c - counts a finished request.   [hot]
 *
 * Runs in  the queue's thread, the only writer: no atomic addition is needed, only stores that are seen whole.
 */
#include "blkback/stats.h"

static void count_well(struct stats *s, const struct request *ask)
{
	stats_add(&s->indirect, ask->is_indirect);
	switch (ask->operation) {
	case BLKIF_OP_READ:
		stats_add(&s->reads, 1);
		stats_add(&s->read_sectors, ask->nr_sectors);
		break;
	case BLKIF_OP_WRITE:
		stats_add(&s->writes, 1);
		stats_add(&s->write_sectors, ask->nr_sectors);
		break;
	case BLKIF_OP_WRITE_BARRIER:
		stats_add(&s->barriers, 1);
		stats_add(&s->write_sectors, ask->nr_sectors);
		break;
	case BLKIF_OP_DISCARD:
		stats_add(&s->discards, 1);
		stats_add(&s->secure_discards, ask->is_secure);
		stats_add(&s->discard_sectors, ask->nr_sectors);
		break;
	default:
		stats_add(&s->flushes, 1);
		break;
	}
}

void stats_done(struct stats *s, const struct request *ask, int error)
{
	if (!error)
		count_well(s, ask);
	else if (ask->operation == BLKIF_OP_READ)
		stats_add(&s->read_errors, 1);
	else if (request_is_write(ask))
		stats_add(&s->write_errors, 1);
	else
		stats_add(ask->operation == BLKIF_OP_DISCARD ? &s->discard_errors : &s->flush_errors, 1);
}

void stats_time(struct stats_times *t, const struct request *ask, uint64_t ns)
{
	histogram_add(ask->operation == BLKIF_OP_READ ? &t->reads : &t->writes, ns);
}
