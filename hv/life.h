/*
 * hv/life.h - tells a back end at once that a front end's process has died in a domain that lives on.
 *
 *      front end                                   back end
 *      a page granted to it, its first byte 1      maps the page, binds the port, sleeps on it
 *      life-ref, life-event-channel  ----------->  beside the device's own keys
 *      dies: its kernel clears the byte and sends an event (unmap notification)
 *
 * A domain's death needs none of this: the toolstack, or sluiced, takes the directories away. Back ends that do not know the keys
 * pass over them; front ends without them are watched by nobody.
 *
 * Runs in  the thread that owns the store client.
 */
#ifndef SLUICE_HV_LIFE_H
#define SLUICE_HV_LIFE_H

#include "hv/hv.h"
#include "hv/store_client.h"

struct life_page;

/* Zero: nothing is announced. */
struct life {
	struct life_page *page;
	grant_ref_t ref;
	evtchn_port_t port;
};

/* Front: writes the two keys below dir. Where the platform has no such page, or no more of them, nothing: it is a courtesy. */
void life_announce(struct life *life, struct hv *hv, struct store_client *store, const char *dir, domid_t peer);
/* The front end leaves in good order: whoever watches sees nothing. Takes one that was not announced. */
void life_withdraw(struct life *life, struct hv *hv, struct store_client *store, const char *dir);

struct life_watch {
	struct hv_peer *peer; /* NULL: watches nothing */
	void *page_sh;
	evtchn_port_t port;
	int fd; /* readable: look (life_watch_is_over) */
};

/* Back: dir is the front end's. -ENOENT: it announces nothing, or the keys are an earlier one's. */
int life_watch_start(struct life_watch *w, struct hv *hv, struct store_client *store, const char *dir, domid_t peer);
/* Takes what fd has. true: the process is gone. */
bool life_watch_is_over(struct life_watch *w, struct hv *hv);
/* Takes one that watches nothing. */
void life_watch_stop(struct life_watch *w, struct hv *hv);

#endif
