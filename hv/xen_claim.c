/*
 * hv/xen_claim.c - one back end for all devices of a type, or several that take some each: a second one would take the first one's
 * running devices over.
 *
 * A lock on a byte of /dev/xen/evtchn's file, which byte says the type: it leaves nothing behind, goes with the process, and
 * whoever may not open the device cannot hold it. Those that take some share it.
 *
 * Owns     the locked files until the hv is closed.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

#include "hv/xen_open.h"

struct xen_claim {
	struct xen_claim *next;
	int fd;
};

static off_t byte_of(const char *type)
{
	uint32_t hash = 2166136261u; /* FNV-1a */

	for (; *type; type++)
		hash = (hash ^ (uint8_t)*type) * 16777619u;
	return hash;
}

int xen_claim(struct hv *hv, const char *type, bool takes_some)
{
	struct flock lock = {
		.l_type = takes_some ? F_RDLCK : F_WRLCK, .l_whence = SEEK_SET, .l_start = byte_of(type), .l_len = 1};
	struct xen_hv *x = xen_hv_of(hv);
	struct xen_claim *c = malloc(sizeof(*c));
	int err;

	if (!c)
		return -ENOMEM;
	c->fd = open(XEN_EVTCHN_DEVICE, O_RDWR | O_CLOEXEC);
	if (c->fd < 0) {
		err = -errno;
		goto free_claim;
	}
	/* Of this open file, not of the process: two back ends in one process are two, too. */
	if (fcntl(c->fd, F_OFD_SETLK, &lock)) {
		err = errno == EAGAIN || errno == EACCES ? -EBUSY : -errno;
		goto close_fd;
	}
	pthread_mutex_lock(&x->lock);
	c->next = x->claims;
	x->claims = c;
	pthread_mutex_unlock(&x->lock);
	return 0;
close_fd:
	close(c->fd);
free_claim:
	free(c);
	return err;
}

void xen_claims_finish(struct xen_hv *x)
{
	struct xen_claim *c;

	while ((c = x->claims)) {
		x->claims = c->next;
		close(c->fd);
		free(c);
	}
}
