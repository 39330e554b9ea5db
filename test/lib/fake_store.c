/*
 * test/lib/fake_store.c - a list of paths and values.
 */
#include "fake_store.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "hv/store_client_ops.h"

struct node {
	char *path;
	char *value;
};

struct event {
	char *path;
	char *token;
};

struct fake_client {
	struct store_client sc; /* first */
	struct fake_store *fs;
	struct event watch[FAKE_STORE_WATCHES]; /* path NULL: free */
	struct event event[FAKE_STORE_EVENTS];
	unsigned first, nr_events;
};

struct fake_store {
	struct node node[FAKE_STORE_NODES]; /* path NULL: free */
	struct fake_client *client[FAKE_STORE_CLIENTS];
	unsigned nr_fail;
	int fail_err;
};

static bool is_below(const char *path, const char *dir)
{
	size_t len = strlen(dir);

	return !strncmp(path, dir, len) && (!path[len] || path[len] == '/');
}

static struct node *find(const struct fake_store *fs, const char *path)
{
	for (unsigned i = 0; i < FAKE_STORE_NODES; i++)
		if (fs->node[i].path && !strcmp(fs->node[i].path, path))
			return (struct node *)&fs->node[i];
	return NULL;
}

static void queue(struct fake_client *c, const char *path, const char *token)
{
	assert(c->nr_events < FAKE_STORE_EVENTS);
	c->event[(c->first + c->nr_events++) % FAKE_STORE_EVENTS] = (struct event){strdup(path), strdup(token)};
}

/* A watch hears of its node, of what is below it, and of an ancestor's removal (with its own path then). */
static void fire(struct fake_store *fs, const char *path, bool is_removal)
{
	for (unsigned i = 0; i < FAKE_STORE_CLIENTS; i++)
		for (unsigned w = 0; fs->client[i] && w < FAKE_STORE_WATCHES; w++) {
			struct event *watch = &fs->client[i]->watch[w];

			if (!watch->path)
				continue;
			if (is_below(path, watch->path))
				queue(fs->client[i], path, watch->token);
			else if (is_removal && is_below(watch->path, path))
				queue(fs->client[i], watch->path, watch->token);
		}
}

static void set_node(struct fake_store *fs, const char *path, const char *value)
{
	struct node *n = find(fs, path);

	for (unsigned i = 0; !n && i < FAKE_STORE_NODES; i++)
		if (!fs->node[i].path) {
			n = &fs->node[i];
			n->path = strdup(path);
		}
	assert(n);
	free(n->value);
	n->value = strdup(value);
	fire(fs, path, false);
}

static int remove_node(struct fake_store *fs, const char *path)
{
	bool found = false;

	for (unsigned i = 0; i < FAKE_STORE_NODES; i++) {
		struct node *n = &fs->node[i];

		if (!n->path || !is_below(n->path, path))
			continue;
		free(n->path);
		free(n->value);
		*n = (struct node){NULL, NULL};
		found = true;
	}
	if (found)
		fire(fs, path, true);
	return found ? 0 : -ENOENT;
}

void fake_store_set(struct fake_store *fs, const char *path, const char *value)
{
	if (value)
		set_node(fs, path, value);
	else
		remove_node(fs, path);
}

const char *fake_store_get(const struct fake_store *fs, const char *path)
{
	const struct node *n = find(fs, path);

	return n ? n->value : NULL;
}

unsigned fake_store_nr_watches(const struct fake_store *fs)
{
	unsigned n = 0;

	for (unsigned i = 0; i < FAKE_STORE_CLIENTS; i++)
		for (unsigned w = 0; fs->client[i] && w < FAKE_STORE_WATCHES; w++)
			n += fs->client[i]->watch[w].path != NULL;
	return n;
}

void fake_store_fail_writes(struct fake_store *fs, unsigned nr, int err)
{
	fs->nr_fail = nr;
	fs->fail_err = err;
}

/* ---- the client's operations ------------------------------------------------------------------------------------------ */

static struct fake_client *client_of(const struct store_client *sc)
{
	return (struct fake_client *)sc;
}

static void drop_events(struct fake_client *c)
{
	for (; c->nr_events; c->nr_events--, c->first++) {
		free(c->event[c->first % FAKE_STORE_EVENTS].path);
		free(c->event[c->first % FAKE_STORE_EVENTS].token);
	}
}

static void fake_close(struct store_client *sc)
{
	struct fake_client *c = client_of(sc);

	drop_events(c);
	for (unsigned w = 0; w < FAKE_STORE_WATCHES; w++) {
		free(c->watch[w].path);
		free(c->watch[w].token);
	}
	for (unsigned i = 0; i < FAKE_STORE_CLIENTS; i++)
		if (c->fs->client[i] == c)
			c->fs->client[i] = NULL;
	free(c);
}

static int fake_read(struct store_client *sc, uint32_t tx, const char *path, char **value, unsigned *len)
{
	const char *v = fake_store_get(client_of(sc)->fs, path);

	if (!v)
		return -ENOENT;
	*value = strdup(v);
	*len = (unsigned)strlen(v);
	return 0;
}

static int fake_write(struct store_client *sc, uint32_t tx, const char *path, const void *value, unsigned len)
{
	struct fake_store *fs = client_of(sc)->fs;
	char *text;

	if (fs->nr_fail) {
		fs->nr_fail--;
		return fs->fail_err;
	}
	text = strndup(value, len);
	set_node(fs, path, text);
	free(text);
	return 0;
}

static int fake_mkdir(struct store_client *sc, uint32_t tx, const char *path)
{
	if (!find(client_of(sc)->fs, path))
		set_node(client_of(sc)->fs, path, "");
	return 0;
}

static int fake_rm(struct store_client *sc, uint32_t tx, const char *path)
{
	return remove_node(client_of(sc)->fs, path);
}

static int fake_list(struct store_client *sc, uint32_t tx, const char *path, char ***names, unsigned *nr)
{
	return -EOPNOTSUPP;
}

static int fake_set_perms(struct store_client *sc, uint32_t tx, const char *path, const char *const perms[], unsigned nr)
{
	return 0;
}

static int fake_transaction_start(struct store_client *sc, uint32_t *tx)
{
	*tx = 1;
	return 0;
}

static int fake_transaction_end(struct store_client *sc, uint32_t tx, bool abort)
{
	return 0;
}

static int fake_watch(struct store_client *sc, const char *path, const char *token)
{
	struct fake_client *c = client_of(sc);

	for (unsigned w = 0; w < FAKE_STORE_WATCHES; w++)
		if (!c->watch[w].path) {
			c->watch[w] = (struct event){strdup(path), strdup(token)};
			queue(c, path, token);
			return 0;
		}
	return -ENOSPC;
}

static int fake_unwatch(struct store_client *sc, const char *path, const char *token)
{
	struct fake_client *c = client_of(sc);

	for (unsigned w = 0; w < FAKE_STORE_WATCHES; w++)
		if (c->watch[w].path && !strcmp(c->watch[w].path, path) && !strcmp(c->watch[w].token, token)) {
			free(c->watch[w].path);
			free(c->watch[w].token);
			c->watch[w].path = NULL;
			c->watch[w].token = NULL;
			return 0;
		}
	return -ENOENT;
}

static int fake_fd(const struct store_client *sc)
{
	return -1;
}

static int fake_next_watch(struct store_client *sc, char **path, char **token)
{
	struct fake_client *c = client_of(sc);
	struct event *e = &c->event[c->first % FAKE_STORE_EVENTS];

	if (!c->nr_events)
		return -EAGAIN;
	*path = e->path;
	*token = e->token;
	c->first++;
	c->nr_events--;
	return 0;
}

static int fake_wait(struct store_client *sc, int timeout_ms)
{
	return client_of(sc)->nr_events > 0;
}

static const struct store_client_ops fake_ops = {
	.close = fake_close,
	.read = fake_read,
	.write = fake_write,
	.mkdir = fake_mkdir,
	.rm = fake_rm,
	.list = fake_list,
	.set_perms = fake_set_perms,
	.transaction_start = fake_transaction_start,
	.transaction_end = fake_transaction_end,
	.watch = fake_watch,
	.unwatch = fake_unwatch,
	.fd = fake_fd,
	.next_watch = fake_next_watch,
	.wait = fake_wait,
};

struct fake_store *fake_store_create(void)
{
	struct fake_store *fs = calloc(1, sizeof(*fs));

	assert(fs);
	return fs;
}

void fake_store_destroy(struct fake_store *fs)
{
	for (unsigned i = 0; i < FAKE_STORE_NODES; i++) {
		free(fs->node[i].path);
		free(fs->node[i].value);
	}
	free(fs);
}

struct store_client *fake_store_open(struct fake_store *fs)
{
	struct fake_client *c = calloc(1, sizeof(*c));
	unsigned i;

	assert(c);
	c->sc.ops = &fake_ops;
	c->fs = fs;
	for (i = 0; i < FAKE_STORE_CLIENTS && fs->client[i]; i++)
		;
	assert(i < FAKE_STORE_CLIENTS);
	fs->client[i] = c;
	return &c->sc;
}
