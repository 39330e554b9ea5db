/*
 * hv/life.c - one page and one event channel for each device, apart from its rings: no driver's protocol has a byte for this.
 *
 * Trusts   nothing on the page but as a hint: a front end that plays dead loses its own device.
 * Runs in  the thread that owns the store client.
 */
#include "hv/life.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "hv/hv_ops.h"
#include "rings/atomics.h"

#define REF_KEY "life-ref"
#define PORT_KEY "life-event-channel"

/* Keys outlive whoever wrote them, and their numbers are given out anew: the mark says that the page is what they mean. */
static const char life_mark[7] = "sluice";

struct life_page {
	uint8_t is_alive; /* F: 1; the kernel: 0 */
	char mark[7];     /* F: 1 */
};

/* ---- front end ------------------------------------------------------------------------------------------------------ */

static int write_keys(const struct life *life, struct store_client *store, const char *dir)
{
	int err = store_client_printf(store, STORE_NO_TX, dir, REF_KEY, "%u", life->ref);

	return err ? err : store_client_printf(store, STORE_NO_TX, dir, PORT_KEY, "%u", life->port);
}

void life_announce(struct life *life, struct hv *hv, struct store_client *store, const char *dir, domid_t peer)
{
	struct life l;
	void *page;

	if (!hv->ops->share_life || hv_evtchn_alloc_unbound(hv, peer, &l.port))
		return;
	if (hv_share_life(hv, peer, l.port, &l.ref, &page))
		goto close_port;
	l.page = page;
	memcpy(l.page->mark, life_mark, sizeof(life_mark));
	store_release(&l.page->is_alive, 1);
	if (write_keys(&l, store, dir))
		goto unshare;
	*life = l;
	return;
unshare:
	hv_unshare(hv, page, 1, &l.ref);
close_port:
	hv_evtchn_close(hv, l.port);
}

static void remove_key(struct store_client *store, const char *dir, const char *key)
{
	char path[160];

	if (snprintf(path, sizeof(path), "%s/%s", dir, key) < (int)sizeof(path))
		store_client_rm(store, STORE_NO_TX, path);
}

/* The mark goes first: the byte is cleared, and an event sent, whenever the page goes. */
void life_withdraw(struct life *life, struct hv *hv, struct store_client *store, const char *dir)
{
	if (!life->page)
		return;
	store_relaxed(&life->page->mark[0], 0);
	remove_key(store, dir, REF_KEY);
	remove_key(store, dir, PORT_KEY);
	hv_unshare(hv, life->page, 1, &life->ref);
	hv_evtchn_close(hv, life->port);
	*life = (struct life){0};
}

/* ---- back end ------------------------------------------------------------------------------------------------------- */

static bool is_marked(const struct life_watch *w)
{
	const struct life_page *sh = w->page_sh;

	for (unsigned i = 0; i < sizeof(life_mark); i++)
		if (load_relaxed(&sh->mark[i]) != life_mark[i])
			return false;
	return true;
}

int life_watch_start(struct life_watch *w, struct hv *hv, struct store_client *store, const char *dir, domid_t peer)
{
	struct life_watch new = {0};
	uint64_t ref, port;
	grant_ref_t refs[1];
	int err;

	if (store_client_read_uint(store, STORE_NO_TX, &ref, "%s/" REF_KEY, dir) ||
	    store_client_read_uint(store, STORE_NO_TX, &port, "%s/" PORT_KEY, dir) || ref > UINT32_MAX || port > UINT32_MAX)
		return -ENOENT;
	err = hv_peer_open(hv, peer, &new.peer);
	if (err)
		return err;
	refs[0] = (grant_ref_t)ref;
	err = hv_peer_map_ring(new.peer, refs, 1, &new.page_sh);
	if (err)
		goto close_peer;
	err = hv_evtchn_bind_interdomain(hv, peer, (evtchn_port_t)port, &new.port);
	if (err)
		goto unmap;
	new.fd = hv_event_fd(hv, new.port);
	err = is_marked(&new) ? 0 : -ENOENT;
	if (err)
		goto close_port;
	*w = new;
	return 0;
close_port:
	hv_evtchn_close(hv, new.port);
unmap:
	hv_peer_unmap_ring(new.peer, new.page_sh);
close_peer:
	hv_peer_close(new.peer);
	return err;
}

bool life_watch_is_over(struct life_watch *w, struct hv *hv)
{
	const struct life_page *sh = w->page_sh;
	evtchn_port_t port;

	hv_event_take(hv, w->fd, &port, 1);
	return !load_acquire(&sh->is_alive) && is_marked(w);
}

void life_watch_stop(struct life_watch *w, struct hv *hv)
{
	if (!w->peer)
		return;
	hv_evtchn_close(hv, w->port);
	hv_peer_unmap_ring(w->peer, w->page_sh);
	hv_peer_close(w->peer);
	*w = (struct life_watch){0};
}
