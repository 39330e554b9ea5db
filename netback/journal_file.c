/*
 * netback/journal_file.c - makes, finds and removes a vif's file.
 */
#include "netback/journal_file.h"

#define VERSION 2u

struct head_queue {
	grant_ref_t tx_ring_ref, rx_ring_ref;
	evtchn_port_t tx_port, rx_port;
};

struct head {
	struct inflight_head inflight;
	uint32_t nr_queues;
	uint32_t has_ctrl;
	struct head_queue queue[VIF_MAX_QUEUES];
	grant_ref_t ctrl_ring_ref;
	evtchn_port_t ctrl_port;
};

/* The file's first page. */
struct first_page {
	struct head head;
	struct mcast mcast;
};

_Static_assert(sizeof(struct first_page) <= PAGE_BYTES, "one page");

static size_t ctrl_offset(unsigned nr_queues)
{
	return PAGE_BYTES + nr_queues * sizeof(struct journal);
}

static size_t bytes_of(const struct vif_wishes *w)
{
	return ctrl_offset(w->nr_queues) + (w->has_ctrl ? ctrl_note_bytes(w->nr_queues) : 0);
}

static void describe(struct head *head, const struct inflight_head *inflight, const struct vif_wishes *w)
{
	*head = (struct head){.inflight = *inflight, .nr_queues = w->nr_queues, .has_ctrl = w->has_ctrl};
	for (unsigned i = 0; i < w->nr_queues; i++)
		head->queue[i] = (struct head_queue){w->keys[i].tx_ring_ref, w->keys[i].rx_ring_ref, w->keys[i].tx_port,
						     w->keys[i].rx_port};
	if (w->has_ctrl) {
		head->ctrl_ring_ref = w->ctrl_ring_ref;
		head->ctrl_port = w->ctrl_port;
	}
}

static int create(struct journal_file *f, struct handshake *h, const struct vif_wishes *w)
{
	int err = inflight_file_create(&f->file, h, VERSION, bytes_of(w));
	struct head head;

	if (err)
		return err;
	describe(&head, f->file.memory, w);
	((struct first_page *)f->file.memory)->head = head;
	if (w->has_ctrl)
		journal_file_ctrl(f, w)->nr_queues = w->nr_queues;
	return inflight_file_announce(&f->file, h);
}

static int open_earlier(struct journal_file *f, struct handshake *h, const struct vif_wishes *w)
{
	int err = inflight_file_open(&f->file, h, VERSION, bytes_of(w));
	struct head expected;

	if (err)
		return err;
	describe(&expected, f->file.memory, w);
	if (memcmp(f->file.memory, &expected, sizeof(expected)) == 0 &&
	    (!w->has_ctrl || journal_file_ctrl(f, w)->nr_queues == w->nr_queues))
		return 0;
	journal_file_close(f, false);
	return -EINVAL;
}

int journal_file_begin(struct journal_file *f, struct handshake *h, struct vif_wishes *wishes)
{
	struct first_page *first;
	int err = h->is_takeover ? open_earlier(f, h, wishes) : -ENOENT;

	wishes->features.is_resumed = !err;
	if (err && h->is_takeover && h->is_unclean) {
		handshake_fail(h, "the back end before this one was killed, and what it had in flight is not known: "
			       "detach and attach the interface");
		return err;
	}
	if (err)
		err = create(f, h, wishes);
	if (err) {
		handshake_fail(h, "what is in flight cannot be noted: %s", strerror(-err));
		return err;
	}
	f->nr_queues = wishes->nr_queues;
	first = f->file.memory;
	if (!wishes->features.is_resumed)
		first->mcast = (struct mcast){0};
	first->mcast.is_on = wishes->wants_mcast;
	wishes->features.mcast = &first->mcast;
	for (unsigned i = 0; i < wishes->nr_queues; i++)
		wishes->keys[i].journal = (struct journal *)((uint8_t *)f->file.memory + PAGE_BYTES) + i;
	return 0;
}

struct ctrl_note *journal_file_ctrl(const struct journal_file *f, const struct vif_wishes *wishes)
{
	return wishes->has_ctrl ? (struct ctrl_note *)((uint8_t *)f->file.memory + ctrl_offset(wishes->nr_queues)) : NULL;
}

void journal_file_close(struct journal_file *f, bool removes)
{
	run_file_close(&f->file, removes);
}
