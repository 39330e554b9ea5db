/*
 * hv/pirq.c - device fds in the core's loop, one event each until eoi.
 */
#include "hv/pirq.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <unistd.h>

#include "hv/core.h"
#include "hv/evtchn.h"

#define FIRST_PIRQ 16 /* below lie the legacy interrupts of a PC */

struct pirq {
	struct pirq *next;
	struct core *core;
	struct conn *owner;
	int number;
	int fd;
	unsigned port; /* 0: not bound */
	bool ends_with_port;
	struct loop_source *source;
};

static struct pirq *find(struct core *core, int number)
{
	struct pirq *p;

	for (p = core->pirqs; p; p = p->next)
		if (p->number == number)
			break;
	return p;
}

static struct pirq *find_owned(struct core *core, struct conn *owner, int number)
{
	struct pirq *p = find(core, number);

	return p && p->owner == owner ? p : NULL;
}

static void fired(void *arg, uint32_t events)
{
	struct pirq *p = arg;
	struct domain *dom0 = core_domain(p->core, 0);
	struct evtchn *e = p->port ? evtchn_find(dom0, p->port) : NULL;

	/* Quiet until pirq_eoi: the level stays high, and EPOLLHUP cannot be switched off by any other way. */
	loop_set_events(p->source, EPOLLONESHOT);
	if (e)
		evtchn_raise(dom0, e);
}

int pirq_map(struct core *core, struct conn *owner, int *fd, bool ends_with_port, int *pirq)
{
	int err, number = *pirq;
	struct pirq *p;

	if (number < 0)
		for (number = FIRST_PIRQ; find(core, number); number++)
			;
	else if (find(core, number))
		return -EEXIST;
	p = calloc(1, sizeof(*p));
	if (!p)
		return -ENOMEM;
	*p = (struct pirq){.core = core, .owner = owner, .number = number, .fd = *fd, .ends_with_port = ends_with_port};
	p->source = loop_add_fd(core->loop, p->fd, EPOLLONESHOT, fired, p);
	if (!p->source) {
		err = -errno;
		free(p);
		return err;
	}
	p->next = core->pirqs;
	core->pirqs = p;
	*fd = -1;
	*pirq = number;
	return 0;
}

static void unmap(struct core *core, struct pirq *p)
{
	struct pirq **at = &core->pirqs;

	while (*at != p)
		at = &(*at)->next;
	*at = p->next;
	loop_remove(p->source);
	close(p->fd);
	free(p);
}

int pirq_unmap(struct core *core, struct conn *owner, int pirq)
{
	struct pirq *p = find_owned(core, owner, pirq);

	if (!p)
		return -EINVAL;
	unmap(core, p);
	return 0;
}

void pirq_unmap_owned(struct core *core, struct conn *owner)
{
	struct pirq *p, *next;

	for (p = core->pirqs; p; p = next) {
		next = p->next;
		if (p->owner == owner)
			unmap(core, p);
	}
}

int pirq_bind(struct core *core, struct conn *owner, int pirq, unsigned port)
{
	struct pirq *p = find_owned(core, owner, pirq);

	if (!p)
		return -EINVAL;
	if (p->port)
		return -EEXIST;
	p->port = port;
	return loop_set_events(p->source, EPOLLIN | EPOLLONESHOT);
}

void pirq_unbind(struct core *core, int pirq)
{
	struct pirq *p = find(core, pirq);

	if (!p)
		return;
	if (p->ends_with_port) {
		unmap(core, p);
		return;
	}
	p->port = 0;
	loop_set_events(p->source, EPOLLONESHOT);
}

int pirq_eoi(struct core *core, struct conn *owner, int pirq)
{
	struct pirq *p = find_owned(core, owner, pirq);

	if (!p)
		return -EINVAL;
	return p->port ? loop_set_events(p->source, EPOLLIN | EPOLLONESHOT) : 0;
}
