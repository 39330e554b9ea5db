/*
 * netback/bridge_ports.c - makes the bridge and its lanes, and changes the set of ports.
 *
 * Nothing moves meanwhile, so no lane ever sees half a change, and nothing that was decided with the old set is carried out with the new
 * one: what is between two lanes is delivered first.
 *
 * Owns     see bridge.h; the lanes and the rings between them.
 * Runs in  the control thread.
 */
#include "netback/bridge.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include <rte_errno.h>
#include <rte_ring_elem.h>

static int way_create(struct bridge_way *way)
{
	static unsigned serial; /* names need only be unique in this process */
	char name[RTE_RING_NAMESIZE];

	snprintf(name, sizeof(name), "bridge_way_%u", serial++);
	way->ring = rte_ring_create_elem(name, sizeof(struct bridge_errand), BRIDGE_RING_SLOTS, SOCKET_ID_ANY,
					 RING_F_SP_ENQ | RING_F_SC_DEQ);
	return way->ring ? 0 : -rte_errno;
}

static int lane_init(struct bridge *b, uint16_t index)
{
	struct bridge_lane *l = &b->lanes[index];
	int err = 0;

	l->bridge = b;
	l->index = index;
	l->wake_fd = -1;
	for (uint16_t i = 0; i < b->nr_lanes && !err; i++)
		if (i != index)
			err = way_create(&l->ways[i]);
	return err;
}

int bridge_create(const struct bridge_options *opt, struct bridge **out)
{
	size_t lanes_bytes = opt->nr_lanes * sizeof(struct bridge_lane);
	struct bridge *b = aligned_alloc(RTE_CACHE_LINE_SIZE, RTE_ALIGN(sizeof(*b), (size_t)RTE_CACHE_LINE_SIZE));
	int err = 0;

	if (!b)
		return -ENOMEM;
	memset(b, 0, sizeof(*b));
	b->ageing = opt->ageing;
	b->secret = opt->secret;
	b->pool = opt->pool;
	b->ext_pool = opt->ext_pool;
	b->nr_lanes = opt->nr_lanes;
	b->lanes = aligned_alloc(RTE_CACHE_LINE_SIZE, lanes_bytes);
	if (!b->lanes) {
		free(b);
		return -ENOMEM;
	}
	memset(b->lanes, 0, lanes_bytes);
	for (uint16_t i = 0; i < b->nr_lanes && !err; i++)
		err = lane_init(b, i);
	if (err) {
		bridge_destroy(b);
		return err;
	}
	*out = b;
	return 0;
}

void bridge_destroy(struct bridge *b)
{
	if (!b)
		return;
	for (uint16_t i = 0; i < b->nr_lanes; i++)
		for (uint16_t k = 0; k < b->nr_lanes; k++)
			rte_ring_free(b->lanes[i].ways[k].ring);
	free(b->lanes);
	free(b);
}

/* What a part reads of its port for each packet lies in the part. */
static void part_init(struct bridge_part *part, struct bridge_port *p)
{
	part->port = p;
	part->is_some = p->nr_parts > 1 && p->lane_of;
	part->max_frame = p->max_frame;
	part->caps = p->caps;
	part->nr_out = 0;
	part->is_dirty = false;
}

int bridge_add_port(struct bridge *b, struct bridge_port *p)
{
	uint16_t at = 0;

	bridge_settle(b);
	while (at < b->nr_ports && b->ports[at])
		at++;
	if (at == BRIDGE_MAX_PORTS)
		return -ENOSPC;
	p->index = at;
	p->nr_addresses = 0;
	b->ports[at] = p;
	p->owner = p->parts[0]->lane;
	for (uint16_t i = 0; i < p->nr_parts; i++) {
		part_init(p->parts[i], p);
		b->lanes[p->parts[i]->lane].parts[at] = p->parts[i];
	}
	if (at == b->nr_ports)
		b->nr_ports++;
	return 0;
}

static void forget_addresses(struct bridge *b, const struct bridge_port *p)
{
	for (unsigned i = 0; i < BRIDGE_BUCKETS; i++)
		for (unsigned w = 0; w < BRIDGE_WAYS; w++)
			if (b->table[i][w].key >> 48 == p->index + 1u)
				b->table[i][w] = (struct bridge_entry){0};
}

void bridge_remove_port(struct bridge *b, struct bridge_port *p)
{
	bridge_settle(b); /* no index of it is left in a ring, or on a list of what is to be flushed */
	forget_addresses(b, p);
	b->ports[p->index] = NULL;
	for (uint16_t i = 0; i < p->nr_parts; i++)
		b->lanes[p->parts[i]->lane].parts[p->index] = NULL;
	while (b->nr_ports && !b->ports[b->nr_ports - 1])
		b->nr_ports--;
	p->index = BRIDGE_NO_PORT;
}

void bridge_settle(struct bridge *b)
{
	unsigned nr;

	/* An errand's end may be the beginning of a mirror's, and there it ends: no port is both. */
	do {
		nr = 0;
		for (uint16_t i = 0; i < b->nr_lanes; i++)
			lane_flush(&b->lanes[i]);
		for (uint16_t i = 0; i < b->nr_lanes; i++)
			nr += lane_receive(&b->lanes[i]);
	} while (nr);
}

void bridge_port_count(const struct bridge_port *p, struct bridge_port_stats *sum)
{
	*sum = (struct bridge_port_stats){0};
	for (uint16_t i = 0; i < p->nr_parts; i++) {
		const struct bridge_port_stats *s = &p->parts[i]->stats;

#define BRIDGE_PORT_COUNTER_SUM(name) sum->name += load_relaxed(&s->name);
		BRIDGE_PORT_COUNTERS(BRIDGE_PORT_COUNTER_SUM)
#undef BRIDGE_PORT_COUNTER_SUM
	}
}

void bridge_count(const struct bridge *b, struct bridge_lane_stats *sum)
{
	*sum = (struct bridge_lane_stats){0};
	for (uint16_t i = 0; i < b->nr_lanes; i++) {
		const struct bridge_lane_stats *s = &b->lanes[i].stats;

		sum->learned += load_relaxed(&s->learned);
		sum->moved += load_relaxed(&s->moved);
		sum->not_learned += load_relaxed(&s->not_learned);
		sum->flooded += load_relaxed(&s->flooded);
		sum->handed_over += load_relaxed(&s->handed_over);
		sum->drop_handed_over += load_relaxed(&s->drop_handed_over);
		sum->wakes += load_relaxed(&s->wakes);
	}
}
