/*
 * hv/device_error.h - why a device failed, in the store.
 *
 *      <path>/error                                    for whoever looks at the device
 *      /local/domain/<n>/error/<rest of path>/error    where Xen's own drivers write it, and its tools look
 *
 * Runs in  the store client's thread.
 */
#ifndef SLUICE_HV_DEVICE_ERROR_H
#define SLUICE_HV_DEVICE_ERROR_H

#include "hv/store_client.h"

/* path: the device's directory, absolute when has_tree. */
void device_error_write(struct store_client *sc, const char *path, bool has_tree, const char *text);
/* Nothing is wrong any more, or the device is gone. */
void device_error_clear(struct store_client *sc, const char *path, bool has_tree);

#endif
