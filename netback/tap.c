/*
 * netback/tap.c - makes a TAP interface, plugs it in, takes it away.
 *
 * One plugged into a bridge gets what Xen's scripts give a vif: the address fe:ff:ff:ff:ff:ff, so that it never becomes the
 * bridge's own, no ARP and no multicast of its own, the bridge's MTU.
 */
#include "netback/tap.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include <linux/ethtool.h>
#include <linux/if_arp.h>
#include <linux/if_tun.h>
#include <linux/sockios.h>
#include <linux/virtio_net.h>

static struct ifreq request(const char *name)
{
	struct ifreq ifr = {0};

	memcpy(ifr.ifr_name, name, strnlen(name, IFNAMSIZ - 1));
	return ifr;
}

static const char *reason(int err)
{
	switch (-err) {
	case ENOENT:
	case ENODEV:
		return "there is no /dev/net/tun: load the kernel's module tun";
	case EPERM:
	case EACCES:
		return "that takes CAP_NET_ADMIN: run as root";
	case EBUSY:
	case EEXIST:
		return "an interface of that name exists already: remove it, or choose another name";
	case EINVAL:
		return "that is no name for an interface, or the interface is none that this program made";
	default:
		return strerror(-err);
	}
}

static int open_queue(struct tap *t, unsigned i)
{
	unsigned offloads = TUN_F_CSUM | TUN_F_TSO4 | TUN_F_TSO6 | TUN_F_TSO_ECN;
	struct ifreq ifr = request(t->name);
	int size = sizeof(struct virtio_net_hdr), fd = open("/dev/net/tun", O_RDWR | O_NONBLOCK | O_CLOEXEC);

	t->queue[i].fd = fd;
	if (fd < 0)
		return -errno;
	/* Not one that somebody else made and left. */
	ifr.ifr_flags = (short)(IFF_TAP | IFF_NO_PI | IFF_VNET_HDR | (t->nr_queues > 1 ? IFF_MULTI_QUEUE : 0) |
				(i ? 0 : IFF_TUN_EXCL));
	if (ioctl(fd, TUNSETIFF, &ifr) < 0 || ioctl(fd, TUNSETVNETHDRSZ, &size) < 0 || ioctl(fd, TUNSETOFFLOAD, offloads) < 0)
		return -errno;
	strcpy(t->name, ifr.ifr_name);
	return 0;
}

static int open_interface(struct tap *t)
{
	int err = 0;

	for (unsigned i = 0; i < t->nr_queues && !err; i++)
		err = open_queue(t, i);
	t->ifindex = err ? 0 : (int)if_nametoindex(t->name);
	return err;
}

/* One ioctl on whatever socket; 0 or -errno. */
static int on_interface(unsigned long what, struct ifreq *ifr)
{
	int sock = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0), err;

	if (sock < 0)
		return -errno;
	err = ioctl(sock, what, ifr) < 0 ? -errno : 0;
	close(sock);
	return err;
}

/* Not by /sys, which may be another network namespace's. */
bool tap_is_bridge(const char *name)
{
	struct ethtool_drvinfo info = {.cmd = ETHTOOL_GDRVINFO};
	struct ifreq ifr = request(name);

	ifr.ifr_data = (void *)&info;
	return strlen(name) < IFNAMSIZ && on_interface(SIOCETHTOOL, &ifr) == 0 && strcmp(info.driver, "bridge") == 0;
}

unsigned tap_mtu_of(const char *name)
{
	struct ifreq ifr = request(name);

	return on_interface(SIOCGIFMTU, &ifr) ? 0 : (unsigned)ifr.ifr_mtu;
}

int tap_set_mtu(struct tap *t, unsigned mtu)
{
	struct ifreq ifr = request(t->name);

	ifr.ifr_mtu = (int)mtu;
	return on_interface(SIOCSIFMTU, &ifr);
}

bool tap_is_up(const struct tap *t)
{
	struct ifreq ifr = request(t->name);

	return on_interface(SIOCGIFFLAGS, &ifr) == 0 && ifr.ifr_flags & IFF_UP;
}

void tap_set_carrier(struct tap *t, bool is_in)
{
	int value = is_in;

	ioctl(t->queue[0].fd, TUNSETCARRIER, &value);
}

static int plug_in(int sock, const struct tap *t, const char *bridge)
{
	static const uint8_t mac[6] = {0xfe, 0xff, 0xff, 0xff, 0xff, 0xff};
	struct ifreq ifr = request(t->name);

	ifr.ifr_hwaddr.sa_family = ARPHRD_ETHER;
	memcpy(ifr.ifr_hwaddr.sa_data, mac, sizeof(mac));
	if (ioctl(sock, SIOCSIFHWADDR, &ifr) < 0)
		return -errno;
	ifr = request(bridge);
	ifr.ifr_ifindex = t->ifindex;
	return ioctl(sock, SIOCBRADDIF, &ifr) < 0 ? -errno : 0;
}

static int bring_up(int sock, const struct tap *t, bool is_plugged)
{
	struct ifreq ifr = request(t->name);

	if (ioctl(sock, SIOCGIFFLAGS, &ifr) < 0)
		return -errno;
	ifr.ifr_flags = (short)(ifr.ifr_flags | IFF_UP);
	if (is_plugged)
		ifr.ifr_flags = (short)((ifr.ifr_flags | IFF_NOARP) & ~IFF_MULTICAST);
	return ioctl(sock, SIOCSIFFLAGS, &ifr) < 0 ? -errno : 0;
}

static int set_up(struct tap *t, const struct tap_options *opt, char *why, size_t why_size)
{
	int sock = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0), err;
	unsigned mtu;

	if (sock < 0)
		return -errno;
	mtu = opt->mtu ? opt->mtu : opt->bridge ? tap_mtu_of(opt->bridge) : 0;
	err = mtu ? tap_set_mtu(t, mtu) : 0;
	if (err)
		snprintf(why, why_size, "interface %s does not take an MTU of %u", t->name, mtu);
	if (!err && opt->bridge) {
		err = plug_in(sock, t, opt->bridge);
		if (err)
			snprintf(why, why_size, "interface %s cannot be plugged into bridge %s: %s", t->name, opt->bridge,
				 err == -ENODEV ? "there is no such bridge" : strerror(-err));
	}
	err = err ? err : bring_up(sock, t, opt->bridge != NULL);
	close(sock);
	return err;
}

int tap_open(const struct tap_options *opt, struct rte_mempool *pool, struct tap **out, char *why, size_t why_size)
{
	struct tap *t = calloc(1, sizeof(*t));
	int err = -ENAMETOOLONG;

	why[0] = '\0';
	if (!t)
		return -ENOMEM;
	t->nr_queues = opt->nr_queues ? opt->nr_queues : 1;
	for (unsigned i = 0; i < t->nr_queues; i++)
		t->queue[i] = (struct tap_queue){.fd = -1, .pool = pool};
	if (!opt->name[0] || strlen(opt->name) >= sizeof(t->name) || strchr(opt->name, '/') || strchr(opt->name, '%')) {
		snprintf(why, why_size, "'%s' is no name for an interface: 1 to %u characters, no / and no %%", opt->name,
			 IFNAMSIZ - 1);
		goto fail;
	}
	strcpy(t->name, opt->name);
	err = open_interface(t);
	if (!err)
		err = set_up(t, opt, why, why_size);
	if (err)
		goto fail;
	t->bridge_port = (struct bridge_port){
		.nr_parts = (uint16_t)t->nr_queues,
		.max_frame = TAP_MAX_FRAME, /* Linux drops what its MTU does not allow */
		.caps = OFFLOAD_ALL,
		.index = BRIDGE_NO_PORT,
	};
	for (unsigned k = 0; k < t->nr_queues; k++) {
		t->bridge_part[k] = (struct bridge_part){.queue = &t->queue[k], .in = tap_in, .out = tap_out};
		t->bridge_port.parts[k] = &t->bridge_part[k];
	}
	*out = t;
	return 0;

fail:
	if (!why[0])
		snprintf(why, why_size, "cannot make interface %s: %s", opt->name, reason(err));
	tap_close(t);
	return err;
}

void tap_close(struct tap *t)
{
	if (!t)
		return;
	for (unsigned i = 0; i < t->nr_queues; i++) {
		rte_pktmbuf_free_bulk(t->queue[i].part, t->queue[i].nr_parts);
		if (t->queue[i].fd >= 0)
			close(t->queue[i].fd); /* with the last the interface goes, out of its bridge, too */
	}
	free(t);
}
