/*
 * hv/store_client_socket.c - carries the store's wire protocol over its UNIX socket.
 *
 * Not libxenstore: that sends one request and waits for its answer before the next, and a domain's devices are some hundred
 * requests; and it waits in read(), which a UNIX socket wakes twice, first when the other end has taken the request.
 *
 * Owns     the socket; an eventfd that says that watch events wait in the client's queue; an epoll fd with both, to sleep on.
 * Runs in  one thread at a time.
 * Fails    -ECONNRESET for good when the store is gone.
 */
#include "hv/store_client_socket.h"

#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "hv/store_client_wire.h"

#define BUFFER_BYTES 8192u
#define ANSWER_TIMEOUT_MS 20000

struct buffer {
	unsigned from, to;
	char bytes[BUFFER_BYTES];
};

struct store_socket {
	int fd, event_fd, epoll_fd;
	bool is_raised;
	int broken; /* -errno */
	struct buffer in, out;
};

static int break_socket(struct store_socket *s)
{
	if (!s->broken)
		epoll_ctl(s->epoll_fd, EPOLL_CTL_DEL, s->fd, NULL); /* it would be readable for ever */
	s->broken = -ECONNRESET;
	return s->broken;
}

/* Sends what the socket has room for. An error shows when answers are taken: there may be some yet. */
static void flush(struct store_socket *s)
{
	struct buffer *b = &s->out;

	while (b->from < b->to) {
		ssize_t n = send(s->fd, b->bytes + b->from, b->to - b->from, MSG_DONTWAIT | MSG_NOSIGNAL);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return;
		b->from += (unsigned)n;
	}
	b->from = b->to = 0;
}

static int socket_put(void *arg, const void *data, uint32_t len)
{
	struct store_socket *s = arg;
	unsigned room = BUFFER_BYTES - s->out.to;

	if (s->broken)
		return s->broken;
	if (!room) {
		flush(s);
		room = BUFFER_BYTES - s->out.to;
	}
	if (len > room)
		len = room;
	memcpy(s->out.bytes + s->out.to, data, len);
	s->out.to += len;
	return (int)len;
}

static int fill(struct store_socket *s)
{
	ssize_t n;

	if (s->broken)
		return s->broken;
	do
		n = recv(s->fd, s->in.bytes, BUFFER_BYTES, MSG_DONTWAIT);
	while (n < 0 && errno == EINTR);
	if (n == 0 || (n < 0 && errno != EAGAIN))
		return break_socket(s);
	s->in.from = 0;
	s->in.to = n < 0 ? 0 : (unsigned)n;
	return 0;
}

static int socket_take(void *arg, void *data, uint32_t len)
{
	struct store_socket *s = arg;
	int err = s->in.from == s->in.to ? fill(s) : 0;
	unsigned there = s->in.to - s->in.from;

	if (err)
		return err;
	if (len > there)
		len = there;
	memcpy(data, s->in.bytes + s->in.from, len);
	s->in.from += len;
	return (int)len;
}

static bool socket_has_bytes(void *arg)
{
	const struct store_socket *s = arg;

	return s->in.from != s->in.to;
}

static void socket_notify(void *arg)
{
	flush(arg);
}

static int socket_wait(void *arg, int timeout_ms)
{
	struct store_socket *s = arg;
	struct pollfd p = {.fd = s->fd, .events = POLLIN};
	int n;

	if (s->broken)
		return s->broken;
	if (s->out.from < s->out.to)
		p.events |= POLLOUT;
	n = poll(&p, 1, timeout_ms);
	if (n < 0)
		return errno == EINTR ? 0 : -errno;
	if (p.revents & POLLOUT)
		flush(s);
	return n;
}

static void socket_raise(void *arg)
{
	struct store_socket *s = arg;
	uint64_t one = 1;

	if (!s->is_raised)
		s->is_raised = write(s->event_fd, &one, sizeof(one)) == sizeof(one);
}

static void socket_lower(void *arg)
{
	struct store_socket *s = arg;
	uint64_t count;

	if (s->is_raised)
		s->is_raised = read(s->event_fd, &count, sizeof(count)) != sizeof(count);
}

static void socket_close(void *arg)
{
	struct store_socket *s = arg;

	if (s->epoll_fd >= 0)
		close(s->epoll_fd);
	if (s->event_fd >= 0)
		close(s->event_fd);
	if (s->fd >= 0)
		close(s->fd);
	free(s);
}

static int connect_to(struct store_socket *s, const char *path)
{
	struct sockaddr_un addr = {.sun_family = AF_UNIX};
	struct epoll_event ev = {.events = EPOLLIN};

	if (strlen(path) >= sizeof(addr.sun_path))
		return -ENAMETOOLONG;
	strcpy(addr.sun_path, path);
	s->fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	s->event_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	s->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
	if (s->fd < 0 || s->event_fd < 0 || s->epoll_fd < 0)
		return -errno;
	if (epoll_ctl(s->epoll_fd, EPOLL_CTL_ADD, s->fd, &ev) || epoll_ctl(s->epoll_fd, EPOLL_CTL_ADD, s->event_fd, &ev))
		return -errno;
	return connect(s->fd, (struct sockaddr *)&addr, sizeof(addr)) ? -errno : 0;
}

int store_client_socket_open(const char *path, struct store_client **out)
{
	struct store_socket *s = calloc(1, sizeof(*s));
	struct store_transport transport = {
		.arg = s,
		.put = socket_put,
		.take = socket_take,
		.notify = socket_notify,
		.wait = socket_wait,
		.raise = socket_raise,
		.lower = socket_lower,
		.has_bytes = socket_has_bytes,
		.close = socket_close,
		.timeout_ms = ANSWER_TIMEOUT_MS,
	};
	int err;

	if (!s)
		return -ENOMEM;
	s->fd = s->event_fd = s->epoll_fd = -1;
	err = connect_to(s, path);
	if (err)
		goto close_socket;
	transport.fd = s->epoll_fd;
	err = store_client_wire_create(&transport, out);
	if (err)
		goto close_socket;
	return 0;
close_socket:
	socket_close(s);
	return err;
}
