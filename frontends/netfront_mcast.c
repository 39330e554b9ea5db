/*
 * frontends/netfront_mcast.c - changes the back end's list of multicast addresses.
 *
 * Runs in, Fails: netfront_mcast.h.
 */
#include "frontends/netfront_mcast.h"

static unsigned find(const struct netfront_mcast *in, const uint8_t addr[6])
{
	unsigned i = 0;

	while (i < in->nr && memcmp(in->addr[i], addr, 6))
		i++;
	return i;
}

/* First what goes, so that a full list has room for what comes. */
static bool change(struct netfront_ring *r, struct netfront_mcast *has, const struct netfront_mcast *want)
{
	for (unsigned i = has->nr; i-- > 0;) {
		if (find(want, has->addr[i]) < want->nr)
			continue;
		if (!netfront_ring_mcast(r, has->addr[i], false))
			return false;
		memmove(has->addr[i], has->addr[--has->nr], 6);
	}
	for (unsigned i = 0; i < want->nr; i++) {
		if (find(has, want->addr[i]) < has->nr)
			continue;
		if (!netfront_ring_mcast(r, want->addr[i], true))
			return false;
		memcpy(has->addr[has->nr++], want->addr[i], 6);
	}
	return true;
}

int netfront_mcast_change(struct netfront *nf, struct netfront_mcast *has, const struct netfront_mcast *want)
{
	struct netfront_queue *q = &nf->queue[0];
	bool is_done;

	if (!nf->is_connected || !(nf->tx_can & NETFRONT_MCAST))
		return -EOPNOTSUPP;
	netfront_ring_reclaim(&q->ring);
	is_done = change(&q->ring, has, want);
	if (netfront_ring_push(&q->ring))
		hv_notify(q->hv, q->tx_port);
	return is_done ? 0 : -EAGAIN;
}

int netfront_mcast_filter(struct netfront *nf, bool is_on)
{
	struct handshake *h = &nf->handshake;
	uint64_t is_dynamic = 0;

	store_client_read_uint(h->store, STORE_NO_TX, &is_dynamic, "%s/feature-dynamic-multicast-control", h->other_path);
	if (!is_dynamic || !(nf->tx_can & NETFRONT_MCAST))
		return -EOPNOTSUPP;
	return store_client_printf(h->store, STORE_NO_TX, h->own_path, "request-multicast-control", "%d", is_on);
}
