/*
 * tools/guest_tap_dev.c - ioctls on a TAP and on its namespace.
 *
 * Owns, Fails: guest_tap_dev.h.
 */
#include "tools/guest_tap_dev.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/if_tun.h>
#include <linux/ipv6.h>
#include <linux/virtio_net.h>
#include <net/if.h>
#include <net/if_arp.h>
#include <net/route.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#define SEND_BUFFER (4 << 20) /* several of the largest frames */

static int fail(struct tap_dev *tap, const char *what)
{
	tap->what = what;
	return -errno;
}

static int open_queue(struct tap_dev *tap, unsigned i, unsigned offloads)
{
	struct ifreq ifr = {.ifr_flags = IFF_TAP | IFF_NO_PI | IFF_VNET_HDR | (tap->nr_queues > 1 ? IFF_MULTI_QUEUE : 0)};
	int header = sizeof(struct virtio_net_hdr), room = SEND_BUFFER;

	tap->fd[i] = open("/dev/net/tun", O_RDWR | O_NONBLOCK | O_CLOEXEC);
	if (tap->fd[i] < 0)
		return fail(tap, "opening /dev/net/tun");
	snprintf(ifr.ifr_name, IFNAMSIZ, "%s", tap->name);
	if (ioctl(tap->fd[i], TUNSETIFF, &ifr))
		return fail(tap, "making the TAP");
	if (ioctl(tap->fd[i], TUNSETVNETHDRSZ, &header) || ioctl(tap->fd[i], TUNSETSNDBUF, &room))
		return fail(tap, "setting up the TAP");
	if (ioctl(tap->fd[i], TUNSETOFFLOAD, offloads))
		return fail(tap, "setting the TAP's offloads");
	return 0;
}

int tap_dev_open(struct tap_dev *tap, const char *name, unsigned nr_queues, unsigned offloads)
{
	int rc = 0;

	*tap = (struct tap_dev){.name = name, .nr_queues = nr_queues};
	for (unsigned i = 0; i < TAP_MAX_QUEUES; i++)
		tap->fd[i] = -1;
	if (unshare(CLONE_NEWNET))
		return fail(tap, "making a network namespace");
	for (unsigned i = 0; !rc && i < nr_queues; i++)
		rc = open_queue(tap, i, offloads);
	if (rc)
		tap_dev_close(tap);
	return rc;
}

void tap_dev_close(struct tap_dev *tap)
{
	for (unsigned i = 0; i < tap->nr_queues; i++) {
		if (tap->fd[i] >= 0)
			close(tap->fd[i]);
		tap->fd[i] = -1;
	}
}

/* One ioctl on a socket of that family. */
static int on_socket(struct tap_dev *tap, int family, unsigned long request, void *arg, const char *what)
{
	int fd = socket(family, SOCK_DGRAM | SOCK_CLOEXEC, 0), rc = 0;

	if (fd < 0)
		return fail(tap, what);
	if (ioctl(fd, request, arg))
		rc = fail(tap, what);
	close(fd);
	return rc;
}

static struct ifreq request_of(const char *name)
{
	struct ifreq ifr = {0};

	snprintf(ifr.ifr_name, IFNAMSIZ, "%s", name);
	return ifr;
}

int tap_dev_set_mac(struct tap_dev *tap, const uint8_t mac[6])
{
	struct ifreq ifr = request_of(tap->name);

	ifr.ifr_hwaddr.sa_family = ARPHRD_ETHER;
	memcpy(ifr.ifr_hwaddr.sa_data, mac, 6);
	return on_socket(tap, AF_INET, SIOCSIFHWADDR, &ifr, "setting the MAC address");
}

int tap_dev_set_mtu(struct tap_dev *tap, unsigned mtu)
{
	struct ifreq ifr = request_of(tap->name);

	ifr.ifr_mtu = (int)mtu;
	return on_socket(tap, AF_INET, SIOCSIFMTU, &ifr, "setting the MTU");
}

static int add_v4(struct tap_dev *tap, struct in_addr address, unsigned prefix)
{
	struct ifreq ifr = request_of(tap->name);
	struct sockaddr_in sin = {.sin_family = AF_INET, .sin_addr = address};
	int rc;

	memcpy(&ifr.ifr_addr, &sin, sizeof(sin));
	rc = on_socket(tap, AF_INET, SIOCSIFADDR, &ifr, "setting the address");
	if (rc)
		return rc;
	sin.sin_addr.s_addr = htonl(prefix ? ~UINT32_C(0) << (32 - prefix) : 0);
	memcpy(&ifr.ifr_netmask, &sin, sizeof(sin));
	return on_socket(tap, AF_INET, SIOCSIFNETMASK, &ifr, "setting the netmask");
}

int tap_dev_add_address(struct tap_dev *tap, const char *text)
{
	char address[INET6_ADDRSTRLEN], *end;
	const char *slash = strchr(text, '/');
	struct in6_ifreq v6 = {.ifr6_ifindex = (int)if_nametoindex(tap->name)};
	struct in_addr v4;
	unsigned long prefix;

	tap->what = "reading the address";
	if (!slash || slash[1] < '0' || slash[1] > '9' || (size_t)(slash - text) >= sizeof(address))
		return -EINVAL;
	snprintf(address, sizeof(address), "%.*s", (int)(slash - text), text);
	prefix = strtoul(slash + 1, &end, 10);
	if (*end)
		return -EINVAL;
	if (inet_pton(AF_INET, address, &v4) == 1 && prefix <= 32)
		return add_v4(tap, v4, (unsigned)prefix);
	if (inet_pton(AF_INET6, address, &v6.ifr6_addr) != 1 || prefix > 128)
		return -EINVAL;
	v6.ifr6_prefixlen = (uint32_t)prefix;
	return on_socket(tap, AF_INET6, SIOCSIFADDR, &v6, "setting the IPv6 address");
}

static int set_up(struct tap_dev *tap, const char *name)
{
	struct ifreq ifr = request_of(name);
	int rc = on_socket(tap, AF_INET, SIOCGIFFLAGS, &ifr, "reading an interface's flags");

	ifr.ifr_flags |= IFF_UP;
	return rc ? rc : on_socket(tap, AF_INET, SIOCSIFFLAGS, &ifr, "bringing an interface up");
}

int tap_dev_up(struct tap_dev *tap)
{
	int rc = set_up(tap, "lo");

	return rc ? rc : set_up(tap, tap->name);
}

int tap_dev_add_gateway(struct tap_dev *tap, const char *text)
{
	struct in6_rtmsg v6 = {.rtmsg_flags = RTF_UP | RTF_GATEWAY, .rtmsg_metric = 1};
	struct rtentry v4 = {.rt_flags = RTF_UP | RTF_GATEWAY};
	struct sockaddr_in any = {.sin_family = AF_INET}, sin = any;

	tap->what = "reading the gateway's address";
	if (inet_pton(AF_INET, text, &sin.sin_addr) == 1) {
		memcpy(&v4.rt_dst, &any, sizeof(any));
		memcpy(&v4.rt_genmask, &any, sizeof(any));
		memcpy(&v4.rt_gateway, &sin, sizeof(sin));
		return on_socket(tap, AF_INET, SIOCADDRT, &v4, "setting the default route");
	}
	if (inet_pton(AF_INET6, text, &v6.rtmsg_gateway) != 1)
		return -EINVAL;
	v6.rtmsg_ifindex = (int)if_nametoindex(tap->name);
	return on_socket(tap, AF_INET6, SIOCADDRT, &v6, "setting the IPv6 default route");
}

void tap_dev_set_carrier(struct tap_dev *tap, bool is_up)
{
	int value = is_up;

	ioctl(tap->fd[0], TUNSETCARRIER, &value);
}
