/*
 * blkback/vbd.c - one block device of one guest: its life, its faults, its counters.
 *
 * Runs in  the thread that owns the store client.
 */
#include "blkback/vbd.h"

#include <stdio.h>

int vbd_init(struct vbd *vbd, const struct blkback_options *options, const char *run_dir, int attention_fd, domid_t domid,
	     unsigned devid)
{
	char name[64];
	int err;

	*vbd = (struct vbd){.options = options, .attention_fd = attention_fd, .domid = domid, .devid = devid};
	vbd->limits.handle = (uint16_t)devid;
	limit_set_burst(&vbd->limit, LIMIT_DEFAULT_BURST_MS);
	snprintf(name, sizeof(name), STATS_FILE_NAME, domid, devid);
	err = counters_file_create(&vbd->stats_file, run_dir, name, &stats_layout, options->max_queues);
	if (err)
		return err;
	vbd->stats = vbd->stats_file.queues;
	return 0;
}

bool vbd_is_over(const struct vbd *vbd)
{
	return !vbd->link || link_is_over(vbd->link);
}

void vbd_finish(struct vbd *vbd)
{
	if (vbd->link)
		vbd_close_link(vbd);
	if (vbd->is_image_open)
		disk_image_close(&vbd->image);
	counters_file_close(&vbd->stats_file, true);
}

void vbd_close_link(struct vbd *vbd)
{
	link_close(vbd->link);
	vbd->link = NULL;
	/* All that was taken has been answered. */
	journal_file_close(&vbd->journal, true);
}

void vbd_look(struct vbd *vbd)
{
	static const char *const reasons[] = {
		[QUEUE_FAULT_RING] = "the front end wrote ring indices that cannot be",
		[QUEUE_FAULT_ENGINE] = "the kernel refused all further I/O",
	};
	enum queue_fault fault;

	if (vbd->link && vbd->link->is_closing && link_is_over(vbd->link))
		vbd_close_link(vbd);
	fault = vbd->link && !vbd->link->is_closing ? link_fault(vbd->link) : QUEUE_FAULT_NONE;
	if (fault == QUEUE_FAULT_NONE || vbd->is_fault_reported)
		return;
	vbd->is_fault_reported = true;
	handshake_fail(vbd->handshake, "%s; the device is closed", reasons[fault]);
}

void vbd_sum(const struct vbd *vbd, struct stats_queue *sum)
{
	memset(sum, 0, sizeof(*sum));
	for (unsigned i = 0; i < vbd->options->max_queues; i++)
		counters_add(&stats_layout, sum, &vbd->stats[i]);
}
