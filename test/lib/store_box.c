/*
 * test/lib/store_box.c - the box, and both kinds of clients.
 */
#include "store_box.h"

#include <assert.h>
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#define TURNS 8 /* a request needs two: one to be read, one for what was left over */

static void count_wake(void *arg)
{
	++*(unsigned *)arg;
}

static int introduce(void *arg, domid_t domid, uint64_t frame, evtchn_port_t port)
{
	struct store_box *box = arg;

	if (domid >= STORE_BOX_DOMAINS || !box->alive[domid])
		return -ENOENT;
	box->introduced++;
	return store_introduce(box->store, domid, &box->pages[domid], count_wake, &box->wakes[domid]);
}

static int release(void *arg, domid_t domid)
{
	struct store_box *box = arg;

	box->released++;
	store_release_domain(box->store, domid);
	return 0;
}

static bool domain_exists(void *arg, domid_t domid)
{
	const struct store_box *box = arg;

	return domid < STORE_BOX_DOMAINS && box->alive[domid];
}

struct store_box *store_box_create(const struct store_quota *quota)
{
	struct store_box *box = calloc(1, sizeof(*box));
	struct store_hooks hooks = {box, introduce, release, domain_exists};
	int ret;

	assert(box);
	strcpy(box->dir, "/tmp/store_box.XXXXXX");
	assert(mkdtemp(box->dir));
	snprintf(box->socket, sizeof(box->socket), "%s/xenstored", box->dir);
	ret = loop_create(&box->loop);
	assert(!ret);
	ret = store_create(box->loop, &hooks, quota, &box->store);
	assert(!ret);
	ret = store_listen(box->store, box->socket);
	assert(!ret);
	return box;
}

void store_box_destroy(struct store_box *box)
{
	store_destroy(box->store);
	loop_destroy(box->loop);
	rmdir(box->dir);
	free(box);
}

void store_box_turn(struct store_box *box)
{
	int ret = loop_run_once(box->loop, 0);

	assert(ret >= 0 || ret == -EINTR);
}

static struct store_peer *peer_create(struct store_box *box)
{
	struct store_peer *peer = calloc(1, sizeof(*peer));

	assert(peer);
	peer->events = calloc(STORE_BOX_EVENTS, sizeof(*peer->events));
	assert(peer->events);
	peer->box = box;
	peer->fd = -1;
	return peer;
}

struct store_peer *store_box_connect(struct store_box *box)
{
	struct store_peer *peer = peer_create(box);
	struct sockaddr_un address = {.sun_family = AF_UNIX};

	strcpy(address.sun_path, box->socket);
	peer->fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	assert(peer->fd >= 0);
	if (connect(peer->fd, (struct sockaddr *)&address, sizeof(address)) < 0)
		abort();
	store_box_turn(box);
	return peer;
}

struct store_peer *store_box_guest(struct store_box *box, domid_t domid)
{
	struct store_peer *dom0 = store_box_connect(box), *peer = peer_create(box);
	char home[32], perms[8], id[8];
	int ret;

	peer->domid = domid;
	box->alive[domid] = true;
	memset(&box->pages[domid], 0, sizeof(box->pages[domid]));
	snprintf(id, sizeof(id), "%u", domid);
	snprintf(home, sizeof(home), "/local/domain/%u", domid);
	snprintf(perms, sizeof(perms), "n%u", domid);
	ret = store_peer_ask(dom0, XS_INTRODUCE, 0, NULL, id, "1", "1", NULL);
	assert(!ret);
	ret = store_peer_ask(dom0, XS_MKDIR, 0, NULL, home, NULL);
	assert(!ret);
	ret = store_peer_perms(dom0, 0, home, perms);
	assert(!ret);
	store_peer_close(dom0);
	return peer;
}

void store_peer_close(struct store_peer *peer)
{
	if (peer->fd >= 0) {
		close(peer->fd);
		store_box_turn(peer->box);
		store_box_turn(peer->box);
	}
	free(peer->events);
	free(peer);
}

int store_peer_put(struct store_peer *peer, const void *data, unsigned len)
{
	int n;

	if (peer->fd >= 0)
		return (int)send(peer->fd, data, len, MSG_DONTWAIT | MSG_NOSIGNAL);
	n = store_ring_put(store_ring_requests(&peer->box->pages[peer->domid]), data, len);
	store_ring_event(peer->box->store, peer->domid);
	return n;
}

bool store_peer_take(struct store_peer *peer)
{
	bool was_full; /* a guest that tells the store in any case */
	ssize_t n;

	if (peer->fd >= 0) {
		n = recv(peer->fd, peer->in + peer->in_len, sizeof(peer->in) - peer->in_len, MSG_DONTWAIT);
		if (!n || (n < 0 && errno != EAGAIN))
			return false;
	} else {
		n = store_ring_take(store_ring_responses(&peer->box->pages[peer->domid]), peer->in + peer->in_len,
				    sizeof(peer->in) - peer->in_len, &was_full);
		if (n > 0)
			store_ring_event(peer->box->store, peer->domid);
	}
	if (n > 0)
		peer->in_len += (unsigned)n;
	return true;
}

void store_peer_send(struct store_peer *peer, uint32_t type, uint32_t tx_id, const void *data, unsigned len)
{
	struct xsd_sockmsg header = {type, ++peer->req_id, tx_id, len};
	char message[sizeof(header) + (1 << 16)];
	unsigned at = 0, total = (unsigned)sizeof(header) + len;

	assert(total <= sizeof(message));
	memcpy(message, &header, sizeof(header));
	if (len)
		memcpy(message + sizeof(header), data, len);
	for (unsigned turns = 0; at < total && turns < 1000; turns++) {
		int n = store_peer_put(peer, message + at, total - at);

		if (n > 0)
			at += (unsigned)n;
		if (at < total)
			store_box_turn(peer->box);
	}
}

/* The first whole message out of what has come; events go to their list. */
static bool next_message(struct store_peer *peer, struct store_reply *reply)
{
	struct xsd_sockmsg header;
	unsigned total;

	if (peer->in_len < sizeof(header))
		return false;
	memcpy(&header, peer->in, sizeof(header));
	assert(header.len <= XENSTORE_PAYLOAD_MAX);
	total = (unsigned)sizeof(header) + header.len;
	if (peer->in_len < total)
		return false;
	*reply = (struct store_reply){.type = header.type, .req_id = header.req_id, .tx_id = header.tx_id, .len = header.len};
	memcpy(reply->data, peer->in + sizeof(header), header.len);
	memmove(peer->in, peer->in + total, peer->in_len - total);
	peer->in_len -= total;
	return true;
}

static void keep_event(struct store_peer *peer, const struct store_reply *reply)
{
	struct store_event *e = &peer->events[peer->nr_events % STORE_BOX_EVENTS];
	size_t path_bytes = strlen(reply->data) + 1;

	assert(reply->req_id == 0 && reply->tx_id == 0 && path_bytes <= sizeof(e->path));
	assert(path_bytes + strlen(reply->data + path_bytes) + 1 == reply->len);
	strcpy(e->path, reply->data);
	snprintf(e->token, sizeof(e->token), "%s", reply->data + path_bytes);
	peer->nr_events++;
}

bool store_peer_receive(struct store_peer *peer, struct store_reply *reply)
{
	for (unsigned turns = 0; turns < TURNS; turns++) {
		bool ended = !store_peer_take(peer);

		while (next_message(peer, reply)) {
			if (reply->type != XS_WATCH_EVENT)
				return true;
			keep_event(peer, reply);
			turns = 0;
		}
		if (ended)
			return false;
		store_box_turn(peer->box);
	}
	return false;
}

static int error_of(const char *name)
{
	for (unsigned i = 0; i < sizeof(xsd_errors) / sizeof(xsd_errors[0]); i++)
		if (!strcmp(xsd_errors[i].errstring, name))
			return -xsd_errors[i].errnum;
	return -EIO;
}

int store_peer_call(struct store_peer *peer, uint32_t type, uint32_t tx_id, const void *data, unsigned len, struct store_reply *reply)
{
	struct store_reply own;

	if (!reply)
		reply = &own;
	store_peer_send(peer, type, tx_id, data, len);
	if (!store_peer_receive(peer, reply))
		return -ETIMEDOUT;
	assert(reply->req_id == peer->req_id && reply->tx_id == tx_id);
	if (reply->type == XS_ERROR)
		return error_of(reply->data);
	assert(reply->type == type);
	return 0;
}

int store_peer_ask(struct store_peer *peer, uint32_t type, uint32_t tx_id, struct store_reply *reply, ...)
{
	static char data[1 << 14];
	unsigned len = 0;
	const char *text;
	va_list args;

	va_start(args, reply);
	while ((text = va_arg(args, const char *))) {
		assert(len + strlen(text) + 1 <= sizeof(data));
		memcpy(data + len, text, strlen(text) + 1);
		len += (unsigned)strlen(text) + 1;
	}
	va_end(args);
	return store_peer_call(peer, type, tx_id, data, len, reply);
}

int store_peer_write(struct store_peer *peer, uint32_t tx_id, const char *path, const char *value)
{
	static char data[1 << 14];
	unsigned path_bytes = (unsigned)strlen(path) + 1, len = (unsigned)strlen(value);

	assert(path_bytes + len <= sizeof(data));
	memcpy(data, path, path_bytes);
	memcpy(data + path_bytes, value, len);
	return store_peer_call(peer, XS_WRITE, tx_id, data, path_bytes + len, NULL);
}

const char *store_peer_read(struct store_peer *peer, uint32_t tx_id, const char *path, int *error)
{
	static struct store_reply reply;
	int ret = store_peer_ask(peer, XS_READ, tx_id, &reply, path, NULL);

	if (error)
		*error = ret;
	return ret ? NULL : reply.data;
}

int store_peer_watch(struct store_peer *peer, const char *path, const char *token)
{
	return store_peer_ask(peer, XS_WATCH, 0, NULL, path, token, NULL);
}

int store_peer_perms(struct store_peer *peer, uint32_t tx_id, const char *path, const char *perms)
{
	char data[XENSTORE_PAYLOAD_MAX];
	unsigned len = (unsigned)strlen(path) + 1;

	memcpy(data, path, len);
	for (; *perms; perms++)
		data[len++] = *perms == ' ' ? 0 : *perms;
	data[len++] = 0;
	return store_peer_call(peer, XS_SET_PERMS, tx_id, data, len, NULL);
}

uint32_t store_peer_begin(struct store_peer *peer)
{
	struct store_reply reply;
	int ret = store_peer_call(peer, XS_TRANSACTION_START, 0, "", 1, &reply);

	assert(!ret);
	return (uint32_t)strtoul(reply.data, NULL, 10);
}

int store_peer_end(struct store_peer *peer, uint32_t tx_id, bool commit)
{
	return store_peer_ask(peer, XS_TRANSACTION_END, tx_id, NULL, commit ? "T" : "F", NULL);
}

const char *store_peer_event(struct store_peer *peer)
{
	static char text[sizeof(struct store_event) + 1];
	struct store_reply reply;

	if (peer->next_event == peer->nr_events && store_peer_receive(peer, &reply))
		assert(!"an answer that nobody asked for");
	if (peer->next_event == peer->nr_events)
		return NULL;
	snprintf(text, sizeof(text), "%s %s", peer->events[peer->next_event % STORE_BOX_EVENTS].path,
		 peer->events[peer->next_event % STORE_BOX_EVENTS].token);
	peer->next_event++;
	return text;
}

void store_peer_forget_events(struct store_peer *peer)
{
	while (store_peer_event(peer))
		;
}

struct store_world *store_world_create(const struct store_quota *quota)
{
	struct store_world *w = calloc(1, sizeof(*w));

	assert(w);
	w->box = store_box_create(quota);
	w->dom0 = store_box_connect(w->box);
	return w;
}

int store_world_destroy(struct store_world *w)
{
	struct store_peer *const peers[] = {w->dom0, w->other, w->one, w->two};
	int unsound = store_validate(w->box->store);

	for (unsigned i = 0; i < sizeof(peers) / sizeof(peers[0]); i++)
		if (peers[i])
			store_peer_close(peers[i]);
	store_box_destroy(w->box);
	free(w);
	return unsound;
}
