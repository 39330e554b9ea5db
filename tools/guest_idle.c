/*
 * tools/guest_idle.c - a guest with connected devices and no work: frames that come are dropped, sleep is for ever.
 *
 * It stays when a device goes away: only the toolstack ends it.
 */
#include "tools/guest.h"

#define BURST 16u
#define ROOM 2048u

struct devices {
	struct netfront *nf[GUEST_MAX_DEVICES];
	struct blkfront *bf[GUEST_MAX_DEVICES];
	unsigned nr;
};

static bool open_all(struct guest *g, struct devices *d, int argc, char **argv)
{
	for (int i = 0; i < argc; i++, d->nr++) {
		if (argv[i][0] >= '0' && argv[i][0] <= '9')
			d->nf[i] = guest_open_vif(g, argv[i], NULL);
		else
			d->bf[i] = guest_open_disk(g, argv[i], 0);
		if (!d->nf[i] && !d->bf[i])
			return false;
	}
	return true;
}

/* Drops what has come on every vif; true: there may be more, sleep would be wrong. */
static bool drop_frames(struct devices *d)
{
	static uint8_t room[BURST][ROOM];
	struct netfront_packet pkts[BURST];
	bool has_more = false;

	for (unsigned i = 0; i < d->nr; i++) {
		if (!d->nf[i])
			continue;
		for (unsigned k = 0; k < BURST; k++)
			pkts[k] = (struct netfront_packet){.data = room[k], .len = ROOM};
		has_more |= netfront_rx_burst(d->nf[i], 0, pkts, BURST) == BURST;
		if (netfront_check(d->nf[i]) == 0)
			has_more |= netfront_arm(d->nf[i], true, 0);
	}
	return has_more;
}

int guest_idle(struct guest *g, int argc, char **argv)
{
	struct devices d = {0};
	bool ok = open_all(g, &d, argc, argv);

	if (ok)
		guest_say(g, "ready");
	while (ok && !guest_must_stop(g))
		if (!drop_frames(&d))
			frontbus_sleep(&g->bus, -1);
	for (unsigned i = 0; i < GUEST_MAX_DEVICES; i++) {
		netfront_destroy(d.nf[i]);
		blkfront_destroy(d.bf[i]);
	}
	return !ok;
}
