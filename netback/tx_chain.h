/*
 * netback/tx_chain.h - reads one packet's requests out of copied tx slots.   [hot]
 *
 *      slot 0            extras (if extra_info)     slots (while more_data)
 *      size = whole      8 bytes each               size = its fragment          first fragment = whole - the others
 *
 * Works on copies only: nothing here can change while it is looked at.
 *
 * Trusts   no field.
 * Fails    a refused packet still says how many slots it took, so that each gets its answer.
 * Spec     xen/io/netif.h.
 */
#ifndef SLUICE_NETBACK_TX_CHAIN_H
#define SLUICE_NETBACK_TX_CHAIN_H

#include "rings/netif.h"

#define TX_MAX_FRAGS XEN_NETIF_NR_SLOTS_MIN
#define TX_MAX_EXTRAS (XEN_NETIF_EXTRA_TYPE_MAX - 1)
#define TX_MIN_BYTES 14 /* an Ethernet header */

enum tx_chain_status {
	TX_CHAIN_OK,
	TX_CHAIN_MCAST,      /* a change of the multicast list: its requests name no data */
	TX_CHAIN_INCOMPLETE, /* the rest is not published yet; nothing was taken */
	TX_CHAIN_EXTRA,      /* extra info that is not offered, or makes no sense */
	TX_CHAIN_TOO_LONG,   /* more than TX_MAX_FRAGS slots; when open, the rest follows */
	TX_CHAIN_TOO_SMALL,  /* less than an Ethernet header */
	TX_CHAIN_EMPTY_FRAG, /* a fragment of no bytes */
	TX_CHAIN_PAGE,       /* a fragment crosses its page */
	TX_CHAIN_SIZES,      /* fragments are longer than the packet */
	TX_CHAIN_BAD_EXTRA,  /* extras without end: no honest front end writes that */
};

struct tx_frag {
	grant_ref_t ref;
	uint16_t offset;
	uint16_t len;
	uint16_t id;
};

struct tx_chain {
	enum tx_chain_status status;
	uint32_t nr_slots; /* taken, extras included */
	uint32_t first_extra; /* slots first_extra.. of nr_extras are no requests */
	uint32_t nr_extras;
	uint32_t nr_frags;
	uint32_t total_bytes;
	uint16_t flags;    /* NETTXF_* of the first slot */
	uint16_t gso_size; /* bytes of payload for each segment; with gso_type */
	uint8_t gso_type;  /* XEN_NETIF_GSO_TYPE_* */
	uint8_t mcast_type; /* XEN_NETIF_EXTRA_TYPE_MCAST_*: no packet, but a change of the guest's list; 0: a packet */
	uint8_t mcast_addr[6];
	bool is_extra_bad; /* some extra info is none that we offer */
	bool open; /* TX_CHAIN_TOO_LONG: more slots of this packet are still to come */
	struct tx_frag frag[TX_MAX_FRAGS];
};

static inline void tx_chain_extra(struct tx_chain *c, const struct netif_extra_info *extra)
{
	switch (extra->type) {
	case XEN_NETIF_EXTRA_TYPE_GSO:
		c->gso_type = extra->u.gso.type;
		c->gso_size = extra->u.gso.size;
		if ((c->gso_type != XEN_NETIF_GSO_TYPE_TCPV4 && c->gso_type != XEN_NETIF_GSO_TYPE_TCPV6) || c->gso_size == 0)
			c->is_extra_bad = true;
		break;
	case XEN_NETIF_EXTRA_TYPE_MCAST_ADD:
	case XEN_NETIF_EXTRA_TYPE_MCAST_DEL:
		c->mcast_type = extra->type;
		__builtin_memcpy(c->mcast_addr, extra->u.mcast.addr, sizeof(c->mcast_addr));
		break;
	case XEN_NETIF_EXTRA_TYPE_HASH:
		break; /* the sender's, of no use on a bridge */
	default:
		c->is_extra_bad = true;
	}
}

/* Extra info slots begin with type and flags. Their number, or -1: not all there yet; -EPROTO: no end. */
static inline int tx_chain_extras(const struct netif_tx_request reqs[], uint32_t mask, uint32_t at, uint32_t nr,
				  struct tx_chain *c)
{
	for (uint32_t n = 0; n < TX_MAX_EXTRAS; n++) {
		struct netif_extra_info extra;

		if (n >= nr)
			return -1;
		__builtin_memcpy(&extra, &reqs[(at + n) & mask], sizeof(extra));
		tx_chain_extra(c, &extra);
		if (!(extra.flags & XEN_NETIF_EXTRA_FLAG_MORE))
			return (int)n + 1;
	}
	return -EPROTO;
}

/* The whole packet's fields, once all of its slots are known. */
static inline enum tx_chain_status tx_chain_check(struct tx_chain *c)
{
	uint32_t others = 0;

	if (c->total_bytes < TX_MIN_BYTES)
		return TX_CHAIN_TOO_SMALL;
	for (uint32_t i = 1; i < c->nr_frags; i++)
		others += c->frag[i].len;
	if (others > c->total_bytes)
		return TX_CHAIN_SIZES;
	c->frag[0].len = (uint16_t)(c->total_bytes - others);
	for (uint32_t i = 0; i < c->nr_frags; i++) {
		if (c->frag[i].len == 0)
			return TX_CHAIN_EMPTY_FRAG;
		if ((uint32_t)c->frag[i].offset + c->frag[i].len > PAGE_BYTES)
			return TX_CHAIN_PAGE;
	}
	return TX_CHAIN_OK;
}

/* The packet that begins at slot at of the nr copied ones. */
static inline void tx_chain_parse(const struct netif_tx_request reqs[], uint32_t mask, uint32_t at, uint32_t nr,
				  struct tx_chain *c)
{
	const struct netif_tx_request *r = &reqs[at & mask];
	uint32_t slot = 1;

	/* Not frag[]: most packets have one fragment. */
	__builtin_memset(c, 0, offsetof(struct tx_chain, frag));
	c->status = TX_CHAIN_INCOMPLETE;
	if (nr == 0)
		return;
	c->total_bytes = r->size;
	c->flags = r->flags;
	c->frag[c->nr_frags++] = (struct tx_frag){.ref = r->gref, .offset = r->offset, .id = r->id};
	if (r->flags & NETTXF_extra_info) {
		int extras = tx_chain_extras(reqs, mask, at + slot, nr - slot, c);

		if (extras == -EPROTO)
			c->status = TX_CHAIN_BAD_EXTRA;
		if (extras < 0)
			return;
		c->first_extra = slot;
		c->nr_extras = (uint32_t)extras;
		slot += c->nr_extras;
	}
	while (r->flags & NETTXF_more_data) {
		if (slot >= nr)
			return;
		r = &reqs[(at + slot++) & mask];
		if (c->nr_frags == TX_MAX_FRAGS) {
			c->status = TX_CHAIN_TOO_LONG;
			c->open = r->flags & NETTXF_more_data;
			c->nr_slots = slot;
			return;
		}
		c->frag[c->nr_frags++] =
			(struct tx_frag){.ref = r->gref, .offset = r->offset, .len = r->size, .id = r->id};
	}
	c->nr_slots = slot;
	c->status = c->is_extra_bad ? TX_CHAIN_EXTRA : c->mcast_type ? TX_CHAIN_MCAST : tx_chain_check(c);
}

#endif
