/*
 * hv/conn.c - takes messages off a connection, calls the hypercall, answers.
 */
#include "hv/conn.h"

#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "hv/core.h"
#include "hv/domain.h"
#include "hv/local_op.h"
#include "hv/log.h"
#include "hv/orphan.h"
#include "hv/pirq.h"
#include "hv/sched_op.h"

#define CALLS_PER_WAKE 32u
#define MAX_FDS_IN 8 /* one is taken; the others are received to be closed */

static void readable(void *arg, uint32_t events);

int conn_create(struct core *core, int fd, struct domain *spawned_for, struct conn **out)
{
	struct conn *conn = calloc(1, sizeof(*conn));
	struct ucred cred;
	socklen_t len = sizeof(cred);
	int err;

	if (!conn)
		return -ENOMEM;
	conn->core = core;
	conn->fd = fd;
	conn->area.fd = -1;
	conn->is_spawned = spawned_for;
	conn->domain = spawned_for;
	if (!spawned_for && !getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &cred, &len))
		conn->pid = cred.pid;
	conn->source = loop_add_fd(core->loop, fd, EPOLLIN, readable, conn);
	if (!conn->source) {
		err = -errno;
		free(conn);
		return err;
	}
	conn->next = core->conns;
	conn->pprev = &core->conns;
	if (conn->next)
		conn->next->pprev = &conn->next;
	core->conns = conn;
	*out = conn;
	return 0;
}

static void set_busy(struct conn *conn)
{
	conn->is_busy = true;
}

/* The handler is done: a connection that was closed meanwhile is freed. False: it is gone. */
static bool clear_busy(struct conn *conn)
{
	conn->is_busy = false;
	if (conn->state != CONN_CLOSED)
		return true;
	free(conn);
	return false;
}

void conn_close(struct conn *conn)
{
	struct domain *d = conn->domain;

	if (conn->state == CONN_CLOSED)
		return;
	sched_poll_end(conn);
	conn->state = CONN_CLOSED;
	*conn->pprev = conn->next;
	if (conn->next)
		conn->next->pprev = conn->pprev;
	loop_remove(conn->source);
	close(conn->fd);
	if (d && domain_is_dom0(d)) {
		if (!conn->core->is_ending)
			orphan_backend_gone(conn);
		evtchn_close_owned(conn);
		pirq_unmap_owned(conn->core, conn);
		if (!conn->core->is_ending)
			domain_conn_gone(conn->core, conn);
	}
	memory_object_finish(&conn->area);
	if (!conn->is_busy)
		free(conn);
}

/* The other end went. A guest's: so the guest did, unless it only waited to become one. */
static void hung_up(struct conn *conn)
{
	struct domain *d = conn->domain;
	bool is_guest = d && d->conn == conn;
	bool was_held = conn->state == CONN_HELD;

	conn_close(conn);
	if (!is_guest)
		return;
	d->conn = NULL;
	if (was_held)
		return;
	if (d->spawn.pid)
		spawn_signal(&d->spawn, SIGKILL); /* the rest when it is dead */
	else
		domain_process_gone(d);
}

static int send_message(struct conn *conn, const void *data, size_t bytes, const int *fds, unsigned nr_fds)
{
	union {
		struct cmsghdr align;
		char bytes[CMSG_SPACE(sizeof(int) * LOCAL_MAX_FDS)];
	} control;
	struct iovec iov = {(void *)data, bytes};
	struct msghdr msg = {.msg_iov = &iov, .msg_iovlen = 1};

	if (nr_fds) {
		struct cmsghdr *c;

		memset(&control, 0, sizeof(control));
		msg.msg_control = control.bytes;
		msg.msg_controllen = CMSG_SPACE(sizeof(int) * nr_fds);
		c = CMSG_FIRSTHDR(&msg);
		c->cmsg_level = SOL_SOCKET;
		c->cmsg_type = SCM_RIGHTS;
		c->cmsg_len = CMSG_LEN(sizeof(int) * nr_fds);
		memcpy(CMSG_DATA(c), fds, sizeof(int) * nr_fds);
	}
	return sendmsg(conn->fd, &msg, MSG_DONTWAIT | MSG_NOSIGNAL) < 0 ? -errno : 0;
}

static int welcome(struct conn *conn)
{
	struct local_welcome w;
	int fds[LOCAL_MAX_FDS];
	unsigned nr_fds;

	local_describe(conn->domain, &w, fds, &nr_fds);
	if (domain_is_dom0(conn->domain))
		fds[nr_fds++] = conn->area.fd;
	conn->state = CONN_READY;
	return send_message(conn, &w, sizeof(w), fds, nr_fds);
}

static int enter_dom0(struct conn *conn)
{
	int err = memory_object_create(&conn->area, "sluice-arguments", LOCAL_ARG_BYTES, false);

	if (err)
		return err;
	conn->gate.nr_extents = 1;
	conn->gate.extent[0] = (struct gate_extent){conn->area.base, 0, LOCAL_ARG_BYTES / PAGE_BYTES};
	conn->domain = core_domain(conn->core, 0);
	return 0;
}

static int enter_attached(struct conn *conn, const char *name)
{
	char other[64];
	struct domain *d;

	for (d = core_next_domain(conn->core, 1); d; d = core_next_domain(conn->core, d->domid + 1u))
		if (d->stage == DOMAIN_ALIVE && !d->is_shutdown && !strcmp(domain_name(d, other, sizeof(other)), name))
			break;
	if (!d)
		return -ESRCH;
	if (d->conn || d->spawn.kernel_fd >= 0)
		return -EBUSY;
	conn->domain = d;
	d->conn = conn;
	if (d->pause_count)
		conn->state = CONN_HELD;
	return 0;
}

static int enter(struct conn *conn, const struct local_hello *hello)
{
	if (hello->magic != LOCAL_MAGIC || hello->version != LOCAL_VERSION)
		return -EPROTO;
	if (!memchr(hello->name, 0, sizeof(hello->name)))
		return -EINVAL;
	/* Who spawned it decides what it is. */
	if (conn->is_spawned != (hello->kind == LOCAL_KIND_SPAWNED))
		return -EPERM;
	switch (hello->kind) {
	case LOCAL_KIND_DOM0:
		return enter_dom0(conn);
	case LOCAL_KIND_SPAWNED:
		return 0;
	case LOCAL_KIND_ATTACH:
		return enter_attached(conn, hello->name);
	default:
		return -EINVAL;
	}
}

static int take_hello(struct conn *conn, const void *msg, size_t bytes)
{
	struct local_welcome w = {0};
	struct local_hello hello;

	if (bytes == sizeof(hello)) {
		memcpy(&hello, msg, sizeof(hello));
		w.status = enter(conn, &hello);
	} else {
		w.status = -EPROTO;
	}
	if (!w.status)
		return conn->state == CONN_HELD ? loop_set_events(conn->source, 0) : welcome(conn);
	send_message(conn, &w, sizeof(w), NULL, 0);
	return w.status;
}

static int answer(struct conn *conn, const struct caller *c, long ret)
{
	struct local_return r = {.ret = ret, .nr_fds = ret >= 0 ? c->nr_fds : 0};

	return send_message(conn, &r, sizeof(r), c->fds, r.nr_fds);
}

/* 0, or the connection cannot go on. */
static int take_call(struct conn *conn, const void *msg, size_t bytes, int fd)
{
	struct domain *d = conn->domain;
	struct caller c = {
		.core = conn->core,
		.domain = d,
		.conn = conn,
		.gate = domain_is_dom0(d) ? &conn->gate : &d->ram.gate,
		.fd_in = fd,
		.fd_out = -1,
	};
	struct local_call call;
	long ret = -EINVAL;
	int err;

	if (bytes == sizeof(call)) {
		memcpy(&call, msg, sizeof(call));
		ret = hypercall(&c, &call);
	}
	if (c.fd_in >= 0)
		close(c.fd_in);
	if (conn->state == CONN_CLOSED)
		return 0;
	if (ret == HYPERCALL_DEFERRED) {
		conn->state = CONN_WAITING;
		/* No more calls until this one is answered; its end is seen all the same. */
		return loop_set_events(conn->source, 0);
	}
	err = answer(conn, &c, ret);
	if (c.fd_out >= 0)
		close(c.fd_out);
	return err;
}

/* One message: its size, 0 at the end, or -errno. The first fd that came along is *fd, others are closed. */
static ssize_t receive(struct conn *conn, void *buf, size_t size, int *fd)
{
	union {
		struct cmsghdr align;
		char bytes[CMSG_SPACE(sizeof(int) * MAX_FDS_IN)];
	} control;
	struct iovec iov = {buf, size};
	struct msghdr msg = {
		.msg_iov = &iov, .msg_iovlen = 1, .msg_control = control.bytes, .msg_controllen = sizeof(control)};
	ssize_t n = recvmsg(conn->fd, &msg, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);

	*fd = -1;
	if (n < 0)
		return -errno;
	for (struct cmsghdr *c = CMSG_FIRSTHDR(&msg); c; c = CMSG_NXTHDR(&msg, c)) {
		if (c->cmsg_level != SOL_SOCKET || c->cmsg_type != SCM_RIGHTS)
			continue;
		for (size_t at = 0; CMSG_LEN(at + sizeof(int)) <= c->cmsg_len; at += sizeof(int)) {
			int got;

			memcpy(&got, CMSG_DATA(c) + at, sizeof(got));
			/* Fds are a part of Domain-0's calls only. */
			if (*fd < 0 && conn->domain && domain_is_dom0(conn->domain))
				*fd = got;
			else
				close(got);
		}
	}
	return n;
}

/* Up to budget messages. False: the connection is at its end. */
static bool process(struct conn *conn, unsigned budget)
{
	char buf[sizeof(struct local_hello) + sizeof(struct local_call)];
	int err = 0;

	while (!err && budget--) {
		int fd;
		ssize_t n;

		if (conn->state != CONN_HELLO && conn->state != CONN_READY)
			return true;
		n = receive(conn, buf, sizeof(buf), &fd);
		if (n == -EAGAIN || n == -EINTR)
			return true;
		if (n <= 0)
			return false;
		if (conn->state == CONN_HELLO) {
			if (fd >= 0)
				close(fd);
			err = take_hello(conn, buf, (size_t)n);
		} else {
			err = take_call(conn, buf, (size_t)n, fd);
			/* A guest that has shut down and that nobody keeps ends here, with its answer on the way. */
			if (conn->state != CONN_CLOSED && !domain_is_dom0(conn->domain) && conn->domain->is_shutdown)
				return true;
		}
	}
	return !err;
}

static void settle_guest(struct conn *conn)
{
	struct domain *d = conn->domain;

	if (conn->state != CONN_CLOSED && d && !domain_is_dom0(d) && d->stage == DOMAIN_ALIVE)
		domain_settle(d);
}

static void readable(void *arg, uint32_t events)
{
	struct conn *conn = arg;
	bool goes_on = true;

	set_busy(conn);
	if (events & EPOLLIN)
		goes_on = process(conn, CALLS_PER_WAKE);
	else if (events & (EPOLLHUP | EPOLLERR))
		goes_on = false;
	if (!goes_on && conn->state != CONN_CLOSED)
		hung_up(conn);
	settle_guest(conn);
	clear_busy(conn);
}

void conn_drain(struct conn *conn)
{
	if (conn->state == CONN_WAITING) {
		sched_poll_end(conn);
		conn->state = CONN_READY;
	}
	set_busy(conn);
	/* Its process is dead, so the queue is finite: what a socket buffer holds. */
	while (conn->state == CONN_READY && !conn->domain->is_shutdown && process(conn, CALLS_PER_WAKE)) {
		char probe;

		if (conn->state != CONN_READY || recv(conn->fd, &probe, 1, MSG_PEEK | MSG_DONTWAIT) <= 0)
			break;
	}
	clear_busy(conn);
}

/* Cut off from within somebody else's work: the loop finds it hung up. */
static void cut_off(struct conn *conn)
{
	shutdown(conn->fd, SHUT_RDWR);
}

void conn_complete(struct conn *conn, long ret)
{
	struct local_return r = {.ret = ret};

	if (conn->state != CONN_WAITING)
		return;
	conn->state = CONN_READY;
	if (send_message(conn, &r, sizeof(r), NULL, 0) || loop_set_events(conn->source, EPOLLIN))
		cut_off(conn);
}

void conn_admit(struct conn *conn)
{
	if (welcome(conn) || loop_set_events(conn->source, EPOLLIN))
		cut_off(conn);
}
