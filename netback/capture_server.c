/*
 * netback/capture_server.c - sessions: one request each, one capture each.
 *
 * Owns     see capture_server.h.
 * Trusts   lengths that the kernel tells; the rest goes through capture_request_check.
 * Runs in  the control thread, but session_link and session_unlink: the worker's.
 * Fails    a request that cannot be served is answered with one sentence, and its session ends.
 */
#include "netback/capture_server.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#include <rte_cycles.h>

#include "hv/clock.h"
#include "hv/log.h"
#include "netback/capture_request.h"
#include "netback/netback_priv.h"

#define MAX_SESSIONS BRIDGE_MAX_MIRRORS
#define CLOCK_NS UINT64_C(1000000000)
#define CLOCK_SETTLED_NS UINT64_C(100000000) /* from here on our own measure of the time stamp counter is the better one */
#define REQUEST_BYTES (sizeof(struct capture_request) + CAPTURE_MAX_INSNS * sizeof(struct capture_insn))

struct session {
	struct capture_server *server;
	int sock;
	struct loop_source *source;
	struct device *device; /* NULL: no request yet */
	struct capture capture;
	struct rte_bpf *bpf;
	TAILQ_ENTRY(session) all;
};

struct capture_server {
	struct netback *nb;
	int fd;
	struct sockaddr_un address;
	struct loop_source *source, *clock_timer;
	uint64_t begin_tsc, begin_ns; /* when it was created: the time stamp counter's speed is measured from here */
	unsigned nr_sessions;
	TAILQ_HEAD(, session) sessions;
	union {
		struct capture_request head;
		uint8_t bytes[REQUEST_BYTES];
	} request; /* the one being looked at */
};

/* ---- messages to sluice ----------------------------------------------------------------------------------------- */

static struct capture_clock clock_of(const struct capture_server *server)
{
	struct timespec now;
	struct capture_clock c = {.tsc = rte_rdtsc()};
	uint64_t ns = clock_now_ns() - server->begin_ns, ticks = c.tsc - server->begin_tsc;

	clock_gettime(CLOCK_REALTIME, &now);
	c.realtime_ns = (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
	if (ns < CLOCK_SETTLED_NS || ticks == 0) {
		ns = 1000000000u;
		ticks = rte_get_tsc_hz();
	}
	c.ns_per_tick_q32 = (uint64_t)(((__uint128_t)ns << 32) / ticks);
	return c;
}

/* Whoever does not read loses clocks, not packets. */
static void news_send(const struct session *s, enum capture_news_kind kind, const char *why, const int *fds, unsigned nr_fds)
{
	struct capture_news news = {.magic = CAPTURE_MAGIC, .kind = kind, .clock = clock_of(s->server)};
	struct iovec iov = {.iov_base = &news, .iov_len = sizeof(news)};
	union {
		struct cmsghdr align;
		char bytes[CMSG_SPACE(2 * sizeof(int))];
	} control = {0};
	struct msghdr msg = {.msg_iov = &iov, .msg_iovlen = 1};

	snprintf(news.why, sizeof(news.why), "%s", why);
	if (nr_fds) {
		struct cmsghdr *c;

		msg.msg_control = control.bytes;
		msg.msg_controllen = CMSG_SPACE(nr_fds * sizeof(int));
		c = CMSG_FIRSTHDR(&msg);
		c->cmsg_level = SOL_SOCKET;
		c->cmsg_type = SCM_RIGHTS;
		c->cmsg_len = CMSG_LEN(nr_fds * sizeof(int));
		memcpy(CMSG_DATA(c), fds, nr_fds * sizeof(int));
	}
	if (sendmsg(s->sock, &msg, MSG_DONTWAIT | MSG_NOSIGNAL) < 0)
		log_debug("a capture's reader takes no messages: %s", strerror(errno));
}

static void on_clock(void *arg)
{
	struct capture_server *server = arg;
	struct session *s;

	TAILQ_FOREACH(s, &server->sessions, all)
		if (s->device)
			news_send(s, CAPTURE_CLOCK, "", NULL, 0);
}

/* ---- a vif's list of captures, in the worker ---------------------------------------------------------------------- */

static int session_link(void *arg)
{
	struct session *s = arg;
	struct device *d = s->device;

	s->capture.next = d->captures;
	d->captures = d->port.captures = &s->capture;
	return 0;
}

static int session_unlink(void *arg)
{
	struct session *s = arg;
	struct device *d = s->device;
	struct capture **at = &d->captures;

	while (*at != &s->capture)
		at = &(*at)->next;
	*at = s->capture.next;
	d->port.captures = d->captures;
	return 0;
}

/* ---- sessions --------------------------------------------------------------------------------------------------- */

static void session_end(struct session *s, enum capture_news_kind kind, const char *why)
{
	struct capture_server *server = s->server;

	if (s->device) {
		workers_run(server->nb->workers, session_unlink, s);
		log_info("%s: %s ends", s->device->vif.name, s->capture.to ? "a mirror" : "a capture");
	}
	news_send(s, kind, why, NULL, 0);
	loop_remove(s->source);
	close(s->sock);
	if (s->capture.wake_fd >= 0)
		close(s->capture.wake_fd);
	capture_ring_close(&s->capture.ring);
	rte_bpf_destroy(s->bpf);
	TAILQ_REMOVE(&server->sessions, s, all);
	server->nr_sessions--;
	free(s);
	if (server->nr_sessions == 0) {
		loop_remove(server->clock_timer);
		server->clock_timer = NULL;
	}
}

static struct device *find_device(struct netback *nb, const char *name)
{
	struct device *d;

	TAILQ_FOREACH(d, &nb->devices, all)
		if (strcmp(d->vif.name, name) == 0)
			return d;
	return NULL;
}

/* A port on the bridge: a connected vif, or one of the program's own. */
static struct bridge_port *find_port(struct netback *nb, const char *name)
{
	struct device *d = find_device(nb, name);

	if (d)
		return d->vif.nr_queues ? &d->bridge_port : NULL;
	for (unsigned i = 0; i < nb->nr_ports; i++)
		if (strcmp(netback_port_name(&nb->ports[i]), name) == 0)
			return nb->ports[i].bridge_port;
	return NULL;
}

/* Two mirrors, one behind the other, might lead in a circle. */
static bool is_chain(const struct capture_server *server, const struct device *from, const struct bridge_port *to)
{
	const struct session *s;

	if (to == &from->bridge_port)
		return true;
	TAILQ_FOREACH(s, &server->sessions, all)
		if (s->device && s->capture.to && (s->capture.to == &from->bridge_port || to == &s->device->bridge_port))
			return true;
	return false;
}

static int find_target(struct session *s, const struct device *d, const struct capture_request *rq, char *why)
{
	if (rq->to[0] == '\0')
		return 0;
	s->capture.pool = s->server->nb->pools.pool;
	s->capture.to = find_port(s->server->nb, rq->to);
	if (!s->capture.to) {
		snprintf(why, CAPTURE_WHY_BYTES, "there is no port %s on the bridge: a port is a connected vif (vif1.0), or a --port of "
			 "sluice-netback (net_tap0)", rq->to);
		return -ENOENT;
	}
	if (is_chain(s->server, d, s->capture.to)) {
		snprintf(why, CAPTURE_WHY_BYTES, "%s cannot be mirrored to %s: no port may be a mirror's end and another's beginning",
			 rq->vif, rq->to);
		return -ELOOP;
	}
	return 0;
}

static int session_memory(struct session *s, const struct capture_request *rq, int *ring_fd, char *why)
{
	int err;

	s->capture.wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	err = s->capture.wake_fd < 0 ? -errno : capture_ring_create(&s->capture.ring, rq->ring_bytes, ring_fd);
	if (err)
		snprintf(why, CAPTURE_WHY_BYTES, "there is no memory for a buffer of %u KiB: %s", rq->ring_bytes >> 10, strerror(-err));
	return err;
}

/* All that can fail. */
static int session_prepare(struct session *s, const struct capture_request *rq, size_t bytes, struct device **d, int *ring_fd,
			   char *why)
{
	int err = capture_request_check(rq, bytes, why);
	struct rte_bpf_jit jit;

	if (err)
		return err;
	*d = find_device(s->server->nb, rq->vif);
	if (!*d) {
		snprintf(why, CAPTURE_WHY_BYTES, "there is no %s: an interface is called vif, its domain's number, a dot, its own number "
			 "(see sluice list and network-list)", rq->vif);
		return -ENOENT;
	}
	err = find_target(s, *d, rq, why);
	if (!err && rq->nr_insns)
		err = capture_filter_load(rq->insns, rq->nr_insns, &s->bpf, why);
	if (err)
		return err;
	if (s->bpf && rte_bpf_get_jit(s->bpf, &jit) == 0)
		s->capture.filter = jit.func;
	s->capture.bpf = s->bpf;
	return session_memory(s, rq, ring_fd, why);
}

static void session_begin(struct session *s, const struct capture_request *rq, size_t bytes)
{
	struct capture_server *server = s->server;
	char why[CAPTURE_WHY_BYTES] = "";
	struct device *d = NULL;
	int ring_fd = -1;

	if (session_prepare(s, rq, bytes, &d, &ring_fd, why)) {
		session_end(s, CAPTURE_REFUSED, why);
		return;
	}
	s->capture.directions = rq->directions;
	s->capture.queue = rq->queue;
	s->capture.snap_bytes = rq->snap_bytes;
	s->capture.left = rq->limit ? rq->limit : UINT64_MAX;
	s->device = d;
	workers_run(server->nb->workers, session_link, s);
	news_send(s, CAPTURE_BEGUN, "", (const int[]){ring_fd, s->capture.wake_fd}, 2);
	close(ring_fd);
	if (!server->clock_timer)
		server->clock_timer = loop_add_timer(server->nb->loop, CLOCK_NS, on_clock, server);
	log_info("%s: %s begins", d->vif.name, s->capture.to ? "a mirror" : "a capture");
}

/* The request, or anything else: the end. */
static void on_session(void *arg, uint32_t events)
{
	struct session *s = arg;
	struct capture_server *server = s->server;
	ssize_t n = recv(s->sock, &server->request, sizeof(server->request), MSG_DONTWAIT | MSG_TRUNC);

	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	if (n <= 0 || s->device)
		session_end(s, CAPTURE_ENDED, "");
	else
		session_begin(s, &server->request.head, (size_t)n);
}

static bool may_connect(int fd)
{
	struct ucred cred;
	socklen_t len = sizeof(cred);

	return !getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &cred, &len) && (cred.uid == 0 || cred.uid == geteuid());
}

static void on_connection(void *arg, uint32_t events)
{
	struct capture_server *server = arg;
	int fd = accept4(server->fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
	struct session *s;

	if (fd < 0 && (errno == EMFILE || errno == ENFILE)) {
		log_warn("too many open files: no capture can be asked for any more");
		loop_remove(server->source);
		server->source = NULL;
		return;
	}
	if (fd < 0)
		return;
	s = may_connect(fd) ? calloc(1, sizeof(*s)) : NULL;
	if (!s) {
		close(fd);
		return;
	}
	s->server = server;
	s->sock = fd;
	s->capture.wake_fd = -1;
	s->source = loop_add_fd(server->nb->loop, fd, EPOLLIN, on_session, s);
	TAILQ_INSERT_TAIL(&server->sessions, s, all);
	server->nr_sessions++;
	if (!s->source || server->nr_sessions > MAX_SESSIONS)
		session_end(s, CAPTURE_REFUSED, "too many captures at once: end some of them first");
}

void capture_server_forget_device(struct capture_server *server, const struct device *d)
{
	struct session *next;

	for (struct session *s = server ? TAILQ_FIRST(&server->sessions) : NULL; s; s = next) {
		next = TAILQ_NEXT(s, all);
		if (s->device == d)
			session_end(s, CAPTURE_ENDED, "the interface is gone");
	}
}

void capture_server_forget_port(struct capture_server *server, const struct bridge_port *port)
{
	struct session *next;

	for (struct session *s = server ? TAILQ_FIRST(&server->sessions) : NULL; s; s = next) {
		next = TAILQ_NEXT(s, all);
		if (s->device && s->capture.to == port)
			session_end(s, CAPTURE_ENDED, "the port that packets were mirrored to has left the bridge");
	}
}

/* ---- the socket ------------------------------------------------------------------------------------------------- */

static int socket_open(struct capture_server *server)
{
	int err;

	server->fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (server->fd < 0)
		return -errno;
	unlink(server->address.sun_path); /* one that was killed leaves its own behind */
	/* The mode is set before there is a name to open. */
	if (fchmod(server->fd, 0600) || bind(server->fd, (struct sockaddr *)&server->address, sizeof(server->address))) {
		err = -errno;
		goto close_fd;
	}
	if (listen(server->fd, 16)) {
		err = -errno;
		goto unlink_name;
	}
	server->source = loop_add_fd(server->nb->loop, server->fd, EPOLLIN, on_connection, server);
	if (server->source)
		return 0;
	err = -errno;

unlink_name:
	unlink(server->address.sun_path);
close_fd:
	close(server->fd);
	return err;
}

int capture_server_create(struct netback *nb, struct capture_server **out)
{
	struct capture_server *server = calloc(1, sizeof(*server));
	int err;

	if (!server)
		return -ENOMEM;
	server->nb = nb;
	server->begin_tsc = rte_rdtsc();
	server->begin_ns = clock_now_ns();
	TAILQ_INIT(&server->sessions);
	server->address.sun_family = AF_UNIX;
	if ((size_t)snprintf(server->address.sun_path, sizeof(server->address.sun_path), "%s/" CAPTURE_SOCKET, hv_run_dir(nb->hv)) >=
	    sizeof(server->address.sun_path))
		err = -ENAMETOOLONG;
	else
		err = socket_open(server);
	if (err) {
		free(server);
		return err;
	}
	*out = server;
	return 0;
}

void capture_server_destroy(struct capture_server *server)
{
	struct session *s;

	if (!server)
		return;
	while ((s = TAILQ_FIRST(&server->sessions)) != NULL)
		session_end(s, CAPTURE_ENDED, "sluice-netback has ended");
	loop_remove(server->source);
	unlink(server->address.sun_path);
	close(server->fd);
	free(server);
}
