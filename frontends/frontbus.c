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
#include <sys/eventfd.h>
#include <unistd.h>

#include "hv/clock.h"
#include "rings/atomics.h"

/* Watch events handed out in one go: a store that never stops talking may not keep the devices from working. */
#define PUMP_BUDGET 64

int frontbus_init(struct frontbus *bus, struct hv *hv)
{
	int err = 0;

	*bus = (struct frontbus){.hv = hv, .wake_fd = -1};
	bus->store = hv_store(hv, &err);
	return bus->store ? 0 : err;
}

void frontbus_finish(struct frontbus *bus)
{
	if (bus->wake_fd >= 0)
		close(bus->wake_fd);
	bus->wake_fd = -1;
}

int frontbus_need_wake(struct frontbus *bus)
{
	if (bus->wake_fd < 0)
		bus->wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	return bus->wake_fd < 0 ? -errno : 0;
}

static void write_event(int fd)
{
	uint64_t one = 1;
	ssize_t n = fd >= 0 ? write(fd, &one, sizeof(one)) : 0; /* full: it is readable, which is all we want */

	(void)n;
}

void frontbus_wake(struct frontbus *bus)
{
	write_event(bus->wake_fd);
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

int frontbus_add_sleeper(struct frontbus *bus, evtchn_port_t port, int fd)
{
	for (unsigned i = 0; i < FRONTBUS_MAX_SLEEPERS; i++) {
		struct frontbus_sleeper *s = &bus->sleeper[i];

		if (load_relaxed(&s->port))
			continue;
		store_relaxed(&s->fd, fd);
		store_release(&s->port, port); /* pairs with tell's acquire */
		return 0;
	}
	return -ENOSPC;
}

void frontbus_remove_sleeper(struct frontbus *bus, evtchn_port_t port)
{
	for (unsigned i = 0; i < FRONTBUS_MAX_SLEEPERS; i++)
		if (load_relaxed(&bus->sleeper[i].port) == port)
			store_relaxed(&bus->sleeper[i].port, 0);
}

/* Whose port it is, he is told; the bus's thread looks after all that is nobody's. */
static void tell(struct frontbus *bus, evtchn_port_t port)
{
	for (unsigned i = 0; i < FRONTBUS_MAX_SLEEPERS; i++) {
		struct frontbus_sleeper *s = &bus->sleeper[i];

		if (load_acquire(&s->port) == port) { /* pairs with add_sleeper's release */
			write_event(load_relaxed(&s->fd));
			return;
		}
	}
	write_event(bus->wake_fd);
}

bool frontbus_take_events(struct frontbus *bus, int fd, evtchn_port_t own)
{
	evtchn_port_t ports[64];
	bool is_own = false;
	unsigned n;

	do {
		n = hv_event_take(bus->hv, fd, ports, 64);
		for (unsigned i = 0; i < n; i++) {
			if (ports[i] == own)
				is_own = true;
			else if (bus->wake_fd >= 0)
				tell(bus, ports[i]);
		}
	} while (n == 64);
	return is_own;
}

int frontbus_sleep(struct frontbus *bus, int timeout_ms)
{
	struct pollfd p[3] = {{.fd = store_client_fd(bus->store), .events = POLLIN},
			      {.fd = hv_lost_fd(bus->hv), .events = POLLIN},
			      {.fd = bus->wake_fd, .events = POLLIN}};
	uint64_t count;
	int n;

	if (bus->is_lost)
		return -ENODEV;
	if (bus->has_more)
		return 1;
	bus->sleeps++;
	do
		n = poll(p, 3, timeout_ms);
	while (n < 0 && errno == EINTR && timeout_ms < 0);
	if (n <= 0)
		return 0;
	if (p[1].revents) {
		bus->is_lost = true;
		return -ENODEV;
	}
	/* Before the events: what is nobody's but ours is told to wake_fd, and looked at on the next round, too. */
	if (p[2].revents && read(bus->wake_fd, &count, sizeof(count)) < 0)
		return 1;
	if (p[0].revents)
		frontbus_take_events(bus, p[0].fd, 0);
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
