/*
 * netback/stats.c - prints counters, a `name value` line each.
 *
 *      vif3.0.tx_packets 17       a vif's own counters (vif_stats.h), then its port's on the bridge
 *      vif3.0.q1.tx_packets 9     of which one queue's, when there are several
 *      net_pcap0.out_packets 17   a physical port
 *      total.notify_sent 3        sum over all vifs, those that are gone included
 *
 * Runs in  the control thread; the counters are the worker's, read relaxed.
 */
#include <inttypes.h>

#include "netback/netback_priv.h"
#include "netback/vif_stats.h"

static void print_port(FILE *out, const char *name, const struct bridge_port *p)
{
	struct bridge_port_stats s;

	bridge_port_count(p, &s);
#define BRIDGE_PORT_COUNTER_PRINT(counter) fprintf(out, "%s." #counter " %" PRIu64 "\n", name, s.counter);
	BRIDGE_PORT_COUNTERS(BRIDGE_PORT_COUNTER_PRINT)
#undef BRIDGE_PORT_COUNTER_PRINT
}

static void print_tap(FILE *out, const struct tap *t)
{
	struct tap_stats sum = {0};

	for (unsigned i = 0; i < t->nr_queues; i++) {
		sum.drop_offload += load_relaxed(&t->queue[i].stats.drop_offload);
		sum.drop_no_mbuf += load_relaxed(&t->queue[i].stats.drop_no_mbuf);
		sum.drop_refused += load_relaxed(&t->queue[i].stats.drop_refused);
	}
	fprintf(out, "%s.drop_offload %" PRIu64 "\n", t->name, sum.drop_offload);
	fprintf(out, "%s.drop_no_buffer %" PRIu64 "\n", t->name, sum.drop_no_mbuf);
	fprintf(out, "%s.drop_refused %" PRIu64 "\n", t->name, sum.drop_refused);
}

static void print_netback_port(FILE *out, const struct netback_port *np)
{
	print_port(out, netback_port_name(np), np->bridge_port);
	if (np->tap)
		print_tap(out, np->tap);
}

static void print_device(FILE *out, const struct device *d)
{
	struct vif_stats sum = {0};
	char name[sizeof(d->vif.name) + 8];

	vif_stats_sum(&sum, &d->vif);
	counters_print(out, d->vif.name, &vif_stats_layout, &sum);
	for (unsigned i = 0; i < d->vif.nr_queues && d->vif.nr_queues > 1; i++) {
		snprintf(name, sizeof(name), "%s.q%u", d->vif.name, i);
		counters_print(out, name, &vif_stats_layout, &d->vif.stats[i]);
	}
	if (d->vif.nr_queues)
		print_port(out, d->vif.name, &d->bridge_port);
}

void netback_print_stats(const struct netback *nb, FILE *out)
{
	struct bridge_lane_stats b;
	struct vif_stats total = nb->gone;
	const struct device *d;
	unsigned nr = 0;

	bridge_count(workers_bridge(nb->workers), &b);
	TAILQ_FOREACH(d, &nb->devices, all) {
		print_device(out, d);
		vif_stats_sum(&total, &d->vif);
		nr++;
	}
	for (unsigned i = 0; i < nb->nr_ports; i++)
		print_netback_port(out, &nb->ports[i]);
	counters_print(out, "total", &vif_stats_counts, &total);
	fprintf(out, "bridge.vifs %u\n", nr);
	fprintf(out, "bridge.ports %u\n", nb->nr_ports);
	fprintf(out, "bridge.learned %" PRIu64 "\n", b.learned);
	fprintf(out, "bridge.moved %" PRIu64 "\n", b.moved);
	fprintf(out, "bridge.not_learned %" PRIu64 "\n", b.not_learned);
	fprintf(out, "bridge.flooded %" PRIu64 "\n", b.flooded);
	fprintf(out, "worker.sleeps %" PRIu64 "\n", workers_sleeps(nb->workers));
	fprintf(out, "worker.handed_over %" PRIu64 "\n", b.handed_over);
	fprintf(out, "worker.drop_handed_over %" PRIu64 "\n", b.drop_handed_over);
	fprintf(out, "worker.wakes %" PRIu64 "\n", b.wakes);
}
