/*
 * hv/store_client_ring.c - speaks the store's wire protocol over the ring page.
 *
 *      request: header, payload  -> req[]        rsp[] ->  header, payload: the answer to it, or a watch event (queued)
 *
 * One request is under way at a time; answers are matched by req_id. A message that the protocol does not know, or that is
 * longer than it allows, breaks the connection for good: there is no way to find the next header.
 *
 * Owns     the queue of watch events: at most MAX_EVENTS; one that is queued already is not queued twice.
 * Trusts   nothing in the page. An answer takes at most the channel's timeout, whatever the other end sends meanwhile.
 * Runs in  one thread at a time.
 * Spec     xen/io/xs_wire.h.
 */
#include "hv/store_client_ring.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "hv/clock.h"
#include "hv/store_client_ops.h"

#define MAX_EVENTS 1024u
#define MAX_PARTS 2

struct watch_event {
	struct watch_event *next;
	const char *token;
	char path[]; /* and, behind its NUL, the token */
};

struct store_client_ring {
	struct store_client sc; /* first */
	struct xenstore_domain_interface *sh;
	struct store_channel channel;
	uint32_t req_id;
	int broken; /* -errno, for good */

	union {
		struct xsd_sockmsg header;
		char bytes[sizeof(struct xsd_sockmsg)];
	} in; /* the message that is coming in */
	uint32_t in_bytes; /* of it so far, header included */
	char body[XENSTORE_PAYLOAD_MAX + 1];

	struct watch_event *events, **events_end;
	unsigned nr_events;
};

static struct store_client_ring *ring_of(struct store_client *sc)
{
	return (struct store_client_ring *)sc;
}

static int break_connection(struct store_client_ring *c, int err)
{
	if (!c->broken)
		c->broken = err;
	return c->broken;
}

static bool is_queued(const struct store_client_ring *c, const char *path, const char *token)
{
	for (const struct watch_event *e = c->events; e; e = e->next)
		if (!strcmp(e->path, path) && !strcmp(e->token, token))
			return true;
	return false;
}

/* Body: path NUL token NUL. The client looks at the store's state, so one event for several changes is enough. */
static int queue_event(struct store_client_ring *c, uint32_t len)
{
	size_t path_len = strnlen(c->body, len), token_len;
	struct watch_event *e;

	if (path_len == len)
		return -EPROTO;
	token_len = strnlen(c->body + path_len + 1, len - path_len - 1);
	if (path_len + 1 + token_len + 1 > len)
		return -EPROTO;
	if (c->nr_events == MAX_EVENTS || is_queued(c, c->body, c->body + path_len + 1))
		return 0;
	e = malloc(sizeof(*e) + path_len + token_len + 2);
	if (!e)
		return -ENOMEM;
	memcpy(e->path, c->body, path_len + token_len + 2);
	e->token = e->path + path_len + 1;
	e->next = NULL;
	*c->events_end = e;
	c->events_end = &e->next;
	c->nr_events++;
	return 0;
}

/* Bytes that are still missing from the header, or else from the body. */
static uint32_t missing(const struct store_client_ring *c)
{
	const uint32_t head = sizeof(c->in);

	return c->in_bytes < head ? head - c->in_bytes : head + c->in.header.len - c->in_bytes;
}

/* Takes more of the message that is coming in. 1: it is complete; 0: there are no more bytes now. */
static int take_message(struct store_client_ring *c)
{
	const uint32_t head = sizeof(c->in);
	bool was_full = false;
	int n = 0;

	while (c->in_bytes < head || missing(c)) {
		char *to = c->in_bytes < head ? c->in.bytes + c->in_bytes : c->body + (c->in_bytes - head);

		n = store_ring_take(store_ring_responses(c->sh), to, missing(c), &was_full);
		if (n <= 0)
			break;
		c->in_bytes += (uint32_t)n;
		if (c->in_bytes == head && c->in.header.len > XENSTORE_PAYLOAD_MAX)
			return break_connection(c, -EPROTO);
	}
	if (was_full)
		c->channel.notify(c->channel.arg);
	if (c->in_bytes < head || missing(c))
		return n < 0 ? break_connection(c, n) : 0;
	c->body[c->in.header.len] = '\0';
	c->in_bytes = 0;
	return 1;
}

/*
 * Takes one message: 1 an answer (in, body), 0 nothing more now. Watch events go to the queue on the way; there can be no
 * more of them than the ring held when we looked, twice over, before the caller looks at the clock again.
 */
static int take_answer(struct store_client_ring *c)
{
	unsigned budget = 2 * XENSTORE_RING_SIZE / sizeof(struct xsd_sockmsg);
	int n;

	if (c->broken)
		return c->broken;
	while (budget--) {
		n = take_message(c);
		if (n <= 0)
			return n;
		if (c->in.header.type != XS_WATCH_EVENT)
			return 1;
		n = queue_event(c, c->in.header.len);
		if (n == -EPROTO)
			return break_connection(c, n);
	}
	return 0;
}

struct part {
	const void *data;
	size_t len;
};

/* Waits for the store to move, until the deadline. */
static int wait_until(struct store_client_ring *c, int64_t deadline)
{
	int64_t left = deadline - clock_now_ms();
	int n = left > 0 ? c->channel.wait(c->channel.arg, (int)left) : 0;

	if (n < 0)
		return break_connection(c, n);
	/* The last look is the caller's: time is up only when nothing came at the deadline. */
	return n || clock_now_ms() < deadline ? 0 : -ETIMEDOUT;
}

/*
 * Puts all bytes into the ring; what comes in meanwhile is taken, so that the store can go on. The store is told when the ring is
 * full; that the message is whole is the caller's to tell.
 */
static int put_bytes(struct store_client_ring *c, const void *data, size_t len, int64_t deadline)
{
	const char *at = data;
	int n, err;

	while (len) {
		n = store_ring_put(store_ring_requests(c->sh), at, (uint32_t)len);
		if (n < 0)
			return break_connection(c, n);
		if (n > 0) {
			at += n;
			len -= (size_t)n;
			continue;
		}
		c->channel.notify(c->channel.arg);
		err = take_answer(c); /* an answer now is one to an older request, that nobody waits for */
		if (!err)
			err = wait_until(c, deadline);
		if (err < 0)
			return break_connection(c, err);
	}
	return 0;
}

static int error_of(const char *text)
{
	for (size_t i = 0; i < sizeof(xsd_errors) / sizeof(xsd_errors[0]); i++)
		if (!strcmp(xsd_errors[i].errstring, text))
			return -xsd_errors[i].errnum;
	return strcmp(text, "EQUOTA") ? -EIO : -ENOSPC;
}

static int wait_answer(struct store_client_ring *c, uint32_t type, int64_t deadline)
{
	int n, err = 0;

	for (;;) {
		n = take_answer(c);
		if (n < 0)
			return n;
		if (n && c->in.header.req_id == c->req_id)
			break;
		if (err)
			return err;
		/* An answer to a request that we gave up on is dropped; the clock runs all the same. */
		err = n ? (clock_now_ms() < deadline ? 0 : -ETIMEDOUT) : wait_until(c, deadline);
		if (err && err != -ETIMEDOUT)
			return err;
	}
	if (c->in.header.type == XS_ERROR)
		return error_of(c->body);
	return c->in.header.type == type ? 0 : break_connection(c, -EPROTO);
}

/* Sends a request; the answer is in in.header and body (NUL-terminated), until the next take. */
static int request(struct store_client_ring *c, uint32_t type, uint32_t tx, const struct part parts[], unsigned nr)
{
	struct xsd_sockmsg header = {.type = type, .tx_id = tx};
	int64_t deadline = clock_now_ms() + c->channel.timeout_ms;
	size_t len = 0;
	int err;

	if (c->broken)
		return c->broken;
	for (unsigned i = 0; i < nr; i++)
		len += parts[i].len;
	if (len > XENSTORE_PAYLOAD_MAX)
		return -E2BIG;
	header.len = (uint32_t)len;
	header.req_id = ++c->req_id;
	err = put_bytes(c, &header, sizeof(header), deadline);
	for (unsigned i = 0; i < nr && !err; i++)
		err = put_bytes(c, parts[i].data, parts[i].len, deadline);
	if (!err) {
		c->channel.notify(c->channel.arg);
		err = wait_answer(c, type, deadline);
	}
	if (c->events)
		c->channel.raise(c->channel.arg);
	return err;
}

static struct part string_part(const char *s)
{
	return (struct part){s, strlen(s) + 1};
}

static int request_path(struct store_client_ring *c, uint32_t type, uint32_t tx, const char *path)
{
	struct part p = string_part(path);

	return request(c, type, tx, &p, 1);
}

static int request_pair(struct store_client_ring *c, uint32_t type, const char *path, const char *token)
{
	struct part p[MAX_PARTS] = {string_part(path), string_part(token)};

	return request(c, type, STORE_NO_TX, p, 2);
}

static void ring_close(struct store_client *sc)
{
	struct store_client_ring *c = ring_of(sc);
	struct watch_event *e;

	while ((e = c->events)) {
		c->events = e->next;
		free(e);
	}
	if (c->channel.close)
		c->channel.close(c->channel.arg);
	free(c);
}

static int ring_read(struct store_client *sc, uint32_t tx, const char *path, char **value, unsigned *len)
{
	struct store_client_ring *c = ring_of(sc);
	int err = request_path(c, XS_READ, tx, path);
	char *v;

	if (err)
		return err;
	v = malloc(c->in.header.len + 1);
	if (!v)
		return -ENOMEM;
	memcpy(v, c->body, c->in.header.len + 1);
	*value = v;
	*len = c->in.header.len;
	return 0;
}

static int ring_write(struct store_client *sc, uint32_t tx, const char *path, const void *value, unsigned len)
{
	struct part p[MAX_PARTS] = {string_part(path), {value, len}};

	return request(ring_of(sc), XS_WRITE, tx, p, 2);
}

static int ring_mkdir(struct store_client *sc, uint32_t tx, const char *path)
{
	return request_path(ring_of(sc), XS_MKDIR, tx, path);
}

static int ring_rm(struct store_client *sc, uint32_t tx, const char *path)
{
	return request_path(ring_of(sc), XS_RM, tx, path);
}

/* Names, each with its NUL, become an array of pointers with the names behind it. */
static int ring_list(struct store_client *sc, uint32_t tx, const char *path, char ***names, unsigned *nr)
{
	struct store_client_ring *c = ring_of(sc);
	int err = request_path(c, XS_DIRECTORY, tx, path);
	uint32_t len = c->in.header.len;
	unsigned count = 0;
	char **list, *text;

	if (err)
		return err;
	if (len && c->body[len - 1])
		len++; /* the last name's NUL is ours */
	for (uint32_t i = 0; i < len; i++)
		count += !c->body[i];
	list = malloc((count + 1) * sizeof(*list) + len);
	if (!list)
		return -ENOMEM;
	text = (char *)(list + count + 1);
	memcpy(text, c->body, len);
	for (unsigned i = 0; i < count; i++, text += strlen(text) + 1)
		list[i] = text;
	list[count] = NULL;
	*names = list;
	*nr = count;
	return 0;
}

static int ring_set_perms(struct store_client *sc, uint32_t tx, const char *path, const char *const perms[], unsigned nr)
{
	char text[256];
	size_t at = 0;
	struct part p[MAX_PARTS] = {string_part(path), {text, 0}};

	for (unsigned i = 0; i < nr; i++) {
		size_t len = strlen(perms[i]) + 1;

		if (len > sizeof(text) - at)
			return -E2BIG;
		memcpy(text + at, perms[i], len);
		at += len;
	}
	p[1].len = at;
	return request(ring_of(sc), XS_SET_PERMS, tx, p, 2);
}

static int ring_transaction_start(struct store_client *sc, uint32_t *tx)
{
	struct store_client_ring *c = ring_of(sc);
	struct part empty = string_part("");
	int err = request(c, XS_TRANSACTION_START, STORE_NO_TX, &empty, 1);
	unsigned long id;
	char *end;

	if (err)
		return err;
	errno = 0;
	id = strtoul(c->body, &end, 10);
	if (errno || *end || end == c->body || id == STORE_NO_TX || id > UINT32_MAX)
		return -EPROTO;
	*tx = (uint32_t)id;
	return 0;
}

static int ring_transaction_end(struct store_client *sc, uint32_t tx, bool abort)
{
	return request_path(ring_of(sc), XS_TRANSACTION_END, tx, abort ? "F" : "T");
}

static int ring_watch(struct store_client *sc, const char *path, const char *token)
{
	return request_pair(ring_of(sc), XS_WATCH, path, token);
}

/* Events of it that are queued already go with it. */
static int ring_unwatch(struct store_client *sc, const char *path, const char *token)
{
	struct store_client_ring *c = ring_of(sc);
	int err = request_pair(c, XS_UNWATCH, path, token);
	struct watch_event **at = &c->events, *e;
	size_t len = strlen(path);

	if (err)
		return err;
	while ((e = *at)) {
		if (strcmp(e->token, token) || strncmp(e->path, path, len) || (e->path[len] && e->path[len] != '/')) {
			at = &e->next;
			continue;
		}
		*at = e->next;
		c->nr_events--;
		free(e);
	}
	c->events_end = at;
	return 0;
}

static int ring_fd(const struct store_client *sc)
{
	return ((const struct store_client_ring *)sc)->channel.fd;
}

/* Takes what is there without waiting; an answer now belongs to a request that we gave up on. */
static int look_for_events(struct store_client_ring *c)
{
	int n;

	do
		n = take_answer(c);
	while (n > 0 && !c->events);
	return n;
}

static int ring_next_watch(struct store_client *sc, char **path, char **token)
{
	struct store_client_ring *c = ring_of(sc);
	struct watch_event *e;
	char *p, *t;
	int n = look_for_events(c);

	e = c->events;
	if (!e)
		return n < 0 ? n : -EAGAIN;
	p = strdup(e->path);
	t = strdup(e->token);
	if (!p || !t) {
		free(p);
		free(t);
		return -ENOMEM;
	}
	c->events = e->next;
	if (!c->events)
		c->events_end = &c->events;
	c->nr_events--;
	free(e);
	*path = p;
	*token = t;
	return 0;
}

static int ring_wait(struct store_client *sc, int timeout_ms)
{
	struct store_client_ring *c = ring_of(sc);
	int64_t end = clock_now_ms() + timeout_ms;
	int n;

	for (;;) {
		int64_t left = timeout_ms < 0 ? -1 : end - clock_now_ms();

		n = look_for_events(c);
		if (c->events || n < 0)
			return c->events ? 1 : n;
		if (timeout_ms >= 0 && left <= 0)
			return 0;
		n = c->channel.wait(c->channel.arg, (int)left);
		if (n < 0)
			return n;
	}
}

static const struct store_client_ops ring_ops = {
	.close = ring_close,
	.read = ring_read,
	.write = ring_write,
	.mkdir = ring_mkdir,
	.rm = ring_rm,
	.list = ring_list,
	.set_perms = ring_set_perms,
	.transaction_start = ring_transaction_start,
	.transaction_end = ring_transaction_end,
	.watch = ring_watch,
	.unwatch = ring_unwatch,
	.fd = ring_fd,
	.next_watch = ring_next_watch,
	.wait = ring_wait,
};

int store_client_ring_create(struct xenstore_domain_interface *page_sh, const struct store_channel *channel,
			     struct store_client **out)
{
	struct store_client_ring *c = calloc(1, sizeof(*c));

	if (!c)
		return -ENOMEM;
	c->sc.ops = &ring_ops;
	c->sh = page_sh;
	c->channel = *channel;
	c->events_end = &c->events;
	*out = &c->sc;
	return 0;
}
