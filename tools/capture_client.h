/*
 * tools/capture_client.h - sluice's end of a capture: the request, the ring, the clock.
 *
 * Owns     the connection and the ring, from open to close. The capture lasts as long as the connection.
 * Trusts   sluice-netback as far as capture_ring.h does.
 * Runs in  one thread.
 * Fails    -errno, and a sentence in why.
 */
#ifndef SLUICE_TOOLS_CAPTURE_CLIENT_H
#define SLUICE_TOOLS_CAPTURE_CLIENT_H

#include "netback/capture_abi.h"
#include "netback/capture_ring.h"

struct capture_client {
	int sock;
	int wake_fd; /* readable when the ring has something, if capture_ring_arm asked for it */
	struct capture_ring ring;
	struct capture_clock clock;
	bool is_ended; /* the back end will write nothing more */
	bool is_lost;  /* and did not say so */
	char why[CAPTURE_WHY_BYTES]; /* it ended by itself: the reason */
};

/* Asks the sluice-netback of this run directory (NULL: the default). */
int capture_client_open(struct capture_client *c, const char *run_dir, const struct capture_request *rq,
			char why[CAPTURE_WHY_BYTES]);
/* Reads what the back end has said: clocks, the end. Does not wait. */
void capture_client_hear(struct capture_client *c);
/* Asks for the end and waits until the back end writes no more. */
void capture_client_stop(struct capture_client *c);
/* Also after an open that failed. */
void capture_client_close(struct capture_client *c);

/* Nanoseconds since 1970. */
uint64_t capture_client_time(const struct capture_client *c, uint64_t tsc);

#endif
