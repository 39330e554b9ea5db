/*
 * hv/store_conn.c - queues of answers and events, and the two ways in and out: a socket, a ring.
 */
#include "hv/store_conn.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

#include "hv/log.h"

#define SOCKET_IN_BYTES 16384u          /* also bounds the requests of one turn */
#define RING_IN_BYTES (2 * STORE_MESSAGE_BYTES_MAX)
#define RING_REQUESTS_PER_TURN 32u
#define SOCKET_OUT_STOP_BYTES (1u << 20) /* no more requests until less is queued */
#define SOCKET_MERGE_BYTES (64u << 10)    /* a client that far behind gets equal events once, as guests always do */
#define SOCKET_EVENT_BYTES (4u << 20)     /* from here on events are told on the watch's own path */
#define SOCKET_OUT_KILL_BYTES (64u << 20) /* a client with a great many watches that never reads */
#define IOVS_PER_SEND 128

static struct store_conn *conn_create(struct store *store, domid_t domid, unsigned in_room)
{
	struct store_conn *conn = calloc(1, sizeof(*conn));

	if (!conn)
		return NULL;
	conn->in = malloc(in_room);
	if (!conn->in) {
		free(conn);
		return NULL;
	}
	conn->in_room = in_room;
	conn->store = store;
	conn->fd = -1;
	conn->who = (struct store_who){.domid = domid, .is_privileged = domid == 0};
	conn->next = store->conns;
	if (conn->next)
		conn->next->prev = conn;
	store->conns = conn;
	return conn;
}

static void socket_ready(void *arg, uint32_t events)
{
	struct store_conn *conn = arg;
	struct store *store = conn->store;

	store_enter(store);
	if (events & EPOLLOUT)
		store_mark_dirty(store, conn);
	if (events & ~(uint32_t)EPOLLOUT)
		store_conn_serve(conn);
	store_leave(store);
}

int store_conn_create_socket(struct store *store, int fd)
{
	struct store_conn *conn = conn_create(store, 0, SOCKET_IN_BYTES);
	int ret;

	if (!conn) {
		close(fd);
		return -ENOMEM;
	}
	conn->fd = fd;
	conn->events = EPOLLIN;
	conn->source = loop_add_fd(store->loop, fd, conn->events, socket_ready, conn);
	if (!conn->source) {
		ret = -errno;
		store_conn_destroy(conn);
		return ret;
	}
	return 0;
}

int store_conn_create_ring(struct store *store, domid_t domid, struct xenstore_domain_interface *page_sh, void (*wake)(void *arg),
			   void *arg, struct store_conn **out)
{
	struct store_conn *conn = conn_create(store, domid, RING_IN_BYTES);

	if (!conn)
		return -ENOMEM;
	conn->page_sh = page_sh;
	conn->wake = wake;
	conn->wake_arg = arg;
	store_relaxed(&page_sh->server_features, XENSTORE_SERVER_FEATURE_RECONNECTION | XENSTORE_SERVER_FEATURE_ERROR);
	store_relaxed(&page_sh->error, XENSTORE_ERROR_NONE);
	*out = conn;
	return 0;
}

static void drop_queue(struct store_conn *conn)
{
	struct store_message *next;

	for (; conn->first; conn->first = next) {
		next = conn->first->next;
		free(conn->first);
	}
	conn->last = NULL;
	conn->sent = 0;
	conn->nr_out = 0;
	conn->out_bytes = conn->event_bytes = 0;
	memset(conn->queued_events, 0, sizeof(conn->queued_events));
}

void store_conn_drop_watch(struct store_conn *conn, struct store_watch *watch)
{
	conn->memory -= watch->bytes;
	conn->nr_watches--;
	store_watch_remove(&conn->store->watches, watch);
}

void store_conn_drop_tx(struct store_conn *conn, struct store_tx *tx)
{
	struct store_tx **link = &conn->txs;

	while (*link != tx)
		link = &(*link)->next;
	*link = tx->next;
	conn->nr_txs--;
	store_tx_destroy(tx, &conn->memory);
}

void store_conn_reset(struct store_conn *conn)
{
	while (conn->watches)
		store_conn_drop_watch(conn, conn->watches);
	while (conn->txs)
		store_conn_drop_tx(conn, conn->txs);
}

static void unlink_waiting(struct store_conn *conn)
{
	struct store_conn **link = &conn->store->dirty;

	while (conn->is_dirty && *link != conn)
		link = &(*link)->next_dirty;
	if (conn->is_dirty)
		*link = conn->next_dirty;
	link = &conn->store->ready;
	while (conn->is_ready && *link != conn)
		link = &(*link)->next_ready;
	if (conn->is_ready)
		*link = conn->next_ready;
}

void store_conn_destroy(struct store_conn *conn)
{
	struct store *store = conn->store;

	store_conn_reset(conn);
	drop_queue(conn);
	unlink_waiting(conn);
	*(conn->prev ? &conn->prev->next : &store->conns) = conn->next;
	if (conn->next)
		conn->next->prev = conn->prev;
	loop_remove(conn->source);
	if (conn->fd >= 0) {
		close(conn->fd);
		store_accept_again(store);
	}
	free(conn->in);
	free(conn);
}

/* Takes effect in store_leave: whoever calls may be walking over this connection's watches. */
static void conn_kill(struct store_conn *conn)
{
	conn->is_dead = true;
	store_mark_dirty(conn->store, conn);
}

/* The ring is not served any more; the guest may read why. */
static void ring_stop(struct store_conn *conn, uint32_t error)
{
	/* Once: a guest could fill the log by breaking its ring again and again. */
	if (!conn->was_stopped)
		log_warn("the store's ring of domain %u is broken (error %u): it is not served any more", conn->who.domid, error);
	conn->is_stopped = conn->was_stopped = true;
	conn->in_len = 0;
	store_conn_reset(conn);
	drop_queue(conn);
	store_relaxed(&conn->page_sh->error, error);
	conn->ring_moved = true;
	store_mark_dirty(conn->store, conn);
}

/* The guest asked for a ring as new. */
static void ring_reconnect(struct store_conn *conn)
{
	struct xenstore_domain_interface *sh = conn->page_sh;

	store_conn_reset(conn);
	drop_queue(conn);
	conn->in_len = 0;
	conn->is_stopped = conn->is_held = false;
	store_relaxed(&sh->req_cons, 0);
	store_relaxed(&sh->req_prod, 0);
	store_relaxed(&sh->rsp_cons, 0);
	store_relaxed(&sh->rsp_prod, 0);
	store_relaxed(&sh->error, XENSTORE_ERROR_NONE);
	/* Pairs with the guest's acquire of connection: it uses the indices after it. */
	store_release(&sh->connection, XENSTORE_CONNECTED);
	conn->ring_moved = true;
	store_mark_dirty(conn->store, conn);
}

static void queue_message(struct store_conn *conn, struct store_message *m)
{
	*(conn->last ? &conn->last->next : &conn->first) = m;
	conn->last = m;
	conn->nr_out++;
	conn->out_bytes += m->len;
	store_mark_dirty(conn->store, conn);
	if (!conn->page_sh && conn->out_bytes > SOCKET_OUT_KILL_BYTES && !conn->is_dead) {
		log_warn("a client of the store has not read %zu bytes: it is disconnected", conn->out_bytes);
		conn_kill(conn);
	}
}

static struct store_message *message_create(struct xsd_sockmsg header, const void *data, unsigned len, const void *more, unsigned more_len)
{
	struct store_message *m = malloc(sizeof(*m) + sizeof(header) + len + more_len);

	if (!m)
		return NULL;
	*m = (struct store_message){.len = (unsigned)sizeof(header) + len + more_len};
	header.len = len + more_len;
	memcpy(m->data, &header, sizeof(header));
	if (len)
		memcpy(m->data + sizeof(header), data, len);
	if (more_len)
		memcpy(m->data + sizeof(header) + len, more, more_len);
	return m;
}

void store_conn_reply(struct store_conn *conn, const struct store_request *req, const void *data, unsigned len, const void *more,
		      unsigned more_len)
{
	struct xsd_sockmsg header = {.type = req->type, .req_id = req->req_id, .tx_id = req->tx_id};
	struct store_message *m;

	if (len + more_len > XENSTORE_PAYLOAD_MAX) {
		store_conn_error(conn, req, E2BIG);
		return;
	}
	m = message_create(header, data, len, more, more_len);
	if (m)
		queue_message(conn, m);
	else
		conn_kill(conn); /* a client without its answer would wait for ever */
}

void store_conn_error(struct store_conn *conn, const struct store_request *req, int error)
{
	const char *name = store_wire_error(error);
	struct store_request as_error = *req;

	as_error.type = XS_ERROR;
	store_conn_reply(conn, &as_error, name, (unsigned)strlen(name) + 1, NULL, 0);
}

static uint32_t event_hash(const struct store_conn *conn, const char *path, const char *token)
{
	uint64_t base = conn->store->tree.base, hash = 0;

	for (; *path; path++)
		hash = store_hash_step(base, hash, *path);
	for (hash = store_hash_step(base, hash, 0); *token; token++)
		hash = store_hash_step(base, hash, *token);
	return (uint32_t)hash;
}

static bool is_same_event(const struct store_message *m, uint32_t hash, const char *path, size_t path_bytes, const char *token)
{
	const char *payload = m->data + sizeof(struct xsd_sockmsg);

	return m->hash == hash && !strcmp(payload, path) && !strcmp(payload + path_bytes, token);
}

/* Is this event queued already, and not a byte of it sent? */
static bool is_queued_event(const struct store_conn *conn, uint32_t hash, const char *path, size_t path_bytes, const char *token)
{
	const struct store_message *m = conn->queued_events[hash % STORE_CONN_EVENT_BUCKETS];

	while (m && !((m != conn->first || !conn->sent) && is_same_event(m, hash, path, path_bytes, token)))
		m = m->next_same;
	return m;
}

/* Events are found again while they are queued, so that a change repeated a thousand times is told once. */
static void queue_event(struct store_conn *conn, struct store_message *m, uint32_t hash)
{
	struct store_message **head = &conn->queued_events[hash % STORE_CONN_EVENT_BUCKETS];

	m->is_event = true;
	m->hash = hash;
	m->next_same = *head;
	*head = m;
	conn->event_bytes += m->len;
	queue_message(conn, m);
}

void store_conn_event(struct store_conn *conn, const struct store_watch *watch, const char *path)
{
	size_t limit = conn->page_sh ? conn->store->quota.memory_bytes / 2 : SOCKET_EVENT_BYTES;
	size_t path_bytes, token_bytes = strlen(watch->token) + 1;
	struct xsd_sockmsg header = {.type = XS_WATCH_EVENT};
	struct store_message *m;
	uint32_t hash;

	if (conn->is_dead || conn->is_stopped)
		return;
	/* Too much waits already: the client learns that something below its watch changed, once. */
	if (conn->event_bytes > limit)
		path = watch->point->path;
	path += watch->skip;
	path_bytes = strlen(path) + 1;
	if (path_bytes + token_bytes > XENSTORE_PAYLOAD_MAX)
		return;
	hash = event_hash(conn, path, watch->token);
	if ((conn->page_sh || conn->event_bytes > SOCKET_MERGE_BYTES) && is_queued_event(conn, hash, path, path_bytes, watch->token))
		return;
	m = message_create(header, path, (unsigned)path_bytes, watch->token, (unsigned)token_bytes);
	if (m)
		queue_event(conn, m, hash);
	else
		conn_kill(conn);
}

/* The first of the queue has been sent. */
static void queue_pop(struct store_conn *conn)
{
	struct store_message *m = conn->first;

	if (m->is_event) {
		struct store_message **link = &conn->queued_events[m->hash % STORE_CONN_EVENT_BUCKETS];

		while (*link != m)
			link = &(*link)->next_same;
		*link = m->next_same;
		conn->event_bytes -= m->len;
	}
	conn->first = m->next;
	if (!conn->first)
		conn->last = NULL;
	conn->sent = 0;
	conn->nr_out--;
	conn->out_bytes -= m->len;
	free(m);
}

/* So many bytes of the queue have been sent. */
static void queue_advance(struct store_conn *conn, size_t bytes)
{
	while (bytes) {
		struct store_message *m = conn->first;
		size_t rest = m->len - conn->sent;

		if (bytes < rest) {
			conn->sent += (unsigned)bytes;
			return;
		}
		bytes -= rest;
		queue_pop(conn);
	}
}

static void socket_flush(struct store_conn *conn)
{
	uint32_t events;

	while (conn->first) {
		struct iovec iov[IOVS_PER_SEND];
		struct msghdr msg = {.msg_iov = iov};
		unsigned skip = conn->sent;
		ssize_t n;

		for (struct store_message *m = conn->first; m && msg.msg_iovlen < IOVS_PER_SEND; m = m->next, skip = 0)
			iov[msg.msg_iovlen++] = (struct iovec){m->data + skip, m->len - skip};
		n = sendmsg(conn->fd, &msg, MSG_DONTWAIT | MSG_NOSIGNAL);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0 && errno != EAGAIN) {
			conn_kill(conn);
			return;
		}
		if (n < 0)
			break;
		queue_advance(conn, (size_t)n);
	}
	events = (conn->out_bytes < SOCKET_OUT_STOP_BYTES ? EPOLLIN : 0u) | (conn->first ? EPOLLOUT : 0u);
	if (events != conn->events && loop_set_events(conn->source, events) == 0)
		conn->events = events;
}

static void ring_flush(struct store_conn *conn)
{
	struct store_ring_half half = store_ring_responses(conn->page_sh);

	while (conn->first && !conn->is_stopped) {
		int n = store_ring_put(half, conn->first->data + conn->sent, conn->first->len - conn->sent);

		if (n < 0)
			ring_stop(conn, XENSTORE_ERROR_RINGIDX);
		if (n <= 0)
			break;
		conn->ring_moved = true;
		queue_advance(conn, (size_t)n);
	}
	if (conn->is_held && conn->nr_out < conn->store->quota.outstanding)
		store_mark_ready(conn->store, conn);
	if (conn->ring_moved) {
		conn->ring_moved = false;
		conn->wake(conn->wake_arg);
	}
}

bool store_conn_flush(struct store_conn *conn)
{
	if (!conn->page_sh) {
		if (!conn->is_dead)
			socket_flush(conn);
		return !conn->is_dead;
	}
	if (conn->is_dead) {
		conn->is_dead = false;
		ring_stop(conn, XENSTORE_ERROR_COMM);
	}
	ring_flush(conn);
	return true;
}

/* Requests that are whole, up to max of them, and while the client may have more answered: how many. */
static int serve_input(struct store_conn *conn, unsigned max)
{
	struct store_request req;
	unsigned at = 0, nr = 0;
	int bytes = 0;

	conn->is_held = false;
	while (nr < max && !conn->is_dead) {
		if (conn->page_sh && conn->nr_out >= conn->store->quota.outstanding) {
			conn->is_held = true;
			break;
		}
		bytes = store_wire_parse(conn->in + at, conn->in_len - at, &req);
		if (bytes <= 0)
			break;
		store_request_handle(conn, &req);
		at += (unsigned)bytes;
		nr++;
	}
	memmove(conn->in, conn->in + at, conn->in_len - at);
	conn->in_len -= at;
	return bytes < 0 ? bytes : (int)nr;
}

static void socket_serve(struct store_conn *conn)
{
	ssize_t n = read(conn->fd, conn->in + conn->in_len, conn->in_room - conn->in_len);

	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	if (n <= 0) {
		conn_kill(conn);
		return;
	}
	conn->in_len += (unsigned)n;
	if (serve_input(conn, SOCKET_IN_BYTES) < 0) {
		log_warn("a client of the store sent a message that is too long: it is disconnected");
		conn_kill(conn);
	}
}

static void ring_serve(struct store_conn *conn)
{
	unsigned budget = RING_REQUESTS_PER_TURN;
	int taken, served;

	/* Pairs with the guest's release when it asks to reconnect. */
	if (load_acquire(&conn->page_sh->connection) == XENSTORE_RECONNECT)
		ring_reconnect(conn);
	store_mark_dirty(conn->store, conn);
	do {
		if (conn->is_stopped)
			return;
		taken = store_ring_take(store_ring_requests(conn->page_sh), conn->in + conn->in_len, conn->in_room - conn->in_len,
					&conn->ring_moved);
		if (taken < 0) {
			ring_stop(conn, XENSTORE_ERROR_RINGIDX);
			return;
		}
		conn->in_len += (unsigned)taken;
		served = serve_input(conn, budget);
		if (served < 0) {
			ring_stop(conn, XENSTORE_ERROR_PROTO);
			return;
		}
		budget -= (unsigned)served;
	} while ((taken || served) && budget && !conn->is_held && !conn->is_dead);
	if (!budget)
		store_mark_ready(conn->store, conn);
}

void store_conn_serve(struct store_conn *conn)
{
	if (conn->is_dead)
		return;
	if (conn->page_sh)
		ring_serve(conn);
	else
		socket_serve(conn);
}

int store_conn_validate(const struct store_conn *conn)
{
	size_t out_bytes = 0, event_bytes = 0;
	unsigned nr_out = 0, nr_watches = 0, nr_txs = 0;

	for (const struct store_message *m = conn->first; m; m = m->next, nr_out++) {
		out_bytes += m->len;
		event_bytes += m->is_event ? m->len : 0;
	}
	for (const struct store_watch *w = conn->watches; w; w = w->next_of, nr_watches++)
		if (w->conn != conn)
			return -EINVAL;
	for (const struct store_tx *tx = conn->txs; tx; tx = tx->next)
		nr_txs++;
	return nr_out == conn->nr_out && out_bytes == conn->out_bytes && event_bytes == conn->event_bytes &&
		       nr_watches == conn->nr_watches && nr_txs == conn->nr_txs ?
	       0 : -EINVAL;
}
