/*
 * hv/local_link.h - one connection to sluiced: the welcome, then hypercalls, one at a time.
 *
 * Arguments are copied into the argument area, at LOCAL_ARG_ADDRESS of the caller's address space (a guest: guest-physical,
 * frame 1 of its own RAM; Domain-0: offset in the connection's area), and copied back after the call. A pointer inside an
 * argument is LOCAL_ARG_ADDRESS + its offset in the argument.
 *
 * Trusts   sluiced.
 * Runs in  any thread; a lock around each call.
 * Fails    -EPIPE: sluiced is gone, or has destroyed this domain; -E2BIG: the argument is larger than the area.
 */
#ifndef SLUICE_HV_LOCAL_LINK_H
#define SLUICE_HV_LOCAL_LINK_H

#include <pthread.h>

#include "hv/local_abi.h"

#define LOCAL_ARG_ADDRESS ((uint64_t)PAGE_BYTES)

struct local_link {
	pthread_mutex_t lock;
	int sock;
	int lost_fd;       /* an epoll fd, readable once the other end hung up */
	uint8_t *arg;      /* where LOCAL_ARG_ADDRESS is in this process */
	size_t arg_bytes;
};

/* fds that travel with a message. */
struct local_fds {
	unsigned nr;
	int fd[LOCAL_MAX_FDS];
};

/* Connects to <run_dir>/hypercall. The argument area is set by the caller once the welcome has brought it. */
int local_link_connect(struct local_link *link, const char *run_dir);
/* Takes a connected socket, which becomes the link's. */
int local_link_adopt(struct local_link *link, int sock);
void local_link_close(struct local_link *link);

/* Says who we are; fills welcome and fds (the caller's to close) or returns the -errno that sluiced answered. */
int local_link_hello(struct local_link *link, enum local_kind kind, const char *name, struct local_welcome *welcome,
		     struct local_fds *fds);

/*
 * A hypercall. send_fd goes along when it is not -1; fds that come back are the caller's to close, and closed here when
 * fds is NULL.
 */
long local_link_hypercall(struct local_link *link, unsigned nr, uint64_t cmd, void *arg, size_t bytes, int send_fd,
			  struct local_fds *fds);

void local_fds_close(struct local_fds *fds);

#endif
