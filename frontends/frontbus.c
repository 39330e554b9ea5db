/*
 * frontends/frontbus.c - hands out watch events, and sleeps for everybody.
 *
 * Owns     the table of tokens.
 * Runs in  the guest's control thread.
 * Fails    negative errno.
 */
#include "frontends/frontbus.h"

#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>

#include "hv/clock.h"

/* Watch events handed out in one go: a store that never stops talking may not keep the devices from working. */
#define PUMP_BUDGET 64

int frontbus_init(struct frontbus *bus, struct hv *hv)
{
	int err = 0;

	*bus = (struct frontbus){.hv = hv};
	bus->store = hv_store(hv, &err);
	return bus->store ? 0 : err;
}

int frontbus_add(struct frontbus *bus, const char *token, void (*fn)(void *arg, const char *path), void *arg)
{
	for (unsigned i = 0; i < FRONTBUS_MAX_WATCHES; i++) {
		if (bus->watch[i].token)
			continue;
		bus->watch[i] = (struct frontbus_watch){token, fn, arg};
		return 0;
	}
	return -ENOSPC;
}

void frontbus_remove(struct frontbus *bus, const char *token)
{
	for (unsigned i = 0; i < FRONTBUS_MAX_WATCHES; i++)
		if (bus->watch[i].token && !strcmp(bus->watch[i].token, token))
			bus->watch[i].token = NULL;
}

static void device_event(void *arg, const char *path)
{
	handshake_event(arg, path);
}

int frontbus_start(struct frontbus *bus, struct handshake *h, const struct handshake_driver *driver, const char *path, void *priv)
{
	int rc = handshake_start(h, bus->hv, bus->store, driver, path, priv);

	if (rc < 0)
		return rc;
	rc = frontbus_add(bus, h->own_path, device_event, h);
	if (rc < 0)
		handshake_stop(h);
	return rc;
}

void frontbus_stop(struct frontbus *bus, struct handshake *h)
{
	frontbus_remove(bus, h->own_path);
	handshake_stop(h);
}

static void hand_out(struct frontbus *bus, const char *path, const char *token)
{
	for (unsigned i = 0; i < FRONTBUS_MAX_WATCHES; i++) {
		struct frontbus_watch *w = &bus->watch[i];

		if (w->token && !strcmp(w->token, token)) {
			w->fn(w->arg, path);
			return;
		}
	}
}

bool frontbus_pump(struct frontbus *bus)
{
	char *path, *token;
	unsigned n;

	for (n = 0; n < PUMP_BUDGET; n++) {
		if (store_client_next_watch(bus->store, &path, &token) < 0)
			break;
		hand_out(bus, path, token);
		free(path);
		free(token);
	}
	bus->has_more = n == PUMP_BUDGET;
	return n > 0;
}

/* Clears the event fd. Which ports had fired does not matter: all rings are looked at after every wake-up. */
static void take_events(struct frontbus *bus, int fd)
{
	evtchn_port_t ports[64];

	while (hv_event_take(bus->hv, fd, ports, 64) == 64)
		;
}

int frontbus_sleep(struct frontbus *bus, int timeout_ms)
{
	struct pollfd p[2] = {{.fd = store_client_fd(bus->store), .events = POLLIN},
			      {.fd = hv_lost_fd(bus->hv), .events = POLLIN}};
	int n;

	if (bus->is_lost)
		return -ENODEV;
	if (bus->has_more)
		return 1;
	bus->sleeps++;
	do
		n = poll(p, 2, timeout_ms);
	while (n < 0 && errno == EINTR && timeout_ms < 0);
	if (n <= 0)
		return 0;
	if (p[1].revents) {
		bus->is_lost = true;
		return -ENODEV;
	}
	take_events(bus, p[0].fd);
	return 1;
}

int frontbus_wait_connected(struct frontbus *bus, const struct handshake *h, int timeout_ms)
{
	uint64_t until = clock_now_ns() + (uint64_t)timeout_ms * 1000000u;

	for (;;) {
		int64_t left;

		if (frontbus_pump(bus))
			continue;
		if (frontbus_is_over(h))
			return -ENODEV;
		if (h->connected)
			return 0;
		if (bus->is_stopping)
			return -ECANCELED;
		left = (int64_t)(until - clock_now_ns());
		if (left <= 0)
			return -ETIMEDOUT;
		if (frontbus_sleep(bus, (int)(left / 1000000) + 1) < 0)
			return -ENODEV;
	}
}
