/*
 * hv/store_wire.h - the store's wire format: messages, strings, paths, permissions, names of errors.
 *
 * Trusts   nothing: every length comes from a client.
 * Spec     xen/io/xs_wire.h; docs/misc/xenstore.txt of Xen.
 */
#ifndef SLUICE_HV_STORE_WIRE_H
#define SLUICE_HV_STORE_WIRE_H

#include <errno.h> /* before xs_wire.h, whose table of errors needs it */

#include "hv/store_map.h"
#include "rings/types.h"

#include <xen/io/xs_wire.h>

#define STORE_MESSAGE_BYTES_MAX (sizeof(struct xsd_sockmsg) + XENSTORE_PAYLOAD_MAX)
/* A relative path behind the longest "/local/domain/N/" stays below this too. */
#define STORE_PATH_MAX XENSTORE_ABS_PATH_MAX
#define STORE_DEPTH_MAX (STORE_PATH_MAX / 2)
#define STORE_PERMS_MAX (XENSTORE_PAYLOAD_MAX / 3)

enum store_access { STORE_READ = 1, STORE_WRITE = 2, STORE_OWNER = 4 };

struct store_perm { /* the first of a node's: its owner, and what all others may do */
	domid_t domid;
	uint8_t access; /* STORE_READ | STORE_WRITE */
};

/* One request, taken apart as far as its header; data is the caller's buffer. */
struct store_request {
	uint32_t type, req_id, tx_id;
	const char *data;
	unsigned len;
};

/*
 * A checked path with the hash of each of its prefixes: prefix 0 is "/" (or the whole of a special path such as
 * "@releaseDomain"), prefix `depth` the whole.
 */
struct store_path {
	uint64_t base;
	unsigned depth;
	unsigned len[STORE_DEPTH_MAX + 1];
	uint64_t hash[STORE_DEPTH_MAX + 1];
	char text[STORE_PATH_MAX + 1];
};

/* The whole message's length, 0 when it is not complete yet, -EPROTO when it is longer than the protocol allows. */
int store_wire_parse(const char *data, unsigned len, struct store_request *req);
/* The payload is exactly one string: it; otherwise NULL. */
const char *store_wire_one(const struct store_request *req);
/* The first max strings of the payload, each ended by a NUL: how many there are; *rest is where the next byte lies. */
unsigned store_wire_strings(const struct store_request *req, const char **strings, unsigned max, unsigned *rest);
/* A decimal number up to max and nothing else; 0 or -EINVAL. */
int store_wire_number(const char *text, uint64_t max, uint64_t *out);
int store_wire_domid(const char *text, domid_t *out);

/* "r5": 0 or -EINVAL. */
int store_wire_perm(const char *text, struct store_perm *out);
/* With its NUL into out (8 bytes): the number of bytes. */
unsigned store_wire_perm_text(struct store_perm perm, char *out);
/* "ENOENT" for -ENOENT or ENOENT; what the protocol has no name for is "EINVAL". */
const char *store_wire_error(int error);

/*
 * Checks and hashes a path. One that does not begin with / lies under /local/domain/<domid>; *prefix_len (may be NULL) is then the
 * length of that with its slash, else 0. special: "@name" is allowed, too. 0 or -EINVAL.
 */
int store_path_parse(struct store_path *path, uint64_t base, const char *text, domid_t domid, bool special, unsigned *prefix_len);
/* Down to a child (its name is a node's, hence checked); -EINVAL when that gets too long. */
int store_path_push(struct store_path *path, const char *name, unsigned len);
void store_path_pop(struct store_path *path);

static inline struct store_key store_path_key(const struct store_path *path, unsigned level)
{
	return (struct store_key){path->text, path->len[level], path->hash[level]};
}

static inline struct store_key store_path_whole(const struct store_path *path)
{
	return store_path_key(path, path->depth);
}

/* The name of prefix `level` (not 0) within its parent. */
static inline const char *store_path_name(const struct store_path *path, unsigned level, unsigned *len)
{
	unsigned start = level == 1 ? 1 : path->len[level - 1] + 1;

	*len = path->len[level] - start;
	return path->text + start;
}

static inline bool store_path_is_special(const struct store_path *path)
{
	return path->text[0] == '@';
}

#endif
