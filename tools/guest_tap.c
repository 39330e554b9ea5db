/*
 * tools/guest_tap.c - a TAP over a netfront: what runs in its namespace has the guest's network.
 *
 *      namespace --frame + virtio_net_hdr--> TAP --readv into tx pages--> netfront
 *      namespace <--frame + virtio_net_hdr-- TAP <--writev from rx pages-- netfront
 *
 * The kernel copies each frame once, straight from or into the pages that are shared; large TCP frames and blank checksums
 * cross in one piece where the back end takes them. Only the headers of a received frame are copied here, to be read.
 */
#include <errno.h>
#include <linux/if_tun.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "frontends/netfront_offload.h"
#include "tools/guest.h"
#include "tools/guest_tap_dev.h"

#define BURST 64u
#define BURST_BYTES (256u << 10) /* a quarter of the ring: then the other end begins, while we go on */
#define MAX_ADDRESSES 8u
#define HEADERS 18u /* Ethernet with a VLAN tag */

struct tap_options {
	const char *vif;
	const char *name;
	const char *address[MAX_ADDRESSES];
	unsigned nr_addresses;
	const char *gateway;
	uint64_t mtu; /* 0: the vif's */
	bool is_plain; /* no offloads */
	bool has_hash; /* the back end is asked to spread received frames by a hash */
	struct netfront_options front;
	char **command; /* NULL: none */
};

struct tap {
	struct guest *g;
	struct netfront *nf;
	struct tap_dev dev;
	unsigned nr_queues; /* of the device, as of the first back end */
	uint32_t tx_can;
	uint32_t reserve_bytes; /* the longest frame that can come from the TAP */
	bool is_full[TAP_MAX_QUEUES]; /* no room in the ring: the TAP's own queue has to wait */
	bool has_carrier;
	pid_t child; /* 0: none */
	int child_fd; /* readable when it has ended */
	struct busy_poll wait;
	uint64_t dropped; /* frames that one side gave and the other did not take */
	struct iovec piece[NETFRONT_MAX_CHAIN + 2];
	uint8_t head[NETFRONT_HEAD_BYTES];
};

/* None while there is no back end. */
static unsigned live_queues(const struct tap *t)
{
	return t->nf->is_connected ? t->nr_queues : 0;
}

/* ---- frames --------------------------------------------------------------------------------------------------------------- */

/* One frame from the TAP; false: there is none, or no room. */
static bool tap_receive(struct tap *t, unsigned q)
{
	struct netfront_ring *r = &t->nf->queue[q].ring;
	struct virtio_net_hdr hdr;
	struct netfront_meta meta;
	unsigned n = netfront_ring_reserve(r, &t->piece[1], t->reserve_bytes);
	ssize_t got;

	t->is_full[q] = n == 0;
	if (!n)
		return false;
	t->piece[0] = (struct iovec){&hdr, sizeof(hdr)};
	got = readv(t->dev.fd[q], t->piece, (int)n + 1);
	if (got < (ssize_t)(sizeof(hdr) + NETFRONT_MIN_FRAME)) {
		t->dropped += got >= 0 || errno == EFAULT; /* too short, or longer than the pages */
		return got >= 0 || errno == EFAULT;
	}
	got -= sizeof(hdr);
	if (netfront_from_virtio(&hdr, &t->piece[1], (uint32_t)got, t->nf->tx_can, &meta))
		t->dropped++;
	else
		netfront_ring_put_reserved(r, (uint32_t)got, &meta);
	return true;
}

static unsigned tap_to_ring(struct tap *t, unsigned q)
{
	struct netfront_queue *queue = &t->nf->queue[q];
	uint64_t until = queue->ring.count->tx_bytes + BURST_BYTES;
	unsigned n = 0;

	netfront_ring_reclaim(&queue->ring);
	while (n < BURST && queue->ring.count->tx_bytes < until && tap_receive(t, q))
		n++;
	if (netfront_ring_push(&queue->ring))
		hv_notify(queue->hv, queue->tx_port);
	return n;
}

static void tap_send(struct tap *t, unsigned q, const struct netfront_frame *f)
{
	struct netfront_ring *r = &t->nf->queue[q].ring;
	uint32_t head = f->bytes < NETFRONT_HEAD_BYTES ? f->bytes : NETFRONT_HEAD_BYTES;
	struct virtio_net_hdr hdr;
	unsigned n;

	netfront_ring_copy(r, t->head, head);
	if (netfront_to_virtio(&f->meta, t->head, head, f->bytes, &hdr)) {
		t->dropped++;
		return;
	}
	t->piece[0] = (struct iovec){&hdr, sizeof(hdr)};
	t->piece[1] = (struct iovec){t->head, head};
	n = netfront_ring_pieces(r, head, &t->piece[2]);
	if (writev(t->dev.fd[q], t->piece, (int)n + 2) < 0)
		t->dropped++;
}

static unsigned ring_to_tap(struct tap *t, unsigned q)
{
	struct netfront_queue *queue = &t->nf->queue[q];
	uint64_t until = queue->ring.count->rx_bytes + BURST_BYTES;
	const struct netfront_frame *f;
	unsigned n;

	for (n = 0; n < BURST && queue->ring.count->rx_bytes < until && (f = netfront_ring_next(&queue->ring)); n++) {
		tap_send(t, q, f);
		netfront_ring_done(&queue->ring);
	}
	netfront_ring_count_rx(&queue->ring, n);
	if (netfront_ring_post(&queue->ring))
		hv_notify(queue->hv, queue->rx_port);
	return n;
}

/* ---- sleep ---------------------------------------------------------------------------------------------------------------- */

/* True: there is work already. */
static bool arm(struct tap *t)
{
	bool has_work = netfront_ctrl_arm(&t->nf->ctrl);

	for (unsigned q = 0; q < live_queues(t); q++) {
		struct netfront_ring *r = &t->nf->queue[q].ring;

		has_work |= netfront_ring_arm_rx(r);
		if (t->is_full[q])
			has_work |= netfront_ring_arm_tx(r, 2 * NETFRONT_MAX_CHAIN);
	}
	return has_work;
}

/* Sleeps until a frame, an answer, the store or the command has something to say. */
static int sleep_for_work(struct tap *t)
{
	struct frontbus *bus = &t->g->bus;
	struct pollfd p[3 + TAP_MAX_QUEUES] = {{.fd = store_client_fd(bus->store), .events = POLLIN},
					       {.fd = hv_lost_fd(bus->hv), .events = POLLIN},
					       {.fd = t->child ? t->child_fd : -1, .events = POLLIN}};

	if (bus->has_more || arm(t))
		return 1;
	for (unsigned q = 0; q < live_queues(t); q++)
		p[3 + q] = (struct pollfd){.fd = t->is_full[q] ? -1 : t->dev.fd[q], .events = POLLIN};
	poll(p, 3 + live_queues(t), -1);
	return frontbus_sleep(bus, 0); /* takes what has come */
}

/* ---- the command ---------------------------------------------------------------------------------------------------------- */

static int start_command(struct tap *t, char **command)
{
	t->child = fork();
	if (t->child == 0) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		execvp(command[0], command);
		dprintf(2, "sluice-guest: '%s' cannot be started: %s\n", command[0], strerror(errno));
		_exit(127);
	}
	if (t->child < 0) {
		t->child = 0;
		return -errno;
	}
	t->child_fd = (int)syscall(SYS_pidfd_open, t->child, 0);
	return t->child_fd < 0 ? -errno : 0;
}

/* Has it ended? Then its exit code in *code. */
static bool command_has_ended(struct tap *t, int *code)
{
	int status;

	if (!t->child || waitpid(t->child, &status, WNOHANG) != t->child)
		return false;
	t->child = 0;
	*code = WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
	return true;
}

static void end_command(struct tap *t)
{
	if (t->child) {
		kill(t->child, SIGTERM);
		waitpid(t->child, NULL, 0);
	}
	if (t->child_fd >= 0)
		close(t->child_fd);
}

/* ---- the whole ------------------------------------------------------------------------------------------------------------ */

/* The device was made for the first back end. One that came later must not do less. */
static bool is_as_able(const struct tap *t)
{
	const struct netfront *nf = t->nf;

	return !nf->is_connected || (nf->nr_queues == t->nr_queues && (nf->tx_can & t->tx_can) == t->tx_can);
}

/* Without a back end there is no cable. */
static void follow_carrier(struct tap *t)
{
	bool has_carrier = t->nf->is_connected && t->nf->has_carrier;

	if (t->has_carrier == has_carrier)
		return;
	t->has_carrier = has_carrier;
	tap_dev_set_carrier(&t->dev, t->has_carrier);
	guest_say(t->g, "the cable of the vif is %s", t->has_carrier ? "in" : "out");
}

/* Until the command ends, the guest is shut down, or the back end goes. The exit code. */
static int run(struct tap *t, const char *vif)
{
	int code = 0;

	for (uint64_t round = 0;; round++) {
		unsigned n = 0;

		for (unsigned q = 0; q < live_queues(t); q++)
			n += tap_to_ring(t, q) + ring_to_tap(t, q);
		if (n)
			busy_poll_found(&t->wait);
		if (n ? round % 256 : busy_poll_looks_again(&t->wait, clock_now_ns()))
			continue;
		if (command_has_ended(t, &code) || guest_must_stop(t->g))
			return code;
		if (netfront_check(t->nf) < 0 || netfront_is_over(t->nf))
			return guest_fail(t->g, "vif %s: the back end went away", vif);
		if (!is_as_able(t))
			return guest_fail(t->g, "vif %s: the back end that came is less able than the one before; start again", vif);
		follow_carrier(t);
		if (!n && sleep_for_work(t) < 0)
			return guest_fail(t->g, "vif %s: the hypervisor went away", vif);
	}
}

static unsigned tun_offloads(uint32_t can)
{
	unsigned f = 0;

	if (can & (NETFRONT_CSUM4 | NETFRONT_CSUM6))
		f |= TUN_F_CSUM;
	if (can & NETFRONT_GSO4)
		f |= TUN_F_TSO4;
	if (can & NETFRONT_GSO6)
		f |= TUN_F_TSO6;
	return f;
}

static int open_device(struct tap *t, const struct tap_options *o)
{
	unsigned mtu = o->mtu ? (unsigned)o->mtu : t->nf->mtu, most = netfront_max_frame(t->nf) - HEADERS;
	unsigned offloads = o->is_plain ? 0 : tun_offloads(t->nf->tx_can);
	int rc;

	if (mtu > most)
		return guest_fail(t->g, "an MTU of %u does not fit the back end's frames; use at most %u", mtu, most);
	t->reserve_bytes = offloads & (TUN_F_TSO4 | TUN_F_TSO6) ? NETFRONT_MAX_FRAME : mtu + HEADERS;
	rc = tap_dev_open(&t->dev, o->name, t->nf->nr_queues, offloads);
	if (rc == -EPERM || rc == -EACCES)
		return guest_fail(t->g, "%s needs root (CAP_NET_ADMIN and CAP_SYS_ADMIN)", t->dev.what);
	if (rc == -ENOENT)
		return guest_fail(t->g, "there is no /dev/net/tun; tap works in an attached guest, on a kernel with the tun module");
	if (!rc)
		rc = tap_dev_set_mac(&t->dev, t->nf->mac);
	if (!rc)
		rc = tap_dev_set_mtu(&t->dev, mtu);
	if (!rc)
		rc = tap_dev_up(&t->dev);
	for (unsigned i = 0; !rc && i < o->nr_addresses; i++) {
		rc = tap_dev_add_address(&t->dev, o->address[i]);
		if (rc == -EINVAL)
			return guest_fail(t->g, "'%s' is not an address with a prefix; write it as 10.0.0.1/24 or fd00::1/64",
					  o->address[i]);
	}
	if (!rc && o->gateway)
		rc = tap_dev_add_gateway(&t->dev, o->gateway);
	return rc ? guest_fail(t->g, "%s failed: %s", t->dev.what, strerror(-rc)) : 0;
}

static void say_connected(struct tap *t)
{
	uint32_t both[] = {t->nf->tx_can, t->nf->rx_can};

	for (unsigned i = 0; i < 2; i++)
		guest_say(t->g, "%s:%s%s%s%s%s", i ? "takes" : "sends", both[i] & NETFRONT_SG ? " scatter-gather" : "",
			  both[i] & NETFRONT_CSUM4 ? " csum4" : "", both[i] & NETFRONT_CSUM6 ? " csum6" : "",
			  both[i] & NETFRONT_GSO4 ? " gso4" : "", both[i] & NETFRONT_GSO6 ? " gso6" : "");
	guest_say(t->g, "ready: %u queues of %u slots; nsenter --net=/proc/%d/ns/net COMMAND runs in the namespace",
		  t->nf->nr_queues, t->nf->queue[0].memory.nr_slots, (int)getpid());
}

static uint64_t dropped_in_front(const struct netfront_counters *c)
{
	return c->tx_drop_size + c->tx_drop_offload + c->rx_drop_error + c->rx_drop_bounds + c->rx_drop_chain + c->rx_drop_extra;
}

static void say_counts(struct tap *t)
{
	struct netfront_counters c;

	netfront_count(t->nf, &c);
	guest_figure(t->g, "net_sent_packets", (double)c.tx_packets, "packets");
	guest_figure(t->g, "net_sent_bytes", (double)c.tx_bytes, "bytes");
	guest_figure(t->g, "net_received_packets", (double)c.rx_packets, "packets");
	guest_figure(t->g, "net_received_bytes", (double)c.rx_bytes, "bytes");
	guest_figure(t->g, "net_notifications", (double)c.notify_sent, "notifications");
	guest_figure(t->g, "net_sleeps", (double)t->g->bus.sleeps, "sleeps");
	guest_figure(t->g, "net_hash", t->nf->ctrl.is_hash_on, "");
	guest_figure(t->g, "net_staging_pages", (double)t->nf->ctrl.staged_pages, "pages");
	guest_figure(t->g, "net_dropped", (double)(t->dropped + dropped_in_front(&c)), "packets");
	guest_figure(t->g, "net_tx_errors", (double)c.tx_errors, "slots");
	guest_figure(t->g, "net_lost", (double)t->nf->lost, "slots");
}

/* One option and its argument; returns how many words they were, 0: not an option of ours (said). */
static int take_option(struct guest *g, struct tap_options *o, int argc, char **argv)
{
	uint64_t n = 0;

	if (!strcmp(argv[0], "--no-offload")) {
		o->is_plain = true;
		return 1;
	}
	if (!strcmp(argv[0], "--hash")) {
		o->has_hash = true;
		return 1;
	}
	if (argc < 2) {
		guest_fail(g, "'%s' is not an option of tap, or has no value; see the man page", argv[0]);
		return 0;
	}
	if (!strcmp(argv[0], "--name"))
		o->name = argv[1];
	else if (!strcmp(argv[0], "--gateway"))
		o->gateway = argv[1];
	else if (!strcmp(argv[0], "--address") && o->nr_addresses < MAX_ADDRESSES)
		o->address[o->nr_addresses++] = argv[1];
	else if (!strcmp(argv[0], "--mtu"))
		return guest_number(g, "--mtu", argv[1], 68, NETFRONT_MAX_FRAME - HEADERS, &o->mtu) ? 2 : 0;
	else if (!strcmp(argv[0], "--busy-poll") && guest_number(g, "--busy-poll", argv[1], 0, GUEST_MAX_BUSY_POLL_US, &n))
		o->front.busy_poll_us = (unsigned)n;
	else if (!strcmp(argv[0], "--queues") && guest_number(g, "--queues", argv[1], 1, NETFRONT_MAX_QUEUES, &n))
		o->front.queues = (unsigned)n;
	else if (!strcmp(argv[0], "--slots") && guest_number(g, "--slots", argv[1], NETFRONT_MIN_SLOTS, NETFRONT_SLOTS, &n))
		o->front.slots = (unsigned)n;
	else if (strcmp(argv[0], "--queues") && strcmp(argv[0], "--slots") && strcmp(argv[0], "--busy-poll"))
		return guest_fail(g, "'%s' is not an option of tap; see the man page", argv[0]), 0;
	else
		return 0; /* guest_number has said it */
	return 2;
}

static bool parse(struct guest *g, struct tap_options *o, int argc, char **argv)
{
	*o = (struct tap_options){.vif = argv[0], .name = "tap0", .front = {.reconnects = true, .busy_poll_us = NETFRONT_BUSY_POLL_US}};
	for (int at = 1, n; at < argc; at += n) {
		if (!strcmp(argv[at], "--")) {
			o->command = at + 1 < argc ? argv + at + 1 : NULL;
			break;
		}
		n = take_option(g, o, argc - at, argv + at);
		if (!n)
			return false;
	}
	if (strlen(o->name) >= 16) {
		guest_fail(g, "'%s' is too long for an interface; use at most 15 letters", o->name);
		return false;
	}
	if (!o->is_plain)
		o->front.accepts = NETFRONT_CSUM4 | NETFRONT_CSUM6 | NETFRONT_GSO4 | NETFRONT_GSO6;
	if (o->has_hash)
		o->front.accepts |= NETFRONT_HASH;
	return true;
}

int guest_tap(struct guest *g, int argc, char **argv)
{
	struct tap t = {.g = g, .has_carrier = true, .child_fd = -1};
	struct tap_options o;
	int code = 1;

	if (!parse(g, &o, argc, argv))
		return 1;
	t.nf = guest_open_vif(g, o.vif, &o.front);
	if (!t.nf)
		return 1;
	t.nr_queues = t.nf->nr_queues;
	t.tx_can = t.nf->tx_can;
	busy_poll_init(&t.wait, o.front.busy_poll_us);
	if (open_device(&t, &o) == 0) {
		say_connected(&t);
		if (o.command && start_command(&t, o.command) < 0)
			guest_fail(g, "'%s' cannot be started: %s", o.command[0], strerror(errno));
		else
			code = run(&t, o.vif);
		end_command(&t);
		say_counts(&t);
	}
	tap_dev_close(&t.dev);
	netfront_destroy(t.nf);
	return code;
}
