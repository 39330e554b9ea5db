/*
 * tools/guest_net.c - figures of a vif: send as fast as it goes, count what comes, echo, round trips.
 *
 * The receiving ends first send one frame, so that a learning bridge knows where they are. Frames carry an Ethernet type for
 * local experiments; others are counted nowhere and answered by nobody.
 */
#include "hv/clock.h"
#include "hv/histogram.h"
#include "tools/guest.h"

#include <stdio.h>
#include <stdlib.h>

#define BURST 64u
#define FRAME_BYTES 65536u
#define START_TIMEOUT_MS 60000
#define MAX_RATE 1000000u

static const uint8_t broadcast[6] = {0xff, 0xff, 0xff, 0xff, 0xff, 0xff};

static void write_header(uint8_t *frame, const uint8_t to[6], const uint8_t from[6])
{
	memcpy(frame, to, 6);
	memcpy(frame + 6, from, 6);
	frame[12] = GUEST_ETHERTYPE >> 8;
	frame[13] = GUEST_ETHERTYPE & 0xff;
}

static bool is_ours(const uint8_t *frame)
{
	return frame[12] == GUEST_ETHERTYPE >> 8 && frame[13] == (GUEST_ETHERTYPE & 0xff);
}

/* One frame to everybody: the bridge learns this MAC. */
static void announce(struct netfront *nf)
{
	uint8_t frame[60] = {0};
	struct netfront_packet pkt = {.data = frame, .len = sizeof(frame)};

	write_header(frame, broadcast, nf->mac);
	netfront_tx_burst(nf, 0, &pkt, 1);
}

/* --busy-poll, which every command takes; else there are so many arguments. False: the sentence has been said. */
static bool take_options(struct guest *g, int *argc, char **argv, int nr_args, struct netfront_options *opt)
{
	uint64_t us = NETFRONT_BUSY_POLL_US;

	if (!guest_take_number(g, argc, argv, "--busy-poll", GUEST_MAX_BUSY_POLL_US, &us))
		return false;
	*opt = (struct netfront_options){.busy_poll_us = (unsigned)us};
	return *argc == nr_args || (guest_fail(g, "'%s' is not an option; see sluice-guest(8)", argv[*argc - 1]), false);
}

static double per_thousand(uint64_t part, uint64_t whole)
{
	return whole ? 1000.0 * (double)part / (double)whole : 0;
}

static void say_rate(struct guest *g, const char *what, uint64_t packets, uint64_t bytes, uint64_t ns)
{
	char name[64];
	double s = (double)ns / 1e9;

	snprintf(name, sizeof(name), "net_%s_packets", what);
	guest_figure(g, name, (double)packets, "packets");
	snprintf(name, sizeof(name), "net_%s_rate", what);
	guest_figure(g, name, ns ? (double)packets / s : 0, "packets/s");
	snprintf(name, sizeof(name), "net_%s_bandwidth", what);
	guest_figure(g, name, ns ? (double)bytes * 8 / s / 1e9 : 0, "Gbit/s");
}

static void say_notifications(struct guest *g, const struct netfront *nf, uint64_t packets)
{
	struct netfront_counters c;

	netfront_count(nf, &c);
	guest_figure(g, "net_notifications_per_1000_packets", per_thousand(c.notify_sent, packets), "notifications");
	guest_figure(g, "net_sleeps_per_1000_packets", per_thousand(g->bus.sleeps, packets), "sleeps");
}

/* How many may go now: as many as the rate is behind. When there is none, it sleeps until the next. */
static unsigned packets_due(uint64_t start, uint64_t now, uint64_t rate, uint64_t sent)
{
	uint64_t due = (now - start) * rate / 1000000000u + 1 - sent;

	if (due == 0) {
		struct timespec left = {.tv_nsec = (long)(start + sent * 1000000000u / rate - now + 1) % 1000000000};

		nanosleep(&left, NULL);
	}
	return due < BURST ? (unsigned)due : BURST;
}

/* Sends bursts until the time is up, rate 0: as fast as it goes; returns when the last was handed over, or 0: the device is gone. */
static uint64_t send_until(struct guest *g, struct netfront *nf, const struct netfront_packet pkts[], uint64_t until, uint64_t rate)
{
	uint64_t start = clock_now_ns(), sent = 0;

	for (uint64_t round = 0;; round++) {
		uint64_t now = clock_now_ns();
		unsigned due = rate ? packets_due(start, now, rate, sent) : BURST, taken;

		if (now >= until || (round % 1024 == 0 && guest_must_stop(g)))
			return now;
		if (!due)
			continue;
		taken = netfront_tx_burst(nf, 0, pkts, due);
		sent += taken;
		if (!taken && netfront_wait(nf, false, NETFRONT_SLOTS / 2, 100) < 0)
			return 0;
	}
}

/* Waits until the back end has answered every slot. */
static bool drain_tx(struct guest *g, struct netfront *nf)
{
	uint64_t until = clock_now_ns() + UINT64_C(5000000000);

	while (netfront_tx_outstanding(nf)) {
		if (clock_now_ns() > until || g->bus.is_stopping)
			return false;
		if (netfront_wait(nf, false, NETFRONT_SLOTS, 100) < 0)
			return false;
	}
	return true;
}

int guest_net_send(struct guest *g, int argc, char **argv)
{
	static uint8_t frame[FRAME_BYTES];
	struct netfront_packet pkts[BURST];
	uint64_t bytes, seconds, start, end, rate = 0;
	struct netfront_counters c;
	struct netfront_options opt;
	struct netfront *nf;
	uint8_t to[6];

	if (!guest_take_number(g, &argc, argv, "--rate", MAX_RATE, &rate) || !take_options(g, &argc, argv, 4, &opt))
		return 1;
	if (!guest_number(g, "BYTES", argv[1], NETFRONT_MIN_FRAME, NETFRONT_MAX_FRAME, &bytes) ||
	    !guest_number(g, "SECONDS", argv[2], 1, 3600, &seconds))
		return 1;
	if (netfront_parse_mac(argv[3], to) < 0)
		return guest_fail(g, "'%s' is not a MAC address; write it as 00:16:3e:00:00:01", argv[3]);
	nf = guest_open_vif(g, argv[0], &opt);
	if (!nf)
		return 1;
	if (bytes > netfront_max_frame(nf)) {
		guest_fail(g, "the back end takes frames of at most %u bytes", netfront_max_frame(nf));
		netfront_destroy(nf);
		return 1;
	}
	write_header(frame, to, nf->mac);
	for (unsigned i = 0; i < BURST; i++)
		pkts[i] = (struct netfront_packet){.data = frame, .len = (uint32_t)bytes};
	guest_say(g, "ready");
	start = clock_now_ns();
	end = send_until(g, nf, pkts, start + seconds * UINT64_C(1000000000), rate);
	if (end && !drain_tx(g, nf))
		guest_say(g, "the back end has not answered all frames");
	netfront_count(nf, &c);
	say_rate(g, "sent", c.tx_packets, c.tx_bytes, end ? end - start : 0);
	say_notifications(g, nf, c.tx_packets);
	guest_figure(g, "net_tx_errors", (double)c.tx_errors, "slots");
	netfront_destroy(nf);
	return end ? 0 : guest_fail(g, "vif %s: the back end went away", argv[0]);
}

/* Buffers for a burst of the largest frames. */
static uint8_t *alloc_buffers(struct guest *g, struct netfront_packet pkts[BURST])
{
	uint8_t *buffers = malloc((size_t)BURST * FRAME_BYTES);

	if (!buffers)
		guest_fail(g, "no memory for a burst of frames");
	for (unsigned i = 0; buffers && i < BURST; i++)
		pkts[i].data = buffers + (size_t)i * FRAME_BYTES;
	return buffers;
}

/* One burst, sleeping while there is nothing; 0: time is up or nothing came for timeout_ms; -ENODEV. */
static int receive(struct netfront *nf, struct netfront_packet pkts[BURST], int timeout_ms)
{
	for (;;) {
		unsigned n;
		int rc;

		for (unsigned i = 0; i < BURST; i++)
			pkts[i].len = FRAME_BYTES;
		n = netfront_rx_burst(nf, 0, pkts, BURST);
		if (n)
			return (int)n;
		rc = netfront_wait(nf, true, 0, timeout_ms);
		if (rc <= 0)
			return rc;
	}
}

struct tally {
	uint64_t packets, bytes, first_ns, last_ns;
};

static void count_burst(struct tally *t, const struct netfront_packet pkts[], unsigned n)
{
	t->last_ns = clock_now_ns();
	for (unsigned i = 0; i < n; i++) {
		if (!is_ours(pkts[i].data))
			continue;
		if (!t->packets)
			t->first_ns = t->last_ns;
		t->packets++;
		t->bytes += pkts[i].len;
	}
}

/* Receives for so long, from the first frame on. */
static int receive_for(struct guest *g, struct netfront *nf, uint64_t ns, struct tally *t)
{
	uint64_t begun = clock_now_ns();
	struct netfront_packet pkts[BURST];
	uint8_t *buffers = alloc_buffers(g, pkts);
	int rc = buffers ? 0 : -ENOMEM;

	for (uint64_t round = 0; rc >= 0; round++) {
		uint64_t now = clock_now_ns();

		if (t->packets ? now - t->first_ns >= ns : now - begun >= START_TIMEOUT_MS * UINT64_C(1000000))
			break;
		if (round % 1024 == 0 && guest_must_stop(g))
			break;
		rc = receive(nf, pkts, 50);
		if (rc > 0)
			count_burst(t, pkts, (unsigned)rc);
	}
	free(buffers);
	return rc < 0 ? rc : 0;
}

int guest_net_receive(struct guest *g, int argc, char **argv)
{
	struct tally t = {0};
	struct netfront_options opt;
	struct netfront *nf;
	uint64_t seconds;
	int rc;

	if (!take_options(g, &argc, argv, 2, &opt) || !guest_number(g, "SECONDS", argv[1], 1, 3600, &seconds))
		return 1;
	nf = guest_open_vif(g, argv[0], &opt);
	if (!nf)
		return 1;
	announce(nf);
	guest_say(g, "ready");
	rc = receive_for(g, nf, seconds * UINT64_C(1000000000), &t);
	say_rate(g, "received", t.packets, t.bytes, t.last_ns - t.first_ns);
	say_notifications(g, nf, t.packets);
	netfront_destroy(nf);
	if (rc < 0)
		return guest_fail(g, "vif %s: the back end went away", argv[0]);
	return t.packets ? 0 : guest_fail(g, "vif %s: no frame came", argv[0]);
}

int guest_net_echo(struct guest *g, int argc, char **argv)
{
	struct netfront_packet pkts[BURST];
	uint64_t seconds, until, echoed = 0;
	struct netfront_options opt;
	struct netfront *nf;
	uint8_t *buffers;
	int rc = 0;

	if (!take_options(g, &argc, argv, 2, &opt) || !guest_number(g, "SECONDS", argv[1], 1, 3600, &seconds))
		return 1;
	nf = guest_open_vif(g, argv[0], &opt);
	if (!nf)
		return 1;
	buffers = alloc_buffers(g, pkts);
	announce(nf);
	guest_say(g, "ready");
	until = clock_now_ns() + seconds * UINT64_C(1000000000);
	while (buffers && rc >= 0 && clock_now_ns() < until && !guest_must_stop(g)) {
		rc = receive(nf, pkts, 50);
		for (int i = 0; i < rc; i++) {
			uint8_t *frame = pkts[i].data;

			if (!is_ours(frame) || memcmp(frame, nf->mac, 6))
				continue;
			write_header(frame, frame + 6, nf->mac);
			echoed += netfront_tx_burst(nf, 0, &pkts[i], 1);
		}
	}
	free(buffers);
	guest_figure(g, "net_echoed_packets", (double)echoed, "packets");
	netfront_destroy(nf);
	return rc < 0 ? guest_fail(g, "vif %s: the back end went away", argv[0]) : 0;
}

/* Sends frame number n and waits for its echo: the time it took, 0: lost, or -ENODEV. */
static int64_t one_round_trip(struct netfront *nf, uint8_t *frame, struct netfront_packet pkts[BURST], uint64_t n)
{
	struct netfront_packet pkt = {.data = frame, .len = 64};
	uint64_t start = clock_now_ns();

	memcpy(frame + 14, &n, sizeof(n));
	if (!netfront_tx_burst(nf, 0, &pkt, 1))
		return 0;
	while (clock_now_ns() - start < UINT64_C(1000000000)) {
		int got = receive(nf, pkts, 100);

		if (got < 0)
			return got;
		for (int i = 0; i < got; i++)
			if (is_ours(pkts[i].data) && !memcmp((uint8_t *)pkts[i].data + 14, &n, sizeof(n)) &&
			    !memcmp(pkts[i].data, nf->mac, 6))
				return (int64_t)(clock_now_ns() - start);
	}
	return 0;
}

int guest_net_ping(struct guest *g, int argc, char **argv)
{
	static struct histogram h;
	struct netfront_packet pkts[BURST];
	uint64_t count, lost = 0;
	uint8_t frame[64] = {0};
	struct netfront_options opt;
	struct netfront *nf;
	int64_t rc = 0;
	uint8_t *buffers, to[6];

	if (!take_options(g, &argc, argv, 3, &opt) || !guest_number(g, "COUNT", argv[1], 1, 100000000, &count))
		return 1;
	if (netfront_parse_mac(argv[2], to) < 0)
		return guest_fail(g, "'%s' is not a MAC address; write it as 00:16:3e:00:00:01", argv[2]);
	nf = guest_open_vif(g, argv[0], &opt);
	if (!nf)
		return 1;
	buffers = alloc_buffers(g, pkts);
	write_header(frame, to, nf->mac);
	for (uint64_t n = 1; buffers && rc >= 0 && n <= count && !guest_must_stop(g); n++) {
		rc = one_round_trip(nf, frame, pkts, n);
		if (rc > 0)
			histogram_add(&h, (uint64_t)rc);
		else
			lost++;
	}
	free(buffers);
	netfront_destroy(nf);
	guest_figure(g, "net_ping_answered", (double)h.nr, "packets");
	guest_figure(g, "net_ping_lost", (double)lost, "packets");
	guest_figure(g, "net_ping_p50", (double)histogram_permille(&h, 500) / 1000, "us");
	guest_figure(g, "net_ping_p99", (double)histogram_permille(&h, 990) / 1000, "us");
	if (rc < 0)
		return guest_fail(g, "vif %s: the back end went away", argv[0]);
	return h.nr ? 0 : guest_fail(g, "no answer from %s", argv[2]);
}
