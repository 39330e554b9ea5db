/*
 * blkback/vbd_image.h - what the toolstack wrote about a vbd's image, and the image opened accordingly.
 *
 * Runs in  the thread that owns the store client.
 * Spec     xen/io/blkif.h, "Backend Device Identification (PRIVATE)"; xl-disk-configuration(5).
 */
#ifndef SLUICE_BLKBACK_VBD_IMAGE_H
#define SLUICE_BLKBACK_VBD_IMAGE_H

#include "blkback/vbd.h"

/* Opens it unless it is open. 0, or -errno with the reason in the device's error node. */
int vbd_image_open(struct handshake *h, struct vbd *vbd);
/* Writes sectors, sector-size, physical-sector-size, info. 0 or -errno. */
int vbd_image_write_size(struct handshake *h, const struct vbd *vbd);
/* Writes what the image can: feature-discard and the like. 0 or -errno. */
int vbd_image_write_features(struct handshake *h, const struct vbd *vbd);

#endif
