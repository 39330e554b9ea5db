/*
 * hv/store_client_wire.c - speaks the store's wire protocol, over a ring page or a socket.
 *
 *      request: header, payload  -> put      take ->  header, payload: the answer to it, or a watch event (queued)
 *
 * The store answers one client's requests in their order. Most calls wait for their answer. Two kinds do not, so that many requests
 * share one wake at each end: what is written in a batch (the first error is the batch's), and values that are read
 * ahead (kept until the read that wants them, or any other call). Answers are matched by req_id. A message that the protocol does
 * not know, or that is longer than it allows, breaks the connection for good: there is no way to find the next header.
 *
 * Owns     the queue of watch events. Where it is bounded, one that is queued already is not queued twice.
 * Trusts   nothing that comes in. An answer takes at most the transport's timeout, whatever the other end sends meanwhile.
 * Runs in  one thread at a time.
 * Spec     xen/io/xs_wire.h.
 */
#include "hv/store_client_wire.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <xen/io/xs_wire.h>

#include "hv/clock.h"
#include "hv/store_client_ops.h"

#define MAX_PARTS 4
#define MAX_POSTED 64u /* requests that wait for their answers; a power of two */
#define MAX_AHEAD 32u
#define AHEAD_NONE UINT8_MAX

struct watch_event {
	struct watch_event *next;
	const char *token;
	char path[]; /* and, behind its NUL, the token */
};

/* A request that nobody waits for yet. */
struct posted {
	uint32_t req_id;
	uint32_t type;
	uint8_t ahead; /* whose value it asks for; AHEAD_NONE: a batch's, or nobody's any more */
};

/* A value that was asked for before it is wanted. It serves one read. */
struct ahead {
	char *path; /* NULL: it has served */
	char *value; /* NULL: none, and err says why */
	unsigned len;
	int err;
	bool is_answered;
};

struct store_client_wire {
	struct store_client sc; /* first */
	struct store_transport transport;
	uint32_t req_id;
	int broken; /* -errno, for good */

	struct posted posted[MAX_POSTED]; /* free-running indices; the oldest is answered next */
	unsigned post_prod, post_cons;
	bool is_batch;
	int batch_err;
	struct ahead ahead[MAX_AHEAD];
	unsigned nr_ahead;

	union {
		struct xsd_sockmsg header;
		char bytes[sizeof(struct xsd_sockmsg)];
	} in; /* the message that is coming in */
	uint32_t in_bytes; /* of it so far, header included */
	char body[XENSTORE_PAYLOAD_MAX + 1];

	struct watch_event *events, **events_end;
	unsigned nr_events;
};

static struct store_client_wire *wire_of(struct store_client *sc)
{
	return (struct store_client_wire *)sc;
}

static int break_connection(struct store_client_wire *c, int err)
{
	if (!c->broken)
		c->broken = err;
	return c->broken;
}

static int error_of(const char *text)
{
	for (size_t i = 0; i < sizeof(xsd_errors) / sizeof(xsd_errors[0]); i++)
		if (!strcmp(xsd_errors[i].errstring, text))
			return -xsd_errors[i].errnum;
	return strcmp(text, "EQUOTA") ? -EIO : -ENOSPC;
}

/* The answer that has come in is the value, or says why there is none. */
static void keep_ahead(struct store_client_wire *c, struct ahead *a, bool is_error)
{
	a->is_answered = true;
	a->err = is_error ? error_of(c->body) : 0;
	if (is_error)
		return;
	a->len = c->in.header.len;
	a->value = malloc(a->len + 1);
	if (a->value)
		memcpy(a->value, c->body, a->len + 1);
	else
		a->err = -ENOMEM;
}

/* Nobody wants the value any more; or what is to be removed is not there, which is as good as removed. */
static bool is_no_matter(const struct posted *p, const char *text)
{
	return p->type == XS_READ || (p->type == XS_RM && !strcmp(text, "ENOENT"));
}

static bool is_queued(const struct store_client_wire *c, const char *path, const char *token)
{
	for (const struct watch_event *e = c->events; e; e = e->next)
		if (!strcmp(e->path, path) && !strcmp(e->token, token))
			return true;
	return false;
}

/* Body: path NUL token NUL. */
static int queue_event(struct store_client_wire *c, uint32_t len)
{
	size_t path_len = strnlen(c->body, len), token_len;
	struct watch_event *e;

	if (path_len == len)
		return -EPROTO;
	token_len = strnlen(c->body + path_len + 1, len - path_len - 1);
	if (path_len + 1 + token_len + 1 > len)
		return -EPROTO;
	if (c->transport.max_events &&
	    (c->nr_events >= c->transport.max_events || is_queued(c, c->body, c->body + path_len + 1)))
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
static uint32_t missing(const struct store_client_wire *c)
{
	const uint32_t head = sizeof(c->in);

	return c->in_bytes < head ? head - c->in_bytes : head + c->in.header.len - c->in_bytes;
}

/* Takes more of the message that is coming in. 1: it is complete; 0: there are no more bytes now. */
static int take_message(struct store_client_wire *c)
{
	const uint32_t head = sizeof(c->in);
	int n = 0;

	while (c->in_bytes < head || missing(c)) {
		char *to = c->in_bytes < head ? c->in.bytes + c->in_bytes : c->body + (c->in_bytes - head);

		n = c->transport.take(c->transport.arg, to, missing(c));
		if (n <= 0)
			break;
		c->in_bytes += (uint32_t)n;
		if (c->in_bytes == head && c->in.header.len > XENSTORE_PAYLOAD_MAX)
			return break_connection(c, -EPROTO);
	}
	if (c->in_bytes < head || missing(c))
		return n < 0 ? break_connection(c, n) : 0;
	c->body[c->in.header.len] = '\0';
	c->in_bytes = 0;
	return 1;
}

/* An answer that nobody waits for at this moment: a posted request's, or one's that was given up on. */
static void settle(struct store_client_wire *c)
{
	bool is_error = c->in.header.type == XS_ERROR;

	while (c->post_cons != c->post_prod) {
		const struct posted *p = &c->posted[c->post_cons % MAX_POSTED];
		struct ahead *a = p->ahead == AHEAD_NONE ? NULL : &c->ahead[p->ahead];

		if ((int32_t)(p->req_id - c->in.header.req_id) > 0)
			return; /* older than all that is posted */
		c->post_cons++;
		if (p->req_id != c->in.header.req_id)
			continue;
		if (a)
			keep_ahead(c, a, is_error);
		else if (is_error && !c->batch_err && !is_no_matter(p, c->body))
			c->batch_err = error_of(c->body);
		return;
	}
}

/*
 * Takes one message: 1 an answer (in, body), 0 nothing more now. Watch events go to the queue on the way; there can be no
 * more of them than a ring held when we looked, twice over, before the caller looks at the clock again.
 */
static int take_answer(struct store_client_wire *c)
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
static int wait_until(struct store_client_wire *c, int64_t deadline)
{
	int64_t left = deadline - clock_now_ms();
	int n = left > 0 ? c->transport.wait(c->transport.arg, (int)left) : 0;

	if (n < 0)
		return break_connection(c, n);
	/* The last look is the caller's: time is up only when nothing came at the deadline. */
	return n || clock_now_ms() < deadline ? 0 : -ETIMEDOUT;
}

/*
 * Puts all bytes; what comes in meanwhile is taken, so that the store can go on. The store is told when there is no room; that
 * the message is whole is the caller's to tell.
 */
static int put_bytes(struct store_client_wire *c, const void *data, size_t len, int64_t deadline)
{
	const char *at = data;
	int n, err;

	while (len) {
		n = c->transport.put(c->transport.arg, at, (uint32_t)len);
		if (n < 0)
			return break_connection(c, n);
		if (n > 0) {
			at += n;
			len -= (size_t)n;
			continue;
		}
		c->transport.notify(c->transport.arg);
		err = take_answer(c);
		if (err > 0)
			settle(c);
		else if (!err)
			err = wait_until(c, deadline);
		if (err < 0)
			return break_connection(c, err);
	}
	return 0;
}

/* Takes answers until that one has come, which is then in in.header and body. */
static int wait_for(struct store_client_wire *c, uint32_t req_id, int64_t deadline)
{
	int n, err = 0;

	for (;;) {
		n = take_answer(c);
		if (n < 0)
			return n;
		if (n && c->in.header.req_id == req_id)
			return 0;
		if (n)
			settle(c);
		if (err)
			return err;
		/* An answer to a request that we gave up on is dropped; the clock runs all the same. */
		err = n ? (clock_now_ms() < deadline ? 0 : -ETIMEDOUT) : wait_until(c, deadline);
		if (err && err != -ETIMEDOUT)
			return err;
	}
}

static int wait_answer(struct store_client_wire *c, uint32_t type, int64_t deadline)
{
	int err = wait_for(c, c->req_id, deadline);

	if (err)
		return err;
	if (c->in.header.type == XS_ERROR)
		return error_of(c->body);
	return c->in.header.type == type ? 0 : break_connection(c, -EPROTO);
}

/* Puts a request, and tells nobody. */
static int send_request(struct store_client_wire *c, uint32_t type, uint32_t tx, const struct part parts[], unsigned nr, int64_t deadline)
{
	struct xsd_sockmsg header = {.type = type, .tx_id = tx};
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
	return err;
}

static int64_t deadline_of(const struct store_client_wire *c)
{
	return clock_now_ms() + c->transport.timeout_ms;
}

/* ---- requests that do not wait -------------------------------------------------------------------------------------- */

/* Until no more than so many posted requests are unanswered. */
static int wait_posted(struct store_client_wire *c, unsigned most)
{
	int64_t deadline = deadline_of(c);
	int err = 0;

	if (c->post_prod - c->post_cons > most)
		c->transport.notify(c->transport.arg);
	while (!err && c->post_prod - c->post_cons > most) {
		err = wait_for(c, c->posted[c->post_cons % MAX_POSTED].req_id, deadline);
		if (!err)
			settle(c);
	}
	if (err)
		c->post_cons = c->post_prod; /* given up on */
	return err;
}

/* Whoever sleeps on the fd may not miss what came while somebody waited for something else. */
static void raise_what_came(struct store_client_wire *c)
{
	if (c->events || (c->transport.has_bytes && c->transport.has_bytes(c->transport.arg)))
		c->transport.raise(c->transport.arg);
}

static int post(struct store_client_wire *c, uint32_t type, uint32_t tx, const struct part parts[], unsigned nr, uint8_t ahead)
{
	int err = wait_posted(c, MAX_POSTED - 1);

	if (!err)
		err = send_request(c, type, tx, parts, nr, deadline_of(c));
	if (!err)
		c->posted[c->post_prod++ % MAX_POSTED] = (struct posted){c->req_id, type, ahead};
	raise_what_came(c);
	return err;
}

static void drop_ahead(struct ahead *a)
{
	free(a->path);
	free(a->value);
	*a = (struct ahead){0};
}

/* What is still on its way is for nobody. */
static void forget_ahead(struct store_client_wire *c)
{
	for (unsigned i = c->post_cons; c->nr_ahead && i != c->post_prod; i++)
		c->posted[i % MAX_POSTED].ahead = AHEAD_NONE;
	while (c->nr_ahead)
		drop_ahead(&c->ahead[--c->nr_ahead]);
}

/* ---- requests that wait --------------------------------------------------------------------------------------------- */

/* Sends a request; the answer is in in.header and body (NUL-terminated), until the next take. */
static int request(struct store_client_wire *c, uint32_t type, uint32_t tx, const struct part parts[], unsigned nr)
{
	int64_t deadline = deadline_of(c);
	int err;

	if (type != XS_READ)
		forget_ahead(c);
	err = send_request(c, type, tx, parts, nr, deadline);
	if (!err) {
		c->transport.notify(c->transport.arg);
		err = wait_answer(c, type, deadline);
	}
	raise_what_came(c);
	return err;
}

/* What changes the store, and says no more than whether it did: a batch's answer is waited for at its end. */
static int change(struct store_client_wire *c, uint32_t type, uint32_t tx, const struct part parts[], unsigned nr)
{
	if (!c->is_batch)
		return request(c, type, tx, parts, nr);
	forget_ahead(c);
	return post(c, type, tx, parts, nr, AHEAD_NONE);
}

static struct part string_part(const char *s)
{
	return (struct part){s, strlen(s) + 1};
}

static int request_path(struct store_client_wire *c, uint32_t type, uint32_t tx, const char *path)
{
	struct part p = string_part(path);

	return request(c, type, tx, &p, 1);
}

static int request_pair(struct store_client_wire *c, uint32_t type, const char *path, const char *token)
{
	struct part p[MAX_PARTS] = {string_part(path), string_part(token)};

	return request(c, type, STORE_NO_TX, p, 2);
}

static void wire_close(struct store_client *sc)
{
	struct store_client_wire *c = wire_of(sc);
	struct watch_event *e;

	forget_ahead(c);
	while ((e = c->events)) {
		c->events = e->next;
		free(e);
	}
	if (c->transport.close)
		c->transport.close(c->transport.arg);
	free(c);
}

static struct ahead *find_ahead(struct store_client_wire *c, const char *path)
{
	for (unsigned i = 0; i < c->nr_ahead; i++)
		if (c->ahead[i].path && !strcmp(c->ahead[i].path, path))
			return &c->ahead[i];
	return NULL;
}

static int read_ahead(struct store_client_wire *c, struct ahead *a, char **value, unsigned *len)
{
	int err = 0;

	while (!a->is_answered && !err)
		err = c->post_cons == c->post_prod ? -ETIMEDOUT : wait_posted(c, c->post_prod - c->post_cons - 1);
	raise_what_came(c);
	if (!err)
		err = a->err;
	if (!err) {
		*value = a->value;
		*len = a->len;
		a->value = NULL;
	}
	drop_ahead(a);
	return err;
}

static int wire_prefetch(struct store_client *sc, const char *path)
{
	struct store_client_wire *c = wire_of(sc);
	struct part p = string_part(path);
	struct ahead *a = &c->ahead[c->nr_ahead];
	int err;

	if (c->nr_ahead == MAX_AHEAD || find_ahead(c, path))
		return 0;
	*a = (struct ahead){.path = strdup(path)};
	if (!a->path)
		return -ENOMEM;
	err = post(c, XS_READ, STORE_NO_TX, &p, 1, (uint8_t)c->nr_ahead);
	if (err)
		drop_ahead(a);
	else
		c->nr_ahead++;
	return err;
}

static void wire_batch_begin(struct store_client *sc)
{
	wire_of(sc)->is_batch = true;
}

static int wire_batch_end(struct store_client *sc)
{
	struct store_client_wire *c = wire_of(sc);
	int err = wait_posted(c, 0);

	if (!err)
		err = c->batch_err;
	c->is_batch = false;
	c->batch_err = 0;
	raise_what_came(c);
	return err;
}

static int wire_read(struct store_client *sc, uint32_t tx, const char *path, char **value, unsigned *len)
{
	struct store_client_wire *c = wire_of(sc);
	struct ahead *a = tx == STORE_NO_TX ? find_ahead(c, path) : NULL;
	int err = a ? 0 : request_path(c, XS_READ, tx, path);
	char *v;

	if (a)
		return read_ahead(c, a, value, len);
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

static int wire_write(struct store_client *sc, uint32_t tx, const char *path, const void *value, unsigned len)
{
	struct part p[MAX_PARTS] = {string_part(path), {value, len}};

	return change(wire_of(sc), XS_WRITE, tx, p, 2);
}

static int wire_mkdir(struct store_client *sc, uint32_t tx, const char *path)
{
	struct part p = string_part(path);

	return change(wire_of(sc), XS_MKDIR, tx, &p, 1);
}

static int wire_rm(struct store_client *sc, uint32_t tx, const char *path)
{
	struct part p = string_part(path);

	return change(wire_of(sc), XS_RM, tx, &p, 1);
}

/* Names, each with its NUL, become an array of pointers with the names behind it. */
static int wire_list(struct store_client *sc, uint32_t tx, const char *path, char ***names, unsigned *nr)
{
	struct store_client_wire *c = wire_of(sc);
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

static int wire_set_perms(struct store_client *sc, uint32_t tx, const char *path, const char *const perms[], unsigned nr)
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
	return change(wire_of(sc), XS_SET_PERMS, tx, p, 2);
}

static int wire_transaction_start(struct store_client *sc, uint32_t *tx)
{
	struct store_client_wire *c = wire_of(sc);
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

static int wire_transaction_end(struct store_client *sc, uint32_t tx, bool abort)
{
	return request_path(wire_of(sc), XS_TRANSACTION_END, tx, abort ? "F" : "T");
}

static int wire_watch(struct store_client *sc, const char *path, const char *token)
{
	return request_pair(wire_of(sc), XS_WATCH, path, token);
}

/* Events of it that are queued already go with it. */
static int wire_unwatch(struct store_client *sc, const char *path, const char *token)
{
	struct store_client_wire *c = wire_of(sc);
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

static int wire_fd(const struct store_client *sc)
{
	return ((const struct store_client_wire *)sc)->transport.fd;
}

/* Takes what is there without waiting. */
static int look_for_events(struct store_client_wire *c)
{
	int n = 0;

	forget_ahead(c);
	while (!c->events && (n = take_answer(c)) > 0)
		settle(c);
	return n;
}

static int wire_next_watch(struct store_client *sc, char **path, char **token)
{
	struct store_client_wire *c = wire_of(sc);
	struct watch_event *e;
	char *p, *t;
	int n = look_for_events(c);

	e = c->events;
	if (!e && c->transport.lower)
		c->transport.lower(c->transport.arg);
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
	if (c->transport.lower)
		raise_what_came(c);
	*path = p;
	*token = t;
	return 0;
}

static int wire_wait(struct store_client *sc, int timeout_ms)
{
	struct store_client_wire *c = wire_of(sc);
	int64_t end = clock_now_ms() + timeout_ms;
	int n;

	for (;;) {
		int64_t left = timeout_ms < 0 ? -1 : end - clock_now_ms();

		n = look_for_events(c);
		if (c->events || n < 0)
			return c->events ? 1 : n;
		if (timeout_ms >= 0 && left <= 0)
			return 0;
		n = c->transport.wait(c->transport.arg, (int)left);
		if (n < 0)
			return n;
	}
}

static const struct store_client_ops wire_ops = {
	.close = wire_close,
	.read = wire_read,
	.write = wire_write,
	.mkdir = wire_mkdir,
	.rm = wire_rm,
	.list = wire_list,
	.set_perms = wire_set_perms,
	.prefetch = wire_prefetch,
	.batch_begin = wire_batch_begin,
	.batch_end = wire_batch_end,
	.transaction_start = wire_transaction_start,
	.transaction_end = wire_transaction_end,
	.watch = wire_watch,
	.unwatch = wire_unwatch,
	.fd = wire_fd,
	.next_watch = wire_next_watch,
	.wait = wire_wait,
};

int store_client_wire_introduce(struct store_client *sc, domid_t domid, uint64_t frame, evtchn_port_t port)
{
	char text[3][24];
	struct part p[MAX_PARTS];
	const unsigned long long numbers[] = {domid, frame, port};

	for (unsigned i = 0; i < 3; i++) {
		snprintf(text[i], sizeof(text[i]), "%llu", numbers[i]);
		p[i] = string_part(text[i]);
	}
	return request(wire_of(sc), XS_INTRODUCE, STORE_NO_TX, p, 3);
}

int store_client_wire_create(const struct store_transport *transport, struct store_client **out)
{
	struct store_client_wire *c = calloc(1, sizeof(*c));

	if (!c)
		return -ENOMEM;
	c->sc.ops = &wire_ops;
	c->transport = *transport;
	c->events_end = &c->events;
	*out = &c->sc;
	return 0;
}
