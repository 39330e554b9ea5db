/*
 * tools/guest_replay.c - a capture off a disk into the network, and the network into a capture on a disk.
 */
#include "hv/clock.h"
#include "tools/guest.h"
#include "tools/guest_pcap.h"

#include <stdlib.h>
#include <time.h>

#define DEFAULT_RATE 2000u /* slow enough for any receiver; a ring of 256 slots is an eighth of a second deep */
#define BURST 32u
#define ROOM 65536u

static int disk_read(void *arg, uint64_t at, void *data, size_t len)
{
	return blkfront_read(arg, at / BLKIF_SECTOR_BYTES, len / BLKIF_SECTOR_BYTES, data);
}

static int disk_write(void *arg, uint64_t at, void *data, size_t len)
{
	return blkfront_write(arg, at / BLKIF_SECTOR_BYTES, len / BLKIF_SECTOR_BYTES, data);
}

static uint64_t disk_bytes(const struct blkfront *bf)
{
	return blkfront_get_disk(bf)->nr_sectors * BLKIF_SECTOR_BYTES;
}

/* Sends one frame, waiting for room. 0 or -ENODEV, -EINTR (asked to stop). */
static int send_frame(struct guest *g, struct netfront *nf, const struct netfront_packet *pkt)
{
	while (!netfront_tx_burst(nf, 0, pkt, 1)) {
		if (guest_must_stop(g))
			return -EINTR;
		if (netfront_wait(nf, false, XEN_NETIF_NR_SLOTS_MIN, 100) < 0)
			return -ENODEV;
	}
	return 0;
}

/* Sleeps until the time has come; events meanwhile wake nobody but the store's. */
static int pace(struct guest *g, uint64_t until)
{
	for (;;) {
		uint64_t now = clock_now_ns();

		if (guest_must_stop(g))
			return -EINTR;
		if (now >= until)
			return 0;
		if (until - now < 1000000) {
			struct timespec left = {.tv_nsec = (long)(until - now)};

			nanosleep(&left, NULL);
		} else if (frontbus_sleep(&g->bus, (int)((until - now) / 1000000)) < 0) {
			return -ENODEV;
		}
	}
}

/* Waits for all tx answers: then every frame has left the shared pages. */
static int wait_answers(struct guest *g, struct netfront *nf)
{
	while (netfront_tx_outstanding(nf)) {
		if (guest_must_stop(g))
			return -EINTR;
		if (netfront_wait(nf, false, NETFRONT_SLOTS, 100) < 0)
			return -ENODEV;
	}
	return 0;
}

static int send_all(struct guest *g, struct guest_pcap_reader *r, struct netfront *nf, uint64_t rate)
{
	static uint8_t frame[PCAP_MAX_PACKET];
	uint64_t start = clock_now_ns();
	uint32_t len;
	int rc;

	for (uint64_t n = 0; (rc = guest_pcap_next(r, frame, &len)) > 0; n++) {
		struct netfront_packet pkt = {.data = frame, .len = len};

		rc = rate ? pace(g, start + n * UINT64_C(1000000000) / rate) : 0;
		if (!rc)
			rc = send_frame(g, nf, &pkt);
		if (rc < 0)
			return rc;
	}
	return rc < 0 ? rc : wait_answers(g, nf);
}

static int say_send_result(struct guest *g, const char *disk, const struct netfront *nf,
			   const struct guest_pcap_reader *r, int rc)
{
	struct netfront_counters c;

	netfront_count(nf, &c);
	guest_figure(g, "net_sent_packets", (double)c.tx_packets, "packets");
	guest_figure(g, "net_sent_bytes", (double)c.tx_bytes, "bytes");
	if (c.tx_packets)
		guest_figure(g, "net_notifications_per_1000_packets",
			     1000.0 * (double)c.notify_sent / (double)c.tx_packets, "notifications");
	if (r->truncated)
		guest_say(g, "%llu packets were cut short when they were captured", (unsigned long long)r->truncated);
	if (rc == -EINTR)
		return guest_fail(g, "stopped by a request to shut down");
	if (rc == -EBADMSG)
		return guest_fail(g, "disk %s: the capture is damaged after %llu packets", disk,
				  (unsigned long long)c.tx_packets);
	if (rc < 0)
		return guest_fail(g, "sending stopped: %s", strerror(-rc));
	if (c.tx_drop_size)
		return guest_fail(g, "%llu packets do not fit the device (14 to %u bytes)",
				  (unsigned long long)c.tx_drop_size, nf->queue[0].ring.max_frame);
	if (c.tx_errors)
		return guest_fail(g, "the back end refused %llu slots", (unsigned long long)c.tx_errors);
	return 0;
}

static int open_capture(struct guest *g, struct guest_pcap_reader *r, struct blkfront *bf, const char *disk)
{
	int rc = guest_pcap_open(r, disk_read, bf, disk_bytes(bf));

	if (rc == -EINVAL)
		return guest_fail(g, "disk %s does not hold a pcap file", disk);
	if (rc == -EPROTONOSUPPORT)
		return guest_fail(g, "disk %s holds a capture of something else than Ethernet", disk);
	return rc < 0 ? guest_fail(g, "disk %s cannot be read: %s", disk, strerror(-rc)) : 0;
}

int guest_pcap_send(struct guest *g, int argc, char **argv)
{
	static struct guest_pcap_reader reader;
	uint64_t rate = DEFAULT_RATE;
	struct netfront *nf = NULL;
	struct blkfront *bf;
	int code = 1;

	if (!guest_take_number(g, &argc, argv, "--rate", 1000000000, &rate))
		return 1;
	if (argc < 1 || argc > 2)
		return guest_fail(g, "usage: pcap-send DISK [VIF] [--rate PACKETS-PER-SECOND]");
	bf = guest_open_disk(g, argv[0], 0);
	if (bf && !open_capture(g, &reader, bf, argv[0]))
		nf = guest_open_vif(g, argc > 1 ? argv[1] : "0", NULL);
	if (nf) {
		guest_say(g, "ready");
		code = say_send_result(g, argv[0], nf, &reader, send_all(g, &reader, nf, rate));
	}
	netfront_destroy(nf);
	blkfront_destroy(bf);
	return code;
}

static uint64_t wall_clock_ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_REALTIME, &ts);
	return (uint64_t)ts.tv_sec * UINT64_C(1000000000) + (uint64_t)ts.tv_nsec;
}

/* Receives count frames, or until none has come for so long; returns how many, or -errno. */
static int64_t receive_all(struct guest *g, struct netfront *nf, struct guest_pcap_writer *w, uint64_t count, uint64_t timeout_ns)
{
	struct netfront_packet pkts[BURST];
	uint8_t *room = malloc((size_t)BURST * ROOM);
	uint64_t last = clock_now_ns();
	int64_t got = 0;
	int rc = room ? 0 : -ENOMEM;

	while (!rc && (uint64_t)got < count && !guest_must_stop(g)) {
		unsigned want = count - (uint64_t)got < BURST ? (unsigned)(count - (uint64_t)got) : BURST;
		unsigned n;

		for (unsigned i = 0; i < want; i++)
			pkts[i] = (struct netfront_packet){.data = room + (size_t)i * ROOM, .len = ROOM};
		n = netfront_rx_burst(nf, 0, pkts, want);
		for (unsigned i = 0; !rc && i < n; i++, got++)
			rc = guest_pcap_append(w, wall_clock_ns(), pkts[i].data, pkts[i].len);
		if (n)
			last = clock_now_ns();
		else if (clock_now_ns() - last > timeout_ns)
			break;
		else if (netfront_wait(nf, true, 0, 100) < 0)
			rc = -ENODEV;
	}
	free(room);
	return rc < 0 ? rc : got;
}

static int receive_to_disk(struct guest *g, struct netfront *nf, struct blkfront *bf, uint64_t count, uint64_t timeout_s)
{
	static struct guest_pcap_writer w;
	int64_t got;
	int rc = guest_pcap_create(&w, disk_write, bf, disk_bytes(bf));

	if (rc < 0)
		return guest_fail(g, "the disk is too small for a capture");
	guest_say(g, "ready");
	got = receive_all(g, nf, &w, count, timeout_s * UINT64_C(1000000000));
	rc = guest_pcap_finish(&w);
	if (!rc)
		rc = blkfront_flush(bf);
	guest_figure(g, "net_received_packets", (double)nf->queue[0].ring.count->rx_packets, "packets");
	guest_figure(g, "pcap_bytes", (double)w.file_bytes, "bytes");
	if (got == -ENOSPC)
		return guest_fail(g, "the disk is full; give the domain a larger one");
	if (got < 0 || rc < 0)
		return guest_fail(g, "receiving stopped: %s", strerror((int)-(got < 0 ? got : rc)));
	if ((uint64_t)got < count)
		return guest_fail(g, "%llu of %llu packets came", (unsigned long long)got, (unsigned long long)count);
	return 0;
}

int guest_pcap_receive(struct guest *g, int argc, char **argv)
{
	uint64_t timeout_s = 60, count;
	struct netfront *nf = NULL;
	struct blkfront *bf;
	int code = 1;

	if (!guest_take_number(g, &argc, argv, "--timeout", 86400, &timeout_s))
		return 1;
	if (argc != 3)
		return guest_fail(g, "usage: pcap-receive VIF DISK COUNT [--timeout SECONDS]");
	if (!guest_number(g, "COUNT", argv[2], 1, INT64_MAX, &count))
		return 1;
	bf = guest_open_disk(g, argv[1], 0);
	if (bf && blkfront_get_disk(bf)->is_read_only)
		guest_fail(g, "disk %s is read-only; the capture needs a writable one", argv[1]);
	else if (bf)
		nf = guest_open_vif(g, argv[0], NULL);
	if (nf)
		code = receive_to_disk(g, nf, bf, count, timeout_s);
	netfront_destroy(nf);
	blkfront_destroy(bf);
	return code;
}
