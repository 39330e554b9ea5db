/*
 * tools/vdev.h - virtual disk names and their numbers: xvda is 51712.
 *
 * Spec     docs/man/xen-vbd-interface(7) of Xen.
 */
#ifndef SLUICE_TOOLS_VDEV_H
#define SLUICE_TOOLS_VDEV_H

#include <stddef.h>
#include <stdint.h>

/* xvda, xvda1, xvdaa, hda, sda3, d0p1, or the number itself (decimal or 0x...). 0 or -EINVAL. */
int vdev_parse(const char *name, uint32_t *number);
/* The name Linux gives the number; "?" for one that has none. Returns name. */
const char *vdev_name(uint32_t number, char *name, size_t bytes);

#endif
