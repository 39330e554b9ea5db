/*
 * hv/xenbus.h - all devices of one type that this back end process serves.
 *
 * Watches backend/<type>, starts a handshake for each <domid>/<devid> that appears, stops it when it goes.
 *
 * Runs in  the thread that owns the store client.
 */
#ifndef SLUICE_HV_XENBUS_H
#define SLUICE_HV_XENBUS_H

#include "hv/handshake.h"

struct xenbus;

struct xenbus_driver {
	struct handshake_driver handshake;
	bool takes_some; /* devices of its choice: other processes may take others. Otherwise this process alone serves the type */
	/*
	 * A device directory appeared: allocate the device, *priv becomes handshake.priv. An error leaves the device
	 * alone, with its "error" node written; -ENODEV says nothing there: it is another back end's.
	 */
	int (*probe)(struct xenbus *bus, domid_t frontend, unsigned devid, const char *path, void **priv);
	/* The device is gone: disconnect has run if it had to. Frees priv. */
	void (*remove)(struct xenbus *bus, void *priv);
};

/*
 * Watches; devices that are there already are probed at once. arg comes back from xenbus_arg. -EBUSY: another process serves this type,
 * and has not ended within XENBUS_PATIENCE_MS.
 */
int xenbus_create(struct hv *hv, const struct xenbus_driver *driver, void *arg, struct xenbus **out);
#define XENBUS_PATIENCE_MS 2000u
/* Why xenbus_create failed for devices of that type, in one sentence without a name of its own. */
void xenbus_explain(const struct hv *hv, const char *type, int err, char *why, size_t bytes);
/*
 * Closes every device cleanly (Closing, Closed), waits for nobody. Where the platform keeps devices (hv_keeps_devices) they are
 * disconnected and stay as they are in the store: the next xenbus_create takes them over.
 */
void xenbus_destroy(struct xenbus *bus);
void *xenbus_arg(struct xenbus *bus);
struct hv *xenbus_hv(struct xenbus *bus);
/* Poll this fd; when readable, call xenbus_process. Bounded work per call; returns true when there is more. */
int xenbus_fd(const struct xenbus *bus);
bool xenbus_process(struct xenbus *bus);

#endif
