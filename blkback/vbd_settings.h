/*
 * blkback/vbd_settings.h - what may be changed about a vbd while it runs, through keys in its own store directory.
 *
 *      limit-read-iops, limit-write-iops      requests a second; absent or 0: as many as there come
 *      limit-read-bytes, limit-write-bytes    bytes a second, likewise
 *      limit-burst-ms                         how much of that may be saved up, as a time: 1 to 60000; 10 otherwise
 *      resize                                 written (whatever to): the image is measured anew, and the key removed
 *
 * Runs in  the thread that owns the store client.
 */
#ifndef SLUICE_BLKBACK_VBD_SETTINGS_H
#define SLUICE_BLKBACK_VBD_SETTINGS_H

#include "blkback/vbd.h"

/* Reads all limits. A value that is none is left out, with a line in the log. */
void vbd_settings_read(struct handshake *h, struct vbd *vbd);
/* A key in our own directory was written. */
void vbd_settings_changed(struct handshake *h, const char *key);

#endif
