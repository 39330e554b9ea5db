/*
 * tools/guest_tap_dev.h - a TAP in a network namespace of this process's own: made, addressed, up.
 *
 * Owns     its fds. The namespace lives as long as a process is in it.
 * Fails    -errno; what names the step, a literal.
 */
#ifndef SLUICE_TOOLS_GUEST_TAP_DEV_H
#define SLUICE_TOOLS_GUEST_TAP_DEV_H

#include <stdbool.h>
#include <stdint.h>

#define TAP_MAX_QUEUES 8u

struct tap_dev {
	const char *name;
	unsigned nr_queues;
	int fd[TAP_MAX_QUEUES]; /* non-blocking; each frame has a struct virtio_net_hdr before it */
	const char *what;       /* failed */
};

/* Moves this process into a new namespace and makes the device, down. offloads: TUN_F_*. One thread only. */
int tap_dev_open(struct tap_dev *tap, const char *name, unsigned nr_queues, unsigned offloads);
void tap_dev_close(struct tap_dev *tap);
int tap_dev_set_mac(struct tap_dev *tap, const uint8_t mac[6]);
int tap_dev_set_mtu(struct tap_dev *tap, unsigned mtu);
/* "A.B.C.D/N" or "X::Y/N". -EINVAL: it is neither. */
int tap_dev_add_address(struct tap_dev *tap, const char *text);
/* The device and the namespace's loopback go up. */
int tap_dev_up(struct tap_dev *tap);
/* The default route, of either family. -EINVAL: no address. */
int tap_dev_add_gateway(struct tap_dev *tap, const char *text);
/* Cable in or out. */
void tap_dev_set_carrier(struct tap_dev *tap, bool is_up);

#endif
