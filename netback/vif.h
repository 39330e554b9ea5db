/*
 * netback/vif.h - a virtual interface: what it is, and its queues while it is connected.
 *
 *      vif          lives as long as its directory in the store: name, MAC, counters, its port on the bridge
 *      vif_queue    lives from connect until the last packet that borrows a guest page has come back, which may be
 *                   after disconnect: rings, event channels, slots in flight, the peer that keeps the pages mapped
 *
 * Owns     a tx slot from take to answer; a mapped page from map until the packet is freed, in whichever thread.
 * Trusts   nothing behind the rings.
 * Runs in  control thread: create, connect, disconnect, destroy. Worker: vif_tx_burst, vif_rx_burst, vif_arm, vif_detach.
 *          Any thread: freeing a packet.
 * Spec     xen/io/netif.h.
 */
#ifndef SLUICE_NETBACK_VIF_H
#define SLUICE_NETBACK_VIF_H

#include <sys/queue.h>

#include <rte_mbuf.h>

#include "hv/histogram.h"
#include "hv/hv.h"
#include "hv/probe.h"
#include "hv/counters_file.h"
#include "netback/bridge.h"
#include "netback/journal.h"
#include "netback/mcast.h"
#include "netback/stage.h"
#include "netback/tx_chain.h"

#define VIF_RING_SLOTS 256    /* of both rings: one page each */
#define VIF_TX_BURST 64       /* packets looked at in one call; of large ones, slots: whoever gets the first begins */
#define VIF_SIMPLE_BURST 32   /* and in the short way through it, each direction */
#define VIF_TX_COPY_BYTES 256 /* packets up to here are copied, longer ones mapped */
#define VIF_TX_HEADER_BYTES 128
#define VIF_OPS 256      /* copies or maps in one batch */
#define VIF_TX_PACKET_OPS 64 /* most that one packet needs: 18 fragments cut at mbuf ends */
#define VIF_MAX_FRAME 65535
#define VIF_MAX_QUEUES 8
#define VIF_MAX_HEADROOM (PAGE_BYTES / 2) /* before a frame: what is left of its first page still holds a usual one */
#define VIF_RX_HELD 64             /* packets that wait for the guest's buffers */
#define VIF_RX_HELD_BYTES (VIF_RING_SLOTS * PAGE_BYTES) /* and their bytes: what one sender has in its ring */
#define VIF_RX_PATIENCE_MS 100     /* how long the first of them waits; they may be others' pages */

enum vif_fault {
	VIF_FAULT_NONE,
	VIF_FAULT_TX_RING,
	VIF_FAULT_RX_RING,
	VIF_FAULT_TX_EXTRA,
};

/* Name, and what it counts. Written by the worker. As numbers and in files: vif_stats.h. */
#define VIF_COUNTERS(X)                                                                      \
	X(tx_packets)          /* from the guest, given to the bridge */                     \
	X(tx_bytes)                                                                          \
	X(tx_slots)            /* requests taken */                                          \
	X(tx_copied)           /* packets copied whole */                                    \
	X(tx_mapped)           /* packets whose pages were attached */                       \
	X(tx_staged)           /* packets in pages that are kept mapped */                   \
	X(tx_csum_blank)       /* came without checksum */                                   \
	X(tx_gso)              /* came larger than a frame, to be segmented */               \
	X(tx_mcast)            /* changes of the multicast list */                           \
	X(tx_drop_extra)       /* refused: extra info that is not offered, or makes no sense */ \
	X(tx_drop_too_long)    /* refused: more slots than XEN_NETIF_NR_SLOTS_MIN */         \
	X(tx_drop_too_small)   /* refused: no Ethernet header */                             \
	X(tx_drop_bad_frag)    /* refused: empty fragment, page crossed, sizes do not add */ \
	X(tx_drop_bad_grant)   /* refused: a grant that does not let us */                   \
	X(tx_drop_checksum)    /* refused: blank checksum in what is not TCP or UDP */       \
	X(tx_drop_gso)         /* refused: to be segmented, but no TCP, or into crumbs */    \
	X(tx_drop_no_mbuf)     /* we had no buffer */                                        \
	X(rx_packets)          /* to the guest */                                            \
	X(rx_bytes)                                                                          \
	X(rx_slots)            /* requests answered */                                       \
	X(rx_gso)              /* given to the guest larger than a frame */                  \
	X(rx_held)             /* waited for the guest's buffers */                          \
	X(rx_drop_no_request)  /* the guest had posted too few buffers */                    \
	X(rx_drop_stalled)     /* waited for them in vain */                                 \
	X(rx_drop_multicast)   /* an address that the guest has not asked for */             \
	X(rx_drop_rate)        /* beyond the limit */                                        \
	X(rx_drop_too_long)    /* longer than the guest can take */                          \
	X(rx_drop_bad_grant)   /* a grant that does not let us */                            \
	X(notify_sent)                                                                       \
	X(notify_suppressed)   /* the guest had not asked */                                 \
	X(events)              /* wake-ups that the guest sent */

struct vif_stats {
#define VIF_COUNTER_FIELD(name) uint64_t name;
	VIF_COUNTERS(VIF_COUNTER_FIELD)
#undef VIF_COUNTER_FIELD
	struct histogram_batch tx_batch, rx_batch; /* packets of one burst */
	struct histogram tx_ns; /* from the requests' being taken until all are answered, of one burst in PROBE_BURSTS */
	struct histogram rx_ns; /* from a burst's arrival until the guest has it, or nothing waits for its buffers any more */
};

struct vif_queue;

/* One page of the guest on its way through the world. Its index is its place in the queue's array. */
struct vif_tx_slot {
	struct rte_mbuf_ext_shared_info shinfo;
	struct vif_queue *queue;
	struct stage_entry *staged; /* whose page it is; NULL: mapped for this packet */
	grant_handle_t handle;
	uint16_t id;
	bool is_out; /* cleared by whoever frees the packet */
};

/* One packet of the burst being taken. */
struct vif_tx_work {
	struct tx_chain chain;
	struct rte_mbuf *m;
	uint32_t first_idx; /* of its requests */
	uint16_t copy_at, nr_copy;
	uint16_t map_at, nr_map;
	uint16_t first_mapped_frag, mapped_from; /* the first mapped fragment, and the byte in it where mapping begins */
	bool is_staged;                          /* all its pages are kept mapped: nothing to copy or map by grant */
	struct stage_entry *staged[TX_MAX_FRAGS];
};

struct vif_tx {
	struct netif_txr_back ring;
	struct probe probe;
	uint32_t taken_at, taken_end; /* of the journal's taken[], as the ring counts */
	uint32_t seen; /* requests known to be published, as the ring's own index */
	bool is_skipping;             /* the rest of a packet that was too long is being refused */
	uint32_t nr_free, nr_out;
	uint32_t out_at; /* the first of out_slot[] */
	uint16_t free_slot[VIF_RING_SLOTS];
	uint16_t out_slot[VIF_RING_SLOTS]; /* a queue: their pages are out in the world, or are back and nobody has looked */
	struct vif_tx_slot slot[VIF_RING_SLOTS];
	struct vif_tx_work work[VIF_TX_BURST];
	struct grant_copy_op copy[VIF_OPS];
	struct hv_map_op map[VIF_OPS];
};

struct vif_rx {
	struct netif_rxr_back ring;
	struct probe probe;
	uint32_t seen; /* as in struct vif_tx */
	struct grant_copy_op copy[VIF_OPS];
	uint16_t copy_packet[VIF_OPS]; /* where a copy's packet begins in the journal's rsp[] */
	uint16_t held_at, nr_held;     /* of held[] */
	uint16_t wanted;               /* requests that the first of them needs */
	bool is_stalled;               /* the last that waited did so in vain; read by the control thread */
	uint32_t held_bytes;
	uint64_t held_tsc; /* when one last found room, or began to wait */
	struct rte_mbuf *held[VIF_RX_HELD];
};

struct vif_queue {
	struct hv *hv;
	struct hv_peer *peer;
	struct vif_stats *stats; /* the vif's; not touched once detached */
	struct journal *journal; /* keys' or own_journal */
	struct journal *own_journal;
	struct rte_mempool *pool;     /* with data room */
	struct rte_mempool *ext_pool; /* without */
	evtchn_port_t tx_port, rx_port; /* one and the same unless the event channels are split */
	int tx_fd, rx_fd;
	uint32_t max_frame;      /* what the guest can take */
	unsigned caps;           /* OFFLOAD_*: what the guest takes as it is */
	enum vif_fault fault;    /* set once by the worker, read by the control thread */
	bool *any_fault;         /* the worker's: some queue of its has failed, stalls, or goes on */
	struct mcast *mcast;     /* one list for all queues of the vif; not touched once detached */
	struct stage *stage;     /* pages kept mapped; NULL: none */
	bool wants_hash;         /* the guest asked for hashes and is told them */
	uint16_t headroom;       /* bytes that the guest wants free before a frame; each is told in extra info; 0: none */
	bool rx_notify;          /* the guest says when it posts buffers: packets may wait for them */
	uint64_t patience_tsc;   /* for how long */
	uint64_t tick_length;    /* clock_tick_length */
	bool map_large;          /* long packets' pages are attached, not copied */
	void *tx_area, *rx_area;
	struct vif_tx tx;
	struct vif_rx rx;
	TAILQ_ENTRY(vif_queue) lingering;
};

/* What connect needs to know of one queue. */
struct vif_keys {
	grant_ref_t tx_ring_ref, rx_ring_ref;
	evtchn_port_t tx_port, rx_port; /* the front end's; the same twice unless split */
	struct journal *journal;        /* ours, until the queue is disconnected; NULL: it outlives nothing */
};

/* What holds for all queues of a vif. */
struct vif_features {
	struct mcast *mcast; /* the vif's */
	bool sg;          /* the guest takes packets longer than a page */
	bool rx_notify;   /* it says when it posts rx buffers */
	uint16_t headroom; /* bytes that it wants free before a frame */
	unsigned caps;    /* OFFLOAD_*: what it takes as it is */
	bool copies_only; /* no page is ever mapped */
	bool is_takeover; /* the rings run: they are taken over where they are */
	bool is_resumed;  /* with it: journals say what is open; else nothing is */
};

struct vif {
	char name[32]; /* "vif3.0" */
	domid_t domid;
	unsigned devid;
	struct rte_ether_addr mac; /* the guest's */
	unsigned nr_queues;        /* 0 while not connected */
	struct vif_queue *queue[VIF_MAX_QUEUES];
	struct vif_stats *stats;   /* VIF_MAX_QUEUES of them, in: */
	struct counters_file stats_file;
};

/* Where a vif's queue finds its buffers. */
struct vif_pools {
	struct rte_mempool *pool;     /* with data room */
	struct rte_mempool *ext_pool; /* without */
};

/*
 * Maps the rings and binds the event channels. -EINVAL, -EACCES: bad ring grants; -EPROTO: a ring that is taken over makes no
 * sense; *what names what failed, a literal.
 */
int vif_queue_create(struct hv *hv, domid_t domid, const struct vif_keys *keys, const struct vif_features *features,
		     const struct vif_pools *pools, struct vif_stats *stats, struct vif_queue **out, const char **what);
/*
 * Lets go of rings and event channels. The worker has detached the queue before. True: the queue is freed. False: packets
 * out there still borrow guest pages; vif_queue_drain must be called until it says true.
 */
bool vif_queue_disconnect(struct vif_queue *q);
bool vif_queue_drain(struct vif_queue *q);

const char *vif_fault_text(enum vif_fault fault);

/* ---- hot, in the worker ----------------------------------------------------------------------------------------- */

/* Guest -> world: up to n packets, as an ethdev's receive; first of all what waits for the guest's buffers is tried again. */
uint16_t vif_tx_burst(void *queue, struct rte_mbuf **pkts, uint16_t n);
/* The same without that, for whom another thread than this one may be in vif_rx_burst. */
uint16_t vif_tx_take(struct vif_queue *q, struct rte_mbuf **pkts, uint16_t n);
/* World -> guest: takes all n; those the guest has no room for are dropped and counted. */
uint16_t vif_rx_burst(void *queue, struct rte_mbuf **pkts, uint16_t n);
/* Before sleep: true when there is more to do already. */
bool vif_arm(struct vif_queue *q);
/* Pages that others still hold, packets that wait: while there are some, somebody must look now and then. */
static inline bool vif_has_attached(const struct vif_queue *q)
{
	return q->tx.nr_out != 0;
}
static inline bool vif_must_be_looked_at(const struct vif_queue *q)
{
	return q->tx.nr_out != 0 || q->rx.nr_held != 0;
}
/* Packets that wait for the guest's buffers: those that have room go; all go when they waited too long. */
void vif_rx_retry(struct vif_queue *q);
/* Packets wait, or did so in vain. */
static inline bool vif_rx_is_waiting(const struct vif_queue *q)
{
	return q->rx.nr_held || q->rx.is_stalled;
}
/* Asks to be woken when there is room; true: there is already. Part of vif_arm. */
bool vif_rx_arm(struct vif_queue *q);
void vif_rx_drop_held(struct vif_queue *q);
/* Answers what came back. */
void vif_tx_finish(struct vif_queue *q);
/* All that vif_tx_burst does but taking packets. */
static inline void vif_tend(struct vif_queue *q)
{
	if (vif_rx_is_waiting(q))
		vif_rx_retry(q);
	vif_tx_finish(q);
}
/* Before anybody moves packets of the queue. any_fault becomes true when the queue fails, stalls, or goes on. */
void vif_attach(struct vif_queue *q, bool *any_fault);
/* Nobody moves packets of the queue any more. */
void vif_detach(struct vif_queue *q);
/* A packet's last reference went: any thread. */
void vif_tx_slot_freed(void *page, void *slot);
/* Unmaps what came back without answering it; for a detached queue. Returns how many pages are still out. */
uint32_t vif_tx_reclaim(struct vif_queue *q);

/* How many bytes stay free before a frame. Without scatter-gather the frame must lie in one page all the same. Worker, or before. */
static inline void vif_set_headroom(struct vif_queue *q, uint16_t bytes)
{
	q->headroom = bytes;
	if (q->max_frame <= PAGE_BYTES)
		q->max_frame = PAGE_BYTES - bytes;
}

/* Of all its queues, while nobody moves packets. */
static inline void vif_set_headrooms(struct vif *vif, uint16_t bytes)
{
	for (unsigned i = 0; i < vif->nr_queues; i++)
		vif_set_headroom(vif->queue[i], bytes);
}

static inline void vif_fail(struct vif_queue *q, enum vif_fault fault)
{
	if (q->fault != VIF_FAULT_NONE)
		return;
	store_release(&q->fault, fault); /* pairs with the control thread's acquire: counters before the fault */
	*q->any_fault = true;
}

static inline void vif_wake(struct vif_queue *q, evtchn_port_t port, bool is_wanted)
{
	if (is_wanted)
		hv_notify(q->hv, port);
	count_add(is_wanted ? &q->stats->notify_sent : &q->stats->notify_suppressed, 1);
}

#endif
