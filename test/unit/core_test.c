/*
 * test/unit/core_test.c - hypercalls, privileges and the life of domains, through raw messages.
 */
#include "test.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "core_box.h"
#include "hv/domctl.h"
#include "hv/log.h"

#include <xen/hvm/hvm_op.h>
#include <xen/memory.h>
#include <xen/physdev.h>
#include <xen/sched.h>
#include <xen/sysctl.h>
#include <xen/version.h>

#define GOOD 4096u
#define BAD (UINT64_C(1) << 40)

static int setup(void **state)
{
	static struct core_pair f;

	core_pair_init(&f, false);
	*state = &f;
	return 0;
}

static int teardown(void **state)
{
	core_pair_finish(*state);
	return 0;
}

/* Who calls what with which address, and what it gets. */
static const struct {
	const char *what;
	bool is_guest;
	uint64_t nr, cmd, address;
	long ret;
} calls[] = {
	{"an unknown number", true, 47, 0, GOOD, -ENOSYS},
	{"a number far away", true, UINT64_MAX, 0, GOOD, -ENOSYS},
	{"a number that Xen has and we have not", true, __HYPERVISOR_mmu_update, 0, GOOD, -ENOSYS},
	{"the same from Domain-0", false, __HYPERVISOR_tmem_op, 0, GOOD, -ENOSYS},
	{"an unknown command", true, __HYPERVISOR_sched_op, 99, GOOD, -ENOSYS},
	{"an unknown command with a high half", true, __HYPERVISOR_sched_op, (UINT64_C(1) << 32) | SCHEDOP_yield, GOOD, -ENOSYS},
	{"FIFO events", true, __HYPERVISOR_event_channel_op, EVTCHNOP_init_control, GOOD, -ENOSYS},
	{"grant map by hypercall", true, __HYPERVISOR_grant_table_op, GNTTABOP_map_grant_ref, GOOD, -ENOSYS},
	{"domctl by a guest", true, __HYPERVISOR_domctl, GOOD, 0, -EPERM},
	{"domctl by a guest, bad address", true, __HYPERVISOR_domctl, BAD, 0, -EPERM},
	{"sysctl by a guest", true, __HYPERVISOR_sysctl, GOOD, 0, -EPERM},
	{"physdev_op by a guest", true, __HYPERVISOR_physdev_op, PHYSDEVOP_map_pirq, GOOD, -EPERM},
	{"bind_pirq by a guest", true, __HYPERVISOR_event_channel_op, EVTCHNOP_bind_pirq, GOOD, -EPERM},
	{"map_domain by a guest", true, LOCAL_HYPERCALL, LOCAL_OP_map_domain, GOOD, -EPERM},
	{"load by a guest", true, LOCAL_HYPERCALL, LOCAL_OP_load, GOOD, -EPERM},
	{"console by a guest", true, LOCAL_HYPERCALL, LOCAL_OP_console, GOOD, -EPERM},
	{"own by a guest", true, LOCAL_HYPERCALL, LOCAL_OP_own, GOOD, -EPERM},
	{"serve by a guest", true, LOCAL_HYPERCALL, LOCAL_OP_serve, GOOD, -EPERM},
	{"remote_shutdown by a guest", true, __HYPERVISOR_sched_op, SCHEDOP_remote_shutdown, GOOD, -EPERM},
	{"shutdown by Domain-0", false, __HYPERVISOR_sched_op, SCHEDOP_shutdown, GOOD, -EPERM},
	{"poll by Domain-0", false, __HYPERVISOR_sched_op, SCHEDOP_poll, GOOD, -EPERM},
	{"set_timer_op by Domain-0", false, __HYPERVISOR_set_timer_op, 1, 0, -EPERM},
	{"a bad pointer", true, __HYPERVISOR_event_channel_op, EVTCHNOP_send, BAD, -EFAULT},
	{"a pointer just beyond the end", true, __HYPERVISOR_event_channel_op, EVTCHNOP_send, 4096u * 1024 - 3, -EFAULT},
	{"a pointer at the very end", true, __HYPERVISOR_event_channel_op, EVTCHNOP_send, 4096u * 1024 - 4, -EINVAL},
	{"a pointer that wraps", true, __HYPERVISOR_hvm_op, HVMOP_get_param, UINT64_MAX - 3, -EFAULT},
	{"a bad pointer from Domain-0", false, __HYPERVISOR_domctl, BAD, 0, -EFAULT},
	{"a pointer beyond the argument area", false, __HYPERVISOR_sysctl, LOCAL_ARG_BYTES - 8, 0, -EFAULT},
	{"the version", true, __HYPERVISOR_xen_version, XENVER_version, BAD, 4 << 16 | 14},
	{"the page size", true, __HYPERVISOR_xen_version, XENVER_pagesize, BAD, 4096},
	{"yield", true, __HYPERVISOR_sched_op, SCHEDOP_yield, BAD, 0},
};

static void every_call_is_answered_as_its_caller_deserves(void **state)
{
	struct core_pair *f = *state;

	for (size_t i = 0; i < ARRAY_LEN(calls); i++) {
		struct core_client *client = calls[i].is_guest ? &f->guest : &f->dom0;
		long ret;

		memset(client->area + GOOD, 0, 512);
		ret = core_client_call(client, calls[i].nr, calls[i].cmd, calls[i].address, 1, -1);
		if (ret != calls[i].ret)
			fail_msg("%s: %ld instead of %ld", calls[i].what, ret, calls[i].ret);
	}
}

static void messages_of_other_sizes_get_einval(void **state)
{
	struct core_pair *f = *state;
	char message[256] = {0};
	struct local_return ret;

	for (size_t n = 1; n < sizeof(message); n++) {
		if (n == sizeof(struct local_call))
			continue;
		core_client_send(&f->guest, message, n, -1);
		core_box_turn(&f->box);
		assert_int_equal(core_client_receive(&f->guest, &ret, sizeof(ret)), sizeof(ret));
		assert_int_equal(ret.ret, -EINVAL);
	}
	assert_int_equal(core_client_call(&f->guest, __HYPERVISOR_sched_op, SCHEDOP_yield, 0, 0, -1), 0);
}

static void wrong_hellos_are_turned_away(void **state)
{
	static const struct {
		struct local_hello hello;
		size_t bytes;
		int status;
	} cases[] = {
		{{LOCAL_MAGIC + 1, LOCAL_VERSION, LOCAL_KIND_DOM0, ""}, sizeof(struct local_hello), -EPROTO},
		{{LOCAL_MAGIC, LOCAL_VERSION + 1, LOCAL_KIND_DOM0, ""}, sizeof(struct local_hello), -EPROTO},
		{{LOCAL_MAGIC, LOCAL_VERSION, 17, ""}, sizeof(struct local_hello), -EINVAL},
		{{LOCAL_MAGIC, LOCAL_VERSION, LOCAL_KIND_SPAWNED, ""}, sizeof(struct local_hello), -EPERM},
		{{LOCAL_MAGIC, LOCAL_VERSION, LOCAL_KIND_ATTACH, "nobody"}, sizeof(struct local_hello), -ESRCH},
		{{LOCAL_MAGIC, LOCAL_VERSION, LOCAL_KIND_ATTACH, "guest"}, sizeof(struct local_hello), -EBUSY},
		{{LOCAL_MAGIC, LOCAL_VERSION, LOCAL_KIND_DOM0, ""}, sizeof(struct local_hello) - 1, -EPROTO},
	};
	struct core_pair *f = *state;

	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct core_client c = {.box = &f->box};
		struct local_welcome w;
		struct conn *conn;
		int fds[2];

		assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET, 0, fds), 0);
		assert_int_equal(conn_create(f->box.core, fds[0], NULL, &conn), 0);
		c.fd = fds[1];
		core_client_send(&c, &cases[i].hello, cases[i].bytes, -1);
		core_box_turn(&f->box);
		assert_int_equal(core_client_receive(&c, &w, sizeof(w)), sizeof(w));
		assert_int_equal(w.status, cases[i].status);
		assert_int_equal(core_client_receive(&c, &w, sizeof(w)), 0);
		close(c.fd);
	}
}

static void a_guest_names_only_itself(void **state)
{
	struct core_pair *f = *state;
	struct domain *other = core_box_domain(&f->dom0, "other");
	struct xen_hvm_param param = {.domid = other->domid, .index = HVM_PARAM_STORE_PFN};
	struct evtchn_alloc_unbound alloc = {.dom = other->domid, .remote_dom = 0};
	struct evtchn_status status = {.dom = other->domid, .port = 1};
	struct evtchn_reset reset = {.dom = other->domid};
	struct xen_memory_domain mem = {.domid = other->domid};

	assert_int_equal(core_client_op(&f->guest, __HYPERVISOR_hvm_op, HVMOP_get_param, &param, sizeof(param)), -EPERM);
	assert_int_equal(core_client_op(&f->guest, __HYPERVISOR_event_channel_op, EVTCHNOP_alloc_unbound, &alloc, sizeof(alloc)),
			 -EPERM);
	assert_int_equal(core_client_op(&f->guest, __HYPERVISOR_event_channel_op, EVTCHNOP_status, &status, sizeof(status)), -EPERM);
	assert_int_equal(core_client_op(&f->guest, __HYPERVISOR_event_channel_op, EVTCHNOP_reset, &reset, sizeof(reset)), -EPERM);
	assert_int_equal(core_client_op(&f->guest, __HYPERVISOR_memory_op, XENMEM_current_reservation, &mem, sizeof(mem)), -EPERM);
	/* Not even its own store page. */
	param.domid = DOMID_SELF;
	assert_int_equal(core_client_op(&f->guest, __HYPERVISOR_hvm_op, HVMOP_set_param, &param, sizeof(param)), -EPERM);
	param.index = HVM_PARAM_CALLBACK_IRQ;
	assert_int_equal(core_client_op(&f->guest, __HYPERVISOR_hvm_op, HVMOP_set_param, &param, sizeof(param)), 0);
	param.index = HVM_NR_PARAMS;
	assert_int_equal(core_client_op(&f->guest, __HYPERVISOR_hvm_op, HVMOP_get_param, &param, sizeof(param)), -EINVAL);
}

static void fds_from_a_guest_are_closed(void **state)
{
	struct core_pair *f = *state;
	int ends[2];
	char byte;

	assert_int_equal(pipe(ends), 0);
	core_client_call(&f->guest, __HYPERVISOR_sched_op, SCHEDOP_yield, 0, 0, ends[1]);
	close(ends[1]);
	/* Nobody holds the writing end any more. */
	assert_int_equal(read(ends[0], &byte, 1), 0);
	close(ends[0]);
}

static void domids_count_up_and_come_round(void **state)
{
	struct core_pair *f = *state;
	domid_t first = core_box_domain(&f->dom0, "a")->domid;

	assert_int_equal(core_client_domctl(&f->dom0, XEN_DOMCTL_destroydomain, first), 0);
	assert_null(core_domain(f->box.core, first));
	assert_int_equal(core_box_domain(&f->dom0, "b")->domid, first + 1);
	f->box.core->last_domid = DOMID_FIRST_RESERVED - 1;
	assert_int_equal(core_box_domain(&f->dom0, "c")->domid, 2); /* 1 is the fixture's */
}

static void a_half_built_domain_ends_with_its_builder(void **state)
{
	struct core_pair *f = *state;
	struct core_client builder;
	domid_t paused, running;
	struct domain *d;

	assert_int_equal(core_client_hello(&f->box, &builder, LOCAL_KIND_DOM0, NULL), 0);
	paused = core_box_domain(&builder, "paused")->domid;
	d = core_box_domain(&builder, "running");
	running = d->domid;
	assert_int_equal(core_client_domctl(&builder, XEN_DOMCTL_unpausedomain, running), 0);
	core_client_close(&builder);
	assert_null(core_domain(f->box.core, paused));
	assert_non_null(core_domain(f->box.core, running));
}

static void an_owned_domain_stays_until_its_owner_goes(void **state)
{
	struct core_pair *f = *state;
	domid_t domid = f->d->domid;
	struct core_client owner;
	struct local_domid own = {.domid = domid};
	struct sched_shutdown op = {.reason = SHUTDOWN_reboot};

	assert_int_equal(core_client_hello(&f->box, &owner, LOCAL_KIND_DOM0, NULL), 0);
	assert_int_equal(core_client_op(&owner, LOCAL_HYPERCALL, LOCAL_OP_own, &own, sizeof(own)), 0);
	assert_int_equal(core_client_op(&f->dom0, LOCAL_HYPERCALL, LOCAL_OP_own, &own, sizeof(own)), -EBUSY);
	assert_int_equal(core_client_op(&f->guest, __HYPERVISOR_sched_op, SCHEDOP_shutdown, &op, sizeof(op)), 0);
	assert_ptr_equal(core_domain(f->box.core, domid), f->d);
	assert_true(f->d->is_shutdown);
	assert_int_equal(f->d->shutdown_reason, SHUTDOWN_reboot);
	core_client_close(&owner);
	assert_null(core_domain(f->box.core, domid));
}

static void a_guest_that_shuts_down_is_answered_and_then_gone(void **state)
{
	struct core_pair *f = *state;
	domid_t domid = f->d->domid;
	struct sched_shutdown op = {.reason = SHUTDOWN_MAX + 1};
	const char *value;
	char byte;

	assert_int_equal(core_client_op(&f->guest, __HYPERVISOR_sched_op, SCHEDOP_shutdown, &op, sizeof(op)), -EINVAL);
	op.reason = SHUTDOWN_poweroff;
	assert_int_equal(core_client_op(&f->guest, __HYPERVISOR_sched_op, SCHEDOP_shutdown, &op, sizeof(op)), 0);
	assert_null(core_domain(f->box.core, domid));
	assert_int_equal(core_client_receive(&f->guest, &byte, 1), 0);
	assert_int_equal(store_read(f->box.core->store, "/local/domain/1/name", &value, &(unsigned){0}), -ENOENT);
}

static void an_attached_process_that_ends_is_a_crash(void **state)
{
	struct core_pair *f = *state;
	struct local_domid own = {.domid = f->d->domid};

	assert_int_equal(core_client_op(&f->dom0, LOCAL_HYPERCALL, LOCAL_OP_own, &own, sizeof(own)), 0);
	shutdown(f->guest.fd, SHUT_RDWR);
	core_box_turn(&f->box);
	assert_true(f->d->is_shutdown);
	assert_int_equal(f->d->shutdown_reason, SHUTDOWN_crash);
}

static void an_attaching_process_waits_for_the_unpause(void **state)
{
	struct core_pair *f = *state;
	struct domain *d = core_box_domain(&f->dom0, "later");
	domid_t domid = d->domid;
	struct local_welcome w;
	struct core_client early, second;

	assert_int_equal(core_client_hello(&f->box, &early, LOCAL_KIND_ATTACH, "later"), -EINPROGRESS);
	assert_int_equal(core_client_hello(&f->box, &second, LOCAL_KIND_ATTACH, "later"), -EBUSY);
	core_client_close(&second);
	/* One that gives up leaves the domain as it was. */
	core_client_close(&early);
	assert_ptr_equal(core_domain(f->box.core, domid), d);
	assert_int_equal(core_client_hello(&f->box, &early, LOCAL_KIND_ATTACH, "later"), -EINPROGRESS);
	assert_int_equal(core_client_domctl(&f->dom0, XEN_DOMCTL_unpausedomain, domid), 0);
	assert_int_equal(core_client_receive(&early, &w, sizeof(w)), sizeof(w));
	assert_int_equal(w.status, 0);
	assert_int_equal(w.domid, domid);
	core_client_close(&early);
}

static void a_mapped_domain_dies_only_when_the_last_mapper_lets_go(void **state)
{
	struct core_pair *f = *state;
	domid_t domid = f->d->domid;
	struct core_client second;
	struct local_welcome w = {.domid = domid};
	struct local_domid un = {.domid = domid};

	assert_int_equal(core_client_hello(&f->box, &second, LOCAL_KIND_DOM0, NULL), 0);
	assert_int_equal(core_client_op(&f->dom0, LOCAL_HYPERCALL, LOCAL_OP_map_domain, &w, sizeof(w)), 0);
	assert_int_equal(f->dom0.nr_fds, 1 + 1 + 2 + 1); /* one extent, shared, two vcpus, private */
	assert_int_equal(core_client_op(&f->dom0, LOCAL_HYPERCALL, LOCAL_OP_map_domain, &w, sizeof(w)), -EEXIST);
	w.domid = domid;
	assert_int_equal(core_client_op(&second, LOCAL_HYPERCALL, LOCAL_OP_map_domain, &w, sizeof(w)), 0);
	assert_int_equal(core_client_domctl(&f->dom0, XEN_DOMCTL_destroydomain, domid), 0);
	assert_int_equal(f->d->stage, DOMAIN_DYING);
	assert_int_equal(f->d->private_sh->dying, 1);
	assert_int_equal(core_client_op(&f->dom0, LOCAL_HYPERCALL, LOCAL_OP_unmap_domain, &un, sizeof(un)), 0);
	assert_ptr_equal(core_domain(f->box.core, domid), f->d);
	core_client_close(&second);
	assert_null(core_domain(f->box.core, domid));
}

static long serve(struct core_client *c, const char *type, uint32_t takes_some)
{
	struct local_serve op = {.takes_some = takes_some};

	for (size_t i = 0; i < sizeof(op.type) && type[i]; i++) /* whether or not it ends in there */
		op.type[i] = type[i];
	return core_client_op(c, LOCAL_HYPERCALL, LOCAL_OP_serve, &op, sizeof(op));
}

static void a_device_type_has_one_server_or_several_that_take_some(void **state)
{
	struct core_pair *f = *state;
	struct core_client other;

	assert_int_equal(core_client_hello(&f->box, &other, LOCAL_KIND_DOM0, NULL), 0);
	assert_int_equal(serve(&f->dom0, "vif", 0), 0);
	assert_int_equal(serve(&f->dom0, "vif", 0), 0); /* its own */
	assert_int_equal(serve(&other, "vif", 0), -EBUSY);
	assert_int_equal(serve(&other, "vif", 1), -EBUSY);
	assert_int_equal(serve(&other, "vbd", 0), 0);
	assert_int_equal(serve(&f->dom0, "vbd", 0), -EBUSY);
	assert_int_equal(serve(&f->dom0, "vif", 1), 0);
	assert_int_equal(serve(&other, "vif", 1), 0);
	assert_int_equal(serve(&other, "vif", 0), -EBUSY);
	core_client_close(&other);
	assert_int_equal(serve(&f->dom0, "vif", 0), 0);
	assert_int_equal(serve(&f->dom0, "vbd", 0), 0);

	assert_int_equal(serve(&f->dom0, "", 0), -EINVAL);
	assert_int_equal(serve(&f->dom0, "a name without end", 0), -EINVAL);
	assert_int_equal(serve(&f->dom0, "vkb", 2), -EINVAL);
	for (unsigned i = 2; i < LOCAL_MAX_SERVED; i++)
		assert_int_equal(serve(&f->dom0, (char[]){'a' + (char)i, 0}, 0), 0);
	assert_int_equal(serve(&f->dom0, "one too many", 0), -ENOSPC);
}

static void fourteen_processes_may_map_a_domain(void **state)
{
	struct core_pair *f = *state;
	struct core_client clients[GRANT_MAX_SLOTS + 1];

	for (unsigned i = 0; i <= GRANT_MAX_SLOTS; i++) {
		struct local_welcome w = {.domid = f->d->domid};

		assert_int_equal(core_client_hello(&f->box, &clients[i], LOCAL_KIND_DOM0, NULL), 0);
		assert_int_equal(core_client_op(&clients[i], LOCAL_HYPERCALL, LOCAL_OP_map_domain, &w, sizeof(w)),
				 i < GRANT_MAX_SLOTS ? 0 : -ENOSPC);
		if (i < GRANT_MAX_SLOTS)
			assert_int_equal(w.slot, i);
	}
	for (unsigned i = 0; i <= GRANT_MAX_SLOTS; i++)
		core_client_close(&clients[i]);
}

static void pauses_are_counted(void **state)
{
	struct core_pair *f = *state;
	domid_t domid = f->d->domid;

	assert_int_equal(core_client_domctl(&f->dom0, XEN_DOMCTL_unpausedomain, domid), -EINVAL);
	assert_int_equal(core_client_domctl(&f->dom0, XEN_DOMCTL_pausedomain, domid), 0);
	assert_int_equal(core_client_domctl(&f->dom0, XEN_DOMCTL_pausedomain, domid), 0);
	assert_int_equal(core_client_domctl(&f->dom0, XEN_DOMCTL_unpausedomain, domid), 0);
	assert_int_equal(f->d->pause_count, 1);
	assert_int_equal(core_client_domctl(&f->dom0, XEN_DOMCTL_unpausedomain, domid), 0);
	assert_int_equal(f->d->pause_count, 0);
	assert_int_equal(core_client_domctl(&f->dom0, XEN_DOMCTL_pausedomain, 0), -EINVAL);
	assert_int_equal(core_client_domctl(&f->dom0, XEN_DOMCTL_pausedomain, 999), -ESRCH);
}

static void impossible_domains_are_refused(void **state)
{
	static const struct {
		uint32_t vcpus;
		int32_t grant_frames;
		uint32_t grant_opts, version;
		long ret;
	} cases[] = {
		{0, -1, 1, XEN_DOMCTL_INTERFACE_VERSION, -EINVAL},
		{LOCAL_MAX_VCPUS + 1, -1, 1, XEN_DOMCTL_INTERFACE_VERSION, -EINVAL},
		{1, 0, 1, XEN_DOMCTL_INTERFACE_VERSION, -EINVAL},
		{1, 1 << 30, 1, XEN_DOMCTL_INTERFACE_VERSION, -EINVAL},
		{1, -1, 2, XEN_DOMCTL_INTERFACE_VERSION, -EOPNOTSUPP},
		{1, -1, 1, XEN_DOMCTL_INTERFACE_VERSION + 1, -EACCES},
	};
	struct core_pair *f = *state;

	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct xen_domctl op = {.cmd = XEN_DOMCTL_createdomain, .interface_version = cases[i].version};

		op.u.createdomain.max_vcpus = cases[i].vcpus;
		op.u.createdomain.max_grant_frames = cases[i].grant_frames;
		op.u.createdomain.grant_opts = cases[i].grant_opts;
		assert_int_equal(core_client_op(&f->dom0, __HYPERVISOR_domctl, 0, &op, sizeof(op)), cases[i].ret);
	}
	f->box.core->max_domains = 1;
	{
		struct xen_domctl op = {.cmd = XEN_DOMCTL_createdomain, .interface_version = XEN_DOMCTL_INTERFACE_VERSION};

		op.u.createdomain.max_vcpus = 1;
		op.u.createdomain.max_grant_frames = -1;
		assert_int_equal(core_client_op(&f->dom0, __HYPERVISOR_domctl, 0, &op, sizeof(op)), -ENFILE);
	}
}

struct reservation {
	struct xen_memory_reservation r;
	uint64_t frame[4];
};

static long reserve(struct core_client *c, uint64_t cmd, domid_t domid, unsigned nr, unsigned order, const uint64_t frames[4])
{
	struct reservation op = {.r = {.nr_extents = nr, .extent_order = order, .domid = domid}};

	op.r.extent_start.p = (void *)(uintptr_t)(GOOD + sizeof(op.r));
	memcpy(op.frame, frames, sizeof(op.frame));
	return core_client_op(c, __HYPERVISOR_memory_op, cmd, &op, sizeof(op));
}

static void frames_given_back_read_as_zeros_and_can_be_taken_again(void **state)
{
	struct core_pair *f = *state;
	static const uint64_t frames[4] = {100, 101, 102, 100};
	uint8_t *page = f->guest.area + 100 * 4096;

	memset(page, 0xaa, 4096);
	assert_int_equal(reserve(&f->guest, XENMEM_decrease_reservation, DOMID_SELF, 4, 0, frames), 3); /* 100 only once */
	assert_int_equal(f->d->ram.nr_frames, 1021);
	assert_int_equal(page[7], 0);
	assert_int_equal(reserve(&f->guest, XENMEM_populate_physmap, DOMID_SELF, 3, 0, frames), 3);
	assert_int_equal(f->d->ram.nr_frames, 1024);
	assert_int_equal(reserve(&f->guest, XENMEM_populate_physmap, DOMID_SELF, 1, 0, frames), -EINVAL);
}

static void a_guest_cannot_grow(void **state)
{
	struct core_pair *f = *state;
	static const uint64_t beyond[4] = {1024};
	static const uint64_t wild[4] = {UINT64_MAX - 1};

	assert_int_equal(reserve(&f->guest, XENMEM_populate_physmap, DOMID_SELF, 1, 0, beyond), -EPERM);
	assert_int_equal(reserve(&f->dom0, XENMEM_populate_physmap, f->d->domid, 1, 0, beyond), -EPERM); /* it runs */
	assert_int_equal(reserve(&f->guest, XENMEM_decrease_reservation, DOMID_SELF, 1, 0, wild), -EINVAL);
	assert_int_equal(reserve(&f->guest, XENMEM_decrease_reservation, DOMID_SELF, 1, 18, wild), -EINVAL); /* too much for one call */
	assert_int_equal(reserve(&f->guest, XENMEM_decrease_reservation, DOMID_SELF, 1, 60, wild), -EINVAL);
	assert_int_equal(reserve(&f->guest, XENMEM_decrease_reservation, 0, 1, 0, wild), -EPERM);
}

static void ram_stays_within_the_quota(void **state)
{
	struct core_pair *f = *state;
	struct domain *d = core_box_domain(&f->dom0, "more");
	static const uint64_t next[4] = {1024};
	static const uint64_t gap[4] = {1025};

	assert_int_equal(reserve(&f->dom0, XENMEM_populate_physmap, d->domid, 1, 0, next), -E2BIG);
	d->ram.max_frames = 2048;
	assert_int_equal(reserve(&f->dom0, XENMEM_populate_physmap, d->domid, 1, 0, gap), -EINVAL);
	assert_int_equal(reserve(&f->dom0, XENMEM_populate_physmap, d->domid, 1, 10, next), 1);
	assert_int_equal(d->ram.gate.nr_extents, 2);
	assert_int_equal(d->ram.gate.extent[1].first_frame, 1024);
}

static void memory_cannot_be_shrunk_under_a_mapper(void **state)
{
	struct core_pair *f = *state;
	struct stat st;
	const int fds[] = {f->d->ram.extent[0].fd, f->d->shared.fd, f->d->private.fd};

	for (size_t i = 0; i < ARRAY_LEN(fds); i++) {
		assert_int_equal(fstat(fds[i], &st), 0);
		assert_int_equal(ftruncate(fds[i], st.st_size - st.st_blksize), -1);
		assert_int_equal(errno, EPERM);
		assert_int_equal(ftruncate(fds[i], st.st_size + st.st_blksize), -1);
		assert_int_equal(fcntl(fds[i], F_ADD_SEALS, F_SEAL_WRITE), -1);
	}
}

static void grant_questions_are_answered(void **state)
{
	struct core_pair *f = *state;
	struct gnttab_query_size query = {.dom = DOMID_SELF};
	struct gnttab_set_version set = {.version = 2};
	struct gnttab_get_version get = {.dom = DOMID_SELF};

	assert_int_equal(core_client_op(&f->guest, __HYPERVISOR_grant_table_op, GNTTABOP_query_size, &query, sizeof(query)), 0);
	assert_int_equal(query.status, GNTST_okay);
	assert_int_equal(query.max_nr_frames, 64);
	query.dom = 0;
	assert_int_equal(core_client_op(&f->guest, __HYPERVISOR_grant_table_op, GNTTABOP_query_size, &query, sizeof(query)), 0);
	assert_int_equal(query.status, GNTST_permission_denied);
	assert_int_equal(core_client_op(&f->guest, __HYPERVISOR_grant_table_op, GNTTABOP_set_version, &set, sizeof(set)), -ENOSYS);
	set.version = 1;
	assert_int_equal(core_client_op(&f->guest, __HYPERVISOR_grant_table_op, GNTTABOP_set_version, &set, sizeof(set)), 0);
	assert_int_equal(core_client_op(&f->guest, __HYPERVISOR_grant_table_op, GNTTABOP_get_version, &get, sizeof(get)), 0);
	assert_int_equal(get.version, 1);
}

static void one_guest_copies_what_another_granted_it(void **state)
{
	struct core_pair *f = *state;
	struct domain *giver = core_box_domain(&f->dom0, "giver");
	struct grant_entry_v1 *entries = (void *)((uint8_t *)giver->shared.base + 4096);
	struct gnttab_copy copy = {.len = 100, .flags = GNTCOPY_source_gref};

	entries[9] = (struct grant_entry_v1){.flags = GTF_permit_access | GTF_readonly, .domid = f->d->domid, .frame = 7};
	memset((uint8_t *)giver->ram.extent[0].base + 7 * 4096 + 50, 0x5a, 100);
	copy.source.u.ref = 9;
	copy.source.domid = giver->domid;
	copy.source.offset = 50;
	copy.dest.u.gmfn = 3;
	copy.dest.domid = DOMID_SELF;
	assert_int_equal(core_client_op(&f->guest, __HYPERVISOR_grant_table_op, GNTTABOP_copy, &copy, sizeof(copy)), 0);
	assert_int_equal(copy.status, GNTST_okay);
	assert_int_equal(f->guest.area[3 * 4096 + 99], 0x5a);
	assert_int_equal(f->guest.area[3 * 4096 + 100], 0);
	assert_int_equal(entries[9].flags & (GTF_reading | GTF_writing), 0);

	copy.source.u.ref = 10; /* granted to nobody */
	assert_int_equal(core_client_op(&f->guest, __HYPERVISOR_grant_table_op, GNTTABOP_copy, &copy, sizeof(copy)), 0);
	assert_int_not_equal(copy.status, GNTST_okay);
	copy.flags = 0; /* as a frame of the other's */
	assert_int_equal(core_client_op(&f->guest, __HYPERVISOR_grant_table_op, GNTTABOP_copy, &copy, sizeof(copy)), 0);
	assert_int_equal(copy.status, GNTST_permission_denied);
}

static void messages_can_be_read_back(void **state)
{
	struct core_pair *f = *state;
	struct {
		struct xen_sysctl op;
		char text[512];
	} *arg = calloc(1, sizeof(*arg));

	strcpy((char *)f->guest.area + GOOD, "hello\nworld\x1b\n");
	assert_int_equal(core_client_call(&f->guest, __HYPERVISOR_console_io, CONSOLEIO_write, 13, GOOD, -1), 0);
	arg->op.cmd = XEN_SYSCTL_readconsole;
	arg->op.interface_version = XEN_SYSCTL_INTERFACE_VERSION;
	arg->op.u.readconsole.buffer.p = (void *)(uintptr_t)(GOOD + sizeof(arg->op));
	arg->op.u.readconsole.count = sizeof(arg->text);
	arg->op.u.readconsole.clear = 1;
	assert_int_equal(core_client_op(&f->dom0, __HYPERVISOR_sysctl, 0, arg, sizeof(*arg)), 0);
	assert_int_equal(arg->op.u.readconsole.count, strlen("(d1) hello\n(d1) world?\n"));
	assert_memory_equal(arg->text, "(d1) hello\n(d1) world?\n", arg->op.u.readconsole.count);
	arg->op.u.readconsole.count = sizeof(arg->text);
	assert_int_equal(core_client_op(&f->dom0, __HYPERVISOR_sysctl, 0, arg, sizeof(*arg)), 0);
	assert_int_equal(arg->op.u.readconsole.count, 0);
	free(arg);
	/* A guest that shouts is not heard for ever. */
	for (unsigned i = 0; i < 64; i++)
		if (core_client_call(&f->guest, __HYPERVISOR_console_io, CONSOLEIO_write, 1000, GOOD, -1) == -EBUSY)
			return;
	fail_msg("64 kB were taken at once");
}

static void running_out_of_files_turns_callers_away_and_is_survived(void **state)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	struct xen_domctl op = {.cmd = XEN_DOMCTL_createdomain, .interface_version = XEN_DOMCTL_INTERFACE_VERSION};
	struct rlimit before, low;
	struct core_box box;
	struct core_client dom0, late = {.box = &box};
	struct local_welcome w;

	core_box_init(&box, true);
	assert_int_equal(core_client_hello(&box, &dom0, LOCAL_KIND_DOM0, NULL), 0);
	late.fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
	op.u.createdomain.max_vcpus = 1;
	op.u.createdomain.max_grant_frames = -1;
	assert_int_equal(getrlimit(RLIMIT_NOFILE, &before), 0);
	low = before;
	low.rlim_cur = (rlim_t)late.fd + 1; /* every number above is out of reach now */
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &low), 0);
	snprintf(address.sun_path, sizeof(address.sun_path), "%s/" LOCAL_HYPERCALL_SOCKET, box.run_dir);
	assert_int_equal(connect(late.fd, (struct sockaddr *)&address, sizeof(address)), 0);
	core_box_turn(&box);
	assert_int_equal(core_client_receive(&late, &w, sizeof(w)), sizeof(w));
	assert_int_equal(w.status, -EMFILE);
	assert_int_equal(core_client_op(&dom0, __HYPERVISOR_domctl, 0, &op, sizeof(op)), -EMFILE);
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &before), 0);
	assert_int_equal(core_client_op(&dom0, __HYPERVISOR_domctl, 0, &op, sizeof(op)), 0);
	close(late.fd);
	core_client_close(&dom0);
	core_box_finish(&box);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(every_call_is_answered_as_its_caller_deserves),
		TEST(messages_of_other_sizes_get_einval),
		TEST(wrong_hellos_are_turned_away),
		TEST(a_guest_names_only_itself),
		TEST(fds_from_a_guest_are_closed),
		TEST(domids_count_up_and_come_round),
		TEST(a_half_built_domain_ends_with_its_builder),
		TEST(an_owned_domain_stays_until_its_owner_goes),
		TEST(a_guest_that_shuts_down_is_answered_and_then_gone),
		TEST(an_attached_process_that_ends_is_a_crash),
		TEST(an_attaching_process_waits_for_the_unpause),
		TEST(a_mapped_domain_dies_only_when_the_last_mapper_lets_go),
		TEST(a_device_type_has_one_server_or_several_that_take_some),
		TEST(fourteen_processes_may_map_a_domain),
		TEST(pauses_are_counted),
		TEST(impossible_domains_are_refused),
		TEST(frames_given_back_read_as_zeros_and_can_be_taken_again),
		TEST(a_guest_cannot_grow),
		TEST(ram_stays_within_the_quota),
		TEST(memory_cannot_be_shrunk_under_a_mapper),
		TEST(grant_questions_are_answered),
		TEST(one_guest_copies_what_another_granted_it),
		TEST(messages_can_be_read_back),
		cmocka_unit_test(running_out_of_files_turns_callers_away_and_is_survived),
	};

	log_init("core_test", LOG_LEVEL_ERROR);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
