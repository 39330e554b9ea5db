/*
 * netback/link.c - carrier of TAPs, carrier keys of guests.
 *
 * Trusts   a message of Linux's only as a hint which interface to look at.
 */
#include "netback/link.h"

#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <linux/rtnetlink.h>

#include "hv/log.h"
#include "netback/netback_priv.h"

#define PATIENCE_NS UINT64_C(1000000000) /* a guest may pause for that long */
#define NEWS_BYTES 8192

/* ---- the guest is told -------------------------------------------------------------------------------------------- */

static void show_to_guest(struct device *d)
{
	struct handshake *h = d->handshake;
	bool is_up = tap_is_up(d->tap);

	if (is_up == d->link.is_shown)
		return;
	d->link.is_shown = is_up;
	if (store_client_printf(h->store, STORE_NO_TX, h->own_path, "carrier", "%u", is_up))
		log_warn("%s: the guest cannot be told that interface %s is %s", d->vif.name, d->tap->name, is_up ? "up" : "down");
}

static void look_at(struct netback *nb, int ifindex)
{
	struct device *d;

	TAILQ_FOREACH(d, &nb->devices, all)
		if (d->tap && (!ifindex || d->tap->ifindex == ifindex))
			show_to_guest(d);
}

static void on_news(void *arg, uint32_t events)
{
	struct netback *nb = arg;
	char news[NEWS_BYTES] __attribute__((aligned(NLMSG_ALIGNTO)));
	ssize_t n;

	while ((n = recv(nb->link_fd, news, sizeof(news), MSG_DONTWAIT)) != 0) {
		const struct nlmsghdr *m = (const struct nlmsghdr *)news;
		size_t left = (size_t)n;

		if (n < 0) {
			if (errno == ENOBUFS) /* some were lost: any may have changed */
				look_at(nb, 0);
			return;
		}
		for (; NLMSG_OK(m, left); m = NLMSG_NEXT(m, left))
			if (m->nlmsg_type == RTM_NEWLINK && m->nlmsg_len >= NLMSG_LENGTH(sizeof(struct ifinfomsg)))
				look_at(nb, ((const struct ifinfomsg *)NLMSG_DATA(m))->ifi_index);
	}
}

static void listen_to_linux(struct netback *nb)
{
	const struct sockaddr_nl addr = {.nl_family = AF_NETLINK, .nl_groups = RTMGRP_LINK};

	if (nb->link_source)
		return;
	nb->link_fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_ROUTE);
	if (nb->link_fd < 0)
		goto fail;
	if (bind(nb->link_fd, (const struct sockaddr *)&addr, sizeof(addr)) == 0)
		nb->link_source = loop_add_fd(nb->loop, nb->link_fd, EPOLLIN, on_news, nb);
	if (nb->link_source)
		return;
	close(nb->link_fd);
fail:
	log_warn("Linux does not tell of its interfaces: guests will not learn that one is set down");
}

/* ---- Linux is told ------------------------------------------------------------------------------------------------ */

static bool is_stalled(const struct device *d)
{
	for (unsigned i = 0; i < d->vif.nr_queues; i++)
		if (!load_relaxed(&d->vif.queue[i]->rx.is_stalled))
			return false;
	return d->vif.nr_queues != 0;
}

static void show_to_linux(struct device *d, bool is_taking)
{
	loop_remove(d->link.stall_timer);
	d->link.stall_timer = NULL;
	if (d->link.is_cut != is_taking)
		return;
	d->link.is_cut = !is_taking;
	tap_set_carrier(d->tap, is_taking);
	log_info("%s: the guest %s; interface %s has %s carrier", d->vif.name, is_taking ? "takes packets again" : "takes no packets",
		 d->tap->name, is_taking ? "a" : "no");
}

static void on_patience(void *arg)
{
	struct device *d = arg;

	show_to_linux(d, !is_stalled(d));
}

void link_look(struct device *d)
{
	if (!d->tap)
		return;
	if (!is_stalled(d))
		show_to_linux(d, true);
	else if (!d->link.is_cut && !d->link.stall_timer)
		d->link.stall_timer = loop_add_timer(d->nb->loop, PATIENCE_NS, on_patience, d);
}

void link_begin(struct device *d)
{
	listen_to_linux(d->nb);
	d->link = (struct link){.is_shown = !tap_is_up(d->tap)}; /* whatever an earlier back end has said */
	show_to_guest(d);
}

void link_end(struct device *d)
{
	loop_remove(d->link.stall_timer);
	d->link.stall_timer = NULL;
}

void link_finish(struct netback *nb)
{
	if (!nb->link_source)
		return;
	loop_remove(nb->link_source);
	close(nb->link_fd);
	nb->link_source = NULL;
}
