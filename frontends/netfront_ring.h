/*
 * frontends/netfront_ring.h - the data half of one queue of a netfront: two rings and the pages behind them.   [hot]
 *
 *      tx   caller's frame --copy--> tx page (the peer reads it) --request--> ring --response--> page is free again
 *      rx   rx page posted --request--> ring --response--> checked --copy--> caller's buffer, page is posted again
 *                                                                  --lend--> the caller has the page itself, another is posted
 *
 * Every page is shared once for the life of the connection: tx pages read-only to the back end, rx pages writable, and
 * therefore copied out before anybody looks at them, unless the caller wishes otherwise (netfront_loan.h). Nothing else of the
 * guest's memory is ever within the back end's reach, which is also all that "trusted=0" asks for. The ring knows no hypervisor:
 * whoever connects hands over memory and refs, and sends the event when told to wake.
 *
 * Bursts (netfront_ring_tx, netfront_ring_rx) are made of single steps, which a caller with buffers of its own shape
 * uses itself: put .. push; next, copy, done .. post.
 *
 * Owns     which tx pages are with the back end; which rx fragments of an unfinished frame were taken.
 * Trusts   no response: id outstanding and answered once, fragment inside its page, chain bounded, extra info asked for.
 * Runs in  one thread. No lock, no allocation, no system call.
 * Fails    an impossible index or id: broken says why, and nothing moves any more. A bad frame: dropped, counted.
 * Spec     xen/io/netif.h.
 */
#ifndef SLUICE_FRONTENDS_NETFRONT_RING_H
#define SLUICE_FRONTENDS_NETFRONT_RING_H

#include <sys/uio.h>

#include "frontends/netfront_loan.h"
#include "hv/histogram.h"
#include "hv/probe.h"
#include "rings/copy_frame.h"
#include "rings/netif.h"

#define NETFRONT_SLOTS 256u    /* entries of either ring: one page */
#define NETFRONT_MIN_SLOTS 32u /* pages each way: the longest chain, and some */
#define NETFRONT_MIN_FRAME 14u /* an Ethernet header */
#define NETFRONT_MAX_FRAME XEN_NETIF_MAX_TX_SIZE
#define NETFRONT_MAX_CHAIN XEN_NETIF_NR_SLOTS_MIN
/* Frames up to here lie side by side in pages of their own: a burst of them is a few neighbouring lines, not one of each page. */
#define NETFRONT_SHORT COPY_FRAME_SHORT
#define NETFRONT_SHORT_IN_PAGE (PAGE_BYTES / NETFRONT_SHORT)
#define NETFRONT_MAX_TX_PAGES (NETFRONT_SLOTS + NETFRONT_SLOTS / NETFRONT_SHORT_IN_PAGE)
#define NETFRONT_MAX_RX_PAGES NETFRONT_MAX_LOANS
#define NETFRONT_LEND_ABOVE 512u /* bytes: to copy so many is cheaper than to have a page come back */
/* The longest frame that a back end can send: a burst whose buffers have so much room loses none. */
#define NETFRONT_MAX_RX_FRAME (NETFRONT_MAX_CHAIN * PAGE_BYTES)

/* What one end can take from the other, beyond frames of one page. */
enum netfront_ability {
	NETFRONT_SG = 1 << 0,
	NETFRONT_CSUM4 = 1 << 1, /* blank TCP and UDP checksums over IPv4 */
	NETFRONT_CSUM6 = 1 << 2, /* over IPv6 */
	NETFRONT_GSO4 = 1 << 3,  /* TCP segments longer than the MTU, over IPv4 */
	NETFRONT_GSO6 = 1 << 4,  /* over IPv6 */
	NETFRONT_HASH = 1 << 5,  /* receive hashes in extra info */
	NETFRONT_MCAST = 1 << 6, /* the list of wanted multicast addresses */
};

enum netfront_flag {
	NETFRONT_CSUM_BLANK = 1 << 0, /* the TCP or UDP checksum field holds the sum of the pseudo header only */
	NETFRONT_CSUM_VALID = 1 << 1, /* the checksum was verified, or is blank and the frame came a safe way */
};

/* What goes with a frame beside its bytes. All zeros: an ordinary frame. */
struct netfront_meta {
	uint8_t flags;     /* enum netfront_flag */
	uint8_t gso_type;  /* XEN_NETIF_GSO_TYPE_* */
	uint16_t gso_size; /* payload bytes of each segment it is to be cut into */
	uint32_t hash;     /* received frames: Toeplitz */
	uint8_t hash_type; /* a bit of XEN_NETIF_CTRL_HASH_TYPE_*, or 0: there is no hash */
};

/* One frame. tx: data and len in. rx: data and its room in len go in, the frame's length comes out in len. */
struct netfront_packet {
	void *data;
	uint32_t len;
	struct netfront_meta meta;
};

/* Names: netfront_counters.c. */
struct netfront_counters {
	uint64_t tx_packets;
	uint64_t tx_bytes;
	uint64_t tx_slots;
	uint64_t tx_bursts;    /* that sent anything */
	uint64_t tx_ring_full; /* bursts cut short because no slot was free */
	uint64_t tx_drop_size; /* frames too short, or longer than the connection takes */
	uint64_t tx_drop_offload; /* frames that ask for what the back end does not offer */
	uint64_t tx_resent;    /* received frames sent on in the page that they came in */
	uint64_t tx_errors;    /* slots that the back end answered with an error */
	uint64_t rx_packets;
	uint64_t rx_bytes;
	uint64_t rx_slots;
	uint64_t rx_bursts;      /* that received anything */
	uint64_t rx_lent;        /* frames that were not copied */
	uint64_t rx_drop_error;  /* frames that the back end gave an error for */
	uint64_t rx_drop_bounds; /* frames with a fragment outside its page, or shorter than an Ethernet header */
	uint64_t rx_drop_chain;  /* frames of too many fragments */
	uint64_t rx_drop_extra;  /* frames whose extra info makes no sense */
	uint64_t rx_drop_room;   /* frames longer than the caller's buffer */
	uint64_t notify_sent;
	uint64_t notify_suppressed; /* pushes of which the back end did not want to hear */
	struct histogram_batch tx_batch, rx_batch; /* frames of one burst */
	struct histogram tx_ns; /* from push until the burst was answered: of bursts that were looked after */
};

struct netfront_fragment {
	uint16_t page;
	uint16_t offset;
	uint16_t len;
};

/* A received frame, whole and checked, in its rx pages: the back end may still change the bytes, nothing else. */
struct netfront_frame {
	uint32_t bytes;
	unsigned nr_fragments;
	struct netfront_meta meta;
	struct netfront_fragment fragment[NETFRONT_MAX_CHAIN];
};

/* A received frame that lies in one page and has nothing with it: most have not. */
struct netfront_simple {
	const uint8_t *data_sh;
	uint16_t len;
	uint8_t flags; /* enum netfront_flag */
};

struct netfront_ring {
	struct netif_txr_front tx;
	const char *broken; /* why the back end can no longer be dealt with, or NULL */
	uint32_t tx_can;    /* what the back end takes */
	uint32_t rx_can;    /* what it was told that we take */
	uint32_t max_frame;
	uint32_t nr_slots; /* pages each way, a power of two */

	uint8_t *tx_pages;    /* the back end only reads them: one for each slot, */
	uint8_t *short_pages; /* and behind them NETFRONT_SHORT bytes for each */
	unsigned nr_tx_free;
	unsigned tx_free_at;    /* the first of tx_free[] */
	unsigned tx_extras_out; /* ring entries of extra info that are not answered yet: they have no page */
	uint16_t tx_free[NETFRONT_SLOTS]; /* a queue: the next to be used are known, and can be prefetched */
	bool tx_out[NETFRONT_SLOTS];      /* with the back end */
	unsigned nr_tx_loans;
	struct netfront_loan *tx_loan[NETFRONT_SLOTS]; /* whose page is sent instead of the slot's own, or NULL */
	grant_ref_t tx_refs[NETFRONT_MAX_TX_PAGES];

	struct netif_rxr_front rx __attribute__((aligned(RING_LINE_BYTES))); /* rx may be another thread's than tx */
	uint8_t *rx_pages_sh;
	struct netfront_loans *loans; /* NULL: no page is lent */
	int rx_pending;   /* responses known to be there */
	uint32_t rx_done; /* responses up to here are delivered or dropped: their pages may be posted again */
	bool is_in_extras; /* the next rx entry is extra info */
	bool is_more_after_extras;
	uint64_t *fault; /* the counter of what is wrong with the frame being gathered, or NULL */
	unsigned copied_fragments; /* netfront_ring_copy's place in the frame */
	uint32_t copied_bytes;     /* of the fragment at that place */
	struct netfront_frame frame;
	uint16_t rx_page[NETFRONT_SLOTS]; /* behind each slot */
	grant_ref_t rx_refs[NETFRONT_MAX_RX_PAGES];

	struct netfront_counters *count; /* nobody but us writes it */
	uint64_t packets_pushed;         /* of count->tx_packets */
	uint64_t tick_length;            /* 0: nothing is timed */
	struct probe probe;
	uint64_t looked;                 /* for answers, while the probe is out: clock_ticks */
	struct netfront_counters own_count;
};

/*
 * What a connection stands on; all of it stays the caller's, pages zeroed, netfront_ring_tx_pages and nr_slots of them; with
 * loans, rx_pages and rx_refs are theirs, and so many.
 */
struct netfront_ring_memory {
	void *tx_ring; /* one page */
	void *rx_ring; /* one page */
	void *tx_pages;
	void *rx_pages;
	const grant_ref_t *tx_refs;
	const grant_ref_t *rx_refs;
	struct netfront_loans *loans; /* NULL: all that is received is copied */
	uint32_t nr_slots; /* a power of two from NETFRONT_MIN_SLOTS to NETFRONT_SLOTS */
	struct netfront_counters *counters; /* counted on from what they are; NULL: the ring's own, from zero */
	uint64_t tick_length;               /* clock_tick_length; 0: nothing is timed */
};

/* The tx pages of so many slots. */
static inline uint32_t netfront_ring_tx_pages(uint32_t nr_slots)
{
	return nr_slots + nr_slots / NETFRONT_SHORT_IN_PAGE;
}

/*
 * Resets the rings and posts all rx pages. tx_can: what the back end takes; rx_can: what it has been told to send; both of
 * enum netfront_ability.
 */
void netfront_ring_init(struct netfront_ring *r, const struct netfront_ring_memory *m, uint32_t tx_can, uint32_t rx_can);

/*
 * Copies frames into tx pages and pushes them; returns how many it took, the rest found the ring full. A frame that can
 * never be sent is taken, dropped and counted. *wake: send the event.
 */
unsigned netfront_ring_tx(struct netfront_ring *r, const struct netfront_packet pkts[], unsigned n, bool *wake);
/* Takes tx responses; returns how many slots are still with the back end. */
unsigned netfront_ring_reclaim(struct netfront_ring *r);
/* Copies up to n frames out, posts their pages again; returns how many. *wake: send the event. */
unsigned netfront_ring_rx(struct netfront_ring *r, struct netfront_packet pkts[], unsigned n, bool *wake);

/*
 * One frame of bytes bytes, gathered from pieces, into tx pages; meta may be NULL. Not yet pushed. False: the ring is full,
 * or broken.
 */
bool netfront_ring_put(struct netfront_ring *r, const struct iovec pieces[], uint32_t bytes, const struct netfront_meta *meta);
/*
 * The same without a copy here: the pages that the next frame of at most bytes bytes will lie in, for a read into them. Returns
 * how many pieces; 0: the ring is full, or broken. Nothing happens until put_reserved says how long the frame has become.
 */
unsigned netfront_ring_reserve(struct netfront_ring *r, struct iovec pieces[NETFRONT_MAX_CHAIN], uint32_t bytes);
void netfront_ring_put_reserved(struct netfront_ring *r, uint32_t bytes, const struct netfront_meta *meta);
/* Adds an address to the list of wanted multicasts, or takes it off. Not yet pushed. False: no slot, or the back end keeps no list. */
bool netfront_ring_mcast(struct netfront_ring *r, const uint8_t mac[6], bool add);
/* Publishes what was put; true: send the event. */
bool netfront_ring_push(struct netfront_ring *r);

/* A frame of NETFRONT_MIN_FRAME to NETFRONT_SHORT bytes that asks for nothing. */
struct netfront_short {
	const void *data;
	uint32_t len;
};

/* Puts short frames, as many as there is room for; looks for responses only when there is too little. Returns how many. */
unsigned netfront_ring_put_short(struct netfront_ring *r, const struct netfront_short frames[], unsigned n);

/* Puts what lies in a page that is lent: bytes of it from offset. The loan is the ring's then. False: the ring is full, or broken. */
bool netfront_ring_put_loan(struct netfront_ring *r, struct netfront_loan *loan, uint32_t offset, uint32_t bytes);

/* Those that will be put next. */
static inline void netfront_ring_prefetch_short(const struct netfront_ring *r, unsigned n)
{
	for (unsigned i = 0; i < n; i++)
		prefetch_for_write(r->short_pages + (size_t)r->tx_free[(r->tx_free_at + i) % NETFRONT_SLOTS] * NETFRONT_SHORT);
}

/* Looks for responses when all is taken that was known of. */
void netfront_ring_look(struct netfront_ring *r);
/* So many responses are there to be taken; more may have come. */
static inline unsigned netfront_ring_known(const struct netfront_ring *r)
{
	return r->broken ? 0 : (unsigned)r->rx_pending;
}
/*
 * The next frames, at most n, among the responses known of, as long as they are simple; 0: netfront_ring_next takes what comes next.
 * They stay where they are until netfront_ring_took says how many of them were copied out.
 */
unsigned netfront_ring_simple(struct netfront_ring *r, struct netfront_simple frames[], unsigned n);
void netfront_ring_took(struct netfront_ring *r, unsigned n, uint64_t bytes);
/* Of a ring with loans: is this one better not copied? Then it was not prefetched, either: not every program looks at it. */
static inline bool netfront_ring_is_to_lend(const struct netfront_simple *f)
{
	return f->len > NETFRONT_LEND_ABOVE;
}
/* The page of the i-th of them is the caller's until he ends the loan. NULL: it has to be copied. */
static inline struct netfront_loan *netfront_ring_lend(struct netfront_ring *r, unsigned i)
{
	return netfront_loans_lend(r->loans, &r->rx_page[(r->rx.rsp_cons + i) & (r->nr_slots - 1)]);
}
/* The next whole frame, until done is called; NULL: there is none. */
const struct netfront_frame *netfront_ring_next(struct netfront_ring *r);
/* Of a ring with loans: that frame's page, if it lies in one, as netfront_ring_lend; nothing of the frame is to be copied then. */
static inline struct netfront_loan *netfront_ring_lend_frame(struct netfront_ring *r)
{
	return netfront_loans_lend(r->loans, &r->rx_page[r->rx_done & (r->nr_slots - 1)]);
}
/* Copies that frame's next bytes out; no more than it has. */
void netfront_ring_copy(struct netfront_ring *r, void *to, uint32_t bytes);
/*
 * Where that frame's bytes from skip on lie, for a write from there. Returns how many pieces. The back end may change them at
 * any time: only for somebody who copies them before he looks.
 */
unsigned netfront_ring_pieces(const struct netfront_ring *r, uint32_t skip, struct iovec pieces[NETFRONT_MAX_CHAIN]);
/* The frame's pages may be posted again. */
void netfront_ring_done(struct netfront_ring *r);
/* The caller had no room for the frame: done, and counted as dropped. */
void netfront_ring_no_room(struct netfront_ring *r);
/* A burst has taken so many. */
static inline void netfront_ring_count_rx(struct netfront_ring *r, unsigned frames)
{
	if (!frames)
		return;
	r->count->rx_bursts++;
	histogram_batch_add(&r->count->rx_batch, frames);
}
/* Posts every page that is ours again; true: send the event. */
bool netfront_ring_post(struct netfront_ring *r);
/* Is it time to? While more frames are there, pages are posted by the quarter. */
static inline bool netfront_ring_must_post(const struct netfront_ring *r)
{
	return r->rx_pending == 0 || r->rx_done + r->nr_slots - r->rx.req_prod >= r->nr_slots / 4;
}

/* Is there an rx response, or is the ring broken? */
static inline bool netfront_ring_has_rx(const struct netfront_ring *r)
{
	return r->broken || r->rx_pending || netif_rxr_front_pending(&r->rx);
}
/* Are want slots free (at most all), once the responses that are there have been taken? Or is the ring broken? */
bool netfront_ring_has_room(const struct netfront_ring *r, unsigned want);
/* Asks for an event at the next rx response; true: there is one already, or the ring is broken. */
bool netfront_ring_arm_rx(struct netfront_ring *r);
/* Asks for an event when want slots are free (at most all); true: they are, or the ring is broken. */
bool netfront_ring_arm_tx(struct netfront_ring *r, unsigned want);

#endif
