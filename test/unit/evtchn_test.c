/*
 * test/unit/evtchn_test.c - the core's table of event channels, from both ends; sleep, timers, physical interrupts; the console.
 */
#include "test.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "core_box.h"
#include "hv/console.h"
#include "hv/domctl.h"
#include "hv/log.h"

#include <xen/io/console.h>
#include <xen/physdev.h>
#include <xen/sched.h>

#define ARG 4096u

static int setup(void **state)
{
	static struct core_pair f;

	core_pair_init(&f, true);
	*state = &f;
	return 0;
}

static int teardown(void **state)
{
	core_pair_finish(*state);
	return 0;
}

static long op(struct core_client *c, unsigned cmd, void *arg, size_t bytes)
{
	return core_client_op(c, __HYPERVISOR_event_channel_op, cmd, arg, bytes);
}

static evtchn_port_t alloc_port(struct core_client *c, domid_t dom, domid_t remote)
{
	struct evtchn_alloc_unbound a = {.dom = dom, .remote_dom = remote};

	assert_int_equal(op(c, EVTCHNOP_alloc_unbound, &a, sizeof(a)), 0);
	return a.port;
}

static long bind_port(struct core_client *c, domid_t remote, evtchn_port_t remote_port, evtchn_port_t *port)
{
	struct evtchn_bind_interdomain b = {.remote_dom = remote, .remote_port = remote_port};
	long ret = op(c, EVTCHNOP_bind_interdomain, &b, sizeof(b));

	*port = b.local_port;
	return ret;
}

static long on_port(struct core_client *c, unsigned cmd, evtchn_port_t port)
{
	struct evtchn_close a = {.port = port}; /* close, send and unmask are alike */

	return op(c, cmd, &a, sizeof(a));
}

static uint32_t status_of(struct core_client *c, domid_t dom, evtchn_port_t port)
{
	struct evtchn_status s = {.dom = dom, .port = port};

	assert_int_equal(op(c, EVTCHNOP_status, &s, sizeof(s)), 0);
	return s.status;
}

/* The fd that the core gives for the port; the client keeps it until the next answer. */
static long event_fd(struct core_client *c, evtchn_port_t port)
{
	struct local_event_fd e = {.port = port};
	long ret = core_client_op(c, LOCAL_HYPERCALL, LOCAL_OP_event_fd, &e, sizeof(e));

	if (ret)
		return ret;
	assert_int_equal(c->nr_fds, 1);
	return dup(c->fds[0]);
}

static uint64_t take(int fd)
{
	uint64_t count = 0;

	return read(fd, &count, sizeof(count)) == sizeof(count) ? count : 0;
}

static bool guest_has(struct core_pair *f, evtchn_port_t port)
{
	return evtchn_take_one(&f->d->events, port);
}

static void an_event_travels_both_ways(void **state)
{
	struct core_pair *f = *state;
	evtchn_port_t guest_port = alloc_port(&f->guest, DOMID_SELF, 0), port;
	int to_dom0, at_dom0;
	uint64_t one = 1;

	assert_int_equal(status_of(&f->guest, DOMID_SELF, guest_port), EVTCHNSTAT_unbound);
	assert_int_equal(bind_port(&f->dom0, f->d->domid, guest_port, &port), 0);
	assert_int_equal(status_of(&f->guest, DOMID_SELF, guest_port), EVTCHNSTAT_interdomain);
	assert_int_equal(status_of(&f->dom0, 0, port), EVTCHNSTAT_interdomain);
	to_dom0 = (int)event_fd(&f->guest, guest_port);
	at_dom0 = (int)event_fd(&f->dom0, port);
	assert_int_equal(take(at_dom0), 1); /* the binder looks once */
	assert_int_equal(write(to_dom0, &one, sizeof(one)), sizeof(one));
	assert_int_equal(take(at_dom0), 1);
	assert_int_equal(on_port(&f->guest, EVTCHNOP_send, guest_port), 0);
	assert_int_equal(take(at_dom0), 1);
	assert_int_equal(on_port(&f->dom0, EVTCHNOP_send, port), 0);
	assert_true(guest_has(f, guest_port));
	close(to_dom0);
	close(at_dom0);
}

static void what_was_sent_before_the_bind_is_not_lost(void **state)
{
	struct core_pair *f = *state;
	evtchn_port_t guest_port = alloc_port(&f->guest, DOMID_SELF, 0), port;
	int at_dom0;

	assert_int_equal(on_port(&f->guest, EVTCHNOP_send, guest_port), 0);
	assert_int_equal(bind_port(&f->dom0, f->d->domid, guest_port, &port), 0);
	at_dom0 = (int)event_fd(&f->dom0, port);
	assert_int_equal(take(at_dom0), 2);
	close(at_dom0);
}

static void a_port_whose_other_end_went_can_be_bound_again(void **state)
{
	struct core_pair *f = *state;
	evtchn_port_t guest_port = alloc_port(&f->guest, DOMID_SELF, 0), port;
	struct core_client back;
	int to_dom0 = (int)event_fd(&f->guest, guest_port), at_dom0;
	uint64_t one = 1;

	assert_int_equal(core_client_hello(&f->box, &back, LOCAL_KIND_DOM0, NULL), 0);
	assert_int_equal(bind_port(&back, f->d->domid, guest_port, &port), 0);
	assert_int_equal(bind_port(&f->dom0, f->d->domid, guest_port, &port), -EINVAL); /* taken */
	core_client_close(&back);
	assert_int_equal(status_of(&f->guest, DOMID_SELF, guest_port), EVTCHNSTAT_unbound);
	assert_int_equal(bind_port(&f->dom0, f->d->domid, guest_port, &port), 0);
	at_dom0 = (int)event_fd(&f->dom0, port);
	take(at_dom0);
	/* The guest's fd is still the right one. */
	assert_int_equal(write(to_dom0, &one, sizeof(one)), sizeof(one));
	assert_int_equal(take(at_dom0), 1);
	/* The other way round: the guest closes. */
	assert_int_equal(on_port(&f->guest, EVTCHNOP_close, guest_port), 0);
	assert_int_equal(status_of(&f->dom0, 0, port), EVTCHNSTAT_unbound);
	assert_int_equal(bind_port(&f->guest, 0, port, &guest_port), 0);
	close(to_dom0);
	close(at_dom0);
}

static void only_the_domain_that_was_named_may_bind(void **state)
{
	struct core_pair *f = *state;
	struct domain *other = core_box_domain(&f->dom0, "other");
	evtchn_port_t for_other = alloc_port(&f->guest, DOMID_SELF, other->domid);
	evtchn_port_t own = alloc_port(&f->guest, DOMID_SELF, DOMID_SELF), port;
	struct core_client og;

	core_box_attach(&f->dom0, other, "other", &og);
	assert_int_equal(bind_port(&f->dom0, f->d->domid, for_other, &port), -EINVAL);
	assert_int_equal(bind_port(&og, f->d->domid, own, &port), -EINVAL);
	assert_int_equal(bind_port(&og, f->d->domid, 0, &port), -EINVAL);
	assert_int_equal(bind_port(&og, f->d->domid, 4000000, &port), -EINVAL);
	assert_int_equal(bind_port(&og, 77, 1, &port), -ESRCH);
	/* Guest to guest goes through the core. */
	assert_int_equal(bind_port(&og, f->d->domid, for_other, &port), 0);
	assert_int_equal(event_fd(&og, port), -EOPNOTSUPP);
	evtchn_take_one(&other->events, port);
	assert_int_equal(on_port(&f->guest, EVTCHNOP_send, for_other), 0);
	assert_true(evtchn_take_one(&other->events, port));
	/* And to itself. */
	assert_int_equal(bind_port(&f->guest, DOMID_SELF, own, &port), 0);
	guest_has(f, port);
	assert_int_equal(on_port(&f->guest, EVTCHNOP_send, own), 0);
	assert_true(guest_has(f, port));
	core_client_close(&og);
}

static void a_port_is_its_connections_own(void **state)
{
	struct core_pair *f = *state;
	evtchn_port_t port = alloc_port(&f->dom0, DOMID_SELF, f->d->domid);
	struct core_client second;

	assert_int_equal(core_client_hello(&f->box, &second, LOCAL_KIND_DOM0, NULL), 0);
	assert_int_equal(on_port(&second, EVTCHNOP_send, port), -EINVAL);
	assert_int_equal(on_port(&second, EVTCHNOP_close, port), -EINVAL);
	assert_int_equal(event_fd(&second, port), -EINVAL);
	assert_int_equal(on_port(&f->dom0, EVTCHNOP_close, port), 0);
	assert_int_equal(on_port(&f->dom0, EVTCHNOP_close, port), -EINVAL);
	core_client_close(&second);
}

static void a_guest_has_as_many_ports_as_it_was_given(void **state)
{
	struct core_pair *f = *state;
	struct evtchn_alloc_unbound a = {.dom = DOMID_SELF, .remote_dom = DOMID_SELF};
	struct evtchn_reset r = {.dom = DOMID_SELF};
	unsigned nr = 0;

	while (!op(&f->guest, EVTCHNOP_alloc_unbound, &a, sizeof(a)))
		nr++;
	assert_int_equal(nr, DOMAIN_DEFAULT_PORTS - 1);
	assert_int_equal(op(&f->guest, EVTCHNOP_alloc_unbound, &a, sizeof(a)), -ENOSPC);
	assert_int_equal(on_port(&f->guest, EVTCHNOP_close, 500), 0);
	assert_int_equal(op(&f->guest, EVTCHNOP_alloc_unbound, &a, sizeof(a)), 0);
	assert_int_equal(a.port, 500);
	assert_int_equal(op(&f->guest, EVTCHNOP_reset, &r, sizeof(r)), 0);
	assert_int_equal(status_of(&f->guest, DOMID_SELF, 500), EVTCHNSTAT_closed);
	assert_int_equal(alloc_port(&f->guest, DOMID_SELF, DOMID_SELF), 1);
}

static void a_new_port_has_no_old_event(void **state)
{
	struct core_pair *f = *state;
	evtchn_port_t port = alloc_port(&f->guest, DOMID_SELF, DOMID_SELF);

	evtchn_set_mask(&f->d->events, port);
	evtchn_raise(f->d, evtchn_find(f->d, port));
	assert_int_equal(on_port(&f->guest, EVTCHNOP_close, port), 0);
	assert_int_equal(alloc_port(&f->guest, DOMID_SELF, DOMID_SELF), port);
	assert_false(evtchn_is_pending(&f->d->events, port));
	assert_int_equal(f->d->shared_sh->evtchn_mask[0] >> port & 1, 0);
}

static void virqs_and_ipis_are_bound_once_and_by_those_who_may(void **state)
{
	struct core_pair *f = *state;
	struct evtchn_bind_virq v = {.virq = VIRQ_DOM_EXC};
	struct evtchn_bind_ipi i = {.vcpu = 1};
	struct evtchn_bind_vcpu bv;
	int fd;

	assert_int_equal(op(&f->guest, EVTCHNOP_bind_virq, &v, sizeof(v)), -EPERM);
	v.virq = NR_VIRQS;
	assert_int_equal(op(&f->guest, EVTCHNOP_bind_virq, &v, sizeof(v)), -EINVAL);
	v = (struct evtchn_bind_virq){.virq = VIRQ_DEBUG, .vcpu = 2};
	assert_int_equal(op(&f->guest, EVTCHNOP_bind_virq, &v, sizeof(v)), -ENOENT);
	v.vcpu = 1;
	assert_int_equal(op(&f->guest, EVTCHNOP_bind_virq, &v, sizeof(v)), 0);
	bv = (struct evtchn_bind_vcpu){.port = v.port};
	assert_int_equal(op(&f->guest, EVTCHNOP_bind_vcpu, &bv, sizeof(bv)), -EINVAL);
	assert_int_equal(f->d->private_sh->port_vcpu[v.port], 1);
	assert_int_equal(op(&f->guest, EVTCHNOP_bind_virq, &v, sizeof(v)), -EEXIST);

	assert_int_equal(op(&f->guest, EVTCHNOP_bind_ipi, &i, sizeof(i)), 0);
	assert_int_equal(on_port(&f->guest, EVTCHNOP_send, i.port), 0);
	assert_true(guest_has(f, i.port));
	assert_int_equal(take(f->d->vcpu_fd[1]), 1);
	assert_int_equal(take(f->d->vcpu_fd[0]), 0);

	v = (struct evtchn_bind_virq){.virq = VIRQ_DOM_EXC};
	assert_int_equal(op(&f->dom0, EVTCHNOP_bind_virq, &v, sizeof(v)), 0);
	fd = (int)event_fd(&f->dom0, v.port);
	assert_int_equal(take(fd), 0);
	assert_int_equal(core_client_domctl(&f->dom0, XEN_DOMCTL_destroydomain, f->d->domid), 0);
	assert_int_equal(take(fd), 1);
	close(fd);
}

static void moving_a_port_to_another_vcpu_takes_its_event_along(void **state)
{
	struct core_pair *f = *state;
	evtchn_port_t port = alloc_port(&f->guest, DOMID_SELF, DOMID_SELF);
	struct evtchn_bind_vcpu b = {.port = port, .vcpu = 1};

	evtchn_raise(f->d, evtchn_find(f->d, port));
	assert_int_equal(take(f->d->vcpu_fd[0]), 1);
	assert_int_equal(op(&f->guest, EVTCHNOP_bind_vcpu, &b, sizeof(b)), 0);
	assert_int_equal(take(f->d->vcpu_fd[1]), 1);
	b.vcpu = 2;
	assert_int_equal(op(&f->guest, EVTCHNOP_bind_vcpu, &b, sizeof(b)), -ENOENT);
}

static void unmasking_delivers_what_came_meanwhile(void **state)
{
	struct core_pair *f = *state;
	evtchn_port_t port = alloc_port(&f->guest, DOMID_SELF, DOMID_SELF);

	evtchn_set_mask(&f->d->events, port);
	evtchn_raise(f->d, evtchn_find(f->d, port));
	assert_int_equal(take(f->d->vcpu_fd[0]), 0);
	assert_int_equal(on_port(&f->guest, EVTCHNOP_unmask, port), 0);
	assert_int_equal(take(f->d->vcpu_fd[0]), 1);
}

/* ---- sleep --------------------------------------------------------------------------------------------------------- */

static long poll_port(struct core_pair *f, unsigned nr, evtchn_port_t port, uint64_t timeout)
{
	struct {
		struct sched_poll p;
		evtchn_port_t port;
	} arg = {.p = {.nr_ports = nr, .timeout = timeout}, .port = port};

	arg.p.ports.p = (void *)(uintptr_t)(ARG + offsetof(__typeof__(arg), port));
	return core_client_op(&f->guest, __HYPERVISOR_sched_op, SCHEDOP_poll, &arg, sizeof(arg));
}

static long late_answer(struct core_pair *f)
{
	struct local_return ret;

	core_box_turn(&f->box);
	return core_client_receive(&f->guest, &ret, sizeof(ret)) == sizeof(ret) ? ret.ret : -EINPROGRESS;
}

static void a_polling_guest_is_answered_when_the_event_comes(void **state)
{
	struct core_pair *f = *state;
	evtchn_port_t port = alloc_port(&f->guest, DOMID_SELF, DOMID_SELF), none = 900;

	evtchn_set_mask(&f->d->events, port);
	assert_int_equal(poll_port(f, 1, none, 0), -EINVAL);
	assert_int_equal(poll_port(f, 129, port, 0), -EINVAL);
	assert_int_equal(poll_port(f, 1, port, 0), -EINPROGRESS);
	assert_int_equal(f->d->private_sh->vcpu_polling[0], 1);
	assert_int_equal(late_answer(f), -EINPROGRESS);
	evtchn_raise(f->d, evtchn_find(f->d, port)); /* masked: the sleeper is woken all the same */
	assert_int_equal(late_answer(f), 0);
	assert_int_equal(f->d->private_sh->vcpu_polling[0], 0);
	/* It has not been taken: the next poll does not sleep. */
	assert_int_equal(poll_port(f, 1, port, 0), 0);
}

static bool answered(void *arg)
{
	return late_answer(arg) == 0;
}

static void a_poll_ends_with_its_time(void **state)
{
	struct core_pair *f = *state;
	evtchn_port_t port = alloc_port(&f->guest, DOMID_SELF, DOMID_SELF);
	struct timespec now;
	long ret;

	clock_gettime(CLOCK_MONOTONIC, &now);
	ret = poll_port(f, 1, port, (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec + 2000000);
	assert_true(ret == 0 || ret == -EINPROGRESS);
	if (ret)
		assert_true(core_box_until(&f->box, answered, f));
}

static void a_blocked_guest_wakes_for_any_event_and_its_calls_wait(void **state)
{
	struct core_pair *f = *state;
	evtchn_port_t port = alloc_port(&f->guest, DOMID_SELF, DOMID_SELF);
	struct local_call call = {.nr = __HYPERVISOR_xen_version, .arg = {7 /* page size */}};
	struct local_return ret;

	assert_int_equal(core_client_call(&f->guest, __HYPERVISOR_sched_op, SCHEDOP_block, 0, 0, -1), -EINPROGRESS);
	core_client_send(&f->guest, &call, sizeof(call), -1);
	assert_int_equal(late_answer(f), -EINPROGRESS);
	evtchn_raise(f->d, evtchn_find(f->d, port));
	assert_int_equal(late_answer(f), 0);
	assert_int_equal(core_client_receive(&f->guest, &ret, sizeof(ret)), sizeof(ret));
	assert_int_equal(ret.ret, 4096);
}

static void a_sleeping_guest_can_be_destroyed(void **state)
{
	struct core_pair *f = *state;
	domid_t domid = f->d->domid;

	assert_int_equal(core_client_call(&f->guest, __HYPERVISOR_sched_op, SCHEDOP_block, 0, 0, -1), -EINPROGRESS);
	assert_int_equal(core_client_domctl(&f->dom0, XEN_DOMCTL_destroydomain, domid), 0);
	assert_null(core_domain(f->box.core, domid));
}

static bool timer_came(void *arg)
{
	struct core_pair *f = arg;

	return evtchn_is_pending(&f->d->events, 1);
}

static void the_timer_virq_comes_when_it_was_asked_for(void **state)
{
	struct core_pair *f = *state;
	struct evtchn_bind_virq v = {.virq = VIRQ_TIMER};

	assert_int_equal(op(&f->guest, EVTCHNOP_bind_virq, &v, sizeof(v)), 0);
	assert_int_equal(v.port, 1);
	assert_int_equal(core_client_call(&f->guest, __HYPERVISOR_set_timer_op, 1, 0, 0, -1), 0); /* long past */
	assert_true(core_box_until(&f->box, timer_came, f));
	assert_null(f->d->timer);
}

/* ---- physical interrupts ------------------------------------------------------------------------------------------- */

static long call_with_fd(struct core_pair *f, uint64_t nr, uint64_t cmd, void *arg, size_t bytes, int fd)
{
	long ret;

	memcpy(f->dom0.area + ARG, arg, bytes);
	ret = core_client_call(&f->dom0, nr, cmd, ARG, 0, fd);
	memcpy(arg, f->dom0.area + ARG, bytes);
	return ret;
}

static void a_device_interrupts_once_for_each_eoi(void **state)
{
	struct core_pair *f = *state;
	struct physdev_map_pirq map = {.domid = DOMID_SELF, .pirq = -1};
	struct evtchn_bind_pirq bind_op;
	struct physdev_eoi eoi;
	int device = eventfd(0, EFD_NONBLOCK), at_dom0, file = memfd_create("file", 0);
	uint64_t one = 1;

	assert_int_equal(call_with_fd(f, __HYPERVISOR_physdev_op, PHYSDEVOP_map_pirq, &map, sizeof(map), -1), -EBADF);
	assert_int_equal(call_with_fd(f, __HYPERVISOR_physdev_op, PHYSDEVOP_map_pirq, &map, sizeof(map), file), -EPERM);
	assert_int_equal(call_with_fd(f, __HYPERVISOR_physdev_op, PHYSDEVOP_map_pirq, &map, sizeof(map), device), 0);
	bind_op = (struct evtchn_bind_pirq){.pirq = (uint32_t)map.pirq};
	assert_int_equal(op(&f->dom0, EVTCHNOP_bind_pirq, &bind_op, sizeof(bind_op)), 0);
	at_dom0 = (int)event_fd(&f->dom0, bind_op.port);
	assert_int_equal(op(&f->dom0, EVTCHNOP_bind_pirq, &(struct evtchn_bind_pirq){.pirq = bind_op.pirq}, sizeof(bind_op)), -EEXIST);
	assert_int_equal(take(at_dom0), 0);
	assert_int_equal(write(device, &one, sizeof(one)), sizeof(one));
	core_box_turn(&f->box);
	assert_int_equal(take(at_dom0), 1); /* and not again, although the device is still readable */
	eoi.irq = (uint32_t)map.pirq;
	assert_int_equal(core_client_op(&f->dom0, __HYPERVISOR_physdev_op, PHYSDEVOP_eoi, &eoi, sizeof(eoi)), 0);
	core_box_turn(&f->box);
	assert_int_equal(take(at_dom0), 1);
	assert_int_equal(take(device), 1);
	assert_int_equal(on_port(&f->dom0, EVTCHNOP_unmask, bind_op.port), 0);
	core_box_turn(&f->box);
	assert_int_equal(take(at_dom0), 0);
	assert_int_equal(on_port(&f->dom0, EVTCHNOP_close, bind_op.port), 0);
	assert_non_null(f->box.core->pirqs); /* mapped on its own, it stays */
	close(at_dom0);
	close(device);
	close(file);
}

static void a_pirq_bound_with_its_device_ends_with_its_port(void **state)
{
	struct core_pair *f = *state;
	struct evtchn_bind_pirq b = {0};
	int device = eventfd(1, EFD_NONBLOCK), at_dom0;

	assert_int_equal(call_with_fd(f, __HYPERVISOR_event_channel_op, EVTCHNOP_bind_pirq, &b, sizeof(b), device), 0);
	core_box_turn(&f->box);
	at_dom0 = (int)event_fd(&f->dom0, b.port);
	assert_int_equal(take(at_dom0), 1);
	assert_int_equal(on_port(&f->dom0, EVTCHNOP_close, b.port), 0);
	assert_null(f->box.core->pirqs);
	close(at_dom0);
	close(device);
}

/* ---- console ------------------------------------------------------------------------------------------------------- */

#define CONSOLE_FRAME 5

static struct xencons_interface *start_console(struct core_pair *f, struct domain **d, struct core_client *guest)
{
	*d = core_box_domain(&f->dom0, "talker");
	(*d)->param[HVM_PARAM_CONSOLE_PFN] = CONSOLE_FRAME;
	(*d)->param[HVM_PARAM_CONSOLE_EVTCHN] = alloc_port(&f->dom0, (*d)->domid, 0);
	core_box_attach(&f->dom0, *d, "talker", guest);
	return (void *)(guest->area + CONSOLE_FRAME * 4096);
}

static int open_reader(struct core_pair *f, const struct domain *d)
{
	struct local_domid arg = {.domid = d->domid};

	assert_int_equal(core_client_op(&f->dom0, LOCAL_HYPERCALL, LOCAL_OP_console, &arg, sizeof(arg)), 0);
	assert_int_equal(f->dom0.nr_fds, 1);
	return fcntl(f->dom0.fds[0], F_DUPFD_CLOEXEC, 0);
}

static void a_console_goes_to_the_log_and_to_its_reader_and_back(void **state)
{
	struct core_pair *f = *state;
	struct core_client guest;
	struct domain *d;
	struct xencons_interface *ring = start_console(f, &d, &guest);
	evtchn_port_t port = (evtchn_port_t)d->param[HVM_PARAM_CONSOLE_EVTCHN];
	int first = open_reader(f, d), reader = open_reader(f, d), log;
	char text[3000], path[128];

	assert_int_equal(recv(first, text, 1, MSG_DONTWAIT), 0); /* cut off by the second */
	memcpy(ring->out, "hello\n", 6);
	ring->out_prod = 6;
	assert_int_equal(on_port(&guest, EVTCHNOP_send, port), 0);
	assert_int_equal(recv(reader, text, sizeof(text), MSG_DONTWAIT), 6);
	assert_memory_equal(text, "hello\n", 6);
	assert_int_equal(ring->out_cons, 6);
	evtchn_take_one(&d->events, port);

	memset(text, 'x', sizeof(text));
	assert_int_equal(send(reader, text, 1500, MSG_DONTWAIT), 1500);
	core_box_turn(&f->box);
	assert_int_equal(ring->in_prod, 1024); /* as much as there is room for */
	assert_true(evtchn_take_one(&d->events, port));
	ring->in_cons = 1024;
	assert_int_equal(on_port(&guest, EVTCHNOP_send, port), 0);
	core_box_turn(&f->box);
	assert_int_equal(ring->in_prod, 1500);

	snprintf(path, sizeof(path), "%s/log/guest-talker.log", f->box.run_dir);
	log = open(path, O_RDONLY | O_CLOEXEC);
	assert_int_equal(read(log, text, sizeof(text)), 6);
	close(log);
	close(first);
	close(reader);
	core_client_close(&guest);
}

static void an_impossible_console_index_ends_the_console_only(void **state)
{
	struct core_pair *f = *state;
	struct core_client guest;
	struct domain *d;
	struct xencons_interface *ring = start_console(f, &d, &guest);
	evtchn_port_t port = (evtchn_port_t)d->param[HVM_PARAM_CONSOLE_EVTCHN];

	ring->out_prod = 2049;
	assert_int_equal(on_port(&guest, EVTCHNOP_send, port), 0);
	core_box_turn(&f->box);
	assert_int_equal(ring->out_cons, 0);
	assert_int_equal(status_of(&guest, DOMID_SELF, port), EVTCHNSTAT_unbound);
	assert_false(d->is_shutdown);
	console_line(d, "its program's own words still go to the log");
	core_client_close(&guest);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(an_event_travels_both_ways),
		TEST(what_was_sent_before_the_bind_is_not_lost),
		TEST(a_port_whose_other_end_went_can_be_bound_again),
		TEST(only_the_domain_that_was_named_may_bind),
		TEST(a_port_is_its_connections_own),
		TEST(a_guest_has_as_many_ports_as_it_was_given),
		TEST(a_new_port_has_no_old_event),
		TEST(virqs_and_ipis_are_bound_once_and_by_those_who_may),
		TEST(moving_a_port_to_another_vcpu_takes_its_event_along),
		TEST(unmasking_delivers_what_came_meanwhile),
		TEST(a_polling_guest_is_answered_when_the_event_comes),
		TEST(a_poll_ends_with_its_time),
		TEST(a_blocked_guest_wakes_for_any_event_and_its_calls_wait),
		TEST(a_sleeping_guest_can_be_destroyed),
		TEST(the_timer_virq_comes_when_it_was_asked_for),
		TEST(a_device_interrupts_once_for_each_eoi),
		TEST(a_pirq_bound_with_its_device_ends_with_its_port),
		TEST(a_console_goes_to_the_log_and_to_its_reader_and_back),
		TEST(an_impossible_console_index_ends_the_console_only),
	};

	log_init("evtchn_test", LOG_LEVEL_ERROR);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
