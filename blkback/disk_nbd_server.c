/*
 * blkback/disk_nbd_server.c - an NBD server by name: how a target is written, and connecting to it.
 */
#include "blkback/disk_nbd_server.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "hv/clock.h"

#define EXPORT_WORD ":exportname="

/* Cuts "rest:exportname=NAME" in two; NAME, or NULL. */
static char *server_cut_export(char *rest)
{
	char *at = strstr(rest, EXPORT_WORD);

	if (!at)
		return NULL;
	*at = 0;
	return at + strlen(EXPORT_WORD);
}

/* rest: what stands behind "nbd:". 0, -1 as libnbd, or -EINVAL. */
static int server_begin_plain(struct nbd_handle *nbd, char *rest)
{
	char *export = server_cut_export(rest), *port, *end;

	if (export && nbd_set_export_name(nbd, export) < 0)
		return -1;
	if (!strncmp(rest, "unix:", 5))
		return nbd_aio_connect_unix(nbd, rest + 5);
	port = strrchr(rest, ':');
	if (!port || port == rest || !port[1])
		return -EINVAL;
	*port++ = 0;
	end = rest + strlen(rest) - 1;
	if (*rest == '[' && *end == ']') {
		*end = 0;
		rest++;
	}
	return nbd_aio_connect_tcp(nbd, rest, port);
}

static int server_say(const char *target, int err, char why[NBD_WHY_BYTES])
{
	if (err == -EINVAL)
		snprintf(why, NBD_WHY_BYTES, "image %s names no NBD server: write nbd:unix:/path/of/a/socket, nbd:HOST:PORT or a "
			 "nbd:// URI", target);
	else if (err == -ETIMEDOUT)
		snprintf(why, NBD_WHY_BYTES, "image %s: the NBD server does not answer: is it serving another client only?", target);
	else
		snprintf(why, NBD_WHY_BYTES, "image %s: the NBD server cannot be reached (%s): start it first or correct the target",
			 target, strerror(-err));
	return err;
}

/* libnbd's error of this thread; some have no number. */
static int server_error(void)
{
	int err = nbd_get_errno();

	return err > 0 ? -err : -EPROTO;
}

int nbd_server_begin(const char *target, struct nbd_handle **out, char why[NBD_WHY_BYTES])
{
	struct nbd_handle *nbd = nbd_create();
	char *copy = strdup(target);
	int rc, err = -ENOMEM;

	if (!nbd || !copy)
		goto close;
	if (strncmp(copy, "nbd:", 4) || !strncmp(copy, "nbd://", 6))
		rc = nbd_aio_connect_uri(nbd, copy);
	else
		rc = server_begin_plain(nbd, copy + 4);
	err = rc == -1 ? server_error() : rc;
	if (err)
		goto close;
	free(copy);
	*out = nbd;
	return 0;

close:
	free(copy);
	nbd_close(nbd);
	return server_say(target, err, why);
}

int nbd_server_connect(const char *target, struct nbd_handle **out, char why[NBD_WHY_BYTES])
{
	uint64_t until = clock_now_ns() + UINT64_C(1000000) * NBD_CONNECT_MS;
	struct nbd_handle *nbd;
	int err = nbd_server_begin(target, &nbd, why);

	if (err)
		return err;
	while (nbd_aio_is_connecting(nbd) > 0) {
		uint64_t now = clock_now_ns();

		if (now >= until) {
			err = -ETIMEDOUT;
			break;
		}
		if (nbd_poll(nbd, (int)((until - now) / 1000000) + 1) < 0) {
			err = server_error();
			break;
		}
	}
	if (!err && nbd_aio_is_ready(nbd) <= 0)
		err = -ECONNREFUSED;
	if (err) {
		nbd_close(nbd);
		return server_say(target, err, why);
	}
	*out = nbd;
	return 0;
}

void nbd_server_leave(struct nbd_handle *nbd)
{
	if (nbd && nbd_aio_is_ready(nbd) > 0)
		nbd_aio_disconnect(nbd, 0);
	nbd_close(nbd);
}
