/*
 * hv/store_request.c - the store's requests: one table, one function each.
 *
 * A function answers itself when it has more to say than "OK", and returns 0 or -errno; the error is answered by the dispatcher.
 *
 * Trusts   nothing in a request of a guest's.
 * Spec     docs/misc/xenstore.txt of Xen.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "hv/log.h"
#include "hv/store_conn.h"
#include "hv/store_op.h"

struct call { /* a request on its way through its function */
	struct store *store;
	struct store_conn *conn;
	const struct store_request *req;
	struct store_scope scope;
	struct store_path path;
};

enum call_flags {
	CALL_PRIVILEGED = 1, /* Domain-0 only */
	CALL_NO_TX = 2,      /* the transaction id means nothing */
	CALL_ANSWERS = 4,    /* the function answers; otherwise "OK" is answered for it */
};

static void answer(struct call *c, const void *data, unsigned len)
{
	store_conn_reply(c->conn, c->req, data, len, NULL, 0);
}

static void answer_text(struct call *c, const char *text)
{
	answer(c, text, (unsigned)strlen(text) + 1);
}

static int call_path(struct call *c, const char *text, bool special, unsigned *prefix_len)
{
	return store_path_parse(&c->path, c->store->tree.base, text, c->conn->who.domid, special, prefix_len);
}

/* The payload is a path and nothing else; the node there. */
static int call_node(struct call *c, unsigned access, bool special, const struct store_node **out)
{
	const char *text = store_wire_one(c->req);

	if (!text || call_path(c, text, special, NULL) < 0)
		return -EINVAL;
	return store_op_get(&c->scope, &c->path, access, out);
}

static int do_read(struct call *c)
{
	const struct store_node *node;
	int ret = call_node(c, STORE_READ, false, &node);

	if (!ret)
		answer(c, node->value, node->len);
	return ret;
}

static int do_directory(struct call *c)
{
	const struct store_node *node;
	int ret = call_node(c, STORE_READ, false, &node);

	if (!ret)
		answer(c, node->children, node->children_bytes);
	return ret;
}

/* The names from a byte offset on, as many as fit whole; an empty one behind the last says that it is the last. */
static int do_directory_part(struct call *c)
{
	const struct store_node *node;
	const char *strings[2];
	char generation[24];
	unsigned rest, len, room, from, end;
	uint64_t offset;
	int ret;

	if (store_wire_strings(c->req, strings, 2, &rest) != 2 || call_path(c, strings[0], false, NULL) < 0 ||
	    store_wire_number(strings[1], UINT32_MAX, &offset) < 0)
		return -EINVAL;
	ret = store_op_get(&c->scope, &c->path, STORE_READ, &node);
	if (ret < 0)
		return ret;
	len = (unsigned)snprintf(generation, sizeof(generation), "%" PRIu64, node->generation) + 1;
	room = XENSTORE_PAYLOAD_MAX - len - 1;
	from = end = offset < node->children_bytes ? (unsigned)offset : node->children_bytes;
	while (end < node->children_bytes) {
		unsigned name = (unsigned)strlen(node->children + end) + 1;

		if (end - from + name > room)
			break;
		end += name;
	}
	/* The list is followed by an empty name at its end: put behind the generation, then behind the names. */
	if (end == node->children_bytes) {
		char *part = malloc(len + end - from + 1);

		if (!part)
			return -ENOMEM;
		memcpy(part, generation, len);
		if (end > from)
			memcpy(part + len, node->children + from, end - from);
		part[len + end - from] = 0;
		answer(c, part, len + end - from + 1);
		free(part);
		return 0;
	}
	store_conn_reply(c->conn, c->req, generation, len, node->children + from, end - from);
	return 0;
}

static int do_get_perms(struct call *c)
{
	const struct store_node *node;
	char text[XENSTORE_PAYLOAD_MAX + 8];
	unsigned len = 0;
	int ret = call_node(c, STORE_READ, true, &node);

	if (ret < 0)
		return ret;
	for (unsigned i = 0; i < node->nr_perms && len <= XENSTORE_PAYLOAD_MAX; i++)
		len += store_wire_perm_text(node->perms[i], text + len);
	answer(c, text, len);
	return 0;
}

/* Of a list of permissions those that name domains there are; a node cannot belong to a dead one. */
static unsigned living_perms(const struct store *store, struct store_perm *perms, unsigned nr)
{
	unsigned kept = 1;

	if (!store_domain_exists(store, perms[0].domid))
		perms[0].domid = 0;
	for (unsigned i = 1; i < nr; i++)
		if (store_domain_exists(store, perms[i].domid))
			perms[kept++] = perms[i];
	return kept;
}

static int do_set_perms(struct call *c)
{
	struct store_perm perms[STORE_PERMS_MAX];
	const char *strings[1];
	unsigned at, nr = 0;

	if (store_wire_strings(c->req, strings, 1, &at) != 1 || call_path(c, strings[0], true, NULL) < 0)
		return -EINVAL;
	if (store_path_is_special(&c->path) && !c->conn->who.is_privileged)
		return -EACCES;
	while (at < c->req->len && nr < STORE_PERMS_MAX) {
		const char *text = c->req->data + at;
		const char *end = memchr(text, 0, c->req->len - at);

		if (!end || store_wire_perm(text, &perms[nr]) < 0)
			return -EINVAL;
		nr++;
		at += (unsigned)(end - text) + 1;
	}
	if (!nr || at < c->req->len)
		return -EINVAL;
	return store_op_set_perms(&c->scope, &c->path, perms, living_perms(c->store, perms, nr));
}

static int do_write(struct call *c)
{
	const char *strings[1];
	unsigned at;

	if (store_wire_strings(c->req, strings, 1, &at) != 1 || call_path(c, strings[0], false, NULL) < 0)
		return -EINVAL;
	return store_op_write(&c->scope, &c->path, c->req->data + at, c->req->len - at);
}

static int do_mkdir(struct call *c)
{
	const char *text = store_wire_one(c->req);

	if (!text || call_path(c, text, false, NULL) < 0)
		return -EINVAL;
	return store_op_mkdir(&c->scope, &c->path);
}

static int do_rm(struct call *c)
{
	const char *text = store_wire_one(c->req);

	if (!text || call_path(c, text, false, NULL) < 0)
		return -EINVAL;
	return store_op_rm(&c->scope, &c->path);
}

/* Answers first: the client knows its watch before the first event of it comes. */
static int do_watch(struct call *c)
{
	struct store_conn *conn = c->conn;
	struct store_watch *watch;
	const char *strings[2];
	unsigned rest, skip;
	int ret;

	if (store_wire_strings(c->req, strings, 2, &rest) != 2 || call_path(c, strings[0], true, &skip) < 0)
		return -EINVAL;
	if (store_watch_find(&c->store->watches, conn, &c->path, strings[1]))
		return -EEXIST;
	if (!conn->who.is_privileged && conn->nr_watches >= c->store->quota.watches)
		return -E2BIG;
	if (!conn->who.is_privileged && conn->memory + c->req->len > c->store->quota.memory_bytes)
		return -ENOMEM;
	ret = store_watch_add(&c->store->watches, conn, &c->path, skip, strings[1], &watch);
	if (ret < 0)
		return ret;
	conn->nr_watches++;
	conn->memory += watch->bytes;
	answer_text(c, "OK");
	store_watch_fire_one(watch);
	return 0;
}

static int do_unwatch(struct call *c)
{
	struct store_watch *watch;
	const char *strings[2];
	unsigned rest;

	if (store_wire_strings(c->req, strings, 2, &rest) != 2 || call_path(c, strings[0], true, NULL) < 0)
		return -EINVAL;
	watch = store_watch_find(&c->store->watches, c->conn, &c->path, strings[1]);
	if (!watch)
		return -ENOENT;
	store_conn_drop_watch(c->conn, watch);
	return 0;
}

static int do_reset_watches(struct call *c)
{
	store_conn_reset(c->conn);
	return 0;
}

static struct store_tx *find_tx(const struct store_conn *conn, uint32_t id)
{
	struct store_tx *tx = conn->txs;

	while (tx && tx->id != id)
		tx = tx->next;
	return tx;
}

static int do_transaction_start(struct call *c)
{
	struct store_conn *conn = c->conn;
	struct store_tx *tx;
	char text[12];

	if (c->scope.view.tx)
		return -EBUSY;
	if (!conn->who.is_privileged && conn->nr_txs >= c->store->quota.transactions)
		return -ENOSPC;
	do {
		conn->next_tx_id++;
	} while (!conn->next_tx_id || find_tx(conn, conn->next_tx_id));
	tx = store_tx_create(conn->next_tx_id);
	if (!tx)
		return -ENOMEM;
	tx->next = conn->txs;
	conn->txs = tx;
	conn->nr_txs++;
	snprintf(text, sizeof(text), "%" PRIu32, tx->id);
	answer_text(c, text);
	return 0;
}

static void fire_committed(void *arg, const char *text, const struct store_node *old, enum store_fire fire)
{
	struct call *c = arg;

	if (call_path(c, text, true, NULL) < 0)
		return;
	store_watches_fire(&c->store->watches, &c->store->tree, &c->path, old ? old->perms : NULL, old ? old->nr_perms : 0, fire);
}

static int do_transaction_end(struct call *c)
{
	struct store_tx *tx = c->scope.view.tx;
	const char *text = store_wire_one(c->req);
	int ret = 0;

	if (!text || (strcmp(text, "T") && strcmp(text, "F")))
		return -EINVAL;
	if (!tx)
		return -ENOENT;
	if (text[0] == 'T')
		ret = store_tx_commit(&c->scope.view, fire_committed, c);
	store_conn_drop_tx(c->conn, tx);
	return ret;
}

static int call_domid(struct call *c, domid_t *out)
{
	const char *text = store_wire_one(c->req);

	return text ? store_wire_domid(text, out) : -EINVAL;
}

static int do_introduce(struct call *c)
{
	const struct store_hooks *hooks = &c->store->hooks;
	const char *strings[3];
	uint64_t frame, port;
	unsigned rest;
	domid_t domid;

	if (store_wire_strings(c->req, strings, 3, &rest) != 3 || store_wire_domid(strings[0], &domid) < 0 || !domid ||
	    store_wire_number(strings[1], UINT64_MAX, &frame) < 0 || store_wire_number(strings[2], UINT32_MAX, &port) < 0)
		return -EINVAL;
	return hooks->introduce ? hooks->introduce(hooks->arg, domid, frame, (evtchn_port_t)port) : -ENOSYS;
}

static bool is_introduced(const struct store *store, domid_t domid)
{
	const struct store_domain *d = store_domain_find(&store->tree, domid);

	return !domid || (d && d->conn);
}

static int do_release(struct call *c)
{
	const struct store_hooks *hooks = &c->store->hooks;
	domid_t domid;

	if (call_domid(c, &domid) < 0 || !domid)
		return -EINVAL;
	if (!is_introduced(c->store, domid))
		return -ENOENT;
	if (hooks->release)
		return hooks->release(hooks->arg, domid);
	store_release_domain(c->store, domid);
	return 0;
}

static int do_get_domain_path(struct call *c)
{
	char text[32];
	domid_t domid;

	if (call_domid(c, &domid) < 0)
		return -EINVAL;
	snprintf(text, sizeof(text), "/local/domain/%u", domid);
	answer_text(c, text);
	return 0;
}

static int do_is_domain_introduced(struct call *c)
{
	const char *text = store_wire_one(c->req);
	uint64_t number;
	domid_t domid;

	if (!text || store_wire_number(text, UINT16_MAX, &number) < 0)
		return -EINVAL;
	domid = number == DOMID_SELF ? c->conn->who.domid : (domid_t)number;
	answer_text(c, is_introduced(c->store, domid) ? "T" : "F");
	return 0;
}

/* @releaseDomain comes whenever a domain goes, so nothing has to be armed again. */
static int do_resume(struct call *c)
{
	domid_t domid;

	if (call_domid(c, &domid) < 0 || !domid)
		return -EINVAL;
	return is_introduced(c->store, domid) ? 0 : -ENOENT;
}

static int do_set_target(struct call *c)
{
	struct store_domain *d;
	domid_t domid, target;
	const char *strings[2];
	unsigned rest;

	if (store_wire_strings(c->req, strings, 2, &rest) != 2 || store_wire_domid(strings[0], &domid) < 0 ||
	    store_wire_domid(strings[1], &target) < 0 || !domid)
		return -EINVAL;
	if (!store_domain_exists(c->store, domid) || !store_domain_exists(c->store, target))
		return -ENOENT;
	d = store_domain_get(&c->store->tree, domid);
	if (!d || !store_domain_get(&c->store->tree, target))
		return -ENOMEM;
	d->has_target = true;
	d->target = target;
	if (d->conn) {
		d->conn->who.has_target = true;
		d->conn->who.target = target;
	}
	return 0;
}

static const char control_help[] = "check\nhelp\nprint <string>\n";

static int do_control(struct call *c)
{
	const char *strings[2];
	unsigned rest, nr = store_wire_strings(c->req, strings, 2, &rest);

	if (nr == 1 && !strcmp(strings[0], "help")) {
		answer_text(c, control_help);
	} else if (nr == 2 && !strcmp(strings[0], "print")) {
		log_info("store: %s", strings[1]);
		answer_text(c, "OK");
	} else if (nr == 1 && !strcmp(strings[0], "check")) {
		answer_text(c, store_validate(c->store) < 0 ? "BROKEN" : "OK");
	} else {
		return -EINVAL;
	}
	return 0;
}

static const struct {
	int (*fn)(struct call *c);
	unsigned flags;
} calls[XS_TYPE_COUNT] = {
	[XS_CONTROL] = {do_control, CALL_PRIVILEGED | CALL_NO_TX | CALL_ANSWERS},
	[XS_DIRECTORY] = {do_directory, CALL_ANSWERS},
	[XS_READ] = {do_read, CALL_ANSWERS},
	[XS_GET_PERMS] = {do_get_perms, CALL_ANSWERS},
	[XS_WATCH] = {do_watch, CALL_NO_TX | CALL_ANSWERS},
	[XS_UNWATCH] = {do_unwatch, CALL_NO_TX},
	[XS_TRANSACTION_START] = {do_transaction_start, CALL_ANSWERS},
	[XS_TRANSACTION_END] = {do_transaction_end, 0},
	[XS_INTRODUCE] = {do_introduce, CALL_PRIVILEGED | CALL_NO_TX},
	[XS_RELEASE] = {do_release, CALL_PRIVILEGED | CALL_NO_TX},
	[XS_GET_DOMAIN_PATH] = {do_get_domain_path, CALL_NO_TX | CALL_ANSWERS},
	[XS_WRITE] = {do_write, 0},
	[XS_MKDIR] = {do_mkdir, 0},
	[XS_RM] = {do_rm, 0},
	[XS_SET_PERMS] = {do_set_perms, 0},
	[XS_IS_DOMAIN_INTRODUCED] = {do_is_domain_introduced, CALL_NO_TX | CALL_ANSWERS},
	[XS_RESUME] = {do_resume, CALL_PRIVILEGED | CALL_NO_TX},
	[XS_SET_TARGET] = {do_set_target, CALL_PRIVILEGED | CALL_NO_TX},
	[XS_RESET_WATCHES] = {do_reset_watches, CALL_NO_TX},
	[XS_DIRECTORY_PART] = {do_directory_part, CALL_ANSWERS},
};

void store_request_handle(struct store_conn *conn, const struct store_request *req)
{
	unsigned flags = req->type < XS_TYPE_COUNT ? calls[req->type].flags : 0;
	struct store *store = conn->store;
	struct store_tx *tx = NULL;
	struct call c;
	int ret;

	if (req->type >= XS_TYPE_COUNT || !calls[req->type].fn) {
		store_conn_error(conn, req, ENOSYS);
		return;
	}
	if ((flags & CALL_PRIVILEGED) && !conn->who.is_privileged) {
		store_conn_error(conn, req, EACCES);
		return;
	}
	if (req->tx_id && !(flags & CALL_NO_TX)) {
		tx = find_tx(conn, req->tx_id);
		if (!tx) {
			store_conn_error(conn, req, ENOENT);
			return;
		}
	}
	/* Not cleared as a whole: the path is large, and most requests use little of it. */
	c.store = store;
	c.conn = conn;
	c.req = req;
	c.scope = (struct store_scope){
		.view = {&store->tree, tx, conn->who, &store->quota, &conn->memory},
		.watches = &store->watches,
	};
	ret = calls[req->type].fn(&c);
	if (ret < 0)
		store_conn_error(conn, req, ret);
	else if (!(flags & CALL_ANSWERS))
		answer_text(&c, "OK");
}
