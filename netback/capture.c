/*
 * netback/capture.c - filters and copies what passes a vif's queue.   [hot]
 *
 * Owns     see capture.h.
 * Trusts   not the reader of the ring: its index is checked in capture_ring_room, and a wrong one ends the capture, not us.
 * Runs in  the worker. No lock but the capture's own, no allocation but a mirror's from the pool, no system call but the reader's wake.
 * Fails    no room: dropped and counted.
 */
#include "netback/capture.h"

#include <sys/eventfd.h>

#include <rte_cycles.h>
#include <rte_memcpy.h>

#include "netback/bridge.h"

static inline bool capture_wants(const struct capture *c, struct rte_mbuf *m)
{
	if (!c->bpf)
		return true;
	return (c->filter ? c->filter(m) : rte_bpf_exec(c->bpf, m)) != 0;
}

static inline void packet_copy(uint8_t *to, const struct rte_mbuf *m, uint32_t bytes)
{
	while (bytes) {
		uint32_t len = RTE_MIN(bytes, (uint32_t)m->data_len);

		rte_memcpy(to, rte_pktmbuf_mtod(m, const uint8_t *), len);
		to += len;
		bytes -= len;
		m = m->next;
	}
}

/* False: no room. */
static bool packet_to_ring(struct capture *c, const struct rte_mbuf *m, const struct capture_record *rec)
{
	uint32_t bytes = RTE_MIN(m->pkt_len, c->snap_bytes);
	struct capture_record *at_sh = capture_ring_room(&c->ring, bytes);

	if (unlikely(!at_sh))
		return false;
	*at_sh = (struct capture_record){
		.tsc = rec->tsc,
		.dropped = c->dropped - c->told_dropped,
		.bytes = bytes,
		.frame_bytes = m->pkt_len,
		.queue = rec->queue,
		.direction = rec->direction,
	};
	packet_copy((uint8_t *)(at_sh + 1), m, bytes);
	capture_ring_put(&c->ring, bytes);
	c->told_dropped = c->dropped;
	return true;
}

/* False: no buffer. */
static bool packet_to_port(struct capture *c, struct bridge_lane *lane, const struct rte_mbuf *m)
{
	struct rte_mbuf *copy = rte_pktmbuf_copy(m, c->pool, 0, UINT32_MAX);

	if (unlikely(!copy))
		return false;
	lane_put(lane, c->to, copy);
	return true;
}

static void counters_show(struct capture *c)
{
	struct capture_area *sh = c->ring.sh;

	store_relaxed(&sh->seen, c->seen);
	store_relaxed(&sh->accepted, c->accepted);
	store_relaxed(&sh->dropped, c->dropped);
	store_relaxed(&sh->is_over, c->left == 0);
	if (capture_ring_publish(&c->ring))
		eventfd_write(c->wake_fd, 1);
}

static void capture_packets(struct capture *c, struct bridge_lane *lane, const struct capture_record *rec,
			    struct rte_mbuf **pkts, uint16_t n)
{
	for (uint16_t i = 0; i < n && c->left; i++) {
		c->seen++;
		if (!capture_wants(c, pkts[i]))
			continue;
		c->accepted++;
		if (c->to ? packet_to_port(c, lane, pkts[i]) : packet_to_ring(c, pkts[i], rec))
			c->left--;
		else
			c->dropped++;
	}
	counters_show(c);
}

/* For a burst at most: the other holder is a worker, too. */
static inline void capture_lock(struct capture *c)
{
	while (unlikely(exchange_acq_rel(&c->is_busy, 1))) /* pairs with the release in capture_burst */
		cpu_relax();
}

void capture_burst(struct capture *list, struct bridge_lane *lane, unsigned direction, uint16_t queue, struct rte_mbuf **pkts,
		   uint16_t n)
{
	struct capture_record rec = {.tsc = rte_rdtsc(), .queue = queue, .direction = (uint16_t)direction};

	for (struct capture *c = list; c && n; c = c->next)
		if ((c->directions & direction) && (c->queue == CAPTURE_ANY_QUEUE || c->queue == queue)) {
			capture_lock(c);
			if (c->left)
				capture_packets(c, lane, &rec, pkts, n);
			store_release(&c->is_busy, 0); /* pairs with capture_lock */
		}
}
