/*
 * tools/guest_multicast.c - tries the filter for multicast frames that a back end has for a vif.
 *
 *      net-multicast VIF GROUP-MAC SECONDS
 *
 * Somebody else sends, all the while, frames to the group and frames to this vif's own address. Those to the group must stay away while
 * it is not listed, come when it is, stay away when it has been taken off, and come when there is no filter any more. "Stay away" is a
 * count of the others that came meanwhile, and so needs no clock.
 */
#include "frontends/netfront_mcast.h"
#include "hv/clock.h"
#include "tools/guest.h"

#include <stdio.h>

#define FRAMES 20u /* in a row, to say that these come and those do not */
#define BURST 16u
#define BUFFER_BYTES 2048u

struct listener {
	struct guest *g;
	struct netfront *nf;
	uint8_t group[6];
	struct netfront_mcast wanted, listed;
	uint64_t step_ns; /* how long a step may take */
};

static const struct step {
	const char *state;
	bool is_filter, is_wanted, is_heard;
} steps[] = {
	{"not listed", true, false, false},
	{"listed", true, true, true},
	{"taken off the list", true, false, false},
	{"not filtered", false, false, true},
};

/* The list as it is wanted, once the ring has room for the changes. */
static int change_list(struct listener *l)
{
	int rc;

	while ((rc = netfront_mcast_change(l->nf, &l->listed, &l->wanted)) == -EAGAIN) {
		rc = netfront_wait(l->nf, false, NETFRONT_SLOTS / 2, 100);
		if (rc < 0 || guest_must_stop(l->g))
			return -ENODEV;
	}
	return rc;
}

/* Waits until FRAMES frames to the group came, or FRAMES others without one of the group. 0: so it is; 1: time is up; or -errno. */
static int listen_until(struct listener *l, bool is_heard)
{
	static uint8_t buffer[BURST][BUFFER_BYTES];
	struct netfront_packet pkts[BURST];
	uint64_t until = clock_now_ns() + l->step_ns;
	unsigned of_group = 0, others = 0;

	while ((is_heard ? of_group : others) < FRAMES) {
		unsigned n;

		for (unsigned i = 0; i < BURST; i++)
			pkts[i] = (struct netfront_packet){.data = buffer[i], .len = BUFFER_BYTES};
		n = netfront_rx_burst(l->nf, 0, pkts, BURST);
		for (unsigned i = 0; i < n; i++) {
			bool is_of_group = !memcmp(buffer[i], l->group, 6);

			of_group += is_of_group;
			others = is_of_group ? 0 : others + !memcmp(buffer[i], l->nf->mac, 6);
		}
		if (clock_now_ns() > until || guest_must_stop(l->g))
			return 1;
		if (!n && netfront_wait(l->nf, true, 0, 50) < 0)
			return -ENODEV;
	}
	return 0;
}

static int take_step(struct listener *l, const struct step *s)
{
	int rc;

	l->wanted.nr = s->is_wanted;
	rc = change_list(l);
	if (!rc)
		rc = netfront_mcast_filter(l->nf, s->is_filter);
	if (!rc)
		rc = listen_until(l, s->is_heard);
	if (rc == -EOPNOTSUPP)
		return guest_fail(l->g, "the back end keeps no list of multicast addresses that may change while it is connected");
	if (rc < 0)
		return guest_fail(l->g, "the back end went away");
	if (rc > 0)
		return guest_fail(l->g, "%s: too few frames came %s", s->state,
				  s->is_heard ? "to the group" : "to this vif without any to the group in between");
	guest_say(l->g, "%s: frames to the group %s", s->state, s->is_heard ? "come" : "stay away");
	return 0;
}

int guest_net_multicast(struct guest *g, int argc, char **argv)
{
	struct netfront_options options = {.accepts = NETFRONT_MCAST};
	struct listener l = {.g = g};
	struct netfront_counters c;
	uint64_t seconds;
	int code = 0;

	(void)argc;
	if (netfront_parse_mac(argv[1], l.group) < 0 || !(l.group[0] & 1))
		return guest_fail(g, "'%s' is not a multicast address; write it as 01:00:5e:00:00:01", argv[1]);
	if (!guest_number(g, "SECONDS", argv[2], 1, 3600, &seconds))
		return 1;
	l.step_ns = seconds * UINT64_C(1000000000);
	memcpy(l.wanted.addr[0], l.group, 6);
	l.nf = guest_open_vif(g, argv[0], &options);
	if (!l.nf)
		return 1;
	guest_say(g, "ready");
	for (unsigned i = 0; !code && i < sizeof(steps) / sizeof(steps[0]); i++)
		code = take_step(&l, &steps[i]);
	netfront_count(l.nf, &c);
	if (!code && c.tx_errors)
		code = guest_fail(g, "the back end refused a change of its list");
	netfront_destroy(l.nf);
	return code;
}
