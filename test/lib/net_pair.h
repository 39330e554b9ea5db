/*
 * test/lib/net_pair.h - a netfront's rings with a back end's half on the other side, in plain memory.
 *
 * The back half is the test's to use, honestly or not. Refs are FIRST_TX_REF + page and FIRST_RX_REF + page.
 */
#ifndef SLUICE_TEST_NET_PAIR_H
#define SLUICE_TEST_NET_PAIR_H

#include <stdlib.h>

#include "frontends/netfront_ring.h"

#define FIRST_TX_REF 1000u
#define FIRST_RX_REF 3000u

struct net_pair {
	struct netfront_ring front;
	struct netif_txr_back tx;
	struct netif_rxr_back rx;
	struct netfront_ring_memory memory;
	grant_ref_t tx_refs[NETFRONT_MAX_TX_PAGES];
	grant_ref_t rx_refs[NETFRONT_MAX_RX_PAGES];
};

static inline void *net_pair_pages(unsigned nr)
{
	void *p = aligned_alloc(PAGE_BYTES, pages_to_bytes(nr));

	if (!p)
		abort();
	memset(p, 0, pages_to_bytes(nr));
	return p;
}

static inline void net_pair_begin(struct net_pair *p, uint32_t tx_can, uint32_t rx_can)
{
	netfront_ring_init(&p->front, &p->memory, tx_can, rx_can);
	netif_txr_back_init(&p->tx, p->memory.tx_ring, PAGE_BYTES);
	netif_rxr_back_init(&p->rx, p->memory.rx_ring, PAGE_BYTES);
}

/* slots: pages each way; tx_can and rx_can: enum netfront_ability of the two ends. */
static inline void net_pair_init_as(struct net_pair *p, uint32_t slots, uint32_t tx_can, uint32_t rx_can)
{
	for (unsigned i = 0; i < NETFRONT_MAX_TX_PAGES; i++)
		p->tx_refs[i] = FIRST_TX_REF + i;
	for (unsigned i = 0; i < NETFRONT_MAX_RX_PAGES; i++)
		p->rx_refs[i] = FIRST_RX_REF + i;
	p->memory = (struct netfront_ring_memory){.tx_ring = net_pair_pages(1), .rx_ring = net_pair_pages(1),
						  .tx_pages = net_pair_pages(NETFRONT_MAX_TX_PAGES),
						  .rx_pages = net_pair_pages(NETFRONT_SLOTS), .tx_refs = p->tx_refs,
						  .rx_refs = p->rx_refs, .nr_slots = slots,
						  .tick_length = 1u << CLOCK_TICK_BITS};
	net_pair_begin(p, tx_can, rx_can);
}

/* With twice as many rx pages, which are lent. */
static inline void net_pair_init_lending(struct net_pair *p, uint32_t slots)
{
	net_pair_init_as(p, slots, NETFRONT_SG, NETFRONT_SG | NETFRONT_HASH);
	free(p->memory.rx_pages);
	p->memory.rx_pages = net_pair_pages(2 * slots);
	p->memory.loans = aligned_alloc(RING_LINE_BYTES, sizeof(*p->memory.loans));
	if (!p->memory.loans)
		abort();
	*p->memory.loans = (struct netfront_loans){.pages_sh = p->memory.rx_pages, .nr_pages = 2 * slots};
	net_pair_begin(p, NETFRONT_SG, NETFRONT_SG | NETFRONT_HASH);
}

/* Every rx page is behind one slot, or spare, or out. */
static inline void net_pair_check_loans(const struct netfront_ring *r)
{
	const struct netfront_loans *l = r->loans;
	bool seen[NETFRONT_MAX_RX_PAGES] = {0};

	if (r->nr_slots + l->nr_spare + l->nr_out != l->nr_pages)
		abort();
	for (unsigned i = 0; i < l->nr_pages; i++) {
		unsigned k = i - r->nr_slots;
		uint16_t page = i < r->nr_slots ? r->rx_page[i]
				: k < l->nr_spare ? l->spare[k]
						  : l->out[(l->out_at + k - l->nr_spare) % NETFRONT_MAX_LOANS];

		if (page >= l->nr_pages || seen[page])
			abort();
		seen[page] = true;
	}
}

static inline void net_pair_init(struct net_pair *p, bool sg)
{
	net_pair_init_as(p, NETFRONT_SLOTS, sg ? NETFRONT_SG : 0, NETFRONT_SG);
}

static inline void net_pair_finish(struct net_pair *p)
{
	free(p->memory.tx_ring);
	free(p->memory.rx_ring);
	free(p->memory.tx_pages);
	free(p->memory.rx_pages);
	free(p->memory.loans);
}

/* The bytes that a tx request names: as a back end would see them through the grant. */
static inline uint8_t *net_pair_tx_bytes(struct net_pair *p, const struct netif_tx_request *req)
{
	if (req->gref >= FIRST_RX_REF)
		return (uint8_t *)p->memory.rx_pages + pages_to_bytes(req->gref - FIRST_RX_REF) + req->offset;
	return (uint8_t *)p->memory.tx_pages + pages_to_bytes(req->gref - FIRST_TX_REF) + req->offset;
}

static inline uint8_t *net_pair_rx_page(struct net_pair *p, const struct netif_rx_request *req)
{
	return (uint8_t *)p->memory.rx_pages + pages_to_bytes(req->gref - FIRST_RX_REF);
}

/* Takes a whole frame off the tx ring and answers its slots; 0: none, or only a part of one. */
static inline uint32_t net_pair_back_receive(struct net_pair *p, uint8_t *frame)
{
	struct netif_tx_request req;
	uint32_t size = 0, at = 0, rest = 0;
	bool is_first = true;

	if (netif_txr_back_pending(&p->tx) <= 0)
		return 0;
	struct netif_tx_request chain[XEN_NETIF_NR_SLOTS_MIN];
	unsigned n = 0;

	do {
		netif_txr_back_take(&p->tx, &req);
		chain[n++] = req;
		if (is_first)
			size = req.size;
		else
			rest += req.size;
		is_first = false;
	} while ((req.flags & NETTXF_more_data) && n < XEN_NETIF_NR_SLOTS_MIN);
	for (unsigned i = 0; i < n; i++) {
		uint32_t bytes = i ? chain[i].size : size - rest;
		struct netif_tx_response rsp = {.id = chain[i].id, .status = NETIF_RSP_OKAY};

		memcpy(frame + at, net_pair_tx_bytes(p, &chain[i]), bytes);
		at += bytes;
		netif_txr_back_put(&p->tx, &rsp);
	}
	return size;
}

/* Puts a frame into as many rx slots as it needs; false: too few are posted. Not yet pushed. */
static inline bool net_pair_back_send(struct net_pair *p, const uint8_t *frame, uint32_t len)
{
	uint32_t slots = (len + PAGE_BYTES - 1) / PAGE_BYTES;

	if (netif_rxr_back_pending(&p->rx) < (int)slots)
		return false;
	while (len) {
		uint32_t bytes = len < PAGE_BYTES ? len : PAGE_BYTES;
		struct netif_rx_request req;
		struct netif_rx_response rsp;

		netif_rxr_back_take(&p->rx, &req);
		memcpy(net_pair_rx_page(p, &req), frame, bytes);
		frame += bytes;
		len -= bytes;
		rsp = (struct netif_rx_response){
			.id = req.id, .status = (int16_t)bytes, .flags = len ? NETRXF_more_data : 0};
		netif_rxr_back_put(&p->rx, &rsp);
	}
	return true;
}

#endif
