/*
 * test/lib/vif_box.h - a vif's queue with a raw front end in one process, over real grants and a small hypervisor.
 *
 * The front half of both rings is the test's: it can lie. hv_* that a queue needs are answered here, grant/ behind them.
 *
 * Runs in  one thread, but for hv_notify, which counts atomically.
 */
#ifndef SLUICE_TEST_VIF_BOX_H
#define SLUICE_TEST_VIF_BOX_H

#include "grant_box.h"
#include "netback/vif.h"

#define VIF_BOX_TX_FRAME 0
#define VIF_BOX_RX_FRAME 1
#define VIF_BOX_FIRST_FRAME 2 /* BOX_FRAMES - 2 pages for data */
#define VIF_BOX_DATA_FRAMES (BOX_FRAMES - VIF_BOX_FIRST_FRAME)

/* What stands behind struct hv in these tests. */
struct vif_box {
	struct grant_box grants;
	struct netif_txr_front tx;
	struct netif_rxr_front rx;
	grant_ref_t ref[VIF_BOX_DATA_FRAMES]; /* one writable grant for each data frame */
	struct vif_stats stats;
	struct vif_queue *queue;
	struct journal *journal; /* outlives the queue; NULL: it has one of its own */
	bool any_fault;
	uint32_t nr_notify;
	grant_ref_t tx_ring_ref, rx_ring_ref;
	uint32_t nr_open, nr_mapped_rings; /* what the queue holds of the hypervisor */
	bool are_maps_dear; /* as on platform xen */
	uint32_t nr_copy_calls, nr_map_calls;
	int event_fd;     /* guest -> queue: the guest writes it; -1 unless vif_box_events */
	int guest_fd;     /* queue -> guest: hv_notify writes it */
};

struct rte_mempool *vif_box_pool(void);
struct rte_mempool *vif_box_ext_pool(void);

/* Brings DPDK up, once. */
void vif_box_start_dpdk(void);
void vif_box_init(struct vif_box *box, bool sg);
/* With a front end that wishes more than scatter-gather. */
void vif_box_init_features(struct vif_box *box, const struct vif_features *features);
/* The front end alone, in memory that is shared with processes that are forked; each may then begin a queue. 0 or -errno. */
void vif_box_init_shared(struct vif_box *box);
int vif_box_begin(struct vif_box *box, const struct vif_features *features);
/* Keeps the first nr data frames' grants mapped for the queue, as the control ring would. */
void vif_box_stage(struct vif_box *box, unsigned nr);
/* Lets the queue go and makes another one over the same rings, as a back end that starts again does. 0 or -errno. */
int vif_box_restart(struct vif_box *box, const struct vif_features *features);
/* For tests with a worker: both directions' events become eventfds. */
void vif_box_events(struct vif_box *box);
/* Everything must have come back. */
void vif_box_finish(struct vif_box *box);

static inline uint8_t *vif_box_page(struct vif_box *box, unsigned data_frame)
{
	return grant_box_page(&box->grants, VIF_BOX_FIRST_FRAME + data_frame);
}

/* One raw request; nothing is checked. */
static inline void vif_box_put(struct vif_box *box, grant_ref_t ref, uint16_t offset, uint16_t size, uint16_t flags,
			       uint16_t id)
{
	netif_txr_front_put(&box->tx, &(struct netif_tx_request){
					      .gref = ref, .offset = offset, .size = size, .flags = flags, .id = id});
}

/* Posts nr rx buffers: data frames first.. with ids as the frames. */
void vif_box_post(struct vif_box *box, unsigned first, unsigned nr);
/* A packet of ours, as the bridge would bring it, in segments of at most seg bytes. */
struct rte_mbuf *vif_box_packet(uint32_t bytes, uint16_t seg, uint8_t seed);
/* Which byte stands at that place of a packet of vif_box_packet. */
static inline uint8_t vif_box_byte(uint8_t seed, uint32_t at)
{
	return (uint8_t)(seed + at * 7 + (at >> 8));
}
/* All pool buffers are where they belong. */
unsigned vif_box_in_use(void);

#endif
