/*
 * hv/inflight_file.c - makes, finds and removes the file that a back end leaves behind.
 */
#include "hv/inflight_file.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/random.h>
#include <unistd.h>

#define MAGIC "sluiceIF"
#define TOKEN_KEY "inflight-token"
#define NAME_BYTES 64

static void name_of(const char *type, domid_t domid, unsigned devid, char name[NAME_BYTES])
{
	snprintf(name, NAME_BYTES, "%s-%u-%u.inflight", type, domid, devid);
}

static void name_of_own(const struct handshake *h, char name[NAME_BYTES])
{
	name_of(h->driver->type, h->other_domid, h->devid, name);
}

static struct inflight_head head_of(uint64_t token, uint32_t version)
{
	struct inflight_head head = {.token = token, .version = version};

	memcpy(head.magic, MAGIC, sizeof(head.magic));
	return head;
}

int inflight_file_create(struct run_file *f, const struct handshake *h, uint32_t version, size_t bytes)
{
	char name[NAME_BYTES];
	uint64_t token = 0;
	int err;

	if (getrandom(&token, sizeof(token), 0) != (ssize_t)sizeof(token))
		return -EIO;
	name_of_own(h, name);
	err = run_file_create(f, hv_run_dir(h->hv), name, bytes);
	if (!err)
		*(struct inflight_head *)f->memory = head_of(token, version);
	return err;
}

int inflight_file_announce(struct run_file *f, const struct handshake *h)
{
	const struct inflight_head *head = f->memory;
	int err = store_client_printf(h->store, STORE_NO_TX, h->own_path, TOKEN_KEY, "%llu", (unsigned long long)head->token);

	if (err)
		run_file_close(f, true);
	return err;
}

int inflight_file_open(struct run_file *f, const struct handshake *h, uint32_t version, size_t bytes)
{
	struct inflight_head expected;
	char name[NAME_BYTES];
	uint64_t token;
	int err = store_client_read_uint(h->store, STORE_NO_TX, &token, "%s/" TOKEN_KEY, h->own_path);

	if (err)
		return -ENOENT;
	name_of_own(h, name);
	err = run_file_open(f, hv_run_dir(h->hv), name, bytes);
	if (err)
		return err;
	expected = head_of(token, version);
	if (!memcmp(f->memory, &expected, sizeof(expected)))
		return 0;
	run_file_close(f, false);
	return -EINVAL;
}

void inflight_file_remove(const struct hv *hv, const char *type, domid_t domid, unsigned devid)
{
	char name[NAME_BYTES], path[512];

	name_of(type, domid, devid, name);
	if ((size_t)snprintf(path, sizeof(path), "%s/%s", hv_run_dir(hv), name) < sizeof(path))
		unlink(path);
}
