/*
 * hv/store_client_xs.c - hands the store's operations to libxenstore.
 *
 * libxenstore starts a thread of its own with the first watch, which reads the socket; its fd is a pipe that this thread
 * writes. From then on every answer would pass through that thread, two switches for each, so watches have a connection of their
 * own: opened at the first, and none for those that never watch. The store fires a watch after the change it tells of, so a read
 * on the other connection finds it. After an unwatch an event of that watch may still come, with its token as a string:
 * whoever takes events looks the token up. (XS_UNWATCH_FILTER would keep them back, and leak the body of each.)
 *
 * Owns     the xs_handles.
 * Runs in  one thread at a time.
 */
#include "hv/store_client_xs.h"

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <xenstore.h>

#include "hv/store_client_ops.h"

struct store_client_xs {
	struct store_client sc; /* first */
	struct xs_handle *xs;
	struct xs_handle *watches; /* NULL: there were none yet */
	int epoll_fd;              /* where the watches' fd is entered; -1: nowhere */
	char path[];               /* of the socket */
};

static struct xs_handle *xs_of(const struct store_client *sc)
{
	return ((const struct store_client_xs *)sc)->xs;
}

static struct xs_handle *open_at(const char *path);

static struct xs_handle *open_watches(const struct store_client_xs *c)
{
	struct xs_handle *w = open_at(c->path);
	struct epoll_event ev = {.events = EPOLLIN};

	if (!w || c->epoll_fd < 0 || !epoll_ctl(c->epoll_fd, EPOLL_CTL_ADD, xs_fileno(w), &ev))
		return w;
	xs_close(w);
	return NULL;
}

/* NULL: no second connection; errno says why. */
static struct xs_handle *watches_of(const struct store_client *sc)
{
	struct store_client_xs *c = (struct store_client_xs *)sc; /* the connection is no part of what callers hold const */

	if (!c->watches)
		c->watches = open_watches(c);
	return c->watches;
}

static int result(bool ok)
{
	return ok ? 0 : errno ? -errno : -EIO;
}

static void xs_client_close(struct store_client *sc)
{
	struct store_client_xs *c = (struct store_client_xs *)sc;

	if (c->watches)
		xs_close(c->watches);
	xs_close(c->xs);
	free(c);
}

static int xs_client_read(struct store_client *sc, uint32_t tx, const char *path, char **value, unsigned *len)
{
	unsigned n;
	char *v = xs_read(xs_of(sc), tx, path, &n);

	if (!v)
		return result(false);
	*value = v;
	*len = n;
	return 0;
}

static int xs_client_write(struct store_client *sc, uint32_t tx, const char *path, const void *value, unsigned len)
{
	return result(xs_write(xs_of(sc), tx, path, value, len));
}

static int xs_client_mkdir(struct store_client *sc, uint32_t tx, const char *path)
{
	return result(xs_mkdir(xs_of(sc), tx, path));
}

static int xs_client_rm(struct store_client *sc, uint32_t tx, const char *path)
{
	return result(xs_rm(xs_of(sc), tx, path));
}

static int xs_client_list(struct store_client *sc, uint32_t tx, const char *path, char ***names, unsigned *nr)
{
	char **list = xs_directory(xs_of(sc), tx, path, nr);

	if (!list)
		return result(false);
	*names = list;
	return 0;
}

#define MAX_PERMS 32

static int perm_of(const char *text, struct xs_permissions *p)
{
	char *end;
	unsigned long id = strtoul(text + 1, &end, 10);

	switch (text[0]) {
	case 'n':
		p->perms = XS_PERM_NONE;
		break;
	case 'r':
		p->perms = XS_PERM_READ;
		break;
	case 'w':
		p->perms = XS_PERM_WRITE;
		break;
	case 'b':
		p->perms = XS_PERM_READ | XS_PERM_WRITE;
		break;
	default:
		return -EINVAL;
	}
	if (end == text + 1 || *end || id >= DOMID_FIRST_RESERVED)
		return -EINVAL;
	p->id = (unsigned)id;
	return 0;
}

static int xs_client_set_perms(struct store_client *sc, uint32_t tx, const char *path, const char *const perms[], unsigned nr)
{
	struct xs_permissions p[MAX_PERMS];

	if (nr < 1 || nr > MAX_PERMS)
		return -EINVAL;
	for (unsigned i = 0; i < nr; i++)
		if (perm_of(perms[i], &p[i]))
			return -EINVAL;
	return result(xs_set_permissions(xs_of(sc), tx, path, p, nr));
}

static int xs_client_transaction_start(struct store_client *sc, uint32_t *tx)
{
	uint32_t t = xs_transaction_start(xs_of(sc));

	if (t == XBT_NULL)
		return result(false);
	*tx = t;
	return 0;
}

static int xs_client_transaction_end(struct store_client *sc, uint32_t tx, bool abort)
{
	return result(xs_transaction_end(xs_of(sc), tx, abort));
}

static int xs_client_watch(struct store_client *sc, const char *path, const char *token)
{
	struct xs_handle *w = watches_of(sc);

	return w ? result(xs_watch(w, path, token)) : result(false);
}

static int xs_client_unwatch(struct store_client *sc, const char *path, const char *token)
{
	struct xs_handle *w = watches_of(sc);

	return w ? result(xs_unwatch(w, path, token)) : result(false);
}

static int xs_client_fd(const struct store_client *sc)
{
	struct xs_handle *w = watches_of(sc);
	int gathered = ((const struct store_client_xs *)sc)->epoll_fd;

	return !w ? result(false) : gathered >= 0 ? gathered : xs_fileno(w);
}

static int xs_client_next_watch(struct store_client *sc, char **path, char **token)
{
	struct xs_handle *w = watches_of(sc);
	char **event = w ? xs_check_watch(w) : NULL;
	char *p, *t;

	if (!event)
		return result(false);
	p = strdup(event[XS_WATCH_PATH]);
	t = strdup(event[XS_WATCH_TOKEN]);
	free(event);
	if (!p || !t) {
		free(p);
		free(t);
		return -ENOMEM;
	}
	*path = p;
	*token = t;
	return 0;
}

static int xs_client_wait(struct store_client *sc, int timeout_ms)
{
	struct xs_handle *w = watches_of(sc);
	struct pollfd pfd = {.fd = w ? xs_fileno(w) : -1, .events = POLLIN};
	int n;

	if (!w)
		return result(false);
	n = poll(&pfd, 1, timeout_ms);
	return n < 0 && errno != EINTR ? -errno : n > 0;
}

static const struct store_client_ops xs_client_ops = {
	.close = xs_client_close,
	.read = xs_client_read,
	.write = xs_client_write,
	.mkdir = xs_client_mkdir,
	.rm = xs_client_rm,
	.list = xs_client_list,
	.set_perms = xs_client_set_perms,
	.transaction_start = xs_client_transaction_start,
	.transaction_end = xs_client_transaction_end,
	.watch = xs_client_watch,
	.unwatch = xs_client_unwatch,
	.fd = xs_client_fd,
	.next_watch = xs_client_next_watch,
	.wait = xs_client_wait,
};

/*
 * libxenstore learns the socket's name from the environment only. The lock keeps two opens of this process from mixing
 * theirs up; what was set before is put back.
 */
static struct xs_handle *open_at(const char *path)
{
	static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
	struct xs_handle *xs = NULL;
	const char *old;
	char *saved;

	pthread_mutex_lock(&lock);
	old = getenv("XENSTORED_PATH");
	saved = old ? strdup(old) : NULL;
	if (!old || saved) {
		setenv("XENSTORED_PATH", path, 1);
		xs = xs_open(0);
		if (saved)
			setenv("XENSTORED_PATH", saved, 1);
		else
			unsetenv("XENSTORED_PATH");
	}
	free(saved);
	pthread_mutex_unlock(&lock);
	return xs;
}

int store_client_xs_open(const char *path, struct store_client **out)
{
	struct store_client_xs *c = calloc(1, sizeof(*c) + strlen(path) + 1);

	if (!c)
		return -ENOMEM;
	strcpy(c->path, path);
	errno = 0;
	c->xs = open_at(path);
	if (!c->xs) {
		free(c);
		return -ECONNREFUSED;
	}
	c->epoll_fd = -1;
	c->sc.ops = &xs_client_ops;
	*out = &c->sc;
	return 0;
}

void store_client_xs_gather(struct store_client *sc, int epoll_fd)
{
	((struct store_client_xs *)sc)->epoll_fd = epoll_fd;
}
