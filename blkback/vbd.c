/*
 * blkback/vbd.c - one block device of one guest: its life, its faults, its counters.
 *
 * Runs in  the thread that owns the store client.
 */
#include "blkback/vbd.h"

#include <stdlib.h>

int vbd_init(struct vbd *vbd, const struct blkback_options *options, int attention_fd, domid_t domid, unsigned devid)
{
	*vbd = (struct vbd){.options = options, .attention_fd = attention_fd, .domid = domid, .devid = devid};
	vbd->limits.handle = (uint16_t)devid;
	limit_set_burst(&vbd->limit, LIMIT_DEFAULT_BURST_MS);
	vbd->times = calloc(FRONT_MAX_QUEUES, sizeof(vbd->times[0]));
	return vbd->times ? 0 : -ENOMEM;
}

bool vbd_is_over(const struct vbd *vbd)
{
	return !vbd->link || link_is_over(vbd->link);
}

void vbd_finish(struct vbd *vbd)
{
	if (vbd->link)
		link_close(vbd->link);
	if (vbd->is_image_open)
		disk_image_close(&vbd->image);
	free(vbd->times);
}

void vbd_look(struct vbd *vbd)
{
	static const char *const reasons[] = {
		[QUEUE_FAULT_RING] = "the front end wrote ring indices that cannot be",
		[QUEUE_FAULT_ENGINE] = "the kernel refused all further I/O",
	};
	enum queue_fault fault;

	if (vbd->link && vbd->link->is_closing && link_is_over(vbd->link)) {
		link_close(vbd->link);
		vbd->link = NULL;
	}
	fault = vbd->link && !vbd->link->is_closing ? link_fault(vbd->link) : QUEUE_FAULT_NONE;
	if (fault == QUEUE_FAULT_NONE || vbd->is_fault_reported)
		return;
	vbd->is_fault_reported = true;
	handshake_fail(vbd->handshake, "%s; the device is closed", reasons[fault]);
}

void vbd_sum(const struct vbd *vbd, struct stats *stats, struct stats_times *times)
{
	memset(stats, 0, sizeof(*stats));
	memset(times, 0, sizeof(*times));
	for (unsigned i = 0; i < FRONT_MAX_QUEUES; i++) {
		stats_sum(stats, &vbd->stats[i]);
		stats_times_sum(times, &vbd->times[i]);
	}
}
