/*
 * hv/store_client.h - a client of the store: through its socket, a guest's ring page, or libxenstore.
 *
 * Paths that do not begin with '/' are relative to the domain's own /local/domain/<domid>.
 *
 * Owns     the strings that it returns until the caller free()s them.
 * Runs in  one thread at a time.
 * Fails    the store's own errors as negative errno: -ENOENT, -EACCES, -EAGAIN (transaction lost: do it again),
 *          -ENOSPC, -EQUOTA as -ENOSPC.
 * Spec     xen/io/xs_wire.h, docs/misc/xenstore.txt of Xen.
 */
#ifndef SLUICE_HV_STORE_CLIENT_H
#define SLUICE_HV_STORE_CLIENT_H

#include <stdarg.h>

#include "rings/types.h"

struct store_client;

#define STORE_NO_TX 0u

void store_client_close(struct store_client *sc);

/* NUL-terminated heap string; embedded NULs are kept, *len says how long (len may be NULL). */
int store_client_read(struct store_client *sc, uint32_t tx, const char *path, char **value, unsigned *len);
/* printf-style path, value as an unsigned number (0x accepted). -EINVAL: not a number. */
int store_client_read_uint(struct store_client *sc, uint32_t tx, uint64_t *value, const char *path_fmt, ...)
	__attribute__((format(printf, 4, 5)));
/* printf-style path, value as a heap string. */
int store_client_readf(struct store_client *sc, uint32_t tx, char **value, const char *path_fmt, ...)
	__attribute__((format(printf, 4, 5)));
int store_client_write(struct store_client *sc, uint32_t tx, const char *path, const void *value, unsigned len);
/* Writes to <dir>/<key> a printf-style value. */
int store_client_printf(struct store_client *sc, uint32_t tx, const char *dir, const char *key, const char *fmt, ...)
	__attribute__((format(printf, 5, 6)));
int store_client_mkdir(struct store_client *sc, uint32_t tx, const char *path);
int store_client_rm(struct store_client *sc, uint32_t tx, const char *path);
/*
 * The next read of each <dir>/<key>, outside transactions, finds what the store holds now: all are asked for at once. Any
 * call that is not a read forgets what has not been read. It only saves time: a failure shows in the read.
 */
void store_client_prefetch(struct store_client *sc, const char *dir, const char *const keys[], unsigned nr);
/*
 * Until the end write, printf, mkdir, rm and set_perms may return 0 before they are answered; the end says which
 * error came first, if one did. A key that is removed and is not there is no error then. The order is kept. Not to be nested.
 */
void store_client_batch_begin(struct store_client *sc);
int store_client_batch_end(struct store_client *sc);
/* Children's names; free with store_client_free_list. */
int store_client_list(struct store_client *sc, uint32_t tx, const char *path, char ***names, unsigned *nr);
void store_client_free_list(char **names, unsigned nr);
/* perms as xenstore spells them: "n0", "r5", "b0", "w3"; the first is the owner and everybody else's right. */
int store_client_set_perms(struct store_client *sc, uint32_t tx, const char *path, const char *const perms[], unsigned nr);

int store_client_transaction_start(struct store_client *sc, uint32_t *tx);
/* 0, or -EAGAIN: somebody else wrote what we read; begin again. */
int store_client_transaction_end(struct store_client *sc, uint32_t tx, bool abort);

/*
 * Runs body(sc, tx, arg) in a transaction, as a batch, and again as long as the transaction is lost to others. An error of body
 * or of the batch aborts it and is returned.
 */
int store_client_transaction(struct store_client *sc, int (*body)(struct store_client *sc, uint32_t tx, void *arg), void *arg);

int store_client_watch(struct store_client *sc, const char *path, const char *token);
/* An event of it that was on its way may still come. */
int store_client_unwatch(struct store_client *sc, const char *path, const char *token);
/* Readable when there may be a watch event (guest: its vcpu's event fd, see hv_event_fd). */
int store_client_fd(const struct store_client *sc);
/* The next watch event, heap strings; -EAGAIN: none now. */
int store_client_next_watch(struct store_client *sc, char **path, char **token);
/* Waits for a watch event at most so long (-1: for ever). 1: there may be one; 0: time is up. */
int store_client_wait(struct store_client *sc, int timeout_ms);

#endif
