/*
 * hv/sched_op.c - sched_op and set_timer_op: a guest sleeps, wakes, ends.
 *
 * A sleeping guest is a call that is answered later: when a vcpu's eventfd is readable (it is not emptied: that is the
 * guest's to do), or when the time is up. The connection serves no other call meanwhile.
 *
 * Spec     xen/sched.h. System time is CLOCK_MONOTONIC in nanoseconds.
 */
#include <errno.h>
#include <sys/epoll.h>
#include <time.h>

#include "hv/clock.h"
#include "hv/conn.h"
#include "hv/core.h"
#include "hv/domain.h"
#include "hv/hypercall.h"
#include "hv/sched_op.h"
#include "rings/atomics.h"

#include <xen/sched.h>

#define MAX_POLL_PORTS 128u /* as Xen */

void sched_poll_end(struct conn *conn)
{
	for (unsigned v = 0; v < LOCAL_MAX_VCPUS; v++) {
		if (!conn->poll_source[v])
			continue;
		store_relaxed(&conn->domain->private_sh->vcpu_polling[v], 0);
		loop_remove(conn->poll_source[v]);
		conn->poll_source[v] = NULL;
	}
	loop_remove(conn->poll_timer);
	conn->poll_timer = NULL;
}

static void poll_done(void *arg)
{
	struct conn *conn = arg;

	sched_poll_end(conn);
	conn_complete(conn, 0);
}

static void poll_event(void *arg, uint32_t events)
{
	poll_done(arg);
}

static int watch_vcpu(struct caller *c, unsigned vcpu)
{
	struct conn *conn = c->conn;

	if (conn->poll_source[vcpu])
		return 0;
	conn->poll_source[vcpu] = loop_add_fd(c->core->loop, c->domain->vcpu_fd[vcpu], EPOLLIN, poll_event, conn);
	if (!conn->poll_source[vcpu])
		return -errno;
	/* From here on senders wake the vcpu for masked ports too. */
	store_relaxed(&c->domain->private_sh->vcpu_polling[vcpu], 1);
	return 0;
}

/* Until an event for one of these vcpus, or the time (0: for ever). */
static long sleep_on(struct caller *c, const evtchn_port_t ports[], unsigned nr, uint64_t timeout)
{
	uint64_t now = clock_now_ns();
	int err = nr ? 0 : watch_vcpu(c, 0);

	for (unsigned i = 0; i < nr && !err; i++)
		err = watch_vcpu(c, evtchn_find(c->domain, ports[i])->vcpu);
	if (!err && timeout) {
		c->conn->poll_timer = loop_add_timer(c->core->loop, timeout > now ? timeout - now : 1, poll_done, c->conn);
		err = c->conn->poll_timer ? 0 : -errno;
	}
	if (err) {
		sched_poll_end(c->conn);
		return err;
	}
	full_fence(); /* pairs with evtchn_send's: either it sees vcpu_polling or we see its bit */
	for (unsigned i = 0; i < nr; i++)
		if (evtchn_is_pending(&c->domain->events, ports[i])) {
			sched_poll_end(c->conn);
			return 0;
		}
	return HYPERCALL_DEFERRED;
}

static long poll(struct caller *c, void *arg)
{
	struct sched_poll *op = arg;
	evtchn_port_t ports[MAX_POLL_PORTS];

	if (op->nr_ports > MAX_POLL_PORTS)
		return -EINVAL;
	if (caller_copy_in(c, ports, (uint64_t)(uintptr_t)op->ports.p, op->nr_ports * sizeof(ports[0])))
		return -EFAULT;
	for (unsigned i = 0; i < op->nr_ports; i++)
		if (!evtchn_find(c->domain, ports[i]))
			return -EINVAL;
	return sleep_on(c, ports, op->nr_ports, op->timeout);
}

static long yield(struct caller *c, void *arg)
{
	return 0;
}

static long block(struct caller *c, void *arg)
{
	return sleep_on(c, NULL, 0, 0);
}

static long shutdown(struct caller *c, void *arg)
{
	struct sched_shutdown *op = arg;

	if (op->reason > SHUTDOWN_MAX)
		return -EINVAL;
	/* What becomes of it then is decided when the answer is out: conn.c calls domain_settle. */
	domain_shutdown(c->domain, op->reason);
	return 0;
}

static long remote_shutdown(struct caller *c, void *arg)
{
	struct sched_remote_shutdown *op = arg;
	struct domain *d = op->domain_id ? core_domain(c->core, op->domain_id) : NULL;

	if (!d || d->stage != DOMAIN_ALIVE)
		return -ESRCH;
	if (op->reason > SHUTDOWN_MAX)
		return -EINVAL;
	domain_shutdown(d, op->reason);
	domain_settle(d);
	return 0;
}

static const struct hypercall_op ops[] = {
	{SCHEDOP_yield, 0, HYPERCALL_GUEST, false, yield},
	{SCHEDOP_block, 0, HYPERCALL_GUEST, false, block},
	{SCHEDOP_shutdown, sizeof(struct sched_shutdown), HYPERCALL_GUEST, false, shutdown},
	{SCHEDOP_poll, sizeof(struct sched_poll), HYPERCALL_GUEST, false, poll},
	{SCHEDOP_remote_shutdown, sizeof(struct sched_remote_shutdown), HYPERCALL_DOM0, false, remote_shutdown},
};

const struct hypercall_ops sched_hypercalls = {ops, sizeof(ops) / sizeof(ops[0])};

static void timer_fired(void *arg)
{
	struct domain *d = arg;

	loop_remove(d->timer);
	d->timer = NULL;
	evtchn_raise_virq(d, VIRQ_TIMER, 0);
}

/* set_timer_op(when): VIRQ_TIMER at that system time, once; 0: never mind. */
long timer_hypercall(struct caller *c, const uint64_t arg[5])
{
	struct domain *d = c->domain;
	uint64_t now = clock_now_ns();

	loop_remove(d->timer);
	d->timer = NULL;
	if (!arg[0])
		return 0;
	d->timer = loop_add_timer(c->core->loop, arg[0] > now ? arg[0] - now : 1, timer_fired, d);
	return d->timer ? 0 : -errno;
}
