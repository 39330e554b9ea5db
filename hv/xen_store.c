/*
 * hv/xen_store.c - how this domain reaches the store, and how it notices that the store is gone.
 *
 * Runs in  any thread.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "hv/store_client_xs.h"
#include "hv/xen_open.h"

#define STORE_SOCKET "/run/xenstored/socket"
#define STORE_DEVICE "/dev/xen/xenbus"

/* Domain-0 has the socket. The device is for other domains: in Domain-0 it may be there, and nobody behind it. */
const char *xen_store_path(void)
{
	const char *path = getenv("XENSTORED_PATH");

	if (path)
		return path;
	if (!access(STORE_SOCKET, F_OK) || xen_platform.is_dom0())
		return STORE_SOCKET;
	return access(STORE_DEVICE, F_OK) ? NULL : STORE_DEVICE;
}

int xen_store_open(struct hv *hv, struct store_client **out)
{
	struct xen_hv *x = xen_hv_of(hv);
	int err = store_client_xs_open(x->store_path, out);

	if (!err && x->shared_events)
		store_client_xs_gather(*out, x->epoll_fd);
	return err;
}

int xen_store_lost_fd(const char *path)
{
	struct sockaddr_un addr = {.sun_family = AF_UNIX};
	int fd, err;

	if (strlen(path) >= sizeof(addr.sun_path))
		return -ENAMETOOLONG;
	strcpy(addr.sun_path, path);
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return -errno;
	if (!connect(fd, (struct sockaddr *)&addr, sizeof(addr)))
		return fd;
	err = -errno;
	close(fd);
	if (err != -ECONNREFUSED || strcmp(path, STORE_DEVICE))
		return err;
	fd = eventfd(0, EFD_CLOEXEC);
	return fd < 0 ? -errno : fd;
}
