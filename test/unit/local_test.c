/*
 * test/unit/local_test.c - the local platform, two domains in a box: memory, grants, life and death.
 */
#include "test.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <xen/hvm/params.h>
#include <xen/sched.h>
#include <xen/version.h>

#include "box.h"
#include "hv/local_abi.h"
#include "rings/atomics.h"

static struct box box;
static domid_t domid;
static struct hv *guest;
static struct hv_peer *peer;

static int start_empty(void **state)
{
	box_start(&box);
	return 0;
}

/* One guest that runs, and Domain-0 has it open. */
static int start(void **state)
{
	box_start(&box);
	domid = box_create(&box, "a", 4096);
	guest = box_run(&box, domid, "a");
	assert_int_equal(hv_peer_open(box.dom0, domid, &peer), 0);
	return 0;
}

static int stop_empty(void **state)
{
	box_stop(&box);
	return 0;
}

static int stop(void **state)
{
	hv_peer_close(peer);
	box_end(&box, domid, guest);
	return 0;
}

/* The core has worked off all that was sent to it before: its answers come in order. */
static void settle(void)
{
	hv_hypercall(box.dom0, __HYPERVISOR_xen_version, XENVER_version, NULL, 0);
}

/* ---- opening ------------------------------------------------------------------------------------------------------------ */

static void what_cannot_be_opened_says_why(void **state)
{
	static const struct {
		struct hv_options opt;
		int err;
		const char *why;
	} cases[] = {
		{{.run_dir = "/nowhere/at/all"}, -ENOENT, "no sluiced answers in /nowhere/at/all"},
		{{.platform = "vax"}, -ENOTSUP, "there is no hypervisor vax"},
		{{.platform = "xen"}, -ENOTSUP, "this program holds no Xen"}, /* it is not linked with it */
		{{.run_dir = "/tmp/an-unreasonably-long-path-for-a-unix-socket-that-has-no-room-for-more-than-one-hundred-and-"
			     "eight-bytes-of-it"},
		 -ENAMETOOLONG, "too long"},
	};
	char why[HV_WHY_BYTES];
	struct hv *hv;

	for (unsigned i = 0; i < ARRAY_LEN(cases); i++) {
		struct hv_options opt = cases[i].opt;

		assert_int_equal(hv_open_dom0(&opt, &hv), cases[i].err); /* who wants no sentence gets none */
		opt.why = why;
		why[0] = '\0';
		assert_int_equal(hv_open_dom0(&opt, &hv), cases[i].err);
		assert_non_null(strstr(why, cases[i].why));
		opt.attach = "a";
		why[0] = '\0';
		assert_int_equal(hv_open_guest(&opt, &hv), cases[i].err);
		assert_non_null(strstr(why, cases[i].why));
	}
}

static void attach_to_a_domain_that_is_not_there_or_runs_is_refused(void **state)
{
	struct hv_options opt = {.run_dir = box.run_dir, .attach = "nobody"};
	struct hv *hv;

	assert_int_equal(hv_open_guest(&opt, &hv), -ESRCH);
	opt.attach = "a";
	assert_int_equal(hv_open_guest(&opt, &hv), -EBUSY);
}

static void process_without_a_hypercall_socket_is_no_spawned_guest(void **state)
{
	struct hv_options opt = {.run_dir = box.run_dir};
	struct hv *hv;

	assert_true(hv_open_guest(&opt, &hv) < 0);
}

static void guest_and_domain_0_are_what_they_say(void **state)
{
	struct hv_peer *other;

	assert_int_equal(hv_domid(guest), domid);
	assert_int_equal(hv_domid(box.dom0), 0);
	assert_string_equal(hv_run_dir(guest), box.run_dir);
	assert_int_equal(hv_peer_domid(peer), domid);
	assert_int_equal(hv_peer_open(guest, 0, &other), -EOPNOTSUPP);
	assert_null(hv_grants(box.dom0));
	assert_false(test_is_readable(hv_lost_fd(guest)));
	assert_false(test_is_readable(hv_lost_fd(box.dom0)));
}

/* ---- hypercalls ---------------------------------------------------------------------------------------------------------- */

static void hypercalls_answer_as_xen_does(void **state)
{
	static uint8_t large[1 << 17];
	const struct {
		struct hv *hv;
		unsigned nr;
		uint64_t cmd;
		void *arg;
		size_t bytes;
		long ret;
	} cases[] = {
		{guest, 63, 0, NULL, 0, -ENOSYS},
		{guest, 1u << 20, 0, NULL, 0, -ENOSYS},
		{guest, __HYPERVISOR_event_channel_op, 12345, NULL, 0, -ENOSYS},
		{guest, __HYPERVISOR_domctl, 0, large, 200, -EPERM},
		{guest, __HYPERVISOR_sysctl, 0, large, 200, -EPERM},
		{guest, LOCAL_HYPERCALL, LOCAL_OP_map_domain, large, sizeof(struct local_welcome), -EPERM},
		{guest, LOCAL_HYPERCALL, LOCAL_OP_own, large, sizeof(struct local_domid), -EPERM},
		{guest, __HYPERVISOR_xen_version, XENVER_extraversion, large, sizeof(large), -E2BIG},
		{guest, __HYPERVISOR_xen_version, XENVER_extraversion, NULL, 16, -EINVAL},
		{box.dom0, __HYPERVISOR_xen_version, XENVER_extraversion, large, sizeof(large), -E2BIG},
		{box.dom0, 63, 0, NULL, 0, -ENOSYS},
	};

	for (unsigned i = 0; i < ARRAY_LEN(cases); i++)
		assert_int_equal(hv_hypercall(cases[i].hv, cases[i].nr, cases[i].cmd, cases[i].arg, cases[i].bytes), cases[i].ret);
	assert_true(hv_hypercall(guest, __HYPERVISOR_xen_version, XENVER_version, NULL, 0) > 0);
}

/* ---- pages and grants ------------------------------------------------------------------------------------------------------ */

static void guest_shares_and_back_end_sees_it(void **state)
{
	grant_ref_t refs[4];
	void *pages, *ring;

	assert_int_equal(hv_share(guest, 0, 4, false, refs, &pages), 0);
	strcpy(pages, "from the guest");
	assert_int_equal(hv_peer_map_ring(peer, refs, 4, &ring), 0);
	assert_string_equal(ring, "from the guest");
	assert_ptr_equal(ring, pages); /* one address for one page in one process */
	hv_peer_unmap_ring(peer, ring);
	hv_unshare(guest, pages, 4, refs);
}

static void scattered_ring_is_mapped_in_a_row(void **state)
{
	grant_ref_t refs[4], shuffled[4];
	uint8_t *pages, *ring;
	int err;

	assert_int_equal(hv_share(guest, 0, 4, false, refs, (void **)&pages), 0);
	for (unsigned i = 0; i < 4; i++) {
		pages[pages_to_bytes(i)] = (uint8_t)(i + 1);
		shuffled[i] = refs[i ^ 3];
	}
	err = hv_peer_map_ring(peer, shuffled, 4, (void **)&ring);
	if (err == -EOPNOTSUPP) { /* this machine has huge pages free, and the domain lies in them */
		hv_unshare(guest, pages, 4, refs);
		skip();
	}
	assert_int_equal(err, 0);
	for (unsigned i = 0; i < 4; i++) {
		assert_int_equal(ring[pages_to_bytes(i)], (i ^ 3) + 1);
		ring[pages_to_bytes(i) + 1] = (uint8_t)(i + 10);
		assert_int_equal(pages[pages_to_bytes(i ^ 3) + 1], i + 10);
	}
	hv_peer_unmap_ring(peer, ring);
	hv_unshare(guest, pages, 4, refs);
}

static void ring_with_one_bad_ref_is_not_mapped_at_all(void **state)
{
	grant_ref_t refs[3];
	void *pages, *ring;
	unsigned many = 65;
	grant_ref_t bad[65] = {0};

	assert_int_equal(hv_share(guest, 0, 3, true, refs, &pages), 0);
	assert_int_equal(hv_peer_map_ring(peer, refs, 3, &ring), -EACCES); /* read-only */
	for (unsigned i = 0; i < 3; i++)
		assert_false(grant_table_in_use(hv_grants(guest), refs[i]));
	assert_int_equal(hv_peer_map_ring(peer, (grant_ref_t[]){1u << 30}, 1, &ring), -EINVAL);
	assert_int_equal(hv_peer_map_ring(peer, bad, 0, &ring), -EINVAL);
	assert_int_equal(hv_peer_map_ring(peer, bad, many, &ring), -EINVAL);
	hv_unshare(guest, pages, 3, refs);
}

static void pages_are_mapped_copied_and_within_the_registered_ram(void **state)
{
	struct hv_map_op ops[2] = {{0}};
	struct grant_copy_op copy;
	struct iovec ram[GATE_MAX_EXTENTS];
	grant_handle_t handle;
	grant_ref_t refs[1];
	char text[16] = "to the guest";
	uint8_t *page;

	assert_int_equal(hv_share(guest, 0, 1, false, refs, (void **)&page), 0);
	ops[0].ref = refs[0];
	ops[1].ref = refs[0] + 100; /* nobody granted it */
	assert_int_equal(hv_peer_map(peer, ops, 2), 1);
	assert_int_equal(ops[0].status, GNTST_okay);
	assert_int_not_equal(ops[1].status, GNTST_okay);
	assert_int_equal(hv_peer_ram(peer, ram), 1);
	assert_true((uint8_t *)ops[0].page >= (uint8_t *)ram[0].iov_base &&
		    (uint8_t *)ops[0].page < (uint8_t *)ram[0].iov_base + ram[0].iov_len);
	copy = (struct grant_copy_op){.local = text, .ref = refs[0], .offset = 100, .len = sizeof(text), .to_peer = true};
	assert_int_equal(hv_peer_copy(peer, &copy, 1), 0);
	assert_string_equal(page + 100, "to the guest");
	handle = ops[0].handle;
	assert_int_equal(hv_peer_unmap(peer, &handle, 1), 0);
	assert_int_equal(hv_peer_unmap(peer, &handle, 1), 1);
	hv_unshare(guest, page, 1, refs);
}

/* How many single pages can be had now. */
static unsigned free_pages(void)
{
	static void *p[1024];
	unsigned n = 0;

	while (n < ARRAY_LEN(p) && !hv_pages_alloc(guest, 1, &p[n]))
		n++;
	for (unsigned i = 0; i < n; i++)
		hv_pages_free(guest, p[i], 1);
	return n;
}

static void unshared_page_in_use_comes_back_when_the_peer_lets_go(void **state)
{
	grant_ref_t refs[3];
	void *pages, *ring;
	unsigned before = free_pages();

	assert_int_equal(before, 1024 - 4); /* frame 0, argument page, store, console */
	assert_int_equal(hv_share(guest, 0, 3, false, refs, &pages), 0);
	assert_int_equal(hv_peer_map_ring(peer, refs, 3, &ring), 0);
	hv_unshare(guest, pages, 3, refs);
	assert_int_equal(free_pages(), before - 3);
	hv_peer_unmap_ring(peer, ring);
	assert_int_equal(free_pages(), before); /* the allocator reaps */
}

static void failed_share_takes_nothing(void **state)
{
	static grant_ref_t refs[1024];
	unsigned before = free_pages();
	uint32_t refs_before = grant_table_nr_free(hv_grants(guest));
	void *pages;

	assert_int_equal(hv_share(guest, 0, 1024, false, refs, &pages), -ENOMEM);
	assert_int_equal(free_pages(), before);
	assert_int_equal(grant_table_nr_free(hv_grants(guest)), refs_before);
}

static void pins_of_a_closed_connection_are_released(void **state)
{
	struct hv *back = box_open_dom0(&box);
	struct hv_peer *other;
	struct hv_map_op op = {0};
	grant_ref_t refs[1];
	void *page;

	assert_int_equal(hv_share(guest, 0, 1, false, refs, &page), 0);
	op.ref = refs[0];
	assert_int_equal(hv_peer_open(back, domid, &other), 0);
	assert_int_equal(hv_peer_map(other, &op, 1), 0);
	assert_true(grant_table_in_use(hv_grants(guest), refs[0]));
	hv_close(back);
	settle();
	assert_false(grant_table_in_use(hv_grants(guest), refs[0]));
	assert_int_equal(grant_table_end(hv_grants(guest), refs[0]), 0);
	grant_table_free(hv_grants(guest), refs[0]);
	hv_pages_free(guest, page, 1);
}

static void fifteenth_mapper_is_refused_and_a_slot_given_back_is_free(void **state)
{
	struct hv *back[GRANT_MAX_SLOTS];
	struct hv_peer *other;
	unsigned n;

	for (n = 0; n < GRANT_MAX_SLOTS; n++) {
		int err;

		back[n] = box_open_dom0(&box);
		err = hv_peer_open(back[n], domid, &other);
		if (n < GRANT_MAX_SLOTS - 1)
			assert_int_equal(err, 0);
		else
			assert_int_equal(err, -ENOSPC); /* the box's own hv has one */
	}
	hv_peer_close(peer);
	assert_int_equal(hv_peer_open(back[n - 1], domid, &other), 0);
	hv_peer_close(other);
	assert_int_equal(hv_peer_open(box.dom0, domid, &peer), 0);
	while (n--)
		hv_close(back[n]);
}

static void peer_is_counted(void **state)
{
	struct hv_peer *again, *none;

	assert_int_equal(hv_peer_open(box.dom0, domid, &again), 0);
	assert_ptr_equal(again, peer);
	hv_peer_close(again);
	assert_int_equal(hv_peer_open(box.dom0, (domid_t)(domid + 1), &none), -ESRCH);
	assert_int_equal(hv_peer_open(box.dom0, 0, &none), -EINVAL);
}

/* ---- life and death ---------------------------------------------------------------------------------------------------------- */

static void created_domain_is_listed_paused_and_destroyed(void **state)
{
	domid_t id = box_create(&box, "b", 8192);
	struct toolstack_info info[4];
	char path[64], vm[] = "/vm/00000000-0000-0000-0000-000000000000";
	int n;

	n = toolstack_domain_list(box.dom0, 0, info, 4);
	assert_int_equal(n, 2);
	assert_int_equal(info[0].domid, 0);
	assert_int_equal(info[1].domid, id);
	assert_true(info[1].paused);
	assert_int_equal(info[1].memory_kib, 8192);
	assert_int_equal(info[1].vcpus, 1);
	for (unsigned i = 0, at = 4; i < 16; i++, at += 2) {
		at += i == 4 || i == 6 || i == 8 || i == 10;
		snprintf(path, sizeof(path), "%02x", info[1].uuid[i]);
		memcpy(vm + at, path, 2);
	}
	assert_true(box_has_node(&box, vm));
	snprintf(path, sizeof(path), "/local/domain/%u/name", id);
	assert_true(box_has_node(&box, path));
	assert_int_equal(toolstack_domain_destroy(box.dom0, id), 0);
	assert_false(box_has_node(&box, path));
	assert_false(box_has_node(&box, vm));
	box_wait_gone(&box, id);
	assert_int_equal(toolstack_domain_destroy(box.dom0, id), -ESRCH);
}

static void memory_of_every_size_is_built_whole(void **state)
{
	static const uint64_t kib[] = {16, 20, 4096, 4100, 8 << 10, 100 << 10, (100 << 10) + 4, 1 << 20, (1 << 20) + 4};
	struct toolstack_info info;

	for (unsigned i = 0; i < ARRAY_LEN(kib); i++) {
		domid_t id = box_create(&box, "m", kib[i]);

		assert_int_equal(toolstack_domain_list(box.dom0, id, &info, 1), 1);
		assert_true(info.memory_kib >= kib[i] && info.memory_kib <= kib[i] + kib[i] / 1024);
		assert_int_equal(toolstack_domain_destroy(box.dom0, id), 0);
	}
}

static void impossible_domains_are_refused_and_leave_nothing(void **state)
{
	static const struct toolstack_domain cases[] = {
		{.name = "x", .vcpus = 1, .memory_kib = 0},
		{.name = "x", .vcpus = 0, .memory_kib = 4096},
		{.name = "x", .vcpus = LOCAL_MAX_VCPUS + 1, .memory_kib = 4096},
		{.name = "x", .vcpus = 1, .memory_kib = UINT64_C(1) << 50},
		{.name = "x", .vcpus = 1, .memory_kib = 4096, .grant_frames = 1u << 30},
	};
	struct toolstack_info info;
	domid_t id;

	for (unsigned i = 0; i < ARRAY_LEN(cases); i++)
		assert_int_equal(toolstack_domain_create(box.dom0, &cases[i], &id), -EINVAL);
	assert_int_equal(toolstack_domain_list(box.dom0, 1, &info, 1), 0);
}

static void domain_of_a_toolstack_that_dies_before_unpause_goes(void **state)
{
	struct toolstack_domain d = {.name = "orphan", .vcpus = 1, .memory_kib = 4096, .uuid = {7}};
	struct hv *toolstack = box_open_dom0(&box);
	char path[64];
	domid_t id;

	assert_int_equal(toolstack_domain_create(toolstack, &d, &id), 0);
	snprintf(path, sizeof(path), "/local/domain/%u", id);
	assert_true(box_has_node(&box, path));
	hv_close(toolstack);
	box_wait_gone(&box, id);
	assert_false(box_has_node(&box, path));
}

static void memory_of_a_dead_domain_stays_until_the_peer_is_closed(void **state)
{
	struct hv_map_op op = {0};
	struct toolstack_info info;
	grant_ref_t refs[1];
	char *page;

	assert_int_equal(hv_share(guest, 0, 1, false, refs, (void **)&page), 0);
	strcpy(page, "still here");
	op.ref = refs[0];
	assert_int_equal(hv_peer_map(peer, &op, 1), 0);
	assert_int_equal(toolstack_domain_destroy(box.dom0, domid), 0);
	assert_true(box_wait_readable(hv_lost_fd(guest)));
	assert_string_equal(op.page, "still here");
	assert_int_equal(toolstack_domain_list(box.dom0, domid, &info, 1), 1);
	assert_true(info.dying);
	assert_int_equal(hv_hypercall(guest, __HYPERVISOR_xen_version, XENVER_version, NULL, 0), -EPIPE);
	hv_peer_close(peer);
	peer = NULL;
	box_wait_gone(&box, domid);
}

static void shutdown_reason_waits_for_the_owner(void **state)
{
	struct sched_shutdown op = {.reason = SHUTDOWN_poweroff};
	struct toolstack_info info;
	evtchn_port_t virq, got;
	int fd;

	assert_int_equal(toolstack_domain_own(box.dom0, domid), 0);
	assert_int_equal(hv_evtchn_bind_virq(box.dom0, VIRQ_DOM_EXC, &virq), 0);
	fd = hv_event_fd(box.dom0, virq);
	hv_hypercall(guest, __HYPERVISOR_sched_op, SCHEDOP_shutdown, &op, sizeof(op));
	assert_true(box_wait_readable(fd));
	assert_int_equal(hv_event_take(box.dom0, fd, &got, 1), 1);
	assert_int_equal(got, virq);
	assert_int_equal(toolstack_domain_list(box.dom0, domid, &info, 1), 1);
	assert_true(info.shutdown && !info.crashed);
	assert_int_equal(info.shutdown_reason, SHUTDOWN_poweroff);
	assert_int_equal(hv_evtchn_close(box.dom0, virq), 0);
	assert_int_equal(toolstack_domain_destroy(box.dom0, domid), 0);
}

static void lost_guest_is_removed_with_its_devices(void **state)
{
	char front[64], back[64];

	box_add_vbd(&box, domid, 51712, "/dev/null", "r");
	snprintf(front, sizeof(front), "/local/domain/%u/device/vbd/51712/state", domid);
	snprintf(back, sizeof(back), "/local/domain/0/backend/vbd/%u/51712/state", domid);
	assert_true(box_has_node(&box, front));
	assert_true(box_has_node(&box, back));
	hv_peer_close(peer);
	peer = NULL;
	hv_close(guest);
	guest = NULL;
	box_wait_gone(&box, domid);
	assert_false(box_has_node(&box, front));
	assert_false(box_has_node(&box, back));
}

static void dmesg_and_physinfo_tell_of_the_host(void **state)
{
	struct toolstack_physinfo info;
	char text[65536];
	int n;

	assert_int_equal(toolstack_physinfo(box.dom0, &info), 0);
	assert_int_equal(info.nr_cpus, sysconf(_SC_NPROCESSORS_ONLN));
	assert_true(info.total_kib >= info.free_kib && info.free_kib > 0);
	n = toolstack_dmesg(box.dom0, text, sizeof(text), true);
	assert_true(n >= 0);
	assert_int_equal(toolstack_dmesg(box.dom0, text, sizeof(text), false), 0);
}

int main(void)
{
#define E(name) cmocka_unit_test_setup_teardown(name, start_empty, stop_empty)
#define T(name) cmocka_unit_test_setup_teardown(name, start, stop)
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_cannot_be_opened_says_why),
		T(attach_to_a_domain_that_is_not_there_or_runs_is_refused),
		E(process_without_a_hypercall_socket_is_no_spawned_guest),
		T(guest_and_domain_0_are_what_they_say),
		T(hypercalls_answer_as_xen_does),
		T(guest_shares_and_back_end_sees_it),
		T(scattered_ring_is_mapped_in_a_row),
		T(ring_with_one_bad_ref_is_not_mapped_at_all),
		T(pages_are_mapped_copied_and_within_the_registered_ram),
		T(unshared_page_in_use_comes_back_when_the_peer_lets_go),
		T(failed_share_takes_nothing),
		T(pins_of_a_closed_connection_are_released),
		T(fifteenth_mapper_is_refused_and_a_slot_given_back_is_free),
		T(peer_is_counted),
		E(created_domain_is_listed_paused_and_destroyed),
		E(memory_of_every_size_is_built_whole),
		E(impossible_domains_are_refused_and_leave_nothing),
		E(domain_of_a_toolstack_that_dies_before_unpause_goes),
		T(memory_of_a_dead_domain_stays_until_the_peer_is_closed),
		T(shutdown_reason_waits_for_the_owner),
		T(lost_guest_is_removed_with_its_devices),
		E(dmesg_and_physinfo_tell_of_the_host),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
