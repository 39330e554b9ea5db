/*
 * hv/local_op.c - arch_0: what only the local platform has. File descriptors change hands here.
 *
 * Spec     hv/local_abi.h.
 */
#include <errno.h>
#include <string.h>

#include "hv/conn.h"
#include "hv/console.h"
#include "hv/core.h"
#include "hv/domain.h"
#include "hv/hypercall.h"
#include "hv/local_op.h"

static void give_fd(struct caller *c, int fd)
{
	c->fds[c->nr_fds++] = fd;
}

void local_describe(const struct domain *d, struct local_welcome *w, int fds[LOCAL_MAX_FDS], unsigned *nr_fds)
{
	memset(w, 0, sizeof(*w));
	w->domid = d->domid;
	w->nr_extents = d->ram.gate.nr_extents;
	w->nr_vcpus = d->nr_vcpus;
	w->nr_grant_frames = d->nr_grant_frames;
	w->nr_maptrack_frames = d->nr_maptrack_frames;
	*nr_fds = 0;
	for (unsigned i = 0; i < w->nr_extents; i++) {
		w->extent_frames[i] = d->ram.gate.extent[i].nr_frames;
		fds[(*nr_fds)++] = d->ram.extent[i].fd;
	}
	if (domain_is_dom0(d))
		return;
	fds[(*nr_fds)++] = d->shared.fd;
	for (unsigned i = 0; i < d->nr_vcpus; i++)
		fds[(*nr_fds)++] = d->vcpu_fd[i];
}

/* Another domain than Domain-0, alive. */
static struct domain *guest(struct caller *c, uint32_t domid)
{
	struct domain *d = domid ? core_domain(c->core, domid) : NULL;

	return d && d->stage == DOMAIN_ALIVE ? d : NULL;
}

static long map_domain(struct caller *c, void *arg)
{
	struct local_welcome *w = arg;
	struct domain *d = guest(c, w->domid);
	unsigned slot, unrevoked, nr_free = GRANT_MAX_SLOTS;

	if (!d)
		return -ESRCH;
	unrevoked = domain_revoke_slots(d);
	for (slot = GRANT_MAX_SLOTS; slot-- > 0;) {
		if (d->mapper[slot] == c->conn)
			return -EEXIST;
		if (!d->mapper[slot] && !(unrevoked & 1u << slot))
			nr_free = slot;
	}
	if (nr_free == GRANT_MAX_SLOTS)
		return -ENOSPC;
	local_describe(d, w, c->fds, &c->nr_fds);
	give_fd(c, d->private.fd);
	w->slot = nr_free;
	d->mapper[nr_free] = c->conn;
	return 0;
}

static long unmap_domain(struct caller *c, void *arg)
{
	struct local_domid *op = arg;
	struct domain *d = core_domain(c->core, op->domid); /* a dying one too: that is what it waits for */

	for (unsigned slot = 0; d && slot < GRANT_MAX_SLOTS; slot++)
		if (d->mapper[slot] == c->conn) {
			domain_unmap(d, slot);
			return 0;
		}
	return -ESRCH;
}

static long load(struct caller *c, void *arg)
{
	struct local_load *op = arg;
	struct domain *d = guest(c, op->domid);

	if (!d)
		return -ESRCH;
	if (op->flags || !memchr(op->cmdline, 0, sizeof(op->cmdline)))
		return -EINVAL;
	if (c->fd_in < 0)
		return -EBADF;
	if (d->has_started)
		return -EBUSY;
	return spawn_load(&d->spawn, c->fd_in, op->cmdline);
}

static long console(struct caller *c, void *arg)
{
	struct local_domid *op = arg;
	struct domain *d = guest(c, op->domid);
	int fd;

	if (!d)
		return -ESRCH;
	fd = console_attach(d);
	if (fd < 0)
		return fd;
	give_fd(c, fd);
	c->fd_out = fd;
	return 0;
}

static long event_fd(struct caller *c, void *arg)
{
	struct local_event_fd *op = arg;
	struct evtchn *e = evtchn_find(c->domain, op->port);

	if (!e || e->owner != caller_port_owner(c))
		return -EINVAL;
	if (e->fd < 0)
		return -EOPNOTSUPP;
	give_fd(c, e->fd);
	return 0;
}

static long own(struct caller *c, void *arg)
{
	struct local_domid *op = arg;
	struct domain *d = guest(c, op->domid);

	if (!d)
		return -ESRCH;
	if (d->owner && d->owner != c->conn)
		return -EBUSY;
	d->owner = c->conn;
	return 0;
}

/* What the connection serves of the type; "": the first place that is free. NULL: nothing, none. */
static struct local_serve *find_served(struct conn *conn, const char *type)
{
	for (unsigned i = 0; i < LOCAL_MAX_SERVED; i++)
		if (!strcmp(conn->served[i].type, type))
			return &conn->served[i];
	return NULL;
}

static long serve(struct caller *c, void *arg)
{
	const struct local_serve *op = arg;
	struct local_serve *mine;

	if (!op->type[0] || !memchr(op->type, 0, sizeof(op->type)) || op->takes_some > 1)
		return -EINVAL;
	for (struct conn *other = c->core->conns; other; other = other->next) {
		const struct local_serve *theirs = other == c->conn ? NULL : find_served(other, op->type);

		if (theirs && !(theirs->takes_some && op->takes_some))
			return -EBUSY;
	}
	mine = find_served(c->conn, op->type);
	if (!mine)
		mine = find_served(c->conn, "");
	if (!mine)
		return -ENOSPC;
	*mine = *op;
	return 0;
}

static const struct hypercall_op ops[] = {
	{LOCAL_OP_map_domain, sizeof(struct local_welcome), HYPERCALL_DOM0, true, map_domain},
	{LOCAL_OP_unmap_domain, sizeof(struct local_domid), HYPERCALL_DOM0, false, unmap_domain},
	{LOCAL_OP_load, sizeof(struct local_load), HYPERCALL_DOM0, false, load},
	{LOCAL_OP_console, sizeof(struct local_domid), HYPERCALL_DOM0, false, console},
	{LOCAL_OP_event_fd, sizeof(struct local_event_fd), HYPERCALL_ANY, false, event_fd},
	{LOCAL_OP_own, sizeof(struct local_domid), HYPERCALL_DOM0, false, own},
	{LOCAL_OP_serve, sizeof(struct local_serve), HYPERCALL_DOM0, false, serve},
};

const struct hypercall_ops local_hypercalls = {ops, sizeof(ops) / sizeof(ops[0])};
