/*
 * test/fuzz/netfront_ring_fuzz.c - the input is what a back end does to the rings of a netfront.
 *
 * Each step is 8 bytes: what (answer tx, answer rx, jump an index, scribble a slot), and its numbers. After each the front
 * end sends, receives and arms; it must stay within its memory and keep its own account whole.
 */
#include "net_pair.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define ALL UINT32_MAX /* everything that an end may offer */

struct step {
	uint8_t what;
	uint8_t flags;
	uint16_t id;
	uint16_t offset;
	uint16_t status;
};

_Static_assert(sizeof(struct step) == 8, "a step of the input");

static struct net_pair pair, lending; /* only the second one lends pages */
static struct netfront_loan *loan[40]; /* that the program has */
static uint8_t frames[4][9000 + 8];

static void back_does(struct net_pair *p, const struct step *s)
{
	struct netif_tx_response tx = {.id = s->id, .status = (int16_t)s->status};
	struct netif_rx_response rx = {.id = s->id, .offset = s->offset, .flags = s->flags, .status = (int16_t)s->status};
	uint32_t jump = (uint32_t)s->offset << 16 | s->status;

	switch (s->what % 8) {
	case 0:
	case 1:
		netif_txr_back_put(&p->tx, &tx);
		netif_txr_back_push(&p->tx);
		break;
	case 2:
	case 3:
		rx.id = s->what & 0x80 ? rx.id : (uint16_t)(p->rx.rsp_prod % p->front.nr_slots);
		netif_rxr_back_put(&p->rx, &rx);
		netif_rxr_back_push(&p->rx);
		break;
	case 4: /* many honest answers in one go */
		for (unsigned i = 0; i < s->id % NETFRONT_SLOTS; i++) {
			rx.id = (uint16_t)(p->rx.rsp_prod % p->front.nr_slots);
			netif_rxr_back_put(&p->rx, &rx);
		}
		netif_rxr_back_push(&p->rx);
		break;
	case 5:
		((uint32_t *)p->memory.tx_ring)[s->id % (PAGE_BYTES / 4)] = jump;
		break;
	case 6:
		((uint32_t *)p->memory.rx_ring)[s->id % (PAGE_BYTES / 4)] = jump;
		break;
	case 7:
		memset((uint8_t *)p->memory.rx_pages + (size_t)(s->id % NETFRONT_SLOTS) * PAGE_BYTES, s->flags, PAGE_BYTES);
		break;
	}
}

static void front_does(struct net_pair *p, const struct step *s)
{
	struct netfront_packet out = {.data = frames[0], .len = 14 + s->offset % 8986u}, in[4];
	unsigned got;
	bool wake;

	out.meta.flags = s->flags;
	out.meta.gso_size = s->id % 3 ? 0 : s->id;
	out.meta.gso_type = s->what % 4;
	netfront_ring_tx(&p->front, &out, 1, &wake);
	if (s->status % 16 == 0 && netfront_ring_mcast(&p->front, frames[0], s->status & 16))
		netfront_ring_push(&p->front);
	for (unsigned i = 0; i < 4; i++) {
		in[i] = (struct netfront_packet){.data = frames[i], .len = 9000};
		memset(frames[i] + 9000, 0x5a, 8);
	}
	got = netfront_ring_rx(&p->front, in, 4, &wake);
	for (unsigned i = 0; i < got; i++)
		if (in[i].len < NETFRONT_MIN_FRAME || in[i].len > 9000)
			abort();
	for (unsigned i = 0; i < 4; i++)
		for (unsigned k = 9000; k < 9008; k++)
			if (frames[i][k] != 0x5a)
				abort();
	netfront_ring_arm_rx(&p->front);
	netfront_ring_arm_tx(&p->front, 32);
}

/* Has what comes next in its page, gives back or sends on what it had. */
static void program_does(struct netfront_ring *r, const struct step *s)
{
	struct netfront_loan **kept = &loan[s->offset % (sizeof(loan) / sizeof(loan[0]))];
	struct netfront_simple f;

	if (*kept && (s->flags & 1 || !netfront_ring_put_loan(r, *kept, 0, 60)))
		netfront_loan_end(*kept);
	*kept = NULL;
	netfront_ring_look(r);
	if (netfront_ring_simple(r, &f, 1)) {
		if (f.len > PAGE_BYTES - (uintptr_t)f.data_sh % PAGE_BYTES)
			abort();
		*kept = netfront_ring_lend(r, 0);
		netfront_ring_took(r, 1, f.len);
	}
	net_pair_check_loans(r);
}

/* Every tx slot is either free or out, and each once. */
static void check_account(const struct netfront_ring *r)
{
	unsigned out = 0;
	bool seen[NETFRONT_SLOTS] = {0};

	for (unsigned i = 0; i < r->nr_slots; i++)
		out += r->tx_out[i];
	if (out + r->nr_tx_free != r->nr_slots || r->frame.nr_fragments > NETFRONT_MAX_CHAIN)
		abort();
	if (r->tx_extras_out + out > NETFRONT_SLOTS)
		abort();
	for (unsigned i = 0; i < r->nr_tx_free; i++) {
		uint16_t id = r->tx_free[(r->tx_free_at + i) % NETFRONT_SLOTS];

		if (id >= r->nr_slots || seen[id] || r->tx_out[id])
			abort();
		seen[id] = true;
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct net_pair *p = size % 7 ? &pair : &lending;
	struct step s;

	if (!pair.memory.tx_ring) {
		net_pair_init(&pair, true);
		net_pair_init_lending(&lending, NETFRONT_SLOTS);
	}
	if (p == &pair)
		p->memory.nr_slots = size % 3 ? NETFRONT_SLOTS : NETFRONT_MIN_SLOTS;
	net_pair_begin(p, size % 2 ? ALL : 0, size % 5 ? ALL : 0);
	memset(loan, 0, sizeof(loan));
	for (; size >= sizeof(s); data += sizeof(s), size -= sizeof(s)) {
		memcpy(&s, data, sizeof(s));
		back_does(p, &s);
		if (p == &lending)
			program_does(&p->front, &s);
		front_does(p, &s);
		check_account(&p->front);
	}
	return 0;
}
