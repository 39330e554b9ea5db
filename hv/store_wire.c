/*
 * hv/store_wire.c - takes the store's messages apart, and puts their small texts together.
 */
#include "hv/store_wire.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int store_wire_parse(const char *data, unsigned len, struct store_request *req)
{
	struct xsd_sockmsg header;

	if (len < sizeof(header))
		return 0;
	memcpy(&header, data, sizeof(header));
	if (header.len > XENSTORE_PAYLOAD_MAX)
		return -EPROTO;
	if (len - sizeof(header) < header.len)
		return 0;
	*req = (struct store_request){header.type, header.req_id, header.tx_id, data + sizeof(header), header.len};
	return (int)(sizeof(header) + header.len);
}

const char *store_wire_one(const struct store_request *req)
{
	const char *end = req->len ? memchr(req->data, 0, req->len) : NULL;

	return end == req->data + req->len - 1 && req->len ? req->data : NULL;
}

unsigned store_wire_strings(const struct store_request *req, const char **strings, unsigned max, unsigned *rest)
{
	unsigned nr = 0, at = 0;

	while (nr < max && at < req->len) {
		const char *end = memchr(req->data + at, 0, req->len - at);

		if (!end)
			break;
		strings[nr++] = req->data + at;
		at = (unsigned)(end - req->data) + 1;
	}
	*rest = at;
	return nr;
}

int store_wire_number(const char *text, uint64_t max, uint64_t *out)
{
	uint64_t value = 0;

	if (!*text)
		return -EINVAL;
	for (; *text; text++) {
		unsigned digit = (unsigned char)*text - (unsigned)'0';

		if (digit > 9 || value > (max - digit) / 10)
			return -EINVAL;
		value = value * 10 + digit;
	}
	*out = value;
	return 0;
}

int store_wire_domid(const char *text, domid_t *out)
{
	uint64_t value;

	if (store_wire_number(text, DOMID_FIRST_RESERVED - 1, &value) < 0)
		return -EINVAL;
	*out = (domid_t)value;
	return 0;
}

static const char access_letters[] = {[0] = 'n', [STORE_READ] = 'r', [STORE_WRITE] = 'w', [STORE_READ | STORE_WRITE] = 'b'};

int store_wire_perm(const char *text, struct store_perm *out)
{
	const char *letter = *text ? memchr(access_letters, *text, sizeof(access_letters)) : NULL;
	domid_t domid;

	if (!letter || store_wire_domid(text + 1, &domid) < 0)
		return -EINVAL;
	*out = (struct store_perm){domid, (uint8_t)(letter - access_letters)};
	return 0;
}

unsigned store_wire_perm_text(struct store_perm perm, char *out)
{
	return (unsigned)snprintf(out, 8, "%c%u", access_letters[perm.access & 3], perm.domid) + 1;
}

const char *store_wire_error(int error)
{
	error = abs(error);
	for (unsigned i = 0; i < sizeof(xsd_errors) / sizeof(xsd_errors[0]); i++)
		if (xsd_errors[i].errnum == error)
			return xsd_errors[i].errstring;
	return "EINVAL";
}

/* 1: within a name; 2: the slash; 0: not allowed. */
static const uint8_t path_class[256] = {
	['0' ... '9'] = 1, ['a' ... 'z'] = 1, ['A' ... 'Z'] = 1, ['-'] = 1, ['_'] = 1, ['@'] = 1, ['/'] = 2,
};

/* One level deeper: the prefix ends before byte `at`. */
static void path_mark(struct store_path *path, unsigned level, unsigned at, uint64_t hash)
{
	path->depth = level;
	path->len[level] = at;
	path->hash[level] = hash;
}

/* Hashes and checks text[from..len) onto prefix 0, which is "/" already. */
static int path_scan(struct store_path *path, unsigned len)
{
	uint64_t hash = path->hash[0];
	unsigned level = 0, i;

	for (i = 1; i < len; i++) {
		unsigned class = path_class[(unsigned char)path->text[i]];

		if (class == 2) {
			if (path->text[i - 1] == '/')
				return -EINVAL;
			path_mark(path, ++level, i, hash);
		} else if (!class) {
			return -EINVAL;
		}
		hash = store_hash_step(path->base, hash, path->text[i]);
	}
	if (len > 1) {
		if (path->text[len - 1] == '/')
			return -EINVAL;
		path_mark(path, level + 1, len, hash);
	}
	return 0;
}

static int path_parse_special(struct store_path *path, size_t len)
{
	uint64_t hash = 0;

	for (size_t i = 0; i < len; i++) {
		if (path_class[(unsigned char)path->text[i]] != 1)
			return -EINVAL;
		hash = store_hash_step(path->base, hash, path->text[i]);
	}
	path_mark(path, 0, (unsigned)len, hash);
	return 0;
}

int store_path_parse(struct store_path *path, uint64_t base, const char *text, domid_t domid, bool special, unsigned *prefix_len)
{
	size_t len = strlen(text);
	int prefix = 0;

	if (!len || len > (text[0] == '/' ? XENSTORE_ABS_PATH_MAX : XENSTORE_REL_PATH_MAX))
		return -EINVAL;
	if (text[0] == '@' && !special)
		return -EINVAL;
	if (text[0] != '/' && text[0] != '@')
		prefix = snprintf(path->text, sizeof(path->text), "/local/domain/%u/", domid);
	memcpy(path->text + prefix, text, len + 1);
	len += (size_t)prefix;
	if (prefix_len)
		*prefix_len = (unsigned)prefix;
	path->base = base;
	if (text[0] == '@')
		return path_parse_special(path, len);
	path_mark(path, 0, 1, store_hash_step(base, 0, '/'));
	return path_scan(path, (unsigned)len);
}

int store_path_push(struct store_path *path, const char *name, unsigned len)
{
	unsigned at = path->len[path->depth];
	uint64_t hash = path->hash[path->depth];

	/* The root's path ends in its slash already. */
	if (at + !!path->depth + len > STORE_PATH_MAX || path->depth == STORE_DEPTH_MAX)
		return -EINVAL;
	if (path->depth) {
		path->text[at++] = '/';
		hash = store_hash_step(path->base, hash, '/');
	}
	memcpy(path->text + at, name, len);
	path->text[at + len] = 0;
	for (unsigned i = 0; i < len; i++)
		hash = store_hash_step(path->base, hash, name[i]);
	path_mark(path, path->depth + 1, at + len, hash);
	return 0;
}

void store_path_pop(struct store_path *path)
{
	path->depth--;
	path->text[path->len[path->depth]] = 0;
}
