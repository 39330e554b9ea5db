/*
 * hv/store_client.c - hands each call to the implementation, and the printf-style ones on top.
 */
#include "hv/store_client.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include <xen/io/xs_wire.h>

#include "hv/store_client_ops.h"

void store_client_close(struct store_client *sc)
{
	if (sc)
		sc->ops->close(sc);
}

int store_client_read(struct store_client *sc, uint32_t tx, const char *path, char **value, unsigned *len)
{
	unsigned unused;

	return sc->ops->read(sc, tx, path, value, len ? len : &unused);
}

/* 0 or -ENAMETOOLONG. */
static int format_path(char path[XENSTORE_ABS_PATH_MAX + 1], const char *fmt, va_list ap)
{
	int n = vsnprintf(path, XENSTORE_ABS_PATH_MAX + 1, fmt, ap);

	return n >= 0 && n <= XENSTORE_ABS_PATH_MAX ? 0 : -ENAMETOOLONG;
}

int store_client_read_uint(struct store_client *sc, uint32_t tx, uint64_t *value, const char *path_fmt, ...)
{
	char path[XENSTORE_ABS_PATH_MAX + 1];
	char *text, *end;
	uint64_t v;
	va_list ap;
	int err;

	va_start(ap, path_fmt);
	err = format_path(path, path_fmt, ap);
	va_end(ap);
	if (!err)
		err = store_client_read(sc, tx, path, &text, NULL);
	if (err)
		return err;
	errno = 0;
	v = strtoull(text, &end, text[0] == '0' && (text[1] | 32) == 'x' ? 16 : 10);
	err = text[0] < '0' || text[0] > '9' || *end || errno ? -EINVAL : 0;
	free(text);
	if (!err)
		*value = v;
	return err;
}

int store_client_readf(struct store_client *sc, uint32_t tx, char **value, const char *path_fmt, ...)
{
	char path[XENSTORE_ABS_PATH_MAX + 1];
	va_list ap;
	int err;

	va_start(ap, path_fmt);
	err = format_path(path, path_fmt, ap);
	va_end(ap);
	return err ? err : store_client_read(sc, tx, path, value, NULL);
}

int store_client_write(struct store_client *sc, uint32_t tx, const char *path, const void *value, unsigned len)
{
	return sc->ops->write(sc, tx, path, value, len);
}

int store_client_printf(struct store_client *sc, uint32_t tx, const char *dir, const char *key, const char *fmt, ...)
{
	char path[XENSTORE_ABS_PATH_MAX + 1];
	char *value;
	va_list ap;
	int n = snprintf(path, sizeof(path), "%s/%s", dir, key);

	if (n < 0 || n > XENSTORE_ABS_PATH_MAX)
		return -ENAMETOOLONG;
	va_start(ap, fmt);
	n = vasprintf(&value, fmt, ap);
	va_end(ap);
	if (n < 0)
		return -ENOMEM;
	n = store_client_write(sc, tx, path, value, (unsigned)n);
	free(value);
	return n;
}

int store_client_mkdir(struct store_client *sc, uint32_t tx, const char *path)
{
	return sc->ops->mkdir(sc, tx, path);
}

int store_client_rm(struct store_client *sc, uint32_t tx, const char *path)
{
	return sc->ops->rm(sc, tx, path);
}

int store_client_list(struct store_client *sc, uint32_t tx, const char *path, char ***names, unsigned *nr)
{
	return sc->ops->list(sc, tx, path, names, nr);
}

/* The names lie behind the pointers, in one piece. */
void store_client_free_list(char **names, unsigned nr)
{
	free(names);
}

int store_client_set_perms(struct store_client *sc, uint32_t tx, const char *path, const char *const perms[], unsigned nr)
{
	return sc->ops->set_perms(sc, tx, path, perms, nr);
}

void store_client_prefetch(struct store_client *sc, const char *dir, const char *const keys[], unsigned nr)
{
	char path[XENSTORE_ABS_PATH_MAX + 1];
	int n, err = 0;

	for (unsigned i = 0; sc->ops->prefetch && i < nr && !err; i++) {
		n = snprintf(path, sizeof(path), "%s/%s", dir, keys[i]);
		if (n >= 0 && n < (int)sizeof(path))
			err = sc->ops->prefetch(sc, path);
	}
}

void store_client_batch_begin(struct store_client *sc)
{
	if (sc->ops->batch_begin)
		sc->ops->batch_begin(sc);
}

int store_client_batch_end(struct store_client *sc)
{
	return sc->ops->batch_end ? sc->ops->batch_end(sc) : 0;
}

int store_client_transaction_start(struct store_client *sc, uint32_t *tx)
{
	return sc->ops->transaction_start(sc, tx);
}

int store_client_transaction_end(struct store_client *sc, uint32_t tx, bool abort)
{
	return sc->ops->transaction_end(sc, tx, abort);
}

int store_client_transaction(struct store_client *sc, int (*body)(struct store_client *sc, uint32_t tx, void *arg), void *arg)
{
	uint32_t tx;
	int err, end_err;

	do {
		err = store_client_transaction_start(sc, &tx);
		if (err)
			return err;
		store_client_batch_begin(sc);
		err = body(sc, tx, arg);
		end_err = store_client_batch_end(sc);
		if (!err)
			err = end_err;
		end_err = store_client_transaction_end(sc, tx, err != 0);
		if (!err)
			err = end_err;
	} while (err == -EAGAIN);
	return err;
}

int store_client_watch(struct store_client *sc, const char *path, const char *token)
{
	return sc->ops->watch(sc, path, token);
}

int store_client_unwatch(struct store_client *sc, const char *path, const char *token)
{
	return sc->ops->unwatch(sc, path, token);
}

int store_client_fd(const struct store_client *sc)
{
	return sc->ops->fd(sc);
}

int store_client_next_watch(struct store_client *sc, char **path, char **token)
{
	return sc->ops->next_watch(sc, path, token);
}

int store_client_wait(struct store_client *sc, int timeout_ms)
{
	return sc->ops->wait(sc, timeout_ms);
}
