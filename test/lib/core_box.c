/*
 * test/lib/core_box.c - core and clients in one thread.
 */
#include "core_box.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "hv/domctl.h"
#include "hv/memory_map.h"

#include <xen/memory.h>

#define ARG_ADDRESS 4096u
#define GIVE_UP_NS (UINT64_C(20) * 1000000000u)

#define MUST(what)                                                                        \
	do {                                                                              \
		if (!(what)) {                                                            \
			fprintf(stderr, "%s:%d: %s (%s)\n", __FILE__, __LINE__, #what, strerror(errno)); \
			abort();                                                          \
		}                                                                         \
	} while (0)

void core_box_init(struct core_box *box, bool with_run_dir)
{
	struct core_options options = {0};

	box->run_dir[0] = '\0';
	if (with_run_dir) {
		strcpy(box->run_dir, "/tmp/sluice-core-XXXXXX");
		MUST(mkdtemp(box->run_dir));
		options.run_dir = box->run_dir;
	}
	MUST(!loop_create(&box->loop));
	MUST(!core_create(box->loop, &options, &box->core));
}

void core_box_finish(struct core_box *box)
{
	char command[128];

	core_destroy(box->core);
	loop_destroy(box->loop);
	if (!box->run_dir[0])
		return;
	snprintf(command, sizeof(command), "rm -rf %s", box->run_dir);
	MUST(!system(command));
}

void core_box_turn(struct core_box *box)
{
	for (unsigned i = 0; i < 16; i++)
		MUST(!loop_run_once(box->loop, 0));
}

static uint64_t now_ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * 1000000000u + (uint64_t)ts.tv_nsec;
}

bool core_box_until(struct core_box *box, bool (*done)(void *arg), void *arg)
{
	uint64_t end = now_ns() + GIVE_UP_NS;

	while (!done(arg)) {
		if (now_ns() > end)
			return false;
		MUST(!loop_run_once(box->loop, 50));
	}
	return true;
}

static void close_fds(struct core_client *client)
{
	while (client->nr_fds)
		close(client->fds[--client->nr_fds]);
}

void core_client_send(struct core_client *client, const void *message, size_t bytes, int fd)
{
	union {
		struct cmsghdr align;
		char bytes[CMSG_SPACE(sizeof(int))];
	} control = {0};
	struct iovec iov = {(void *)message, bytes};
	struct msghdr msg = {.msg_iov = &iov, .msg_iovlen = 1};

	if (fd >= 0) {
		control.align = (struct cmsghdr){CMSG_LEN(sizeof(int)), SOL_SOCKET, SCM_RIGHTS};
		memcpy(CMSG_DATA(&control.align), &fd, sizeof(fd));
		msg.msg_control = control.bytes;
		msg.msg_controllen = sizeof(control.bytes);
	}
	/* A client that was cut off finds out when it receives. */
	if (sendmsg(client->fd, &msg, MSG_NOSIGNAL | MSG_DONTWAIT) < 0)
		MUST(errno == EPIPE || errno == ECONNRESET || errno == EAGAIN);
}

ssize_t core_client_receive(struct core_client *client, void *message, size_t bytes)
{
	union {
		struct cmsghdr align;
		char bytes[CMSG_SPACE(sizeof(int) * LOCAL_MAX_FDS)];
	} control;
	struct iovec iov = {message, bytes};
	struct msghdr msg = {
		.msg_iov = &iov, .msg_iovlen = 1, .msg_control = control.bytes, .msg_controllen = sizeof(control)};
	struct cmsghdr *c;
	ssize_t n;

	close_fds(client);
	n = recvmsg(client->fd, &msg, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
	if (n < 0)
		return errno == ECONNRESET ? 0 : -errno;
	c = CMSG_FIRSTHDR(&msg);
	if (c) {
		client->nr_fds = (unsigned)((c->cmsg_len - CMSG_LEN(0)) / sizeof(int));
		memcpy(client->fds, CMSG_DATA(c), client->nr_fds * sizeof(int));
	}
	return n;
}

int core_client_hello(struct core_box *box, struct core_client *client, enum local_kind kind, const char *name)
{
	struct local_hello hello = {.magic = LOCAL_MAGIC, .version = LOCAL_VERSION, .kind = kind};
	struct conn *conn;
	int fds[2];
	void *base;
	ssize_t n;

	memset(client, 0, sizeof(*client));
	client->box = box;
	MUST(!socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, fds));
	MUST(!conn_create(box->core, fds[0], NULL, &conn));
	client->fd = fds[1];
	if (name)
		snprintf(hello.name, sizeof(hello.name), "%s", name);
	core_client_send(client, &hello, sizeof(hello), -1);
	core_box_turn(box);
	n = core_client_receive(client, &client->welcome, sizeof(client->welcome));
	if (n == -EAGAIN)
		return -EINPROGRESS;
	if (n != sizeof(client->welcome))
		return -EPIPE;
	if (client->welcome.status)
		return client->welcome.status;
	MUST(client->nr_fds);
	MUST(!memory_map_get(client->fds[0], &base, &client->area_bytes));
	client->area = base;
	return 0;
}

void core_client_close(struct core_client *client)
{
	close_fds(client);
	memory_map_put(client->area);
	close(client->fd);
	core_box_turn(client->box);
}

long core_client_call(struct core_client *client, uint64_t nr, uint64_t a0, uint64_t a1, uint64_t a2, int fd)
{
	struct local_call call = {.nr = nr, .arg = {a0, a1, a2}};
	struct local_return ret;
	ssize_t n;

	core_client_send(client, &call, sizeof(call), fd);
	core_box_turn(client->box);
	n = core_client_receive(client, &ret, sizeof(ret));
	if (n == -EAGAIN)
		return -EINPROGRESS;
	return n == sizeof(ret) ? ret.ret : -EPIPE;
}

long core_client_op(struct core_client *client, uint64_t nr, uint64_t cmd, void *arg, size_t bytes)
{
	bool in_struct = nr == __HYPERVISOR_domctl || nr == __HYPERVISOR_sysctl;
	long ret;

	MUST(ARG_ADDRESS + bytes <= client->area_bytes);
	memcpy(client->area + ARG_ADDRESS, arg, bytes);
	ret = core_client_call(client, nr, in_struct ? ARG_ADDRESS : cmd, ARG_ADDRESS, 1, -1);
	memcpy(arg, client->area + ARG_ADDRESS, bytes);
	return ret;
}

long core_client_domctl(struct core_client *dom0, unsigned cmd, domid_t domid)
{
	struct xen_domctl op = {.cmd = cmd, .interface_version = XEN_DOMCTL_INTERFACE_VERSION, .domain = domid};

	return core_client_op(dom0, __HYPERVISOR_domctl, 0, &op, sizeof(op));
}

struct domain *core_box_domain(struct core_client *dom0, const char *name)
{
	struct xen_domctl op = {.cmd = XEN_DOMCTL_createdomain, .interface_version = XEN_DOMCTL_INTERFACE_VERSION};
	struct {
		struct xen_memory_reservation r;
		uint64_t frame;
	} mem = {0};
	char path[64];
	domid_t domid;

	op.u.createdomain.max_vcpus = 2;
	op.u.createdomain.max_grant_frames = -1;
	op.u.createdomain.max_maptrack_frames = -1;
	MUST(!core_client_op(dom0, __HYPERVISOR_domctl, 0, &op, sizeof(op)));
	domid = op.domain;
	op.cmd = XEN_DOMCTL_max_mem;
	op.u.max_mem.max_memkb = 4096;
	MUST(!core_client_op(dom0, __HYPERVISOR_domctl, 0, &op, sizeof(op)));
	mem.r.extent_start.p = (void *)(uintptr_t)(ARG_ADDRESS + sizeof(mem.r));
	mem.r.nr_extents = 1;
	mem.r.extent_order = 10;
	mem.r.domid = domid;
	MUST(core_client_op(dom0, __HYPERVISOR_memory_op, XENMEM_populate_physmap, &mem, sizeof(mem)) == 1);
	snprintf(path, sizeof(path), "/local/domain/%u/name", domid);
	MUST(!store_write(dom0->box->core->store, path, name, (unsigned)strlen(name)));
	return core_domain(dom0->box->core, domid);
}

void core_box_attach(struct core_client *dom0, struct domain *d, const char *name, struct core_client *guest)
{
	MUST(!core_client_domctl(dom0, XEN_DOMCTL_unpausedomain, d->domid));
	MUST(!core_client_hello(dom0->box, guest, LOCAL_KIND_ATTACH, name));
	MUST(guest->welcome.domid == d->domid);
}

void core_pair_init(struct core_pair *pair, bool with_run_dir)
{
	core_box_init(&pair->box, with_run_dir);
	MUST(!core_client_hello(&pair->box, &pair->dom0, LOCAL_KIND_DOM0, NULL));
	pair->d = core_box_domain(&pair->dom0, "guest");
	core_box_attach(&pair->dom0, pair->d, "guest", &pair->guest);
}

void core_pair_finish(struct core_pair *pair)
{
	core_client_close(&pair->guest);
	core_client_close(&pair->dom0);
	core_box_finish(&pair->box);
}
