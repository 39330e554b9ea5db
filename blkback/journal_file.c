/*
 * blkback/journal_file.c - the journals of one connection, in a file.
 *
 *      head: whose it is, what the connection looks like         one page
 *      journal of queue 0, of queue 1, ...
 *
 * Runs in  the thread that owns the store client.
 */
#include "blkback/journal_file.h"

#define VERSION 2u

struct head {
	struct inflight_head inflight;
	uint32_t nr_queues;
	uint32_t ring_pages;
	uint32_t is_x86_32;
	uint32_t pad;
	struct front_queue queue[FRONT_MAX_QUEUES];
};

_Static_assert(sizeof(struct head) <= PAGE_BYTES, "one page");
_Static_assert(sizeof(struct head) == offsetof(struct head, queue) + sizeof(((struct head *)0)->queue), "it is compared whole");

static size_t bytes_of(struct journal_file *j, const struct front *front)
{
	j->nr_entries = blkif_ring_slots(pages_to_bytes(front->ring_pages));
	return PAGE_BYTES + front->nr_queues * journal_bytes(j->nr_entries);
}

static void describe(struct head *head, const struct inflight_head *inflight, const struct front *front)
{
	*head = (struct head){
		.inflight = *inflight,
		.nr_queues = front->nr_queues,
		.ring_pages = front->ring_pages,
		.is_x86_32 = front->is_x86_32,
	};
	memcpy(head->queue, front->queue, sizeof(head->queue));
}

int journal_file_create(struct journal_file *j, struct handshake *h, const struct front *front)
{
	int err = inflight_file_create(&j->file, h, VERSION, bytes_of(j, front));
	struct head head;

	if (err)
		return err;
	describe(&head, j->file.memory, front);
	*(struct head *)j->file.memory = head;
	return inflight_file_announce(&j->file, h);
}

int journal_file_open(struct journal_file *j, struct handshake *h, const struct front *front)
{
	int err = inflight_file_open(&j->file, h, VERSION, bytes_of(j, front));
	struct head expected;

	if (err)
		return err;
	describe(&expected, j->file.memory, front);
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
