/*
 * test/lib/script_store.h - a store that answers a ring client with whatever bytes the test hands it.
 *
 * Each time the client waits, the requests are taken off the ring (or left), and more of the script goes in. At the script's
 * end the wait says that time is up, or that the store is gone.
 */
#ifndef SLUICE_TEST_SCRIPT_STORE_H
#define SLUICE_TEST_SCRIPT_STORE_H

#include <errno.h>
#include <string.h>

#include "hv/store_client_ring.h"

struct script_store {
	struct xenstore_domain_interface page;
	const uint8_t *bytes;
	size_t nr_bytes, at;
	bool is_repeated;     /* begins again at its end */
	bool takes_nothing;   /* requests stay in the ring */
	bool is_corrupt;      /* writes impossible indices */
	bool ends_gone;       /* -EPIPE at the end instead of time up */
	unsigned waits, notifies, raises;
};

static inline void script_take_requests(struct script_store *s)
{
	char sink[XENSTORE_RING_SIZE];
	bool was_full;

	if (!s->takes_nothing)
		store_ring_take(store_ring_requests(&s->page), sink, sizeof(sink), &was_full);
}

static inline int script_wait(void *arg, int timeout_ms)
{
	struct script_store *s = arg;
	int n;

	s->waits++;
	script_take_requests(s);
	if (s->is_corrupt) {
		s->page.rsp_prod = s->page.rsp_cons + XENSTORE_RING_SIZE + 1;
		return 1;
	}
	if (s->at == s->nr_bytes && s->is_repeated)
		s->at = 0;
	n = store_ring_put(store_ring_responses(&s->page), s->bytes + s->at, (uint32_t)(s->nr_bytes - s->at));
	if (n > 0)
		s->at += (size_t)n;
	return n > 0 ? 1 : s->ends_gone ? -EPIPE : 0;
}

static inline void script_notify(void *arg)
{
	((struct script_store *)arg)->notifies++;
}

static inline void script_raise(void *arg)
{
	((struct script_store *)arg)->raises++;
}

static inline int script_open(struct script_store *s, int timeout_ms, struct store_client **out)
{
	struct store_channel channel = {.arg = s, .notify = script_notify, .wait = script_wait, .raise = script_raise, .fd = -1,
					.timeout_ms = timeout_ms};

	return store_client_ring_create(&s->page, &channel, out);
}

/* Appends one message. */
static inline size_t script_message(uint8_t *to, uint32_t type, uint32_t req_id, const void *body, uint32_t len)
{
	struct xsd_sockmsg m = {.type = type, .req_id = req_id, .len = len};

	memcpy(to, &m, sizeof(m));
	memcpy(to + sizeof(m), body, len);
	return sizeof(m) + len;
}

#endif
