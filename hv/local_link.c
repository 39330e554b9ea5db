/*
 * hv/local_link.c - messages to and from sluiced over the hypercall socket.
 *
 * Owns     the socket and the fd that tells of its end.
 * Trusts   sluiced; lengths and fd counts are checked all the same, so that a wrong version fails cleanly.
 * Runs in  any thread; calls take turns.
 */
#include "hv/local_link.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

union fd_control {
	struct cmsghdr align;
	char bytes[CMSG_SPACE(sizeof(int) * LOCAL_MAX_FDS)];
};

void local_fds_close(struct local_fds *fds)
{
	for (unsigned i = 0; i < fds->nr; i++)
		if (fds->fd[i] >= 0)
			close(fds->fd[i]);
	fds->nr = 0;
}

static int send_message(int sock, const void *data, size_t bytes, int fd)
{
	union fd_control control;
	struct iovec iov = {.iov_base = (void *)data, .iov_len = bytes};
	struct msghdr msg = {.msg_iov = &iov, .msg_iovlen = 1};
	ssize_t n;

	if (fd >= 0) {
		struct cmsghdr *c;

		msg.msg_control = control.bytes;
		msg.msg_controllen = CMSG_SPACE(sizeof(int));
		c = CMSG_FIRSTHDR(&msg);
		c->cmsg_level = SOL_SOCKET;
		c->cmsg_type = SCM_RIGHTS;
		c->cmsg_len = CMSG_LEN(sizeof(int));
		memcpy(CMSG_DATA(c), &fd, sizeof(int));
	}
	do
		n = sendmsg(sock, &msg, MSG_NOSIGNAL);
	while (n < 0 && errno == EINTR);
	if (n < 0)
		return errno == ECONNRESET || errno == ENOTCONN ? -EPIPE : -errno;
	return 0;
}

static void collect_fds(struct msghdr *msg, struct local_fds *fds)
{
	for (struct cmsghdr *c = CMSG_FIRSTHDR(msg); c; c = CMSG_NXTHDR(msg, c)) {
		if (c->cmsg_level != SOL_SOCKET || c->cmsg_type != SCM_RIGHTS)
			continue;
		for (size_t at = 0; CMSG_LEN(at + sizeof(int)) <= c->cmsg_len && fds->nr < LOCAL_MAX_FDS; at += sizeof(int))
			memcpy(&fds->fd[fds->nr++], CMSG_DATA(c) + at, sizeof(int));
	}
}

/* One message of exactly that size. */
static int receive_message(int sock, void *data, size_t bytes, struct local_fds *fds)
{
	union fd_control control;
	struct iovec iov = {.iov_base = data, .iov_len = bytes};
	struct msghdr msg = {
		.msg_iov = &iov, .msg_iovlen = 1, .msg_control = control.bytes, .msg_controllen = sizeof(control)};
	ssize_t n;

	fds->nr = 0;
	do
		n = recvmsg(sock, &msg, MSG_CMSG_CLOEXEC);
	while (n < 0 && errno == EINTR);
	if (n < 0)
		return errno == ECONNRESET ? -EPIPE : -errno;
	collect_fds(&msg, fds);
	if ((size_t)n == bytes && !(msg.msg_flags & (MSG_TRUNC | MSG_CTRUNC)))
		return 0;
	local_fds_close(fds);
	return n == 0 ? -EPIPE : -EPROTO;
}

int local_link_adopt(struct local_link *link, int sock)
{
	struct epoll_event ev = {.events = EPOLLRDHUP};
	int type, err;
	socklen_t len = sizeof(type);

	if (getsockopt(sock, SOL_SOCKET, SO_TYPE, &type, &len) < 0 || type != SOCK_SEQPACKET)
		return -ENOTSOCK;
	link->lost_fd = epoll_create1(EPOLL_CLOEXEC);
	if (link->lost_fd < 0)
		return -errno;
	if (epoll_ctl(link->lost_fd, EPOLL_CTL_ADD, sock, &ev) < 0) {
		err = -errno;
		close(link->lost_fd);
		return err;
	}
	link->sock = sock;
	link->arg = NULL;
	link->arg_bytes = 0;
	pthread_mutex_init(&link->lock, NULL);
	return 0;
}

int local_link_connect(struct local_link *link, const char *run_dir)
{
	struct sockaddr_un addr = {.sun_family = AF_UNIX};
	int sock, err;

	if ((size_t)snprintf(addr.sun_path, sizeof(addr.sun_path), "%s/" LOCAL_HYPERCALL_SOCKET, run_dir) >=
	    sizeof(addr.sun_path))
		return -ENAMETOOLONG;
	sock = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
	if (sock < 0)
		return -errno;
	if (connect(sock, (struct sockaddr *)&addr, sizeof(addr)) < 0) {
		err = -errno;
		goto close_sock;
	}
	err = local_link_adopt(link, sock);
	if (err)
		goto close_sock;
	return 0;
close_sock:
	close(sock);
	return err;
}

void local_link_close(struct local_link *link)
{
	close(link->lost_fd);
	close(link->sock);
	pthread_mutex_destroy(&link->lock);
}

int local_link_hello(struct local_link *link, enum local_kind kind, const char *name, struct local_welcome *welcome,
		     struct local_fds *fds)
{
	struct local_hello hello = {.magic = LOCAL_MAGIC, .version = LOCAL_VERSION, .kind = kind};
	struct local_welcome answer;
	int err;

	if (name && strlen(name) >= sizeof(hello.name))
		return -ENAMETOOLONG;
	if (name)
		strcpy(hello.name, name);
	err = send_message(link->sock, &hello, sizeof(hello), -1);
	if (!err)
		err = receive_message(link->sock, &answer, sizeof(answer), fds);
	if (!err && answer.status) {
		local_fds_close(fds);
		err = answer.status < 0 ? answer.status : -EPROTO;
	}
	if (!err)
		*welcome = answer;
	return err;
}

/* One in the order and number in which Xen's hypercall of that name has its arguments. */
static struct local_call call_of(unsigned nr, uint64_t cmd, uint64_t address, size_t bytes)
{
	struct local_call call = {.nr = nr, .arg = {cmd, address}};

	switch (nr) {
	case __HYPERVISOR_domctl:
	case __HYPERVISOR_sysctl:
		call.arg[0] = address;
		call.arg[1] = 0;
		break;
	case __HYPERVISOR_console_io:
		call.arg[1] = bytes;
		call.arg[2] = address;
		break;
	case __HYPERVISOR_grant_table_op:
		call.arg[2] = 1;
		if (cmd == GNTTABOP_copy)
			call.arg[2] = bytes / sizeof(struct gnttab_copy);
		else if (cmd == GNTTABOP_map_grant_ref)
			call.arg[2] = bytes / sizeof(struct gnttab_map_grant_ref);
		else if (cmd == GNTTABOP_unmap_grant_ref)
			call.arg[2] = bytes / sizeof(struct gnttab_unmap_grant_ref);
		break;
	}
	return call;
}

static int exchange_messages(struct local_link *link, const struct local_call *call, int send_fd,
			     struct local_return *ret, struct local_fds *fds)
{
	int err = send_message(link->sock, call, sizeof(*call), send_fd);

	if (!err)
		err = receive_message(link->sock, ret, sizeof(*ret), fds);
	if (!err && ret->nr_fds != fds->nr) {
		local_fds_close(fds);
		err = -EPROTO;
	}
	return err;
}

long local_link_hypercall(struct local_link *link, unsigned nr, uint64_t cmd, void *arg, size_t bytes, int send_fd,
			  struct local_fds *fds)
{
	struct local_call call = call_of(nr, cmd, arg ? LOCAL_ARG_ADDRESS : 0, bytes);
	struct local_fds unwanted;
	struct local_return ret;
	int err;

	if (!arg && bytes)
		return -EINVAL;
	if (bytes > link->arg_bytes)
		return -E2BIG;
	pthread_mutex_lock(&link->lock);
	if (bytes)
		memcpy(link->arg, arg, bytes);
	err = exchange_messages(link, &call, send_fd, &ret, fds ? fds : &unwanted);
	if (!err && bytes)
		memcpy(arg, link->arg, bytes);
	pthread_mutex_unlock(&link->lock);
	if (!err && !fds)
		local_fds_close(&unwanted);
	return err ? err : ret.ret;
}
