/*
 * blkback/journal_file.c - the journals of one connection, in a file.
 *
 *      head: version, token, what the connection looks like       one page
 *      journal of queue 0, of queue 1, ...
 *
 * Runs in  the thread that owns the store client.
 */
#include "blkback/journal_file.h"

#include <stdio.h>
#include <sys/random.h>

#define VERSION 1u
#define TOKEN_KEY "inflight-token"

struct head {
	char magic[8];
	uint32_t version;
	uint32_t nr_queues;
	uint32_t ring_pages;
	uint32_t is_x86_32;
	uint64_t token;
	struct front_queue queue[FRONT_MAX_QUEUES];
};

_Static_assert(sizeof(struct head) <= PAGE_BYTES, "one page");

static void name_of(const struct handshake *h, char name[64])
{
	snprintf(name, 64, "vbd-%u-%u.inflight", h->other_domid, h->devid);
}

static size_t bytes_of(struct journal_file *j, const struct front *front)
{
	j->nr_entries = blkif_ring_slots(pages_to_bytes(front->ring_pages));
	return PAGE_BYTES + front->nr_queues * journal_bytes(j->nr_entries);
}

static void describe(struct head *head, const struct front *front, uint64_t token)
{
	*head = (struct head){
		.magic = "sluiceIF",
		.version = VERSION,
		.nr_queues = front->nr_queues,
		.ring_pages = front->ring_pages,
		.is_x86_32 = front->is_x86_32,
		.token = token,
	};
	memcpy(head->queue, front->queue, sizeof(head->queue));
}

int journal_file_create(struct journal_file *j, struct handshake *h, const struct front *front)
{
	uint64_t token = 0;
	char name[64];
	int err;

	name_of(h, name);
	if (getrandom(&token, sizeof(token), 0) != (ssize_t)sizeof(token))
		return -EIO;
	err = run_file_create(&j->file, hv_run_dir(h->hv), name, bytes_of(j, front));
	if (err)
		return err;
	describe(j->file.memory, front, token);
	/* Last: a token in the store says that the file is whole. */
	err = store_client_printf(h->store, STORE_NO_TX, h->own_path, TOKEN_KEY, "%llu", (unsigned long long)token);
	if (err)
		journal_file_close(j, true);
	return err;
}

int journal_file_open(struct journal_file *j, struct handshake *h, const struct front *front)
{
	struct head expected;
	uint64_t token;
	char name[64];
	int err = store_client_read_uint(h->store, STORE_NO_TX, &token, "%s/" TOKEN_KEY, h->own_path);

	if (err)
		return -ENOENT;
	name_of(h, name);
	err = run_file_open(&j->file, hv_run_dir(h->hv), name, bytes_of(j, front));
	if (err)
		return err;
	describe(&expected, front, token);
	if (memcmp(j->file.memory, &expected, sizeof(expected)) == 0)
		return 0;
	journal_file_close(j, false);
	return -EINVAL;
}

struct journal *journal_file_queue(const struct journal_file *j, unsigned queue)
{
	return (struct journal *)((char *)j->file.memory + PAGE_BYTES + queue * journal_bytes(j->nr_entries));
}

void journal_file_close(struct journal_file *j, bool removes)
{
	run_file_close(&j->file, removes);
}
