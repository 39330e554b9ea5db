/*
 * hv/local_server.c - accepts connections.
 */
#include "hv/local_server.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "hv/conn.h"
#include "hv/core.h"
#include "hv/log.h"

struct local_server {
	struct core *core;
	int fd;
	int spare_fd; /* given up for a moment when fds run out, to turn a caller away instead of spinning on it */
	struct loop_source *source;
	struct sockaddr_un address;
};

static bool may_connect(int fd)
{
	struct ucred cred;
	socklen_t len = sizeof(cred);

	return !getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &cred, &len) && (cred.uid == 0 || cred.uid == geteuid());
}

static void turn_away(int fd, int err)
{
	struct local_welcome w = {.status = err};

	if (send(fd, &w, sizeof(w), MSG_DONTWAIT | MSG_NOSIGNAL) < 0)
		log_debug("a connection that was turned away had gone by itself");
	close(fd);
}

static void out_of_fds(struct local_server *server)
{
	int fd;

	close(server->spare_fd);
	fd = accept4(server->fd, NULL, NULL, SOCK_CLOEXEC);
	if (fd >= 0)
		turn_away(fd, -EMFILE);
	server->spare_fd = open("/dev/null", O_RDONLY | O_CLOEXEC);
	log_warn("too many open files: a connection was turned away");
}

static void acceptable(void *arg, uint32_t events)
{
	struct local_server *server = arg;
	int err, fd = accept4(server->fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
	struct conn *conn;

	if (fd < 0) {
		if (errno == EMFILE || errno == ENFILE)
			out_of_fds(server);
		return;
	}
	if (!may_connect(fd)) {
		turn_away(fd, -EACCES);
		return;
	}
	err = conn_create(server->core, fd, NULL, &conn);
	if (err)
		turn_away(fd, err);
}

int local_server_create(struct core *core, struct local_server **out)
{
	struct local_server *server = calloc(1, sizeof(*server));
	struct sockaddr_un *address;
	int err = -ENAMETOOLONG;

	if (!server)
		return -ENOMEM;
	server->core = core;
	server->spare_fd = -1;
	address = &server->address;
	address->sun_family = AF_UNIX;
	if ((size_t)snprintf(address->sun_path, sizeof(address->sun_path), "%s/" LOCAL_HYPERCALL_SOCKET, core->run_dir) >=
	    sizeof(address->sun_path))
		goto free_server;
	server->fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (server->fd < 0) {
		err = -errno;
		goto free_server;
	}
	unlink(address->sun_path);
	/* The mode is set before there is a name to open. */
	if (fchmod(server->fd, 0600) || bind(server->fd, (struct sockaddr *)address, sizeof(*address))) {
		err = -errno;
		goto close_fd;
	}
	server->spare_fd = open("/dev/null", O_RDONLY | O_CLOEXEC);
	if (server->spare_fd < 0 || listen(server->fd, 128)) {
		err = -errno;
		goto unlink_path;
	}
	server->source = loop_add_fd(core->loop, server->fd, EPOLLIN, acceptable, server);
	if (!server->source) {
		err = -errno;
		goto unlink_path;
	}
	*out = server;
	return 0;
unlink_path:
	unlink(address->sun_path);
	if (server->spare_fd >= 0)
		close(server->spare_fd);
close_fd:
	close(server->fd);
free_server:
	free(server);
	return err;
}

void local_server_destroy(struct local_server *server)
{
	if (!server)
		return;
	loop_remove(server->source);
	unlink(server->address.sun_path);
	close(server->fd);
	if (server->spare_fd >= 0)
		close(server->spare_fd);
	free(server);
}
