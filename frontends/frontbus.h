/*
 * frontends/frontbus.h - what all devices of one guest share: the store's watch events and the fd to sleep on.
 *
 * A guest has one store ring and, for each vcpu, one event fd. Whoever sleeps there may take an event that was meant for
 * another device; so nobody keeps events: after every wake-up all ask their rings, and all arm them before the next sleep.
 *
 * Runs in  the guest's one control thread, which is also its devices' thread.
 */
#ifndef SLUICE_FRONTENDS_FRONTBUS_H
#define SLUICE_FRONTENDS_FRONTBUS_H

#include "hv/handshake.h"

#define FRONTBUS_MAX_WATCHES 32
#define FRONTBUS_MAX_SLEEPERS 64

struct frontbus_watch {
	const char *token; /* NULL: free */
	void (*fn)(void *arg, const char *path);
	void *arg;
};

/* A thread that sleeps for one port, perhaps on an fd that it shares with others: they tell it through an eventfd. */
struct frontbus_sleeper {
	uint32_t port; /* 0: free; both are atomic */
	int fd;
};

struct frontbus {
	struct hv *hv;
	struct store_client *store;
	bool is_lost; /* the hypervisor is gone, or this domain is being destroyed */
	bool is_stopping; /* the guest was asked to end (its owner sets it): whoever waits for a device gives up */
	bool has_more; /* watch events wait that were over frontbus_pump's budget: no sleep now */
	uint64_t sleeps;
	int wake_fd; /* other threads wake the bus's; -1: there are none */
	struct frontbus_watch watch[FRONTBUS_MAX_WATCHES];
	struct frontbus_sleeper sleeper[FRONTBUS_MAX_SLEEPERS];
};

/* hv stays the caller's. -errno of hv_store. */
int frontbus_init(struct frontbus *bus, struct hv *hv);
/* All devices are destroyed. */
void frontbus_finish(struct frontbus *bus);

/* Events with this token go to fn. The token is borrowed until frontbus_remove. -ENOSPC. The watch itself is the caller's. */
int frontbus_add(struct frontbus *bus, const char *token, void (*fn)(void *arg, const char *path), void *arg);
void frontbus_remove(struct frontbus *bus, const char *token);

/* Starts the handshake of one device of this bus, at path; frontbus_stop ends it. As handshake_start. */
int frontbus_start(struct frontbus *bus, struct handshake *h, const struct handshake_driver *driver, const char *path, void *priv);
void frontbus_stop(struct frontbus *bus, struct handshake *h);

/* Hands out the watch events that wait, a bounded number of them; true: there were some. */
bool frontbus_pump(struct frontbus *bus);
/*
 * Sleeps until an event comes, at most so long (-1: for ever). The caller has armed its rings and found them empty.
 * 1: something came; 0: time is up; -ENODEV: is_lost.
 */
int frontbus_sleep(struct frontbus *bus, int timeout_ms);

/* ---- devices whose queues have threads ------------------------------------------------------------------------------- */

/* Once before the first such thread: it may wake the bus's. -errno of eventfd. */
int frontbus_need_wake(struct frontbus *bus);
/* The bus's thread looks again at everything. Any thread. */
void frontbus_wake(struct frontbus *bus);
/* Events of that port that others take are told to fd, an eventfd. -ENOSPC. The bus's thread, as remove. */
int frontbus_add_sleeper(struct frontbus *bus, evtchn_port_t port, int fd);
void frontbus_remove_sleeper(struct frontbus *bus, evtchn_port_t port);
/* Takes what has come to an event fd; true: own was among it. Tells the others whatever is theirs. Any thread. */
bool frontbus_take_events(struct frontbus *bus, int fd, evtchn_port_t own);

/* Is this device over: closed, failed, or its directory gone? It does not come back. */
static inline bool frontbus_is_over(const struct handshake *h)
{
	return h->failed || h->gone || h->own == XenbusStateClosing || h->own == XenbusStateClosed;
}

/* Waits until both ends are Connected. 0, -ETIMEDOUT, -ECANCELED (is_stopping), or -ENODEV (closed or gone: see the error node). */
int frontbus_wait_connected(struct frontbus *bus, const struct handshake *h, int timeout_ms);

#endif
