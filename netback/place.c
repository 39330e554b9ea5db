/*
 * netback/place.c - reads pins, asks the workers for lanes.
 *
 * Trusts   the toolstack's node as little as an option: a person writes it. What makes no sense is said in the log, and the vif placed
 *          as if there were nothing.
 */
#include "netback/place.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "hv/log.h"

/* -EINVAL: no list; -ENOENT: *cpu has no worker. */
static int lanes_of(const struct netback *nb, const char *text, uint16_t lanes[LCORES_MAX], unsigned *nr, int *cpu)
{
	struct lcores l;
	int err = lcores_parse(text, &l);

	if (err)
		return -EINVAL;
	for (unsigned i = 0; i < l.nr; i++) {
		int lane = workers_lane_of_cpu(nb->workers, l.cpu[i]);

		*cpu = l.cpu[i];
		if (lane < 0)
			return -ENOENT;
		lanes[i] = (uint16_t)lane;
	}
	*nr = l.nr;
	return 0;
}

static const char *option_for(const struct netback *nb, const char *name)
{
	size_t len = strlen(name);

	for (unsigned i = 0; i < nb->opt.nr_pins; i++)
		if (!strncmp(nb->opt.pins[i], name, len) && nb->opt.pins[i][len] == '=')
			return nb->opt.pins[i] + len + 1;
	return NULL;
}

int place_check(const struct netback *nb, char *why)
{
	for (unsigned i = 0; i < nb->opt.nr_pins; i++) {
		const char *pin = nb->opt.pins[i], *list = strchr(pin, '=');
		uint16_t lanes[LCORES_MAX];
		unsigned nr;
		int cpu = -1, err = list && list != pin ? lanes_of(nb, list + 1, lanes, &nr, &cpu) : -EINVAL;

		if (!err)
			continue;
		if (err == -ENOENT)
			snprintf(why, NETBACK_WHY_BYTES, "--pin %s: no packet thread runs on processor %d; name it in --lcores", pin, cpu);
		else
			snprintf(why, NETBACK_WHY_BYTES, "--pin %s is not a name and processors, as in vif1.0=2,3", pin);
		return -EINVAL;
	}
	return 0;
}

unsigned place_pins(const struct netback *nb, const char *name, uint16_t lanes[LCORES_MAX])
{
	const char *list = option_for(nb, name);
	unsigned nr = 0;
	int cpu;

	return list && !lanes_of(nb, list, lanes, &nr, &cpu) ? nr : 0;
}

void place_vif(const struct netback *nb, const char *name, const char *key, uint16_t lanes[], unsigned nr)
{
	uint16_t pins[LCORES_MAX];
	unsigned nr_pins = 0;
	int cpu = -1, err = key ? lanes_of(nb, key, pins, &nr_pins, &cpu) : 0;

	if (err == -ENOENT)
		log_warn("%s: its lcores are %.40s, but no packet thread runs on processor %d (sluice-netback --lcores): ignored", name,
			 key, cpu);
	else if (err)
		log_warn("%s: its lcores are '%.40s', not processors as in 2,3: ignored", name, key);
	if (!nr_pins)
		nr_pins = place_pins(nb, name, pins);
	workers_spread(nb->workers, pins, nr_pins, lanes, nr);
}
