/*
 * hv/store.c - the store's public face: listens, introduces and releases guests, and the core's own access.
 *
 * Owns     connections, the listening socket, the tree.
 * Runs in  the loop's thread.
 */
#include "hv/store.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "hv/log.h"
#include "hv/store_conn.h"
#include "hv/store_op.h"

#define ACCEPTS_PER_TURN 16
#define BACKLOG 128

static const struct store_quota default_quota = {
	.nodes = 1000,
	.watches = 128,
	.transactions = 10,
	.transaction_nodes = 1024,
	.node_bytes = 2048,
	.perms = 5,
	.outstanding = 20,
	.memory_bytes = 2560 * 1024,
};

void store_mark_dirty(struct store *store, struct store_conn *conn)
{
	if (conn->is_dirty)
		return;
	conn->is_dirty = true;
	conn->next_dirty = store->dirty;
	store->dirty = conn;
}

void store_mark_ready(struct store *store, struct store_conn *conn)
{
	uint64_t one = 1;

	if (conn->is_ready)
		return;
	conn->is_ready = true;
	conn->next_ready = store->ready;
	store->ready = conn;
	if (write(store->kick_fd, &one, sizeof(one)) < 0)
		log_error("the store cannot wake its loop: %s", strerror(errno));
}

void store_enter(struct store *store)
{
	store->depth++;
}

void store_leave(struct store *store)
{
	/* Flushing may make others dirty (a wake that comes straight back), never without end: each round sends something. */
	while (store->depth == 1 && store->dirty) {
		struct store_conn *conn = store->dirty;

		store->dirty = conn->next_dirty;
		conn->is_dirty = false;
		if (!store_conn_flush(conn))
			store_conn_destroy(conn);
	}
	store->depth--;
}

static void kicked(void *arg, uint32_t events)
{
	struct store *store = arg;
	struct store_conn *conn, *list = store->ready;
	uint64_t count;

	if (read(store->kick_fd, &count, sizeof(count)) < 0)
		return;
	store_enter(store);
	/*
	 * Only those that were ready when the turn began: who gets ready again waits for the next. They are guests, none of whose
	 * requests can end a connection, so the list stays whole.
	 */
	store->ready = NULL;
	for (conn = list; conn; conn = conn->next_ready)
		conn->is_ready = false;
	while (list) {
		conn = list;
		list = conn->next_ready;
		store_conn_serve(conn);
	}
	store_leave(store);
}

static int kick_create(struct store *store)
{
	store->kick_fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
	if (store->kick_fd < 0)
		return -errno;
	store->kick_source = loop_add_fd(store->loop, store->kick_fd, EPOLLIN, kicked, store);
	return store->kick_source ? 0 : -errno;
}

static void quota_fill(struct store_quota *quota, const struct store_quota *wanted)
{
	*quota = wanted ? *wanted : default_quota;
#define DEFAULT(field) quota->field = quota->field ? quota->field : default_quota.field
	DEFAULT(nodes);
	DEFAULT(watches);
	DEFAULT(transactions);
	DEFAULT(transaction_nodes);
	DEFAULT(node_bytes);
	DEFAULT(perms);
	DEFAULT(outstanding);
	DEFAULT(memory_bytes);
#undef DEFAULT
}

int store_create(struct loop *loop, const struct store_hooks *hooks, const struct store_quota *quota, struct store **out)
{
	struct store *store = calloc(1, sizeof(*store));
	int ret;

	if (!store)
		return -ENOMEM;
	store->loop = loop;
	store->listen_fd = store->kick_fd = -1;
	if (hooks)
		store->hooks = *hooks;
	quota_fill(&store->quota, quota);
	ret = store_tree_init(&store->tree);
	if (ret < 0)
		goto free_store;
	ret = store_watches_init(&store->watches);
	if (ret < 0)
		goto finish_tree;
	ret = kick_create(store);
	if (ret < 0)
		goto finish_watches;
	*out = store;
	return 0;

finish_watches:
	if (store->kick_fd >= 0)
		close(store->kick_fd);
	store_watches_finish(&store->watches);
finish_tree:
	store_tree_finish(&store->tree);
free_store:
	free(store);
	return ret;
}

static void stop_listening(struct store *store)
{
	if (store->listen_fd < 0)
		return;
	loop_remove(store->listen_source);
	store->listen_source = NULL;
	close(store->listen_fd);
	store->listen_fd = -1;
	unlink(store->listen_path);
	free(store->listen_path);
	store->listen_path = NULL;
}

void store_destroy(struct store *store)
{
	if (!store)
		return;
	stop_listening(store);
	while (store->conns)
		store_conn_destroy(store->conns);
	loop_remove(store->kick_source);
	close(store->kick_fd);
	store_watches_finish(&store->watches);
	store_tree_finish(&store->tree);
	free(store);
}

static void accept_ready(void *arg, uint32_t events)
{
	struct store *store = arg;

	for (unsigned i = 0; i < ACCEPTS_PER_TURN; i++) {
		int fd = accept4(store->listen_fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
		int ret;

		if (fd < 0 && (errno == EMFILE || errno == ENFILE)) {
			log_warn("the store has no file descriptor left for another client: it waits until one leaves");
			store->is_listening = loop_set_events(store->listen_source, 0) < 0;
		}
		if (fd < 0)
			return;
		ret = store_conn_create_socket(store, fd);
		if (ret < 0)
			log_warn("the store cannot serve another client: %s", strerror(-ret));
	}
}

void store_accept_again(struct store *store)
{
	if (store->listen_source && !store->is_listening)
		store->is_listening = loop_set_events(store->listen_source, EPOLLIN) == 0;
}

/* A socket that nobody listens on any more is in the way; anything else at that path is not ours to remove. */
static int listen_bind(int fd, const char *path)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	struct stat st;

	if (strlen(path) >= sizeof(address.sun_path))
		return -ENAMETOOLONG;
	memcpy(address.sun_path, path, strlen(path));
	if (lstat(path, &st) == 0 && S_ISSOCK(st.st_mode))
		unlink(path);
	if (bind(fd, (struct sockaddr *)&address, sizeof(address)) < 0)
		return -errno;
	if (listen(fd, BACKLOG) < 0) {
		int ret = -errno;

		unlink(path);
		return ret;
	}
	return 0;
}

int store_listen(struct store *store, const char *path)
{
	char *copy;
	int ret, fd;

	if (store->listen_fd >= 0)
		return -EBUSY;
	copy = strdup(path);
	if (!copy)
		return -ENOMEM;
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (fd < 0) {
		ret = -errno;
		goto free_copy;
	}
	ret = listen_bind(fd, path);
	if (ret < 0)
		goto close_fd;
	store->listen_source = loop_add_fd(store->loop, fd, EPOLLIN, accept_ready, store);
	if (!store->listen_source) {
		ret = -errno;
		unlink(path);
		goto close_fd;
	}
	store->listen_fd = fd;
	store->listen_path = copy;
	store->is_listening = true;
	return 0;

close_fd:
	close(fd);
free_copy:
	free(copy);
	return ret;
}

bool store_domain_exists(const struct store *store, domid_t domid)
{
	if (!domid || !store->hooks.domain_exists)
		return true;
	return store->hooks.domain_exists(store->hooks.arg, domid);
}

void store_fire_special(struct store *store, const char *name)
{
	struct store_path path;

	if (store_path_parse(&path, store->tree.base, name, 0, true, NULL) == 0)
		store_watches_fire(&store->watches, &store->tree, &path, NULL, 0, STORE_FIRE_ALL);
}

int store_introduce(struct store *store, domid_t domid, struct xenstore_domain_interface *page_sh, void (*wake)(void *arg), void *arg)
{
	struct store_domain *d;
	struct store_conn *conn;
	int ret;

	if (!domid || domid >= DOMID_FIRST_RESERVED)
		return -EINVAL;
	d = store_domain_get(&store->tree, domid);
	if (!d)
		return -ENOMEM;
	if (d->conn)
		return -EEXIST;
	ret = store_conn_create_ring(store, domid, page_sh, wake, arg, &conn);
	if (ret < 0)
		return ret;
	d->conn = conn;
	conn->who.has_target = d->has_target;
	conn->who.target = d->target;
	store_enter(store);
	store_fire_special(store, "@introduceDomain");
	/* The guest may have asked before anybody listened. */
	store_mark_ready(store, conn);
	store_leave(store);
	return 0;
}

void store_ring_event(struct store *store, domid_t domid)
{
	struct store_domain *d = store_domain_find(&store->tree, domid);

	if (!d || !d->conn)
		return;
	store_enter(store);
	store_conn_serve(d->conn);
	store_leave(store);
}

/* What a request of the core's own sees: all, as Domain-0, outside transactions. */
static struct store_scope own_scope(struct store *store, size_t *memory)
{
	return (struct store_scope){
		.view = {&store->tree, NULL, {.is_privileged = true}, &store->quota, memory},
		.watches = &store->watches,
	};
}

/* A node that belonged to the domain goes, with all below it; one that only named it does so no more. */
static void forget_in_node(struct store *store, struct store_node *node, domid_t domid)
{
	size_t memory = 0;
	struct store_scope scope = own_scope(store, &memory);
	struct store_path path;

	if (node->perms[0].domid == domid && store_path_parse(&path, store->tree.base, node->path, 0, true, NULL) == 0 &&
	    store_op_rm(&scope, &path) == 0)
		return;
	/* Also the root and the special nodes: they cannot go. */
	store_tree_drop_domain(&store->tree, node, domid);
}

static bool is_concerned(const struct store_node *node, domid_t domid)
{
	for (unsigned i = 0; i < node->nr_perms; i++)
		if (node->perms[i].domid == domid)
			return true;
	return false;
}

/* Until nothing belongs to it or names it, which costs nothing when a toolstack has tidied up before. */
static void forget_nodes(struct store *store, const struct store_domain *d)
{
	const struct store_map *nodes = &store->tree.nodes;
	size_t i = 0;

	while (i < nodes->nr_buckets && (d->nodes || d->perm_refs)) {
		struct store_map_entry *e = nodes->buckets[i];

		while (e && !is_concerned((struct store_node *)e, d->domid))
			e = e->next;
		if (e)
			forget_in_node(store, (struct store_node *)e, d->domid); /* the chain may have changed: look again */
		else
			i++;
	}
}

static void forget_target(struct store *store, domid_t domid)
{
	for (unsigned i = 0; i < STORE_DOMAIN_BUCKETS; i++)
		for (struct store_domain *d = store->tree.domains[i]; d; d = d->next)
			if (d->has_target && d->target == domid) {
				d->has_target = false;
				if (d->conn)
					d->conn->who.has_target = false;
			}
}

void store_release_domain(struct store *store, domid_t domid)
{
	struct store_domain *d = store_domain_find(&store->tree, domid);

	if (!domid || !d)
		return;
	store_enter(store);
	if (d->conn)
		store_conn_destroy(d->conn);
	d->conn = NULL;
	for (struct store_conn *conn = store->conns; conn; conn = conn->next)
		for (struct store_tx *tx = conn->txs; tx; tx = tx->next)
			store_tx_domain_gone(tx, domid);
	forget_nodes(store, d);
	forget_target(store, domid);
	store_domain_forget(&store->tree, domid);
	store_fire_special(store, "@releaseDomain");
	store_leave(store);
}

int store_write(struct store *store, const char *path_text, const void *value, unsigned len)
{
	size_t memory = 0;
	struct store_scope scope = own_scope(store, &memory);
	struct store_path path;
	int ret = store_path_parse(&path, store->tree.base, path_text, 0, false, NULL);

	if (ret < 0)
		return ret;
	store_enter(store);
	ret = store_op_write(&scope, &path, value, len);
	store_leave(store);
	return ret;
}

int store_remove(struct store *store, const char *path_text)
{
	size_t memory = 0;
	struct store_scope scope = own_scope(store, &memory);
	struct store_path path;
	int ret = store_path_parse(&path, store->tree.base, path_text, 0, false, NULL);

	if (ret < 0)
		return ret;
	store_enter(store);
	ret = store_op_rm(&scope, &path);
	store_leave(store);
	return ret;
}

static const struct store_node *find_node(struct store *store, const char *path_text, int *err)
{
	const struct store_node *node = NULL;
	struct store_path path;
	struct store_key key;

	*err = store_path_parse(&path, store->tree.base, path_text, 0, false, NULL);
	if (*err >= 0) {
		key = store_path_whole(&path);
		node = store_tree_find(&store->tree, &key);
		*err = node ? 0 : -ENOENT;
	}
	return node;
}

int store_read(struct store *store, const char *path, const char **value, unsigned *len)
{
	int err;
	const struct store_node *node = find_node(store, path, &err);

	if (!node)
		return err;
	*value = node->value;
	*len = node->len;
	return 0;
}

int store_children(struct store *store, const char *path, const char **names, unsigned *bytes)
{
	int err;
	const struct store_node *node = find_node(store, path, &err);

	if (!node)
		return err;
	*names = node->children;
	*bytes = node->children_bytes;
	return 0;
}

int store_validate(const struct store *store)
{
	unsigned nr_watches = 0;

	for (const struct store_conn *conn = store->conns; conn; conn = conn->next) {
		const struct store_domain *d = store_domain_find(&store->tree, conn->who.domid);

		if (store_conn_validate(conn) < 0 || (conn->page_sh && (!d || d->conn != conn)))
			return -EINVAL;
		nr_watches += conn->nr_watches;
	}
	if (nr_watches != store->watches.nr || store_watches_validate(&store->watches) < 0)
		return -EINVAL;
	return store_tree_validate(&store->tree);
}
