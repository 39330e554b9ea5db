/*
 * tools/capture_client.c - one connection to sluice-netback for one capture.
 *
 * Owns     see capture_client.h.
 * Fails    see capture_client.h.
 */
#include "tools/capture_client.h"

#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "hv/clock.h"
#include "hv/local_platform.h"

#define ANSWER_MS 10000
#define STOP_MS 2000
#define DIR_BYTES (sizeof(((struct sockaddr_un *)NULL)->sun_path))

/* Says what the -errno means for the user; returns it. */
static int explain(char why[CAPTURE_WHY_BYTES], const char *dir, int err)
{
	switch (err) {
	case -ENOENT:
	case -ECONNREFUSED:
		snprintf(why, CAPTURE_WHY_BYTES, "no sluice-netback serves %s: start it, or name its folder with --run-dir", dir);
		break;
	case -EACCES:
	case -EPERM:
	case -EPIPE:
		snprintf(why, CAPTURE_WHY_BYTES,
			 "sluice-netback in %s does not let this user in: run as root or as the user who started it", dir);
		break;
	case -ENAMETOOLONG:
		snprintf(why, CAPTURE_WHY_BYTES, "the run directory's name is too long for a socket in it: use a shorter one");
		break;
	default:
		snprintf(why, CAPTURE_WHY_BYTES, "sluice-netback in %s cannot be reached: %s", dir, strerror(-err));
	}
	return err;
}

static int connect_to(struct capture_client *c, const char *dir)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};

	if ((size_t)snprintf(address.sun_path, sizeof(address.sun_path), "%s/" CAPTURE_SOCKET, dir) >= sizeof(address.sun_path))
		return -ENAMETOOLONG;
	c->sock = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
	if (c->sock < 0 || connect(c->sock, (struct sockaddr *)&address, sizeof(address)) < 0)
		return -errno;
	return 0;
}

/* One message; fds: two, or -1. 0; -EPIPE: the other end is gone; -EPROTO; -EAGAIN: nothing yet. */
static int receive(int sock, struct capture_news *news, int fds[2])
{
	union {
		struct cmsghdr align;
		char bytes[CMSG_SPACE(2 * sizeof(int))];
	} control;
	struct iovec iov = {.iov_base = news, .iov_len = sizeof(*news)};
	struct msghdr msg = {.msg_iov = &iov, .msg_iovlen = 1, .msg_control = control.bytes, .msg_controllen = sizeof(control)};
	ssize_t n = recvmsg(sock, &msg, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
	struct cmsghdr *cmsg = n > 0 ? CMSG_FIRSTHDR(&msg) : NULL;

	fds[0] = fds[1] = -1;
	if (cmsg && cmsg->cmsg_level == SOL_SOCKET && cmsg->cmsg_type == SCM_RIGHTS)
		memcpy(fds, CMSG_DATA(cmsg), cmsg->cmsg_len - CMSG_LEN(0));
	if (n < 0)
		return errno == EAGAIN || errno == EINTR ? -EAGAIN : errno == ECONNRESET ? -EPIPE : -errno;
	if (n == 0)
		return -EPIPE;
	if (n != sizeof(*news) || news->magic != CAPTURE_MAGIC)
		return -EPROTO;
	news->why[CAPTURE_WHY_BYTES - 1] = '\0';
	return 0;
}

/* Something to read, within that time? */
static bool has_news(const struct capture_client *c, int64_t until_ms)
{
	struct pollfd fd = {.fd = c->sock, .events = POLLIN};
	int64_t left = until_ms - clock_now_ms();
	int n;

	do
		n = poll(&fd, 1, left > 0 ? (int)left : 0);
	while (n < 0 && errno == EINTR);
	return n > 0;
}

/* The answer to the request: the ring. -EPERM: refused, why is the sentence. */
static int begin(struct capture_client *c, char why[CAPTURE_WHY_BYTES])
{
	struct capture_news news;
	int fds[2], err;

	if (!has_news(c, clock_now_ms() + ANSWER_MS))
		return -ETIMEDOUT;
	err = receive(c->sock, &news, fds);
	if (!err && news.kind == CAPTURE_REFUSED) {
		snprintf(why, CAPTURE_WHY_BYTES, "%s", news.why);
		return -EBADRQC;
	}
	c->wake_fd = fds[1];
	c->clock = news.clock;
	if (!err)
		err = news.kind == CAPTURE_BEGUN && fds[1] >= 0 ? capture_ring_open(&c->ring, fds[0]) : -EPROTO;
	if (fds[0] >= 0)
		close(fds[0]);
	return err;
}

int capture_client_open(struct capture_client *c, const char *run_dir, const struct capture_request *rq,
			char why[CAPTURE_WHY_BYTES])
{
	struct hv_options options = {.run_dir = run_dir};
	size_t bytes = sizeof(*rq) + rq->nr_insns * sizeof(rq->insns[0]);
	char dir[DIR_BYTES] = "";
	int err;

	*c = (struct capture_client){.sock = -1, .wake_fd = -1};
	err = local_platform_run_dir(&options, dir, sizeof(dir));
	if (!err)
		err = connect_to(c, dir);
	if (!err && send(c->sock, rq, bytes, MSG_NOSIGNAL) < 0)
		err = -errno;
	if (!err)
		err = begin(c, why);
	return err && err != -EBADRQC ? explain(why, dir, err) : err;
}

void capture_client_hear(struct capture_client *c)
{
	struct capture_news news;
	int fds[2], err;

	while (!c->is_ended && (err = receive(c->sock, &news, fds)) != -EAGAIN) {
		for (unsigned i = 0; i < 2; i++)
			if (fds[i] >= 0)
				close(fds[i]);
		if (err) {
			c->is_ended = c->is_lost = true;
		} else if (news.kind == CAPTURE_CLOCK) {
			c->clock = news.clock;
		} else if (news.kind == CAPTURE_ENDED) {
			c->is_ended = true;
			memcpy(c->why, news.why, sizeof(c->why));
		}
	}
}

void capture_client_stop(struct capture_client *c)
{
	int64_t until = clock_now_ms() + STOP_MS;

	if (c->is_ended)
		return;
	shutdown(c->sock, SHUT_WR);
	while (!c->is_ended && has_news(c, until))
		capture_client_hear(c);
}

void capture_client_close(struct capture_client *c)
{
	capture_ring_close(&c->ring);
	if (c->wake_fd >= 0)
		close(c->wake_fd);
	if (c->sock >= 0)
		close(c->sock);
	c->wake_fd = c->sock = -1;
}

uint64_t capture_client_time(const struct capture_client *c, uint64_t tsc)
{
	__int128_t ticks = (int64_t)(tsc - c->clock.tsc);

	return c->clock.realtime_ns + (uint64_t)((ticks * (__int128_t)c->clock.ns_per_tick_q32) >> 32);
}
